"""Findings about untrained networks: each can come out either way, be noise, or stay open."""

import math

import pandas as pd
import pytest

from analysis.claims.finding import Finding
from analysis.claims.inside.untrained import find_untrained
from analysis.claims.wording import sentence
from analysis.frames.inside.untrained import Untrained

NOTHING = pd.DataFrame()


def networks(depth=20, shortcut="pad", norm="batch", rest="", **figures) -> pd.DataFrame:
    """Return one run per seed; `figures` are lists of equal length, with one value per seed."""
    defaults = {"gradient_ratio": [1.0], "scaled_ratio": [math.nan], "growth": [math.nan], "scaled_growth": [math.nan]}
    defaults |= {"cosine": [math.nan], "curvature": [math.nan], "eigenvalues": [math.nan]}
    seeds = len(next(iter(figures.values()), [0]))
    columns = {name: values * seeds for name, values in defaults.items()} | figures
    name = f"{depth}-{shortcut}-{norm}-{rest}"
    same = {"depth": depth, "shortcut": shortcut, "norm": norm, "rest": rest, "configuration": name}
    return pd.DataFrame(columns).assign(**same, seed=range(seeds))


def findings(*runs, kind=None) -> list[Finding]:
    """Return the findings of one kind, or all; check that every finding has a sentence."""
    found = list(find_untrained(Untrained(pd.concat(runs, ignore_index=True), NOTHING, NOTHING)))
    assert all("{" not in sentence(finding) for finding in found)
    return [finding for finding in found if kind in (None, finding.kind)]


NEAR = [100.0, 110.0, 90.0]
FAR = [0.01, 0.011, 0.009]
NOISE = [0.5, 1.0, 2.0]


@pytest.mark.parametrize(
    ("ratios", "direction", "word"),
    [
        (NEAR, "more", "larger"),
        (FAR, "less", "smaller"),
        (NOISE, "noise", "not shown"),
        ([100.0], "open", "no interval"),
    ],
)
def test_the_gradient_is_larger_or_smaller_in_the_first_layers_or_nothing_can_be_said(ratios, direction, word):
    (found,) = findings(networks(shortcut="none", gradient_ratio=ratios), kind="ends")
    assert found.facts["ratios"]["none"].beside() == direction and found.depths == (20,)
    assert word in sentence(found)


def test_the_ratio_is_a_geometric_mean_with_an_interval_over_seeds():
    (found,) = findings(networks(gradient_ratio=[10.0, 1000.0]), kind="ends")
    ratio = found.facts["ratios"]["pad"]
    assert 10**ratio.mean == pytest.approx(100)
    assert ratio.low == pytest.approx(2 - 12.706, abs=1e-3) and ratio.n == 2


def test_scaling_by_the_weights_is_mentioned_and_whether_it_reverses_the_direction():
    (same,) = findings(networks(gradient_ratio=NEAR, scaled_ratio=NEAR), kind="ends")
    (turned,) = findings(networks(gradient_ratio=NEAR, scaled_ratio=FAR), kind="ends")
    assert same.facts["scaled"]["pad"].beside() == "more" and "other way round" not in sentence(same)
    assert turned.facts["scaled"]["pad"].beside() == "less" and "other way round" in sentence(turned)
    (unsure,) = findings(networks(gradient_ratio=NEAR, scaled_ratio=NOISE), kind="ends")
    assert "Scaled, it is not shown to differ" in sentence(unsure)
    assert "scaled" not in sentence(findings(networks(gradient_ratio=NEAR), kind="ends")[0])


@pytest.mark.parametrize(
    ("plain", "residual", "verdict"),
    [(NEAR, FAR, "less"), (FAR, NEAR, "more"), (NOISE, NOISE, "noise"), ([100.0], [1.0], "open")],
)
def test_residual_networks_are_compared_with_their_plain_twins(plain, residual, verdict):
    runs = networks(shortcut="none", gradient_ratio=plain), networks(gradient_ratio=residual)
    (found,) = findings(*runs, kind="ends twins")
    assert found.difference.verdict == verdict and found.seeds == (len(plain), len(residual))


def test_twins_are_compared_at_the_greatest_depth_that_both_have():
    runs = [networks(depth, "none", gradient_ratio=NEAR) for depth in (8, 20, 56)]
    runs += [networks(depth, "pad", gradient_ratio=FAR) for depth in (8, 20)]
    (found,) = findings(*runs, kind="ends twins")
    assert found.depths == (20,)
    apart = networks(8, "none", gradient_ratio=NEAR), networks(20, "pad", gradient_ratio=NEAR)
    assert not findings(*apart, kind="ends twins")


def test_norms_and_other_settings_that_vary_are_kept_apart():
    runs = networks(gradient_ratio=NEAR), networks(norm="none", shortcut="none", gradient_ratio=FAR)
    found = findings(*runs, networks(rest="model.width=64", gradient_ratio=NEAR))
    assert [finding.kind for finding in found] == ["ends"] * 3
    words = ["with batch norm", "without batch norm", "with batch norm, model.width=64"]
    assert [finding.networks for finding in found] == words


