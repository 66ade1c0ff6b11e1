"""How figures look: sizes for a page, colours that everyone can tell apart, and what each colour stands for."""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.frames.study import Study

WIDTH = 9.0  # inches: at 100 dots an inch the width of a README
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#7F7F7F")  # Okabe and Ito's
MOST = len(COLORS)  # more than these are not told apart one by one, but by a scale of depth
DEPTHS = LinearSegmentedColormap.from_list("depths", matplotlib.colormaps["viridis"](np.linspace(0.75, 0, 64)))
MUTED = "#555555"


class NoData(Exception):
    """A figure's data are not there; its text says which."""


@dataclass(frozen=True)
class Key:
    """A colour per configuration; what each stands for, or the scale that says it where they are too many."""

    colors: dict[Any, Any]
    meaning: dict[str, Any]
    scale: ScalarMappable | None = None
    depths: Sequence[int] = ()


def key(configurations: pd.DataFrame) -> Key:
    """Return colours by depth where that tells configurations of one shortcut apart; else one for each, if few."""
    depths = sorted(set(configurations["depth"]))
    by_depth = not configurations.duplicated(["shortcut", "depth"]).any()
    if by_depth and len(depths) <= MOST:
        shades = DEPTHS(np.linspace(0, 1, len(depths))) if len(depths) > 1 else [COLORS[0]]
        meaning = {f"{depth} layers": shade for depth, shade in zip(depths, shades)}
        colors = dict(zip(depths, shades))
        return Key({row.configuration: colors[row.depth] for row in configurations.itertuples()}, meaning)
    if len(configurations) <= MOST:
        colors = dict(zip(configurations["configuration"], COLORS))
        return Key(colors, dict(zip(configurations["full_label"], COLORS)))
    scale = ScalarMappable(LogNorm(depths[0], max(depths[-1], depths[0] + 1)), DEPTHS)
    shades = scale.to_rgba(configurations["depth"].to_numpy())
    colors = dict(zip(configurations["configuration"], map(tuple, shades)))
    return Key(colors, {}, scale, depths)


def new_figure(study: Study, about: str, height: float, width: float = WIDTH) -> Figure:
    """Return an empty figure that is headed by its subject."""
    figure = Figure(figsize=(width, height), layout="constrained")
    heading = textwrap.fill(f"{about}: {study.title}", int(12 * width))  # letters to the inch, at this size
    figure.suptitle(heading, fontsize=11, parse_math=False)
    return figure


def explain(figure: Figure, axes: Iterable[Axes], key: Key, *more: Line2D) -> None:
    """Say what lines and colours stand for: a legend below all axes, and a scale beside them where it takes one."""
    handles = [Line2D([], [], color=color, linewidth=4, label=name) for name, color in key.meaning.items()]
    legend(figure, [*handles, *more])
    if key.scale is not None:
        bar = figure.colorbar(key.scale, ax=list(axes), label="depth (layers)", pad=0.02, aspect=40)
        bar.minorticks_off()
        ticks = spread(key.depths, 6)
        bar.set_ticks(ticks, labels=[str(depth) for depth in ticks])


def legend(figure: Figure, handles: Sequence[Any]) -> None:
    """Put a legend below all axes, in as many columns as its texts leave room for; the figure grows by it."""
    for handle in handles:
        handle.set_label(textwrap.fill(handle.get_label(), 60))
    lengths = [max(map(len, handle.get_label().split("\n"))) + 6 for handle in handles]
    room = 12.5 * figure.get_figwidth()  # characters of this size that fit in a line
    fitting = [n for n in range(1, len(handles) + 1) if sum(map(max, filter(len, np.array_split(lengths, n)))) <= room]
    columns = max(fitting, default=1)
    if handles:
        figure.set_figheight(figure.get_figheight() + 0.2 * np.ceil(len(handles) / columns))
        figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=9, frameon=False)


def by_shortcut(configurations: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the configurations of each shortcut that there is, residual ones first."""
    return {str(name): part for name, part in configurations.groupby("shortcut", sort=False)}


def spread(items: Iterable[Any], most: int) -> list[Any]:
    """Return at most so many items, evenly spread, the first and the last among them."""
    items = list(items)
    if len(items) <= most:
        return items
    return [items[round(position)] for position in np.linspace(0, len(items) - 1, most)]


def over_seeds(table: pd.DataFrame, by: Sequence[str], value: str) -> pd.DataFrame:
    """Return mean, lowest and highest value over seeds, per configuration and `by`, as far as all its seeds got."""
    finite = table.assign(**{value: table[value].where(np.isfinite(table[value]))})  # diverged ones need not be
    groups = finite.groupby(["configuration", *by], sort=True)[value]
    found = groups.agg(mean="mean", low="min", high="max", n="size")
    got = found["n"] == found["n"].groupby("configuration").transform("max")
    return found[got].dropna(subset="mean")


def whole_numbers(axis: Axes) -> None:
    """Have the horizontal axis count in whole numbers."""
    axis.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 2.5, 5, 10], integer=True, min_n_ticks=1))
