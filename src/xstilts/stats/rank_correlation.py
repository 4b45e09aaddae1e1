"""Rank correlation: whether predicted gains are in the order of the true ones.

>>> correlation([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 6, 5]).value > 0.9
True
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from xstilts.errors import InputError


@dataclass(frozen=True)
class Correlation:
    """A rank correlation and its interval; all NaN with fewer than five pairs, or where one side does not vary.

    Attributes:
        value: The correlation, from -1 to 1.
        low: The lower end of its interval.
        high: The upper end.
        count: The number of pairs.
    """

    value: float
    low: float
    high: float
    count: int


def correlation(
    first: Sequence[float],
    second: Sequence[float],
    kind: Literal["spearman", "kendall"] = "spearman",
    level: float = 0.95,
) -> Correlation:
    """Return a rank correlation with an interval by Fisher's z.

    The variance of z is (1 + r²/2) / (n - 3) for Spearman (Bonett & Wright 2000), 0.437 / (n - 4) for Kendall's tau-b
    (Fieller et al. 1957).

    Args:
        first: Values of one side.
        second: Values of the other side, in the same order.
        kind: Which coefficient.
        level: The level of the interval.

    Returns:
        The correlation.

    Raises:
        InputError: The sides differ in length.
    """
    from scipy.stats import kendalltau, norm, spearmanr

    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if len(x) != len(y):
        raise InputError(f"expected pairs, found {len(x)} and {len(y)} values; give both of every pair")
    n = len(x)
    if n < 5 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return Correlation(math.nan, math.nan, math.nan, n)
    value = float(spearmanr(x, y).statistic if kind == "spearman" else kendalltau(x, y).statistic)
    variance = (1 + value**2 / 2) / (n - 3) if kind == "spearman" else 0.437 / (n - 4)
    half = float(norm.ppf((1 + level) / 2)) * math.sqrt(variance)
    z = math.atanh(min(max(value, -1 + 1e-9), 1 - 1e-9))
    return Correlation(value, math.tanh(z - half), math.tanh(z + half), n)
