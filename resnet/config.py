"""The schema of a run: every key, its type, its range, and whether it is part of what the run *is*.

conf/ composes values; this file says which values make sense. A field carries its own rule, so that both the message
about a wrong value and the fingerprint that names the run's folder are read off the schema.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from typing import Any

from resnet.errors import ConfigError


def one_of(*choices: str, identity: bool = True) -> Any:
    """Declare a field that takes one of `choices`, the first of which is its default."""
    return field(default=choices[0], metadata={"choices": choices, "identity": identity})


def between(default: Any, low: float, high: float, identity: bool = True) -> Any:
    """Declare a number (or each number of a list) from `low` to `high`, both included."""
    metadata = {"range": (low, high), "identity": identity}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def not_identity(default: Any) -> Any:
    """Declare a field that changes at most the rounding of a result, and so is left out of the fingerprint."""
    return field(default=default, metadata={"identity": False})


@dataclass
class Data:
    """Which images: training.data.load."""

    name: str = one_of("cifar10", "cifar100", "digits", "svhn", "fashion_mnist", "folder")
    root: str = not_identity("data")
    val_fraction: float = between(0.1, 0.0, 0.9)
    limit: int | None = between(None, 1, 10**9)
    size: int = between(32, 4, 1024)
    grey: bool = False
    pictures: str = ""  # a digest of a folder's files: different pictures make a different run


@dataclass
class Model:
    """Which network: training.model.Network, which takes every key but the name."""

    name: str = not_identity("blocks4")  # computed from the stages, see conf/model/
    stages: list[int] = between([2, 2], 1, 1000)
    width: int = between(32, 1, 4096)
    shortcut: str = one_of("projection", "pad", "none")
    block: str = one_of("basic")
    norm: str = one_of("batch", "none")
    zero_init: bool = False


@dataclass
class Optimizer:
    """How a step is taken: training.optim.make_optimizer."""

    name: str = one_of("adam", "adamw", "sgd")
    lr: float = between(0.001, 1e-10, 100.0)
    weight_decay: float = between(0.0, 0.0, 10.0)
    momentum: float = between(0.0, 0.0, 0.9999)
    nesterov: bool = False


@dataclass
class Schedule:
    """The learning rate over time: training.optim.make_schedule.

    Milestones and warm-up are fractions of the training.
    """

    name: str = one_of("constant", "multistep", "cosine", "onecycle")
    milestones: list[float] = between([], 0.0, 1.0)
    gamma: float = between(0.1, 0.0, 1.0)
    warmup: float = between(0.0, 0.0, 1.0)
    warmup_factor: float = between(0.1, 0.0, 1.0)


@dataclass
class Epochs:
    """How long: `count` epochs or, if that is null, `steps` optimizer steps."""

    count: int | None = between(20, 1, 10**6)
    steps: int | None = between(None, 1, 10**9)


@dataclass
class Augmentation:
    """What happens to a training image: training.augment.Augmenter."""

    flip: bool = False
    crop_padding: int = between(0, 0, 64)
    cutout: int = between(0, 0, 512)
    trivial: bool = False


@dataclass
class Logger:
    """A tracker in addition to the run folder: record.trackers.Tracker."""

    name: str = one_of("none", "tensorboard", "wandb", identity=False)


@dataclass
class Config:
    """The whole configuration of one run: first the groups, as in conf/, then the single keys."""

    data: Data = field(default_factory=Data)
    model: Model = field(default_factory=Model)
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    epochs: Epochs = field(default_factory=Epochs)
    augmentation: Augmentation = field(default_factory=Augmentation)
    logger: Logger = field(default_factory=Logger)

    task: str = one_of("train", "inspect")  # inspect: measure the untrained network, see resnet/inspect.py
    seed: int = between(0, 0, 2**32 - 1, identity=False)
    study: str = not_identity("default")
    runs_dir: str = not_identity("runs")
    batch_size: int = between(64, 1, 10**6)
    device: str = one_of("auto", "cpu", "cuda", "mps", identity=False)
    precision: str = one_of("auto", "fp32", "bf16")
    compile: bool | None = not_identity(None)  # like the device, it affects only rounding
    probe_every: int = between(1, 0, 10**6, identity=False)
    progress: str = one_of("auto", "bar", "lines", identity=False)
    resume: str = one_of("auto", "never", identity=False)
    fail_fast: bool = not_identity(False)
    plan: bool = not_identity(False)


GROUPS: dict[str, Any] = {f.name: f.type for f in fields(Config) if is_dataclass(f.type)}


def check(config: Config) -> None:
    """Check every value of a configuration against the schema's rules.

    Raises ConfigError with one line that names the key, the value and what would be right. Types are not checked here:
    OmegaConf does that when it composes.
    """
    for key, f, value in flat_fields(config):
        if "choices" in f.metadata and value not in f.metadata["choices"]:
            raise ConfigError(f"{key}={value}: must be one of {', '.join(f.metadata['choices'])}")
        if "range" in f.metadata and value is not None:
            low, high = f.metadata["range"]
            numbers = value if isinstance(value, list) else [value]
            if not all(low <= number <= high for number in numbers):  # NaN is outside every range
                raise ConfigError(f"{key}={value}: must lie between {low} and {high}")
    _check_names(config)
    _check_data(config.data)
    _check_model(config.model)
    _check_optimizer(config.optimizer)
    _check_schedule(config.schedule)
    if config.epochs.count is None and config.epochs.steps is None:
        raise ConfigError("epochs.count=null: give a number of epochs, or epochs.steps")
    if config.task == "inspect" and config.precision == "bf16":
        raise ConfigError("precision=bf16: an inspection measures in fp32; give precision=auto")


def flat_fields(config: Any, prefix: str = "") -> Iterator[tuple[str, Field, Any]]:
    """Yield dotted key, field and value of everything in a configuration that is not a group."""
    for f in fields(config):
        value = getattr(config, f.name)
        if is_dataclass(value):
            yield from flat_fields(value, f"{prefix}{f.name}.")
        else:
            yield prefix + f.name, f, value


def _check_names(config: Config) -> None:
    """Check that names are valid as folder names."""
    for key, name in (("study", config.study), ("model.name", config.model.name)):
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
            rule = "1 to 64 letters, digits, '.', '_' or '-', a letter or digit first"
            raise ConfigError(f"{key}={name}: must be {rule}")
    if not config.runs_dir:
        raise ConfigError("runs_dir=: must be a folder")


def _check_data(data: Data) -> None:
    """Refuse `size`, `grey` and `pictures` for any data set but a folder, and a folder without `pictures`."""
    if data.name != "folder" and (data.size, data.grey) != (Data.size, False):
        key, value = ("data.grey", "true") if data.grey else ("data.size", data.size)
        raise ConfigError(f"{key}={value}: belongs to data=folder; the images of {data.name} are not converted")
    if data.name == "folder" and not data.pictures:
        raise ConfigError("data.name=folder: choose data=folder, which takes its pictures into account")
    if data.name != "folder" and data.pictures:
        raise ConfigError(f"data.pictures={data.pictures}: belongs to data=folder, where it is computed")


def _check_model(model: Model) -> None:
    stages = model.stages
    if not 1 <= len(stages) <= 8:
        raise ConfigError(f"model.stages={stages}: must list 1 to 8 stages, e.g. [3,3,3]")
    weights = sum(18 * blocks * (model.width * 2**stage) ** 2 for stage, blocks in enumerate(stages))  # two 3x3 a block
    if weights > 10**9:
        raise ConfigError(
            f"model.width={model.width}: with stages {stages} that is {weights:.1e} weights, must be at most 1e9"
        )
    if model.zero_init and model.norm == "none":
        raise ConfigError("model.zero_init=true: starts a norm's scale at 0, so it needs model.norm=batch")
    if model.zero_init and model.shortcut == "none":
        raise ConfigError("model.zero_init=true: without shortcuts no signal would pass; give model.shortcut")


def _check_optimizer(optimizer: Optimizer) -> None:
    if optimizer.name != "sgd" and (optimizer.momentum or optimizer.nesterov):
        raise ConfigError(f"optimizer.name={optimizer.name}: momentum and nesterov belong to optimizer=sgd")
    if optimizer.nesterov and not optimizer.momentum:
        raise ConfigError("optimizer.nesterov=true: needs optimizer.momentum above 0")


def _check_schedule(schedule: Schedule) -> None:
    """Refuse keys that a schedule does not use, and milestones that could never change the rate."""
    marks = schedule.milestones
    if schedule.gamma != Schedule.gamma and schedule.name != "multistep":
        raise ConfigError(f"schedule.gamma={schedule.gamma}: belongs to schedule=multistep, not {schedule.name}")
    if schedule.warmup_factor != Schedule.warmup_factor and not schedule.warmup:
        raise ConfigError(f"schedule.warmup_factor={schedule.warmup_factor}: needs schedule.warmup above 0")
    if marks and schedule.name != "multistep":
        raise ConfigError(f"schedule.milestones={marks}: belongs to schedule=multistep, not {schedule.name}")
    if schedule.name == "multistep" and not marks:
        raise ConfigError("schedule=multistep: give schedule.milestones, fractions of the training, e.g. [0.5,0.75]")
    if any(not 0 < mark < 1 for mark in marks):
        raise ConfigError(f"schedule.milestones={marks}: fractions of the training, must lie between 0 and 1")
    if any(later <= earlier for earlier, later in zip(marks, marks[1:])):
        raise ConfigError(f"schedule.milestones={marks}: must increase, e.g. {sorted(set(marks))}")
    if schedule.warmup == 1:
        raise ConfigError("schedule.warmup=1.0: a fraction of the training, must be below 1")


def identity(config: Any) -> dict[str, Any]:
    """Return the identity keys of a configuration (or a group of one) that differ from the schema's defaults.

    Nested like the configuration. Two runs with the same identity differ at most in their seed and their rounding.
    """
    changed: dict[str, Any] = {}
    for f in fields(config):
        value = getattr(config, f.name)
        if is_dataclass(value):
            if inner := identity(value):
                changed[f.name] = inner
        elif f.metadata.get("identity", True) and value != default_of(f):
            changed[f.name] = value
    if isinstance(config, Epochs) and config.count is not None:
        changed.pop("steps", None)  # they have no effect
    return changed


def default_of(f: Field) -> Any:
    """Return the default value of a schema's field."""
    return f.default if f.default is not MISSING else f.default_factory()  # type: ignore[misc]


def from_plain(content: dict[str, Any]) -> Config:
    """Return the configuration that `dataclasses.asdict` turned into this dictionary."""
    return Config(**{key: GROUPS[key](**value) if key in GROUPS else value for key, value in content.items()})


def run_name(config: Config) -> str:
    """Return the name of a configuration's folder, `<model>-<shortcut>-<fingerprint>`.

    The fingerprint is eight hex digits over the identity alone: adding an option later leaves old names unchanged.
    """
    fingerprint = hashlib.sha256(json.dumps(identity(config), sort_keys=True).encode()).hexdigest()[:8]
    return f"{config.model.name}-{config.model.shortcut}-{fingerprint}"


def steps_in_epoch(images: int, batch_size: int) -> int:
    """Return the number of batches in a pass over the training images; the last may be smaller."""
    return math.ceil(images / batch_size)


def total_steps(epochs: Epochs, steps_per_epoch: int) -> int:
    """Return the number of optimizer steps of the whole training."""
    return epochs.count * steps_per_epoch if epochs.count is not None else epochs.steps or 0


def epochs_of(steps: int, steps_per_epoch: int) -> int:
    """Return how many epochs `steps` steps take; the last may be incomplete."""
    return math.ceil(steps / steps_per_epoch)
