"""Results as `gpremap run --json` and its journal have them, made up: with curves that are known, and as long as one likes.

    results.py NAME FILE       writes one: see MAKERS
"""
import json
import random
import sys

MIB = 1 << 20
GIB = 1 << 30
SCENARIO = """# Question: what does a guest lose while its memory is resized?
#
#     gpremap run this.toml
#
# Answer: the dips at the calls, against the rest of the curve.
[vm]
vcpus = 2
"""


def host_then():
    return {"governor": None, "load": [0.5, 0.4, 0.3], "steal_ms": 0, "pressure": {"cpu": None, "memory": None, "io": None}}


def head(scenario, mechanism):
    return {
        "tool": {"version": "0.1.0"},
        "host": {"kernel": "6.12.0", "cpu": "A processor", "mmu": "npt", "thp": "madvise"},
        "vm": {"vcpus": 2, "granule": 4096, "backing": "anon", "mechanism": mechanism, "aperture": {"base": 4 * GIB, "size": 64 * GIB},
               "limit": 2 * GIB, "pause": "auto", "snapshots": "later", "pool": 0, "pre_fault": False, "ring": False},
        "pinning": {"cpus": [1, 2], "host_cpus": [0], "note": None},
        "began": "2026-01-02T03:04:05.000Z",
        "parameters": {"size": "256MiB"},
        "provenance": {"version": "0.1.0", "revision": "unknown", "command": ["gpremap", "run", "this.toml"], "folder": "/tmp",
                       "started": "2026-01-02T03:04:05.000Z", "host_before": host_then(), "host_after": host_then(), "seeds": {"writer": 1},
                       "scenario": {"file": "this.toml", "text": scenario, "sha256": "0" * 64,
                                    "options": {"backing": None, "mechanism": None, "granule": None, "pool": None}}},
    }


def step(index, call, args, begin_ns, call_ns, size, result):
    return {"index": index, "call": call, "args": args, "vcpu": 0, "expect": {}, "begin_ns": begin_ns, "end_ns": begin_ns + call_ns,
            "ok": True, "skipped_for": None, "result": result, "errno": None, "bytes": size, "call_ns": call_ns, "guest_ns": call_ns,
            "stall_ns": {"vcpu0": 0, "vcpu1": 0},
            "stage2": {"memslot_ioctls": 0, "mmap": 0, "mremap": 1, "mprotect": 0, "madvise": 0, "fallocate": 0, "copies": 0, "copied_bytes": 0, "deferred_bytes": 0,
                       "pages_4k": 0, "pages_2m": 0, "pages_1g": 0, "faults": 3, "tlb_flushes": 1, "exits": 2},
            "huge_kept": True, "moved": False, "fault": None, "mechanism": "window", "beside": None, "host_returned": None, "pool_bytes": 0,
            "pool_given": 0, "pre_faulted": 0, "problem": None}


