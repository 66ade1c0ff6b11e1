"""Studies of the kinds people sweep, with known answers: what their tables, figures and findings say."""

import csv
import io
import itertools
import random
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from analysis import draw
from analysis.claims.answer import find_answer
from analysis.claims.findings import find
from analysis.figures.gallery import draw_all
from analysis.figures.style import NoData
from analysis.frames.study import load_studies
from analysis.plots import main
from tests.analysis import studies
from tests.analysis.conftest import figure, rows, sentences


def test_a_key_that_was_tuned_in_another_study_is_mentioned_once(build, table):
    for depth, lr in ((8, 0.3), (20, 0.1), (56, 0.03)):
        for shortcut, seed in ((shortcut, seed) for shortcut in ("pad", "none") for seed in (0, 1)):
            acc = 0.8 + 0.001 * depth * (1 if shortcut == "pad" else -1) + 0.001 * seed
            settings = studies.as_designed(depth, shortcut, lr if shortcut == "pad" else lr / 10, 15)
            build.complete(seed, choices={"experiment": "depth"}, val=acc, test=acc, **settings)
    said = sentences()
    (note,) = said["Confounds"]
    assert note.startswith(
        "Each configuration has its own optimizer.lr, chosen by validation accuracy in experiment=depth_rate "
        "(14 and 32 layers: untuned);"
    )
    assert note in table()
    heading = " ".join(figure("accuracy").get_suptitle().split())
    assert "own optimizer.lr, chosen by validation in experiment=depth_rate (14 and 32 layers: untuned)" in heading
    compared = table("--compare", "resnet8-pad", "resnet20-pad")
    assert note in compared and "optimizer.lr (0.3 against 0.1)." in compared and "do not tell" not in compared
    assert len(said["Depth"]) == 2
    assert not any("optimizer.lr" in text for text in said["Depth"] + said["Skip connections"])
    again = studies.as_designed(8, "pad", 0.01, 15)
    build.complete(choices={"experiment": "depth"}, **again)  # a second rate makes it an axis
    said = sentences()
    assert "optimizer.lr" in said and "Each configuration has its own" not in " ".join(sum(said.values(), []))


def test_rates_by_depth_are_a_table_of_two_axes(build, table):
    studies.rates(build)
    printed = table()
    assert "shortcut=projection" in printed.splitlines()[2] and "10 epochs" in printed.splitlines()[2]
    found = rows(printed)
    assert list(found[0])[:2] == ["layers", "optimizer.lr"] and len(found) == 10
    assert [(row["layers"], row["optimizer.lr"]) for row in found] == [
        (layers, f"{lr:g}") for layers in ("8", "20") for lr in studies.RATES
    ]
    assert [row["val acc (%)"] for row in rows(table("--sort", "val_acc"))][0] == "75.10 ± 0.14"
    for name in ("published", "source"):
        assert table("--sort", name, code=2) == f"{name}: cannot sort by this column\n"
    pivot = rows(table("--pivot", "optimizer.lr", "model", "--columns", "val_acc"))
    assert pivot[3] == {"optimizer.lr": "0.1", "8 layers": "68.10 ± 0.14", "20 layers": "75.10 ± 0.14"}


def test_findings_name_the_best_rate_and_where_another_is_better(build):
    studies.rates(build)
    said = sentences()["optimizer.lr"]
    assert len(said) == 2 and "that of 0.03, the next best" in said[0]
    assert said[0].startswith(
        "On average over 2 combinations of the other axes, optimizer.lr=0.1 is the best of 5 values by validation "
        "(relative to it, 0.03: -0.50 pp, 0.3: -2.50 pp, "
    )
    assert said[0].endswith(
        "on the other axes: pair by pair, it is above in 1 and below in 1, by more than the noise of seeds."
    )
    assert said[1] == "By validation, the best value of optimizer.lr is 0.03 with 8 layers; 0.1 with 20 layers."


