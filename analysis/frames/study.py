"""The runs of one study on one data set: its configurations along its axes, and all their tables."""

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from analysis.frames.axes import PLAIN, Axes, Axis, find_axes, name_shortcut, value_of, varied_keys
from analysis.frames.configurations import data_of, of_configurations, summarize
from analysis.frames.experiments import tuned_by
from analysis.frames.find import Lacking
from analysis.frames.inside.untrained import Untrained, load_untrained
from analysis.frames.rows import HEX_DIGITS, TRAIN
from analysis.frames.runs import load_runs
from analysis.frames.settings import Row, as_text
from analysis.frames.tables import load_classes, load_epochs, load_layers, load_table

SCORE = "val_acc_mean"  # the best configuration has the highest
TIE = 1e-9  # accuracies that differ by less are equal but for rounding
EDGE = 3  # values; with fewer, every value is at an end
UNLIKE = ("data.limit", "data.val_fraction")  # axes that change which images are held out


@dataclass(frozen=True)
class Choice:
    """The choice of an axis's best value by validation accuracy: among which values, and where it is not safe.

    The notes on unsafe choices are by configuration, in words: the other axes, and the value chosen.
    """

    axis: Axis
    values: tuple[str, ...]
    uneven: bool  # not all combinations of the other axes tried the same values
    waiting: tuple[str, ...]  # values without a complete, validated run
    edges: dict[str, str]  # the best lies at the edge of what was tried
    ties: dict[str, str]  # other values are as good
    untested: dict[str, str]  # only one value was tried
    diverged: dict[str, str]  # other runs with the best value diverged
    missing: tuple[str, ...]  # combinations of the other axes in which no value has one, either

    def of(self, configurations: pd.DataFrame, note: str) -> list[str]:
        """Return the texts of one of the notes for `configurations`, which later choices may have reduced."""
        return [text for name, text in getattr(self, note).items() if name in set(configurations["configuration"])]


