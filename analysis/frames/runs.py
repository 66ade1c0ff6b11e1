"""Run folders as tidy frames: one row per run, per epoch, per layer.

A sweep that is under way, stopped or half broken is the normal case here. A run whose configuration can be
read is always a row, with its status; what cannot be read is left out, with one line on stderr that names the
file and the reason.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.frames.find import RunsError, find_runs, places, warn
from analysis.frames.read import Damaged, read_json, read_tables, read_yaml, whole_lines

METRICS = ("epoch", "lr", "train_loss", "train_acc", "val_loss", "val_acc")
METRICS += ("train_seconds", "val_seconds", "images_per_second")
LAYERS = ("epoch", "layer", "name", "stage", "grad_norm", "response_std")

# What changes rounding at most, and the seed, which is an axis of its own. Every other key is a setting.
NOT_SETTINGS = {"seed", "study", "device", "compile", "progress", "resume", "fail_fast", "probe_every"}
NOT_SETTINGS |= {"data.root", "logger.name"}

# Column -> where result.json has it. Those of OPTIONAL may be null, as where nothing was held out.
FIGURES = {
    "parameters": ("parameters",),
    "multiply_adds": ("multiply_adds",),
    "epochs": ("epochs",),
    "epochs_done": ("final", "epoch"),
    "train_loss": ("final", "train_loss"),
    "train_acc": ("final", "train_acc"),
    "val_loss": ("final", "val_loss"),
    "val_acc": ("final", "val_acc"),
    "best_epoch": ("best", "epoch"),
    "best_val_acc": ("best", "val_acc"),
    "test_loss": ("test", "loss"),
    "test_acc": ("test", "acc"),
    "test_images": ("test", "images"),
    "wall_seconds": ("wall_seconds",),
}
OPTIONAL = {"val_loss", "val_acc", "best_epoch", "best_val_acc", "wall_seconds"}
COUNTS = ("parameters", "multiply_adds", "epochs", "epochs_done", "best_epoch", "test_images")
# How; missing where a result does not say. Devices and threads are those of all parts of the training.
COMPUTED = {"precision": str, "compiled": bool, "device": tuple, "threads": tuple}
IDENTITY = ("study", "configuration", "seed", "status")
IDENTITY += ("data", "model", "shortcut", "stages", "width", "blocks", "depth")
COLUMNS = (*IDENTITY, *FIGURES, *COMPUTED, "error", "settings", "folder", "path")
REFERENCE = "reference/"  # how the name of a study begins that comes with the project
KEYS = ["study", "configuration", "model", "shortcut", "depth", "seed", "path"]  # beside each epoch and layer


def load_runs(folders: Iterable[str | Path]) -> pd.DataFrame:
    """Return one row per run, columns as in COLUMNS; raises RunsError where there is none.

    `status` is complete, unfinished, failed, diverged or damaged; figures are those of complete runs.
    `settings` is a dictionary of the configuration by dotted key; `stages` a tuple; accuracies are fractions.
    """
    folders = list(folders)
    rows = []
    for path in find_runs(folders):
        try:
            rows.append(_read_run(path))
        except Damaged as error:
            warn(error)
    if not rows:
        raise RunsError(f"{places(folders)}: no run found; `python -m resnet.run model=blocks4` makes one in runs/")
    runs = pd.DataFrame(_comparable(rows), columns=list(COLUMNS)).astype(dict.fromkeys(COUNTS, "Int64"))
    runs["study"] = _unmistakable(runs)
    runs = runs.sort_values(["study", "depth", "configuration", "seed"], kind="stable")
    last = runs["study"].str.startswith(REFERENCE)  # one's own come first
    return pd.concat([runs[~last], runs[last]], ignore_index=True)


def load_epochs(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run and epoch: the run's KEYS, then the columns of metrics.csv."""
    return _load_tables(runs, "metrics.csv", METRICS)


