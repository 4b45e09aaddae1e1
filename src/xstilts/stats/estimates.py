"""Estimates: a value with two variances, and the one distribution behind its interval and its p-value.

A mean over few seeds varies for two reasons: the seeds (their variance is known from the seeds alone, with one degree
of freedom fewer than there are seeds) and the examples, which all seeds share (known from the examples, as good as
exactly). Student's t on the seeds forgets the examples; resampling seeds is far too narrow for two to five of them;
Satterthwaite's degrees of freedom cover 87 % instead of 95 % with two seeds, Banerjee's and Behrens and Fisher's
interval 99 %. So the unknown true variance `s` of the seeds' part is averaged over, given the observed one `v` with `d`
degrees of freedom and the examples' part `u`: a posterior (Box & Tiao 1973, chapter 5) under a prior proportional to
`(s + PULL u) / s²`. It is a mixture: d v / chi² with d degrees, in proportion v, and with d + 2, in proportion PULL u.
Where the examples are negligible this is exactly Student's t, where the seeds are exactly the normal. PULL was
chosen by computing the coverage for every ratio of the two parts: of 95 % intervals 93.7 to 97.0 % cover with two
seeds, 94.9 to 96.6 % with three, closer with more. At the small levels of a family of claims two seeds are not enough
for that (99 % intervals cover 97.5 to 99.5 %), so that there PULL is nothing and the p-value Behrens and Fisher's,
which covers too much but never too little (Robinson 1976).

>>> low, high = Estimate(0.0, between=2.0, count=2).interval()  # no examples: Student's t with one degree of freedom
>>> round(high, 3)
12.706
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from xstilts.metrics.base import Array

PULL = 0.15
TIED = 0.01  # share of the floor that seeds are taken to vary by where they agree; more would cost power
KNOWN = 200  # degrees of freedom from which a variance counts as known: its t is within 0.7 % of the normal's


@dataclass(frozen=True)
class Estimate:
    """A value, its variance from seed to seed and its variance through what all seeds share.

    Attributes:
        value: The estimate.
        between: The variance of one seed's value.
        count: The number of seeds, or of other replicates.
        units: The variance of `value` that more seeds would not reduce (examples, languages).
        degrees: The degrees of freedom of `units`.
        lost: The degrees of freedom that the value costs: one for a mean, two for a slope.
        floor: The variance between seeds that is expected from examples alone; see `p`.
        bounds: The smallest and the largest value that there can be; intervals end there.
    """

    value: float
    between: float
    count: int
    units: float = 0.0
    degrees: float = math.inf
    lost: int = 1
    floor: float = 0.0
    bounds: tuple[float, float] = (-math.inf, math.inf)

    @property
    def error(self) -> float:
        """The standard error; NaN where there are too few replicates for one."""
        return math.sqrt(self.between / self.count + self.units) if self.count > self.lost else math.nan

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the interval of the value.

        Args:
            level: The probability with which the interval covers the true value.

        Returns:
            Its ends, within the bounds; NaN where there are too few replicates for one.
        """
        if not self.error > 0:
            return self.value + 0 * self.error, self.value + 0 * self.error
        half = _half(self.between / self.count, self.units, self.count - self.lost, self.degrees, 1 - level)
        return max(self.value - half, self.bounds[0]), min(self.value + half, self.bounds[1])

    def p(self, null: float = 0.0, guarded: bool = False) -> float:
        """Return the two-sided p-value of the true value being `null`: below 0.05 if the 95 % interval leaves it out.

        Bounds shorten intervals and change no p-value.

        Args:
            null: The value to test against.
            guarded: Whether to use Behrens and Fisher's p-value, which is never smaller and safe at the small levels
                of a family of claims. Two seeds with equal scores then do not count as seeds that do not vary: their
                variance is at least a share of `floor`.

        Returns:
            The p-value; NaN with too few replicates.
        """
        distance = abs(self.value - null)
        if not self.error > 0:
            return math.nan if math.isnan(self.error) else float(distance == 0)
        between = max(self.between, TIED * self.floor) if guarded else self.between
        parts = np.array([between / self.count]), np.array([self.units])
        probabilities = tails(
            np.array([distance]), *parts, self.count - self.lost, self.degrees, 0.0 if guarded else PULL
        )
        return min(float(probabilities[0]), 1.0)


