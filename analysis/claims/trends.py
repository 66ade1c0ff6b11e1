"""What the tables by epoch and by layer support: whether training was over, and where the gradient goes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from analysis.frames.statistics import CONFIDENCE, estimate, welch
from analysis.frames.study import kind

WINDOW = 4  # the last quarter of all epochs is the end of a training
LEAST = 3  # epochs, without which there is no slope with an error
NAMED = 6  # of more configurations the first ones are named


@dataclass(frozen=True)
class Slope:
    """The change of a loss per epoch over the last epochs of training, its standard error, and its 95 % interval."""

    value: float
    error: float
    low: float
    high: float
    epochs: int


def find_slopes(epochs: pd.DataFrame, configurations: pd.DataFrame) -> Iterator[str]:
    """Say which losses were still falling when training ended, which were rising, and which cannot be told."""
    measure = "val_loss" if epochs["val_loss"].notna().any() else "train_loss"
    name = {"val_loss": "validation", "train_loss": "training"}[measure]
    slopes: dict[str, list[str]] = {"falling": [], "rising": [], "": []}
    for row in configurations.itertuples():
        slope = fit(epochs[epochs["configuration"] == row.configuration], measure)
        if slope is not None:
            way = "falling" if slope.high < 0 else "rising" if slope.low > 0 else ""
            digits = 4 if slope.error >= 0.0005 else 6  # four would leave nothing of the error
            change = f"{slope.value:+.{digits}f} ± {slope.error:.{digits}f} an epoch, last {slope.epochs}"
            slopes[way].append(f"{row.full_label} ({change})")
    if slopes["falling"]:
        yield (
            f"The {name} loss was still falling over the last epochs, so that longer training may change the order: "
            f"{listed(slopes['falling'])}."
        )
    if slopes["rising"]:
        yield f"The {name} loss was rising over the last epochs: {listed(slopes['rising'])}."
    if slopes[""]:
        yield f"Whether the {name} loss was still falling over the last epochs cannot be told: {listed(slopes[''])}."


def fit(epochs: pd.DataFrame, measure: str) -> Slope | None:
    """Return the slope over the last quarter of the epochs, each seed with its own level; None for too few of them.

    A quarter is three epochs at least, and those have to be less than all.
    """
    last = int(epochs["epoch"].max()) if len(epochs) else 0
    window = max(LEAST, -(-last // WINDOW))
    rows = epochs[epochs["epoch"] > last - window].dropna(subset=measure)
    rows = rows[np.isfinite(rows[measure])]
    seeds, freedom = rows.groupby("seed"), len(rows) - rows["seed"].nunique() - 1
    if last <= window or freedom < 1:
        return None
    x, y = (rows[name] - seeds[name].transform("mean") for name in ("epoch", measure))
    spread = float((x**2).sum())
    value = float((x * y).sum()) / spread
    error = float(np.sqrt(((y - value * x) ** 2).sum() / freedom / spread))
    margin = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * error
    return Slope(value, error, value - margin, value + margin, window)


def find_gradients(layers: pd.DataFrame, configurations: pd.DataFrame) -> Iterator[str]:
    """Say how the first layers' gradient compares with the last ones', residual against plain, where deepest."""
    known = configurations[configurations["configuration"].isin(layers["configuration"])]
    for _, rows in known.groupby("recipe", sort=False):
        plain = rows[rows["shortcut"] == "none"]
        for shortcut, residual in rows.groupby("shortcut", sort=False):
            common = set(residual["depth"]) & set(plain["depth"])
            if shortcut != "none" and common:
                pair = [side[side["depth"] == max(common)] for side in (plain, residual)]
                logs = [reach(layers[layers["configuration"].isin(side["configuration"])]) for side in pair]
                if all(map(len, logs)):
                    yield gradient_sentence(kind(residual), max(common), *logs)


def reach(layers: pd.DataFrame) -> pd.Series:
    """Return, per run, the log10 of the first layers' gradient norm over the last ones', in the mean over epochs.

    First and last are a tenth of the 3x3 layers each, rounded, and at least one. An epoch in which one of them has no
    gradient has no ratio, and does not count.
    """
    rows = layers[layers["response_std"].notna()]
    by_epoch = rows.groupby(["path", "epoch"])["layer"]
    place, count = by_epoch.rank(method="first"), by_epoch.transform("size")
    tenth = (count / 10).round().clip(lower=1)
    with np.errstate(divide="ignore"):
        logs = np.log10(rows["grad_norm"].fillna(0))
    first = logs[place <= tenth].groupby([rows["path"], rows["epoch"]]).mean()
    last = logs[place > count - tenth].groupby([rows["path"], rows["epoch"]]).mean()
    ratios = first - last
    return ratios[np.isfinite(ratios)].groupby("path").mean()


def gradient_sentence(name: str, depth: int, plain: pd.Series, residual: pd.Series) -> str:
    """Return what can be said of two sides' gradients, of which only the ratio has the same meaning in both."""
    mean, other = (times(10 ** estimate(side).mean) for side in (residual, plain))
    start = (
        f"At {depth} layers, the first layers of {name} get {mean} times the gradient norm of the last ones, those "
        f"of their plain twins {other} times (geometric mean over epochs, {seeds(residual, plain)})."
    )
    found = welch(plain, residual)
    if found.p is None:
        return f"{start} How other seeds would have it is open."
    if found.low <= 0 <= found.high:
        return f"{start} No difference between them can be claimed: it could be noise."
    more = "more" if found.low > 0 else "less"
    low, high = sorted(10 ** abs(bound / 100) for bound in (found.low, found.high))
    return (
        f"{start} With skip connections that is {times(low)} to {times(high)} times {more} (95 % interval over seeds)."
    )


def seeds(a: pd.Series | pd.DataFrame, b: pd.Series | pd.DataFrame) -> str:
    """Return how many seeds two sides have."""
    return "a single seed each" if len(a) == len(b) == 1 else f"{len(a)} and {len(b)} seeds"


def times(factor: float) -> str:
    """Return a factor with two digits, or as a whole number."""
    return f"{factor:,.0f}" if factor >= 10 else f"{factor:.2g}"


def listed(names: list[str]) -> str:
    """Return names in a row, the first ones of many."""
    more = f"; and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return "; ".join(names[:NAMED]) + more
