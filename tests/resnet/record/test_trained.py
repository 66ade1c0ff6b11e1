"""Finished runs, loaded and evaluated, and what is said about folders that are not finished runs."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from resnet import evaluate, predict
from resnet.record.result import by_class
from resnet.record.trained import load_trained
from resnet.training.data import load
from resnet.training.downloads import DataError
from resnet.training.model import Network
from tests.resnet.conftest import edit, exit_code


@pytest.fixture(autouse=True)
def one_thread():
    """Compute on one thread, as the training did, and so in the same order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def result_of(run: Path) -> dict:
    return json.loads((run / "result.json").read_text())


def test_an_evaluation_reproduces_what_the_training_recorded(digits_run):
    trained, test = load_trained(digits_run), load("digits", "", 0.1, None).test
    figures, logits = evaluate.measure(trained, test, *trained.conditions())
    written = result_of(digits_run)["test"]
    assert (figures.loss, figures.accuracy) == (written["loss"], written["acc"])
    assert by_class(logits.argmax(dim=1), test.labels, trained.classes)["confusion"] == written["confusion"]


REFERENCE = Path(__file__).resolve().parents[3] / "runs" / "reference"


@pytest.mark.slow
def test_each_committed_network_predicts_as_recorded(cifar10):
    few, test = slice(200), load("cifar10", str(cifar10), 0.1, None).test
    runs = [path.parent for path in REFERENCE.glob("*/*/*/weights.safetensors")]
    assert runs
    for run in runs:
        trained = load_trained(run)
        with torch.inference_mode():
            found = trained.model(trained.normalize()(test.images[few])).argmax(dim=1).numpy()
        accuracy = (found == test.labels[few].numpy()).mean()
        assert abs(accuracy - result_of(run)["test"]["acc"]) < 0.1, f"{run}: about three standard errors of 200 images"
        if (run / "predictions.npy").exists():
            labels, predicted = np.load(run / "predictions.npy")[:, few]
            assert (labels == test.labels[few].numpy()).all()
            assert (predicted == found).sum() >= 195, f"{run}: equal except for rounding, of another machine or of bf16"


def test_an_evaluation_prints_the_recorded_figures_overall_by_class_and_as_a_matrix(digits_run, capsys):
    assert evaluate.main([str(digits_run)]) == 0
    title, *lines = capsys.readouterr().out.splitlines()
    test = result_of(digits_run)["test"]
    assert title == f"{digits_run}: 360 test images of digits, 6 layers"
    here, written = lines[1].split(), lines[2].split()
    assert here[0] == "here" and written[0] == "result.json" and here[1:] == written[1:]
    assert here[1:4] == [f"{test['acc']:.2%}", "loss", f"{test['loss']:.6f}"]
    rows = {row.split()[0]: row.split()[1:] for row in lines[5:15]}
    assert {name: row[1] for name, row in rows.items()} == {k: f"{v:.2%}" for k, v in test["per_class_acc"].items()}
    mean = sum(int(images) * float(loss) for images, _, loss in rows.values()) / 360
    assert mean == pytest.approx(test["loss"], abs=1e-4)
    assert [row.split()[1:] for row in lines[18:]] == [[str(n or ".") for n in row] for row in test["confusion"]]
    assert max(map(len, lines)) <= 80


