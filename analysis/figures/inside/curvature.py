"""How sharp the loss is before training, against the learning rates at which gradient descent is stable there."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.inside.panels import COLUMNS, NotMeasured, untrained_of
from analysis.figures.scale import LABELS, Scale, ticks
from analysis.figures.style import MUTED, SEEDS, NoData, legend, look_of, new_figure, set_title, some_of
from analysis.frames.axes import name_shortcut
from analysis.frames.inside.untrained import BOUNDS, MOMENTUM, condition, plain_last
from analysis.frames.statistics import estimate
from analysis.frames.study import Study


def draw_curvature(study: Study) -> Figure:
    """Return the largest Hessian eigenvalue before the first step by depth, one panel per norm; raises NoData."""
    runs = untrained_of(study).runs
    measured = runs[runs["eigenvalues"] > 0]
    if measured.empty:
        raise NotMeasured("no inspection has looked for the largest eigenvalue")
    if measured["curvature"].isna().all():
        raise NoData("no inspection has found a largest eigenvalue: Lanczos' method did not converge")
    conditions, notes = some_of(sorted(set(zip(measured["norm"], measured["rest"]))), COLUMNS, "conditions")
    figure = new_figure(study, "Largest eigenvalue of the loss's Hessian, before training", 4.4, note="; ".join(notes))
    for axis, (norm, rest) in zip(figure.subplots(1, len(conditions), squeeze=False)[0], conditions):
        part = measured[(measured["norm"] == norm) & (measured["rest"] == rest)]
        draw_panel(axis, part)
    figure.axes[0].set_ylabel("largest eigenvalue")
    handles = [Line2D([], [], label=name_shortcut(name), **draw_as(name)) for name in plain_last(measured["shortcut"])]
    label = f"stability bound of full-batch gradient descent, momentum {MOMENTUM:g}"
    bound = Line2D([], [], color=MUTED, ls="--", label=label)
    legend(figure, [*handles, bound])
    return figure


def draw_as(shortcut: str) -> dict:
    """Return how networks with a shortcut are drawn."""
    color, marker, _ = look_of(shortcut)
    return {"color": color, "marker": marker, "ms": 5, "lw": 1.3}


def draw_panel(axis: Axes, runs: pd.DataFrame) -> None:
    """Draw networks that differ in depth and shortcut, the bounds, and a title that says which networks are missing."""
    axis.set_yscale("log")
    known = runs.dropna(subset="curvature")
    reach = [*BOUNDS.values(), *known["curvature"]]
    axis.set_ylim(min(reach) / 3, max(reach) * 3)  # an interval over few seeds can be much longer
    for shortcut in plain_last(known["shortcut"]):
        draw_series(axis, known[known["shortcut"] == shortcut], draw_as(shortcut))
    for rate, bound in BOUNDS.items():
        axis.axhline(bound, color=MUTED, lw=1, ls="--")
        place = {"xycoords": ("axes fraction", "data"), "va": "bottom", "ha": "right"}
        axis.annotate(f"rate {rate:g}: {bound:,.0f}", (1, bound), fontsize=8, color=MUTED, **place)
    axis.set_xscale("log")
    ticks(axis, Scale(runs["depth"].astype(float), LABELS["layers"], logarithmic=True))
    title = condition(runs["norm"].iloc[0], runs["rest"].iloc[0])
    set_title(axis, "\n".join(filter(None, [title, not_converged(runs[runs["curvature"].isna()])])), 9)


def draw_series(axis: Axes, rows: pd.DataFrame, look: dict) -> None:
    """Draw networks that differ in depth only, with intervals over seeds, cut off at the axis."""
    parts = rows.groupby("depth")["curvature"]
    by_depth = {int(str(depth)): estimate(np.log10(part)) for depth, part in parts}
    axis.plot(list(by_depth), [10**found.mean for found in by_depth.values()], **look)
    for depth, found in by_depth.items():
        if found.low is not None and found.high is not None and found.n >= SEEDS:
            axis.vlines(depth, 10**found.low, 10**found.high, color=look["color"], lw=1.1)


def not_converged(runs: pd.DataFrame) -> str:
    """Return which networks have no eigenvalue, and at which depths."""
    texts = []
    for shortcut, rows in runs.groupby("shortcut"):
        counts = [f"{depth} layers ({count})" for depth, count in rows.groupby("depth").size().items()]
        texts.append(f"{name_shortcut(str(shortcut))} {', '.join(counts)}")
    return f"left out, not converged: {'; '.join(texts)}" if texts else ""
