"""More epochs of a finished run: they continue it only if that gives the same bytes as training from the start."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from resnet.config import Config, Epochs, run_name
from resnet.launch.jobs import Job
from resnet.launch.plan import share_left
from resnet.record.folder import RunFolder
from resnet.session import run_or_resume
from resnet.shorter import but_for_epochs
from resnet.training.optim import rates_agree
from tests.resnet.runs import assert_same, configuration


def of_epochs(count: int, schedule: str = "constant") -> Config:
    return replace(configuration(schedule=schedule), epochs=Epochs(count))


def folder_of(config: Config, study: Path) -> RunFolder:
    return RunFolder(study / run_name(config) / "seed0")


def trained(config: Config, study: Path) -> Path:
    """Train in this process; return the run's folder."""
    run = folder_of(config, study)
    run.path.mkdir(parents=True)
    run_or_resume(run, config)
    return run.path


def start_of(run: Path) -> dict:
    return json.loads((run / "starts.jsonl").read_text())


def test_a_longer_training_whose_steps_differ_starts_from_the_beginning(tmp_path):
    trained(of_epochs(1, "cosine"), tmp_path)
    start = start_of(trained(of_epochs(2, "cosine"), tmp_path))
    assert start["epoch"] == 0 and "begun_with" not in start


@pytest.fixture(scope="module")
def short(tmp_path_factory) -> Path:
    """Return the folder of a run of one epoch."""
    return trained(of_epochs(1), tmp_path_factory.mktemp("short"))


def test_more_epochs_continue_a_finished_run_and_end_with_the_same_bytes(short, tmp_path):
    shorter = shutil.copytree(short, tmp_path / "mine" / short.parent.name / "seed0")
    longer, whole = (trained(of_epochs(3), tmp_path / study) for study in ("mine", "whole"))
    assert (start_of(longer)["epoch"], start_of(longer)["begun_with"]) == (1, str(shorter))
    assert_same(longer, whole, "layers.csv", "samples.png", "predictions.npy")


OTHERS = {"code": "x", "precision": "other", "machine": {}, "versions": {}, "data": "x"}


@pytest.mark.parametrize("change", [{}, *({key: value} for key, value in OTHERS.items())], ids=["none", *OTHERS])
def test_only_epochs_that_were_computed_in_the_same_way_are_reused(short, tmp_path, change):
    """Two processes trained the shorter run; a difference in the first one alone also counts."""
    run = shutil.copytree(short, tmp_path / short.parent.name / "seed0")
    lines = (start_of(run) | change, start_of(run) | {"epoch": 1})
    (run / "starts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert start_of(trained(of_epochs(2), tmp_path))["epoch"] == (0 if change else 1)


@pytest.mark.parametrize(
    "theirs, taken",
    [
        ({}, True),
        ({"seed": 5}, False),
        ({"probe_every": 7}, False),
        ({"epochs": {"count": None, "steps": 7}}, False),  # ends within an epoch, which the longer training completes
    ],
)
def test_a_shorter_run_differs_only_in_its_number_of_whole_epochs(short, tmp_path, theirs, taken):
    path = shutil.copytree(short, tmp_path / short.parent.name / "seed0") / "config.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | theirs))
    config = of_epochs(2)
    assert bool(list(but_for_epochs(folder_of(config, tmp_path), config))) is taken


DAMAGE = {"config.yaml": ["identity: null", "[]", "", "identity: []\nseed: 0"], "result.json": ["[]", "{}"]}


@pytest.mark.parametrize("name, content", [(name, content) for name in DAMAGE for content in DAMAGE[name]])
def test_a_damaged_run_is_not_used_as_a_shorter_run(short, tmp_path, name, content):
    shutil.copytree(short, tmp_path / short.parent.name / "seed0")
    (tmp_path / short.parent.name / "seed0" / name).write_text(content)
    config = of_epochs(2)
    assert list(but_for_epochs(folder_of(config, tmp_path), config)) == []


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: os.truncate(path, 1000)], ids=["deleted", "cut"])
def test_without_a_whole_checkpoint_of_the_shorter_run_a_longer_one_starts_from_the_beginning(short, tmp_path, damage):
    damage(shutil.copytree(short, tmp_path / short.parent.name / "seed0") / "checkpoint.pt")
    assert start_of(trained(of_epochs(2), tmp_path))["epoch"] == 0


@pytest.mark.parametrize(
    "one, other, steps, agree",
    [
        ({"name": "constant", "total_steps": 10}, {"name": "constant", "total_steps": 99}, 10, True),
        ({"name": "cosine", "total_steps": 10}, {"name": "cosine", "total_steps": 99}, 10, False),
        ({"name": "cosine", "total_steps": 10}, {"name": "cosine", "total_steps": 10}, 10, True),
        ({"name": "constant", "total_steps": 10, "warmup": 0.5}, {"name": "constant", "total_steps": 20}, 10, False),
        (
            {"name": "constant", "total_steps": 10},
            {"name": "multistep", "total_steps": 20, "milestones": [0.5]},
            10,
            True,
        ),
        (
            {"name": "multistep", "total_steps": 10, "milestones": [0.5]},
            {"name": "multistep", "total_steps": 20, "milestones": [0.25]},
            10,
            True,
        ),
    ],
)
def test_schedules_agree_if_every_step_taken_had_the_same_rate(one, other, steps, agree):
    assert rates_agree({"lr": 0.1} | one, {"lr": 0.1} | other, steps) is agree


def test_a_plan_knows_which_epochs_a_longer_run_reuses(short, tmp_path):
    checkpoint = shutil.copytree(short, tmp_path / short.parent.name / "seed0") / "checkpoint.pt"

    def left(config: Config) -> float:
        return share_left(Job([], folder_of(config, tmp_path), False, None, None, "", config))

    assert left(of_epochs(4)) == 0.75
    moved = checkpoint.rename(tmp_path / checkpoint.name)  # as someone short of space does
    assert left(of_epochs(4)) == 1
    moved.rename(checkpoint)
    assert left(of_epochs(4, "cosine")) == left(replace(of_epochs(4), seed=1)) == 1
