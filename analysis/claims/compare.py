"""Two configurations side by side: the difference, its interval, and what the data do and do not support."""

import os
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from analysis.frames.computed import find_precisions
from analysis.frames.configurations import as_text, data_of, summarize
from analysis.frames.find import RunsError
from analysis.frames.runs import load_runs
from analysis.frames.statistics import Difference, binomial_difference, estimate, welch
from analysis.page.rendering import Grid, markdown

MEASURES = {"train_acc": "train acc (%)", "val_acc": "val acc (%)", "test_acc": "test acc (%)"}
HEADLINE = "test_acc"
NAMED = 20  # of more configurations the rest is counted

BY_SEEDS = (
    "The intervals are Welch's, over seeds: they cover what other seeds would change, "
    "and neither another split of the data nor another test set."
)
NO_SEEDS = (
    "The interval over seeds cannot be had: it takes two complete runs or more of each configuration, "
    "and here there are {a} of A and {b} of B."
)
NO_SPREAD = "The interval over seeds cannot be had: no seed's test accuracy differs from any other of its side."
BY_IMAGES = (
    "The interval of the test accuracy is the binomial one of {images:,} test images instead. "
    "It does NOT cover what another seed would change, which is often more."
)


class BadChoice(RunsError):
    """A request to compare what cannot be compared."""

    exit_code = 2


def compare(a: str, b: str, folders: Sequence[str]) -> str:
    """Return the comparison of two configurations as Markdown; raises RunsError.

    Each is a folder, or how the name of a single configuration in `folders` begins, with or without `study/`.
    """
    named = None if os.path.isdir(a) and os.path.isdir(b) else load_runs(folders)
    all_a, all_b = choose(a, named), choose(b, named)
    if all_a["folder"].iloc[0] == all_b["folder"].iloc[0]:
        raise BadChoice(f"{a} and {b} are the same configuration, {name(all_a)}")
    if all_a["data"].iloc[0] != all_b["data"].iloc[0]:
        datas = f"{all_a['data'].iloc[0]} and {all_b['data'].iloc[0]}"
        raise BadChoice(f"{name(all_a)} and {name(all_b)} cannot be compared: they are about {datas}")
    runs_a, runs_b = complete(all_a), complete(all_b)
    differences = {measure: difference(runs_a, runs_b, measure) for measure in MEASURES}
    both = pd.concat([runs_a, runs_b])
    left_out = len(all_a) + len(all_b) - len(runs_a) - len(runs_b)
    notes = [
        f"A is {name(runs_a)}, {_runs(runs_a)}; B is {name(runs_b)}, {_runs(runs_b)}."
        + (f" Left out as not complete: {left_out}." if left_out else ""),
        *data(both),
        *basis(runs_a, runs_b, differences[HEADLINE]),
        verdict(differences[HEADLINE]),
        cause(runs_a, runs_b),
        *find_precisions(both, summarize(both)),
    ]
    rows = [row(measure, runs_a, runs_b, found) for measure, found in differences.items()]
    head = ["", "A", "B", "B - A (pp)", "95 % interval", "p"]
    return markdown(Grid(f"{name(runs_a)} against {name(runs_b)}", head, rows, [False] + [True] * 5, notes))


def choose(wanted: str, named: pd.DataFrame | None) -> pd.DataFrame:
    """Return the runs of the one configuration that is meant, a folder or among `named`; raises RunsError."""
    runs = load_runs([wanted]) if os.path.isdir(wanted) else named
    names = runs["study"] + "/" + runs["configuration"]
    if not os.path.isdir(wanted):
        exact = (runs["configuration"] == wanted) | (names == wanted)
        begins = runs["configuration"].str.startswith(wanted) | names.str.startswith(wanted)
        runs = runs[exact] if exact.any() else runs[begins]
    found = sorted(set(names[runs.index]))
    if not found:
        raise BadChoice(f"{wanted}: no configuration's name begins like this; there are {listed(names)}")
    if len(found) > 1:
        raise BadChoice(f"{wanted}: could be {listed(found)}")
    return runs


