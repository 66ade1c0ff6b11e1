"""Figures that others have published, beside one's own of the same networks, and whether the recipe was the same."""

from pathlib import Path
from typing import Any

import pandas as pd

FILE = Path(__file__).parents[1] / "published.csv"
COMPARED = ("val_acc", "test_acc")
FIGURES = ["train_loss", "train_acc", "val_loss", "val_acc", "test_acc"]
Row = dict[str, Any]

ORIGINAL, PAPER = "original project", "He et al. 2016"

# By the first part of a source: how it trained, by the keys of a configuration; published.csv says how long.
FLIP_CROP = {"augmentation.flip": True, "augmentation.crop_padding": 4}
FLIP_CROP |= {"augmentation.cutout": 0, "augmentation.trivial": False, "data.limit": None}
ADAM = {"optimizer.name": "adam", "optimizer.lr": 0.001, "optimizer.weight_decay": 0}
ADAM |= {"schedule.name": "constant", "schedule.warmup_steps": 0}
SGD = {"optimizer.name": "sgd", "optimizer.lr": 0.1, "optimizer.momentum": 0.9, "optimizer.weight_decay": 0.0001}
SGD |= {"optimizer.nesterov": False, "schedule.name": "multistep", "schedule.milestone_steps": [32000, 48000]}
SGD |= {"schedule.gamma": 0.1, "schedule.warmup_steps": 0}
WARM_UP = {"schedule.warmup_steps": 400, "schedule.warmup_factor": 0.1}  # of the paper's 110 layers alone
RECIPES: dict[str, dict[str, Any]] = {
    ORIGINAL: {"batch_size": 64, **ADAM, **FLIP_CROP, "data.val_fraction": 0.1},
    PAPER: {"batch_size": 128, **SGD, **FLIP_CROP},
}


def read_published() -> pd.DataFrame:
    """Return the rows of published.csv with the columns that `summarize` has, `by` and `source`."""
    rows = pd.read_csv(FILE, dtype=dict.fromkeys(("epochs", "steps", "parameters", "multiply_adds"), "Int64"))
    rows = rows.rename(columns={figure: f"{figure}_mean" for figure in FIGURES})
    rows["stages"] = [tuple(map(int, stages.split("-"))) for stages in rows["stages"]]
    rows["blocks"] = rows["stages"].map(sum)
    rows["depth"] = 2 * rows["blocks"] + 2
    rows["seeds"] = rows["n"].astype(str)
    rows["by"] = rows["source"].str.split(",").str[0]
    rows["settings"] = [
        RECIPES[by]
        | (WARM_UP if model == "resnet110" else {})
        | {name: None if pd.isna(n) else int(n) for name, n in (("epochs.count", e), ("epochs.steps", s))}
        for model, by, e, s in zip(rows["model"], rows["by"], rows["epochs"], rows["steps"])
    ]
    return rows


def add_published(configurations: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with those published of the same networks added to each study, sorted by depth.

    `val_acc_difference` and `test_acc_difference` are in percentage points, own minus published, and
    `other_recipe` says in what the two recipes differ; missing where the same network is not published.
    """
    by_runs = read_published().sort_values("n", kind="stable")  # a mean is preferred to the best of several
    published = {network(row): row for row in by_runs.to_dict("records")}
    rows = configurations.to_dict("records")
    added = [against(row, published[network(row)]) if network(row) in published else {} for row in rows]
    columns = [*(f"{figure}_difference" for figure in COMPARED), "other_recipe"]
    own = configurations.join(pd.DataFrame(added, configurations.index, columns))
    parts = []
    for study, part in own.groupby("study", sort=False):
        theirs = of_same_networks(part).assign(study=study)
        parts.append(pd.concat([part, theirs]).sort_values("depth", kind="stable"))
    return pd.concat(parts, ignore_index=True)


def against(own: Row, other: Row) -> Row:
    """Return what add_published adds to a row of one's own."""
    differences = {
        f"{figure}_difference": 100 * (own[f"{figure}_mean"] - other[f"{figure}_mean"]) for figure in COMPARED
    }
    return differences | {"other_recipe": other_recipe(own["settings"], other["settings"])}


def other_recipe(own: dict[str, Any], other: dict[str, Any]) -> str:
    """Return in what two recipes differ: the lengths of training, then the groups of settings; nothing if the same.

    Only what is known of the other recipe is looked at.
    """
    lengths = training(own), training(other)
    said = [] if lengths[0] == lengths[1] else [" against ".join(lengths)]
    unlike = [key for key in other if key in own and own[key] != other[key] and not key.startswith("epochs.")]
    return ", ".join(said + [group.replace("_", " ") for group in dict.fromkeys(key.split(".")[0] for key in unlike)])


def training(settings: dict[str, Any]) -> str:
    """Return how long a training is, in the unit in which it was asked for."""
    count, steps = settings.get("epochs.count"), settings.get("epochs.steps")
    number, unit = (steps, "step") if count is None else (count, "epoch")
    return f"{number:,} {unit}{'s' * (number != 1)}"


def of_same_networks(configurations: pd.DataFrame) -> pd.DataFrame:
    """Return what is published of the networks that these configurations have."""
    published = read_published()
    own = {network(row) for row in configurations.to_dict("records")}
    return published[[network(row) in own for row in published.to_dict("records")]]


def network(row: Row) -> tuple[Any, ...]:
    """Return what has to agree for two rows to be about the same network on the same data."""
    return tuple(row[key] for key in ("data", "stages", "width", "shortcut"))
