"""One run from its folder to its result, in this process: what may be resumed, archived or refused."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from resnet.config import Config, Data, Epochs, Logger, Model
from resnet.errors import ConfigError, OutOfMemory
from resnet.record.folder import CHECKPOINT, RecordError, RunFolder
from resnet.session import run_or_resume

CONFIG = Config(
    data=Data("digits", limit=20),
    model=Model("blocks1", [1], 4),
    epochs=Epochs(2),
    device="cpu",
    progress="lines",
    probe_every=0,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Return the folder of a complete run, shared by the tests: do not change it."""
    folder = tmp_path_factory.mktemp("trained")
    run_or_resume(RunFolder(folder), CONFIG)
    return folder


@pytest.fixture
def run(trained, tmp_path) -> RunFolder:
    """Return a copy of the complete run."""
    return RunFolder(Path(shutil.copytree(trained, tmp_path / "seed0")))


def files_of(run: RunFolder) -> dict[Path, bytes]:
    """Return what a folder holds, except for its lock."""
    return {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file() and path.name != ".lock"}


def test_a_network_is_probed_before_the_first_step_and_then_every_so_many_epochs(tmp_path):
    run_or_resume(RunFolder(tmp_path), replace(CONFIG, probe_every=2, epochs=Epochs(3)))
    rows = (tmp_path / "layers.csv").read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == ["0"] * 3 + ["2"] * 3


@pytest.mark.parametrize("missing", [("config.yaml",), ("config.yaml", "result.json")], ids="-".join)
@pytest.mark.parametrize("other", [CONFIG, replace(CONFIG, epochs=Epochs(3), batch_size=32, seed=7)])
def test_a_run_without_a_configuration_is_not_resumed(run, missing, other):
    for name in missing:
        (run.path / name).unlink()
    before = files_of(run)
    with pytest.raises(RecordError, match="no config.yaml"):
        run_or_resume(run, other)
    assert files_of(run) == before
    assert run_or_resume(run, replace(other, resume="never"))["epochs"] == other.epochs.count


