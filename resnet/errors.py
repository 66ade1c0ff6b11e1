"""What a user can do wrong, and how a command answers: one or two lines and an exit code."""

import io
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from resnet.signals import Terminated, raise_on_signals

Explain = Callable[[Exception], tuple[int, str] | None]


class UserError(Exception):
    """A situation that the user can fix: reported by its text, without a traceback."""

    exit_code = 1  # a run that failed


class RunFailed(UserError):
    """A run that failed and has logged why; it takes only a text, so that it can be passed between processes."""


class Diverged(UserError):
    """A loss was infinite or not a number; `step` counts from the first step of the training."""

    def __init__(self, what: str, step: int):
        super().__init__(f"the {what} was not finite, first at step {step}")
        self.step = step


class OutOfMemory(UserError):
    """There is too little memory for a training."""


class ConfigError(UserError):
    """An invalid request: a wrong option, key or value."""

    exit_code = 2


def reason_of(error: Exception) -> str:
    """Return why a run failed: a user's mistake by its text, a bug by its type, too."""
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"


@contextmanager
def naming_memory(*settings: str) -> Iterator[None]:
    """Turn exceptions that report a lack of memory into OutOfMemory, which names the settings that take it."""
    try:
        yield
    except Exception as error:
        if not lacks_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)  # frames hold tensors, which would leave no memory for the next run
        smaller = "one of them smaller" if len(settings) > 1 else "it smaller"
        took = " with ".join(settings)
        raise OutOfMemory(f"out of memory: {took} takes more than there is here; make {smaller}") from error


def lacks_memory(error: Exception) -> bool:
    """Return whether an exception says that Python or PyTorch ran out of memory."""
    said = isinstance(error, RuntimeError) and re.search("can't allocate memory|out of memory", str(error))
    return isinstance(error, MemoryError) or bool(said)


def explain_os_error(error: Exception) -> tuple[int, str] | None:
    """Return exit code and text for a lack of memory or a file that cannot be read or written; None for any other."""
    if lacks_memory(error):
        return 1, "out of memory; if that was a GPU's, put CUDA_VISIBLE_DEVICES= before the command to use the CPU"
    if not isinstance(error, OSError):
        return None
    return 1, f"{error.filename}: {error.strerror}" if error.filename else str(error)


@contextmanager
def exit_on_error(explain: Explain = explain_os_error, stopped: str = "stopped") -> Iterator[None]:
    """Exit with a line on standard error if the user can act; let exceptions that are our bugs through.

    `explain` turns further exceptions into an exit code and a text, or returns None for a bug. `stopped` is what to say
    after a signal. If the reader of the output is gone, such as `head`, exit with code 141 and print nothing.
    """
    raise_on_signals()
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of classes and folders may be in any script
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            yield
        except SystemExit:
            write_output()
            raise
        write_output()
        return
    except RunFailed as error:
        let_go_of_output()
        sys.exit(error.exit_code)
    except UserError as error:
        code, text = error.exit_code, f"error: {error}"
    except BrokenPipeError:
        drop_output()
        sys.exit(141)
    except (KeyboardInterrupt, Terminated) as stop:
        code, text = (143 if isinstance(stop, Terminated) else 130), stopped
    except Exception as error:
        if (explained := explain(error)) is None:
            raise
        code, text = explained[0], f"error: {explained[1]}"
    with suppress(OSError):  # standard error may be closed, too, or full
        print(text, file=sys.stderr)
    let_go_of_output()
    sys.exit(code)


def write_output() -> None:
    """Write what is buffered, unless the shell has closed standard output."""
    if sys.stdout is not None:
        sys.stdout.flush()


def let_go_of_output() -> None:
    """Write what is buffered, or drop it if that fails: Python would try again at exit, and complain."""
    try:
        write_output()
    except OSError:
        drop_output()


def drop_output() -> None:
    """Discard all further output: its reader, such as `head`, is gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
