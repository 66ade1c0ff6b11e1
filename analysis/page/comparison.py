"""A comparison of two configurations as a table with notes: what the data support, and what they do not."""

import pandas as pd

from analysis.claims.comparable import MIXED, find_mixed_conditions, find_mixed_seeds, is_tuned
from analysis.claims.compare import Comparison
from analysis.claims.numbers import say_mean, signed
from analysis.claims.wording import say_changes, sentence
from analysis.frames.configurations import MEASURES, data_of
from analysis.frames.statistics import Difference, estimate
from analysis.page.rendering import Grid
from analysis.page.tables import choice_notes

BY_SEEDS = (
    "The intervals are Welch's, over seeds: they cover what other seeds would change, "
    "and neither another split of the data nor another test set."
)
NO_SEEDS = (
    "There is no interval over seeds: it takes two complete runs or more of each configuration, "
    "and here there are {a} of A and {b} of B."
)
NO_SPREAD = "There is no interval over seeds: within each configuration, all seeds have the same test accuracy."
BY_IMAGES = (
    "The interval of the test accuracy is the binomial one of {images:,} test images instead. "
    "It does NOT cover what another seed would change, which is often more."
)
BOTH = (
    "Over seeds and test images, both networks on the same images, it is {low} to {high} pp; "
    "a difference is claimed only where both intervals agree."
)
PAIRED = (
    "The interval of the test accuracy is that of the {images:,} test images instead, the same for both. "
    "It does NOT cover what another seed would change, which is often more."
)


def comparison_grid(found: Comparison) -> Grid:
    """Return a row per measure, and notes on what can be concluded."""
    rows = [measure_row(measure, found) for measure in found.differences]
    title = " against ".join(found.names)
    return Grid(title, ["", "A", "B", "B - A (pp)", "95 % interval", "p"], rows, [False] + [True] * 5, notes(found))


def measure_row(measure: str, found: Comparison) -> list[str]:
    """Return a measure's row of the table."""
    label, difference = MEASURES[measure].label, found.differences[measure]
    if difference is None:
        return [label, *"-----"]
    ends = [signed(end) for end in (difference.low, difference.high) if end is not None]
    interval = " to ".join(ends) or "-"
    p = "-" if difference.p is None else f"{difference.p:.4f}" if difference.p >= 0.0001 else "< 0.0001"
    return [label, mean(found.a[measure]), mean(found.b[measure]), signed(difference.points), interval, p]


def mean(accuracies: pd.Series) -> str:
    """Return a mean over seeds, with its deviation if there is one, in per cent."""
    found = estimate(100 * accuracies.dropna())
    return say_mean(found.mean, found.std)


def notes(found: Comparison) -> list[str]:
    """Return the notes needed to read the table, and what can be concluded from it."""
    parts = zip("AB", found.folders, (found.a, found.b))
    sides = [f"{letter} is {folder}, {count_runs(runs)}" for letter, folder, runs in parts]
    left_out = ", ".join(f"{count} {status}" for status, count in found.left_out.items())
    text, data = data_of(found.configurations), found.a["data"].iloc[0]
    others = [name for name in MIXED if name not in found.changes]
    findings = [*find_mixed_seeds(found.configurations), *find_mixed_conditions(found.configurations, others)]
    return [
        "; ".join(sides) + "." + f" Left out: {left_out}." * bool(left_out),
        *([] if text == data else [f"This is about {text}."]),
        *(note for study in found.studies for note in choice_notes(study, found.configurations)),
        *basis(found),
        conclusion(found.headline),
        cause(found),
        *map(sentence, findings),
    ]


def count_runs(runs: pd.DataFrame) -> str:
    """Return `2 complete runs`."""
    return f"{len(runs)} complete run{'s' * (len(runs) != 1)}"


def basis(found: Comparison) -> list[str]:
    """Return what the interval of the test accuracy covers."""
    a, b = found.a, found.b
    if found.headline.p is not None:
        both = found.headline.with_images
        return [BY_SEEDS, *([BOTH.format(low=signed(both[0]), high=signed(both[1]))] if both else [])]
    why = NO_SPREAD if min(len(a), len(b)) > 1 else NO_SEEDS.format(a=len(a), b=len(b))
    if found.paired:
        return [why, PAIRED.format(images=int(a["test_images"].iloc[0]))]
    return [why, BY_IMAGES.format(images=int(min(a["test_images"].iloc[0], b["test_images"].iloc[0])))]


def conclusion(found: Difference) -> str:
    """Return what can be claimed about the test accuracies, and no more."""
    (low, high), over = found.span, "test images" if found.p is None else "seeds"  # found has one of these intervals
    over = "seeds and test images" if found.with_images is not None else over
    if low <= 0 <= high:
        return (
            f"No difference in test accuracy can be claimed: as far as the {over} tell, B may be anything "
            f"from {abs(low):.2f} pp worse to {high:.2f} pp better than A. Nor are they shown to be equal."
        )
    better, worse = ("B", "A") if low > 0 else ("A", "B")
    least, most = sorted((abs(low), abs(high)))
    claim = f"{better}'s test accuracy is higher than {worse}'s, by {least:.2f} to {most:.2f} pp"
    if found.p is None:
        return f"For these runs, {claim}, as far as the test images tell. Whether other seeds agree is open."
    return f"The data support that {claim}, on average over {over} (95 % confidence)."


def cause(found: Comparison) -> str:
    """Return how the two differ, and that none of several causes of a difference can be singled out.

    Tuned settings are not causes.
    """
    chosen = {name for study in found.studies for name in study.chosen}
    causes = [key for key in found.changes if not is_tuned(key, chosen)]
    low, high = found.headline.span
    open_cause = len(causes) > 1 and not low <= 0 <= high
    unknown = " The data do not tell which of these makes the difference." * open_cause
    return f"They differ in {say_changes(found.changes) or 'no setting that is recorded'}.{unknown}"
