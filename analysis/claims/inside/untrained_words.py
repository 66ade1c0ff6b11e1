"""Sentences for the findings of untrained.py: a template per kind, and what fills it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from analysis.claims.finding import Finding
from analysis.claims.numbers import (
    OPEN,
    in_a_row,
    say_cosine,
    say_factors,
    say_fine,
    say_interval,
    say_log,
    say_twins,
    span,
)
from analysis.frames.axes import name_shortcut
from analysis.frames.inside.untrained import BOUNDS, MOMENTUM

if TYPE_CHECKING:  # this imports scipy, which takes as long as all the rest of a table
    from analysis.frames.statistics import Difference, Estimate

TEMPLATES = {
    "ends": "Before training, at {at} layers {networks}, the gradient norm of the first tenth of the 3x3 layers, "
    "divided by that of the last tenth, is {ratios_said}. {directions_said}",
    "ends twins": "At {at} layers {networks}, {change}",
    "growth": "In plain networks of {at} layers {networks}, the gradient norm grows by a factor of {growth_said} from "
    "a layer to the one before it, within a stage and far from both ends ({growth_interval}{scaled_said}). Mean-field "
    "theory of wide, fully connected networks (Yang et al. 2019) predicts sqrt(pi / (pi - 1)) = {theory:.3f}; "
    "{verdict_said}",
    "neighbours": "Before training, {networks}, the gradients of the first logit with respect to the input, at two "
    "points separated by {share} of the distance between two images, have a cosine of {cosines_said}.",
    "neighbours twins": "At {at} layers {networks}, {change}",
    "curvature": "Before training, the largest eigenvalue of the loss's Hessian in {shortcut_said} networks {networks} "
    "{curvatures_said}. {starts_said}{left_out_said}",
    "no curvature": "The largest eigenvalue of the loss's Hessian in {shortcut_said} networks {networks} is not known: "
    "Lanczos' method converged in none of {left_out[1]} runs.",
}
DIRECTIONS = {
    "more": "larger than in the last in {}",
    "less": "smaller than in the last in {}",
    "noise": "not shown to differ from that in the last in {}",
    "open": "not known to be larger or smaller in {}, whose seeds give no interval",
}
UNCLEAR_SHIFT = {"open": "without an interval over seeds", "noise": "no change that can be claimed"}
OPPOSITE = {("more", "less"), ("less", "more")}


def say_ratios(finding: Finding) -> str:
    """Return each side's ratio, raw and with each norm multiplied by that of the layer's weights."""
    texts, depths = [], finding.facts["at_depths"]
    for name, ratio in finding.facts["ratios"].items():
        scaled = finding.facts["scaled"].get(name)
        notes = say_interval(ratio)
        if scaled is not None:
            interval = "" if scaled.low is None else f", {say_interval(scaled, name=False)}"
            notes += f"; scaled {say_log(scaled)}{interval}"
        at = f" of {depths[name]} layers" if len(set(depths.values())) > 1 else ""
        texts.append(f"{say_log(ratio)} in {name_shortcut(name)} networks{at} ({notes})")
    return in_a_row(texts)


def say_directions(finding: Finding) -> str:
    """Return where the gradient is larger in the first layers, and where scaling reverses or blurs that."""
    both = (finding.facts[key] for key in ("ratios", "scaled"))
    raw, scaled = ({name: ratio.beside() for name, ratio in ratios.items()} for ratios in both)
    sides = {verdict: [name for name in raw if raw[name] == verdict] for verdict in DIRECTIONS}
    parts = [DIRECTIONS[verdict].format(networks(names)) for verdict, names in sides.items() if names]
    told = [name for name in raw if raw[name] in ("more", "less")]
    turned = [name for name in told if (raw[name], scaled.get(name)) in OPPOSITE]
    unsure = [name for name in told if scaled.get(name) == "noise"]
    text = f"In the first layers, the gradient is {', and '.join(parts)}."
    text += f" Scaled, it is the other way round in {networks(turned)}." if turned else ""
    return text + (f" Scaled, it is not shown to differ in {networks(unsure)}." if unsure else "")


def networks(shortcuts: Iterable[str]) -> str:
    """Return `residual (pad) and plain networks`."""
    return f"{in_a_row(map(name_shortcut, shortcuts))} networks"


def say_scaled_growth(finding: Finding) -> str:
    """Return the growth with each norm multiplied by that of the layer's weights."""
    scaled = finding.facts.get("scaled")
    return "" if scaled is None else f"; scaled {say_log(scaled, say_fine)}"


def say_theory(finding: Finding) -> str:
    """Return how far the measured growth is from theory."""
    found, theory = finding.facts["growth"], finding.facts["theory"]
    beyond = f"{100 * abs(10**found.mean / theory - 1):.1f} %"
    return {
        "more": f"the measured factor is {beyond} larger.",
        "less": f"the measured factor is {beyond} smaller.",
        "noise": "the interval includes it.",
        "open": f"the measured factor is {beyond} off; {OPEN[0].lower()}{OPEN[1:]}",
    }[finding.facts["verdict"]]


