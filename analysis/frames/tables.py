"""The tables of many runs as one frame: a row per epoch, layer, lesion, pair of classes, and so on."""

from pathlib import Path

import pandas as pd

from analysis.frames.read import Damaged, read_json, read_tables

METRICS = ("epoch", "lr", "train_loss", "train_acc", "val_loss", "val_acc")
METRICS += ("train_seconds", "val_seconds", "images_per_second")
LAYERS = ("epoch", "layer", "name", "stage", "grad_norm", "weight_norm", "response_std", "residual_ratio")
COLUMNS = {
    "metrics.csv": METRICS,
    "layers.csv": LAYERS,
    "cosines.csv": ("distance", "cosine"),
    "curvature.csv": ("eigenvalue", "residual", "iterations", "converged"),
    "lesions.csv": ("lesion", "block", "loss", "accuracy"),
}
KEYS = ["study", "configuration", "model", "shortcut", "depth", "seed", "path"]  # in front of each table's own columns


def load_epochs(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run and epoch: the run's KEYS, then the columns of metrics.csv."""
    return load_table(runs, "metrics.csv")


def load_layers(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run, probed epoch and layer: the run's KEYS, then the columns of layers.csv.

    Runs of older versions have no `weight_norm` and no `residual_ratio`, and no epoch 0.
    """
    return load_table(runs, "layers.csv")


def load_table(runs: pd.DataFrame, file: str) -> pd.DataFrame:
    """Return the rows of a file named in COLUMNS, of every run that has it, each preceded by the KEYS of its run."""
    rows = read_tables([Path(path) / file for path in runs["path"]], COLUMNS[file])
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