def tails(
    distance: Array, seeds: Array, units: Array, seed_degrees: float, unit_degrees: float, pull: float = PULL
) -> Array:
    """Return the two-sided probability of being at least `distance` from the true value, for each of several estimates.

    All arrays have one axis and the same length: one entry for each estimate.

    Args:
        distance: Distances from the true value.
        seeds: Estimated variances of the values through seeds.
        units: Estimated variances through what all seeds share (examples, languages).
        seed_degrees: The degrees of freedom of `seeds`.
        unit_degrees: The degrees of freedom of `units`; infinity where it is known.
        pull: The weight of `units` in the prior; 0 gives Behrens and Fisher's probabilities.

    Returns:
        The probabilities.
    """
    from scipy.special import erfc

    second, of_second = chi_square(unit_degrees, points=15 if unit_degrees > 4 else 41)
    shared = units[:, None, None] / second
    total = np.zeros(len(distance))
    mixture = seeds + pull * units
    for degrees, part in ((seed_degrees, seeds), (seed_degrees + 2, pull * units)):
        first, of_first = chi_square(degrees, known=math.inf)
        spread = seeds[:, None, None] * (seed_degrees / degrees) / first[:, None] + shared
        ratio = distance[:, None, None] / np.sqrt(2 * np.maximum(spread, 1e-300))
        beyond = np.einsum("aij,i,j->a", erfc(ratio), of_first, of_second)
        # With neither variance, `full_like` gives all weight to the first component, which is a point at zero.
        mixed = np.divide(part, mixture, out=np.full_like(mixture, float(part is seeds)), where=mixture > 0)
        total += mixed * beyond
    return total


def halves(
    seeds: Array, units: Array, seed_degrees: float, unit_degrees: float, miss: float, pull: float = PULL
) -> Array:
    """Return half the widths of the intervals that miss the true value with probability `miss`; the inverse of `tails`.

    Args:
        seeds: Estimated variances of the values through seeds, one for each interval.
        units: Estimated variances through what all seeds share, as many.
        seed_degrees: The degrees of freedom of `seeds`.
        unit_degrees: The degrees of freedom of `units`; infinity where it is known.
        miss: One minus the level of the intervals.
        pull: The weight of `units` in the prior; 0 gives Behrens and Fisher's intervals.

    Returns:
        Half the widths.
    """
    scale = np.sqrt(np.maximum(seeds + units, 1e-300))
    low, high = np.full(len(scale), -4.0), np.full(len(scale), 12.0)  # logarithms, in standard errors
    # Bisection: 30 halvings of a range of 16 in logarithms, a relative precision of 1e-8.
    for _ in range(30):
        middle = (low + high) / 2
        wide = tails(np.exp(middle) * scale, seeds, units, seed_degrees, unit_degrees, pull) < miss
        low, high = np.where(wide, low, middle), np.where(wide, middle, high)
    return np.asarray(np.exp((low + high) / 2) * scale, dtype=np.float64)


# A report asks for the interval of one estimate in its claims, tables and charts, and `verify` for all of them again.
@lru_cache(maxsize=65536)
def _half(seeds: float, units: float, seed_degrees: float, unit_degrees: float, miss: float) -> float:
    """Return half the width of one interval, as `halves` does of many."""
    return float(halves(np.array([seeds]), np.array([units]), seed_degrees, unit_degrees, miss)[0])


@lru_cache(maxsize=256)
def chi_square(degrees: float, known: float = KNOWN, points: int = 81) -> tuple[Array, Array]:
    """Return points and weights that integrate over chi²/degrees: the trapezoid rule on the logarithm.

    Args:
        degrees: The degrees of freedom.
        known: From how many degrees on the variable counts as the constant 1.
        points: How many points.

    Returns:
        The values of chi² over its degrees of freedom, and their weights, which sum to 1.
    """
    from scipy.stats import chi2

    if degrees >= known:
        return np.ones(1), np.ones(1)
    ends = np.log(np.array([chi2.ppf(1e-10, degrees), chi2.isf(1e-12, degrees)]))
    values = np.exp(np.linspace(ends[0], ends[1], points))
    weights = chi2.pdf(values, degrees) * values
    return values / degrees, weights / weights.sum()
