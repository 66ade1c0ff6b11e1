"""The runs of a sweep: what each is, how far it has got, and which are seeds of the same configuration."""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig

from resnet.config import Config, epochs_of, run_name, steps_in_epoch, total_steps
from resnet.errors import ConfigError
from resnet.launch.compose import checked
from resnet.record.folder import RecordError, RunFolder
from resnet.training.catalogue import Facts, facts_of, split_sizes

OTHER_CODE = "computed by other code"
ENDED_WELL = ("complete", "already there")


@dataclass
class Job:
    """A point of the grid: its overrides and configuration, its run folder, and what was there before the sweep.

    `complete` means that there is nothing to do; `begun_before` and `ended_before` are the folder's `begun_at` and
    `ended_at` from then. `reason` says why the job was refused or failed or, if it is complete, what to know about it.
    """

    overrides: Sequence[str]
    run: RunFolder
    complete: bool
    begun_before: int | None
    ended_before: int | None
    reason: str
    config: Config

    def begun(self) -> bool:
        """Return whether this sweep started the run from the beginning."""
        return self.run.begun_at() not in (None, self.begun_before)

    def ended(self) -> bool:
        """Return whether the run was completed, or failed, in this sweep."""
        return self.run.ended_at() not in (None, self.ended_before)

    def outcome(self) -> tuple[str, str]:
        """Return the job's outcome in a word or two, and the reason if there is one."""
        if self.complete:
            return "already there", self.reason
        state = self.run.state()
        if self.reason and not (state == "complete" and self.ended() and not self.run.config_conflict(self.config)):
            return "failed", self.reason  # unless another process has completed it meanwhile
        if state == "complete" and self.config.resume == "never" and not self.ended():
            return "not started", ""
        if state == "complete":  # without a new end, another process completed it meanwhile
            return ("complete" if self.ended() else "already there"), ""
        return state, self.run.failure().get("error", "")

    @property
    def refused(self) -> bool:
        """Whether the contents of its folder keep the run from being computed."""
        return bool(self.reason) and not self.complete

    def standing(self) -> str:
        """Return how far the run has got: its state (and where it stopped), `to do`, `to start over` or `refused`."""
        state = self.run.state()
        if self.refused:
            return "refused"
        if state == "not started":
            return "to do"
        if self.config.resume == "never":
            return "to start over"
        return self.stopped() if state == "unfinished" else state

    def stopped(self) -> str:
        """Return where an unfinished run stands: `stopped at 7/20`, or `stopped at 7` if the end is unknown."""
        if self.config.task == "inspect":
            return "stopped"
        try:
            return f"stopped at {len(self.run.metrics())}/{last_epoch(self.config)}"
        except ConfigError:
            return f"stopped at {len(self.run.metrics())}"


def sizes_of(config: Config) -> tuple[Facts, int, int]:
    """Return the facts about a configuration's data, unread, and its numbers of training and held-out images."""
    data = config.data
    facts = _facts(data.name, data.root, data.size, data.grey, data.pictures)
    return facts, *split_sizes(facts, data.val_fraction, data.limit)


@cache
def _facts(name: str, root: str, size: int, grey: bool, pictures: str) -> Facts:
    """Return the facts about data; cached, because to count a folder's pictures takes long; `pictures` digests them."""
    return facts_of(name, root, size, grey)


def steps_per_epoch(config: Config) -> int:
    """Return the number of steps in an epoch, without reading the data."""
    return steps_in_epoch(sizes_of(config)[1], config.batch_size)


def last_epoch(config: Config) -> int:
    """Return the number of epochs of a training, however its length is given."""
    each = steps_per_epoch(config)
    return epochs_of(total_steps(config.epochs, each), each)


def part_left(run: RunFolder, config: Config) -> float:
    """Return the fraction of a run that is still to be computed; 0 if it diverged, because it would diverge again."""
    state = run.state()
    if state in ("complete", "diverged"):
        return 0.0
    return 1.0 if state == "not started" else max(0.0, 1 - len(run.metrics()) / last_epoch(config))


