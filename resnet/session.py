"""One run, from its folder to its result: do nothing, resume, train or inspect; and what is written if it fails.

Independent of Hydra: `run_or_resume(RunFolder(path), Config(...))` is all that a notebook needs.
"""

import logging
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from resnet.config import Config, check
from resnet.errors import ConfigError, Diverged, naming_memory, reason_of
from resnet.record.environment import program
from resnet.record.folder import RecordError, RunFolder
from resnet.record.trackers import Tracker
from resnet.signals import Interrupted, blocked_signals

log = logging.getLogger(__name__)


def run_or_resume(
    folder: RunFolder, config: Config, choices: Mapping[str, str | None] | None = None, in_parallel: bool = False
) -> dict[str, Any]:
    """Return the result of a run: the existing one, or one computed from where the run left off.

    `choices` are the names that the configuration was composed from, by group; `in_parallel` says that other runs
    may be under way on this machine. The folder must exist, and is locked meanwhile. Raises UserError (ConfigError,
    RecordError, DataError, Diverged) for what the user can fix, Interrupted after a signal.

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
    if config.resume != "never" and is_there(folder, config):
        return folder.result()
    with folder.lock():
        if config.resume != "never":
            if is_there(folder, config):  # another process completed it meanwhile
                return folder.result()
            folder.check_owner(config)
            if folder.state() == "diverged":  # and would again, byte for byte
                error = folder.failure()["error"]
                raise RecordError(f"diverged before, {error}; resume=never starts it over all the same")
        return attempt(folder, config, choices or {}, in_parallel)


def is_there(folder: RunFolder, config: Config) -> bool:
    """Return whether the run of a configuration is complete, and log it if so."""
    if folder.state() != "complete" or folder.config_conflict(config):
        return False
    other = ", computed by other code" * (folder.result().get("code", "unknown") != program()["code"])
    log.info(f"{folder.path}: already there{other}")
    return True


def attempt(folder: RunFolder, config: Config, choices: Mapping[str, str | None], in_parallel: bool) -> dict[str, Any]:
    """Compute a run and return its result, or write down how it failed."""

    @cache  # so that what was there is archived only once
    def begin() -> None:
        if config.resume == "never":
            folder.archive()
        folder.begin(config, choices)

    try:
        batch = [f"batch_size={config.batch_size}"] * (config.task == "train")  # an inspection's batches are fixed
        with naming_memory(*batch, f"model.width={config.model.width}"):
            return compute(folder, config, begin, in_parallel)
    except (Interrupted, RecordError, ConfigError):  # an invalid request has started nothing
        raise
    except Exception as error:
        begin()
        status = "diverged" if isinstance(error, Diverged) else "failed"
        folder.fail(status, reason_of(error), traceback.format_exc(), step=getattr(error, "step", None))
        raise


def compute(folder: RunFolder, config: Config, begin: Callable[[], None], in_parallel: bool) -> dict[str, Any]:
    """Compute a run and return its result; `begin` is called after the preparations that could refuse the run."""
    with blocked_signals():  # PyTorch takes seconds to import, so only a run with something to do does it
        from resnet.prepare import prepare
        from resnet.train import announce, compile_where_it_pays, train

        if config.task == "inspect":
            from resnet.inspection.untrained import inspect
        tracker = Tracker(config.logger.name if config.task == "train" else "none", folder.path)
        program()  # cached: of the code just imported, even if it is edited while data load or the network compiles
    if config.task == "inspect":
        training = prepare(replace(config, precision="fp32"), in_parallel)  # whatever a training's precision
        begin()
        return inspect(folder, training, in_parallel)
    training = prepare(config, in_parallel)
    announce(folder, training, in_parallel)
    compile_where_it_pays(folder, training)
    begin()
    with tracker:
        return train(folder, training, tracker, in_parallel)
