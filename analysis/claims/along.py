"""What each axis of a study does: which value is best by validation, whether it is best everywhere or at an edge."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.claims.differences import HEADLINE, difference, weigh
from analysis.claims.finding import Finding
from analysis.frames.axes import Axis
from analysis.frames.conditions import differing_programs
from analysis.frames.configurations import of_configurations
from analysis.frames.settings import Settings
from analysis.frames.statistics import LEVEL, Difference, holm
from analysis.frames.study import SCORE, TIE, UNLIKE, Study, best_places, edge, slices

DIGITS = 12  # decimals of effects; any beyond are rounding errors
FEW = 5  # up to this many values are counted one by one
LISTED = 12  # up to this many combinations may each have their own best value reported
SCATTERED = 10  # fewer configurations are never treated as a random search


def find_axis(study: Study, runs: pd.DataFrame, axis: Axis) -> Iterator[Finding]:
    """Say which value of an axis is best, in at most three findings; none if its values cannot be ranked."""
    planned = dict(slices(study.configurations, study.axes.axes, axis))
    grids = {where: rows.dropna(subset=SCORE).drop_duplicates(axis.column) for where, rows in planned.items()}
    grids = {where: rows.set_index(axis.column) for where, rows in grids.items() if len(rows) > 1}
    tops = {where: best_places(planned[where], axis) for where in grids}
    edges = {where: edge(axis, set(planned[where][axis.column]), top) for where, top in tops.items()}
    each = [(where, [axis.text(place) for place in top], edges[where]) for where, top in tops.items()]
    ranked = effects(grids, axis.column).sort_values(ascending=False, kind="stable")
    if ranked.empty:
        if axis.numeric and 1 < len(each) <= LISTED:
            yield Finding("each best", facts={"axis": axis.name, "each": each})
        return
    best, second = int(ranked.index[0]), int(ranked.index[1])
    facts = {"axis": axis.name, "best": axis.text(best), "second": axis.text(second), "planned": len(planned)}
    facts |= {"label": label_of(axis, best)} | ranking(axis, ranked, grids)
    facts |= {"seconds": int((ranked.iloc[1] - ranked.iloc[1:] < TIE).sum()), "unlike": axis.name in UNLIKE}
    every, known = (
        set(rows[axis.column]) for rows in (study.configurations, study.configurations.dropna(subset=SCORE))
    )
    apart = known.difference(*(rows.index for rows in grids.values()))
    facts |= {
        name: [axis.text(place) for place in sorted(found)]
        for name, found in (("waiting", every - known), ("apart", apart))
    }
    equal = sorted(ranked.index[ranked.iloc[0] - ranked < TIE])
    if len(equal) > 1:
        yield Finding("tie", facts=facts | {"equal": [axis.text(place) for place in equal]})
    else:
        yield compared(study, runs, axis, (best, second), facts)
    if axis.numeric and len(grids) <= LISTED and any(best not in top for top in tops.values()):
        yield Finding("each best", facts=facts | {"each": each})
    elif len(equal) == 1:
        yield from find_order(runs, axis, best, grids, tops, facts)
        if at := edge(axis, set(study.configurations[axis.column]), [best]):
            yield Finding("edge", facts=facts | {"end": at})


def label_of(axis: Axis, place: int) -> str:
    """Return a value with its axis, for the start of a sentence."""
    return f"shortcut={axis.text(place)}" if axis.name == "shortcut" else axis.label(place)


def ranking(axis: Axis, ranked: pd.Series, grids: Mapping[str, pd.DataFrame]) -> Settings:
    """Return how much worse the other values are than the best, in how many combinations, and which are not ranked."""
    best, tried = ranked.index[0], [set(rows.index) for rows in grids.values()]
    every = set().union(*tried)
    return {
        "values": len(every),
        "rest": [(axis.text(place), 100 * (ranked[place] - ranked[best])) for place in map(int, ranked.index[1:])],
        "rare": [axis.text(place) for place in sorted(every - set(ranked.index))],
        "grids": len(grids),
        "having": sum(best in places for places in tried),
        "balanced": all(places.issuperset(ranked.index) for places in tried),
    }


def find_order(
    runs: pd.DataFrame,
    axis: Axis,
    best: int,
    grids: Mapping[str, pd.DataFrame],
    tops: Mapping[str, Sequence[int]],
    facts: dict,
) -> Iterator[Finding]:
    """Say in how many of several combinations the overall best value is in `tops`, and what is best in the others."""
    tried = {where: rows for where, rows in grids.items() if best in rows.index}
    others, found, ties = [], [], 0
    for where, rows in tried.items():
        if best in tops[where]:
            ties += len(tops[where]) > 1
            continue
        top = tops[where][0]
        sides = [runs[runs["configuration"] == rows["configuration"][place]] for place in (best, top)]
        found.append(weigh(sides, (-1, 1)))
        others.append((where, axis.text(top)))
    if len(tried) > 1:
        clear = count_significant(found)["more"]
        yield Finding("order", facts=facts | {"tried": len(tried), "others": others, "clear": clear, "ties": ties})


def count_significant(found: Sequence[Difference | None]) -> Counter[str]:
    """Count the verdicts that remain significant after Holm's correction for several comparisons."""
    known = [(each.verdict, p) for each in found if each is not None and (p := each.largest_p) is not None]
    corrected = holm([p for _, p in known])
    return Counter(verdict for (verdict, _), p in zip(known, corrected) if p < LEVEL)


