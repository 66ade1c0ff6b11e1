"""Inspections and lesions as commands: what they write, that they resume, and what they refuse."""

import json
import shutil
import sys
from datetime import datetime
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save_file

from resnet import evaluate, lesion
from resnet.inspect import inspecting
from resnet.training.device import has_native_bf16
from resnet.training.model import Network
from resnet.training.pictures import read_folder
from tests.resnet.conftest import edit, exit_code
from tests.resnet.runs import read

TINY = ("data=digits", "model=blocks", "model.width=4", "device=cpu")


@pytest.fixture
def inspect(command):
    """Return a function that inspects very small networks on digits."""
    return lambda *overrides, **options: command("resnet.inspect", *TINY, *overrides, **options)


@pytest.mark.slow
def test_a_grid_is_measured_once_for_each_of_three_seeds(inspect, tmp_path):
    done = inspect("model.stages=[1],[2]")
    folders = sorted(tmp_path.glob("runs/inspection/*/*"))
    assert [folder.name for folder in folders] == ["seed0", "seed1", "seed2"] * 2
    assert "6 runs: 0 already there, 6 to do" in done.stdout and "Traceback" not in done.stdout
    assert len({(folder / "layers.csv").read_bytes() for folder in folders}) == 6, "every network is different"
    for folder in folders:
        layers = read(folder / "layers.csv")
        assert {row["epoch"] for row in layers} == {"0"} and float(layers[0]["grad_norm"]) > 0
        assert len(read(folder / "cosines.csv")) == 40
        (curvature,) = read(folder / "curvature.csv")
        assert float(curvature["eigenvalue"]) > 0 and curvature["converged"] in ("True", "False")
        result = json.loads((folder / "result.json").read_text())
        assert (result["status"], result["task"], result["precision"]) == ("complete", "inspect", "fp32")
        start = json.loads((folder / "starts.jsonl").read_text())
        assert datetime.fromisoformat(start["time"]) and start["device"] == "cpu"
    assert "6 runs: 6 already there, 0 to do" in inspect("model.stages=[1],[2]").stdout
    inspect("model.stages=[1]", "seed=2", "study=again")
    (again,) = tmp_path.glob("runs/again/*/seed2")
    first = tmp_path / "runs" / "inspection" / again.relative_to(tmp_path / "runs" / "again")
    for name in ("layers.csv", "cosines.csv", "curvature.csv"):
        assert (again / name).read_bytes() == (first / name).read_bytes(), "the same seed gives the same bytes"


def test_help_describes_inspections(command):
    assert "experiment=initialization" in command("resnet.inspect", "--help").stdout


@pytest.mark.parametrize(
    "typed, arguments",
    [
        ("model=blocks3", "-m task=inspect study=inspection seed=0,1,2 model=blocks3"),
        ("seed=7 -m study=mine", "-m task=inspect seed=7 study=mine"),
        ("model=blocks3 --cfg job", "--cfg job task=inspect study=inspection seed=0 model=blocks3"),
        ("experiment=initialization", "-m task=inspect experiment=initialization"),
    ],
)
def test_inspect_completes_its_arguments(typed, arguments):
    assert inspecting(typed.split()) == arguments.split()


def test_an_inspections_configuration_can_be_shown_and_training_is_refused(inspect):
    shown = yaml.safe_load(inspect("--cfg", "job").stdout)
    assert (shown["task"], shown["study"]) == ("inspect", "inspection")
    refused = inspect("task=train", code=2)
    assert refused.stderr.startswith("error: task=train: must be inspect here") and not refused.stdout


def test_an_inspection_needs_no_tracker(train_here, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert (train_here("task=inspect", "model.stages=[1]", "model.width=4", "logger=wandb") / "result.json").exists()


def test_lesions_are_written_to_the_run_folder(copied_run, command):
    done = command("resnet.lesion", str(copied_run))
    rows = read(copied_run / "lesions.csv")
    assert [(row["lesion"], row["block"]) for row in rows] == [("none", ""), ("remove", "0"), ("remove", "1")]
    assert "without one block: " in done.stdout and not done.stderr, "no progress bar if standard error is a pipe"


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_row_without_a_lesion_equals_the_runs_final_validation(train_here, precision):
    if precision == "bf16" and not has_native_bf16(torch.device("cpu")):
        pytest.skip("needs a CPU with native bf16")
    run = train_here("epochs.count=1", f"precision={precision}")
    assert exit_code(lesion.main, str(run)) == 0
    final = json.loads((run / "result.json").read_text())["final"]
    none = read(run / "lesions.csv")[0]
    assert (float(none["loss"]), float(none["accuracy"])) == (final["val_loss"], final["val_acc"])


def test_data_that_differ_from_the_runs_are_noticed(train_here, pictures, capsys):
    run = train_here("data=folder", f"data.root={pictures}", "data.size=8", "epochs.count=1", "batch_size=8")
    assert exit_code(lesion.main, str(run)) == exit_code(evaluate.main, str(run)) == 0
    measured = (run / "lesions.csv").read_bytes()
    for picture in sorted((pictures / "train" / "dark").glob("*.png"))[:2]:
        picture.unlink()
    capsys.readouterr()
    read_folder.cache_clear()  # as in a new process
    other_data = "data set here, or its split, is not what the run was trained on"
    assert exit_code(lesion.main, str(run)) == 2 and other_data in capsys.readouterr().err
    assert exit_code(evaluate.main, str(run)) == 0 and other_data in capsys.readouterr().out
    for part in ("train", "test"):
        shutil.copytree(pictures / part / "dark", pictures / part / "other")
    for main in (lesion.main, evaluate.main):
        read_folder.cache_clear()
        assert exit_code(main, str(run)) == 2
        printed = capsys.readouterr()
        assert printed.err.endswith("the classes of the data here differ from the run's: other\n") and not printed.out
    assert (run / "lesions.csv").read_bytes() == measured


def hold_nothing_out(run: Path) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["data"]["val_fraction"] = 0.0
    (run / "config.yaml").write_text(yaml.safe_dump(config))


def one_block(run: Path) -> None:
    network = json.loads((run / "result.json").read_text())["network"] | {"stages": [1]}
    edit(run, network=network)
    save_file(Network(**network).build().state_dict(), run / "weights.safetensors")


@pytest.mark.parametrize(
    "damage, answer", [(hold_nothing_out, "no images were held out"), (one_block, "a network of one block")]
)
def test_runs_that_lesions_cannot_measure_get_a_one_line_error(copied_run, capsys, damage, answer):
    damage(copied_run)
    assert exit_code(lesion.main, str(copied_run)) == 2
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith(f"error: {copied_run}") and answer in line and not printed.out
