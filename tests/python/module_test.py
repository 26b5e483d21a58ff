#!/usr/bin/env python3
"""python/gpremap.py without a run: results and journals as it reads them, and the example.

    module_test.py PYTHON SAMPLES [unittest arguments]

SAMPLES is the program of tests/schema that prints a result and a journal.
"""
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
PYTHON, SAMPLES = sys.argv[1:3]
sys.path.insert(0, PYTHON)
import gpremap  # noqa: E402

EXAMPLE = os.path.join(PYTHON, "examples", "throughput.py")


def has(module):
    return importlib.util.find_spec(module) is not None


class Results(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        subprocess.run([SAMPLES, self.path("result.json"), self.path("journal.jsonl")], check=True, timeout=60)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def test_a_journal_says_what_the_result_says(self):
        result = gpremap.read_result(self.path("result.json"))
        journal = gpremap.read_result(self.path("journal.jsonl"))
        self.assertTrue(result["schema"].startswith("gpremap.run/"))
        self.assertEqual([step["index"] for step in journal["steps"]], [step["index"] for step in result["steps"]])
        self.assertEqual(gpremap.calls(result), [step for step in result["steps"] if step["call_ns"] > 0])
        self.assertEqual(set(gpremap.series(result)), {one["workload"] for one in result["series"]})

    def test_a_journal_that_was_cut(self):
        with open(self.path("journal.jsonl"), encoding="utf-8") as file:
            text = file.read()
        cut = gpremap.read_result(self.write("cut.jsonl", text[:-20]))
        self.assertNotIn("summary", cut)
        self.assertTrue(cut["steps"])

    def test_what_is_no_result(self):
        for name, text in (("a.json", "{}"), ("b.json", "[1]"), ("c.jsonl", ""), ("d.jsonl", '{"event": "step"}\n'),
                           ("e.json", "no json"), ("f.json", '{"schema": "other/1"}')):
            with self.subTest(name), self.assertRaises(ValueError):
                gpremap.read_result(self.write(name, text))

    def test_frames(self):
        result = gpremap.read_result(self.path("result.json"))
        if not has("pandas"):
            with self.assertRaisesRegex(ImportError, "python3-pandas"):
                gpremap.steps_frame(result)
            return
        self.assertEqual(len(gpremap.steps_frame(result)), len(result["steps"]))
        self.assertEqual(len(gpremap.series_frame(result)), sum(len(one["t_ns"]) for one in result["series"]))

    def test_the_example(self):
        figure = self.path("figure.png")
        done = subprocess.run([sys.executable, EXAMPLE, self.path("result.json"), figure], capture_output=True,
                              text=True, check=False, timeout=60)
        if has("matplotlib"):
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertGreater(os.path.getsize(figure), 1000)
        else:
            self.assertEqual(done.returncode, 77)
            self.assertIn("python3-matplotlib", done.stderr)
        done = subprocess.run([sys.executable, EXAMPLE], capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(done.returncode, 2)

    def test_nobody_listens(self):
        with self.assertRaises(OSError):
            gpremap.connect(self.path("no.sock"))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
