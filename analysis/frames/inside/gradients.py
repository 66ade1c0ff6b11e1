"""Where the gradient goes: the first layers' over the last ones', and by how much it grows from layer to layer.

Only convolutions on the way through the blocks are layers here, so that a residual network's stand beside those of its
plain twin: the projections of some shortcuts have no counterpart there.
"""

import numpy as np
import pandas as pd

EACH = ["path", "epoch"]  # a run, looked at once
TENTH = 10
PROJECTION = r"\.shortcut(?:\.0)?$"  # how the layer of a shortcut is called, alone or with batch norm behind it


def with_places(layers: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of layers with their `place`, from 1 at the input, of `count`; `end` is the first or last tenth.

    A tenth is rounded, and at least one layer. `end` is 1 in the first, -1 in the last, 0 between them.
    """
    rows = layers[~layers["name"].astype(str).str.contains(PROJECTION)]
    by_run = rows.groupby(EACH)["layer"]
    place, count = by_run.rank(method="first"), by_run.transform("size")
    tenth = (count / TENTH).round().clip(lower=1)
    return rows.assign(place=place, count=count, end=(place <= tenth).astype(int) - (place > count - tenth))


def logs(rows: pd.DataFrame, scaled: bool) -> pd.Series:
    """Return log10 of each layer's gradient norm, `scaled` by that of its weights; a gradient of zero is not finite.

    Behind batch norm, the size of a gradient is as arbitrary as that of its weights: the product of both is not.
    """
    norms = rows["grad_norm"].fillna(0)
    with np.errstate(divide="ignore"):
        found = np.log10(norms * rows["weight_norm"] if scaled else norms)
    return pd.Series(found, rows.index)


def end_ratios(layers: pd.DataFrame, scaled: bool = False) -> pd.Series:
    """Return log10 of the first tenth's gradient norm over the last tenth's (geometric means), by run and epoch.

    Where one of them has no gradient or no known weights, there is no ratio, and no row.
    """
    rows = with_places(layers)
    rows = rows.assign(log=logs(rows, scaled))
    first, last = (rows[rows["end"] == end].groupby(EACH)["log"].agg(_mean) for end in (1, -1))
    ratios = first - last
    return ratios[np.isfinite(ratios)]


def _mean(values: pd.Series) -> float:
    """Return the mean, that of a missing value missing."""
    return float(values.mean(skipna=False))


def growth(layers: pd.DataFrame, scaled: bool = False) -> pd.Series:
    """Return by how much log10 of the gradient norm grows per layer towards the input, by run and epoch.

    It is the slope of one line per stage, all as steep, through the layers between the first and the last tenth. The
    layer in which a stage begins is not among them: its channels and pixels are others, and so is its gradient.
    """
    rows = with_places(layers)
    rows = rows.assign(log=logs(rows, scaled), begins=~rows.duplicated([*EACH, "stage"]))
    rows = rows[(rows["end"] == 0) & ~rows["begins"] & np.isfinite(rows["log"])]
    by_stage = rows.groupby([*EACH, "stage"])
    across, up = (rows[name] - by_stage[name].transform("mean") for name in ("place", "log"))
    sums = rows.assign(both=across * up, square=across**2).groupby(EACH)[["both", "square"]].sum()
    return (-sums["both"] / sums["square"]).dropna()
