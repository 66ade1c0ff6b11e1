"""Turn a command line as people type it into what Hydra expects."""

import difflib
import re
from collections.abc import Sequence
from typing import Any

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser

from resnet.errors import ConfigError
from resnet.launch.compose import as_typed, known_keys

# Options that only say where the configuration comes from or how it is shown; all others say what to do with it.
SETTINGS = {"package", "resolve", "config_path", "config_name", "config_dir"}
ADD_M = "to sweep over several values, add -m"
USUAL_NAMES = {"epochs": "epochs.count", "learning_rate": "optimizer.lr", "batchsize": "batch_size"}


def arrange(words: Sequence[str]) -> list[str]:
    """Return the words in Hydra's order, options first, and texts quoted so that Hydra keeps them as typed.

    An experiment runs as a sweep, and so does a plan. Raises ConfigError for an unknown option, for a value given to
    `hydra.launcher` or `hydra.sweeper` itself, for a plan of several values without -m, and for a plan with
    --config-path, because a configuration from there names no sweeper of this project.
    """
    options, overrides = split_options(words)
    for override in overrides:
        if whole := re.match(r"\+*hydra\.(launcher|sweeper)=(?![{$])", override):
            raise ConfigError(f"{override}: does not choose a {whole[1]}; give hydra/{whole[1]}=NAME")
    named = named_in(options)
    chosen = any(re.match(r"\+?experiment=(?!null$|$)", override) for override in overrides)
    decided = any(override.startswith("hydra.mode=") for override in overrides)
    planned = any(map(asks_for_plan, overrides))
    if planned and "config_path" in named:
        raise ConfigError("plan=true: not together with --config-path; give the run's overrides instead")
    if planned and not (chosen or decided or named - SETTINGS):
        check_single(overrides)
    if (planned or (chosen and not decided)) and not named - SETTINGS:
        options.insert(0, "--multirun")  # without it, Hydra would make a run folder even for a plan
        by_hand = [override.partition("=")[2] for override in overrides if override.startswith("hydra.run.dir=")]
        if chosen and by_hand:
            raise ConfigError(f"hydra.run.dir={by_hand[0]}: an experiment is a sweep; give hydra.sweep.dir")
        overrides += [word for place in by_hand for word in (f"hydra.sweep.dir={place}", "hydra.sweep.subdir=.")]
    if "config_path" in named:  # a run's .hydra/config.yaml lacks the hydra settings of conf/config.yaml
        overrides.insert(0, "hydra.output_subdir=${records:}")
    return [*options, *map(as_typed, overrides)]


def asks_for_plan(word: str) -> bool:
    """Return whether a word of the command line asks for a plan."""
    return word.startswith("plan=") and word.lower() != "plan=false"


def check_single(overrides: Sequence[str]) -> None:
    """Raise ConfigError for a key with several values: without -m, Hydra refuses the command that is planned."""
    for override in OverridesParser.create().parse_overrides([*map(as_typed, overrides)]):
        if override.is_sweep_override():
            raise ConfigError(f"{override.input_line}: {ADD_M}")


def named_in(options: Sequence[str]) -> set[str]:
    """Return argparse's names for these options; those not in SETTINGS say what to do: `cfg`, `multirun`."""
    return {action.dest for action in map(option_called, options) if action}


def split_options(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the options, with their values, and the overrides; raises ConfigError for an unknown option."""
    options, overrides, left = [], [], list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("-"):
            overrides.append(word)
            continue
        if (action := option_called(word)) is None:
            raise ConfigError(unknown_option(word, left))
        options.append(word)
        joined = "=" in word or (not word.startswith("--") and word not in action.option_strings)  # --cfg=job, -cjob
        if action.nargs != 0 and not joined and left and (action.nargs is None or "=" not in left[0]):
            options.append(left.pop(0))
    return options, overrides


def option_called(word: str) -> Any:
    """Return argparse's action for an option, which may be abbreviated; None for an unknown one."""
    actions = get_args_parser()._option_string_actions
    name = word.partition("=")[0]
    if name in actions:
        return actions[name]
    if name.startswith("--"):
        return next((action for option, action in actions.items() if option.startswith(name)), None)
    return actions.get(name[:2]) if name.startswith("-") else None


def unknown_option(word: str, following: Sequence[str]) -> str:
    """Return the error for an unknown option such as `--lr 0.01`, with what to type instead if a key is close."""
    name, _, value = word.lstrip("-").replace("-", "_").partition("=")
    keys = [key for key in known_keys() if key not in USUAL_NAMES]
    by_name = {key.rpartition(".")[2]: key for key in reversed(keys)} | {key: key for key in keys} | USUAL_NAMES
    close = difflib.get_close_matches(name, by_name, n=1)
    if not close:
        return f"{word}: no such option; values are given as key=value, see --help"
    if not value and following and "=" not in following[0]:
        value = following[0]
    return f"{word}: no such option; values are given as key=value: {by_name[close[0]]}={value or 'VALUE'}"
