"""Power: what these seeds could have shown, and how many it would take.

Computed for the very interval of `estimates`, the observed variances taken for the true ones. More seeds lessen the
seeds' part only: below some effect no number of them is enough, and only more examples, or languages, help.

>>> from xstilts.stats.estimates import Estimate
>>> found = Estimate(0.8, between=1.0, count=3, units=0.01)
>>> (round(detectable(found), 1), seeds_needed(found, 0.8))
(3.3, 16)
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from xstilts.metrics.score import Array
from xstilts.stats.estimates import PULL, Estimate, chi_square, halves

MOST = 4096  # seeds; where more would be needed, seeds are not the remedy


def power(found: Estimate, effect: float, level: float = 0.95, guarded: bool = False) -> float:
    """Return the probability that the interval of a value `effect` away from the null leaves the null out.

    guarded: that its guarded p-value is below 1 - level, as in a family.
    """
    if not found.error > 0:
        return float(effect != 0) if found.error == 0 else math.nan
    return _beyond(effect, found, *_limits(found, level, 0.0 if guarded else PULL))


def detectable(found: Estimate, chance: float = 0.8, level: float = 0.95) -> float:
    """Return the smallest distance from the null that is found with probability `chance`; NaN with one replicate."""
    from scipy.optimize import brentq

    if not found.error > 0:
        return 0.0 if found.error == 0 else math.nan
    limits = _limits(found, level)
    top = found.error
    while _beyond(top, found, *limits) < chance:
        top *= 2
    return float(brentq(lambda effect: _beyond(effect, found, *limits) - chance, 0.0, top, xtol=1e-6 * top))


def seeds_needed(
    found: Estimate, effect: float, chance: float = 0.8, level: float = 0.95, guarded: bool = False
) -> int | None:
    """Return how many seeds find `effect` with probability `chance`; None where no number does, or is not known."""
    effect = abs(effect)

    def enough(count: int) -> bool:
        return power(replace(found, count=count), effect, level, guarded) >= chance

    if not found.error >= 0 or effect == 0 or not enough(MOST):
        return None
    low, high = found.lost, MOST  # too few, enough
    while high - low > 1:
        middle = math.isqrt(low * high) if high > 2 * low + 2 else (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _limits(found: Estimate, level: float, pull: float = PULL) -> tuple[Array, Array]:
    """Return half widths that may be observed, and their probabilities."""
    degrees = found.count - found.lost
    first, of_first = chi_square(degrees)
    second, of_second = chi_square(found.degrees, points=21)
    seeds = (found.between / found.count * first[:, None] + 0 * second).ravel()
    units = (found.units * second + 0 * first[:, None]).ravel()
    share = seeds / (seeds + units)  # on which alone the width in standard errors depends
    grid = (1 - np.cos(np.linspace(0, np.pi, 25))) / 2
    wide = np.interp(share, grid, halves(grid, 1 - grid, degrees, found.degrees, 1 - level, pull))
    return wide * np.sqrt(seeds + units), np.outer(of_first, of_second).ravel()


def _beyond(effect: float, found: Estimate, wide: Array, weights: Array) -> float:
    from scipy.special import ndtr

    return float(weights @ (ndtr((effect - wide) / found.error) + ndtr((-effect - wide) / found.error)))
