#!/usr/bin/env -S python3 -B
"""Debian 12's 6.12 kernel, taken out of its package and kept in a cache; nothing is installed.

The suite npt runs tests in it, `gpremap compare` resizes it, and it is the Linux guest. The distribution's own 6.1 would boot, too, but
KVM_PRE_FAULT_MEMORY and the statistics that the tests count came later. Run by itself, this downloads it and
prints where it is; with --cached, it downloads nothing and ends with 1 where there is none. With --headers, the same for
its headers, which modules for it are built against.
"""
import contextlib
import lzma
import os
import pathlib
import pwd
import re
import subprocess
import sys
import tempfile

from unavailable import Unavailable

# The cloud flavour has KVM too, is a third of the size, and has virtio built in.
PACKAGE = re.compile(r"^linux-image-6\.12\.(\d+)\+deb12-cloud-amd64(-unsigned)?$")


class Kernel:
    def __init__(self, root):
        self.root = root
        self.image = next(root.glob("boot/vmlinuz-*"))
        self.release = self.image.name.removeprefix("vmlinuz-")

    def modules(self, *names):
        """The named modules and those that they need: name and contents, in the order to load them."""
        loaded = {}
        for name in names:
            self._load(name, loaded)
        return loaded

    def _load(self, name, loaded):
        if name in loaded:
            return
        contents = self._read(name)
        for needed in _depends_on(contents):
            self._load(needed, loaded)
        loaded[name] = contents

    def _read(self, name):
        # A module's file may be spelt with - where its name has _.
        pattern = re.sub("[-_]", "[-_]", name) + ".ko.xz"
        found = next(self.root.glob(f"lib/modules/*/kernel/**/{pattern}"), None)
        if found is None:
            raise Unavailable(f"the kernel in {self.root} has no module {name}: remove that folder and try again")
        return lzma.decompress(found.read_bytes())


def _depends_on(module):
    # The .modinfo section is a list of key=value, each ended by a zero byte.
    listed = re.search(rb"\0depends=([^\0]*)\0", module)
    return [name for name in listed.group(1).decode().split(",") if name] if listed else []


def cache():
    """Raises Unavailable where the user has no home, and names no folder in its place."""
    stated = os.environ.get("XDG_CACHE_HOME")
    if stated:
        return pathlib.Path(stated) / "gpremap"
    # HOME may be wrong, as for a service; it is no place to make folders, then.
    for home in os.environ.get("HOME", ""), _home_of_user():
        if os.path.isabs(home) and os.path.isdir(home):
            return pathlib.Path(home) / ".cache/gpremap"
    raise Unavailable("this user has no home to keep the kernel in: name a folder in XDG_CACHE_HOME")


def _home_of_user():
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return ""


def cached():
    """The newest kernel in the cache, or None."""
    folders = [folder for folder in cache().glob("linux-image-6.12.*") if PACKAGE.match(folder.name)]
    return Kernel(max(folders, key=lambda folder: _release(folder.name))) if folders else None


def obtain():
    """The newest kernel in the cache; downloads one where there is none. Raises Unavailable."""
    with _kept():
        return cached() or Kernel(_download(package := _newest_package(), [package]))


def headers(linux):
    """The folder that modules for the kernel `linux` are built against, of exactly its version; downloads it where the cache
    has none. Raises Unavailable."""
    package = f"linux-headers-{linux.release}"
    version = linux.release.removesuffix("-cloud-amd64")
    common = f"linux-headers-{version}-common"
    folder = pathlib.Path("usr/src") / package
    with _kept():
        root = cache() / package
        if not root.exists():
            try:
                _download(package, [package, common, f"linux-kbuild-{version}"],
                          lambda tree: _find_common_from(tree / folder, common))
            except Unavailable as reason:
                raise Unavailable(f"{reason}. Where apt has only newer ones: remove {linux.root}, and the kernel is "
                                  "downloaded anew, too") from None
    return root / folder


def _find_common_from(folder, common):
    """The Makefile of the flavour names the common one where the package would install it."""
    (folder / "Makefile").write_text(f"include $(dir $(realpath $(lastword $(MAKEFILE_LIST))))../{common}/Makefile\n")


@contextlib.contextmanager
def _kept():
    try:
        yield
    except OSError as error:
        raise Unavailable(f"the kernel cannot be kept in {cache()}: {error.strerror}: name a folder in XDG_CACHE_HOME "
                          "that this user may write to") from None


def _release(package):
    return int(PACKAGE.match(package).group(1))


def _newest_package():
    names = _run("apt-cache", "pkgnames", "linux-image-6.12.").split()
    # apt also names packages that it has only heard of; those have no version to download.
    offered = [name for name in names if PACKAGE.match(name) and "Version:" in _run("apt-cache", "show", name)]
    if not offered:
        raise Unavailable("apt offers no linux-image-6.12.*+deb12-cloud-amd64: on Debian 12 with the security "
                          "archive among its sources, run `sudo apt-get update`")
    return max(offered, key=_release)


def _download(name, packages, amend=lambda tree: None):
    """Unpacks into a folder beside the final one, `name`, and renames it: a cut download leaves no half kernel."""
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache(), prefix="unpacking-") as folder:
        _run("apt-get", "download", "-q", *packages, cwd=folder)
        tree = pathlib.Path(folder) / "tree"
        for archive in pathlib.Path(folder).glob("*.deb"):
            _run("dpkg-deb", "-x", str(archive), str(tree))
        amend(tree)
        final = cache() / name
        if not final.exists():
            tree.rename(final)
    return final


def _run(*command, cwd=None):
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Unavailable(f"{command[0]} is missing: the kernel comes from a Debian package") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Unavailable(f"`{' '.join(command)}` failed: {last}; try `sudo apt-get update`")
    return done.stdout


def main():
    try:
        if sys.argv[1:] == ["--headers"]:
            print(headers(obtain()))
            return
        found = cached() if sys.argv[1:] == ["--cached"] else obtain()
    except Unavailable as reason:
        sys.exit(f"no kernel: {reason}")
    if not found:
        sys.exit(f"none is kept in {cache()} yet")
    print(found.root)


if __name__ == "__main__":
    main()