def make_job(overrides: Sequence[str], composed: DictConfig, code: str) -> Job:
    """Return the job of a composed configuration; `code` is the checksum that a run would record now."""
    run = RunFolder(Path(composed.hydra.sweep.dir) / composed.hydra.sweep.subdir)
    config = checked(composed, composed.hydra)
    complete, reason = False, ""
    if config.resume != "never":
        reason = run.config_conflict(config)
        complete = run.state() == "complete" and not reason
    if complete:
        try:
            reason = OTHER_CODE if run.result().get("code") != code else ""
        except (RecordError, OSError) as error:  # the run would say the same if it were launched
            complete, reason = False, str(error)
    return Job(overrides, run, complete, run.begun_at(), run.ended_at(), reason, config)


def note_refusals(jobs: Sequence[Job], returns: Sequence[JobReturn]) -> None:
    """Note why a launched job failed, if it was refused before it started and its run folder does not say so.

    A failure.json from an earlier command stays as it is.
    """
    for job, returned in zip(jobs, returns):
        if returned.status == JobStatus.FAILED and not job.ended() and job.run.state() != "diverged":
            job.reason = str(returned._return_value)


def by_configuration(jobs: Sequence[Job]) -> dict[tuple[str, str], list[Job]]:
    """Return each configuration's jobs (its seeds), keyed by its study and name, wherever their folders are."""
    groups: dict[tuple[str, str], list[Job]] = {}
    for job in jobs:
        groups.setdefault((job.config.study, run_name(job.config)), []).append(job)
    return groups


def by_folder(jobs: Sequence[Job]) -> dict[Path, list[Job]]:
    """Return the jobs by their study's folder; with folders given by hand, that is the innermost one that holds them.

    A folder given by hand may therefore belong to several studies.
    """
    studies: dict[str, list[Job]] = {}
    for job in jobs:
        studies.setdefault(job.config.study, []).append(job)
    folders: dict[Path, list[Job]] = {}
    for study in studies.values():
        by_hand = any(job.run.path.parent.name != run_name(job.config) for job in study)
        innermost = os.path.commonpath([job.run.path.parent for job in study]) if by_hand else ""
        for job in study:
            folders.setdefault(Path(innermost) if by_hand else job.run.path.parents[1], []).append(job)
    return folders


def axes_of(jobs: Sequence[Job]) -> dict[str, dict[str, str]]:
    """Return the keys whose overrides differ among jobs, in the order of the command, and how to show their values.

    The seed is not an axis.
    """
    settings = [settings_of(job) for job in jobs]
    keys = dict.fromkeys(key for own in settings for key in own if key != "seed")
    values = {key: {own.get(key, "") for own in settings} for key in keys}
    return {key: _shown(found) for key, found in values.items() if len(found) > 1}


def settings_of(job: Job) -> dict[str, str]:
    """Return a job's overrides by their keys, without the quotes that Hydra may need."""
    pairs = (override.lstrip("+").partition("=") for override in job.overrides)
    return {key: value.strip("\"'") for key, _, value in pairs}


def name_of(job: Job, axes: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return a configuration's values along the axes, or its name if nothing varies."""
    settings = settings_of(job)
    return [shown[settings.get(axis, "")] for axis, shown in axes.items()] if axes else [run_name(job.config)]


def _shown(values: Collection[str]) -> dict[str, str]:
    """Return how to show values: long numbers, such as a search draws, by the fewest figures that tell all apart."""
    for figures in range(4, 18):
        shown = {value: _short(value, figures) for value in values}
        if len(set(shown.values())) == len(values):
            return shown
    return {value: value for value in values}


def _short(value: str, figures: int) -> str:
    """Return a value; shorten a long number to so many figures."""
    try:
        return value if len(value) <= 8 else f"{float(value):.{figures}g}"
    except ValueError:
        return value
