#!/usr/bin/env python3
"""Black-box tests of the program: exit statuses, messages, and the JSON of its results.

    cli_test.py GPREMAP CONFIGS GPREMAP_WITHOUT_LIBVIRT libvirt|no-libvirt [unittest arguments]

What needs a VM skips where /dev/kvm cannot be opened; what needs libvirt, where the program is built without it.
"""
import fcntl
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

GPREMAP, CONFIGS, WITHOUT_LIBVIRT = sys.argv[1:4]
SOURCE = os.path.dirname(os.path.abspath(CONFIGS))
SCHEMAS = os.path.join(SOURCE, "docs/schema")
sys.path.append(os.path.join(SOURCE, "tests/schema"))
sys.dont_write_bytecode = True
import schemas  # found there

LIBVIRT = sys.argv[4] == "libvirt"
KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30

OK, FAILED, BAD_USAGE, HOST_LACKS, GUEST_DIED = 0, 1, 2, 3, 4

HEAP = '[[step]]\nmap = { name = "heap", at = "8GiB", size = "4MiB" }\n'
CASE = ('[[case]]\nname = "n"\nbefore = "a."\n'
        'calls = [ { native = { unmap = { at = 0, len = 1 } }, returns = "ok" } ]\nafter = ".."\n')

needs_libvirt = unittest.skipUnless(LIBVIRT, "this build has no libvirt")
KVM = os.access("/dev/kvm", os.R_OK | os.W_OK)
needs_kvm = unittest.skipUnless(KVM, "no access to /dev/kvm")


def scenarios():
    """The names of those that are shipped."""
    return [name for name in sorted(os.listdir(CONFIGS)) if name.endswith(".toml")] + domains()


def domains():
    """The names of those that are libvirt domains or name one."""
    return [os.path.join("domains", name) for name in sorted(os.listdir(os.path.join(CONFIGS, "domains")))]


def free_huge_pages():
    """Those that no mapping has been promised."""
    counts = {}
    for name in "free", "resv":
        with open(f"/sys/kernel/mm/hugepages/hugepages-2048kB/{name}_hugepages", encoding="utf-8") as file:
            counts[name] = int(file.read())
    return counts["free"] - counts["resv"]


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

    def gpremap(self, *arguments, status=OK, environment=None):
        usual = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
        done = subprocess.run([GPREMAP, *arguments], capture_output=True, text=True, errors="surrogateescape",
                              timeout=600, check=False, env={**usual, **(environment or {})})
        self.assertEqual(done.returncode, status, f"{arguments}\n{done.stdout}\n{done.stderr}")
        return done

    def gpremap_as_nobody(self, *arguments, environment=None):
        nobody = 65534
        try:
            return subprocess.run([GPREMAP, *arguments], capture_output=True, text=True, timeout=60, check=False,
                                  user=nobody, group=nobody, extra_groups=[],
                                  env={**os.environ, **(environment or {})})
        except PermissionError:
            self.skipTest("another user cannot reach the program")

    def result(self, path):
        """The JSON in a file, which must be as its schema says."""
        with open(path, encoding="utf-8") as file:
            return self.valid(json.load(file))

    def valid(self, result):
        name = result["schema"].removeprefix("gpremap.").partition("/")[0]
        self.assertEqual(schemas.problems(SCHEMAS, name, result), [])
        return result

    def journal(self, path):
        """Its lines, but for one that was cut; all as their schema says."""
        with open(path, encoding="utf-8") as file:
            text = file.read()
        self.assertEqual(schemas.problems_of_journal(SCHEMAS, text), [])
        return [json.loads(line) for line in text.split("\n")[:-1]]

    def run_scenario(self, text, *arguments, status=OK):
        """Runs a scenario; returns what it printed and the JSON of its result. Both that and the journal beside it
        say the same of the steps."""
        done = self.gpremap("run", self.write("s.toml", text), "--json", self.path("result.json"), *arguments,
                            status=status)
        result = self.result(self.path("result.json"))
        lines = self.journal(self.path("result.jsonl"))
        self.assertEqual(lines[-1]["event"], "end")
        steps = [line for line in lines if line["event"] == "step"]  # as they ended: tracks run side by side
        self.assertEqual(sorted(steps, key=lambda step: step["index"]),
                         [{"event": "step", **step} for step in result["steps"]])
        return done, result


HUGE_POOL = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"


def huge_pool():
    with open(HUGE_POOL, encoding="utf-8") as file:
        return int(file.read())


@needs_kvm
@unittest.skipUnless(os.access(HUGE_POOL, os.W_OK), f"{HUGE_POOL} cannot be written: needs root")
class ReservedHugePages(Case):
    SCENARIO = '[vm]\nbacking = "hugetlb-2M"\ngranule = "2MiB"\n' + HEAP

    def test_are_there_for_the_run_and_go_with_it(self):
        before = huge_pool()
        done, _ = self.run_scenario(self.SCENARIO, "--reserve-hugepages", "4", "-v")
        self.assertIn("4 huge pages of 2 MiB reserved through", done.stderr)
        self.assertEqual(huge_pool(), before)

    def test_more_than_the_host_has(self):
        before = huge_pool()
        done = self.gpremap("run", self.write("s.toml", self.SCENARIO), "--reserve-hugepages", "1000000",
                            status=HOST_LACKS)
        self.assertRegex(done.stderr, r"1000000 huge pages of 2 MiB: the host has memory for \d+")
        self.assertEqual(huge_pool(), before)

    def test_go_however_the_run_ends(self):
        scenario = self.write("s.toml", self.SCENARIO + "[[step]]\nsleep = 60\n")
        for ending in signal.SIGINT, signal.SIGKILL:
            before = huge_pool()
            with subprocess.Popen([GPREMAP, "run", scenario, "--reserve-hugepages", "4"], stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, text=True) as running:
                while "map" not in running.stdout.readline():  # the step before the sleep
                    self.assertIsNone(running.poll())
                running.send_signal(ending)
                ended = -ending if ending == signal.SIGKILL else 128 + ending
                self.assertEqual(running.wait(timeout=30), ended)
            late = time.monotonic() + 30
            while huge_pool() != before and time.monotonic() < late:
                time.sleep(0.01)
            self.assertEqual(huge_pool(), before)


class Usage(Case):
    def test_help_and_version(self):
        self.assertIn("doctor", self.gpremap("--help").stdout)
        self.assertRegex(self.gpremap("--version").stdout, r"^gpremap \d+\.\d+\.\d+ \(revision ([0-9a-f]{12}(-dirty)?|unknown: .*)\)\n$")
        for verb in ("run", "check", "doctor", "bench", "compare", "export-domain", "sweep", "merge", "diff", "report"):
            options = self.gpremap(verb, "--help").stdout
            for option in ("--help", "--verbose", "--quiet", "--log"):
                self.assertIn(option, options)
        for verb in ("run", "doctor", "bench", "compare", "merge", "diff"):
            self.assertIn("--json", self.gpremap(verb, "--help").stdout)
        for bench in ("move", "overhead", "stall", "hypercall"):
            self.assertIn(bench, self.gpremap("bench", "--help").stdout)
        for option in ("--mechanism", "--backing", "--granule"):
            self.assertIn(option, self.gpremap("run", "--help").stdout)
            self.assertIn(option, self.gpremap("bench", "--help").stdout)

    def test_unknown_verb(self):
        scenario = self.write("s.toml", HEAP)
        for arguments in ["plot", scenario], ["Run", scenario], ["fly"]:
            done = self.gpremap(*arguments, status=BAD_USAGE)
            self.assertIn(f"'{arguments[0]}' is not a verb; expected one of run, cases, check,", done.stderr)
        self.assertIn("expected one of run, cases, check,", self.gpremap(status=BAD_USAGE).stderr)

    def test_bad_usage(self):
        scenario = self.write("s.toml", HEAP)
        for arguments in ([], ["fly"], ["run"], ["check"], ["run", scenario, "--backing", "tape"],
                          ["run", scenario, "--backing", "1"], ["run", scenario, "--granule", "8KiB"],
                          ["run", scenario, "--mechanism", "ept"], ["doctor", "--frobnicate"],
                          ["run", scenario, "--dump-stage2=arm-64k"], ["run", scenario, "--dump-stage2=arm-4k"],
                          ["bench", "fly"], ["bench", "--runs", "0"], ["bench", "--max-size", "1MiB"],
                          ["bench", "--max-size", "big"], ["bench", "--backing", "tape"],
                          ["bench", "--backing", "hugetlb-2M", "--granule", "4KiB"],
                          ["run", self.path("absent.toml")], ["run", scenario, "--json", "/proc/no/such"],
                          ["run", scenario, "--log", "/proc/no/such"],
                          ["run", scenario, "--log", self.path("absent/log")],
                          ["run", scenario, "--reserve-hugepages", "-1"], ["run", scenario, "--reserve-hugepages", "4K:1"],
                          # What is wrong with the file is found before the host is asked for anything.
                          ["run", self.path("absent.toml"), "--reserve-hugepages", "1000000"],
                          ["cases", self.path("absent.toml"), "--reserve-hugepages", "1000000"],
                          ["bench", "fly", "--reserve-hugepages", "1000000"]):
            with self.subTest(arguments):
                done = self.gpremap(*arguments, status=BAD_USAGE)
                self.assertEqual(done.stdout, "")
                self.assertNotEqual(done.stderr, "")
        self.assertFalse(os.path.exists(self.path("absent")))  # no folder is made for a log


class StandardOutput(Case):
    """That it takes no more is no success."""

    def commands(self):
        cases = self.write("c.toml", CASE)
        scenario = self.write("s.toml", HEAP)
        yield BAD_USAGE, ["--help"]
        yield BAD_USAGE, ["check", scenario]
        yield BAD_USAGE, ["cases", "--on", "model", cases]
        yield BAD_USAGE if KVM else HOST_LACKS, ["doctor"]
        if LIBVIRT:
            yield BAD_USAGE, ["export-domain", scenario]
        if KVM:
            yield BAD_USAGE, ["run", scenario]
            failing = HEAP + '[[step]]\nverify = { range = "heap", with = "a" }\n'
            yield BAD_USAGE, ["run", self.write("failing.toml", failing)]

    def test_full(self):
        for status, arguments in self.commands():
            with self.subTest(arguments), open("/dev/full", "w", encoding="utf-8") as full:
                done = subprocess.run([GPREMAP, *arguments], stdout=full, stderr=subprocess.PIPE, text=True,
                                      timeout=60, check=False)
                self.assertEqual(done.returncode, status, done.stderr)
                self.assertIn("standard output cannot be written", done.stderr)

    def test_closed(self):
        for status, arguments in self.commands():
            with self.subTest(arguments):
                log = self.path("log")
                log_option = [] if arguments == ["--help"] else ["--log", log]
                done = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", GPREMAP, *arguments, *log_option],
                                      stderr=subprocess.PIPE, text=True, timeout=60, check=False)
                self.assertEqual(done.returncode, status, done.stderr)
                self.assertIn("standard output cannot be written", done.stderr)
                if log_option:
                    with open(log, encoding="utf-8") as file:
                        self.assertNotIn(": ok (", file.read())  # results do not go into the next file opened

    def test_reader_that_is_gone(self):
        """A shell's way of ending a pipe's writer; and where it is not wanted, as a failed write."""
        for ignored, status in ((False, -signal.SIGPIPE), (True, BAD_USAGE)):
            read, write = os.pipe()
            os.close(read)
            with os.fdopen(write, "w") as pipe:
                done = subprocess.run([GPREMAP, "check", self.write("s.toml", HEAP)], stdout=pipe,
                                      stderr=subprocess.PIPE, text=True, timeout=60, check=False,
                                      restore_signals=not ignored)
            self.assertEqual(done.returncode, status, done.stderr)


