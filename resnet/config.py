"""The schema of a run: every key, its type, its range, and whether it is part of what the run *is*.

conf/ composes values; this file says which values make sense. A field carries its own rule, so that the
answer to a wrong value, and the fingerprint that names the run's folder, are both read off the schema.
"""

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from typing import Any

from omegaconf import OmegaConf


class UserError(Exception):
    """A situation that the user can mend: answered with its text, in one or two lines and without a traceback."""

    exit_code = 1  # a run that failed


class ConfigError(UserError):
    """A request that makes no sense as it stands."""

    exit_code = 2


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
    """Declare a field that changes nothing but rounding, if that, and so is left out of the fingerprint."""
    return field(default=default, metadata={"identity": False})


@dataclass
class Data:
    """Which images: data.load."""

    name: str = one_of("cifar10", "cifar100", "digits")
    root: str = not_identity("data")
    val_fraction: float = between(0.1, 0.0, 0.9)
    limit: int | None = between(None, 1, 10**9)


@dataclass
class Model:
    """Which network: model.ResNet."""

    name: str = not_identity("blocks4")  # derived from the stages, see conf/model/
    stages: list[int] = between([2, 2], 1, 1000)
    width: int = between(32, 1, 4096)
    shortcut: str = one_of("projection", "pad", "none")


@dataclass
class Optimizer:
    """Which way down: optim.make_optimizer."""

    name: str = one_of("adam", "adamw", "sgd")
    lr: float = between(0.001, 1e-10, 100.0)
    weight_decay: float = between(0.0, 0.0, 10.0)
    momentum: float = between(0.0, 0.0, 0.9999)
    nesterov: bool = False


@dataclass
class Schedule:
    """Which learning rate when: optim.make_schedule."""

    name: str = one_of("constant", "multistep", "cosine", "onecycle")
    milestone_epochs: list[int] = between([], 1, 10**9)
    milestone_steps: list[int] = between([], 1, 10**9)
    gamma: float = between(0.1, 0.0, 1.0)
    warmup_steps: int = between(0, 0, 10**9)
    warmup_factor: float = between(0.1, 0.0, 1.0)


@dataclass
class Epochs:
    """How long; a `count` takes precedence over `steps`."""

    count: int | None = between(20, 1, 10**6)
    steps: int | None = between(None, 1, 10**9)


@dataclass
class Augmentation:
    """What happens to a training image: augment.Augmenter."""

    flip: bool = False
    crop_padding: int = between(0, 0, 64)
    cutout: int = between(0, 0, 512)
    trivial: bool = False


@dataclass
class Logger:
    """Who is shown the figures beside the run folder: trackers.Tracker."""

    name: str = one_of("none", "tensorboard", "wandb", identity=False)


@dataclass
class Config:
    """One run, whole. Groups first, as in conf/; then the keys that stand alone."""

    data: Data = field(default_factory=Data)
    model: Model = field(default_factory=Model)
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    epochs: Epochs = field(default_factory=Epochs)
    augmentation: Augmentation = field(default_factory=Augmentation)
    logger: Logger = field(default_factory=Logger)

    seed: int = between(0, 0, 2**32 - 1, identity=False)
    study: str = not_identity("default")
    batch_size: int = between(64, 1, 10**6)
    device: str = one_of("auto", "cpu", "cuda", identity=False)
    precision: str = one_of("auto", "fp32", "bf16")
    compile: bool | None = not_identity(None)  # like a device, it rounds in its own way
    probe_every: int = between(1, 0, 10**6, identity=False)
    progress: str = one_of("auto", "bar", "lines", identity=False)
    resume: str = one_of("auto", "never", identity=False)
    fail_fast: bool = not_identity(False)


def check(config: Any, schema: type = Config, prefix: str = "") -> None:
    """Hold every value of `config` (a DictConfig or dictionary of it) to the schema's rules.

    Raises ConfigError with one line that names the key, the value and what would be right. Types are not looked
    at: OmegaConf has answered for those when the configuration was composed.
    """
    if unknown := [key for key in config if key not in {f.name for f in fields(schema)}]:
        raise ConfigError(f"{prefix}{unknown[0]}: no such key; python -m resnet.run --cfg job prints them all")
    for f in fields(schema):
        key, value = prefix + f.name, config[f.name]
        if is_dataclass(f.type):
            check(value, f.type, key + ".")
        elif "choices" in f.metadata and value not in f.metadata["choices"]:
            raise ConfigError(f"{key}={value}: must be one of {', '.join(f.metadata['choices'])}")
        elif "range" in f.metadata and value is not None:
            low, high = f.metadata["range"]
            numbers = [value] if isinstance(value, (int, float)) else list(value)
            if not all(low <= number <= high for number in numbers):  # NaN is outside every range
                raise ConfigError(f"{key}={value}: must lie between {low} and {high}")
    if schema is Config:
        _check_together(config)


