"""Intervals checked against numbers worked out elsewhere, and against the coverage they promise."""

import numpy as np
import pytest
from scipy import stats

from analysis.frames.statistics import (
    binomial_difference,
    contrast,
    deviation_factors,
    estimate,
    holm,
    pool,
    welch,
    wilson,
)
from analysis.page.tables import FACTORS


def test_the_interval_over_seeds_is_students_t():
    found = estimate([0.8, 0.82, 0.84])
    assert (found.n, found.mean, found.std) == (3, pytest.approx(0.82), pytest.approx(0.02))
    half = 4.302653 * 0.02 / 3**0.5  # t, 2 degrees of freedom, from a printed table
    assert (found.low, found.high) == (pytest.approx(0.82 - half), pytest.approx(0.82 + half))


def test_one_seed_has_no_deviation_and_no_interval():
    found = estimate([0.8])
    assert (found.mean, found.std, found.low, found.high, found.n) == (0.8, None, None, None, 1)


def test_seeds_that_do_not_differ_have_no_interval():
    found = estimate([0.8278, 0.8278, 0.8278])
    assert (found.std, found.low, found.high, found.n) == (0.0, None, None, 3) and found.beside(0.5) == "open"


@pytest.mark.parametrize("values", [[], [0.8, float("nan")], [float("inf")]])
def test_missing_and_infinite_values_are_an_error(values):
    with pytest.raises(ValueError, match="at least one figure"):
        estimate(values)


def test_welch_agrees_with_its_formula_worked_by_hand():
    a, b = [0.80, 0.82, 0.84], [0.90, 0.91, 0.92, 0.93]
    va, vb = 0.0004 / 3, (0.0005 / 3) / 4
    freedom = (va + vb) ** 2 / (va**2 / 2 + vb**2 / 3)
    assert 3 < freedom < 4  # where the printed table has t = 3.182 and 2.776
    found = welch(a, b)
    margin = 100 * (va + vb) ** 0.5
    assert found.points == pytest.approx(9.5)
    assert 2.776 * margin < found.high - found.points < 3.182 * margin
    assert found.high - found.points == pytest.approx(found.points - found.low)
    assert 0.001 < found.p < 0.02


def test_exchanging_the_sides_of_welch_negates_the_difference():
    there, back = welch([0.8, 0.81, 0.79], [0.8, 0.85]), welch([0.8, 0.85], [0.8, 0.81, 0.79])
    assert (there.points, there.low, there.high) == pytest.approx((-back.points, -back.high, -back.low))
    assert there.p == pytest.approx(back.p)


def test_a_single_seed_on_either_side_has_a_difference_without_interval():
    for found, points in ((welch([0.8], [0.9]), 10), (welch([0.8], [0.9, 0.92]), 11)):
        assert found.points == pytest.approx(points)
        assert (found.low, found.high, found.p) == (None, None, None)


def test_seeds_that_do_not_vary_yield_no_interval_unless_the_other_side_does():
    assert welch([0.8, 0.8], [0.9, 0.9]).low is None
    one_varies = welch([0.8, 0.8], [0.9, 0.92])
    assert one_varies.low < one_varies.points < one_varies.high


def test_the_interval_covers_the_truth_as_often_as_it_says():
    draws = np.random.default_rng(0).normal([0.8] * 3 + [0.82] * 3, [0.01] * 3 + [0.003] * 3, (1000, 6))
    found = [welch(draw[:3], draw[3:]) for draw in draws]
    covered = np.mean([difference.low <= 2 <= difference.high for difference in found])
    assert 0.93 <= covered <= 0.98


def draw_correct(generator, hardness, levels):
    """Return which images are right: seeds differ in level, images in hardness, and each seed has its own luck."""
    return levels[:, None] - hardness + generator.normal(size=(len(levels), len(hardness))) > 0


@pytest.mark.parametrize("seeds, images, spread", [(5, 400, 0.05), (5, 200, 0.0), (3, 1000, 0.02)])
def test_the_interval_over_seeds_and_images_covers_the_truth_as_often_as_it_says(seeds, images, spread):
    generator, found, rounds = np.random.default_rng(0), [], 600
    for _ in range(rounds):
        hardness = generator.normal(size=images)
        tilted = hardness * generator.choice([0.5, 1.5], size=images)  # the second sample fails on other images
        correct = [draw_correct(generator, kind, generator.normal(1, spread, seeds)) for kind in (hardness, tilted)]
        found.append(contrast([own.mean(axis=1) for own in correct], (-1, 1), correct))
    share = {h: stats.norm.cdf(1 / np.sqrt(1 + h**2 + spread**2)) for h in (0.5, 1, 1.5)}
    truth = 100 * ((share[0.5] + share[1.5]) / 2 - share[1])
    covered = np.mean([low <= truth <= high for low, high in (difference.with_images for difference in found)])
    assert 0.93 < covered < 0.97


