"""What people type, and how it is read before Hydra composes anything."""

import os
from pathlib import Path

import pytest
import yaml

from resnet.errors import ConfigError
from resnet.launch.command_line import arrange
from resnet.launch.compose import CONF, as_typed, compose_config


@pytest.mark.parametrize("name", ["1.10", "2026_11_28", "1e3", "007", "true", "1_000.50"])
def test_a_name_stays_as_typed(name):
    config = compose_config([f"study={name}", f"model.name={name}"])
    assert (config.study, config.model.name) == (name, name)


@pytest.mark.parametrize(
    "folder",
    ["~/cifar", "/tmp/a (b)", "/data/my files", "/tmp/données", "1.10", "/tmp/a;b#c", "${oc.env:HOME}/x", "'a b'"],
)
def test_a_folder_stays_as_typed(folder):
    resolved = compose_config([f"data.root={folder}"]).data.root
    assert resolved == folder.strip("'").replace("${oc.env:HOME}", os.environ["HOME"])


@pytest.mark.parametrize(
    "overrides, answer",
    [
        (["epochs.steps=100"], "epochs.steps=100: epochs.count=20 wins"),
        (["data.name=folder"], "data.name=folder: choose data=folder"),
        (["model=[blocks4,blocks15]"], "model: must be one choice"),
    ],
)
def test_a_configuration_is_refused_in_python_as_on_the_command_line(overrides, answer):
    with pytest.raises(ConfigError, match=answer):
        compose_config(overrides)


@pytest.mark.parametrize(
    "typed, kept",
    [
        ("study=1.10,1.1,b", "study='1.10','1.1',b"),
        ("study=range(3)", "study=range(3)"),
        ("study=choice(a,b)", "study=choice(a,b)"),
        ("study='1.10'", "study='1.10'"),
        ("study=+1", "study='+1'"),
        ("study=null", "study=null"),
        ("seed=1,2", "seed=1,2"),
        ("optimizer.lr=1e-3", "optimizer.lr=1e-3"),
        ("hydra.run.dir=2026_11_28", "hydra.run.dir='2026_11_28'"),
    ],
)
def test_what_is_quoted_for_hydra(typed, kept):
    assert as_typed(typed) == kept


@pytest.mark.parametrize(
    "typed, arranged",
    [
        ("model=blocks15 --cfg job seed=1", "--cfg job model=blocks15 seed=1"),
        ("seed=0,1 -m model=blocks4", "-m seed=0,1 model=blocks4"),
        ("seed=1 -c job -p model", "-c job -p model seed=1"),
        ("model=mine --config-dir=there", "--config-dir=there model=mine"),
        ("seed=1 --info seed=2", "--info seed=1 seed=2"),
        ("experiment=depth seed=1", "--multirun experiment=depth seed=1"),
        ("experiment=depth -m", "-m experiment=depth"),
        ("experiment=depth --cfg job", "--cfg job experiment=depth"),
        ("experiment=mine --config-dir there", "--multirun --config-dir there experiment=mine"),
        ("experiment=null", "experiment=null"),
        ("plan=true hydra.run.dir=x", "--multirun plan=true hydra.run.dir=x hydra.sweep.dir=x hydra.sweep.subdir=."),
        ("experiment=depth hydra.mode=RUN", "experiment=depth hydra.mode=RUN"),
    ],
)
def test_words_are_put_in_hydras_order_and_experiments_and_plans_become_sweeps(typed, arranged):
    assert arrange(typed.split()) == arranged.split()


@pytest.mark.parametrize(
    "typed, answer",
    [
        ("--lr 0.01", "--lr: no such option; values are given as key=value: optimizer.lr=0.01"),
        ("--batch-size=64", "--batch-size=64: no such option; values are given as key=value: batch_size=64"),
        ("--epochs 20", "--epochs: no such option; values are given as key=value: epochs.count=20"),
        ("seed=1 hydra.launcher=3", "hydra.launcher=3: does not choose a launcher; give hydra/launcher=NAME"),
        (
            "--config-path run/.hydra plan=true",
            "plan=true: not together with --config-path; give the run's overrides instead",
        ),
        ("--nonsense", "--nonsense: no such option; values are given as key=value, see --help"),
    ],
)
def test_a_meaningless_word_is_answered_with_what_to_type(typed, answer):
    with pytest.raises(ConfigError) as raised:
        arrange(typed.split())
    assert str(raised.value) == answer


def test_no_experiment_sets_hydras_mode():
    """Hydra 1.4 refuses one that does."""
    experiments = list((CONF / "experiment").glob("*.yaml"))
    assert experiments and not any("mode" in yaml.safe_load(path.read_text())["hydra"] for path in experiments)


@pytest.fixture
def own(tmp_path):
    """Return a function that writes a file to the user's own configuration folder: own("model/mine", "stages: [1]")."""

    def put(name: str, text: str) -> Path:
        path = tmp_path / "mine" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="latin-1")
        return path

    return put


@pytest.mark.parametrize(
    "name, text, answer",
    [
        ("experiment/mine", "# @package _global_\nseed: [1\nstudy: a\n", "mine.yaml, line 3: not valid YAML: "),
        ("model/mine", "stages: [1\n\twidth: 8", "model/mine.yaml, line 2: not valid YAML: "),
        ("experiment/mine", "seed: 1\n", "experiment/mine.yaml: its first line must be '# @package _global_'"),
        ("model/mine", "stages: [1]\nshortcut: pad\n", "error: model.name: has no value; the file"),
        ("model/mine", "3", "model/mine.yaml: Invalid loaded object type: int"),
        ("model/mine", "# Größe\nwidth: 8\n", "model/mine.yaml: not UTF-8: "),
        (
            "experiment/mine",
            "# @package _global_\ndefaults: [model: blocks3]\n",
            "experiment/mine: to choose model=blocks3 in its defaults, write override /model: blocks3",
        ),
        (
            "experiment/mine",
            "# @package _global_\nhydra: {sweeper: {params: 'seed=0,1'}}\n",
            "hydra.sweeper.params=seed=0,1: must hold values by key",
        ),
    ],
)
def test_a_mistake_in_the_users_own_file_names_the_file(command, own, tmp_path, name, text, answer):
    own(name, text)
    done = command("resnet.run", f"{name.split('/')[0]}=mine", "--config-dir", "mine", code=2)
    assert answer in done.stderr and len(done.stderr.splitlines()) == 1 and not (tmp_path / "runs").exists()


@pytest.mark.parametrize("arguments", ["-m experiment=quickstart,depth", "experiment=[quickstart,depth]"])
def test_several_experiments_are_refused_in_one_line(command, tmp_path, arguments):
    done = command("resnet.run", *arguments.split(), code=2)
    assert done.stderr.startswith("error: experiment: ") and "one" in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "runs").exists()
