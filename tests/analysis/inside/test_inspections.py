"""Inspections as frames, as a table, as figures and in the report, alone and together with training runs."""

import io
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from analysis.claims.inside.findings import find_inside
from analysis.claims.wording import by_topic
from analysis.figures.gallery import draw
from analysis.frames.inside.gradients import end_ratios, growth
from analysis.frames.study import load_studies
from analysis.plots import main as plot
from analysis.report import main as report
from tests.analysis.conftest import figure
from tests.analysis.studies import PLAIN

NO_NORM = {"model.norm": "none"}


def untrained(*folders):
    """Return the untrained networks of the only study under `folders`."""
    (study,) = load_studies(folders or ["runs"])
    return study.untrained


def grid_of_networks(inspect, **more) -> None:
    """Write inspections of two depths, with and without shortcuts and batch norm, three seeds each."""
    for blocks in (2, 6):
        for network in ({}, PLAIN, NO_NORM, PLAIN | NO_NORM):
            for seed in range(3):
                plain = "model.shortcut" in network
                eigenvalue = None if plain and blocks == 6 else 10.0 + seed + 90 * (blocks == 6)
                inspect(seed, blocks, growth=1.2 + 0.01 * seed, eigenvalue=eigenvalue, **network, **more)


def test_the_growth_of_made_up_gradients_is_recovered(inspect):
    inspect(blocks=5, growth=1.3)
    layers = untrained().layers
    assert 10 ** growth(layers).item() == pytest.approx(1.3)
    assert 10 ** growth(layers, scaled=True).item() == pytest.approx(1.3)
    # 31 layers: the first three and the last three; the stem has no stage; stages differ by factors of 3, scaled 6
    expected = 1.3**28 * (1 * 3 * 3) ** (1 / 3) / 3**3
    assert 10 ** end_ratios(layers).item() == pytest.approx(expected)
    scaled = 1.3**28 * (1 * 6 * 6) ** (1 / 3) / 6**3
    assert 10 ** end_ratios(layers, scaled=True).item() == pytest.approx(scaled)


def test_a_layer_without_a_gradient_leaves_no_ratio(inspect):
    run = inspect()
    text = (run / "layers.csv").read_text().splitlines()
    cells = text[1].split(",")
    text[1] = ",".join([*cells[:4], "0.0", *cells[5:]])
    (run / "layers.csv").write_text("\n".join(text) + "\n")
    assert untrained().runs["gradient_ratio"].isna().all()


def test_each_run_has_its_values(inspect):
    inspect(seed=0, cosine=0.4, eigenvalue=30.0)
    inspect(seed=1, cosine=0.6, eigenvalue=None)
    runs = untrained().runs.set_index("seed")
    assert runs["cosine"].tolist() == pytest.approx([0.4, 0.6])
    assert runs.loc[0, "curvature"] == 30 and np.isnan(runs.loc[1, "curvature"])
    assert runs["eigenvalues"].tolist() == [1, 1] and set(runs["norm"]) == {"batch"}


def test_inspections_do_not_change_the_table_of_training_runs(build, inspect, table, capsys):
    build.complete(seed=0)
    alone = table("--published"), table("--format", "csv")
    inspect(study="depth")
    both = table("--published"), table("--format", "csv")
    assert both[0].startswith(alone[0]) and both[1] == alone[1]
    assert both[0].count("##") == 2 and "damaged" not in both[0] + capsys.readouterr().err
    (study,) = load_studies(["runs"])
    assert (len(study.runs), len(study.inspections), len(study.configurations)) == (1, 1, 1)


def test_inspections_alone_make_a_table(inspect, table):
    grid_of_networks(inspect)
    lines = [line for line in table().splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:] if not line.startswith("| -")]
    assert len(rows) == 8
    plain = next(row for row in rows if row[:3] == ["none", "batch", "38"])
    assert plain[-2:] == ["-", "3"]
    residual = next(row for row in rows if row[:3] == ["projection", "batch", "38"])
    assert residual[-2] == "101 (100 to 102)" and residual[-3] == "0.50"


