"""Runs that a sweep listed and has not begun."""

import json
from collections.abc import Iterable
from pathlib import Path


def not_started(folders: Iterable[str]) -> int:
    """Return how many runs beside these configurations' folders a sweep is still to begin, or was stopped before.

    A sweep lists its runs in `.sweeps/`, beside the studies, until each has begun.
    """
    studies = {Path(folder).parent for folder in folders}
    runs: set[Path] = set()
    for file in (file for root in {study.parent for study in studies} for file in root.glob(".sweeps/*.json")):
        try:
            runs |= {Path(run) for run in json.loads(file.read_text(encoding="utf-8"))["runs"]}
        except (OSError, ValueError, KeyError, TypeError):
            continue  # of another version, or no list
    return sum(run.parent.parent in studies and not (run / "config.yaml").exists() for run in runs)
