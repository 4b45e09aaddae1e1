"""Which parameters of a test `make test` runs, and which only `make slow`.

>>> first(1, ["a", "b"])[0]
'a'
>>> diagonal("ab", [1, 2, 3])
[('a', 1), ('b', 2), ('a', 3)]
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from itertools import product
from typing import Any

import pytest


def first(count: int, values: Iterable[Any]) -> list[Any]:
    """Return parameters of a test: the first `count` are always tested, the others by `make slow`."""
    return [value if n < count else pytest.param(value, marks=pytest.mark.slow) for n, value in enumerate(values)]


def first_of_each(count: int, values: Iterable[Any], key: Callable[[Any], Hashable]) -> list[Any]:
    """Return parameters of a test: of values that are alike the first `count` are always tested, the others by `make slow`."""
    earlier: Counter[Hashable] = Counter()
    marked = []
    for value in values:
        earlier[key(value)] += 1
        marked.append(value if earlier[key(value)] <= count else pytest.param(value, marks=pytest.mark.slow))
    return marked


def parameters(cells: Iterable[Any], quick: Iterable[Any]) -> list[Any]:
    """Return parameters of a test, the cells that are not quick marked as slow."""
    kept = set(quick)
    return [cell if cell in kept else pytest.param(*cell, marks=pytest.mark.slow) for cell in cells]


def diagonal(*columns: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Return as few combinations of values as have each value at least once."""
    values = [list(column) for column in columns]
    return [tuple(column[n % len(column)] for column in values) for n in range(max(map(len, values)))]


def covering(*columns: Iterable[Any]) -> list[Any]:
    """Return all combinations of values: those of the diagonal are always tested, the others by `make slow`."""
    values = [list(column) for column in columns]
    return parameters(product(*values), diagonal(*values))
