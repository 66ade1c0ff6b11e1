"""Where the figures of a study come from: the environments, the settings, and the commands that reproduce them."""

import re
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.frames.conditions import UNKNOWN
from analysis.frames.experiments import CONF
from analysis.frames.read import read_json
from analysis.frames.settings import DEFAULT, as_text, varied_settings
from analysis.frames.study import Study
from analysis.page.rendering import Grid

# What a command leaves out: where and how to run, which changes at most rounding; what a choice or the command itself
# states; and the checksum of pictures, which a run computes.
NOT_GIVEN = {"data.root", "device", "progress", "resume", "fail_fast", "probe_every", "compile"}
NOT_GIVEN |= {"logger", "experiment", "data.pictures", "runs_dir", "plan"}


def environments(runs: pd.DataFrame) -> Grid:
    """Return a row for each environment in which complete runs were computed, and how many were."""
    complete = runs[runs["status"] == "complete"]
    codes = zip(complete["path"], complete["code"].astype(object).fillna(UNKNOWN))
    found = Counter(environment(read_json(Path(path) / "result.json"), code) for path, code in codes)
    head = ["runs", "commit", "code", "precision", "system", "processor", "threads", "packages", "data"]
    rows = [[str(count), *row] for row, count in found.items()]
    return Grid("Environment", head, rows, [True] + [False] * 8)


def environment(result: dict[str, Any], code: str) -> tuple[str, ...]:
    """Return what a result says about how it was computed, as the cells of a row."""
    git, machine, versions, data = (result.get(name) or {} for name in ("git", "machine", "versions", "data"))
    return (
        str(git.get("commit", UNKNOWN))[:12] + (" with changes" if git.get("dirty") else ""),
        code,
        str(result.get("precision") or UNKNOWN) + ", compiled" * bool(result.get("compiled")),
        str(machine.get("system", UNKNOWN)),
        str(machine.get("gpu") or machine.get("cpu") or UNKNOWN),
        str(machine.get("threads", UNKNOWN)),
        ", ".join(f"{name} {version}" for name, version in versions.items()) or UNKNOWN,
        f"sha256 {data.get('sha256', UNKNOWN)}"[:19],
    )


def differences(configurations: pd.DataFrame) -> tuple[Grid, list[str]]:
    """Return the settings in which configurations differ, one row per configuration, and those that all share.

    The latter begin with the choices that all were composed from. Settings at their defaults everywhere are left out.
    """
    varied = varied_settings(configurations["settings"])
    keys = list(dict.fromkeys(key for settings in varied for key in settings))
    rows = [
        [name, *(as_text(settings.get(key, DEFAULT)) for key in keys)]
        for name, settings in zip(configurations["label"], varied)
    ]
    choices, settings = list(configurations["choices"]), configurations["settings"].iloc[0]
    identities = list(configurations["identity"])
    stated = settings.keys() if None in identities else set().union(*identities)
    groups = {group: name for group, name in choices[0].items() if name is not None and group not in NOT_GIVEN}
    shared = {group: name for group, name in groups.items() if all(other.get(group) == name for other in choices)}
    shared |= {key: value for key, value in settings.items() if key in stated and key not in keys}
    grid = Grid("Settings that differ", ["configuration", *keys], rows, [False] * (len(keys) + 1))
    return grid, [f"{key}={as_text(value)}" for key, value in shared.items()]


def commands(study: Study) -> dict[str, str]:
    """Return, by the label of each configuration that has a run, the command that reproduces its runs."""
    return {
        row["label"]: reproduce(study.runs[study.runs["folder"] == row["folder"]])
        for row in study.configurations.to_dict("records")
    }


def reproduce(runs: pd.DataFrame) -> str:
    """Return the command lines that reproduce the runs of one configuration.

    They give the project's choices, every key of a group with a choice (a run may have reset to its default a key that
    the choice sets), whatever else differs from the defaults, and the folder of the user's own pictures. Compiled and
    uncompiled runs get a line each.
    """
    row = runs.to_dict("records")[0]
    choices = {group: name for group, name in row["choices"].items() if name and group not in NOT_GIVEN}
    ours = {group: name for group, name in choices.items() if is_ours(group, name)}
    identity = row["identity"] if row["identity"] is not None and choices else row["config"]
    given = {
        key: as_override(value)
        for key, value in row["config"].items()
        if (key in identity or key.partition(".")[0] in choices) and not {key, key.partition(".")[0]} & NOT_GIVEN
    }
    if row["config"]["data.name"] == "folder":
        given["data.root"] = as_override(row["config"]["data.root"])
    settings = ours | given | {"study": as_override(Path(row["study"]).name)}
    compiled = runs["compiled"].astype(object)
    if compiled.notna().any():  # runs that do not record it go with those that do
        compiled = compiled.fillna(compiled.dropna().iloc[0])
    lines = []
    for kind, seeds in runs["seed"].groupby(compiled, dropna=False):
        own = settings | {"seed": ",".join(map(str, seeds))}
        if not pd.isna(kind):
            own["compile"] = str(kind).lower()
        words = (shlex.quote(f"{key}={value}") for key, value in own.items())
        lines.append(f"python -m resnet.run -m {' '.join(words)}")
    return "\n".join(lines)


def as_override(value: Any) -> str:
    """Return a value as a Hydra override: a text is quoted if Hydra's grammar would not read it as plain text."""
    if not isinstance(value, str) or re.fullmatch(r"[\w./-]*", value):
        return as_text(value)
    return "'" + re.sub(r"(\\*)('|$)", lambda end: 2 * end[1] + ("\\'" if end[2] else ""), value) + "'"


def is_ours(group: str, name: str) -> bool:
    """Return whether a choice comes with the project; if conf/ is missing, every choice counts as such."""
    return not CONF.is_dir() or (CONF / group / f"{name}.yaml").is_file()
