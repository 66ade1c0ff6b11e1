"""Train one network, or a sweep of them: `python -m resnet.run model=blocks15`; `--help` tells the rest.

Reads from top to bottom as the story of a run. sweep.py, slurm.py and answers.py extend it where Hydra is concerned.
"""

import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

import resnet.launch.sweeper  # noqa: F401  registers the sweeper
from resnet.config import Config, ConfigError, UserError, as_plain, epochs_of, total_steps
from resnet.launch.answers import answered, arrived
from resnet.record.folder import RecordError, RunFolder
from resnet.record.trackers import Tracker

try:
    import resnet.launch.slurm  # noqa: F401  registers the launcher
except ModuleNotFoundError as missing:  # hydra-submitit-launcher is an extra
    if not missing.name.startswith("hydra_plugins"):
        raise

if TYPE_CHECKING:  # PyTorch takes seconds to import, for which only a run that has something to do should pay
    from resnet.training.data import Dataset
    from resnet.training.loop import Batches, Trainer

log = logging.getLogger(__name__)

HERE = Path(__file__).resolve().parent
CONF = next(folder for folder in (HERE / "conf", HERE.parent / "conf") if folder.is_dir())  # installed, or a checkout

STOPS = (signal.SIGINT, signal.SIGTERM)

ConfigStore.instance().store(name="schema", node=Config)


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def main(composed: DictConfig) -> float:
    """Bring one configuration's run to its end; return its validation accuracy after the last epoch.

    The test accuracy where no images are held out. NaN where the run failed and others of its sweep may go on.
    """
    if HydraConfig.get().mode == RunMode.RUN and "SlurmArray" in HydraConfig.get().launcher._target_:
        raise ConfigError("hydra/launcher=slurm: add -m; without it the run would be trained here, not on the cluster")
    config, job = as_plain(composed), HydraConfig.get()
    run = RunFolder(Path(os.path.relpath(job.runtime.output_dir)))
    place = Place(OmegaConf.select(job, "job.num", default=0), job.runtime.choices["hydra/launcher"] != "basic")
    try:
        with run.lock():
            result = bring_to_end(run, config, place)
    except Interrupted as stop:
        again = "the same command" + " without resume=never" * ("resume=never" in job.overrides.task)
        log.warning(f"{run.path}: {stop}; {again} goes on from the end of epoch {len(run.metrics())}")
        raise SystemExit(128 + stop.signum) from None
    except (UserError, OSError) as error:
        log.error(f"{run.path}: {error}")
        code = getattr(error, "exit_code", 1)
    except Exception:  # a mistake of ours, or memory that ran out: with its traceback, in run.log too
        log.exception(f"{run.path}: failed")
        code = 1
    else:
        log.info(f"{run.path}: complete, test accuracy {result['test']['acc']:.2%}")
        return run.accuracy()
    if job.mode == RunMode.RUN or config["fail_fast"]:
        raise SystemExit(code)
    return float("nan")


@dataclass(frozen=True)
class Place:
    """Where a run stands in its sweep: its number, from 0, and whether others may run beside it."""

    job: int = 0
    beside_others: bool = False


def bring_to_end(run: RunFolder, config: dict[str, Any], place: Place = Place()) -> dict[str, Any]:
    """Return the result of a run: the one that is there, or one computed from where the run was left."""
    if config["resume"] == "never":
        run.set_aside()
    if run.state() == "complete" and not run.claimed_otherwise(config):
        log.info(f"{run.path}: already there")
        return run.result()
    if run.state() == "diverged":  # and would again, to the byte
        raise RecordError(f"diverged before, {run.failure()['error']}; resume=never starts it over all the same")
    run.begin(config)
    try:
        with held_back():
            tracker = Tracker(config["logger"]["name"], run.path)
        with tracker:
            return train(run, config, place, tracker)
    except (Interrupted, RecordError):
        raise
    except Exception as error:
        from resnet.training.loop import Diverged

        status = "diverged" if isinstance(error, Diverged) else "failed"
        message = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        run.fail(status, message, traceback.format_exc(), step=getattr(error, "step", None))
        raise