def listed(names: Iterable[str]) -> str:
    """Return names in their order, each once, the first ones of many."""
    names = sorted(set(names))
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def complete(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the complete runs; raises RunsError where there is none."""
    if not (runs["status"] == "complete").any():
        raise RunsError(f"{name(runs)}: nothing to compare yet, no run of it is complete")
    return runs[runs["status"] == "complete"]


def difference(a: pd.DataFrame, b: pd.DataFrame, measure: str) -> Difference | None:
    """Return the difference with its interval over seeds; None where a side has no figure.

    Where seeds yield no interval, the headline's is that of the test images.
    """
    values_a, values_b = a[measure].dropna(), b[measure].dropna()
    if values_a.empty or values_b.empty:
        return None
    over_seeds = welch(values_a, values_b)
    if measure != HEADLINE or over_seeds.low is not None:
        return over_seeds
    return binomial_difference(
        values_a.mean(), int(a["test_images"].iloc[0]), values_b.mean(), int(b["test_images"].iloc[0])
    )


def data(runs: pd.DataFrame) -> list[str]:
    """Return which part of the data the two are about, if not the usual one."""
    text = data_of(summarize(runs))
    return [] if text == runs["data"].iloc[0] else [f"This is about {text}."]


def row(measure: str, a: pd.DataFrame, b: pd.DataFrame, found: Difference | None) -> list[str]:
    """Return a line of the table."""
    if found is None:
        return [MEASURES[measure], *"-----"]
    interval = "-" if found.low is None else f"{found.low:+.2f} to {found.high:+.2f}"
    p = "-" if found.p is None else f"{found.p:.4f}" if found.p >= 0.0001 else "< 0.0001"
    return [MEASURES[measure], _mean(a[measure]), _mean(b[measure]), f"{found.points:+.2f}", interval, p]


def basis(a: pd.DataFrame, b: pd.DataFrame, found: Difference) -> list[str]:
    """Return what the interval of the headline covers."""
    if found.p is not None:
        return [BY_SEEDS]
    why = NO_SPREAD if min(len(a), len(b)) > 1 else NO_SEEDS.format(a=len(a), b=len(b))
    return [why, BY_IMAGES.format(images=int(min(a["test_images"].iloc[0], b["test_images"].iloc[0])))]


def verdict(found: Difference) -> str:
    """Return what can be said of the test accuracies, and no more."""
    low, high = found.low, found.high
    over = "test images" if found.p is None else "seeds"
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
    return f"The data support that {claim}, on average over seeds (95 % confidence)."


def cause(a: pd.DataFrame, b: pd.DataFrame) -> str:
    """Return what the two differ in, and that of several things none can be called the cause."""
    one, other = things(a.iloc[0]), things(b.iloc[0])
    keys = unlike(one, other)
    said = [f"{key} ({as_text(one.get(key))} against {as_text(other.get(key))})" for key in keys]
    unknown = " The data do not tell which of these makes the difference." if len(keys) > 1 else ""
    return f"They differ in {', '.join(said) or 'no setting that is recorded'}.{unknown}"


def things(run: pd.Series) -> dict[str, Any]:
    """Return a run's settings, what its stages and width decide taken apart."""
    stages, settings = run["stages"], dict(run["settings"])
    network = {
        "blocks per stage": list(stages),
        "stages": len(stages),
        "width of the last stage": run["settings"]["model.width"] * 2 ** (len(stages) - 1),
    }
    del settings["model.name"], settings["model.stages"]
    return network | settings


def unlike(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Return in which `things` two runs differ; a width that follows from another difference is none of its own."""
    keys = [key for key in dict.fromkeys([*one, *other]) if one.get(key) != other.get(key)]
    follows = "model.width" in keys and "stages" not in keys
    return [key for key in keys if not (follows and key == "width of the last stage")]


def name(runs: pd.DataFrame) -> str:
    """Return the study and the configuration of runs that share both."""
    return f"{runs['study'].iloc[0]}/{runs['configuration'].iloc[0]}"


def _runs(runs: pd.DataFrame) -> str:
    return f"{len(runs)} complete run{'s' * (len(runs) != 1)}"


def _mean(values: pd.Series) -> str:
    found = estimate(values.dropna())
    return f"{100 * found.mean:.2f}" + ("" if found.std is None else f" ± {100 * found.std:.2f}")
