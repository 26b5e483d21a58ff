"""The emulated machine, and what came out of it."""
import re
import shutil
import subprocess
import tarfile

from unavailable import Unavailable

MEMORY_GIB = 4
# One, number 0, for the kernel alone: QEMU's emulated FPU clears a flag of processor 0 whenever any processor
# restores its FPU state, by reading and writing back all of hflags2, unguarded. In there is also whether nested
# paging is on. So a vCPU that is entered on processor 0 may lose it, run on the host's physical memory, and
# triple-fault. ./image.py lets commands run on the others.
CPUS = 3
# tsc=reliable: else the kernel takes a busy host for a broken clock, and patches its scheduler for that (see Run).
KERNEL_COMMAND_LINE = "console=ttyS0 panic=-1 quiet maxcpus=1 tsc=reliable"
# Its processor's second stage: KVM falls back to shadow paging where there is none. STAGE2 is another machine, whose
# processor is ARM's: guests with LPA2 hang there.
STAGE2 = "stage2"
PAGING = {"nested": "max,+svm", "shadow": "max,+svm,-npt", STAGE2: "max,pauth-impdef=on,lpa2=off"}


class Outcome:
    """What one command left: exit status, output, and the files of its working directory."""

    def __init__(self):
        self.status = None
        self.output = ""
        self.files_ = {}

    def add(self, name, contents):
        if name == "status":
            self.status = int(contents)
        elif name == "output":
            self.output = contents.decode(errors="replace")
        else:
            self.files_[name.removeprefix("files/")] = contents

    def ending(self):
        return {0: "passed", 77: "skipped"}.get(self.status, "failed")

    def save_files(self, folder):
        for name, contents in self.files_.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(contents)


class Run:
    def __init__(self, outcomes, console):
        self.outcomes = outcomes
        self.console_tail = "\n".join(console.splitlines()[-40:])
        # Linux patches its own code while other processors run it, behind a breakpoint. QEMU before 8.1 may
        # run the breakpoint from a translation that is out of date by then, and the kernel dies of it. So
        # one processor does all there is to patch, and ./keeper.cpp keeps it so. What is left is rare, and
        # no program can bring it about, so another boot hides nothing of ours. What a command prints may
        # stand before it in the line.
        self.died_of_stale_code = re.search(r"\[ *[\d.]+\] Oops: int3", console) is not None


def require_qemu(paging):
    program, package = ("qemu-system-aarch64", "qemu-system-arm") if paging == STAGE2 else ("qemu-system-x86_64", "qemu-system-x86")
    if shutil.which(program) is None:
        raise Unavailable(f"{program} is missing: install {package}")


def processors(paging):
    """Those that commands run on. On ARM's there is nothing to keep from."""
    return range(CPUS - 1) if paging == STAGE2 else range(1, CPUS)


def boot(folder, linux, initramfs, timeout, paging, gigantic_pages):
    """Runs the machine until it powers off, dies, or `timeout` seconds have passed. `paging`: of PAGING."""
    console, channel = folder / "console", folder / "results.tar"
    with console.open("wb") as log:
        try:
            subprocess.run(_command(linux, initramfs, channel, paging, gigantic_pages), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                           timeout=timeout, check=False)
        except subprocess.TimeoutExpired:
            log.write(f"\nrun-in-npt: ended the machine after {timeout} s\n".encode())
    return Run(_outcomes(channel), console.read_text(errors="replace"))


def _command(linux, initramfs, channel, paging, gigantic_pages):
    # While it boots there is still a whole gigabyte in one piece.
    huge_pages = f"hugepagesz=1G hugepages={gigantic_pages} default_hugepagesz=2M"
    if paging == STAGE2:
        qemu, cpus = ["qemu-system-aarch64", "-machine", "virt,virtualization=on,gic-version=3"], CPUS - 1
        command_line = f"console=ttyAMA0 panic=-1 quiet {huge_pages}"
    else:
        qemu, cpus = ["qemu-system-x86_64"], CPUS
        command_line = f"{KERNEL_COMMAND_LINE} {huge_pages}"
    return [*qemu, "-accel", "tcg,thread=multi", "-cpu", PAGING[paging],
            "-smp", str(cpus), "-m", f"{MEMORY_GIB + gigantic_pages}G", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-kernel", str(linux.image), "-initrd", str(initramfs), "-append", command_line,
            "-serial", "stdio", "-device", "virtio-serial-pci",
            "-chardev", f"file,id=results,path={channel}", "-device", "virtserialport,chardev=results"]


def _outcomes(channel):
    """The commands' archives follow each other; the last is cut short where the machine died."""
    outcomes = {}
    if not channel.exists() or not channel.stat().st_size:
        return outcomes
    try:
        with tarfile.open(channel, ignore_zeros=True) as archive:
            for member in archive:
                index, _, name = member.name.partition("/")
                if member.isfile():
                    outcomes.setdefault(int(index), Outcome()).add(name, archive.extractfile(member).read())
    except tarfile.TarError:
        pass
    return outcomes
