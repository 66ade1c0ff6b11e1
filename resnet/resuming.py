"""Where a training begins: at its newest intact checkpoint, with the epochs of a shorter run, or at its first step."""

import logging
from typing import Any

from resnet.prepare import Training
from resnet.record.folder import RecordError, RunFolder
from resnet.shorter import adopt_shorter
from resnet.training.optim import rates_agree

log = logging.getLogger(__name__)


def resume(folder: RunFolder, training: Training, here: dict[str, Any]) -> int:
    """Go back to the newest intact checkpoint, record and log this start; return the number of epochs done."""
    computes = {"code": here["code"], "data": training.data_sha256}
    decisive = {key: here[key] for key in ("machine", "versions")} | computes | training.conditions
    changed: list[str] = []

    def restore(checkpoint: dict[str, Any]) -> None:
        check_schedule(checkpoint, training.schedule, training.steps_per_epoch)
        check_conditions(checkpoint, training.conditions)
        different = [name for name, now in computes.items() if checkpoint[name] != now]
        training.trainer.restore(checkpoint)
        changed[:] = different

    shorter = adopt_shorter(folder, training, decisive)
    done = folder.resume(restore)
    origin = {"begun_with": str(shorter.path)} if shorter is not None and done else {}
    folder.start({"epoch": done} | origin | training.conditions | here | computes)
    start = f"resuming after epoch {done} of {training.epochs}" if done else f"starting, to epoch {training.epochs}"
    log.info(f"{folder.path}: {start}")
    if changed:
        what, same = " and the ".join(changed), " and ".join(changed)
        both = f"the epochs before and after that were computed with different {same}"
        log.warning(f"{folder.path}: the {what} changed after epoch {done}: {both}")
    return done


def check_schedule(checkpoint: dict[str, Any], schedule: dict[str, Any], steps_per_epoch: int) -> None:
    """Raise ValueError if a checkpoint was trained at other learning rates than this training has in the same steps."""
    own = checkpoint["schedule"]
    steps = min(checkpoint["epoch"] * steps_per_epoch, own["total_steps"])
    if steps > schedule["total_steps"] or not rates_agree(own, schedule, steps):
        raise ValueError("it was trained by another schedule of the learning rate")


def check_conditions(checkpoint: dict[str, Any], conditions: dict[str, Any]) -> None:
    """Raise RecordError if a checkpoint differs from this training in its precision, or in whether it is compiled."""
    precision, compiled = checkpoint["precision"], checkpoint["compiled"]
    if precision != conditions["precision"]:
        raise RecordError(
            f"begun in {precision}, but this machine would continue in {conditions['precision']}; "
            f"precision={conditions['precision']} trains in a folder of its own, resume=never starts this one over"
        )
    if compiled != conditions["compiled"]:
        raise RecordError(
            f"begun {'compiled' if compiled else 'without compiling'}, and cannot continue otherwise; leave out "
            "the key compile to resume (a compiled run needs a compiler); resume=never starts this one over"
        )