def test_the_best_rate_of_each_network_is_named_and_marked_if_at_an_edge(build):
    best = {("blocks3", "none"): 0.1, ("blocks3", "projection"): 0.3, ("blocks9", "none"): 0.01}
    tried = {(*which, lr): 0.7 if lr == top else 0.6 for which, top in best.items() for lr in (0.01, 0.1, 0.3)}
    assert rate_by_depth(build, tried)["optimizer.lr"][1] == (
        "By validation, the best value of optimizer.lr is 0.3 (the highest tried) with 8 layers, residual "
        "(projection); 0.1 with 8 layers, plain; 0.01 (the lowest tried) with 20 layers, plain."
    )


def test_the_best_rate_of_each_depth_is_chosen_by_validation_and_compared_on_test(build, table):
    studies.rates(build)
    found = rows(table("--best", "optimizer.lr"))
    assert [(row["layers"], row["optimizer.lr"]) for row in found] == [("8", "0.03"), ("20", "0.1")]
    assert "lies at the edge" not in table("--best", "lr")
    compared = table("--best", "lr", "--compare", "blocks3", "blocks9")
    assert "+5.00" in compared and "best mean validation accuracy" in compared
    (line,) = [line for line in compared.splitlines() if line.startswith("They differ")]
    assert "optimizer.lr (0.03 against 0.1)" in line and "do not tell" not in line
    said = sentences("optimizer.lr")
    assert "rises by 5.00 pp" in said["Depth"][0] and "optimizer.lr" not in said["Depth"][0]
    assert "Each configuration has its own optimizer.lr, chosen by" in said["Confounds"][0]


def test_a_best_at_the_edge_of_the_grid_is_warned_about(build, table):
    studies.rates(build, lrs=(0.001, 0.01, 0.03))
    assert "The best value of optimizer.lr lies at the edge of what was tried" in table("--best", "optimizer.lr")
    assert "0.03 is the highest value of optimizer.lr tried" in " ".join(sentences()["optimizer.lr"])
    assert "momentum: not an axis of rates; there are layers, optimizer.lr" in table("--best", "momentum", code=2)


def test_the_test_images_have_no_part_in_the_choice(build, table):
    for lr, val, test in ((0.1, 0.7, 0.9), (0.01, 0.8, 0.6)):
        build.complete(val=val, test=test, **{"optimizer.lr": lr})
    (row,) = rows(table("--best", "optimizer.lr"))
    assert row["optimizer.lr"] == "0.01" and row["test acc (%)"] == "60.00"


def test_recipes_are_three_axes_of_named_choices_and_numbers(build, table):
    studies.recipes(build)
    found = rows(table())
    assert list(found[0])[:3] == ["optimizer", "epochs", "augmentation"] and len(found) == 24
    said = sentences()
    assert [len(said[name]) <= 3 for name in ("optimizer", "epochs", "augmentation")] == [True] * 3
    assert (
        "optimizer=sgd is the better of 2 values" in said["optimizer"][0]
        and "It is best in all 12 comb" in said["optimizer"][1]
    )
    assert "augmentation=flip_crop is the best of 3 values" in said["augmentation"][0]
    assert "6 of 8 combinations" in said["augmentation"][1] and "cutout with" in said["augmentation"][1]
    assert "whether that is noise is open" in said["optimizer"][0]  # a single seed each
    assert "optimizer=sgd" in said["Best"][0] and "81.50 %" in said["Best"][0]
    head = next(csv.reader(io.StringIO(table("--format", "csv"))))
    assert {"optimizer", "augmentation", "epochs"} <= set(head)


def test_a_random_search_reads_as_a_list_best_first(build, table):
    studies.random_search(build)
    found = rows(table("--sort", "val_acc"))
    values = [float(row["val acc (%)"]) for row in found]
    assert len(found) == 200 and values == sorted(values, reverse=True)
    assert 0.03 < float(found[0]["optimizer.lr"]) < 0.08
    assert list(found[0])[:4] == ["layers", "optimizer.lr", "optimizer.weight_decay", "batch_size"]
    said = sentences()
    assert all(len(texts) <= 3 for topic, texts in said.items() if "." in topic)
    assert "Of 200 configurations" in said["Best"][0]
    low, high = re.findall(r"have optimizer.lr from (\S+) to (\S+);", said["optimizer.lr"][0])[0]
    assert 0.01 < float(low) < 0.05 < float(high) < 0.2, "the answer that the search was built around"
    low, high = re.findall(r"have optimizer.weight_decay from (\S+) to (\S+);", said["optimizer.weight_decay"][0])[0]
    assert float(low) < 1e-5 and float(high) > 1e-3, "weight decay has no effect here"
    assert "20 with 20 layers" in said["layers"][0] or "with 20 layers, " in said["layers"][0]
    assert len(said["Confounds"]) == 1
    assert {len(said[topic]) for topic in ("optimizer.lr", "optimizer.weight_decay", "batch_size", "layers")} == {1}


