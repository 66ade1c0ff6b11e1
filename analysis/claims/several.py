"""What several configurations say together: how far seeds deviate, and how many verdicts outlast a correction."""

from collections.abc import Iterator, Sequence

import pandas as pd

from analysis.claims.differences import HEADLINE
from analysis.claims.finding import Finding
from analysis.frames.statistics import CONFIDENCE, holm, pool


def find_spread(runs: pd.DataFrame) -> Iterator[Finding]:
    """Pool the deviation of seeds over residual and over plain networks, or say why it is not pooled."""
    plain = runs["shortcut"] == "none"
    for networks, rows in (("residual networks", runs[~plain]), ("plain networks", runs[plain])):
        groups = [part.dropna() for _, part in rows.groupby("folder")[HEADLINE]]
        found = pool([part for part in groups if len(part) > 1])
        if found is not None:
            facts = {**vars(found), "count": sum(len(part) > 1 for part in groups)}
            yield Finding("spread" if found.alike else "no spread", networks, facts=facts)


def find_several(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Count the verdicts over seeds, and those that remain once they are corrected for being several."""
    judged = [finding.difference for finding in findings if finding.difference is not None]
    judged = [found for found in judged if found.p is not None]
    if len(judged) < 2:
        return
    clear = [found.verdict in ("more", "less") for found in judged]
    corrected = holm([found.p for found in judged if found.p is not None])
    held = sum(c and p < 1 - CONFIDENCE for c, p in zip(clear, corrected))
    yield Finding("several", facts={"count": len(judged), "clear": sum(clear), "held": held})
