"""Which figures are drawn from which runs, and whether what they show and say is right."""

import io
import itertools
import os
import re
import subprocess
import sys
import warnings
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from analysis.figures import gallery
from analysis.figures.accuracy import RING
from analysis.figures.gallery import PLOTS, draw, draw_all
from analysis.figures.layers import grid, layers_of
from analysis.figures.published_points import draw_published, find_published
from analysis.figures.style import MUTED, NoData, colors_of, look_of, over_seeds, plain_numbers, spread
from analysis.frames.axes import Axis
from analysis.frames.study import load_studies
from analysis.plots import main
from tests.analysis.conftest import LAYERS, figure
from tests.analysis.studies import DEEP, SGD, layers
from tests.conftest import imported

NAMES = [plot.name for plot in PLOTS]
DEPTHS = {f"blocks{3 * n}": [n, n, n] for n in (1, 3, 9)}
SIGNATURES = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


@pytest.fixture
def plots(build, capsys):
    """Return a function that runs the command line and returns the files it named and its stderr."""

    def answer(*arguments: object, code: int = 0) -> tuple[list[str], str]:
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == code
        printed = capsys.readouterr()
        return printed.out.splitlines(), printed.err

    return answer


def sweep(build, seeds: int = 2, depths=DEPTHS, shortcuts=("projection", "none"), **settings) -> None:
    """Write complete runs of every depth, with and without skip connections, with all that figures need."""
    for place, (model, stages) in enumerate(depths.items()):
        for shortcut in shortcuts:
            for seed in range(seeds):
                network = {"model.name": model, "model.stages": stages, "model.shortcut": shortcut}
                run = build.complete(seed, test=0.8 + 0.01 * place + 0.001 * seed, **network, **settings)
                build.look_inside(run)
                build.classify(run)


