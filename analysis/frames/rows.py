"""One run folder as a row: what its configuration says, how the run ended, and how it was computed."""

import math
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from analysis.frames.find import REFERENCE, warn
from analysis.frames.read import Damaged, complete_lines, read_config, read_json, read_json_lines
from analysis.frames.settings import Row, split_config

# Column -> its key in result.json. Those in OPTIONAL may be null, for example if nothing was held out.
FIGURES = {
    "parameters": "parameters",
    "multiply_adds": "multiply_adds",
    "epochs": "epochs",
    "epochs_done": "final.epoch",
    "train_loss": "final.train_loss",
    "train_acc": "final.train_acc",
    "val_loss": "final.val_loss",
    "val_acc": "final.val_acc",
    "best_epoch": "best.epoch",
    "best_val_acc": "best.val_acc",
    "test_loss": "test.loss",
    "test_acc": "test.acc",
    "test_images": "test.images",
    "wall_seconds": "wall_seconds",
}
OPTIONAL = {"val_loss", "val_acc", "best_epoch", "best_val_acc", "wall_seconds"}
NETWORK_FIGURES = ("parameters", "multiply_adds")  # the only figures in the result of an inspection
COUNTS = ("parameters", "multiply_adds", "epochs", "epochs_done", "best_epoch", "test_images")
# How a run was computed; a missing value is not known.
CONDITIONS = ("precision", "compiled", "device", "threads", "code", "data_sha256")
NAMES = ("study", "configuration", "seed", "task", "status")
NAMES += ("data", "model", "shortcut", "stages", "width", "blocks", "depth")
COLUMNS = (*NAMES, *FIGURES, *CONDITIONS, "started", "error", "settings", "config", "identity", "choices")
COLUMNS += ("folder", "path")
OURS = re.compile(r"(blocks|resnet)\d*")  # the project's models, which are named after their blocks or layers
SEED_FOLDER = re.compile(r"seed\d+")
TRAIN = "train"  # the task of runs that do not name another
HEX_DIGITS = 8  # of a checksum, enough to tell versions apart
UNKNOWN = "unknown"  # in place of a missing checksum, version or other condition
SEVERAL = " and "  # joins the values of a run that was computed in several ways


def read_run(path: Path) -> Row | None:
    """Return a run's row; None, with a warning, if its configuration cannot be read."""
    row = _guarded(_read_configuration, path, path / "config.yaml", "the configuration of a run")
    if row is None:
        return None
    outcome = _guarded(_read_outcome, path, path / "result.json", "the result of a run")
    return row | (outcome or {"status": "damaged"})


def _guarded(read: Callable[[Path], Row], path: Path, file: Path, kind: str) -> Row | None:
    """Return what `read` makes of a run folder; None, with a warning, if it fails."""
    try:
        return read(path)
    except Damaged as error:
        warn(error)
    except Exception as error:  # one run's bad file must not affect the other runs
        warn(f"{file}: not {kind} ({f'no {error}' if isinstance(error, KeyError) else error})")
    return None


def _read_configuration(path: Path) -> Row:
    """Return what a run's config.yaml and its path say about it."""
    file = read_config(path / "config.yaml")
    if file is None:
        raise Damaged(f"{path / 'config.yaml'}: missing or empty, so this is not a run, or it has not started")
    model, epochs = file["model"], file["epochs"]["count"]
    stages = tuple(map(int, model["stages"]))
    config, identity, choices = split_config(file)
    place = Path(os.path.abspath(path))
    folder = place.parent if SEED_FOLDER.fullmatch(place.name) else place  # named by hand: a configuration of its own
    in_reference = len(folder.parents) > 1 and folder.parents[1].name == REFERENCE
    return {
        "study": f"{REFERENCE}/" * in_reference + folder.parent.name,
        "configuration": folder.name,
        "seed": int(file["seed"]),
        "task": str(file.get("task", TRAIN)),
        "data": str(file["data"]["name"]),
        "model": own if (own := str(choices.get("model") or "")) and not OURS.fullmatch(own) else str(model["name"]),
        "shortcut": str(model["shortcut"]),
        "stages": stages,
        "width": int(model["width"]),
        "blocks": sum(stages),
        "depth": 2 * sum(stages) + 2,
        "epochs": None if epochs is None else int(epochs),
        "config": config,
        "identity": identity,
        "choices": choices,
        "folder": str(folder),
        "path": str(path),
    }


