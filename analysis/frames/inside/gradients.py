"""How the gradient changes across layers: its norm in the first over that in the last, and its growth per layer.

Projections of shortcuts do not count as layers here: they have no counterpart in a plain twin, and without them the
layers of both networks match.
"""

import numpy as np
import pandas as pd

EACH = ["path", "epoch"]  # one probe of a run
TENTH = 10
PROJECTION = r"\.shortcut(?:\.0)?$"  # the name of a shortcut's layer, alone or followed by batch norm


def with_places(layers: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of layers with `place`, from 1 at the input to `count`, and `end`, for the first or last tenth.

    A tenth is rounded to whole layers, at least one. `end` is 1 in the first, -1 in the last, 0 between them.
    """
    rows = layers[~layers["name"].astype(str).str.contains(PROJECTION)]
    by_run = rows.groupby(EACH)["layer"]
    place, count = by_run.rank(method="first"), by_run.transform("size")
    tenth = (count / TENTH).round().clip(lower=1)
    return rows.assign(place=place, count=count, end=(place <= tenth).astype(int) - (place > count - tenth))


def logs(rows: pd.DataFrame, scaled: bool) -> pd.Series:
    """Return log10 of each layer's gradient norm, `scaled` by that of its weights; not finite for a zero gradient.

    If batch norm follows, the size of the weights is arbitrary, and so is that of their gradient; the product is not.
    """
    norms = rows["grad_norm"].fillna(0)
    with np.errstate(divide="ignore"):
        found = np.log10(norms * rows["weight_norm"] if scaled else norms)
    return pd.Series(found, rows.index)


def end_ratios(layers: pd.DataFrame, scaled: bool = False) -> pd.Series:
    """Return log10 of the first tenth's gradient norm over the last tenth's (geometric means), by run and epoch.

    If either of them has no gradient, or unknown weights when `scaled`, there is no ratio and no row.
    """
    rows = with_places(layers)
    rows = rows.assign(log=logs(rows, scaled))
    first, last = (rows[rows["end"] == end].groupby(EACH)["log"].agg(_mean) for end in (1, -1))
    ratios = first - last
    return ratios[np.isfinite(ratios)]


def _mean(values: pd.Series) -> float:
    """Return the mean; missing if any value is missing."""
    return float(values.mean(skipna=False))


def growth(layers: pd.DataFrame, scaled: bool = False) -> pd.Series:
    """Return by how much log10 of the gradient norm grows per layer towards the input, by run and epoch.

    It is the common slope of one line per stage, fitted to the layers between the first and the last tenth. The first
    layer of a stage is left out: it differs in channels and pixels, and so in its gradient.
    """
    rows = with_places(layers)
    rows = rows.assign(log=logs(rows, scaled), begins=~rows.duplicated([*EACH, "stage"]))
    rows = rows[(rows["end"] == 0) & ~rows["begins"] & np.isfinite(rows["log"])]
    by_stage = rows.groupby([*EACH, "stage"])
    across, up = (rows[name] - by_stage[name].transform("mean") for name in ("place", "log"))
    sums = rows.assign(both=across * up, square=across**2).groupby(EACH)[["both", "square"]].sum()
    return (-sums["both"] / sums["square"]).dropna()
