"""Pick, by rule, the few findings that open a report and answer its studies' questions."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import TypeVar

from analysis.claims.finding import DECIDED, Finding

T = TypeVar("T")

MOST = 5  # sentences
OF_ONE = 3  # from the first study; every other study gets a single sentence
OF_A_KIND = 2  # one each for residual and plain networks; among more, none can represent the others
# Kinds of findings, those that best answer what depth, skip connections and other axes do first.
RANK = ("pair", "best", "axis", "gain", "interaction", "each best", "turn", "no turn", "training", "published step")
RANK += ("twins", "gap", "gradients")


def find_answer(studies: Sequence[tuple[T, Sequence[Finding]]]) -> list[tuple[T, Finding]]:
    """Return at most MOST findings, each with its study; `studies` come in order of importance.

    Findings that are not judged (see `is_judged`) are used only if no study has any others. After the first study,
    findings whose interval excludes zero come before those whose interval does not.
    """
    candidates = [(study, telling(findings)) for study, findings in studies]
    if any(map(is_judged, chain.from_iterable(findings for _, findings in candidates))):
        candidates = [(study, list(filter(is_judged, findings))) for study, findings in candidates]
    candidates = [(study, findings) for study, findings in candidates if findings]
    first = [(study, found) for study, findings in candidates[:1] for found in sorted(findings, key=rank)[:OF_ONE]]
    later = [(study, best_of(findings)) for study, findings in candidates[1:]]
    return [*first, *sorted(later, key=lambda pair: pair[1].verdict not in DECIDED)][:MOST]


def telling(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings that may open a report: those of a kind in RANK, unless they are among many alike."""
    counts = Counter(found.kind for found in findings)
    many = {kind for kind, count in counts.items() if count > OF_A_KIND} - {"axis", "each best"}
    return [found for found in findings if found.kind in RANK and found.kind not in many]


def best_of(findings: Sequence[Finding]) -> Finding:
    """Return the finding that represents a study after the first: a decided one, if there is one."""
    return min(findings, key=lambda found: (found.verdict not in DECIDED, rank(found)))


def rank(finding: Finding) -> int:
    """Return a finding's place in RANK; 0 is the best answer."""
    return RANK.index(finding.kind)


def is_judged(finding: Finding) -> bool:
    """Return whether a finding has an interval over seeds, or names what is best, which needs none."""
    return finding.kind in ("best", "each best") or finding.verdict != "open"
