"""What the runs of a study support, and nothing else.

Every finding holds for the data at hand. Where an interval over seeds includes zero, the finding is that no difference
can be claimed; where there is no interval, as with a single seed, the finding is that the question is open.
"""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from analysis.claims.comparable import find_confounds, find_mixed_conditions, find_mixed_seeds
from analysis.claims.compare import difference
from analysis.claims.finding import Finding
from analysis.claims.gradients import find_gradients
from analysis.frames.conditions import differing_programs
from analysis.frames.configurations import STATUSES, data_of
from analysis.frames.published import ORIGINAL, add_published, network
from analysis.frames.settings import as_text
from analysis.frames.statistics import wilson
from analysis.frames.study import all_series, beside_network, describe, networks, twins

ByDepth = dict[int, pd.DataFrame]  # the runs of a series


def find(runs: pd.DataFrame, layers: pd.DataFrame) -> list[Finding]:
    """Return what the runs of one study support; the frames are those of `load_runs` and `load_layers`."""
    complete = runs[runs["status"] == "complete"]
    if complete.empty:
        return [Finding("nothing complete")]
    configurations = describe(runs)
    done = configurations[configurations["n"] > 0]
    distinct = without_copies(complete, done)
    return [
        *find_gains(distinct, done),
        *find_twins(distinct, done),
        *find_turns(distinct, done),
        *find_published(complete, done),
        *find_gradients(layers[layers["path"].isin(distinct["path"])], done),
        *find_gaps(distinct, done),
        *find_confounds(done),
        *find_mixed_seeds(done),
        *find_mixed_conditions(done),
        *find_singles(complete, done),
        *find_parts(done),
        *find_incomplete(configurations),
    ]


def without_copies(runs: pd.DataFrame, configurations: pd.DataFrame) -> pd.DataFrame:
    """Return the runs without those that repeat another: the same training in another configuration's folder.

    A model's name says nothing about its network, and a folder can be copied. To count a seed twice would make
    intervals too narrow.
    """
    recipes = runs["folder"].map(configurations.set_index("folder")["recipe"])
    return runs[~runs.assign(recipe=recipes).duplicated(["recipe", "shortcut", "depth", "seed"])]


def versus(kind: str, a: pd.DataFrame, b: pd.DataFrame, measure: str, **more: Any) -> Finding:
    """Return how much the runs `b` exceed the runs `a` in a measure."""
    both = pd.concat([a, b])
    return Finding(
        kind,
        configurations=tuple(both["configuration"].unique()),
        difference=difference(a, b, measure),
        seeds=(len(a), len(b)),
        programs=differing_programs(both),
        **more,
    )


def find_gains(runs: pd.DataFrame, configurations: pd.DataFrame) -> Iterator[Finding]:
    """Compare the deepest network of each series with the shallowest."""
    for name, by_depth in several_depths(runs, configurations):
        low, high = min(by_depth), max(by_depth)
        yield versus("gain", by_depth[low], by_depth[high], "test_acc", networks=name, depths=(low, high))


def find_twins(runs: pd.DataFrame, configurations: pd.DataFrame) -> Iterator[Finding]:
    """Compare residual networks with their plain twins at the least and at the greatest depth that both have."""
    for residual, plain in twins(configurations):
        common = set(residual["depth"]) & set(plain["depth"])
        for depth in dict.fromkeys((min(common), max(common))):
            a, b = (runs_of(runs, rows[rows["depth"] == depth]) for rows in (plain, residual))
            yield versus("twins", a, b, "test_acc", networks=networks(residual), depths=(depth,))


def find_turns(runs: pd.DataFrame, configurations: pd.DataFrame) -> Iterator[Finding]:
    """Find the depth, chosen by validation accuracy, beyond which plain networks get worse again, if there is one."""
    for name, by_depth in several_depths(runs, configurations[configurations["shortcut"] == "none"]):
        shallowest, deepest = min(by_depth), max(by_depth)
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


def find_gaps(runs: pd.DataFrame, configurations: pd.DataFrame) -> Iterator[Finding]:
    """Compare training minus validation accuracy at the least and at the greatest depth."""
    runs = runs.assign(gap=runs["train_acc"] - runs["val_acc"]).dropna(subset="gap")
    for name, by_depth in several_depths(runs, configurations):
        low, high = min(by_depth), max(by_depth)
        points = tuple(100 * float(by_depth[depth]["gap"].mean()) for depth in (low, high))
        a, b = by_depth[low], by_depth[high]
        yield versus("gap", a, b, "gap", networks=name, depths=(low, high), facts={"points": points})


def find_published(runs: pd.DataFrame, configurations: pd.DataFrame) -> Iterator[Finding]:
    """Compare the original project's step with one's own, if both of its networks were trained here by its recipe."""
    rows = add_published(configurations)
    theirs = rows[rows["by"] == ORIGINAL].to_dict("records")
    same = rows[rows["other_recipe"] == ""]
    recipes = [as_text(beside_network(settings)) for settings in same["settings"]]
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
    for name, label in zip(rows["configuration"], rows["full_label"]):
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


def several_depths(runs: pd.DataFrame, configurations: pd.DataFrame) -> Iterator[tuple[str, ByDepth]]:
    """Yield the name of each series that has several depths, and its runs by depth, ascending."""
    for rows in all_series(configurations):
        own = runs_of(runs, rows)
        by_depth = {depth: own[own["depth"] == depth] for depth in sorted(set(own["depth"]))}
        if len(by_depth) > 1:
            yield networks(rows), by_depth


def runs_of(runs: pd.DataFrame, configurations: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of some configurations."""
    return runs[runs["configuration"].isin(configurations["configuration"])]
