"""What the command line says to a mistake of the user's: one or two lines on standard error, and an exit code."""

import difflib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass

from hydra.errors import HydraException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from resnet.config import Config, ConfigError


@contextmanager
def answered() -> Iterator[None]:
    """Turn a wrong request into an exit with code 2, a folder that cannot be written into 1, and Ctrl-C into 130."""
    # Hydra's own report of an exception is a piece of its traceback; with this set it lets the exception through.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        code, text = 2, explain(error)
    except OSError as error:  # Hydra makes the run's folder
        code, text = 1, f"{error.filename or 'runs'}: cannot be written: {error.strerror}"
    except KeyboardInterrupt:
        code, text = 130, "stopped; the same command goes on"
    else:
        return
    print(f"error: {text}", file=sys.stderr)
    sys.exit(code)


def explain(error: BaseException) -> str:
    """Return what an exception of Hydra's or OmegaConf's means to the person who typed the command."""
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None:
        causes.append(cause)
    if own := next((cause for cause in causes if isinstance(cause, ConfigError)), None):
        return str(own)
    text = str(error)
    if match := re.search(r"Could not override '([^']+)'", text):
        return f"{match[1]}: no such key{_suggestion(match[1])}; --cfg job prints them all"
    if match := re.search(r"Could not find '([^']+)/([^'/]+)'", text):
        options = re.findall(r"^\t(\S+)$", text, re.MULTILINE)
        return f"{match[1]}={match[2]}: must be one of {', '.join(options)}"
    if match := re.search(r"Error merging override (.+)", text):
        reason = str(error.__cause__).splitlines()[0]
        return f"{match[1]}: {'must be a list, e.g. [3,3,3]' if 'ListConfig' in reason else reason}"
    if match := re.search(r"Ambiguous value for argument '([^']+)'", text):
        return f"{match[1]}: to sweep over several values, add -m"
    if isinstance(error, OverrideParseException):
        form = "cannot be read as key=value" if "=" in error.override else "not of the form key=value"
        return f"{error.override}: {form}"
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


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
