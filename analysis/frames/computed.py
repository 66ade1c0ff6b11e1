"""How runs were computed, in which precision, on what, and whether that was the same for all that are compared."""

from collections.abc import Iterator

import pandas as pd

from analysis.frames.runs import COMPUTED


def find_mixtures(runs: pd.DataFrame) -> dict[str, str]:
    """Return, by folder, how seeds not computed alike were, as `precision: bf16 (seed 0), fp32 (seed 1)`.

    A seed whose parts differ stands with each, if others' do not: `threads: 1 (seed 0), 2 (seeds 0, 1)`.
    """
    several = runs.groupby("folder")[list(COMPUTED)].nunique().gt(1)
    found = {}
    for folder, columns in several[several.any(axis=1)].iterrows():
        own = runs[runs["folder"] == folder]
        found[folder] = "; ".join(f"{name}: {_by_value(own, name)}" for name in COMPUTED if columns[name])
    return found


def _by_value(runs: pd.DataFrame, column: str) -> str:
    """Return the values of a column, and which seeds have each."""
    groups = runs.explode(column).groupby(column)["seed"].unique().items()
    return ", ".join(f"{value} (seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))})" for value, seeds in groups)


def find_mixed(configurations: pd.DataFrame) -> Iterator[str]:
    """Name the configurations whose seeds were not all computed alike, a sentence for those that are mixed alike."""
    mixed = configurations[configurations["mixed"].fillna("") != ""]
    for how, rows in mixed.groupby("mixed", sort=False):
        names = [f"{row.model} ({', '.join(filter(None, (row.shortcut, row.differs)))})" for row in rows.itertuples()]
        yield (
            f"The seeds of {', '.join(names)} were not all computed in the same way ({how}): "
            "their deviation is not that of seeds alone."
        )


def find_precisions(runs: pd.DataFrame, configurations: pd.DataFrame) -> Iterator[str]:
    """Name configurations whose seeds were not computed alike, or say that configurations had several precisions."""
    yield from find_mixed(configurations)
    precisions = _throughout(runs, "precision").value_counts().sort_index()
    if len(precisions) > 1:
        said = " and ".join(f"{count} in {precision}" for precision, count in precisions.items())
        yield f"Not all configurations ran in the same precision ({said}), which is another difference between them."
    compiled = _throughout(runs, "compiled").value_counts()
    if len(compiled) > 1:
        yield (
            f"Not all configurations were compiled ({compiled[True]} were and {compiled[False]} were not), "
            "which rounds differently in them."
        )


def _throughout(runs: pd.DataFrame, column: str) -> pd.Series:
    """Return, by folder, the value that all its runs have in a column; without those that have several or none."""
    values = runs.dropna(subset=column).groupby("folder")[column]
    return values.first()[values.nunique() == 1]