@dataclass(frozen=True)
class Study:
    """Runs that may share a figure; `name` is also a relative path. `shown` are the runs that figures are made from.

    `runs` are trainings, `inspections` are runs that inspected untrained networks; one of the two may be empty.
    """

    name: str
    runs: pd.DataFrame
    inspections: pd.DataFrame = field(default_factory=pd.DataFrame)
    choices: tuple[Choice, ...] = ()

    @property
    def title(self) -> str:
        name = self.name.encode(errors="backslashreplace").decode()  # a folder's name need not be valid text
        rows = self.configurations if len(self.runs) else summarize(self.inspections)
        data = data_of(rows) if rows["images"].nunique() == 1 else rows["data"].iloc[0]  # else, an axis says which part
        return name if data in name.split("/") else f"{name} ({data})"

    @property
    def complete(self) -> pd.DataFrame:
        return self.runs[self.runs["status"] == "complete"]

    @property
    def diverged(self) -> bool:
        """Whether all runs diverged, so that no more will come of them."""
        return bool((self.runs["status"] == "diverged").all())

    @cached_property
    def shown(self) -> pd.DataFrame:
        """The complete runs, and all runs of configurations that have no complete one."""
        complete = self.runs["status"] == "complete"
        return self.runs[complete | ~complete.groupby(self.runs["configuration"]).transform("any")]

    @cached_property
    def chosen(self) -> dict[str, str]:
        """Axes on which each configuration has its own value, chosen by validation; also where, if in another study."""
        rows = self._rows.to_dict("records")
        tuned = {key: by for key, by in tuned_by(rows).items() if key in varied_keys(rows) and is_single(key, rows)}
        return tuned | {choice.axis.name: "" for choice in self.choices}

    @cached_property
    def axes(self) -> Axes:
        return find_axes(self._rows.to_dict("records"), self.chosen)

    @property
    def others(self) -> list[Axis]:
        """The axes other than depth and shortcut."""
        return [axis for axis in self.axes.axes if axis.name not in ("layers", "shortcut")]

    @cached_property
    def configurations(self) -> pd.DataFrame:
        """One row per configuration, as in `summarize`, in the order of the axes, with its place on each.

        `label` says in words what distinguishes it from the others.
        """
        rows = self._rows.to_dict("records")
        every = (*self.axes.axes, *self.axes.dependent)
        places = {axis.column: [axis.values.index(value_of(row, axis.name)) for row in rows] for axis in every}
        table = self._rows.assign(**places)
        order = [axis.column for axis in self.axes.axes]
        table = table.sort_values([*order, "depth"], kind="stable", ignore_index=True)
        table["label"] = [self.axes.label(row) or row["model"] for row in table.to_dict("records")]
        copies = table.duplicated("label", keep=False)
        table["label"] = table["label"].mask(copies, table["label"] + " in " + table["configuration"])
        return table

    @cached_property
    def _rows(self) -> pd.DataFrame:
        return summarize(self.runs)

    @cached_property
    def epochs(self) -> pd.DataFrame:
        return load_epochs(self.shown)

    @cached_property
    def layers(self) -> pd.DataFrame:
        return load_layers(self.shown)

    @cached_property
    def untrained(self) -> Untrained:
        return load_untrained(self.inspections, self.shown, self.layers)

    @cached_property
    def lesions(self) -> pd.DataFrame:
        return load_table(self.shown, "lesions.csv")

    @cached_property
    def classes(self) -> pd.DataFrame:
        return load_classes(self.shown)

    def axis(self, name: str, others: Iterable[str] = ()) -> Axis:
        """Return an axis by its name; raises Lacking, which also lists `others` as possible names."""
        axis = self.axes.find(name)
        if axis is None:
            raise self.no_axis(name, others)
        return axis

    def no_axis(self, name: str, others: Iterable[str] = ()) -> Lacking:
        """Return the error that lists the axes there are."""
        there_are = ", ".join([*(axis.name for axis in self.axes.axes), *others]) or "none"
        return Lacking(f"{name}: not an axis of {self.name}; there are {there_are}")

    def best(self, name: str) -> "Study":
        """Return the study with one value of an axis for each combination of the others: the best by validation.

        Best is the highest mean validation accuracy over the complete runs. Raises Lacking for an unknown axis, or
        if no complete run has a validation accuracy.
        """
        axis, table = self.axis(name), self.configurations
        judged = table.dropna(subset=SCORE)
        if judged.empty:
            why = "all runs diverged" if self.diverged else "no complete run has a validation accuracy"
            raise Lacking(f"{self.name}: no best {axis.name}, {why}")
        best = best_rows(judged, [other.column for other in self.axes.axes if other != axis])
        notes: dict[str, dict[str, str]] = {"edges": {}, "ties": {}, "untested": {}, "diverged": {}}
        missing, tries = [], set()
        for rest, rows in slices(table, self.axes.axes, axis):
            own = of_configurations(best, rows).to_dict("records")
            if not own:
                missing.append(rest)
                continue
            place, chosen, top = own[0][axis.column], own[0]["configuration"], best_places(rows, axis)
            tried = rows[rows[SCORE].notna() | (rows["diverged"] > 0)]
            tries.add(frozenset(tried[axis.column]))
            where = {"edges": edge(axis, set(rows[axis.column]), top), "ties": len(top) > 1}
            where |= {"untested": tried[axis.column].nunique() == 1, "diverged": own[0]["diverged"] > 0}
            for note in filter(where.get, notes):
                notes[note][chosen] = f"{rest}: {axis.text(place)}" if rest else axis.text(place)
        known = {*judged[axis.column]}
        values, waiting = (
            tuple(axis.text(place) for place in sorted(places)) for places in (known, {*table[axis.column]} - known)
        )
        runs = of_configurations(self.runs, best).reset_index(drop=True)
        choice = Choice(axis, values, len(tries) > 1, waiting, **notes, missing=tuple(missing))
        return replace(self, runs=runs, choices=(*self.choices, choice))


def validated(rows: pd.DataFrame) -> bool:
    """Return whether any configuration has a validation accuracy to choose by."""
    return bool(rows[SCORE].notna().any())


