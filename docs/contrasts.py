"""The three contrasts that the study of depth was designed for, fixed before its runs; `judged` adds the results."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.claims.differences import weigh
from analysis.frames.find import RunsError
from analysis.frames.runs import load_runs
from analysis.frames.statistics import Difference, holm

LEVEL = 0.05  # of all three together
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
    Contrast("residual, 56 layers minus 20", {("depth", 56, "pad"): 1, ("depth", 20, "pad"): -1}),
    Contrast(
        "56 layers of width 16 minus 20 layers of width 28",
        {("depth", 56, "pad"): 1, ("depth_or_width", 20, "pad"): -1},
    ),
)


def judged(reference: Path) -> str:
    """Return a table of the contrasts, as far as the runs in a folder of studies are complete."""
    runs = {study: complete(reference / study) for study in ("depth", "depth_or_width")}
    found = [measure(contrast, runs) for contrast in CONTRASTS]
    known = [difference.p for difference in found if difference is not None and difference.p is not None]
    corrected = iter(holm([*known, *[1.0] * (len(CONTRASTS) - len(known))]))  # of three, however many are there
    head = "| predicted to be above zero | difference | over seeds | over seeds and images | p | corrected | verdict |"
    lines = [head, "| --- | ---: | ---: | ---: | ---: | ---: | --- |"]
    for contrast, difference in zip(CONTRASTS, found):
        if difference is None or difference.p is None:
            cells = ["", "", "", "", "", "not measured yet"]
        else:
            cells = said(difference, next(corrected))
        lines.append("| " + " | ".join([contrast.name, *cells]) + " |")
    return "\n".join(lines)


def complete(folder: Path) -> pd.DataFrame:
    """Return the complete runs of a study, none if it is not there."""
    try:
        runs = load_runs([folder])
    except RunsError:
        return pd.DataFrame(columns=["depth", "shortcut"])
    return runs[runs["status"] == "complete"]


def measure(contrast: Contrast, runs: dict[str, pd.DataFrame]) -> Difference | None:
    """Return a contrast in test accuracy; None until every network in it has run.

    Raises ValueError where a study has several configurations of one network: it is then another study.
    """
    groups = []
    for study, depth, shortcut in contrast.cells:
        own = runs[study][(runs[study]["depth"] == depth) & (runs[study]["shortcut"] == shortcut)]
        if len(own) and own["configuration"].nunique() > 1:
            raise ValueError(f"{study} has several configurations of {depth} layers, {shortcut}")
        groups.append(own)
    return weigh(groups, list(contrast.cells.values())) if all(map(len, groups)) else None


def said(found: Difference, corrected: float) -> list[str]:
    """Return the cells of a contrast that was measured."""
    assert found.p is not None
    both = "" if found.both is None else f"{found.both[0]:+.2f} to {found.both[1]:+.2f}"
    words = {"more": "as predicted", "less": "the opposite"} if corrected < LEVEL else {}
    verdict = words.get(found.verdict, "no difference can be claimed")
    seeds = f"{found.low:+.2f} to {found.high:+.2f}"
    return [f"{found.points:+.2f}", seeds, both, f"{found.p:.2g}", f"{corrected:.2g}", verdict]
