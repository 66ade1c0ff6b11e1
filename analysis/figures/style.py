"""How figures look: sizes for a page, colours that everyone can tell apart, and what each colour stands for."""

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from analysis.frames.axes import Axis
from analysis.frames.study import Study

WIDTH = 9.0  # inches: at 100 dots per inch the width of a README
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#7F7F7F")  # Okabe and Ito's
MOST = len(COLORS)  # lines in a panel
# From light to dark, and none of them close to a shortcut's colour.
SHADES = LinearSegmentedColormap.from_list("shades", ("#E5686F", "#C73C8A", "#8C2CC0", "#3C2FA0", "#08082C"))
SHALLOW, DEEP = 8, 110  # layers; a depth between them has its own shade
SHORT = 500  # a logarithmic axis up to this ratio of its ends has room for 1, 2, 5, 10 …
BRIEF = 6  # … and needs more than these up to this one
CLOSE = 0.08  # share of the shades' range: closer ones cannot be told apart
LOOKS = {"projection": ("#0072B2", "o", "-"), "pad": ("#009E73", "s", "-"), "none": ("#D55E00", "^", "--")}
MUTED = "#555555"
SEEDS = 3  # the fewest for an interval: over two, it says little, and is so long that it flattens a figure


class NoData(Exception):
    """The data of a figure are missing; the message says which."""


def look_of(shortcut: str) -> tuple[str, str, str]:
    """Return the colour, marker and line of networks with a shortcut."""
    return LOOKS.get(shortcut, (MUTED, "o", "-"))


def colors_of(axis: Axis) -> list[Any]:
    """Return a colour for each value of an axis, shades if it is numeric."""
    if axis.name == "shortcut":
        return [look_of(str(value))[0] for value in axis.values]
    if axis.name == "layers":
        return depth_shades(axis.values)
    if axis.numeric or len(axis.values) > MOST:
        return list(SHADES(np.linspace(0, 1, len(axis.values))))
    return list(COLORS[: len(axis.values)])


def depth_shades(depths: Sequence[Any]) -> list[Any]:
    """Return a shade for each depth, from light to dark: its own, or evenly spread ones if these would be too close."""
    places = np.log(np.array(depths, dtype=float) / SHALLOW) / np.log(DEEP / SHALLOW)
    places = places.clip(0, 1)
    if np.diff(places).min(initial=1) < CLOSE:
        places = np.linspace(0, 1, len(places))
    return list(SHADES(places))


def new_figure(study: Study, about: str, height: float, share: float = 1.0, note: str = "") -> Figure:
    """Return an empty figure with a title: its subject, and a note on what it shows of that.

    It takes a share of the current default width, which `gallery.draw` sets.
    """
    width = share * matplotlib.rcParams["figure.figsize"][0]
    figure = Figure(figsize=(width, height), layout="constrained")
    texts = [f"{about}: {study.title}", *([note] if note else [])]
    letters = int(12 * width)  # per line, at this font size
    heading = "\n".join(textwrap.fill(text, letters) for text in texts)
    figure.suptitle(heading, fontsize=11, parse_math=False)
    return figure


def legend(figure: Figure, handles: Sequence[Any], title: str = "") -> None:
    """Put a legend below all axes, in as many columns as fit; the figure grows to make room."""
    for handle in handles:
        handle.set_label(textwrap.fill(handle.get_label(), 60))
    lengths = [max(map(len, handle.get_label().split("\n"))) + 8 for handle in handles]
    room = 12.5 * figure.get_figwidth()  # characters of this size that fit in a line
    fitting = [n for n in range(1, len(handles) + 1) if sum(map(max, filter(len, np.array_split(lengths, n)))) <= room]
    rows = np.ceil(len(handles) / max(fitting, default=1))
    columns = min((n for n in fitting if np.ceil(len(handles) / n) == rows), default=1)  # the same rows, filled evenly
    if handles:
        figure.set_figheight(figure.get_figheight() + 0.2 * (rows + bool(title)))
        look = {"title": title or None, "title_fontsize": 9, "fontsize": 9, "frameon": False}
        figure.legend(handles=handles, loc="outside lower center", ncols=columns, **look)


def spread(items: Iterable[Any], most: int) -> list[Any]:
    """Return at most `most` items, evenly spread, including the first and the last."""
    items = list(items)
    if len(items) <= most:
        return items
    return [items[round(position)] for position in np.linspace(0, len(items) - 1, most)]


def some_of(items: Iterable[Any], most: int, what: str) -> tuple[list[Any], list[str]]:
    """Return at most `most` items, evenly spread, and a note if that leaves some out: `4 of 6 depths`."""
    items = list(items)
    some = spread(items, most)
    return some, [f"{len(some)} of {len(items)} {what}"] * (len(some) < len(items))


def over_seeds(table: pd.DataFrame, by: Sequence[str], value: str) -> pd.DataFrame:
    """Return the mean, lowest and highest value over seeds, per configuration and `by`, as far as all its seeds got."""
    finite = table.assign(**{value: table[value].where(np.isfinite(table[value]))})  # diverged runs may have inf or NaN
    groups = finite.groupby(["configuration", *by], sort=True)[value]
    found = groups.agg(mean="mean", low="min", high="max", n="size")
    got = found["n"] == found["n"].groupby("configuration").transform("max")
    return found[got].dropna(subset="mean")


def panel_width(axis: Axes) -> float:
    """Return the approximate distance between the first and the last value of a panel, in inches."""
    width: float = axis.figure.get_figwidth()  # pyright: ignore[reportAttributeAccessIssue]
    grid = axis.get_gridspec()
    return 0.78 * width / (grid.ncols if grid is not None else 1)


def set_title(axis: Axes, text: str, size: float = 10) -> None:
    """Set the title of a panel, wrapped to its width; line breaks in the text stay."""
    letters = int(140 * panel_width(axis) / size)
    axis.set_title("\n".join(textwrap.fill(line, letters) for line in text.split("\n")), fontsize=size)


def plain_numbers(axis: Axes) -> None:
    """Label a logarithmic vertical axis with plain numbers, over few decades with others than 1, such as 2 and 5.

    A long axis whose numbers have many digits keeps its powers of ten.
    """
    low, high = axis.get_ylim()
    short = high < SHORT * low
    if not short and (low < 1e-4 or high > 1e5):
        return
    brief = high < BRIEF * low
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7) if brief else (1, 2, 5) if short else (1,)))
    axis.yaxis.set_minor_locator(LogLocator(subs="all"))
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter("")


def whole_numbers(axis: Axes) -> None:
    """Put the ticks of the horizontal axis at whole numbers."""
    axis.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 2.5, 5, 10], integer=True, min_n_ticks=1))
