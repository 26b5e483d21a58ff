#!/usr/bin/env python3
"""`gpremap run` as one looks on: `--watch`, and what a terminal is shown.

    watch_test.py GPREMAP SCENARIO [unittest arguments]

What needs a VM skips where /dev/kvm cannot be opened.
"""
import json
import os
import pty
import re
import select
import socket
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.request

GPREMAP, SCENARIO = sys.argv[1:3]
KVM = os.access("/dev/kvm", os.R_OK | os.W_OK)
RUN = [GPREMAP, "run", SCENARIO, "--set", "size=2MiB", "--set", "twice=4MiB", "--set", "seconds=0.5"]


def fetch(url):
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read().decode()


def url_of(running):
    """Where it says that it serves its page; a small host has warnings before that."""
    for line in running.stderr:
        if found := re.search(r"http://127\.0\.0\.1:\d+/", line):
            return found[0]
    raise AssertionError("it does not say where it can be watched")


class Address(unittest.TestCase):
    def refused(self, address):
        done = subprocess.run(RUN + ["--watch", address], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 2, done.stderr)
        return done.stderr

    def test_port_in_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            self.assertIn("another program has this port", self.refused(f"127.0.0.1:{port}"))

    def test_other_than_loopback(self):
        for address in "0.0.0.0:0", "8080", "[::]:0", "example.org:80", "127.0.0.1:99999":
            self.assertIn(f"--watch {address}: expected", self.refused(address))


@unittest.skipUnless(KVM, "no access to /dev/kvm")
class Watching(unittest.TestCase):
    def watched(self, *words):
        """All contents until the run has ended, and its exit status."""
        with subprocess.Popen(RUN + ["--watch", "127.0.0.1:0", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as running:
            url = url_of(running)
            self.assertIn("</html>", fetch(url))
            seen = [json.loads(fetch(url + "contents.json"))]
            while not seen[-1]["has_ended"]:
                time.sleep(0.05)
                seen.append(json.loads(fetch(url + "contents.json")))
            return seen, running.wait(timeout=60)

    def test_from_begin_to_end(self):
        seen, status = self.watched()
        self.assertEqual(status, 0)
        last = seen[-1]["runs"][0]
        self.assertGreater(len(last["calls"]), 3)
        self.assertGreater(len(last["series"][0]["t_ms"]), 3)
        self.assertEqual(last["maps"][0]["when"], "before the calls")
        counts = [len(each["runs"][0]["calls"]) for each in seen]
        self.assertEqual(counts, sorted(counts))

    def test_beside_a_result(self):
        path = os.path.join(os.getcwd(), "watched.json")
        seen, status = self.watched("--json", path)
        self.assertEqual(status, 0)
        with open(path, encoding="utf-8") as file:
            result = json.load(file)
        calls = [step for step in result["steps"] if step["call_ns"] > 0]
        self.assertEqual(len(seen[-1]["runs"][0]["calls"]), len(calls))

    def test_nothing_listens_afterwards(self):
        with subprocess.Popen(RUN + ["--watch", "127.0.0.1:0"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as running:
            url = url_of(running)
            running.wait(timeout=120)
        with self.assertRaises(urllib.error.URLError):
            fetch(url)


@unittest.skipUnless(KVM, "no access to /dev/kvm")
class Terminal(unittest.TestCase):
    def shown(self, **variables):
        """What standard error gets while it is a terminal."""
        master, slave = pty.openpty()
        with subprocess.Popen(RUN, stdout=subprocess.DEVNULL, stderr=slave, env=os.environ | variables) as running:
            os.close(slave)
            text = b""
            while True:
                if not select.select([master], [], [], 120)[0]:
                    running.kill()
                    self.fail("it shows nothing, and does not end")
                try:
                    part = os.read(master, 65536)
                except OSError:  # nobody has the other end any more
                    break
                text += part
        os.close(master)
        return text.decode()

    def test_shows_throughput_and_map(self):
        text = self.shown(TERM="xterm", COLUMNS="100", NO_COLOR="1")
        self.assertRegex(text, r"stream +[0-9.]+ [kMG]?B/s")
        self.assertRegex(text, r"map +[0-9.]+ [KM]iB in \d+ ranges")
        self.assertNotRegex(text, r"\x1b\[[0-9;]*m")
        self.assertTrue(text.endswith("\x1b[J"), text[-40:])

    def test_a_dumb_terminal_is_shown_nothing(self):
        self.assertNotIn("\x1b", self.shown(TERM="dumb"))
        self.assertNotIn("stream ", self.shown(TERM="dumb"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