def rate_by_depth(build, accuracies: dict) -> dict[str, list[str]]:
    """Return the sentences on rates tried with some networks only; accuracies by model, shortcut and rate."""
    for (model, shortcut, lr), accuracy in accuracies.items():
        settings = studies.SGD | studies.network(model, shortcut) | {"optimizer.lr": lr}
        build.complete(val=accuracy, test=accuracy, **settings)
    return sentences()


def test_the_best_configuration_is_named_with_the_next_best(build):
    for lr, batch_size, val in ((0.01, 64, 0.7), (0.1, 64, 0.75), (0.3, 64, 0.72), (0.1, 128, 0.6)):
        for seed in (0, 1):
            settings = {"optimizer.lr": lr, "batch_size": batch_size}
            build.complete(seed, val=val + 0.01 * seed, test=val, **settings)
    (best,) = sentences()["Best"]
    assert "optimizer.lr=0.1, batch_size=64 is best" in best and "75.50 ± 0.71 % validation accuracy" in best
    assert best.endswith("optimizer.lr=0.3, batch_size=64 is next, 3.00 pp lower by validation.")


def test_a_single_axis_says_once_which_value_is_best(build):
    for lr, val in ((0.01, 0.7), (0.1, 0.75), (0.3, 0.72)):
        build.complete(val=val, **{"optimizer.lr": lr})
    said = sentences()
    assert "Best" not in said and "0.1 is the best of 3 values by validation" in said["optimizer.lr"][0]


def test_exceptions_are_compared_with_the_noise_of_seeds(build):
    """Augmentation helps two networks, clearly harms a third, and is worse for the fourth only by noise."""
    means = {("blocks3", "none"): (0.70, 0.60), ("blocks3", "projection"): (0.70, 0.60)}
    means |= {("blocks9", "none"): (0.60, 0.70), ("blocks9", "projection"): (0.700, 0.701)}
    for (model, shortcut), pair in means.items():
        for (name, keys), mean in zip(list(studies.AUGMENTATIONS.items())[:2][::-1], pair):
            for seed in range(3):
                figures = {"val": mean + 0.005 * seed, "test": mean + 0.005 * seed}
                settings = studies.SGD | studies.network(model, shortcut) | keys
                build.complete(seed, choices={"augmentation": name}, **figures, **settings)
    said = sentences()["augmentation"]
    assert said[0].endswith(
        "on the other axes: pair by pair, it is above in 2 and below in 1, by more than the noise of seeds."
    )
    assert "best in 2 of 4" in said[1] and said[1].endswith(
        "is better; on test images, 1 of 2 by more than the noise of seeds."
    )


def test_missing_runs_and_parts_of_the_data_are_named(build):
    build.complete(**{"optimizer.lr": 0.1})
    build.complete(**{"optimizer.lr": 0.1, "data.limit": 100})
    build.fail(0, "diverged", **{"optimizer.lr": 1.0})
    said = str(sentences())
    assert "1 diverged (data.limit=null, optimizer.lr=1)" in said and "only, 1 of 2 configurations: cifar10" in said


def test_networks_with_one_rate_are_not_said_to_be_tuned(build):
    tried = {
        (m, s, lr): 0.7 + lr for m in ("blocks3", "blocks9") for s in ("pad", "none") for lr in (0.01, 0.03, 0.1, 0.2)
    }
    tried = {where: val for where, val in tried.items() if where[:2] != ("blocks9", "none") or where[2] == 0.01}
    only = "For these, only one value of optimizer.lr was tried: 20 layers, plain: 0.01."
    assert only in rate_by_depth(build, tried)["Confounds"]


