"""How runs were computed: in which precision, on what, by which code, from which data, and whether all alike.

Results of older versions do not say which code computed them. That counts as a difference only next to one that does.
"""

import pandas as pd

from analysis.frames.rows import CONDITIONS, SEVERAL, UNKNOWN

BY = ["study", "folder"]  # a configuration
PROGRAM = {"code": "code", "data_sha256": "data"}  # columns of checksums, and what each is the checksum of


def with_unknown(runs: pd.DataFrame) -> pd.DataFrame:
    """Return runs with UNKNOWN in place of missing checksums."""
    return runs.assign(**{column: runs[column].astype(object).fillna(UNKNOWN) for column in PROGRAM})


def uniform(runs: pd.DataFrame) -> pd.DataFrame:
    """Return, by configuration, the conditions that all its runs share."""
    groups = with_unknown(runs).groupby(BY)[list(CONDITIONS)]
    return groups.first().where(groups.nunique() == 1)


def mixtures(runs: pd.DataFrame) -> pd.Series:
    """Return, by configuration, how its seeds differ, as `precision: bf16 (seed 0), fp32 (seed 1)`; empty if alike."""
    runs = with_unknown(runs)
    several = runs.groupby(BY)[list(CONDITIONS)].nunique().gt(1)
    for column in ("device", "threads", *PROGRAM):  # these may change within a run
        several[column] |= runs[column].astype(str).str.contains(SEVERAL).groupby([runs[key] for key in BY]).any()
    texts = []
    for (_, folder), row in zip(several.index, several.to_numpy()):
        columns = [column for column, differs in zip(CONDITIONS, row) if differs]
        own = runs[runs["folder"] == folder] if columns else runs
        texts.append("; ".join(f"{PROGRAM.get(column, column)}: {_by_value(own, column)}" for column in columns))
    return pd.Series(texts, several.index, dtype=object)


def _by_value(runs: pd.DataFrame, column: str) -> str:
    """Return the values of a column, and which seeds have each."""
    groups = runs.groupby(column)["seed"].unique().items()
    return ", ".join(f"{value} (seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))})" for value, seeds in groups)


def differing_programs(runs: pd.DataFrame) -> tuple[str, ...]:
    """Return which of code and data differ between runs."""
    named = with_unknown(runs)
    return tuple(
        name
        for column, name in PROGRAM.items()
        if named[column].nunique() > 1 or named[column].str.contains(SEVERAL).any()
    )
