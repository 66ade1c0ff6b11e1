"""What the command line says about a request that Hydra or OmegaConf refuses, in one or two lines."""

import difflib
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable
from typing import Any, TextIO

import yaml
from hydra.errors import HydraException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from resnet.config import GROUPS
from resnet.errors import explain_os_error
from resnet.launch.command_line import ADD_M, named_in
from resnet.launch.compose import ALL_KEYS, TEXTS, config_error_in, is_text, known_keys

QUOTES = "'\""
STOPPED = "stopped; the same command resumes (add resume=auto if it has resume=never)"  # by a signal, at any moment
HYDRAS_LINE = "Error executing job with overrides: "  # on standard error, before it re-raises a job's exception
HYDRAS_RECORD = "Job failed"  # in run.log, with a traceback, as of Hydra 1.4


def quiet_hydra() -> None:
    """Make Hydra re-raise exceptions instead of printing a truncated traceback."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    logging.raiseExceptions = False  # with a full disk under run.log, every line would print a traceback


class WithoutHydrasLine:
    """Standard error without Hydra's line about a failed job, because a line of ours says why it failed."""

    def __init__(self, stream: TextIO):
        self.stream = stream

    def write(self, text: str) -> int:
        return len(text) if text.startswith(HYDRAS_LINE) else self.stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def leave_out_hydras_line() -> None:
    """Stop Hydra from printing and logging its messages about the job that just failed: they tell a user nothing."""
    for handler in logging.getLogger().handlers:  # the next job replaces the handlers
        handler.addFilter(lambda record: record.msg != HYDRAS_RECORD)
    if sys.stderr is not None and not isinstance(sys.stderr, WithoutHydrasLine):
        sys.stderr = WithoutHydrasLine(sys.stderr)  # type: ignore[assignment]


def explain_training(error: Exception) -> tuple[int, str] | None:
    """Return exit code and text for an exception of a command that trains; None for a bug."""
    return explain_hydra(error, sweeps=True)


def explain_hydra(error: Exception, sweeps: bool = False) -> tuple[int, str] | None:
    """Return exit code and text for one of Hydra's exceptions, None for a bug; `sweeps` says if the command takes -m.

    An OSError means that Hydra could not make the run folder or open run.log; Hydra raises some as a ValueError.
    """
    if file := file_being_read(error):
        reason = getattr(error, "strerror", None) or error
        return 2, f"{file}: {'not UTF-8: ' * isinstance(error, UnicodeDecodeError)}{reason}"
    cause = error.__cause__ if isinstance(error, ValueError) else error
    if isinstance(cause, OSError) and not isinstance(cause, HydraException):  # a missing choice is both
        return 1, unwritable(cause)
    if isinstance(error, yaml.YAMLError):
        return 2, not_yaml(error)
    if isinstance(error, (HydraException, OmegaConfBaseException, ValueError)):
        return 2, explain(error, sweeps)
    return explain_os_error(error)  # only running out of memory can get here


def file_being_read(error: Exception) -> str:
    """Return the configuration file that Hydra could not read, or "" if an exception is about something else.

    The file cannot be opened, is not UTF-8, or is no configuration for OmegaConf, such as a bare number. The exception
    does not name it, but Hydra's frames do.
    """
    if not isinstance(error, (UnicodeDecodeError, OSError)):
        return ""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__) if frame.f_code.co_name == "load_config")
    return next((found for frame in frames if (found := frame.f_locals.get("full_path"))), "")


def unwritable(error: OSError) -> str:
    """Return why a run folder, or a file of the sweep, could not be written."""
    no_folder = "it is not a directory, nor a link to one"
    reason = no_folder if isinstance(error, FileExistsError) else error.strerror or error
    return f"{error.filename or 'runs'}: cannot be written: {reason}"


def launcher_failure(error: Exception) -> str:
    """Return in one line why a launcher itself failed."""
    about_a_folder = isinstance(error, OSError) and error.filename
    reason = unwritable(error) if about_a_folder else f"{type(error).__name__}: {error}"  # type: ignore[arg-type]
    return " ".join(reason.split())


def not_yaml(error: yaml.YAMLError) -> str:
    """Return the file and line of a mistake in YAML, and what it is."""
    mark = getattr(error, "problem_mark", None)
    where = f"{mark.name.strip(chr(34))}, line {mark.line + 1}: " if mark else ""
    return f"{where}not valid YAML: {getattr(error, 'problem', None) or error}"