def _read_outcome(path: Path) -> Row:
    """Return a run's status; if it has ended, how it was computed; if it is complete, its figures."""
    result, starts = read_json(path / "result.json"), read_json_lines(path / "starts.jsonl")
    started = {"started": str(starts[0].get("time", "")) if starts else None}
    if result is not None:
        columns = FIGURES if result.get("task", TRAIN) == TRAIN else NETWORK_FIGURES
        figures = {column: _figure(path, result, column) for column in columns}
        return {"status": "complete", **started, **figures, **_conditions(result, starts)}
    failure = read_json(path / "failure.json")
    if failure is None:
        return {"status": "unfinished", **started, "epochs_done": len(complete_lines(path / "metrics.csv")[1])}
    if failure["status"] not in ("failed", "diverged"):
        raise Damaged(f"{path / 'failure.json'}: does not say `failed` or `diverged`")
    outcome = {"status": failure["status"], **started, "error": str(failure.get("error", ""))}
    if not starts:
        return outcome
    last = {"compiled": None, **starts[-1], "data": {"sha256": starts[-1].get("data")}}
    return outcome | _conditions(last, starts)


def _figure(path: Path, result: Row, column: str) -> float | None:
    """Return the number that a result has for a column; raises Damaged if the value is impossible."""
    value: Any = result
    for key in FIGURES[column].split("."):
        value = value.get(key) if value else None
    if value is None and column in OPTIONAL:
        return None
    whole, least, most = column in COUNTS, int(column in COUNTS), 1 if column.endswith("_acc") else math.inf
    number = value if isinstance(value, (int, float)) and math.isfinite(value) else math.nan
    if not least <= number <= most or whole and number % 1:
        raise Damaged(f"{path / 'result.json'}: {FIGURES[column]} cannot be {value!r:.40}")
    return number


def _conditions(result: Row, starts: Sequence[Row]) -> Row:
    """Return how a run was computed, as the columns CONDITIONS; raises ValueError for malformed values."""
    # the report reads git and versions, and expects mappings
    parts = {name: dict(result.get(name) or {}) for name in ("machine", "data", "git", "versions")}
    starts = _counted(starts)
    machines = [dict(machine) for machine in (*(start.get("machine") for start in starts), parts["machine"]) if machine]
    threads = [machine.get("threads") for machine in machines if not machine.get("gpu")]
    return {
        "precision": result.get("precision"),
        "compiled": result.get("compiled", False),  # results of older versions do not say
        "device": _joined(machine.get("gpu") or "cpu" for machine in machines),
        "threads": _joined(str(int(count)) for count in threads if count is not None),
        "code": _checksums([*(start.get("code") for start in starts), result.get("code")]),
        "data_sha256": _checksums([*(start.get("data") for start in starts), parts["data"].get("sha256")]),
    }


def _counted(starts: Sequence[Row]) -> Sequence[Row]:
    """Return the starts whose epochs count: a later start at the same epoch or an earlier one discards the others."""
    counted: list[Row] = []
    for start in reversed(starts):
        if not counted or int(start.get("epoch", 0)) < int(counted[-1].get("epoch", 0)):
            counted.append(start)
    return counted[::-1]


def _joined(found: Iterable[str]) -> str | None:
    """Return the values of a run's starts, several if the value changed between them; None if there are none."""
    return SEVERAL.join(dict.fromkeys(found)) or None


def _checksums(found: list[str | None]) -> str | None:
    """Return the shortened checksums of a run's starts, several if they changed between them; None if none is known."""
    known = dict.fromkeys(found)
    return SEVERAL.join(code[:HEX_DIGITS] if code else UNKNOWN for code in known) if any(known) else None
