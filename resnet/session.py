"""One run, from its folder to its result: nothing to do, resume, train or inspect; and what is written if it fails.

Knows no Hydra: `run_or_resume(RunFolder(path), Config(...))` is all that a notebook needs.
"""

import logging
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resnet.config import Config, check
from resnet.errors import UserError
from resnet.record.environment import code_checksum
from resnet.record.folder import RecordError, RunFolder
from resnet.record.trackers import Tracker
from resnet.signals import Interrupted, blocked_signals

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """Where a run stands in its sweep: its number, from 0, and whether others may run beside it."""

    job: int = 0
    beside_others: bool = False


def run_or_resume(
    folder: RunFolder, config: Config, choices: Mapping[str, str | None] | None = None, place: Place = Place()
) -> dict[str, Any]:
    """Return the result of a run: the one that is there, or one computed from where the run was left.

    `choices` are the names that the configuration was composed from, by group. The folder must exist. Raises UserError
    (ConfigError, RecordError, DataError, Diverged) for what the user can fix, Interrupted after a signal.

    >>> from pathlib import Path
    >>> from resnet.launch.compose import compose_config
    >>> config = compose_config(["data=digits", "data.limit=20", "model.width=8", "epochs.count=1", "device=cpu"])
    >>> folder = RunFolder(Path("runs/mine/blocks4/seed0"))
    >>> folder.path.mkdir(parents=True)
    >>> result = run_or_resume(folder, config)
    >>> result["status"], result["depth"], result["parameters"], 0 <= result["test"]["acc"] <= 1
    ('complete', 10, 10978, True)
    >>> [row["epoch"] for row in folder.metrics()]
    [1]
    """
    check(config)
    if config.resume == "never":
        folder.archive()
    if folder.state() == "complete" and not folder.config_conflict(config):
        result = folder.result()
        other = ", computed by other code" * (result.get("code", "unknown") != code_checksum())
        log.info(f"{folder.path}: already there{other}")
        return result
    if folder.state() == "diverged":  # and would again, to the byte
        raise RecordError(f"diverged before, {folder.failure()['error']}; resume=never starts it over all the same")
    folder.begin(config, choices or {})
    try:
        if config.task == "inspect":
            with blocked_signals():
                from resnet.inspection.untrained import inspect

            return inspect(folder, config, place.job)
        with blocked_signals():
            from resnet.train import train  # PyTorch takes seconds, for which only a run with something to do pays

            tracker = Tracker(config.logger.name, folder.path)
        with tracker:
            return train(folder, config, tracker, place.job, place.beside_others)
    except (Interrupted, RecordError):
        raise
    except Exception as error:
        status = "diverged" if type(error).__name__ == "Diverged" else "failed"
        message = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        folder.fail(status, message, traceback.format_exc(), step=getattr(error, "step", None))
        raise