def test_the_best_width_of_each_depth_still_counts_as_a_difference(build):
    for model, widths in (("blocks3", (8, 16, 32, 64)), ("blocks9", (8, 16, 32, 64))):
        for width in widths:
            val = 0.7 + 0.01 * widths.index(width) * (1 if model == "blocks3" else -1)
            build.complete(val=val, test=val, **studies.network(model) | {"model.width": width})
    (gain,) = sentences()["Depth"]
    assert "They also differ in model.width (64 against 8)" in gain


def test_a_chosen_optimizer_is_no_longer_an_axis(build):
    for model in studies.DEPTHS:
        for shortcut in ("pad", "none"):
            for name, keys, top in (("adam", studies.ADAM, 0.75), ("sgd", studies.SGD, 0.8)):
                for place, lr in enumerate((0.001, 0.01, 0.1)):
                    settings = keys | studies.network(model, shortcut) | {"optimizer.lr": lr}
                    choices = {"optimizer": name}
                    build.complete(choices=choices, val=top - 0.01 * place, **settings)
    said = str(sentences())
    assert "compared at the best optimizer and optimizer.lr tried.', 'From 8 to 20 layers, the test" in said
    assert "with optimizer.name" not in said


def test_a_value_that_diverged_counts_as_tried(build, table):
    for lr in (0.01, 0.1, 0.3):
        build.complete(val=0.6 + lr, **studies.SGD | {"optimizer.lr": lr})
    assert "0.3 is the highest value of optimizer.lr tried" in str(sentences())
    build.fail(0, "diverged", **studies.SGD | {"optimizer.lr": 1.0})
    assert "highest" not in str(sentences())
    assert "lies at the edge" not in table("--best", "optimizer.lr")


def test_depth_is_judged_with_each_network_at_its_best_rate(build):
    best = {("blocks3", "projection"): 0.1, ("blocks9", "projection"): 0.03}
    best |= {("blocks3", "none"): 0.1, ("blocks9", "none"): 0.01}
    top = {("blocks3", "projection"): 0.75, ("blocks9", "projection"): 0.80}
    top |= {("blocks3", "none"): 0.75, ("blocks9", "none"): 0.60}
    tried = {(*net, lr): top[net] - (lr != best[net]) * 0.2 for net in top for lr in (0.01, 0.03, 0.1)}
    said = rate_by_depth(build, tried)
    once, residual, plain = said["Depth"]
    assert "compared at the best optimizer.lr" in once
    assert "rises by 5.00 pp" in residual and "falls by 15.00 pp" in plain
    assert "minus that of their plain counterparts rises by 20.00 pp" in said["Skip connections"][-1]
    assert "also differ" not in str(said) and not {"layers", "shortcut"} & set(said)


def test_a_value_is_not_judged_by_which_networks_it_was_tried_with(build):
    tried = {("blocks3", "none", 0.01): 0.6, ("blocks3", "none", 0.1): 0.7}
    tried |= {("blocks9", "none", 0.1): 0.75, ("blocks9", "none", 1.0): 0.76}
    said = rate_by_depth(build, tried)["optimizer.lr"]
    assert (
        "optimizer.lr=1 is the best of 3 values" in said[0]
        and "0.1 with 8 layers; 1 with 20 layers" in said[1]
        and len(said) == 2
    )


def test_no_value_loses_where_it_was_not_tried(build):
    tried = {("blocks3", "none", 0.1): 0.70, ("blocks3", "none", 1.0): 0.80}
    tried |= {("blocks9", "none", 0.1): 0.75, ("blocks9", "none", 1.0): 0.76}
    said = rate_by_depth(build, tried | {("blocks3", "pad", 0.1): 0.70, ("blocks3", "pad", 0.01): 0.60})["optimizer.lr"]
    assert "optimizer.lr=1 is the best of 3 values" in said[0]
    assert "is 0.1 with 8 layers, residual (pad); 1 with 8 layers, plain; 1 with 20 layers, plain." in said[1]


