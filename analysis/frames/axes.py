"""The axes of a study: what varies between its configurations, in which order, and what depends on them.

An axis is the depth (`layers`), the number of `stages`, the `shortcut`, the length of the training (`epochs` or, if all
lengths are configured in steps, `steps`), a whole choice if named choices tell configurations apart (`optimizer`), or a
single key (`optimizer.lr`). A setting that the axes determine, such as a momentum that comes with an optimizer, is not
an axis. Seeds are replicates.
"""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from analysis.frames.settings import DEFAULT, Row, as_text

SHORTCUTS = {"projection": "residual (projection)", "pad": "residual (pad)", "none": "plain"}
PLAIN = "none"  # the shortcut of plain networks
UNITS = {"layers", "stages", "epochs", "steps"}  # axes whose values are written before their names
ALIASES = {"depth": "layers", "model": "layers", "model.stages": "layers"}
ALIASES |= {"model.shortcut": "shortcut", "epochs.count": "epochs", "epochs.steps": "steps"}
# Keys that axes under other names cover, or that never make two runs differ.
NO_KEYS = {"model.name", "model.stages", "model.shortcut", "epochs.count", "epochs.steps", "data.root", "device"}
NO_KEYS |= {"logger.name", "compile", "probe_every", "progress", "resume", "fail_fast"}
NO_CHOICES = {"model", "epochs", "logger", "experiment"}  # choices that are never axes (`epochs` is one by its length)
NETWORK = ("layers", "stages", "shortcut")  # axes that depend on no other
FEW = 12  # with up to this many configurations, an axis may determine others though its values never repeat


@dataclass(frozen=True)
class Axis:
    """What varies, and its values in order. Frames hold a value's place in this order, in the column `column`."""

    name: str
    values: tuple[Hashable, ...]

    @property
    def column(self) -> str:
        return f"axis {self.name}"

    @property
    def numeric(self) -> bool:
        return all(map(is_number, self.values))

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The values as they are typed; floats with the fewest digits, at least four, that tell them apart.

        But a number of equal stages, beside lists of blocks per stage, is `4 equal`.
        """
        for digits in range(4, 18):
            texts = tuple(short(value, digits) for value in self.values)
            if len(set(texts)) == len(texts):
                break
        mixed = self.name == "stages" and not self.numeric
        return tuple(f"{text} equal" if mixed and is_number(value) else text for text, value in zip(texts, self.values))

    def text(self, place: int) -> str:
        """Return a value as in `texts`."""
        return self.texts[place]

    def label(self, place: int) -> str:
        """Return a value together with its axis, in words: `8 layers`, `plain`, `optimizer.lr=0.01`."""
        value = self.values[place]
        if self.name == "shortcut":
            return name_shortcut(str(value))
        if self.name in UNITS and is_number(value):
            return f"{self.text(place)} {self.name[: -1 if value == 1 else None]}"
        return f"{self.name}={self.text(place)}"

    def entry(self, place: int) -> str:
        """Return a value for a legend titled with its axis: as in `texts`, but a shortcut and no limit in words."""
        no_limit = self.name == "data.limit" and self.values[place] is None
        return "null (all)" if no_limit else self.label(place) if self.name == "shortcut" else self.text(place)


@dataclass(frozen=True)
class Axes:
    """The axes of some configurations, and the settings whose values depend on them."""

    axes: tuple[Axis, ...]
    dependent: tuple[Axis, ...]

    def find(self, name: str) -> Axis | None:
        """Return the axis that a name, an alias or the end of a key stands for; None if there is none."""
        name = ALIASES.get(name, name)
        every = (*self.axes, *self.dependent)
        own = [axis for axis in every if axis.name == name or axis.name == "steps" and name == "epochs"]
        return next(iter(own or [axis for axis in every if axis.name.endswith(f".{name}")]), None)

    def label(self, row: Row) -> str:
        """Return a configuration in words, by what distinguishes it from others."""
        return ", ".join(axis.label(row[axis.column]) for axis in self.axes)


def find_axes(rows: Sequence[Row], chosen: Iterable[str] = ()) -> Axes:
    """Return the axes of some configurations; `chosen` names those picked by a rule, which depend on the rest."""
    chosen = set(chosen)
    varied = varied_keys(rows)
    axes: list[Axis] = []
    dependent: list[Axis] = []
    columns: dict[str, list[Hashable]] = {}  # the values of axes that other settings may depend on
    keys: dict[str, list[Hashable]] = {}
    found: dict[str, list[Hashable]] = {}  # those of all axes
    names = [*NETWORK, *choice_names(rows, varied)]
    for name in dict.fromkeys([*names, *(key for key in varied if key not in NO_KEYS), *sorted(chosen)]):
        values = [value_of(row, name) for row in rows]
        if len(set(values)) < 2 and name not in chosen:
            continue
        axis, group = Axis(name, ordered(name, first_starts(rows, values))), name.partition(".")[0]
        if name in chosen:
            dependent.append(axis)
        elif group != name and group in found and determines([found[group]], values):
            continue  # the choice already says it
        elif name not in NETWORK and (determined(columns, values) or any(alike(key, values) for key in keys.values())):
            dependent.append(axis)
        else:
            axes.append(axis)
            (columns if name in names else keys)[name] = values
        found[name] = values
    return Axes(tuple(axes), tuple(dependent))


def varied_keys(rows: Sequence[Row]) -> list[str]:
    """Return the keys whose values differ, in the order in which they first appear."""
    keys = dict.fromkeys(key for row in rows for key in row["settings"])
    return [key for key in keys if len({value_of(row, key) for row in rows}) > 1]


def choice_names(rows: Sequence[Row], varied: Sequence[str]) -> list[str]:
    """Return the groups whose named choice determines something that varies in them, and `epochs` or `steps`."""
    found = []
    for group in dict.fromkeys(key.partition(".")[0] for key in varied if "." in key):
        names = [value_of(row, group) for row in rows]
        own = [[value_of(row, key) for row in rows] for key in varied if key.startswith(f"{group}.")]
        if group == "epochs":
            found.append(group if any(row["config"].get("epochs.count") is not None for row in rows) else "steps")
        elif group not in NO_CHOICES and DEFAULT not in names and any(determines([names], values) for values in own):
            found.append(group)
    return found


def value_of(row: Row, name: str) -> Hashable:
    """Return a configuration's value on an axis; for a group, the name of its choice, or its own `name` key."""
    settings = row["settings"] if isinstance(row["settings"], dict) else row["config"]  # published rows have none
    if name == "layers":
        return int(row["depth"])
    if name == "stages":
        return len(row["stages"]) if len(set(row["stages"])) == 1 else tuple(row["stages"])
    if name == "shortcut":
        return str(row["shortcut"])
    if name == "steps":
        return row["config"].get("epochs.steps")
    if name == "epochs":
        count, steps = (row["config"].get(f"epochs.{unit}") for unit in ("count", "steps"))
        return f"{steps} steps" if count is None and steps is not None else count
    choices = row.get("choices")
    choice = choices.get(name) if isinstance(choices, dict) else None
    value = choice or settings.get(name, settings.get(f"{name}.name", DEFAULT))
    return tuple(value) if isinstance(value, list) else value


