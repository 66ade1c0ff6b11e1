"""The runs of one study about one data set, with all their tables, and which of them may be set side by side.

Two configurations of the same `recipe` differ in nothing but blocks per stage and shortcut: over depths they are a
series, and of one depth they are twins.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from analysis.frames.configurations import data_of, summarize
from analysis.frames.inside.untrained import Untrained, load_untrained
from analysis.frames.rows import TRAIN
from analysis.frames.runs import load_all_runs
from analysis.frames.settings import Row, Settings, as_assignments, as_text, varied_settings
from analysis.frames.tables import load_classes, load_epochs, load_layers, load_lesions

SHORTCUTS = {"projection": "residual (projection)", "pad": "residual (pad)", "none": "plain"}
NETWORK = {"model.name", "model.stages", "model.width", "model.shortcut"}


@dataclass(frozen=True)
class Study:
    """Runs that may share a figure; `name` is also a relative path. `shown` are those that figures are made of.

    `runs` are trainings, `inspections` those that looked at untrained networks; one of the two may be empty.
    """

    name: str
    runs: pd.DataFrame
    inspections: pd.DataFrame

    @property
    def title(self) -> str:
        name = self.name.encode(errors="backslashreplace").decode()  # a folder's name need not be text
        data = data_of(self.configurations if len(self.runs) else summarize(self.inspections))
        return name if data in name.split("/") else f"{name} ({data})"

    @cached_property
    def shown(self) -> pd.DataFrame:
        """Complete runs; of a configuration that has none, those that there are."""
        complete = self.runs["status"] == "complete"
        return self.runs[complete | ~complete.groupby(self.runs["configuration"]).transform("any")]

    @cached_property
    def configurations(self) -> pd.DataFrame:
        return describe(self.runs)

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
        return load_lesions(self.shown)

    @cached_property
    def classes(self) -> pd.DataFrame:
        return load_classes(self.shown)


def load_studies(folders: Iterable[str | Path]) -> list[Study]:
    """Return the studies in `folders`, one per data set; raises RunsError where there is no run."""
    runs = load_all_runs(folders)
    several = runs.groupby("study")["data"].transform("nunique") > 1
    names = runs["study"].where(~several, runs["study"] + "/" + runs["data"])
    parts = runs.groupby([runs["study"], runs["data"], names], sort=False)
    return [by_task(str(key[2]), part) for key, part in parts]


def by_task(name: str, runs: pd.DataFrame) -> Study:
    """Return a study of these trainings and inspections."""
    trained = runs["task"] == TRAIN
    return Study(name, runs[trained].reset_index(drop=True), runs[~trained].reset_index(drop=True))


def describe(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per configuration, as `summarize` has it, by shortcut and depth.

    `label` names it among those with its shortcut and `full_label` among all, `recipe` is what it shares with those
    that differ in depth and shortcut only, `varied` what of this the study has otherwise too, and `series` names those
    that differ in depth only.
    """
    rows = summarize(runs)
    recipes = [recipe(row) for row in rows.to_dict("records")]
    rows["recipe"] = [as_text(settings) for settings in recipes]
    rows["varied"] = [as_assignments(settings) for settings in varied_settings(recipes)]
    names = pd.Series([name_shortcut(shortcut) for shortcut in rows["shortcut"]], rows.index)
    rows["series"] = (names + ", " + rows["varied"]).str.removesuffix(", ")
    rows["label"] = (rows["model"] + ", " + rows["differs"]).str.removesuffix(", ")
    alike = rows.duplicated(["label", "shortcut"], keep=False)  # what a table tells apart by its column of epochs
    epochs = rows["epochs"].map(lambda n: "" if pd.isna(n) else f", {n} epoch{'s' * (n != 1)}")
    rows["label"] = rows["label"].mask(alike, rows["label"] + epochs)
    rows["full_label"] = rows["label"] + ", " + names
    rows["order"] = rows["shortcut"].map({name: place for place, name in enumerate(SHORTCUTS)})
    return rows.sort_values(["order", "depth"], kind="stable", ignore_index=True)


def name_shortcut(shortcut: str) -> str:
    """Return what networks with a shortcut are called."""
    return SHORTCUTS.get(shortcut, shortcut)


def networks(configurations: pd.DataFrame) -> str:
    """Return what the configurations of one series are, in words: `plain networks with width=8`."""
    row = configurations.iloc[0]
    return f"{name_shortcut(row['shortcut'])} networks" + (row["varied"] and f" with {row['varied']}")


def recipe(row: Row) -> Settings:
    """Return a configuration's settings but for its depth and its shortcut."""
    stages = row["stages"]
    shape = {"stages": len(stages) if len(set(stages)) == 1 else stages, "width": row["width"]}
    return shape | beside_network(row["settings"])


def beside_network(settings: Settings) -> Settings:
    """Return all settings but those of the network."""
    return {key: value for key, value in settings.items() if key not in NETWORK}


def all_series(configurations: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield the configurations of each series: those that differ in nothing but depth."""
    for _, rows in configurations.groupby(["shortcut", "recipe"], sort=False):
        yield rows


def twins(configurations: pd.DataFrame) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Yield the residual and the plain configurations that share a recipe and at least one depth."""
    for _, rows in configurations.groupby("recipe", sort=False):
        plain = rows[rows["shortcut"] == "none"]
        for shortcut, residual in rows.groupby("shortcut", sort=False):
            if shortcut != "none" and set(residual["depth"]) & set(plain["depth"]):
                yield residual, plain
