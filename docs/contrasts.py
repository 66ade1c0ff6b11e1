"""The planned contrasts of the study of depth, fixed before its runs; `judged` adds the results.

`described` has what gets no verdict, `by_seed` the accuracy of each run.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rates import Network, as_table, chosen_rates, ended, rate_of, require_one

from analysis.claims.differences import weigh
from analysis.claims.numbers import signed
from analysis.frames.statistics import LEVEL, Difference, holm

SEEDS = (0, 1, 2, 3, 4)
STUDIES = ("depth", "depth_or_width")
CLOSE = 1.0  # points: an interval within this either way rules out a greater difference
INTERVALS = ("difference", "over seeds", "over seeds and images")  # headers of the columns from `figures`
Runs = dict[str, pd.DataFrame]  # by study
Cell = tuple[str, int, str]  # a study, and the layers and shortcut of networks in it


@dataclass(frozen=True)
class Contrast:
    """What is compared: the weights of a sum of means that is predicted to be above zero."""

    name: str
    cells: dict[Cell, float]


CONTRASTS = (
    Contrast(
        "residual minus plain, in what 56 layers gain over 8",
        {
            ("depth", 56, "pad"): 1,
            ("depth", 8, "pad"): -1,
            ("depth", 56, "none"): -1,
            ("depth", 8, "none"): 1,
        },
    ),
    Contrast("plain, 20 layers minus 56", {("depth", 20, "none"): 1, ("depth", 56, "none"): -1}),
    Contrast("residual, 56 layers minus 20", {("depth", 56, "pad"): 1, ("depth", 20, "pad"): -1}),
    Contrast(
        "56 layers of width 16 minus 20 layers of width 28",
        {("depth", 56, "pad"): 1, ("depth_or_width", 20, "pad"): -1},
    ),
)
DESCRIBED = (  # without a prediction, and so without a verdict
    *(
        Contrast(f"{kind}, {deep} layers minus 8", {("depth", deep, shortcut): 1, ("depth", 8, shortcut): -1})
        for deep in (56, 20)
        for kind, shortcut in (("residual", "pad"), ("plain", "none"))
    ),
    Contrast("8 layers, plain minus residual", {("depth", 8, "none"): 1, ("depth", 8, "pad"): -1}),
)
CELLS: dict[Cell, str] = {  # the columns of `by_seed`
    **{("depth", depth, "pad"): f"residual {depth}" for depth in (8, 20, 56)},
    **{("depth", depth, "none"): f"plain {depth}" for depth in (8, 20, 56)},
    ("depth_or_width", 20, "pad"): "residual 20 of width 28",
}


@dataclass(frozen=True)
class Result:
    """A contrast as far as it has runs: the difference, its p, that p corrected for all contrasts, and the verdict."""

    found: Difference | None
    p: float
    corrected: float
    verdict: str


def results(runs: Runs) -> list[Result]:
    """Return the result of each contrast, in their order."""
    groups = [groups_of(contrast.cells, runs) for contrast in CONTRASTS]
    found = [measure(contrast, own) for contrast, own in zip(CONTRASTS, groups)]
    ps = [p_of(difference, own) for difference, own in zip(found, groups)]
    corrected = holm(ps)  # for all contrasts, however many have a result
    verdicts = [judge(difference, own, p) for difference, own, p in zip(found, groups, corrected)]
    return [Result(*of_one) for of_one in zip(found, ps, corrected, verdicts)]


def judged(runs: Runs) -> str:
    """Return a table of the contrasts, each with its results once all of its runs have ended."""
    rows = []
    for contrast, result in zip(CONTRASTS, results(runs)):
        found = result.found
        cells = ["", "", ""] if found is None or found.p is None else figures(found)
        ps = ["", ""] if result.verdict.startswith("not judged") else [f"{result.p:.2g}", f"{result.corrected:.2g}"]
        rows.append([contrast.name, *cells, *ps, result.verdict])
    head = ["predicted to be above zero", *INTERVALS, "p", "corrected", "verdict"]
    return as_table(head, rows, text=(0, len(head) - 1))


def decided(runs: Runs, number: int, verdict: str) -> Difference:
    """Return the difference of a contrast, counted from 1; raises ValueError if its verdict is another."""
    result = results(runs)[number - 1]
    if result.found is None or result.verdict != verdict:
        raise ValueError(f"contrast {number}: the verdict is {result.verdict!r}, not {verdict!r}")
    return result.found


def described(runs: Runs) -> str:
    """Return a table of what gets no verdict, and of each contrast with diverged runs, computed without these."""
    rows = []
    for contrast in (*DESCRIBED, *CONTRASTS):
        groups = groups_of(contrast.cells, runs)
        found = measure(contrast, groups)
        if contrast in DESCRIBED:
            rows.append([contrast.name, *describe(found, groups)])
        whole = [group[group["status"] == "complete"] for group in groups]
        diverged = sum(map(len, groups)) - sum(map(len, whole))
        if found and diverged and all(map(len, whole)):
            among = weigh(whole, list(contrast.cells.values()))
            rows.append([f"{contrast.name}, without diverged runs ({diverged})", *describe(among, whole)])
    return as_table(["described", *INTERVALS], rows)


def describe(found: Difference | None, groups: list[pd.DataFrame]) -> list[str]:
    """Return the cells of a difference, or why there is none."""
    known = found is not None and found.p is not None
    return figures(found) if known else [f"not described yet: {missing(found, groups)}", "", ""]


def p_of(found: Difference | None, groups: list[pd.DataFrame]) -> float:
    """Return a contrast's p; 1 until it can be judged, so that its later p undoes no verdict on another one."""
    return 1.0 if found is None or found.largest_p is None or is_partial(found, groups) else found.largest_p


