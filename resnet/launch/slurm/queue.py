"""The queue: which runs of a sweep have a job that is pending or running.

`squeue` is enough; `sacct` does not work on every cluster.
"""

import hashlib
import logging
import os
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from resnet.errors import UserError
from resnet.record.files import write_whole

log = logging.getLogger(__name__)

OVER = set("BOOT_FAIL CANCELLED COMPLETED DEADLINE FAILED NODE_FAIL OUT_OF_MEMORY PREEMPTED TIMEOUT".split())
RETRY = 30  # seconds until the next attempt after Slurm did not answer
NAME = re.compile(r"[A-Za-z0-9_.-]+")  # valid as a file name, and shown by squeue as it is


class SlurmError(UserError):
    """Slurm refused, or did not answer."""


class Queued(NamedTuple):
    """A job in the queue; `reason` is why a pending job does not run."""

    name: str
    state: str
    reason: str


def call(*command: str) -> str:
    """Return the output of one of Slurm's commands; raises SlurmError if it fails or does not answer."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SlurmError(f"{command[0]}: {error}") from None
    if done.returncode:
        raise SlurmError((done.stderr.strip() or f"{command[0]}: exit code {done.returncode}").splitlines()[-1])
    return done.stdout


def read_queue() -> dict[str, Queued]:
    """Return the user's jobs by their ids, including those that ended a few minutes ago."""
    columns = ("--noheader", "--array", "--states=all", "--user", str(os.getuid()), "--format=%F|%K|%T|%r|%j")
    rows = [line.split("|", 4) for line in call("squeue", *columns).splitlines()]
    return {
        (array if index == "N/A" else f"{array}_{index}"): Queued(name, state, reason)
        for array, index, state, reason, name in rows
    }


def wait_for_queue() -> dict[str, Queued]:
    """Return the queue, however long it takes until Slurm answers."""
    while True:
        try:
            return read_queue()
        except SlurmError as error:
            log.warning(f"{error}; waiting")
            time.sleep(RETRY)


def write_elements(sweep_dir: Path, prefix: str, folders: Sequence[Path]) -> str:
    """Record which run each element of an array is; return the array's name: the prefix and eight hex digits."""
    text = "".join(f"{folder.relative_to(sweep_dir)}\n" for folder in folders)
    digest = hashlib.sha256(f"{sweep_dir.resolve()}\n{text}".encode()).hexdigest()[:8]
    name = f"{prefix}-{digest}"
    path = _elements_file(sweep_dir, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text.encode())
    return name


def queued_runs(sweep_dir: Path) -> dict[Path, str]:
    """Return the runs that are pending or running, whichever command submitted them, with their job ids."""
    elements: dict[str, list[str]] = {}
    found = {}
    for job, (name, state, _) in read_queue().items():
        if name not in elements:
            path = _elements_file(sweep_dir, name)
            known = NAME.fullmatch(name) and path.exists()
            elements[name] = path.read_text(encoding="utf-8").splitlines() if known else []
        if elements[name] and state not in OVER:
            found[sweep_dir / elements[name][int(job.partition("_")[2] or 0)]] = job
    return found


def _elements_file(sweep_dir: Path, array: str) -> Path:
    return sweep_dir / ".slurm" / f"{array}.txt"
