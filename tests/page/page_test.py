#!/usr/bin/env python3
"""`gpremap report`: what it writes and refuses, and what its pages look like in a real browser.

    page_test.py GPREMAP SCHEMAS [unittest arguments]

PAGE_PICTURES=DIR in the environment: keeps screenshots there. What needs a browser skips, and says so, where there is none.
"""
import glob
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import xml.etree.ElementTree

import browser
import results

HERE = pathlib.Path(__file__).resolve().parent
GPREMAP, SCHEMAS = os.path.abspath(sys.argv[1]), sys.argv[2]
PICTURES = os.environ.get("PAGE_PICTURES")
sys.path.append(str(HERE.parent / "schema"))
import schemas  # noqa: E402  is found there

MIB = 1 << 20


def report(folder, *words):
    return subprocess.run([GPREMAP, "report", *words], cwd=folder, capture_output=True, text=True, timeout=300, check=False)


class InFolder(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, content):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(content if isinstance(content, str) else json.dumps(content))

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    def contents(self, name="out/report.html"):
        text = re.search(r'<script type="application/json" id="contents">(.*?)</script>', self.read(name), re.S)[1]
        return json.loads(text)

    def report(self, *words, status=0):
        done = report(self.folder, *words, "-o", "out")
        self.assertEqual(done.returncode, status, done.stderr)
        return done


class MadeUp(unittest.TestCase):
    def test_results_are_what_the_schemas_say(self):
        for name, make in results.MAKERS.items():
            if name != "long":
                self.assertEqual(schemas.problems(SCHEMAS, "run", make()), [], name)
        self.assertEqual(schemas.problems_of_journal(SCHEMAS, results.journal_of(results.run())), [])