def train(run: RunFolder, config: dict[str, Any], place: Place, tracker: Tracker) -> dict[str, Any]:
    """Train to the last epoch, read the test set once, write everything down; return what went into result.json."""
    with held_back():
        from resnet.record import pictures
        from resnet.record.environment import changes, origin, origins_before
        from resnet.record.result import make_result
        from resnet.training.augment import Augmenter
        from resnet.training.data import load, training_batches
        from resnet.training.device import resolve_device, resolve_precision, set_up_process
        from resnet.training.loop import fit
        from resnet.training.probes import probe

    device = resolve_device(config["device"], place.job)
    precision = resolve_precision(config["precision"], device)
    set_up_process()
    here = origin(device)  # now, as the checkout may be another one when the training ends
    data = load(**config["data"]).to(device)
    batch_size, seed = config["batch_size"], config["seed"]
    check_batches(batch_size, data, len(config["model"]["stages"]))
    steps_per_epoch = -(-len(data.train) // batch_size)
    steps = total_steps(config["epochs"], steps_per_epoch)
    epochs = epochs_of(steps, steps_per_epoch)
    if config["compile"] is None:
        config = config | {"compile": run.begun_compiled()}
    trainer = make_trainer(config, data, precision == "bf16", steps, steps_per_epoch)
    augmenter = Augmenter(data.train.images, data.mean, **config["augmentation"])

    conditions = {"precision": precision, "compiled": trainer.compiled is not None}
    earlier: list[dict[str, Any]] = []

    def go_on(checkpoint: dict[str, Any]) -> None:
        restore(checkpoint, trainer, conditions)
        earlier[:] = origins_before(checkpoint, here)

    done = run.resume(go_on)
    start = f"going on after epoch {done} of {epochs}" if done else f"starting, to epoch {epochs}"
    log.info(f"{run.path}: {start}, in {precision} on {device}")
    if earlier and earlier[-1]["to_epoch"] == done:
        log.warning(f"{run.path}: {changes(earlier[-1], here)}; figures may not be those of a run in one piece")
    tracker.start(config, run.metrics())
    if done == 0:
        images, labels = next(training_batches(data.train.labels, augmenter, batch_size, seed, epoch=1))
        run.write("samples.png", pictures.draw_samples(images, labels, data.classes))
    progress = "lines" if place.beside_others and config["progress"] == "auto" else config["progress"]
    with signals() as received:

        def watch(batches: "Batches", epoch: int, epoch_steps: int) -> "Batches":
            for batch in progress_bar(batches, f"epoch {epoch}/{epochs}", epoch_steps, progress):
                if received:
                    raise Interrupted(received[0], epoch)
                yield batch

        for row in fit(trainer, data, augmenter, batch_size, seed, steps, done, watch):
            probed = config["probe_every"] and row["epoch"] % config["probe_every"] == 0
            layers = probe(trainer, data.train, row["epoch"]) if probed else []
            state = conditions | {"origin": here, "earlier": earlier} | trainer.state()
            run.finish_epoch(row, layers, {"epoch": row["epoch"]} | state)
            tracker.log(row)
            log.info(f"{run.path}: " * place.beside_others + one_line(row, epochs))
        if received:  # in the last epoch: the next run of a sweep must not begin
            raise Interrupted(received[0], epochs)

    run.write("curves.png", pictures.draw_curves(run.metrics(), str(run.path)))
    result = make_result(config, run.metrics(), data, trainer, conditions, here | {"earlier": earlier})
    tracker.summarize(result)
    run.complete(result, trainer.model.state_dict())
    return result


def check_batches(batch_size: int, data: "Dataset", stages: int) -> None:
    """Hold the batch size to the data; raises ConfigError where there is no such batch, or one that cannot be trained.

    Batch norm takes a deviation over the images and pixels of a channel, of which there must be two.
    """
    images = len(data.train)
    if batch_size > images:
        raise ConfigError(f"batch_size={batch_size}: must be at most {images}, the number of training images")
    if data.size <= 2 ** (stages - 1) and (images - 1) % batch_size == 0:
        raise ConfigError(
            f"batch_size={batch_size}: leaves a last batch of one image, of which the {stages} stages of "
            "model.stages make one pixel, too little for batch norm; take another size, or fewer stages"
        )


def make_trainer(config: dict[str, Any], data: "Dataset", bf16: bool, steps: int, steps_per_epoch: int) -> "Trainer":
    """Return a network with its initial weights, which the seed decides, and what trains it."""
    import torch

    from resnet.training.device import resolve_compile
    from resnet.training.loop import Normalize, Trainer, compile_network
    from resnet.training.model import ResNet, cost
    from resnet.training.optim import make_optimizer, make_schedule

    torch.manual_seed(config["seed"])
    network = {key: config["model"][key] for key in ("stages", "width", "shortcut")}
    model = ResNet(**network, classes=len(data.classes), channels=data.channels)
    model = model.to(data.mean.device, memory_format=torch.channels_last)
    optimizer = make_optimizer(model.parameters(), **config["optimizer"])
    schedule = dict(config["schedule"], lr=config["optimizer"]["lr"], total_steps=steps)
    if milestone_epochs := schedule.pop("milestone_epochs"):
        schedule["milestone_steps"] = [epoch * steps_per_epoch for epoch in milestone_epochs]
    trainer = Trainer(model, Normalize(data.mean, data.std), optimizer, make_schedule(**schedule), bf16)
    image = cost(**network, classes=len(data.classes), channels=data.channels, size=data.size).multiply_adds
    if resolve_compile(config["compile"], data.mean.device, bf16, steps * config["batch_size"] * image):
        trainer.compiled = compile_network(trainer, data.train, config["batch_size"])
    return trainer


def restore(checkpoint: dict[str, Any], trainer: "Trainer", conditions: dict[str, Any]) -> None:
    """Put the trainer where a checkpoint was.

    Raises ValueError for a checkpoint of another network, RecordError for one that was computed in another way.
    """
    if checkpoint["precision"] != (precision := conditions["precision"]):
        raise RecordError(
            f"begun in {checkpoint['precision']}, but this machine would go on in {precision}; "
            f"precision={precision} trains in a folder of its own, resume=never starts this one over"
        )
    if (before := checkpoint.get("compiled", False)) != conditions["compiled"]:
        raise RecordError(
            f"begun {'compiled' if before else 'without compiling'}, and cannot go on otherwise; without a value "
            "for compile, and a compiler if it was compiled, it goes on; resume=never starts this one over"
        )
    trainer.restore(checkpoint)


class Interrupted(Exception):
    """A signal asked the training to stop."""

    def __init__(self, signum: int, epoch: int):
        super().__init__(f"stopped by {signal.Signals(signum).name} in epoch {epoch}")
        self.signum = signum


@contextmanager
def held_back() -> Iterator[None]:
    """Have signals wait: raised in the middle of an import, their exception may be taken for a module's and be lost."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM, so that the step under way is finished; a second one has its usual effect.

    One that arrived before, and whose exception was lost, is among them.
    """
    received = list(arrived)

    def note(signum: int, frame: Any) -> None:
        received.append(signum)
        signal.signal(signum, before[signum])

    heeded = [signum for signum in STOPS if signal.getsignal(signum) is not signal.SIG_IGN]  # as a shell may have it
    before = {signum: signal.signal(signum, note) for signum in heeded}
    try:
        yield received
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def progress_bar(batches: "Batches", label: str, total: int, progress: str) -> "Batches":
    """Show a bar while the batches pass: `bar` always, `lines` never, `auto` on a terminal."""
    from tqdm import tqdm

    disable = {"bar": False, "lines": True, "auto": None}[progress]
    return tqdm(batches, label, total, leave=False, disable=disable, unit="step", dynamic_ncols=True)


def one_line(row: dict[str, Any], epochs: int) -> str:
    """Return an epoch's figures for people."""
    parts = [f"epoch {row['epoch']:>{len(str(epochs))}}/{epochs}"]
    for part in ("train", "val"):
        if row[f"{part}_acc"] is not None:
            parts.append(f"{part} loss {row[f'{part}_loss']:.4f} acc {row[f'{part}_acc']:6.2%}")
    parts.append(f"lr {row['lr']:.3g}")
    parts.append(f"{row['train_seconds'] + row['val_seconds']:.1f} s")
    parts.append(f"{row['images_per_second']:.0f} images/s")
    return "  ".join(parts)


def cli() -> None:
    """Answer the command line: a mistake of the user's in a line or two, one of ours with its traceback."""
    # Hydra wants -m before the values that it is for; people type it anywhere.
    sys.argv[1:] = sorted(sys.argv[1:], key=lambda word: word not in ("-m", "--multirun"))
    with answered():
        main()


if __name__ == "__main__":
    cli()
