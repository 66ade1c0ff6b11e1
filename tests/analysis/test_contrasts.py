"""The contrasts that the study of depth is judged by, on made-up runs whose answers are known."""

import importlib
import sys
from pathlib import Path

import pytest

from analysis.frames.statistics import welch

DOCS = Path(__file__).resolve().parents[2] / "docs"
SEEDS = (-0.004, -0.002, 0.0, 0.002, 0.004)
ACCURACIES = {(8, "pad"): 0.80, (20, "pad"): 0.84, (56, "pad"): 0.841, (8, "none"): 0.80, (56, "none"): 0.60}


@pytest.fixture
def contrasts(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    yield importlib.import_module("contrasts")
    sys.modules.pop("contrasts")


def train(build, study, depth, shortcut, accuracy, width=16):
    blocks = (depth - 2) // 6
    network = {"model.name": f"resnet{depth}", "model.stages": [blocks] * 3, "model.width": width}
    for seed, off in enumerate(SEEDS):
        build.complete(seed, study, test=accuracy + off, **network, **{"model.shortcut": shortcut})


def rows(table):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_nothing_is_said_before_every_network_of_a_contrast_has_run(build, contrasts):
    assert {row[-1] for row in rows(contrasts.judged(Path("runs")))} == {"not measured yet"}
    for (depth, shortcut), accuracy in ACCURACIES.items():
        if depth != 20:
            train(build, "depth", depth, shortcut, accuracy)
    assert [row[-1] for row in rows(contrasts.judged(Path("runs")))] == ["as predicted", *["not measured yet"] * 2]


def test_three_contrasts_are_judged_after_correction_for_three(build, contrasts):
    for (depth, shortcut), accuracy in ACCURACIES.items():
        train(build, "depth", depth, shortcut, accuracy)
    train(build, "depth_or_width", 20, "pad", 0.86, width=28)
    interaction, deeper, wide = rows(contrasts.judged(Path("runs")))
    assert interaction[1] == "+24.10" and interaction[-1] == "as predicted"
    assert deeper[1] == "+0.10" and deeper[-1] == "no difference can be claimed"
    assert wide[1] == "-1.90" and wide[-1] == "the opposite"
    p = welch([0.84 + off for off in SEEDS], [0.841 + off for off in SEEDS]).p
    assert deeper[4] == deeper[5] == f"{p:.2g}"  # the largest of three is not corrected
    assert float(wide[5]) == pytest.approx(2 * float(wide[4]), rel=0.1)


def test_two_configurations_of_one_network_are_no_study_of_this_design(build, contrasts):
    for (depth, shortcut), accuracy in ACCURACIES.items():
        train(build, "depth", depth, shortcut, accuracy)
    build.complete(0, "depth", **{"model.name": "resnet56", "model.stages": [9] * 3, "model.width": 16},
                   **{"model.shortcut": "pad", "optimizer.lr": 0.3})  # fmt: skip
    with pytest.raises(ValueError, match="56 layers, pad"):
        contrasts.judged(Path("runs"))
