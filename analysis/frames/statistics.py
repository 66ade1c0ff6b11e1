"""How much seeds and test images say about a figure: means, intervals, differences.

Accuracies come in as fractions. An interval that the data do not yield is None, never a guess.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

CONFIDENCE, LEVEL = 0.95, 0.05  # of intervals, and of verdicts


def side_of(low: float | None, high: float | None, value: float = 0.0) -> str:
    """Return `more` or `less` if an interval is above or below a value, `noise` if around it, `open` without one."""
    if low is None or high is None:
        return "open"
    return "more" if low > value else "less" if high < value else "noise"


@dataclass(frozen=True)
class Estimate:
    """A mean over n seeds, the sample standard deviation, and Student's 95 % interval for the mean.

    The deviation is None if n is 1; the interval is None then, too, and if the seeds do not differ.
    """

    mean: float
    std: float | None
    low: float | None
    high: float | None
    n: int

    def beside(self, value: float = 0.0) -> str:
        """Return on which side of a value the interval over seeds is; see `side_of`."""
        return side_of(self.low, self.high, value)


@dataclass(frozen=True)
class Difference:
    """How much B exceeds A, in percentage points, with a 95 % interval and its p; None for what is missing.

    An interval without p is not over seeds, but over test images, for exactly these runs. `with_images` is the interval
    over seeds and test images, if there are predictions, and `p_with_images` its p.
    """

    points: float
    low: float | None
    high: float | None
    p: float | None
    with_images: tuple[float, float] | None = None
    p_with_images: float | None = None

    @property
    def largest_p(self) -> float | None:
        """The larger p of the two intervals, for use in a correction for several verdicts; None if there is none."""
        return None if self.p is None else max(self.p, self.p_with_images or 0.0)

    @property
    def verdict(self) -> str:
        """What seeds say: `open` without an interval over them, `noise` if one includes zero, else `more` or `less`."""
        return "open" if self.p is None else side_of(*self.span)

    @property
    def span(self) -> tuple[float, float]:
        """The range covered by the intervals over seeds, and over seeds and images; raises ValueError without any."""
        if self.low is None or self.high is None:
            raise ValueError("there is no interval")
        low, high = self.with_images or (self.low, self.high)
        return min(low, self.low), max(high, self.high)


def estimate(values: ArrayLike) -> Estimate:
    """Return the mean of one figure per seed, with its interval; raises ValueError without a figure."""
    sample = _sample(values)
    n, mean = len(sample), float(np.mean(sample))
    if n < 2:
        return Estimate(mean, None, None, None, n)
    std = float(np.std(sample, ddof=1))
    if not np.ptp(sample):
        return Estimate(mean, 0.0, None, None, n)
    return Estimate(mean, std, *_interval(mean, std**2 / n, n - 1), n)


def welch(a: ArrayLike, b: ArrayLike) -> Difference:
    """Return how much the mean of `b` exceeds that of `a`, by Welch's test; see `contrast`."""
    return contrast((a, b), (-1, 1))


def contrast(
    samples: Sequence[ArrayLike], weights: Sequence[float], correct: Sequence[np.ndarray] | None = None
) -> Difference:
    """Return the weighted sum of the means of samples, in points, with Welch's interval.

    The degrees of freedom are Satterthwaite's. `correct` says, for each sample, which of the same images each seed got
    right (seeds x images); it adds the interval over seeds and images. If a sample has a single seed, or the seeds of
    no sample differ, there is no p, and the interval is that over images, if any. Raises ValueError if a sample has no
    figure.
    """
    arrays = [_sample(values) for values in samples]
    points = 100 * sum(weight * float(np.mean(array)) for weight, array in zip(weights, arrays))
    these, images = (None, None) if correct is None else image_variances(correct, weights)
    if min(map(len, arrays)) < 2 or not any(np.ptp(array) for array in arrays):
        return Difference(points, *((None, None) if these is None else _interval(points, these, math.inf)), None)
    parts = [100**2 * w**2 * float(np.var(array, ddof=1)) / len(array) for w, array in zip(weights, arrays)]
    seeds, terms = sum(parts), sum(part**2 / (len(array) - 1) for part, array in zip(parts, arrays))
    (low, high), p = _test(points, seeds, seeds**2 / terms)
    both = (None, None) if images is None else _test(points, seeds + images, (seeds + images) ** 2 / terms)
    return Difference(points, low, high, p, *both)


