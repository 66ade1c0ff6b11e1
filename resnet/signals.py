"""SIGINT and SIGTERM: an exception outside the training loop, a request to finish the step inside it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

STOPS = (signal.SIGINT, signal.SIGTERM)

# Signals whose handler has raised an exception. Python drops an exception raised in a callback, such as that of a weak
# reference; the signal is still listed here, so the training stops at its first step.
pending_signals: list[int] = []


class Terminated(BaseException):
    """SIGTERM arrived outside the training loop."""


class Interrupted(Exception):
    """A signal asked the training to stop; it did so after a whole step of epoch `epoch`."""

    def __init__(self, signum: int, epoch: int):
        super().__init__(f"stopped by {signal.Signals(signum).name} in epoch {epoch}")
        self.signum = signum


def raise_on_signals() -> None:
    """Have SIGTERM raise Terminated and SIGINT KeyboardInterrupt; SIGINT stays ignored if the shell ignores it."""
    signal.signal(signal.SIGTERM, _raise)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _raise)


def _raise(signum: int, frame: Any) -> None:
    pending_signals.append(signum)
    raise Terminated if signum == signal.SIGTERM else KeyboardInterrupt


@contextmanager
def blocked_signals() -> Iterator[None]:
    """Hold signals back until the end of the block: an exception raised inside an import can be swallowed there."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def collected_signals() -> Iterator[list[int]]:
    """Yield a list that signals are appended to, so that the current step can finish; a second one acts immediately.

    Starts with signals that arrived earlier and whose exception was lost.
    """
    received = list(pending_signals)

    def note(signum: int, frame: Any) -> None:
        received.append(signum)
        signal.signal(signum, before[signum])

    handled = [signum for signum in STOPS if signal.getsignal(signum) is not signal.SIG_IGN]  # a shell may ignore one
    with blocked_signals():  # until `before`, which `note` reads, is set
        before: dict[int, Any] = {signum: signal.signal(signum, note) for signum in handled}
    try:
        yield received
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