def is_partial(found: Difference, groups: list[pd.DataFrame]) -> bool:
    """Return whether an interval over images is missing although no run diverged, which would explain it."""
    return found.with_images is None and not any((group["status"] == "diverged").any() for group in groups)


def missing(found: Difference | None, groups: list[pd.DataFrame]) -> str:
    """Return why a contrast has no interval."""
    seeds = min(map(len, groups))
    return "the seeds do not differ" if found and seeds > 1 else f"{seeds} of {len(SEEDS)} seeds"


def by_seed(runs: Runs) -> str:
    """Return a table of the test accuracies, a row per seed, a column per network."""
    rows, groups = [], groups_of(CELLS, runs)
    for seed in sorted({seed for own in runs.values() for seed in own["seed"]}):
        of_seed = [group[group["seed"] == seed] for group in groups]
        rows.append([str(seed), *("" if own.empty else outcome(own.iloc[0]) for own in of_seed)])
    return as_table(["seed", *CELLS.values()], rows, text=())


def outcome(run: pd.Series) -> str:
    """Return a run's test accuracy in per cent, or that it diverged."""
    return f"{100 * run['test_acc']:.2f}" if run["status"] == "complete" else "diverged"


def runs_of(reference: Path, tuned: dict[Network, pd.DataFrame]) -> Runs:
    """Return the runs of both studies from a folder of studies.

    Raises ValueError for runs that were not computed as designed, at the chosen rates, and with the same code and data.
    """
    runs = {study: ended(reference, study, SEEDS) for study in STUDIES}
    both = pd.concat(list(runs.values()))
    require_one(both)
    require_rates(both, chosen_rates(tuned))
    return runs


def require_rates(runs: pd.DataFrame, chosen: dict[Network, float | None]) -> None:
    """Raise ValueError for a run at a rate other than the one chosen for its network."""
    for run in runs.itertuples():
        rate = rate_of((run.depth, run.width, run.shortcut), chosen)
        if run.lr != rate:
            raise ValueError(f"{run.path}: its rate is {run.lr:g}, but {rate or 'none'} was chosen for such a network")


def groups_of(cells: Iterable[Cell], runs: Runs) -> list[pd.DataFrame]:
    """Return the runs of each network."""
    return [
        runs[study][(runs[study]["depth"] == depth) & (runs[study]["shortcut"] == shortcut)]
        for study, depth, shortcut in cells
    ]


def measure(contrast: Contrast, groups: list[pd.DataFrame]) -> Difference | None:
    """Return a contrast in test accuracy; None until all seeds of every network in it have ended."""
    whole = all(len(group) == len(SEEDS) for group in groups)
    return weigh(groups, list(contrast.cells.values())) if whole else None


def figures(found: Difference) -> list[str]:
    """Return the cells of a difference and its intervals."""
    ends = [found.with_images or (), (found.low, found.high)]
    both, seeds = (" to ".join(map(signed, pair)) for pair in ends)
    return [signed(found.points), seeds, both]


def judge(found: Difference | None, groups: list[pd.DataFrame], corrected: float) -> str:
    """Return the verdict on a contrast, if it has both intervals or a run diverged."""
    if found is None or found.p is None:
        return f"not judged: {missing(found, groups)}"
    if is_partial(found, groups):
        return "not judged: predictions are missing"
    words = {"more": "as predicted", "less": "the opposite"} if corrected < LEVEL else {}
    said = words.get(found.verdict, "no difference can be claimed")
    if found.with_images is None:
        return f"{said}, over seeds alone: a run diverged"
    close = found.verdict not in words and max(map(abs, found.span)) < CLOSE
    return f"{said}: less than a point either way" if close else said
