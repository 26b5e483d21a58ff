"""Steers a run of gpremap, and reads its results. One file, the standard library only.

    import gpremap

    with gpremap.connect("/tmp/vm.sock") as vm:        # gpremap run SCENARIO --control /tmp/vm.sock
        vm.call("move", range="heap", to="16GiB")
        print(vm.resize("heap", "1GiB").wait())        # a job: its final state
        for event in vm.events(start=0):
            print(event["seq"], event["t_ns"], event["kind"])

    result = gpremap.read_result("result.json")        # plain dictionaries; docs/results.md has the keys
    series = gpremap.series(result)["stream"]          # {"t_ns": [...], "ops": [...], ...}
    frame = gpremap.steps_frame(result)                # where pandas is installed

docs/control.md lists the calls, their arguments and the errors.
"""

from __future__ import annotations

import importlib
import json
import socket
from types import TracebackType
from typing import Any, Iterator, Optional, Union

VERSION = 1  # of the protocol

Json = dict[str, Any]


class Error(Exception):
    """A call has no result. `code` and `name` are stable; `data` has `errno` and `amount` where the VM refused."""

    def __init__(self, call: str, error: Json) -> None:
        super().__init__(f"{call}: {error['message']}")
        self.code: int = error["code"]
        self.data: Json = error.get("data", {})
        self.name: str = self.data.get("name", "")
        self.errno: Optional[str] = self.data.get("errno")


class Job:
    """Something that takes the guest's help and some time."""

    def __init__(self, machine: "Machine", number: int) -> None:
        self.machine = machine
        self.number = number

    def state(self) -> Json:
        return self.machine.call("job", id=self.number)

    def cancel(self) -> Json:
        return self.machine.call("job.cancel", id=self.number)

    def wait(self) -> Json:
        """Once it is final: `state` is "done", "refused" or "partly", `amount` how many bytes."""
        return self.machine.call("job.wait", id=self.number)


class Machine:
    """A run that listens. Not for several threads at once: connect once for each."""

    def __init__(self, path: str, timeout: Optional[float] = 60) -> None:
        self._path = path
        self._timeout = timeout
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        self._calls = 0
        try:
            self._socket.connect(path)
            self._file = self._socket.makefile("rb")
            self.greeting = self._next().get("params", {})
        except BaseException:
            self._socket.close()
            raise
        if self.greeting.get("version") != VERSION:
            self.close()
            raise ConnectionError(f"{path}: expected version {VERSION} of the protocol, got {self.greeting}")

    def __enter__(self) -> "Machine":
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException],
                 where: Optional[TracebackType]) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def call(self, method: str, /, **arguments: Any) -> Json:
        """The result of a call. Raises Error where it has none, ConnectionError where the run is over."""
        self._calls += 1
        number = self._calls
        self._send({"jsonrpc": "2.0", "id": number, "method": method, "params": arguments})
        while True:
            message = self._next()
            if message.get("id", 0) in (number, None):
                if "error" in message:
                    raise Error(method, message["error"])
                result: Json = message["result"]
                return result

    def resize(self, name: str, new_size: Union[int, str], **more: Any) -> Job:
        """Has the guest itself grow or shrink the range, piece by piece."""
        return Job(self, self.call("resize", range=name, new_size=new_size, **more)["job"])

    def events(self, start: Optional[int] = None) -> Iterator[Json]:
        """What happens, from event `start` on, until the run ends. On a connection of its own."""
        with Machine(self._path, None) as listener:
            arguments = {} if start is None else {"from": start}
            listener.call("events", **arguments)
            while True:
                try:
                    message = listener._next()
                except ConnectionError:
                    return
                if "error" in message:
                    raise Error("events", message["error"])
                if message.get("method") == "event":
                    yield message["params"]

    def _send(self, message: Json) -> None:
        self._socket.sendall(json.dumps(message).encode() + b"\n")

    def _next(self) -> Json:
        line = self._file.readline()
        if not line.endswith(b"\n"):
            raise ConnectionError(f"{self._path}: the run has ended")
        message: Json = json.loads(line)
        return message


def connect(path: str, timeout: Optional[float] = 60) -> Machine:
    """`path` as in `gpremap run --control`; `timeout` in seconds, for each answer."""
    return Machine(path, timeout)


# ---- results ----


def read_result(path: str) -> Json:
    """The JSON of any verb, or the journal (.jsonl) of a run, put together as far as it goes. Raises ValueError for
    what is neither."""
    with open(path, encoding="utf-8", errors="replace") as file:
        text = file.read()
    result = _read_journal(path, text) if path.endswith(".jsonl") else json.loads(text)
    if not isinstance(result, dict) or not str(result.get("schema", "")).startswith("gpremap."):
        raise ValueError(f"{path}: expected a result of gpremap, with a \"schema\"")
    return result


def _read_journal(path: str, text: str) -> Json:
    lines = [json.loads(line) for line in text.split("\n")[:-1] if line]  # but for one that was cut
    if not lines or lines[0].get("event") != "begin":
        raise ValueError(f"{path}: expected the journal of a run, which begins with the event \"begin\"")
    result: Json = {key: value for key, value in lines[0].items() if key != "event"}
    result["steps"] = []
    rows: dict[str, Json] = {}
    for line in lines[1:]:
        event = line.pop("event")
        if event == "step":
            result["steps"].append(line)
        elif event == "sample":
            one = rows.setdefault(line["workload"], {"workload": line["workload"], "vcpu": line.get("vcpu")})
            for key, value in line.items():
                if key not in ("workload", "vcpu"):
                    one.setdefault(key, []).append(value)
        elif event == "end":
            result.update(line)
    result["steps"].sort(key=lambda step: step["index"])
    result["series"] = list(rows.values())
    return result


def series(result: Json) -> dict[str, Json]:
    """What each workload did over time: lists of one length, `t_ns` and others, by the workload's name."""
    return {one["workload"]: one for one in result.get("series", [])}


def calls(result: Json) -> list[Json]:
    """The steps that took a call into the VMM, in their order."""
    return [step for step in result.get("steps", []) if step.get("call_ns", 0) > 0]


def _pandas() -> Any:
    try:
        return importlib.import_module("pandas")
    except ImportError as error:
        raise ImportError("frames need pandas: apt install python3-pandas, or use the dictionaries") from error


def steps_frame(result: Json) -> Any:
    """A pandas.DataFrame with a row for each step; what is nested has keys such as "stage2.faults"."""
    return _pandas().json_normalize(result.get("steps", []))


def series_frame(result: Json) -> Any:
    """A pandas.DataFrame with a row for each sample of each workload."""
    pandas = _pandas()
    frames = [pandas.DataFrame(one) for one in result.get("series", [])]
    return pandas.concat(frames, ignore_index=True) if frames else pandas.DataFrame()