class StandardStreams(Case):
    """- is standard input, or output."""

    def test_input(self):
        for verb, text, said in (["check"], HEAP, "-: ok (1 step)\n"), (["cases", "--on", "model"], CASE, "-: 1 passed"):
            done = subprocess.run([GPREMAP, *verb, "-"], input=text, capture_output=True, text=True, timeout=60,
                                  check=False)
            self.assertEqual(done.returncode, OK, done.stderr)
            self.assertIn(said, done.stdout)
        wrong = subprocess.run([GPREMAP, "run", "-"], input="[[step]]\nfil = 1\n", capture_output=True, text=True,
                               timeout=60, check=False)
        self.assertEqual(wrong.returncode, BAD_USAGE)
        self.assertIn("-:2: key 'step[0].fil'", wrong.stderr)

    def test_json_alone_is_standard_output(self):
        cases = self.write("c.toml", CASE)
        done = self.gpremap("cases", "--on", "model", cases, "--json", "-")
        self.assertEqual(self.valid(json.loads(done.stdout))["passed"], 1)
        self.assertIn("1 passed", done.stderr)
        done = self.gpremap("cases", "--on", "model", cases, "--json", "-", "-q")
        self.assertEqual(json.loads(done.stdout)["passed"], 1)
        self.assertEqual(done.stderr, "")

    @needs_libvirt
    def test_exported_domain(self):
        scenario = self.write("s.toml", HEAP)
        self.assertEqual(self.gpremap("export-domain", scenario, "-o", "-").stdout,
                         self.gpremap("export-domain", scenario).stdout)


class WholeFiles(Case):
    """What is written is all there, or what was there before."""

    def setUp(self):
        super().setUp()
        self.cases = self.write("c.toml", CASE)

    def run_cases(self, result, status=OK, **options):
        return subprocess.run([GPREMAP, "cases", "--on", "model", self.cases, "--json", result], capture_output=True,
                              text=True, timeout=60, check=False, **options)

    def assert_is_result(self, path):
        self.assertEqual(self.result(path)["schema"], "gpremap.cases/1")

    def test_a_write_that_fails_leaves_the_old_one(self):
        """A limit of the file's size stands for a full disk."""
        many = self.write("many.toml", "".join(CASE.replace('"n"', f'"n{i}"') for i in range(50)))
        result = self.write("result.json", "older")
        limited = ["sh", "-c", 'ulimit -f 1; exec "$@"', "sh"]
        done = subprocess.run([*limited, GPREMAP, "cases", "--on", "model", many, "--json", result],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, BAD_USAGE, done.stderr)
        self.assertIn(f"--json {result}: cannot be written", done.stderr)
        with open(result, encoding="utf-8") as file:
            self.assertEqual(file.read(), "older")
        self.assertEqual(sorted(os.listdir(self.folder)), ["c.toml", "many.toml", "result.json"])

    def test_mode_and_links(self):
        result = self.write("result.json", "older")
        os.chmod(result, 0o640)
        os.symlink("result.json", self.path("link"))
        self.assertEqual(self.run_cases(self.path("link")).returncode, OK)
        self.assertTrue(os.path.islink(self.path("link")))
        self.assert_is_result(result)
        self.assertEqual(os.stat(result).st_mode & 0o777, 0o640)
        os.symlink("new.json", self.path("dangling"))
        self.assertEqual(self.run_cases(self.path("dangling"), umask=0o027).returncode, OK)
        self.assert_is_result(self.path("new.json"))
        self.assertEqual(os.stat(self.path("new.json")).st_mode & 0o777, 0o640)

    def test_what_is_no_regular_file(self):
        self.assertIn("it is a folder", self.run_cases(self.folder).stderr)
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        with subprocess.Popen(["cat", fifo], stdout=subprocess.PIPE, text=True) as reader:
            self.assertEqual(self.run_cases(fifo).returncode, OK)
            self.assertEqual(json.loads(reader.communicate(timeout=30)[0])["passed"], 1)
        output = self.path("output")
        with open(output, "w", encoding="utf-8") as file:
            subprocess.run([GPREMAP, "cases", "--on", "model", self.cases, "--json", "/dev/stdout"], stdout=file,
                           check=True, timeout=60)
        with open(output, encoding="utf-8") as file:
            text = file.read()
        self.assertTrue(text.startswith(f"{self.cases}: 1 passed"), text)  # the table is before it, and whole
        self.assertIn('"schema": "gpremap.cases/1"', text)

    @needs_libvirt
    def test_exported_domain(self):
        domain = self.write("d.xml", "older")
        scenario = self.write("s.toml", HEAP)
        done = subprocess.run(["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", GPREMAP, "export-domain",
                               scenario, "-o", domain], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, BAD_USAGE, done.stderr)
        with open(domain, encoding="utf-8") as file:
            self.assertEqual(file.read(), "older")


class Log(Case):
    def test_a_file_that_takes_nothing(self):
        scenario = self.write("s.toml", HEAP)
        done = self.gpremap("check", scenario, "--log", "/dev/full", status=BAD_USAGE)
        self.assertIn("--log /dev/full: cannot be written: No space left on device", done.stderr)
        self.assertEqual(done.stdout, "")

    def test_a_file_that_takes_no_more(self):
        many = self.write("many.toml", "".join(CASE.replace('"n"', f'"n{i}"') for i in range(50)))
        log = self.path("log")
        done = subprocess.run(["sh", "-c", 'ulimit -f 1; exec "$@"', "sh", GPREMAP, "cases", "--on",
                               "model", many, "--log", log], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, BAD_USAGE, done.stderr)
        self.assertIn("50 passed", done.stdout)
        self.assertIn(f"--log {log}: cannot be written", done.stderr)

    def test_levels(self):
        cases = self.write("c.toml", CASE)
        self.assertNotIn("n: passed", self.gpremap("cases", "--on", "model", cases, "-v").stderr)
        self.assertIn("n: passed", self.gpremap("cases", "--on", "model", cases, "-vv").stderr)


