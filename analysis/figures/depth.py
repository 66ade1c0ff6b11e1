"""The figure that the question is about: accuracy against depth, residual against plain."""

from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from analysis.figures.style import COLORS, MUTED, NoData, legend, new_figure
from analysis.frames.measures import MEASURES
from analysis.frames.published import ORIGINAL, Row, add_published, network
from analysis.frames.statistics import estimate
from analysis.frames.study import Study, all_series

SHOWN = ("test_acc", "val_acc")
LOOKS = {"projection": ("#0072B2", "o", "-"), "pad": ("#009E73", "s", "-"), "none": ("#D55E00", "^", "--")}
GREY = "#BBBBBB"  # for series that no colour is left for
SIGNS = "*PXDv<>"  # of published figures, a sign a source
DODGE = 0.03  # of the axis, over all series: intervals of one depth that would hide one another stand side by side


@dataclass(frozen=True)
class Series:
    """Configurations that differ in nothing but depth, and how they are drawn."""

    name: str
    configurations: frozenset[str]
    color: str
    marker: str
    style: str

    def line(self) -> Line2D:
        return Line2D([], [], color=self.color, marker=self.marker, ls=self.style, ms=5, lw=1.3, label=self.name)


def draw_depth(study: Study) -> Figure:
    """Return the last epoch's accuracy against depth with 95 % intervals over seeds; raises NoData."""
    complete = study.runs[study.runs["status"] == "complete"]
    if complete.empty:
        raise NoData("no run is complete")
    if complete["depth"].nunique() == 1:
        raise NoData(f"all complete runs have {complete['depth'].iloc[0]} layers")
    measures = [name for name in SHOWN if complete[name].notna().any()]
    published = find_published(study.configurations[study.configurations["n"] > 0])
    series = drawn_series(study.configurations[study.configurations["n"] > 0])
    figure = new_figure(study, "Accuracy of the last epoch by depth", 4.6)
    handles = [one.line() for one in series if one.color != GREY]
    if grey := len(series) - len(handles):
        handles.append(Line2D([], [], color=GREY, marker="o", ms=5, label=f"{grey} other series"))
    for axis, measure in zip(figure.subplots(1, len(measures), squeeze=False)[0], measures):
        tables = [points(complete, one.configurations, measure) for one in series]
        axis.set_ylim(*limits(pd.concat(tables), published[f"{measure}_mean"]))
        for one, table in zip(series, side_by_side(tables)):
            draw_series(axis, one, table)
        handles += draw_published(axis, published, measure)
        axis.set_ylabel(MEASURES[measure].long)
        depth_axis(axis, {*complete["depth"], *published["depth"]})
    legend(figure, list({handle.get_label(): handle for handle in handles}.values()))
    return figure


def drawn_series(configurations: pd.DataFrame) -> list[Series]:
    """Return the series that there are, residual ones first; colours are the shortcuts', of several recipes theirs."""
    recipes = configurations.groupby("recipe", as_index=False).agg(
        depths=("depth", "nunique"), varied=("varied", "first")
    )
    recipes = recipes.sort_values(["depths", "varied"], ascending=[False, True])["recipe"].tolist()
    colors, found = dict(zip(recipes, COLORS)), {}
    for rows in all_series(configurations):
        shortcut, recipe = rows["shortcut"].iloc[0], rows["recipe"].iloc[0]
        color, marker, style = LOOKS.get(shortcut, (GREY, "o", "-"))
        if len(recipes) > 1:
            color = colors.get(recipe, GREY)
        place = rows["order"].iloc[0], recipes.index(recipe)
        found[place] = Series(rows["series"].iloc[0], frozenset(rows["configuration"]), color, marker, style)
    return [found[place] for place in sorted(found)]


def find_published(configurations: pd.DataFrame) -> pd.DataFrame:
    """Return what is published of the same networks, a row for each; `label` says by whom, and what was otherwise."""
    rows = add_published(configurations)
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


def points(runs: pd.DataFrame, configurations: frozenset[str], measure: str) -> pd.DataFrame:
    """Return the mean and its interval for each configuration, by depth, in per cent."""
    runs = runs[runs["configuration"].isin(configurations)].dropna(subset=measure)
    rows = []
    for (depth, _), values in (100 * runs.set_index(["depth", "configuration"])[measure]).groupby(level=[0, 1]):
        found = estimate(values)
        rows.append((depth, found.mean, found.low, found.high))
    return pd.DataFrame(rows, columns=["depth", "mean", "low", "high"], dtype=float)


