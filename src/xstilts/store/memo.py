"""Memo: results of file look-ups that are kept while thousands of runs are planned.

Which files a data folder has is looked up for every run of a plan, and does not change meanwhile. Within `memoising()`
each look-up is done once; outside of it every call looks anew.

>>> folder = object()
>>> with memoising():
...     memoised(folder, ("train",), lambda: 1), memoised(folder, ("train",), lambda: 2)
(1, 1)
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
Memo = dict[tuple[Hashable, ...], tuple[object, Any]]


@contextmanager
def memoising() -> Iterator[None]:
    """Within this context `memoised` computes each value once."""
    global _memo
    before = _memo
    # Nested contexts share the values of the outermost one.
    _memo = {} if before is None else before
    try:
        yield
    finally:
        _memo = before


def memoised(owner: object, arguments: tuple[Hashable, ...], compute: Callable[[], T]) -> T:
    """Return the value of `compute`; within `memoising()` that of the first call.

    Args:
        owner: The object whose value it is; another object, even an equal one, has its own values.
        arguments: What else decides the value.
        compute: Computes it.

    Returns:
        The value.
    """
    if _memo is None:
        return compute()
    key = (id(owner), *arguments)
    if key not in _memo:
        _memo[key] = owner, compute()  # the object is kept, so that no other one gets its id
    value: T = _memo[key][1]
    return value


_memo: Memo | None = None
