"""What a sweep reports when it ends: what failed, and how accurate each configuration is."""

import logging
import os
import shlex
import statistics
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from resnet.launch.columns import layout
from resnet.launch.jobs import ENDED_WELL, Job, axes_of, by_configuration, by_folder, name_of
from resnet.launch.messages import unwritable
from resnet.record.files import format_rows, named
from resnet.record.folder import RecordError

log = logging.getLogger(__name__)

BEST = "<- best by validation"


def summarize(jobs: Sequence[Job]) -> None:
    """Log what is not complete and why, the accuracies, and what to type next; write sweep.csv in each study."""
    log.info("")
    outcomes = {job.run.path: job.outcome() for job in jobs}
    for line in accuracies(jobs):
        log.info(line)
    for job in jobs:
        outcome, reason = outcomes[job.run.path]
        if outcome not in ENDED_WELL:
            said = job.stopped() if outcome == "unfinished" else outcome
            log.info(f"{said:<14} {job.run.path}" + (f"  ({reason.splitlines()[0]})" if reason else ""))
    for directory, found in by_folder(jobs).items():
        rows = [(outcomes[job.run.path][0], job.run.path, outcomes[job.run.path][1]) for job in found]
        write_summary(directory, rows)
        if any(outcome in ENDED_WELL for outcome, *_ in rows):
            log.info(f"next: python -m analysis.table {shlex.quote(str(directory))}")


def accuracies(jobs: Sequence[Job]) -> list[str]:
    """Return a line per configuration with its mean accuracies over complete runs; no lines if there are no accuracies.

    The best is chosen by validation accuracy, and only if there are several to choose from.
    """
    axes, found = axes_of(jobs), {}
    groups = by_configuration(jobs)
    for key, seeds in groups.items():
        figures = [figure for job in seeds if (figure := figures_of(job)) is not None]
        found[key] = (figures, mean([val for val, _ in figures]), mean([test for _, test in figures]))
    if not any(figures for figures, *_ in found.values()):
        return []
    known = {key: val for key, (_, val, _) in found.items() if val is not None}
    best = max(known, key=lambda key: known[key]) if len(known) > 1 else None
    rows = [[*(axes or ["configuration"]), "runs", "val acc", "test acc", ""]]
    for key, (figures, val, test) in found.items():
        seeds = groups[key]
        count = f"{len(figures)}" if len(figures) == len(seeds) else f"{len(figures)} of {len(seeds)}"
        rows.append([*name_of(seeds[0], axes), count, percent(val), percent(test), BEST if key == best else ""])
    return [*layout(rows, left=len(rows[0]) - 4), ""]


def figures_of(job: Job) -> tuple[float | None, float | None] | None:
    """Return a complete run's validation and test accuracy after its last epoch; None for any other."""
    if job.outcome()[0] not in ENDED_WELL:
        return None
    try:
        result = job.run.result()
        return result["final"]["val_acc"], result["test"]["acc"]
    except (RecordError, KeyError, OSError):  # damaged, or an inspection
        return None


def mean(values: Sequence[float | None]) -> float | None:
    """Return the mean; None if there are no values or one of them is unknown."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known and len(known) == len(values) else None


def percent(accuracy: float | None) -> str:
    """Return an accuracy as text."""
    return "-" if accuracy is None else f"{accuracy:.2%}"


def write_summary(directory: Path, rows: list[tuple[str, Path, str]]) -> None:
    """Write sweep.csv, a row per run of the sweep that ends; another one may end at the same time."""
    temporary = directory / f".sweep.csv.{os.getpid()}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with named(directory / "sweep.csv"):
            temporary.write_bytes(format_rows([("outcome", "run", "reason"), *rows]))
            os.replace(temporary, directory / "sweep.csv")
    except OSError as error:
        log.warning(unwritable(error))
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