def determines(columns: Sequence[Sequence[Hashable]], values: Sequence[Hashable]) -> bool:
    """Return whether rows that agree in all columns also agree in `values`."""
    combinations = list(zip(*columns))
    return len(set(combinations)) == len(set(zip(combinations, values)))


def determined(columns: dict[str, list[Hashable]], values: Sequence[Hashable]) -> bool:
    """Return whether one axis, or all together, determine the values, and not just by chance.

    Together, they do so only if combinations repeat or make up most of a grid, such as depth and shortcut, where each
    combination has its own rate. In a random search no combination repeats, and any setting would seem determined.
    """
    for column in columns.values():
        if determines([column], values) and (len(set(column)) < len(values) or len(values) <= FEW):
            return True
    combinations = len(set(zip(*columns.values())))
    grid = math.prod(len(set(column)) for column in columns.values())
    common = combinations < len(values) or 2 * combinations >= grid
    return len(columns) > 1 and common and determines(list(columns.values()), values)


def alike(key: Sequence[Hashable], values: Sequence[Hashable]) -> bool:
    """Return whether two keys always change together, as flip and crop do, and not just by chance."""
    different = len(set(key))
    return determines([key], values) and determines([values], key) and (different < len(key) or different == 2)


def first_starts(rows: Sequence[Row], values: Sequence[Hashable]) -> dict[Hashable, str]:
    """Return each value with the time at which its first run started; all empty if any is not known."""
    starts: dict[Hashable, str] = {}
    for row, value in zip(rows, values):
        began = row.get("started") or ""
        starts[value] = min(starts.get(value, began), began)
    return starts if all(starts.values()) else dict.fromkeys(starts, "")


def ordered(name: str, starts: Mapping[Hashable, str]) -> tuple[Hashable, ...]:
    """Return values in order: numbers by size, after the default; names in the order in which their runs started.

    That is the order of the sweep. Names with the same start, or an unknown one, are in alphabetical order, after
    `none`.
    """
    if name == "shortcut":
        known = {shortcut: place for place, shortcut in enumerate(SHORTCUTS)}
        return tuple(sorted(starts, key=lambda value: (known.get(str(value), len(known)), str(value))))
    named = not any(map(is_number, starts))

    def place(value: Hashable) -> tuple[str, int, float, str]:
        if is_number(value):
            return "", 1, float(value), ""  # pyright: ignore[reportArgumentType]
        first = value in (None, DEFAULT, "none", False) and name != "data.limit"  # no limit means all of the data
        return starts[value] if named else "", (0 if first else 2), 0, value_text(value)

    return tuple(sorted(starts, key=place))


def is_number(value: Any) -> bool:
    """Return whether a value is a number that an axis can sort."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def value_text(value: Any) -> str:
    """Return a value as it is typed: `0.01`, `sgd`, `[5,5,5]`."""
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return as_text(list(value) if isinstance(value, tuple) else value)


def short(value: Hashable, digits: int) -> str:
    """Return a value as it is typed, a float rounded to this many significant digits."""
    return value_text(float(f"{value:.{digits}g}") if isinstance(value, float) else value)


def name_shortcut(shortcut: str) -> str:
    """Return what networks with a shortcut are called."""
    return SHORTCUTS.get(shortcut, shortcut)
