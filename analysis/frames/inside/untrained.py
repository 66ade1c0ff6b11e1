"""What networks are like before their first step, from inspections and trainings: each network and seed once."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.frames.axes import PLAIN
from analysis.frames.inside.gradients import end_ratios, growth
from analysis.frames.runs import with_common_settings
from analysis.frames.settings import Row, Settings, as_assignments, varied_settings
from analysis.frames.tables import load_layers, load_table

NORMS = {"batch": "with batch norm", "none": "without batch norm"}
MOMENTUM, RATES = 0.9, (0.01, 0.1)
BOUNDS = {rate: 2 * (1 + MOMENTUM) / rate for rate in RATES}  # on stable curvature (Cohen et al. 2021, section 2)
NETWORK = ["shortcut", "depth", "norm", "rest"]
OWN = {"model.name", "model.stages", "model.shortcut", "model.norm"}  # settings that have a column of their own
GRADIENTS = (("gradient_ratio", end_ratios, False), ("scaled_ratio", end_ratios, True))
GRADIENTS += (("growth", growth, False), ("scaled_growth", growth, True))
MEASURES = ["gradient_ratio", "scaled_ratio", "growth", "scaled_growth", "cosine", "curvature"]


@dataclass(frozen=True)
class Untrained:
    """One row per network and seed, and the tables of those runs.

    `runs` has the columns of a run, `norm`, `rest` (what else of the network or its data varies) and MEASURES, some
    perhaps missing: the gradient norm of the first tenth of the layers over that of the last, also `scaled` by the
    weights' norm; its growth per layer towards the input; the cosine of the nearest points; the largest eigenvalue, if
    it is positive and converged. `eigenvalues` counts how many were computed, converged or not.
    """

    runs: pd.DataFrame
    layers: pd.DataFrame
    cosines: pd.DataFrame


def load_untrained(inspections: pd.DataFrame, trainings: pd.DataFrame, layers: pd.DataFrame) -> Untrained:
    """Return complete inspections, and trainings probed before the first step; `layers` are those of the trainings."""
    inspections = inspections[inspections["status"] == "complete"]
    layers = pd.concat([part for part in (load_layers(inspections), layers) if len(part)] or [layers])
    layers = layers[layers["epoch"] == 0]
    runs = pd.concat([part for part in (inspections, trainings) if len(part)] or [inspections], ignore_index=True)
    runs = with_common_settings(runs[runs["path"].isin(layers["path"])].reset_index(drop=True))
    runs = with_networks(runs)
    runs = runs[~runs.duplicated([*NETWORK, "seed"])]
    layers, cosines = layers[layers["path"].isin(runs["path"])], load_table(runs, "cosines.csv")
    found = runs.set_index("path").assign(**measure(layers, cosines, load_table(runs, "curvature.csv")))
    conditions = runs.set_index("path")[["norm", "rest"]]
    return Untrained(found.reset_index(), *(table.join(conditions, on="path") for table in (layers, cosines)))


def condition(norm: str, rest: str) -> str:
    """Return what untrained networks that differ only in depth and shortcut share: `with batch norm`."""
    return NORMS.get(norm, f"with model.norm={norm}") + (rest and f", {rest}")


def plain_last(shortcuts: Iterable[Any]) -> list[str]:
    """Return each shortcut once, in the order in which they are shown side by side: plain last."""
    return sorted(set(map(str, shortcuts)), key=lambda name: (name == PLAIN, name))


def with_networks(runs: pd.DataFrame) -> pd.DataFrame:
    """Return runs with `norm` and `rest`: what else differs between their networks and data."""
    rest = [as_assignments(settings) for settings in varied_settings(map(_rest, runs.to_dict("records")))]
    norms = [config.get("model.norm", "batch") for config in runs["config"]]
    texts = {"norm": norms, "rest": rest}
    return runs.assign(**{name: pd.Series(values, runs.index, dtype=object) for name, values in texts.items()})


def _rest(row: Row) -> Settings:
    stages = row["stages"]
    shape = {"stages": len(stages) if len(set(stages)) == 1 else list(stages), "model.width": row["width"]}
    return shape | {k: v for k, v in row["settings"].items() if k.startswith(("model.", "data.")) and k not in OWN}


def measure(layers: pd.DataFrame, cosines: pd.DataFrame, curvature: pd.DataFrame) -> dict[str, pd.Series]:
    """Return MEASURES and `eigenvalues`, each by path."""
    found = {}
    for column, of, scaled in GRADIENTS:
        found[column] = 10 ** of(layers, scaled).droplevel("epoch")
    nearest = cosines[cosines["distance"] == cosines.groupby("path")["distance"].transform("min")]
    found["cosine"] = nearest.set_index("path")["cosine"]
    sharp = curvature[curvature["converged"].astype(bool) & (curvature["eigenvalue"] > 0)]
    sharp = sharp[np.isfinite(sharp["eigenvalue"])]
    return found | {"curvature": sharp.set_index("path")["eigenvalue"], "eigenvalues": curvature.groupby("path").size()}
