"""What several configurations say together: how much seeds vary, and how many verdicts survive a correction."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pandas as pd

from analysis.claims.differences import HEADLINE
from analysis.claims.finding import DECIDED, Finding
from analysis.frames.axes import PLAIN
from analysis.frames.statistics import LEVEL, holm, pool


def find_spread(runs: pd.DataFrame) -> Iterator[Finding]:
    """Pool the deviation between seeds over residual and over plain networks, or say that it differs too much.

    Nothing is yielded for residual or plain networks if the seeds of one of their configurations all agree.
    """
    plain = runs["shortcut"] == PLAIN
    for networks, rows in (("residual networks", runs[~plain]), ("plain networks", runs[plain])):
        groups = [part for _, part in rows.dropna(subset=HEADLINE).groupby("folder")[HEADLINE] if len(part) > 1]
        found = pool(groups)
        if found is not None:
            facts = {**vars(found), "count": len(groups)}
            yield Finding("spread" if found.alike else "no spread", networks, facts=facts)


def apply_holm(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings, marking each verdict that does not survive Holm's correction for several comparisons.

    If there are several comparisons, a finding that counts them is appended.
    """
    found = {place: finding.difference for place, finding in enumerate(findings) if finding.difference is not None}
    ps = {place: p for place, difference in found.items() if (p := difference.largest_p) is not None}
    if len(ps) < 2:
        return list(findings)
    marked, counts = list(findings), {"count": len(ps), "clear": 0, "held": 0}
    for place, p in zip(ps, holm(list(ps.values()))):
        finding = findings[place]
        if finding.verdict not in DECIDED:
            continue
        counts["clear"] += 1
        if p < LEVEL:
            counts["held"] += 1
        else:
            marked[place] = replace(finding, facts=finding.facts | {"one_of": len(ps)})
    return [*marked, Finding("several", facts=counts)]
