"""Findings in sentences: a template per kind, filled from the finding's fields and facts."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import Any

from analysis.claims.finding import Finding
from analysis.claims.inside import wording as inside
from analysis.claims.numbers import (
    count_seeds,
    ends,
    in_a_row,
    say_factor,
    say_factors,
    say_mean,
    say_sides,
    say_twins,
    signed,
    unclear,
)
from analysis.frames.published import ORIGINAL
from analysis.frames.settings import as_text

NAMED, MOST = 6, 12  # configurations, and values, named in a sentence; the rest are only counted
EACH = 8  # up to this many combinations have their best values named; with more, these are counted
HINT = "; `--compare` of `analysis.table` compares two configurations"
PROGRAMS = {"code": "computed by the same code", "data": "computed from the same data"}
OTHER_IMAGES = " The values were validated on different images, which may explain their order."
BETWEEN_THEM = "({counted}), which is another difference between them."

TEMPLATES = {
    "best": "Of {count} configurations, {label} is best by validation: {val_acc} % validation accuracy and "
    "{test_acc} % test accuracy ({n}{but}). {next} is {lower} by validation.",
    "no validation": "Nothing was held out for validation, so no value of {axes} can be chosen: the test images are "
    "for comparing, not for choosing{hint}.",
    "axis": "{over}{label} is the {rank} of {values} {what} by validation{rest}. {change}{pairwise}",
    "order": "It is best in {agree} combinations of the other axes{where}",
    "each best": "By validation, the best value of {axis} is {each}.",
    "tie": "Of {values} {what} of {axis}, {equal} tie for best by validation{apart}.",
    "range": "The best {top} of {count} configurations by validation have {axis} from {low} to {high}; {least} to "
    "{most} were tried.",
    "share": "The best {top} of {count} configurations by validation: {shares}.",
    "search": "These configurations do not form a grid: settings vary together, and the data do not tell which of them "
    "makes a difference.",
    "edge": "{best} is the {end} value of {axis} tried: a better one may lie beyond.",
    "gain": "From {depths[0]} to {depths[1]} layers, the test accuracy of {networks} {change}",
    "twins": "At {depths[0]} layers, the test accuracy of {networks} {change}",
    "interaction": "From {depths[0]} to {depths[1]} layers, the test accuracy of {networks} minus that of their plain "
    "counterparts {change}",
    "turn": "Of {networks}, those with {depths[0]} layers are best by validation. From there to {depths[1]} layers, "
    "their test accuracy {change}",
    "no turn": "Of {networks}, the deepest{absent}, with {depths[0]} layers, are best by validation: no turning point "
    "is seen.",
    "degradation": "Over the same depths, the training accuracy {change}",
    "not overfitting": "The training accuracy falls as well, so overfitting does not explain the fall in test "
    "accuracy.",
    "pair": "From {labels[0]} to {labels[1]}, the test accuracy {change}",
    "training": "From {depths[0]} to {depths[1]} layers, the training accuracy of {networks} {change}",
    "published step": "From {models[0]} to {models[1]}, the " + ORIGINAL + " found a change of {points:+.2f} pp in "
    "validation accuracy (one seed, augmented images). With the same recipe, on unaugmented images, it {change}",
    "published figure": "{label}: {own:.2f} % test accuracy ({n}). With the same recipe: {theirs:.2f} % ({by}).",
    "gradients": "In training, at {depths[0]} layers, the gradient norm of the first tenth of the 3x3 layers is "
    "{ratios[1]} times that of the last tenth in {networks}, and {ratios[0]} times in their plain counterparts "
    "(geometric mean over epochs, {seeds}). {change}{scaled}{before}",
    "gap": "Training minus validation accuracy (the gap) of {networks} is {gaps[0]} pp at {depths[0]} layers "
    "and {gaps[1]} pp at {depths[1]}. From {depths[0]} to {depths[1]} layers, the gap {change}",
    "confound": "{labels[0]} and {labels[1]} differ in more than one thing: {changes}. "
    "The data do not tell which of these makes a difference between them.",
    "chosen": "Each configuration has its own {axis}, chosen by validation accuracy{by}; comparisons are between "
    "configurations tuned in this way.",
    "same runs": "The runs that chose {axis} are also those compared, which favours configurations whose results vary "
    "more.",
    "untested": "For these, only one value of {axis} was tried: {where}.",
    "more confounds": "Other pairs for which this is true: {count}.",
    "mixed seeds": "The seeds of {mixed_labels} were not all computed in the same way ({how}): their standard "
    "deviation does not reflect seeds alone.",
    "mixed precision": "Not all configurations ran in the same precision " + BETWEEN_THEM,
    "mixed compiled": "Some configurations were compiled and others not ({counted}); compiled code rounds differently.",
    "mixed code": f"Not all configurations were {PROGRAMS['code']} {BETWEEN_THEM}",
    "mixed data": f"Not all configurations were {PROGRAMS['data']} {BETWEEN_THEM}",
    "spread": "Pooled over {count} configurations of {networks}, the standard deviation of test accuracy between "
    "seeds is {std:.2f} pp (95 % interval {low:.2f} to {high:.2f} pp, {dof} degrees of freedom), if it is the same in "
    "all of them, which these seeds do not rule out.",
    "no spread": "Between seeds, the standard deviation of the test accuracy of {networks} is {least:.2f} to "
    "{most:.2f} pp, depending on the configuration. These differ by more than chance (Bartlett's test), so they are "
    "not pooled.",
    "several": "Judged one by one, {clear} of {count} comparisons over seeds found more than noise; after Holm's "
    "correction for their number, {held} did.",
    "single seeds": "A single seed has no interval over seeds. 95 % binomial intervals of test accuracy, from the test "
    "images alone: {intervals}.",
    "part of the data": "Trained on a part of the data only{which}: {data}.",
    "easy data": "{data} are 8 x 8 pixels, and so easy that they show only whether everything works: "
    "they say nothing about what depth does on CIFAR-10.",
    "incomplete": "Left out of all results of the last epoch, because they are not complete: {counted}.",
    "nothing complete": "No run is complete.",
}
COUNTED = {"mixed precision": "{count} in {value}", "incomplete": "{count} {value}"}  # other kinds: `value: count`
COUNTED["mixed compiled"] = COUNTED["incomplete"]
COMPILED = {True: "compiled", False: "not compiled"}
VERBS = {  # if more, if less, if equal
    "twins": (
        "is above that of their plain counterparts",
        "is below that of their plain counterparts",
        "equals that of their plain counterparts",
    ),
    "axis": (
        "is above that of {second}{next}",
        "is below that of {second}{next}",
        "equals that of {second}{next}",
    ),
}
RISES = ("rises", "falls", "stays the same")  # the verbs of all other kinds
SAME = 0.005  # points; smaller differences are printed as none


def sentence(finding: Finding) -> str:
    """Return a finding in words."""
    if finding.kind in inside.TEMPLATES:
        return inside.say(finding)
    facts: dict[str, Any] = {name: SAY.get(name, lambda value: value)(value) for name, value in finding.facts.items()}
    facts |= {"counted": say_counts(finding), "scaled": facts.get("scaled", ""), "before": facts.get("before", "")}
    if finding.difference is not None:
        facts["change"] = SAY_DIFFERENCE.get(finding.kind, say_change)(finding)
    elif finding.kind == "axis":
        facts["change"] = "No combination of the other axes has both it and the next best, {second}.".format(**facts)
    if finding.kind in SAY_MORE:
        facts |= SAY_MORE[finding.kind](finding)
    facts["seeds"] = say_twins(finding.seeds)
    text = TEMPLATES[finding.kind].format(**vars(finding) | facts)
    if finding.tuned:
        text = f"Each at the best {finding.tuned} tried: {text[0].lower()}{text[1:]}"
    if "also" in finding.facts:
        differ = "differ in more than one thing" if finding.kind == "pair" else f"also differ in {facts['also']}"
        text += f" They {differ}; these runs cannot separate the effects."
    if "plateau" in finding.facts and "one_of" not in finding.facts:
        text += f" {say_plateau(finding)}"
    if count := finding.facts.get("left out"):
        text += f" {count} more run{'s' * (count > 1)} diverged, and {'are' if count > 1 else 'is'} not counted."
    if finding.programs:
        text += f" These runs were not all {' or '.join(PROGRAMS[name] for name in finding.programs)}."
    return text


def by_topic(findings: Iterable[Finding]) -> dict[str, list[str]]:
    """Return findings as sentences by topic; what several in a row were tuned by is said once, before them."""
    topics: dict[str, list[Finding]] = {}
    for finding in findings:
        topics.setdefault(finding.topic, []).append(finding)
    texts: dict[str, list[str]] = {topic: [] for topic in topics}
    for topic, own in topics.items():
        for tuned, same in groupby(own, lambda finding: finding.tuned):
            group = list(same)
            if tuned and len(group) > 1:
                texts[topic].append(f"Each network is compared at the best {tuned} tried.")
                group = [replace(found, tuned="") for found in group]
            texts[topic].extend(map(sentence, group))
    return texts


def say_change(finding: Finding) -> str:
    """Return what can be said about a difference in accuracy, and no more."""
    found = finding.difference
    assert found is not None
    next_best = ", one of the next best," if finding.facts.get("seconds", 1) > 1 else ", the next best,"
    facts = {"next": next_best * (finding.facts.get("values") != 2)} | finding.facts
    more, less, same = (verb.format(**facts) for verb in VERBS.get(finding.kind, RISES))
    equal = abs(found.points) < SAME
    size = same if equal else f"{less if found.points < 0 else more} by {abs(found.points):.2f} pp"
    interval = "" if found.low is None or found.high is None else say_points(found.low, found.high)
    seeds = f"{finding.seeds[0]} to {finding.seeds[1]} seeds each"  # for more than two groups of runs
    if finding.kind == "twins":
        seeds = say_twins(finding.seeds)
    elif finding.kind != "interaction" and finding.facts.get("pairs", 1) == 1 or len(set(finding.seeds)) == 1:
        seeds = say_sides(finding.seeds)
    if found.verdict == "open":
        why = "" if min(finding.seeds) < 2 else ", because the seeds do not differ at all"
        images = f"; 95 % interval from the test images alone {interval}" if interval and not equal else ""
        unknown = "whether other seeds agree" if equal else "whether that is noise"
        return f"{size} in these runs ({seeds}{images}); {unknown} is open{why}."
    noise = ", but no difference can be claimed: it could be noise" * (found.verdict == "noise")
    judged = " in these runs" if equal else noise or say_correction(finding)
    over = " over seeds and test images" * (found.with_images is not None)
    return f"{size}{judged} (95 % interval {say_points(*found.span)}{over}, {seeds})."


def say_correction(finding: Finding) -> str:
    """Return that a difference does not survive the correction for several comparisons; empty if it does."""
    if not (count := finding.facts.get("one_of")):
        return ""
    return f", which is more than the noise of seeds if judged alone, but not after correction for {count} comparisons"


def say_points(low: float, high: float) -> str:
    """Return an interval in percentage points; an end that would round to zero keeps one digit."""
    return " to ".join(f"{end:+.1g}" if 0 < abs(end) < SAME else signed(end) for end in (low, high)) + " pp"


def say_plateau(finding: Finding) -> str:
    """Return from which depth on no further rise is shown, and how far above it the deepest networks are."""
    depth, further, seeds = finding.facts["plateau"]
    change = f"{signed(further.points)} pp from there to {finding.depths[1]}"
    interval = f"95 % interval {say_points(*further.span)}, {say_sides(seeds)}"
    return f"From {depth} layers on, no further rise can be claimed: {change} ({interval})."


def say_axis(finding: Finding) -> str:
    """Return what can be said about two values of an axis, and over how many pairs of configurations."""
    text, pairs, every = say_change(finding), finding.facts["pairs"], finding.facts["of_pairs"]
    if every == 1:
        return f"Its test accuracy {text}"
    if pairs == 1:
        return f"In the only one of {every} pairs with several seeds, its test accuracy {text}"
    over = f"{pairs} pairs" if pairs == every else f"the {pairs} of {every} pairs with several seeds"
    return f"On average over {over}, its test accuracy {text}"


def say_next(finding: Finding) -> dict[str, Any]:
    """Return how far the second-best configuration is behind the best, and how many runs of the best diverged."""
    gap, diverged = finding.facts["gap"], finding.facts["diverged"]
    return {
        "lower": "as good" if gap < SAME else f"next, {gap:.2f} pp lower",
        "but": f"; {diverged} more diverged" if diverged else "",
    }


def say_part(finding: Finding) -> dict[str, Any]:
    """Return how many configurations were trained on a part of the data, if not all."""
    count, of = finding.facts["count"], finding.facts["of"]
    return {"which": f", {count} of {of} configurations" * (count < of)}


def say_rest(finding: Finding) -> dict[str, Any]:
    """Return how much lower an axis's other values are, over how many combinations, and the rest of the sentence."""
    facts = finding.facts
    said = listed([f"{value}: {signed(points)} pp" for value, points in facts["rest"]], MOST, ", ", ", and ")
    said += f"; tried in too few to be ranked: {in_a_row(facts['rare'])}" * bool(facts["rare"])
    said += say_values(finding)["apart"]
    said += f"; without a complete, validated run: {in_a_row(facts['waiting'])}" * bool(facts["waiting"])
    how = "On average" if facts["balanced"] else "By a least-squares fit"
    having = f"{facts['having']} of which include it, " * (facts["having"] < facts["grids"])
    over = f"{how} over {facts['grids']} combinations of the other axes, {having}" * (facts["grids"] > 1)
    without = f", without {facts['diverged']} of its runs, which diverged" * bool(facts["diverged"])
    depends = "But which is better depends on the other axes: pair by pair" if facts["above"] else "Pair by pair"
    pairwise = (
        f" {depends}, it is above in {facts['above']} and below in {facts['below']}, by more than the noise of seeds."
    )
    return {
        "over": over,
        "rest": f"{without} (relative to it, {said})",
        "pairwise": pairwise * bool(facts["below"]) + OTHER_IMAGES * facts["unlike"],
        "rank": "better" if facts["values"] == 2 else "best",
        "what": "kinds of skip connection" if facts["axis"] == "shortcut" else say_values(finding)["what"],
    }


