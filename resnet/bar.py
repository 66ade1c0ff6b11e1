"""Where progress bars are drawn: on standard error, which may be closed, full or gone without affecting a run."""

import sys
from contextlib import suppress
from typing import Any


class BarOutput:
    """Standard error as tqdm's `file`, except that what cannot be written is dropped."""

    def write(self, text: str) -> None:
        with suppress(Exception):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(Exception):
            sys.stderr.flush()

    def isatty(self) -> bool:
        with suppress(Exception):
            return sys.stderr.isatty()
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)


BAR_OUTPUT: Any = BarOutput()
