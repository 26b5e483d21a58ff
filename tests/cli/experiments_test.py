#!/usr/bin/env python3
"""Each experiment of configs/experiments in a short form: that it runs, that its workloads measure, and that none of them
finds anything wrong.

    experiments_test.py GPREMAP CONFIGS PROGRAMS [unittest arguments]

PROGRAMS is the folder of the example programs. What needs a VM skips where /dev/kvm cannot be opened.
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

GPREMAP, CONFIGS, PROGRAMS = sys.argv[1:4]
FOLDER = os.path.join(CONFIGS, "experiments")
KVM = os.access("/dev/kvm", os.R_OK | os.W_OK)

# The short form of each: parameters, and what its workloads are called.
SHORT = {
    "grow-cold-warm.toml": ({"size": "4MiB", "pool": "4MiB", "times": "3"}, ["latency"]),
    "hash-table.toml": ({"keys": "30000", "seconds": "1", "program": f"{PROGRAMS}/hash-table"}, ["table"]),
    "huge-pages.toml": ({"size": "8MiB", "offset": "4KiB", "seconds": "0.3"}, ["chase"]),
    "hyperalloc-ftq.toml": ({"size": "40MiB", "small": "4MiB", "seconds": "0.3", "quiet": "0.2"}, ["jitter"]),
    "hyperalloc-inflate.toml": ({"size": "40MiB", "small": "4MiB", "pool": "36MiB", "times": "1", "seconds": "0.3",
                                  "pause": "0.1"}, []),
    "hyperalloc-stream.toml": ({"size": "40MiB", "small": "4MiB", "arrays": "4MiB", "seconds": "0.3", "quiet": "0.2"},
                               ["stream"]),
    "jitter-under-moves.toml": ({"size": "4MiB", "times": "3"}, ["jitter", "touch"]),
    "resize-under-stream.toml": ({"size": "4MiB", "twice": "8MiB", "seconds": "0.3"}, ["stream"]),
    "snapshot-store.toml": ({"bytes": "262144", "every_ms": "100", "seconds": "1", "program": f"{PROGRAMS}/store"},
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


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[4:])
