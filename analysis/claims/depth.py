"""What depth and skip connections do: gains, twins, their interaction, degradation, gradients, overfitting."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pandas as pd

from analysis.claims.comparable import also
from analysis.claims.differences import difference, weigh
from analysis.claims.finding import Finding
from analysis.claims.gradients import find_gradients
from analysis.frames.axes import PLAIN, value_of
from analysis.frames.conditions import differing_programs
from analysis.frames.configurations import of_configurations
from analysis.frames.settings import Row, Settings
from analysis.frames.study import Study, networks, slices, twins

ByDepth = dict[int, pd.DataFrame]  # the runs of a series, by depth
Series = Iterable[tuple[str, ByDepth]]
EMPTY: Settings = {}


def find_depth(
    study: Study, runs: pd.DataFrame, configurations: pd.DataFrame, planned: pd.DataFrame
) -> Iterator[Finding]:
    """Find what depth and skip connections do to these configurations; `planned` also has those without results."""
    series = list(several_depths(study, runs, configurations))
    yield from find_gains(series)
    yield from find_twins(study, runs, configurations)
    yield from find_interactions(study, runs, configurations)
    yield from find_turns(study, series, planned[planned["shortcut"] == PLAIN])
    yield from find_gradients(study, runs, study.layers[study.layers["path"].isin(runs["path"])], configurations)
    yield from find_gaps(series)


def versus(kind: str, a: pd.DataFrame, b: pd.DataFrame, measure: str, facts: Settings = EMPTY, **more: Any) -> Finding:
    """Return how much runs `b` exceed runs `a` in a measure, and what differs apart from depth and shortcut."""
    both = pd.concat([a, b])
    facts = facts | (also(a, b) if kind != "published step" else {})
    return Finding(
        kind,
        configurations=tuple(both["configuration"].unique()),
        difference=difference(a, b, measure),
        seeds=(len(a), len(b)),
        programs=differing_programs(both),
        facts=facts,
        **more,
    )


def find_gains(series: Series) -> Iterator[Finding]:
    """Compare the deepest network of each series with the shallowest; if accuracy rises, report where it plateaus."""
    for name, by_depth in series:
        low, high = min(by_depth), max(by_depth)
        gain = versus("gain", by_depth[low], by_depth[high], "test_acc", networks=name, depths=(low, high))
        level = find_plateau(by_depth) if gain.verdict == "more" else None
        if level is not None:
            sides = [by_depth[depth] for depth in (low, level, high)]
            further = difference(sides[1], sides[2], "test_acc"), (len(sides[1]), len(sides[2]))
            facts = {"plateau": (level, *further)} | also(*sides)
            gain = replace(gain, facts=facts, programs=differing_programs(pd.concat(sides)))
        yield gain


def find_plateau(by_depth: ByDepth) -> int | None:
    """Return the smallest depth from which on no network is shown to beat a shallower one; None if there is none."""
    found, (*shallower, deepest) = None, sorted(by_depth)
    for place, depth in reversed(list(enumerate(shallower))):
        deeper = [*shallower[place + 1 :], deepest]
        differences = [difference(by_depth[depth], by_depth[other], "test_acc") for other in deeper]
        if any(further is None or further.verdict not in ("noise", "less") for further in differences):
            break
        found = depth
    return found


def find_twins(study: Study, runs: pd.DataFrame, configurations: pd.DataFrame) -> Iterator[Finding]:
    """Compare residual networks with their plain twins at the smallest and the largest depth that both have."""
    for residual, plain, common in twins(study, configurations):
        for depth in dict.fromkeys((common[0], common[-1])):
            a, b = (of_configurations(runs, rows[rows["depth"] == depth]) for rows in (plain, residual))
            yield versus("twins", a, b, "test_acc", networks=networks(study, residual), depths=(depth,))


def find_interactions(study: Study, runs: pd.DataFrame, configurations: pd.DataFrame) -> Iterator[Finding]:
    """Compare the effect of depth on residual networks with its effect on their plain twins."""
    for residual, plain, common in twins(study, configurations):
        if len(common) < 2:
            continue
        ends = common[0], common[-1]
        cells = [of_configurations(runs, side[side["depth"] == depth]) for side in (plain, residual) for depth in ends]
        found, every = weigh(cells, (1, -1, -1, 1)), pd.concat(cells)
        names, counts = tuple(every["configuration"].unique()), [len(cell) for cell in cells]
        seeds, programs = (min(counts), max(counts)), differing_programs(every)
        yield Finding(
            "interaction",
            networks=networks(study, residual),
            configurations=names,
            depths=ends,
            difference=found,
            seeds=seeds,
            programs=programs,
            facts=also(*cells),
        )


def find_turns(study: Study, series: Series, plain: pd.DataFrame) -> Iterator[Finding]:
    """Find the depth, chosen by validation accuracy, beyond which plain networks get worse again, if there is one.

    `plain` are all planned plain networks; those deeper than a series, without a complete run, are named. A series of
    two depths can show no turn; it gets its change in training accuracy instead, for residual networks as well.
    """
    for name, by_depth in series:
        shallowest, deepest = min(by_depth), max(by_depth)
        if len(by_depth) == 2:
            a, b = by_depth[shallowest], by_depth[deepest]
            yield versus("training", a, b, "train_acc", networks=name, depths=(shallowest, deepest))
            continue
        if any((rows["shortcut"] != PLAIN).any() for rows in by_depth.values()):
            continue
        means = pd.Series({depth: rows["val_acc"].mean() for depth, rows in by_depth.items()})
        if means.isna().any() or (means == means.max()).sum() > 1:
            continue
        if means.idxmax() == deepest:
            place = places(study, by_depth[deepest].to_dict("records")[0])
            alike = [row for row in plain.to_dict("records") if places(study, row) == place]
            absent = sorted({int(row["depth"]) for row in alike if row["depth"] > deepest})
            names = tuple(pd.concat(by_depth.values())["configuration"].unique())
            yield Finding("no turn", name, names, (deepest,), facts={"absent": absent})
        else:
            yield from find_turn(name, by_depth, int(means.idxmax()))  # pyright: ignore[reportArgumentType]


def places(study: Study, row: Row) -> list[Any]:
    """Return a run's or a configuration's values on the axes other than depth and shortcut."""
    return [value_of(row, axis.name) for axis in study.others]


def find_turn(name: str, by_depth: ByDepth, best: int) -> Iterator[Finding]:
    """Compare the deepest plain networks with the best; if training accuracy falls, report that too."""
    deepest = max(by_depth)
    turn, training = (
        versus(kind, by_depth[best], by_depth[deepest], measure, networks=name, depths=(best, deepest))
        for kind, measure in (("turn", "test_acc"), ("degradation", "train_acc"))
    )
    yield turn
    if training.verdict == "less":
        yield training


def rule_out_overfitting(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the findings; where both test and training accuracy fall even after correction, rule out overfitting."""
    fallen = set()
    for found in findings:
        yield found
        if found.kind in ("turn", "degradation") and found.verdict == "less" and "one_of" not in found.facts:
            fallen.add((found.kind, found.networks))
        if found.kind == "degradation" and {("turn", found.networks), ("degradation", found.networks)} <= fallen:
            yield Finding("not overfitting", found.networks)


def find_gaps(series: Series) -> Iterator[Finding]:
    """Compare training minus validation accuracy at the smallest and the largest depth."""
    for name, by_depth in series:
        low, high = min(by_depth), max(by_depth)
        sides = [runs.assign(gap=runs["train_acc"] - runs["val_acc"]) for runs in (by_depth[low], by_depth[high])]
        a, b = (side.dropna(subset="gap") for side in sides)
        if a.empty or b.empty:
            continue
        points = tuple(100 * float(side["gap"].mean()) for side in (a, b))
        yield versus("gap", a, b, "gap", networks=name, depths=(low, high), facts={"points": points})


def several_depths(study: Study, runs: pd.DataFrame, configurations: pd.DataFrame) -> Series:
    """Yield each series of networks that differ only in depth: its name, and its runs by ascending depth."""
    depth = study.axes.find("layers")
    if depth is None or depth not in study.axes.axes:
        return
    for _, rows in slices(configurations, study.axes.axes, depth):
        own = of_configurations(runs, rows)
        by_depth = {int(depth): own[own["depth"] == depth] for depth in sorted(set(own["depth"]))}
        if len(by_depth) > 1:
            yield networks(study, rows), by_depth