def best_rows(rows: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return the configuration best by validation for each combination of some columns; the first of equal ones."""
    ranked = rows.sort_values(SCORE, ascending=False, na_position="last", kind="stable")
    kept = ranked.drop_duplicates(columns) if columns else ranked.head(1)
    return of_configurations(rows, kept)


def best_places(rows: pd.DataFrame, axis: Axis) -> list[int]:
    """Return the places of the values of an axis that are best by validation, several if these are equally good."""
    return sorted({*rows.loc[rows[SCORE].max() - rows[SCORE] < TIE, axis.column]})


def edge(axis: Axis, tried: Collection[int], best: Collection[int]) -> str:
    """Return whether the best value is the `lowest` or `highest` one tried; empty if neither, or if none lies beyond.

    Values whose runs are under way count as tried. No value lies below zero, names have no order, and among values
    validated on different images none is best.
    """
    if not axis.numeric or axis.name in UNLIKE or len(tried) < EDGE or len(best) > 1:
        return ""
    if min(tried) in best:
        return "lowest" if axis.values[min(tried)] != 0 else ""
    return "highest" if max(tried) in best else ""


def is_single(key: str, rows: Sequence[Row]) -> bool:
    """Return whether no two configurations differ only in this key."""
    others = {as_text({name: value for name, value in row["settings"].items() if name != key}) for row in rows}
    return len(others) == len(rows)


def slices(configurations: pd.DataFrame, axes: Sequence[Axis], axis: Axis | None) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each group of configurations that differ on one axis only, after their shared other values in words."""
    others = [other for other in axes if other != axis]
    if not others:
        yield "", configurations
        return
    for _, rows in configurations.groupby([other.column for other in others], sort=True):
        row = rows.to_dict("records")[0]
        yield ", ".join(other.label(row[other.column]) for other in others), rows


def load_studies(folders: Iterable[str | Path], best: Sequence[str] = ()) -> list[Study]:
    """Return the studies in `folders`, one per data set; raises RunsError if there is no run.

    For each axis in `best`, only the value that is best by validation is kept. Of several studies, those without such
    an axis, or without a validated run, are left out.
    """
    return those_that_can(lambda study: pick(study, best), split(load_runs(folders)))


def those_that_can(work: Callable[[Study], Study], studies: Iterable[Study]) -> list[Study]:
    """Return what `work` makes of each study; those that lack what was asked for are only named, on stderr.

    Studies without trainings stay as they are. Raises Lacking if all with trainings lack it.
    """
    found, errors, able = [], [], False
    for study in studies:
        try:
            found.append(work(study) if len(study.runs) else study)
            able |= len(study.runs) > 0
        except Lacking as error:
            errors.append(error)
    if errors and not able:
        raise errors[0]
    for error in errors:
        print(error, file=sys.stderr)
    return found


def pick(study: Study, best: Sequence[str]) -> Study:
    """Return the study with the best value of each named axis; raises Lacking.

    One choice can make a later one unnecessary: an axis left with one value, or one per configuration, is skipped.
    """
    for name in best:
        if study.axis(name) not in study.axes.axes:
            raise study.no_axis(name)
    chosen = study
    for name in best:
        chosen = chosen.best(name) if chosen.axes.find(name) in chosen.axes.axes else chosen
    return chosen


def split(runs: pd.DataFrame) -> list[Study]:
    """Return the runs by study and data set; each set of the user's own pictures is a data set."""
    pictures = pd.Series([config.get("data.pictures") or "" for config in runs["config"]], runs.index, dtype=object)
    if pictures[pictures != ""].nunique() > 1:
        runs = runs.assign(data=runs["data"] + ("-" + pictures.str[:HEX_DIGITS]).where(pictures != "", ""))
    several = runs.groupby("study")["data"].transform("nunique") > 1
    names = runs["study"].where(~several, runs["study"] + "/" + runs["data"])
    parts = runs.groupby([runs["study"], runs["data"], names], sort=False)
    return [by_task(str(key[2]), part) for key, part in parts]


def by_task(name: str, runs: pd.DataFrame) -> Study:
    """Return these trainings and inspections as a study."""
    trained = runs["task"] == TRAIN
    return Study(name, runs[trained].reset_index(drop=True), runs[~trained].reset_index(drop=True))


def networks(study: Study, rows: pd.DataFrame) -> str:
    """Return in words what configurations that differ only in depth share: `plain networks with model.width=8`."""
    row, several = rows.to_dict("records")[0], rows["shortcut"].nunique() > 1
    name = "networks, each with its best shortcut," if several else f"{name_shortcut(row['shortcut'])} networks"
    rest = ", ".join(axis.label(row[axis.column]) for axis in study.others)
    return name + (rest and f" with {rest}")


def twins(study: Study, configurations: pd.DataFrame) -> Iterator[tuple[pd.DataFrame, pd.DataFrame, list[int]]]:
    """Yield residual and plain configurations that share all but depth and shortcut, and the depths both have."""
    for _, rows in slices(configurations, study.others, None):
        plain = rows[rows["shortcut"] == PLAIN]
        for shortcut, residual in rows.groupby("shortcut", sort=False):
            common = sorted(set(residual["depth"]) & set(plain["depth"]))
            if shortcut != PLAIN and common:
                yield residual, plain, common
