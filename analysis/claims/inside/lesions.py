"""What trained networks lose without a block or with two swapped, and what their residual branches contribute."""

from collections.abc import Iterator
from itertools import accumulate, product
from typing import Any

import numpy as np
import pandas as pd

from analysis.claims.finding import Finding
from analysis.frames.axes import PLAIN, name_shortcut
from analysis.frames.configurations import of_configurations
from analysis.frames.settings import Row
from analysis.frames.statistics import estimate, welch
from analysis.frames.study import best_rows

SEVERE = 10.0  # points: a lesion that costs more is named
ANY_SHORTCUT = {"model.name", "model.shortcut"}  # settings in which twins may differ


def with_costs(lesions: pd.DataFrame) -> pd.DataFrame:
    """Return each run's lesions with its `intact` accuracy and their `cost` in percentage points."""
    intact = lesions[lesions["lesion"] == "none"].set_index("path")["accuracy"]
    rows = lesions[lesions["lesion"] != "none"].assign(intact=lambda rows: rows["path"].map(intact))
    return rows.assign(cost=100 * (rows["intact"] - rows["accuracy"])).dropna(subset=["cost", "block"])


def find_lesions(lesions: pd.DataFrame, runs: pd.DataFrame) -> Iterator[Finding]:
    """Say what lesions cost each configuration and which cost most, and compare residual networks with plain ones."""
    rows = with_costs(lesions)
    own = of_configurations(runs, rows).drop_duplicates("configuration")
    for run in own.to_dict("records"):
        for lesion, part in rows[rows["configuration"] == run["configuration"]].groupby("lesion"):
            yield find_costs(str(lesion), part, run)
    removed = rows[rows["lesion"] == "remove"]
    for plain, residual in pairs(of_configurations(own, removed)):
        yield compare_removals(removed, plain, residual)


def in_words(row: Row) -> str:
    """Return a configuration's networks in words: `residual (projection) networks of 32 layers`."""
    return f"{name_shortcut(row['shortcut'])} networks of {row['depth']} layers"


def find_costs(lesion: str, rows: pd.DataFrame, run: Row) -> Finding:
    """Return what lesions of one kind cost one configuration: the mild ones as a group, the severe ones by block."""
    costs = rows.groupby("block")["cost"].mean()
    mild = costs[costs <= SEVERE]
    begins = dict(zip(accumulate(run["stages"][:-1]), range(2, len(run["stages"]) + 1)))
    facts = {
        "intact": 100 * float(rows.groupby("path")["intact"].first().mean()),
        "left": tuple(100 * float(end) for end in (rows["accuracy"].min(), rows["accuracy"].max())),
        "ways": len(costs),
        "mild": (len(mild), float(mild.max()) if len(mild) else None),
        "threshold": SEVERE,
        "severe": dict(zip(costs.index[costs > SEVERE].astype(int), map(float, costs[costs > SEVERE]))),
        "stages": begins,
        "average": estimate(rows.groupby("path")["cost"].mean()),
        "configuration": run["configuration"],
    }
    seeds, names = rows["path"].nunique(), (run["configuration"],)
    return Finding(lesion, in_words(run), names, (run["depth"],), seeds=(seeds, seeds), facts=facts)


def pairs(configurations: pd.DataFrame) -> Iterator[tuple[Row, Row]]:
    """Yield pairs of a plain and a residual configuration that differ only in their shortcut."""
    rows = configurations.to_dict("records")
    for plain, residual in product(rows, rows):
        if plain["shortcut"] == PLAIN != residual["shortcut"] and but_shortcut(plain) == but_shortcut(residual):
            yield plain, residual


def but_shortcut(row: Row) -> Row:
    """Return the stages, and all settings except those in which twins may differ."""
    return {k: v for k, v in row["settings"].items() if k not in ANY_SHORTCUT} | {"stages": row["stages"]}


def compare_removals(removed: pd.DataFrame, plain: Row, residual: Row) -> Finding:
    """Compare the mean cost of removing a block, over the blocks that can be removed from both networks."""
    names = plain["configuration"], residual["configuration"]
    sides = [removed[removed["configuration"] == name] for name in names]
    common = set(sides[0]["block"]) & set(sides[1]["block"])
    costs = [side[side["block"].isin(common)].groupby("path")["cost"].mean() for side in sides]
    facts = {"points": tuple(float(side.mean()) for side in costs), "common": len(common)}
    return Finding(
        "removal twins",
        networks=f"{name_shortcut(residual['shortcut'])} networks",
        configurations=names,
        depths=(residual["depth"],),
        difference=welch(*(side / 100 for side in costs)),
        seeds=(len(costs[0]), len(costs[1])),
        facts=facts,
    )


def find_branches(layers: pd.DataFrame, configurations: pd.DataFrame) -> Iterator[Finding]:
    """Say how strong residual branches are relative to their shortcuts, before and after training.

    For each shortcut, take the deepest networks probed at both times, and among these the best by validation.
    """
    known = layers["residual_ratio"].between(0, np.inf, inclusive="neither")  # infinite if a shortcut carries nothing
    layers = layers[known].assign(ratio=lambda rows: np.log10(rows["residual_ratio"].astype(float)))
    by_run = mean_ratios(layers)
    rows = of_configurations(configurations, by_run)
    deepest = rows[rows["depth"] == rows.groupby("shortcut")["depth"].transform("max")]
    for row in best_rows(deepest, ["shortcut"]).to_dict("records"):
        own = by_run[by_run["configuration"] == row["configuration"]]
        change = own["after"] - own["before"]
        stronger = count_stronger(layers[layers["path"].isin(own["path"])])
        facts: dict[str, Any] = {"before": estimate(own["before"]), "after": estimate(own["after"])}
        facts |= {"change": estimate(change), "stronger": stronger}
        words, names = f"{name_shortcut(row['shortcut'])} networks", (row["configuration"],)
        yield Finding("branches", words, names, (row["depth"],), seeds=(len(own), len(own)), facts=facts)


def count_stronger(layers: pd.DataFrame) -> tuple[int, int]:
    """Return how many blocks have a larger mean ratio over runs after training than before, and out of how many."""
    last = layers["epoch"] == layers.groupby("path")["epoch"].transform("max")
    after, before = (part.groupby("layer")["ratio"].mean() for part in (layers[last], layers[layers["epoch"] == 0]))
    return int((after > before.reindex(after.index)).sum()), len(after)


def mean_ratios(layers: pd.DataFrame) -> pd.DataFrame:
    """Return, per run probed before training and later, its blocks' mean log10 ratio before and at the last probe."""
    means = layers.groupby(["configuration", "path", "epoch"], as_index=False)["ratio"].mean()
    last = means[means["epoch"] == means.groupby("path")["epoch"].transform("max")]
    before, after = (part.set_index(["configuration", "path"])["ratio"] for part in (means[means["epoch"] == 0], last))
    both = pd.DataFrame({"before": before, "after": after}).dropna().reset_index()
    trained = last.loc[last["epoch"] > 0, "path"]
    return both[both["path"].isin(trained)]
