"""Published results of the same networks, as points in the figure of accuracy by depth."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.figures.style import MUTED, look_of
from analysis.frames.axes import Axis, name_shortcut
from analysis.frames.published import AKAMASTER, ORIGINAL, add_published, network, other_recipe
from analysis.frames.settings import Row

SIGNS = "*PXDv<>"  # one per label, that is per source, shortcut and recipe
ASIDE = 1.04  # times the depth, to place them beside the study's own intervals, and one source beside another


def find_published(configurations: pd.DataFrame, by: Axis | None = None) -> pd.DataFrame:
    """Return the published results of the networks drawn; `label` says by whom, and what was done differently.

    `color` is that of the shortcut, unless lines are by another axis and colours mean other things. There are no rows
    if only the plain networks are published, or only the residual ones: next to the others, which were trained
    differently, the points would mislead.
    """
    rows, own = add_published(configurations), configurations.to_dict("records")
    theirs = rows[rows["source"].notna()].sort_values("n", kind="stable")
    theirs = theirs.drop_duplicates(["by", "shortcut", "depth"], keep="last").sort_values("depth", kind="stable")
    if set(theirs["shortcut"]) != set(configurations["shortcut"]):
        theirs = theirs.head(0)
    several = configurations["shortcut"].nunique() > 1
    labels = [label(row, is_same_recipe(row, own), several) for row in theirs.to_dict("records")]
    kinds = by is None or by.name == "shortcut"
    colors = [look_of(name)[0] if kinds else MUTED for name in theirs["shortcut"]]
    return theirs.assign(label=pd.Series(labels, theirs.index, dtype=object), color=pd.Series(colors, theirs.index))


def is_same_recipe(published: Row, configurations: Sequence[Row]) -> bool:
    """Return whether one of the configurations is the same network, trained in the same way."""
    same = (row for row in configurations if network(row) == network(published))
    return any(other_recipe(row, published["config"]) == "" for row in same)


def label(row: Row, same_recipe: bool, several: bool) -> str:
    """Return how a legend names a published figure; `several` says that the study has several shortcuts."""
    notes = [] if same_recipe else ["other recipe"]
    if row["by"] == ORIGINAL:
        notes.append("augmented images")
    if row["by"] == AKAMASTER:
        notes.append("best test epoch")
    networks = f", {name_shortcut(row['shortcut'])}" * several
    return f"published: {row['by']}{networks}" + (f" ({', '.join(notes)})" if notes else "")


def draw_published(axis: Axes, published: pd.DataFrame, measure: str) -> list[Line2D]:
    """Draw published results, one marker per label; return the legend's handles."""
    handles, values = [], 100 * published[f"{measure}_mean"].dropna().astype(float)
    sources = [*dict.fromkeys(published["by"])]
    for sign, (name, rows) in zip(SIGNS, published.groupby("label")):
        found = values[values.index.isin(rows.index)]
        look = {"color": rows["color"].iloc[0], "marker": sign, "ls": "none", "ms": 5.5, "mfc": "none"}
        aside = ASIDE ** (1 + sources.index(rows["by"].iloc[0]))
        axis.plot(aside * rows["depth"][found.index], found, **look)
        if len(found):
            handles.append(Line2D([], [], label=str(name), **look))
    return handles
