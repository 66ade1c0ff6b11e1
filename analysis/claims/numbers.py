"""Numbers in sentences: factors, intervals over seeds, how many seeds there are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # this imports scipy, which takes as long as all the rest of a table
    from analysis.frames.statistics import Difference, Estimate

OPEN = "Whether other seeds agree is open."


def unclear(verdict: str, what: str = "difference between them") -> str:
    """Return a sentence saying that a question is open or that a result could be noise; empty if it is clear."""
    return {"open": OPEN, "noise": f"No {what} can be claimed: it could be noise."}.get(verdict, "")


def count_seeds(n: int) -> str:
    """Return `3 seeds`."""
    return "a single seed" if n == 1 else f"{n} seeds"


def say_sides(seeds: tuple[int, int]) -> str:
    """Return how many seeds the two sides of a comparison have."""
    return f"{count_seeds(seeds[0])} each" if len(set(seeds)) == 1 else f"{seeds[0]} and {seeds[1]} seeds"


def say_twins(seeds: tuple[int, int]) -> str:
    """Return how many seeds plain networks (the first side) and residual ones have."""
    plain, residual = seeds
    return say_sides(seeds) if plain == residual else f"{residual} residual, {plain} plain seeds"


def say_mean(mean: float, std: float | None = None, digits: int = 2) -> str:
    """Return a mean, with its standard deviation over seeds if there is one."""
    return f"{mean:.{digits}f}" + ("" if std is None or math.isnan(std) else f" ± {std:.{digits}f}")


def signed(points: float) -> str:
    """Return percentage points to two decimals; what rounds to zero is +0.00, never -0.00."""
    return f"{round(points, 2) + 0.0:+.2f}"


def span(low: float, high: float, say: Callable[[float], str]) -> str:
    """Return an interval on one side of zero without its sign: `1.3 to 27`."""
    return " to ".join(map(say, sorted(map(abs, (low, high)))))


def ends(low: float, high: float) -> str:
    """Return `1.2 to 1.6`, or `1.2` if both round to that."""
    return " to ".join(dict.fromkeys(f"{end:.1f}" for end in (low, high)))


def say_factor(factor: float, digits: int = 2) -> str:
    """Return a factor to so many significant digits: 0.012, 3.2, 1,200; from 1e8 as 2.7e11."""
    if abs(factor) >= 1e8:
        mantissa, exponent = f"{factor:.1e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    rounded = float(f"{factor:.{digits}g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 10 ** (digits - 1) else f"{rounded:g}"


def say_factors(found: Difference) -> str:
    """Return by what factor a ratio differs, given the difference of its log10 in hundredths."""
    factors = span(*found.span, lambda points: say_factor(10 ** (points / 100)))
    return f"{'larger' if found.verdict == 'more' else 'smaller'} by a factor of {factors}"


def say_fine(factor: float) -> str:
    """Return a factor near one."""
    return f"{factor:.3f}"


def say_cosine(cosine: float) -> str:
    """Return a cosine to two decimals, never as -0.00."""
    return f"{round(cosine, 2) + 0.0:.2f}"


def say_log(found: Estimate, say: Callable[[float], str] = say_factor) -> str:
    """Return the number whose log10 was estimated."""
    return say(10**found.mean)


def say_interval(found: Estimate, say: Callable[[float], str] = say_factor, name: bool = True) -> str:
    """Return the interval over seeds of the number whose log10 was estimated; if there is none, how many seeds."""
    if found.low is None or found.high is None:
        return count_seeds(found.n)
    interval = f"{say(10**found.low)} to {say(10**found.high)}"
    return f"95 % interval {interval}, {count_seeds(found.n)}" if name else interval


def in_a_row(items: Iterable[Any]) -> str:
    """Return `8, 14 and 20`."""
    texts: Sequence[str] = [str(item) for item in items]
    return " and ".join(filter(None, (", ".join(texts[:-1]), *texts[-1:])))
