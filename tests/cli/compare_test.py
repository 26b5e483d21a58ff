#!/usr/bin/env python3
"""`gpremap compare` as its user sees it, and what it leaves behind: nothing.

    compare_test.py GPREMAP [unittest arguments]

Skips, and says why, where QEMU, libvirt's driver for it or the guest's kernel is missing; what gets as far as a VM of
its own, also where /dev/kvm cannot be opened.
"""
import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SCHEMAS = os.path.join(TESTS, "../docs/schema")
sys.path.append(os.path.join(TESTS, "schema"))
sys.dont_write_bytecode = True
import schemas  # found there

GPREMAP = sys.argv[1]
MIB = 1 << 20
BAD_USAGE, HOST_LACKS, GUEST_DIED = 2, 3, 4
DRIVERS = "/usr/lib/*/libvirt/connection-driver/libvirt_driver_qemu.so"

SCHEDULE = """
[[step]]
map = { name = "heap", at = "8GiB", size = "128MiB" }
[[step]]
grow = { range = "heap", new_size = "144MiB" }
[[step]]
shrink = { range = "heap", new_size = "128MiB" }
"""


def what_is_missing():
    """In words, or None."""
    for program, package in (("qemu-system-x86_64", "qemu-system-x86"), ("busybox", "busybox-static"), ("cpio", "cpio")):
        if not shutil.which(program):
            return f"{program} is missing: install {package}"
    if not glob.glob(DRIVERS):
        return "libvirt's QEMU driver is missing: install libvirt-daemon-system"
    kernel = os.path.join(os.path.dirname(__file__), "../../guest/linux/image/kernel.py")
    done = subprocess.run(["python3", "-B", kernel], capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode else None


MISSING = what_is_missing()
needs_qemu = unittest.skipIf(MISSING, MISSING)
NO_VM = MISSING or (None if os.access("/dev/kvm", os.R_OK | os.W_OK) else "no access to /dev/kvm")
needs_vm = unittest.skipIf(NO_VM, NO_VM)


class Compare(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def start(self, *arguments, text=SCHEDULE):
        scenario = os.path.join(self.folder, "s.toml")
        with open(scenario, "w", encoding="utf-8") as file:
            file.write(text)
        # What it makes, it makes in here.
        environment = dict(os.environ, TMPDIR=os.path.join(self.folder, "tmp"))
        os.makedirs(environment["TMPDIR"], exist_ok=True)
        command = [GPREMAP, "compare", scenario, "--repeat", "1", *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        self.addCleanup(self.stop, process)
        return process

    @staticmethod
    def stop(process):
        if process.poll() is None:
            process.terminate()
            process.wait(60)

    def finish(self, process, status):
        out, errors = process.communicate(timeout=280)
        self.assertEqual(process.returncode, status, f"{out}\n{errors}")
        self.assert_nothing_left(process)
        return out, errors

    def compare(self, *arguments, status=0, text=SCHEDULE):
        return self.finish(self.start(*arguments, text=text), status)

    def assert_nothing_left(self, process):
        self.assertEqual(os.listdir(os.path.join(self.folder, "tmp")), [])
        self.assertEqual(self.guests(process), [])

    @staticmethod
    def guests(process):
        """The QEMUs that it has started: their names have its pid."""
        found = []
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                with open(path, "rb") as file:
                    words = file.read().split(b"\0")
            except OSError:
                continue
            if any(w.startswith(b"guest=gpremap-") and f"-{process.pid}-".encode() in w for w in words):
                found.append(path)
        return found

    @needs_vm
    def test_completes(self):
        result = os.path.join(self.folder, "result.json")
        out, _ = self.compare("--with", "balloon,virtio-mem", "--accelerate", "emulation", "--json", result)
        self.assertIn("~ distorted: the guest's instructions were emulated", out)
        self.assertIn("init_on_alloc=1 memhp_default_state=online_movable", out)
        for line in out.splitlines():
            self.assertLessEqual(len(line), 110 if not line.startswith(self.folder) else 1000, line)
        with open(result, encoding="utf-8") as file:
            found = json.load(file)
        self.assertEqual(schemas.problems(SCHEMAS, "compare", found), [])
        self.assertEqual(found["qemu"]["accelerator"], "emulation")
        rows = {(row["way"], row["change"]): row for row in found["rows"]}
        self.assertEqual(set(rows), {(way, change) for way in ("gpremap", "balloon", "virtio-mem")
                                     for change in ("grow", "shrink")})
        for (way, change), row in rows.items():
            self.assertEqual(abs(row["to"] - row["from"]), 16 * MIB)
            self.assertEqual(row["guest_ns"]["emulated"], way != "gpremap")
            self.assertEqual(row["ratio"] is None, way != "gpremap", row)
            self.assertEqual(row["event_ns"] is None, way == "gpremap", row)
            self.assertEqual(row["install_ns"] is None, change == "shrink", row)
            self.assertEqual(len(row["guest_ns"]["samples"]), 1)
            self.assertGreater(row["guest_ns"]["median"], 0)
        self.assertEqual(rows["gpremap", "shrink"]["host_bytes"]["median"], -16 * MIB)
        self.assertLess(rows["balloon", "shrink"]["host_bytes"]["median"], -8 * MIB)

    @needs_vm
    def test_interrupted(self):
        process = self.start("--with", "balloon", "--accelerate", "emulation")
        while process.poll() is None and not self.guests(process):
            time.sleep(0.1)
        self.assertIsNone(process.poll(), "ended before its guest was seen")
        process.send_signal(signal.SIGINT)
        out, errors = self.finish(process, -signal.SIGINT)
        self.assertEqual(out, "")
        self.assertIn("everything that was started has been stopped", errors)

    @needs_qemu
    def test_interrupted_at_its_start(self):
        """While libvirt asks each QEMU that it finds what it can, which takes seconds."""
        for _ in range(5):  # on a busy host one may take longer
            process = self.start("--with", "balloon", "--accelerate", "emulation")
            while process.poll() is None and not glob.glob(os.path.join(self.folder, "tmp/*/libvirt")):
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            begin = time.monotonic()
            process.wait(timeout=280)
            took = time.monotonic() - begin
            _, errors = self.finish(process, -signal.SIGINT)
            self.assertIn("everything that was started has been stopped", errors)
            if took < 3:
                break
        self.assertLess(took, 3)

    @needs_qemu
    def test_interrupted_while_something_else_fails(self):
        """libvirt waits for a daemon's answer, and does not look at signals; then the daemon is gone."""
        path = os.path.join(self.folder, "socket")
        with socket.socket(socket.AF_UNIX) as daemon:
            daemon.bind(path)
            daemon.listen()
            daemon.settimeout(60)
            process = self.start("--connect", f"qemu+unix:///system?socket={path}")
            connection, _ = daemon.accept()
            with connection:
                connection.recv(65536)
                process.send_signal(signal.SIGINT)
        _, errors = self.finish(process, -signal.SIGINT)
        self.assertIn("everything that was started has been stopped", errors)

    @needs_vm
    def test_guest_that_never_answers(self):
        _, errors = self.compare("--with", "balloon", "--accelerate", "emulation", "--deadline", "0.1",
                                 status=GUEST_DIED)
        self.assertRegex(errors, r"the guest \(balloon\) did not boot until the deadline|did not answer until")

    @needs_qemu
    def test_daemon_that_is_not_running(self):
        _, errors = self.compare("--connect", f"qemu+unix:///system?socket={self.folder}/none", status=HOST_LACKS)
        self.assertIn("cannot connect to qemu+unix:///system", errors)
        self.assertIn("is that daemon running", errors)

    def test_bad_schedules(self):
        scenarios = {
            '[[step]]\nmap = { name = "a", size = "4MiB" }\n': "no step resizes a range",
            SCHEDULE + '[[step]]\nmap = { name = "b", size = "2MiB" }\n[[step]]\ngrow = { range = "b", new_size = "4MiB" }\n':
                "say which with --range",
            SCHEDULE: "dimm resizes by multiples of 128 MiB; the schedule asks for 128 MiB to 144 MiB",
            SCHEDULE.replace("144MiB", "256MiB").replace('"128MiB" }\n"', "").rsplit("[[step]]", 1)[0]
                + '[[step]]\nshrink = { range = "heap", new_size = "64KiB" }\n': "resizes by multiples of",
        }
        for text, problem in scenarios.items():
            with self.subTest(problem):
                _, errors = self.compare("--with", "virtio-mem,dimm", status=BAD_USAGE, text=text)
                self.assertIn(problem, errors)

    def test_ram_comes_in_memory_blocks(self):
        _, errors = self.compare("--with", "gpremap-linux", status=BAD_USAGE)
        self.assertIn("gpremap-linux resizes by multiples of 128 MiB; the schedule asks for 128 MiB to 144 MiB", errors)
        large = SCHEDULE.replace("128MiB", "2GiB").replace("144MiB", "3GiB")
        _, errors = self.compare("--with", "gpremap-linux", status=BAD_USAGE, text=large)
        self.assertRegex(errors, "its guest would boot with .*, of which 2 GiB are the range's least size; expected at most 2 GiB")

    def test_a_linux_guest_of_ours(self):
        """Where this host's KVM cannot run a kernel, that is said before anything is started; tests/npt runs it then."""
        process = self.start("--with", "gpremap-linux", text=SCHEDULE.replace("144MiB", "256MiB"))
        out, errors = process.communicate(timeout=280)
        self.assert_nothing_left(process)
        if process.returncode == HOST_LACKS:
            self.assertRegex(errors, "/dev/kvm|this host's KVM cannot run a kernel")
            self.assertEqual(out, "")
            return
        self.assertEqual(process.returncode, 0, errors)
        self.assertRegex(out, r"gpremap-linux \+128 MiB(?s:.*)gpremap-linux -128 MiB")
        self.assertNotIn("QEMU ", out)

    def test_bad_usage(self):
        for arguments in (["--with", "tape"], ["--repeat", "0"], ["--deadline", "0"], ["--accelerate", "xen"],
                          ["--memhp-default-state", "gone"], ["--range", "nobody"]):
            with self.subTest(arguments):
                _, errors = self.compare(*arguments, status=BAD_USAGE)
                self.assertNotEqual(errors, "")


if __name__ == "__main__":
    if MISSING:
        print(f"some are skipped: {MISSING}")
    unittest.main(argv=sys.argv[:1] + sys.argv[2:], verbosity=2)