def test_values_that_no_network_connects_are_best_for_each_but_not_ranked(build):
    tried = {("blocks3", "none", 0.01): 0.6, ("blocks3", "none", 0.1): 0.7}
    said = rate_by_depth(build, tried | {("blocks9", "none", 1.0): 0.8, ("blocks9", "none", 3.0): 0.9})
    assert said["optimizer.lr"] == [
        "By validation, the best value of optimizer.lr is 0.1 with 8 layers; 3 with 20 layers."
    ]


def test_values_that_are_equal_are_not_called_best(build):
    for shift, (name, keys) in enumerate(studies.AUGMENTATIONS.items()):
        for model in studies.DEPTHS:
            settings = studies.SGD | studies.network(model) | keys
            accuracy = 0.7 if shift < 2 else 0.6
            build.complete(choices={"augmentation": name}, val=accuracy, test=accuracy, **settings)
    said = sentences()
    (tie,) = said["augmentation"]
    assert tie.endswith("none and flip_crop tie for best by validation.")
    assert not any("0.00 pp" in text for texts in said.values() for text in texts)


def test_a_tie_in_one_combination_is_not_a_win(build):
    values = {("blocks3", 0.01): 0.70, ("blocks3", 0.1): 0.70, ("blocks9", 0.01): 0.70, ("blocks9", 0.1): 0.75}
    for (model, lr), accuracy in values.items():
        settings = studies.SGD | studies.network(model) | {"optimizer.lr": lr}
        build.complete(val=accuracy, test=accuracy, **settings)
    assert "all 2 combinations of the other axes, in 1 of them together" in sentences()["optimizer.lr"][1]


def test_depth_and_shortcut_have_their_own_findings_and_the_interaction(build):
    studies.depth(build)
    said = sentences()
    assert "rises by 5.00 pp" in said["Depth"][0] and "falls by 10.00 pp" in said["Depth"][1]
    assert "minus that of their plain counterparts rises by 15.00 pp" in said["Skip connections"][-1]
    assert "layers" not in said and "shortcut" not in said


def test_networks_of_several_shortcuts_are_not_called_plain(build):
    best = {("blocks3", "none"): 0.76, ("blocks3", "pad"): 0.75, ("blocks9", "none"): 0.65, ("blocks9", "pad"): 0.80}
    for ((model, shortcut), accuracy), seed in itertools.product(best.items(), (0, 1, 2)):
        figures = {"val": accuracy, "test": accuracy + 0.001 * seed}
        build.complete(seed, **figures, **studies.network(model, shortcut))
    (gain,) = sentences("shortcut")["Depth"]
    assert "networks, each with its best shortcut, rises" in gain and "plain" not in gain
    plain = load_studies(list(Path("runs").glob("depth/*-none-*")))
    for study in (*load_studies(["runs"], ["shortcut"]), *plain):
        with pytest.raises(NoData):
            draw(study, "degradation")


def test_a_comparison_takes_what_a_person_types(build, table):
    studies.rates(build, models=["blocks3"])
    assert "-2.00" in table("--compare", "optimizer.lr=0.03", "lr=1e-2")
    studies.rates(build, models=["blocks9"])
    assert "+7.00" in table("--compare", "model=blocks3,lr=0.1", "lr=0.1 blocks9")
    assert "+7.00" in table("--compare", "blocks3, 8 layers, optimizer.lr=0.1", "20 layers,lr=0.1")
    assert "+7.00" in table("--compare", "model.stages=[1,1,1], lr=0.1", "model.stages=[3,3,3], lr=0.1")
    assert table("--compare", "lr=0.1", "lr=0.01", code=2) == (
        "lr=0.1: could be 8 layers, optimizer.lr=0.1; 20 layers, optimizer.lr=0.1\n"
    )


@pytest.mark.parametrize("study", [studies.rates, studies.recipes, studies.random_search, studies.depth])
def test_a_terminal_gets_a_table_that_fits(build, table, terminal, study):
    study(build)
    terminal(100)
    lines = [line for line in table().splitlines() if line.startswith("|")]
    assert max(map(len, lines)) <= 100 and "test acc" in lines[0]
    assert "train loss" in table("--wide")


