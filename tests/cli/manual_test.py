#!/usr/bin/env python3
"""Manual pages and completions, as their readers have them: groff, bash, zsh, fish.

    manual_test.py GPREMAP MANUAL [unittest arguments]

MANUAL is the folder that `gpremap manual` has written to. A shell that is not there skips.
"""
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

GPREMAP, MANUAL = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
PAGES = MANUAL / "man1"


def help_of(*verb):
    return subprocess.run([GPREMAP, *verb, "--help"], capture_output=True, text=True, check=True).stdout


def verbs():
    listed = help_of().split("Subcommands:\n")[1]
    return re.findall(r"^  ([\w-]+) ", listed, re.MULTILINE)


def options(*verb):
    """Of the help, in its order: the first column of what begins with a dash."""
    return re.findall(r"(?<![\w-])--?[a-z][\w-]*", "\n".join(
        re.split(r"  +", line.strip())[0] for line in help_of(*verb).splitlines() if line.startswith("  -")))


def rendered(page):
    """As text; fails at the first warning."""
    done = subprocess.run(["groff", "-man", "-ww", "-Tascii", "-rLL=100n", "-P-cbou", page], capture_output=True,
                          text=True, check=True)
    if done.stderr:
        raise AssertionError(done.stderr)
    return done.stdout


class Pages(unittest.TestCase):
    def test_there_is_one_for_each_verb(self):
        self.assertGreater(len(verbs()), 5)
        self.assertEqual({page.name for page in PAGES.iterdir()},
                         {"gpremap.1", *(f"gpremap-{verb}.1" for verb in verbs())})

    @unittest.skipUnless(shutil.which("groff"), "groff is not there")
    def test_every_option_has_an_entry(self):
        for verb in verbs():
            with self.subTest(verb):
                text = rendered(PAGES / f"gpremap-{verb}.1")
                entries = re.findall(r"(?<![\w-])--?[a-z][\w-]*", "\n".join(
                    line for line in text.splitlines() if line.startswith("       -")))
                self.assertEqual(entries, options(verb))
                self.assertRegex(text, f"(?s)NAME\n +gpremap-{verb} - .*SYNOPSIS\n +gpremap {verb} .*OPTIONS\n.*SEE ALSO")

    @unittest.skipUnless(shutil.which("groff"), "groff is not there")
    def test_the_first_names_the_verbs_and_exit_statuses(self):
        text = rendered(PAGES / "gpremap.1")
        for verb in verbs():
            self.assertIn(f"gpremap-{verb}(1)", text)
        self.assertIn("3 the host lacks something", text)

    def test_the_verb_that_makes_them_is_not_shown(self):
        self.assertNotIn("manual", help_of())
        done = subprocess.run([GPREMAP, "fly"], capture_output=True, text=True, check=False)
        self.assertNotIn("manual", done.stderr)


class Shell:
    """One in a terminal, and what is on its screen after keys have been pressed."""

    def __init__(self, command, environment):
        self.seen = ""
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, os.environ | {"TERM": "dumb", "PS1": "$ "} | environment)

    def press(self, keys, until, seconds=20):
        """Waits for `until` in what is written from now on; returns that, "" where it does not come."""
        os.write(self.terminal, keys.encode())
        seen, late = "", time.monotonic() + seconds
        while time.monotonic() < late:
            if select.select([self.terminal], [], [], 0.2)[0]:
                seen += os.read(self.terminal, 65536).decode(errors="replace")
                if until in seen:
                    return seen
        self.seen = seen
        return ""

    def end(self):
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


class Completion(unittest.TestCase):
    """What is typed has one end, which the shell finds."""

    ENDS = (("gpremap export-d", "export-domain"), ("gpremap run --mech", "--mechanism"),
            ("gpremap run --mechanism mems", "memslot"), ("gpremap check sc", "scenario.toml"),
            ("gpremap run --json re", "result.json"), ("gpremap sweep -o fo", "folder"))

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        for name in "scenario.toml", "result.json":
            pathlib.Path(self.folder, name).touch()
        os.mkdir(os.path.join(self.folder, "folder"))

    def check(self, command, prepare, **environment):
        if not shutil.which(command[0]):
            self.skipTest(f"{command[0]} is not there")
        shell = Shell(command, {"HOME": self.folder, **environment})
        self.addCleanup(shell.end)
        self.assertTrue(shell.press(f"cd {self.folder}; {prepare}; echo re''ady\n", "ready"), shell.seen)
        for typed, expected in self.ENDS:
            with self.subTest(typed):
                self.assertTrue(shell.press(f"{typed}\t", expected[len(typed.split()[-1]):]), shell.seen)
                shell.press("\x15", "", 0.3)  # the line goes

    def test_bash(self):
        self.check(["bash", "--norc", "-i"], f"source {MANUAL}/gpremap")

    def test_zsh(self):
        self.check(["zsh", "-f", "-i"], f"fpath=({MANUAL} $fpath); autoload -Uz compinit; compinit -u -D")

    def test_fish(self):
        """By what its completion says, for it asks terminals for more than this one knows."""
        if not shutil.which("fish"):
            self.skipTest("fish is not there")
        for typed, expected in self.ENDS:
            done = subprocess.run(["fish", "--no-config", "-c", f"source {MANUAL}/gpremap.fish; complete -C '{typed}'"],
                                  cwd=self.folder, env=os.environ | {"HOME": self.folder}, capture_output=True, text=True,
                                  check=True)
            self.assertEqual([line.split("\t")[0].rstrip("/") for line in done.stdout.splitlines()], [expected], typed)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