def say_values(finding: Finding) -> dict[str, Any]:
    """Return what an axis's values are called if others cannot be compared with them, and which others there are."""
    apart = finding.facts["apart"]
    return {
        "what": "comparable values" if apart else "values",
        "apart": f"; not comparable, because other axes differ: {in_a_row(apart)}" * bool(apart),
    }


def say_order(finding: Finding) -> dict[str, Any]:
    """Return in how many of the combinations where it was tried a value is best, and which is best in the others."""
    names = ("tried", "planned", "others", "ties", "clear")
    tried, planned, others, ties, clear = (finding.facts[name] for name in names)
    where = f" in which it can be compared (of {planned} in all)" * (tried < planned)
    where += f", in {ties} of them together with another" * bool(ties)
    if others:
        places: dict[str, list[str]] = {}
        for place, value in others:
            places.setdefault(value, []).append(place)
        own = [f"{value} with {listed(where, 3, ' and with ', ' and ')}" for value, where in places.items()]
        better = listed(own, 3, "; ", "; and ")
        some = f"{clear} of {len(others)} " * (clear < len(others))
        noise = f"; on test images, {some}by more than the noise of seeds" if clear else ", which may be noise"
        where += f"; by validation, {better} {'is' if len(places) == 1 else 'are'} better{noise}"
    return {"agree": f"{tried - len(others)} of {tried}" if others else f"all {tried}", "where": f"{where}."}


