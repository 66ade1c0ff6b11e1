"""Sweeps with holes: values that few networks tried, runs that diverged, networks without a counterpart."""

import csv
import io
import itertools
import json
import random
import re
import shutil

import pytest
from matplotlib.text import Text

from analysis.claims.finding import BEYOND
from analysis.claims.findings import find, main_findings
from analysis.claims.wording import sentence
from analysis.figures.accuracy import look
from analysis.figures.published_points import find_published
from analysis.figures.roles import PlotOptions, roles_of
from analysis.figures.style import LOOKS, NoData
from analysis.frames.study import load_studies
from analysis.plots import main
from tests.analysis import studies
from tests.analysis.conftest import figure, rows, sentences
from tests.analysis.studies import layers


def test_networks_whose_shortcut_depends_on_depth_are_not_one_series(build):
    for depth, shortcut, acc in ((8, "none", 0.80), (20, "pad", 0.84), (56, "pad", 0.87)):
        for seed in (0, 1):
            build.complete(seed, val=acc, test=acc + 0.001 * seed, **layers(depth, shortcut))
    (gain,) = sentences()["Depth"]
    assert gain.startswith("From 20 to 56 layers, the test accuracy of residual (pad) networks rises by 3.00 pp")


def test_a_value_that_few_combinations_have_is_not_ranked(build):
    for depth, shortcut in ((8, "pad"), (8, "none"), (20, "pad"), (20, "none")):
        rates = (0.1, 0.3, 1.0) if (depth, shortcut) == (20, "pad") else (0.1, 0.3)
        for lr in rates:
            accuracy = {0.1: 0.7, 0.3: 0.8, 1.0: 0.79}[lr] if shortcut == "pad" else {0.1: 0.6, 0.3: 0.58}[lr]
            settings = studies.SGD | layers(depth, shortcut) | {"optimizer.lr": lr}
            build.complete(0, val=accuracy, test=accuracy, **settings)
    first = sentences()["optimizer.lr"][0]
    assert "optimizer.lr=0.3 is the best of 3 values" in first and "in too few to be ranked: 1)" in first


def test_networks_without_a_complete_run_are_named_when_the_best_is_chosen(build, table):
    for lr in (0.01, 0.1, 0.3):
        settings = studies.SGD | {"optimizer.lr": lr}
        for depth, shortcut in ((8, "pad"), (8, "none"), (56, "pad")):
            build.complete(val=0.8 - abs(lr - 0.1), **settings | layers(depth, shortcut))
        build.fail(0, "diverged", **settings | layers(56, "none"))
    printed = table("--best", "optimizer.lr")
    assert (
        "Left out, since no value of optimizer.lr has a complete run with a validation accuracy: 56 layers, plain."
        in printed
    )
    assert "in all 3 combinations of the other axes in which it can be compared (of 4 in all)" in " ".join(
        sentences()["optimizer.lr"]
    )


def test_seeds_that_diverged_at_the_best_value_are_counted(build, table):
    for lr, accuracy in ((0.1, 0.80), (0.01, 0.79), (0.3, 0.83)):
        for seed in range(4):
            settings = studies.SGD | layers(8) | {"optimizer.lr": lr}
            if lr == 0.3 and seed > 1:
                build.fail(seed, "diverged", **settings)
            else:
                build.complete(seed, val=accuracy + 0.001 * seed, **settings)
    assert "Other seeds diverged at the best value of optimizer.lr: 0.3." in table("--best", "lr")
    build.complete(0, val=0.6, **studies.SGD | layers(8) | {"optimizer.lr": 0.1, "batch_size": 32})
    texts = sentences()
    assert "2 more diverged" in texts["Best"][0] and "2 of its runs, which diverged" in texts["optimizer.lr"][0]


def test_no_turning_point_comes_with_a_note_on_networks_that_never_finished(build):
    for depth, accuracy in ((8, 0.80), (20, 0.84), (32, 0.86)):
        for seed in (0, 1):
            build.complete(seed, val=accuracy + 0.001 * seed, **layers(depth, "none"))
    build.fail(0, "diverged", **layers(56, "none"))
    assert sentences()[BEYOND] == [
        "Of plain networks, the deepest that have complete runs (56 layers have none), with 32 layers, are best by "
        "validation: no turning point is seen."
    ]


def test_equally_good_depths_have_no_turning_point(build):
    for depth in (8, 20, 32):
        build.complete(val=0.1, test=0.1, **layers(depth, "none"))
    assert BEYOND not in sentences()