def test_the_sentences_of_a_comparison_fit_the_terminal(build, table, terminal):
    studies.depth(build)
    terminal(100)
    printed = table("--compare", "blocks3-none", "blocks9-none")
    assert max(len(line) for line in printed.splitlines()) <= 100 and "95 % confidence" in " ".join(printed.split())


def test_a_terminal_gets_the_verdict_of_the_comparison(build, table, terminal):
    """It uses the words of the findings, with a note on easy data. A file or a pipe gets the table alone."""
    for seed, (small, large) in enumerate([(0.97, 0.975), (0.98, 0.96)]):
        build.complete(seed, test=small, **{"data.name": "digits"})
        build.complete(seed, test=large, **{"data.name": "digits"}, **studies.DEEP)
    piped = table()
    terminal(100)
    shown = table()
    assert max(map(len, shown.splitlines())) <= 100
    said = " ".join(shown.split())
    assert "the test accuracy falls by 0.75 pp, but no difference can be claimed" in said
    assert "they say nothing about what depth does on CIFAR-10" in said
    assert "no difference" not in piped and "CIFAR-10" not in piped
    (study,) = load_studies(["runs"])
    assert [found.kind for _, found in find_answer([(study, find(study))])] == ["pair"], "nor does a report lack it"


def test_the_note_on_easy_data_needs_a_comparison(build, table, terminal):
    build.complete(0, test=0.97, **{"data.name": "digits"})
    terminal()
    assert "CIFAR-10" not in table()


