"""More epochs of a finished run: a longer training begins where the shorter one ended.

It does so only if it then ends with the same bytes as in one piece: the two differ only in their number of epochs, the
schedules give the same rate at every step already taken, and code, data, machine and packages are the same.
"""

import logging
from collections.abc import Iterator
from typing import Any

import yaml

from resnet.config import Config, identity
from resnet.prepare import Training
from resnet.record.checkpoint import load_checkpoint
from resnet.record.folder import CHECKPOINT, PREVIOUS, RecordError, RunFolder
from resnet.training.optim import rates_agree

log = logging.getLogger(__name__)


def adopt_shorter(folder: RunFolder, training: Training, alike: dict[str, Any]) -> RunFolder | None:
    """Give a run without epochs those of a finished, shorter run of its study; return that run, None if none fits.

    `alike` is what decides the bytes: each process that trained the shorter run must have recorded it at its start.
    """
    config, schedule = training.config, training.schedule
    if config.resume == "never" or any((folder.path / name).exists() for name in (CHECKPOINT, PREVIOUS)):
        return None
    for shorter in but_for_epochs(folder, config):
        try:
            if not began_alike(shorter, alike):
                continue
            checkpoint = load_checkpoint(shorter.path / CHECKPOINT)
            own, steps = checkpoint["schedule"], checkpoint["epoch"] * training.steps_per_epoch
        except (RecordError, ValueError, KeyError, TypeError, OSError):  # damaged, or deleted to save space
            continue
        if steps < schedule["total_steps"] and rates_agree(own, schedule, steps):
            folder.adopt(shorter)
            epochs = f"{checkpoint['epoch']} epochs" if checkpoint["epoch"] > 1 else "epoch"
            log.info(f"{folder.path}: begins with the {epochs} of {shorter.path}")
            return shorter
    return None


def began_alike(run: RunFolder, alike: dict[str, Any]) -> bool:
    """Return whether each process that trained a run recorded these entries at its start; False if none is known.

    A start whose epochs were lost, because a later one began at the same epoch or before, does not count.
    """
    counted: list[dict[str, Any]] = []
    try:
        for start in reversed(run.starts()):
            if not counted or start["epoch"] < counted[-1]["epoch"]:
                counted.append(start)
    except (OSError, ValueError, KeyError, TypeError):  # none there, or damaged
        return False
    return bool(counted) and all(start.get(key) == value for start in counted for key, value in alike.items())


def but_for_epochs(folder: RunFolder, config: Config) -> Iterator[RunFolder]:
    """Yield the complete runs of a run's study that differ from it only in their number of epochs, longest first.

    Runs whose length was given in steps are left out, because they may have ended within an epoch.
    """
    pattern = f"{config.model.name}-{config.model.shortcut}-*/{folder.path.name}/result.json"
    found: dict[RunFolder, int] = {}
    for path in folder.path.parent.parent.glob(pattern):
        other = RunFolder(path.parent)
        if other.path == folder.path:
            continue
        try:
            theirs = yaml.safe_load((other.path / "config.yaml").read_text(encoding="utf-8"))
            same = _without_epochs(theirs["identity"]) == _without_epochs(identity(config))
            same = same and theirs["seed"] == config.seed and theirs["probe_every"] == config.probe_every
            if same and theirs["epochs"]["count"] is not None:
                found[other] = int(other.result()["epochs"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError, RecordError):
            continue
    yield from sorted(found, key=lambda run: -found[run])


def _without_epochs(identity: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in identity.items() if key != "epochs"}