def test_a_first_choice_may_leave_nothing_for_a_second(build, table):
    for lr in (0.01, 0.1):
        for batch in (64, 128):
            write = build.begin if batch == 128 else build.complete
            write(0, **layers(8) | studies.SGD | {"optimizer.lr": lr, "batch_size": batch})
    (row,) = rows(table("--best", "lr", "--best", "batch_size"))
    assert row["optimizer.lr"] == "0.01"


def test_notes_on_a_first_choice_cover_only_what_the_second_kept(build, table):
    for batch, top in ((64, 0.3), (128, 0.1)):
        for lr in (0.01, 0.1, 0.3):
            accuracy = 0.8 - abs(lr - top) + 0.02 * (batch == 128)
            build.complete(val=accuracy, **layers(8) | studies.SGD | {"optimizer.lr": lr, "batch_size": batch})
    assert "optimizer.lr lies at the edge" in table("--best", "lr")
    assert "optimizer.lr lies at the edge" not in table("--best", "lr", "--best", "batch_size")


def test_the_best_layout_of_stages_can_be_chosen(build, table):
    for stages in ([3, 3], [2, 2, 2], [6]):
        for width in (8, 16):
            build.complete(val=0.7 + 0.01 * len(stages), **{"model.stages": stages, "model.width": width})
    assert [row["stages"] for row in rows(table("--best", "stages"))] == ["3", "3"]


def test_the_number_of_stages_is_not_called_tuned_if_it_changes_with_the_depth(build):
    for network, accuracy in (({}, 0.8), (studies.DEEP, 0.82)):
        for shortcut, seed in itertools.product(("projection", "none"), (0, 1)):
            build.complete(seed, test=accuracy + 0.001 * seed, **network, **{"model.shortcut": shortcut})
    texts = str(sentences())
    assert "Each at the best" not in texts and "only one value of stages" not in texts


def test_only_settings_tried_for_the_compared_networks_are_said_to_be_tuned(build):
    for depth, shortcut, lr, seed in itertools.product((8, 56), ("pad", "none"), (0.01, 0.03, 0.1, 0.3), (0, 1)):
        for width in (16, 28) if (depth, shortcut) == (8, "pad") else (16,):
            settings = layers(depth, shortcut) | {"optimizer.lr": lr, "model.width": width}
            build.complete(seed, val=0.8, test=0.8 + seed / 100, **settings)
    at_8, at_56, *_ = sentences()["Skip connections"]
    assert at_8.startswith("Each at the best model.width and optimizer.lr tried: at 8 layers")
    assert at_56.startswith("Each at the best optimizer.lr tried: at 56 layers")


def test_networks_without_a_turning_point_are_said_to_be_tuned(build):
    for depth, shortcut, lr in itertools.product((8, 14, 20), ("pad", "none"), (0.01, 0.1)):
        build.complete(**layers(depth, shortcut), val=0.7 + depth / 1000 + lr / 10, **{"optimizer.lr": lr})
    (study,) = load_studies(["runs"])
    (found,) = (found for found in find(study) if found.kind == "no turn")
    assert found.tuned == "optimizer.lr"


def test_all_values_that_an_interaction_mixes_are_named(build):
    for depth, shortcut, lr in ((8, "pad", 0.1), (8, "none", 0.1), (56, "pad", 0.3), (56, "none", 0.01)):
        build.complete(**layers(depth, shortcut) | studies.SGD | {"optimizer.lr": lr})
    (study,) = load_studies(["runs"])
    (found,) = [found for found in find(study) if found.kind == "interaction"]
    assert sorted(found.facts["also"]["optimizer.lr"]) == [0.01, 0.1, 0.3]


def test_a_sweep_over_shortcuts_has_a_verdict(build, table, terminal):
    for shortcut, accuracy in (("pad", 0.85), ("none", 0.80)):
        for seed in range(3):
            build.complete(seed, test=accuracy + 0.001 * seed, **layers(20, shortcut))
    terminal()
    assert "is above that of their plain counterparts by 5.00 pp" in " ".join(table().split())


def test_training_in_steps_is_not_said_to_be_in_epochs(build, table):
    for depth in (20, 32):
        build.begin(done=3, **layers(depth) | {"epochs.count": None, "epochs.steps": 64000})
    assert "· 64,000 steps ·" in table()


def test_a_two_way_table_says_what_is_missing(build, table):
    for lr in (0.01, 0.1):
        for depth in (8, 20):
            build.complete(**layers(depth) | {"optimizer.lr": lr})
            build.begin(1, done=2, **layers(depth) | {"optimizer.lr": lr})
    assert "Averages are over complete runs only" in table("--pivot", "layers", "optimizer.lr")


