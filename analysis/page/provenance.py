"""Where the figures of a study come from: on what they were computed, what is set otherwise, how to get them again."""

import shlex
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.frames.configurations import as_text
from analysis.frames.read import Damaged, read_json
from analysis.frames.runs import origins
from analysis.page.rendering import Grid

UNKNOWN = "unknown"


def environments(runs: pd.DataFrame) -> Grid:
    """Return a row for each environment that complete runs were computed in, and how many were."""
    found: dict[tuple[str, ...], int] = {}
    for path in runs.loc[runs["status"] == "complete", "path"]:
        row = environment(Path(path) / "result.json")
        found[row] = found.get(row, 0) + 1
    head = ["runs", "commit", "precision", "system", "processor", "threads", "packages", "data"]
    rows = [[str(count), *row] for row, count in found.items()]
    return Grid("Environment", head, rows, [True] + [False] * 7)


def environment(file: Path) -> tuple[str, ...]:
    """Return what a result says of where it was computed, as the cells of a row, `A then B` of a run that moved."""
    try:
        result = read_json(file)
    except Damaged:
        result = None
    parts = map(_cells, origins(result) if isinstance(result, dict) else [{}])
    return tuple(" then ".join(value for value, _ in groupby(values)) for values in zip(*parts))


def _cells(result: dict[str, Any]) -> tuple[str, ...]:
    parts = {name: _part(result, name) for name in ("git", "machine", "versions", "data")}
    machine, git = parts["machine"], parts["git"]
    commit = str(git.get("commit", UNKNOWN))[:12] + (" with changes" if git.get("dirty") else "")
    packages = ", ".join(f"{name} {version}" for name, version in parts["versions"].items())
    processor = machine.get("gpu") or machine.get("cpu") or UNKNOWN
    precision = f"{result.get('precision') or UNKNOWN}" + ", compiled" * bool(result.get("compiled"))
    cells = [commit, precision, machine.get("system", UNKNOWN), processor]
    cells += [
        machine.get("threads", UNKNOWN),
        packages or UNKNOWN,
        f"sha256 {parts['data'].get('sha256', UNKNOWN)}"[:19],
    ]
    return tuple(map(str, cells))


def _part(result: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a part of a result; an empty one where it is missing, as in a run of an older version."""
    part = result.get(name)
    return part if isinstance(part, dict) else {}


def differences(configurations: pd.DataFrame) -> tuple[Grid, list[str]]:
    """Return the settings that not all configurations share, a row a configuration; and the others, as `key=value`."""
    settings = [{key: as_text(value) for key, value in row.items()} for row in configurations["settings"]]
    keys = dict.fromkeys(key for row in settings for key in row)
    told = [key for key in keys if len({row.get(key) for row in settings}) > 1]
    rows = [
        [name, *(row.get(key, "-") for key in told)] for name, row in zip(configurations["configuration"], settings)
    ]
    shared = [f"{key}={settings[0][key]}" for key in keys if key not in told]
    return Grid("Settings that differ", ["configuration", *told], rows, [False] * (len(told) + 1)), shared


def commands(runs: pd.DataFrame) -> dict[str, str]:
    """Return configuration -> the command that computes its runs again.

    Every setting is in it, and whether they were compiled, so that it means the same whatever the defaults have become:
    a line for those that were, and one for those that were not.
    """
    found = {}
    for name, rows in runs.groupby("configuration", sort=False):
        settings = {key: as_text(value) for key, value in rows["settings"].iloc[0].items()}
        settings["study"] = Path(rows["study"].iloc[0]).name
        known, lines = rows["compiled"].dropna(), []
        kinds = rows["compiled"].where(rows["compiled"].notna(), known.iloc[0] if len(known) else None)
        for compiled, seeds in rows["seed"].groupby(kinds, dropna=False):
            own = settings | {"seed": ",".join(map(str, seeds))}
            if not pd.isna(compiled):
                own["compile"] = str(compiled).lower()
            words = (shlex.quote(f"{key}={value}") for key, value in own.items())
            lines.append(f"python -m resnet.run -m {' '.join(words)}")
        found[name] = "\n".join(lines)
    return found
