"""Where a training begins: at its last whole checkpoint, with the epochs of a shorter run, or at its first step."""

import logging
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from resnet.record.folder import RecordError, RunFolder
from resnet.shorter import adopt_shorter
from resnet.training.optim import make_schedule, rates_agree

if TYPE_CHECKING:  # which imports this module
    from resnet.train import Training

log = logging.getLogger(__name__)


def resume(folder: RunFolder, training: "Training", here: dict[str, Any]) -> int:
    """Go back to the last whole checkpoint, note this start, and say so; return the number of epochs done."""
    computes = {"code": here["code"], "data": training.data.sha256()}
    changed: list[str] = []

    def restore(checkpoint: dict[str, Any]) -> None:
        check_schedule(checkpoint, training.schedule, training.steps_per_epoch)
        check_conditions(checkpoint, training.conditions)
        training.trainer.restore(checkpoint)
        changed[:] = [name for name, now in computes.items() if checkpoint.get(name, now) != now]

    shorter = adopt(folder, training, here)
    done = folder.resume(restore)
    device = training.data.mean.device
    time = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    origin = {"begun_with": str(shorter.path)} if shorter is not None and done else {}
    folder.start({"time": time, "epoch": done, "device": device.type} | origin | training.conditions | here | computes)
    start = f"resuming after epoch {done} of {training.epochs}" if done else f"starting, to epoch {training.epochs}"
    log.info(f"{folder.path}: {start}")
    if changed:
        log.warning(f"{folder.path}: the {' and the '.join(changed)} changed since epoch {done}; figures mix both")
    return done


def adopt(folder: RunFolder, training: "Training", here: dict[str, Any]) -> RunFolder | None:
    """Begin with the epochs of a shorter run that computed the same bytes so far; return it, None if there is none."""
    keys = {"code": here["code"], "machine": here["machine"], "versions": here["versions"]}
    keys |= training.conditions | {"device": training.data.mean.device.type}
    return adopt_shorter(
        folder, training.config, keys, training.data.sha256(), training.schedule, training.steps_per_epoch
    )


def check_schedule(checkpoint: dict[str, Any], schedule: dict[str, Any], steps_per_epoch: int) -> None:
    """Raise ValueError for a checkpoint that was trained at other rates than this training's in the steps so far.

    Older ones say only the rate of their last step.
    """
    if (own := checkpoint.get("schedule")) is not None:
        steps = min(checkpoint["epoch"] * steps_per_epoch, own["total_steps"])
        same = steps <= schedule["total_steps"] and rates_agree(own, schedule, steps)
    else:
        last = min(checkpoint["epoch"] * steps_per_epoch, schedule["total_steps"]) - 1
        same = checkpoint["optimizer"]["param_groups"][0]["lr"] == make_schedule(**schedule)(last)
    if not same:
        raise ValueError("it was trained by another schedule of the learning rate")


def check_conditions(checkpoint: dict[str, Any], conditions: dict[str, Any]) -> None:
    """Raise RecordError for a checkpoint that was computed in another precision, or compiled where this is not."""
    precision, compiled = checkpoint["precision"], checkpoint.get("compiled", False)
    if precision != conditions["precision"]:
        raise RecordError(
            f"begun in {precision}, but this machine would continue in {conditions['precision']}; "
            f"precision={conditions['precision']} trains in a folder of its own, resume=never starts this one over"
        )
    if compiled != conditions["compiled"]:
        raise RecordError(
            f"begun {'compiled' if compiled else 'without compiling'}, and cannot continue otherwise; without a value "
            "for compile, and with a compiler if it was compiled, it resumes; resume=never starts this one over"
        )
