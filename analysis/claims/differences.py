"""Differences between groups of runs, with the noise of seeds and, if there are predictions, of test images."""

from collections.abc import Sequence

import pandas as pd

from analysis.claims.predictions import correct_of
from analysis.frames.statistics import Difference, binomial_difference, contrast

HEADLINE = "test_acc"


def difference(a: pd.DataFrame, b: pd.DataFrame, measure: str) -> Difference | None:
    """Return how much runs `b` exceed runs `a`, by `weigh`.

    If that gives no interval for the test accuracy, `binomial_difference` gives one over test images.
    """
    found = weigh((a, b), (-1, 1), measure)
    if found is None or measure != HEADLINE or found.low is not None:
        return found
    images = [int(side["test_images"].iloc[0]) for side in (a, b)]
    means = [float(side[measure].dropna().mean()) for side in (a, b)]
    return binomial_difference(means[0], images[0], means[1], images[1])


def weigh(groups: Sequence[pd.DataFrame], weights: Sequence[float], measure: str = HEADLINE) -> Difference | None:
    """Return a weighted sum of the groups' means with its intervals; None if a group lacks the measure."""
    groups = [runs.dropna(subset=measure) for runs in groups]
    if any(runs.empty for runs in groups):
        return None
    correct = correct_of([list(runs["path"]) for runs in groups]) if measure == HEADLINE else None
    return contrast([runs[measure] for runs in groups], weights, correct)
