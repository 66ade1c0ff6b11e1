"""Slurm's own commands, asked: what is in the queue. `squeue` is enough; `sacct` is not there on every cluster."""

import logging
import os
import subprocess
import time
from typing import NamedTuple

from resnet.errors import UserError

log = logging.getLogger(__name__)

OVER = set("BOOT_FAIL CANCELLED COMPLETED DEADLINE FAILED NODE_FAIL OUT_OF_MEMORY PREEMPTED TIMEOUT".split())
RETRY = 30  # seconds until Slurm is asked again that gave no answer


class SlurmError(UserError):
    """Slurm refused, or did not answer."""


def ask(*command: str) -> str:
    """Return what one of Slurm's commands prints; raises SlurmError where it fails or gives no answer."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SlurmError(f"{command[0]}: {error}") from None
    if done.returncode:
        raise SlurmError((done.stderr.strip() or f"{command[0]}: exit code {done.returncode}").splitlines()[-1])
    return done.stdout


class Queued(NamedTuple):
    """What Slurm says of a job: `reason` is why it does not run, where it waits."""

    name: str
    state: str
    reason: str


def read_queue() -> dict[str, Queued]:
    """Return how each of the user's jobs stands, also those that ended some minutes ago."""
    columns = ("--noheader", "--array", "--states=all", "--user", str(os.getuid()), "--format=%F|%K|%T|%r|%j")
    rows = [line.split("|", 4) for line in ask("squeue", *columns).splitlines()]
    return {
        (array if index == "N/A" else f"{array}_{index}"): Queued(name, state, reason)
        for array, index, state, reason, name in rows
    }


def read_queue_patiently() -> dict[str, Queued]:
    """Return the queue, however long it takes until Slurm answers."""
    while True:
        try:
            return read_queue()
        except SlurmError as error:
            log.warning(f"{error}; waiting")
            time.sleep(RETRY)