def _check_together(config: Any) -> None:
    """Hold to the rules that involve more than one key, or more than a range."""
    stages, epochs = config["model"]["stages"], config["epochs"]
    optimizer, schedule = config["optimizer"], config["schedule"]
    for key, name in (("study", config["study"]), ("model.name", config["model"]["name"])):  # of folders
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
            rule = "1 to 64 letters, digits, '.', '_' or '-', a letter or digit first"
            raise ConfigError(f"{key}={name}: must be {rule}")
    if not 1 <= len(stages) <= 8:
        raise ConfigError(f"model.stages={stages}: must list 1 to 8 stages, e.g. [3,3,3]")
    width = config["model"]["width"]
    weights = sum(18 * blocks * (width * 2**stage) ** 2 for stage, blocks in enumerate(stages))  # two 3x3 a block
    if weights > 10**9:
        raise ConfigError(
            f"model.width={width}: with stages {stages} that is {weights:.1e} weights, must be at most 1e9"
        )
    if epochs["count"] is None and epochs["steps"] is None:
        raise ConfigError("epochs.count=null: give a number of epochs, or epochs.steps")
    if optimizer["name"] != "sgd" and (optimizer["momentum"] or optimizer["nesterov"]):
        raise ConfigError(f"optimizer.name={optimizer['name']}: momentum and nesterov belong to optimizer=sgd")
    if optimizer["nesterov"] and not optimizer["momentum"]:
        raise ConfigError("optimizer.nesterov=true: needs optimizer.momentum above 0")
    _check_milestones(schedule)


def _check_milestones(schedule: Any) -> None:
    """Hold the milestones to one unit and to an increasing order."""
    given = {unit: list(schedule[unit]) for unit in ("milestone_epochs", "milestone_steps") if schedule[unit]}
    if schedule["name"] != "multistep":
        for unit, marks in given.items():
            raise ConfigError(f"schedule.{unit}={marks}: belongs to schedule=multistep, not {schedule['name']}")
    elif len(given) != 1:
        raise ConfigError("schedule=multistep: give either schedule.milestone_epochs or schedule.milestone_steps")
    for unit, marks in given.items():
        if any(later <= earlier for earlier, later in zip(marks, marks[1:])):
            raise ConfigError(f"schedule.{unit}={marks}: must increase, e.g. {sorted(set(marks))}")


def difference(config: Any, schema: type = Config) -> dict[str, Any]:
    """Return what `config` changes of the schema's defaults, among the keys that make a run what it is."""
    changed: dict[str, Any] = {}
    for f in fields(schema):
        if f.name not in config:  # an older version's file lacks what has been added since
            continue
        value = config[f.name]
        if is_dataclass(f.type):
            if inner := difference(value, f.type):
                changed[f.name] = inner
        elif f.metadata.get("identity", True) and value != default_of(f):
            changed[f.name] = value
    return changed


def default_of(f: Field) -> Any:
    """Return the default value of a schema's field."""
    return f.default if f.default is not MISSING else f.default_factory()


def fingerprint(config: dict[str, Any]) -> str:
    """Return eight hex digits that name the configuration, whatever its seed, study and machine.

    Only what differs from the defaults is hashed: an option added later leaves the old names as they are.
    """
    text = json.dumps(difference(config), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def run_name(config: Any) -> str:
    """Return the name of a configuration's folder, `<model>-<shortcut>-<fingerprint>`; raises ConfigError."""
    if "hydra" in config:
        _check_choices(config["hydra"]["runtime"]["choices"])
        _check_steps(config["epochs"], OmegaConf.to_container(config["hydra"]["overrides"]["task"], resolve=False))
    plain = as_plain(config)
    check(plain)
    return f"{plain['model']['name']}-{plain['model']['shortcut']}-{fingerprint(plain)}"


def _check_choices(choices: Any) -> None:
    """Hold each group to one choice: of a list, `model=[blocks4,blocks15]`, Hydra would quietly take the last."""
    for f in fields(Config):
        if is_dataclass(f.type) and f.name not in choices:
            raise ConfigError(f"{f.name}: must be one choice; -m {f.name}=A,B makes a run of each")


def _check_steps(epochs: Any, overrides: Sequence[str]) -> None:
    """Refuse steps that were asked for where they decide nothing; a choice of `epochs` may bring some along."""
    asked = any(override.lstrip("+").startswith("epochs.steps=") for override in overrides)
    if asked and None not in (epochs["steps"], epochs["count"]):
        raise ConfigError(f"epochs.steps={epochs['steps']}: epochs.count={epochs['count']} wins; add epochs.count=null")


def as_plain(config: Any) -> dict[str, Any]:
    """Return a composed configuration, without Hydra's part, as plain dictionaries, lists and numbers."""
    own = {key: config[key] for key in config if key != "hydra"}
    return OmegaConf.to_container(OmegaConf.create(own), resolve=True)


def total_steps(epochs: dict[str, Any], steps_per_epoch: int) -> int:
    """Return the number of optimizer steps of the whole training: `epochs.count` wins over `epochs.steps`."""
    return epochs["count"] * steps_per_epoch if epochs["count"] is not None else epochs["steps"]


def epochs_of(steps: int, steps_per_epoch: int) -> int:
    """Return how many epochs `steps` steps take, the last of which may be a part of one."""
    return math.ceil(steps / steps_per_epoch)


def register_resolvers() -> None:
    """Teach OmegaConf what conf/ computes: names and depths from the configuration itself, room from the machine."""
    OmegaConf.register_new_resolver("run_name", lambda *, _root_: run_name(_root_), replace=True)
    OmegaConf.register_new_resolver("sum", lambda numbers: sum(numbers), replace=True)
    OmegaConf.register_new_resolver("runs_at_once", _runs_at_once, replace=True)
    OmegaConf.register_new_resolver("layers", lambda stages: 2 * sum(stages) + 2, replace=True)


def _runs_at_once() -> int:
    from resnet.training.device import runs_at_once  # PyTorch, for the few who ask

    return runs_at_once()


# At import, so that whatever process unpickles a job (a parallel launcher's worker) can compose it too.
register_resolvers()
