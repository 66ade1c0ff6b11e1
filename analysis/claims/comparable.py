"""What can confound a comparison: configurations that differ in several settings, runs not computed alike."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import combinations, islice, product
from typing import Any

import numpy as np
import pandas as pd

from analysis.claims.finding import Finding
from analysis.frames.axes import Axes, value_of
from analysis.frames.conditions import PROGRAM
from analysis.frames.settings import DEFAULT, Row, Settings, as_text, unequal_keys

NOT_RECIPE = {"model", "epochs", "data", "stages"}  # not part of a training recipe
NAMED = 5  # confounds named at most; the rest are only counted
MIXED = {"precision": "precision", "compiled": "compiled", **PROGRAM}


def is_tuned(key: str, chosen: Collection[str]) -> bool:
    """Return whether a key is part of a recipe chosen for each configuration, so it does not count as a difference.

    A different width, data set or length of training counts, chosen or not.
    """
    group = key.partition(".")[0]
    return group not in NOT_RECIPE and not {key, group}.isdisjoint(chosen)


def flatten_settings(row: Row) -> Settings:
    """Return a run's settings, with entries for what its stages and width determine, and one for its length."""
    stages = row["stages"]
    network = {
        "blocks per stage": list(stages),
        "stages": len(stages),
        "width of the last stage": row["width"] * 2 ** (len(stages) - 1),
    }
    merged = {"model.name", "model.stages", "epochs.count", "epochs.steps"}
    return network | {k: v for k, v in row["settings"].items() if k not in merged} | {"epochs": value_of(row, "epochs")}


def differing_keys(one: Settings, other: Settings) -> list[str]:
    """Return the keys in which flattened settings differ; a last width that follows from `model.width` is left out."""
    keys = unequal_keys(one, other)
    follows = "model.width" in keys and "stages" not in keys
    return [key for key in keys if not (follows and key == "width of the last stage")]


def changes(one: Settings, other: Settings) -> dict[str, tuple[Any, Any]]:
    """Return the differing keys of two flattened settings, each with both values."""
    return {key: (one.get(key, DEFAULT), other.get(key, DEFAULT)) for key in differing_keys(one, other)}


def other_differences(*groups: pd.DataFrame) -> dict[str, tuple[Any, ...]]:
    """Return the keys, apart from blocks per stage and shortcut, in which groups of runs differ, with their values."""
    settings = [flatten_settings(runs.to_dict("records")[0]) for runs in groups]
    keys = dict.fromkeys(key for pair in combinations(settings, 2) for key in differing_keys(*pair))
    own = {key: [row.get(key, DEFAULT) for row in settings] for key in keys}
    return {
        key: tuple(value for place, value in enumerate(values) if value not in values[:place])
        for key, values in own.items()
        if key not in ("blocks per stage", "model.shortcut")
    }


def also(*groups: pd.DataFrame) -> Settings:
    """Return what `other_differences` finds as the fact `also` of a finding; empty if it finds nothing."""
    found = other_differences(*groups)
    return {"also": found} if found else {}


def by_choice(row: Row, axes: Axes) -> Settings:
    """Return a run's flattened settings; an axis that is a whole choice has one entry instead of its keys."""
    settings, own = flatten_settings(row), [axis.name for axis in axes.axes]
    for group in own:
        if not any(key.startswith(f"{group}.") for key in settings):
            continue
        settings = {key: v for key, v in settings.items() if not key.startswith(f"{group}.") or key in own}
        settings[group] = value_of(row, group)
    return settings


def find_confounds(configurations: pd.DataFrame, axes: Axes, chosen: Collection[str]) -> Iterator[Finding]:
    """Name what differs between configurations that no chain of single changes connects.

    A whole choice, such as an optimizer, is one change; a recipe chosen for each configuration does not count as one.
    """
    from scipy.sparse.csgraph import connected_components  # takes as long to import as all the rest of a table

    rows = {row["configuration"]: row for row in configurations.to_dict("records")}
    every = {name: by_choice(row, axes) for name, row in rows.items()}
    flat = {name: {key: v for key, v in own.items() if not is_tuned(key, chosen)} for name, own in every.items()}
    names, counts = list(rows), count_changes(list(flat.values()))
    number, group = connected_components(counts <= 1)
    apart = combinations([np.flatnonzero(group == n) for n in range(number)], 2)
    for one, other in islice(apart, NAMED):
        place = np.unravel_index(counts[np.ix_(one, other)].argmin(), (len(one), len(other)))
        a, b = names[one[place[0]]], names[other[place[1]]]
        labels = rows[a]["label"], rows[b]["label"]
        yield Finding("confound", configurations=(a, b), facts={"labels": labels, "changes": changes(flat[a], flat[b])})
    if (more := math.comb(number, 2) - NAMED) > 0:
        yield Finding("more confounds", facts={"count": more})


def count_changes(settings: list[Settings]) -> np.ndarray:
    """Return the matrix of how many keys each pair of flattened settings differs in, counted as in `differing_keys`."""
    keys = list(dict.fromkeys(key for row in settings for key in row))
    columns = {key: np.array([as_text(row.get(key, DEFAULT)) for row in settings]) for key in keys}
    differs = {key: column[:, None] != column for key, column in columns.items()}
    counts = sum((part.astype(int) for part in differs.values()), np.zeros((len(settings), len(settings)), int))
    if {"model.width", "stages", "width of the last stage"} <= differs.keys():
        counts -= differs["model.width"] & ~differs["stages"] & differs["width of the last stage"]
    return counts


def find_chosen(chosen: Mapping[str, str]) -> Iterator[Finding]:
    """Name the axes on which each configuration has its own value, chosen for it."""
    for name, by in chosen.items():
        yield Finding("chosen", facts={"axis": name, "by": by and f" in {by}"})
        if not by:
            yield Finding("same runs", facts={"axis": name})


def find_mixed_seeds(configurations: pd.DataFrame) -> Iterator[Finding]:
    """Name the configurations whose seeds were not all computed alike, one finding per kind of mixture."""
    mixed = configurations[configurations["mixed"].fillna("") != ""]
    for how, rows in mixed.groupby("mixed", sort=False):
        labels = list(rows["label"])
        facts = {"mixed_labels": labels, "how": how}
        yield Finding("mixed seeds", configurations=tuple(rows["configuration"]), facts=facts)


def find_mixed_conditions(configurations: pd.DataFrame, names: Iterable[str] = MIXED) -> Iterator[Finding]:
    """Count configurations by each condition that is not the same for all those on the same data set."""
    for column, (_, rows) in product(names, configurations.groupby("data", sort=False)):
        counts = rows[column].value_counts().sort_index()
        if len(counts) > 1:
            yield Finding(f"mixed {MIXED[column]}", facts={"counts": {key: int(n) for key, n in counts.items()}})
