"""Which parameters of a test `make test` runs, and which only `make slow`.

>>> first(1, ["a", "b"])[0]
'a'
>>> diagonal("ab", [1, 2, 3])
[('a', 1), ('b', 2), ('a', 3)]
"""

from __future__ import annotations

import inspect
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


def together(name: str, values: Iterable[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Run a test for all values of a parameter at once: setting up a test takes longer than many of these tests.

    A failure names its value. Fixtures of the test are shared by all values. The test of one value is its attribute `one`.
    """
    every = list(values)

    def of_all(test: Callable[..., None]) -> Callable[..., None]:
        def run(**fixtures: Any) -> None:
            assert every, f"no {name} to test"
            for value in every:
                try:
                    test(**{name: value}, **fixtures)
                except BaseException as error:
                    error.add_note(f"{name} is {value!r}")
                    raise

        signature = inspect.signature(test)
        others = [parameter for parameter in signature.parameters.values() if parameter.name != name]
        vars(run).update(vars(test), __signature__=signature.replace(parameters=others), one=test)
        run.__name__, run.__doc__, run.__module__ = test.__name__, test.__doc__, test.__module__
        return run

    return of_all


def diagonal(*columns: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Return as few combinations of values as have each value at least once."""
    values = [list(column) for column in columns]
    return [tuple(column[n % len(column)] for column in values) for n in range(max(map(len, values)))]


def covering(*columns: Iterable[Any]) -> list[Any]:
    """Return all combinations of values: those of the diagonal are always tested, the others by `make slow`."""
    values = [list(column) for column in columns]
    return parameters(product(*values), diagonal(*values))
