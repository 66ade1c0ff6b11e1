"""Turn what Hydra composed into a checked configuration."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import hydra
import omegaconf
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from resnet.config import GROUPS, Config, Model, check, flat_fields, run_name
from resnet.errors import ConfigError
from resnet.record.folder import RunFolder
from resnet.training.catalogue import pictures_digest

PACKAGE = Path(__file__).resolve().parents[1]
CONF = next(path for path in (PACKAGE / "conf", PACKAGE.parent / "conf") if path.is_dir())  # installed, or a checkout
# Hydra 1.3 behaves like older versions unless told otherwise; 1.4 has only one behaviour, and warns if told.
VERSION_BASE: dict[str, Any] = {"version_base": "1.3"} if hydra.__version__.startswith("1.3.") else {}
ALL_KEYS = "python -m resnet.run --cfg job prints them all"


def to_config(composed: DictConfig) -> Config:
    """Return a composed configuration as a Config, without its `hydra` part; raises ConfigError for a wrong value."""
    own = OmegaConf.create({key: composed[key] for key in composed if key != "hydra"})
    try:
        plain = OmegaConf.to_container(own, resolve=True, throw_on_missing=True)
        config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Config), plain))
    except MissingMandatoryValue as error:
        raise ConfigError(f"{error.full_key}: has no value; the file that was chosen must give one") from None
    except ConfigKeyError as error:
        raise ConfigError(f"{error.full_key}: no such key; {ALL_KEYS}") from None
    except OmegaConfBaseException as error:
        raise config_error_in(error) or ConfigError(f"{error.full_key}: {str(error).splitlines()[0]}") from None
    assert isinstance(config, Config)
    check(config)
    return config


def config_error_in(error: BaseException) -> ConfigError | None:
    """Return the ConfigError that an exception is, or was caused by; None if there is none."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ConfigError):
        cause = cause.__cause__ or cause.__context__
    return cause


def checked(composed: DictConfig, hydra: Any) -> Config:
    """Return a composed configuration as a Config; raises ConfigError for wrong values, choices and overrides."""
    overrides: Any = OmegaConf.to_container(hydra.overrides.task, resolve=False)
    check_choices(hydra.runtime.choices, overrides)
    config = to_config(composed)
    check_steps(config, overrides)
    return config


def choices_of(hydra: Any) -> dict[str, str | None]:
    """Return the name of each group's choice (`model: blocks15`), without Hydra's own groups."""
    return {str(group): name for group, name in hydra.runtime.choices.items() if not str(group).startswith("hydra/")}


def check_choices(choices: Mapping[str, Any], overrides: Sequence[str]) -> None:
    """Refuse a list of choices: from `model=[blocks4,blocks15]` Hydra would silently take the last.

    A configuration without groups, such as the one in a run's .hydra folder, is accepted as it is.
    """
    given = {override.lstrip("+").partition("=")[0] for override in overrides}
    for group in (*GROUPS, "experiment"):
        if group in given and group not in choices:
            several = "" if group == "experiment" else f"; -m {group}=A,B makes a run of each"
            raise ConfigError(f"{group}: must be one choice{several}")


def check_steps(config: Config, overrides: Sequence[str]) -> None:
    """Refuse an epochs.steps override that has no effect; epochs.count may override the steps of an `epochs` choice."""
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
    with initialize_config_dir(str(CONF), **VERSION_BASE):
        composed = compose("config", [as_typed(override) for override in overrides], return_hydra_config=True)
        return checked(composed, composed.hydra)


def known_keys() -> list[str]:
    """Return every key and group of the configuration, dotted."""
    return [*GROUPS, *(key for key, _, _ in flat_fields(Config()))]


TEXTS = {key for key, field, _ in flat_fields(Config()) if field.type is str}
TEXTS |= {"hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir"}
TEXTS |= {"hydra.launcher.name", "hydra.launcher.partition", "hydra.launcher.account"}


def as_typed(override: str) -> str:
    """Return an override, quoted if Hydra would otherwise change its text: it would read `study=1.10` as 1.1.

    Commas separate the values of a sweep. Left alone: keys that take no text, null, and values with quotes or a ${...}.
    """
    key, _, text = override.partition("=")
    left_alone = not text or re.search(r"""['"$\\[\]{}]""", text) or is_text(text, or_call=True)
    if key.lstrip("+") not in TEXTS or left_alone:
        return override
    values = [text if text == "null" or is_text(text) else f"'{text}'" for text in text.split(",")]
    return f"{key}={','.join(values)}"


def is_text(value: str, or_call: bool = False) -> bool:
    """Return whether Hydra reads a value as a text, not a number or an error; `or_call` also accepts range(3)."""
    try:
        parsed = OverridesParser.create().parse_override(f"key={value}")
    except HydraException:
        return False
    return "(" in value if or_call and parsed.is_sweep_override() else isinstance(parsed.value(), str)


def register() -> None:
    """Register the schema and the resolvers that conf/ uses."""
    # a file of conf/model/ must name its network: else the schema's default name, another network's, would stay
    ConfigStore.instance().store(name="schema", node=Config(model=Model(name=MISSING)))
    resolvers = {
        "run_name": lambda *, _root_: run_name(checked(_root_, _root_.hydra)),
        "records": _hydras_records,
        "sum": _blocks_in,
        "layers": lambda stages: 2 * _blocks_in(stages) + 2,
        "runs_at_once": _runs_at_once,
        "home": os.path.expanduser,
        "tuned": _refuse_untuned,
        "pictures": pictures_digest,
    }
    old = omegaconf.__version__.startswith("2.3.")  # there, register_resolver does something else
    add: Any = OmegaConf.register_new_resolver if old else OmegaConf.register_resolver
    for name, resolver in resolvers.items():
        add(name, resolver, replace=True)


def _hydras_records(*, _root_: Any) -> str | None:
    """Return the subfolder of the run's folder for Hydra's records; None, for no records, if another run is there."""
    folder, here = OmegaConf.select(_root_, "hydra.runtime.output_dir"), os.getcwd()
    if folder is None:  # with --cfg
        return ".hydra"
    os.chdir(_root_.hydra.runtime.cwd)  # to which paths are relative; hydra.job.chdir=true has left it
    try:
        config = checked(_root_, _root_.hydra)
        return None if config.resume != "never" and RunFolder(Path(folder)).config_conflict(config) else ".hydra"
    finally:
        os.chdir(here)


def _blocks_in(stages: Any) -> int:
    if not isinstance(stages, Sequence) or not all(isinstance(blocks, int) for blocks in stages):
        raise ConfigError(f"model.stages={stages}: must hold a whole number for each stage, e.g. [3,3,3]")
    return sum(stages)


def _runs_at_once(device: str) -> int:
    from resnet.training.device import runs_at_once  # PyTorch takes seconds to import

    return runs_at_once(device)


def _refuse_untuned(key: str, experiment: str) -> None:
    raise ConfigError(f"{key}: must be given, as found by experiment={experiment} for the networks of this command")


# At import, so that any process that unpickles a job, such as a parallel launcher's worker, can compose it.
register()
