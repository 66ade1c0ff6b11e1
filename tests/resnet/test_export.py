"""Exported networks: what other programs load must give the network's own answers."""

import io
import json
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors import safe_open

import resnet
from resnet import export
from resnet.record.trained import load_trained
from resnet.training.model import Network
from tests.resnet.conftest import CLASSES, exit_code

OTHER_PROGRAM = """
import json, sys
sys.modules["resnet"] = None  # importing it fails
import numpy, onnxruntime, torch
images = numpy.load("images.npy")
onnx = onnxruntime.InferenceSession("network.onnx").run(["logits"], {"images": images})[0]
extra = {"metadata.json": ""}
program = torch.export.load("network.pt2", extra_files=extra).module()(torch.from_numpy(images)).detach().numpy()
numpy.save("answers.npy", numpy.stack([onnx, program]))
print(json.loads(json.loads(extra["metadata.json"])["classes"])[1])
"""


def images_of(trained, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return random images as uint8, for the network itself, and as float32 from 0 to 1, for other programs."""
    generator = torch.Generator().manual_seed(batch)
    shape = (batch, trained.size, trained.size, trained.channels)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    return images, images.permute(0, 3, 1, 2).contiguous() / 255


@torch.no_grad()
def logits_of(trained, images: torch.Tensor) -> torch.Tensor:
    return trained.model(trained.normalize()(images))


def test_both_graphs_answer_as_the_network_does(digits_run):
    trained = load_trained(digits_run)
    session = onnxruntime.InferenceSession(export.to_onnx(trained))
    program = torch.export.load(io.BytesIO(export.to_exported_program(trained))).module()
    for batch in (1, 3, 64):
        images, floats = images_of(trained, batch)
        expected = logits_of(trained, images)
        torch.testing.assert_close(program(floats), expected, rtol=1e-4, atol=1e-4)
        answer = torch.from_numpy(session.run(["logits"], {"images": floats.numpy()})[0])
        torch.testing.assert_close(answer, expected, rtol=1e-4, atol=1e-4)
    known = session.get_modelmeta().custom_metadata_map
    assert tuple(json.loads(known["classes"])) == trained.classes and json.loads(known["size"]) == trained.size


@pytest.mark.slow
def test_exported_files_load_without_the_project(photo_run, tmp_path, capsys):
    trained = load_trained(photo_run)
    images, floats = images_of(trained, 5)
    np.save(tmp_path / "images.npy", floats.numpy())
    for form, name in ("onnx", "network.onnx"), ("exported_program", "network.pt2"):
        assert export.main([str(photo_run), "--format", form, "--out", str(tmp_path / name)]) == 0
        assert f"{tmp_path / name}: {form}, 10 classes, 32x32 pixels\n" in capsys.readouterr().out
    done = subprocess.run(
        [sys.executable, "-c", OTHER_PROGRAM], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=1800
    )
    assert done.stdout == "automobile\n"
    for answer in np.load(tmp_path / "answers.npy"):
        torch.testing.assert_close(torch.from_numpy(answer), logits_of(trained, images), rtol=1e-4, atol=1e-4)
    for name in ("network.onnx", "network.pt2"):  # no trace of where it was made
        assert resnet.__path__[0].encode() not in (tmp_path / name).read_bytes()


def test_exported_weights_come_with_what_is_needed_to_rebuild_the_network(photo_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trained = load_trained(photo_run)
    assert export.main([str(photo_run), "--format", "safetensors"]) == 0
    with safe_open(f"{photo_run.parent.name}-seed0.safetensors", "pt") as file:
        known = {key: json.loads(value) for key, value in file.metadata().items() if key != "format"}
        weights = {name: file.get_tensor(name) for name in file.keys()}
    assert known["classes"] == list(CLASSES) and known["mean"] == trained.mean.tolist()
    network = Network(**known["network"]).build()
    network.load_state_dict(weights)
    images, floats = images_of(trained, 2)
    mean, std = (torch.tensor(known[key]).view(-1, 1, 1) / 255 for key in ("mean", "std"))
    with torch.no_grad():
        answer = network.eval()((floats - mean) / std)
    torch.testing.assert_close(answer, logits_of(trained, images), rtol=1e-4, atol=1e-4)


def test_mistakes_get_a_one_line_error(digits_run, tmp_path, capsys, monkeypatch):
    arguments = [str(digits_run), "--format", "onnx", "--out"]
    assert exit_code(export.main, *[*arguments, str(tmp_path / "none" / "x.onnx")]) == 2
    assert capsys.readouterr().err.endswith(f"x.onnx: there is no folder {tmp_path / 'none'}\n")
    assert exit_code(export.main, *[*arguments, str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"error: --out {tmp_path}: is a folder or a device; it must be a file\n"
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    assert exit_code(export.main, *[*arguments, str(tmp_path / "x.onnx")]) == 1
    assert capsys.readouterr().err == 'error: onnx: onnx is not installed; pip install -e ".[onnx]"\n'
    assert not (tmp_path / "x.onnx").exists()


def test_nothing_in_a_run_folder_is_overwritten(copied_run, tmp_path, capsys, monkeypatch):
    before = {path: path.read_bytes() for path in copied_run.rglob("*") if path.is_file()}
    arguments = [str(copied_run), "--format", "safetensors"]
    for name in ("weights.safetensors", "new.safetensors", ".hydra/config.yaml"):
        assert exit_code(export.main, *arguments, "--out", str(copied_run / name)) == 2
        assert f"{name}: is in the run folder {copied_run}" in capsys.readouterr().err
    (tmp_path / "config.yaml").write_text("of another program")
    assert exit_code(export.main, *arguments, "--out", str(tmp_path / "mine.safetensors")) == 0
    monkeypatch.chdir(copied_run)
    assert exit_code(export.main, *arguments) == 0, "the default name is not that of a run's file"
    assert {path: path.read_bytes() for path in before} == before