def test_a_malformed_sweep_list_is_ignored(build, table):
    build.complete()
    (build.root / ".sweeps").mkdir()
    (build.root / ".sweeps" / "odd.json").write_text(json.dumps({"runs": ["x"]}))
    assert "not started" not in table()


def test_the_same_network_at_two_rates_is_told_apart_in_a_comparison(build, table):
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


def test_a_run_is_compared_with_the_published_one_of_its_recipe(build, table):
    akamaster = studies.MULTISTEP | {"epochs.count": 200, "data.val_fraction": 0.0}
    build.complete(val=None, test=0.92, **akamaster, **layers(20, "pad"))
    build.complete(val=None, test=0.93, **akamaster, **layers(32, "pad"))
    first = rows(table("--published"))[0]
    assert "recipes differ" not in first["against published"]
    assert "akamaster" in " ".join(sentences()["Published"])
    (study,) = load_studies(["runs"])
    labels = set(find_published(study.configurations)["label"])
    assert "published: akamaster (best test epoch)" in labels and "published: He et al. 2016 (other recipe)" in labels


def test_intervals_are_cut_off_at_the_edge_of_the_axis_that_is_shown(build):
    for seed, (a, b) in enumerate(((0.30, 0.62), (0.90, 0.64), (0.90, 0.64))):
        for depth, accuracy in ((20, a), (32, b)):
            build.complete(seed, test=accuracy, val=accuracy, **layers(depth, "pad"))
    for axis in figure("accuracy").axes:
        edges = axis.get_ylim()
        arrows = [y for line in axis.lines if line.get_marker() in ("v", "^") for y in line.get_ydata()]
        assert arrows and all(y == pytest.approx(edges[0]) or y == pytest.approx(edges[1]) for y in arrows)


def test_a_study_of_plain_networks_is_in_their_colour(build):
    for depth in (8, 20):
        build.complete(**layers(depth, "none"))
    (study,) = load_studies(["runs"])
    assert look(roles_of(study, PlotOptions()), 0).get_color() == LOOKS["none"][0]


def test_a_figure_without_an_axis_left_to_draw_along_is_refused(build):
    for depth in (8, 20):
        for shortcut in ("pad", "none"):
            build.complete(**layers(depth, shortcut))
    with pytest.raises(NoData, match="nothing varies but the seed, apart from what lines and panels show"):
        figure("accuracy", panels="layers", by="shortcut")


def test_steps_are_a_numeric_axis_if_all_runs_are_in_steps(build, table):
    for steps, acc in ((400, 0.6), (2000, 0.7), (10000, 0.8)):
        build.complete(val=acc, test=acc, **{"epochs.count": None, "epochs.steps": steps})
    assert [row["steps"] for row in rows(table())] == ["400", "2000", "10000"]
    assert "10000 is the highest value of steps tried" in str(sentences()["steps"])
    assert "steps=" not in str(sentences())
    assert {rows(table("--best", name))[0]["steps"] for name in ("epochs.steps", "epochs")} == {"10000"}
    assert [row["steps"] for row in csv.DictReader(io.StringIO(table("--format", "csv")))] == ["400", "2000", "10000"]
    assert figure("accuracy", x="steps").axes[0].get_xlabel() == "steps"


def test_without_validation_nothing_is_called_best_and_the_reason_is_given(build):
    for lr, acc in ((0.01, 0.6), (0.1, 0.7)):
        for seed in (0, 1):
            build.complete(seed, val=None, test=acc + seed / 100, **{"optimizer.lr": lr, "data.val_fraction": 0.0})
    assert "no value of optimizer.lr can be chosen" in sentences()["Best"][0]
    dice = random.Random(0)
    for _ in range(12):
        keys = {"optimizer.lr": round(dice.random(), 6), "batch_size": dice.randrange(8, 512)}
        build.complete(study="search", val=None, test=dice.random(), **keys | {"data.val_fraction": 0.0})
    texts = sentences(folder="runs/search")
    assert "no value of" in texts["Best"][0] and texts["Confounds"][0].startswith(
        "These configurations do not form a grid"
    )


def test_one_pair_with_a_single_seed_does_not_leave_all_pairs_open(build):
    for depth, lr in itertools.product((8, 20, 32), (0.01, 0.1)):
        for seed in (0, 1) if (depth, lr) != (32, 0.1) else (0,):
            acc = 0.7 + lr / 10 + depth / 1000 + seed / 500
            build.complete(seed, val=acc, test=acc, **layers(depth) | {"optimizer.lr": lr})
    text = sentences()["optimizer.lr"][0]
    assert "On average over the 2 of 3 pairs with several seeds, its test accuracy is above" in text
    assert "is open" not in text