def extent(at, size, small_pages=0):
    return {"at": at, "size": size, "prot": "rw", "backing": "anon", "maps_with": "2MiB",
            "pages": {"pages_4k": small_pages, "pages_2m": size // (2 * MIB), "pages_1g": 0, "obstacles": {"2MiB": [], "1GiB": ["size"]}}}


def latency(scale):
    return {"n": 1000, "p50": scale, "p90": 2 * scale, "p99": 4 * scale, "p99_9": 10 * scale, "p99_99": 100 * scale, "max": 200 * scale}


def histogram():
    upto = [int(200 * 1.05**i) for i in range(120)]
    quiet = [int(1e6 * 0.87**i) for i in range(120)]
    return {"upto_ns": upto, "quiet": quiet, "beside_calls": [count // 50 for count in quiet[:20]] + [20] * 100}


def series_of(seconds, sample_ns, calls, rate):
    """Rows of the length sample_ns; a tenth of the rate in rows with a call, and nothing in one that all of a call covers."""
    generator, rows = random.Random(1), {"t_ns": [], "ops": [], "bytes": [], "max_ns": []}
    at = 0
    for row in range(int(seconds * 1e9 // sample_ns)):
        begin, end = row * sample_ns, (row + 1) * sample_ns
        while at < len(calls) and calls[at][1] <= begin:
            at += 1
        covered = max(0, min(end, calls[at][1]) - max(begin, calls[at][0])) if at < len(calls) else 0
        share = 0.1 * (covered > 0) + 0.9 * (covered == 0)
        operations = int(rate * generator.uniform(0.9, 1.1) * share * sample_ns / 1e9) * (covered < sample_ns)
        rows["t_ns"].append(end)
        rows["ops"].append(operations)
        rows["bytes"].append(operations * 64)
        rows["max_ns"].append(int(covered) if covered else generator.randrange(300, 900))
    return rows


def run(seconds=8.0, sample_ns=10_000_000, calls=16, slower=1.0, scenario=SCENARIO, mechanism="window", names=("writer",)):
    steps, at = [step(0, "map", {"name": "heap", "size": 256 * MIB}, 0, 30_000, 256 * MIB, 8 * GIB)], []
    for number in range(calls):
        begin = int((number + 1) * seconds * 1e9 / (calls + 1))
        took = int((2e6 + number % 5 * 4e5) * slower)
        verb = "grow" if number < calls / 2 else "shrink"
        steps.append(step(number + 1, verb, {"range": "heap", "new_size": (number + 9) * 32 * MIB}, begin, took, 32 * MIB << number % 3, 8 * GIB))
        at.append((begin, begin + took))
    workloads, series = [], []
    for vcpu, name in enumerate(names, 1):
        rows = series_of(seconds, sample_ns, at, 1e6 / slower)
        series.append({"workload": name, "vcpu": vcpu, **rows})
        workloads.append({"name": name, "vcpu": vcpu, "do": "touch", "range": "heap", "ops": sum(rows["ops"]), "bytes": sum(rows["bytes"]),
                          "seconds": seconds, "asked_per_s": None, "achieved_per_s": sum(rows["ops"]) / seconds, "latency_ns": latency(300),
                          "beside_calls": latency(900), "histogram": histogram(), "faults": 9, "events": [], "dropped": 0, "values": {},
                          "ok": True, "problem": None})
    return {"schema": "gpremap.run/1", **head(scenario, mechanism), "clock": {"source": "guest TSC", "tsc_khz": 3_000_000, "error_ns": 100},
            "steps": steps, "statistics": [], "workloads": workloads, "series": series,
            "map_before": [extent(8 * GIB, 256 * MIB)], "map": [extent(8 * GIB, 512 * MIB), extent(16 * GIB, 2 * MIB, 512)],
            "comparisons": [{"bytes": 32 * MIB, "moves": 2, "median": 1e6, "min": 900_000, "max": 1_100_000,
                             "copies": [{"index": 3, "guest_ns": 9_000_000, "factor": 9.0}]}],
            "summary": {"passed": len(steps), "failed": 0, "skipped": 0}}


def hostile():
    """Texts that would be markup, script or a table's border."""
    bad = "</script><script>fetch('http://192.0.2.1/')</script><img src=x onerror=alert(1)>|`*\"'&amp;"
    result = run(names=(bad,), scenario=f"# Question: {bad}\n#\n# Answer: {bad}\n")
    result["steps"][1] |= {"ok": False, "problem": bad}
    result["warnings"] = [bad]
    result["summary"] |= {"passed": 16, "failed": 1}
    return result


def bare():
    """No workload, no question, and calls without a size."""
    result = run(scenario="[vm]\nvcpus = 1\n", names=())
    for each in result["steps"]:
        each["bytes"] = 0
    return result


def journal_of(result, end=True):
    lines = [{"event": "begin", "schema": "gpremap.journal/1"} |
             {key: result[key] for key in ("tool", "host", "vm", "pinning", "began", "parameters", "provenance")}]
    lines += [{"event": "map", "t_ns": 0, "map": result["map_before"]}]
    lines += [{"event": "step"} | each for each in result["steps"]]
    for series in result["series"]:
        for row, t_ns in enumerate(series["t_ns"]):
            lines.append({"event": "sample", "workload": series["workload"], "vcpu": series["vcpu"], "t_ns": t_ns} |
                         {key: series[key][row] for key in ("ops", "bytes", "max_ns")})
    if end:
        lines.append({"event": "end", "summary": result["summary"], "interrupted": False, "died": None, "host_error": None})
    return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)


MAKERS = {
    "short": run,
    "slower": lambda: run(slower=1.5, mechanism="memslot"),
    "two": lambda: run(names=("writer", "jitter")),
    "long": lambda: run(seconds=600, sample_ns=1_000_000, calls=10_000, names=("writer", "jitter")),
    "hostile": hostile,
    "bare": bare,
}

if __name__ == "__main__":
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump(MAKERS[sys.argv[1]](), file)
