"""What others found with the same networks, as points of the figure over depth."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.figures.style import MUTED
from analysis.frames.published import ORIGINAL, Row, add_published, network
from analysis.frames.study import Study

SIGNS = "*PXDv<>"  # a sign a source


def find_published(study: Study) -> pd.DataFrame:
    """Return what is published of the same networks, a row for each; `label` says by whom, and what was otherwise."""
    rows = add_published(study.configurations[study.configurations["n"] > 0])
    same = {network(row) for row in rows.to_dict("records") if row["other_recipe"] == ""}
    theirs = rows[rows["source"].notna()].sort_values("n", kind="stable")
    theirs = theirs.drop_duplicates(["by", "depth"], keep="last").sort_values("depth", kind="stable")
    return theirs.assign(label=[label(row, network(row) in same) for row in theirs.to_dict("records")])


def label(row: Row, same_recipe: bool) -> str:
    """Return how a legend names a published figure."""
    notes = [] if same_recipe else ["other recipe"]
    if row["by"] == ORIGINAL:
        notes.append("augmented images")
    return f"published: {row['by']}" + (f" ({', '.join(notes)})" if notes else "")


def draw_published(axis: Axes, published: pd.DataFrame, measure: str) -> list[Line2D]:
    """Draw what others found, a sign a source, and make room for it; return the legend's handles."""
    handles, values = [], 100 * published[f"{measure}_mean"].dropna().astype(float)
    if len(values):
        bottom, top = axis.get_ylim()
        axis.set_ylim(min(bottom, values.min() - 1), max(top, values.max() + 1))
    for sign, (name, rows) in zip(SIGNS, published.groupby("label")):
        found = values[values.index.isin(rows.index)]
        look = {"color": MUTED, "marker": sign, "ls": "none", "ms": 7, "mfc": "none"}
        axis.plot(rows["depth"][found.index], found, **look)
        if len(found):
            handles.append(Line2D([], [], label=str(name), **look))
    return handles
