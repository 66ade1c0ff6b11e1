"""Explicit run folders, other runs' configurations, a changed working directory: the same checks apply to all."""

import json
from pathlib import Path

import pytest

from tests.resnet.runs import read, summary

ONE = ("model.stages=[1]", "epochs.count=1", "data.limit=30")


@pytest.fixture
def run(train):
    """Return a function that trains a network of one block on a few images: run("seed=1")."""
    return lambda *overrides, **options: train(*ONE, *overrides, **options)


@pytest.fixture
def kept(run, tmp_path) -> Path:
    """Return the .hydra folder of a run without shortcuts."""
    run("model.shortcut=none", "study=kept")
    (folder,) = tmp_path.glob("runs/kept/*/seed0/.hydra")
    return folder


def results(folder: Path) -> dict[str, dict]:
    """Return the result.json of each run below a folder, by the run's path."""
    return {str(path.parent.relative_to(folder)): json.loads(path.read_text()) for path in folder.rglob("result.json")}


WRONG = "error: epochs.steps=9: epochs.count=1 wins; add epochs.count=null\n"


def test_the_checks_also_apply_to_an_explicit_folder(run, tmp_path):
    assert run("epochs.steps=9", "hydra.run.dir=runs/s/plain/seed0", code=2).stderr == WRONG
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {"runs/s/plain/seed0/run.log"}, "Hydra's log: it makes the folder before anything is checked"


def test_a_sweep_into_explicit_folders_is_checked_before_its_first_run(run, tmp_path):
    assert run("-m", "seed=0,1", "epochs.steps=9", "hydra.sweep.subdir=${seed}", code=2).stderr == WRONG
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_run_is_in_the_explicit_folder(run, tmp_path):
    folder = "1.10/a (b)"
    run(f"hydra.run.dir={folder}")
    assert [*results(tmp_path)] == [folder]
    assert f"{folder}: already there" in run(f"hydra.run.dir={folder}").stdout


@pytest.mark.slow
def test_two_runs_cannot_share_an_explicit_folder(run, tmp_path):
    done = run("-m", "seed=0,1", "hydra.sweep.subdir=same", code=2)
    assert done.stderr.startswith("error: hydra.sweep.subdir: puts different runs into one folder, runs/same")
    run("-m", "seed=0,1", "hydra.sweep.dir=mine", "hydra.sweep.subdir=${seed}")
    assert sorted(results(tmp_path)) == ["mine/0", "mine/1"]
    assert "1 run: 1 already there" in run("-m", "seed=0", "hydra.sweep.dir=mine", "hydra.sweep.subdir=0").stdout


@pytest.mark.slow
def test_the_configuration_of_a_run_can_be_run_again(command, kept, tmp_path):
    command("resnet.run", "--config-path", str(kept), "hydra.run.dir=again")
    found = results(tmp_path)
    again, first = found.pop("again"), found.popitem()[1]
    assert (again["network"], again["test"]) == (first["network"], first["test"])
    command(
        "resnet.run", "--config-path", str(kept), "-m", "seed=0,1", "hydra.sweep.dir=grid", "hydra.sweep.subdir=${seed}"
    )
    assert results(tmp_path)["grid/0"]["test"] == first["test"] and "grid/1" in results(tmp_path)


def test_the_configuration_of_a_run_is_checked_again(command, digits_run, tmp_path):
    done = command("resnet.run", "--config-path", str(digits_run / ".hydra"), "study=../up", code=2)
    assert done.stderr.startswith("error: study=../up: must be 1 to 64 letters") and done.stderr.count("\n") == 1
    assert not results(tmp_path)


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a run, including Hydra's and the log but not the lock."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize(
    "arguments",
    [
        ("hydra.run.dir={run}",),
        ("--config-path", "{run}/.hydra", "hydra.run.dir={run}"),
        ("hydra.run.dir={run}", "hydra.job.chdir=true"),
        ("-m", "hydra.sweep.dir={run.parent}", "hydra.sweep.subdir=seed0"),
    ],
    ids=["folder", "configuration", "changed directory", "sweep"],
)
def test_a_refused_run_leaves_the_other_runs_files_unchanged(command, copied_run, arguments):
    before = contents(copied_run)
    words = [word.format(run=copied_run) for word in arguments]
    data = [] if "--config-path" in words else ["data=digits"]
    done = command("resnet.run", *words, *data, "model.shortcut=pad", "seed=0", code=1)
    assert "config.yaml is not this run's configuration" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert contents(copied_run) == before and ".hydra/config.yaml" in before and "run.log" in before
    if "-m" in arguments:
        ((outcome, _, reason),) = (row.values() for row in read(copied_run.parent / "sweep.csv"))
        assert outcome == "failed" and "config.yaml is not this run's configuration" in reason


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [pytest.param((), id="single"), pytest.param(("-m", "seed=0,1"), id="sweep")])
def test_paths_mean_the_same_if_a_run_changes_the_directory(train, tmp_path, arguments):
    """So does data.root, here a folder of pictures: it is relative to where the command was typed."""
    import numpy as np
    from PIL import Image

    for number in range(40):
        path = tmp_path / "own" / ("test" if number < 8 else "train") / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), number * 5, np.uint8)).save(path)
    own = (*ONE, "data=folder", "data.root=own", "data.size=8", "batch_size=8", "hydra.job.chdir=true", *arguments)
    done = train(*own)
    name = next((tmp_path / "runs" / "default").glob("blocks1-*")).name
    seeds = (0, 1) if arguments else (0,)
    assert sorted(results(tmp_path)) == [f"runs/default/{name}/seed{seed}" for seed in seeds]
    assert all(f"runs/default/{name}/seed{seed}: complete" in done.stdout for seed in seeds)
    assert {path.name for path in tmp_path.iterdir()} == {"own", "runs"}
    if arguments:
        assert [outcome for _, outcome in summary(tmp_path)] == ["complete"] * 2
    again = train(*own).stdout
    assert "2 already there" in again if arguments else "already there" in again
