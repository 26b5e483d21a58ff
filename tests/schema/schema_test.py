#!/usr/bin/env python3
"""Schemas, held against the scenarios that are shipped and against wrong ones, and against what a run can leave behind.

    schema_test.py CONFIGS SCHEMAS SAMPLES [unittest arguments]
"""
import copy
import json
import os
import subprocess
import sys
import tempfile
import tomllib
import unittest

sys.dont_write_bytecode = True
import schemas  # beside this

CONFIGS, SCHEMAS, SAMPLES = sys.argv[1:4]

RIGHT = """
[parameters]
size = "256MiB"
[vm]
vcpus = 3
cpus = [1, 2, 3]
host_cpus = [0]
limit = "$limit"
[[workload]]
name = "writer"
vcpu = 1
do = "touch"
range = "heap"
access = "random"
write = 0.5
rate = "200k/s"
sample = "1ms"
[[step]]
map = { name = "heap", at = "8 GiB", size = "$size" }
[[step]]
linux = { range = "heap", new_size = "0xfffffffffffff000", flags = ["MAYMOVE"] }
expect = { errno = "EINVAL" }
[[step]]
grow = { range = "heap", new_size = "+64MiB" }
at = "2s"
track = "resizes"
label = "growing"
expect = { call_us = { p99 = "<500" }, huge_kept = true, copies = 0, host_returned = ">=256MiB", faults = 0 }
[[step]]
batch = [ { exchange = { a = "heap", b = "16GiB" } } ]
during = "growing"
[[step]]
access = { at = "heap+4KiB", kind = "write" }
expect = { fault = { kind = "write", address = "heap+4KiB" } }
[[step]]
repeat = { times = 2, steps = [ { wait = { workload = "writer", ops = 1000 } }, { sleep = 0.5 } ] }
[[step]]
resize = { range = "heap", sine = { from = "64MiB", to = "128MiB", seconds = 2, steps = 10 } }
"""

# Where something stands, and what is wrong there.
WRONG = [
    (["step", 0, "map", "sise"], "1MiB"),
    (["step", 0, "map", "size"], "1XiB"),
    (["step", 0, "map", "size"], "1MiB "),
    (["step", 0, "map", "name"], "1heap"),
    (["step", 0, "map", "prot"], "rwq"),
    (["step", 0, "map", "hint"], "yes"),
    (["step", 0, "unmap"], {"range": "heap"}),  # two verbs
    (["step", 0], {}),
    (["step", 0], {"fil": {"range": "heap", "with": "a"}}),
    (["step", 0], {"fill": {"range": "heap"}}),
    (["step", 0], {"fill": {"range": "heap", "with": "ab"}}),
    (["step", 0], {"touch": {"range": 3}}),
    (["step", 0], {"access": {"range": "heap", "kind": "execute"}}),
    (["step", 0], {"sleep": -1}),
    (["step", 0], {"checkpoint": False}),
    (["step", 0], {"resize": {"range": "heap"}}),
    (["step", 0], {"wait": {"workload": "writer"}}),
    (["step", 0, "vcpu"], 8),
    (["step", 1, "linux", "flags"], ["MAY"]),
    (["step", 1, "expect", "errno"], "enomem"),
    (["step", 1, "expect", "nothing"], 1),
    (["step", 2, "expect", "call_us"], {"p98": "<1"}),
    (["step", 2, "expect", "faults"], "few"),
    (["step", 2, "at"], "2 hours"),
    (["step", 3, "batch"], []),
    (["step", 3, "batch", 0, "map"], {"size": "1MiB"}),
    (["step", 3, "batch", 0], {"query": {"range": "heap"}}),
    (["step", 5, "repeat", "steps"], []),
    (["step", 5, "repeat", "steps", 0], {"fly": 1}),
    (["step"], []),
    (["stepp"], []),
    (["vm", "vcpu"], 1),
    (["vm", "cpus"], []),
    (["vm", "cpus"], [1, 1]),
    (["vm", "cpus"], "all"),
    (["vm", "host_cpus"], [-1]),
    (["vm", "backing"], "tape"),
    (["vm", "granule"], "8kB"),
    (["workload", 0, "do"], "fly"),
    (["workload", 0, "write"], 2),
    (["workload", 0, "rate"], "fast"),
    (["workload", 0, "rates"], "1/s"),
    (["parameters", "two words"], 1),
]


def replaced(scenario, place, value):
    scenario = copy.deepcopy(scenario)
    inside = scenario
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = value
    return scenario


class Scenarios(unittest.TestCase):
    def test_shipped(self):
        files = [os.path.join(folder, name) for folder, _, names in os.walk(CONFIGS) for name in sorted(names)
                 if name.endswith(".toml")]
        self.assertGreater(len(files), 5)
        for path in files:
            with self.subTest(path), open(path, "rb") as file:
                self.assertEqual(schemas.problems(SCHEMAS, "scenario", tomllib.load(file)), [])

    def test_right(self):
        self.assertEqual(schemas.problems(SCHEMAS, "scenario", tomllib.loads(RIGHT)), [])

    def test_wrong(self):
        right = tomllib.loads(RIGHT)
        for place, value in WRONG:
            with self.subTest(place=place, value=value):
                self.assertNotEqual(schemas.problems(SCHEMAS, "scenario", replaced(right, place, value)), [])

    def test_nothing_to_do(self):
        self.assertNotEqual(schemas.problems(SCHEMAS, "scenario", {"vm": {"vcpus": 1}}), [])
        self.assertEqual(schemas.problems(SCHEMAS, "scenario", {"vm": {"domain": "guest.xml"}}), [])


def tables_in(value):
    """All of them, however deep."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        yield from tables_in(inner)


class Results(unittest.TestCase):
    """Of a run that has all there can be."""

    # What a step was passed, what a parameter, a seed and a figure is called, and what KVM counts is not of the schema.
    OPEN = ("args", "expect", "parameters", "seeds", "values", "predicted", "reported")

    def setUp(self):
        with tempfile.TemporaryDirectory() as folder:
            result, journal = os.path.join(folder, "r.json"), os.path.join(folder, "r.jsonl")
            subprocess.run([SAMPLES, result, journal], check=True)
            with open(result, encoding="utf-8") as file:
                self.result = json.load(file)
            with open(journal, encoding="utf-8") as file:
                self.journal = file.read()

    def test_right(self):
        self.assertEqual(schemas.problems(SCHEMAS, "run", self.result), [])
        self.assertEqual(schemas.problems_of_journal(SCHEMAS, self.journal), [])

    def is_open(self, table):
        return any(table is inner.get(key) for inner in tables_in(self.result) for key in self.OPEN)

    def test_a_key_that_is_not_known(self):
        """In any table."""
        tables = [table for table in tables_in(self.result) if not self.is_open(table)]
        self.assertGreater(len(tables), 30)
        for table in tables:
            table["nothing"] = 1
            self.assertNotEqual(schemas.problems(SCHEMAS, "run", self.result), [], table)
            del table["nothing"]

    def test_a_journal_that_was_cut(self):
        lines = self.journal.splitlines(keepends=True)
        for cut in "".join(lines[:3]), "".join(lines[:3]) + lines[3][:10]:
            self.assertEqual(schemas.problems_of_journal(SCHEMAS, cut), [])
        for wrong in "".join(lines[1:]), "".join(lines + lines[-1:]), "".join(lines) + '{"event": "fly"}\n':
            self.assertNotEqual(schemas.problems_of_journal(SCHEMAS, wrong), [])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[4:])
