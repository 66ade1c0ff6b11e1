"""The tables of many runs as one frame: a row per epoch, layer, lesion, pair of classes, and so on."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.frames.read import Damaged, read_json, read_tables

METRICS = ("epoch", "lr", "train_loss", "train_acc", "val_loss", "val_acc")
METRICS += ("train_seconds", "val_seconds", "images_per_second")
LAYERS = ("epoch", "layer", "name", "stage", "grad_norm", "weight_norm", "response_std", "residual_ratio")
COSINES, CURVATURE = ("distance", "cosine"), ("eigenvalue", "residual", "iterations", "converged")
LESIONS = ("lesion", "block", "loss", "accuracy")
KEYS = ["study", "configuration", "model", "shortcut", "depth", "seed", "path"]  # in front of each table's own columns


def load_epochs(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run and epoch: the run's KEYS, then the columns of metrics.csv."""
    return _load(runs, "metrics.csv", METRICS)


def load_layers(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run, probed epoch and layer: the run's KEYS, then the columns of layers.csv.

    Runs of older versions have no `weight_norm` and no `residual_ratio`, and no epoch 0.
    """
    return _load(runs, "layers.csv", LAYERS)


def load_cosines(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per inspection and distance: the run's KEYS, then the columns of cosines.csv."""
    return _load(runs, "cosines.csv", COSINES)


def load_curvature(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per inspection: the run's KEYS, then the columns of curvature.csv."""
    return _load(runs, "curvature.csv", CURVATURE)


def load_lesions(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run and lesion: the run's KEYS, then the columns of lesions.csv."""
    return _load(runs, "lesions.csv", LESIONS)


def _load(runs: pd.DataFrame, file: str, columns: Sequence[str]) -> pd.DataFrame:
    """Return a table of every run that has it, each row preceded by the KEYS of its run."""
    rows = read_tables([Path(path) / file for path in runs["path"]], columns)
    keys = runs[KEYS].iloc[rows.index].reset_index(drop=True)
    return pd.concat([keys, rows.reset_index(drop=True)], axis=1)


def load_classes(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run, true class and predicted class; `images` is how many images that is."""
    rows = []
    for configuration, seed, path in zip(runs["configuration"], runs["seed"], runs["path"]):
        names, counts = _confusion(Path(path) / "result.json")
        for true, line in zip(names, counts):
            rows += [(configuration, seed, true, predicted, n) for predicted, n in zip(names, line)]
    return pd.DataFrame(rows, columns=["configuration", "seed", "true", "predicted", "images"])


def _confusion(file: Path) -> tuple[list[str], list[list[int]]]:
    """Return the classes and the confusion matrix of a result; both empty if they are missing or incomplete."""
    try:
        test = read_json(file)["test"]
        names, counts = list(test["per_class_acc"]), test["confusion"]
        whole = {len(names)} == {len(counts), *map(len, counts)} and {type(n) for line in counts for n in line} == {int}
    except (Damaged, KeyError, TypeError):
        return [], []
    return (names, counts) if whole else ([], [])
