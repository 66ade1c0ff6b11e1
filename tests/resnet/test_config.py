import re
from dataclasses import dataclass, field, make_dataclass

import pytest
import yaml
from hydra import compose, initialize_config_dir
from torch.nn import Linear

from resnet.config import Augmentation, Config, Epochs, check, from_plain, identity, not_identity, run_name, total_steps
from resnet.errors import ConfigError
from resnet.launch.compose import CONF, VERSION_BASE, to_config
from resnet.prepare import network_of


@pytest.fixture(scope="module")
def composed():
    """Return a function that composes a configuration as the command line does."""

    def run(*overrides: str):
        with initialize_config_dir(str(CONF), **VERSION_BASE):
            return to_config(compose("config", list(overrides)))

    return run


@pytest.fixture(scope="module")
def default(composed):
    """Return the configuration without any override."""
    return composed()


OPTIONS = sorted(
    f"{group.name}={option.stem}"
    for group in CONF.iterdir()
    if group.is_dir() and group.name not in ("hydra", "experiment")
    for option in group.glob("*.yaml")
    if option.stem != "folder"  # needs a folder: training/test_pictures.py
)


def test_defaults_are_the_originals_recipe(default):
    assert (default.data.name, default.model.name, default.optimizer.name) == ("cifar10", "blocks4", "adam")
    assert (default.optimizer.lr, default.batch_size, default.epochs.count) == (0.001, 64, 20)
    assert (default.augmentation.flip, default.augmentation.crop_padding) == (True, 4)


@pytest.mark.parametrize("option", OPTIONS)
def test_every_choice_composes_and_makes_sense(composed, option):
    assert run_name(composed(option))
    path = CONF / option.replace("=", "/")
    lines = path.with_suffix(".yaml").read_text().splitlines()
    assert next(line for line in lines if not line.startswith("# @package")).startswith("# "), "says what it is for"


@pytest.mark.parametrize(
    "override, name",
    [
        ("model=blocks15", "blocks15"),
        ("model=resnet110", "resnet110"),
        ("model.stages=[4,4,4]", "blocks12"),
        ("model=resnet56 model.stages=[2,2,2]", "resnet14"),
    ],
)
def test_model_names_match_the_stages(composed, override, name):
    assert composed(*override.split()).model.name == name


NETWORKS = sorted(path.stem for path in (CONF / "model").glob("*.yaml") if re.fullmatch(r"[a-z]+\d+", path.stem))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_has_the_name_of_its_file_and_the_layers_and_parameters_that_its_comment_says(composed, name):
    config = composed(f"model={name}")
    network = network_of(config, classes=10, channels=3).build()
    layers = [isinstance(part, Linear) or getattr(part, "kernel_size", 0) == (3, 3) for part in network.modules()]
    comment = (CONF / "model" / f"{name}.yaml").read_text().splitlines()[0]
    said = {what: int(count.replace(",", "")) for count, what in re.findall(r"([\d,]+) (layers|parameters)", comment)}
    counted = {"layers": sum(layers), "parameters": sum(weights.numel() for weights in network.parameters())}
    assert config.model.name == name and "layers" in said and said.items() <= counted.items()


@pytest.mark.parametrize(
    "override",
    ["seed=7", "study=other", "device=cpu", "progress=lines", "data.root=/elsewhere", "resume=never", "fail_fast=true"]
    + ["logger=tensorboard", "logger=wandb", "probe_every=5", "compile=true", "runs_dir=/elsewhere", "plan=true"],
)
def test_what_cannot_change_the_result_does_not_change_the_name(composed, default, override):
    changed = composed(override)
    assert changed != default and run_name(changed) == run_name(default)


@pytest.mark.parametrize(
    "override",
    [
        "model.width=16",
        "model.shortcut=pad",
        "optimizer=adamw",
        "optimizer.lr=0.01",
        "schedule=cosine",
        "epochs.count=7",
    ]
    + [
        "augmentation=cutout",
        "batch_size=128",
        "precision=fp32",
        "data.val_fraction=0",
        "data.limit=9",
        "data=cifar100",
        "task=inspect",
    ],
)
def test_what_can_change_the_result_changes_the_name(composed, default, override):
    assert run_name(composed(override)) != run_name(default)


