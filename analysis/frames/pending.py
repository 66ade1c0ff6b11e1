"""Runs that a sweep listed and has not begun."""

import json
from collections.abc import Iterable
from pathlib import Path

from analysis.frames.settings import Settings


def not_started(folders: Iterable[str], config: Settings) -> int:
    """Return how many runs on a configuration's data, besides these configurations' folders, a sweep has yet to begin.

    A sweep lists its runs in `.sweeps/`, beside the studies, until each has begun.
    """
    studies = {Path(folder).parent for folder in folders}
    runs: set[Path] = set()
    for file in (file for root in {study.parent for study in studies} for file in root.glob(".sweeps/*.json")):
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            own = {
                name
                for name, other in content["configs"].items()
                if all(other["data"].get(key, "") == config.get(f"data.{key}", "") for key in ("name", "pictures"))
            }
            runs |= {Path(run) for run, name in zip(content["runs"], content["names"]) if name in own}
        except (OSError, ValueError, KeyError, TypeError):
            continue  # of another version, or no list
    return sum(run.parent.parent in studies and not (run / "config.yaml").exists() for run in runs)