def test_on_a_terminal_the_table_fits_and_columns_left_out_are_named(inspect, table, terminal):
    grid_of_networks(inspect)
    for width, curvature in ((200, "101 (100 to 102)"), (100, "101"), (80, "101")):
        terminal(width)
        printed = table()
        assert max(map(len, printed.splitlines())) <= width and f" {curvature} |" in printed
        assert ("scaled |" in printed, "Left out" in printed) == (width > 80, width < 200)


def test_a_value_from_some_of_the_seeds_says_from_how_many(inspect, table):
    inspect(seed=0, eigenvalue=30.0)
    inspect(seed=1, eigenvalue=None)
    assert "30, 1 of 2" in table()


def test_incomplete_inspections_are_counted(build, inspect, table):
    inspect()
    run = inspect(seed=1)
    (run / "result.json").unlink()
    assert "1 unfinished" in table()
    shutil.rmtree(run.parent / "seed0")
    assert "1 unfinished" in table()


def test_inspections_alone_make_a_csv_with_one_row_per_run(inspect, table):
    grid_of_networks(inspect)
    rows = pd.read_csv(io.StringIO(table("--format", "csv")))
    assert len(rows) == 24 and set(rows["norm"].fillna("none")) == {"batch", "none"}
    assert rows["curvature"].isna().sum() == 6 and (rows["gradient_ratio"] > 0).all()


def test_choosing_the_best_value_of_an_axis_keeps_inspections(build, inspect, table):
    for rate in (0.1, 0.01):
        build.complete(val=rate, **{"optimizer.lr": rate})
    inspect(study="other")
    assert "untrained networks" in table("--best", "optimizer.lr")


def test_any_other_setting_that_varies_is_a_column(inspect, table):
    inspect()
    inspect(**{"model.width": 64})
    assert "model.width=64" in table()


def test_a_comparison_of_inspections_is_refused(inspect, table):
    a, b = inspect(), inspect(blocks=5)
    assert "no accuracies to compare" in table("--compare", a.parent, b.parent, code=2)


@pytest.mark.parametrize("file", ["layers.csv", "cosines.csv", "curvature.csv"])
def test_a_damaged_table_gets_one_warning_and_the_other_runs_are_read(inspect, table, capsys, file):
    inspect(seed=0)
    (inspect(seed=1) / file).write_text("nonsense,other\n1,2\n")
    capsys.readouterr()
    assert untrained().runs["curvature"].notna().any()
    (line,) = capsys.readouterr().err.splitlines()
    assert file in line and "seed1" in line


def test_the_same_untrained_network_counts_once_per_seed(build, inspect, write_probes):
    stages = [2, 2, 2]
    for seed in (0, 1):
        for rate in (0.1, 0.01):
            run = build.complete(seed, "initialization", **{"model.stages": stages, "optimizer.lr": rate})
            write_probes(run, stages, before=1.0, after=0.5)
    assert untrained().runs["seed"].tolist() == [0, 1]
    inspect(seed=0, **{"model.stages": stages})
    assert sorted(untrained().runs["seed"]) == [0, 1] and len(untrained().cosines) == 3
    assert set(untrained().layers["epoch"]) == {0}


def test_inspections_have_their_figures(inspect, capsys):
    grid_of_networks(inspect)
    assert plot(["runs", "--out", "figures"]) == 0
    printed = capsys.readouterr()
    names = [line.rsplit("/", 1)[-1] for line in printed.out.splitlines()]
    assert names == ["untrained_gradients.png", "cosines.png", "curvature.png", "branches.png"]
    assert printed.err == ""
    assert [axis.get_title() for axis in figure("untrained_gradients").axes] == [
        "residual (projection), with batch norm",
        "plain, with batch norm",
        "residual (projection), without batch norm",
        "plain, without batch norm",
    ]
    axis, other = figure("curvature").axes
    assert all("left out, not converged: plain 38 layers (3)" in panel.get_title() for panel in (axis, other))
    flat = [line.get_ydata()[0] for line in axis.lines if len(set(line.get_ydata())) == 1 and line.get_ls() == "--"]
    assert flat == pytest.approx([380, 38])


