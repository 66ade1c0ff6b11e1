"""Figures that others have published, beside one's own."""

from pathlib import Path

import pandas as pd

FILE = Path(__file__).with_name("published.csv")
NETWORK = [
    "data",
    "stages",
    "width",
    "shortcut",
]  # what has to agree for two rows to be about the same network
COMPARED = ("val_acc", "test_acc")
FIGURES = ["train_loss", "train_acc", "val_loss", "val_acc", "test_acc"]
ORIGINAL = "original project"


def read_published() -> pd.DataFrame:
    """Return the rows of published.csv with the columns that `summarize` has, `training` and `source`."""
    rows = pd.read_csv(FILE, dtype=dict.fromkeys(("epochs", "steps", "parameters", "multiply_adds"), "Int64"))
    rows = rows.rename(columns={figure: f"{figure}_mean" for figure in FIGURES})
    rows["stages"] = [tuple(map(int, stages.split("-"))) for stages in rows["stages"]]
    rows["blocks"] = rows["stages"].map(sum)
    rows["depth"] = 2 * rows["blocks"] + 2
    rows["seeds"] = rows["n"].astype(str)
    rows["training"] = [_length(*both) for both in zip(rows["epochs"], rows["steps"])]
    return rows


def add_published(configurations: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with those published for the same data added to each study, sorted by depth.

    `val_acc_difference` and `test_acc_difference` are in percentage points, own minus published, and
    `published_training` is how long the other was trained; missing where the same network is not published.
    """
    published = read_published()
    lengths = [_length(row["epochs.count"], row.get("epochs.steps")) for row in configurations["settings"]]
    own = configurations.assign(training=lengths).merge(_counterparts(published), "left", NETWORK)
    for figure in COMPARED:
        own[f"{figure}_difference"] = 100 * (own[f"{figure}_mean"] - own.pop(f"{figure}_published"))
    parts = []
    for study, rows in own.groupby("study", sort=False):
        theirs = published[published["data"].isin(rows["data"])].assign(study=study)
        parts.append(pd.concat([rows, theirs]).sort_values("depth", kind="stable"))
    return pd.concat(parts, ignore_index=True)


def _length(epochs: int | None, steps: int | None) -> str:
    """Return how long a training is, in the unit in which it was asked for."""
    return f"{steps:,} steps" if pd.isna(epochs) else f"{epochs:,} epochs"


def _counterparts(published: pd.DataFrame) -> pd.DataFrame:
    """Return one row per published network; a mean over runs is preferred to the best of them."""
    rows = published.sort_values("n", kind="stable").drop_duplicates(NETWORK, keep="last")
    columns = {f"{figure}_mean": f"{figure}_published" for figure in COMPARED} | {"training": "published_training"}
    return rows[[*NETWORK, *columns]].rename(columns=columns)