@pytest.mark.parametrize(
    "impossible",
    [{"device": "cuda"}, {"batch_size": 5000}, {"logger": Logger("wandb")}],
    ids=lambda change: next(iter(change)),
)
def test_a_refused_request_archives_nothing(run, impossible, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setitem(sys.modules, "wandb", None)
    before = files_of(run)
    with pytest.raises(ConfigError):
        run_or_resume(run, replace(CONFIG, resume="never", **impossible))
    assert files_of(run) == before and run.state() == "complete"


@pytest.mark.parametrize("resume, compiled", [("auto", True), ("never", False)])
def test_a_run_that_began_compiled_stays_so_unless_it_starts_over(run, monkeypatch, resume, compiled):
    (run.path / "result.json").unlink()
    torch.save(torch.load(run.path / "checkpoint.pt") | {"compiled": True}, run.path / "checkpoint.pt")
    monkeypatch.setattr("resnet.train.compile_network", lambda trainer, *_: trainer.model)
    assert run_or_resume(run, replace(CONFIG, resume=resume))["compiled"] is compiled


def test_a_run_beside_others_chooses_a_gpu_as_such(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr("resnet.training.device.choose_gpu", lambda *how: told.append(how) or torch.device("cpu"))
    run_or_resume(RunFolder(tmp_path), replace(CONFIG, device="auto", epochs=Epochs(1)), in_parallel=True)
    assert told == [("auto", True)]


@pytest.mark.parametrize(
    "changed, answer",
    [
        ({"precision": "other"}, "begun in other, but this machine would continue in .*, resume=never starts this one"),
        ({"compiled": True}, "begun compiled, and cannot continue otherwise; .*; resume=never starts this one over"),
    ],
    ids=["precision", "compiled"],
)
def test_a_run_is_not_resumed_in_another_precision_or_against_its_compile_setting(run, changed, answer):
    (run.path / "result.json").unlink()
    torch.save(torch.load(run.path / CHECKPOINT) | changed, run.path / CHECKPOINT)
    before = files_of(run)
    with pytest.raises(RecordError, match=answer):
        run_or_resume(run, replace(CONFIG, compile=False))
    assert files_of(run) == before


def test_resuming_across_a_change_of_code_and_data_warns(run, caplog):
    (run.path / "result.json").unlink()
    torch.save(torch.load(run.path / CHECKPOINT) | {"code": "another", "data": "another"}, run.path / CHECKPOINT)
    run_or_resume(run, CONFIG)
    assert f"{run.path}: the code and the data changed after epoch 2: " in caplog.text


@pytest.mark.parametrize(
    "change, reason",
    [
        (lambda content: content.pop("code"), "it has no 'code'"),
        (lambda content: content.pop("schedule"), "it has no 'schedule'"),
        (lambda content: content["schedule"].update(lr=0.5), "it was trained by another schedule"),
    ],
    ids=["no code", "no schedule", "another schedule"],
)
def test_a_rejected_checkpoint_leaves_nothing_behind(run, change, reason, caplog):
    weights, path = (run.path / "weights.safetensors").read_bytes(), run.path / CHECKPOINT
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)
    (run.path / "result.json").unlink()
    assert run_or_resume(run, CONFIG)["epochs"] == 2
    assert (run.path / "weights.safetensors").read_bytes() == weights
    assert f"checkpoint.pt: archived, {reason}" in caplog.text


@pytest.mark.parametrize("task, smaller", [("train", "batch_size=64 with model.width=4"), ("inspect", "model.width=4")])
def test_out_of_memory_names_what_takes_it(tmp_path, monkeypatch, task, smaller):
    monkeypatch.setattr("resnet.session.compute", lambda *_: bytearray(sys.maxsize))
    with pytest.raises(OutOfMemory, match=f"^out of memory: {smaller} takes"):
        run_or_resume(RunFolder(tmp_path), replace(CONFIG, task=task))


def test_data_that_do_not_fit_into_memory_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("resnet.prepare.load", lambda **_: bytearray(sys.maxsize))
    with pytest.raises(OutOfMemory, match="^out of memory: data=digits .* takes"):
        run_or_resume(RunFolder(tmp_path), CONFIG)


def test_the_codes_checksum_is_taken_before_the_data_are_loaded(tmp_path, monkeypatch):
    """Loading may take minutes, in which someone may edit the code that was imported."""
    order = []
    monkeypatch.setattr("resnet.session.program", lambda: order.append("checksum"))
    monkeypatch.setattr("resnet.prepare.load", lambda **_: order.append("data"))
    with pytest.raises(AttributeError):
        run_or_resume(RunFolder(tmp_path), CONFIG)
    assert order == ["checksum", "data"]


@pytest.mark.parametrize("place", ["resnet.prepare.prepare", "resnet.train.train"], ids=["before", "after"])
def test_a_run_that_starts_over_and_fails_is_archived_once(run, monkeypatch, place):
    """Whether it fails before its record is started, as without its data, or after."""
    for measured in ("lesions.csv", "cosines.csv", "curvature.csv"):
        (run.path / measured).write_text("of the network that was there")
    before = {path.name: content for path, content in files_of(run).items()}

    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(place, fail)
    with pytest.raises(ZeroDivisionError):
        run_or_resume(run, replace(CONFIG, resume="never"))
    assert run.state() == "failed" and (run.path / "config.yaml").exists()
    (archive,) = (run.path / ".archive").iterdir()
    assert {path.name: path.read_bytes() for path in archive.iterdir()} == before


def test_a_failed_run_is_tried_again_and_a_diverged_one_only_from_the_start(run):
    (run.path / "result.json").unlink()
    run.fail("failed", "no space left", "")
    assert run_or_resume(run, CONFIG)["status"] == run.state() == "complete"
    (run.path / "result.json").unlink()
    run.fail("diverged", "the loss was not finite", "", step=3)
    before = files_of(run)
    with pytest.raises(RecordError, match="diverged before, the loss was not finite; resume=never"):
        run_or_resume(run, CONFIG)
    assert files_of(run) == before
    assert run_or_resume(run, replace(CONFIG, resume="never"))["status"] == run.state() == "complete"