def side_by_side(tables: list[pd.DataFrame]) -> list[pd.DataFrame]:
    """Return the tables with the place of each point, beside its depth where others would hide it or its interval."""
    every = pd.concat(tables, keys=range(len(tables)), names=["series", "row"]).reset_index()
    hair = 0.02 * max(every["mean"].max() - every["mean"].min(), 1.0)  # about the size of a mark
    low, high = (every[end].fillna(every["mean"]) + sign * hair for end, sign in (("low", -1), ("high", 1)))
    every = every.assign(bottom=low, top=high)
    hidden = {depth for depth, rows in every.groupby("depth") if overlap(rows)}
    extent = every["depth"].max() / every["depth"].min()
    shifts = [extent ** (DODGE * (place / max(len(tables) - 1, 1) - 0.5)) for place in range(len(tables))]
    return [
        table.assign(place=table["depth"].where(~table["depth"].isin(hidden), table["depth"] * shift))
        for table, shift in zip(tables, shifts)
    ]


def overlap(rows: pd.DataFrame) -> bool:
    """Return whether any two of several ranges from `bottom` to `top` have a part in common."""
    rows = rows.sort_values("bottom")
    return bool((rows["bottom"].iloc[1:].to_numpy() < rows["top"].cummax().iloc[:-1].to_numpy()).any())


def draw_series(axis: Axes, series: Series, table: pd.DataFrame) -> None:
    """Draw a series with its intervals; where one goes on beyond the axis, with an arrowhead at its edge."""
    axis.plot(table["place"], table["mean"], series.style, color=series.color, marker=series.marker, lw=1.5, ms=5.5)
    if series.color == GREY:  # many series: their intervals would hide everything
        return
    known, (bottom, top) = table.dropna(subset="low"), axis.get_ylim()
    low, high = known["low"].clip(lower=bottom), known["high"].clip(upper=top)
    axis.vlines(known["place"], low, high, color=series.color, lw=1.1)
    for ends, edge, beyond, arrow in ((low, bottom, known["low"] < bottom, "v"), (high, top, known["high"] > top, "^")):
        axis.plot(known["place"][~beyond], ends[~beyond], "_", color=series.color, ms=6)
        for place in known["place"][beyond]:
            axis.plot(place, edge, arrow, color=series.color, ms=5, mfc="white", clip_on=False)


def draw_published(axis: Axes, published: pd.DataFrame, measure: str) -> list[Line2D]:
    """Draw what others found, a sign a source; return the legend's handles."""
    handles = []
    for sign, (label, rows) in zip(SIGNS, published.groupby("label")):
        values = 100 * rows[f"{measure}_mean"]
        look = {"color": MUTED, "marker": sign, "ls": "none", "ms": 7, "mfc": "none"}
        axis.plot(rows["depth"][values.notna()], values.dropna(), **look)
        if values.notna().any():
            handles.append(Line2D([], [], label=label, **look))
    return handles


def limits(table: pd.DataFrame, published: pd.Series) -> tuple[float, float]:
    """Return an axis that shows all means, and of intervals so wide that they would flatten these a part."""
    means = pd.concat([table["mean"], 100 * published.dropna()])
    room = max(means.max() - means.min(), 2.0)
    low = max(table["low"].min(), means.min() - room) if table["low"].notna().any() else means.min()
    high = min(table["high"].max(), means.max() + room) if table["high"].notna().any() else means.max()
    low, high = min(low, means.min()), max(high, means.max())
    margin = 0.06 * max(high - low, 0.5)
    return max(low - margin, -0.5), min(high + margin, 100.5)


def depth_axis(axis: Axes, depths: set[int]) -> None:
    """Have the horizontal axis name depths that there are, as many as do not touch."""
    axis.set_xscale("log")
    shown = sorted(depths)[-1:]
    for depth in sorted(depths, reverse=True):
        if depth * (max(depths) / min(depths)) ** 0.08 < shown[0]:
            shown.insert(0, depth)
    axis.xaxis.set_major_locator(FixedLocator(shown))
    axis.xaxis.set_major_formatter(FixedFormatter([str(depth) for depth in shown]))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlabel("depth (weighted layers)")
    axis.grid(alpha=0.25)
