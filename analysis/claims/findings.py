"""What the runs of a study support, and nothing else.

Every finding holds for the data at hand. Where an interval over seeds includes zero, the finding is that no difference
can be claimed; where there is no interval, as with a single seed, the finding is that the question is open.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from analysis.claims.along import find_axis, find_best
from analysis.claims.comparable import beside_depth, find_confounds, find_mixed_conditions, find_mixed_seeds
from analysis.claims.differences import difference, weigh
from analysis.claims.finding import Finding
from analysis.claims.gradients import find_gradients
from analysis.frames.axes import Axis
from analysis.frames.conditions import differing_programs
from analysis.frames.configurations import STATUSES, data_of
from analysis.frames.published import ORIGINAL, add_published, network
from analysis.frames.settings import Settings, as_text
from analysis.frames.statistics import wilson
from analysis.frames.study import Study, networks, slices, twins

ByDepth = dict[int, pd.DataFrame]  # the runs of a series
Series = Iterable[tuple[str, ByDepth]]
MOST_SERIES = 6  # of networks of several depths, each of which has sentences of its own
EMPTY: Settings = {}
NETWORK = {"model.name", "model.stages", "model.width", "model.shortcut"}


def find(study: Study) -> list[Finding]:
    """Return what the runs of one study support."""
    complete, configurations = study.complete, study.configurations
    if complete.empty:
        return [Finding("nothing complete")]
    done = configurations[configurations["n"] > 0]
    distinct = without_copies(complete, study)
    special = about_depth(study)
    return [
        *(find_best(study) if len(study.axes.axes) > len(special) else []),
        *(finding for axis in study.axes.axes if axis not in special for finding in find_axis(study, distinct, axis)),
        *(find_depth(study, distinct, done) if special else []),
        *find_published(complete, done),
        *find_confounds(done),
        *find_mixed_seeds(done),
        *find_mixed_conditions(done),
        *find_singles(complete, done),
        *find_parts(done),
        *find_incomplete(configurations),
    ]


def about_depth(study: Study) -> list[Axis]:
    """Return the axes that have sentences of their own: depth and skip connections, where the others are few."""
    special = [axis for axis in study.axes.axes if axis.name in ("layers", "shortcut")]
    series = list(slices(study.configurations, study.axes.axes, special[0])) if special else []
    return special if len(series) <= MOST_SERIES else []


def find_depth(study: Study, runs: pd.DataFrame, configurations: pd.DataFrame) -> Iterator[Finding]:
    """Find what depth and skip connections do."""
    series = list(several_depths(study, runs, configurations))
    yield from find_gains(series)
    yield from find_twins(study, runs, configurations)
    yield from find_interactions(study, runs, configurations)
    yield from find_turns(series, configurations)
    yield from find_gradients(study, study.layers[study.layers["path"].isin(runs["path"])], configurations)
    yield from find_gaps(series)


def without_copies(runs: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return the runs without those that repeat another: the same training in another configuration's folder.

    A model's name says nothing about its network, and a folder can be copied. To count a seed twice would make
    intervals too narrow.
    """
    columns = [axis.column for axis in (*study.axes.axes, *study.axes.along)]
    places = study.configurations.set_index("folder")[columns]
    return runs[~runs.join(places, on="folder").duplicated([*columns, "seed"])]


def versus(kind: str, a: pd.DataFrame, b: pd.DataFrame, measure: str, facts: Settings = EMPTY, **more: Any) -> Finding:
    """Return how much the runs `b` exceed the runs `a` in a measure, and what beside their depth is another."""
    both = pd.concat([a, b])
    also = beside_depth(a, b) if kind != "published step" else {}
    return Finding(
        kind,
        configurations=tuple(both["configuration"].unique()),
        difference=difference(a, b, measure),
        seeds=(len(a), len(b)),
        programs=differing_programs(both),
        facts=facts | ({"also": also} if also else {}),
        **more,
    )


def find_gains(series: Series) -> Iterator[Finding]:
    """Compare the deepest network of each series with the shallowest."""
    for name, by_depth in series:
        low, high = min(by_depth), max(by_depth)
        yield versus("gain", by_depth[low], by_depth[high], "test_acc", networks=name, depths=(low, high))


def find_twins(study: Study, runs: pd.DataFrame, configurations: pd.DataFrame) -> Iterator[Finding]:
    """Compare residual networks with their plain twins at the least and at the greatest depth that both have."""
    for residual, plain in twins(study, configurations):
        common = set(residual["depth"]) & set(plain["depth"])
        for depth in dict.fromkeys((min(common), max(common))):
            a, b = (runs_of(runs, rows[rows["depth"] == depth]) for rows in (plain, residual))
            yield versus("twins", a, b, "test_acc", networks=networks(study, residual), depths=(depth,))


def find_interactions(study: Study, runs: pd.DataFrame, configurations: pd.DataFrame) -> Iterator[Finding]:
    """Compare what depth does to residual networks with what it does to their plain twins."""
    for residual, plain in twins(study, configurations):
        common = set(residual["depth"]) & set(plain["depth"])
        if len(common) < 2:
            continue
        ends = min(common), max(common)
        cells = [runs_of(runs, side[side["depth"] == depth]) for side in (plain, residual) for depth in ends]
        found, every = weigh(cells, (1, -1, -1, 1)), pd.concat(cells)
        names, counts = tuple(every["configuration"].unique()), [len(cell) for cell in cells]
        seeds, programs = (min(counts), max(counts)), differing_programs(every)
        also = beside_depth(cells[0], cells[1]) | beside_depth(cells[2], cells[3]) | beside_depth(cells[0], cells[2])
        facts = {"also": also} if also else {}
        yield Finding("interaction", networks(study, residual), names, ends, found, seeds, programs, facts)


