"""Sweeps over anything but depth: what is compared, what is chosen, and how it is drawn."""

import itertools
from pathlib import Path

import pytest

import analysis.plots
import analysis.table
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
        "shortcut=projection is the better of 2 kinds of skip connection by validation (relative to it, pad: -10.00 pp)"
    )
    assert "Its test accuracy is above that of pad by 10.00 pp" in best and len(others) == 2  # each against none


def test_values_under_way_or_diverged_are_named_and_leave_the_edge_open(build, table):
    sweep(build, "optimizer.lr", {0.001: 0.7, 0.003: 0.75, 0.01: 0.8})
    build.begin(done=3, **{"optimizer.lr": 0.03})
    build.fail(status="diverged", **{"optimizer.lr": 1.0})
    (said,) = sentences()["optimizer.lr"]
    assert "best of 3 values" in said and "; without a complete, validated run: 0.03 and 1)" in said
    printed = table("--best", "optimizer.lr")
    assert "for lack of a complete, validated run: optimizer.lr 0.03 and 1." in printed
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


def test_a_complete_run_without_validation_is_not_called_incomplete(build, table):
    sweep(build, "data.val_fraction", {0.1: 0.8, 0.2: 0.7})
    for seed in (0, 1):
        build.complete(seed, val=None, **{"data.val_fraction": 0.0})
    assert "; without a complete, validated run: 0)" in sentences()["data.val_fraction"][0]
    assert "for lack of a complete, validated run: data.val_fraction 0." in table("--best", "val_fraction")


def test_values_that_cannot_be_compared_are_named_and_not_counted_as_beaten(build):
    for stages, acc in (((8, 4, 2, 1), 0.7), ((1, 2, 4, 8), 0.8), ((1, 1, 1, 1), 0.9), ((3, 1, 1), 0.9)):
        sweep(build, "model.stages", {stages: acc}, **{"model.name": "blocks"})
    (best, *_) = sentences()["stages"]
    assert best.startswith("stages=[1,2,4,8] is the better of 2 comparable values by validation (relative to it, ")
    assert "not comparable, because other axes differ: 4 equal and [3,1,1])" in best


def test_two_values_are_compared_though_nothing_was_held_out_and_more_are_left_to_compare(build):
    cutouts = {0: (0.80, 0.81, 0.82), 8: (0.90, 0.91, 0.92)}
    for cutout, accuracies in cutouts.items():
        for seed, acc in enumerate(accuracies):
            build.complete(seed, val=None, test=acc, **{"augmentation.cutout": cutout, "data.val_fraction": 0.0})
    said = by_topic(main_findings(*load_studies(["runs"])))
    assert "From augmentation.cutout=0 to augmentation.cutout=8, the test accuracy rises by 10.00 pp" in str(said)
    assert "--compare" not in str(said)
    build.fail(status="diverged", **{"augmentation.cutout": 16, "data.val_fraction": 0.0})
    assert "`--compare` of `analysis.table` compares two" in str(by_topic(main_findings(*load_studies(["runs"]))))


def test_studies_without_the_axis_that_is_asked_for_are_named_and_left_out(build, capsys, terminal):
    sweep(build, "optimizer.lr", {0.01: 0.7, 0.1: 0.8}, study="rates")
    sweep(build, "batch_size", {32: 0.7, 128: 0.8}, study="batches")
    for command, arguments in (
        (analysis.table.main, ["--best", "lr"]),
        (analysis.table.main, ["--sort", "lr", "--columns", "lr,val_acc"]),
        (analysis.plots.main, ["--x", "lr"]),
    ):
        assert command(["runs", *arguments]) == 0
        printed = capsys.readouterr()
        assert "rates" in printed.out and "batches" not in printed.out and printed.err.startswith("lr: no"), arguments
        assert command(["runs/batches", *arguments]) == 2
        assert command(["runs/batches", str(REFERENCE / "initialization"), *arguments]) == 2, "inspections have no axis"
    terminal()
    capsys.readouterr()
    analysis.table.main(["runs", "--columns", "lr,val_acc"])
    assert "batch_size=128" not in capsys.readouterr().out, "no conclusions of what is left out"


def test_seeds_that_diverged_are_named_on_the_figure(build):
    sweep(build, "optimizer.lr", {0.01: 0.7, 0.1: 0.75, 1.0: 0.8})
    build.fail(2, status="diverged", **{"optimizer.lr": 1.0})
    assert figure("accuracy").get_suptitle().endswith("without runs that diverged: optimizer.lr=1 (1 of 3)")


def test_a_value_without_another_to_be_better_than_has_no_ring(build):
    for batch, lr in ((64, 0.05), (128, 0.1), (256, 0.2)):
        sweep(build, "optimizer.lr", {lr: 0.8}, batch_size=batch)
    labels = [text.get_text() for text in figure("accuracy", x="lr", by="batch_size").legends[0].get_texts()]
    assert labels == ["64", "128", "256"]
    sweep(build, "optimizer.lr", {0.1: 0.8}, study="one")
    build.complete(study="one", val=None, **{"optimizer.lr": 0.2})
    (study,) = load_studies(["runs/one"])
    assert not analysis.draw(study, "accuracy").legends


def test_a_few_more_lines_than_fit_are_said_to_be_the_best(build):
    sweep(build, "batch_size", {2**power: 0.8 - abs(power - 7) / 100 for power in range(4, 13)})
    assert figure("curves").get_suptitle().endswith("of 9 values of batch_size, the 8 best by validation")


