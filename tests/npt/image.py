"""The initramfs: busybox, KVM's modules, the commands, and every file that they need."""
import os
import pathlib
import re
import shlex
import shutil
import subprocess

# Everything a command prints goes to the console too, so that a machine that dies says how far it came.
# A command is a process group, because what it leaves running would hold the pipe to tee open.
# Its folder goes out as one tar archive as soon as it has ended. The second processor starts last: see
# machine.py, stale code.
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t debugfs debugfs /sys/kernel/debug
mkdir -p /dev/shm /dev/pts
mount -t tmpfs tmpfs /dev/shm
ln -s /proc/self/fd /dev/fd
for module in /npt/modules/*; do insmod $module; done
{keeper}
echo 1 > /sys/devices/system/cpu/cpu1/online
for command in /npt/commands/*; do
    name=${{command##*/}}
    mkdir -p /results/$name/files
    echo "--- command $name"
    cd /results/$name/files
    {{
        setsid sh -c 'echo $$ > /tmp/group; exec timeout -s KILL {timeout} sh $0' $command
        echo $? > ../status
        kill -KILL -$(cat /tmp/group) 2> /dev/null
    }} < /dev/null 2>&1 | tee ../output
    cd /
    tar -c -f /dev/vport0p1 -C /results $name
done
poweroff -f
"""


def build(folder, linux, options):
    """Writes the initramfs into `folder` and returns its path. `options` are those of run-in-npt."""
    keeper = str(options.keeper.absolute()) if options.keeper else "true"
    root = folder / "root"
    for name in ("bin", "dev", "proc", "sys", "tmp", "root", "results"):
        (root / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox"), root / "bin/busybox")
    _write(root / "init", INIT.format(timeout=options.timeout, keeper=shlex.quote(keeper)), mode=0o755)
    _add_modules(root, linux)
    for index, command in enumerate(options.commands):
        _write(root / f"npt/commands/{index:04}", "exec " + shlex.join(command) + "\n")
    programs = [pathlib.Path(command[0]) for command in options.commands]
    for path in [*options.files, *programs, *([options.keeper] if options.keeper else [])]:
        _add(root, path.absolute())
    return _pack(root, folder / "initramfs")


def _add_modules(root, linux):
    for order, (name, contents) in enumerate(linux.modules.items()):
        target = root / f"npt/modules/{order:02}-{name}.ko"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(contents)


def _add(root, path):
    """Copies a file or a folder's files to their own absolute path inside, with their libraries."""
    if path.is_dir():
        for inner in path.rglob("*"):
            if inner.is_file():
                _add(root, inner)
        return
    _copy(root, path)
    for library in _libraries(path):
        _copy(root, library)


def _libraries(path):
    with path.open("rb") as file:
        if file.read(4) != b"\x7fELF":
            return []
    listed = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=False)  # 1: it is static
    if "not found" in listed.stdout:
        raise SystemExit(f"run-in-npt: {path} lacks a library:\n{listed.stdout}")
    return [pathlib.Path(found) for found in re.findall(r"(/\S+) \(0x", listed.stdout)]


def _copy(root, path):
    target = root / path.relative_to("/")
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


def _write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _pack(root, target):
    names = "\0".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    with target.open("wb") as file:
        subprocess.run(["cpio", "--quiet", "-0", "-o", "-H", "newc", "-R", "0:0"], cwd=root, check=True,
                       input=os.fsencode(names), stdout=file)
    return target
