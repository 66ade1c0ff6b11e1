"""What several configurations say together: how far seeds deviate, and how many verdicts outlast a correction."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

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


def correct(findings: Sequence[Finding]) -> list[Finding]:
    """Return findings, those marked whose verdict does not outlast a correction for being several.

    A finding that counts the verdicts follows where there are several.
    """
    judged = [place for place, finding in enumerate(findings) if p_of(finding) is not None]
    if len(judged) < 2:
        return list(findings)
    corrected = dict(zip(judged, holm([p for finding in findings if (p := p_of(finding)) is not None])))
    marked, counts = list(findings), {"count": len(judged), "clear": 0, "held": 0}
    for place, p in corrected.items():
        difference = findings[place].difference
        if difference is None or difference.verdict not in ("more", "less"):
            continue
        counts["clear"] += 1
        if p < 1 - CONFIDENCE:
            counts["held"] += 1
        else:
            facts = findings[place].facts | {"one_of": len(judged)}
            marked[place] = replace(findings[place], facts=facts)
    return [*marked, Finding("several", facts=counts)]


def p_of(finding: Finding) -> float | None:
    """Return the p-value of a finding's difference, over seeds and with images too; None without one."""
    return finding.difference.largest_p if finding.difference is not None else None
