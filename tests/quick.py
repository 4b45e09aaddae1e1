"""Which parameters of a test `make test` runs, and which only `make slow`.

>>> first(1, ["a", "b"])[0]
'a'
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def first(count: int, values: Iterable[Any]) -> list[Any]:
    """Return parameters of a test: the first `count` are always tested, the others by `make slow`."""
    return [value if n < count else pytest.param(value, marks=pytest.mark.slow) for n, value in enumerate(values)]