def test_the_interval_over_images_alone_is_that_of_a_paired_difference():
    """With one seed per side, this is McNemar's comparison: b and c images are right on one side only."""
    n, b, c = 10000, 80, 180
    one, other = np.zeros((1, n), bool), np.zeros((1, n), bool)
    one[0, :8000] = other[0, b:8000] = other[0, 8000 : 8000 + c] = True
    found = contrast([one.mean(axis=1), other.mean(axis=1)], (-1, 1), (one, other))
    margin = 196 * np.sqrt(b + c - (c - b) ** 2 / n) / n
    assert (found.p, found.with_images) == (None, None)
    assert (found.low, found.high) == pytest.approx((1 - margin, 1 + margin), rel=1e-3)


def test_noise_specific_to_each_seed_counts_once():
    generator = np.random.default_rng(0)
    correct = [generator.random((5, 10000)) < share for share in (0.8, 0.81)]
    found = contrast([own.mean(axis=1) for own in correct], (-1, 1), correct)
    assert found.with_images == pytest.approx((found.low, found.high), abs=0.1)


def test_wilsons_interval_matches_the_books():
    assert wilson(0.9, 100) == pytest.approx((0.8256, 0.9448), abs=5e-4)
    assert wilson(0.57, 100) == wilson(0.5701, 100), "57 hits, though 0.57 * 100 is a little less"
    low, high = wilson(1.0, 10)
    assert high == 1 and low == pytest.approx(0.7225, abs=5e-4)


def test_newcombes_interval_matches_his_paper():
    """Newcombe 1998, table II: 56/70 - 48/80, method 10 gives 0.0524 to 0.3339."""
    found = binomial_difference(48 / 80, 80, 56 / 70, 70)
    assert (found.low, found.high) == pytest.approx((5.24, 33.39), abs=5e-3)
    assert found.points == pytest.approx(20) and found.p is None


def test_holms_correction_agrees_with_one_worked_by_hand():
    assert holm([0.04, 0.01, 0.03, 0.005]) == pytest.approx([0.06, 0.03, 0.06, 0.02])
    assert holm([0.9, 0.6]) == [1, 1] and holm([0.03]) == [0.03] and holm([]) == []


def test_a_pooled_deviation_is_that_of_all_seeds_about_their_own_means():
    samples = [[0.80, 0.82], [0.50, 0.53, 0.56], [0.9]]  # a single seed has no deviation
    found = pool(samples)
    squares = 2 * 0.01**2 + 2 * 0.03**2
    assert (found.dof, found.alike) == (3, True)
    assert found.std == pytest.approx(100 * (squares / 3) ** 0.5)
    assert found.low < found.std < found.high and found.least < found.std < found.most
    assert pool([[325 / 360, 328 / 360], [331 / 360, 334 / 360]]).alike, "equal but for rounding"


def test_deviations_that_differ_by_more_than_chance_are_not_alike():
    generator = np.random.default_rng(0)
    assert not pool([generator.normal(0.8, 0.001, 5), generator.normal(0.8, 0.05, 5)]).alike
    assert pool([[0.8, 0.8], [0.8, 0.9]]) is None
    assert pool([[0.8, 0.81]]) is None and pool([]) is None
    draws = generator.normal(0.8, 0.01, (400, 4, 3))
    assert 0.92 < np.mean([pool(draw).alike for draw in draws]) < 0.98  # equal ones are called alike 19 times out of 20


def test_the_interval_of_a_deviation_covers_the_truth_and_tables_have_its_factors():
    draws = np.random.default_rng(0).normal(0.8, 0.01, (2000, 3))
    low, high = deviation_factors(2)
    stds = draws.std(axis=1, ddof=1)
    assert 0.94 < np.mean((low * stds < 0.01) & (high * stds > 0.01)) < 0.96
    assert {n: tuple(round(factor, 1) for factor in deviation_factors(n - 1)) for n in FACTORS} == FACTORS
