"""The run folder: the single contract between the code that trains and the code that reads.

`result.json`, written last, means that a run is complete; `failure.json`, that it failed. A file is written under a
temporary name, synced and renamed, so that nobody ever reads half of it. Rows are appended and synced at the end of
each epoch; when a run resumes, rows that its checkpoint does not cover are dropped and computed again.
"""

import json
import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml

from resnet.config import Config, identity
from resnet.errors import UserError
from resnet.locks import lock
from resnet.record.checkpoint import load_checkpoint, serialize
from resnet.record.files import (
    append,
    format_json,
    format_rows,
    read_table,
    sync_folder,
    whole_lines,
    write_whole,
)

log = logging.getLogger(__name__)

METRICS = ("epoch", "lr", "train_loss", "train_acc", "val_loss", "val_acc")
METRICS += ("train_seconds", "val_seconds", "images_per_second")
LAYERS = ("epoch", "layer", "name", "stage", "grad_norm", "weight_norm", "response_std", "residual_ratio")
TABLES = {"metrics.csv": METRICS, "layers.csv": LAYERS}
CHECKPOINT, PREVIOUS = "checkpoint.pt", "checkpoint.previous.pt"
# In archiving order: a half-archived run must not look complete, and what remains must still say whose run it is.
FILES = ("result.json", "failure.json", *TABLES, CHECKPOINT, PREVIOUS, "weights.safetensors", "predictions.npy")
FILES += ("starts.jsonl", "cosines.csv", "curvature.csv", "lesions.csv", "curves.png", "samples.png")
FILES += ("tensorboard", "wandb", "config.yaml")


class RecordError(UserError):
    """A run folder that cannot be used as it stands."""


