"""Markers: spans of a text in marks that a translation keeps, so that labels are found again in it.

As in EasyProject (Chen et al. 2023, Findings of ACL): a single span is put into square brackets, several into marks
like those of XML, whose letters say which is which. Marks that occur in the text are not used. A translation in which a
mark is lost, doubled or out of order has no spans.

>>> marked = mark("Anna lives in Oslo.", [(0, 4), (14, 18)])
>>> marked.text
'<a>Anna</a> lives in <b>Oslo</b>.'
>>> unmarked("In <b> Oslo </b> lebt <a>Anna</a>.", marked.marks)
('In Oslo lebt Anna.', ((13, 17), (3, 7)))
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from string import ascii_lowercase

Span = tuple[int, int]  # the first character and the one after the last
Mark = tuple[str, str]  # what opens a span and what closes it

BRACKETS: Mark = ("[", "]")
LOST, DOUBLED, DISORDERED, EMPTY = "a mark is lost", "a mark is doubled", "marks are out of order", "a span is empty"


class LostMarks(ValueError):
    """The marks of a text are not as they were; the message says how."""


@dataclass(frozen=True)
class MarkedText:
    """A text with marks around spans, and the marks in the order of the spans."""

    text: str
    marks: tuple[Mark, ...]


def mark(text: str, spans: Sequence[Span]) -> MarkedText:
    """Put marks around spans of a text.

    Args:
        text: Any text; marks that it has itself are not used.
        spans: Spans that do not overlap, neither empty nor beginning or ending with white space, in any order.

    Returns:
        The text with its marks.

    Raises:
        ValueError: A span is empty, outside of the text, begins or ends with white space, or overlaps another.
    """
    ordered = sorted(spans)
    for number, (start, stop) in enumerate(ordered):
        if not 0 <= start < stop <= len(text) or text[start:stop] != text[start:stop].strip():
            raise ValueError(f"{start}-{stop} is no span to mark in a text of {len(text)} characters")
        if number and ordered[number - 1][1] > start:
            raise ValueError(f"the spans {ordered[number - 1]} and {(start, stop)} overlap")
    marks = tuple(islice(_marks(text, len(spans)), len(spans)))
    parts, place = [], 0
    for (start, stop), (opening, closing) in sorted(zip(spans, marks, strict=True)):
        parts += [text[place:start], opening, text[start:stop], closing]
        place = stop
    return MarkedText("".join([*parts, text[place:]]), marks)


def unmarked(text: str, marks: Sequence[Mark]) -> tuple[str, tuple[Span, ...]]:
    """Take the marks out of a text.

    White space that a translation put between a mark and its span is left out, where no letter or digit is on the other
    side of the mark.

    Args:
        text: A text with marks.
        marks: The marks of the spans.

    Returns:
        The text without marks, and the spans in the order of their marks.

    Raises:
        LostMarks: A mark does not occur, or twice, spans overlap, or one is empty; the message is the reason.
    """
    places: list[tuple[int, int, int]] = []  # first character, length, and number: 2n opens, 2n + 1 closes
    for number, pair in enumerate(marks):
        for side, sign in enumerate(pair):
            if text.count(sign) != 1:
                raise LostMarks(LOST if sign not in text else DOUBLED)
            places.append((text.index(sign), len(sign), 2 * number + side))
    places.sort()
    for (_, _, first), (_, _, second) in zip(places[::2], places[1::2], strict=True):
        if first % 2 or second != first + 1:
            raise LostMarks(DISORDERED)
    clean, bounds, position = "", [0] * len(places), 0
    for place, length, number in places:
        clean, position = clean + text[position:place], place + length
        if number % 2 == 1 and not text[position : position + 1].isalnum():
            clean = clean.rstrip()
        bounds[number] = len(clean)
        if number % 2 == 0 and not clean[-1:].isalnum():
            position = len(text) - len(text[position:].lstrip())
    clean += text[position:]
    spans = []
    for start, stop in zip(bounds[::2], bounds[1::2], strict=True):
        inside = clean[start:stop]
        if not inside.strip():
            raise LostMarks(EMPTY)
        first = start + len(inside) - len(inside.lstrip())
        spans.append((first, first + len(inside.strip())))
    return clean, tuple(spans)


def _marks(text: str, number: int) -> Iterator[Mark]:
    """Yield marks that do not occur in a text: square brackets for a single span, else `<a>` and so on."""
    if number == 1 and not any(sign in text for sign in BRACKETS):
        yield BRACKETS
        return
    for letters in _letters():
        pair = f"<{letters}>", f"</{letters}>"
        if not any(sign in text for sign in pair):
            yield pair


def _letters() -> Iterator[str]:
    """Yield a, b, … z, aa, ab …"""
    for length in count(1):
        yield from _words(length)


def _words(length: int) -> Iterator[str]:
    if length == 0:
        yield ""
        return
    for before in _words(length - 1):
        yield from (before + letter for letter in ascii_lowercase)
