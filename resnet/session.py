"""One run, from its folder to its result: nothing to do, resume, train or inspect; and what is written if it fails.

Knows no Hydra: `run_or_resume(RunFolder(path), Config(...))` is all that a notebook needs.
"""

import logging
import traceback
from collections.abc import Mapping
from typing import Any

from resnet.config import Config, check
from resnet.errors import ConfigError, UserError
from resnet.record.environment import code_checksum
from resnet.record.folder import RecordError, RunFolder
from resnet.record.trackers import Tracker
from resnet.signals import Interrupted, blocked_signals

log = logging.getLogger(__name__)


def run_or_resume(
    folder: RunFolder, config: Config, choices: Mapping[str, str | None] | None = None, beside_others: bool = False
) -> dict[str, Any]:
    """Return the result of a run: the one that is there, or one computed from where the run was left.

    `choices` are the names that the configuration was composed from, by group; `beside_others` says that further runs
    may be under way on this machine. The folder must exist. Raises UserError (ConfigError, RecordError, DataError,
    Diverged) for what the user can fix, Interrupted after a signal.

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
    if conflict := folder.config_conflict(config):
        raise RecordError(conflict)
    try:
        return compute(folder, config, choices or {}, beside_others)
    except (Interrupted, RecordError, ConfigError):  # of a request that makes no sense, nothing was begun
        raise
    except Exception as error:
        folder.begin(config, choices or {})
        status = "diverged" if type(error).__name__ == "Diverged" else "failed"
        message = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        folder.fail(status, message, traceback.format_exc(), step=getattr(error, "step", None))
        raise


def compute(
    folder: RunFolder, config: Config, choices: Mapping[str, str | None], beside_others: bool
) -> dict[str, Any]:
    """Return the result of a run that is computed here; the folder is begun once all that it takes is at hand."""
    with blocked_signals():  # PyTorch takes seconds to import, for which only a run with something to do pays
        from resnet.train import announce, compile_where_it_pays, prepare, train

        if config.task == "inspect":
            from resnet.inspection.untrained import inspect, untrained
        tracker = Tracker(config.logger.name, folder.path)
    if config.task == "inspect":
        training = prepare(untrained(config), beside_others)
        folder.begin(config, choices)
        return inspect(folder, training)
    training = prepare(config, beside_others)
    announce(folder, training, beside_others)
    training = compile_where_it_pays(folder, training)
    folder.begin(config, choices)
    with tracker:
        return train(folder, training, tracker, beside_others)