def test_a_deeper_network_of_another_width_is_not_missed(build):
    for width, depths in ((8, (8, 20)), (16, (8, 20, 32))):
        for depth in depths:
            acc = 0.6 + depth / 100
            build.complete(val=acc, test=acc, **layers(depth, "none") | {"model.width": width})
    build.begin(**layers(56, "none"))
    (wide,), (narrow, *_) = (
        sentences()[BEYOND],
        sentences()["Training and validation"],
    )
    assert narrow.startswith("From 8 to 20 layers, the training accuracy of plain networks with model.width=8")
    assert "model.width=16, the deepest that have complete runs (56 layers have none), with 32 layers" in wide


@pytest.mark.parametrize("key, values, stays", [("model.width", (16, 32), True), ("optimizer.lr", (0.1, 0.01), False)])
def test_a_chosen_setting_is_not_another_difference_unless_it_changes_the_network(build, table, key, values, stays):
    for depth, best in zip((8, 20), values):
        for value in values:
            for seed in (0, 1):
                acc = 0.7 + depth / 1000 - 0.1 * (value != best) + seed / 1000
                build.complete(seed, val=acc, test=acc, **layers(depth) | {key: value})
    compared = table("--best", key, "--compare", "8 layers", "20 layers")
    assert ("do not tell which of these" in compared) is stays
    texts = sentences(key)
    assert (f"also differ in {key}" in texts["Depth"][0]) is stays
    assert any("more than one thing" in text for text in texts.get("Confounds", [])) is stays


def test_a_sentence_on_two_configurations_names_no_setting_that_was_chosen_for_each(build):
    for depth, shortcut, best in ((8, "pad", 0.1), (20, "none", 0.01)):
        for lr in (0.1, 0.01):
            for seed in (0, 1):
                acc = 0.7 + depth / 1000 - 0.1 * (lr != best) + seed / 1000
                network = layers(depth, shortcut) | {"optimizer.lr": lr}
                build.complete(seed, val=acc, test=acc, **network)
    (study,) = load_studies(["runs"], ["optimizer.lr"])
    pair, *_ = map(sentence, main_findings(study))
    assert pair.startswith("From ") and "optimizer.lr" not in pair.partition("also differ in")[2]


def test_a_copy_of_the_best_configuration_is_ignored(build):
    for depth, shortcut, lr in itertools.product((8, 20), ("pad", "none"), (0.001, 0.01, 0.1, 1.0)):
        acc = 0.6 + depth / 100 - abs(lr - 0.1)
        run = build.complete(val=acc, test=acc, **layers(depth, shortcut) | {"optimizer.lr": lr})
        if (depth, lr) == (20, 0.1):
            copy = run.parent.with_name(f"{run.parent.name}-zz") / run.name
            shutil.copytree(run, copy)
            final = json.loads((copy / "result.json").read_text())["final"]
            build.amend(copy, final=final | {"val_acc": acc + 0.05})
    assert "compared at the best optimizer.lr tried" in sentences()["Depth"][0]
    for original in build.root.glob("depth/*pad*/seed0/result.json"):
        if (original.parents[1].with_name(f"{original.parents[1].name}-zz")).is_dir():
            original.unlink()  # as if the copy was resumed elsewhere: the complete one counts
    assert "rises by 12.00 pp" in sentences()["Depth"][1]


def test_two_sets_of_a_users_own_pictures_are_two_data_sets(build, table):
    apart = [
        str(build.complete(**{"data.name": "folder", "data.pictures": pictures, "optimizer.lr": lr}).parent)
        for pictures, lr in (("ad972132", 0.8), ("b1946ac9", 0.9))
    ]
    printed = table()
    assert "folder-ad972132" in printed and "folder-b1946ac9" in printed and printed.count("## ") == 2
    for sides in (
        ["--compare", "optimizer.lr=0.8", "optimizer.lr=0.9"],
        ["--compare", *apart],
        [apart[0], "--compare", "optimizer.lr=0.8", apart[1]],
    ):
        refused = table(*sides, code=2)
        assert re.search("cannot be compared: their data sets are folder [0-9a-f]{8} and folder [0-9a-f]{8}", refused)


def test_a_gradient_is_not_credited_to_the_shortcut_alone_if_more_differs(build):
    for shortcut, lr in (("pad", 0.1), ("none", 0.01)):
        for seed in (0, 1):
            run = build.complete(seed, **layers(20, shortcut) | {"optimizer.lr": lr})
            build.look_inside(run, first=1.0 + seed / 10 + lr)
    assert "They also differ in optimizer.lr" in sentences()["Gradients"][0]