class Files(InFolder):
    def test_page_is_one_file_that_names_no_other(self):
        self.write("a.json", results.run())
        done = self.report("a.json")
        self.assertEqual(done.stdout, "out/report.html\n")
        self.assertEqual(os.listdir(self.path("out")), ["report.html"])
        text = self.read("out/report.html")
        self.assertNotRegex(text, r"""(src|href)\s*=\s*["']?(https?:)?//""")
        self.assertIn("default-src 'none'", text)

    def test_has_all_that_the_result_says(self):
        self.write("a.json", results.run())
        self.report("a.json")
        page = self.contents()
        self.assertEqual(page["question"], "what does a guest lose while its memory is resized?")
        self.assertEqual(page["answer"], "the dips at the calls, against the rest of the curve.")
        self.assertEqual(page["scenario"], results.SCENARIO)
        self.assertIn("gpremap run --from a.json", page["commands"])
        run = page["runs"][0]
        self.assertEqual(len(run["calls"]), 17)
        self.assertEqual([each["when"] for each in run["maps"]], ["before the calls", "at the end"])
        self.assertEqual(run["maps"][1]["extents"][0]["label"], "heap")
        titles = [table["title"] for table in page["tables"]]
        self.assertEqual(titles, ["Calls", "Latencies of the workloads", "Moves beside copies"])
        facts = {row[0]: row[1] for row in page["host"]["rows"]}
        self.assertEqual(facts["kernel"], "6.12.0")

    def test_numbers_are_those_of_the_curve(self):
        self.write("a.json", results.run())
        self.report("a.json")
        rows = {row[0]: row[1] for row in self.contents()["numbers"]["rows"]}
        ratio = re.search(r": ([0-9.]+) x \(([0-9.]+) \.\.\. ([0-9.]+)\)", rows["writer: throughput"])
        self.assertAlmostEqual(float(ratio[1]), 0.1, delta=0.02)
        self.assertLessEqual(float(ratio[2]), float(ratio[1]))
        self.assertGreaterEqual(float(ratio[3]), float(ratio[1]))
        self.assertRegex(rows["a grow of 32 MiB"], r"^[0-9.]+ ms \([0-9.]+ GB/s\); longest of \d: [0-9.]+ ms$")

    def test_a_resize_is_about_what_it_adds_or_takes(self):
        result = results.run()
        for each in result["steps"][1:]:
            each["call"] = "resize"
            each["args"] = {"range": "heap", "len": 64 * MIB, "new_len": (96 if each["index"] <= 8 else 56) * MIB}
        self.write("a.json", result)
        self.report("a.json")
        rows = [row[0] for row in self.contents()["numbers"]["rows"]]
        self.assertIn("a grow of 32 MiB", rows)
        self.assertIn("a shrink of 8 MiB", rows)

    def test_cdf_goes_to_its_end_with_and_without_calls(self):
        self.write("a.json", results.run())
        self.report("a.json")
        workload = self.contents()["runs"][0]["workloads"][0]
        for kind in "quiet", "beside":
            shares = [share for _, share in workload[kind]]
            self.assertEqual(shares, sorted(shares, reverse=True))
            self.assertEqual(shares[-1], 0)

    def test_the_second_is_compared_with_the_first(self):
        self.write("a.json", results.run())
        self.write("b.json", results.run(slower=1.5))
        self.report("a.json", "b.json")
        tables = {table["title"]: table for table in self.contents()["tables"]}
        verdicts = {row[0]: row[1] for row in tables["b.json beside a.json"]["rows"]}
        self.assertEqual(verdicts['writer: per_s; size="256MiB"'], "slower")
        diff = subprocess.run([GPREMAP, "diff", "a.json", "b.json"], cwd=self.folder, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(diff.stdout.count("slower"), list(verdicts.values()).count("slower"))

    def test_merged_results_and_benches_are_medians(self):
        for name, slower in (("a.json", 1.0), ("b.json", 1.1)):
            self.write(name, results.run(slower=slower) | {"began": f"2026-01-02T03:04:0{int(slower * 5)}.000Z"})
        subprocess.run([GPREMAP, "merge", "a.json", "b.json", "-o", "m.json"], cwd=self.folder, check=True, timeout=60)
        row = {"bench": "move", "size": 2 * MIB, "backing": "anon", "mechanism": "window", "unit": "ns", "samples": [5, 6, 7, 8]}
        self.write("bench.json", {"schema": "gpremap.bench/1", "host": {"kernel": "6.12.0"}, "rows": [row]})
        for name, metric in (("m.json", 'writer: per_s; size="256MiB"'), ("bench.json", f"move {2 * MIB} anon window: ns")):
            self.report(name, "--svg")
            page = self.contents()
            self.assertIn(metric, [each["name"] for each in page["runs"][0]["metrics"]])
            self.assertIn(metric, [row[0] for table in page["tables"] for row in table["rows"]])
            self.assertIn("95 % interval", self.read("out/medians-ns.svg"))

    def test_a_stall_of_one_sample_stays_in_ten_minutes_of_them(self):
        result = results.run(seconds=600, sample_ns=1_000_000, calls=4)
        rows = result["series"][0]
        rows["ops"][345_678] = rows["bytes"][345_678] = 0
        rows["max_ns"][345_678] = 987_654_321
        self.write("a.json", result)
        self.report("a.json")
        series = self.contents()["runs"][0]["series"][0]
        self.assertLess(len(series["t_ms"]), 10_000)
        self.assertEqual(min(series["low"]), 0)
        self.assertAlmostEqual(max(series["max_ns"]), 987_654_321, delta=1e4)

    def test_names_tell_results_apart(self):
        for folder in "x", "y":
            os.mkdir(self.path(folder))
            self.write(f"{folder}/r.json", results.run())
        self.report("x/r.json", "y/r.json")
        self.assertEqual([run["name"] for run in self.contents()["runs"]], ["x/r.json", "y/r.json"])

    def test_markdown_has_the_tables(self):
        self.write("a.json", results.hostile())
        self.report("a.json", "--markdown")
        text = self.read("out/report.md")
        self.assertIn("## In numbers", text)
        self.assertIn("gpremap run --from a.json", text)
        widths = [len(re.findall(r"(?<!\\)\|", line)) for line in text.split("\n") if line.startswith("|")]
        self.assertGreater(len(widths), 10)
        self.assertNotIn("<script", text.replace("\\<script", ""))

    def test_svg_is_xml_and_has_its_titles(self):
        self.write("a.json", results.hostile())
        self.report("a.json", "--svg")
        names = sorted(os.path.basename(path) for path in glob.glob(self.path("out/*.svg")))
        self.assertEqual(len(names), 4)
        for name in names:
            self.assertRegex(name, r"^[A-Za-z0-9_.-]+$")
            root = xml.etree.ElementTree.fromstring(self.read(f"out/{name}"))
            self.assertEqual(root.tag, "{http://www.w3.org/2000/svg}svg")
        self.assertIn("time since the first step, s", self.read("out/over-time.svg"))

    def test_png_is_a_picture_or_says_what_is_missing(self):
        self.write("a.json", results.run())
        if shutil.which("rsvg-convert"):
            self.report("a.json", "--png")
            with open(self.path("out/over-time.png"), "rb") as file:
                self.assertEqual(file.read(8), b"\x89PNG\r\n\x1a\n")
        done = subprocess.run([GPREMAP, "report", "a.json", "--png", "-o", "none"], cwd=self.folder, capture_output=True, text=True, timeout=60,
                              check=False, env=os.environ | {"PATH": "/nowhere"})
        self.assertEqual(done.returncode, 3)
        self.assertIn("librsvg2-bin", done.stderr)
        self.assertFalse(os.path.exists(self.path("none")))


class Refused(InFolder):
    """What is no result: an error with file and mend, exit status 2, and an older page stays as it was."""

    def refused(self, *words):
        os.makedirs(self.path("out"), exist_ok=True)
        self.write("out/report.html", "older")
        done = self.report(*words, status=2)
        self.assertEqual(self.read("out/report.html"), "older")
        self.assertEqual(os.listdir(self.path("out")), ["report.html"])
        return done.stderr

    def test_what_is_no_result(self):
        whole = json.dumps(results.run())
        for name, content in (("cut.json", whole[:len(whole) // 2]), ("empty.json", ""), ("text.json", "hello"), ("list.json", "[]")):
            self.write(name, content)
            self.assertIn(name, self.refused(name))
        self.write("other.json", {"schema": "gpremap.cases/1"})
        self.assertIn("expected a result of schema gpremap.run/1", self.refused("other.json"))
        self.assertIn("none.json", self.refused("none.json"))

    def test_one_broken_by_hand(self):
        def lose(key):
            return lambda result: result.pop(key)

        def put(key, value):
            return lambda result: result.update({key: value})
        breaks = [lose("steps"), lose("series"), lose("provenance"), put("steps", 5), put("series", [{}]), put("map", [[]]),
                  lambda result: result["steps"][0].update(begin_ns="soon"), lambda result: result["workloads"][0].update(histogram=7),
                  lambda result: result["workloads"][0]["histogram"].update(quiet=[1, "x"]), lambda result: result["map"][0].update(at=-1.5e300),
                  put("comparisons", {"bytes": 1}), lambda result: result["provenance"].update(command=5), put("died", 5)]
        for number, change in enumerate(breaks):
            with self.subTest(number):
                result = results.run()
                change(result)
                self.write("broken.json", result)
                self.assertIn("broken.json", self.refused("broken.json"))

    def test_one_of_two(self):
        self.write("a.json", results.run())
        self.assertIn("none.json", self.refused("a.json", "none.json"))

    def test_a_journal_cut_in_its_first_line(self):
        self.write("a.jsonl", results.journal_of(results.run())[:40])
        self.assertIn("a.jsonl", self.refused("a.jsonl"))

    def test_a_journal_with_a_line_of_something_else(self):
        lines = results.journal_of(results.run()).split("\n")
        lines[4] = "{}"
        self.write("a.jsonl", "\n".join(lines))
        self.assertIn("a.jsonl:5", self.refused("a.jsonl"))

    def test_a_folder_that_is_none(self):
        self.write("a.json", results.run())
        self.write("out", "a file")
        done = self.report("a.json", status=2)
        self.assertIn("-o out", done.stderr)
        self.assertEqual(self.read("out"), "a file")

    def test_without_a_result_or_a_folder(self):
        self.assertEqual(report(self.folder, "-o", "out").returncode, 2)
        self.assertEqual(report(self.folder, "a.json").returncode, 2)


class CutShort(InFolder):
    """What was interrupted, died or was killed: a page that says so."""

    def test_interrupted(self):
        self.write("a.json", results.run() | {"interrupted": True})
        self.report("a.json")
        self.assertIn("it was interrupted", self.contents()["notes"][0])

    def test_died(self):
        self.write("a.json", results.run() | {"died": "triple fault"})
        self.report("a.json")
        self.assertIn("triple fault", self.contents()["notes"][0])

    def test_killed(self):
        journal = results.journal_of(results.run(), end=False)
        self.write("a.jsonl", journal[:-25])  # in the middle of a line
        self.report("a.jsonl")
        page = self.contents()
        self.assertIn("was killed", page["notes"][0])
        self.assertEqual(len(page["runs"][0]["calls"]), 17)
        self.assertEqual(page["runs"][0]["maps"][0]["when"], "before the calls")

    def test_is_not_compared(self):
        self.write("a.json", results.run())
        self.write("b.json", results.run() | {"interrupted": True})
        self.report("a.json", "b.json")
        self.assertNotIn("b.json beside a.json", [table["title"] for table in self.contents()["tables"]])


@unittest.skipIf(browser.missing(), browser.missing())
class InBrowser(InFolder):
    LOOKS = (HERE / "looks.js").read_text(encoding="utf-8")
    SIZES = ((1440, 900), (390, 844))

    @classmethod
    def setUpClass(cls):
        cls.profile = tempfile.mkdtemp()
        cls.browser = browser.Browser(cls.profile)

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        shutil.rmtree(cls.profile, ignore_errors=True)

    def open(self, name, width=1440, height=900, scheme="light"):
        url = pathlib.Path(self.path("out/report.html")).as_uri()
        self.browser.open(url, width, height, scheme)
        looks = self.browser.evaluate(self.LOOKS)
        self.assertEqual(self.browser.complaints(), [])
        self.assertEqual(self.browser.requests(), [url])
        if PICTURES:
            os.makedirs(PICTURES, exist_ok=True)
            self.browser.screenshot(os.path.join(PICTURES, f"{name}-{width}-{scheme}.png"))
            if scheme == "light":
                self.browser.screenshot(os.path.join(PICTURES, f"{name}-{width}-whole.png"), whole=True)
        return looks

    def hold(self, looks, name):
        """What is true of every page, at every size."""
        self.assertLessEqual(looks["scroll_width"], looks["inner_width"], name)
        self.assertEqual(looks["pale"], [], name)
        self.assertEqual(looks["cut_off"], [], name)
        self.assertEqual(looks["beyond"], [], name)
        self.assertEqual(looks["foreign"], 0, name)
        self.assertGreater(looks["texts"], 20, name)
        for chart in looks["charts"]:
            self.assertGreater(chart["titles"], 0, f"{name}: axes of {chart['name']}")
            self.assertTrue(chart["label"], chart["name"])

    def test_every_page_at_every_size(self):
        for name in "short", "two", "hostile", "bare":
            self.write("a.json", results.MAKERS[name]())
            self.report("a.json")
            for width, height in self.SIZES:
                for scheme in "light", "dark":
                    with self.subTest(name, width=width, scheme=scheme):
                        self.hold(self.open(name, width, height, scheme), name)

    def test_two_results_at_every_size(self):
        self.write("window.json", results.run())
        self.write("memslot.json", results.run(slower=1.5, mechanism="memslot"))
        self.report("window.json", "memslot.json")
        for width, height in self.SIZES:
            for scheme in "light", "dark":
                looks = self.open("compared", width, height, scheme)
                self.hold(looks, "compared")
                self.assertGreaterEqual(looks["lines"], 6)  # throughput, longest operations and the legend, of both

    def test_question_and_numbers_are_on_the_first_screen(self):
        self.write("a.json", results.run())
        self.report("a.json")
        for width, height in self.SIZES:
            first = self.open("short", width, height)["first_screen"]
            self.assertEqual(first["question"], "what does a guest lose while its memory is resized?")
            self.assertLess(first["numbers_bottom"], height)
            self.assertLess(first["curve_top"], height)

    def test_every_call_has_a_mark(self):
        self.write("a.json", results.run())
        self.report("a.json")
        self.assertEqual(self.open("short")["marks"], 17)

    def test_a_zoom_shows_less_and_goes_back(self):
        self.write("a.json", results.run())
        self.report("a.json")
        self.open("short")
        period = "(function () { var d = document.querySelector('#over-time svg').dataset; return [d.from, d.to].map(Number); })()"
        box = self.browser.evaluate("(function () { var b = document.querySelector('#over-time svg').getBoundingClientRect(); return [b.left, b.top, b.width]; })()")
        whole = self.browser.evaluate(period)
        for kind, share in (("mousePressed", 0.4), ("mouseMoved", 0.5), ("mouseReleased", 0.6)):
            self.browser.ask("Input.dispatchMouseEvent", type=kind, x=box[0] + box[2] * share, y=box[1] + 40, button="left", clickCount=1)
        closer = self.browser.evaluate(period)
        self.assertLess(closer[1] - closer[0], (whole[1] - whole[0]) / 2)
        self.browser.ask("Input.dispatchMouseEvent", type="mouseMoved", x=box[0] + box[2] * 0.5, y=box[1] + 40)
        self.assertIn("nearest call", self.browser.evaluate("document.querySelector('.readout').textContent"))
        self.browser.evaluate("document.querySelector('#over-time svg').dispatchEvent(new MouseEvent('dblclick'))")
        self.assertEqual(self.browser.evaluate(period), whole)
        self.assertEqual(self.browser.complaints(), [])

    def test_a_live_page_follows_until_the_end(self):
        """The page as `gpremap run --watch` serves it, whose answers stand here for the server's."""
        self.write("a.json", results.run())
        self.report("a.json")
        page = self.contents()
        html = self.read("out/report.html").replace('"live":false', '"live":true').replace("img-src data:", "img-src data:; connect-src 'self'")
        asked = []

        class Server(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                if self.path == "/":
                    self.wfile.write(html.encode())
                    return
                asked.append(self.path)
                ended = len(asked) == 3
                page["runs"][0]["calls"] = page["runs"][0]["calls"][:len(asked) * 2]
                self.wfile.write(json.dumps(page | {"live": True, "has_ended": ended, "state": "ended" if ended else "running"}).encode())

            def log_message(self, *_):
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.browser.open(f"http://127.0.0.1:{server.server_port}/", 1440, 900, "light")
            deadline = time.monotonic() + 60
            while self.browser.evaluate("document.getElementById('state').textContent") != "ended":
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.1)
            time.sleep(1.5)  # it asks no more
            server.shutdown()
        self.assertEqual(asked, ["/contents.json"] * 3)
        self.assertEqual(self.browser.evaluate("document.querySelectorAll('.mark').length"), 2)
        self.assertEqual(self.browser.complaints(), [])

    def test_ten_minutes_are_small_and_soon_there(self):
        self.write("a.json", results.MAKERS["long"]())
        self.report("a.json")
        size = os.path.getsize(self.path("out/report.html"))
        self.assertLess(size, 5 * MIB)
        for _ in range(5):  # where the processor itself was taken away, that counts as work
            looks = self.open("long")
            self.hold(looks, "long")
            work = self.browser.seconds_of_work()
            if work < 1.0:
                break
        print(f"page of 10 minutes: {size / MIB:.2f} MiB; ready after {looks['ready_ms']:.0f} ms, of which its thread had a processor for "
              f"{work * 1000:.0f} ms", file=sys.stderr)
        self.assertLess(work, 1.0)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
