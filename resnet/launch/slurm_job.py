"""A run as a Slurm job: the command `python -m resnet.run …`, and what to do when Slurm asks it to stop."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from resnet.launch.slurm_queue import OVER

SIGNALS = (signal.SIGTERM, signal.SIGUSR2)
EARLY = 90  # seconds by which Slurm may send its signal too early (60), and a job begin late


class Unsuccessful(Exception):
    """The run ended by itself, not well, and has said why."""


@dataclass(frozen=True)
class RunJob:
    """The run of a folder as a job of at most `timeout_min` minutes, told of its end `signal_delay_s` seconds before.

    Slurm announces a time limit by SIGUSR2, and a preemption by that or by SIGTERM, as its administrators chose. Either
    lets the run finish its step and exit; it is then put back into the queue, and later goes on after its last epoch.
    """

    timeout_min: int
    signal_delay_s: int
    max_num_timeout: int

    def __call__(self, folder: str, overrides: Sequence[str]) -> None:
        """Bring the run to its end; raises Unsuccessful, or SystemExit where it was stopped."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # until someone is there to answer
        from resnet.launch.answers import answered
        from resnet.record.folder import RunFolder
        from resnet.run import main

        signal.signal(signal.SIGUSR2, lambda signum, frame: os.kill(os.getpid(), signal.SIGTERM))
        run, started = RunFolder(Path(folder)), time.monotonic()
        epochs = len(run.metrics())
        sys.argv[1:] = overrides
        try:
            with answered():
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
                main()
        except SystemExit as stop:
            for signum in SIGNALS:  # one is enough: Slurm kills what does not end in time
                signal.signal(signum, signal.SIG_IGN)
            if stop.code != 128 + signal.SIGTERM:
                raise Unsuccessful(f"exit code {stop.code}") from None
            if still_wanted():
                progress = len(run.metrics()) > epochs or time.monotonic() - started < self._limit()
                if obstacle := self._obstacle(progress):
                    run.fail("failed", obstacle, "")
                    raise Unsuccessful(obstacle) from None
                subprocess.run(["scontrol", "requeue", job_id()], check=True)
            raise

    def _limit(self) -> float:
        """Return after how many seconds a signal means the time limit, at the earliest."""
        return 60 * self.timeout_min - self.signal_delay_s - EARLY

    def _obstacle(self, progress: bool) -> str:
        """Return why the job must not be queued again; nothing where it may."""
        if not progress:
            return f"no epoch ended within hydra.launcher.timeout_min={self.timeout_min}; give it more"
        if restarts() >= self.max_num_timeout:
            return f"queued again {restarts()} times, hydra.launcher.max_num_timeout={self.max_num_timeout}"
        return ""


def restarts() -> int:
    """Return how often Slurm has put this job back into the queue."""
    return int(os.environ.get("SLURM_RESTART_COUNT", 0))


def job_id() -> str:
    """Return the job's name for Slurm. SLURM_JOB_ID is not it: in one element of an array it means the whole array."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array else os.environ["SLURM_JOB_ID"]


def still_wanted() -> bool:
    """Return whether Slurm counts on this job: not on one that was cancelled, or is out of time.

    It need not say RUNNING: while a signal is on its way it says SIGNALING.
    """
    command = ("squeue", "--noheader", "--format=%T", "--job", job_id())
    state = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    return state not in OVER | {"COMPLETING"}
