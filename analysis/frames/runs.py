"""All run folders as a frame, one row per run.

A sweep that is in progress, stopped or half broken is the normal case. A run whose configuration can be read, and fits
the others in its folder, is always a row, with its status; anything else is left out, with one line on stderr that
names the file and the reason.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.frames.find import REFERENCE, RunsError, find_runs, searched, warn
from analysis.frames.rows import COLUMNS, COUNTS, read_run
from analysis.frames.settings import contradicting_keys, telling_settings


def load_runs(folders: Iterable[str | Path]) -> pd.DataFrame:
    """Return one row per run, columns as in COLUMNS; raises RunsError if there are no runs.

    `task` tells trainings from inspections of untrained networks, which only have the figures of their network.
    `status` is complete, unfinished, failed, diverged or damaged; figures are those of complete runs; accuracies are
    fractions. `config` is the whole configuration by dotted key, `settings` the part of it that can tell these runs
    apart.
    """
    folders = list(folders)
    rows = [row for path in find_runs(folders) if (row := read_run(path))]
    if not rows:
        raise RunsError(f"{searched(folders)}: no run found; `python -m resnet.run model=blocks4` makes one in runs/")
    runs = pd.DataFrame(_consistent(rows), columns=list(COLUMNS))
    runs = runs.astype(dict.fromkeys(COUNTS, "Int64"))
    runs = pd.concat([with_common_settings(part) for _, part in runs.groupby("task")])
    runs["study"] = _unambiguous_studies(runs)
    runs = runs.sort_values(["study", "depth", "configuration", "seed"], kind="stable")
    last = runs["study"].str.contains(rf"(?:^|/){REFERENCE}/")  # the user's own come first
    return pd.concat([runs[~last], runs[last]], ignore_index=True)


def with_common_settings(runs: pd.DataFrame) -> pd.DataFrame:
    """Return runs with their `settings` limited to those that can tell these runs apart."""
    settings = telling_settings(runs["config"], runs["identity"])
    return runs.assign(settings=pd.Series(settings, runs.index))


def _consistent(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out, with a warning, runs that cannot be averaged with the others in their folder.

    A copy of a seed would count twice; a run with other settings would make the mean meaningless.
    """
    first: dict[str, dict[str, Any]] = {}
    seeds: dict[tuple[str, int], str] = {}
    kept = []
    for row in rows:
        reference = first.setdefault(row["folder"], row)
        other = seeds.setdefault((row["folder"], row["seed"]), row["path"])
        if other != row["path"]:
            warn(f"{row['path']}: left out, it has the same seed as {other}")
        elif row is not reference and (keys := contradicting_keys(row, reference)):
            warn(f"{row['path']}: left out, its {keys[0]} is not that of {reference['path']}")
        else:
            kept.append(row)
    return kept


def _unambiguous_studies(runs: pd.DataFrame) -> pd.Series:
    """Return each run's study, or its path if studies in different places have the same name."""
    places = runs["folder"].map(os.path.dirname)
    shared = places.groupby(runs["study"]).transform("nunique") > 1
    return runs["study"].mask(shared, places.map(os.path.relpath))
