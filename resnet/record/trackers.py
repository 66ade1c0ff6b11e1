"""Trackers: TensorBoard or Weights & Biases, shown the configuration, what metrics.csv gets, and the final figures.

The run folder stays the record, from which a tracker that was left behind is brought up to date when a run goes on.
So a tracker may fail, and may be chosen late; neither changes the run.
"""

import logging
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from resnet.errors import ConfigError
from resnet.record.files import write_whole

log = logging.getLogger(__name__)


class TensorBoard:
    """Event files in `tensorboard/`, written anew when a run goes on: rows that were computed again are there once."""

    def __init__(self, run: Path):
        from torch.utils.tensorboard import SummaryWriter

        self.folder, self.writer_class = run / "tensorboard", SummaryWriter
        threading.excepthook = report_but_tensorboards

    def start(self, config: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
        replaced = list(self.folder.glob("events.out.tfevents.*"))
        self.config = config
        self.writer = self.writer_class(str(self.folder), purge_step=0)  # an open page forgets the replaced files, too
        self.writer.add_text("config", f"```\n{yaml.safe_dump(config, sort_keys=False)}```")
        when = time.time() - sum(row["train_seconds"] + row["val_seconds"] for row in rows)
        for row in rows:  # as if trained without a break until now
            when += row["train_seconds"] + row["val_seconds"]
            self.log(row, when)
        for file in replaced:
            file.unlink()

    def log(self, row: dict[str, Any], when: float | None = None) -> None:
        for name, value in row.items():
            if name != "epoch" and value is not None:
                self.writer.add_scalar(name, value, row["epoch"], walltime=when)
        self.writer.flush()

    def summarize(self, figures: dict[str, float]) -> None:
        config = {
            key: value if isinstance(value, (int, float, str)) else str(value) for key, value in flat(self.config)
        }
        self.writer.add_hparams(config, figures, run_name=".", global_step=int(figures["final/epoch"]))

    def end(self, failed: bool) -> None:
        self.writer.close()

    def give_up(self) -> None:
        self.writer.close()


class Wandb:
    """A Weights & Biases run whose id is in `wandb/id`, continued when the training goes on."""

    def __init__(self, run: Path):
        import wandb

        self.run_folder, self.wandb = run.absolute(), wandb

    def start(self, config: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
        folder = self.run_folder / "wandb"
        folder.mkdir(exist_ok=True)
        if not (folder / "id").exists():
            write_whole(folder / "id", secrets.token_hex(8).encode())
        self.replaced = list(folder.glob("offline-run-*"))
        self.run = self.wandb.init(
            project=os.environ.get("WANDB_PROJECT", "resnet-depth"),
            group=config["study"],
            name="/".join(self.run_folder.parts[-2:]),
            dir=self.run_folder,
            id=(folder / "id").read_text(),
            resume="allow",
            reinit="create_new",  # the run before it in a sweep may have failed and be open still
            config=config,
            allow_val_change=True,  # the device, say
            settings=self.wandb.Settings(console="off", finish_timeout=120),  # seconds: the network may be gone
        )
        for row in rows:
            self.log(row)

    def log(self, row: dict[str, Any]) -> None:
        if row["epoch"] >= self.run.starting_step:  # 0, but where the server knows the epochs before
            self.run.log({name: value for name, value in row.items() if value is not None}, row["epoch"], commit=True)

    def summarize(self, figures: dict[str, float]) -> None:
        self.run.summary.update(figures)

    def end(self, failed: bool) -> None:
        self.run.finish(exit_code=int(failed))
        for folder in self.replaced:  # offline, the new folder has all of their epochs, and is whole only now
            shutil.rmtree(folder)

    def give_up(self) -> None:
        self.wandb.teardown()  # or a broken connection would be tried again by the next run, and as Python exits


TRACKERS = {"tensorboard": TensorBoard, "wandb": Wandb}


class Tracker:
    """The chosen tracker, none or one, until it fails: then there is a warning, and the run goes on without it.

    Raises ConfigError where its package is missing. Used as a context, which says at its end whether the run failed.
    """

    def __init__(self, name: str, run: Path):
        self.name, self.chosen = name, None
        try:
            self.waiting = TRACKERS[name](run) if name in TRACKERS else None
        except Exception as error:  # a broken installation raises more than ImportError
            reason = one_line(error)
            raise ConfigError(f'logger={name}: {reason}; it takes pip install -e ".[{name}]"') from None

    def start(self, config: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
        """Begin, or go on with, a run that has these rows of metrics.csv so far."""
        self.chosen = self.waiting
        self._tell("start", config, rows)

    def log(self, row: dict[str, Any]) -> None:
        """Show a row of metrics.csv."""
        self._tell("log", row)

    def summarize(self, result: dict[str, Any]) -> None:
        """Show the figures in result.json, under their names there."""
        shown = ("final", "best", "parameters", "multiply_adds", "wall_seconds")
        figures = {key: result[key] for key in shown} | {"test": {key: result["test"][key] for key in ("loss", "acc")}}
        self._tell("summarize", {key: value for key, value in flat(figures, "/") if value is not None})

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._tell("end", error is not None)

    def _tell(self, what: str, *arguments: Any) -> None:
        try:
            if self.chosen is not None:
                getattr(self.chosen, what)(*arguments)
        except Exception as error:  # whatever it is, the run does not depend on it
            log.warning(f"logger={self.name}: {one_line(error)}; the run goes on without it")
            broken, self.chosen = self.chosen, None
            with suppress(Exception, SystemExit):
                broken.give_up()


def report_but_tensorboards(failed: Any) -> None:
    """Print what a thread died of, but for TensorBoard's, which writes the files: the next flush raises it again."""
    if not type(failed.thread).__module__.startswith("tensorboard."):
        threading.__excepthook__(failed)


def flat(nested: dict[str, Any], separator: str = ".", prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested dictionaries, each with the keys that lead to it."""
    for key, value in nested.items():
        if isinstance(value, dict):
            yield from flat(value, separator, f"{prefix}{key}{separator}")
        else:
            yield f"{prefix}{key}", value


def one_line(error: Exception) -> str:
    """Return what an error says, in a line."""
    return f"{type(error).__name__}: {error}".splitlines()[0]