def explain(error: BaseException, sweeps: bool) -> str:
    """Return what an exception of Hydra's or OmegaConf's means to the person who typed the command."""
    if own := config_error_in(error):
        return str(own)
    text = str(error)
    for pattern, answer in ANSWERS.items():
        if match := re.search(pattern, text):
            return answer(match)
    if match := re.search(r"Error merging override (.+)", text):
        reason = str(error.__cause__).splitlines()[0]
        return f"{match[1]}: {'must be a list, e.g. [3,3,3]' if 'ListConfig' in reason else reason}"
    if match := re.search(r"Ambiguous value for argument '([^']+)'", text):
        return f"{match[1]}: {_several_values(sweeps)}"
    if isinstance(error, OverrideParseException):
        if "=" not in error.override:
            return f"{error.override}: not of the form key=value"
        key, _, value = error.override.partition("=")
        quotes = f"; with quotes around it: {key}=\"'{value.strip(QUOTES)}'\"" if key in TEXTS else ""
        return f"{error.override}: cannot be read as key=value{quotes}"
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


def _unknown_key(match: re.Match[str]) -> str:
    if match[1].startswith("hydra."):
        return f"{match[1]}: no such key; {ALL_KEYS.replace('job', 'hydra')}, +{match[1]}=VALUE adds one"
    group, _, name = match[1].rpartition(".")
    keys = known_keys()
    inside = {key.rpartition(".")[2]: key for key in keys if key.startswith(f"{group}.")}
    if inside:
        close = [inside[found] for found in difflib.get_close_matches(name, inside, n=1)]
    else:
        inner = [key for key in keys if key.endswith(f".{match[1]}")]  # lr, which is optimizer.lr
        close = inner[:1] or difflib.get_close_matches(match[1], keys, n=1)
    suggestion = f", did you mean {close[0]}?" if close else ""
    return f"{match[1]}: no such key{suggestion}; {ALL_KEYS}"


def _no_package(match: re.Match[str]) -> str:
    """Return the answer to a file whose keys belong at the top level, but which Hydra puts under the group's name."""
    return (
        f"{match[1]}.yaml: its first line must be '# @package _global_', "
        "without which its keys belong to the group 'experiment'"
    )


def _not_installed(match: re.Match[str]) -> str:
    return f'hydra/{match[1]}={match[2]}: is not installed; pip install -e ".[{match[2]}]"'


def _unknown_choice(match: re.Match[str]) -> str:
    choices = re.findall(r"^\t(\S+)$", match.string, re.MULTILINE)
    return f"{match[1]}={match[2]}: must be one of {', '.join(choices)}"


def _nowhere(match: re.Match[str]) -> str:
    """Return the answer to a ${...} whose target does not exist, with the argument or else the key that holds it."""
    what, name = match.groups()
    holder = next((argument for argument in sys.argv[1:] if "${" in argument and name in argument), None)
    key = re.search(r"full_key: (\S+)", match.string)
    return f"{holder or (key[1] if key else 'conf')}: there is no {what.lower()} {name}"


def _choice_of_an_experiment(match: re.Match[str]) -> str:
    """Return the answer to `model: NAME` in an experiment's defaults, which Hydra looks for below `experiment/`."""
    file, group, name = match.groups()
    return f"experiment/{file}: to choose {group}={name} in its defaults, write override /{group}: {name}"


def _not_a_choice(match: re.Match[str]) -> str:
    """Return the answer to `epochs=7`; Hydra's text does not name it, so it is looked for among the arguments."""
    for argument in sys.argv[1:]:
        group, _, value = argument.lstrip("+").partition("=")
        if (group in GROUPS or group.startswith("hydra/")) and not is_text(value):
            key = group.replace("/", ".")
            return f"{argument}: must be the name of a choice, see --help; to set one value, give {key}.KEY=VALUE"
        if group == "experiment" and not is_text(value):
            return f"{argument}: must be the name of an experiment; without one, leave it out"
    return match.string


# Maps a pattern in Hydra's text to what to say instead. The first match counts.
ANSWERS: dict[str, Callable[[re.Match[str]], str]] = {
    r"Could not override '([^']+)'": _unknown_key,
    r"In '(experiment/[^']+)': ConfigKeyError[\s\S]*Key 'experiment' not in": _no_package,
    r"In 'hydra/(launcher|sweeper)/(\w+)': Could not load": _not_installed,  # it builds on one from another package
    rf"In 'experiment/([^']+)': Could not find 'experiment/({'|'.join(GROUPS)})/([^']*)'": _choice_of_an_experiment,
    r"Could not find '([^']+)/([^'/]*)'": _unknown_choice,
    r"Config group override must be a string": _not_a_choice,
    r"(key|Environment variable) '([^']+)' not found": _nowhere,  # a ${...}
}


def _several_values(sweeps: bool) -> str:
    """Return what to do about several values for a key where Hydra takes one."""
    if "cfg" in named_in(sys.argv[1:]):
        return "--cfg shows one run; give one value"
    return ADD_M if sweeps else "give one value"
