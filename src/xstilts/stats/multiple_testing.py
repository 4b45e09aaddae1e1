"""Multiple testing: p-values corrected for their number, and replicates that are the same result twice.

>>> [round(float(one), 3) for one in holm([0.01, 0.04, 0.03])]
[0.03, 0.06, 0.06]
>>> distinct(["9f", "9f", "c4"], [70.0, 70.0, 72.0])  # an untrained baseline has one result, whatever the seed
(70.0, 72.0)
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from xstilts.errors import InputError
from xstilts.metrics.base import Array


def holm(values: Sequence[float], weights: Sequence[float] | None = None) -> Array:
    """Adjust p-values for their number by Holm's procedure.

    Args:
        values: The p-values; NaN stays NaN and does not count.
        weights: The share of the level that each has, above 0, fixed beforehand; None for equal shares.

    Returns:
        The adjusted p-values in the same order.

    Source:
        Holm 1979; section 5 for the weights.

    >>> [round(float(one), 3) for one in holm([0.02, 0.02], [3, 1])]
    [0.027, 0.027]
    """
    p_values = np.asarray(values, dtype=np.float64)
    shares = np.ones(len(p_values)) if weights is None else np.asarray(weights, dtype=np.float64)
    adjusted = np.full(len(p_values), np.nan)
    measured = np.flatnonzero(~np.isnan(p_values))
    order = measured[np.argsort(p_values[measured] / shares[measured], kind="stable")]
    remaining = np.cumsum(shares[order][::-1])[::-1]  # of the level, from each on
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * (remaining / shares[order])), 1.0)
    return adjusted


def distinct(keys: Sequence[Hashable], values: Sequence[float], refuse: bool = False) -> tuple[float, ...]:
    """Return one value for each distinct key, in order.

    Args:
        keys: The keys.
        values: The value of each key.
        refuse: Whether to refuse a key that occurs twice with the same value, instead of merging both.

    Returns:
        The values.

    Raises:
        InputError: A key has two values, or occurs twice and `refuse` is set.
    """
    distinct_values: dict[Hashable, float] = {}
    for key, value in zip(keys, values, strict=True):
        if key in distinct_values and distinct_values[key] != value:
            raise InputError(
                f"key '{key}' has two values, {distinct_values[key]} and {value}; a result has one: score it again"
            )
        if key in distinct_values and refuse:
            raise InputError(f"key '{key}' occurs twice; give each replicate once")
        distinct_values[key] = value
    return tuple(distinct_values.values())
