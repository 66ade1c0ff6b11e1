"""The contrasts by which the depth study is judged, on made-up runs with known answers."""

import sys
from pathlib import Path

import numpy as np
import pytest

from analysis.frames.statistics import welch
from tests.analysis.studies import ONE_THREAD, as_designed, predict, tune

SEEDS = (-0.004, -0.002, 0.0, 0.002, 0.004)
CLOSE = "no difference can be claimed: less than a point either way"
ACCURACIES = {
    (8, "pad"): 0.80,
    (20, "pad"): 0.84,
    (56, "pad"): 0.841,
    (8, "none"): 0.80,
    (20, "none"): 0.83,
    (56, "none"): 0.60,
}


@pytest.fixture
def contrasts(scripts, build):
    """Return the module, with 0.1 as the best rate of every network except the wide one, which has 0.03."""
    for depth in (8, 20, 56):
        for shortcut in ("pad", "none"):
            tune(build, depth, shortcut, {0.01: 0.5, 0.03: 0.6, 0.1: 0.7, 0.3: 0.6})
    tune(build, 20, "pad", {0.01: 0.5, 0.03: 0.7, 0.1: 0.6, 0.3: 0.5}, width=28)
    return scripts("contrasts")


def train(
    build, study, depth, shortcut, accuracy, lr=0.1, width=16, seeds=SEEDS, predictions=True, more=None, **result
):
    settings = as_designed(depth, shortcut, lr, 15, width) | (more or {})
    for seed, off in enumerate(seeds):
        run = build.complete(seed, study, test=accuracy + off, **settings)
        build.amend(run, **ONE_THREAD | result)
        if predictions:
            predict(run, np.random.default_rng(seed).permutation(10000) < round(10000 * (accuracy + off)))
    return settings


def runs_so_far(contrasts):
    """Return the runs written so far, as docs/contrasts.py reads them."""
    return contrasts.runs_of(Path("runs"), sys.modules["rates"].tuning(Path("runs")))


def rows(table):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def verdicts(contrasts):
    return [row[-1] for row in rows(contrasts.judged(runs_so_far(contrasts)))]


def test_a_contrast_is_judged_only_once_all_seeds_of_its_networks_have_ended(build, contrasts):
    assert verdicts(contrasts) == ["not judged: 0 of 5 seeds"] * 4
    for (depth, shortcut), accuracy in ACCURACIES.items():
        train(build, "depth", depth, shortcut, accuracy, seeds=SEEDS[: 3 if (depth, shortcut) == (20, "pad") else 5])
    three, none = "not judged: 3 of 5 seeds", "not judged: 0 of 5 seeds"
    assert verdicts(contrasts) == ["as predicted", "as predicted", three, none]


def test_contrasts_are_judged_after_correction_for_multiple_comparisons(build, contrasts):
    for (depth, shortcut), accuracy in ACCURACIES.items():
        train(build, "depth", depth, shortcut, accuracy)
    train(build, "depth_or_width", 20, "pad", 0.87, lr=0.03, width=28)
    interaction, degradation, deeper, wide = rows(contrasts.judged(runs_so_far(contrasts)))
    assert interaction[1] == "+24.10" and interaction[-1] == "as predicted"
    assert degradation[1] == "+23.00" and degradation[-1] == "as predicted"
    assert deeper[1] == "+0.10" and deeper[-1] == CLOSE
    assert wide[1] == "-2.90" and wide[-1] == "the opposite"
    assert contrasts.decided(runs_so_far(contrasts), 4, "the opposite").points == pytest.approx(-2.9)
    for number, other in ((4, "as predicted"), (3, "as predicted")):
        with pytest.raises(ValueError, match=f"contrast {number}: the verdict is '.+', not 'as predicted'"):
            contrasts.decided(runs_so_far(contrasts), number, other)
    p = welch([0.84 + off for off in SEEDS], [0.841 + off for off in SEEDS]).p
    assert deeper[4] == deeper[5] == f"{p:.2g}"  # the largest p is not corrected
    assert float(wide[5]) == pytest.approx(2 * float(wide[4]), rel=0.1)


def test_only_networks_that_are_close_are_said_to_differ_by_less_than_a_point(build, contrasts):
    for depth, accuracy in ((20, 0.84), (56, 0.841)):
        train(build, "depth", depth, "pad", accuracy, seeds=[3 * off for off in SEEDS])
    assert verdicts(contrasts)[2] == "no difference can be claimed"


