"""What untrained networks show: how the gradient grows, how quickly it changes direction, how sharp the loss is."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.claims.finding import Finding
from analysis.frames.axes import PLAIN
from analysis.frames.inside.untrained import BOUNDS, Untrained, condition, plain_last
from analysis.frames.statistics import Estimate, estimate, welch

GROWTH = math.sqrt(math.pi / (math.pi - 1))  # per plain layer with batch norm (Yang et al. 2019, arXiv 1902.08129)
SHARE = "1/40"  # distance between neighbours, relative to that between two images


def find_untrained(untrained: Untrained) -> Iterator[Finding]:
    """Say what depth and skip connections do before the first step, separately by norm and by what else varies."""
    for _, runs in untrained.runs.groupby(["norm", "rest"], sort=False):
        yield from find_ends(runs)
        yield from find_growth(runs)
        yield from find_neighbours(runs)
        yield from find_curvature(runs)


def kinds_of(runs: pd.DataFrame, column: str) -> dict[str, pd.DataFrame]:
    """Return the runs with a finite value in a column, by shortcut, plain ones last."""
    known = runs[np.isfinite(runs[column])]
    return {name: known[known["shortcut"] == name] for name in plain_last(known["shortcut"])}


def deepest(sides: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return each side's runs at the largest depth that all sides have or, without one, at its own largest."""
    common = set.intersection(*(set(rows["depth"]) for rows in sides.values())) if sides else set()
    return {name: rows[rows["depth"] == max(common or set(rows["depth"]))] for name, rows in sides.items()}


def basis(sides: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """Return the fields of a finding that describe its runs: networks, configurations and depths."""
    runs = pd.concat(sides.values())
    depths = tuple(sorted(map(int, runs["depth"].unique())))
    shared = condition(runs["norm"].iloc[0], runs["rest"].iloc[0])
    return {"networks": shared, "configurations": tuple(runs["configuration"].unique()), "depths": depths}


def compare_with_plain(kind: str, sides: dict[str, pd.DataFrame], column: str, log: bool) -> Iterator[Finding]:
    """Compare a column, or its log10, of residual networks with that of plain ones of the same depth."""
    for name, rows in deepest(sides).items():
        plain = sides.get(PLAIN, rows[:0])
        plain = plain[plain["depth"] == rows["depth"].iloc[0]]
        if name != PLAIN and len(plain):
            found = welch(*(np.log10(side[column]) if log else side[column] for side in (plain, rows)))
            seeds, facts = (len(plain), len(rows)), {"shortcut": name}
            yield Finding(kind, **basis({PLAIN: plain, name: rows}), difference=found, seeds=seeds, facts=facts)


def find_ends(runs: pd.DataFrame) -> Iterator[Finding]:
    """Compare the gradient norm of the first layers with that of the last, raw and scaled by the weights' norm."""
    sides = kinds_of(runs, "gradient_ratio")
    ends = deepest(sides)
    facts: dict[str, Any] = {"ratios": {}, "scaled": {}, "at_depths": {}}
    for name, rows in ends.items():
        facts["at_depths"][name] = int(rows["depth"].iloc[0])
        ratio, scaled = (np.log10(rows[column].dropna()) for column in ("gradient_ratio", "scaled_ratio"))
        facts["ratios"][name] = estimate(ratio)
        if len(scaled):  # older runs did not record the norms of their weights
            facts["scaled"][name] = estimate(scaled)
    if ends:
        yield Finding("ends", **basis(ends), facts=facts)
    yield from compare_with_plain("ends twins", sides, "gradient_ratio", log=True)


def find_growth(runs: pd.DataFrame) -> Iterator[Finding]:
    """Compare the gradient's growth per plain layer, far from both ends, with what theory predicts."""
    plain = deepest(kinds_of(runs[(runs["shortcut"] == PLAIN) & (runs["norm"] == "batch")], "growth"))
    for rows in plain.values():
        found, scaled = estimate(np.log10(rows["growth"])), np.log10(rows["scaled_growth"].dropna())
        facts = {"growth": found, "theory": GROWTH, "verdict": found.beside(math.log10(GROWTH))}
        yield Finding("growth", **basis(plain), facts=facts | ({"scaled": estimate(scaled)} if len(scaled) else {}))


def clipped(cosine: Estimate) -> Estimate:
    """Return the estimate of a cosine, its interval clipped to [-1, 1]."""
    if cosine.low is None or cosine.high is None:
        return cosine
    return replace(cosine, low=max(cosine.low, -1.0), high=min(cosine.high, 1.0))


def find_neighbours(runs: pd.DataFrame) -> Iterator[Finding]:
    """Compare the cosine between neighbours' input gradients at the smallest and the largest depth, and with twins."""
    sides = kinds_of(runs, "cosine")
    facts: dict[str, Any] = {"cosines": {}, "changes": {}, "share": SHARE}
    for name, rows in sides.items():
        depths = dict.fromkeys((int(rows["depth"].min()), int(rows["depth"].max())))
        ends = {depth: rows.loc[rows["depth"] == depth, "cosine"] for depth in depths}
        facts["cosines"][name] = {depth: clipped(estimate(values)) for depth, values in ends.items()}
        if len(ends) > 1:
            facts["changes"][name] = welch(*ends.values())
    if sides:
        yield Finding("neighbours", **basis(sides), facts=facts)
    yield from compare_with_plain("neighbours twins", sides, "cosine", log=False)


def find_curvature(runs: pd.DataFrame) -> Iterator[Finding]:
    """Say at which learning rates networks start where the loss is too sharp; count runs of unknown sharpness."""
    for name, rows in kinds_of(runs, "eigenvalues").items():
        known = rows.dropna(subset="curvature")
        by_depth = {int(str(depth)): estimate(np.log10(part)) for depth, part in known.groupby("depth")["curvature"]}
        starts = {rate: depths_by_side(by_depth, bound) for rate, bound in BOUNDS.items()}
        left_out = len(rows) - len(known), len(rows)
        facts = {"shortcut": name, "curvatures": by_depth, "starts": starts, "left_out": left_out}
        facts["unknown"] = sorted(set(map(int, rows["depth"])) - set(by_depth))
        yield Finding("curvature" if by_depth else "no curvature", **basis({name: rows}), facts=facts)


def depths_by_side(by_depth: dict[int, Estimate], bound: float) -> dict[str, list[int]]:
    """Return the depths whose curvature is above a bound, below it, or undecided by the seeds."""
    found: dict[str, list[int]] = {"more": [], "less": [], "open": []}
    for depth, curvature in by_depth.items():
        verdict = curvature.beside(math.log10(bound))
        found[verdict if verdict in found else "open"].append(depth)
    return found
