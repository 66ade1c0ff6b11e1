"""From training to what people read: analysis/ finds what resnet/ writes."""

import csv
import html
import io
import json
import re
import shlex
from pathlib import Path

import pytest

from analysis.frames.inside.gradients import with_places
from analysis.frames.rows import _counted
from analysis.frames.runs import load_runs
from analysis.frames.tables import load_epochs, load_layers
from resnet.record.folder import RunFolder
from resnet.shorter import began_alike


@pytest.mark.parametrize(
    "epochs, counted", [([0], [0]), ([0, 3], [0, 1]), ([0, 3, 0], [2]), ([0, 3, 3, 5], [0, 2, 3]), ([2, 0, 0], [2])]
)
def test_both_packages_count_the_same_starts(tmp_path, epochs, counted):
    """The packages share only files, so each implements the rule: a start whose epochs were lost does not count."""
    starts = [{"epoch": epoch, "number": number} for number, epoch in enumerate(epochs)]
    assert [start["number"] for start in _counted(starts)] == counted
    for other in range(len(starts)):
        lines = [json.dumps(start | {"code": "x" if start["number"] == other else "same"}) for start in starts]
        (tmp_path / "starts.jsonl").write_text("".join(f"{line}\n" for line in lines))
        assert began_alike(RunFolder(tmp_path), {"code": "same"}) == (other not in counted)


def test_a_fresh_run_reaches_table_frames_and_report(train, command, tmp_path):
    train("-m", "seed=0,1", "model.shortcut=projection,none", "study=fresh")
    results = {path.parent: json.loads(path.read_text()) for path in tmp_path.glob("runs/fresh/*/*/result.json")}
    assert len(results) == 4

    runs = load_runs([tmp_path / "runs" / "fresh"])
    for run in runs.to_dict("records"):
        result = results[Path(run["path"])]
        assert run["status"] == "complete" and run["test_acc"] == result["test"]["acc"]
        assert (run["parameters"], run["seed"]) == (result["parameters"], result["seed"])
        assert (run["shortcut"], run["width"]) == (result["network"]["shortcut"], 8)

    epochs, layers = load_epochs(runs), load_layers(runs)
    assert len(epochs) == 4 * 2 and epochs[["train_loss", "val_acc", "lr"]].notna().all(axis=None)
    assert set(layers["epoch"]) == {0, 1, 2} and layers["weight_norm"].notna().all()
    initial = layers[layers["epoch"] == 0].groupby(["shortcut", "name"])["weight_norm"]
    assert (initial.nunique() == 2).all(), "each seed has its own initial weights"
    assert len({(path / "samples.png").read_bytes() for path in results}) == 2, "and its own order of images"
    counted = {shortcut: list(rows["name"]) for shortcut, rows in with_places(layers).groupby("shortcut")}
    assert counted["projection"] == counted["none"], "a projection has no counterpart in a plain network"
    assert len(counted["none"]) == 2 * 3 * 5, "two seeds, three probes, five 3x3 layers"
    assert layers["residual_ratio"].notna().sum() == 2 * 3 * 2, "two seeds, three probes, two blocks with a shortcut"

    text = command("analysis.table", "runs/fresh", "--format", "csv").stdout
    for row in csv.DictReader(io.StringIO(text)):
        shortcut = "none" if "-none-" in row["configuration"] else "projection"
        accuracies = [r["test"]["acc"] for r in results.values() if r["network"]["shortcut"] == shortcut]
        assert float(row["test_acc_mean"]) == pytest.approx(sum(accuracies) / 2)

    command("analysis.report", "runs/fresh", "--out", "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "fresh" in page and page.count("<svg") >= 3


@pytest.mark.slow
def test_the_commands_of_a_report_find_all_its_runs_already_there(train, command, tmp_path):
    """Even if Hydra would take the names of study and network for numbers."""
    study = "1.10"
    grid = ("seed=0,1", "model.shortcut=projection,none", "model.stages=[1]", "epochs.count=1", "data.limit=30")
    train("-m", *grid, f"study={study}", "model.name=1e3")
    folders = sorted(tmp_path.glob("runs/*/*/*"))
    assert len(folders) == 4 and {path.parents[1].name for path in folders} == {study}
    command("analysis.report", f"runs/{study}", "--out", "report.html")
    blocks = re.findall(r"<pre><code>(.*?)</code></pre>", (tmp_path / "report.html").read_text(), re.DOTALL)
    lines = [line for block in blocks for line in html.unescape(block).splitlines()]
    assert len(lines) == 2
    for line in lines:
        python, option, module, *words = shlex.split(line)
        assert (python, option) == ("python", "-m")
        assert "2 runs: 2 already there, 0 to do" in command(module, *words).stdout
    assert sorted(tmp_path.glob("runs/*/*/*")) == folders
