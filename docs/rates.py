"""The learning rate of each network in the study of depth, chosen from the runs of experiment=depth_rate.

The rule was fixed before those runs. `table` says what it has chosen, or which runs it waits for.
"""

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
BEYOND = {0.01: 0.003, 0.3: 1.0}  # tried where the best of the grid is at its edge
FIRST, SECOND = 100, 101  # the seeds: of all rates, and of those near the best
NEAR = 0.01  # of the best accuracy
Network = tuple[int, int, str]  # layers, width, shortcut
TUNED: tuple[Network, ...] = (
    *((depth, 16, shortcut) for depth in (8, 20, 56) for shortcut in ("pad", "none")),
    (20, 28, "pad"),
)
NEIGHBOURS = {14: (8, 20), 32: (20, 56)}  # of a depth that is not tuned


def ended(reference: Path, study: str, also: frozenset[str] = frozenset()) -> pd.DataFrame:
    """Return the runs of a part of the study that are complete or diverged, with their rate as `lr`.

    Raises ValueError for one that differs from the experiment of the study's name in a key which neither the design nor
    `also` varies, one that was compiled or had several threads, and for runs of several codes.
    """
    try:
        runs = load_runs([reference / study])
    except RunsError:
        return pd.DataFrame(columns=[*COLUMNS, "lr"])
    runs = runs[runs["status"].isin(["complete", "diverged"])]
    for run in runs.itertuples():
        if other := {*unequal_keys(run.identity, designed(study, run.depth))} - VARIED - also:
            raise ValueError(f"{run.path}: {min(other)} is not that of experiment={study}")
    done = runs[runs["status"] == "complete"]
    for column, value in (("compiled", False), ("threads", 1)):
        if (done[column] != value).any():
            raise ValueError(f"{done.loc[done[column] != value, 'path'].iloc[0]}: {column} is not {value}")
    if done["code"].nunique() > 1:
        raise ValueError(f"{study}: its runs are of {done['code'].nunique()} codes")
    return runs.assign(lr=[config["optimizer.lr"] for config in runs["config"]])


@cache
def designed(study: str, depth: int) -> Settings:
    """Return what makes the runs of so many layers in an experiment what they are, by dotted key."""
    return dict(flatten(identity(compose_config([f"experiment={study}", f"model=resnet{depth}"]))))


def tuning(reference: Path) -> dict[Network, pd.DataFrame]:
    """Return the runs by which each tuned network's rate is chosen."""
    runs = ended(reference, "depth_rate", also=frozenset({"model.width"}))
    own = {network: group for network, group in runs.groupby(["depth", "width", "shortcut"])}
    return {network: own.get(network, runs.iloc[:0]) for network in TUNED}


def choose(runs: pd.DataFrame) -> tuple[float | None, str]:
    """Return the rate of a network whose runs are given; if it is not decided yet, None and what has to run for it."""
    by = {(run.lr, run.seed): run for run in runs.itertuples()}
    val_acc = lambda lr, seed: by[lr, seed].val_acc if by[lr, seed].status == "complete" else float("-inf")  # noqa: E731

    def waits_for(rates: list[float], seed: int) -> str:
        missing = [f"{lr:g}" for lr in rates if (lr, seed) not in by]
        return f"to run: {', '.join(missing)} (seed {seed})" if missing else ""

    rates = list(GRID)
    if missing := waits_for(rates, FIRST):
        return None, missing
    best = max(rates, key=lambda lr: (val_acc(lr, FIRST), -by[lr, FIRST].val_loss))
    rates += [BEYOND[best]] if best in BEYOND else []
    if missing := waits_for(rates, FIRST):
        return None, missing
    top = max(val_acc(lr, FIRST) for lr in rates)
    near = [lr for lr in rates if round(top - val_acc(lr, FIRST), 6) <= NEAR]
    if len(near) == 1:
        return near[0], ""
    if missing := waits_for(near, SECOND):
        return None, missing
    return max(near, key=lambda lr: (round(val_acc(lr, FIRST) + val_acc(lr, SECOND), 6), -lr)), ""


def rate_of(network: Network, chosen: dict[Network, float | None]) -> float | None:
    """Return a network's rate, of one that is not tuned the lower of its neighbours'; None while it is not decided."""
    depth, *rest = network
    rates = [chosen.get((near, *rest)) for near in NEIGHBOURS.get(depth, (depth,))]
    return None if None in rates else min(rates)


def chosen_rates(reference: Path) -> dict[Network, float | None]:
    """Return the rate of each tuned network, None while it is not decided."""
    return {network: choose(runs)[0] for network, runs in tuning(reference).items()}


def table(reference: Path) -> str:
    """Return a table of the validation accuracies that choose the rates: a row a network, a column a rate."""
    columns = sorted({*GRID, *BEYOND.values()})
    head = ["layers", "width", "shortcuts", *(f"{lr:g}" for lr in columns), "chosen"]
    lines = [head, ["---:", "---:", "---", *["---:"] * len(columns), "---"]]
    for (depth, width, shortcut), runs in tuning(reference).items():
        rate, missing = choose(runs)
        cells = [accuracies(runs[runs["lr"] == lr]) for lr in columns]
        lines.append([str(depth), str(width), shortcut, *cells, missing if rate is None else f"**{rate:g}**"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def accuracies(runs: pd.DataFrame) -> str:
    """Return the validation accuracies of one rate in per cent, in the order of seeds."""
    runs = runs[runs["seed"].isin([FIRST, SECOND])].sort_values("seed")
    return ", ".join(
        f"{100 * run.val_acc:.2f}" if run.status == "complete" else "diverged" for run in runs.itertuples()
    )
