"""Equivalence: tests of "as good as", which a difference that is not significant does not show.

Two one-sided tests (Schuirmann 1987): the value must be shown to be above minus the margin and below the margin.

>>> from xstilts.stats.estimates import Estimate
>>> tost(Estimate(0.1, between=0.2, count=5), margin=1.0) < 0.05
True
"""

from __future__ import annotations

import math

from xstilts.errors import InputError
from xstilts.stats.estimates import Estimate


def tost(found: Estimate, margin: float) -> float:
    """Return the one-sided p-value of equivalence within ± margin.

    It is at most 0.025 where the 95 % interval lies inside; the usual level of 0.05 corresponds to the 90 % interval.

    Args:
        found: The estimate of the difference.
        margin: The largest difference that does not matter, above 0.

    Returns:
        The p-value.

    Raises:
        InputError: The margin is not above 0.

    Source:
        Schuirmann 1987.
    """
    _positive(margin)
    inside = abs(found.value) < margin
    nearest = found.p(math.copysign(margin, found.value)) / 2
    return nearest if inside else 1 - nearest


def beyond(found: Estimate, margin: float) -> float:
    """Return the two-sided p-value of lying outside ± margin: at most 0.05 where the 95 % interval is outside.

    Args:
        found: The estimate of the difference.
        margin: The largest difference that does not matter, above 0.

    Returns:
        The p-value; 1 where the estimate itself lies inside the margin.

    Raises:
        InputError: The margin is not above 0.
    """
    _positive(margin)
    nearest = found.p(math.copysign(margin, found.value))
    return nearest if abs(found.value) > margin else 1.0


def _positive(margin: float) -> None:
    if not margin > 0:
        raise InputError(
            f"a margin of equivalence must be above 0, found {margin}; give the largest difference that does not matter"
        )
