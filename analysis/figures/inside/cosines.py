"""Shattered gradients: how quickly the input gradient decorrelates, before training."""

from matplotlib.figure import Figure

from analysis.figures.inside.panels import NotMeasured, depth_colors, draw_lines, panel_figure, untrained_of
from analysis.figures.style import MUTED
from analysis.frames.study import Study


def draw_cosines(study: Study) -> Figure:
    """Return the cosine between the gradients of two points by their distance, one line per depth; raises NoData."""
    rows = untrained_of(study).cosines
    if rows.empty:
        raise NotMeasured("no inspection has measured how gradients turn")
    labels = "distance (1: between images)", "cosine"
    figure, panels = panel_figure(study, "Cosine between input gradients, before training", rows, *labels)
    for axis, part in panels:
        draw_lines(axis, part, "distance", "cosine", depth_colors(rows["depth"]))
        axis.axhline(0, color=MUTED, lw=0.8)
        axis.set_xlim(0, 1)
    return figure
