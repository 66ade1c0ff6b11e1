"""Runs that a sweep listed and has not begun."""

import json
from collections.abc import Iterable
from pathlib import Path


def not_started(folders: Iterable[str], data: str) -> int:
    """Return how many runs on a data set, beside these configurations' folders, a sweep has yet to begin.

    A sweep lists its runs in `.sweeps/`, beside the studies, until each has begun.
    """
    studies = {Path(folder).parent for folder in folders}
    runs: set[Path] = set()
    for file in (file for root in {study.parent for study in studies} for file in root.glob(".sweeps/*.json")):
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            every = {Path(run): content["configs"][str(Path(run).parent)] for run in content["runs"]}
            runs |= {run for run, config in every.items() if config["data"]["name"] == data}
        except (OSError, ValueError, KeyError, TypeError):
            continue  # of another version, or no list
    return sum(run.parent.parent in studies and not (run / "config.yaml").exists() for run in runs)
