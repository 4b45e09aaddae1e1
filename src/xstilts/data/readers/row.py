"""Row, Input and Report: what every reader takes and gives.

A row says where it stands (`file:line`), so that whatever is wrong with it can be told exactly. A report counts what
was repaired, dropped or only noted, with the first few places, so that nothing happens to data in silence.

>>> report = Report()
>>> report.note("repaired: byte order mark", "a.tsv:1")
>>> report.counts
{'repaired: byte order mark': 1}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xstilts.errors import InputError

Options = Mapping[str, str | int | tuple[str, ...]]
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Row:
    """One record of a file: its place, for messages, and its fields by column."""

    place: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Input:
    """A file to read: where it lies on this machine, and what messages call it."""

    path: Path
    name: str


@dataclass
class Report:
    """What reading did to the data: how often, by reason, and the first few places of each."""

    counts: dict[str, int] = field(default_factory=dict)
    places: dict[str, list[str]] = field(default_factory=dict)

    def note(self, reason: str, place: str, times: int = 1) -> None:
        """Count something that happened at a place."""
        self.counts[reason] = self.counts.get(reason, 0) + times
        shown = self.places.setdefault(reason, [])
        if len(shown) < SHOWN:
            shown.append(place)


def columns_of(options: Options) -> tuple[str, ...]:
    """Return the option `columns`."""
    columns = options.get("columns", ())
    assert isinstance(columns, tuple)
    return columns


def bad(place: str, problem: str, remedy: str) -> InputError:
    """Return the exception for something wrong at a place."""
    return InputError(f"{place}: {problem}; {remedy}")
