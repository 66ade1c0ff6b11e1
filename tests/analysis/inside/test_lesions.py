"""Findings about lesions and residual branches, and their figures."""

import pytest

from analysis.claims.finding import Finding
from analysis.claims.inside.findings import find_inside
from analysis.claims.wording import sentence
from analysis.figures.style import NoData
from analysis.frames.study import load_studies
from tests.analysis.conftest import figure
from tests.analysis.studies import PLAIN

STAGES = {"model.name": "blocks4", "model.stages": [2, 2]}


def findings(kind: str) -> list[Finding]:
    """Return the findings of one kind in the only study under runs; check that every finding has a sentence."""
    (study,) = load_studies(["runs"])
    found = find_inside(study)
    assert all("{" not in sentence(finding) for finding in found)
    return [finding for finding in found if finding.kind == kind]


def test_lesions_that_cost_little_are_given_by_their_maximum_and_the_others_by_name(build, write_lesions):
    write_lesions(build.complete(**STAGES), [0.5, 0.85, 0.7, 0.89], [0.8])
    (removed,), (swapped,) = findings("remove"), findings("swap")
    mild, most = removed.facts["mild"]
    assert (mild, most) == (2, pytest.approx(5)) and removed.facts["ways"] == 4
    assert removed.facts["severe"] == {0: pytest.approx(40), 2: pytest.approx(20)}
    assert "20.0 (block 2, the first of stage 2)" in sentence(removed)
    assert "at most 5.0 pp in 2 of 4 cases" in sentence(removed)
    assert swapped.facts["mild"] == (1, pytest.approx(10)) and swapped.facts["severe"] == {}


def test_all_lesions_may_cost_much(build, write_lesions):
    write_lesions(build.complete(**STAGES), [0.1, 0.2, 0.3, 0.4], [0.1])
    assert findings("remove")[0].facts["mild"] == (0, None)
    assert "more than 10 pp in all 4 cases" in sentence(findings("remove")[0])
    assert "the only case: 80.0 (blocks 0 and 1)" in sentence(findings("swap")[0])


def test_of_many_severe_lesions_only_the_range_is_said(build, write_lesions):
    write_lesions(build.complete(**{"model.name": "blocks7", "model.stages": [7]}), [0.1 + 0.01 * n for n in range(7)])
    assert "costs more than 10 pp in all 7 cases: 74.0 to 80.0. On average" in sentence(*findings("remove"))


def test_a_lesion_can_help(build, write_lesions):
    write_lesions(build.complete(**STAGES), [0.91, 0.92, 0.91, 0.91])
    (found,) = findings("remove")
    assert found.facts["average"].mean == pytest.approx(-1.25) and "at most 0.0 pp" in sentence(found)


def test_costs_are_averaged_over_seeds_with_an_interval(build, write_lesions):
    for seed in range(3):
        write_lesions(build.complete(seed, **STAGES), [0.5 + 0.01 * seed] * 4)
    (found,) = findings("remove")
    average = found.facts["average"]
    assert (average.mean, average.n) == (pytest.approx(39), 3) and average.low < 39 < average.high
    assert found.seeds == (3, 3) and found.facts["severe"][1] == pytest.approx(39)


def test_lesions_without_the_intact_network_give_no_finding(build, write_lesions):
    write_lesions(build.complete(**STAGES), [0.5] * 4, intact=None)
    assert not findings("remove")


@pytest.mark.parametrize(
    ("plain", "residual", "verdict"),
    [([0.2, 0.22], [0.8, 0.82], "less"), ([0.8, 0.82], [0.2, 0.22], "more"), ([0.2, 0.8], [0.3, 0.7], "noise")],
)
def test_removals_are_compared_over_the_blocks_that_both_can_lose(build, write_lesions, plain, residual, verdict):
    for seed, (a, b) in enumerate(zip(plain, residual)):
        run = build.complete(seed, **STAGES, **PLAIN)
        write_lesions(run, [a, a])
        text = (run / "lesions.csv").read_text()
        (run / "lesions.csv").write_text(text.replace("remove,1", "remove,3"))
        write_lesions(build.complete(seed, **STAGES), [b, 0.0, 0.0, b])
    (found,) = findings("removal twins")
    assert found.difference.verdict == verdict and found.facts["common"] == 2 and found.seeds == (2, 2)
    assert found.facts["points"] == pytest.approx((90 - 50 * sum(plain), 90 - 50 * sum(residual)))


def test_removals_of_one_seed_leave_the_comparison_open(build, write_lesions):
    write_lesions(build.complete(**STAGES), [0.8] * 4)
    write_lesions(build.complete(**STAGES, **PLAIN), [0.2] * 2)
    (found,) = findings("removal twins")
    assert found.difference.verdict == "open" and "open" in sentence(found)


def test_networks_of_different_recipes_are_not_twins(build, write_lesions):
    write_lesions(build.complete(**STAGES), [0.8] * 4)
    write_lesions(build.complete(**STAGES, **PLAIN, **{"optimizer.lr": 0.1}), [0.2] * 2)
    assert not findings("removal twins")


