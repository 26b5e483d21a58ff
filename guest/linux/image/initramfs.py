"""An initramfs: busybox, an init script, kernel modules and any files, packed by cpio."""
import os
import pathlib
import re
import shutil
import subprocess

from unavailable import Unavailable

NEEDED = {"busybox": "busybox-static", "cpio": "cpio"}

# Every init begins with it: afterwards PATH has busybox's commands, and the modules are loaded.
PREPARE = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in /modules/*; do [ ! -e $module ] || insmod $module; done
"""


def require_programs():
    for program, package in NEEDED.items():
        if shutil.which(program) is None:
            raise Unavailable(f"{program} is missing: install {package}")


class Initramfs:
    def __init__(self, root, init, system=pathlib.Path("/")):
        """Begins one in the folder `root`. `init` is a shell script, what comes after PREPARE. `system` is where the
        libraries and busybox of the machine are: here, or of another processor (arm64.py)."""
        self.root = root
        self.system = system
        for name in ("bin", "dev", "proc", "sys", "tmp", "root"):
            (root / name).mkdir(parents=True)
        busybox = shutil.which("busybox") if system == pathlib.Path("/") else system / "bin/busybox"
        shutil.copy(busybox, root / "bin/busybox")
        self.write("init", PREPARE + init, mode=0o755)

    def add_modules(self, modules):
        for order, (name, contents) in enumerate(modules.items()):
            target = self.root / f"modules/{order:02}-{name}.ko"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(contents)

    def add(self, path):
        """Copies a file or a folder's files to their own absolute path inside, with their libraries."""
        if path.is_dir():
            for inner in path.rglob("*"):
                if inner.is_file():
                    self.add(inner)
            return
        self._copy(path)
        for library in _libraries(path) if self.system == pathlib.Path("/") else _libraries_in(self.system, path):
            self._copy(library)

    def add_program(self, name, path):
        """Copies a program that needs no libraries to /`name`."""
        shutil.copy(path, self.root / name)

    def write(self, path, text, mode=0o644):
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def pack(self, target):
        """Writes the archive to `target`, which it returns."""
        names = "\0".join(str(path.relative_to(self.root)) for path in sorted(self.root.rglob("*")))
        with target.open("wb") as file:
            subprocess.run(["cpio", "--quiet", "-0", "-o", "-H", "newc", "-R", "0:0"], cwd=self.root, check=True,
                           input=os.fsencode(names), stdout=file)
        return target

    def _copy(self, path):
        inside = path.relative_to(self.system if path.is_relative_to(self.system) else "/")
        target = self.root / inside
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)


def _libraries(path):
    with path.open("rb") as file:
        if file.read(4) != b"\x7fELF":
            return []
    listed = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=False)  # 1: it is static
    if "not found" in listed.stdout:
        raise SystemExit(f"{path} lacks a library:\n{listed.stdout}")
    return [pathlib.Path(found) for found in re.findall(r"(/\S+) \(0x", listed.stdout)]


def _libraries_in(system, path):
    """As the loader of `system` would find them, which does not run here: by what each file names."""
    found, waiting = {}, [path]
    while waiting:
        listed = subprocess.run(["readelf", "--dynamic", "--program-headers", str(waiting.pop())], capture_output=True, text=True,
                                check=False).stdout
        for loader in re.findall(r"interpreter: (/[^\]]+)\]", listed):
            found[loader] = system / loader.lstrip("/")
        for name in re.findall(r"\(NEEDED\).*\[([^\]]+)\]", listed):
            if name in found:
                continue
            places = [place / name for folder in ("lib", "usr/lib") for place in (system / folder).glob("*-linux-gnu")]
            library = next((place for place in places if place.exists()), None)
            if library is None:
                raise SystemExit(f"{path} lacks a library: {name} is not in {system}")
            found[name] = library
            waiting.append(library)
    return list(found.values())
