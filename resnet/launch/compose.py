"""From what Hydra composed to a checked configuration."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from resnet.config import GROUPS, Config, check, run_name
from resnet.errors import ConfigError
from resnet.training.catalogue import pictures_digest

PACKAGE = Path(__file__).resolve().parents[1]
CONF = next(path for path in (PACKAGE / "conf", PACKAGE.parent / "conf") if path.is_dir())  # installed, or a checkout


def to_config(composed: DictConfig) -> Config:
    """Return a composed configuration as a Config, without its `hydra` part; raises ConfigError for a wrong value."""
    own = OmegaConf.create({key: composed[key] for key in composed if key != "hydra"})
    plain = OmegaConf.to_container(own, resolve=True)
    try:
        config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Config), plain))
    except ConfigKeyError as error:
        raise ConfigError(f"{error.full_key}: no such key; python -m resnet.run --cfg job prints them all") from None
    except OmegaConfBaseException as error:
        raise ConfigError(f"{error.full_key}: {str(error).splitlines()[0]}") from None
    assert isinstance(config, Config)
    check(config)
    return config


def checked(composed: DictConfig, hydra: Any) -> Config:
    """Return a composed configuration as a Config; raises ConfigError for wrong values, choices and overrides."""
    check_choices(hydra.runtime.choices)
    config = to_config(composed)
    check_steps(config, OmegaConf.to_container(hydra.overrides.task, resolve=False))  # type: ignore[arg-type]
    return config


def choices_of(hydra: Any) -> dict[str, str | None]:
    """Return the name of each group's choice (`model: blocks15`), without Hydra's own groups."""
    return {str(group): name for group, name in hydra.runtime.choices.items() if not str(group).startswith("hydra/")}


def check_choices(choices: Mapping[str, Any]) -> None:
    """Refuse a list of choices: of `model=[blocks4,blocks15]` Hydra would silently take the last."""
    for group in GROUPS:
        if group not in choices:
            raise ConfigError(f"{group}: must be one choice; -m {group}=A,B makes a run of each")


def check_steps(config: Config, overrides: Sequence[str]) -> None:
    """Refuse an override of epochs.steps that has no effect; a choice of `epochs` may set steps and be overridden."""
    asked = any(override.lstrip("+").startswith("epochs.steps=") for override in overrides)
    steps, count = config.epochs.steps, config.epochs.count
    if asked and None not in (steps, count):
        raise ConfigError(f"epochs.steps={steps}: epochs.count={count} wins; add epochs.count=null")


def compose_config(overrides: Sequence[str]) -> Config:
    """Return the configuration of `python -m resnet.run OVERRIDES`; raises ConfigError and Hydra's exceptions.

    >>> config = compose_config(["model=resnet20", "optimizer=sgd", "epochs.count=5"])
    >>> config.model.stages, config.optimizer.lr, config.epochs.count
    ([3, 3, 3], 0.1, 5)
    """
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return to_config(compose("config", list(overrides)))


def register() -> None:
    """Register the schema and the resolvers that conf/ uses."""
    ConfigStore.instance().store(name="schema", node=Config)
    resolvers = {
        "run_name": lambda *, _root_: run_name(checked(_root_, _root_.hydra)),
        "sum": lambda numbers: sum(numbers),
        "layers": lambda stages: 2 * sum(stages) + 2,
        "runs_at_once": _runs_at_once,
        "home": os.path.expanduser,
        "pictures": pictures_digest,
    }
    for name, resolver in resolvers.items():
        OmegaConf.register_new_resolver(name, resolver, replace=True)


def _runs_at_once() -> int:
    from resnet.training.device import runs_at_once  # PyTorch takes seconds to import

    return runs_at_once()


# At import, so that any process that unpickles a job, such as a parallel launcher's worker, can compose it.
register()
