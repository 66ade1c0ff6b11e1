"""Configurations as rows: runs averaged over seeds, and how many count."""

from dataclasses import dataclass

import pandas as pd

from analysis.frames.conditions import BY, mixtures, uniform
from analysis.frames.settings import Row, Settings

STATUSES = ("complete", "unfinished", "failed", "diverged", "damaged")
VAL_FRACTION = 0.1  # the default in conf/data/; any other changes which images are trained and validated on

SAME = ["configuration", "data", "model", "shortcut", "stages", "width", "blocks", "depth"]
SAME += ["parameters", "multiply_adds", "epochs", "settings", "config", "identity", "choices"]


@dataclass(frozen=True)
class Measure:
    """A figure's name in a table and in full, the factor it is multiplied by, and its decimals."""

    label: str
    long: str
    factor: float
    digits: int


MEASURES = {
    "train_loss": Measure("train loss", "training loss", 1, 4),
    "train_acc": Measure("train acc (%)", "training accuracy (%)", 100, 2),
    "val_loss": Measure("val loss", "validation loss", 1, 4),
    "val_acc": Measure("val acc (%)", "validation accuracy (%)", 100, 2),
    "test_acc": Measure("test acc (%)", "test accuracy (%)", 100, 2),
}


def of_configurations(rows: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose configuration is among those of another frame."""
    return rows[rows["configuration"].isin(others["configuration"])]


def summarize(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per configuration, in the order of `runs`.

    `<measure>_mean` and `<measure>_std` are over the `n` complete runs; the deviation is missing if n is 1.
    `unfinished`, `failed`, `diverged` and `damaged` count the other runs; `seeds` puts all of this into words. `images`
    says which part of the data a row uses, if not the usual one. The columns CONDITIONS say how all complete runs were
    computed, and `mixed` how they differ in that.
    """
    groups = runs.groupby(BY, sort=False)
    rows = groups[SAME].first()  # an unfinished run lacks some of these
    rows = rows.join(groups["started"].agg(lambda times: min(times.dropna(), default="")))
    status = pd.crosstab([runs["study"], runs["folder"]], runs["status"])
    status = status.reindex(columns=list(STATUSES), fill_value=0)
    rows = rows.join(status.rename(columns={"complete": "n"}))
    done = runs["status"] == "complete"
    complete = runs[done].groupby(BY)[list(MEASURES)]
    seconds = runs[done].groupby(BY)["wall_seconds"].mean()
    rows = rows.join(complete.mean().add_suffix("_mean")).join(complete.std().add_suffix("_std")).join(seconds)
    rows = rows.join(uniform(runs[done])).join(mixtures(runs[done]).rename("mixed")).fillna({"mixed": ""})
    progress = runs[runs["status"] == "unfinished"].groupby(BY)["epochs_done"]
    rows = rows.join(progress.agg(least_epochs="min", most_epochs="max")).reset_index()
    rows["seeds"] = [_seeds(row) for row in rows.to_dict("records")]
    rows["images"] = [_images(config) for config in rows["config"]]
    return rows.drop(columns=["least_epochs", "most_epochs"])


def _seeds(row: Row) -> str:
    """Return how many runs count and what happened to the others, as `2 of 3 (1 unfinished: epoch 7/20)`."""
    others = [f"{row[status]} {status}" for status in STATUSES[2:] if row[status]]
    if row["unfinished"]:
        least, most = row["least_epochs"], row["most_epochs"]
        done = f"epoch {most}" if least == most else f"epochs {least} to {most}"
        total = "?" if pd.isna(row["epochs"]) else row["epochs"]
        others.append(f"{row['unfinished']} unfinished: {done}/{total}")
    runs = row["n"] + sum(row[status] for status in STATUSES[1:])
    return f"{row['n']} of {runs} ({', '.join(others)})" if others else str(runs)


def _images(config: Settings) -> str:
    """Return which images were used and held out, if that differs from the defaults in conf/data/."""
    limit, held_out = config.get("data.limit"), config.get("data.val_fraction", VAL_FRACTION)
    said = []
    if limit is not None:
        said.append(f"first {f'{limit} training images' if limit > 1 else 'training image'} of each class")
    if held_out != VAL_FRACTION:
        said.append(f"{100 * held_out:g} % held out" if held_out else "nothing held out")
    return ", ".join(said)


def data_of(configurations: pd.DataFrame) -> str:
    """Return the data sets of rows, and which part they use: `cifar10, first 100 training images of each class`."""
    own = configurations.dropna(subset="images")  # published rows have none
    texts = own["data"] + (", " + own["images"]).where(own["images"] != "", "")
    return " and ".join(sorted(texts.unique()))