def say_cosines(finding: Finding) -> str:
    """Return each side's cosine at both depths, and whether depth changes it."""
    texts = []
    for name, by_depth in finding.facts["cosines"].items():
        figures = [f"{say_cosine(found.mean)}{say_range(found)} at {depth} layers" for depth, found in by_depth.items()]
        change = finding.facts["changes"].get(name)
        trend = "" if change is None else f", {say_shift(change, 'a rise of', 'a fall of')}"
        texts.append(f"{in_a_row(figures)} in {name_shortcut(name)} networks{trend}")
    return "; ".join(texts)


def say_range(found: Estimate) -> str:
    """Return the interval of a cosine over seeds; empty if there is none."""
    if found.low is None or found.high is None:
        return ""
    return f" ({say_cosine(found.low)} to {say_cosine(found.high)})"


def say_shift(found: Difference, more: str, less: str) -> str:
    """Return a cosine's change as an interval, or a note that it could be noise or has no interval."""
    if found.verdict in UNCLEAR_SHIFT:
        return UNCLEAR_SHIFT[found.verdict]
    change = span(*found.span, lambda points: f"{points / 100:.2f}")
    return f"{more if found.verdict == 'more' else less} {change}"


def say_difference(finding: Finding, figure: str, say: Callable[[Difference], str]) -> str:
    """Return how a figure differs with skip connections; if that is more than noise, `say` gives the amount."""
    found, own = finding.difference, f"{name_shortcut(finding.facts['shortcut'])} networks"
    assert found is not None  # untrained.py always sets it
    if found.verdict == "open":
        return f"whether the {figure} of {own} differs from that of plain ones is open: these seeds give no interval."
    if found.verdict == "noise":
        return f"the {figure}s of {own} and of plain ones do not differ by more than noise."
    interval = f"95 % interval, {say_twins(finding.seeds)}"
    return f"the {figure} of {own}, compared with that of plain ones, is {say(found)} ({interval})."


def say_curvatures(finding: Finding) -> str:
    """Return the lowest and the highest curvature of all depths, with intervals."""
    by_depth = finding.facts["curvatures"]
    ends = sorted(by_depth, key=lambda depth: by_depth[depth].mean)
    said = [f"{say_log(by_depth[n])} ({say_interval(by_depth[n], name=False)}) at {n} layers" for n in ends]
    return f"ranges from {said[0]} to {said[-1]}" if len(said) > 1 else f"is {said[0]}"


def say_starts(finding: Finding) -> str:
    """Return, by learning rate, the depths that start above the bound, below it, or undecided."""
    texts = []
    for rate, depths in sorted(finding.facts["starts"].items(), reverse=True):
        sides = {"above it": depths["more"], "below it": depths["less"], "undecided by these seeds": depths["open"]}
        sides = {side: found for side, found in sides.items() if found}
        parts = [f"{side} at {in_a_row(found)} layers" for side, found in sides.items()]
        at_each = len(sides) == 1 < len(finding.facts["curvatures"])
        said = f"{next(iter(sides))} at each depth" if at_each else ", ".join(parts)
        texts.append(f"{BOUNDS[rate]:,.0f} at a learning rate of {rate:g} ({said})")
    bound = f"Full-batch gradient descent with momentum {MOMENTUM:g} is stable only below a bound (Cohen et al. 2021)"
    return f"{bound}: {'; '.join(texts)}."


def say_left_out(finding: Finding) -> str:
    """Return how many runs have no eigenvalue."""
    (out, of), unknown = finding.facts["left_out"], finding.facts["unknown"]
    where = f", among them all of {in_a_row(unknown)} layers" if unknown else ""
    return f" Left out, because Lanczos' method did not converge: {out} of {of} runs{where}." if out else ""


# By kind, the words that its template needs, and how to say them.
SAID: dict[str, dict[str, Callable[[Finding], str]]] = {
    "ends": {"ratios_said": say_ratios, "directions_said": say_directions},
    "ends twins": {"change": lambda finding: say_difference(finding, "ratio", say_factors)},
    "growth": {
        "growth_said": lambda finding: say_log(finding.facts["growth"], say_fine),
        "growth_interval": lambda finding: say_interval(finding.facts["growth"], say_fine),
        "scaled_said": say_scaled_growth,
        "verdict_said": say_theory,
    },
    "neighbours": {"cosines_said": say_cosines},
    "neighbours twins": {
        "change": lambda finding: say_difference(
            finding, "cosine", lambda found: say_shift(found, "higher by", "lower by")
        )
    },
    "curvature": {"curvatures_said": say_curvatures, "starts_said": say_starts, "left_out_said": say_left_out},
}
