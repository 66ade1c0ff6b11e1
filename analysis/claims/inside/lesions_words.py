"""Sentences for the findings of lesions.py: a template per kind, and what fills it."""

from collections.abc import Callable

from analysis.claims.finding import Finding
from analysis.claims.numbers import count_seeds, ends, say_factor, say_log, span, unclear

NAMED = 6  # blocks named in a sentence; the rest are only counted

TEMPLATES = {
    "remove": "Removing a block of {networks} ({configuration}, {intact:.1f} % accuracy on the held-out images when "
    "intact) costs {costs_said}. {average_said}",
    "swap": "Swapping two neighbouring blocks of {networks} ({configuration}, {intact:.1f} % accuracy when intact) "
    "costs {costs_said}. {average_said}",
    "removal twins": "At {depths[0]} layers, removing {removed_said} that can be removed from both costs "
    "{networks} {points[1]:.1f} pp on average, their plain counterparts {points[0]:.1f} ({seeds_said}). {change}",
    "branches": "In {networks} of {depths[0]} layers, the norm of a residual branch's response, relative to that of "
    "what its shortcut carries, is {before_said} before training and {after_said} at the last epoch probed (geometric "
    "mean over blocks; {seeds_counted}). {change_said}",
}


def say_costs(finding: Finding) -> str:
    """Return what lesions cost: an upper limit for the mild ones, and each severe one by name."""
    (mild, most), severe, ways = finding.facts["mild"], finding.facts["severe"], finding.facts["ways"]
    named = sorted(severe, key=lambda block: -severe[block])
    texts = [f"{severe[block]:.1f} ({name_block(block, finding)})" for block in named[:NAMED]]
    listed = ", ".join(texts) + (f" and {len(named) - NAMED} more" if len(named) > NAMED else "")
    if not mild:
        listed = ends(severe[named[-1]], severe[named[0]]) if len(named) > NAMED else listed
        return f"more than {finding.facts['threshold']:g} pp in {say_cases(ways, ways)}: {listed}"
    others = f"; in the rest, {listed}" if named else ""
    return f"at most {max(most, 0):.1f} pp in {say_cases(mild, ways)}{others}"


def say_cases(count: int, ways: int) -> str:
    """Return `11 of 15 cases`, `all 4 cases` or `the only case`."""
    return "the only case" if ways == 1 else f"all {ways} cases" if count == ways else f"{count} of {ways} cases"


def name_block(block: int, finding: Finding) -> str:
    """Return a block's number, counted from 0, both numbers for a swap, and whether the block starts a stage."""
    if finding.kind == "swap":
        return f"blocks {block} and {block + 1}"
    stage = finding.facts["stages"].get(block)
    return f"block {block}" + ("" if stage is None else f", the first of stage {stage}")


def say_average(finding: Finding) -> str:
    """Return the mean cost with its interval over seeds, and the range of the remaining accuracy."""
    found, left = finding.facts["average"], ends(*finding.facts["left"])
    interval = "" if found.low is None else f", 95 % interval {found.low:.1f} to {found.high:.1f}"
    points = f"{found.mean:.1f} pp ({count_seeds(found.n)}{interval})"
    return f"On average it costs {points}; the accuracy left is {left} %."


def say_removals(finding: Finding) -> str:
    """Return how many percentage points less or more a removal costs with skip connections."""
    found = finding.difference
    assert found is not None  # lesions.py always sets it
    clear = "With skip connections that is {} pp {} (95 % interval over seeds)."
    return unclear(found.verdict) or clear.format(span(*found.span, "{:.1f}".format), found.verdict)


def say_removed(finding: Finding) -> str:
    """Return how many blocks the removed one is chosen from."""
    common = finding.facts["common"]
    return "the only block" if common == 1 else f"one of the {common} blocks"


def say_branches(finding: Finding) -> str:
    """Return whether training strengthens or weakens the residual branches relative to their shortcuts."""
    change = finding.facts["change"]
    if text := unclear(verdict := change.beside(), "change through training"):
        return text
    factors = span(change.low, change.high, lambda exponent: say_factor(10**exponent, 3))
    verb = "strengthens" if verdict == "more" else "weakens"
    stronger, blocks = finding.facts["stronger"]
    each = f"; {stronger} of {blocks} become{'s' * (stronger == 1)} stronger"
    amount = f"by a factor of {factors} on average (95 % interval over seeds)"
    return f"Relative to the shortcuts, training {verb} the branches {amount}{each}."


COSTS = {"costs_said": say_costs, "average_said": say_average}
# By kind, the words that its template needs, and how to say them.
SAID: dict[str, dict[str, Callable[[Finding], str]]] = {
    "remove": COSTS,
    "swap": COSTS,
    "removal twins": {"change": say_removals, "removed_said": say_removed},
    "branches": {
        "before_said": lambda finding: say_log(finding.facts["before"]),
        "after_said": lambda finding: say_log(finding.facts["after"]),
        "change_said": say_branches,
    },
}
