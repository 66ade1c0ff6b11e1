"""A run as a Slurm job, and what it does when Slurm asks it to stop."""

import os
import pickle
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from hydra.core.utils import run_job, setup_globals
from hydra.types import HydraContext
from omegaconf import DictConfig

from resnet.errors import UserError, exit_on_error
from resnet.launch.job import run_composed
from resnet.launch.messages import explain_training, quiet_hydra
from resnet.launch.slurm.queue import OVER, SlurmError, call
from resnet.record.folder import RunFolder

SIGNALS = (signal.SIGTERM, signal.SIGUSR2)
EARLY = 90  # seconds: Slurm may send its signal up to 60 too early, and a job may start late


class Unsuccessful(Exception):
    """The run failed and has logged why; the job's exit code is not 0."""


@dataclass(frozen=True)
class RunJob:
    """A run as a job of at most `timeout_min` minutes, which gets a signal `signal_delay_s` seconds before that.

    Slurm announces a time limit by SIGUSR2, and a preemption by SIGUSR2 or SIGTERM, depending on its configuration.
    Either makes the run finish its step and exit; the job is then requeued, and later resumes after its last epoch.
    """

    timeout_min: int
    signal_delay_s: int
    max_num_timeout: int
    context: HydraContext

    def __call__(self, folder: str, composed: bytes) -> None:
        """Run a configuration, pickled with its folder's `begun_at` at the time of submission.

        Raises Unsuccessful, or SystemExit if the run was stopped.
        """
        unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # until their handlers are set
        signal.signal(signal.SIGUSR2, lambda signum, frame: os.kill(os.getpid(), signal.SIGTERM))
        quiet_hydra()
        run, started = RunFolder(Path(folder)), time.monotonic()
        config, begun_before = pickle.loads(composed)
        if run.begun_at() != begun_before:  # this job was requeued, and has started over already
            config.resume = "auto"
        epochs = 0 if config.resume == "never" else len(run.metrics())
        try:
            with exit_on_error(explain_training):
                signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
                self._run(config)
        except SystemExit as stop:
            for signum in SIGNALS:  # one is enough: Slurm kills what does not end in time
                signal.signal(signum, signal.SIG_IGN)
            if stop.code != 128 + signal.SIGTERM:
                known = isinstance(stop.__context__, UserError)
                raise Unsuccessful(str(stop.__context__) if known else f"exit code {stop.code}") from None
            if still_wanted():
                began = config.resume != "never" or run.begun_at() != begun_before
                done = len(run.metrics()) if began else 0  # else they belong to the run to be replaced
                self._requeue(run, done > epochs or time.monotonic() - started < self._time_limit())
            raise

    def _run(self, config: DictConfig) -> None:
        """Have Hydra run the configuration as it runs any job, with .hydra/, run.log and callbacks."""
        setup_globals()
        config.hydra.job.id = job_id()
        done = run_job(run_composed, config, "hydra.sweep.dir", "hydra.sweep.subdir", self.context)
        _ = done.return_value  # raises what the run has raised

    def _time_limit(self) -> float:
        """Return the seconds after which a signal may mean the time limit."""
        return 60 * self.timeout_min - self.signal_delay_s - EARLY

    def _requeue(self, run: RunFolder, progress: bool) -> None:
        """Put the job back into the queue; raises Unsuccessful if that would go on forever or Slurm refuses."""
        refusal = ""
        if not progress:
            refusal = f"no epoch ended within hydra.launcher.timeout_min={self.timeout_min}; give it more"
        elif restarts() >= self.max_num_timeout:
            refusal = f"requeued {restarts()} times; hydra.launcher.max_num_timeout={self.max_num_timeout} is the limit"
        if refusal:
            if run.state() != "complete":  # a complete run here is the one to be replaced
                run.fail("failed", refusal, "")
            raise Unsuccessful(refusal) from None
        try:
            call("scontrol", "requeue", job_id())
        except SlurmError as error:
            again = "the same command resumes it (add resume=auto if it has resume=never)"
            raise Unsuccessful(f"Slurm did not requeue it, {error}; {again}") from None


def restarts() -> int:
    """Return how often Slurm has requeued this job."""
    return int(os.environ.get("SLURM_RESTART_COUNT", 0))


def job_id() -> str:
    """Return this job's id; in an array, SLURM_JOB_ID of one element stands for the whole array."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array else os.environ["SLURM_JOB_ID"]


def still_wanted() -> bool:
    """Return whether Slurm still wants this job done: not if it was cancelled, or is out of time.

    The state need not be RUNNING: while a signal is being delivered it is SIGNALING.
    """
    command = ("squeue", "--noheader", "--format=%T", "--job", job_id())
    state = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    return state not in OVER | {"COMPLETING"}
