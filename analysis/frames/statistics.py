"""What seeds and test images say about a figure, and how far: means, intervals, differences.

Accuracies come in as fractions. An interval that the data do not yield is None, never a guess.
"""

import math
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over n seeds, its sample deviation, and Student's 95 % interval for it; None where n is 1."""

    mean: float
    std: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Difference:
    """How much B exceeds A, in percentage points, with its 95 % interval and p; None where there is none.

    An interval without p is not over seeds, but over test images.
    """

    points: float
    low: float | None
    high: float | None
    p: float | None

    @property
    def verdict(self) -> str:
        """What seeds say: `open` without an interval over them, `noise` if it includes zero, else `more` or `less`."""
        if self.p is None or self.low is None or self.high is None:
            return "open"
        return "more" if self.low > 0 else "less" if self.high < 0 else "noise"


def estimate(values: ArrayLike) -> Estimate:
    """Return what one figure per seed says about its mean; raises ValueError without a figure."""
    sample = _sample(values)
    n, mean = len(sample), float(np.mean(sample))
    if n < 2:
        return Estimate(mean, None, None, None, n)
    std = float(np.std(sample, ddof=1))
    margin = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * std / math.sqrt(n)
    return Estimate(mean, std, mean - margin, mean + margin, n)


def welch(a: ArrayLike, b: ArrayLike) -> Difference:
    """Return how much the mean of `b` exceeds that of `a`, by Welch's test.

    Without interval and p where a side has a single seed, or where the seeds of neither side differ.
    Raises ValueError where a side has no figure.
    """
    sample_a, sample_b = _sample(a), _sample(b)
    points = 100 * float(np.mean(sample_b) - np.mean(sample_a))
    if min(len(sample_a), len(sample_b)) < 2 or np.ptp(sample_a) == np.ptp(sample_b) == 0:
        return Difference(points, None, None, None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # one side without any spread is all right
        test = stats.ttest_ind(sample_b, sample_a, equal_var=False)
        interval = test.confidence_interval(CONFIDENCE)
    return Difference(points, 100 * float(interval.low), 100 * float(interval.high), float(test.pvalue))


def wilson(accuracy: float, images: int) -> tuple[float, float]:
    """Return the 95 % interval that `images` test images put on one run's accuracy, as fractions."""
    interval = stats.binomtest(round(accuracy * images), images).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def binomial_difference(a: float, a_images: int, b: float, b_images: int) -> Difference:
    """Return how much accuracy `b` exceeds `a` as far as the test images tell (Newcombe 1998, method 10).

    It takes the two sets of images for independent ones. For one set, read twice, that is on the wide side.
    """
    (a_low, a_high), (b_low, b_high) = wilson(a, a_images), wilson(b, b_images)
    low = b - a - math.hypot(b - b_low, a_high - a)
    high = b - a + math.hypot(b_high - b, a - a_low)
    return Difference(100 * (b - a), 100 * low, 100 * high, None)


def _sample(values: ArrayLike) -> np.ndarray:
    sample = np.asarray(values, dtype=float)
    if len(sample) == 0 or not np.isfinite(sample).all():
        raise ValueError(f"needs at least one figure, all of them finite: {sample.tolist()}")
    return sample
