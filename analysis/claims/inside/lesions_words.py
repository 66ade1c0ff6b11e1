"""The sentences of lesions.py's findings: a template per kind, and what fills it."""

from collections.abc import Callable

from analysis.claims.finding import Finding
from analysis.claims.inside.lesions import SEVERE
from analysis.claims.inside.numbers import OPEN, count_seeds, say_factor, say_log

TEMPLATES = {
    "remove": "Without one of their blocks, {networks} ({configuration}) keep {left[0]:.1f} to {left[1]:.1f} of "
    "{intact:.1f} % of the held-out images. {costs_said}",
    "swap": "With two neighbouring blocks swapped, {networks} ({configuration}) keep {left[0]:.1f} to {left[1]:.1f} of "
    "{intact:.1f} % of the held-out images. {costs_said}",
    "removal twins": "At {depths[0]} layers, removing one of the {common} blocks that both can go without costs "
    "{networks} {points[1]:.1f} points on average, their plain twins {points[0]:.1f} ({seeds_said}). {change}",
    "branches": "In {networks} of {depths[0]} layers, the norm of a residual branch's response is {before_said} times "
    "that of what the shortcut carries before training and {after_said} times at the last epoch probed (geometric mean "
    "over blocks; {seeds_counted}). {change_said}",
}


def say_costs(finding: Finding) -> str:
    """Return what lesions cost: at most so much, but for those that are named; and on average, over seeds."""
    facts = finding.facts
    (mild, most), severe, ways = facts["mild"], facts["severe"], facts["ways"]
    named = "; ".join(
        f"blocks.{block}{begins(facts['stages'].get(block))} {cost:.1f}"
        for block, cost in sorted(severe.items(), key=lambda item: -item[1])
    )
    if not severe:
        text = f"None of {ways} costs more than {max(most, 0):.1f} points."
    elif not mild:
        text = f"Each of {ways} costs more than {SEVERE:g} points: {named}."
    else:
        text = f"{mild} of {ways} cost {max(most, 0):.1f} points at most, but for these: {named}."
    average = facts["average"]
    interval = "" if average.low is None else f"; 95 % interval {average.low:.1f} to {average.high:.1f}"
    return f"{text} On average it is {average.mean:.1f} points ({count_seeds(average.n)}{interval})."


def begins(stage: int | None) -> str:
    return "" if stage is None else f" (which begins stage {stage})"


def say_removals(finding: Finding) -> str:
    """Return how many points less or more a removal costs with skip connections."""
    found = finding.difference
    if found is None or found.low is None or found.high is None:
        return OPEN
    if found.verdict == "noise":
        return "No difference between them can be claimed: it could be noise."
    low, high = sorted(abs(bound) for bound in (found.low, found.high))
    return f"With skip connections that is {low:.1f} to {high:.1f} points {found.verdict} (95 % interval over seeds)."


def say_branches(finding: Finding) -> str:
    """Return whether training makes the residual branches stronger or weaker beside their shortcuts."""
    change = finding.facts["change"]
    if change.low is None or change.high is None:
        return OPEN
    if change.low <= 0 <= change.high:
        return "That training changes it cannot be claimed: it could be noise."
    low, high = sorted((10 ** abs(change.low), 10 ** abs(change.high)))
    verb = "strengthens" if change.low > 0 else "weakens"
    return f"Training {verb} the branches, {say_factor(low)} to {say_factor(high)} times (95 % interval over seeds)."


# Of each kind, the words that its template takes, and how to say them.
SAID: dict[str, dict[str, Callable[[Finding], str]]] = {
    "remove": {"costs_said": say_costs},
    "swap": {"costs_said": say_costs},
    "removal twins": {"change": say_removals},
    "branches": {
        "before_said": lambda finding: say_log(finding.facts["before"]),
        "after_said": lambda finding: say_log(finding.facts["after"]),
        "change_said": say_branches,
    },
}
