"""How the gradient changes across layers: its norm in the first over that in the last, residual against plain."""

from collections.abc import Iterator

import pandas as pd

from analysis.claims.comparable import also
from analysis.claims.finding import Finding
from analysis.frames.conditions import differing_programs
from analysis.frames.configurations import of_configurations
from analysis.frames.inside.gradients import end_ratios
from analysis.frames.statistics import estimate, welch
from analysis.frames.study import Study, networks, twins


def find_gradients(
    study: Study, runs: pd.DataFrame, layers: pd.DataFrame, configurations: pd.DataFrame
) -> Iterator[Finding]:
    """Compare the ratio of residual networks with that of their plain twins, at the largest depth that both have.

    The ratio can be compared between the two; the norms themselves cannot. `difference` is that of its log10, in
    hundredths.
    """
    known = of_configurations(configurations, layers)
    for residual, plain, (*_, depth) in twins(study, known):
        sides = [side[side["depth"] == depth] for side in (plain, residual)]
        rows = [of_configurations(layers, side) for side in sides]
        ratios, scaled = ([first_over_last(part, by_weights) for part in rows] for by_weights in (False, True))
        if all(map(len, ratios)):
            groups = [of_configurations(runs, side) for side in sides]
            facts = {"ratios": tuple(10 ** estimate(side).mean for side in ratios)} | also(*groups)
            if all(map(len, scaled)):  # older runs did not record the norms of their weights
                facts["scaled"] = tuple(10 ** estimate(side).mean for side in scaled)
            before = [end_ratios(part[part["epoch"] == 0]) for part in rows]
            if all(map(len, before)):  # nor did they record gradients before the first step
                facts["before"] = tuple(10 ** estimate(side).mean for side in before)
            yield Finding(
                "gradients",
                networks=networks(study, residual),
                configurations=tuple(pd.concat(sides)["configuration"]),
                depths=(depth,),
                difference=welch(*ratios),
                seeds=(len(ratios[0]), len(ratios[1])),
                programs=differing_programs(pd.concat(groups)),
                facts=facts,
            )


def first_over_last(layers: pd.DataFrame, scaled: bool = False) -> pd.Series:
    """Return, per run, log10 of the first layers' gradient norm over the last ones', averaged over trained epochs.

    An epoch in which either of them has no gradient does not count.
    """
    return end_ratios(layers[layers["epoch"] > 0], scaled).groupby("path").mean()