def test_the_best_panel_is_never_left_out(build):
    for decay, acc in zip((1e-5, 5e-5, 1e-4, 5e-4, 1e-3), (0.6, 0.7, 0.9, 0.7, 0.6)):
        sweep(build, "optimizer.lr", {0.01: acc, 0.1: acc - 0.1}, **{"optimizer.weight_decay": decay})
    for name in ("accuracy", "curves"):
        drawn = figure(name, x="lr", panels="weight_decay")
        titles = {axis.get_title() for axis in drawn.axes}
        assert "optimizer.weight_decay=0.0001" in titles and "4 of 5 values" in drawn.get_suptitle()


def test_ticks_tell_values_apart_that_differ_in_the_last_digit(build):
    sweep(build, "optimizer.lr", {0.0123456: 0.7, 0.0123457: 0.8, 0.0123458: 0.75})
    (axis, *_) = figure("accuracy").axes
    assert [label.get_text() for label in axis.get_xticklabels()] == ["0.0123456", "0.0123457", "0.0123458"]


def test_no_limit_is_said_to_be_all_on_a_figure(build):
    sweep(build, "data.limit", {10: 0.5, 100: 0.6, None: 0.8})
    (axis, *_) = figure("accuracy").axes
    assert [label.get_text() for label in axis.get_xticklabels()] == ["10", "100", "null (all)"]


def test_entries_of_two_axes_in_one_legend_name_their_axes(build):
    for name, schedule in itertools.product(("adam", "sgd"), ("constant", "cosine")):
        choices = {"model": "blocks4", "optimizer": name, "schedule": schedule}
        build.classify(build.complete(choices=choices, **{"optimizer.name": name, "schedule.name": schedule}))
    (legend,) = figure("classes").legends
    assert legend.get_title().get_text() == ""
    assert [text.get_text() for text in legend.get_texts()] == [
        *("optimizer=adam", "optimizer=sgd", "schedule=constant", "schedule=cosine")
    ]


def test_the_rows_of_a_legend_are_filled_evenly(build):
    sweep(build, "batch_size", {2**power: 0.8 for power in range(4, 12)}, seeds=(0,))
    (legend,) = figure("curves").legends
    assert [len(column.get_children()) for column in legend._legend_handle_box.get_children()] == [2] * 5


def test_each_optimizer_with_its_own_rates_is_said_to_have_tried_some(build, table):
    for settings, rates in ((studies.ADAM, (0.0003, 0.001)), (studies.SGD, (0.03, 0.1))):
        choices = {"model": "blocks4", "optimizer": settings["optimizer.name"]}
        sweep(build, "optimizer.lr", dict(zip(rates, (0.7, 0.8))), **settings, choices=choices)
    printed = table("--best", "lr")
    assert "(of 0.0003, 0.001, 0.03, 0.1; not all were tried for each)" in printed


def test_what_diverged_is_not_said_to_be_under_way(build, table):
    sweep(build, "optimizer.lr", {0.1: 0.8})
    build.fail(status="diverged", **{"optimizer.lr": 10.0})
    assert "nothing to compare, all of its runs diverged" in table("--compare", "lr=0.1", "lr=10", code=1)
    for lr in (1.0, 3.0):
        build.fail(study="lost", status="diverged", **{"optimizer.lr": lr})
    assert table("runs/lost", "--best", "lr", code=2) == "lost: no best optimizer.lr, all runs diverged\n"


@pytest.mark.parametrize("side", ["[0.5, 0.75], nesterov=False", "milestones=[0.5, 0.75] nesterov=false"])
def test_values_may_be_typed_as_python_writes_them(build, table, side):
    for milestones, nesterov in itertools.product(([0.5, 0.75], [0.3]), (True, False)):
        settings = studies.MULTISTEP | {"schedule.milestones": milestones, "optimizer.nesterov": nesterov}
        build.complete(test=0.8 + 0.1 * nesterov, **settings)
    assert "+10.00" in table("--compare", side, "milestones=[0.5,0.75] nesterov=True")


def test_columns_may_be_spaced_and_named_by_their_headings(build, table):
    sweep(build, "optimizer.lr", {0.01: 0.7, 0.1: 0.8})
    assert list(rows(table("--columns", "lr, minutes, val acc (%)"))[0]) == ["optimizer.lr", "minutes", "val acc (%)"]


def test_a_published_row_stands_beside_ours_of_the_same_width(build, table):
    for width in (16, 32, 64):
        for depth in (20, 32):
            build.complete(**layers(depth, "pad") | {"model.width": width})
    shown = rows(table("--published"))
    places = [place for place, row in enumerate(shown) if row["model.width"] == "16" and row["layers"] == "20"]
    assert len(places) > 1 and places == list(range(places[0], places[-1] + 1))


def test_equal_values_are_not_said_to_be_best_of_those_they_cannot_be_compared_with(build, table):
    for stages, acc in (((8, 4, 2, 1), 0.8), ((1, 2, 4, 8), 0.8), ((1, 1, 1, 1), 0.9)):
        sweep(build, "model.stages", {stages: acc}, **{"model.name": "blocks"})
    (tie, *_) = sentences()["stages"]
    assert tie.startswith("Of 2 comparable values of stages, ")
    assert tie.endswith(" tie for best by validation; not comparable, because other axes differ: 4 equal.")
    assert "+10.00" in table("--compare", "[1, 2, 4, 8]", "4")
