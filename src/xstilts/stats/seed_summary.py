"""Seed summary: the mean over a few values, one per seed, for tables.

>>> round(summary([70.0, 72.0, 74.0]).error, 3)
1.155
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev


@dataclass(frozen=True)
class Summary:
    """A mean over seeds with its 95 % interval (Student's t); NaN where a single value allows none.

    Attributes:
        mean: The mean.
        error: Its standard error.
        low: The lower end of the interval.
        high: The upper end.
        count: The number of values.
    """

    mean: float
    error: float
    low: float
    high: float
    count: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.low > 0 or self.high < 0

    def within(self, low: float, high: float) -> Summary:
        """Return the same with an interval that ends at the smallest and the largest value that there can be.

        >>> summary([0.0, 90.0]).within(-100.0, 100.0).high
        100.0
        """
        return replace(self, low=max(self.low, low), high=min(self.high, high))  # NaN stays NaN


def summary(values: Sequence[float]) -> Summary:
    """Return the mean over independent values with its standard error and 95 % interval.

    Args:
        values: One for each seed, at least one.

    Returns:
        The summary.
    """
    from scipy.stats import t

    count, mean = len(values), fmean(values)
    if count < 2:
        return Summary(mean, math.nan, math.nan, math.nan, count)
    error = stdev(values) / math.sqrt(count)
    half = float(t.ppf(0.975, count - 1)) * error
    return Summary(mean, error, mean - half, mean + half, count)


def gain(before: Sequence[float], after: Sequence[float]) -> Summary:
    """Return the mean gain over seeds, with its standard error and 95 % interval.

    Args:
        before: Scores without the treatment, one for each seed.
        after: Scores with it, of the same seeds in the same order.

    Returns:
        The summary of the differences `after - before`.
    """
    return summary([b - a for a, b in zip(before, after, strict=True)])
