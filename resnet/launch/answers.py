"""What the command line says to a mistake of the user's: one or two lines on standard error, and an exit code."""

import difflib
import logging
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any

from hydra.errors import HydraException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from resnet.config import Config, ConfigError, UserError

arrived: list[int] = []  # signals that raised an exception, which may have been lost in a callback without a caller


class Terminated(BaseException):
    """SIGTERM arrived outside the training loop, which finishes its step."""


@contextmanager
def answered(trains: bool = True) -> Iterator[None]:
    """Turn a wrong request into an exit with code 2, a folder that cannot be written into 1, a signal into 128 + it.

    `trains` is whether the command trains runs: it goes on where it was stopped, and takes several values with -m.
    """
    # Hydra's own report of an exception is a piece of its traceback; with this set it lets the exception through.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    logging.raiseExceptions = False  # a full disk under run.log would be reported with a traceback a line
    signal.signal(signal.SIGTERM, _stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where a shell has it ignored
        signal.signal(signal.SIGINT, _stop)
    try:
        yield
    except UserError as error:
        code, text = error.exit_code, str(error)
    except (HydraException, OmegaConfBaseException) as error:
        code, text = 2, explain(error, trains)
    except (OSError, ValueError) as error:  # while Hydra makes the folder or opens the log; or a case it leaves plain
        cause = error.__cause__ if isinstance(error, ValueError) else error
        code, text = (1, unwritable(cause)) if isinstance(cause, OSError) else (2, explain(error, trains))
    except (KeyboardInterrupt, Terminated) as stop:
        again = "the same command" + " without resume=never" * ("resume=never" in sys.argv)
        code, text = (143 if isinstance(stop, Terminated) else 130), "stopped" + f"; {again} goes on" * trains
    else:
        return
    print(f"error: {text}", file=sys.stderr)
    sys.exit(code)


def _stop(signum: int, frame: Any) -> None:
    arrived.append(signum)
    raise Terminated if signum == signal.SIGTERM else KeyboardInterrupt


def unwritable(error: OSError) -> str:
    """Return what kept Hydra from making a run's folder and writing into it."""
    reason = "it is no folder, nor a link to one" if isinstance(error, FileExistsError) else error.strerror
    return f"{error.filename or 'runs'}: cannot be written: {reason}"


def explain(error: BaseException, trains: bool) -> str:
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
        if not trains:
            return f"{match[1]}: give one value"
        return f"{match[1]}: to sweep over several values, add -m"
    if isinstance(error, OverrideParseException):
        form = "cannot be read as key=value" if "=" in error.override else "not of the form key=value"
        return f"{error.override}: {form}"
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


def _not_a_choice(arguments: list[str]) -> str:
    """Return the answer to `epochs=7`, which Hydra's text does not name; nothing where it is not among `arguments`."""
    groups = "|".join(f.name for f in fields(Config) if is_dataclass(f.type))
    for argument in arguments:
        if match := re.match(rf"({groups})=([^a-z]|true|false|null)", argument):
            return f"{argument}: must be the name of a choice, see --help; a single value is {match[1]}.KEY=VALUE"
    return ""


def _suggestion(key: str) -> str:
    """Return a known key that looks like the one that was typed."""
    close = difflib.get_close_matches(key, known_keys(), n=1)
    return f", did you mean {close[0]}?" if close else ""


def known_keys(schema: type = Config, prefix: str = "") -> list[str]:
    """Return every key and group of the configuration, dotted."""
    keys = []
    for f in fields(schema):
        keys.append(prefix + f.name)
        if is_dataclass(f.type):
            keys += known_keys(f.type, f"{prefix}{f.name}.")
    return keys