class RunFolder:
    """One run's files, in the folder `path`, which must exist before the first write.

    It may be a symbolic link: two links to the same folder share its lock.
    """

    def __init__(self, path: Path):
        self.path = path

    @property
    def label(self) -> str:
        """Return configuration and seed, which tell parallel runs apart."""
        return f"{self.path.parent.name}/{self.path.name}"

    def state(self) -> str:
        """Return `complete`, `failed`, `diverged`, `unfinished` or `not started`."""
        if (self.path / "result.json").exists():
            return "complete"
        if (self.path / "failure.json").exists():
            return self.failure().get("status", "failed")
        return "unfinished" if (self.path / "config.yaml").exists() else "not started"

    def begun_at(self) -> int | None:
        """Return when config.yaml was written, in nanoseconds, or None if it does not exist."""
        path = self.path / "config.yaml"
        return path.stat().st_mtime_ns if path.exists() else None

    def ended_at(self) -> int | None:
        """Return when result.json or failure.json was last written, in nanoseconds, or None if neither exists."""
        ends = [self.path / name for name in ("result.json", "failure.json")]
        return max((path.stat().st_mtime_ns for path in ends if path.exists()), default=None)

    def failure(self) -> dict[str, Any]:
        """Return the content of failure.json; empty if it is missing or unreadable."""
        try:
            failure = json.loads((self.path / "failure.json").read_text(encoding="utf-8"))
            return failure if isinstance(failure["status"], str) and isinstance(failure["error"], str) else {}
        except (OSError, ValueError, TypeError, KeyError):
            return {}

    def result(self) -> dict[str, Any]:
        """Return the content of result.json; raises RecordError if it is damaged or not that of a complete run."""
        path = self.path / "result.json"
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            if result["status"] != "complete":
                raise ValueError("it does not say `complete`")
            _accuracy(result)
        except (ValueError, TypeError, KeyError) as error:
            reason = error if isinstance(error, ValueError) else "it is not what a run writes"
            raise RecordError(
                f"{path} is damaged, {reason}; move it away and repeat the command that wrote it"
            ) from None
        return result

    def accuracy(self) -> float:
        """Return a complete run's validation accuracy, or test accuracy if none is held out; NaN for an inspection."""
        return _accuracy(self.result())

    def metrics(self) -> list[dict[str, float | None]]:
        """Return the rows of metrics.csv as numbers, up to the first malformed one; None for an empty field."""
        rows: list[dict[str, float | None]] = []
        with suppress(ValueError):
            for row in read_table(self.path / "metrics.csv", METRICS):
                figures = {name: float(text) if text else None for name, text in zip(METRICS, row)}
                rows.append(figures | {"epoch": int(row[0])})
        return rows

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes out of the folder; raises a RecordError that names the process using it.

        The system releases the lock when its owner ends, however that happens. Between hosts it works if flock does, as
        on NFS 4.
        """
        with open(self.path / ".lock", "a+", encoding="utf-8") as file:
            try:
                lock(file.fileno())
            except BlockingIOError:
                file.seek(0)
                owner = file.read() or "another process"
                raise RecordError(f"in use by {owner}; wait for it, or stop it first") from None
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
            yield

    def begin(self, config: Config, choices: Mapping[str, str | None]) -> None:
        """Write config.yaml: the configuration, its identity, and the names of the choices it was composed from.

        Raises RecordError if the folder holds a run whose configuration is different or unknown.
        """
        self.check_owner(config)
        if not (self.path / "config.yaml").exists():
            content = asdict(config) | {"identity": identity(config), "choices": dict(choices)}
            write_whole(self.path / "config.yaml", yaml.safe_dump(content, sort_keys=False).encode())

    def check_owner(self, config: Config) -> None:
        """Raise RecordError if the folder holds a run whose configuration is different or unknown."""
        if conflict := self.config_conflict(config):
            raise RecordError(conflict)

    def config_conflict(self, config: Config) -> str:
        """Return an error line if the folder holds a run whose configuration is different or unknown, else ""."""
        path, instead = self.path / "config.yaml", "move the folder away, or give resume=never"
        if not path.exists():
            has_run = any((self.path / name).exists() for name in ("result.json", CHECKPOINT, PREVIOUS))
            return f"{self.path} holds a run, but no config.yaml that says whose; {instead}" if has_run else ""
        try:
            found = yaml.safe_load(path.read_text(encoding="utf-8"))
            same = found["seed"] == config.seed and found["identity"] == identity(config)
        except OSError as error:
            return f"{path} cannot be read: {error.strerror}"
        except (yaml.YAMLError, ValueError, AttributeError, TypeError, KeyError):
            same = False
        return "" if same else f"{path} is not this run's configuration; {instead}"

    def start(self, start: dict[str, Any]) -> None:
        """Append a line about this process to starts.jsonl, and remove failure.json."""
        time = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        starts = [*whole_lines(self.path / "starts.jsonl"), json.dumps({"time": time} | start)]
        write_whole(self.path / "starts.jsonl", "".join(f"{line}\n" for line in starts).encode())
        (self.path / "failure.json").unlink(missing_ok=True)

    def starts(self) -> list[dict[str, Any]]:
        """Return the lines of starts.jsonl; raises OSError if the file is missing, ValueError if it is damaged."""
        return [json.loads(line) for line in (self.path / "starts.jsonl").read_text(encoding="utf-8").splitlines()]

    def resume(self, restore: Callable[[dict[str, Any]], None]) -> int:
        """Go back to the newest intact checkpoint that `restore` accepts; return its epoch, or 0 without one.

        `restore` gets the checkpoint and raises ValueError for one that does not fit. Rejected checkpoints and tables
        with other columns are archived. The tables keep the rows up to that epoch; later ones are dropped or, if every
        checkpoint was rejected, archived.
        """
        self._archive_foreign_tables()
        lost = False
        for name in (CHECKPOINT, PREVIOUS):
            path = self.path / name
            if not path.exists():
                continue
            try:
                checkpoint = load_checkpoint(path)
                self._check_rows(checkpoint["epoch"])
                restore(checkpoint)
            except (ValueError, KeyError) as error:
                reason = f"it has no {error}" if isinstance(error, KeyError) else error
                log.warning(f"{path}: archived, {reason}")
                self.archive(name)
                lost = True
            else:
                self._trim_tables(checkpoint["epoch"])
                return checkpoint["epoch"]
        if lost:  # keep the rows of the epochs that will be computed again
            self.archive(*TABLES)
        self._trim_tables(0)
        return 0

    def adopt(self, other: "RunFolder") -> None:
        """Copy another run's tables, samples and checkpoint here, the checkpoint last: it makes the epochs count."""
        for name in ("samples.png", *TABLES, CHECKPOINT):
            if (other.path / name).exists():
                write_whole(self.path / name, (other.path / name).read_bytes())

    def begun_compiled(self) -> bool | None:
        """Return whether the newest intact checkpoint is from a compiled network, or None without one."""
        for name in (CHECKPOINT, PREVIOUS):
            if (self.path / name).exists():
                with suppress(ValueError, KeyError):
                    return load_checkpoint(self.path / name)["compiled"]
        return None

    def _check_rows(self, epochs: int) -> None:
        if [row["epoch"] for row in self.metrics()[:epochs]] != list(range(1, epochs + 1)):
            raise ValueError(f"metrics.csv does not hold its {epochs} epochs")

    def _archive_foreign_tables(self) -> None:
        for name, columns in TABLES.items():
            path = self.path / name
            if path.exists() and (whole_lines(path) or [""])[0] != ",".join(columns):
                log.warning(f"{path}: archived, its columns are not {','.join(columns)}")
                self.archive(name)

    def _trim_tables(self, epochs: int) -> None:
        """Keep only the tables' rows up to an epoch, byte for byte; none if the run starts over."""
        for name, columns in TABLES.items():
            path = self.path / name
            rows = [row for row in read_table(path, columns) if 0 < epochs >= int(row[0])]
            if path.exists() or name == "metrics.csv":
                write_whole(path, format_rows([columns, *rows]))

    def write_layers(self, layers: Sequence[dict[str, Any]]) -> None:
        """Append the measurements inside the network after an epoch, or before the first step."""
        if not layers:
            return
        if not (self.path / "layers.csv").exists():
            write_whole(self.path / "layers.csv", format_rows([LAYERS]))
        append(self.path / "layers.csv", format_rows([[layer[name] for name in LAYERS] for layer in layers]))

    def finish_epoch(self, row: dict[str, Any], layers: Sequence[dict[str, Any]], checkpoint: dict[str, Any]) -> None:
        """Append an epoch's rows, then replace the checkpoint; the one before it stays as `checkpoint.previous.pt`."""
        append(self.path / "metrics.csv", format_rows([[row[name] for name in METRICS]]))
        self.write_layers(layers)
        content = serialize(checkpoint)
        if (self.path / CHECKPOINT).exists():
            os.replace(self.path / CHECKPOINT, self.path / PREVIOUS)
        write_whole(self.path / CHECKPOINT, content)

    def write(self, name: str, content: bytes) -> None:
        """Write a file that no later epoch depends on."""
        write_whole(self.path / name, content)

    def complete(self, result: dict[str, Any], weights: dict[str, Any]) -> None:
        """Write the final weights, then the result."""
        from safetensors.torch import save

        write_whole(self.path / "weights.safetensors", save({name: w.contiguous() for name, w in weights.items()}))
        (self.path / PREVIOUS).unlink(missing_ok=True)
        self.finish(result)

    def finish(self, result: dict[str, Any]) -> None:
        """Write result.json: from here on the run is complete."""
        write_whole(self.path / "result.json", format_json(result))

    def fail(self, status: str, error: str, trace: str, step: int | None = None) -> None:
        """Write failure.json; `status` is `failed` or `diverged`."""
        failure = {
            "status": status,
            "error": error,
            "traceback": trace,
            "epoch": len(read_table(self.path / "metrics.csv", METRICS)) + 1,
            "step": step,
            "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }
        write_whole(self.path / "failure.json", format_json(failure))

    def archive(self, *names: str) -> None:
        """Move the run's files, or only those named, into a new numbered folder under `.archive`."""
        present = [self.path / name for name in names or FILES if (self.path / name).exists()]
        if not present:
            return
        archive = self.path / ".archive"
        archive.mkdir(exist_ok=True)
        numbered = archive / str(1 + max((int(p.name) for p in archive.iterdir() if p.name.isdigit()), default=0))
        numbered.mkdir()
        for file in present:
            file.rename(numbered / file.name)
        sync_folder(self.path)


def _accuracy(result: dict[str, Any]) -> float:
    if "final" not in result:
        return float("nan")
    val, test = result["final"]["val_acc"], result["test"]["acc"]
    return float(test if val is None else val)
