#!/usr/bin/env python3
"""The same sweep by GNU parallel, as a Slurm array, and by one `gpremap sweep`: merged results are alike.

    engines_test.py GPREMAP parallel|slurm

Exit status 77, and the reason, where /dev/kvm cannot be opened, or the engine is not installed or cannot run.
"""
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

import slurm

GPREMAP, ENGINE = os.path.abspath(sys.argv[1]), sys.argv[2]
SKIP = 77

SCENARIO = """[parameters]
size = ["2MiB", "4MiB", "8MiB"]
times = [5, 6]
write = [true, false]
[[step]]
map = { name = "heap", size = "$size" }
[[step]]
repeat = { times = "$times", steps = [ { touch = { range = "heap", write = "$write" } } ] }
"""
COMBINATIONS = 12


def keys_of(value):
    """What a JSON value consists of, without its leaves."""
    if isinstance(value, dict):
        return {key: keys_of(each) for key, each in sorted(value.items())}
    if isinstance(value, list):
        return [keys_of(value[0])] if value else []
    return None


def reason_to_skip():
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "no access to /dev/kvm"
    if ENGINE == "slurm":
        return slurm.missing()
    return "" if shutil.which("parallel") else "not installed: GNU parallel (package parallel)"


class Engines(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        cls.file = cls.path("scenario.toml")
        with open(cls.file, "w", encoding="utf-8") as file:
            file.write(SCENARIO)
        cls.gpremap("sweep", cls.file, "-o", cls.path("one"))
        cls.expected = cls.merged("one")

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder, name)

    @classmethod
    def gpremap(cls, *arguments):
        return subprocess.run([GPREMAP, *arguments], check=True, capture_output=True, text=True, timeout=300)

    @classmethod
    def results(cls, name):
        """Without the journals beside them."""
        return sorted(file for file in os.listdir(cls.path(name)) if file.endswith(".json"))

    @classmethod
    def merged(cls, name):
        files = [os.path.join(cls.path(name), file) for file in cls.results(name)]
        cls.gpremap("merge", *files, "-o", cls.path(name + ".json"), "--missing", cls.file)
        with open(cls.path(name + ".json"), encoding="utf-8") as file:
            return json.load(file)

    def check(self, name):
        merged = self.merged(name)
        self.assertEqual(self.results(name), self.results("one"))
        self.assertEqual(keys_of(merged), keys_of(self.expected))
        parameters = [[run["parameters"] for run in each["results"]] for each in (merged, self.expected)]
        self.assertEqual(*parameters)
        self.assertEqual(len(parameters[0]), COMBINATIONS)

    def test_parallel(self):
        lines = self.gpremap("sweep", self.file, "-o", self.path("parallel"), "--list").stdout
        os.mkdir(self.path("parallel"))
        done = subprocess.run(["parallel", "--will-cite", "-j2"], input=lines, text=True, capture_output=True, check=False,
                              timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.check("parallel")

    def test_slurm(self):
        os.mkdir(self.path("cluster"))
        sweep = shlex.join([GPREMAP, "sweep", self.file, "-o", self.path("slurm"), "--index"])
        with slurm.Slurm(self.path("cluster")) as cluster:
            done = cluster.run_array(f"{sweep} $SLURM_ARRAY_TASK_ID", f"0-{COMBINATIONS - 1}")
            self.assertEqual(done.returncode, 0, done.stderr + cluster.outputs())
        self.check("slurm")


if __name__ == "__main__":
    REASON = reason_to_skip()
    if REASON:
        print(REASON)
        sys.exit(SKIP)
    unittest.main(argv=[sys.argv[0], f"Engines.test_{ENGINE}"])
