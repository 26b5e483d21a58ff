#!/usr/bin/env python3
"""A run under control, as its user sees it: `gpremap run --control`, `gpremap ctl`, and the Python module.

    control_test.py GPREMAP PYTHON [unittest arguments]

PYTHON is the folder of gpremap.py. CONTROL_REQUESTS=10000 makes the run of many clients as long as that; it is 800
requests otherwise. What needs a VM skips where /dev/kvm cannot be opened.
"""
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

GPREMAP, PYTHON = sys.argv[1:3]
sys.path.insert(0, PYTHON)
import gpremap  # noqa: E402

KVM = os.access("/dev/kvm", os.R_OK | os.W_OK)
REQUESTS = int(os.environ.get("CONTROL_REQUESTS", "800"))
CLIENTS = 8
LONGEST = 300  # seconds, for whatever a test waits for

SCENARIO = """
[vm]
vcpus = 2
aperture = { base = "4GiB", size = "256GiB" }
limit = "512MiB"
[[workload]]
name = "checker"
vcpu = 1
do = "verify"
range = "heap"
[[step]]
map = { name = "heap", at = "8GiB", size = "4MiB" }
[[step]]
wait = { workload = "checker", ops = 100 }
"""


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.socket = self.path("vm.sock")

    def path(self, name):
        return os.path.join(self.folder, name)

    def scenario(self, text=SCENARIO):
        with open(self.path("s.toml"), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path("s.toml")

    def gpremap(self, *arguments, status=0):
        done = subprocess.run([GPREMAP, *arguments], capture_output=True, text=True, timeout=LONGEST, check=False)
        self.assertEqual(done.returncode, status, f"{arguments}\n{done.stdout}\n{done.stderr}")
        return done

    def start(self, *arguments, text=SCENARIO):
        """A run, once it has greeted."""
        run = subprocess.Popen([GPREMAP, "run", self.scenario(text), "--control", self.socket, "--json",
                                self.path("r.json"), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True)
        self.addCleanup(run.communicate)
        self.addCleanup(run.kill)
        end = time.monotonic() + LONGEST
        while not os.path.exists(self.socket):
            self.assertIsNone(run.poll(), run.returncode is None or run.stdout.read())
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)
        return run

    def end(self, run, status=0):
        output, _ = run.communicate(timeout=LONGEST)
        self.assertEqual(run.returncode, status, output)
        self.assertFalse(os.path.exists(self.socket))
        return gpremap.read_result(self.path("r.json"))


class Usage(Case):
    def test_nobody_listens(self):
        done = self.gpremap("ctl", self.socket, "stats", status=3)
        self.assertIn("gpremap run --control", done.stderr)

    def test_arguments(self):
        self.assertIn("--control", self.gpremap("run", self.scenario(), "--stay", status=2).stderr)
        self.assertIn("1 to 107 bytes", self.gpremap("run", self.scenario(), "--control", "x" * 200, status=2).stderr)
        self.assertIn("1 to 107 bytes", self.gpremap("ctl", "x" * 200, status=2).stderr)

    def test_a_path_that_is_taken(self):
        with open(self.socket, "w", encoding="utf-8") as file:
            file.write("mine")
        done = self.gpremap("run", self.scenario(), "--control", self.socket, status=2)
        self.assertIn("no socket", done.stderr)
        os.unlink(self.socket)
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(self.socket)
            other.listen()
            done = self.gpremap("run", self.scenario(), "--control", self.socket, status=2)
            self.assertIn("somebody listens", done.stderr)


@unittest.skipUnless(KVM, "no access to /dev/kvm")
class Steered(Case):
    def ctl(self, *arguments, status=0):
        return self.gpremap("ctl", self.socket, *arguments, status=status).stdout

    def test_ctl(self):
        run = self.start("--stay")
        self.assertIn("job.wait id=", self.ctl())
        moved = json.loads(self.ctl("move", "range=heap", "to=16GiB", "--json"))
        self.assertEqual(moved["result"], 16 << 30)
        self.assertIn("extents: 1", self.ctl("query", "range=heap"))
        self.ctl("move", "range=nothing", "to=16GiB", status=2)
        self.ctl("map", "size=64GiB", status=1)
        job = json.loads(self.ctl("resize", "range=heap", "new_size=2MiB", "piece=512KiB", "--json"))
        self.assertEqual(json.loads(self.ctl("job.wait", f"id={job['job']}", "--json"))["state"], "done")
        self.ctl("job.wait", f"id={json.loads(self.ctl('resize', 'range=x', 'new_size=2MiB', '--json'))['job']}", status=1)
        events = subprocess.Popen([GPREMAP, "ctl", self.socket, "events", "--from", "0", "--json"],
                                  stdout=subprocess.PIPE, text=True)
        first = events.stdout.readline()  # it is connected before all ends
        self.assertIn("stopping: true", self.ctl("stop"))
        lines = first + events.stdout.read()
        events.stdout.close()
        events.wait(timeout=LONGEST)
        self.assertEqual(events.returncode, 0)
        events = [json.loads(line) for line in lines.splitlines()]
        self.assertEqual([event["seq"] for event in events], list(range(len(events))))
        self.assertLessEqual({"begun", "done", "sample", "job", "ended"}, {event["kind"] for event in events})
        result = self.end(run)
        self.assertNotIn("interrupted", result)
        self.assertEqual([(at["at"], at["size"]) for at in result["map"]], [(16 << 30, 2 << 20)])
        self.assertTrue(result["workloads"][0]["ok"], result["workloads"])

    def wait_until(self, holds):
        end = time.monotonic() + LONGEST
        while not holds():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)

    def start_and_do_steps(self):
        """A run that stays, whose two steps are over."""
        run = self.start("--stay")
        with gpremap.connect(self.socket) as vm:
            self.wait_until(lambda: vm.call("stats")["steps"]["done"] == 2)
        return run

    def test_pause_workloads_and_checkpoint(self):
        run = self.start_and_do_steps()
        with gpremap.connect(self.socket) as vm:
            def ops():
                return vm.call("stats")["workloads"][0]["ops"]

            vm.call("pause")
            with self.assertRaises(gpremap.Error) as refused:
                vm.call("query")
            self.assertEqual(refused.exception.name, "paused")
            vm.call("resume")
            vm.call("workload.stop", name="checker")
            stopped = ops()
            vm.call("shrink", range="heap", new_size="1MiB")
            vm.call("grow", range="heap", new_size="4MiB")
            self.assertEqual(ops(), stopped)
            vm.call("workload.start", name="checker")
            self.wait_until(lambda: ops() > stopped + 2000)
            with self.assertRaises(gpremap.Error) as refused:
                vm.call("workload.start", name="checker")
            self.assertEqual(refused.exception.name, "no_such")
            vm.call("checkpoint", file=self.path("so-far.json"))
            so_far = gpremap.read_result(self.path("so-far.json"))
            self.assertTrue(so_far["interrupted"])
            self.assertGreater(so_far["workloads"][0]["ops"], stopped)
            self.assertEqual(len(so_far["steps"]), 2)
            vm.call("pause")
            vm.call("stop")
        result = self.end(run)
        self.assertTrue(result["workloads"][0]["ok"], result["workloads"])
        self.assertGreater(sum(gpremap.series(result)["checker"]["ops"]), 0)
        journal = gpremap.read_result(self.path("r.jsonl"))
        self.assertEqual(journal["steps"], result["steps"])

    def test_stop_ends_the_steps(self):
        run = self.start(text=SCENARIO + "[[step]]\nsleep = 1000\n")
        with gpremap.connect(self.socket) as vm:
            vm.call("stop")
        self.assertTrue(self.end(run, status=128 + signal.SIGTERM)["interrupted"])

    def test_ends_with_its_steps(self):
        self.end(self.start(text=SCENARIO + "[[step]]\nsleep = 1\n"))

    def test_many_clients(self):
        run = self.start_and_do_steps()
        problems = []
        sizes = {}
        threads = [threading.Thread(target=self.be_client, args=(number, sizes, problems)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONGEST)
            self.assertFalse(thread.is_alive())
        self.assertEqual(problems, [])
        with gpremap.connect(self.socket) as vm:
            self.assertGreater(vm.call("stats")["workloads"][0]["ops"], 100)
            for name, size in sizes.items():
                extents = vm.call("query", range=name)["extents"]
                self.assertEqual(sum(extent["size"] for extent in extents), size, name)
            vm.call("stop")
        result = self.end(run)
        self.assertTrue(result["workloads"][0]["ok"], result["workloads"])
        self.assertEqual(len({at["at"] for at in result["map"]}), len(result["map"]))

    def be_client(self, number, sizes, problems):
        try:
            self.make_requests(number, sizes)
        except Exception as error:  # pylint: disable=broad-except
            problems.append(f"client {number}: {error!r}")

    def make_requests(self, number, sizes):
        """A mix of all kinds, sixteen in flight: each has to have one answer, and each job one final state."""
        chance = random.Random(number)
        own = f"own{number}"
        unit = 64 << 10
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(LONGEST)
            client.connect(self.socket)
            lines = client.makefile("rb")
            json.loads(lines.readline())
            kinds, answers, jobs = {}, {}, {}

            def send(identity, method, **params):
                kinds[identity] = method
                client.sendall(json.dumps({"jsonrpc": "2.0", "id": identity, "method": method,
                                           "params": params}).encode() + b"\n")

            def take():
                message = json.loads(lines.readline())
                identity = message["id"]
                assert identity in kinds and identity not in answers, message
                answers[identity] = message
                assert "result" in message or message["error"]["data"]["name"] in ("refused", "busy"), message
                if kinds[identity] == "resize" and "result" in message:
                    jobs[message["result"]["job"]] = None

            send("map", "map", name=own, size=4 * unit, at=(32 + number) << 30)
            take()
            size = 4 * unit
            for i in range(REQUESTS // CLIENTS):
                if len(kinds) - len(answers) >= 16:
                    take()
                kind = chance.randrange(8)
                if kind == 0:
                    size = chance.randrange(1, 9) * unit
                    send(i, "linux", range=own, new_size=size, flags=["MAYMOVE"])
                elif kind == 1:
                    send(i, "resize", range="heap", new_size=(1 + chance.randrange(4)) << 20, may_move=True,
                         piece="1MiB", deadline=LONGEST)
                elif kind == 2:
                    send(i, "move", range="heap", to=(8 + 4 * chance.randrange(4)) << 30)
                elif kind == 3:
                    send(i, "move", range=own, to=(64 + 8 * number + chance.randrange(8)) << 30)
                else:
                    send(i, chance.choice(["stats", "query", "job.list", "rpc.discover"]))
            while len(answers) < len(kinds):
                take()
            for job in jobs:
                send(f"job {job}", "job.wait", id=job)
                take()
                state = answers[f"job {job}"]["result"]["state"]
                assert state in ("done", "refused", "partly"), state
            sizes[own] = size


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
