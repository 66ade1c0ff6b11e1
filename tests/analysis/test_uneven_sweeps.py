"""Sweeps with holes: values that few networks tried, runs that diverged, networks without a counterpart."""

import itertools
import json

import pytest

from analysis.claims.findings import find
from analysis.claims.wording import by_topic
from analysis.figures.accuracy import look
from analysis.figures.published_points import find_published
from analysis.figures.roles import PlotOptions, roles_of
from analysis.figures.style import LOOKS
from analysis.frames.study import load_studies
from analysis.report import main as report
from tests.analysis import studies
from tests.analysis.conftest import figure
from tests.analysis.test_table import rows

PLAIN = {"model.shortcut": "none"}


def layers(depth: int) -> dict:
    return {"model.name": f"resnet{depth}", "model.stages": [(depth - 2) // 6] * 3, "model.width": 16}


def said(*best: str) -> dict[str, list[str]]:
    (study,) = load_studies(["runs"], best)
    return by_topic(find(study))


def test_networks_that_have_their_shortcut_by_depth_are_not_one_series(build):
    for depth, shortcut, acc in ((8, "none", 0.80), (20, "pad", 0.84), (56, "pad", 0.87)):
        for seed in (0, 1):
            build.complete(seed, val=acc, test=acc + 0.001 * seed, **layers(depth), **{"model.shortcut": shortcut})
    (gain,) = said()["Depth"]
    assert gain.startswith("From 20 to 56 layers, the test accuracy of residual (pad) networks rises by 3.00 pp")


def test_a_value_that_few_combinations_have_is_not_ranked(build):
    for depth, shortcut in ((8, "pad"), (8, "none"), (20, "pad"), (20, "none")):
        rates = (0.1, 0.3, 1.0) if (depth, shortcut) == (20, "pad") else (0.1, 0.3)
        for lr in rates:
            accuracy = {0.1: 0.7, 0.3: 0.8, 1.0: 0.79}[lr] if shortcut == "pad" else {0.1: 0.6, 0.3: 0.58}[lr]
            settings = studies.SGD | layers(depth) | {"optimizer.lr": lr, "model.shortcut": shortcut}
            build.complete(0, val=accuracy, test=accuracy, **settings)
    first = said()["optimizer.lr"][0]
    assert first.startswith("Of 3 values of optimizer.lr, 0.3 is best") and "in too few to be ranked: 1)" in first


def test_networks_that_have_no_complete_run_are_named_where_the_best_is_taken(build, table):
    for lr in (0.01, 0.1, 0.3):
        settings = studies.SGD | {"optimizer.lr": lr}
        for depth, shortcut in ((8, "pad"), (8, "none"), (56, "pad")):
            build.complete(val=0.8 - abs(lr - 0.1), **settings | layers(depth) | {"model.shortcut": shortcut})
        build.fail(0, "diverged", **settings | layers(56) | PLAIN)
    printed = table("--best", "optimizer.lr")
    assert "Left out, since no optimizer.lr has a complete run with a validation accuracy: 56 layers, plain." in printed
    assert "in all 3 combinations of the other axes (of 4)" in " ".join(said()["optimizer.lr"])


def test_runs_that_diverged_beside_the_best_are_counted(build, table):
    for lr, accuracy in ((0.1, 0.80), (0.01, 0.79), (0.3, 0.83)):
        for seed in range(4):
            settings = studies.SGD | layers(8) | {"optimizer.lr": lr}
            if lr == 0.3 and seed > 1:
                build.fail(seed, "diverged", **settings)
            else:
                build.complete(seed, val=accuracy + 0.001 * seed, **settings)
    texts = said()
    assert "2 more diverged" in texts["Best"][0] and "2 of its runs, which diverged" in texts["optimizer.lr"][0]
    assert "Other seeds diverged at the best optimizer.lr: 0.3." in table("--best", "lr")


def test_a_turning_point_is_not_denied_of_networks_that_never_finished(build):
    for depth, accuracy in ((8, 0.80), (20, 0.84), (32, 0.86)):
        for seed in (0, 1):
            build.complete(seed, val=accuracy + 0.001 * seed, **layers(depth) | PLAIN)
    build.fail(0, "diverged", **layers(56) | PLAIN)
    assert said()["Beyond the best depth"] == [
        "Of plain networks, the deepest that have complete runs (56 layers have none), with 32 layers, are best by "
        "validation: no turning point is seen."
    ]


def test_depths_that_are_equally_good_have_no_turning_point(build):
    for depth in (8, 20, 32):
        build.complete(val=0.1, test=0.1, **layers(depth) | PLAIN)
    assert "Beyond the best depth" not in said()


def test_one_choice_can_leave_no_second_one(build, table):
    for lr in (0.01, 0.1):
        for batch in (64, 128):
            write = build.begin if batch == 128 else build.complete
            write(0, **layers(8) | studies.SGD | {"optimizer.lr": lr, "batch_size": batch})
    (row,) = rows(table("--best", "lr", "--best", "batch_size"))
    assert row["optimizer.lr"] == "0.01"


def test_notes_on_a_first_choice_are_about_what_the_second_kept(build, table):
    for batch, top in ((64, 0.3), (128, 0.1)):
        for lr in (0.01, 0.1, 0.3):
            accuracy = 0.8 - abs(lr - top) + 0.02 * (batch == 128)
            build.complete(val=accuracy, **layers(8) | studies.SGD | {"optimizer.lr": lr, "batch_size": batch})
    assert "optimizer.lr lies at the edge" in table("--best", "lr")
    assert "optimizer.lr lies at the edge" not in table("--best", "lr", "--best", "batch_size")


def test_layouts_of_stages_can_be_chosen_from(build, tmp_path):
    for stages in ([3, 3], [2, 2, 2], [6]):
        for width in (8, 16):
            build.complete(val=0.7 + 0.01 * len(stages), **{"model.stages": stages, "model.width": width})
    assert report(["runs", "--best", "stages", "--out", str(tmp_path / "report.html")]) == 0


def test_the_number_of_stages_is_not_tuned_where_it_comes_with_the_depth(build):
    for name, stages, accuracy in (("blocks4", [2, 2], 0.8), ("blocks15", [5, 5, 5], 0.82)):
        for shortcut in ("projection", "none"):
            for seed in (0, 1):
                settings = {"model.name": name, "model.stages": stages, "model.shortcut": shortcut}
                build.complete(seed, test=accuracy + 0.001 * seed, **settings)
    texts = str(said())
    assert "Each at the best" not in texts and "Only one stages" not in texts


def test_only_what_was_tried_of_the_networks_compared_is_said_to_be_tuned(build):
    for depth, shortcut, lr, seed in itertools.product((8, 56), ("pad", "none"), (0.01, 0.03, 0.1, 0.3), (0, 1)):
        for width in (16, 28) if (depth, shortcut) == (8, "pad") else (16,):
            settings = {**layers(depth), "model.shortcut": shortcut, "optimizer.lr": lr, "model.width": width}
            build.complete(seed, val=0.8, test=0.8 + seed / 100, **settings)
    at_8, at_56, *_ = said()["Skip connections"]
    assert at_8.startswith("Each at the best model.width and optimizer.lr tried: at 8 layers")
    assert at_56.startswith("Each at the best optimizer.lr tried: at 56 layers")


def test_all_values_that_an_interaction_mixes_are_named(build):
    for depth, shortcut, lr in ((8, "pad", 0.1), (8, "none", 0.1), (56, "pad", 0.3), (56, "none", 0.01)):
        build.complete(**layers(depth) | studies.SGD | {"model.shortcut": shortcut, "optimizer.lr": lr})
    (study,) = load_studies(["runs"])
    (found,) = [found for found in find(study) if found.kind == "interaction"]
    assert sorted(found.facts["also"]["optimizer.lr"]) == [0.01, 0.1, 0.3]


def test_a_sweep_over_shortcuts_has_a_verdict(build, table, monkeypatch):
    for shortcut, accuracy in (("pad", 0.85), ("none", 0.80)):
        for seed in range(3):
            build.complete(seed, test=accuracy + 0.001 * seed, **layers(20) | {"model.shortcut": shortcut})
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert "is above that of their plain counterparts by 5.00 pp" in " ".join(table().split())


def test_a_training_in_steps_is_not_said_to_be_in_epochs(build, table):
    for depth in (20, 32):
        build.begin(done=3, **layers(depth) | {"epochs.count": None, "epochs.steps": 64000})
    assert "· 64,000 steps ·" in table()


def test_a_two_way_table_says_what_is_missing(build, table):
    for lr in (0.01, 0.1):
        for depth in (8, 20):
            build.complete(**layers(depth) | {"optimizer.lr": lr})
            build.begin(1, done=2, **layers(depth) | {"optimizer.lr": lr})
    assert "Averages are over complete runs only" in table("--pivot", "layers", "optimizer.lr")


def test_a_sweep_list_that_lists_no_runs_is_passed_over(build, table):
    build.complete()
    (build.root / ".sweeps").mkdir()
    (build.root / ".sweeps" / "odd.json").write_text(json.dumps({"runs": ["x"]}))
    assert "not started" not in table()


def test_the_same_network_in_two_folders_is_told_apart(build, table):
    for lr in (0.1, 0.01):
        build.complete(test=0.8 + lr, **layers(8) | {"optimizer.lr": lr})
    a, b = sorted(path.name for path in (build.root / "depth").iterdir())
    title = table("--compare", build.root / "depth" / a, build.root / "depth" / b).splitlines()[0]
    first, second = title.removeprefix("## ").split(" against ")
    assert first != second


def test_a_constant_depth_can_be_named_in_a_comparison(build, table):
    for lr in (0.1, 0.01):
        build.complete(**layers(8) | {"optimizer.lr": lr})
    assert "They differ in optimizer.lr" in table("--compare", "depth=8,lr=0.1", "lr=0.01")


AKAMASTER = studies.SGD | {"batch_size": 128, "epochs.count": 200, "data.val_fraction": 0.0}
AKAMASTER |= {"schedule.name": "multistep", "schedule.milestones": [0.5, 0.75], "model.shortcut": "pad"}


def test_a_run_stands_beside_the_published_one_of_its_recipe(build, table):
    build.complete(val=None, test=0.92, **AKAMASTER | layers(20))
    build.complete(val=None, test=0.93, **AKAMASTER | layers(32))
    first = rows(table("--published"))[0]
    assert "recipes differ" not in first["against published"]
    assert "akamaster" in " ".join(said()["Published"])
    (study,) = load_studies(["runs"])
    labels = set(find_published(study)["label"])
    assert "published: akamaster" in labels and "published: He et al. 2016 (other recipe)" in labels


def test_intervals_are_cut_off_at_the_edge_of_the_axis_that_is_shown(build):
    for seed, (a, b) in enumerate(((0.60, 0.62), (0.70, 0.64))):
        for depth, accuracy in ((20, a), (32, b)):
            build.complete(seed, test=accuracy, val=accuracy, **layers(depth) | {"model.shortcut": "pad"})
    for axis in figure("accuracy").axes:
        edges = axis.get_ylim()
        arrows = [y for line in axis.lines if line.get_marker() in ("v", "^") for y in line.get_ydata()]
        assert arrows and all(y == pytest.approx(edges[0]) or y == pytest.approx(edges[1]) for y in arrows)


def test_a_study_of_plain_networks_is_in_their_colour(build):
    for depth in (8, 20):
        build.complete(**layers(depth) | PLAIN)
    (study,) = load_studies(["runs"])
    assert look(roles_of(study, PlotOptions()), 0).get_color() == LOOKS["none"][0]


def test_axes_that_leave_none_to_draw_along_are_named(build):
    for depth in (8, 20):
        for shortcut in ("pad", "none"):
            build.complete(**layers(depth) | {"model.shortcut": shortcut})
    with pytest.raises(Exception, match="nothing varies but the seed that no line or panel stands for"):
        figure("accuracy", panels="layers", by="shortcut")
