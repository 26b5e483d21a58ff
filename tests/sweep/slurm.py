"""A Slurm cluster of one node, this one: munged, slurmctld and slurmd on loopback, in a private folder."""
import os
import shutil
import socket
import subprocess
import time

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scancel", "squeue", "sinfo")


def missing():
    """Why there can be none here; empty where there can."""
    if os.geteuid() != 0:
        return "slurmd needs root"
    path = os.environ["PATH"] + ":/usr/sbin"
    lacking = [program for program in PROGRAMS if not shutil.which(program, path=path)]
    return f"not installed: {', '.join(lacking)} (packages slurm-wlm, munge)" if lacking else ""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Slurm:
    """While one exists: `environment` is that of programs which are to find it. Ends what it has started."""

    def __init__(self, folder):
        self.folder = folder
        self.daemons = []
        self.environment = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin",
                            "SLURM_CONF": os.path.join(folder, "slurm.conf")}

    def __enter__(self):
        try:
            self.write_configuration()
            self.start("munged", "--foreground", f"--socket={self.folder}/munge.socket", f"--key-file={self.folder}/key",
                       f"--pid-file={self.folder}/munged.pid", f"--log-file={self.folder}/munged.log",
                       f"--seed-file={self.folder}/seed", "--force")
            self.wait_for("munged", lambda: os.path.exists(f"{self.folder}/munge.socket"))
            self.start("slurmctld", "-D", "-f", self.environment["SLURM_CONF"])
            self.start("slurmd", "-D", "-f", self.environment["SLURM_CONF"], "-N", self.node)
            self.wait_for("the node", lambda: "idle" in self.call("sinfo", "-h", "-o", "%T").stdout)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.cancel_jobs()
        for daemon in reversed(self.daemons):
            daemon.terminate()
        for daemon in self.daemons:
            try:
                daemon.wait(timeout=10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def cancel_jobs(self):
        """Else the steps of what still runs would go on without their daemon."""
        if len(self.daemons) < 3 or any(daemon.poll() is not None for daemon in self.daemons):
            return
        self.call("scancel", "--full", "--user=root")
        late = time.monotonic() + 20
        while self.call("squeue", "-h").stdout.strip() and time.monotonic() < late:
            time.sleep(0.2)

    def write_configuration(self):
        self.node = socket.gethostname().split(".")[0]
        with open(os.path.join(self.folder, "key"), "wb") as file:
            os.fchmod(file.fileno(), 0o400)
            file.write(os.urandom(1024))
        for name in "state", "spool":
            os.mkdir(os.path.join(self.folder, name))
        with open(self.environment["SLURM_CONF"], "w", encoding="utf-8") as file:
            file.write(f"""ClusterName=test
SlurmctldHost={self.node}(127.0.0.1)
SlurmctldPort={free_port()}
SlurmdPort={free_port()}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={self.folder}/munge.socket
CryptoType=crypto/munge
StateSaveLocation={self.folder}/state
SlurmdSpoolDir={self.folder}/spool
SlurmctldPidFile={self.folder}/slurmctld.pid
SlurmdPidFile={self.folder}/slurmd.pid
SlurmctldLogFile={self.folder}/slurmctld.log
SlurmdLogFile={self.folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/linear
ReturnToService=2
SlurmdParameters=config_overrides
MailProg=/bin/true
NodeName={self.node} NodeAddr=127.0.0.1 CPUs=1 State=UNKNOWN
PartitionName=all Nodes={self.node} Default=YES MaxTime=INFINITE State=UP
""")

    def start(self, *command):
        with open(os.path.join(self.folder, command[0] + ".out"), "wb") as out:
            self.daemons.append(subprocess.Popen(command, stdout=out, stderr=out, env=self.environment))

    def call(self, *command, seconds=60):
        return subprocess.run(command, capture_output=True, text=True, env=self.environment, timeout=seconds, check=False)

    def wait_for(self, what, is_there, seconds=60):
        late = time.monotonic() + seconds
        while not is_there():
            dead = [daemon.args[0] for daemon in self.daemons if daemon.poll() is not None]
            if dead or time.monotonic() > late:
                raise RuntimeError(f"{what} does not come up: {self.outputs()}")
            time.sleep(0.2)

    def outputs(self):
        texts = []
        for name in sorted(os.listdir(self.folder)):
            if name.endswith((".out", ".log")):
                with open(os.path.join(self.folder, name), encoding="utf-8", errors="replace") as file:
                    texts.append(f"{name}:\n{file.read()[-1500:]}")
        return "\n".join(texts)

    def run_array(self, script, indices):
        """Runs `script` once for each index, and waits for the end of all."""
        done = self.call("sbatch", "--parsable", f"--array={indices}", f"--output={self.folder}/job-%a.out",
                         "--chdir", self.folder, "--wait", "--wrap", script, seconds=500)
        if done.returncode != 0 and not done.stdout:
            raise RuntimeError(f"sbatch: {done.stderr}")
        return done