def test_the_larger_p_is_corrected_and_shown(build, contrasts):
    """The seeds alone are clear; with the images too, p is below 0.05, but not once corrected for four verdicts."""
    for shortcut, accuracy, depth in (("none", 0.80, 56), ("none", 0.8125, 20)):
        settings = as_designed(depth, shortcut, 0.1, 15)
        for seed, off in enumerate(SEEDS):
            run = build.complete(seed, "depth", test=accuracy + off / 20, **settings)
            build.amend(run, **ONE_THREAD)
            order = np.random.default_rng(depth).permutation(10000)  # all seeds get the same images right
            predict(run, order < round(10000 * (accuracy + off / 20)))
    row = rows(contrasts.judged(runs_so_far(contrasts)))[1]
    over_seeds, over_both = (tuple(map(float, cell.split(" to "))) for cell in row[2:4])
    assert over_seeds[0] > 1 and over_both[0] > 0 and 0.0125 < float(row[4]) < 0.05 < float(row[5])
    assert row[-1] == "no difference can be claimed"


def test_described_contrasts_have_numbers_but_no_verdict(build, contrasts):
    assert rows(contrasts.described(runs_so_far(contrasts)))[0][1:] == ["not described yet: 0 of 5 seeds", "", ""]
    for depth, accuracy in ((8, 0.80), (56, 0.84)):
        train(build, "depth", depth, "pad", accuracy)
    residual, plain, *_ = rows(contrasts.described(runs_so_far(contrasts)))
    assert residual[1] == "+4.00" and all(" to " in cell for cell in residual[2:])
    assert plain[1] == "not described yet: 0 of 5 seeds"


def test_each_run_has_its_accuracy_in_the_row_of_its_seed(build, contrasts):
    train(build, "depth", 8, "pad", 0.80, seeds=SEEDS[:2])
    train(build, "depth_or_width", 20, "pad", 0.85, lr=0.03, width=28, seeds=SEEDS[:1])
    build.fail(1, "diverged", ONE_THREAD, study="depth", **as_designed(56, "none", 0.1, 15))
    first, second = rows(contrasts.by_seed(runs_so_far(contrasts)))
    assert first == ["0", "79.60", "", "", "", "", "", "84.60"]
    assert second == ["1", "79.80", "", "", "", "", "diverged", ""]


def test_the_simulated_power_is_that_of_the_test(scripts):
    power = scripts("power")
    _, ps, _ = power.simulate((0.3, 0.3), 0)
    assert 0.03 < np.mean(ps < 0.05) < 0.055  # Welch's test is slightly conservative
    assert power.power((1.0, 1.0), 10) == "100 %" and power.closeness((5.0, 5.0)) == "0 %"


def test_a_verdict_needs_the_interval_over_images_too(build, contrasts):
    for (depth, shortcut), accuracy in ACCURACIES.items():
        train(build, "depth", depth, shortcut, accuracy, predictions=(depth, shortcut) != (56, "none"))
    missing, none = "not judged: predictions are missing", "not judged: 0 of 5 seeds"
    assert [row[4:6] for row in rows(contrasts.judged(runs_so_far(contrasts)))][0] == ["", ""]
    assert verdicts(contrasts) == [missing, missing, CLOSE, none]


def test_a_run_that_diverges_counts_as_chance(build, contrasts):
    for (depth, shortcut), accuracy in ACCURACIES.items():
        seeds = SEEDS[: 4 if (depth, shortcut) == (56, "none") else 5]
        settings = train(build, "depth", depth, shortcut, accuracy, seeds=seeds)
        if len(seeds) == 4:
            build.fail(4, "diverged", ONE_THREAD, study="depth", **settings)
    degradation = rows(contrasts.judged(runs_so_far(contrasts)))[1]
    plain = [0.60 + off for off in SEEDS[:4]] + [0.1]
    found = welch(plain, [0.83 + off for off in SEEDS])
    assert degradation[1:3] == [f"{found.points:+.2f}", f"{found.low:+.2f} to {found.high:+.2f}"]
    assert degradation[-1] == "no difference can be claimed, over seeds alone: a run diverged"
    described = {row[0]: row[1:] for row in rows(contrasts.described(runs_so_far(contrasts)))}
    others = welch([0.60 + off for off in SEEDS[:4]], [0.83 + off for off in SEEDS])
    figures = described["plain, 20 layers minus 56, without diverged runs (1)"]
    assert figures[:2] == [f"{others.points:+.2f}", f"{others.low:+.2f} to {others.high:+.2f}"] and figures[2]
    assert [name for name in described if name.startswith("residual, 56 layers minus 20")] == []


def test_extra_seeds_are_ignored(build, contrasts):
    for depth, accuracy in ((20, 0.84), (56, 0.841)):
        train(build, "depth", depth, "pad", accuracy, seeds=[*SEEDS, 0.1])
    train(build, "depth", 56, "none", 0.6, seeds=[*SEEDS, 0.1])
    train(build, "depth", 20, "none", 0.8, seeds=SEEDS[:3])
    assert verdicts(contrasts)[1:3] == ["not judged: 3 of 5 seeds", CLOSE]


def test_seeds_that_do_not_differ_have_no_verdict(build, contrasts):
    for depth in (20, 56):
        train(build, "depth", depth, "none", 0.5, seeds=[0.0] * 5)
    assert verdicts(contrasts)[1] == "not judged: the seeds do not differ"