def test_one_value_spelt_two_ways_is_one_run(composed, default):
    assert run_name(composed("optimizer.lr=1e-3", "epochs=short")) == run_name(default)


@pytest.mark.parametrize(
    "overrides, augmentation",
    [
        ("data=digits", Augmentation()),
        ("data=digits augmentation=flip_crop", Augmentation(flip=True, crop_padding=4)),
        ("data=svhn augmentation=cutout", Augmentation(crop_padding=4, cutout=16)),
        ("data=svhn augmentation.flip=true", Augmentation(flip=True, crop_padding=4)),
    ],
)
def test_digits_are_mirrored_only_if_asked_for(composed, overrides, augmentation):
    assert composed(*overrides.split()).augmentation == augmentation


def test_a_new_option_with_a_default_keeps_the_old_names():
    @dataclass
    class Group:
        depth: int = 1
        new: bool = False

    schema = make_dataclass(
        "Schema", [("width", int, 32), ("groups", Group, field(default_factory=Group)), ("note", str, not_identity(""))]
    )
    assert identity(schema(16, Group(3), "hello")) == {"width": 16, "groups": {"depth": 3}}


def test_the_reference_runs_keep_their_names():
    """Under other names they would be trained again."""
    files = list((CONF.parent / "runs" / "reference").glob("*/*/*/config.yaml"))
    assert len(files) > 100
    for file in files:
        written = yaml.safe_load(file.read_text())
        config = from_plain({key: value for key, value in written.items() if key not in ("identity", "choices")})
        assert run_name(config) == file.parents[1].name


@pytest.mark.parametrize(
    "override, answer",
    [
        ("batch_size=0", "batch_size=0: must lie between 1 and 1000000"),
        ("batch_size=-3", "batch_size=-3: must lie between 1 and 1000000"),
        ("batch_size=99999999", "batch_size=99999999: must lie between 1 and 1000000"),
        ("model.width=0", "model.width=0: must lie between 1 and 4096"),
        ("model.width=100000", "model.width=100000: must lie between 1 and 4096"),
        (
            "model.width=4096 model.stages=[1,1]",
            "model.width=4096: with stages .* 1.5e.09 weights, must be at most 1e9",
        ),
        ("model.stages=[1000,1000,1000,1000]", "model.width=32: with stages .* weights, must be at most 1e9"),
        ("model.stages=[]", r"model.stages=\[\]: must list 1 to 8 stages"),
        ("model.stages=[3,0]", r"model.stages=\[3, 0\]: must lie between 1 and 1000"),
        ("model.stages=[1,1,1,1,1,1,1,1,1]", "must list 1 to 8 stages"),
        ("model.shortcut=magic", "model.shortcut=magic: must be one of projection, pad, none"),
        ("optimizer.lr=0", "optimizer.lr=0.0: must lie between 1e-10 and 100.0"),
        ("optimizer.lr=-1", "optimizer.lr=-1.0: must lie between"),
        ("optimizer.lr=inf", "optimizer.lr=inf: must lie between"),
        ("optimizer.lr=nan", "optimizer.lr=nan: must lie between"),
        ("optimizer.momentum=0.9", "optimizer.name=adam: momentum and nesterov belong to optimizer=sgd"),
        ("optimizer=sgd optimizer.momentum=0 optimizer.nesterov=true", "nesterov=true: needs optimizer.momentum"),
        ("epochs.count=0", "epochs.count=0: must lie between 1 and"),
        ("epochs.count=null", "epochs.count=null: give a number of epochs, or epochs.steps"),
        ("data.val_fraction=1", "data.val_fraction=1.0: must lie between 0.0 and 0.9"),
        ("data.limit=0", "data.limit=0: must lie between 1 and"),
        ("seed=-1", "seed=-1: must lie between 0 and"),
        ("schedule=multistep schedule.milestones=[]", "schedule=multistep: give schedule.milestones, fractions"),
        ("schedule=multistep schedule.milestones=[32000]", r"milestones=\[32000.0\]: must lie between 0.0 and 1.0"),
        ("schedule=multistep schedule.milestones=[0.5,1]", r"milestones=\[0.5, 1.0\]: fractions of the training, must"),
        ("schedule=multistep schedule.milestones=[0,0.5]", r"milestones=\[0.0, 0.5\]: fractions of the training, must"),
        ("schedule=multistep schedule.milestones=[0.5,0.5]", r"must increase, e.g. \[0.5\]"),
        ("schedule=multistep schedule.milestones=[0.7,0.5]", r"must increase, e.g. \[0.5, 0.7\]"),
        ("schedule.milestones=[0.5]", r"milestones=\[0.5\]: belongs to schedule=multistep, not constant"),
        ("schedule.gamma=0.5", "schedule.gamma=0.5: belongs to schedule=multistep, not constant"),
        ("schedule.warmup_factor=0.5", "schedule.warmup_factor=0.5: needs schedule.warmup above 0"),
        ("data=digits data.pictures=x", "data.pictures=x: belongs to data=folder"),
        ("schedule.warmup=1", "schedule.warmup=1.0: a fraction of the training, must be below 1"),
        ("schedule.warmup=400", "schedule.warmup=400.0: must lie between 0.0 and 1.0"),
        ("model.zero_init=true model.norm=none", "zero_init=true: .* needs model.norm=batch"),
        ("model.zero_init=true model.shortcut=none", "zero_init=true: without shortcuts"),
        ("model.block=nonsense", "model.block=nonsense: must be one of basic"),
        ("study=a/b", "study=a/b: must be 1 to 64 letters"),
        ("study=.hidden", "study=.hidden: must be 1 to 64 letters"),
        ("study=..", "study=..: must be 1 to 64 letters"),
        ("study='a b'", "study=a b: must be 1 to 64 letters"),
        ("study='Tiefe-é'", "study=Tiefe-é: must be 1 to 64 letters"),
        ("study=''", "study=: must be 1 to 64 letters"),
        ("model.name=../../up", "model.name=../../up: must be 1 to 64 letters"),
        ("model.name=a/b", "model.name=a/b: must be 1 to 64 letters"),
    ],
)
def test_wrong_values_are_answered_with_key_value_and_what_is_right(composed, override, answer):
    overrides = override.split(" ") if "'" not in override else [override]
    with pytest.raises(ConfigError, match=answer) as error:
        run_name(composed(*overrides))
    assert len(str(error.value).splitlines()) == 1


