"""The gradient by layer before training: plain beside residual networks, with batch norm and without."""

import numpy as np
from matplotlib.figure import Figure

from analysis.figures.inside.panels import depth_colors, draw_lines, panel_figure, untrained_of
from analysis.figures.style import NoData, plain_numbers, whole_numbers
from analysis.frames.inside.gradients import with_places
from analysis.frames.study import Study


def draw_untrained_gradients(study: Study) -> Figure:
    """Return the gradient norm of each 3x3 layer before the first step, one line per depth; raises NoData."""
    rows = with_places(untrained_of(study).layers)
    seen = rows[np.isfinite(rows["grad_norm"]) & (rows["grad_norm"] > 0)]
    if seen.empty or seen.groupby("path")["place"].nunique().max() < 2:  # blocks start at zero: only the first has one
        raise NoData("no two layers have a gradient above zero")
    labels = "3x3 layer, from the input", "norm of the gradient"
    figure, panels = panel_figure(study, "Gradient norm by layer, before training", rows, *labels)
    for axis, part in panels:
        draw_lines(axis, part, "place", "grad_norm", depth_colors(rows["depth"]), log=True)
        axis.set_yscale("log")
        whole_numbers(axis)
    for axis in figure.axes:
        plain_numbers(axis)
    return figure
