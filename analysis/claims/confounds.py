"""What a comparison mixes: configurations that differ in several things at once."""

from collections.abc import Iterator
from itertools import combinations

import pandas as pd

from analysis.claims.compare import things, unlike
from analysis.frames.configurations import as_text

NAMED = 5  # of more sentences the rest is counted


def find_confounds(configurations: pd.DataFrame) -> Iterator[str]:
    """Name what else differs between configurations that no chain of single changes connects."""
    rows = configurations.to_dict("records")
    recorded = {row["configuration"]: things(pd.Series(row)) for row in rows}
    pairs = {(a["configuration"], b["configuration"]): None for a, b in combinations(rows, 2)}
    apart = {pair: unlike(recorded[pair[0]], recorded[pair[1]]) for pair in pairs}
    groups = connected(list(recorded), [pair for pair, keys in apart.items() if len(keys) <= 1])
    labels = {row["configuration"]: row["full_label"] for row in rows}
    closest = []
    for one, other in combinations(groups, 2):
        between = [pair for pair in apart if set(pair) & one and set(pair) & other]
        closest.append(min(between, key=lambda pair: len(apart[pair])))
    for a, b in closest[:NAMED]:
        said = [
            f"{key} ({as_text(recorded[a].get(key))} against {as_text(recorded[b].get(key))})" for key in apart[a, b]
        ]
        yield (
            f"{labels[a]} and {labels[b]} differ in more than one thing: {', '.join(said)}. "
            "The data do not tell which of these makes a difference between them."
        )
    if len(closest) > NAMED:
        yield f"The same goes for {len(closest) - NAMED} more pairs of groups of configurations."


def connected(names: list[str], pairs: list[tuple[str, str]]) -> list[set[str]]:
    """Return the groups of names that chains of pairs connect."""
    group = {name: {name} for name in names}
    for a, b in pairs:
        if group[a] is not group[b]:
            group[a] |= group[b]
            for name in group[b]:
                group[name] = group[a]
    return list({id(members): members for members in group.values()}.values())
