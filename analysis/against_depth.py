"""The figure that the question is about: accuracy against depth, residual against plain."""

from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from analysis.published import read_published
from analysis.stats import estimate
from analysis.study import Study
from analysis.style import COLORS, MUTED, NoData, legend, new_figure

MEASURES = {"test_acc": "test accuracy (%)", "val_acc": "validation accuracy (%)"}
LOOKS = {"projection": ("#0072B2", "o", "-"), "pad": ("#009E73", "s", "-"), "none": ("#D55E00", "^", "--")}
GREY = "#BBBBBB"  # for series that no colour is left for
SIGNS = "*PXDv<>"  # of published figures, a sign a source
DODGE = 0.03  # of the axis, over all series: intervals of one depth stand side by side


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
    measures = {name: label for name, label in MEASURES.items() if complete[name].notna().any()}
    published = near(read_published(), study.data, complete["depth"])
    series = all_series(study.configurations[study.configurations["n"] > 0])
    figure = new_figure(study, "Accuracy of the last epoch by depth", 4.6)
    handles = [one.line() for one in series if one.color != GREY]
    if grey := len(series) - len(handles):
        handles.append(Line2D([], [], color=GREY, marker="o", ms=5, label=f"{grey} other series"))
    for axis, (measure, label) in zip(figure.subplots(1, len(measures), squeeze=False)[0], measures.items()):
        tables = [points(complete, one.configurations, measure) for one in series]
        for place, (one, table) in enumerate(zip(series, tables)):
            shift = DODGE * (place / (len(series) - 1) - 0.5) if len(series) > 1 else 0
            draw_series(axis, one, table, (complete["depth"].max() / complete["depth"].min()) ** shift)
        axis.set_ylim(*limits(pd.concat(tables), published[f"{measure}_mean"]))
        handles += draw_published(axis, published, measure)
        axis.set_ylabel(label)
        depth_axis(axis, {*complete["depth"], *published["depth"]})
    legend(figure, list({handle.get_label(): handle for handle in handles}.values()))
    return figure


def all_series(configurations: pd.DataFrame) -> list[Series]:
    """Return the series that there are, residual ones first; colours are the shortcuts', of several recipes theirs."""
    recipes = configurations.groupby("recipe", as_index=False).agg(
        depths=("depth", "nunique"), varied=("varied", "first")
    )
    recipes = recipes.sort_values(["depths", "varied"], ascending=[False, True])["recipe"]
    colors, found = dict(zip(recipes, COLORS)), []
    groups = dict(list(configurations.groupby(["shortcut", "recipe"])))
    for shortcut in configurations["shortcut"].unique():
        own, marker, style = LOOKS.get(shortcut, (GREY, "o", "-"))
        for rows in (groups[shortcut, recipe] for recipe in recipes if (shortcut, recipe) in groups):
            color = own if len(recipes) == 1 else colors.get(rows["recipe"].iloc[0], GREY)
            found.append(Series(rows["series"].iloc[0], frozenset(rows["configuration"]), color, marker, style))
    return found


def near(published: pd.DataFrame, data: str, depths: pd.Series) -> pd.DataFrame:
    """Return what is published on the same data, of depths that do not stretch the axis out of all proportion.

    Of one network in one source, the mean over most runs.
    """
    rows = published[(published["data"] == data) & published["depth"].between(depths.min() / 2, depths.max() * 2)]
    rows = rows.assign(source=rows["source"].str.split(",").str[0]).sort_values("n", kind="stable")
    return rows.drop_duplicates(["source", "depth"], keep="last").sort_values("depth", kind="stable")


def points(runs: pd.DataFrame, configurations: frozenset[str], measure: str) -> pd.DataFrame:
    """Return the mean and its interval for each configuration, by depth, in per cent."""
    runs = runs[runs["configuration"].isin(configurations)].dropna(subset=measure)
    rows = []
    for (depth, _), values in (100 * runs.set_index(["depth", "configuration"])[measure]).groupby(level=[0, 1]):
        found = estimate(values)
        rows.append((depth, found.mean, found.low, found.high))
    return pd.DataFrame(rows, columns=["depth", "mean", "low", "high"], dtype=float)


def draw_series(axis: Axes, series: Series, table: pd.DataFrame, shift: float) -> None:
    """Draw a series with its intervals, moved aside by a factor."""
    depths = table["depth"] * shift
    axis.plot(depths, table["mean"], series.style, color=series.color, marker=series.marker, lw=1.3, ms=5)
    if series.color == GREY:  # many series: their intervals would hide everything
        return
    known = table["low"].notna()
    reach = [(table["mean"] - table["low"])[known], (table["high"] - table["mean"])[known]]
    axis.errorbar(depths[known], table["mean"][known], reach, fmt="none", capsize=2.5, color=series.color, lw=1)


def draw_published(axis: Axes, published: pd.DataFrame, measure: str) -> list[Line2D]:
    """Draw what others found, a sign a source; return the legend's handles."""
    handles = []
    for sign, (source, rows) in zip(SIGNS, published.groupby("source")):
        values = 100 * rows[f"{measure}_mean"]
        look = {"color": MUTED, "marker": sign, "ls": "none", "ms": 7, "mfc": "none"}
        axis.plot(rows["depth"][values.notna()], values.dropna(), **look)
        if values.notna().any():
            handles.append(Line2D([], [], label=f"published: {source}", **look))
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
