"""How often the study of depth finds a difference that is there, over seeds: `table` simulates its contrasts.

Contrasts are of two networks, with seeds that are normally distributed; test images are left out.
"""

import numpy as np
from contrasts import CLOSE, SEEDS
from rates import as_table
from scipy import stats

from analysis.frames.statistics import LEVEL

ROUNDS = 20_000  # studies per cell: a standard error of at most 0.4 %
DEVIATIONS = ((0.3, 0.3), (0.3, 0.74), (0.3, 1.0))  # of the two networks, in points
LEVELS = (LEVEL / 2, LEVEL)  # Holm's for the last two contrasts, the first two taken as found, and uncorrected
DIFFERENCES = (0.5, 0.75, 1.0, 2.0)  # that are there, in points


def simulate(deviations: tuple[float, float], difference: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the difference, p and half the interval that Welch's test finds in each of many studies."""
    shape = ROUNDS, len(SEEDS)
    samples = [np.random.default_rng(place).normal(0, std, shape) for place, std in enumerate(deviations)]
    samples[1] += difference
    found = stats.ttest_ind(samples[1], samples[0], axis=1, equal_var=False)
    low, high = found.confidence_interval(1 - LEVEL)
    return samples[1].mean(axis=1) - samples[0].mean(axis=1), found.pvalue, (high - low) / 2


def power(deviations: tuple[float, float], difference: float) -> str:
    """Return in how many of 100 studies the difference gets a verdict: by Holm's level, and without it."""
    points, ps, _ = simulate(deviations, difference)
    return share(*((ps < level) & (points > 0) for level in LEVELS))


def closeness(deviations: tuple[float, float]) -> str:
    """Return in how many of 100 studies `less than a point either way` is said where nothing is there."""
    points, ps, half = simulate(deviations, 0)
    return share(*((np.abs(points) + half < CLOSE) & (ps >= level) for level in LEVELS))


def share(strict: np.ndarray, plain: np.ndarray) -> str:
    """Return how many of 100 studies have an outcome, by both levels."""
    return " to ".join(dict.fromkeys(f"{100 * part:.0f}" for part in sorted((strict.mean(), plain.mean())))) + " %"


def table() -> str:
    """Return a table of the power, a row for each pair of deviations."""
    heads = ["standard deviations", *(f"{difference:g}" for difference in DIFFERENCES), '"less than a point", at 0']
    rows = []
    for deviations in DEVIATIONS:
        cells = (power(deviations, difference) for difference in DIFFERENCES)
        rows.append([" and ".join(f"{std:g}" for std in deviations), *cells, closeness(deviations)])
    return as_table(heads, rows)