def effects(grids: Mapping[str, pd.DataFrame], name: str) -> pd.Series:
    """Return what each value of an axis adds to the score, by least squares with a term for each combination as well.

    So a value is not judged by which combinations it was tried in. Values tried in fewer than half of them are left
    out. The result is empty if no chain of combinations connects all values.
    """
    count = Counter(place for rows in grids.values() for place in rows.index)
    common = [place for place, n in count.items() if 2 * n >= len(grids)]
    grids = {where: rows[rows.index.isin(common)] for where, rows in grids.items()}
    grids = {where: rows for where, rows in grids.items() if len(rows) > 1}
    if not grids:
        return pd.Series(dtype=float)
    cells = pd.concat({where: rows[SCORE] for where, rows in grids.items()}, names=["where"]).reset_index()
    values, where = (pd.get_dummies(cells[column], dtype=float) for column in (name, "where"))
    found, _, rank, _ = np.linalg.lstsq(np.hstack([values, where]), cells[SCORE])
    connected = rank == values.shape[1] + where.shape[1] - 1
    return pd.Series(found[: values.shape[1]], values.columns).round(DIGITS) if connected else pd.Series(dtype=float)


def is_scattered(study: Study) -> bool:
    """Return whether most configurations differ from every other on several axes, as in a random search."""
    done, axes = study.configurations[study.configurations["n"] > 0], study.axes.axes
    if len(done) < SCATTERED:
        return False
    if any(set(done["configuration"]) <= set(choice.untested) for choice in study.choices):
        return True  # only one value of the chosen axis was tried for each
    beside = {name for axis in axes for _, rows in slices(done, axes, axis) if len(rows) > 1 for name in rows["folder"]}
    return len(beside) < len(done) / 2


def find_ranges(study: Study) -> Iterator[Finding]:
    """Say which configuration of a random search is best, and where the best tenth lies on each axis, if validated."""
    yield from find_best(study)
    done = study.configurations.dropna(subset=SCORE).sort_values(SCORE, ascending=False, kind="stable")
    if done.empty:
        return
    best = done.head(max(round(len(done) / 10), 2))
    for axis in study.axes.axes:
        tried, found = (sorted({int(place) for place in rows[axis.column]}) for rows in (done, best))
        facts = {"axis": axis.name, "count": len(done), "top": len(best)}
        if axis.numeric and len(tried) > FEW:
            ends = {"low": found[0], "high": found[-1], "least": tried[0], "most": tried[-1]}
            yield Finding("range", facts=facts | {end: axis.text(place) for end, place in ends.items()})
        else:
            counts = best[axis.column].value_counts(sort=True)
            shares = {axis.label(int(str(place))): int(n) for place, n in counts.items()}
            yield Finding("share", facts=facts | {"shares": shares})


def compared(study: Study, runs: pd.DataFrame, axis: Axis, places: tuple[int, int], facts: dict) -> Finding:
    """Compare two values of an axis by test accuracy, on average over combinations of the other axes and pair by pair.

    The average is over the pairs with several seeds on both sides, or over all pairs if there are none.
    """
    cells = []
    for _, rows in slices(study.configurations, study.axes.axes, axis):
        pair = [of_configurations(runs, rows[rows[axis.column] == place]) for place in reversed(places)]
        cells += [pair] if all(map(len, pair)) else []
    whole = [pair for pair in cells if min(map(len, pair)) > 1] or cells
    groups = [side for pair in whole for side in pair]
    if len(whole) == 1:
        found = difference(groups[0], groups[1], HEADLINE)
    else:
        found = weigh(groups, [-1 / len(whole), 1 / len(whole)] * len(whole)) if whole else None
    every = pd.concat(groups) if groups else runs.head(0)
    counts = [*map(len, groups)] or [0, 0]
    seeds = (counts[1], counts[0]) if len(whole) == 1 else (min(counts), max(counts))  # of the best value, and the next
    names = tuple(every["configuration"].unique())
    by_pair = count_significant([weigh(pair, (-1, 1)) for pair in cells]) if len(cells) > 1 else Counter()
    best = study.configurations[study.configurations[axis.column] == places[0]]
    facts = facts | {"pairs": len(whole), "of_pairs": len(cells), "above": by_pair["more"], "below": by_pair["less"]}
    second = study.configurations[study.configurations[axis.column] == places[1]]
    second = second[second["configuration"].isin(names)]
    facts |= {"diverged": int(best["diverged"].sum()), "left out": int(second["diverged"].sum())}
    programs = differing_programs(every)
    return Finding("axis", configurations=names, difference=found, seeds=seeds, programs=programs, facts=facts)


def find_best(study: Study) -> Iterator[Finding]:
    """Name the configuration that is best of all by validation."""
    done = study.configurations.dropna(subset=SCORE)
    if len(done) > 2:
        row, then, *_ = done.sort_values(SCORE, ascending=False, kind="stable").to_dict("records")
        facts = {name: (100 * row[f"{name}_mean"], 100 * row[f"{name}_std"]) for name in ("val_acc", "test_acc")}
        facts |= {"label": row["label"], "count": len(done), "n": int(row["n"]), "diverged": int(row["diverged"])}
        facts |= {"next": then["label"], "gap": 100 * (row[SCORE] - then[SCORE])}
        yield Finding("best", configurations=(row["configuration"],), facts=facts)
