"""Runs that a sweep listed and has not begun."""

import json
from collections.abc import Iterable
from pathlib import Path

from analysis.frames.settings import Settings


def not_started(folders: Iterable[str], config: Settings) -> int:
    """Return how many runs on a configuration's data, besides these configurations' folders, a sweep has yet to begin.

    A sweep lists its runs in `.sweeps/`, beside the studies or, of folders named by hand, in one, until each has begun.
    """
    studies = {Path(folder).parent for folder in folders}
    places = studies | {study.parent for study in studies}
    runs: set[Path] = set()
    for file in (file for place in places for file in place.glob(".sweeps/*.json")):
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
    return sum(
        not studies.isdisjoint((run.parent, run.parent.parent)) and not (run / "config.yaml").exists() for run in runs
    )
