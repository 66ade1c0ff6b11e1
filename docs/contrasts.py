"""The contrasts that the study of depth was designed for, fixed before its runs; `judged` adds the results."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rates import Network, chosen_rates, ended, rate_of, require_one

from analysis.claims.differences import weigh
from analysis.frames.statistics import Difference, holm

LEVEL = 0.05  # of all together
SEEDS = (0, 1, 2, 3, 4)
STUDIES = ("depth", "depth_or_width")
Cell = tuple[str, int, str]  # a study, layers and the shortcut of networks in it


@dataclass(frozen=True)
class Contrast:
    """What is compared, and the sum of means that is predicted to be above zero."""

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


def judged(reference: Path) -> str:
    """Return a table of the contrasts, as far as the runs in a folder of studies go.

    Raises ValueError for runs that were not computed as designed, at the chosen rates, and with one code and data.
    """
    chosen = chosen_rates(reference)
    runs = {study: ended(reference, study, SEEDS) for study in STUDIES}
    both = pd.concat(list(runs.values()))
    require_one(both[both["status"] == "complete"])
    require_rates(both, chosen)
    groups = [groups_of(contrast, runs) for contrast in CONTRASTS]
    found = [measure(contrast, own) for contrast, own in zip(CONTRASTS, groups)]
    known = [difference.p for difference in found if difference is not None and difference.p is not None]
    corrected = iter(holm([*known, *[1.0] * (len(CONTRASTS) - len(known))]))  # of all, however many are there
    head = "| predicted to be above zero | difference | over seeds | over seeds and images | p | corrected | verdict |"
    lines = [head, "| --- | ---: | ---: | ---: | ---: | ---: | --- |"]
    for contrast, difference, own in zip(CONTRASTS, found, groups):
        if difference is None or difference.p is None:
            seeds = min(len(group) for group in own)
            why = f"{seeds} of {len(SEEDS)} seeds" if difference is None else "the seeds do not differ"
            cells = ["", "", "", "", "", f"not judged: {why}"]
        else:
            cells = said(difference, next(corrected), any((group["status"] == "diverged").any() for group in own))
        lines.append("| " + " | ".join([contrast.name, *cells]) + " |")
    return "\n".join(lines)


def require_rates(runs: pd.DataFrame, chosen: dict[Network, float | None]) -> None:
    """Raise ValueError for a run at another rate than was chosen for its network."""
    for run in runs.itertuples():
        rate = rate_of((run.depth, run.width, run.shortcut), chosen)
        if run.lr != rate:
            raise ValueError(f"{run.path}: its rate is {run.lr:g}, chosen for such a network is {rate or 'none'}")


def groups_of(contrast: Contrast, runs: dict[str, pd.DataFrame]) -> list[pd.DataFrame]:
    """Return the runs of each network in a contrast."""
    return [
        runs[study][(runs[study]["depth"] == depth) & (runs[study]["shortcut"] == shortcut)]
        for study, depth, shortcut in contrast.cells
    ]


def measure(contrast: Contrast, groups: list[pd.DataFrame]) -> Difference | None:
    """Return a contrast in test accuracy; None until all seeds of every network in it have ended."""
    whole = all(len(group) == len(SEEDS) for group in groups)
    return weigh(groups, list(contrast.cells.values())) if whole else None


def said(found: Difference, corrected: float, diverged: bool) -> list[str]:
    """Return the cells of a contrast that was measured, with a verdict if it has both intervals, or a run diverged."""
    assert found.p is not None
    both = "" if found.with_images is None else f"{found.with_images[0]:+.2f} to {found.with_images[1]:+.2f}"
    words = {"more": "as predicted", "less": "the opposite"} if corrected < LEVEL else {}
    verdict = words.get(found.verdict, "no difference can be claimed")
    if found.with_images is None:
        verdict = f"{verdict}, over seeds alone: a run diverged" if diverged else "not judged: predictions are missing"
    seeds = f"{found.low:+.2f} to {found.high:+.2f}"
    return [f"{found.points:+.2f}", seeds, both, f"{found.p:.2g}", f"{corrected:.2g}", verdict]
