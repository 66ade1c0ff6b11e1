"""Published figures next to the user's own of the same networks, and whether the recipe was the same."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.frames.configurations import MEASURES
from analysis.frames.settings import Row, Settings

FILE = Path(__file__).parents[1] / "published.csv"
COMPARED = ("val_acc", "test_acc")

ORIGINAL, PAPER, TECHXZEN, AKAMASTER = "original project", "He et al. 2016", "techxzen", "akamaster"

# Recipes as configuration keys, by the first part of a source. published.csv says how long each trained.
FLIP_CROP = {"augmentation.flip": True, "augmentation.crop_padding": 4}
FLIP_CROP |= {"augmentation.cutout": 0, "augmentation.trivial": False, "data.limit": None}
ADAM = {"optimizer.name": "adam", "optimizer.lr": 0.001, "optimizer.weight_decay": 0}
ADAM |= {"schedule.name": "constant", "schedule.warmup": 0}
SGD = {"optimizer.name": "sgd", "optimizer.lr": 0.1, "optimizer.momentum": 0.9, "optimizer.weight_decay": 0.0001}
SGD |= {"optimizer.nesterov": False, "schedule.name": "multistep", "schedule.milestones": [0.5, 0.75]}
SGD |= {"schedule.gamma": 0.1, "schedule.warmup": 0}
RECIPES: dict[str, Settings] = {
    ORIGINAL: {"batch_size": 64, **ADAM, **FLIP_CROP, "data.val_fraction": 0.1},
    PAPER: {"batch_size": 128, **SGD, **FLIP_CROP},
    TECHXZEN: {"batch_size": 100, **SGD, **FLIP_CROP},
    AKAMASTER: {"batch_size": 128, **SGD, **FLIP_CROP, "data.val_fraction": 0},
}
WARM_UPS = {PAPER: 400 / 64_000, AKAMASTER: 1 / 200}  # only for 110 layers, as a fraction of the training
# Keys of an identity that are not part of a recipe: network and data, equal in both rows, and the precision.
NETWORK_AND_DATA = {"model.stages", "model.width", "model.shortcut", "data.name", "precision"}


@cache
def read_published() -> pd.DataFrame:
    """Return the rows of published.csv, with columns named as in `summarize`, plus `by` and `source`."""
    rows = pd.read_csv(FILE, dtype=dict.fromkeys(("epochs", "steps", "parameters", "multiply_adds", "n"), "Int64"))
    rows = rows.rename(columns={figure: f"{figure}_mean" for figure in MEASURES})
    rows["stages"] = [tuple(map(int, stages.split("-"))) for stages in rows["stages"]]
    rows["blocks"] = rows["stages"].map(sum)
    rows["depth"] = 2 * rows["blocks"] + 2
    rows["seeds"] = rows["n"].astype("string").fillna("-")  # not all sources state their number of runs
    rows["by"] = rows["source"].str.split(",").str[0]
    configs = [
        RECIPES[by]
        | ({"schedule.warmup": WARM_UPS[by], "schedule.warmup_factor": 0.1} if model == "resnet110" else {})
        | {name: None if pd.isna(n) else int(n) for name, n in (("epochs.count", e), ("epochs.steps", s))}
        | {"model.width": int(width)}
        for model, by, e, s, width in zip(*(rows[name] for name in ("model", "by", "epochs", "steps", "width")))
    ]
    return rows.assign(config=pd.Series(configs))


def add_published(configurations: pd.DataFrame, order: Sequence[str] = ()) -> pd.DataFrame:
    """Return the rows of a study together with published rows of the same networks, sorted by `order`, or by depth.

    In `order`, published rows have a place only by depth, shortcut and width.

    `val_acc_difference` and `test_acc_difference` are in percentage points, own minus published. `other_recipe` says
    how the two recipes differ, `against` where the figure is from: one with the same recipe, if there is one. All of
    these are missing if the same network is not published.
    """
    every, published = read_published(), dict[tuple[Any, ...], list[Row]]()
    for row in every.sort_values("n", ascending=False, kind="stable").to_dict("records"):
        published.setdefault(network(row), []).append(row)  # means before single runs, the paper before its repetitions
    rows = configurations.to_dict("records")
    added = [against(row, published[network(row)]) if network(row) in published else {} for row in rows]
    columns = [*(f"{figure}_difference" for figure in COMPARED), "other_recipe", "against"]
    own = configurations.join(pd.DataFrame(added, configurations.index, columns))
    own_networks = set(map(network, rows))
    theirs = every[[network(row) in own_networks for row in every.to_dict("records")]]
    theirs = theirs.assign(study=own["study"].iloc[0])
    for column, key in (("axis layers", "depth"), ("axis shortcut", "shortcut"), ("axis model.width", "width")):
        if column in order:
            theirs[column] = theirs[key].map(own.drop_duplicates(key).set_index(key)[column])
    return pd.concat([own, theirs]).sort_values([*order] or ["depth"], kind="stable", ignore_index=True)


def against(own: Row, published: Sequence[Row]) -> Row:
    """Return the columns that `add_published` adds to one of the user's rows."""
    other = next((row for row in published if not other_recipe(own, row["config"])), published[0])
    differences = {
        f"{figure}_difference": 100 * (own[f"{figure}_mean"] - other[f"{figure}_mean"]) for figure in COMPARED
    }
    return differences | {"other_recipe": other_recipe(own, other["config"]), "against": other["source"]}


def other_recipe(own: Row, other: Settings) -> str:
    """Return how a row's recipe differs from a published one: length of training, then groups of keys; empty if alike.

    A key that only the row's identity has counts as a difference, whatever it means. So does a published key that an
    older run does not have: its version had a different key for it.
    """
    config, identity = own["config"], own["identity"]
    lengths = training(config), training(other)
    said = [] if lengths[0] == lengths[1] else [" against ".join(lengths)]
    keys = [key for key in other if config.get(key, other[key]) != other[key]]
    if isinstance(identity, dict):
        keys += [key for key in identity if key not in other and key not in NETWORK_AND_DATA]
    else:
        keys += [key for key in other if key not in config]
    groups = dict.fromkeys(key.split(".")[0] for key in keys if not key.startswith("epochs."))
    return ", ".join(said + [group.replace("_", " ") for group in groups])


def training(settings: Settings) -> str:
    """Return how long a training is, in the unit in which it was configured."""
    count, steps = settings.get("epochs.count"), settings.get("epochs.steps")
    number, unit = (steps, "step") if count is None else (count, "epoch")
    return f"{number:,} {unit}{'s' * (number != 1)}"


def network(row: Row) -> tuple[Any, ...]:
    """Return what must agree for two rows to have the same network on the same data."""
    return tuple(row[key] for key in ("data", "stages", "width", "shortcut"))
