"""How often the study of depth detects a true difference, over seeds: `table` simulates its contrasts.

Contrasts are of two networks whose accuracies are normally distributed over seeds; test images are left out.
"""

import numpy as np
from contrasts import CLOSE, SEEDS
from rates import as_table
from scipy import stats

from analysis.frames.statistics import LEVEL

ROUNDS = 20_000  # studies per cell: a standard error of at most 0.4 %
DEVIATIONS = ((0.3, 0.3), (0.3, 0.74), (0.3, 1.0))  # of the two networks, in points
LEVELS = (LEVEL / 2, LEVEL)  # Holm's for the last two contrasts, if the first two are found; and uncorrected
DIFFERENCES = (0.5, 0.75, 1.0, 2.0)  # true ones, in points


def simulate(deviations: tuple[float, float], difference: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the difference, p and half-width of the interval that Welch's test finds in each of many studies."""
    shape = ROUNDS, len(SEEDS)
    samples = [np.random.default_rng(place).normal(0, std, shape) for place, std in enumerate(deviations)]
    samples[1] += difference
    found = stats.ttest_ind(samples[1], samples[0], axis=1, equal_var=False)
    low, high = found.confidence_interval(1 - LEVEL)
    return samples[1].mean(axis=1) - samples[0].mean(axis=1), found.pvalue, (high - low) / 2


def power(deviations: tuple[float, float], difference: float) -> str:
    """Return in what percentage of studies the difference gets a verdict: at Holm's level, and uncorrected."""
    points, ps, _ = simulate(deviations, difference)
    return share(*((ps < level) & (points > 0) for level in LEVELS))


def closeness(deviations: tuple[float, float]) -> str:
    """Return what percentage of studies say `less than a point either way` when there is no difference."""
    points, ps, half = simulate(deviations, 0)
    return share(*((np.abs(points) + half < CLOSE) & (ps >= level) for level in LEVELS))


def share(strict: np.ndarray, plain: np.ndarray) -> str:
    """Return the percentage of studies with an outcome, at both levels."""
    return " to ".join(dict.fromkeys(f"{100 * part:.0f}" for part in sorted((strict.mean(), plain.mean())))) + " %"


def table() -> str:
    """Return a table of the power, a row for each pair of deviations."""
    heads = ["standard deviations", *(f"{difference:g}" for difference in DIFFERENCES), '"less than a point", at 0']
    rows = []
    for deviations in DEVIATIONS:
        cells = (power(deviations, difference) for difference in DIFFERENCES)
        rows.append([" and ".join(f"{std:g}" for std in deviations), *cells, closeness(deviations)])
    return as_table(heads, rows)
