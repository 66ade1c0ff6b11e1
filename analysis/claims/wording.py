"""Findings in sentences: a template per kind."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from analysis.claims.finding import Finding
from analysis.frames.published import ORIGINAL
from analysis.frames.settings import as_text

NAMED = 6  # configurations in a sentence; of more, the rest is counted
RISES = ("rises", "falls")
PROGRAMS = {"code": "computed by the same code", "data": "computed from the same data"}


def sentence(finding: Finding) -> str:
    """Return a finding in words."""
    text = TEMPLATES[finding.kind](finding)
    if finding.programs:
        text += f" These runs were not all {' or '.join(PROGRAMS[name] for name in finding.programs)}."
    return text


def by_topic(findings: Sequence[Finding]) -> dict[str, list[str]]:
    """Return the sentences of findings under their topics."""
    texts: dict[str, list[str]] = {}
    for finding in findings:
        texts.setdefault(finding.topic, []).append(sentence(finding))
    return texts


def listed(names: Sequence[str], most: int = NAMED, separator: str = "; ", last: str = "; and ") -> str:
    """Return names in a row, the first ones of many."""
    return separator.join(names[:most]) + (f"{last}{len(names) - most} more" if len(names) > most else "")


def seeds(finding: Finding) -> str:
    """Return how many seeds the two sides of a comparison have."""
    return "a single seed each" if finding.seeds == (1, 1) else f"{finding.seeds[0]} and {finding.seeds[1]} seeds"


def times(factor: float) -> str:
    """Return a factor with two digits, or as a whole number."""
    return f"{factor:,.0f}" if factor >= 10 else f"{factor:.2g}"


def claim(finding: Finding, subject: str, verbs: tuple[str, str] = RISES) -> str:
    """Return what can be said of a difference, and no more; `verbs` are those for more and for less."""
    found = finding.difference
    assert found is not None, finding
    size = f"{verbs[found.points < 0]} by {abs(found.points):.2f} pp"
    interval = "" if found.low is None else f"{found.low:+.2f} to {found.high:+.2f} pp"
    if found.verdict == "open":
        why = "one seed tells nothing about the next" if min(finding.seeds) < 2 else "the seeds do not differ at all"
        images = f" (The test images alone leave {interval} open.)" if interval else ""
        return f"{subject} {size} in these runs ({seeds(finding)}). Whether that is noise is open: {why}.{images}"
    verdict = "which is more than the noise of seeds"
    if found.verdict == "noise":
        verdict = "but no difference can be claimed: it could be noise"
    return f"{subject} {size}, {verdict} (95 % interval {interval}, {seeds(finding)})."


def gain(finding: Finding) -> str:
    shallow, deep = finding.depths
    return claim(finding, f"From {shallow} to {deep} layers, the test accuracy of {finding.networks}")


def twins(finding: Finding) -> str:
    verbs = ("is above that of their plain twins", "is below that of their plain twins")
    return claim(finding, f"At {finding.depths[0]} layers, the test accuracy of {finding.networks}", verbs)


def turn(finding: Finding) -> str:
    best, deepest = finding.depths
    subject = f"Of {finding.networks}, those with {best} layers are best by validation. From there to {deepest} layers,"
    return claim(finding, f"{subject} their test accuracy")


def no_turn(finding: Finding) -> str:
    deepest = f"the deepest, with {finding.depths[0]} layers, are best by validation"
    return f"Of {finding.networks}, {deepest}: no turning point is seen."


def degradation(finding: Finding) -> str:
    text = claim(finding, "Over the same depths, the training accuracy")
    return f"{text} So this is degradation, not overfitting."


def training(finding: Finding) -> str:
    shallow, deep = finding.depths
    return claim(finding, f"From {shallow} to {deep} layers, the training accuracy of {finding.networks}")


def gap(finding: Finding) -> str:
    (shallow, deep), (a, b) = finding.depths, finding.facts["points"]
    gaps = f"{a:+.2f} pp at {shallow} layers and {b:+.2f} pp at {deep}"
    subject = f"Training minus validation accuracy of {finding.networks} is {gaps}. With depth, this difference"
    return claim(finding, subject)


def published_step(finding: Finding) -> str:
    shallow, deep = finding.facts["models"]
    subject = (
        f"From {shallow} to {deep}, the {ORIGINAL} found {finding.facts['points']:+.2f} pp of validation "
        "accuracy (one seed, augmented images). With the same recipe, on unaugmented images, it"
    )
    return claim(finding, subject)


def gradients(finding: Finding) -> str:
    found, (plain, residual) = finding.difference, map(times, finding.facts["ratios"])
    start = (
        f"At {finding.depths[0]} layers, the first layers of {finding.networks} get {residual} times the gradient norm "
        f"of the last ones, those of their plain twins {plain} times (geometric mean over epochs, {seeds(finding)})."
    )
    if found is None or found.low is None or found.high is None:
        return f"{start} Whether other seeds agree is open."
    if found.verdict == "noise":
        return f"{start} No difference between them can be claimed: it could be noise."
    low, high = sorted(10 ** abs(bound / 100) for bound in (found.low, found.high))
    return (
        f"{start} With skip connections that is {times(low)} to {times(high)} times {found.verdict} "
        "(95 % interval over seeds)."
    )


def named_changes(changes: Mapping[str, tuple[Any, Any]]) -> str:
    """Return keys with their values on both sides."""
    return ", ".join(f"{key} ({as_text(a)} against {as_text(b)})" for key, (a, b) in changes.items())


def confound(finding: Finding) -> str:
    labels, changes = " and ".join(finding.facts["labels"]), named_changes(finding.facts["changes"])
    return (
        f"{labels} differ in more than one thing: {changes}. "
        "The data do not tell which of these makes a difference between them."
    )


def mixed_seeds(finding: Finding) -> str:
    return (
        f"The seeds of {', '.join(finding.facts['labels'])} were not all computed in the same way "
        f"({finding.facts['how']}): their deviation is not that of seeds alone."
    )


def mixed_precision(finding: Finding) -> str:
    said = " and ".join(f"{count} in {precision}" for precision, count in finding.facts["counts"].items())
    return f"Not all configurations ran in the same precision ({said}), which is another difference between them."


def mixed_compiled(finding: Finding) -> str:
    counts = finding.facts["counts"]
    said = f"{counts[True]} were and {counts[False]} were not"
    return f"Not all configurations were compiled ({said}), which rounds differently in them."


def mixed_program(finding: Finding) -> str:
    said = ", ".join(f"{value}: {count}" for value, count in finding.facts["counts"].items())
    how = PROGRAMS[finding.kind.removeprefix("mixed ")]
    return f"Not all configurations were {how} ({said}), which is another difference between them."


def single_seeds(finding: Finding) -> str:
    intervals = finding.facts["intervals"].items()
    said = listed([f"{label}, {100 * low:.2f} to {100 * high:.2f} %" for label, (low, high) in intervals])
    return (
        "A single seed has no interval over seeds. What the test images alone leave open of its test accuracy "
        f"(95 %, binomial): {said}."
    )


def incomplete(finding: Finding) -> str:
    said = ", ".join(f"{count} {status}" for status, count in finding.facts["counts"].items() if count)
    return f"Not in any figure of the last epoch, because they are not complete: {said}."


TEMPLATES: dict[str, Callable[[Finding], str]] = {
    "gain": gain,
    "twins": twins,
    "turn": turn,
    "no turn": no_turn,
    "degradation": degradation,
    "training": training,
    "published step": published_step,
    "gradients": gradients,
    "gap": gap,
    "confound": confound,
    "more confounds": lambda finding: f"The same goes for {finding.facts['count']} more pairs of groups.",
    "mixed seeds": mixed_seeds,
    "mixed precision": mixed_precision,
    "mixed compiled": mixed_compiled,
    "mixed code": mixed_program,
    "mixed data": mixed_program,
    "single seeds": single_seeds,
    "part of the data": lambda finding: f"Trained on a part of the data only: {finding.facts['data']}.",
    "incomplete": incomplete,
    "nothing complete": lambda finding: "No run is complete, so nothing can be said yet.",
}