@pytest.mark.parametrize("wrong, message", [
    ({"more": {"compile": True}}, "compile is not false"),
    ({"machine": {"threads": 2}}, "not computed by one thread of a CPU"),
    ({"machine": {"threads": 1, "gpu": "NVIDIA H200"}}, "not computed by one thread of a CPU"),
    ({"machine": {}}, "not computed by one thread of a CPU"),
    ({"width": 8}, "model.width is not that of experiment=depth"),
    ({"more": {"precision": "bf16"}}, "precision is not that of experiment=depth"),
    ({"more": {"epochs.count": 10}}, "epochs.count is not that"),
    ({"more": {"optimizer.weight_decay": 5e-4}}, "optimizer.weight_decay is not that"),
    ({"more": {"augmentation.cutout": 8}}, "augmentation.cutout is not that"),
    ({"more": {"model.stages": [2, 3, 4]}}, "model.stages is not that"),
    ({"more": {"model.stages": [4, 4, 4]}}, "not a run of experiment=depth"),
    ({"lr": 0.3}, "its rate is 0.3, but 0.1 was chosen for such a network"),
])  # fmt: skip
def test_runs_that_were_not_computed_as_designed_are_refused(build, contrasts, wrong, message):
    train(build, "depth", 20, "pad", 0.84, **wrong)
    with pytest.raises(ValueError, match=message):
        contrasts.judged(runs_so_far(contrasts))


@pytest.mark.parametrize("wrong, message", [
    ({"optimizer.lr": 0.3}, "its rate is 0.3, but 0.1 was chosen for such a network"),
    ({"optimizer.weight_decay": 5e-4}, "optimizer.weight_decay is not that"),
    ({"compile": True}, "compile is not false"),
])  # fmt: skip
def test_diverged_runs_must_follow_the_design_too(build, contrasts, wrong, message):
    build.fail(0, "diverged", ONE_THREAD, study="depth", **as_designed(14, "none", 0.1, 15) | wrong)
    with pytest.raises(ValueError, match=message):
        contrasts.judged(runs_so_far(contrasts))


@pytest.mark.parametrize("start, message", [
    (None, "not computed by one thread of a CPU"),
    ({"machine": {"threads": 2}}, "not computed by one thread of a CPU"),
    (ONE_THREAD | {"code": "b" * 64}, "2 values of code"),
    (ONE_THREAD | {"code": "a" * 64, "data": "b" * 64}, "2 values of data_sha256"),
])  # fmt: skip
def test_diverged_runs_must_be_computed_as_the_others_were(build, contrasts, start, message):
    train(build, "depth", 20, "pad", 0.84, code="a" * 64)
    build.fail(0, "diverged", start, study="depth", **as_designed(14, "none", 0.1, 15))
    with pytest.raises(ValueError, match=message):
        contrasts.judged(runs_so_far(contrasts))


def test_a_network_of_width_16_is_refused_as_the_wide_one(build, contrasts):
    train(build, "depth_or_width", 20, "pad", 0.84)
    with pytest.raises(ValueError, match="model.width is not that of experiment=depth_or_width"):
        contrasts.judged(runs_so_far(contrasts))


def test_a_second_run_under_another_name_is_refused(build, contrasts):
    train(build, "depth", 20, "none", 0.84, seeds=SEEDS[:3])
    train(build, "depth", 20, "none", 0.84, seeds=SEEDS[:2], more={"model.name": "blocks9"})
    with pytest.raises(ValueError, match="a second run of its network, rate and seed"):
        contrasts.judged(runs_so_far(contrasts))


def test_a_wide_network_has_its_own_rate(build, contrasts):
    train(build, "depth_or_width", 20, "pad", 0.84, lr=0.1, width=28)
    with pytest.raises(ValueError, match="its rate is 0.1, but 0.03 was chosen for such a network"):
        contrasts.judged(runs_so_far(contrasts))


@pytest.mark.parametrize("first, other", [
    ({"code": "a" * 64}, {"code": "b" * 64}),
    ({"code": "a" * 64}, {}),
    ({"data": {"sha256": "a" * 64}}, {"data": {"sha256": "b" * 64}}),
])  # fmt: skip
def test_runs_with_different_code_or_data_are_refused(build, contrasts, first, other):
    train(build, "depth", 20, "pad", 0.84, **first)
    train(build, "depth", 56, "pad", 0.84, **other)
    with pytest.raises(ValueError, match="2 values of"):
        contrasts.judged(runs_so_far(contrasts))


def test_the_two_studies_must_share_the_same_code(build, contrasts):
    train(build, "depth", 56, "pad", 0.84, code="a" * 64)
    train(build, "depth_or_width", 20, "pad", 0.84, lr=0.03, width=28, code="b" * 64)
    with pytest.raises(ValueError, match="depth and depth_or_width: 2 values of code"):
        contrasts.judged(runs_so_far(contrasts))
