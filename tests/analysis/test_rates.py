"""How the study of depth chooses learning rates, on made-up runs."""

import importlib
import sys
from pathlib import Path

import pytest

from tests.analysis.studies import as_designed, tune

DOCS = Path(__file__).resolve().parents[2] / "docs"
INSIDE = {0.01: 0.50, 0.03: 0.60, 0.1: 0.55, 0.3: 0.40}


@pytest.fixture
def rates(monkeypatch, build):
    monkeypatch.syspath_prepend(str(DOCS))
    yield importlib.import_module("rates")
    sys.modules.pop("rates")


def row(rates, place=0):
    """Return the accuracies of the rates 0.003 to 1 and the choice, of a network in the order of the table."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in rates.table(Path("runs")).splitlines()]
    return lines[2 + place][3:]


def test_a_rate_is_chosen_when_all_of_the_grid_have_run(build, rates):
    assert row(rates) == [""] * 6 + ["to run: 0.01, 0.03, 0.1, 0.3 (seed 100)"]
    tune(build, 8, "pad", {0.01: 0.50, 0.03: 0.60})
    assert row(rates) == ["", "50.00", "60.00", "", "", "", "to run: 0.1, 0.3 (seed 100)"]
    tune(build, 8, "pad", {0.1: 0.55, 0.3: 0.40})
    assert row(rates) == ["", "50.00", "60.00", "55.00", "40.00", "", "**0.03**"]


@pytest.mark.parametrize("edge, beyond, val", [
    (0.01, 0.003, {0.01: 0.60, 0.03: 0.55, 0.1: 0.50, 0.3: 0.40}),
    (0.3, 1.0, {0.01: 0.40, 0.03: 0.50, 0.1: 0.55, 0.3: 0.60}),
])  # fmt: skip
def test_at_an_edge_one_more_rate_is_tried_and_no_further(build, rates, edge, beyond, val):
    tune(build, 8, "pad", val)
    assert row(rates)[-1] == f"to run: {beyond:g} (seed 100)"
    tune(build, 8, "pad", {beyond: 0.70})
    assert row(rates)[-1] == f"**{beyond:g}**"
    build.fail(101, "diverged", study="depth_rate", **as_designed(8, "pad", edge, 10))
    assert row(rates)[-1] == f"**{beyond:g}**"


def test_rates_within_a_point_of_the_best_run_again_and_the_mean_decides(build, rates):
    tune(build, 8, "pad", INSIDE | {0.1: 0.59})
    assert row(rates)[-1] == "to run: 0.03, 0.1 (seed 101)"
    tune(build, 8, "pad", {0.03: 0.58}, seed=101)
    assert row(rates)[-1] == "to run: 0.1 (seed 101)"
    tune(build, 8, "pad", {0.1: 0.595}, seed=101)
    assert row(rates) == ["", "50.00", "60.00, 58.00", "59.00, 59.50", "40.00", "", "**0.1**"]


def test_of_equal_means_the_lower_rate_is_chosen(build, rates):
    tune(build, 8, "pad", INSIDE | {0.1: 0.595})
    tune(build, 8, "pad", {0.03: 0.58, 0.1: 0.585}, seed=101)
    assert row(rates)[-1] == "**0.03**"


def test_a_rate_that_diverges_comes_last(build, rates):
    tune(build, 8, "none", {0.01: 0.05, 0.03: 0.09, 0.1: 0.06})
    build.fail(100, "diverged", study="depth_rate", **as_designed(8, "none", 0.3, 10))
    assert row(rates, 1) == ["", "5.00", "9.00", "6.00", "diverged", "", "**0.03**"]


def test_depths_between_take_the_lower_rate_of_their_neighbours(build, rates):
    for depth, best in ((8, 0.1), (20, 0.03)):
        tune(build, depth, "pad", {lr: 0.7 if lr == best else 0.5 for lr in rates.GRID})
    tune(build, 20, "pad", {lr: 0.7 if lr == 0.1 else 0.5 for lr in rates.GRID}, width=28)
    chosen = rates.chosen_rates(Path("runs"))
    assert rates.rate_of((14, 16, "pad"), chosen) == 0.03
    assert rates.rate_of((32, 16, "pad"), chosen) is None  # 56 layers are not decided
    assert rates.rate_of((20, 28, "pad"), chosen) == 0.1


def test_runs_that_were_not_computed_as_designed_are_refused(build, rates):
    tune(build, 8, "pad", INSIDE, compiled=True)
    with pytest.raises(ValueError, match="compiled is not False"):
        rates.table(Path("runs"))
