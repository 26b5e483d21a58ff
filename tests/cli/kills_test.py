#!/usr/bin/env python3
"""kill -9 at random moments of `run` and `sweep`: no step is lost that was reported, a sweep ends as if nothing had been, and
nothing stays behind, no process, file or huge page.

    kills_test.py GPREMAP [unittest arguments]      KILLS=1000 for more than 100, SEED=1 for the same moments

Skips where /dev/kvm cannot be opened.
"""
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import unittest

GPREMAP = sys.argv[1]
KVM = os.access("/dev/kvm", os.R_OK | os.W_OK)
KILLS = int(os.environ.get("KILLS", "100"))
SEED = int(os.environ.get("SEED", str(time.time_ns())))

STEPS = """[[step]]
map = { name = "heap", at = "8GiB", size = "$size" }
""" + """[[step]]
fill = { range = "heap", with = "stamp" }
[[step]]
sleep = 0.01
""" * 300
SCENARIO = '[parameters]\nsize = ["2MiB", "4MiB"]\n' + STEPS
POOL = "/proc/sys/vm/nr_hugepages"


def pool_size():
    with open(POOL, encoding="ascii") as file:
        return int(file.read())


def processes_with(word):
    """Processes that have it in their command line."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if word.encode() in file.read() and int(pid) != os.getpid():
                    found.append(pid)
        except OSError:
            pass
    return found


@unittest.skipUnless(KVM, "no access to /dev/kvm")
class Kills(unittest.TestCase):
    def setUp(self):
        print("SEED =", SEED, flush=True)
        self.moments = random.Random(SEED)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.file = self.path("s.toml")
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(SCENARIO)

    def path(self, name):
        return os.path.join(self.folder, name)

    def wait_until(self, holds, what):
        end = time.monotonic() + 30
        while not holds():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.05)

    def kill_at_a_random_moment(self, command, longest):
        """What it had said until then."""
        with open(self.path("said"), "w+b") as said:
            with subprocess.Popen(command, stdout=said, stderr=subprocess.DEVNULL) as running:
                time.sleep(self.moments.uniform(0, longest))
                running.send_signal(signal.SIGKILL)
            said.seek(0)
            return said.read().decode()

    def steps_in_journal(self):
        try:
            with open(self.path("r.jsonl"), encoding="utf-8") as file:
                lines = file.read().split("\n")
        except FileNotFoundError:
            return 0
        return sum(json.loads(line)["event"] == "step" for line in lines[:-1])  # the last one may be cut

    def test_of_run(self):
        before = pool_size()
        for kill in range(KILLS // 2):
            reserving = ["--reserve-hugepages", "2"] if kill % 2 and os.geteuid() == 0 else []
            said = self.kill_at_a_random_moment([GPREMAP, "run", self.file, "--set", "size=2MiB", *reserving,
                                                 "--json", self.path("r.json")], 3)
            rows = sum("sleep" in line for line in said.splitlines())
            self.assertGreaterEqual(self.steps_in_journal(), rows)
            self.wait_until(lambda: not processes_with(self.folder), "a process stays")
            self.wait_until(lambda: pool_size() == before, "huge pages stay")
            # One of that name is a result that was being written.
            left = {name for name in os.listdir(self.folder) if not name.startswith(".gpremap-")}
            self.assertLessEqual(left, {"s.toml", "said", "r.json", "r.jsonl"})
            for name in "r.json", "r.jsonl":
                if os.path.exists(self.path(name)):
                    os.remove(self.path(name))

    def test_of_sweep(self):
        sweep = [GPREMAP, "sweep", self.file, "--repeat", "2", "-o", self.path("results")]
        whole = {}
        for _ in range(KILLS - KILLS // 2):
            self.kill_at_a_random_moment(sweep, 3)
            self.wait_until(lambda: not processes_with(self.folder), "a process stays")
            if not os.path.isdir(self.path("results")):
                continue
            for name in filter(lambda name: name.endswith(".json"), os.listdir(self.path("results"))):
                with open(os.path.join(self.path("results"), name), encoding="utf-8") as file:
                    result = file.read()
                self.assertEqual(json.loads(result)["schema"], "gpremap.run/1")
                self.assertEqual(whole.setdefault(name, result), result, "a result that was there was made again")
            self.assertLessEqual(set(whole), set(os.listdir(self.path("results"))), "a result is lost")
        subprocess.run(sweep, check=True, stdout=subprocess.DEVNULL)
        self.assertEqual(sum(name.endswith(".json") for name in os.listdir(self.path("results"))), 4)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