def image_variances(correct: Sequence[np.ndarray], weights: Sequence[float]) -> tuple[float, float]:
    """Return the variance, in squared points, that another set of images adds to a weighted sum of mean accuracies.

    The first value is for exactly these seeds. The second leaves out the interaction of seeds with images, which the
    variance between seeds already includes (crossed random effects; Owen 2007, "The pigeonhole bootstrap").
    """
    images = correct[0].shape[1]
    means = sum(100 * weight * own.mean(axis=0) for weight, own in zip(weights, correct))
    these = float(np.var(means, ddof=1)) / images
    interaction = sum(
        100**2 * weight**2 * float(np.var(own, axis=0, ddof=1).mean()) / len(own) / images
        for weight, own in zip(weights, correct)
        if len(own) > 1
    )
    return these, max(0.0, these - interaction)


def _interval(points: float, variance: float, dof: float) -> tuple[float, float]:
    margin = float(stats.t.ppf((1 + CONFIDENCE) / 2, dof)) * math.sqrt(variance)
    return points - margin, points + margin


def _test(points: float, variance: float, dof: float) -> tuple[tuple[float, float], float]:
    return _interval(points, variance, dof), 2 * float(stats.t.sf(abs(points) / math.sqrt(variance), dof))


@dataclass(frozen=True)
class PooledDeviation:
    """The standard deviation of one seed, pooled over configurations, with its 95 % interval, in percentage points.

    `alike` says whether the configurations' own deviations, `least` to `most`, differ no more than by chance.
    """

    std: float
    low: float
    high: float
    dof: int
    least: float
    most: float
    alike: bool


def pool(samples: Sequence[ArrayLike]) -> PooledDeviation | None:
    """Return the deviation pooled over samples of one figure per seed; None without two samples of two seeds.

    `alike` is by Bartlett's test at 5 %. If the seeds of a sample do not differ, it has no answer: None as well.
    """
    arrays = [array for values in samples if len(array := _sample(values)) > 1]
    if len(arrays) < 2 or not all(map(np.ptp, arrays)):
        return None
    stds = [100 * float(np.std(array, ddof=1)) for array in arrays]
    dof = sum(len(array) - 1 for array in arrays)
    std = math.sqrt(sum((len(array) - 1) * own**2 for array, own in zip(arrays, stds)) / dof)
    alike = not float(stats.bartlett(*arrays).pvalue) < LEVEL  # not a number: equal but for rounding
    low, high = (std * factor for factor in deviation_factors(dof))
    return PooledDeviation(std, low, high, dof, min(stds), max(stds), alike)


def deviation_factors(dof: int) -> tuple[float, float]:
    """Return the 95 % interval of a standard deviation, as factors of the measured one (chi-squared)."""
    low, high = (float(stats.chi2.ppf(part, dof)) for part in ((1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2))
    return math.sqrt(dof / low), math.sqrt(dof / high)


def holm(ps: Sequence[float]) -> list[float]:
    """Return p-values corrected for multiple comparisons (Holm 1979), in the order given."""
    order, corrected = np.argsort(ps, kind="stable"), np.empty(len(ps))
    corrected[order] = np.minimum(1, np.maximum.accumulate(np.arange(len(ps), 0, -1) * np.asarray(ps)[order]))
    return corrected.tolist()


def wilson(accuracy: float, images: int) -> tuple[float, float]:
    """Return the 95 % interval for one run's accuracy on `images` test images, as fractions."""
    interval = stats.binomtest(round(accuracy * images), images).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def binomial_difference(a: float, a_images: int, b: float, b_images: int) -> Difference:
    """Return how much accuracy `b` exceeds `a`, with an interval over test images (Newcombe 1998, method 10).

    It treats the two sets of images as independent. If they are the same set, the interval is rather wide.
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
