"""What a report puts first, and what it calls its parts: the studies by importance, each headed by its question."""

import re
from collections.abc import Sequence
from pathlib import Path

from analysis.claims.wording import joined
from analysis.frames.settings import Row
from analysis.frames.study import Study

EXPERIMENTS = Path(__file__).parents[2] / "conf" / "experiment"  # not there where only the package is installed
ASKED = re.compile(r"^# Question\s+(.*(?:\n#\s{2,}.*)*)", re.MULTILINE)
QUESTION = "Does a network get better the deeper it gets?"

ABOUT_DEPTH = {"layers", "stages", "shortcut"}


def importance(study: Study) -> tuple[int, bool, int]:
    """Return a key that sorts studies, the most important one first.

    What varies comes first: depth and shortcut, depth alone, anything else, nothing, and last studies that trained
    nothing. Then whether a configuration has several seeds, and then how many epochs the complete runs have in all.
    """
    complete = study.complete if len(study.runs) else study.runs
    names = {axis.name for axis in study.axes.axes} if len(study.runs) else set()
    kinds = [{"layers", "shortcut"} <= names, "layers" in names, bool(names), len(complete) > 0, len(study.runs) > 0]
    single = complete.empty or not complete["configuration"].duplicated().any()
    return (*kinds, True).index(True), single, -int(complete["epochs"].fillna(0).sum()) if len(complete) else 0


def question_of(study: Study) -> str:
    """Return what all of a study's runs were an experiment to find out; empty where they are of none, or of several."""
    rows: list[Row] = [*study.runs.to_dict("records"), *study.inspections.to_dict("records")]
    names = {row["choices"].get("experiment") for row in rows}
    file = EXPERIMENTS / f"{names.pop()}.yaml" if len(names) == 1 else None
    if file is None or not file.is_file():
        return ""
    found = ASKED.search(file.read_text(encoding="utf-8"))
    text = " ".join(found[1].replace("\n#", " ").split()) if found else ""
    return text[: text.rfind("?") + 1]


def heading(study: Study) -> str:
    """Return what a study asks, or else what it varies."""
    return question_of(study) or swept(study)


def swept(study: Study) -> str:
    """Return what varies in a study, in words."""
    if not len(study.runs):
        return "Networks before training"
    names = [axis.name for axis in study.axes.axes]
    if names:
        return f"Accuracy by {joined(names)}"
    models = dict.fromkeys(study.configurations["model"])
    return f"Accuracy of {joined(list(models))}, over seeds"


def title(studies: Sequence[Study]) -> str:
    """Return what a page is about: what its most important study asks, or varies."""
    first = studies[0]
    names = {axis.name for axis in first.axes.axes} if len(first.runs) else set()
    return question_of(first) or (QUESTION if "layers" in names and names <= ABOUT_DEPTH else swept(first))
