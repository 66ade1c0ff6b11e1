"""The learning rate of each network in the study of depth, chosen from the runs of experiment=depth_rate.

The rule is that of study.md. `table` says what it has chosen, or which runs it still needs.
"""

from collections.abc import Collection, Iterable, Sequence
from functools import cache
from pathlib import Path

import pandas as pd

from analysis.frames.find import RunsError
from analysis.frames.rows import COLUMNS
from analysis.frames.runs import load_runs
from analysis.frames.settings import Settings, flatten, unequal_keys
from resnet import compose_config
from resnet.config import identity

VARIED = {"model.shortcut", "optimizer.lr"}
GRID = (0.01, 0.03, 0.1, 0.3)
LADDER = (0.001, 0.003, *GRID, 1.0, 3.0, 10.0)  # the next one is tried if the best so far is at an edge
FIRST, SECOND = 100, 101  # seeds: for all rates, and for those near the best
NEAR = 0.01  # at most this far below the best accuracy
CHANCE = 0.1  # the accuracy that a diverged run counts with
DEPTHS = (8, 14, 20, 32, 56)
Network = tuple[int, int, str]  # layers, width, shortcut
TUNED: tuple[Network, ...] = (
    *((depth, 16, shortcut) for depth in (8, 20, 56) for shortcut in ("pad", "none")),
    (20, 28, "pad"),
)
NEIGHBOURS = {14: (8, 20), 32: (20, 56)}  # the tuned depths around one that is not


def ended(reference: Path, study: str, seeds: Sequence[int], also: frozenset[str] = frozenset()) -> pd.DataFrame:
    """Return the runs of a part of the study that are complete or diverged, with their rate as `lr`.

    A diverged run has the accuracy of guessing. Raises ValueError for a run that differs from the experiment named
    `study` in a key that neither the design nor `also` varies, for one that was compiled or not computed by one thread
    of a CPU, for two runs of one network, rate and seed, and for runs that differ in code or data.
    """
    try:
        runs = load_runs([reference / study])
    except RunsError:
        return pd.DataFrame(columns=[*COLUMNS, "lr"])
    runs = runs[runs["status"].isin(["complete", "diverged"]) & runs["seed"].isin(seeds)]
    runs = runs.assign(lr=[config["optimizer.lr"] for config in runs["config"]])
    for run in runs.itertuples():
        if run.depth not in DEPTHS or run.identity is None:
            raise ValueError(f"{run.path}: not a run of experiment={study}")
        if other := {*unequal_keys(run.identity, designed(study, run.depth))} - VARIED - also:
            raise ValueError(f"{run.path}: {min(other)} is not that of experiment={study}")
        if run.config["compile"] is not False:
            raise ValueError(f"{run.path}: compile is not false")
    as_designed = runs["threads"].eq("1") & runs["device"].eq("cpu")
    if len(otherwise := runs.loc[~as_designed, "path"]):
        raise ValueError(f"{otherwise.iloc[0]}: not computed by one thread of a CPU")
    if len(twice := runs.loc[runs.duplicated(["depth", "width", "shortcut", "lr", "seed"]), "path"]):
        raise ValueError(f"{twice.iloc[0]}: a second run of its network, rate and seed")
    require_one(runs)
    complete = runs["status"] == "complete"
    chance = {"val_acc": CHANCE, "val_loss": float("inf"), "test_acc": CHANCE}
    return runs.assign(**{column: runs[column].where(complete, value) for column, value in chance.items()})


def require_one(runs: pd.DataFrame) -> None:
    """Raise ValueError if code or data are not the same in all runs."""
    for column in ("code", "data_sha256"):
        if (count := runs[column].nunique(dropna=False)) > 1:
            raise ValueError(f"{' and '.join(sorted(set(runs['study'])))}: {count} values of {column}")


