"""What the runs of a study support, and nothing else.

Every finding holds for the data at hand. If an interval over seeds includes zero, the finding is that no difference can
be claimed; if there is no interval, as with a single seed, the finding is that the question is open.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import pandas as pd

from analysis.claims.along import find_axis, find_best, find_ranges, is_scattered
from analysis.claims.comparable import (
    MIXED,
    find_chosen,
    find_confounds,
    find_mixed_conditions,
    find_mixed_seeds,
    is_tuned,
)
from analysis.claims.depth import find_depth, rule_out_overfitting, versus
from analysis.claims.finding import Finding
from analysis.claims.numbers import in_a_row
from analysis.claims.several import apply_holm, find_spread
from analysis.frames.axes import PLAIN
from analysis.frames.configurations import STATUSES, data_of, of_configurations
from analysis.frames.published import ORIGINAL, add_published, network
from analysis.frames.settings import as_text
from analysis.frames.statistics import wilson
from analysis.frames.study import SCORE, Study, pick, slices, validated

MOST_SERIES = 3  # up to this many series of depths are described one by one; more, only at their best settings
EASY = {"digits": "The digits of scikit-learn"}
# Kinds of findings that answer a study's main question.
MAIN_KINDS = ("no validation", "pair", "best", "gain", "interaction", "axis", "each best", "tie", "edge", "range")
MAIN_KINDS += ("easy data",)
NETWORK = {"model.name", "model.stages", "model.width", "model.shortcut"}


def find(study: Study) -> list[Finding]:
    """Return what the runs of one study support."""
    complete, configurations = study.complete, study.configurations
    if complete.empty:
        return [Finding("nothing complete"), *find_incomplete(configurations)]
    done = configurations[configurations["n"] > 0]
    distinct = without_copies(complete, study)
    scattered = is_scattered(study)
    effects = list(find_ranges(study) if scattered else find_effects(study, distinct, complete, done))
    pair = list(find_pair(study))
    effects = [*pair, *effects]
    if study.others and not validated(done):
        facts = {"axes": in_a_row(axis.name for axis in study.others), "hint": len(done) > 1 and not pair}
        effects.insert(0, Finding("no validation", facts=facts))
    effects = [count_diverged(but_for_chosen(found, study.chosen), configurations) for found in effects]
    return [
        *rule_out_overfitting(apply_holm(effects)),
        *find_spread(distinct),
        *([Finding("search")] if scattered else find_confounds(done, study.axes, study.chosen)),
        *find_chosen(study.chosen),
        *find_mixed_seeds(done),
        *find_mixed_conditions(done, [name for name in MIXED if study.axes.find(name) is None]),
        *find_singles(complete, done),
        *find_parts(done),
        *find_easy(done),
        *find_incomplete(configurations),
    ]


def find_effects(study: Study, distinct: pd.DataFrame, complete: pd.DataFrame, done: pd.DataFrame) -> Iterator[Finding]:
    """Say what each axis of a grid does, and how the results compare with published ones."""
    special = [axis for axis in study.axes.axes if axis not in study.others]
    by_depth = done.groupby("depth")["stages"].agg(lambda stages: stages.map(len).nunique()).max()
    others = [axis.name for axis in study.others if axis.name != "stages" or by_depth > 1]
    if study.others and len(study.axes.axes) > 1:  # with a single axis, its own finding names the best
        yield from find_best(study)
    for axis in study.others:
        yield from find_axis(study, distinct, axis)
    yield from find_shortcuts(study, distinct)
    many = len(list(slices(study.configurations, study.axes.axes, special[0]))) > MOST_SERIES if special else False
    if special and not (others and many):
        yield from find_depth(study, distinct, done, study.configurations)
    elif special and validated(done):
        yield from find_depth_at_best(study, distinct, others)
    yield from find_published(complete, done)


def find_shortcuts(study: Study, distinct: pd.DataFrame) -> Iterator[Finding]:
    """Say which kind of skip connection is best; how each compares with none is said elsewhere."""
    residual = replace(study, runs=study.runs[study.runs["shortcut"] != PLAIN])
    axis = residual.axes.find("shortcut") if len(residual.runs) else None
    if axis is not None and axis in residual.axes.axes:
        yield from find_axis(residual, distinct, axis)


def find_depth_at_best(study: Study, distinct: pd.DataFrame, others: Sequence[str]) -> Iterator[Finding]:
    """Say what depth and skip connections do to networks, each at its best values on the other axes.

    If these values change the network itself, its data or its epochs, that still counts as a difference.
    """
    best = pick(replace(study, runs=without_copies(study.runs, study)), others)
    runs = of_configurations(distinct, best.configurations)
    by = set()
    for found in find_depth(best, runs, best.configurations, study.configurations):
        found, names = but_for_chosen(found, best.chosen), set(found.configurations)
        tuned = [choice.axis.name for choice in best.choices if not names <= set(choice.untested)]
        by.update(tuned)
        yield replace(found, tuned=in_a_row(tuned))
    if by:
        yield Finding("same runs", facts={"axis": in_a_row(sorted(by))})
    for choice in best.choices:
        if where := choice.of(best.configurations, "untested"):
            yield Finding("untested", facts={"axis": choice.axis.name, "where": where})


def but_for_chosen(finding: Finding, chosen: Collection[str]) -> Finding:
    """Return a finding whose other differences leave out recipes that were chosen for each configuration."""
    also = {key: values for key, values in finding.facts.get("also", {}).items() if not is_tuned(key, chosen)}
    others = {name: fact for name, fact in finding.facts.items() if name != "also"}
    return replace(finding, facts=others | ({"also": also} if also else {}))


def count_diverged(finding: Finding, configurations: pd.DataFrame) -> Finding:
    """Return a comparison with the number of runs that it leaves out because they diverged."""
    own = configurations["configuration"].isin(finding.configurations)
    count = int(configurations.loc[own, "diverged"].sum())
    counts = finding.difference is not None and "diverged" not in finding.facts and count
    return replace(finding, facts=finding.facts | {"left out": count}) if counts else finding


def main_findings(study: Study) -> list[Finding]:
    """Return only the main results of a study's comparisons; empty if nothing was compared."""
    every = find(study)
    kinds = MAIN_KINDS if any(finding.kind == "interaction" for finding in every) else ("twins", *MAIN_KINDS)
    found = [finding for finding in every if finding.kind in kinds]
    return found if any(finding.kind != "easy data" for finding in found) else []


