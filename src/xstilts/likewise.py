"""Likewise: whether two JSON values say the same: numbers to nine digits, everything else exactly.

>>> alike({"estimate": 0.1 + 0.2, "n": 3}, {"estimate": 0.3, "n": 3})
True
>>> differing({"estimate": 1.0, "why": "so"}, {"estimate": 99.0, "why": "so"})
['estimate']
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

ABSENT = object()


def alike(one: Any, other: Any) -> bool:
    """Say whether two values are the same."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(alike(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if _number(one) and _number(other):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return type(one) is type(other) and bool(one == other)


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return the names of the entries of one mapping that another has not, or has otherwise."""
    return [name for name, value in one.items() if not alike(value, other.get(name, ABSENT))]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
