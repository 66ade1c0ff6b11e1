"""Figures over epochs: loss and accuracy, training error of residual and plain networks, gradient ratios.

A line is the mean over seeds; the band around it runs from the lowest to the highest seed.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.roles import PlotOptions, by_shortcut, lines_of
from analysis.figures.style import MUTED, NoData, legend, new_figure, over_seeds, plain_numbers, whole_numbers
from analysis.frames.axes import PLAIN
from analysis.frames.configurations import of_configurations
from analysis.frames.inside.gradients import end_ratios
from analysis.frames.study import Study

PARTS = {"train": ("training", "--", "white"), "val": ("validation", "-", None)}  # name, line style, marker fill
# If a loss exceeds FLAT times the highest one of complete runs, the axis is cut off at TOP times the latter.
FLAT, TOP = 2.0, 1.1
FEW = 10  # trainings of fewer epochs get a marker at each
PANELS = {"loss": ("loss (cross entropy)", 1), "acc": ("accuracy (%)", 100)}


def draw_curves(study: Study, options: PlotOptions) -> Figure:
    """Return loss and accuracy by epoch, a row of panels per value of the second axis; raises NoData."""
    drawn = lines_of(study, with_epochs(study), options)
    panels, colors = drawn.panels, drawn.colors
    shown = of_configurations(study.epochs, drawn.table)
    top = highest_loss(shown, drawn.table)
    note = "; ".join(filter(None, [drawn.note, "losses of runs that are not complete go on above" if top else ""]))
    figure = new_figure(study, "Loss and accuracy by epoch", 1.1 + 2.9 * len(panels), note=note)
    axes = figure.subplots(len(panels), len(PANELS), squeeze=False, sharex=True, sharey="col")
    by_epoch = study.epochs.set_index(["configuration", "epoch"])
    for row, (title, configurations) in zip(axes, panels):
        for axis, (measure, (label, factor)) in zip(row, PANELS.items()):
            for part, (_, style, fill) in PARTS.items():
                lines(axis, factor * by_epoch[f"{part}_{measure}"], configurations, colors, style, fill)
            axis.set_title(title, fontsize=10)
            axis.set_ylabel(label)
    if top:
        axes[0, 0].set_ylim(0, top)
    for axis in axes[-1]:
        axis.set_xlabel("epoch")
        whole_numbers(axis)
    mark = "o" if study.epochs["epoch"].max() < FEW else ""
    styles = [
        Line2D([], [], color=MUTED, ls=style, label=name, marker=mark, ms=4, mfc=fill)
        for part, (name, style, fill) in PARTS.items()
        if by_epoch[f"{part}_acc"].notna().any()
    ]
    legend(figure, [*drawn.handles(), *styles], drawn.legend_title)
    return figure


def highest_loss(epochs: pd.DataFrame, configurations: pd.DataFrame) -> float | None:
    """Return where to cut off the loss axis: above complete runs' losses, if others would flatten these; else None."""
    complete = epochs["configuration"].isin(configurations.loc[configurations["n"] > 0, "configuration"])
    losses = epochs[["train_loss", "val_loss"]].to_numpy()
    usual, others = (float(np.max(part, initial=0, where=np.isfinite(part))) for part in (losses[complete], losses))
    return TOP * usual if others > FLAT * usual > 0 else None


def draw_degradation(study: Study) -> Figure:
    """Return the training error by epoch, residual beside plain (He et al. 2016, figure 6); raises NoData."""
    shown = with_epochs(study)
    shortcuts, varied = set(shown["shortcut"]), study.axes.find("shortcut") in study.axes.axes
    if not (varied and PLAIN in shortcuts and len(shortcuts) > 1):
        raise NoData("it needs residual and plain networks")
    drawn = lines_of(study, shown, by_shortcut(study, PlotOptions()))
    panels = drawn.panels
    figure = new_figure(study, "Training error by epoch", 4.4, note=drawn.note)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    errors = 100 * (1 - study.epochs.set_index(["configuration", "epoch"])["train_acc"])
    for axis, (title, configurations) in zip(axes, panels):
        lines(axis, errors, configurations, drawn.colors)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("epoch")
        whole_numbers(axis)
    axes[0].set_ylabel("training error (%)")
    axes[0].set_ylim(bottom=0)  # last, because it switches off autoscaling of the shared top
    legend(figure, drawn.handles(), drawn.legend_title)
    return figure


def draw_gradient_ratio(study: Study, options: PlotOptions) -> Figure:
    """Return the gradient norm of the first layers over that of the last ones by epoch; raises NoData."""
    keys = study.layers.drop_duplicates(["path", "epoch"]).set_index(["path", "epoch"])["configuration"]
    ratios = end_ratios(study.layers).rename("ratio").to_frame().join(keys).reset_index()
    shown = of_configurations(study.configurations, ratios)
    if shown.empty:
        probed = len(study.layers) > 0
        raise NoData("no ratio is finite" if probed else "no run has looked inside its network (probe_every=0)")
    drawn = lines_of(study, shown, by_shortcut(study, options))
    panels = drawn.panels
    figure = new_figure(study, "Gradient norm of the first over that of the last layers", 4.4, note=drawn.note)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    by_epoch = ratios.set_index(["configuration", "epoch"])["ratio"]
    for axis, (title, configurations) in zip(axes, panels):
        axis.axhline(1, color=MUTED, linewidth=0.8)
        lines(axis, by_epoch, configurations, drawn.colors, log=True)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("epoch (0: before training)" if ratios["epoch"].min() == 0 else "epoch")
        axis.set_yscale("log")
        whole_numbers(axis)
    plain_numbers(axes[0])
    axes[0].set_ylabel("gradient norm, first layers over last")
    legend(figure, drawn.handles(), drawn.legend_title)
    return figure


def with_epochs(study: Study) -> pd.DataFrame:
    """Return the configurations that have finished an epoch; raises NoData."""
    if study.epochs.empty:
        raise NoData("no run has finished an epoch")
    return of_configurations(study.configurations, study.epochs)


def lines(
    axis: Axes,
    values: pd.Series,
    configurations: pd.DataFrame,
    colors: dict[str, Any],
    style: str = "-",
    fill: str | None = None,
    log: bool = False,
) -> None:
    """Draw each configuration's mean and the band of its seeds; `values` is indexed by configuration and epoch.

    With `log`, values are decimal logarithms, and the mean is geometric.
    """
    own = values[values.index.get_level_values("configuration").isin(configurations["configuration"])]
    means = over_seeds(own.rename("value").reset_index(), ["epoch"], "value")
    if log:
        means[["mean", "low", "high"]] = 10 ** means[["mean", "low", "high"]]
    for name in configurations["configuration"]:
        if name not in means.index:
            continue
        found = means.loc[name]
        marker = {"marker": "o", "markersize": 4, "markerfacecolor": fill} if len(found) < FEW else {}
        axis.plot(found.index, found["mean"], style, color=colors[name], linewidth=1.5, **marker)
        if found["n"].max() > 1:
            axis.fill_between(found.index, found["low"], found["high"], color=colors[name], alpha=0.15, linewidth=0)
    axis.grid(alpha=0.25)
