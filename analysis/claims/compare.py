"""Two configurations side by side: which ones are meant, and what their runs support."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.claims.comparable import changes, flatten_settings
from analysis.claims.wording import listed
from analysis.frames.configurations import summarize
from analysis.frames.find import BadRequest, RunsError
from analysis.frames.runs import load_runs, with_common_settings
from analysis.frames.statistics import Difference, binomial_difference, welch

MEASURED = ("train_acc", "val_acc", "test_acc")
HEADLINE = "test_acc"
NAMED = 20  # configurations in a message; of more, the rest is counted


@dataclass(frozen=True)
class Comparison:
    """The complete runs of two configurations, and by measure how much B exceeds A, None without a figure.

    `configurations` are the two rows of `summarize`; `changes` has both values of each key in which they differ.
    """

    a: pd.DataFrame
    b: pd.DataFrame
    left_out: int
    configurations: pd.DataFrame
    differences: dict[str, Difference | None]
    changes: dict[str, tuple[Any, Any]]

    @property
    def headline(self) -> Difference:
        found = self.differences[HEADLINE]
        assert found is not None  # a complete run has it
        return found


def compare(a: str, b: str, folders: Sequence[str]) -> Comparison:
    """Return the comparison of two configurations; raises RunsError.

    Each is a folder, or the beginning of the name of one configuration in `folders`, with or without `study/`.
    """
    named = None if os.path.isdir(a) and os.path.isdir(b) else load_runs(folders)
    all_a, all_b = choose(a, named), choose(b, named)
    if all_a["folder"].iloc[0] == all_b["folder"].iloc[0]:
        raise BadRequest(f"{a} and {b} are the same configuration, {name(all_a)}")
    if all_a["data"].iloc[0] != all_b["data"].iloc[0]:
        datas = f"{all_a['data'].iloc[0]} and {all_b['data'].iloc[0]}"
        raise BadRequest(f"{name(all_a)} and {name(all_b)} cannot be compared: they are about {datas}")
    all_runs = with_common_settings(pd.concat([all_a, all_b], ignore_index=True))
    runs_a, runs_b = (complete(all_runs[all_runs["folder"] == side["folder"].iloc[0]]) for side in (all_a, all_b))
    both = pd.concat([runs_a, runs_b])
    return Comparison(
        runs_a,
        runs_b,
        len(all_runs) - len(both),
        summarize(both),
        {measure: difference(runs_a, runs_b, measure) for measure in MEASURED},
        changes(*(flatten_settings(side.to_dict("records")[0]) for side in (runs_a, runs_b))),
    )


def choose(wanted: str, named: pd.DataFrame | None) -> pd.DataFrame:
    """Return the runs of the one configuration that is meant, a folder or among `named`; raises RunsError."""
    runs = load_runs([wanted]) if named is None or os.path.isdir(wanted) else named
    names = runs["study"] + "/" + runs["configuration"]
    if runs is named:
        exact = (runs["configuration"] == wanted) | (names == wanted)
        begins = runs["configuration"].str.startswith(wanted) | names.str.startswith(wanted)
        runs = runs[exact] if exact.any() else runs[begins]
    found, there_are = sorted(set(names[runs.index])), sorted(set(names))
    if not found:
        known = listed(there_are, NAMED, ", ", " and ")
        raise BadRequest(f"{wanted}: no configuration's name begins like this; there are {known}")
    if len(found) > 1:
        raise BadRequest(f"{wanted}: could be {listed(found, NAMED, ', ', ' and ')}")
    return runs


def complete(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the complete runs; raises RunsError if there is none."""
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
    images = (int(side["test_images"].iloc[0]) for side in (a, b))
    return binomial_difference(float(values_a.mean()), next(images), float(values_b.mean()), next(images))


def name(runs: pd.DataFrame) -> str:
    """Return the study and the configuration of runs that share both."""
    return f"{runs['study'].iloc[0]}/{runs['configuration'].iloc[0]}"
