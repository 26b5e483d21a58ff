#!/usr/bin/python3 -B
"""A kernel that is against its VMM, in ring 0 of a Linux guest: hostile_kernel/. Whatever it does, the run ends in order and in time,
with a documented exit status and the cause, no more memory is taken than the scenario says, and no call changes the boot memory.

    hostile_kernel_test.py GPREMAP KERNEL [TEST...]

HOSTILE_SEED: of all that is random. HOSTILE_SECONDS: how long attacks are made, again and again with further seeds; without it each once.
"""
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time
import unittest

SECONDS = int(os.environ.get("HOSTILE_SECONDS", "0"))
SEED = int(os.environ.get("HOSTILE_SEED", random.SystemRandom().randrange(2**32)))
GPREMAP, KERNEL = (pathlib.Path(path).absolute() for path in sys.argv[1:3])

GUEST_DIED = 4
# MiB. What the program itself takes beside what is mapped, with the copy of its image that it has while it loads it.
LIMIT, BOOT_MEMORY, PROGRAM = 32, 160, 160
FEW = int(os.environ.get("HOSTILE_FEW", "2"))  # attacks that are fatal, where there is no time for all
LONGEST = 120  # s, of a run: under emulation all is slow
SHORT = 3  # s, of those that do not come to their end by themselves: they boot in no time, if nobody else is busy
HOLE = "the kernel uses memory of the aperture that is not mapped"
DEADLINE = "has not asked for steps within [0-9]+ s, linux.boot_deadline"

ANY = "."  # where the guest chooses what it dies of

SURVIVED = ["borders", "ports", "mmio", "msrs", "calls", "rewriting", "resets", "flood", "storm"]
# What the program says of each.
DEADLY = {
    "silence": DEADLINE,
    "halt": DEADLINE,
    "triple-fault": "vCPU 0: triple fault",
    "triple-fault-beside-calls": "vCPU 1: triple fault",
    "hole-read": HOLE + ": read of 0x100a00000",
    "hole-write": HOLE + ": write to 0x100a00000",
    "hole-execute": ANY,
    "hole-exchange": HOLE,
    "hole-string-in": HOLE + ": write to 0x100a00000",
    "hole-string-out": HOLE + ": read of 0x100a00000",
    "hole-in-32-bits": HOLE + ": read of 0x100a00000",
    "hole-tables": ANY,
    "hole-stack": ANY,
    "wide-mmio": ANY,
    "system-management": "KVM has given up the VM|KVM cannot emulate|cannot emulate the instruction|has not asked for steps",
    "interrupt-controllers": ANY,
    "instructions": ANY,
    "version": "speaks version [0-9]+ of the ABI",
    "unhandled": "unhandled fault: ",
    "last-words": "ended with status -1; the console's last lines:",
}

STEPS = f"""
[[step]]
repeat = {{ times = {40 if SECONDS else 8}, steps = [
  {{ map = {{ name = "a", size = "1MiB" }} }},
  {{ fill = {{ range = "a", with = "stamp" }} }},
  {{ verify = {{ range = "a", with = "stamp" }} }},
  {{ touch = {{ range = "a" }} }},
  {{ query = {{ range = "a" }} }},
  {{ batch = [ {{ map = {{ name = "b", size = "1MiB" }} }}, {{ map = {{ name = "c", size = "64KiB" }} }} ] }},
  {{ move = {{ range = "a", to = "4500MiB" }} }},
  {{ grow = {{ range = "a", new_size = "2MiB" }} }},
  {{ access = {{ range = "a", kind = "read" }} }},
  {{ plug = {{ name = "ram", size = "128MiB" }} }},
  {{ unplug = {{ name = "ram", size = "64MiB" }} }},
  {{ unplug = {{ name = "ram" }} }},
  {{ command = {{ run = "true" }} }},
  {{ unmap = {{ range = "a" }} }},
  {{ unmap = {{ range = "b" }} }},
  {{ unmap = {{ range = "c" }} }},
] }}
"""


def scenario(attack, seed, seconds, deadline, steps):
    mechanism = ["window", "memslot"][seed % 2]
    return f"""[vm]
guest = "linux"
vcpus = 2
cpus = "any"
aperture = {{ base = "4GiB", size = "1GiB" }}
limit = "{LIMIT}MiB"
mechanism = "{mechanism}"
deadline = {LONGEST}
[linux]
kernel = "{KERNEL}"
initramfs = "initramfs"
memory = "{BOOT_MEMORY - 96}MiB"
append = "attack={attack} seed={seed} seconds={seconds}"
console = "console"
boot_deadline = {deadline}
{steps}"""


