"""What each run made of each test image, and its accuracy in many sets of images drawn with replacement."""

import functools
import os
from collections.abc import Sequence

import numpy as np

SETS = 1000  # of test images, drawn with replacement


def file_of(path: str) -> tuple[str, int]:
    """Return a run's file of predictions, and when it was written."""
    file = os.path.abspath(os.path.join(path, "predictions.npy"))
    return file, os.stat(file).st_mtime_ns if os.path.exists(file) else 0


@functools.lru_cache(maxsize=4096)
def load_hits(file: tuple[str, int]) -> tuple[bytes, np.ndarray] | None:
    """Return the true classes, as bytes, and which images a run got right; None without whole predictions."""
    try:
        true, predicted = np.load(file[0])
    except (OSError, ValueError, EOFError):
        return None
    return true.tobytes(), true == predicted


@functools.lru_cache(maxsize=2)
def _image_sets(images: int) -> np.ndarray:
    """Return how often each image is in each set, as shares of its images: SETS x images."""
    drawn = np.random.default_rng(0).integers(images, size=(SETS, images), dtype=np.int32)
    drawn += np.arange(SETS, dtype=np.int32)[:, None] * images
    counts = np.bincount(drawn.ravel(), minlength=SETS * images).reshape(SETS, images)
    return counts.astype(np.float32) / np.float32(images)


@functools.lru_cache(maxsize=4096)
def _in_sets(file: tuple[str, int]) -> np.ndarray:
    """Return a run's accuracy in each set of images."""
    found = load_hits(file)
    assert found is not None
    return (_image_sets(len(found[1])) @ found[1].astype(np.float32)).astype(float)


def accuracies(groups: Sequence[Sequence[str]]) -> list[np.ndarray] | None:
    """Return, for each group of run folders, the accuracy of each run in the same sets of test images.

    None where a run has no predictions, or where they are not about the same images.
    """
    files = [[file_of(path) for path in paths] for paths in groups]
    found = [load_hits(file) for part in files for file in part]
    if not found or None in found or len({hits[0] for hits in found if hits is not None}) > 1:
        return None
    return [np.stack([_in_sets(file) for file in part]) for part in files]
