"""The order of a report's studies, by importance, and their headings: the question that each one asks."""

from collections.abc import Sequence

from analysis.claims.numbers import in_a_row
from analysis.frames.experiments import question_of
from analysis.frames.study import Study

QUESTION = "Does a network get better the deeper it gets?"

ABOUT_DEPTH = {"layers", "stages", "shortcut"}


def importance(study: Study) -> tuple[int, bool, int]:
    """Return a sort key that puts the most important study first.

    Studies are ranked by what varies in them: depth and shortcut, depth alone, anything else, nothing; those without
    trainings come last. Of equal ones, those with several seeds in at least half of their configurations come first,
    then those with more epochs in all.
    """
    complete = study.complete
    names = {axis.name for axis in study.axes.axes} if len(study.runs) else set()
    kinds = [{"layers", "shortcut"} <= names, "layers" in names, bool(names), len(complete) > 0, len(study.runs) > 0]
    single = not (complete["configuration"].value_counts() > 1).mean() >= 0.5
    return (*kinds, True).index(True), single, -int(complete["epochs"].sum())


def asked(study: Study) -> str:
    """Return the question of the experiment that all of a study's runs came from; empty if there is none."""
    return question_of([*study.runs.to_dict("records"), *study.inspections.to_dict("records")])


def heading(study: Study) -> str:
    """Return what a study asks, or else what it varies."""
    return asked(study) or swept(study)


def swept(study: Study) -> str:
    """Return what varies in a study, in words."""
    if not len(study.runs):
        return "Networks before training"
    names = [axis.name for axis in study.axes.axes]
    if names:
        return f"Accuracy by {in_a_row(names)}"
    models = dict.fromkeys(study.configurations["model"])
    return f"Accuracy of {in_a_row(models)}" + ", over seeds" * (study.runs["seed"].nunique() > 1)


def title(studies: Sequence[Study]) -> str:
    """Return what a page is about: what its most important study asks, or varies."""
    first = studies[0]
    names = {axis.name for axis in first.axes.axes} if len(first.runs) else set()
    return asked(first) or (QUESTION if "layers" in names and names <= ABOUT_DEPTH else swept(first))
