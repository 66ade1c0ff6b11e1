"""Where the gradient goes: the norm in the first layers over that in the last, residual against plain."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from analysis.claims.finding import Finding
from analysis.frames.statistics import estimate, welch
from analysis.frames.study import Study, networks, twins


def find_gradients(study: Study, layers: pd.DataFrame, configurations: pd.DataFrame) -> Iterator[Finding]:
    """Compare the ratio of residual networks with that of their plain twins, at the greatest depth that both have.

    Only the ratio means the same in both. `difference` is in hundredths of its decimal logarithm.
    """
    known = configurations[configurations["configuration"].isin(layers["configuration"])]
    for residual, plain in twins(study, known):
        depth = max(set(residual["depth"]) & set(plain["depth"]))
        sides = [side.loc[side["depth"] == depth, "configuration"] for side in (plain, residual)]
        ratios = [first_over_last(layers[layers["configuration"].isin(names)]) for names in sides]
        if all(map(len, ratios)):
            yield Finding(
                "gradients",
                networks(study, residual),
                tuple(pd.concat(sides)),
                (depth,),
                welch(*ratios),
                (len(ratios[0]), len(ratios[1])),
                facts={"ratios": tuple(10 ** estimate(side).mean for side in ratios)},
            )


def first_over_last(layers: pd.DataFrame) -> pd.Series:
    """Return, per run, log10 of the first layers' gradient norm over the last ones', averaged over trained epochs.

    First and last are a tenth of the 3x3 layers each, rounded, at least one. An epoch in which one of them has no
    gradient has no ratio, and does not count.
    """
    rows = layers[layers["response_std"].notna() & (layers["epoch"] > 0)]
    by_epoch = rows.groupby(["path", "epoch"])["layer"]
    place, count = by_epoch.rank(method="first"), by_epoch.transform("size")
    tenth = (count / 10).round().clip(lower=1)
    with np.errstate(divide="ignore"):
        logs = np.log10(rows["grad_norm"].fillna(0))
    rows = rows.assign(log=logs)
    first, last = (
        rows[part].groupby(["path", "epoch"])["log"].mean() for part in (place <= tenth, place > count - tenth)
    )
    ratios = first - last
    return ratios[np.isfinite(ratios)].groupby("path").mean()
