"""Runs that a sweep has listed but not started."""

import json
from collections.abc import Iterable
from pathlib import Path

from analysis.frames.settings import Settings


def not_started(folders: Iterable[str], config: Settings) -> int:
    """Return how many runs on `config`'s data a sweep has yet to start in the studies of these configuration folders.

    A sweep lists its runs in `.sweeps/` until each has started. That folder is next to the studies or, if run folders
    were named by hand, inside a study.
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
            continue  # written by another version, or not a list of runs
    return sum(
        not studies.isdisjoint((run.parent, run.parent.parent)) and not (run / "config.yaml").exists() for run in runs
    )
