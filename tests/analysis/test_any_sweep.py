"""Sweeps over anything but depth: what is compared, what is chosen, and how it is drawn."""

from pathlib import Path

import pytest

from analysis.claims.findings import main_findings
from analysis.claims.wording import by_topic
from analysis.frames.study import load_studies
from tests.analysis import studies
from tests.analysis.conftest import figure, rows, sentences
from tests.analysis.studies import layers

REFERENCE = Path(__file__).parents[2] / "runs" / "reference"


def sweep(build, key: str, accuracies: dict, seeds=(0, 1), **settings) -> None:
    """Write a study over one key, with the mean validation accuracy of each value; seeds differ by 0.2 points."""
    for value, acc in accuracies.items():
        for seed in seeds:
            build.complete(seed, val=acc + 0.002 * seed, test=acc + 0.002 * seed, **settings | {key: value})


def test_two_kinds_of_skip_connection_are_compared(build):
    for shortcut, acc in (("pad", 0.8), ("projection", 0.9), ("none", 0.7)):
        sweep(build, "model.shortcut", {shortcut: acc}, **layers(20))
    best, *others = sentences()["Skip connections"]
    assert best.startswith(
        "shortcut=projection is the better of 2 values by validation (relative to it, pad: -10.00 pp)"
    )
    assert "Its test accuracy is above that of pad by 10.00 pp" in best and len(others) == 2  # each against none


def test_values_under_way_or_diverged_are_named_and_leave_the_edge_open(build, table):
    sweep(build, "optimizer.lr", {0.001: 0.7, 0.003: 0.75, 0.01: 0.8})
    build.begin(done=3, **{"optimizer.lr": 0.03})
    build.fail(status="diverged", **{"optimizer.lr": 1.0})
    (said,) = sentences()["optimizer.lr"]
    assert "best of 3 values" in said and "; without a complete run: 0.03 and 1)" in said
    printed = table("--best", "optimizer.lr")
    assert "No run is complete, and so none was chosen, with optimizer.lr 0.03 and 1." in printed
    assert "lies at the edge" not in printed


def test_equally_good_values_are_named_when_the_first_is_chosen(build, table):
    sweep(build, "optimizer.lr", {0.001: 0.8, 0.003: 0.8, 0.01: 0.7})
    printed = table("--best", "optimizer.lr")
    assert "Several values of optimizer.lr are equally good by validation, and the first of them is taken: 0.001." in (
        printed
    )
    assert "lies at the edge" not in printed


def test_with_two_values_none_is_called_an_edge(build, table):
    sweep(build, "optimizer.lr", {0.001: 0.8, 0.003: 0.7})
    assert "lies at the edge" not in table("--best", "optimizer.lr")


@pytest.mark.parametrize("key, values", [("data.val_fraction", (0.05, 0.1, 0.2)), ("data.limit", (10, 100, 1000))])
def test_values_validated_on_different_images_are_not_ranked_without_a_warning(build, table, key, values):
    sweep(build, key, dict(zip(values, (0.9, 0.8, 0.7))))
    (said,) = sentences()[key]
    assert said.endswith("The values were validated on different images, which may explain their order.")
    assert "lies at the edge" not in table("--best", key)
    assert load_studies(["runs"])[0].title == "depth (cifar10)"


def test_a_rate_tried_in_other_places_for_each_optimizer_is_best_for_each(build):
    for settings, rates in ((studies.ADAM, (0.0003, 0.001, 0.003)), (studies.SGD, (0.03, 0.1, 0.3))):
        choices = {"model": "blocks4", "optimizer": settings["optimizer.name"]}
        sweep(build, "optimizer.lr", dict(zip(rates, (0.7, 0.8, 0.75))), **settings, choices=choices)
    assert sentences()["optimizer.lr"] == [
        "By validation, the best value of optimizer.lr is 0.001 with optimizer=adam; 0.1 with optimizer=sgd."
    ]


def test_the_next_best_may_be_one_of_several(build):
    sweep(build, "augmentation.cutout", {0: 0.8, 8: 0.7, 16: 0.7})
    assert "above that of 8, one of the next best, by 10.00 pp" in sentences()["augmentation.cutout"][0]


def test_each_side_of_a_comparison_has_its_number_of_seeds(build):
    sweep(build, "optimizer.lr", {0.1: 0.8}, seeds=range(5))
    sweep(build, "optimizer.lr", {0.01: 0.7}, seeds=(0,))
    assert "(5 and 1 seeds" in sentences()["optimizer.lr"][0]