def without_copies(runs: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return the runs without those that repeat another: the same training in another configuration's folder.

    Two model names can mean one network, and a folder can be copied. Counting a seed twice would make intervals too
    narrow.
    """
    columns = [axis.column for axis in (*study.axes.axes, *study.axes.dependent)]
    placed = runs.join(study.configurations.set_index("folder")[columns], on="folder")
    complete_first = placed.loc[(placed["status"] != "complete").sort_values(kind="stable").index]
    return runs[~complete_first.duplicated([*columns, "seed"]).sort_index()]


def find_pair(study: Study) -> Iterator[Finding]:
    """Compare a study's two configurations if no axis will: they differ on several, or nothing was validated."""
    runs, configurations = study.complete, study.configurations
    alone = len(study.axes.axes) > 1 or study.others and not validated(configurations)
    if len(configurations) == 2 == runs["configuration"].nunique() and alone:
        a, b = (runs[runs["configuration"] == name] for name in configurations["configuration"])
        found = versus("pair", a, b, "test_acc", facts={"labels": tuple(configurations["label"])})
        yield but_for_chosen(found, study.chosen)


def find_published(runs: pd.DataFrame, configurations: pd.DataFrame) -> Iterator[Finding]:
    """Compare networks that were trained by a published recipe with their published figures.

    The original project's figures are on validation images. For it, the step between its two networks is compared, if
    both are there.
    """
    rows = add_published(configurations)
    theirs = rows[rows["by"] == ORIGINAL].to_dict("records")
    same = rows[rows["other_recipe"] == ""]
    for row in same.dropna(subset="test_acc_difference").to_dict("records"):
        own, points = 100 * row["test_acc_mean"], row["test_acc_difference"]
        facts = {"label": row["label"], "own": own, "theirs": own - points, "by": row["against"]}
        yield Finding("published figure", configurations=(row["configuration"],), facts=facts | {"n": int(row["n"])})
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
    """Give an interval over test images for each configuration with a single run, which has none over seeds."""
    rows = configurations[configurations["n"] == 1].sort_values(SCORE, ascending=False, kind="stable")
    intervals = {}
    for name, label in zip(rows["configuration"], rows["label"]):
        run = runs[runs["configuration"] == name].iloc[0]
        intervals[label] = wilson(run["test_acc"], int(run["test_images"]))
    if intervals:
        yield Finding("single seeds", configurations=tuple(rows["configuration"]), facts={"intervals": intervals})


def find_parts(configurations: pd.DataFrame) -> Iterator[Finding]:
    """Name the part of the data that configurations were trained on, if it was not all."""
    part = configurations[[config.get("data.limit") is not None for config in configurations["config"]]]
    if len(part):
        facts = {"count": len(part), "of": len(configurations), "data": data_of(part)}
        yield Finding("part of the data", configurations=tuple(part["configuration"]), facts=facts)


def find_easy(configurations: pd.DataFrame) -> Iterator[Finding]:
    """Name the data sets that are too easy to show anything about depth: nearly every network learns them."""
    easy = configurations[configurations["data"].isin(EASY)]
    if len(easy):
        data = " and ".join(EASY[name] for name in sorted(set(easy["data"])))
        yield Finding("easy data", configurations=tuple(easy["configuration"]), facts={"data": data})


def find_incomplete(configurations: pd.DataFrame) -> Iterator[Finding]:
    """Count the runs that are left out, by status, and name their configurations."""
    counts = {status: int(configurations[status].sum()) for status in STATUSES[1:]}
    if any(counts.values()):
        of = {status: list(configurations.loc[configurations[status] > 0, "label"]) for status in counts}
        yield Finding("incomplete", facts={"counts": counts, "of": of})
