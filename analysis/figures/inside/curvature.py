"""How sharp the loss is before training, against the learning rates at which SGD is stable there."""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.depth import LOOKS, depth_axis
from analysis.figures.inside.panels import NotMeasured, condition, untrained_of
from analysis.figures.style import MUTED, NoData, legend, new_figure
from analysis.frames.inside.untrained import BOUNDS, MOMENTUM, NORMS
from analysis.frames.statistics import estimate
from analysis.frames.study import Study, name_shortcut

STYLES = {"batch": "-", "none": ":"}
SERIES = ["norm", "rest", "shortcut"]


def draw_curvature(study: Study) -> Figure:
    """Return the largest Hessian eigenvalue before the first step by depth, and the bounds; raises NoData."""
    runs = untrained_of(study).runs
    measured = runs[runs["eigenvalues"] > 0]
    if measured.empty:
        raise NotMeasured("no inspection has looked for the largest eigenvalue")
    known = measured.dropna(subset="curvature")
    if known.empty:
        raise NoData("no inspection has found a largest eigenvalue: Lanczos' method did not converge")
    figure = new_figure(study, "Largest eigenvalue of the loss's Hessian, before training", 4.4)
    axis = figure.subplots()
    axis.set_yscale("log")
    handles = [draw_series(axis, rows) for _, rows in known.groupby(SERIES)]
    for rate, bound in BOUNDS.items():
        axis.axhline(bound, color=MUTED, lw=1, ls="--")
        text = f"learning rate {rate:g}: stable below {bound:,.0f}"
        axis.annotate(text, (0.01, bound), xycoords=("axes fraction", "data"), va="bottom", fontsize=8, color=MUTED)
    depth_axis(axis, set(measured["depth"]))
    axis.set_ylabel("largest eigenvalue")
    legend(figure, [*handles, Line2D([], [], color=MUTED, ls="--", label=f"bound of SGD, momentum {MOMENTUM:g}")])
    if left_out := not_converged(measured[measured["curvature"].isna()]):
        note = textwrap.fill(f"Left out, because Lanczos' method did not converge: {left_out}", 130)
        axis.set_title(note, fontsize=8.5, color=MUTED)
    return figure


def draw_series(axis: Axes, rows: pd.DataFrame) -> Line2D:
    """Draw networks that differ in depth only, with intervals over seeds; return the legend's handle."""
    row = rows.iloc[0]
    color, marker, _ = LOOKS.get(row["shortcut"], (MUTED, "o", "-"))
    look = {"color": color, "marker": marker, "ls": STYLES.get(row["norm"], "-."), "ms": 5, "lw": 1.3}
    by_depth = {depth: estimate(np.log10(part)) for depth, part in rows.groupby("depth")["curvature"]}
    axis.plot(list(by_depth), [10**found.mean for found in by_depth.values()], **look)
    for depth, found in by_depth.items():
        if found.low is not None and found.high is not None:
            axis.vlines(depth, 10**found.low, 10**found.high, color=color, lw=1.1)
    label = f"{name_shortcut(row['shortcut'])}, {condition(row['norm'], row['rest'])}".replace("\n", " ")
    return Line2D([], [], label=label, **look)


def not_converged(runs: pd.DataFrame) -> str:
    """Return of which networks, and at which depths, there is no eigenvalue."""
    texts = []
    for (norm, rest, shortcut), rows in runs.groupby(SERIES):
        depths = rows.groupby("depth").size()
        counts = ", ".join(f"{depth} layers ({count})" for depth, count in depths.items())
        texts.append(f"{name_shortcut(shortcut)} {NORMS.get(norm, norm)}{rest and f', {rest}'}: {counts}")
    return "; ".join(texts)
