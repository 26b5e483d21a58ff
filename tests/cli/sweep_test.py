#!/usr/bin/env python3
"""Black-box tests of sweep, merge and diff.

    sweep_test.py GPREMAP [unittest arguments]

What needs a VM skips where /dev/kvm cannot be opened. Results to merge and compare are made here.
"""
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import unittest

GPREMAP = sys.argv[1]
OK, FAILED, BAD_USAGE, HOST_LACKS = 0, 1, 2, 3

KVM = os.access("/dev/kvm", os.R_OK | os.W_OK)
needs_kvm = unittest.skipUnless(KVM, "no access to /dev/kvm")

SCENARIO = """[parameters]
size = ["2MiB", "4MiB", "8MiB"]
times = [5, 6]
write = [true, false]
[[step]]
map = { name = "heap", size = "$size" }
[[step]]
repeat = { times = "$times", steps = [ { touch = { range = "heap", write = "$write" } } ] }
"""


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return json.load(file)

    def gpremap(self, *arguments, status=OK):
        done = subprocess.run([GPREMAP, *arguments], capture_output=True, text=True, timeout=600, check=False)
        self.assertEqual(done.returncode, status, f"{arguments}\n{done.stdout}\n{done.stderr}")
        return done

    def result(self, name, factor=1.0, size="2MiB", times=5, write=True):
        """A result of `run` with twenty moves and a spread of a percent."""
        spread = random.Random(name)
        steps = [{"call": "move", "args": {"range": "heap"}, "ok": True, "call_ns": int(1e6 * factor * ns), "guest_ns": 0}
                 for ns in (spread.gauss(1, 0.01) for _ in range(20))]
        return self.write(name, json.dumps(
            {"schema": "gpremap.run/1", "host": {"kernel": "k"}, "began": name, "steps": steps,
             "parameters": {"size": size, "times": times, "write": write},
             "summary": {"passed": 20, "failed": 0, "skipped": 0}}))


class Sweep(Case):
    def test_lists_a_command_for_each_combination(self):
        file = self.write("s.toml", SCENARIO)
        lines = self.gpremap("sweep", file, "-o", self.path("r"), "--list").stdout.splitlines()
        self.assertEqual(len(lines), 12)
        self.assertEqual(len(set(lines)), 12)
        self.assertFalse(os.path.exists(self.path("r")))
        for line in lines:
            words = shlex.split(line)
            self.assertEqual(words[1:3], ["run", file])
            self.assertTrue(os.path.samefile(words[0], GPREMAP))
            settings = [word for word in words if "=" in word]
            self.gpremap("check", file, *(word for each in settings for word in ("--set", each)))
        chosen = self.gpremap("sweep", file, "-o", self.path("r"), "--list", "--index", "7").stdout.splitlines()
        self.assertEqual(chosen, [lines[7]])

    def test_refuses_what_is_wrong_before_anything_runs(self):
        file = self.write("s.toml", SCENARIO)
        out = ("-o", self.path("r"))
        for arguments, expected in [
                (("--index", "12"), "--index 12: expected 0 to 11"),
                (("--set", "times=[5,often]"), "(parameter times, --set times=often): expected an integer"),
                (("--precision", "2x"), "--precision: expected a share such as 2% or 0.02"),
                (("--repeat", "0"), "--repeat: expected 1 or more"),
                (("--metric", "m"), "--metric: expected --precision with it"),
                (("--budget", "10"), "--budget"),
                (("--set", "sise=1"), "has no parameter 'sise'")]:
            self.assertIn(expected, self.gpremap("sweep", file, *out, *arguments, status=BAD_USAGE).stderr)
        self.assertFalse(os.path.exists(self.path("r")))
        self.assertIn("-o", self.gpremap("sweep", file, status=BAD_USAGE).stderr)
        done = self.gpremap("sweep", file, "-o", os.path.join(file, "r"), status=BAD_USAGE)
        self.assertIn("expected a folder", done.stderr)
        self.assertIn("is a list of 3", self.gpremap("run", file, status=BAD_USAGE).stderr)

    @unittest.skipIf(KVM, "/dev/kvm is there")
    def test_reports_each_run_that_fails(self):
        file = self.write("s.toml", SCENARIO)
        done = self.gpremap("sweep", file, "-o", self.path("r"), "--set", "size=2MiB", "--seed", "4", status=HOST_LACKS)
        self.assertEqual(done.stderr.count("exit status 3"), 4)
        self.assertIn("4 combinations, seed 4", done.stdout)

    @needs_kvm
    def test_equals_itself_after_kills(self):
        file = self.write("s.toml", SCENARIO)
        self.gpremap("sweep", file, "-o", self.path("whole"))
        moments = random.Random(1)
        for _ in range(20):
            with subprocess.Popen([GPREMAP, "sweep", file, "-o", self.path("killed")], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL) as running:
                time.sleep(moments.uniform(0, 0.3))
                running.send_signal(signal.SIGKILL)
        self.gpremap("sweep", file, "-o", self.path("killed"))
        results = {folder: sorted(name for name in os.listdir(self.path(folder)) if name.endswith(".json"))
                   for folder in ("whole", "killed")}
        self.assertEqual(results["killed"], results["whole"])
        for folder in "whole", "killed":
            files = [os.path.join(self.path(folder), name) for name in results[folder]]
            self.gpremap("merge", *files, "-o", self.path(folder + ".json"), "--missing", file)
        parameters = [[each["parameters"] for each in self.read(name + ".json")["results"]] for name in ("whole", "killed")]
        self.assertEqual(*parameters)


