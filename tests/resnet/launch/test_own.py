"""The user's own configuration files, added to the project's with --config-dir or hydra.searchpath."""

import os
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir

from resnet.launch.compose import CONF, VERSION_BASE


@pytest.fixture
def own(tmp_path) -> Path:
    """Return a folder with the user's own network and experiment."""
    folder = tmp_path / "mine"
    (folder / "model").mkdir(parents=True)
    (folder / "experiment").mkdir()
    (folder / "model" / "tiny.yaml").write_text("# Mine.\ndefaults: [blocks, _self_]\nstages: [1, 1]\nwidth: 8\n")
    (folder / "experiment" / "try.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /model: tiny\n  - override /data: digits\nstudy: try\n"
        "epochs: {count: 1}\ndata: {limit: 20}\n"
    )
    return folder


@pytest.mark.slow
def test_the_users_own_choice_is_recorded_under_its_name(command, own, tmp_path):
    for given in (["--config-dir", str(own)], ["hydra.searchpath=[file://mine]", "seed=1"]):
        command("resnet.run", *given, "model=tiny", "data=digits", "epochs.count=1", "data.limit=20", "device=cpu")
    runs = sorted(tmp_path.glob("runs/default/blocks2-projection-*/seed*"))
    assert [run.name for run in runs] == ["seed0", "seed1"] and runs[0].parent == runs[1].parent
    assert [yaml.safe_load((run / "config.yaml").read_text())["choices"]["model"] for run in runs] == ["tiny"] * 2


def test_the_users_own_experiment_is_found_but_the_projects_choice_wins_over_one_of_the_same_name(command, own):
    (own / "optimizer").mkdir()
    (own / "optimizer" / "adam.yaml").write_text("defaults: [sgd]\nlr: 7\n")
    shown = yaml.safe_load(command("resnet.run", "--config-dir", str(own), "experiment=try", "--cfg", "job").stdout)
    assert (shown["study"], shown["model"]["stages"], shown["data"]["limit"]) == ("try", [1, 1], 20)
    assert (shown["optimizer"]["name"], shown["optimizer"]["lr"]) == ("adam", 0.001), "the project's adam is used"


def test_runs_go_where_runs_dir_or_resnet_runs_says(monkeypatch):
    def folder(*overrides: str) -> str:
        with initialize_config_dir(str(CONF), **VERSION_BASE):
            hydra = compose("config", list(overrides), return_hydra_config=True).hydra
        assert hydra.run.dir == f"{hydra.sweep.dir}/{hydra.sweep.subdir}", "a sweep finds single runs"
        return hydra.run.dir

    assert folder().startswith("runs/default/blocks4-")
    assert folder("runs_dir=elsewhere").startswith("elsewhere/default/blocks4-")
    monkeypatch.setenv("RESNET_RUNS", "~/there")
    assert folder().startswith(os.path.expanduser("~/there/default/blocks4-"))