@pytest.mark.parametrize(
    ("growth", "verdict"),
    [([1.30, 1.31, 1.32], "more"), ([1.10, 1.11, 1.12], "less"), ([1.20, 1.21, 1.22], "noise"), ([1.2], "open")],
)
def test_the_growth_per_plain_layer_is_compared_with_theory(growth, verdict):
    (found,) = findings(networks(shortcut="none", growth=growth, scaled_growth=growth), kind="growth")
    assert found.facts["verdict"] == verdict and found.facts["theory"] == pytest.approx(1.2112, abs=1e-4)


def test_theory_applies_only_to_plain_networks_with_batch_norm():
    assert not findings(networks(growth=[1.2]), networks(shortcut="none", norm="none", growth=[1.2]), kind="growth")


@pytest.mark.parametrize(
    ("deep", "verdict", "word"),
    [([0.1, 0.11, 0.12], "less", "fall"), ([0.97, 0.98, 0.99], "more", "rise"), ([0.2, 0.8, 1], "noise", "no change")],
)
def test_the_cosine_of_neighbours_falls_rises_or_does_neither(deep, verdict, word):
    runs = networks(8, cosine=[0.8, 0.81, 0.82]), networks(20, cosine=[0.5, 0.5, 0.5]), networks(56, cosine=deep)
    (found,) = findings(*runs, kind="neighbours")
    assert list(found.facts["cosines"]["pad"]) == [8, 56] and found.facts["changes"]["pad"].verdict == verdict
    assert word in sentence(found)
    assert all(-1 <= cosine.low <= cosine.high <= 1 for cosine in found.facts["cosines"]["pad"].values())


@pytest.mark.parametrize(
    ("plain", "residual", "verdict", "word"),
    [
        ([0.0, 0.01], [0.5, 0.51], "more", "higher"),
        ([0.5, 0.51], [0.0, 0.01], "less", "lower"),
        ([0.1, 0.9], [0.2, 0.8], "noise", "noise"),
        ([0.1], [0.9], "open", "open"),
    ],
)
def test_neighbours_are_compared_with_those_of_plain_twins(plain, residual, verdict, word):
    (found,) = findings(networks(shortcut="none", cosine=plain), networks(cosine=residual), kind="neighbours twins")
    assert found.difference.verdict == verdict and word in sentence(found)


def test_the_curvature_says_which_rates_start_badly():
    def sharp(depth, *values):
        return networks(depth, curvature=list(values), eigenvalues=[1] * len(values))

    runs = sharp(8, 7, 8, 7.5), sharp(20, 25, 40, 60), sharp(56, 120, 130, 125), sharp(110, 900, 950, 920)
    (found,) = findings(*runs, kind="curvature")
    assert found.facts["starts"] == {
        0.1: {"more": [56, 110], "less": [8], "open": [20]},
        0.01: {"more": [110], "less": [8, 20, 56], "open": []},
    }
    text = sentence(found)
    assert "ranges from 7.5 (6.3 to 8.8) at 8 layers to 920 (860 to 990) at 110 layers." in text
    assert "Left out" not in text
    assert "38 at a learning rate of 0.1 (above it at 56 and 110 layers, below it at 8 layers, undecided" in text


def test_a_bound_on_one_side_of_all_depths_is_mentioned_once():
    runs = [networks(depth, curvature=[7, 8, 7.5], eigenvalues=[1] * 3) for depth in (8, 20)]
    (found,) = findings(*runs, kind="curvature")
    assert sentence(found).endswith("38 at a learning rate of 0.1 (below it at each depth); 380 at a learning rate of "
                                    "0.01 (below it at each depth).")  # fmt: skip


def test_a_single_seed_leaves_the_bound_open():
    (found,) = findings(networks(curvature=[1000.0], eigenvalues=[1]), kind="curvature")
    assert found.facts["starts"][0.1] == {"more": [], "less": [], "open": [20]}


def test_eigenvalues_that_did_not_converge_are_left_out_and_counted():
    runs = networks(curvature=[30.0, 31.0, math.nan], eigenvalues=[1] * 3)
    (found,) = findings(runs, kind="curvature")
    assert found.facts["left_out"] == (1, 3) and found.facts["curvatures"][20].n == 2
    assert sentence(found).endswith("1 of 3 runs.")
    deeper = networks(depth=56, curvature=[math.nan], eigenvalues=[1])
    assert sentence(*findings(runs, deeper, kind="curvature")).endswith("2 of 4 runs, among them all of 56 layers.")
    (none,) = findings(networks(shortcut="none", curvature=[math.nan] * 2, eigenvalues=[1] * 2), kind="no curvature")
    assert "none of 2 runs" in sentence(none)


def test_there_are_no_findings_without_inspections():
    assert findings(networks(gradient_ratio=[math.nan])) == []
