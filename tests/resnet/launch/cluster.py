"""A Slurm of one node on loopback, for tests: Debian's slurmctld, slurmd and munge, as root, in a folder of its own.

No accounting, no cgroups, nothing of the system's. `low` is a partition whose jobs those of `high` preempt.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

CONFIGURATION = """
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld}
SlurmdPort={d}
SlurmUser=root
SlurmdUser=root
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
# how long a credential is good is also how long a requeued job waits before it starts again: 120 s unless told
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
{preempt}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MpiDefault=none
SwitchType=switch/none
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=5
MaxArraySize={max_array_size}
ReturnToService=2
# more than the machine may have: small networks share a core well
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=64000
PartitionName=low Nodes={host} Default=YES State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=120
PartitionName=high Nodes={host} State=UP PriorityTier=10 PreemptMode=OFF
"""


def obstacle() -> str:
    """Return why no Slurm can be started here; nothing where it can."""
    if missing := [name for name in ("slurmctld", "slurmd", "sbatch", "munged") if not shutil.which(name)]:
        return f"needs {', '.join(missing)}: Debian's slurmctld, slurmd, slurm-client and munge"
    return "" if os.geteuid() == 0 else "needs root, to start a Slurm"


@contextmanager
def slurm(folder: Path, cpus: int, user_signal=True, max_array_size=1001) -> Iterator[dict[str, str]]:
    """Start a Slurm whose one node has `cpus` CPUs; yield what its commands need in their environment; stop it after.

    Preemption is announced by the signal that the job asked for or, as Slurm has it unless told, by SIGTERM.
    """
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o600)
    host = socket.gethostname().partition(".")[0]
    ctld, d = free_ports(2)
    configuration = folder / "slurm.conf"
    values = {"host": host, "ctld": ctld, "d": d, "cpus": cpus, "folder": folder}
    preempt = "SlurmctldParameters=preempt_send_user_signal" if user_signal else ""
    values |= {"preempt": preempt, "max_array_size": max_array_size}
    configuration.write_text(CONFIGURATION.format(**values))
    environment = os.environ | {"SLURM_CONF": str(configuration)}
    munged = ["munged", "--foreground", "--force", f"--key-file={folder}/munge.key"]
    munged += [f"--socket={folder}/munge.socket", f"--pid-file={folder}/munged.pid", f"--seed-file={folder}/munge.seed"]

    def ask(*command: str) -> str:
        return subprocess.run(command, env=environment, capture_output=True, text=True).stdout

    with ExitStack() as daemons:
        for command in (munged, ["slurmctld", "-D"], ["slurmd", "-D"]):
            daemons.enter_context(daemon(command, folder, environment))
            if command is munged:
                wait_until((folder / "munge.socket").exists, "munged")
        wait_until(lambda: "idle" in ask("sinfo", "--noheader", "--format=%T"), "sinfo to find an idle node")
        try:
            yield {"SLURM_CONF": str(configuration)}
        finally:
            ask("scancel", "--signal=KILL", "--full", "--state=RUNNING", "--me")
            ask("scancel", "--me")
            wait_until(lambda: not ask("squeue", "--noheader"), "the last job to end")


@contextmanager
def daemon(command: list[str], folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """Run a daemon in the foreground of a session of its own, where no Ctrl-C reaches it."""
    with open(folder / f"{command[0]}.log", "wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=600)


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nothing listens on."""
    with ExitStack() as sockets:
        held = [sockets.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in held]


def wait_until(true, what: str, seconds: float = 600) -> None:
    """Wait for something to become true; raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.1)