def say_ratio(finding: Finding) -> str:
    """Return what can be said about a ratio, given the difference of its log10 in hundredths."""
    found = finding.difference
    assert found is not None  # otherwise this is not called
    clear = f"With skip connections, this ratio is {{}} (95 % interval over seeds){say_correction(finding)}."
    return unclear(found.verdict, "difference between the two ratios") or clear.format(say_factors(found))


def say_counts(finding: Finding) -> str:
    """Return counts by value without zeros, with the configurations they are of, if known."""
    form = COUNTED.get(finding.kind, "{value}: {count}")
    counts, of = finding.facts.get("counts", {}), finding.facts.get("of", {})
    texts = {
        value: form.format(value=COMPILED.get(value, value), count=count) for value, count in counts.items() if count
    }
    return ", ".join(f"{text} ({listed(of[value])})" if value in of else text for value, text in texts.items())


def say_ratios(start: str, ratios: Sequence[float]) -> str:
    """Return a sentence with the ratios of a comparison's two sides."""
    return f" {start}, the ratios are {say_factor(ratios[1])} (residual) and {say_factor(ratios[0])} (plain)."


def say_changes(changes: Mapping[str, Sequence[Any]]) -> str:
    """Return keys with their values."""
    return ", ".join(f"{key} ({' against '.join(map(as_text, values))})" for key, values in changes.items())


