"""How the depth study chooses learning rates, on made-up runs."""

import json
from pathlib import Path

import pytest

from tests.analysis.studies import ONE_THREAD, as_designed, tune

INSIDE = {0.01: 0.50, 0.03: 0.60, 0.1: 0.55, 0.3: 0.40}


@pytest.fixture
def rates(scripts):
    return scripts("rates")


def row(rates, place=0):
    """Return one network's row of the table: the accuracies at all rates, and the choice."""
    table = rates.table(rates.tuning(Path("runs")))
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return lines[2 + place][3:]


def test_a_rate_is_chosen_once_the_whole_grid_has_run(build, rates):
    assert row(rates) == [""] * 4 + ["to run: 0.01, 0.03, 0.1, 0.3 (seed 100)"]
    tune(build, 8, "pad", {0.01: 0.50, 0.03: 0.60})
    assert row(rates) == ["50.00", "60.00", "", "", "to run: 0.1, 0.3 (seed 100)"]
    tune(build, 8, "pad", {0.1: 0.55, 0.3: 0.40})
    assert row(rates) == ["50.00", "60.00", "55.00", "40.00", "**0.03**"]


def test_the_lower_loss_breaks_a_tie_over_whether_the_best_rate_is_at_an_edge(build, rates):
    tune(build, 8, "pad", {0.01: 0.60, 0.03: 0.60, 0.1: 0.50, 0.3: 0.40})
    set_loss(build, 0.01, 0.4)
    set_loss(build, 0.03, 0.5)
    assert row(rates)[-1] == "to run: 0.003 (seed 100)"
    set_loss(build, 0.01, 0.5)
    set_loss(build, 0.03, 0.4)
    assert row(rates)[-1] == "to run: 0.01, 0.03 (seed 101)"


def set_loss(build, lr, loss):
    """Set the validation loss of the run at this rate."""
    (run,) = (path for path in build.root.glob("depth_rate/*/*") if f"lr: {lr}\n" in (path / "config.yaml").read_text())
    final = json.loads((run / "result.json").read_text())["final"]
    build.amend(run, final=final | {"val_loss": loss})


@pytest.mark.parametrize("edge, beyond, further, val", [
    (0.01, 0.003, 0.001, {0.01: 0.60, 0.03: 0.55, 0.1: 0.50, 0.3: 0.40}),
    (0.3, 1.0, 3.0, {0.01: 0.40, 0.03: 0.50, 0.1: 0.55, 0.3: 0.60}),
])  # fmt: skip
def test_at_an_edge_the_next_rate_is_tried_until_the_best_is_inside(build, rates, edge, beyond, further, val):
    tune(build, 8, "pad", val)
    assert row(rates)[-1] == f"to run: {beyond:g} (seed 100)"
    tune(build, 8, "pad", {beyond: 0.62})
    assert row(rates)[-1] == f"to run: {further:g} (seed 100)"
    tune(build, 8, "pad", {further: 0.61})
    assert row(rates)[-1] == f"to run: {min(beyond, further):g}, {max(beyond, further):g} (seed 101)"
    tune(build, 8, "pad", {beyond: 0.57, further: 0.585}, seed=101)
    assert row(rates)[-1] == f"**{further:g}**"


def test_a_rate_that_no_rule_asked_for_is_not_chosen(build, rates):
    tune(build, 8, "pad", INSIDE | {1.0: 0.70})
    assert row(rates) == ["50.00", "60.00", "55.00", "40.00", "70.00", "**0.03**"]


def test_rates_within_a_point_of_the_best_run_again_and_the_mean_decides(build, rates):
    tune(build, 8, "pad", INSIDE | {0.1: 0.59})
    assert row(rates)[-1] == "to run: 0.03, 0.1 (seed 101)"
    tune(build, 8, "pad", {0.03: 0.58}, seed=101)
    assert row(rates)[-1] == "to run: 0.1 (seed 101)"
    tune(build, 8, "pad", {0.1: 0.595}, seed=101)
    assert row(rates) == ["50.00", "60.00, 58.00", "59.00, 59.50", "40.00", "**0.1**"]


def test_a_rate_more_than_a_point_behind_is_not_run_again(build, rates):
    tune(build, 8, "pad", INSIDE | {0.1: 0.5898})
    assert row(rates)[-1] == "**0.03**"


@pytest.mark.parametrize("first, second, chosen", [
    ({0.03: 0.345, 0.1: 0.335}, {0.03: 0.305, 0.1: 0.315}, 0.03),  # the sums differ as floats
    ({0.01: 0.60, 0.003: 0.595}, {0.01: 0.59, 0.003: 0.595}, 0.003),
])  # fmt: skip
def test_of_equal_means_the_lower_rate_is_chosen(build, rates, first, second, chosen):
    tune(build, 8, "pad", dict.fromkeys(rates.GRID, 0.2) | first)
    tune(build, 8, "pad", second, seed=101)
    assert row(rates)[-1] == f"**{chosen:g}**"


def test_a_rate_that_diverges_counts_as_chance(build, rates):
    tune(build, 8, "none", {0.01: 0.50, 0.03: 0.60, 0.1: 0.595})
    build.fail(100, "diverged", ONE_THREAD, study="depth_rate", **as_designed(8, "none", 0.3, 10))
    tune(build, 8, "none", {0.1: 0.55}, seed=101)
    build.fail(101, "diverged", ONE_THREAD, study="depth_rate", **as_designed(8, "none", 0.03, 10))
    assert row(rates, 1) == ["50.00", "60.00, diverged", "59.50, 55.00", "diverged", "**0.1**"]


@pytest.mark.parametrize("shallow, deep", [(0.1, 0.03), (0.03, 0.1)])
def test_depths_between_take_the_lower_rate_of_their_neighbours(build, rates, shallow, deep):
    for depth, best in ((8, shallow), (20, deep)):
        tune(build, depth, "pad", {lr: 0.7 if lr == best else 0.5 for lr in rates.GRID})
    tune(build, 20, "pad", {lr: 0.7 if lr == 0.1 else 0.5 for lr in rates.GRID}, width=28)
    chosen = rates.chosen_rates(rates.tuning(Path("runs")))
    assert rates.rate_of((14, 16, "pad"), chosen) == 0.03
    assert rates.rate_of((32, 16, "pad"), chosen) is None  # 56 layers are not decided yet
    assert rates.rate_of((20, 28, "pad"), chosen) == 0.1


def test_runs_that_were_not_computed_as_designed_are_refused(build, rates):
    tune(build, 8, "pad", INSIDE, batch_size=64)
    with pytest.raises(ValueError, match="batch_size is not that of experiment=depth_rate"):
        rates.table(rates.tuning(Path("runs")))
