#!/usr/bin/env python3
"""Each experiment of configs/experiments in a short form: that it runs, that its workloads measure, and that none of them
finds anything wrong.

    experiments_test.py GPREMAP CONFIGS GUIDE [unittest arguments]

GUIDE is docs/experiments.md, whose commands run as they stand there. Programs for the guest are those that come with GPREMAP. What needs a VM skips where /dev/kvm cannot be opened.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

GPREMAP, CONFIGS, GUIDE = sys.argv[1:4]
FOLDER = os.path.join(CONFIGS, "experiments")
KVM = os.access("/dev/kvm", os.R_OK | os.W_OK)

# The short form of each: parameters, and what its workloads are called.
SHORT = {
    "grow-cold-warm.toml": ({"size": "4MiB", "pool": "4MiB", "times": "3"}, ["latency"]),
    "hash-table.toml": ({"keys": "30000", "seconds": "1"}, ["table"]),
    "huge-pages.toml": ({"size": "8MiB", "offset": "4KiB", "seconds": "0.3"}, ["chase"]),
    "hyperalloc-ftq.toml": ({"size": "40MiB", "small": "4MiB", "seconds": "0.3", "quiet": "0.2"}, ["jitter"]),
    "hyperalloc-inflate.toml": ({"size": "40MiB", "small": "4MiB", "pool": "36MiB", "times": "1", "seconds": "0.3",
                                  "pause": "0.1"}, []),
    "hyperalloc-stream.toml": ({"size": "40MiB", "small": "4MiB", "arrays": "4MiB", "seconds": "0.3", "quiet": "0.2"},
                               ["stream"]),
    "jitter-under-moves.toml": ({"size": "4MiB", "times": "3"}, ["jitter", "touch"]),
    "resize-under-stream.toml": ({"size": "4MiB", "twice": "8MiB", "seconds": "0.3"}, ["stream"]),
    "soak.toml": ({"pause": "0"}, []),
    "snapshot-store.toml": ({"bytes": "262144", "every_ms": "100", "seconds": "1"},
                            ["store"]),
    "verify-through-calls.toml": ({"times": "2", "size": "2MiB"}, ["checker"]),
}
# It is for `gpremap compare`, which has a test of its own.
OTHERS = {"compare-resize.toml"}


class Experiments(unittest.TestCase):
    def test_each_has_a_short_form(self):
        self.assertEqual(set(os.listdir(FOLDER)), set(SHORT) | OTHERS)

    def test_each_begins_with_its_question(self):
        for name in SHORT:
            with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
                head = file.read().split("\n[")[0]
            self.assertRegex(head, r"^# Question", name)
            self.assertRegex(head, rf"#     gpremap (run|sweep) configs/experiments/{name}", name)
            self.assertIn("\n# Answer: ", head, name)

    @unittest.skipUnless(KVM, "no access to /dev/kvm")
    def test_each_runs(self):
        for name in SHORT:
            with self.subTest(name):
                self.run_short(name)

    def run_short(self, name):
        parameters, workloads = SHORT[name]
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "result.json")
            settings = [word for key, value in parameters.items() for word in ("--set", f"{key}={value}")]
            done = subprocess.run([GPREMAP, "run", os.path.join(FOLDER, name), *settings, "--json", path],
                                  capture_output=True, text=True, timeout=200, check=False)
            self.assertEqual(done.returncode, 0, f"{done.stdout}\n{done.stderr}")
            with open(path, encoding="utf-8") as file:
                result = json.load(file)
        self.assertEqual([workload["name"] for workload in result["workloads"]], workloads)
        for workload in result["workloads"]:
            self.assertTrue(workload["ok"], workload["problem"])
            self.assertGreater(workload["ops"], 0)
            self.assertEqual(workload["latency_ns"]["n"], workload["ops"])
        for series in result["series"]:
            self.assertGreater(len(series["t_ns"]), 0, series["workload"])


class Guide(unittest.TestCase):
    """What docs/experiments.md has its reader do."""

    def setUp(self):
        with open(GUIDE, encoding="utf-8") as file:
            text = file.read()
        self.scenario = re.search(r"`question\.toml`:\n\n```toml\n(.*?)```", text, re.S)[1]
        self.commands = re.findall(r"^    gpremap (.*)$", text, re.M)

    def test_has_commands(self):
        self.assertEqual([line.split()[0] for line in self.commands],
                         ["check", "run", "report", "sweep", "merge", "run", "diff", "run"])

    @unittest.skipUnless(KVM, "no access to /dev/kvm")
    def test_every_command_does_what_it_says(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "question.toml"), "w", encoding="utf-8") as file:
                file.write(self.scenario)
            for line in self.commands:
                done = subprocess.run(f"{GPREMAP} {line}", shell=True, cwd=folder, capture_output=True, text=True,
                                      timeout=200, check=False)
                expected = (0, 1) if line.startswith("diff") else (0,)  # a run may be slower than the one before
                self.assertIn(done.returncode, expected, f"{line}\n{done.stdout}\n{done.stderr}")
            self.assertEqual(len(os.listdir(os.path.join(folder, "answers"))), 2 * 3 * 2)  # and their journals
            with open(os.path.join(folder, "once.csv"), encoding="utf-8") as file:
                self.assertEqual(file.readline(), "workload,vcpu,t_ns,ops,bytes,max_ns\n")
            results = []
            for name in "once.json", "again.json":
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    results.append(json.load(file))
        once, again = results
        self.assertEqual(once["parameters"], again["parameters"])
        self.assertEqual([step["call"] for step in once["steps"]], [step["call"] for step in again["steps"]])
        self.assertEqual(once["summary"]["failed"], 0)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[4:])