def listed(names: Sequence[str], most: int = NAMED, separator: str = "; ", last: str = "; and ") -> str:
    """Return names in a row, and beyond the first `most` how many more there are."""
    return separator.join(names[:most]) + (f"{last}{len(names) - most} more" if len(names) > most else "")


def say_intervals(intervals: Mapping[str, tuple[float, float]]) -> str:
    """Return intervals of accuracies in per cent, each after its label; of many, only how wide they are."""
    if len(intervals) > NAMED:
        widths = [100 * (high - low) for low, high in intervals.values()]
        return f"{ends(min(widths), max(widths))} pp wide"
    return "; ".join(f"{label}: {100 * low:.2f} to {100 * high:.2f} %" for label, (low, high) in intervals.items())


def say_each(each: Sequence[tuple[str, Sequence[str], str]]) -> str:
    """Return the best value in each combination of the other axes, and whether it is at an end of those tried.

    With many combinations, return only how often each value is best or at an end.
    """
    if len(each) > EACH:
        counts = Counter(" together with ".join(best) for _, best, _ in each).most_common()
        ends = Counter((best[0], end) for _, best, end in each if end)
        edges = "".join(f"; in {n}, {value} is the {end} tried" for (value, end), n in ends.items())
        return (
            f"{in_a_row(f'{value} in {n}' for value, n in counts)} of {len(each)} combinations of the other axes{edges}"
        )
    return "; ".join(f"{in_a_row(best)}{f' (the {end} tried)' * bool(end)} with {where}" for where, best, end in each)


SAY_DIFFERENCE = {"gradients": say_ratio, "axis": say_axis}
SAY_MORE = {
    "gap": lambda found: {"gaps": [*map(signed, found.facts["points"])]},
    "order": say_order,
    "axis": say_rest,
    "tie": say_values,
    "part of the data": say_part,
    "best": say_next,
    "no validation": lambda found: {"hint": HINT * found.facts["hint"]},
}

# How to say facts that are neither plain words nor numbers.
SAY = {
    "changes": say_changes,
    "also": say_changes,
    "intervals": say_intervals,
    "n": count_seeds,
    "val_acc": lambda found: say_mean(*found),
    "test_acc": lambda found: say_mean(*found),
    "ratios": lambda ratios: [say_factor(ratio) for ratio in ratios],
    "mixed_labels": "; ".join,
    "equal": in_a_row,
    "each": say_each,
    "where": listed,
    "absent": lambda depths: f" that have complete runs ({in_a_row(depths)} layers have none)" if depths else "",
    "shares": lambda shares: ", ".join(f"{count} with {label}" for label, count in shares.items()),
    "scaled": partial(say_ratios, "Scaled"),
    "before": partial(say_ratios, "Before the first step, unscaled"),
}