class Run:
    """One run of the program, with a kernel that makes an attack."""

    def __init__(self, attack, seed, seconds=0, deadline=LONGEST, steps="[[step]]\ncheckpoint = true\n"):
        with tempfile.TemporaryDirectory() as folder:
            place = pathlib.Path(folder)
            (place / "initramfs").write_bytes(b"nothing")
            (place / "attack.toml").write_text(scenario(attack, seed, seconds, deadline, steps))
            began = time.monotonic()
            with (place / "said").open("wb") as said:
                # pylint: disable-next=consider-using-with
                program = subprocess.Popen([GPREMAP, "run", "attack.toml", "--json", "result.json"], cwd=place, stdin=subprocess.DEVNULL,
                                           stdout=subprocess.DEVNULL, stderr=said)
                self.status, usage = wait(program, LONGEST + 20 * seconds)
            self.seconds = time.monotonic() - began
            self.memory = usage.ru_maxrss >> 10  # MiB
            self.said = (place / "said").read_text(errors="replace")
            console = place / "console"
            self.console = console.read_text(errors="replace") if console.exists() else ""
            result = place / "result.json"
            self.result = result.read_bytes() if result.exists() else None
        own = "\n".join(line for line in self.console.splitlines() if re.match("attack|WRONG|0x|its memory", line))
        self.told = (f"HOSTILE_SEED={seed} attack={attack}: exit status {self.status} after {self.seconds:.1f} s, "
                     f"{self.memory} MiB\n{self.said}\n{own}")
        cause = re.search("^(gpremap: (?!warning).*|)$", self.said, re.M)
        print(f"  {attack}, seed {seed}: {self.seconds:.1f} s, {self.memory} MiB, exit status {self.status}: {cause and cause[1][:160]}", flush=True)


def wait(program, longest):
    """Its exit status, negative for a signal, and what it has used."""
    end = time.monotonic() + longest
    while True:
        pid, status, usage = os.wait4(program.pid, os.WNOHANG)
        if pid:
            program.returncode = os.waitstatus_to_exitcode(status)
            return program.returncode, usage
        if time.monotonic() > end:
            program.kill()
        time.sleep(0.05)


class HostileKernel(unittest.TestCase):
    def setUp(self):
        self.longMessage = False

    def expect_order(self, run, statuses=(GUEST_DIED,), is_kernel_itself=True):
        """Where it runs any instructions, the kernel is not itself: what it says then may be anything."""
        self.assertIn(run.status, statuses, run.told)
        self.assertNotIn("gpremap: internal error", run.said, run.told)
        if is_kernel_itself:
            self.assertNotIn("WRONG", run.console, run.told)
        self.assertLess(run.memory, LIMIT + BOOT_MEMORY + PROGRAM, run.told)
        if run.status == GUEST_DIED:
            self.assertRegex(run.said, r"the guest died( on vCPU [01])?: .|has not asked for steps within|was not over within", run.told)
        if run.result is not None:
            self.assertIn("steps", json.loads(run.result.decode()), run.told)

    def repeat(self, attack):
        """With a seed of its own each time, until the time is over."""
        end = time.monotonic() + SECONDS
        seed = SEED
        while True:
            attack(seed)
            seed += 1
            if time.monotonic() >= end:
                return

    def test_survives(self):
        def attack(seed):
            run = Run(",".join(SURVIVED), seed, seconds=5 if SECONDS else 0)
            self.expect_order(run)
            self.assertIn("has ended with status 0", run.said, run.told)
            self.assertIn("its memory is as it was", run.console, run.told)
        self.repeat(attack)

    def expect_death(self, run, cause):
        self.expect_order(run, is_kernel_itself=cause != ANY)
        self.assertRegex(run.said, cause, run.told)
        self.assertIsNone(re.search("[^\n -~]", run.said), f"what a terminal would not show as it is: {run.told}")

    def test_dies_in_order(self):
        def attack(seed):
            for name in DEADLY if SECONDS else random.Random(seed).sample(list(DEADLY), FEW):
                with self.subTest(name):
                    self.expect_death(Run(name, seed, deadline=SHORT if DEADLY[name] in (ANY, DEADLINE) else LONGEST), DEADLY[name])
        self.repeat(attack)

    def test_reports(self):
        def attack(seed):
            run = Run("reports", seed, steps=STEPS)
            self.expect_order(run, (1, GUEST_DIED))
            self.assertIsNotNone(run.result, run.told)
            self.assertGreater(len(json.loads(run.result.decode())["steps"]), 0, run.told)
        self.repeat(attack)


if __name__ == "__main__":
    print(f"HOSTILE_SEED={SEED}", flush=True)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