@cache
def designed(study: str, depth: int) -> Settings:
    """Return the identity, by dotted key, that an experiment gives its runs of one depth; its rate is arbitrary."""
    any_rate = "optimizer.lr=1"  # without one, an experiment with tuned rates is refused
    return dict(flatten(identity(compose_config([f"experiment={study}", f"model=resnet{depth}", any_rate]))))


def tuning(reference: Path) -> dict[Network, pd.DataFrame]:
    """Return the runs that choose each tuned network's rate."""
    runs = ended(reference, "depth_rate", (FIRST, SECOND), also=frozenset({"model.width"}))
    own = {network: group for network, group in runs.groupby(["depth", "width", "shortcut"])}
    return {network: own.get(network, runs.iloc[:0]) for network in TUNED}


def choose(runs: pd.DataFrame) -> tuple[float | None, str]:
    """Return the rate that a network's runs choose; while undecided, None and which runs are still needed."""
    by = {(run.lr, run.seed): run for run in runs.itertuples()}

    def waits_for(rates: Sequence[float], seed: int) -> str:
        missing = [f"{lr:g}" for lr in rates if (lr, seed) not in by]
        return f"to run: {', '.join(missing)} (seed {seed})" if missing else ""

    low, high = LADDER.index(GRID[0]), LADDER.index(GRID[-1])
    while True:
        rates = LADDER[low : high + 1]
        if missing := waits_for(rates, FIRST):
            return None, missing
        best = LADDER.index(max(rates, key=lambda lr: (by[lr, FIRST].val_acc, -by[lr, FIRST].val_loss)))
        if best == high < len(LADDER) - 1:
            high += 1
        elif best == low > 0:
            low -= 1
        else:
            break
    near = [lr for lr in rates if round(by[LADDER[best], FIRST].val_acc - by[lr, FIRST].val_acc, 6) <= NEAR]
    if len(near) == 1:
        return near[0], ""
    if missing := waits_for(near, SECOND):
        return None, missing
    return max(near, key=lambda lr: (round(by[lr, FIRST].val_acc + by[lr, SECOND].val_acc, 6), -lr)), ""


def rate_of(network: Network, chosen: dict[Network, float | None]) -> float | None:
    """Return a network's rate, or the lower of its neighbours' if it is not tuned; None while undecided."""
    depth, *rest = network
    rates = [chosen.get((near, *rest)) for near in NEIGHBOURS.get(depth, (depth,))]
    return None if None in rates else min(rates)


def chosen_rates(tuned: dict[Network, pd.DataFrame]) -> dict[Network, float | None]:
    """Return the rate of each tuned network, None while undecided."""
    return {network: choose(runs)[0] for network, runs in tuned.items()}


def table(tuned: dict[Network, pd.DataFrame]) -> str:
    """Return a table of the validation accuracies that choose the rates: one row per network, one column per rate."""
    columns = sorted({*GRID, *(lr for runs in tuned.values() for lr in runs["lr"])})
    head = ["layers", "width", "shortcuts", *(f"{lr:g}" for lr in columns), "chosen, or next to run"]
    rows = []
    for (depth, width, shortcut), runs in tuned.items():
        rate, missing = choose(runs)
        cells = [accuracies(runs[runs["lr"] == lr]) for lr in columns]
        rows.append([str(depth), str(width), shortcut, *cells, missing if rate is None else f"**{rate:g}**"])
    return as_table(head, rows, text=(2, len(head) - 1))


def as_table(head: Sequence[str], rows: Iterable[Sequence[str]], text: Collection[int] = (0,)) -> str:
    """Return a Markdown table; the columns whose places are in `text` are aligned left, the others right."""
    rule = ["---" if place in text else "---:" for place in range(len(head))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *rows))


def accuracies(runs: pd.DataFrame) -> str:
    """Return one rate's validation accuracies in per cent, in the order of seeds; a dash if the first is missing."""
    cells = [f"{100 * run.val_acc:.2f}" if run.status == "complete" else "diverged" for run in runs.itertuples()]
    return ", ".join(cells if FIRST in set(runs["seed"]) or runs.empty else ["-", *cells])