def test_with_nothing_held_out_the_terminal_says_why_nothing_is_chosen(build):
    for lr, acc in ((0.001, 0.7), (0.01, 0.8)):
        build.complete(val=None, test=acc, **{"optimizer.lr": lr, "data.val_fraction": 0.0})
    (said,) = by_topic(main_findings(*load_studies(["runs"])))["Best"]
    assert said.startswith("Nothing was held out for validation, so no value of optimizer.lr can be chosen")


def test_a_table_says_that_its_runs_differ_in_precision(build, table):
    sweep(build, "optimizer.lr", {0.001: 0.7, 0.01: 0.8})
    assert "same precision" not in table()
    for run in build.root.glob("*/*/seed*"):
        if "lr: 0.001" in (run / "config.yaml").read_text():
            build.amend(run, precision="fp32")
    assert "Not all configurations ran in the same precision (1 in bf16, 1 in fp32)" in table()


def test_stages_of_equal_length_are_told_from_lists_of_blocks(build):
    sweep(build, "model.stages", {(3, 3, 3): 0.8, (2, 3, 4): 0.7}, **{"model.name": "blocks9"})
    assert "3 equal stages is the better of 2 values" in sentences()["stages"][0]


def test_the_names_that_an_error_offers_are_accepted(build, table):
    for study in ("one", "other"):
        sweep(build, "optimizer.lr", {0.001: 0.7, 0.01: 0.8}, study=study)
    offered = table("--compare", "vgg", "vgg", code=2).partition("there are ")[2].strip().split("; ")
    assert len(offered) == 4 and "+10.00" in table("--compare", offered[0], offered[1])


@pytest.mark.parametrize("width", [80, 110])
def test_a_terminal_always_names_the_source_of_a_published_row(table, terminal, width):
    terminal(width)
    found = rows(table(REFERENCE / "he2015", "--published"))
    assert {row["source"] for row in found if row["seeds"] != found[0]["seeds"]} != {""}
    assert sum(row["source"] != "" for row in found) == len(found) - 1


def test_a_terminal_says_a_sentence_once(build, table, terminal):
    terminal()
    for depth in (8, 20, 56):
        for shortcut in ("pad", "none"):
            for width in (8, 16):
                accuracies = {0.01: 0.7 + depth / 1000, 0.1: 0.72 + depth / 1000}
                sweep(build, "optimizer.lr", accuracies, **layers(depth, shortcut) | {"model.width": width})
    assert " ".join(table().split()).count("Each network is compared at the best") == 1


def test_the_only_series_lies_on_the_ticks_of_names(build):
    for name, settings in studies.AUGMENTATIONS.items():
        build.complete(choices={"model": "blocks4", "augmentation": name}, **settings)
    for axis in figure("accuracy").axes:
        assert sorted(x for line in axis.lines[:1] for x in line.get_xdata()) == [0, 1, 2]


def test_equal_accuracies_have_a_plain_scale(build):
    sweep(build, "optimizer.lr", {0.001: 1.0, 0.01: 1.0}, seeds=(0,))
    drawn = figure("accuracy")
    drawn.canvas.draw()
    for axis in drawn.axes:
        assert axis.yaxis.get_offset_text().get_text() == "" and axis.get_ylim() == (99.5, 100.5)


def test_quantities_are_labelled_with_round_numbers(build):
    for depth, count in ((8, 75290), (20, 269722), (56, 853018)):
        build.amend(build.complete(**layers(depth)), parameters=count)
    (axis, _) = figure("accuracy", x="parameters").axes
    axis.figure.canvas.draw()
    low, high = axis.get_xlim()
    shown = [label.get_text() for label in axis.get_xticklabels() if low <= label.get_position()[0] <= high]
    assert shown == ["100", "200", "500"]


@pytest.mark.filterwarnings("error")
def test_a_panel_may_show_a_single_depth(build):
    sweep(build, "model.stages", {(2, 2): 0.8})
    for depth in (20, 56):
        sweep(build, "model.shortcut", {"pad": 0.8}, **layers(depth))
    assert [axis.get_title() for axis in figure("accuracy").axes[:2]] == ["2 stages", "3 stages"]


def test_long_names_are_cut_and_turned(build):
    for count in range(1, 11):
        milestones = [round(place / 20, 2) for place in range(1, count + 4)]
        build.complete(**studies.MULTISTEP | {"schedule.milestones": milestones})
    (axis, *_) = figure("accuracy", x="milestones").axes
    labels = axis.get_xticklabels()
    assert max(len(label.get_text()) for label in labels) <= 25 and {label.get_rotation() for label in labels} == {45}
