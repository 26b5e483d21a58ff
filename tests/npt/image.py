"""The initramfs: KVM's modules, the commands, and every file that they need."""
import pathlib
import shlex
import subprocess

import machine
from initramfs import Initramfs
from unavailable import Unavailable

PYTHON = pathlib.Path("/usr/bin/python3")

# Everything a command prints goes to the console too, so that a machine that dies says how far it came.
# A command is a process group, because what it leaves running would hold the pipe to tee open.
# Its folder goes out as one tar archive as soon as it has ended. Processors 1 and up start last (see machine.py,
# stale code), and commands run only on them (see machine.py, CPUS). What the tests count must not change by itself:
# khugepaged would drop entries of KVM's tables when it makes huge pages of small ones.
INIT = """
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
mkdir -p /dev/shm /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t devpts devpts /dev/pts
ln -s /proc/self/fd /dev/fd
echo {huge_pages} > /proc/sys/vm/nr_hugepages
echo 4294967295 > /sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs
{keeper}
for processor in {processors}; do echo 1 > /sys/devices/system/cpu/cpu$processor/online 2> /dev/null; done
for command in /npt/commands/*; do
    name=${{command##*/}}
    mkdir -p /results/$name/files
    echo "--- command $name"
    cd /results/$name/files
    {{
        setsid sh -c 'echo $$ > /tmp/group; exec taskset {affinity} timeout -s KILL {timeout} sh $0' $command
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
    processors = machine.processors(options.paging)
    is_arm = options.paging == machine.STAGE2
    init = INIT.format(timeout=options.timeout, keeper=shlex.quote(keeper), huge_pages=options.huge_pages,
                       processors=" ".join(map(str, processors)), affinity=hex(sum(1 << i for i in processors)))
    image = Initramfs(folder / "root", init, *([linux.root] if is_arm else []))
    image.add_modules({} if is_arm else linux.modules("kvm-amd"))  # ARM's is in the kernel
    for index, command in enumerate(options.commands):
        image.write(f"npt/commands/{index:04}", "exec " + shlex.join(command) + "\n")
    programs = [pathlib.Path(command[0]) for command in options.commands if not (is_arm and command[0] == "/bin/sh")]
    for path in [*options.files, *programs, *([options.keeper] if options.keeper else [])]:
        image.add(path.absolute())
    return image.pack(folder / "initramfs")


def python_paths():
    """Debian's interpreter and its library."""
    if not PYTHON.exists():
        raise Unavailable(f"{PYTHON} is missing: install python3")
    told = subprocess.run([str(PYTHON), "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"],
                          capture_output=True, text=True, check=True)
    return [PYTHON, pathlib.Path(told.stdout.strip())]