def texts(file: str | Path) -> list[str]:
    """Return the texts of an SVG."""
    root = ElementTree.parse(file).getroot()
    return ["".join(text.itertext()).strip() for text in root.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("form", SIGNATURES)
def test_each_format_has_its_signature(build, plots, form):
    build.complete()
    assert plots("--format", form)[0] == [f"figures/depth/curves.{form}"]
    assert Path(f"figures/depth/curves.{form}").read_bytes().startswith(SIGNATURES[form])


def test_a_sweep_has_all_figures_with_the_right_texts(build, plots):
    sweep(build)
    files, said = plots("--format", "svg", "--out", "f")
    names = [name for name in NAMES if name != "grid"]
    assert files == [f"f/depth/{name}.svg" for name in (*names, "untrained_gradients")]
    assert said == "depth (cifar10): no figure of grid, it takes two numeric axes\n"
    written = {name: texts(f"f/depth/{name}.svg") for name in names}
    assert set(written["accuracy"]) > {
        "residual (projection)",
        "plain",
        "test accuracy (%)",
        "validation accuracy (%)",
        "8",
        "20",
        "56",
    }
    assert set(written["curves"]) > {"8", "56", "layers", "training", "validation", "epoch", "accuracy (%)"}
    assert set(written["degradation"]) > {"plain", "residual (projection)", "training error (%)"}
    assert set(written["gradient_ratio"]) > {"epoch (0: before training)", "plain", "residual (projection)"}
    assert set(written["gradients"]) > {"8 layers", "20 layers", "norm of the gradient (mean over seeds)"}
    assert set(written["responses"]) > {"standard deviation", "3x3 layer, sorted by magnitude"}
    assert set(written["classes"]) > {"cat", "dog", "frog", "test accuracy (%)"}
    assert set(written["confusion"]) > {"90", "89", "88", "10", "11", "12", "taken for"}


def test_a_single_run_has_some_figures_and_a_reason_for_each_other(build, plots):
    build.classify(build.complete())
    files, said = plots()
    assert files == [f"figures/depth/{name}.png" for name in ("curves", "classes", "confusion")]
    assert said.splitlines() == [
        "depth (cifar10): no figure of accuracy, nothing varies but the seed",
        "depth (cifar10): no figure of grid, it takes two numeric axes",
        "depth (cifar10): no figure of degradation, it needs residual and plain networks",
        "depth (cifar10): no figure of gradient_ratio, no run has looked inside its network (probe_every=0)",
        "depth (cifar10): no figure of gradients, no run has looked inside its network (probe_every=0)",
        "depth (cifar10): no figure of responses, no run has looked inside its network (probe_every=0)",
    ]


def rates_by_depth(build) -> None:
    """Write three depths with and without skip connections, the deeper ones at fewer of six rates; 0.1 is best."""
    for place, lr in enumerate((0.1, 0.01, 0.03, 0.3, 1.0, 3.0)):
        depths = dict(list(DEPTHS.items())[: 3 - place // 2])
        sweep(build, 1, depths, val=0.8 - 0.1 * place, **{"optimizer.lr": lr})


@pytest.mark.parametrize("name", ["curves", "degradation", "gradient_ratio", "gradients", "responses", "classes"])
def test_depths_are_compared_each_at_its_best_rate(build, name):
    rates_by_depth(build)
    drawn = figure(name)
    written = {text.get_text() for legend in drawn.legends for text in legend.get_texts()}
    written |= {axis.get_title() for axis in drawn.axes}
    assert len({f"{n}{unit}" for n in (8, 20, 56) for unit in ("", " layers")} & written) == 3
    assert "each with its own optimizer.lr, the best by validation" in drawn.get_suptitle()


def test_curves_of_several_depths_share_one_augmentation(build):
    depths = dict(list(DEPTHS.items())[:2])
    for cutout, shift in ((0, 0.0), (8, -0.1), (16, 0.1)):
        choices = {"augmentation": f"cutout{cutout}"}
        sweep(build, 1, depths, choices=choices, val=0.7 + shift, **{"augmentation.cutout": cutout})
    drawn = figure("degradation")
    assert "augmentation=cutout16, the best by validation" in drawn.get_suptitle()
    assert sum(len(axis.lines) for axis in drawn.axes) == 4


def test_networks_are_compared_at_a_width_that_all_have_not_at_the_best_of_one(build):
    sweep(build, 1, val=0.7, **{"model.width": 16})
    sweep(build, 1, {"blocks9": [3, 3, 3]}, ("projection",), val=0.9, **{"model.width": 28})
    for name in ("degradation", "curves", "responses"):
        assert "model.width=16" in figure(name).get_suptitle()


def test_a_choice_is_judged_by_its_best_complete_run(build):
    for name, accuracies in (("adam", [0.75]), ("sgd", [0.3, 0.5, 0.85])):
        for place, val in enumerate(accuracies):
            keys = {"optimizer.name": name, "optimizer.lr": 0.1**place}
            sweep(build, 1, dict(list(DEPTHS.items())[:2]), choices={"optimizer": name}, val=val, **keys)
    for model, stages in list(DEPTHS.items())[:2]:
        for shortcut in ("projection", "none"):
            network = {"model.name": model, "model.stages": stages, "model.shortcut": shortcut}
            build.begin(done=3, choices={"optimizer": "adamw"}, **network, **{"optimizer.name": "adamw"})
    assert "optimizer=sgd, the best by validation" in figure("degradation").get_suptitle()


def test_many_values_beside_zero_keep_their_scale(build):
    for decay in [0.0, *(10 ** (-6 + place / 10) for place in range(30))]:
        build.complete(**{"optimizer.weight_decay": decay})
    axis = figure("accuracy").axes[0]
    assert axis.get_xlim()[1] < 0.002


@pytest.mark.parametrize("shortcuts, drawn", [(("pad",), {MUTED}), (("pad", "none"), set())])
def test_published_points_are_grey_if_colours_show_another_axis_and_absent_from_its_panels(build, shortcuts, drawn):
    for name, crop in (("none", 0), ("flip_crop", 4)):
        for depth in (20, 56):
            for shortcut in shortcuts:
                keys = {"augmentation.flip": crop > 0, "augmentation.crop_padding": crop}
                build.complete(choices={"augmentation": name}, **SGD, **layers(depth, shortcut), **keys)
    lines = [line for axis in figure("accuracy").axes for line in axis.lines]
    assert {line.get_color() for line in lines if line.get_marker() in tuple("*PXDv<>")} == drawn


def test_a_value_of_zero_has_its_own_place(build):
    for decay in (0.0, 1e-4, 5e-4, 5e-3):
        for name in ("adam", "sgd"):
            build.complete(test=0.8, **{"optimizer.name": name, "optimizer.weight_decay": decay})
    (axis, _) = figure("accuracy", x="optimizer.weight_decay").axes
    lines = [line for line in axis.lines if len(line.get_xdata()) == 4]
    for line in lines:
        assert [round(x) for x in line.get_xdata()] == [0, 1, 2, 3]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["0", "0.0001", "0.0005", "0.005"]
    assert len(lines) == 2 and max(abs(x - round(x)) for line in lines for x in line.get_xdata()) < 0.34


def test_a_depth_has_one_colour_in_all_studies_unless_another_depth_is_too_near():
    def shades(*depths: int) -> list[tuple]:
        return [tuple(shade) for shade in colors_of(Axis("layers", depths))]

    few, more = shades(8, 20, 56), shades(8, 14, 20, 32, 56)
    assert few == more[::2] and [*more[2:], *shades(110)] == shades(20, 32, 56, 110)
    assert [len(set(shades(*depths))) for depths in ((98, 104, 110), (110, 1202))] == [3, 2]


@pytest.mark.parametrize("width", [6.2, 9])
def test_tick_labels_do_not_overlap(build, width):
    rates_by_depth(build)
    drawn = draw(*load_studies(["runs"]), "accuracy", narrow=width)
    FigureCanvasAgg(drawn).draw()
    for axis in drawn.axes[-3:]:
        boxes = [label.get_window_extent() for label in axis.get_xticklabels()]
        assert len(boxes) >= 3 and all(a.x1 < b.x0 for a, b in zip(boxes, boxes[1:]))


def test_powers_of_ten_are_labelled_before_other_rates(build):
    rates_by_depth(build)
    drawn = draw(*load_studies(["runs"]), "accuracy", narrow=5.6)
    assert {"0.01", "0.1", "1"} <= {label.get_text() for label in drawn.axes[-1].get_xticklabels()}


def test_panels_share_one_scale(build):
    rates_by_depth(build)
    panels = figure("accuracy").axes
    assert len(panels) == 6 and {axis.get_xlabel() for axis in panels[-3:]} == {"learning rate (optimizer.lr)"}
    assert len({axis.get_xlim() for axis in panels}) == 1
    assert len({axis.get_ylim() for axis in panels[:3]}) == 1


def test_training_and_validation_are_told_apart_after_a_single_epoch(build):
    build.complete(**{"epochs.count": 1})
    training, validation = figure("curves").axes[0].lines
    assert (training.get_markerfacecolor(), validation.get_markerfacecolor()) == ("white", validation.get_color())
    legend = {line.get_label(): line.get_markerfacecolor() for line in figure("curves").legends[0].get_lines()}
    assert legend["training"] == "white" != legend["validation"]


def test_networks_that_differ_in_epochs_only_are_told_apart(build):
    for epochs in (2, 3):
        build.complete(**{"epochs.count": epochs})
    legend = [text.get_text() for text in figure("curves").legends[0].get_texts()]
    assert legend[:2] == ["2", "3"]


def test_responses_that_are_nearly_alike_fill_their_axis(build):
    run = build.complete()
    head = "epoch,layer,name,stage,grad_norm,response_std\n"
    for values, starts_at_zero in (((0.99, 1.01), False), ((0.2, 1.01), True)):
        rows = [f"1,{layer},conv,1,0.1,{value}\n" for layer, value in enumerate(values, start=1)]
        (run / "layers.csv").write_text(head + "".join(rows))
        low, high = figure("responses").axes[0].get_ylim()
        assert (low == 0) == starts_at_zero and low < min(values) and max(values) < high < 1.1


def test_markers_of_a_class_stay_in_its_band(build):
    sweep(build, seeds=1)
    axis = figure("classes").axes[0]
    places = sorted(float(y) for line in axis.lines for y in line.get_ydata())
    assert max(abs(place - round(place)) for place in places) < 0.31


def test_a_sweep_under_way_is_drawn_as_far_as_it_got(build, plots):
    build.begin(0, done=3)
    build.begin(1, done=0)
    assert plots()[0] == ["figures/depth/curves.png"]
    (line,) = [line for line in figure("curves").axes[0].lines if line.get_linestyle() == "-"]
    assert list(line.get_xdata()) == [1, 2, 3]


def test_values_that_are_not_finite_have_no_point(build, plots):
    run = build.fail(status="diverged")
    text = (run / "metrics.csv").read_text()
    (run / "metrics.csv").write_text(text + "4,0.1,inf,0.1,nan,0.1,1,1,1\n")
    build.look_inside(run, first=float("inf"))
    assert plots()[0] == [f"figures/depth/{name}.png" for name in ("curves", "responses")]
    (loss, *_) = figure("curves").axes[0].lines
    assert list(loss.get_xdata()) == [1, 2, 3]


def test_the_mean_ends_with_the_shortest_seed(build):
    build.begin(0, done=3)
    build.begin(1, done=7)
    line = figure("curves").axes[0].lines[0]
    assert list(line.get_xdata()) == [1, 2, 3] and list(line.get_ydata()) == [2, 1, 2 / 3]


def test_a_seed_under_way_does_not_cut_the_mean_of_complete_ones(build):
    build.complete(0)
    build.complete(1)
    build.begin(2, done=3)
    line = figure("curves").axes[0].lines[0]
    assert list(line.get_xdata()) == list(range(1, 21))


def test_every_study_and_data_set_has_its_own_folder(build, plots):
    build.complete(study="mixed", **{"data.name": "digits"})
    build.complete(study="mixed")
    build.complete(study="reference/depth")
    folders = {str(Path(file).parent) for file in plots("runs")[0]}
    assert folders == {"figures/mixed/cifar10", "figures/mixed/digits", "figures/reference/depth"}


def intervals(axis) -> dict[float, tuple[float, float]]:
    """Return the intervals drawn on an axis, by x."""
    segments = [segment for bars in axis.collections for segment in bars.get_segments()]
    return {float(segment[0, 0]): tuple(sorted(map(float, segment[:, 1]))) for segment in segments}


def test_intervals_are_students_t_and_absent_with_one_or_two_seeds(build):
    sweep(build, seeds=3, shortcuts=("projection",))
    low, high = intervals(figure("accuracy").axes[0])[8]
    assert (high - low) / 2 == pytest.approx(4.303 * 0.1 / 3**0.5, rel=1e-3)  # t with two degrees of freedom
    sweep(build, seeds=2, shortcuts=("none",))
    assert len(intervals(figure("accuracy").axes[0])) == 3


def test_along_a_number_that_can_be_tuned_the_best_of_each_line_has_a_ring(build):
    rates_by_depth(build)
    drawn = figure("accuracy")
    rings = [line for axis in drawn.axes for line in axis.lines if line.get_markersize() == RING["ms"]]
    assert [line.get_xdata() for line in rings] == [pytest.approx([0.1], rel=0.1)] * 12  # 2 measures, 3 depths, 2 kinds
    assert "best by validation" in [text.get_text() for text in drawn.legends[0].get_texts()]
    build.complete(study="depths")
    build.complete(study="depths", **DEEP)
    drawn = draw(*load_studies(["runs/depths"]), "accuracy")
    assert not [line for axis in drawn.axes for line in axis.lines if line.get_markersize() == RING["ms"]]


def test_accuracy_against_compute_joins_depths_not_rates(build):
    rates_by_depth(build)
    for run in build.root.glob("*/*/seed0"):
        blocks = int(run.parent.name.split("-")[0].removeprefix("blocks"))
        build.amend(run, multiply_adds=10**6 * blocks)
    for axis in figure("accuracy", x="multiply_adds").axes:
        joined = [list(line.get_xdata()) for line in axis.lines if line.get_linestyle() != "None"]
        assert joined == [pytest.approx([3, 9, 27], rel=0.1)] * 2


def test_names_along_the_horizontal_are_those_of_legends_and_keep_their_points_together(build):
    sweep(build, seeds=1)
    axis = figure("accuracy", x="shortcut", by="layers").axes[0]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["residual (projection)", "plain"]
    at = sorted(x for line in axis.lines for x in line.get_xdata())
    assert at[2] - at[0] == at[5] - at[3] < at[3] - at[2]


def test_networks_keep_their_marker_in_the_figure_of_classes(build):
    for shortcut in ("pad", "none"):
        for network in ({}, DEEP):
            build.classify(build.complete(**network, **{"model.shortcut": shortcut}))
    marks = {line.get_label(): line.get_marker() for line in figure("classes").legends[0].get_lines()}
    assert (marks["residual (pad)"], marks["plain"]) == (look_of("pad")[1], look_of("none")[1])


def test_the_gradients_scale_ends_at_the_highest_of_training(build):
    run = build.complete()
    build.look_inside(run, last=2.0)
    table = run / "layers.csv"
    table.write_text(table.read_text().replace(",1.0,", ",1000.0,", 1))  # the first layer, before training
    (image,) = figure("gradients").axes[0].images
    assert image.get_array().max() == 1000 and (image.norm.vmin, image.norm.vmax) == (1, 2)


def test_every_one_of_two_seeds_is_within_the_axis(build):
    for seed, test in enumerate((0.6, 0.7)):
        build.complete(seed, test=test, val=None)
        build.complete(seed, test=test - 0.02, val=None, **DEEP)
    (axis,) = figure("accuracy").axes
    low, high = axis.get_ylim()
    assert low < 58 and high > 70


def test_every_seed_is_a_dot_beside_its_interval(build):
    sweep(build, seeds=3)
    drawn = figure("accuracy")
    FigureCanvasAgg(drawn).draw()
    axis = drawn.axes[0]
    places = [axis.transData.transform((x, 0))[0] for x in intervals(axis)]
    dots = [line for line in axis.lines if line.get_transform() is not axis.transData]
    assert sum(len(line.get_ydata()) for line in dots) == 18
    for line in dots:
        for x, _ in line.get_transform().transform(line.get_xydata()):
            assert 3 < min(abs(x - place) for place in places) < 8


def test_an_interval_beyond_the_axis_ends_in_an_arrowhead(build):
    for seed, test in enumerate((0.2, 0.9, 0.9)):
        build.complete(seed, test=test, val=None, **{"model.stages": [1, 1, 1]})
        build.complete(seed, test=0.9 + seed / 100, val=None, **{"model.stages": [3, 3, 3]})
    (axis,) = figure("accuracy").axes
    bottom, top = axis.get_ylim()
    assert intervals(axis)[8] == (bottom, top) and top > 100
    heads = [(line.get_marker(), *line.get_xydata()[0]) for line in axis.lines if line.get_marker() in ("v", "^")]
    assert heads == [("v", 8, bottom), ("^", 8, top)]


def test_points_are_shifted_only_where_one_would_hide_another(build):
    for model, stages, plain in (("blocks3", [1, 1, 1], 0.80), ("blocks9", [3, 3, 3], 0.70)):
        build.complete(0, test=0.801, **{"model.name": model, "model.stages": stages})
        build.complete(0, test=plain, **{"model.name": model, "model.stages": stages, "model.shortcut": "none"})
    lines = [list(line.get_xdata()) for line in figure("accuracy").axes[0].lines]
    residual, plain = (xs for xs in lines if len(xs) == 2)
    assert residual[0] < 8 < plain[0] and residual[1] == plain[1] == 20


def test_only_configurations_that_differ_in_depth_alone_are_joined(build):
    sweep(build, seeds=1, shortcuts=("projection",))
    sweep(build, seeds=1, shortcuts=("projection",), **{"optimizer.lr": 0.01})
    build.complete(0, test=0.9)  # two stages
    drawn = figure("accuracy")
    lines = [line for axis in drawn.axes[:2] for line in axis.lines if line.get_linestyle() == "-"]
    assert sorted(len(line.get_xdata()) for line in lines) == [1, 3, 3]
    assert [axis.get_title() for axis in drawn.axes[:2]] == ["optimizer.lr=0.001", "optimizer.lr=0.01"]
    assert [text.get_text() for text in drawn.legends[0].texts][:2] == ["2", "3"]


def test_published_points_are_of_the_same_networks_and_name_another_recipe(build):
    for network in ({}, DEEP, {"model.name": "blocks27", "model.stages": [9, 9, 9]}):
        build.complete(**network, **{"epochs.count": 3 if network else 20})
    own, *published = find_published(load_studies(["runs"])[0].configurations).itertuples()
    assert (own.depth, own.label) == (10, "published: original project (augmented images)")
    assert [row.label for row in published] == ["published: original project (other recipe, augmented images)"]
    handles = [text.get_text() for text in figure("accuracy").legends[0].texts]
    assert handles[-2:] == [own.label, published[0].label] or handles[-2:] == [published[0].label, own.label]
    build.complete(study="toy", **{"data.name": "digits"})
    assert find_published(load_studies(["runs/toy"])[0].configurations).empty


def test_published_points_name_their_networks_and_cover_both_kinds_or_none(build):
    build.complete(study="paper", **layers(56, "pad"))
    build.complete(study="paper", **layers(56, "none"))
    labels = {row.label for row in find_published(load_studies(["runs/paper"])[0].configurations).itertuples()}
    assert {"published: techxzen, plain (other recipe)", "published: techxzen, residual (pad) (other recipe)"} < labels
    build.complete(study="ours", **layers(56))
    build.complete(study="ours", **layers(56, "none"))
    assert find_published(load_studies(["runs/ours"])[0].configurations).empty


@pytest.mark.parametrize("worse", ["projection", "none"])
def test_the_figure_shows_the_whole_range_of_training_errors(build, worse):
    sweep(build)
    for metrics in Path("runs").glob(f"*/*-{worse}-*/seed*/metrics.csv"):
        metrics.write_text(metrics.read_text().replace(",0.5,", ",0.1,"))
    axes = figure("degradation").axes
    highest = [max(line.get_ydata().max() for line in axis.lines) for axis in axes]
    assert sorted(highest) == pytest.approx([50, 90])
    assert all(axis.get_ylim()[0] == 0 and axis.get_ylim()[1] > 90 for axis in axes)


def test_of_many_values_only_some_have_a_line_and_the_figure_says_so(build):
    depths = {f"blocks{3 * n}": [n, n, n] for n in range(1, 14)}
    sweep(build, seeds=1, depths=depths)
    drawn = figure("degradation")
    assert max(len(axis.lines) for axis in drawn.axes) == 8
    assert (
        "of 13 values of layers, the 4 best by validation (8, 14, 20, 26) and 4 around the median"
        in drawn.get_suptitle()
    )
    assert len(figure("gradients").axes) == 2 * 5 + 1


def test_lines_are_labelled_by_their_value_alone(build):
    for lr in (0.1, 0.01):
        build.complete(**{"optimizer.lr": lr})
    labels = [text.get_text() for text in figure("curves").legends[0].get_texts()]
    assert labels == ["0.01", "0.1", "training", "validation"]


def test_projections_do_not_count_as_layers(build):
    sweep(build, seeds=1)
    (study,) = load_studies(["runs"])
    table = grid(layers_of(study), study.configurations["configuration"].iloc[0])
    assert table.shape == (5, 4) and table.to_numpy().max() == 1


def test_of_many_classes_the_worst_are_shown(build):
    build.classify(build.complete(), [f"class{n}" for n in range(60)])
    labels = [label.get_text() for label in figure("classes").axes[0].get_yticklabels()]
    assert labels == [f"class{n}" for n in range(59, 39, -1)]
    assert "(20 worst of 60)" in figure("confusion").get_suptitle()


@pytest.mark.parametrize("damage", ["[90, 1,", '["90",'])
def test_damaged_results_by_class_are_left_out(build, plots, damage):
    run = build.complete()
    build.classify(run)
    (run / "result.json").write_text((run / "result.json").read_text().replace("[90,", damage))
    assert plots()[0] == ["figures/depth/curves.png"]


def test_a_class_name_may_look_like_mathematics(build, plots):
    build.classify(build.complete(), [r"$\frac$", "$5 to $10", "dog"])
    assert {"figures/depth/classes.png", "figures/depth/confusion.png"} <= set(plots()[0])
    texts = [label.get_text() for label in figure("classes").axes[0].get_yticklabels()]
    assert r"\$5 to \$10" in texts


def test_of_many_panels_only_some_are_drawn_and_the_figure_says_so(build):
    for lr, batch, name in itertools.product((0.1, 0.01), (16, 32), "abcdef"):
        build.complete(**{"optimizer.lr": lr, "batch_size": batch, "optimizer.name": name})
    drawn = figure("grid")
    assert drawn.get_suptitle().endswith("4 of 6 values of optimizer") and len(drawn.axes) == 5  # and the colour bar


def test_nothing_is_called_best_by_validation_if_nothing_was_validated(build):
    for stages, shortcut, lr in itertools.product(([2, 2], [5, 5]), ("pad", "none"), (0.1, 0.01)):
        settings = {"data.val_fraction": 0, "model.stages": stages, "model.shortcut": shortcut, "optimizer.lr": lr}
        metrics = build.complete(val=None, **settings) / "metrics.csv"
        metrics.write_text(re.sub(r",[^,]*,0\.4,", ",,,", metrics.read_text()))
    drawn = figure("curves")
    assert "each with its own optimizer.lr, the first, as nothing was validated" in drawn.get_suptitle()
    assert [text.get_text() for text in drawn.legends[0].get_texts()].count("validation") == 0


def test_before_the_first_epoch_there_is_nothing_to_draw(build, plots):
    build.begin()
    files, said = plots(code=1)
    assert files == [] and said.splitlines()[-1] == "runs: nothing to draw yet, no run has finished an epoch"


def test_training_is_dashed_and_validation_solid_each_with_its_own_values(build):
    build.begin(done=4)  # training 2 / epoch and 50 %, validation 2.5 / epoch and 40 %
    loss, accuracy = figure("curves").axes
    for axis, training, validation in (
        (loss, [2, 1, 2 / 3, 0.5], [2.5, 1.25, 2.5 / 3, 0.625]),
        (accuracy, [50] * 4, [40] * 4),
    ):
        drawn = {line.get_linestyle(): list(line.get_ydata()) for line in axis.get_lines()}
        assert drawn["--"] == pytest.approx(training) and drawn["-"] == pytest.approx(validation)


def test_the_gradient_ratio_is_a_geometric_mean_over_seeds_that_starts_before_training(build):
    for seed, first in enumerate((10.0, 1000.0)):
        build.look_inside(build.complete(seed=seed), epochs=2, first=first)
    (axis,) = figure("gradient_ratio").axes
    (ratio,) = [line for line in axis.lines if len(line.get_xdata()) == 3]
    assert list(ratio.get_xdata()) == [0, 1, 2] and list(ratio.get_ydata()) == pytest.approx([100, 100, 100])
    assert axis.get_yscale() == "log"
    FigureCanvasAgg(axis.figure).draw()
    assert {"10", "100", "1000"} <= {label.get_text() for label in axis.get_yticklabels()}
    band = axis.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((10, 1000))


def test_a_logarithmic_axis_has_plain_numbers_unless_they_are_long():
    for limits, numbers in (((0.3, 3), {"0.5", "1", "2"}), ((0.3, 2000), {"1", "10", "1000"}), ((1e-3, 1e10), set())):
        drawn = Figure()
        axis = drawn.subplots()
        axis.set_yscale("log")
        axis.set_ylim(*limits)
        plain_numbers(axis)
        FigureCanvasAgg(drawn).draw()
        labels = {label.get_text() for label in axis.get_yticklabels()}
        assert numbers <= labels and any("10^" in label for label in labels) == (not numbers)


def test_gradients_have_the_first_layer_on_top_and_the_last_epoch_on_the_right(build):
    build.look_inside(build.complete(), layers=3, first=100.0, last=1.0)
    (image,) = figure("gradients").axes[0].get_images()
    left, right, bottom, top = image.get_extent()
    assert (left, right, bottom, top) == (-0.5, 3.5, 3.5, 0.5) and image.origin == "upper"
    assert list(image.get_array()[:, 0]) == pytest.approx([100, 10, 1])


def test_epochs_that_were_not_probed_are_left_blank(build):
    run = build.complete()
    build.look_inside(run, epochs=6)
    lines = (run / "layers.csv").read_text().splitlines(keepends=True)
    (run / "layers.csv").write_text("".join(line for line in lines if line[:2] not in ("3,", "5,")))
    (image,) = figure("gradients").axes[0].get_images()
    assert [not column.all() for column in np.ma.getmaskarray(image.get_array()).T] == [True] * 3 + [False, True] * 2
    assert list(image.get_extent()[:2]) == [-0.5, 6.5]


@pytest.mark.slow
def test_a_matplotlibrc_changes_nothing(build, plots):
    sweep(build, seeds=1)
    assert plots("--out", "own", "--format", "svg")[0]
    with matplotlib.rc_context({"image.origin": "lower", "text.usetex": True, "axes.facecolor": "red"}):
        assert plots("--out", "theirs", "--format", "svg")[0]
    for file in sorted(Path("own/depth").iterdir()):
        assert file.read_bytes() == (Path("theirs/depth") / file.name).read_bytes(), file.name


def test_korean_names_get_a_font_that_has_their_letters_or_a_warning(build, monkeypatch, capsys):
    build.classify(build.complete(), ["고양이", "dog"])
    drawn = figure("classes")
    monkeypatch.setattr(gallery, "EAST_ASIAN_FONTS", ("not installed", "DejaVu Serif"))  # has no Korean letters
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gallery.save(drawn, io.BytesIO(), "svg")
        assert capsys.readouterr().err == "", "a browser has its own fonts"
        gallery.save(drawn, io.BytesIO(), "png")
    fonts = {text.get_text(): text.get_fontfamily() for text in drawn.findobj(Text)}
    assert fonts["고양이"] == ["DejaVu Serif", "sans-serif"] != fonts["dog"]
    assert capsys.readouterr().err.startswith("warning: a figure lacks 3 characters that no installed font has")


def test_a_backend_that_matplotlib_does_not_know_is_kept_but_not_used():
    program = "import os, analysis.plots, matplotlib; print(os.environ['MPLBACKEND'], matplotlib.get_backend())"
    for name in ("Qt4Agg", "svg"):
        environment = os.environ | {"MPLBACKEND": name}
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
        left, used = done.stdout.split()
        assert (left, done.stderr) == (name, "") and (used == "svg") == (name == "svg"), (
            "a notebook's backend must stay in use"
        )


@pytest.mark.parametrize("study", ["degradation_fp32", "-".join(["a-name"] * 9)])
def test_a_heading_stays_within_its_figure(build, study):
    run = build.complete(study=study)
    build.look_inside(run)
    build.classify(run)
    figures = [drawn for _, drawn in draw_all(*load_studies(["runs"])) if isinstance(drawn, Figure)]
    assert len(figures) == 7
    for drawn in figures:
        drawn.canvas.draw()
        heading = drawn.get_suptitle()
        (text,) = [text for text in drawn.texts if text.get_text() == heading]
        assert "".join(heading.split()).endswith(f"{study}(cifar10)")
        assert drawn.bbox.x0 < text.get_window_extent().x0 and text.get_window_extent().x1 < drawn.bbox.x1


def test_published_points_have_the_measure_that_is_shown():
    published = pd.DataFrame(
        {"label": "paper", "depth": [20, 56], "test_acc_mean": [0.9, 0.93], "val_acc_mean": [0.7, 0.8]}
    ).assign(by="the authors", color="black")
    for measure, heights in (("test_acc", [90, 93]), ("val_acc", [70, 80])):
        axis = Figure().subplots()
        draw_published(axis, published, measure)
        (line,) = axis.get_lines()
        assert list(line.get_ydata()) == pytest.approx(heights)
        assert all(depth < x < 1.1 * depth for depth, x in zip((20, 56), line.get_xdata())), "beside our own intervals"
    two = pd.concat([published, published.assign(by="others", label="repeated")])
    axis = Figure().subplots()
    draw_published(axis, two.reset_index(drop=True), "test_acc")
    assert len({line.get_xdata()[0] for line in axis.get_lines()}) == 2, "one source beside the other"


def test_a_band_goes_from_the_lowest_seed_to_the_highest():
    seeds = pd.DataFrame({"configuration": "a", "epoch": 1, "seed": [0, 1, 2], "loss": [1.0, 2.0, 6.0]})
    (found,) = over_seeds(seeds, ["epoch"], "loss").itertuples()
    assert (found.low, found.mean, found.high) == (1, 3, 6)


def test_the_confusion_matrix_is_that_of_the_best_by_validation(build):
    for stages, val, test in (([1, 1], 0.7, 0.9), ([2, 2], 0.9, 0.7), ([3, 3], 0.8, 0.8)):
        build.classify(build.complete(val=val, test=test, **{"model.stages": stages}))
    assert "10 layers" in figure("confusion").axes[0].get_title()


def test_confusion_matrices_are_at_the_greatest_depth_that_all_kinds_have(build):
    for stages, val in (([1, 1, 1], 0.9), ([3, 3, 3], 0.5), ([9, 9, 9], 0.8)):
        build.classify(build.complete(val=val, **{"model.stages": stages}))
        if len(stages) * stages[0] < 27:
            build.classify(build.complete(val=val, **{"model.stages": stages, "model.shortcut": "none"}))
    titles = [axis.get_title() for axis in figure("confusion").axes[:2]]
    assert all("20 layers" in title for title in titles) and len(set(titles)) == 2


def test_two_networks_that_differ_in_two_numbers_make_no_grid(build):
    for lr, size in ((0.1, 64), (0.01, 128)):
        build.complete(**{"optimizer.lr": lr, "batch_size": size})
    with pytest.raises(NoData):
        figure("grid")


def test_a_confusion_cell_is_a_share_of_the_true_class_in_that_classs_row(build):
    run = build.complete()
    by_class = {"per_class_acc": {"cat": 0.8, "dog": 1.0}, "confusion": [[8, 2], [0, 40]]}
    build.amend(run, test={"loss": 0.5, "acc": 0.8} | by_class)
    axis = figure("confusion").axes[0]
    places = {(text.get_position(), text.get_text()) for text in axis.texts}
    assert [label.get_text() for label in axis.get_yticklabels()] == ["cat", "dog"]
    assert places == {((0, 0), "80"), ((1, 0), "20"), ((1, 1), "100")}


def test_a_few_of_many_are_spread_evenly_and_include_both_ends():
    assert spread(range(3), 5) == [0, 1, 2]
    assert spread(range(11), 5) == [0, 2, 5, 8, 10]


def test_the_command_runs_without_pytorch_and_without_a_display(build, command):
    build.complete()
    done = command("analysis.plots", env={"PYTHONPROFILEIMPORTTIME": "1", "DISPLAY": None, "WAYLAND_DISPLAY": None})
    assert "matplotlib" in imported(done) and not imported(done) & {"torch", "matplotlib.pyplot"}
    assert done.stdout == "figures/depth/curves.png\n"


def test_blocks_that_start_at_zero_have_no_gradients_to_draw_before_training(build):
    run = build.complete(**{"model.zero_init": True})
    rows = []
    for epoch, norm, ratio in ((0, 0.0, 0.0), (1, 0.1, 0.5)):
        rows.append(f"{epoch},1,conv,1,0.1,1.0,1.0,")
        for block in (0, 1):
            rows.append(f"{epoch},{2 * block + 2},blocks.{block}.conv1,1,{norm},1.0,1.0,")
            rows.append(f"{epoch},{2 * block + 3},blocks.{block}.conv2,1,{norm},1.0,1.0,{ratio}")
    (run / "layers.csv").write_text(LAYERS + "\n".join(rows) + "\n")
    with pytest.raises(NoData):
        figure("untrained_gradients")
    said = [text.get_text() for text in figure("branches").legends[0].get_texts()]
    assert said == ["10 layers", "at the last epoch probed"]


def test_a_configuration_without_a_complete_run_is_named_on_the_figure(build):
    for lr in (0.1, 0.01, 0.001):
        build.complete(**{"optimizer.lr": lr})
    build.fail(status="diverged", **{"optimizer.lr": 1.0})
    drawn = figure("accuracy")
    assert drawn.get_suptitle().endswith("without a complete run: optimizer.lr=1")
    test, val = drawn.axes
    assert test.get_ylim() == val.get_ylim(), "equal heights mean equal accuracies"