def test_runs_of_a_sweep_that_have_not_started_are_counted_with_their_data(build, table):
    names = ("cifar10", "digits")
    begun = {name: build.complete(study="mine", **{"data.name": name}) for name in names}
    waiting = [str(begun[name].parent.with_name(f"waiting-{name}").absolute() / "seed0") for name in names]
    content = {"runs": waiting, "names": names, "configs": {name: {"data": {"name": name}} for name in names}}
    (build.root / ".sweeps").mkdir()
    (build.root / ".sweeps" / "a.json").write_text(json.dumps(content))
    assert table().count("1 run of a sweep has not started") == 2


def test_runs_in_folders_named_by_hand_that_have_not_started_are_counted(build, table):
    build.complete(study="mine").parent.rename(build.root / "mine" / "first")
    waiting = str((build.root / "mine" / "second").absolute())
    content = {"runs": [waiting], "names": ["x"], "configs": {"x": {"data": {"name": "cifar10"}}}}
    (build.root / "mine" / ".sweeps").mkdir()
    (build.root / "mine" / ".sweeps" / "a.json").write_text(json.dumps(content))
    assert "1 run of a sweep has not started" in table()
    build.complete(1, study="mine").rename(build.root / "alone")
    assert table().count("has not started") == 1, "a study's sweep list does not count for the folder above"


def test_an_axis_has_one_role_in_a_figure(build, capsys):
    for depth in (8, 20):
        build.complete(**layers(depth))
    assert main(["runs", "--x", "layers", "--by", "depth", "--out", "figures"]) == 2
    assert capsys.readouterr().err == "layers: an axis goes to one of --x, --by and --panels\n"


def test_an_axis_under_another_name_is_the_same_one(build):
    for depth, shortcut in itertools.product((8, 20), ("pad", "none")):
        build.complete(**layers(depth, shortcut))
    for name, option in (("accuracy", "x"), ("accuracy", "by"), ("curves", "by")):
        drawn = [figure(name, **{option: axis}) for axis in ("shortcut", "model.shortcut")]
        first, again = ([text.get_text() for text in one.findobj(Text)] for one in drawn)
        assert first == again


def test_lines_by_one_axis_leave_panels_to_the_other(build):
    for depth, shortcut in itertools.product((8, 20, 32), ("pad", "none")):
        build.complete(**layers(depth, shortcut))
    by_shortcut, by_depth = (figure("curves", by=name) for name in ("shortcut", "layers"))
    assert {axis.get_title() for axis in by_shortcut.axes} == {"8 layers", "20 layers", "32 layers"}
    assert {axis.get_title() for axis in by_depth.axes} == {"residual (pad)", "plain"}


def test_by_and_panels_mean_the_same_in_figures_over_epochs(build):
    for depth, lr in itertools.product((8, 20, 32), (0.1, 0.01)):
        build.complete(**layers(depth) | {"optimizer.lr": lr})
    drawn = figure("curves", by="optimizer.lr", panels="layers")
    assert [text.get_text() for text in drawn.legends[0].texts][:2] == ["0.01", "0.1"]
    assert {axis.get_title() for axis in drawn.axes} == {"8 layers", "20 layers", "32 layers"}


def test_a_run_that_diverged_does_not_flatten_the_losses_of_others(build):
    build.complete(**layers(8))
    run = build.fail(0, "diverged", **layers(20))
    head, *lines = (run / "metrics.csv").read_text().splitlines()
    place = head.split(",").index("train_loss")
    parts = [line.split(",") for line in lines]
    text = [",".join([*part[:place], "1e6", *part[place + 1 :]]) for part in parts]
    (run / "metrics.csv").write_text("\n".join([head, *text]) + "\n")
    drawn = figure("curves")
    low, high = drawn.axes[0].get_ylim()
    assert -1 < low < high < 5 and "go on above" in drawn.get_suptitle()


def test_a_published_point_is_of_the_recipe_that_is_drawn(build):
    recipe = studies.MULTISTEP | {"batch_size": 100, "epochs.count": None, "epochs.steps": 64000}
    for depth, shortcut, lr in itertools.product((20, 32), ("pad", "none"), (0.1, 0.05, 0.02, 0.01, 0.005)):
        build.complete(val=1 - lr, test=1 - lr, **recipe | layers(depth, shortcut) | {"optimizer.lr": lr})
    labels = {text.get_text() for text in figure("accuracy", x="layers").legends[0].texts}
    assert "published: techxzen, plain (other recipe)" in labels