def load_layers(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run, probed epoch and layer: the run's KEYS, then the columns of layers.csv."""
    return _load_tables(runs, "layers.csv", LAYERS)


def _load_tables(runs: pd.DataFrame, file: str, columns: Sequence[str]) -> pd.DataFrame:
    """Return a table of every run that has it, each row after the KEYS of its run."""
    rows = read_tables([Path(path) / file for path in runs["path"]], columns)
    keys = runs[KEYS].iloc[rows.index].reset_index(drop=True)
    return pd.concat([keys, rows.reset_index(drop=True)], axis=1)


def _read_run(path: Path) -> dict[str, Any]:
    """Return a run's row; raises Damaged where its configuration cannot be read, for then it has no place."""
    row = _read_identity(path)
    try:
        return row | _read_outcome(path)
    except Damaged as error:
        warn(error)
        return row | {"status": "damaged"}


def _read_identity(path: Path) -> dict[str, Any]:
    """Return what config.yaml and the place of a run say about it."""
    file = path / "config.yaml"
    config = read_yaml(file)
    if config is None:
        raise Damaged(f"{file}: missing or empty, so this is no run, or has not begun")
    try:
        model, stages = config["model"], tuple(map(int, config["model"]["stages"]))
        epochs = config["epochs"]["count"]
        without_effect = NOT_SETTINGS | ({"epochs.steps"} if epochs is not None else set())
        folder = Path(os.path.abspath(path)).parent
        in_reference = folder.parents[1].name == "reference"
        return {
            "study": REFERENCE * in_reference + folder.parent.name,
            "configuration": folder.name,
            "seed": int(config["seed"]),
            "data": str(config["data"]["name"]),
            "model": str(model["name"]),
            "shortcut": str(model["shortcut"]),
            "stages": stages,
            "width": int(model["width"]),
            "blocks": sum(stages),
            "depth": 2 * sum(stages) + 2,
            "epochs": None if epochs is None else int(epochs),
            "settings": {key: value for key, value in _flat(config) if key not in without_effect},
            "folder": str(folder),
            "path": str(path),
        }
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise Damaged(f"{file}: not the configuration of a run ({reason})") from None


def _flat(config: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested dictionaries, each with its dotted key."""
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _read_outcome(path: Path) -> dict[str, Any]:
    """Return a run's status and figures; raises Damaged."""
    result = read_json(path / "result.json")
    if result is not None:
        return _figures(path / "result.json", result)
    failure = read_json(path / "failure.json")
    if failure is None:
        return {"status": "unfinished", "epochs_done": len(whole_lines(path / "metrics.csv", METRICS))}
    if not isinstance(failure, dict) or failure.get("status") not in ("failed", "diverged"):
        raise Damaged(f"{path / 'failure.json'}: does not say `failed` or `diverged`")
    return {"status": failure["status"], "error": str(failure.get("error", ""))}


def _figures(file: Path, result: Any) -> dict[str, Any]:
    """Return the figures of a complete run; raises Damaged where one is missing or no number."""
    row: dict[str, Any] = {"status": "complete"}
    for column, keys in FIGURES.items():
        value = result
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        if not _is_figure(column, value) and not (value is None and column in OPTIONAL):
            raise Damaged(f"{file}: {'.'.join(keys)} cannot be {value!r:.40}")
        row[column] = value
    machines = [machine for part in origins(result) if isinstance(machine := part.get("machine"), dict)]
    computed = {
        "precision": result.get("precision"),
        "compiled": result.get("compiled", False),  # older results do not say
        "device": _each_once("cuda" if machine.get("gpu") else "cpu" for machine in machines),
        "threads": _each_once(machine["threads"] for machine in machines if type(machine.get("threads")) is int),
    }
    return row | {name: value if type(value) is COMPUTED[name] else None for name, value in computed.items()}


def _each_once(values: Iterable[Any]) -> tuple[Any, ...] | None:
    """Return, sorted, the values that parts of a run have; None where there is none."""
    return tuple(sorted(set(values))) or None


def origins(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a result once for each part of its training: one, or several where what computed it changed on the way."""
    earlier = result.get("earlier")
    parts = [part for part in earlier if isinstance(part, dict)] if isinstance(earlier, list) else []
    return [*(result | part for part in parts), result]


def _is_figure(column: str, value: Any) -> bool:
    """Return whether a value can be what its column says: a number, a count, or a fraction."""
    if type(value) not in (int, float):
        return False
    if column in COUNTS:
        return 1 <= value < 2**63 and value == int(value)
    if column.endswith("_acc"):
        return 0 <= value <= 1
    return isinstance(value, float) or abs(value) < 2**63


def _comparable(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out, with a warning, runs that cannot be averaged with the others of their configuration.

    Another seed's copy would count twice; other settings would make the mean one of different things.
    """
    first: dict[str, dict[str, Any]] = {}
    seeds: dict[tuple[str, int], str] = {}
    kept = []
    for row in rows:
        settings = first.setdefault(row["folder"], row)["settings"]
        other = [key for key, value in row["settings"].items() if settings.get(key, value) != value]
        twin = seeds.setdefault((row["folder"], row["seed"]), row["path"])
        if twin != row["path"]:
            warn(f"{row['path']}: left out, it has the same seed as {twin}")
        elif other:
            warn(f"{row['path']}: left out, its {other[0]} is not that of {first[row['folder']]['path']}")
        else:
            kept.append(row)
    return kept


def _unmistakable(runs: pd.DataFrame) -> pd.Series:
    """Return each run's study, by its path where studies of the same name lie in different places."""
    places = runs["folder"].map(os.path.dirname)
    shared = places.groupby(runs["study"]).transform("nunique") > 1
    return runs["study"].mask(shared, places.map(os.path.relpath))