def write_configurations(build, count: int) -> None:
    """Write `count` configurations, the first 40 with all that figures need."""
    for number in range(count):
        keys = {"optimizer.lr": 0.1 / (1 + number % 20), "batch_size": 16 * (1 + number // 20)}
        run = build.complete(val=0.5 + number / 1000, **{"epochs.count": 2}, **keys)
        if number < 40:
            build.look_inside(run)
            build.classify(run)


@pytest.mark.parametrize("count", [1, 8, 30, 200])
def test_no_legend_takes_more_than_a_third_of_a_figure(build, count):
    write_configurations(build, count)
    (study,) = load_studies(["runs"])
    figures = [drawn for _, drawn in draw_all(study) if isinstance(drawn, Figure)]
    assert len(figures) >= 3
    for drawn in figures:
        drawn.canvas.draw()
        legends = [legend.get_window_extent().height for legend in drawn.legends]
        assert sum(legends) < drawn.bbox.height / 3
        assert all(len(axis.lines) <= 2 * 8 for axis in drawn.axes if axis.get_xlabel() == "epoch")


def test_the_command_line_assigns_axes_to_x_lines_and_panels(build, monkeypatch):
    studies.recipes(build)
    drawn = []
    monkeypatch.setattr("analysis.plots.save", lambda figure, *_: drawn.append(figure))
    assert main(["--x", "augmentation", "--by", "epochs", "--panels", "optimizer", "--measure", "val_acc"]) == 0
    accuracy = drawn[0]
    assert [axis.get_title() for axis in accuracy.axes] == ["optimizer=adam", "optimizer=sgd"]
    assert [text.get_text() for text in accuracy.axes[0].get_xticklabels()] == ["none", "cutout", "flip_crop"]
    assert [text.get_text() for text in accuracy.legends[0].get_texts()] == ["5", "10", "20", "40"]
    with pytest.raises(NoData, match="all complete runs have the same wall_seconds"):
        figure("accuracy", x="wall_seconds")


def test_accuracy_can_be_drawn_against_cost(build):
    build.complete()
    build.complete(**studies.DEEP)
    for quantity, places in (("multiply_adds", [72.19, 275.61]), ("parameters", [170.41, 1860.522])):
        lines = figure("accuracy", x=quantity, measure="test_acc").axes[0].lines
        assert sorted({float(x) for line in lines for x in line.get_xdata()}) == pytest.approx(places)


def test_a_figure_of_one_measure_has_one_panel(build):
    studies.depth(build)
    drawn, everything = figure("accuracy", measure="train_acc"), figure("accuracy")
    assert [axis.get_ylabel() for axis in drawn.axes] == ["training accuracy (%)"]
    assert len(everything.axes) == 2 and drawn.get_figwidth() < everything.get_figwidth()


def test_all_points_are_within_their_panels(build):
    studies.recipes(build)
    for axis in figure("accuracy").axes:
        low, high = axis.get_ylim()
        assert all(low <= y <= high for line in axis.lines for y in line.get_ydata())


def test_a_value_has_one_colour_in_all_figures(build):
    studies.depth(build)
    legends = figure("curves", by="shortcut", panels="layers").legends[0], figure("accuracy").legends[0]
    colors = [
        {text.get_text(): line.get_color() for text, line in zip(legend.get_texts(), legend.get_lines())}
        for legend in legends
    ]
    for label in ("plain", "residual (projection)"):
        assert colors[0][label] == colors[1][label]


def test_a_difference_includes_the_noise_of_seeds_and_of_images(build, table):
    generator = np.random.default_rng(0)
    for lr, share in ((0.1, 0.8), (0.01, 0.85)):
        easy = generator.random(10000) < share
        for seed in (0, 1, 2):
            right = np.where(generator.random(10000) < 0.05, generator.random(10000) < 0.1 * seed, easy)
            studies.predict(build.complete(seed, test=float(right.mean()), **{"optimizer.lr": lr}), right)
    printed = table("--compare", "lr=0.1", "lr=0.01")
    low, high = map(float, re.findall(r"on the same images, it is ([+-][\d.]+) to ([+-][\d.]+) pp", printed)[0])
    assert 3 < low < 5 < high < 7 and high - low > 1.8  # images' half-width: 0.95 * 1.96 sqrt((0.16 + 0.13) / 10,000)
    assert table("--compare", "lr=0.1", "lr=0.01") == printed


def test_what_other_test_images_could_undo_is_not_claimed_however_well_the_seeds_agree(build, table):
    for model, hits in (("blocks3", 800), ("blocks9", 815)):
        ranks = np.random.default_rng(hits).permutation(1000)
        for seed in range(3):
            run = build.complete(seed, test=(hits + seed) / 1000, **studies.network(model))
            studies.predict(run, ranks < hits + seed)
    (found,) = [found for found in find(*load_studies(["runs"])) if found.topic == "Depth"]
    low, high = found.difference.with_images
    assert low < 0 < found.difference.low and found.difference.verdict == "noise"
    said = table("--compare", "blocks3", "blocks9")
    assert "No difference in test accuracy can be claimed" in said and "The data support" not in said
    assert f"anything from {-low:.2f} pp worse to {high:.2f} pp better" in said


def test_a_single_seed_has_the_noise_of_its_images_paired(build, table):
    generator = np.random.default_rng(0)
    right = generator.random(10000) < 0.8
    for lr, more in ((0.1, 0), (0.01, 100)):
        own = right.copy()
        own[np.flatnonzero(~right)[:more]] = True
        studies.predict(build.complete(test=float(own.mean()), **{"optimizer.lr": lr}), own)
    printed = table("--compare", "lr=0.1", "lr=0.01")
    assert (
        "that of the 10,000 test images instead, the same for both" in printed
        and "For these runs, B's test accuracy" in printed
    )
    (low, high) = map(float, re.findall(r"higher than A's, by ([\d.]+) to ([\d.]+) pp", printed)[0])
    assert 0.7 < low < 1 < high < 1.3  # unpaired, the interval would be five times as wide


@pytest.mark.parametrize("header", [b"{'descr': (", b"{'descr': 01", b"\xff"])
def test_with_damaged_predictions_a_difference_has_the_noise_of_seeds_alone(build, table, header):
    for seed, (lr, test) in itertools.product((0, 1), ((0.1, 0.8), (0.01, 0.9))):
        run = build.complete(seed, test=test + seed / 100, **{"optimizer.lr": lr})
        studies.predict(run, np.arange(100) < 100 * test)
    assert "on the same images" in table("--compare", "lr=0.1", "lr=0.01")
    content = (run / "predictions.npy").read_bytes()
    (run / "predictions.npy").write_bytes(content[:10] + header + content[10 + len(header) :])
    printed = table("--compare", "lr=0.1", "lr=0.01")
    assert "A's" in printed and "on the same images" not in printed


def test_nothing_is_said_to_lie_beyond_zero(build, table):
    for decay, accuracy in ((0, 0.9), (1e-4, 0.8), (5e-4, 0.7)):
        build.complete(val=accuracy, test=accuracy, **{"optimizer.weight_decay": decay})
    assert "edge" not in table("--best", "optimizer.weight_decay")
    assert "beyond" not in str(sentences())


def test_a_users_own_model_is_shown_under_its_own_name(build, table):
    for name, stages in (("tiny", [1, 1]), ("wide", [2, 2])):
        build.complete(choices={"model": name}, **{"model.stages": stages, "model.name": "computed"})
    build.complete(choices={"model": "blocks"}, **{"model.stages": [3, 3], "model.name": "blocks6"})
    assert [row["model"] for row in rows(table())] == ["tiny", "wide", "blocks6"]
    assert "[1,1] against [2,2]" in table("--compare", "tiny", "wide")


def test_csv_has_a_column_for_each_setting_that_varies_including_those_of_a_choice(build, table):
    studies.recipes(build)
    found = list(csv.DictReader(io.StringIO(table("--format", "csv"))))
    assert {row["optimizer"]: row["optimizer.lr"] for row in found} == {"adam": "0.001", "sgd": "0.1"}
    assert {row["augmentation"]: row["augmentation.cutout"] for row in found}["cutout"] == "16"


def test_csv_has_a_setting_of_every_study_if_it_varies_in_one(build, table):
    studies.rates(build, lrs=(0.01, 0.1))
    studies.depth(build)
    found = list(csv.DictReader(io.StringIO(table("--format", "csv"))))
    assert {(row["study"], row["optimizer.lr"]) for row in found} == {
        ("rates", "0.01"),
        ("rates", "0.1"),
        ("depth", "0.001"),
    }


def test_a_whole_choice_is_one_change_and_not_a_confound(build):
    studies.recipes(build)
    assert "Confounds" not in sentences()


def test_values_each_tried_with_one_network_get_no_credit_for_being_chosen(build):
    generator = random.Random(0)
    for _ in range(12):
        settings = {key: 10 ** generator.uniform(-4, -1) for key in ("optimizer.lr", "optimizer.weight_decay")}
        build.complete(val=generator.uniform(0.6, 0.9), **settings)
    said = sentences("optimizer.lr")
    assert "do not form a grid" in str(said["Confounds"]) and "best of" not in str(said)


def test_many_combinations_have_their_best_values_counted(build):
    for place, (decay, size) in enumerate(itertools.product((0, 1e-4, 1e-3), (64, 128, 256))):
        for lr in (0.01, 0.03, 0.1):
            off = abs(lr - (0.03 if place < 2 else 0.1))
            network = {"optimizer.weight_decay": decay, "batch_size": size, "optimizer.lr": lr}
            build.complete(val=0.8 - off, test=0.8 - off, **network)
    texts = sentences()["optimizer.lr"]
    counted = "0.1 in 7 and 0.03 in 2 of 9 combinations of the other axes; in 7, 0.1 is the highest tried"
    assert f"By validation, the best value of optimizer.lr is {counted}." in texts


def test_the_heat_map_shows_validation_accuracy_unless_told_otherwise(build):
    for lr, size in itertools.product((0.1, 0.01), (64, 128)):
        best = (lr, size) == (0.1, 64)
        build.complete(val=0.9 if best else 0.7, test=0.6 if best else 0.8, **{"optimizer.lr": lr, "batch_size": size})
    for measure, top in (("", "90.0"), ("test_acc", "80.0")):
        texts = [text.get_text() for text in figure("grid", measure=measure).axes[0].texts]
        assert max(texts) == top