def test_an_evaluation_says_what_differs_from_the_training(copied_run, capsys, monkeypatch):
    edit(copied_run, precision="bf16", data=result_of(copied_run)["data"] | {"sha256": "another"})
    monkeypatch.setattr("resnet.record.trained.has_native_bf16", lambda device: False)
    assert evaluate.main([str(copied_run)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "Trained in bf16, evaluated in fp32: this cpu has no native bf16." in lines
    assert "The data set here, or its split, is not what the run was trained on." in lines
    assert lines[2].endswith("fp32 on cpu") and lines[3].endswith("bf16 on cpu")


def test_the_data_are_looked_for_where_the_user_says_or_where_they_were(copied_run, capsys, monkeypatch):
    asked, config = [], copied_run / "config.yaml"
    config.write_text(config.read_text().replace("root: data\n", f"root: {copied_run.parent / 'own'}\n"))

    def not_there(**choice):
        asked.append(choice)
        raise DataError("not there")

    monkeypatch.setattr("resnet.record.trained.load", not_there)
    monkeypatch.delenv("RESNET_DATA", raising=False)
    assert exit_code(evaluate.main, str(copied_run)) == 1
    (copied_run.parent / "own").mkdir()
    assert exit_code(evaluate.main, str(copied_run)) == 1
    monkeypatch.setenv("RESNET_DATA", "from/environment")
    assert exit_code(evaluate.main, str(copied_run)) == 1
    assert exit_code(evaluate.main, str(copied_run), "--data-root", "elsewhere") == 1
    roots = ["data", str(copied_run.parent / "own"), "from/environment", "elsewhere"]
    assert [choice["root"] for choice in asked] == roots
    assert asked[0] | {"root": ""} == {"name": "digits", "root": "", "val_fraction": 0.1, "limit": None} | {
        "size": 32,
        "grey": False,
        "pictures": "",
    }
    assert capsys.readouterr().err == "error: not there\n" * 4


def test_a_hundred_classes_are_shown_by_their_worst_confusions():
    labels = torch.arange(100).repeat(3)
    logits = torch.nn.functional.one_hot(labels, 100).float()
    logits[[7, 107, 207]] = logits[[8, 8, 9]]
    text = evaluate.confusion_text(logits, labels, [f"class{n}" for n in range(100)])
    assert text.splitlines() == [
        "the 2 most frequent of 2 different mistakes",
        "    2  class7 taken for class8",
        "    1  class7 taken for class9",
    ]


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def forget_statistics(path: Path) -> None:
    edit(path.parent, data={"name": "digits"})


def forget(path: Path, key: str) -> None:
    path.write_text(json.dumps({name: value for name, value in result_of(path.parent).items() if name != key}))


def edit_network(run: Path, **changes) -> None:
    edit(run, network=result_of(run)["network"] | changes)


def make_inspection(weights: Path) -> None:
    weights.unlink()
    weights.with_name("curvature.csv").write_text("eigenvalue\n")


MISTAKES = {
    "unfinished": ("result.json", Path.unlink, 2, "this run is unfinished: it has no final weights"),
    "no weights": ("weights.safetensors", Path.unlink, 2, "holds the run's results but no weights.safetensors"),
    "cut weights": ("weights.safetensors", cut_in_half, 1, "weights.safetensors: damaged"),
    "empty weights": ("weights.safetensors", lambda path: path.write_bytes(b""), 1, "weights.safetensors: damaged"),
    "cut result": ("result.json", cut_in_half, 1, "damaged"),
    "list for result": ("result.json", lambda path: path.write_text("[]"), 1, "result.json is damaged"),
    "cut configuration": ("config.yaml", lambda path: path.write_text("{"), 1, "config.yaml: damaged"),
    "empty configuration": ("config.yaml", lambda path: path.write_text(""), 1, "config.yaml: damaged"),
    "part of a configuration": ("config.yaml", lambda path: path.write_text("seed: 0"), 1, "config.yaml: damaged"),
    "old result": ("result.json", forget_statistics, 1, "result.json: damaged, or by another version: has no 'sha256'"),
    "no precision": ("result.json", lambda path: forget(path, "precision"), 1, "damaged, or by another version"),
    "no accuracy": ("result.json", lambda path: edit(path.parent, test={"acc": None}), 1, "result.json: damaged"),
    "no data set": ("config.yaml", lambda path: path.write_text("data: {root: data}"), 1, "config.yaml: damaged"),
    "unknown data set": ("config.yaml", lambda path: path.write_text("data: {name: nowhere}"), 1, "data.name=nowhere"),
    "negative width": ("result.json", lambda path: edit_network(path.parent, width=-1), 1, "model.width=-1: must lie"),
    "negative classes": ("result.json", lambda path: edit_network(path.parent, classes=-1), 1, "result.json: damaged"),
    "unknown block": ("result.json", lambda path: edit_network(path.parent, block="other"), 1, "model.block=other"),
    "inspection": ("weights.safetensors", make_inspection, 2, "an inspection, which trains nothing"),
    "another network": (
        "weights.safetensors",
        lambda path: save_file(Network((1, 1), 16, "projection", channels=1).build().state_dict(), path),
        1,
        "these are not the weights of the network that result.json describes",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_an_unusable_folder_gets_a_one_line_error(copied_run, capsys, mistake):
    file, damage, code, answer = MISTAKES[mistake]
    damage(copied_run / file)
    assert exit_code(evaluate.main, str(copied_run)) == exit_code(predict.main, str(copied_run), "cat.png") == code
    output = capsys.readouterr()
    first, second = output.err.splitlines()
    assert first == second and first.startswith(f"error: {copied_run}") and answer in first and not output.out


def test_a_lack_of_memory_is_not_taken_for_a_damaged_result(copied_run, monkeypatch):
    def build(*_):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(Network, "build", build)
    with pytest.raises(RuntimeError, match="allocate memory"):
        load_trained(copied_run)


def test_a_folder_that_is_not_a_run_is_a_wrong_request(copied_run, capsys, tmp_path):
    for folder in (tmp_path / "runs", tmp_path / "runs" / "mine", copied_run.parent):
        assert exit_code(evaluate.main, str(folder)) == 2
        assert capsys.readouterr().err == f"error: {folder}: not a run folder, did you mean {copied_run}?\n"
    assert exit_code(evaluate.main, str(tmp_path / "none")) == 2
    assert capsys.readouterr().err == f"error: {tmp_path / 'none'}: no such folder\n"
    with pytest.raises(SystemExit, match="2"):
        evaluate.main([])
    assert capsys.readouterr().err == "error: the following arguments are required: RUN; see --help\n"
