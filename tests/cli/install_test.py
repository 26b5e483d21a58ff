#!/usr/bin/env python3
"""What `meson install` puts somewhere works there, and knows nothing of where it was built.

    install_test.py MESON BUILD SOURCE [unittest arguments]
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

MESON, BUILD, SOURCE = sys.argv[1], os.path.abspath(sys.argv[2]), os.path.abspath(sys.argv[3])
KVM = os.access("/dev/kvm", os.R_OK | os.W_OK)


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        subprocess.run([MESON, "install", "-C", BUILD, "--no-rebuild", "--quiet", "--strip", "--destdir", folder.name],
                       check=True, stdout=subprocess.DEVNULL)
        # The tree stands elsewhere than the prefix says, and is found all the same.
        programs = list(pathlib.Path(folder.name).glob("**/bin/gpremap"))
        assert len(programs) == 1, programs
        cls.program = programs[0]
        cls.prefix = cls.program.parents[1]

    def gpremap(self, *arguments, status=0):
        done = subprocess.run([self.program, *arguments], capture_output=True, text=True, check=False, cwd="/")
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def test_all_is_there(self):
        for path in ("bin/gpremap", "libexec/gpremap/baseline/resize_guest", "libexec/gpremap/baseline/resize_image.py",
                     "libexec/gpremap/linux/image/kernel.py", "libexec/gpremap/linux/image/initramfs.py",
                     "libexec/gpremap/linux/image/unavailable.py", "libexec/gpremap/linux/image/linux_image.py",
                     "libexec/gpremap/linux/agent/linux_agent", "libexec/gpremap/linux/module/build-module",
                     "libexec/gpremap/linux/module/main.c", "libexec/gpremap/examples/linux/wx-views",
                     "share/gpremap/guest/linux/module/gpremap.h", "share/gpremap/guest/abi/linux.h",
                     "share/gpremap/guest/runtime/call.h", "libexec/gpremap/examples/hash-table",
                     "libexec/gpremap/examples/store", "share/gpremap/configs/quickstart.toml",
                     "share/gpremap/configs/domains/plain.xml", "share/gpremap/configs/experiments/huge-pages.toml",
                     "share/gpremap/schema/run.json", "share/gpremap/guest/runtime/program.h",
                     "share/gpremap/guest/abi/hypercall.h", "share/doc/gpremap/README.md", "share/doc/gpremap/LICENSE",
                     "share/doc/gpremap/CHANGELOG.md", "share/doc/gpremap/docs/results.md",
                     "share/doc/gpremap/docs/schema/run.json", "share/man/man1/gpremap.1", "share/man/man1/gpremap-run.1",
                     "share/bash-completion/completions/gpremap", "share/zsh/site-functions/_gpremap",
                     "share/fish/vendor_completions.d/gpremap.fish"):
            self.assertTrue((self.prefix / path).is_file(), path)
        self.assertEqual([path for path in self.prefix.rglob("meson.build")], [])

    def test_nothing_points_to_where_it_was_built(self):
        looked = 0
        for path in self.prefix.rglob("*"):
            if path.is_file():
                looked += 1
                text = path.read_bytes()
                for folder in {SOURCE, BUILD}:
                    self.assertNotIn(folder.encode(), text, path)
        self.assertGreater(looked, 50)

    def test_what_is_shipped_is_valid(self):
        version = self.gpremap("--version").stdout
        self.assertRegex(version, r"^gpremap \d+\.\d+\.\d+ \(revision ")
        changelog = pathlib.Path(SOURCE, "debian/changelog").read_text(encoding="utf-8")
        self.assertEqual(changelog.split()[:2], ["gpremap", f"({version.split()[1]})"])
        configs = sorted(str(path) for path in (self.prefix / "share/gpremap/configs").rglob("*.toml"))
        self.assertGreater(len(configs), 10)
        self.gpremap("check", *configs)

    @unittest.skipUnless(shutil.which("gcc"), "gcc is not there")
    def test_a_program_for_the_guest_can_be_built(self):
        share = self.prefix / "share/gpremap"
        document = (self.prefix / "share/doc/gpremap/docs/guest-programs.md").read_text(encoding="utf-8")
        source = document.split("```c\n")[1].split("```")[0]
        command = document.split("```sh\n")[1].split("```")[0]
        with tempfile.TemporaryDirectory() as folder:
            hello = pathlib.Path(folder, "hello.c")
            hello.write_text(source, encoding="utf-8")
            subprocess.run(["sh", "-c", command.replace("hello.c", str(hello)).replace("-o hello", f"-o {folder}/hello")],
                           cwd=share, check=True)

    @unittest.skipUnless(KVM, "no access to /dev/kvm")
    def test_runs(self):
        self.gpremap("run", str(self.prefix / "share/gpremap/configs/quickstart.toml"))
        self.gpremap("run", str(self.prefix / "share/gpremap/configs/experiments/hash-table.toml"), "--set", "keys=30000",
                     "--set", "seconds=1")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[4:])