@pytest.mark.parametrize(
    ("after", "word"),
    [((2.0, 2.1), "strengthens"), ((0.1, 0.11), "weakens"), ((0.2, 5.0), "noise"), ((2.0,), "open")],
)
def test_training_strengthens_or_weakens_the_branches_or_neither(build, write_probes, after, word):
    for seed, ratio in enumerate(after):
        write_probes(build.complete(seed, **STAGES), [2, 2], before=1.0 + 0.01 * seed, after=ratio)
    (found,) = findings("branches")
    assert found.depths == (10,) and word in sentence(found)
    assert found.facts["before"].n == len(after)


def test_branches_of_unfinished_networks_give_no_finding(build, write_probes):
    write_probes(build.complete(**STAGES), [2, 2], 1.0, 2.0)
    deep = build.complete(**{"model.name": "blocks6", "model.stages": [2, 2, 2]})
    write_probes(deep, [2, 2, 2], 1.0, 9.0)
    (deep / "result.json").unlink()
    (found,) = findings("branches")
    assert found.depths == (10,)


def test_branches_need_ratios_before_and_after_training(build, write_probes):
    write_probes(build.complete(**STAGES, **PLAIN), [2, 2], before=None, after=None)
    assert not findings("branches")


def test_ratios_to_a_shortcut_that_carries_nothing_are_left_out(build, write_probes):
    write_probes(build.complete(**STAGES), [2, 2], before=1.0, after=float("inf"))
    assert not findings("branches")


def test_a_file_that_ends_before_its_first_lesion_has_no_figure(build, write_lesions):
    run = build.complete(**STAGES)
    write_lesions(run, [0.5] * 4)
    head, intact, *_ = (run / "lesions.csv").read_text().splitlines(keepends=True)
    (run / "lesions.csv").write_text(head + intact)
    with pytest.raises(NoData, match="no run has lesions"):
        figure("lesions")


def test_lesions_are_drawn_residual_beside_plain_with_the_intact_network(build, write_lesions):
    write_lesions(build.complete(**STAGES), [0.5, 0.6, 0.7, 0.8], [0.4])
    write_lesions(build.complete(**STAGES, **PLAIN), [0.1, 0.2], [0.3], intact=0.85)
    worse = build.complete(**STAGES, val=0.1, **{"optimizer.lr": 1.0})  # another recipe, worse by validation
    write_lesions(worse, [0.0] * 4)
    drawn = figure("lesions")
    removed, swapped = drawn.axes
    intact = sorted(line.get_ydata()[0] for line in removed.lines if line.get_marker() in ("None", None, ""))
    assert intact == pytest.approx([85, 90])
    marks = sorted(y for line in removed.lines if line.get_marker() in "o^s" for y in line.get_ydata())
    assert marks == pytest.approx([10, 20, 50, 60, 70, 80])
    names = [text.get_text() for legend in drawn.legends for text in legend.texts]
    assert sorted(names) == ["plain", "residual (projection)", "the intact network (plain: dashed)"]
    assert swapped.get_xlabel() != removed.get_xlabel()
    assert "optimizer.lr=0.001" in drawn.get_suptitle()


def test_the_accuracy_of_guessing_is_drawn_if_the_classes_are_known(build, write_lesions):
    run = build.complete(**STAGES, **PLAIN)
    write_lesions(run, [0.5, 0.6])
    build.classify(run)
    drawn = figure("lesions")
    (guessing,) = [line for line in drawn.axes[0].lines if line.get_linestyle() == ":"]
    assert guessing.get_ydata()[0] == 100 / len(load_studies(["runs"])[0].classes["true"].unique())
    names = {line.get_label(): line.get_linestyle() for line in drawn.legends[0].get_lines()}
    assert (names["the intact network"], names["guessing"]) == ("--", ":")


def test_a_depth_without_swaps_leaves_no_empty_panel(build, write_lesions):
    write_lesions(build.complete(**STAGES), [0.5, 0.6, 0.7, 0.8], [0.4])
    write_lesions(build.complete(**{"model.name": "blocks3", "model.stages": [1, 1, 1]}), [0.5, 0.6, 0.7])
    shown = [axis for axis in figure("lesions").axes if axis.get_visible()]
    assert len(shown) == 3 and all(len(axis.lines) > 1 for axis in shown)
    assert [axis.xaxis.get_tick_params()["labelbottom"] for axis in shown] == [True, True, True]
    assert [bool(axis.get_ylabel()) for axis in shown] == [True, False, True]


def test_branches_are_drawn_before_and_after_training(build, write_probes):
    write_probes(build.complete(**STAGES), [2, 2], before=1.0, after=0.5)
    (axis,) = figure("branches").axes
    lines = {line.get_ls(): list(line.get_ydata()) for line in axis.lines}
    assert lines == {"--": pytest.approx([1.0] * 4), "-": pytest.approx([0.5] * 4)}
