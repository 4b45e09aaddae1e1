"""JSON diff: where two JSON values differ, by path.

>>> differences({"levels": [{"estimate": 99.0}]}, {"levels": [{"estimate": 50.0}]})
{'levels[0].estimate': Difference(written=99.0, recomputed=50.0)}
>>> differences({"n": 1}, {"n": 1.0, "p": None})
{'p': Difference(written=ABSENT, recomputed=None)}
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any, NamedTuple

SHOWN = 80  # characters of a value in a message


class _Absent:
    """The value at a path that one side does not have."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()


class Difference(NamedTuple):
    """Both values at a path; `ABSENT` where one side has none."""

    written: Any
    recomputed: Any

    def __str__(self) -> str:
        """Return both values in words."""
        if self.written is ABSENT:
            return f"is missing, recomputed {_shown(self.recomputed)}"
        return f"is {_shown(self.written)}, recomputed {_shown(self.recomputed)}"


def differences(written: Any, recomputed: Any) -> dict[str, Difference]:
    """Compare two JSON values.

    Args:
        written: The value that is there.
        recomputed: The value that should be there.

    Returns:
        The leaves that differ by path ("levels[0].estimate"); "" is the path of the whole. Numbers are equal up to 1e-9
        (relative or absolute); an entry that only one side has differs as a whole.
    """
    return dict(_differences(written, recomputed, ""))


def is_same(written: Any, recomputed: Any) -> bool:
    """Return whether two JSON values are equal.

    Args:
        written: A value.
        recomputed: Another one.

    Returns:
        Whether they are equal; numbers may differ by 1e-9, relative or absolute.
    """
    return not differences(written, recomputed)


def summary(found: Mapping[str, Difference], most: int = 3) -> str:
    """Return the first differences in a sentence, and how many more there are.

    Args:
        found: Differences by path, as `differences` returns them.
        most: How many are named.

    Returns:
        The sentence; "" without differences.
    """
    sentence = "; ".join(f"{path} {difference}" for path, difference in list(found.items())[:most])
    return sentence + (f" (and {len(found) - most} more)" if len(found) > most else "")


def _differences(written: Any, recomputed: Any, path: str) -> Iterator[tuple[str, Difference]]:
    if isinstance(written, Mapping) and isinstance(recomputed, Mapping):
        for name in dict.fromkeys((*recomputed, *written)):
            below = f"{path}.{name}" if path else str(name)
            yield from _differences(written.get(name, ABSENT), recomputed.get(name, ABSENT), below)
    elif isinstance(written, list) and isinstance(recomputed, list):
        for at, (left, right) in enumerate(zip_longest(written, recomputed, fillvalue=ABSENT)):
            yield from _differences(left, right, f"{path}[{at}]")
    elif _is_number(written) and _is_number(recomputed):
        if not math.isclose(written, recomputed, rel_tol=1e-9, abs_tol=1e-9):
            yield path, Difference(written, recomputed)
    elif type(written) is not type(recomputed) or written != recomputed:
        yield path, Difference(written, recomputed)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    text = "nothing" if value is ABSENT else repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