class Merge(Case):
    def test_joins_in_any_order_and_says_what_is_missing(self):
        file = self.write("s.toml", SCENARIO)
        files = [self.result(f"{size}{times}{write}", size=size, times=times, write=write)
                 for size in ("2MiB", "4MiB", "8MiB") for times in (5, 6) for write in (True, False)]
        self.gpremap("merge", *files, "-o", self.path("a"), "--missing", file)
        self.gpremap("merge", *reversed(files), "--json", self.path("b"))
        self.assertEqual(self.read("a"), self.read("b"))
        merged = self.read("a")
        self.assertEqual(merged["schema"], "gpremap.merge/1")
        self.assertEqual(len(merged["results"]), 12)
        done = self.gpremap("merge", *files[1:], "--missing", file, status=FAILED)
        self.assertIn("missing: size=2MiB times=5 write=true\n", done.stdout)
        self.gpremap("merge", *files[1:6], "--missing", file, "--set", "size=4MiB", "--set", "times=5")

    def test_refuses_what_is_no_whole_result(self):
        whole = self.result("r")
        with open(whole, encoding="utf-8") as file:
            cut = self.write("cut", file.read()[:500])
        other = self.write("other", '{"schema": "gpremap.cases/1"}')
        for wrong, expected in [(cut, f"{cut}: expected a whole result"),
                                (other, f'{other}: expected a result of schema gpremap.run/1 or gpremap.merge/1'),
                                (self.path("none"), "none: cannot be read")]:
            done = self.gpremap("merge", whole, wrong, "-o", self.path("m"), status=BAD_USAGE)
            self.assertIn(expected, done.stderr)
        self.assertIn("expected each run once", self.gpremap("merge", whole, whole, "-o", "-", status=BAD_USAGE).stderr)
        self.assertIn("expected -o FILE", self.gpremap("merge", whole, status=BAD_USAGE).stderr)


class Diff(Case):
    def test_says_what_is_slower(self):
        base, again, slow = self.result("base"), self.result("again"), self.result("slow", 1.2)
        self.assertIn("no difference", self.gpremap("diff", base, again).stdout)
        done = self.gpremap("diff", base, slow, "--json", self.path("d"), status=FAILED)
        self.assertRegex(done.stdout, r"\nslower .* move range=heap: call_ns")
        diff = self.read("d")
        self.assertEqual(diff["schema"], "gpremap.diff/1")
        self.assertEqual(diff["metrics"][0]["verdict"], "slower")
        self.assertAlmostEqual(diff["metrics"][0]["ratio"], 1.2, delta=0.02)
        self.assertIn("faster", self.gpremap("diff", slow, base).stdout)
        self.assertIn("no difference", self.gpremap("diff", base, slow, "--effect", "50%").stdout)
        self.assertEqual(done.stdout, self.gpremap("diff", base, slow, status=FAILED).stdout)

    def test_of_merged_results(self):
        for name, factor in ("base", 1.0), ("slow", 1.2):
            runs = [self.result(f"{name}{i}", factor) for i in range(12)]
            self.gpremap("merge", *runs, "-o", self.path(name + ".json"))
        self.gpremap("diff", self.path("base.json"), self.path("slow.json"), "--json", self.path("d"), status=FAILED)
        self.assertEqual(self.read("d")["metrics"][0]["base"]["n"], 12)  # runs, not calls

    def test_refuses_what_cannot_be_compared(self):
        base, other = self.result("base"), self.result("other", times=6)
        self.assertIn("nothing in common", self.gpremap("diff", base, other, status=BAD_USAGE).stderr)
        self.assertIn("--effect: expected a share", self.gpremap("diff", base, base, "--effect", "x",
                                                                 status=BAD_USAGE).stderr)
        self.assertIn("cut", self.gpremap("diff", base, self.write("cut", "{"), status=BAD_USAGE).stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