def test_an_unknown_key_that_is_added_is_refused(composed):
    with pytest.raises(ConfigError, match="model.extra: no such key"):
        run_name(composed("+model.extra=1"))


def test_a_configuration_made_in_python_is_held_to_the_same_rules():
    check(Config())
    with pytest.raises(ConfigError, match="batch_size=0: must lie between"):
        check(Config(batch_size=0))
    assert run_name(Config(seed=5)) == run_name(Config())


@pytest.mark.parametrize("data", ["cifar10", "cifar100", "svhn", "fashion_mnist"])
def test_the_environment_says_where_the_data_are_without_changing_the_name(composed, monkeypatch, data):
    monkeypatch.delenv("RESNET_DATA", raising=False)
    default = composed(f"data={data}")
    monkeypatch.setenv("RESNET_DATA", "/elsewhere")
    config = composed(f"data={data}")
    assert (default.data.root, config.data.root) == ("data", "/elsewhere")
    assert run_name(config) == run_name(default)


def test_steps_that_have_no_effect_do_not_change_the_name(composed):
    assert run_name(composed("epochs=he2015", "epochs.count=20")) == run_name(composed("epochs.count=20"))


@pytest.mark.parametrize("experiment", sorted(path.stem for path in (CONF / "experiment").glob("*.yaml")))
def test_every_experiment_says_what_it_asks_varies_holds_fixed_and_costs(composed, experiment):
    text = (CONF / "experiment" / f"{experiment}.yaml").read_text()
    for part in ("# Question ", "# Varies ", "# Held fixed ", "# Cost "):
        assert part in text
    config = composed(f"experiment={experiment}", "optimizer.lr=0.1")
    assert config.study == experiment and run_name(config)
    if "# Tuned " in text:
        with pytest.raises(ConfigError, match="optimizer.lr: must be given, as found by experiment=depth_rate"):
            composed(f"experiment={experiment}")


@pytest.mark.parametrize("count, steps, total", [(7, 64000, 70), (7, None, 70), (None, 64000, 64000)])
def test_a_number_of_epochs_overrides_a_number_of_steps(count, steps, total):
    assert total_steps(Epochs(count, steps), steps_per_epoch=10) == total
