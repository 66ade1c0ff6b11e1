"""The horizontal axis of the accuracies: where each configuration goes, and which values are labelled."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, FixedLocator, LogLocator, NullFormatter

from analysis.figures.roles import MANY, QUANTITIES, Roles
from analysis.figures.style import panel_width
from analysis.frames.axes import value_text

DODGE = 0.02  # share of the axis, for all lines: intervals at one place that would hide one another are spread over it
DECADE = 10
LARGE = 10_000
DIGIT, BETWEEN = 0.09, 0.06  # inches: the width of a digit, and the least gap between two labels
LONG = 24  # characters of a name; the middle of a longer one is cut out
CLOSE = 0.5  # inches between names; those that are closer are turned further
LABELS = {"layers": "depth (weighted layers)", "optimizer.lr": "learning rate (optimizer.lr)"}


@dataclass(frozen=True)
class Scale:
    """The horizontal axis: each configuration's value, the axis label, whether it is logarithmic, names if not numbers.

    With `texts`, values are the ranks of numbers that do not fit on one scale, such as 0 and 0.0001. Ticks are at the
    values, or at `round` numbers.
    """

    values: pd.Series
    label: str
    logarithmic: bool
    names: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    round: bool = False


def scale_of(table: pd.DataFrame, roles: Roles) -> Scale:
    """Return the horizontal axis of some configurations."""
    if roles.quantity:
        label, unit = QUANTITIES[roles.quantity]
        values = table[roles.quantity].astype(float) / unit
        return Scale(values, label, values.max() >= DECADE * values.min(), round=True)
    assert roles.x is not None
    x, label = roles.x, LABELS.get(roles.x.name, roles.x.name)
    if not x.numeric:
        return Scale(table[x.column].astype(float), label, False, tuple(map(x.entry, range(len(x.values)))))
    values = pd.Series([float(str(x.values[place])) for place in table[x.column]], table.index)
    if values.min() == 0 and values.max() >= DECADE * values[values > 0].min() and len(x.values) <= MANY:
        return Scale(table[x.column].astype(float), label, False, texts=x.texts)
    return Scale(values, label, values.min() > 0 and (x.name == "layers" or values.max() >= DECADE * values.min()))


def dodged(points: pd.DataFrame, shift: float, scale: Scale, aside: set[float]) -> pd.Series:
    """Return where points are drawn: those at places in `aside` are moved by a share of the axis."""
    x, low, high = points["x"], scale.values.min(), scale.values.max()
    if scale.logarithmic:
        beside = x * (high / low) ** (DODGE * shift)
    else:
        gap = np.diff(sorted(set(scale.values))).min(initial=high - low)
        beside = x + shift * (0.25 if scale.names else min(DODGE * (high - low), gap / 3))
    return x.where(~x.isin(aside), beside)


def ticks(axis: Axes, scale: Scale) -> None:
    """Label values that occur on the horizontal axis, as many as fit without touching, powers of ten first.

    A quantity, whose values are anything, gets round numbers.
    """
    axis.set_xlabel(scale.label)
    values = sorted(set(scale.values))
    if scale.names:
        names = [name if len(name) <= LONG else f"{name[: LONG // 2]}…{name[-LONG // 2 :]}" for name in scale.names]
        close = panel_width(axis) / len(names) < CLOSE
        look = {"rotation": 45 if close else 20, "ha": "right"} if sum(map(len, names)) > 40 else {}
        axis.set_xticks(range(len(names)), names, **look)
        axis.set_xlim(-0.6, len(scale.names) - 0.4)
    elif scale.round:
        if scale.logarithmic:
            axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.xaxis.set_minor_formatter(NullFormatter())
        axis.xaxis.set_major_formatter(lambda value, _: number(value))
    elif len(values) <= MANY:
        texts = [scale.texts[int(value)] if scale.texts else number(value) for value in values]
        texts = texts if len(set(texts)) == len(texts) else list(map(value_text, values))
        at, sizes = np.log(values) if scale.logarithmic else np.array(values), [breadth(text) for text in texts]
        at, shown = at * panel_width(axis) / max(at[-1] - at[0], 1e-9), []
        numbers = [float(text.replace(",", "")) for text in texts]
        for place in sorted(range(len(values)), key=lambda place: (not is_power(numbers[place]), -place)):
            if all(abs(at[other] - at[place]) > (sizes[other] + sizes[place]) / 2 + BETWEEN for other in shown):
                shown.append(place)
        shown.sort()
        axis.xaxis.set_major_locator(FixedLocator([values[place] for place in shown]))
        axis.xaxis.set_major_formatter(FixedFormatter([texts[place] for place in shown]))
        axis.xaxis.set_minor_locator(FixedLocator(values))
        axis.xaxis.set_minor_formatter(NullFormatter())


def number(value: float) -> str:
    """Return a number for a label: a large one in full, with thousands separators."""
    return f"{value:,.0f}" if value >= LARGE else f"{value:.5g}"


def is_power(value: float) -> bool:
    """Return whether a number is a power of ten below ten: of rates, these are the ones to label."""
    return 0 < value < DECADE and float(np.log10(value)).is_integer()


def breadth(text: str) -> float:
    """Return the approximate width of a label, in inches."""
    return DIGIT * (len(text) - 0.5 * text.count("."))