class Signals(Case):
    """After what is under way the rest is left out, and what there is is written down."""

    def start(self, **options):
        cases = self.write("c.toml", "".join(CASE.replace('"n"', f'"n{i}"') for i in range(2_000)))
        running = subprocess.Popen([GPREMAP, "cases", "--on", "model", "-vv", cases, "--json", self.path("r.json")],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
        self.addCleanup(running.communicate)
        self.addCleanup(running.kill)
        self.assertIn("passed", running.stderr.readline())  # it has begun
        return running

    def test_twice_ends_at_once(self):
        """Here a step is too short to be caught in; so it is held with the pipe that it prints to."""
        running = self.start()
        in_pipe = lambda: struct.unpack("i", fcntl.ioctl(running.stderr, termios.FIONREAD, bytes(4)))[0]
        before = -1
        end = time.monotonic() + 60
        while before <= 32 * KIB or before != in_pipe():  # until it waits for a reader
            self.assertLess(time.monotonic(), end)
            before = in_pipe()
            time.sleep(0.5)
        running.send_signal(signal.SIGINT)
        running.send_signal(signal.SIGTERM)
        self.assertEqual(running.wait(timeout=30), 128 + signal.SIGINT)
        self.assertFalse(os.path.exists(self.path("r.json")))

    def test_end_in_order(self):
        for ending in signal.SIGINT, signal.SIGTERM:
            running = self.start()
            running.send_signal(ending)
            out, _ = running.communicate(timeout=60)
            self.assertEqual(running.returncode, 128 + ending)
            self.assertRegex(out, r"c\.toml: \d+ passed, 0 failed, 0 skipped\n")
            result = self.result(self.path("r.json"))
            self.assertIs(result["interrupted"], True)
            self.assertLess(result["passed"], 2_000)

    def test_ignored_signals_stay_so(self):
        running = self.start(preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        running.send_signal(signal.SIGHUP)
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=60)
        self.assertEqual(running.returncode, 128 + signal.SIGTERM)

    @needs_kvm
    def test_run_and_bench(self):
        scenario = self.write("s.toml", HEAP + "[[step]]\nsleep = 60\n[[step]]\nsleep = 60\n")
        for command in ["run", scenario], ["bench"]:
            with self.subTest(command[0]), subprocess.Popen([GPREMAP, *command, "--json", self.path("r.json")],
                                                            stdout=subprocess.PIPE, text=True) as running:
                for _ in range(3):
                    running.stdout.readline()
                running.send_signal(signal.SIGINT)
                out, _ = running.communicate(timeout=60)
                self.assertEqual(running.returncode, 128 + signal.SIGINT, out)
                self.assertIs(self.result(self.path("r.json"))["interrupted"], True)
        lines = self.journal(self.path("r.jsonl"))
        self.assertEqual([line["event"] for line in lines if line["event"] != "note"], ["begin", "step", "end"])
        self.assertIs(lines[-1]["interrupted"], True)

    @needs_kvm
    def test_twice_ends_a_run_at_once(self):
        """In the middle of a step, too; the journal has what was done."""
        far = "[[step]]\nrepeat = { times = 1000, steps = [ { verify = { range = \"large\", with = \"zero\" } } ] }\n"
        scenario = self.write("s.toml", HEAP + '[[step]]\nmap = { name = "large", size = "1GiB" }\n' + far)
        with subprocess.Popen([GPREMAP, "run", scenario, "--json", self.path("r.json")], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as running:
            while "large" not in running.stdout.readline():  # it is mapped: the next step is under way
                self.assertIsNone(running.poll())
            running.send_signal(signal.SIGINT)
            running.send_signal(signal.SIGTERM)
            running.communicate(timeout=60)
            self.assertEqual(running.returncode, 128 + signal.SIGINT)
        self.assertFalse(os.path.exists(self.path("r.json")))
        events = [line["event"] for line in self.journal(self.path("r.jsonl"))]
        self.assertEqual(events[0], "begin")
        self.assertIn("step", events)
        self.assertNotIn("end", events)

    @needs_kvm
    def test_a_kill_loses_no_step_that_was_done(self):
        scenario = self.write("s.toml", HEAP + "[[step]]\nsleep = 0.01\n" * 1000)
        with subprocess.Popen([GPREMAP, "run", scenario, "--json", self.path("r.json")], stdout=subprocess.PIPE,
                              text=True) as running:
            printed = 0
            while printed < 20:
                line = running.stdout.readline()
                self.assertNotEqual(line, "")
                printed += "sleep" in line
            running.kill()
            printed += running.communicate(timeout=60)[0].count("sleep")
        lines = self.journal(self.path("r.jsonl"))
        self.assertGreaterEqual(sum(line.get("call") == "sleep" for line in lines), printed)
        self.assertFalse(os.path.exists(self.path("r.json")))


@needs_kvm
class Confinement(Case):
    """The filters of a run's threads; tests/vmm/sandbox has what they refuse."""

    SCENARIO = ('[vm]\nvcpus = 2\npool = "2MiB"\nring = true\ndeadline = 100\n' + HEAP + '[[step]]\ngrow = { range = "heap", '
                'new_size = "8MiB" }\ntrack = "beside"\nvcpu = 1\n[[step]]\nsleep = 600\ntrack = "beside"\nvcpu = 1\n[[step]]\nsleep = 600\n')
    THREADS = {"gpremap", "vcpu0", "vcpu1", "rings", "pool", "signals", "deadline", "beside", "control", "control-calls", "control-jobs"}

    def threads_of(self, process):
        """The names of those that have filters, and of those that have none."""
        names = {True: set(), False: set()}
        for task in os.listdir(f"/proc/{process.pid}/task"):
            with open(f"/proc/{process.pid}/task/{task}/status", encoding="utf-8") as file:
                status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
            names[status["Seccomp"] == "2" and status["NoNewPrivs"] == "1"].add(status["Name"])
        return names[True], names[False]

    def filtered(self, *arguments):
        """The same while it sleeps, once all threads have begun, and are all of one kind: each names itself, then takes its filter."""
        with subprocess.Popen([GPREMAP, "run", self.write("s.toml", self.SCENARIO), "--control", self.path("socket"), *arguments],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
            while "grow" not in running.stdout.readline():
                self.assertIsNone(running.poll())
            end = time.monotonic() + 60
            confined, free = self.threads_of(running)
            while not (self.THREADS <= confined | free and set() in (confined, free)) and time.monotonic() < end:
                time.sleep(0.1)
                confined, free = self.threads_of(running)
            running.send_signal(signal.SIGINT)
            _, said = running.communicate(timeout=60)
            self.assertEqual(running.returncode, 128 + signal.SIGINT, said)
        return confined, free, said

    def test_every_thread_has_one(self):
        confined, free, said = self.filtered()
        self.assertEqual(free, set())
        self.assertLessEqual(self.THREADS, confined)
        self.assertNotIn("--no-sandbox", said)

    def test_can_be_left_out(self):
        confined, _, said = self.filtered("--no-sandbox")
        self.assertEqual(confined, set())
        self.assertIn("gpremap: warning: --no-sandbox: a guest that takes over a thread", said)


@needs_kvm
class Soak(Case):
    STEPS = HEAP + '[[step]]\nmove = { range = "heap", to = "16GiB" }\n'
    UNMAP = '[[step]]\nunmap = { range = "heap" }\n'

    def run_for(self, seconds, text, status):
        return self.gpremap("run", self.write("s.toml", text), "--for", seconds, "--json", self.path("r.json"), status=status)

    def test_repeats_the_steps_and_says_what_was_held(self):
        done = self.run_for("5s", self.STEPS + self.UNMAP, OK)
        result = self.result(self.path("r.json"))
        soak = result["soak"]
        self.assertGreater(soak["rounds"], 1)
        self.assertEqual(soak["steps"], 3 * soak["rounds"])
        self.assertGreaterEqual(soak["seconds"], 5)
        self.assertEqual(soak["grown"], [])
        self.assertEqual(soak["first"]["descriptors"], soak["last"]["descriptors"])
        self.assertEqual(len(result["steps"]), 3)
        self.assertEqual(sum(line["event"] == "step" for line in self.journal(self.path("r.jsonl"))), soak["steps"])
        self.assertIn(f"{soak['rounds']} rounds, {soak['steps']} steps in {soak['seconds']:.0f} s; memory, descriptors, mappings, slots",
                      done.stdout)
        self.assertEqual(done.stdout.count("unmap"), 1)

    def test_ends_with_what_fails(self):
        self.run_for("100s", self.STEPS + '[[step]]\nmap = { name = "other", at = "16GiB", size = "4MiB" }\n' + self.UNMAP, FAILED)
        self.assertEqual(self.result(self.path("r.json"))["soak"]["rounds"], 1)

    def test_steps_that_leave_something(self):
        done = self.run_for("100s", self.STEPS, BAD_USAGE)
        self.assertIn("--for: the steps leave 4 MiB mapped at 0x400000000", done.stderr)


class From(Case):
    """A result as what is to be run: what is wrong with it is found first."""

    def complaint(self, text):
        return self.gpremap("run", "--from", self.write("r.json", text), status=BAD_USAGE).stderr

    def test_what_is_no_whole_result_of_a_run(self):
        self.gpremap("cases", "--on", "model", self.write("c.toml", CASE), "--json", self.path("c.json"))
        with open(self.path("c.json"), encoding="utf-8") as file:
            whole = file.read()
        self.assertIn("r.json: expected schema gpremap.run/1, got 'gpremap.cases/1'", self.complaint(whole))
        self.assertIn("r.json: not a whole result: expected JSON up to the end", self.complaint(whole[:len(whole) // 2]))
        self.assertIn("r.json: not a whole result", self.complaint(""))
        self.assertIn("no '/provenance/scenario/file': expected a result", self.complaint('{"schema": "gpremap.run/1"}'))
        absent = self.gpremap("run", "--from", self.path("absent.json"), status=BAD_USAGE).stderr
        self.assertIn("absent.json: cannot be read: No such file", absent)

    def test_one_of_the_two(self):
        scenario = self.write("s.toml", HEAP)
        self.assertIn("not both", self.gpremap("run", scenario, "--from", "r.json", status=BAD_USAGE).stderr)
        self.assertIn("expected a SCENARIO, or --from RESULT", self.gpremap("run", status=BAD_USAGE).stderr)

    @needs_kvm
    def test_is_the_same_run(self):
        text = '[vm]\npool = "2MiB"\n' + HEAP + '[[step]]\nfill = { range = "heap", with = "stamp", seed = 7 }\n'
        _, first = self.run_scenario(text, "--backing", "memfd", "--granule", "2MiB", "--pool", "4MiB")
        os.rename(self.path("result.json"), self.path("first.json"))
        os.remove(self.path("s.toml"))
        self.gpremap("run", "--from", self.path("first.json"), "--json", self.path("second.json"))
        second = self.result(self.path("second.json"))
        for key in "vm", "parameters":
            self.assertEqual(first[key], second[key])
        self.assertEqual(first["provenance"]["scenario"], second["provenance"]["scenario"])
        self.assertEqual([(step["call"], step["args"]) for step in first["steps"]],
                         [(step["call"], step["args"]) for step in second["steps"]])
        self.gpremap("run", "--from", self.path("first.json"), "--backing", "anon", "--json", self.path("third.json"))
        self.assertEqual(self.result(self.path("third.json"))["vm"]["backing"], "anon")


class Pinning(Case):
    USABLE = sorted(os.sched_getaffinity(0))

    def test_what_is_not_there(self):
        for keys, complaint in (("cpus = [8000]", r"s\.toml:2: key 'vm\.cpus': expected processors .*, got 8000"),
                                ("host_cpus = [8000]", r"s\.toml:2: key 'vm\.host_cpus': expected processors"),
                                ("cpus = [0, 1]", r"s\.toml:2: key 'vm\.cpus': expected 1 processor, one for each vCPU")):
            done = self.gpremap("run", self.write("s.toml", f"[vm]\n{keys}\n" + HEAP), status=BAD_USAGE)
            self.assertRegex(done.stderr, complaint)

    @unittest.skipUnless(len(USABLE) > 1, "one processor")
    def test_taskset_counts(self):
        scenario = self.write("s.toml", f"[vm]\ncpus = [{self.USABLE[0]}]\n" + HEAP)
        done = subprocess.run([GPREMAP, "run", scenario], capture_output=True, text=True, timeout=60, check=False,
                              preexec_fn=lambda: os.sched_setaffinity(0, self.USABLE[1:]))
        self.assertEqual(done.returncode, BAD_USAGE, done.stderr)
        self.assertIn(f"got {self.USABLE[0]}", done.stderr)

    @needs_kvm
    def test_threads_run_where_they_are_said_to(self):
        """While the guest sleeps, its threads are looked at."""
        cpu, rest = self.USABLE[-1], self.USABLE[0]
        scenario = self.write("s.toml", f"[vm]\ncpus = [{cpu}]\nhost_cpus = [{rest}]\n" + HEAP + "[[step]]\nsleep = 60\n")
        with subprocess.Popen([GPREMAP, "run", scenario, "--json", self.path("r.json")], stdout=subprocess.PIPE,
                              text=True) as running:
            while "map" not in running.stdout.readline():
                self.assertIsNone(running.poll())
            places = {}
            for thread in os.listdir(f"/proc/{running.pid}/task"):
                with open(f"/proc/{running.pid}/task/{thread}/comm", encoding="utf-8") as file:
                    places[file.read().strip()] = os.sched_getaffinity(int(thread))
            running.send_signal(signal.SIGINT)
            running.communicate(timeout=60)
        self.assertEqual(places.pop("vcpu0"), {cpu})
        self.assertLessEqual({"gpremap", "signals"}, set(places))
        for name, place in places.items():
            if not name.startswith("kvm"):  # the kernel's own
                self.assertEqual(place, {rest}, name)
        pinning = self.result(self.path("r.json"))["pinning"]
        self.assertEqual((pinning["cpus"], pinning["host_cpus"]), ([cpu], [rest]))
        self.assertEqual(pinning["note"] is None, cpu != rest)

    @needs_kvm
    @unittest.skipUnless(len(USABLE) <= 8, "more processors than a VM can have vCPUs")
    def test_too_few(self):
        """Said on the terminal, and in the result."""
        done, result = self.run_scenario(f"[vm]\nvcpus = {len(self.USABLE)}\n" + HEAP)
        self.assertIn("and the rest of this program share", result["pinning"]["note"])
        self.assertIn(result["pinning"]["note"], done.stderr)
        self.assertIsNone(result["pinning"]["cpus"])


class Deadlines(Case):
    LOOP = ('[[step]]\nmap = { name = "code", at = "8GiB", size = "4KiB", prot = "rwx" }\n'
            '[[step]]\naccess = { at = "code", kind = "write", value = 0xfeeb }\n'  # jmp to itself
            '[[step]]\nexec = { at = "code" }\n')

    def died(self, scenario, *said):
        began = time.monotonic()
        done = self.gpremap("run", self.write("s.toml", scenario), "--json", self.path("r.json"), status=GUEST_DIED)
        self.assertLess(time.monotonic() - began, 60)
        result = self.result(self.path("r.json"))
        for text in said:
            self.assertIn(text, done.stderr)
            self.assertIn(text, result["died"])
        self.assertEqual(self.journal(self.path("r.jsonl"))[-1]["died"], result["died"])
        return result

    @needs_kvm
    def test_of_a_step(self):
        result = self.died(self.LOOP + 'deadline = "500ms"\n[[step]]\ntouch = { range = "code" }\n',
                           "s.toml:6: step 2 (exec at=code) was not done within 0.5 s")
        self.assertEqual([step["ok"] for step in result["steps"]], [True, True, False])

    @needs_kvm
    def test_of_the_run(self):
        said = "the run was not over within 1 s, vm.deadline"
        self.died('[vm]\ndeadline = 1\n' + self.LOOP, said)
        result = self.died('[vm]\ndeadline = "5s"\n' + HEAP + "[[step]]\nsleep = 60\n", said.replace("1 s", "5 s"))
        self.assertEqual([(step["call"], step["ok"]) for step in result["steps"]],
                         [("map", True), ("sleep", False)])

    def test_are_checked(self):
        for step, said in (("sleep = 1\ndeadline = 2\n", "only what the guest does has a deadline"),
                           ('touch = { range = "heap" }\ndeadline = 0\n', "expected more than 0 seconds"),
                           ('touch = { range = "heap" }\ndeadline = "1h"\n', "expected seconds from 0 to 604800")):
            wrong = self.write("s.toml", HEAP + "[[step]]\n" + step)
            self.assertIn(said, self.gpremap("check", wrong, status=BAD_USAGE).stderr)


class ProcessLimits(Case):
    def limited(self, limit, *arguments):
        return subprocess.run(["sh", "-c", f'ulimit {limit}; exec "$@"', "sh", GPREMAP, *arguments],
                              capture_output=True, text=True, timeout=60, check=False)

    def test_are_named_with_the_mend(self):
        scenario = self.write("s.toml", HEAP)
        for limit, mend in ("-n 8", "ulimit -n 1024"), ("-v 4000000", "ulimit -v unlimited"):
            with self.subTest(limit):
                done = self.limited(limit, "run", scenario)
                self.assertEqual(done.returncode, HOST_LACKS, done.stderr)
                self.assertIn(mend, done.stderr)

    def test_doctor_looks_at_them(self):
        for limit, what, mend in (("-n 20", "open files +missing  ", "ulimit -n 1024"),
                                  ("-v 4000000", "address space +missing  ", "ulimit -v unlimited"),
                                  ("-l 64", r"locked memory +missing \(optional\)", "ulimit -l 8192")):
            with self.subTest(limit):
                done = self.limited(limit, "doctor")
                self.assertRegex(done.stdout, rf"{what}.*\n +mend: {mend}")


class JsonFile(Case):
    def test_a_name_that_is_not_utf8(self):
        cases = os.path.join(os.fsencode(self.folder), b"\xff.toml")
        with open(cases, "w", encoding="utf-8") as file:
            file.write(CASE)
        self.gpremap("cases", "--on", "model", cases, "--json", self.path("result.json"))
        with open(self.path("result.json"), encoding="utf-8") as file:
            self.assertTrue(json.load(file)["cases"][0]["file"].endswith("/\ufffd.toml"))

    def test_that_cannot_be_written_hides_nothing(self):
        """/dev/full can be opened, and takes nothing."""
        right = self.write("right.toml", CASE)
        wrong = self.write("wrong.toml", CASE.replace('"ok"', '"EINVAL"'))
        for arguments, status in ((["cases", "--on", "model", right], BAD_USAGE),
                                  (["cases", "--on", "model", wrong], FAILED),
                                  (["doctor"], BAD_USAGE if KVM else HOST_LACKS)):
            with self.subTest(arguments):
                done = self.gpremap(*arguments, "--json", "/dev/full", status=status)
                self.assertNotEqual(done.stdout, "")
                self.assertIn("--json /dev/full: cannot be written", done.stderr)

    @needs_kvm
    def test_that_cannot_be_written_hides_no_end(self):
        dies = self.write("s.toml", HEAP + '[[step]]\naccess = { at = "6MiB", kind = "write" }\n'
                          'expect = { fault = "write" }\n[[step]]\ntouch = { range = "heap" }\n')
        done = self.gpremap("run", dies, "--json", "/dev/full", status=GUEST_DIED)
        self.assertIn("triple fault", done.stderr)
        self.assertIn("--json /dev/full: cannot be written", done.stderr)

    def test_is_not_there_where_nothing_was_written(self):
        result = self.path("result.json")
        # What the host lacks is found after the file has been tried.
        fails = ["run", self.write("s.toml", HEAP), "--reserve-hugepages", "100000000", "--json", result]
        self.gpremap(*fails, status=HOST_LACKS)
        self.assertFalse(os.path.exists(result))
        self.write("result.json", "older")
        self.gpremap(*fails, status=HOST_LACKS)
        with open(result, encoding="utf-8") as file:
            self.assertEqual(file.read(), "older")


class Check(Case):
    def test_right_files(self):
        scenario = self.write("s.toml", HEAP + '[[step]]\nunmap = { range = "heap" }\n')
        self.assertEqual(self.gpremap("check", scenario).stdout, f"{scenario}: ok (2 steps)\n")

    def test_a_limit_above_the_hosts_memory(self):
        scenario = self.write("s.toml", '[vm]\nlimit = "60TiB"\n' + HEAP)
        done = self.gpremap("check", scenario)
        self.assertRegex(done.stderr, r"limit is 60 TiB, and this host has \d+ MiB")
        done = self.gpremap("check", self.write("s.toml", '[vm]\nlimit = "4MiB"\n' + HEAP))
        self.assertEqual(done.stderr, "")

    def test_an_aperture_whose_tables_are_large(self):
        scenario = self.write("s.toml", '[vm]\nlimit = "4MiB"\naperture = { base = "4GiB", size = "60TiB" }\n' + HEAP)
        done = self.gpremap("check", scenario)
        self.assertRegex(done.stderr, r"aperture is 60 TiB: .* up to 480 GiB of tables .* this host has \d+ MiB")

    def test_addresses_as_they_are_printed(self):
        for address in "0x200000000", "8 GiB", "0x1ff000000+16MiB":
            self.gpremap("check", self.write("s.toml", HEAP.replace("8GiB", address)))

    def test_case_files(self):
        cases = self.write("c.toml", CASE)
        self.assertEqual(self.gpremap("check", cases).stdout, f"{cases}: ok (1 case)\n")

    def test_shows_all_errors_of_all_files(self):
        right = self.write("right.toml", HEAP)
        one = self.write("one.toml", HEAP + '[[step]]\nfil = {}\n[[step]]\ntouch = { range = 3 }\n')
        two = self.write("two.toml", '[vm]\nlimit = "4XiB"\n' + HEAP)
        done = self.gpremap("check", one, right, two, status=BAD_USAGE)
        self.assertEqual(done.stdout, f"{right}: ok (1 step)\n")
        lines = done.stderr.splitlines()
        self.assertEqual(len(lines), 3, done.stderr)
        self.assertTrue(lines[0].startswith(f"{one}:4: key 'step[1].fil': not a step"), lines[0])
        self.assertTrue(lines[1].startswith(f"{one}:6: key 'step[2].touch.range': expected"), lines[1])
        self.assertTrue(lines[2].startswith(f"{two}:2: key 'vm.limit': expected a size such as"), lines[2])

    def test_mistakes_in_a_trace(self):
        scenario = self.write("s.toml", HEAP + '[[step]]\nresize = { range = "heap", trace = "t.csv" }\n')
        for text, line, problem in (("0,4MiB\n2,8MiB\n1,4MiB\n", 3, "time goes back: 1 s stands behind 2 s"),
                                    ("0,4MiB\n1,\n2,8MiB\n", 2, "the size is missing"),
                                    ("seconds,size\n,4MiB\n", 2, "the time is missing"),
                                    ("0,4MiB\n1,lots\n", 2, "expected a size such as")):
            trace = self.write("t.csv", text)
            done = self.gpremap("check", scenario, status=BAD_USAGE)
            self.assertTrue(done.stderr.startswith(f"{trace}:{line}: {problem}"), done.stderr)

    def test_tracks_that_share_a_vcpu(self):
        scenario = self.write("s.toml", '[vm]\nvcpus = 2\n' + HEAP +
                              '[[step]]\ntrack = "a"\nvcpu = 1\ntouch = { range = "heap" }\n'
                              '[[step]]\ntrack = "b"\nvcpu = 1\ntouch = { range = "heap" }\n')
        self.assertIn(f"{scenario}:11: key 'step[2].vcpu': vCPU 1 is that of track 'a' (line 8)",
                      self.gpremap("check", scenario, status=BAD_USAGE).stderr)

    def test_a_bound_of_what_a_step_does_not_have(self):
        scenario = self.write("s.toml", HEAP + '[[step]]\nsleep = 0\nexpect = { call_us = "<5" }\n')
        self.assertIn(f"{scenario}:5: key 'step[1].expect': a 'sleep' has no `call_us`",
                      self.gpremap("check", scenario, status=BAD_USAGE).stderr)

    def test_a_workload_has_a_vcpu_of_its_own(self):
        workload = self.write("w.toml", HEAP + '[[workload]]\nname = "stream"\nrange = "heap"\nvcpu = 1\n')
        self.assertIn(f"{workload}:6: key 'workload[0].vcpu': the VM has 1 vCPU; set vm.vcpus to 2 or more",
                      self.gpremap("check", workload, status=BAD_USAGE).stderr)

    def test_shipped_scenarios(self):
        files = [os.path.join(CONFIGS, name) for name in scenarios() if LIBVIRT or not name.startswith("domains/")]
        self.assertGreater(len(files), 0)
        self.assertEqual(self.gpremap("check", *files).stdout.count(": ok ("), len(files))


DOMAIN = """<domain type='kvm'>
  <name>guest</name>
  <metadata>
    <g:scenario xmlns:g='urn:gpremap:scenario'><![CDATA[
[[step]]
fill = { range = "node0", with = "a" }
]]></g:scenario>
  </metadata>
  <memory unit='MiB'>64</memory>
  <vcpu>2</vcpu>
  <os><type arch='x86_64'>hvm</type></os>
  <clock offset='utc'/>
</domain>
"""


@needs_libvirt
class Parameters(Case):
    FILE = ('[parameters]\nsize = "4MiB"\ntimes = 2\n[[step]]\nmap = { name = "heap", at = "8GiB", size = "$size" }\n'
            '[[step]]\nrepeat = { times = "$times", steps = [ { touch = { range = "heap" } } ] }\n')

    def test_stand_in_the_file_or_on_the_command_line(self):
        file = self.write("p.toml", self.FILE)
        for settings in (), ("--set", "times=7", "--set", "size=1GiB"):
            self.assertIn("ok (2 steps)", self.gpremap("check", file, *settings).stdout)
        done = self.gpremap("check", file, "--set", "times=7", "--set", "size=5x", status=BAD_USAGE)
        self.assertIn("(parameter size, --set size=5x)", done.stderr)

    def test_are_blamed_where_they_are_used(self):
        file = self.write("p.toml", self.FILE)
        done = self.gpremap("check", "--set", "times=often", file, status=BAD_USAGE)
        self.assertIn(f"{file}:7: key 'step[1].repeat.times' (parameter times, --set times=often): expected an "
                      "integer", done.stderr)
        for verb in "run", "check", "compare":
            done = self.gpremap(verb, file, "--set", "sise=1", status=BAD_USAGE)
            self.assertIn("has no parameter 'sise'; known are size, times", done.stderr)

    @needs_kvm
    def test_are_in_the_result(self):
        _, result = self.run_scenario(self.FILE, "--set", "times=3")
        self.assertEqual(result["parameters"], {"size": "4MiB", "times": 3})
        self.assertEqual(len(result["steps"]), 4)


class Domains(Case):
    def test_check(self):
        domain = self.write("guest.xml", DOMAIN)
        scenario = self.write("s.toml", HEAP)
        done = self.gpremap("check", domain, scenario)
        self.assertEqual(done.stdout.splitlines(), [
            f"{domain}: ok (domain guest: 2 vCPUs, begins with 64 MiB (node0 64 MiB), may have 64 MiB, "
            "backing auto; 2 steps)",
            f"  {domain}:12: <clock> is ignored: has no meaning here",
            f"{scenario}: ok (1 step)"])

    def test_invalid(self):
        """libvirt's own message, with the line."""
        broken = self.write("broken.xml", DOMAIN.replace("</memory>", "</memry>"))
        done = self.gpremap("check", broken, status=BAD_USAGE)
        self.assertRegex(done.stderr, re.escape(broken) + r":9: libvirt refuses the domain: .*mismatch")
        unknown = self.write("unknown.xml", DOMAIN.replace("<clock offset='utc'/>", "<clack/>"))
        done = self.gpremap("run", unknown, status=BAD_USAGE)
        self.assertRegex(done.stderr, re.escape(unknown) + r":12: libvirt refuses the domain: .*schema")
        self.assertEqual(done.stdout, "")

    def test_errors_of_the_scenario_inside(self):
        domain = self.write("guest.xml", DOMAIN.replace("fill =", "fil ="))
        done = self.gpremap("check", domain, status=BAD_USAGE)
        self.assertTrue(done.stderr.startswith(f"{domain}:6: key 'step[0].fil': not a step"), done.stderr)

    def test_named_by_a_scenario(self):
        self.write("guest.xml", DOMAIN)
        self.gpremap("check", self.write("s.toml", '[vm]\ndomain = "guest.xml"\npool = "0"\n' + HEAP))
        both = self.write("both.toml", '[vm]\nvcpus = 2\ndomain = "guest.xml"\n' + HEAP)
        done = self.gpremap("check", both, status=BAD_USAGE)
        self.assertTrue(done.stderr.startswith(f"{both}:2: key 'vm.vcpus': comes from the domain"), done.stderr)
        for device in ("/dev/zero", "/dev/null"):
            endless = self.write("endless.toml", f'[vm]\ndomain = "{device}"\n' + HEAP)
            self.assertEqual(self.gpremap("check", endless, status=BAD_USAGE).stderr,
                             f"{endless}:2: key 'vm.domain': {device}: not a regular file\n")
        secret = self.write("secret.toml", f'[vm]\ndomain = "{self.write("shadow", "root:secret")}"\n' + HEAP)
        self.assertNotIn("root:secret", self.gpremap("check", secret, status=BAD_USAGE).stderr)
        self.assertIn("/dev/zero: not a regular file", self.gpremap("check", "/dev/zero", status=BAD_USAGE).stderr)
        absent = self.write("absent.toml", '[vm]\ndomain = "nowhere.xml"\n' + HEAP)
        self.assertIn(f"{absent}:2: key 'vm.domain': {self.path('nowhere.xml')}: cannot be read: No such file",
                      self.gpremap("check", absent, status=BAD_USAGE).stderr)

    @needs_kvm
    def test_larger_than_the_host(self):
        large = self.write("large.xml", DOMAIN.replace("'MiB'>64", "'TiB'>16"))
        done = self.gpremap("run", large, status=HOST_LACKS)
        self.assertRegex(done.stderr, r"begins with \d+ KiB of memory, and this host has \d+ KiB")
        self.assertEqual(done.stdout, "")

    @needs_kvm
    def test_run(self):
        result = self.path("result.json")
        done = self.gpremap("run", "-v", self.write("guest.xml", DOMAIN), "--json", result)
        self.assertIn(":12: <clock> is ignored", done.stderr)
        found = self.result(result)
        self.assertEqual(found["vm"]["vcpus"], 2)
        self.assertEqual([step["call"] for step in found["steps"]], ["map", "fill"])
        self.assertEqual((found["map"][0]["at"], found["map"][0]["size"]), (4 * GIB, 64 * MIB))

    @needs_kvm
    def test_shipped_domains(self):
        for name in domains():
            with self.subTest(name):
                options = []
                if name == "domains/hugepages-numa.xml" and free_huge_pages() < 128:
                    if os.geteuid() != 0:
                        self.skipTest("128 huge pages of 2 MiB are needed, and only root can reserve them")
                    options = ["--reserve-hugepages", "128"]
                done = self.gpremap("run", os.path.join(CONFIGS, name), *options)
                self.assertRegex(done.stdout, r"\n\d+ passed, 0 failed\n")


@needs_libvirt
class ExportDomain(Case):
    VMS = {
        "nothing stated": "",
        "all stated": '[vm]\nvcpus = 3   # three\ngranule = "4KiB"\naperture = { base = "8GiB", size = "32GiB" }\n'
                      'limit = "3GiB" # a limit\nbacking = "memfd"\nmechanism = "memslot"\npool = "2MiB"\n',
        "anon": '[vm]\nbacking = "anon"\nlimit = "1GiB"\n',
        "huge": '[vm]\nbacking = "hugetlb-2M"\ngranule = "2MiB"\nlimit = "64MiB"\n',
        "odd": '[vm]\nlimit = 5368713216\n',
    }

    def exported(self, name, text):
        scenario, domain = self.write(name + ".toml", text), self.path(name + ".xml")
        self.assertEqual(self.gpremap("export-domain", scenario, "-o", domain).stdout, "")
        with open(domain, encoding="utf-8") as file:
            written = file.read()
        self.assertEqual(self.gpremap("export-domain", scenario).stdout, written)
        return scenario, domain, written

    def test_what_it_writes(self):
        _, domain, xml = self.exported("vm", self.VMS["all stated"] + HEAP + '# ]]> is the end of CDATA\n')
        for part in ("<domain type=\"kvm\">", "<name>vm</name>", "<vcpu>3</vcpu>", '<source type="memfd"/>',
                     '<maxMemory slots="16" unit="KiB">3145728</maxMemory>', 'model="virtio-mem"', 'model="virtio"'):
            self.assertIn(part, xml)
        self.assertIn(": ok (domain vm: 3 vCPUs, begins with 0 B, may have 3 GiB, backing memfd; 1 step)",
                      self.gpremap("check", domain).stdout)

    @needs_kvm
    def test_round_trip_gives_the_same_vm(self):
        for name, vm in self.VMS.items():
            if name == "huge" and free_huge_pages() < 2:
                continue  # test_huge_pages
            with self.subTest(name):
                scenario, domain, _ = self.exported("vm", vm + HEAP)
                results = []
                for file in (scenario, domain):
                    self.gpremap("run", file, "--json", self.path("result.json"))
                    results.append(self.result(self.path("result.json")))
                self.assertEqual(results[0]["vm"], results[1]["vm"])
                self.assertEqual([step["args"] for step in results[0]["steps"]],
                                 [step["args"] for step in results[1]["steps"]])

    def test_huge_pages(self):
        _, domain, xml = self.exported("vm", self.VMS["huge"] + HEAP)
        self.assertIn('<page size="2048" unit="KiB"/>', xml)
        self.assertIn("may have 64 MiB, backing hugetlb-2M; 1 step", self.gpremap("check", domain).stdout)

    def test_shipped_scenarios(self):
        for name in scenarios():
            with self.subTest(name):
                if name.startswith("domains/"):
                    done = self.gpremap("export-domain", os.path.join(CONFIGS, name), status=BAD_USAGE)
                    self.assertIn("is a libvirt domain already", done.stderr)
                else:
                    self.assertIn("</domain>", self.gpremap("export-domain", os.path.join(CONFIGS, name)).stdout)

    def test_byte_order_mark(self):
        scenario, _, xml = self.exported("marked", "\ufeff" + self.VMS["anon"] + HEAP)
        self.assertNotIn("\ufeff", xml)
        self.gpremap("check", scenario, self.write("marked.xml", "\ufeff" + xml))

    def test_refuses(self):
        inline = self.write("inline.toml", 'vm = { vcpus = 2, limit = "1GiB" }\n' + HEAP)
        self.assertIn("[vm] must be a table of its own",
                      self.gpremap("export-domain", inline, status=BAD_USAGE).stderr)
        right = self.write("right.toml", HEAP)
        self.assertIn("cannot be written",
                      self.gpremap("export-domain", right, "-o", "/proc/no/such", status=BAD_USAGE).stderr)
        wrong = self.write("wrong.toml", "[[step]]\n")
        self.gpremap("export-domain", wrong, status=BAD_USAGE)


class WithoutLibvirt(Case):
    """The same program, linked without libvirt."""

    def test_says_so(self):
        domain = self.write("guest.xml", DOMAIN)
        scenario = self.write("s.toml", '[vm]\ndomain = "guest.xml"\n' + HEAP)
        for arguments in (["check", domain], ["check", scenario], ["run", domain], ["run", scenario],
                          ["export-domain", self.write("right.toml", HEAP)], ["compare", scenario]):
            with self.subTest(arguments):
                done = subprocess.run([WITHOUT_LIBVIRT, *arguments], capture_output=True, text=True, timeout=60,
                                      check=False)
                self.assertEqual(done.returncode, HOST_LACKS, done.stderr)
                self.assertIn("this build has no libvirt: install libvirt-dev", done.stderr)

    def test_doctor_says_so(self):
        done = subprocess.run([WITHOUT_LIBVIRT, "doctor"], capture_output=True, text=True, timeout=60, check=False)
        self.assertRegex(done.stdout, r"libvirt +missing \(optional\) +this build has none(?s:.*)mend: install libvirt-dev")

    def test_the_rest_works(self):
        done = subprocess.run([WITHOUT_LIBVIRT, "check", self.write("s.toml", HEAP)], capture_output=True, text=True,
                              timeout=60, check=False)
        self.assertEqual((done.returncode, done.stderr), (OK, ""))


class Doctor(Case):
    def test_result(self):
        result = self.path("doctor.json")
        done = self.gpremap("doctor", "--json", result, status=OK if KVM else HOST_LACKS)
        with open(result, encoding="utf-8") as file:
            found = json.load(file)
        self.assertEqual(found["schema"], "gpremap.doctor/1")
        self.assertEqual(found["can_run"], KVM)
        named = {finding["what"]: finding for finding in found["findings"]}
        for size in "2M", "1G":
            pages = named["huge pages " + size]
            if not pages["ok"]:
                self.assertTrue("hugetlb-" + size in pages["reason"] or "does not have them" in pages["reason"], pages)
        self.assertEqual(named["ring"]["ok"], len(os.sched_getaffinity(0)) > 2)
        if KVM:  # and no more than a scenario may say
            end = re.search(r"an aperture may end at (\d+) ([GT])iB", named["guest addresses"]["reason"])
            self.assertLessEqual(int(end[1]) * (GIB if end[2] == "G" else 1024 * GIB), 64 * 1024 * GIB)
            self.assertRegex(named["guest addresses"]["reason"], r"and be \d+ [GT]iB large")
        self.assertTrue(named["/dev/kvm"]["needed"])
        self.assertFalse(named["THP"]["needed"])
        if LIBVIRT:
            self.assertLessEqual({"resize_guest", "python3", "busybox", "cpio", "qemu-system-x86_64", "guest's kernel"},
                                 set(named))
        for what in ("open files", "address space", "locked memory", "/dev/kvm", "THP", "THP for shmem", "huge pages 2M", "userfaultfd", "memory"):
            self.assertIn(what, named)
            self.assertIn(what, done.stdout)
        for finding in found["findings"]:
            self.assertTrue(finding["reason"], finding)
            self.assertTrue(finding["ok"] or finding["mend"], finding)

    @needs_libvirt
    def test_temporary_folder_that_cannot_be_used(self):
        for folder in "/nonexistent", "/proc":
            done = self.gpremap("doctor", status=OK if KVM else HOST_LACKS, environment={"TMPDIR": folder})
            self.assertRegex(done.stdout, f"qemu:///embed +missing .*{folder}: No such file or directory\n"
                             " +mend: name one in TMPDIR")

    @needs_libvirt
    @unittest.skipUnless(os.geteuid() == 0, "needs to become another user")
    def test_embedded_driver_is_for_any_user(self):
        """Where it works for root it does for others: compare uses it alike."""
        line = re.compile("qemu:///embed +(ok|missing)")
        if line.search(self.gpremap("doctor", status=OK if KVM else HOST_LACKS).stdout)[1] != "ok":
            self.skipTest("libvirt's QEMU driver does not work here")
        os.chmod(self.folder, 0o777)
        done = self.gpremap_as_nobody("doctor", environment={"HOME": self.folder, "TMPDIR": self.folder})
        self.assertRegex(done.stdout, "qemu:///embed +ok ")

    @needs_libvirt
    def test_connections(self):
        """No daemon need run: then the reason is libvirt's own, and nothing hangs."""
        self.gpremap("doctor", "--json", self.path("doctor.json"), status=OK if KVM else HOST_LACKS)
        with open(self.path("doctor.json"), encoding="utf-8") as file:
            named = {finding["what"]: finding for finding in json.load(file)["findings"]}
        self.assertRegex(named["libvirt"]["reason"], r"^version \d+\.\d+\.\d+$")
        self.assertTrue(named["test:///default"]["ok"])
        for uri in ("qemu:///system", "qemu:///session", "qemu:///embed"):
            self.assertTrue(named[uri]["ok"] or "cannot" in named[uri]["reason"] or "no answer" in named[uri]["reason"],
                            named[uri])


@needs_libvirt
class Compare(Case):
    """What needs no guest; compare_test.py has the rest."""

    SCENARIO = HEAP + '[[step]]\ngrow = { range = "heap", new_size = "8MiB" }\n'

    def test_temporary_folder_that_cannot_be_used(self):
        scenario = self.write("s.toml", self.SCENARIO)
        for folder in "/nonexistent", "/proc":
            done = self.gpremap("compare", scenario, status=HOST_LACKS, environment={"TMPDIR": folder})
            self.assertIn(f"{folder}: No such file or directory: name one in TMPDIR", done.stderr)

    def test_what_is_missing_is_said_first(self):
        """The program alone, as after a build of nothing else: no traceback, and the command that makes the rest."""
        alone = self.path("bin/gpremap")
        os.makedirs(os.path.dirname(alone))
        shutil.copy(GPREMAP, alone)
        scenario = self.write("s.toml", self.SCENARIO)
        for arguments in ["compare", scenario], ["doctor"]:
            done = subprocess.run([alone, *arguments], capture_output=True, text=True, timeout=60, check=False,
                                  env={**os.environ, "PATH": "/nonexistent"})
            said = done.stdout + done.stderr
            self.assertEqual(done.returncode, OK if KVM and arguments == ["doctor"] else HOST_LACKS, said)
            self.assertIn("resize_guest is not there", said)
            self.assertIn("./bootstrap compare, which builds it", said)
            self.assertIn("apt-get install busybox-static", said)
            self.assertNotIn("Traceback", said)

    def test_nothing_in_it_points_into_the_source_tree(self):
        with open(GPREMAP, "rb") as file:
            text = file.read()
        self.assertNotIn(os.fsencode(os.path.dirname(os.path.abspath(CONFIGS))) + b"/guest", text)

    @unittest.skipUnless(shutil.which("python3") and os.geteuid() == 0, "needs root, whose home is elsewhere")
    def test_a_home_that_is_not_there(self):
        self.gpremap("doctor", status=OK if KVM else HOST_LACKS, environment={"HOME": "/nonexistent"})
        self.assertFalse(os.path.exists("/nonexistent"))

    @unittest.skipUnless(shutil.which("busybox") and shutil.which("cpio"), "busybox or cpio is missing")
    def test_cache_that_cannot_be_written(self):
        done = self.gpremap("compare", self.write("s.toml", self.SCENARIO), status=HOST_LACKS,
                            environment={"XDG_CACHE_HOME": "/proc/none"})
        self.assertIn("the kernel cannot be kept in /proc/none/gpremap: No such file or directory: name a folder in "
                      "XDG_CACHE_HOME", done.stderr)
        self.assertNotIn("Traceback", done.stderr)


@needs_kvm
class Run(Case):
    def test_schema(self):
        done, result = self.run_scenario(
            '[vm]\nvcpus = 2\n' + HEAP +
            '[[step]]\nfill = { range = "heap", with = "stamp" }\n'
            '[[step]]\nmove = { range = "heap", to = "16GiB" }\nexpect = { at = "16GiB", moved = true }\n'
            '[[step]]\nverify = { range = "heap", with = "stamp" }\nvcpu = 1\n'
            '[[step]]\nrelease = { range = "heap" }\n'
            '[[step]]\nverify = { range = "heap", with = "zero" }\n')
        self.assertEqual(result["schema"], "gpremap.run/1")
        self.assertRegex(result["tool"]["version"], r"^\d+\.\d+\.\d+$")
        self.assertEqual(set(result["host"]), {"kernel", "cpu", "mmu", "thp"})
        self.assertIn(result["host"]["mmu"], ("ept", "npt", "shadow"))
        self.assertEqual(result["vm"], {"vcpus": 2, "granule": 4096, "backing": "auto", "mechanism": "auto", "pause": "auto", "snapshots": "later",
                                        "aperture": {"base": 4 * GIB, "size": 64 * GIB}, "limit": 4 * GIB, "pool": 0,
                                        "pre_fault": False, "ring": False})
        self.assertRegex(result["began"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual([step["index"] for step in result["steps"]], list(range(6)))
        self.assertEqual([step["call"] for step in result["steps"]],
                         ["map", "fill", "move", "verify", "release", "verify"])
        for step in result["steps"]:
            self.assertTrue(step["ok"], step)
            self.assertGreater(step["guest_ns"], 0)
            self.assertEqual(step["bytes"], 4 * MIB)
            self.assertEqual(set(step["stall_ns"]), {"vcpu0", "vcpu1"})
            self.assertLessEqual({"memslot_ioctls", "mmap", "mremap", "madvise", "pages_4k", "pages_2m", "faults",
                                  "tlb_flushes", "exits"}, set(step["stage2"]))
            self.assertIn(step["huge_kept"], (True, False))
        self.assertEqual([step["vcpu"] for step in result["steps"]], [0, 0, 0, 1, 0, 0])
        for before, after in zip(result["steps"], result["steps"][1:]):
            self.assertLessEqual(before["begin_ns"] + before["guest_ns"], before["end_ns"])
            self.assertLessEqual(before["end_ns"], after["begin_ns"])
        fill = result["steps"][1]
        self.assertEqual(fill["args"], {"at": 8 * GIB, "size": 4 * MIB, "with": "stamp", "seed": 0})
        self.assertEqual(fill["expect"], {})
        move = result["steps"][2]
        self.assertEqual(move["expect"], {"at": 16 * GIB, "moved": True})
        self.assertEqual((move["result"], move["errno"], move["moved"]), (16 * GIB, None, True))
        self.assertEqual(move["args"]["from"], 8 * GIB)
        self.assertGreater(move["call_ns"], 0)
        self.assertGreaterEqual(move["guest_ns"], move["call_ns"])
        self.assertEqual(result["steps"][4]["host_returned"], 4 * MIB)
        self.assertEqual(result["series"], [])
        self.assertEqual(len(result["map"]), 1)
        entry = result["map"][0]
        self.assertEqual((entry["at"], entry["size"], entry["prot"]), (16 * GIB, 4 * MIB, "rw"))
        self.assertIn(entry["maps_with"], ("4KiB", "2MiB", "1GiB"))
        self.assertEqual(result["summary"], {"passed": 6, "failed": 0, "skipped": 0})
        self.assertIn("6 passed, 0 failed", done.stdout)
        self.assertIn("the host has back 4 MiB", done.stdout)

    def test_provenance(self):
        scenario = HEAP + "# with a comment\n"
        _, result = self.run_scenario(scenario, "--mechanism", "window")
        provenance = result["provenance"]
        self.assertEqual(provenance["version"], result["tool"]["version"])
        self.assertEqual(provenance["command"][1:2] + provenance["command"][-2:], ["run", "--mechanism", "window"])
        self.assertEqual(provenance["folder"], os.getcwd())
        self.assertLessEqual(provenance["started"], result["began"])
        source = provenance["scenario"]
        self.assertEqual((source["file"], source["text"]), (self.path("s.toml"), scenario))
        self.assertEqual(source["sha256"], hashlib.sha256(scenario.encode()).hexdigest())
        self.assertEqual(source["options"], {"backing": None, "mechanism": "window", "granule": None, "pool": None})
        for when in "host_before", "host_after":
            self.assertEqual(len(provenance[when]["load"]), 3)
            self.assertIsNotNone(provenance[when]["steal_ms"])

    def test_csv_of_a_run_without_workloads(self):
        self.run_scenario(HEAP, "--csv", self.path("series.csv"))
        with open(self.path("series.csv"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "workload,vcpu,t_ns,ops,bytes,max_ns\n")
        done, _ = self.run_scenario(HEAP, "--csv", "-")
        self.assertEqual(done.stdout, "workload,vcpu,t_ns,ops,bytes,max_ns\n")
        self.assertIn("1 passed", done.stderr)

    def test_journal(self):
        """In place of an older one; where the result is no file there is none."""
        self.write("result.jsonl", "older\n" * 1000)
        self.run_scenario(HEAP + "[[step]]\nsleep = 0\n")  # which looks at it
        self.gpremap("run", self.path("s.toml"), "--json", "-")
        self.assertEqual(sorted(os.listdir(self.folder)), ["result.json", "result.jsonl", "s.toml"])

    def test_what_each_step_was_about(self):
        _, result = self.run_scenario(
            HEAP + '[[step]]\nprotect = { range = "heap", prot = "r" }\n'
            '[[step]]\naccess = { range = "heap", offset = 8, kind = "write", value = 7 }\n'
            'expect = { fault = { kind = "write", address = "heap+8B" } }\n'
            '[[step]]\naccess = { range = "heap", kind = "read" }\nexpect = { read = 0 }\n'
            '[[step]]\nverify = { range = "heap", with = "zero" }\n'
            '[[step]]\nsleep = 0.25\n[[step]]\ncheckpoint = "then"\n'
            '[[step]]\nprotect = { range = "heap", prot = "rw" }\n'
            '[[step]]\nfill = { range = "heap", with = "b" }\n'
            '[[step]]\ntouch = { range = "heap", write = true }\n')
        write, read, verify, sleep, checkpoint, _, fill, touch = result["steps"][2:]
        fault = {"kind": "write", "address": 8 * GIB + 8}
        self.assertEqual((write["args"], write["expect"]), ({"at": 8 * GIB + 8, "kind": "write", "value": 7}, {"fault": fault}))
        self.assertEqual(write["fault"], {**fault, "vcpu": 0})
        self.assertEqual((read["args"]["kind"], read["expect"], read["fault"]), ("read", {"read": 0}, None))
        self.assertEqual((verify["args"]["with"], fill["args"]["with"]), ("zero", "b"))
        self.assertEqual(sleep["args"], {"seconds": 0.25})
        self.assertGreaterEqual(sleep["end_ns"] - sleep["begin_ns"], 250_000_000)
        self.assertEqual(checkpoint["args"], {"label": "then"})
        self.assertEqual([(entry["at"], entry["prot"]) for entry in checkpoint["map"]], [(8 * GIB, "r")])
        self.assertNotIn("map", sleep)
        self.assertTrue(touch["args"]["write"])

    def test_rows_fit_a_terminal(self):
        done, _ = self.run_scenario(HEAP + '[[step]]\nlinux = { range = "heap", new_size = "8MiB", '
                                    'flags = ["MAYMOVE", "FIXED"], to = "32GiB" }\n')
        for line in done.stdout.splitlines():
            self.assertLessEqual(len(line), 110, line)
        self.assertNotIn("\x1b", done.stdout + done.stderr)

    def test_dump_stage2(self):
        for option, name in (("--dump-stage2", "EPT"), ("--dump-stage2=arm", "ARM stage 2")):
            done, result = self.run_scenario(HEAP + '[[step]]\ncheckpoint = true\n', option)
            self.assertIn(f"stage 2 as {name} entries", done.stdout)
            for line in done.stdout.splitlines():
                self.assertLessEqual(len(line), 110, line)
            table = result["stage2"]
            pages = result["map"][0]["pages"]
            self.assertEqual(table["pages_4k"] * 4096 + table["pages_2m"] * 2 * MIB, 4 * MIB)
            self.assertEqual(table["pages_2m"], pages["pages_2m"])
            self.assertIn("backing", pages["obstacles"]["1GiB"])
            self.assertEqual(len(table["first_entries"]), 1)
            self.assertTrue(table["kvm"].get("agree") or table["kvm"]["not_compared"], table["kvm"])

    def test_dump_stage2_of_larger_granules(self):
        for option, page, block in (("--dump-stage2=arm-16k", "pages_16k", "pages_32m"),
                                    ("--dump-stage2=arm-64k", "pages_64k", "pages_512m")):
            done, result = self.run_scenario(HEAP, "--granule", "2MiB", option)
            self.assertIn("granule entries", done.stdout)
            table = result["stage2"]
            self.assertEqual(table[page] * int(page[6:-1]) * 1024, 4 * MIB)
            self.assertEqual(table[block], 0)
            self.assertNotIn("pages_4k", table)
            self.assertIn(table["contiguous"], (0, table[page]))  # where the host has huge pages, all of them
            for line in done.stdout.splitlines():
                self.assertLessEqual(len(line), 110, line)

    def test_copies_beside_the_median_move(self):
        done, result = self.run_scenario(
            HEAP + '[[step]]\nmap = { name = "copy", size = "4MiB" }\n'
            '[[step]]\ncopy = { from = "heap", to = "copy" }\n'
            '[[step]]\ncopy = { from = "heap", to = "copy", size = "8KiB" }\n'
            '[[step]]\nrepeat = { times = 2, steps = [ { move = { range = "heap", to = "16GiB" } },\n'
            '                                         { move = { range = "heap", to = "8GiB" } } ] }\n'
            '[[step]]\nmove = { range = "heap", to = "24GiB" }\n'
            '[[step]]\ncopy = { from = "heap", to = "copy" }\n')
        took = sorted(step["guest_ns"] for step in result["steps"] if step["call"] == "move")
        of_copy = result["steps"][2]["guest_ns"]
        lines = done.stdout.split(" failed\n")[1].splitlines()
        self.assertEqual(len(lines), 3, lines)  # 8 KiB was copied and not moved
        us = [f"{ns / 1000:.1f}" for ns in took]
        self.assertEqual(lines[0], f"4 MiB: moved in {us[2]} us "
                         f"(the median of 5 moves, which took {us[0]} to {us[4]} us)")
        factor = re.fullmatch(r"    ([\d.]+) times (faster than|as fast as) the guest's own copy: "
                              rf"{of_copy / 1000:.1f} us \(step 2: copy from=heap to=copy\)", lines[1])
        self.assertTrue(factor, lines[1])
        self.assertAlmostEqual(float(factor[1]), of_copy / took[2], delta=0.51)
        self.assertIn("(step 9: copy from=heap to=copy)", lines[2])
        compared, = result["comparisons"]
        self.assertEqual({key: compared[key] for key in ("bytes", "moves", "median", "min", "max")},
                         {"bytes": 4 * MIB, "moves": 5, "median": took[2], "min": took[0], "max": took[4]})
        self.assertEqual([copy["index"] for copy in compared["copies"]], [2, 9])
        self.assertAlmostEqual(compared["copies"][0]["factor"], of_copy / took[2])

    def test_copy_beside_the_only_move(self):
        done, _ = self.run_scenario(
            HEAP + '[[step]]\nmap = { name = "copy", size = "4MiB" }\n'
            '[[step]]\ncopy = { from = "heap", to = "copy" }\n'
            '[[step]]\nmove = { range = "heap", to = "16GiB" }\n')
        self.assertRegex(done.stdout, r"\n4 MiB: moved in [\d.]+ us \(the only move\)\n    [\d.]+ times ")

    def test_failed_expectations(self):
        steps = {
            'verify = { range = "heap", with = "a" }': r"the byte at 0x200000000 \(offset 0x0\) is 0x00, expected 0x61",
            'unmap = { at = "20GiB", size = "4KiB" }': r"expected success, got EFAULT",
            'access = { at = "8GiB", kind = "read" }\nexpect = { fault = "read" }': r"nothing faulted",
            'release = { range = "heap" }\nexpect = { errno = "EINVAL" }': r"expected EINVAL, but the call succeeded",
            'unmap = { at = "20GiB", size = "4KiB" }\nexpect = { errno = "EINVAL" }': r"expected EINVAL, got EFAULT",
            'move = { range = "heap", to = "16GiB" }\nexpect = { moved = false }': r"to stay, but it moved",
            'access = { at = "8GiB+4MiB", kind = "write" }\nexpect = { fault = "read" }':
                r"expected a read fault, got a write fault at 0x200400000",
            'access = { at = "8GiB+4MiB", kind = "write" }\nexpect = { fault = { kind = "write", address = "9GiB" } }':
                r"expected a fault at 0x240000000, got a write fault at 0x200400000",
            'touch = { at = "8GiB", size = "8MiB" }': r"unexpected read fault at 0x200400000 \(vCPU 0, rip 0x",
        }
        for step, problem in steps.items():
            with self.subTest(step):
                done, result = self.run_scenario(HEAP + "[[step]]\n" + step + '\n[[step]]\nsleep = 0\n', status=FAILED)
                self.assertRegex(done.stdout, r"FAILED .*s\.toml:4: .*" + problem)
                self.assertEqual(result["summary"], {"passed": 2, "failed": 1, "skipped": 0})
                self.assertRegex(result["steps"][1]["problem"], problem)

    def test_what_needs_a_range_that_a_failed_step_would_have_made_is_skipped(self):
        done, result = self.run_scenario(
            HEAP + '[[step]]\nmap = { name = "x", at = "8GiB", size = "4KiB" }\n'
            '[[step]]\nalias = { range = "x", name = "y" }\n'
            '[[step]]\nrepeat = { times = 2, steps = [ { touch = { range = "y" } }, { touch = { range = "heap" } } ] }\n',
            status=FAILED)
        self.assertEqual([step["skipped_for"] for step in result["steps"]], [None, None, 1, 1, None, 1, None])
        self.assertEqual([step["ok"] for step in result["steps"]], [True, False, False, False, True, False, True])
        self.assertEqual(result["steps"][2]["problem"], "skipped: step 1 failed")
        self.assertEqual(result["summary"], {"passed": 3, "failed": 1, "skipped": 3})
        self.assertIn("3 passed, 1 failed, 3 skipped", done.stdout)
        self.assertEqual(done.stdout.count("skipped: step 1 failed"), 3)
        self.assertEqual(len(re.findall("(?m)^    FAILED ", done.stdout)), 1)  # below the row that says so, too

    def test_a_range_that_is_made_after_all(self):
        """Its name is the same in every turn; the limit keeps the first from being made."""
        _, result = self.run_scenario(
            '[vm]\nlimit = "6MiB"\n' + HEAP + '[[step]]\nrepeat = { times = 2, steps = [\n'
            '    { map = { name = "x", size = "4MiB" } }, { touch = { range = "x" } }, { unmap = { range = "x" } },\n'
            '    { shrink = { range = "heap", new_size = "4KiB" } },\n] }\n', status=FAILED)
        self.assertEqual([step["ok"] for step in result["steps"]],
                         [True] + [False, False, False, True] + [True] * 4)

    def test_access_reads_what_is_expected(self):
        read = '[[step]]\naccess = { range = "heap", offset = 8, kind = "read" }\nexpect = { read = %s }\n'
        fill = '[[step]]\nfill = { range = "heap", with = "a" }\n'
        self.run_scenario(HEAP + fill + read % "0x6161616161616161")
        done, _ = self.run_scenario(HEAP + fill + read % "0x6161616161616162", status=FAILED)
        self.assertRegex(done.stdout,
                         r"FAILED .*s\.toml:6: expected to read 0x6161616161616162, got 0x6161616161616161")

    def test_across_two_views_of_a_ring(self):
        self.run_scenario(
            HEAP + '[[step]]\nalias = { range = "heap", to = "heap+4MiB", name = "again" }\n'
            '[[step]]\nfill = { range = "heap", offset = "2MiB", size = "4MiB", with = "r" }\n'
            '[[step]]\nverify = { range = "heap", size = "8MiB", with = "r" }\n'
            '[[step]]\nmap = { name = "other", size = "8MiB" }\n'
            '[[step]]\ncopy = { from = "heap", to = "other", size = "8MiB" }\n'
            '[[step]]\nverify = { range = "other", with = "r" }\n')

    def test_a_batch_and_a_query_of_any_length(self):
        """As many calls as the ABI allows, and more extents than the buffer of a vCPU holds."""
        pages = [f'{{ map = {{ at = "8GiB+{8 * page}KiB", size = "4KiB" }} }}' for page in range(2048)]
        batches = "".join(f"[[step]]\nbatch = [ {', '.join(pages[first:first + 256])} ]\n"
                          for first in range(0, len(pages), 256))
        _, result = self.run_scenario('[vm]\nvcpus = 2\n' + batches +
                                      '[[step]]\nquery = { at = "8GiB", size = "16MiB" }\nvcpu = 1\n')
        extents = result["steps"][-1]["extents"]
        self.assertEqual(result["steps"][-1]["result"], len(pages))
        self.assertEqual([e["at"] for e in extents], [8 * GIB + 8 * KIB * page for page in range(len(pages))])

    def test_batch_and_query(self):
        _, result = self.run_scenario(
            HEAP + '[[step]]\nbatch = [ { map = { name = "b", at = "20GiB", size = "2MiB" } },\n'
            '{ protect = { range = "b", prot = "r" } }, { map = { name = "c", size = "8KiB" } } ]\n'
            '[[step]]\nfill = { range = "c", with = "q" }\n'
            '[[step]]\nbatch = [ { unmap = { range = "b" } }, { move = { range = "heap", to = "c" } } ]\n'
            'expect = { errno = "EEXIST" }\n'
            '[[step]]\nquery = { range = "b" }\n')
        self.assertEqual(result["steps"][3]["errno"], "EEXIST")
        extents = result["steps"][4]["extents"]
        self.assertEqual([(e["at"], e["size"], e["prot"]) for e in extents], [(20 * GIB, 2 * MIB, "r")])
        self.assertIn(extents[0]["maps_with"], ("4KiB", "2MiB"))  # as in the map

    def test_repeat_and_inflate(self):
        _, result = self.run_scenario(
            HEAP + '[[step]]\nrepeat = { times = 3, steps = [ { touch = { range = "heap" } }, { sleep = 0 } ] }\n'
            '[[step]]\ninflate = { range = "heap", from = "4MiB", to = "16MiB", seconds = 0.1, steps = 3 }\n'
            '[[step]]\ninflate = { range = "heap", from = "16MiB", to = "2MiB", seconds = 0, steps = 2 }\n'
            '[[step]]\ncheckpoint = true\n')
        self.assertEqual([step["call"] for step in result["steps"]],
                         ["map"] + ["touch", "sleep"] * 3 + ["inflate"] * 5 + ["checkpoint"])
        self.assertEqual([step["args"]["new_len"] for step in result["steps"] if step["call"] == "inflate"],
                         [8 * MIB, 12 * MIB, 16 * MIB, 9 * MIB, 2 * MIB])
        self.assertEqual(result["map"][0]["size"], 2 * MIB)

    def test_sizes_from_a_trace(self):
        self.write("sizes.csv", "seconds,size\n0,8MiB\n0.05,2MiB\n")
        _, result = self.run_scenario(HEAP + '[[step]]\nresize = { range = "heap", trace = "sizes.csv" }\n')
        self.assertEqual([step["args"]["new_len"] for step in result["steps"][1:]], [8 * MIB, 2 * MIB])
        self.assertGreaterEqual(result["steps"][2]["begin_ns"], 50_000_000)

    def test_tracks(self):
        _, result = self.run_scenario(
            '[vm]\nvcpus = 3\n' + HEAP +
            '[[step]]\nmap = { name = "other", size = "4MiB" }\n'
            '[[step]]\ntrack = "resizer"\nvcpu = 1\nrepeat = { times = 10, steps = [\n'
            '{ grow = { range = "heap", new_size = "+4MiB", may_move = true } },\n'
            '{ shrink = { range = "heap", new_size = "-4MiB" } } ] }\n'
            '[[step]]\nlabel = "filling"\nfill = { range = "other", with = "a" }\n'
            '[[step]]\nduring = "filling"\nvcpu = 2\nquery = { range = "other" }\n'
            '[[step]]\nat = "200ms"\ntouch = { range = "other" }\n')
        steps = result["steps"]
        self.assertEqual([step["index"] for step in steps], list(range(25)))
        self.assertEqual({step.get("track") for step in steps}, {None, "resizer"})
        self.assertEqual([step["vcpu"] for step in steps], [0, 0] + [1] * 20 + [0, 2, 0])
        self.assertEqual(steps[22]["label"], "filling")
        self.assertGreaterEqual(steps[23]["begin_ns"], steps[1]["end_ns"])
        self.assertGreaterEqual(steps[24]["begin_ns"], 200_000_000)
        self.assertEqual([extent["size"] for extent in result["map"]], [4 * MIB, 4 * MIB])

    def test_statistics_and_one_row_of_many_turns(self):
        done, result = self.run_scenario(
            HEAP + '[[step]]\nrepeat = { times = 20, steps = [ { move = { range = "heap", to = "16GiB" } },\n'
            '{ move = { range = "heap", to = "8GiB" }, expect = { call_us = { p99 = "<10000000" }, copies = 0 } } ] }\n')
        self.assertEqual(len(re.findall(r"^ +\d+ move .* 20 times; call us:", done.stdout, re.M)), 2, done.stdout)
        statistics = result["statistics"]
        self.assertEqual([(of["call"], of["arguments"], of["n"]) for of in statistics],
                         [("map", result["statistics"][0]["arguments"], 1), ("move", "heap to=16GiB", 20),
                          ("move", "heap to=8GiB", 20)])
        for of in statistics:
            for key in ("call_ns", "guest_ns"):
                self.assertTrue(of[key]["min"] <= of[key]["median"] <= of[key]["p99"] <= of[key]["max"], of)
        self.assertEqual(result["steps"][2]["expect"], {"call_us": {"p99": "<10000000"}, "copies": 0})

    def test_a_bound_that_does_not_hold(self):
        _, result = self.run_scenario(
            HEAP + '[[step]]\nmove = { range = "heap", to = "16GiB" }\nexpect = { call_us = "<0.001", copies = 0 }\n',
            status=FAILED)
        self.assertRegex(result["steps"][1]["problem"], r"call_us is [0-9.]+, expected <0.001$")

    def test_fail_fast(self):
        text = (HEAP + '[[step]]\nunmap = { range = "heap" }\nexpect = { errno = "EINVAL" }\n'
                '[[step]]\nsleep = 0\n[[step]]\nsleep = 60\n')
        done, result = self.run_scenario(text, "--fail-fast", status=FAILED)
        self.assertEqual([step["skipped_for"] for step in result["steps"]], [None, None, 1, 1])
        self.assertIn("skipped: step 1 failed", done.stdout)
        self.assertEqual(result["summary"], {"passed": 1, "failed": 1, "skipped": 2})

    def test_a_wait_for_the_pool(self):
        _, result = self.run_scenario('[vm]\npool = "4MiB"\n' + HEAP + '[[step]]\nwait = { pool = "2MiB" }\n')
        self.assertTrue(result["steps"][1]["ok"])

    def test_inflate_of_a_range_that_is_not_where_it_begins(self):
        _, result = self.run_scenario(
            HEAP + '[[step]]\ninflate = { range = "heap", from = "8MiB", to = "16MiB", seconds = 0, steps = 2 }\n')
        self.assertEqual([step["args"]["new_len"] for step in result["steps"][1:]], [12 * MIB, 16 * MIB])

    def test_inflate_that_ends_in_an_errno(self):
        """The resizes before the last may succeed; the last must not."""
        inflate = ('[vm]\nlimit = "%s"\n' + HEAP + '[[step]]\ninflate = { range = "heap", from = "4MiB", to = "16MiB", '
                   'seconds = 0, steps = 3 }\nexpect = { errno = "ENOMEM" }\n')
        _, result = self.run_scenario(inflate % "9MiB")
        self.assertEqual([step["errno"] for step in result["steps"]], [None, None, "ENOMEM", "ENOMEM"])
        _, result = self.run_scenario(inflate % "1GiB", status=FAILED)
        self.assertEqual([step["ok"] for step in result["steps"]], [True, True, True, False])

    @needs_kvm
    def test_a_pool_of_each_backing(self):
        again = ('[[step]]\nunmap = { range = "heap" }\n[[step]]\nwait = { pool = "2MiB" }\n'
                 '[[step]]\nmap = { name = "again", at = "8GiB", size = "4MiB" }\n'
                 '[[step]]\nverify = { range = "again", with = "zero" }\n')
        for backing in "anon", "memfd":
            with self.subTest(backing):
                _, result = self.run_scenario('[vm]\npool = "2MiB"\n' + HEAP + again, "--backing", backing)
                self.assertEqual(result["vm"]["pool"], 2 * MIB)
                mapped = [step for step in result["steps"] if step["call"] == "map"]
                self.assertEqual([step["pool_bytes"] for step in mapped], [2 * MIB, 2 * MIB])

    @needs_kvm
    def test_pre_fault(self):
        """Where KVM cannot, that is said, and the run is the same."""
        done, result = self.run_scenario('[vm]\npre_fault = true\n' + HEAP + '[[step]]\ntouch = { range = "heap" }\n'
                                         '[[step]]\nmove = { range = "heap", to = "16GiB" }\n')
        self.assertIs(result["vm"]["pre_fault"], True)
        can = "pre_fault: this host's KVM cannot" not in done.stderr
        self.assertEqual(result["steps"][-1]["pre_faulted"], result["steps"][-1]["bytes"] if can else 0)

    def test_overrides(self):
        _, result = self.run_scenario(HEAP, "--backing", "memfd", "--mechanism", "window", "--granule", "2MiB")
        self.assertEqual(result["vm"], {"vcpus": 1, "granule": 2 * MIB, "backing": "memfd", "mechanism": "window", "pause": "auto", "snapshots": "later",
                                        "aperture": {"base": 4 << 30, "size": 64 << 30}, "limit": 4 << 30,
                                        "pool": 0, "pre_fault": False, "ring": False})
        self.assertEqual(result["map"][0]["backing"], "memfd")

    def test_guest_that_dies(self):
        """Overwriting the agent's own page tables ends the guest, and not the program."""
        done, result = self.run_scenario(
            HEAP + '[[step]]\naccess = { at = "6MiB", kind = "write" }\nexpect = { fault = "write" }\n'
            '[[step]]\ntouch = { range = "heap" }\n', status=GUEST_DIED)
        self.assertIn("triple fault", done.stderr)
        self.assertIn("triple fault", result["died"])
        # With shadow paging KVM sees the write; else the processor knows the old tables for a while.
        self.assertRegex(done.stdout, r"\n1 passed, [12] failed")

    def test_log(self):
        log = self.path("log")
        scenario = self.write("s.toml", HEAP)
        self.assertEqual(self.gpremap("run", scenario, "-q", "--log", log).stderr, "")
        with open(log, encoding="utf-8") as file:
            self.assertIn("step 0: map", file.read())
        self.assertIn("step 0: map", self.gpremap("run", scenario, "-v").stderr)


README = os.path.join(SOURCE, "README.md")


def shape(text):
    """A table and what stands below it, without what each run measures anew: of a row its number, call, arguments and
    result, over all of its lines."""
    lines = text.splitlines()
    rule = next(i for i, line in enumerate(lines) if line.startswith("--- "))
    ends = [match.end() for match in re.finditer("-+", lines[rule])]
    columns = [slice(begin, end) for begin, end in zip([0] + ends, ends[:4])]
    rows = {}
    for line in lines[rule + 1:lines.index("", rule)]:
        cells = [line[column].strip() for column in columns]
        if cells[0]:
            rows[int(cells[0])] = row = cells[1:]
        elif not line.startswith("    the host has back"):
            row[:] = [f"{old} {more}".strip() for old, more in zip(row, cells[1:])]
    below = [re.sub(r"[\d.]+ times (faster than|as fast as)", "N times faster than", re.sub(r"\d+\.\d", "N", line))
             for line in lines[lines.index("", rule) + 1:] if line]
    return lines[rule - 1:rule + 1], rows, below


@needs_kvm
class Readme(Case):
    @unittest.skipUnless(os.path.exists(README), "no README.md beside the configurations")
    def test_sample_is_what_the_quickstart_prints(self):
        with open(README, encoding="utf-8") as file:
            sample = next(block for block in file.read().split("```") if "\n--- " in block)
        head, rows, below = shape(sample)
        done = self.gpremap("run", os.path.join(CONFIGS, "quickstart.toml"))
        printed_head, printed_rows, printed_below = shape(done.stdout)
        self.assertEqual(head, printed_head)
        self.assertGreater(len(rows), 5)
        for index, row in rows.items():
            self.assertEqual(row, printed_rows[index], index)
        self.assertEqual(below, printed_below)


@needs_kvm
class ShippedScenarios(Case):
    def test_each(self):
        """Each runs as it stands; their comments promise what is expected here."""
        promises = {
            "quickstart.toml": r"512 MiB: moved in .*\n    \d+ times faster than the guest's own copy",
            "move-1g.toml": r"1 GiB: moved in .*\n    \d+ times faster .*to=fresh\)\n    \d+ times faster .*to=touched\)",
            "linux-realloc.toml": r"512 MiB: moved in .*\n    \d+ times faster",
            "netbsd-wx.toml": r"returned 1 (?s:.*) returned 2 (?s:.*)write fault(?s:.*)execute fault",
            "utek-shift.toml": r"EMCOLLIDE, as expected(?s:.*)the host has back 64 MiB(?s:.*)the host has back 64 MiB",
        }
        for name in scenarios():
            if name.startswith("domains/"):
                continue  # they have a test of their own
            with self.subTest(name):
                done = self.gpremap("run", os.path.join(CONFIGS, name))
                self.assertRegex(done.stdout, r"\n\d+ passed, 0 failed\n")
                self.assertRegex(done.stdout, promises.get(name, ""))

    def test_realloc_never_copies(self):
        result = self.path("result.json")
        self.gpremap("run", os.path.join(CONFIGS, "linux-realloc.toml"), "--json", result)
        grown = [step for step in self.result(result)["steps"] if step["call"] == "linux" and step["moved"]]
        self.assertEqual([step["bytes"] // MIB for step in grown], [8, 16, 32, 64, 128, 256, 512])
        for step in grown:
            self.assertEqual(step["stage2"]["copies"], 0)


@needs_kvm
class Bench(Case):
    """That everything is measured and written down; not how long anything takes."""

    def bench(self, *arguments):
        result = self.path("bench.json")
        done = self.gpremap("bench", *arguments, "--json", result)
        found = self.result(result)
        self.assertEqual(found["schema"], "gpremap.bench/1")
        self.assertIn(found["host"]["mmu"], ("ept", "npt", "shadow"))
        self.assertRegex(found["tool"]["version"], r"^\d+\.\d+\.\d+$")
        self.assertIn("MMU kind " + found["host"]["mmu"], done.stdout)
        self.assertEqual({pinning["vcpus"] for pinning in found["pinning"]},
                         {2 if row["bench"] == "stall" or " beside " in row["unit"] else 1 for row in found["rows"]})
        for pinning in found["pinning"]:
            enough = len(os.sched_getaffinity(0)) > pinning["vcpus"]
            self.assertEqual(pinning["note"] is None, enough, pinning)
            self.assertEqual(len(pinning["cpus"] or []), pinning["vcpus"] if enough else 0)
            self.assertIn(pinning["note"] or f"the rest of this program on {pinning['host_cpus'][0]}", done.stdout)
        self.assertEqual(len(done.stdout.splitlines()), 2 + len(found["pinning"]) + len(found["rows"]), done.stdout)
        for line in done.stdout.splitlines():
            self.assertLessEqual(len(line), 110, line)
        self.assertEqual(done.stderr, "")
        return found["rows"]

    def test_what_was_measured_before_the_host_refused_something(self):
        with subprocess.Popen([GPREMAP, "bench", "--runs", "1", "--max-size", "2MiB", "--json", self.path("b.json")],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
            while not running.stdout.readline().startswith("move "):
                self.assertIsNone(running.poll())
            resource.prlimit(running.pid, resource.RLIMIT_AS, (8 * GIB, 8 * GIB))  # the next VM has no place
            _, said = running.communicate(timeout=60)
        self.assertEqual(running.returncode, HOST_LACKS, said)
        result = self.result(self.path("b.json"))
        self.assertGreater(len(result["rows"]), 0)
        self.assertIn("of host address space for the aperture", result["host_error"])

    def test_each_backing_and_mechanism(self):
        rows = self.bench("move", "--runs", "1", "--max-size", "2MiB")
        self.assertLessEqual({("anon", "window"), ("anon", "memslot"), ("memfd", "window"), ("memfd", "memslot")},
                             {(row["backing"], row["mechanism"]) for row in rows})

    def test_schema(self):
        rows = self.bench("--runs", "1", "--max-size", "2MiB", "--backing", "memfd", "--mechanism", "window")
        # A row more where KVM can pre-fault.
        self.assertEqual([row["bench"] for row in rows if row["unit"] != "ns, pre-faulted"],
                         ["move"] * 4 + ["break-even"] * 4 + ["overhead"] * 2 + ["retouch"] * 2 + ["reclaim"] * 4 +
                         ["install"] * 4 + ["exchange"] * 2 + ["stall"] * 4 + ["alias"] + ["snapshot"] * 2 +
                         ["scale"] * 4 + ["hypercall"] * 4)
        self.assertEqual([row["unit"] for row in rows if row["bench"] == "break-even"],
                         ["bytes" + what for what in ("", ", ring", ", beside a writer", ", beside a reader")])
        for row in rows:
            self.assertEqual(list(row), ["bench", "size", "backing", "mechanism", "unit", "median", "p99", "min", "max",
                                         "runs", "samples", "baseline", "baseline_median", "baseline_p99",
                                         "baseline_samples", "ratio"])
            self.assertEqual((len(row["samples"]), len(row["baseline_samples"])), (row["runs"], row["runs"]))
            self.assertEqual((min(row["samples"]), max(row["samples"])), (row["min"], row["max"]))
            self.assertTrue(row["unit"].startswith("bytes" if row["bench"] == "break-even" else "ns"), row)
            self.assertGreater(row["baseline_median"], 0, row)
            self.assertGreater(row["min"], 0, row)
            if row["bench"] == "break-even":
                for size in row["samples"] + row["baseline_samples"]:
                    self.assertIn(size, [4096 << i for i in range(11)])  # up to twice 2 MiB: not even that won
            if row["bench"] == "stall":
                self.assertEqual(row["runs"], 20)
                self.assertAlmostEqual(row["ratio"], row["baseline_p99"] / row["p99"])
                continue
            self.assertEqual(row["runs"], 1)
            self.assertTrue(row["median"] == row["p99"] == row["min"] == row["max"], row)
            ratio = row["baseline_median"] / row["median"]
            self.assertAlmostEqual(row["ratio"], 1 / ratio if row["bench"] == "overhead" else ratio)

    def test_names_and_choices(self):
        rows = self.bench("reclaim", "move", "--runs", "3", "--max-size", "16MiB", "--backing", "anon",
                          "--mechanism", "window", "--granule", "2MiB")
        self.assertEqual([(row["bench"], row["size"], row["unit"]) for row in rows],
                         [("move", size, unit) for size in (2 * MIB, 16 * MIB)
                          for unit in ["ns", "ns, beside a writer", "ns, beside a reader"] +
                          ["ns, ring, reread"] * (size == 2 * MIB)] +
                         [("reclaim", 16 * MIB, "ns" + what) for what in ("", ", to the pool", ", pool, beside a writer",
                                                                          ", pool, beside a reader")])
        for row in rows:
            self.assertEqual((row["backing"], row["mechanism"], row["runs"]), ("anon", "window", 3))
            self.assertTrue(row["min"] <= row["median"] <= row["p99"] <= row["max"], row)

    def test_beside_an_earlier_run(self):
        chosen = ["hypercall", "--runs", "9", "--backing", "anon", "--mechanism", "window", "--max-size", "2MiB"]
        self.bench(*chosen)
        with open(self.path("bench.json"), encoding="utf-8") as file:
            base = json.load(file)
        for faster, verdict, status in (0, "slower", 1), (10**6, "faster", 0):
            for row in base["rows"]:
                row["samples"] = [sample * faster + 1 for sample in row["samples"]]
            done = self.gpremap("bench", *chosen, "--compare", self.write("base.json", json.dumps(base)), status=status)
            self.assertEqual(sum(line.startswith(verdict) for line in done.stdout.splitlines()), len(base["rows"]))
            base["rows"] = [dict(row, samples=[1000] * 9) for row in base["rows"]]
        other = self.write("other.json", json.dumps(dict(base, rows=[dict(row, size=3) for row in base["rows"]])))
        done = self.gpremap("bench", *chosen, "--compare", other, status=BAD_USAGE)
        self.assertIn("expected a result with rows that this run measures, too", done.stderr)


class RunWithoutKvm(Case):
    @unittest.skipUnless(os.geteuid() == 0, "needs to become another user")
    def test_names_what_the_host_lacks(self):
        if os.path.exists("/dev/kvm") and os.stat("/dev/kvm").st_mode & 0o006:
            self.skipTest("anyone may open /dev/kvm here")
        scenario = self.write("s.toml", HEAP)
        os.chmod(self.folder, 0o755)
        done = self.gpremap_as_nobody("run", scenario)
        self.assertEqual(done.returncode, HOST_LACKS, done.stderr)
        self.assertRegex(done.stderr, r"/dev/kvm: .*: ")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[5:])
