#!/usr/bin/env -S python3 -B
"""Debian 12's packages for arm64, unpacked into a folder of the cache; nothing is installed, and the system's own apt
does not come to know of another architecture.

    arm64.py             downloads what is missing, prints the folder
    arm64.py --cached    downloads nothing; ends with 1 where there is none yet

The folder is what programs for arm64 are linked with, and holds what the machine of tests/arm64 boots: a kernel and
a busybox.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import kernel
from unavailable import Unavailable

PACKAGE = re.compile(r"^linux-image-6\.12\.(\d+)\+deb12-cloud-arm64(-unsigned)?$")

# What the program and its tests are linked with, as far as it is no header alone, and the machine's user space.
LIBRARIES = ["libspdlog-dev", "libseccomp-dev", "libfmt-dev", "nettle-dev", "duktape-dev", "libmicrohttpd-dev", "libgtest-dev",
             "libgmock-dev",
             "librapidcheck-dev", "libbenchmark-dev", "libxml2-dev", "libasio-dev", "libtomlplusplus-dev", "libcli11-dev",
             "nlohmann-json3-dev", "libexpected-dev", "libstdc++-12-dev", "busybox-static"]
# Rises when LIBRARIES changes: a folder of another number is not looked at.
VERSION = 2


def folder():
    return kernel.cache() / f"arm64-{VERSION}"


def cached():
    """The folder, or None."""
    return folder() if folder().is_dir() else None


def obtain():
    """The folder; downloads it where there is none. Raises Unavailable."""
    try:
        return cached() or _download()
    except OSError as error:
        raise Unavailable(f"packages for arm64 cannot be kept in {kernel.cache()}: {error.strerror}: name a folder in "
                          "XDG_CACHE_HOME that this user may write to") from None


class Apt:
    """An apt for arm64 with lists and archives of its own, that takes nothing for installed."""

    def __init__(self, state):
        lists, archives = state / "lists", state / "cache/archives"
        (lists / "partial").mkdir(parents=True)
        (archives / "partial").mkdir(parents=True)
        self.archives = archives
        self.options = [f"-o{option}" for option in (
            "APT::Architecture=arm64", "APT::Architectures=arm64", f"Dir::State::Lists={lists}", f"Dir::Cache={state / 'cache'}",
            "Dir::State::status=/dev/null", "Debug::NoLocking=true", "APT::Sandbox::User=root", "Acquire::Languages=none")]

    def get(self, *arguments):
        return _run("apt-get", *self.options, "-q", *arguments)

    def newest_kernel(self):
        names = _run("apt-cache", *self.options, "pkgnames", "linux-image-6.12.").split()
        offered = [name for name in names
                   if PACKAGE.match(name) and "Version:" in _run("apt-cache", *self.options, "show", name)]
        if not offered:
            raise Unavailable("apt offers no linux-image-6.12.*+deb12-cloud-arm64: the security archive of Debian 12 "
                              "has to be among its sources")
        return max(offered, key=lambda name: int(PACKAGE.match(name).group(1)))


def _download():
    """Unpacks into a folder beside the final one and renames it: a cut download leaves no half of it."""
    kernel.cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kernel.cache(), prefix="unpacking-") as temporary:
        apt = Apt(pathlib.Path(temporary))
        apt.get("update")
        apt.get("install", "--yes", "--download-only", "--no-install-recommends", *LIBRARIES)
        _run("apt-get", *apt.options, "-q", "download", apt.newest_kernel(), cwd=apt.archives)
        tree = pathlib.Path(temporary) / "tree"
        for package in sorted(apt.archives.glob("*.deb")):
            _run("dpkg-deb", "-x", str(package), str(tree))
        _make_links_relative(tree)
        # What meson is told of it: aarch64.ini.
        (tree / "sysroot.ini").write_text(f"[constants]\nsysroot = '{folder()}'\n")
        if not folder().exists():
            shutil.move(tree, folder())
    return folder()


def _make_links_relative(tree):
    """An absolute link would lead out of the folder, to the host's own files."""
    for link in tree.rglob("*"):
        if link.is_symlink() and (target := link.readlink()).is_absolute():
            link.unlink()
            link.symlink_to(os.path.relpath(tree / target.relative_to("/"), link.parent))


def _run(*command, cwd=None):
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        raise Unavailable(f"{command[0]} is missing: what arm64 needs comes from Debian packages") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Unavailable(f"`{command[0]} ... {command[-1]}` for arm64 failed: {last}")
    return done.stdout


def main():
    try:
        found = cached() if sys.argv[1:] == ["--cached"] else obtain()
    except Unavailable as reason:
        sys.exit(f"nothing for arm64: {reason}")
    if not found:
        sys.exit(f"none is kept in {kernel.cache()} yet")
    print(found)


if __name__ == "__main__":
    main()