@pytest.mark.parametrize("name", ["untrained_gradients", "curvature"])
def test_titles_of_panels_do_not_overlap(inspect, name):
    grid_of_networks(inspect)
    drawn = draw(*load_studies(["runs"]), name, narrow=5.6)
    FigureCanvasAgg(drawn).draw()
    boxes = [axis.title.get_window_extent() for axis in drawn.axes]
    assert all(left.x1 < right.x0 for left, right in zip(boxes[::2], boxes[1::2]))
    assert all(drawn.bbox.x0 < box.x0 and box.x1 < drawn.bbox.x1 for box in boxes)


def test_a_key_that_only_training_runs_vary_makes_no_other_network_at_its_default(build, inspect, write_probes):
    stages = [2, 2, 2]
    for limit in (None, 100):
        run = build.complete(study="initialization", **{"model.stages": stages, "data.limit": limit})
        write_probes(run, stages, before=1.0, after=0.5)
    inspect(seed=0, **{"model.stages": stages})
    found = untrained().runs
    assert sorted(found["rest"]) == ["data.limit=100", "data.limit=null"]


def test_branches_of_two_widths_are_not_averaged(inspect):
    for width in (16, 64):
        inspect(**{"model.width": width})
    drawn = figure("branches")
    assert "1 of 2 conditions: model.width=16" in drawn.get_suptitle()
    assert len([line for axis in drawn.axes for line in axis.lines]) == 1


def test_ratios_of_networks_without_a_common_depth_say_their_depths(inspect):
    inspect(blocks=2)
    inspect(blocks=5, **PLAIN)
    (study,) = load_studies(["runs"])
    first = by_topic(find_inside(study))["Gradients before training"][0]
    assert "plain networks of 32 layers (" in first and "residual (projection) networks of 14 layers (" in first


def test_a_panel_of_networks_without_inspections_is_left_out(inspect):
    """The others get the labels it would have had: only residual networks have a width of 28."""
    for width in (16, 28):
        for network in ({}, PLAIN)[: 1 if width == 28 else 2]:
            inspect(**network, **{"model.width": width})
    shown = [axis for axis in figure("untrained_gradients").axes if axis.get_visible()]
    labels = [(axis.get_title().split(",")[0], bool(axis.get_xlabel()), bool(axis.get_ylabel())) for axis in shown]
    residual = "residual (projection)"
    assert labels == [(residual, False, True), ("plain", True, False), (residual, True, True)]


def test_a_report_of_inspections_alone_has_the_section_why_and_no_results(inspect):
    grid_of_networks(inspect)
    assert report(["runs"]) == 0
    page = open("report.html", encoding="utf-8").read()
    assert '<h2 id="why">' in page and "Results of" not in page and page.count("<svg") == 4
    assert "Gradients before training" in page and "task=inspect" in page
    assert page.count('id="study1"') == page.count('href="#study1"') == 1
    assert re.findall("<h([1-6])", page)[:4] == list("1234")


def test_the_section_why_comes_after_the_results(build, inspect):
    build.complete()
    assert report(["runs"]) == 0
    assert '<h2 id="why">' not in open("report.html", encoding="utf-8").read()
    inspect(study="depth")
    assert report(["runs"]) == 0
    page = open("report.html", encoding="utf-8").read()
    assert page.count("task=inspect") == 1
    assert page.index("Results of") < page.index('<h2 id="why">') < page.index('<h2 id="measured">')
