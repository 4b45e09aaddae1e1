"""Rows, inputs and reports: the arguments and results of readers.

A row has its place (`file:line`) for error messages. A report counts what was repaired, dropped or noted, with the
first few places of each.

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
OTHER_LANGUAGE = "noted: not in '{}'"  # of a file of several languages
XTREME_R = "xtreme-r"  # value of the option `texts`: as XTREME-R's code makes the texts of model inputs


@dataclass(frozen=True, slots=True)
class Row:
    """One record of a file: its place for messages, and its values by column."""

    place: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Input:
    """A file to read: its path, and its name in messages."""

    path: Path
    name: str


@dataclass
class Report:
    """What was repaired, dropped or noted: counts by reason, and the first few places of each."""

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
    message = f"{place}: {problem}; {remedy}"
    return InputError(message.encode("utf-8", "backslashreplace").decode())  # a lone surrogate cannot be printed
