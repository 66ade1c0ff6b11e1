"""Trackers: TensorBoard or Weights & Biases get the configuration, the rows of metrics.csv, and the final results.

The run folder remains the record, and a tracker gets every row so far when a run starts or resumes. So a tracker can
fail, or be chosen late, without any effect on the run.
"""

import io
import logging
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from resnet.errors import ConfigError
from resnet.record.files import append, write_whole

log = logging.getLogger(__name__)


class TensorBoard:
    """An event file in `tensorboard/` for each start of the run.

    Does not use SummaryWriter, whose writer thread prints a traceback to standard error if the disk is full.
    """

    def __init__(self, run: Path):
        from tensorboard.compat.proto import event_pb2  # type: ignore[import-not-found]
        from tensorboard.summary.writer.record_writer import RecordWriter  # type: ignore[import-not-found]
        from torch.utils.tensorboard import summary

        self.events: Any = event_pb2
        self.record_writer, self.summary = RecordWriter, summary
        self.path = run / "tensorboard" / f"events.out.tfevents.{time.time():.6f}.{os.getpid()}"

    def start(self, config: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
        self.config = config
        self.path.parent.mkdir(exist_ok=True)
        # A START at step 0 makes readers drop what they read from the files of earlier starts.
        restart = self.events.SessionLog(status=self.events.SessionLog.START)
        text = self.summary.text("config", f"```\n{yaml.safe_dump(config, sort_keys=False)}```")
        self._write(0, {"file_version": "brain.Event:2"}, {"session_log": restart}, {"summary": text})
        for row in rows:
            self.log(row)

    def log(self, row: dict[str, Any]) -> None:
        self._write_scalars({name: value for name, value in row.items() if name != "epoch"}, row["epoch"])

    def summarize(self, figures: dict[str, float]) -> None:
        config = {
            key: value if isinstance(value, (int, float, str)) else str(value) for key, value in flatten(self.config)
        }
        step = int(figures["final/epoch"])
        self._write(step, *({"summary": summary} for summary in self.summary.hparams(config, figures)))
        self._write_scalars(figures, step)

    def end(self, failed: bool) -> None:
        """Do nothing: every write closes the file."""

    def give_up(self) -> None:
        """Do nothing, as above."""

    def _write_scalars(self, figures: Mapping[str, float | None], step: int) -> None:
        scalars = [self.summary.scalar(name, value) for name, value in figures.items() if value is not None]
        self._write(step, *({"summary": scalar} for scalar in scalars))

    def _write(self, step: int, *contents: dict[str, Any]) -> None:
        """Append events to the file."""
        records = io.BytesIO()
        for content in contents:
            event = self.events.Event(wall_time=time.time(), step=step, **content)
            self.record_writer(records).write(event.SerializeToString())
        append(self.path, records.getvalue())


class Wandb:
    """A Weights & Biases run, with its id in `wandb/id`; a resumed run continues it."""

    def __init__(self, run: Path):
        import wandb  # type: ignore[import-not-found]  # an extra

        self.directory, self.wandb = run.absolute(), wandb

    def start(self, config: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
        directory = self.directory / "wandb"
        directory.mkdir(exist_ok=True)
        if not (directory / "id").exists():
            write_whole(directory / "id", secrets.token_hex(8).encode())
        self.replaced = list(directory.glob("offline-run-*"))
        self.run = self.wandb.init(
            project=os.environ.get("WANDB_PROJECT", "resnet-depth"),
            group=config["study"],
            name="/".join(self.directory.parts[-2:]),
            dir=self.directory,
            id=(directory / "id").read_text(),
            resume="allow",
            reinit="create_new",  # the previous run of a sweep may have failed and still be open
            config=config,
            allow_val_change=True,  # such as the device
            settings=self.wandb.Settings(console="off", finish_timeout=120),  # seconds: the network may be down
        )
        for row in rows:
            self.log(row)

    def log(self, row: dict[str, Any]) -> None:
        if row["epoch"] >= self.run.starting_step:  # above 0 if the server has earlier epochs
            self.run.log({name: value for name, value in row.items() if value is not None}, row["epoch"], commit=True)

    def summarize(self, figures: dict[str, float]) -> None:
        self.run.summary.update(figures)

    def end(self, failed: bool) -> None:
        self.run.finish(exit_code=int(failed))
        for directory in self.replaced:  # earlier offline runs: the new one has all their epochs, and is complete now
            shutil.rmtree(directory)

    def give_up(self) -> None:
        self.wandb.teardown()  # otherwise the next run and Python's exit would retry the broken connection


TRACKERS = {"tensorboard": TensorBoard, "wandb": Wandb}


class Tracker:
    """The chosen tracker, if any; if it fails, a warning is logged and the run continues without it.

    Raises ConfigError if its package is missing. As a context manager it tells the tracker whether the run failed.
    """

    def __init__(self, name: str, run: Path):
        self.name = name
        self.started: Any = None  # None before the run starts, after a failure, and without a tracker
        try:
            self.chosen = TRACKERS[name](run) if name in TRACKERS else None
        except Exception as error:  # a broken installation raises more than ImportError
            reason = one_line(error)
            raise ConfigError(f'logger={name}: {reason}; install it with pip install -e ".[{name}]"') from None

    def start(self, config: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
        """Start or continue a run that has these rows of metrics.csv so far."""
        self.started = self.chosen
        self._call("start", config, rows)

    def log(self, row: dict[str, Any]) -> None:
        """Pass on a row of metrics.csv."""
        self._call("log", row)

    def summarize(self, result: dict[str, Any]) -> None:
        """Pass on the numbers in result.json, under their names there."""
        keys = ("final", "best", "parameters", "multiply_adds", "wall_seconds")
        figures = {key: result[key] for key in keys} | {"test": {key: result["test"][key] for key in ("loss", "acc")}}
        self._call("summarize", {key: value for key, value in flatten(figures, "/") if value is not None})

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._call("end", error is not None)

    def _call(self, method: str, *arguments: Any) -> None:
        """Call the tracker unless it has failed; if it fails now, log a warning and never call it again."""
        if (tracker := self.started) is None:
            return
        try:
            getattr(tracker, method)(*arguments)
        except Exception as error:  # any kind: the run does not depend on the tracker
            log.warning(f"logger={self.name}: {one_line(error)}; the run continues without it")
            self.started = None
            with suppress(Exception, SystemExit):
                tracker.give_up()


def flatten(nested: dict[str, Any], separator: str = ".", prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested dictionaries, each with its keys joined."""
    for key, value in nested.items():
        if isinstance(value, dict):
            yield from flatten(value, separator, f"{prefix}{key}{separator}")
        else:
            yield f"{prefix}{key}", value


def one_line(error: Exception) -> str:
    """Return an error's type and the first line of its message."""
    return f"{type(error).__name__}: {error}".splitlines()[0]
