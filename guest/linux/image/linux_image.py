#!/usr/bin/env -S python3 -B
"""The Linux guest of `--guest linux`: writes `kernel` and `initramfs` into a folder, prints the kernel's release.

    linux_image.py FOLDER [--kernel FILE --headers FOLDER] [--add FILE]...

--kernel: another than Debian's, which is downloaded; --headers: what its modules are built against. --add: a file or a folder
for the initramfs, which is put where it lies here, with its libraries; a program is found by its name, too. A name that is
not there may be that of an example that comes with gpremap. Exit status: 3 where this machine lacks something, which is said.
"""
import argparse
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import initramfs
import kernel
from unavailable import Unavailable

HOST_LACKS = 3
HERE = pathlib.Path(__file__).resolve().parent
BUILD_MODULE = HERE.parent / "module/build-module"
# These lie where they are built, in the build folder, and beside this where they have been installed.
AGENT = HERE.parent / "agent/linux_agent"
EXAMPLES = HERE.parents[1] / "examples/linux"

# All that Linux patches in its own code it patches before the agent runs. What goes wrong is said on the console, and the
# VMM is told by a hypercall; where there is none, by a reboot, which is a triple fault.
INIT = """
ln -s /proc/self/fd /dev/fd
mkdir -p /dev/shm && mount -t tmpfs tmpfs /dev/shm
[ -c /dev/gpremap ] || { echo "gpremap: the module is not loaded"; linux_agent power_off 1; reboot -f; }
linux_agent
status=$?
echo "gpremap: the agent has ended with status $status"
linux_agent power_off 1
reboot -f
"""


def build(folder, wanted):
    """Returns the kernel's release, or the file that it was given. Raises Unavailable."""
    if not AGENT.exists():
        raise Unavailable(f"{AGENT} is missing: build it, with the target linux_guest")
    initramfs.require_programs()
    folder.mkdir(parents=True, exist_ok=True)
    linux = None if wanted.kernel else kernel.obtain()
    with tempfile.TemporaryDirectory() as work:
        module = _module(pathlib.Path(work), wanted.headers or kernel.headers(linux))
        image = initramfs.Initramfs(pathlib.Path(work) / "root", INIT)
        image.add_modules({"gpremap": module})
        image.add_program("bin/linux_agent", AGENT)
        for path in wanted.add:
            _add(image, path)
        image.pack(folder / "initramfs")
    shutil.copyfile(wanted.kernel or linux.image, folder / "kernel")
    return str(wanted.kernel) if wanted.kernel else linux.release


def _add(image, path):
    if not path.exists() and (EXAMPLES / path.name).exists():
        path = EXAMPLES / path.name
    if not path.exists():
        raise Unavailable(f"there is no {path} to add")
    path = path.resolve()
    image.add(path)
    by_name = image.root / "bin" / path.name
    if path.is_file() and not by_name.exists():
        by_name.symlink_to(path)


def _module(folder, headers):
    done = subprocess.run([str(BUILD_MODULE), str(folder), str(headers)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(done.stderr.strip())
    return (folder / "gpremap.ko").read_bytes()


def main():
    parser = argparse.ArgumentParser(description="writes `kernel` and `initramfs` of a Linux guest")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--kernel", type=pathlib.Path)
    parser.add_argument("--headers", type=pathlib.Path)
    parser.add_argument("--add", type=pathlib.Path, action="append", default=[])
    wanted = parser.parse_args()
    if bool(wanted.kernel) != bool(wanted.headers):
        parser.error("--kernel and --headers go together: the module is built against exactly the kernel's headers")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as an exception: what was begun is removed
    try:
        print(build(wanted.folder, wanted))
    except Unavailable as reason:
        print(reason, file=sys.stderr)
        return HOST_LACKS
    return 0


if __name__ == "__main__":
    sys.exit(main())
