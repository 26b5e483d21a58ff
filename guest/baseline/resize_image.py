#!/usr/bin/env -S python3 -B
"""The Linux guest that `gpremap compare` resizes: writes `kernel` and `initramfs` into a folder, prints the release.

    resize_image.py PROGRAM FOLDER

PROGRAM is resize_guest, linked statically. Exit status: 3 where this machine lacks something, which is said.
"""
import pathlib
import shutil
import signal
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "linux/image"))

import initramfs  # noqa: E402  what both Linux guests have in common
import kernel
from unavailable import Unavailable

HOST_LACKS = 3

# All that Linux patches in its own code it patches before the second processor runs: tests/npt/machine.py says why.
INIT = """
echo 1 > /sys/devices/system/cpu/cpu1/online
exec /resize_guest
"""


def build(program, folder):
    """Returns the kernel's release."""
    if not program.exists():
        raise Unavailable(f"{program} is missing: run ./bootstrap compare, which builds it")
    initramfs.require_programs()
    linux = kernel.obtain()
    with tempfile.TemporaryDirectory() as root:
        image = initramfs.Initramfs(pathlib.Path(root), INIT)
        image.add_modules(linux.modules("virtio_balloon", "virtio_mem"))
        image.add_program("resize_guest", program)
        image.pack(folder / "initramfs")
    shutil.copyfile(linux.image, folder / "kernel")
    return linux.image.name.removeprefix("vmlinuz-")


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as an exception: what was begun is removed
    try:
        print(build(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])))
    except Unavailable as reason:
        print(reason, file=sys.stderr)
        return HOST_LACKS
    return 0


if __name__ == "__main__":
    sys.exit(main())
