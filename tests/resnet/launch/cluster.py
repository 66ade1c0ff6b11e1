"""A one-node Slurm on loopback, for tests: Debian's slurmctld, slurmd and munge, as root, in a folder of its own.

It has no accounting and no cgroups, and uses none of the system's configuration. Jobs of the partition `high` preempt
those of `low`.
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
# the lifetime of a credential is also how long a requeued job waits before it restarts (default: 120 s)
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
# allows more CPUs than the machine has: small networks share a core well
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=64000
PartitionName=low Nodes={host} Default=YES State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=120
PartitionName=high Nodes={host} State=UP PriorityTier=10 PreemptMode=OFF
"""


def why_no_slurm() -> str:
    """Return why no Slurm can be started here, or "" if one can."""
    if missing := [name for name in ("slurmctld", "slurmd", "sbatch", "munged") if not shutil.which(name)]:
        return f"needs {', '.join(missing)}: Debian's slurmctld, slurmd, slurm-client and munge"
    return "" if os.geteuid() == 0 else "needs root to start Slurm"


@contextmanager
def slurm(folder: Path, cpus: int, user_signal=True, max_array_size=1001) -> Iterator[dict[str, str]]:
    """Start a Slurm with one node of `cpus` CPUs; yield the environment that its commands need; stop it at the end.

    With `user_signal`, a preempted job gets the signal that it asked for, otherwise SIGTERM, which is Slurm's default.
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
    """Run a daemon in its own session, where Ctrl-C does not reach it."""
    with open(folder / f"{command[0]}.log", "wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=600)


def free_ports(count: int) -> list[int]:
    """Return loopback ports that nothing listens on."""
    with ExitStack() as sockets:
        held = [sockets.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in held]


def wait_until(true, what: str, seconds: float = 600) -> None:
    """Wait until `true()` holds; raises TimeoutError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.1)
