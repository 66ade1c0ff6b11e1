"""Figures of what depth does inside a network: gradients and responses, layer by layer."""

import textwrap
from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.figures.roles import PlotOptions, by_shortcut, lines_of
from analysis.figures.style import NoData, legend, new_figure, over_seeds, plain_numbers, spread, whole_numbers
from analysis.frames.configurations import of_configurations
from analysis.frames.inside.gradients import with_places
from analysis.frames.study import Study

COLUMNS = 5  # panels side by side


def layers_of(study: Study) -> pd.DataFrame:
    """Return the rows of 3x3 convolutions, their `layer` counted without projections; raises NoData."""
    rows = with_places(study.layers)
    if rows.empty:
        raise NoData("no run has looked inside its network (probe_every=0)")
    return rows.assign(layer=rows["place"].astype(int))


def draw_gradients(study: Study, options: PlotOptions) -> Figure:
    """Return the gradient norm by layer and epoch, a panel per configuration; raises NoData."""
    rows = layers_of(study)
    probed = of_configurations(study.configurations, rows)
    drawn = lines_of(study, probed, by_shortcut(study, options))
    groups = {title: spread(part.to_dict("records"), COLUMNS) for title, part in drawn.panels}
    tables = {c["configuration"]: grid(rows, c["configuration"]) for part in groups.values() for c in part}
    norm, columns = positive_norm(tables.values()), max(map(len, groups.values()))
    notes = [drawn.note, f"{len(tables)} of {len(probed)} configurations" if len(tables) < len(probed) else ""]
    share = 1 if columns > 1 else 5 / 9
    about = "Gradient norm by layer and epoch"
    figure = new_figure(study, about, 0.8 + 2.6 * len(groups), share, "; ".join(filter(None, notes)))
    axes = figure.subplots(len(groups), columns, squeeze=False)
    for line, (title, part) in zip(axes, groups.items()):
        for axis in line[len(part) :]:
            axis.set_axis_off()
        for axis, configuration in zip(line, part):
            heat_map(axis, tables[configuration["configuration"]], norm)
            label = drawn.line.label(configuration[drawn.line.column]) if drawn.line else configuration["model"]
            axis.set_title(textwrap.fill(label, 24), fontsize=9 if columns < COLUMNS else 8)
        line[0].set_ylabel("\n".join(filter(None, [title, "3x3 layer, from the input"])))
    for axis in axes.flat:
        axis.set_xlabel("epoch")
    label = "norm of the gradient (mean over seeds)"
    beyond = any((table.to_numpy() > norm.vmax).any() for table in tables.values())
    look = {"label": label, "aspect": 40, "extend": "max" if beyond else "neither"}
    plain_numbers(figure.colorbar(ScalarMappable(norm, "viridis"), ax=axes, **look).ax)
    return figure


def grid(rows: pd.DataFrame, configuration: str) -> pd.DataFrame:
    """Return the mean norm over seeds, one row per layer and one column per probed epoch."""
    rows = rows[rows["configuration"] == configuration]
    return rows.pivot_table(index="layer", columns="epoch", values="grad_norm", aggfunc="mean", dropna=False)


def positive_norm(tables: Iterable[pd.DataFrame]) -> LogNorm:
    """Return a logarithmic scale over all norms above zero; raises NoData where there are none.

    It ends at the highest norm of training, if any was measured: before it, a deep network's can be far higher.
    """
    tables = list(tables)
    values, trained = (
        np.concatenate([table.to_numpy()[:, table.columns.to_numpy() >= first].ravel() for table in tables])
        for first in (0, 1)
    )
    values, trained = (part[np.isfinite(part) & (part > 0)] for part in (values, trained))
    if not len(values):
        raise NoData("no gradient is above zero")
    return LogNorm(values.min(), max(max(trained, default=values.max()), 1.01 * values.min()))


def heat_map(axis: Axes, table: pd.DataFrame, norm: LogNorm) -> None:
    """Draw a table as an image, with the first layer on top and a column for each epoch that could have been probed."""
    epochs = table.columns.to_numpy()
    epochs = np.arange(epochs[0], epochs[-1] + 1, np.gcd.reduce(np.diff(epochs)) or 1)
    table = table.reindex(columns=epochs)
    half = (epochs[-1] - epochs[0]) / (len(epochs) - 1) / 2 if len(epochs) > 1 else 0.5
    extent = (epochs[0] - half, epochs[-1] + half, len(table) + 0.5, 0.5)
    image, look = table.where(table > 0).to_numpy(), {"aspect": "auto", "interpolation": "none", "extent": extent}
    axis.imshow(image, norm=norm, cmap="viridis", **look)
    axis.set_facecolor("#BBBBBB")
    axis.yaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    axis.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))


def draw_responses(study: Study, options: PlotOptions) -> Figure:
    """Return the std of each layer's response at the last epoch probed (He et al. 2016, figure 7); raises NoData."""
    rows = layers_of(study)
    rows = rows[np.isfinite(rows["response_std"])]
    if rows.empty:
        raise NoData("no response is finite")
    last = rows[rows["epoch"] == rows.groupby("configuration")["epoch"].transform("max")]
    shown = of_configurations(study.configurations, last)
    drawn = lines_of(study, shown, by_shortcut(study, options))
    panels, colors = drawn.panels, drawn.colors
    deviations = over_seeds(of_configurations(last, drawn.table), ["layer"], "response_std")
    figure = new_figure(study, "Response of the layers at the last epoch probed", 6.2, note=drawn.note)
    axes = figure.subplots(2, len(panels), squeeze=False, sharey=True)
    for column, (title, part) in zip(axes.T, panels):
        for name in part["configuration"]:
            found = deviations.loc[name]
            look = {"color": colors[name], "linewidth": 1.2}
            column[0].plot(found.index, found["mean"], **look)
            column[0].fill_between(found.index, found["low"], found["high"], color=look["color"], alpha=0.15, lw=0)
            column[1].plot(found.index, sorted(found["mean"], reverse=True), **look)
        column[0].set_title(title, fontsize=10)
        column[0].set_xlabel("3x3 layer, from the input")
        column[1].set_xlabel("3x3 layer, sorted by magnitude")
    low, high = deviations["low"].min(), deviations["high"].max()
    low = 0 if low < high / 2 else low  # the axis starts above zero only if the lines would be flat otherwise
    margin = 0.05 * max(high - low, 0.01)
    for axis in axes.flat:
        axis.set_ylim(low - margin * bool(low), high + margin)
        axis.grid(alpha=0.25)
        whole_numbers(axis)
    for axis in axes[:, 0]:
        axis.set_ylabel("standard deviation")
    legend(figure, drawn.handles(), drawn.legend_title)
    return figure