def find_turns(series: Series, configurations: pd.DataFrame) -> Iterator[Finding]:
    """Find the depth, chosen by validation accuracy, beyond which plain networks get worse again, if there is one."""
    plain = set(configurations.loc[configurations["shortcut"] == "none", "configuration"])
    for name, by_depth in series:
        shallowest, deepest = min(by_depth), max(by_depth)
        if not plain.issuperset(by_depth[deepest]["configuration"]):
            continue
        means = {depth: rows["val_acc"].mean() for depth, rows in by_depth.items()}
        best = max(means, key=lambda depth: means[depth])
        if len(by_depth) == 2:
            a, b = by_depth[shallowest], by_depth[deepest]
            yield versus("training", a, b, "train_acc", networks=name, depths=(shallowest, deepest))
        elif pd.isna(list(means.values())).any():
            continue
        elif best == deepest:
            yield Finding("no turn", networks=name, depths=(deepest,))
        else:
            yield from find_turn(name, by_depth, best)


def find_turn(name: str, by_depth: ByDepth, best: int) -> Iterator[Finding]:
    """Compare the deepest plain networks with the best; if the test accuracy falls, the training accuracy too."""
    deepest = max(by_depth)
    turn, training = (
        versus(kind, by_depth[best], by_depth[deepest], measure, networks=name, depths=(best, deepest))
        for kind, measure in (("turn", "test_acc"), ("degradation", "train_acc"))
    )
    yield turn
    if all(found.difference is not None and found.difference.verdict == "less" for found in (turn, training)):
        yield training


def find_gaps(series: Series) -> Iterator[Finding]:
    """Compare training minus validation accuracy at the least and at the greatest depth."""
    for name, by_depth in series:
        low, high = min(by_depth), max(by_depth)
        sides = [runs.assign(gap=runs["train_acc"] - runs["val_acc"]) for runs in (by_depth[low], by_depth[high])]
        a, b = (side.dropna(subset="gap") for side in sides)
        if a.empty or b.empty:
            continue
        points = tuple(100 * float(side["gap"].mean()) for side in (a, b))
        yield versus("gap", a, b, "gap", networks=name, depths=(low, high), facts={"points": points})


def find_published(runs: pd.DataFrame, configurations: pd.DataFrame) -> Iterator[Finding]:
    """Compare the original project's step with one's own, if both of its networks were trained here by its recipe."""
    rows = add_published(configurations)
    theirs = rows[rows["by"] == ORIGINAL].to_dict("records")
    same = rows[rows["other_recipe"] == ""]
    recipes = [as_text({k: v for k, v in settings.items() if k not in NETWORK}) for settings in same["settings"]]
    for _, alike in same.groupby(recipes, sort=False):
        own = {network(row): row["configuration"] for row in alike.to_dict("records")}
        steps = [row for row in theirs if network(row) in own]
        if len(steps) != 2:
            continue
        a, b = (runs[runs["configuration"] == own[network(row)]].dropna(subset="val_acc") for row in steps)
        if len(a) and len(b):
            points = 100 * (steps[1]["val_acc_mean"] - steps[0]["val_acc_mean"])
            facts = {"models": tuple(row["model"] for row in steps), "points": points}
            yield versus("published step", a, b, "val_acc", facts=facts)


def find_singles(runs: pd.DataFrame, configurations: pd.DataFrame) -> Iterator[Finding]:
    """Give the test images' interval of configurations with one run, which have none over seeds."""
    rows = configurations[configurations["n"] == 1]
    intervals = {}
    for name, label in zip(rows["configuration"], rows["label"]):
        run = runs[runs["configuration"] == name].iloc[0]
        intervals[label] = wilson(run["test_acc"], int(run["test_images"]))
    if intervals:
        yield Finding("single seeds", configurations=tuple(rows["configuration"]), facts={"intervals": intervals})


def find_parts(configurations: pd.DataFrame) -> Iterator[Finding]:
    """Name the part of the data, if only a part was trained on."""
    part = configurations[[config.get("data.limit") is not None for config in configurations["config"]]]
    if len(part):
        yield Finding("part of the data", configurations=tuple(part["configuration"]), facts={"data": data_of(part)})


def find_incomplete(configurations: pd.DataFrame) -> Iterator[Finding]:
    """Count the runs that are left out, by their status."""
    counts = {status: int(configurations[status].sum()) for status in STATUSES[1:]}
    if any(counts.values()):
        yield Finding("incomplete", facts={"counts": counts})


def several_depths(study: Study, runs: pd.DataFrame, configurations: pd.DataFrame) -> Series:
    """Yield what networks that differ in depth only are, and their runs by depth, ascending."""
    depth = study.axes.find("layers")
    if depth is None or depth not in study.axes.axes:
        return
    for _, rows in slices(configurations, study.axes.axes, depth):
        own = runs_of(runs, rows)
        by_depth = {int(depth): own[own["depth"] == depth] for depth in sorted(set(own["depth"]))}
        if len(by_depth) > 1:
            yield networks(study, rows), by_depth


def runs_of(runs: pd.DataFrame, configurations: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of some configurations."""
    return runs[runs["configuration"].isin(configurations["configuration"])]
