"""Which test images each run got right."""

import functools
import os
from collections.abc import Sequence

import numpy as np


def correct_of(groups: Sequence[Sequence[str]]) -> list[np.ndarray] | None:
    """Return, for each group of run folders, which test images each run got right: runs x images.

    None if a run has no predictions, or if they are not all for the same images.
    """
    found = [[_correct(*_file_of(path)) for path in paths] for paths in groups]
    every = [run for group in found for run in group]
    if not every or len({run[0] if run else None for run in every}) > 1 or None in every:
        return None
    return [np.stack([run[1] for run in group if run]) for group in found]


def _file_of(path: str) -> tuple[str, int]:
    """Return a run's predictions file, and when it was written."""
    file = os.path.abspath(os.path.join(path, "predictions.npy"))
    return file, os.stat(file).st_mtime_ns if os.path.exists(file) else 0


@functools.lru_cache(maxsize=4096)
def _correct(file: str, written: int) -> tuple[bytes, np.ndarray] | None:
    """Return the true classes, as bytes, and which images a run got right; None if the file is missing or damaged."""
    try:
        true, predicted = np.load(file)
    except Exception:  # NumPy evaluates the header as Python, so a damaged one can raise anything
        return None
    return true.tobytes(), true == predicted
