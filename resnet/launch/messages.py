"""What the command line says about a request that Hydra or OmegaConf refuses, in one or two lines."""

import difflib
import logging
import os
import re
import sys

from hydra.errors import HydraException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from resnet.config import GROUPS, Config, flat_fields
from resnet.errors import ConfigError


def quiet_hydra() -> None:
    """Have exceptions pass through Hydra, which would print a piece of their traceback instead."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    logging.raiseExceptions = False  # a full disk under run.log would be reported with a traceback a line


def stopped() -> str:
    """Return what to say after a signal that ended a training command."""
    return "stopped; the same command" + " without resume=never" * ("resume=never" in sys.argv) + " resumes"


def explain_training(error: Exception) -> tuple[int, str] | None:
    """Return exit code and text for an exception of a command that trains runs; None for one that is our bug."""
    return explain_hydra(error, sweeps=True)


def explain_hydra(error: Exception, sweeps: bool = False) -> tuple[int, str] | None:
    """Return exit code and text for an exception of Hydra's; `sweeps` is whether the command takes -m.

    An OSError is one of Hydra making the folder or opening the log. Some cases Hydra leaves as a ValueError.
    """
    cause = error.__cause__ if isinstance(error, ValueError) else error
    if isinstance(cause, OSError):
        return 1, unwritable(cause)
    if isinstance(error, (HydraException, OmegaConfBaseException, ValueError)):
        return 2, explain(error, sweeps)
    return None


def unwritable(error: OSError) -> str:
    """Return what kept Hydra from making a run's folder and writing into it."""
    reason = "it is no folder, nor a link to one" if isinstance(error, FileExistsError) else error.strerror
    return f"{error.filename or 'runs'}: cannot be written: {reason}"


def explain(error: BaseException, sweeps: bool) -> str:
    """Return what an exception of Hydra's or OmegaConf's means to the person who typed the command."""
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None:
        causes.append(cause)
    if own := next((cause for cause in causes if isinstance(cause, ConfigError)), None):
        return str(own)
    text = str(error)
    if match := re.search(r"Could not override '([^']+)'", text):
        return f"{match[1]}: no such key{_suggestion(match[1])}; python -m resnet.run --cfg job prints them all"
    if match := re.search(r"In 'hydra/launcher/(\w+)': Could not load", text):  # it builds on one that a package brings
        return f'hydra/launcher={match[1]}: is not installed; pip install -e ".[{match[1]}]"'
    if match := re.search(r"Could not find '([^']+)/([^'/]*)'", text):
        options = re.findall(r"^\t(\S+)$", text, re.MULTILINE)
        return f"{match[1]}={match[2]}: must be one of {', '.join(options)}"
    if match := re.search(r"Error merging override (.+)", text):
        reason = str(error.__cause__).splitlines()[0]
        return f"{match[1]}: {'must be a list, e.g. [3,3,3]' if 'ListConfig' in reason else reason}"
    if "Config group override must be a string" in text:
        return _not_a_choice(sys.argv[1:]) or text
    if match := re.search(r"Ambiguous value for argument '([^']+)'", text):
        if any(argument.startswith(("--cfg", "-c")) for argument in sys.argv[1:]):
            return f"{match[1]}: --cfg shows one run; give one value"
        if not sweeps:
            return f"{match[1]}: give one value"
        return f"{match[1]}: to sweep over several values, add -m"
    if isinstance(error, OverrideParseException):
        form = "cannot be read as key=value" if "=" in error.override else "not of the form key=value"
        return f"{error.override}: {form}"
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


def _not_a_choice(arguments: list[str]) -> str:
    """Return the answer to `epochs=7`, which Hydra's text does not name; nothing where it is not among `arguments`."""
    for argument in arguments:
        if match := re.match(rf"({'|'.join(GROUPS)})=([^a-z]|true|false|null)", argument):
            return f"{argument}: must be the name of a choice, see --help; a single value is {match[1]}.KEY=VALUE"
    return ""


def _suggestion(key: str) -> str:
    """Return a known key that looks like the one that was typed."""
    close = difflib.get_close_matches(key, known_keys(), n=1)
    return f", did you mean {close[0]}?" if close else ""


def known_keys() -> list[str]:
    """Return every key and group of the configuration, dotted."""
    return [*GROUPS, *(key for key, _, _ in flat_fields(Config()))]
