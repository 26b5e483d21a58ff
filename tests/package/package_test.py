#!/usr/bin/env -S python3 -B
"""The Debian package, in a minimal Debian 12 of its own: installs, runs, and leaves nothing.

    package_test.py SOURCE

Needs what `./bootstrap package` has made in SOURCE/build-package, root, debootstrap and a Debian mirror: that of this
host's apt. Without one of these it is skipped, and says which. Without /dev/kvm it does what it can, and says what it
has not done. Exit status: 0 all is as it should be; 1 something is not; 77 skipped.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SKIP = 77
QUICKSTART = "/usr/share/gpremap/configs/quickstart.toml"
# Where apt, dpkg and man keep what they have ever seen.
RECORDS = ("var/cache/", "var/lib/apt/", "var/lib/dpkg/", "var/log/", "proc/", "dev/", "sys/", "tmp/")
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8",
               "HOME": "/root"} | {name: value for name, value in os.environ.items() if name.endswith("_proxy")}


class Skipped(Exception):
    pass


def mirror():
    """The first that apt here takes Debian 12 from."""
    for path in [pathlib.Path("/etc/apt/sources.list"), *sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*"))]:
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            found = re.search(r"^deb (?:\[.*\] )?(\S+) bookworm ", text, re.MULTILINE) or \
                re.search(r"^URIs: (\S+)\n(?:.+\n)*?Suites:.* ?bookworm\b", text, re.MULTILINE)
            if found:
                return found.group(1)
    raise Skipped("apt here has no mirror of Debian 12")


def proxy():
    """What apt here is told to use, for debootstrap, which does not ask apt."""
    told = subprocess.run(["apt-config", "dump", "Acquire::http::Proxy"], capture_output=True, text=True, check=False)
    found = re.search(r'Proxy "(.+)";', told.stdout)
    return {"http_proxy": found.group(1)} if found else {}


def package(source):
    found = sorted(pathlib.Path(source, "build-package").glob("gpremap_*.deb"))
    if not found:
        raise Skipped("there is no package: ./bootstrap package makes it")
    return found[-1]


class Debian:
    """A minimal one in `root`, with this host's /dev/kvm where there is one."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        done = subprocess.run(["debootstrap", "--variant=minbase", "bookworm", root, mirror()], env=ENVIRONMENT | proxy(),
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Skipped("debootstrap cannot run here: " + (done.stdout + done.stderr).strip().splitlines()[-1])
        for line in "Acquire::Languages \"none\";", *(f'Acquire::http::Proxy "{url}";' for url in proxy().values()):
            with open(self.root / "etc/apt/apt.conf.d/90test", "a", encoding="utf-8") as file:
                file.write(line + "\n")
        self.kvm = os.path.exists("/dev/kvm")
        if self.kvm:
            os.mknod(self.root / "dev/kvm", os.stat("/dev/kvm").st_mode, os.stat("/dev/kvm").st_rdev)
        subprocess.run(["mount", "-t", "proc", "proc", self.root / "proc"], check=True)

    def end(self):
        subprocess.run(["umount", self.root / "proc"], check=False)

    def run(self, *command, status=0):
        """What it prints on either output."""
        done = subprocess.run(["chroot", self.root, *command], env=ENVIRONMENT, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != status:
            raise AssertionError(f"{' '.join(command)}: exit status {done.returncode}, and not {status}:\n{done.stdout}")
        return done.stdout

    def files(self):
        found = set()
        for folder, _, names in os.walk(self.root):
            for name in ["", *names]:
                path = os.path.relpath(os.path.join(folder, name), self.root)
                if not path.startswith(RECORDS):
                    found.add(path.rstrip("/."))
        return found


def check(condition, what):
    if not condition:
        raise AssertionError(what)
    print(f"ok: {what}", flush=True)


def check_documents(debian):
    page = debian.run("man", "gpremap")
    check("VERBS" in page and "gpremap-run(1)" in page, "man gpremap renders")
    check("--mechanism" in debian.run("man", "gpremap-run"), "man gpremap-run renders")
    offered = debian.run("bash", "--norc", "-c", "source /usr/share/bash-completion/completions/gpremap; complete -p gpremap; "
                         "COMP_WORDS=(gpremap exp) COMP_CWORD=1; _gpremap; echo ${COMPREPLY[@]}")
    check("complete -F _gpremap gpremap" in offered and "export-domain" in offered, "completion loads, and offers")
    check(not debian.run("sh", "-c", "find /usr/share/doc/gpremap -xtype l"), "no link leads nowhere")


def check_program(debian):
    check(re.match(r"gpremap \d+\.\d+\.\d+ \(revision ", debian.run("gpremap", "--version")), "gpremap --version")
    debian.run("sh", "-c", "gpremap check /usr/share/gpremap/configs/*.toml /usr/share/gpremap/configs/experiments/*.toml")
    check(True, "gpremap check takes what is shipped")
    if debian.kvm:
        check(" 0 failed" in debian.run("gpremap", "run", QUICKSTART), f"gpremap run {QUICKSTART}")
        debian.run("gpremap", "doctor")
    else:
        check("/dev/kvm" in debian.run("gpremap", "run", QUICKSTART, status=3), "without /dev/kvm, run names it")
        check("/dev/kvm" in debian.run("gpremap", "doctor", status=3), "without /dev/kvm, doctor names it")
        print(f"not done: gpremap run {QUICKSTART}, for this host has no /dev/kvm", flush=True)


def test(source, root):
    deb = package(source)
    debian = Debian(root)
    try:
        debian.run("apt-get", "update")
        debian.run("apt-get", "install", "--yes", "--no-install-recommends", "man-db")
        before = debian.files()
        shutil.copy(deb, debian.root / "tmp/gpremap.deb")
        debian.run("apt-get", "install", "--yes", "--no-install-recommends", "/tmp/gpremap.deb")
        check(True, f"{deb.name} installs")
        check_program(debian)
        check_documents(debian)
        needed = debian.run("apt-mark", "showauto").split()
        debian.run("apt-get", "remove", "--yes", "gpremap")
        check(not [path for path in debian.files() if "gpremap" in path], "apt remove leaves nothing of it")
        debian.run("apt-get", "autoremove", "--purge", "--yes")
        left = {path for path in debian.files() - before if not path.endswith(".pyc")}
        check(needed and not left, f"nor anything of what it needs, but {sorted(left)}" if left else
              "nor anything of what it needs")
    finally:
        debian.end()


def main():
    try:
        if os.geteuid() != 0:
            raise Skipped("only root can make a Debian in a folder")
        if not shutil.which("debootstrap"):
            raise Skipped("debootstrap is not installed")
        with tempfile.TemporaryDirectory(prefix="gpremap-package-") as root:
            test(sys.argv[1], root)
    except Skipped as reason:
        print(f"skipped: {reason}")
        return SKIP
    except AssertionError as problem:
        print(f"not ok: {problem}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
