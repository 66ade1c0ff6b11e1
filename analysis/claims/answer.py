"""Which findings open a report: a few sentences that answer what its studies ask, picked by rule."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import TypeVar

from analysis.claims.finding import DECIDED, Finding

T = TypeVar("T")

MOST = 5  # sentences
OF_ONE = 3  # of the first study; of each other one, a single sentence
OF_A_KIND = 2  # residual and plain networks; of more that are alike, none can stand for the others
# Of each kind, how soon it answers somebody who asks what depth, skip connections and other axes do.
RANK = ("best", "axis", "gain", "interaction", "each best", "turn", "no turn", "training", "published step", "twins")
RANK += ("gap", "gradients")


def find_answer(studies: Sequence[tuple[T, Sequence[Finding]]]) -> list[tuple[T, Finding]]:
    """Return at most MOST findings, each with the study it is of; the studies come in the order of their importance.

    A finding with an interval goes before one without. After the first study, one whose interval leaves out zero goes
    before one whose interval does not. Where no study has an interval, what there is without opens the page.
    """
    candidates = [(study, telling(findings)) for study, findings in studies]
    if any(map(is_judged, chain.from_iterable(findings for _, findings in candidates))):
        candidates = [(study, list(filter(is_judged, findings))) for study, findings in candidates]
    candidates = [(study, findings) for study, findings in candidates if findings]
    first = [(study, found) for study, findings in candidates[:1] for found in sorted(findings, key=rank)[:OF_ONE]]
    later = [(study, best_of(findings)) for study, findings in candidates[1:]]
    return [*first, *sorted(later, key=lambda pair: pair[1].verdict not in DECIDED)][:MOST]


def telling(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings that may open a page: of a kind that answers, and not one of many alike."""
    counts = Counter(found.kind for found in findings)
    few = {kind for kind, count in counts.items() if kind in ("axis", "each best") or count <= OF_A_KIND}
    return [found for found in findings if found.kind in few.intersection(RANK)]


def best_of(findings: Sequence[Finding]) -> Finding:
    """Return the finding that a study after the first may have in the answer: one that is decided, if there is one."""
    return min(findings, key=lambda found: (found.verdict not in DECIDED, rank(found)))


def rank(finding: Finding) -> int:
    """Return how soon a finding answers, 0 the soonest."""
    return RANK.index(finding.kind)


def is_judged(finding: Finding) -> bool:
    """Return whether there is an interval; what is best, which has none, is an answer as well."""
    return finding.kind in ("best", "each best") or finding.verdict != "open"
