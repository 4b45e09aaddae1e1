"""Power: the smallest effect that a number of seeds detects, and the number of seeds that detects an effect.

Power is computed for the interval of `estimates`, with the observed variances as the true ones. More seeds reduce only
the variance between seeds: below some effect no number of them is enough, and only more examples or languages help.

>>> from xstilts.stats.estimates import Estimate
>>> found = Estimate(0.8, between=1.0, count=3, units=0.01)
>>> (round(detectable(found), 1), seeds_needed(found, 0.8))
(3.3, 16)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from xstilts.metrics.base import Array
from xstilts.stats.estimates import PULL, Estimate, chi_square, halves

MOST = 4096  # seeds; where more would be needed, seeds are not the remedy


@dataclass(frozen=True)
class PowerTarget:
    """What counts as detecting an effect: an interval that leaves out the null value.

    Attributes:
        level: The level of the interval.
        guarded: Whether the guarded p-value must be below 1 - level, as in a family of claims.
        within: For equivalence, the margin that the interval must lie within; 0 for a test of difference.
    """

    level: float = 0.95
    guarded: bool = False
    within: float = 0.0


ALONE = PowerTarget()
GRID = (1 - np.cos(np.linspace(0, np.pi, 25))) / 2


def power(found: Estimate, effect: float, aim: PowerTarget = ALONE) -> float:
    """Return the probability of detecting an effect.

    Args:
        found: An estimate, whose variances and number of seeds are used.
        effect: The true distance from the null value; for equivalence, from 0.
        aim: What counts as detecting it.

    Returns:
        The power, between 0 and 1; NaN with one replicate.
    """
    if not found.error > 0:
        reached = abs(effect) < aim.within if aim.within else effect != 0
        return float(reached) if found.error == 0 else math.nan
    return _chance(effect, aim.within, found, *_limits(found, aim))


def detectable(found: Estimate, chance: float = 0.8, aim: PowerTarget = ALONE) -> float:
    """Return the smallest effect that is detected with a given power.

    Args:
        found: An estimate, whose variances and number of seeds are used.
        chance: The power.
        aim: What counts as detecting it.

    Returns:
        The distance from the null value; for equivalence, the smallest margin within which a true value of 0 is shown
        to lie. NaN with one replicate.
    """
    from scipy.optimize import brentq

    if not found.error > 0:
        return 0.0 if found.error == 0 else math.nan
    limits = _limits(found, aim)

    def short(size: float) -> float:
        effect, margin = (0.0, size) if aim.within else (size, 0.0)
        return _chance(effect, margin, found, *limits) - chance

    # The power grows with the size, so doubling brackets the root.
    top = found.error
    while short(top) < 0:
        top *= 2
    return float(brentq(short, 1e-9 * top, top, xtol=1e-6 * top))


def seeds_needed(found: Estimate, effect: float, chance: float = 0.8, aim: PowerTarget = ALONE) -> int | None:
    """Return how many seeds detect an effect with a given power.

    Args:
        found: An estimate, whose variances are used.
        effect: The true distance from the null value; for equivalence, from 0.
        chance: The power.
        aim: What counts as detecting it.

    Returns:
        The number of seeds; None where no number is enough, or with one replicate.
    """

    def enough(count: int) -> bool:
        return power(replace(found, count=count), abs(effect), aim) >= chance

    if not found.error >= 0 or (effect == 0 and not aim.within) or not enough(MOST):
        return None
    low, high = found.lost, MOST  # too few, enough
    while high - low > 1:
        middle = math.isqrt(low * high) if high > 2 * low + 2 else (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _limits(estimate: Estimate, aim: PowerTarget) -> tuple[Array, Array]:
    """Return the half widths of intervals that may be observed, and their probabilities."""
    degrees = estimate.count - estimate.lost
    first, of_first = chi_square(degrees)
    second, of_second = chi_square(estimate.degrees, points=21)
    seeds = (estimate.between / estimate.count * first[:, None] + 0 * second).ravel()
    units = (estimate.units * second + 0 * first[:, None]).ravel()
    share = seeds / (seeds + units)  # on which alone the width in standard errors depends
    wide = np.interp(share, GRID, _widths(degrees, estimate.degrees, 1 - aim.level, 0.0 if aim.guarded else PULL))
    return wide * np.sqrt(seeds + units), np.outer(of_first, of_second).ravel()


# Widths depend on the degrees of freedom alone, through which a search for the number of seeds runs again and again.
@lru_cache(maxsize=4096)
def _widths(seed_degrees: float, unit_degrees: float, miss: float, pull: float) -> Array:
    """Return half the widths of intervals in standard errors, at the shares of the seeds' variance in `GRID`."""
    return halves(GRID, 1 - GRID, seed_degrees, unit_degrees, miss, pull)


def _chance(effect: float, within: float, estimate: Estimate, wide: Array, weights: Array) -> float:
    """Return the probability that the interval leaves out the null value, or lies within ± `within`."""
    from scipy.special import ndtr

    if not within:
        return float(weights @ (ndtr((effect - wide) / estimate.error) + ndtr((-effect - wide) / estimate.error)))
    room = np.maximum(within - wide, 0.0)
    return float(weights @ (ndtr((room - effect) / estimate.error) - ndtr((-room - effect) / estimate.error)))
