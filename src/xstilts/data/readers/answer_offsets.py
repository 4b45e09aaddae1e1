r"""Answer offsets: where an answer starts in its context, in characters, whatever the file counts in.

Offsets of published files count code points, bytes of UTF-8 (the files of TyDi QA's primary task) or units of UTF-16
(tools in JavaScript and Java). Which of them is found for each file: the one in which most offsets are right.

>>> unit_of([("Ĉu Ana? Ana.", "Ana", 4), ("Ĉu Ana? Ana.", "Ana", 9)])
('UTF-8 bytes', 2, 2)
>>> position("Ĉu Ana? Ana.", 9, "UTF-8 bytes")
8
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator

from xstilts.data.examples import AnswerSpan
from xstilts.data.readers.row import Report

CHARACTERS, BYTES, UTF16 = "characters", "UTF-8 bytes", "UTF-16 units"
UNITS = (CHARACTERS, BYTES, UTF16)
ENCODINGS = {BYTES: ("utf-8", 1), UTF16: ("utf-16-le", 2)}


def unit_of(answers: Iterable[tuple[str, str, int]]) -> tuple[str, int, int]:
    """Return the unit in which most offsets of a file are right; characters where others are no better.

    Args:
        answers: Context, answer and offset of each answer; negative offsets are unknown ones.

    Returns:
        The unit, how many of the offsets that tell units apart are right in it, and how many such offsets there are.
    """
    telling = [
        (context, answer, offset)
        for context, answer, offset in answers
        if offset > 0 and answer.strip() and not (context.isascii() or context[:offset].isascii())
    ]
    right = Counter({CHARACTERS: sum(context.startswith(answer, offset) for context, answer, offset in telling)})
    for unit in UNITS[1:] if right[CHARACTERS] < len(telling) else ():
        starts = ((context, answer, position(context, offset, unit)) for context, answer, offset in telling)
        right[unit] = sum(start is not None and context.startswith(answer, start) for context, answer, start in starts)
    best = max(UNITS, key=lambda unit: (right[unit], -UNITS.index(unit)))
    return best, right[best], len(telling)


def position(context: str, offset: int, unit: str) -> int | None:
    """Return the character at an offset; None where it is beyond the text or inside a character."""
    if unit == CHARACTERS:
        return offset
    encoding, width = ENCODINGS[unit]
    try:
        if context.isascii() or context[:offset].isascii():
            return offset
        raw = context.encode(encoding, "surrogatepass")
        return None if offset * width > len(raw) else len(raw[: offset * width].decode(encoding, "strict"))
    except UnicodeDecodeError:
        return None


def placed(answer: AnswerSpan, context: str, unit: str, place: str, report: Report, tolerant: bool) -> AnswerSpan:
    """Return an answer at its offset in characters, or where it stands instead, or at -1.

    Args:
        answer: The answer with the offset of the file.
        context: The text that should hold it.
        unit: The unit of the file's offsets.
        place: Place of the row.
        report: Counts what was repaired.
        tolerant: Whether the context's own spelling is taken where the two differ in Unicode normalisation alone.
    """
    for other in (unit, *(other for other in UNITS if other != unit)) if answer.start >= 0 else ():
        start = position(context, answer.start, other)
        if start is not None and context.startswith(answer.text, start):
            if other != unit:
                report.note(f"repaired: answer offset in {other}, unlike the file's", place)
            return AnswerSpan(answer.text, start)
    near = _nearest_character(context, answer.start, unit)
    for wanted in dict.fromkeys((answer.text, answer.text.strip())):
        starts = list(_occurrences(wanted, context))
        if starts:
            report.note("repaired: answer moved to its nearest occurrence", place)
            return AnswerSpan(wanted, min(starts, key=lambda start: (abs(start - near), start)))
    spans = _normalised_occurrences(answer.text.strip(), context) if tolerant else []
    if spans:
        report.note("repaired: answer spelled as in its context (Unicode normalisation)", place)
        start, stop = min(spans, key=lambda span: (abs(span[0] - near), span))
        return AnswerSpan(context[start:stop], start)
    return AnswerSpan(answer.text, -1)


def _nearest_character(context: str, offset: int, unit: str) -> int:
    """Return the character at or just before an offset."""
    if unit == CHARACTERS or offset < 0:
        return offset
    encoding, width = ENCODINGS[unit]
    return len(context.encode(encoding, "surrogatepass")[: offset * width].decode(encoding, "ignore"))


def _occurrences(wanted: str, context: str) -> Iterator[int]:
    start = context.find(wanted)
    while start >= 0:
        yield start
        start = context.find(wanted, start + 1)


def _normalised_occurrences(wanted: str, context: str) -> list[tuple[int, int]]:
    """Return the (start, stop) characters of a context that are equal to a text once both are decomposed."""
    if not wanted or (wanted.isascii() and context.isascii()):
        return []
    parts = [unicodedata.normalize("NFD", character) for character in context]
    origins = [number for number, part in enumerate(parts) for _ in part]
    decomposed, target = "".join(parts), "".join(unicodedata.normalize("NFD", character) for character in wanted)
    spans = []
    for start in _occurrences(target, decomposed):
        stop = start + len(target)
        follows = stop < len(decomposed)
        inside = start > 0 and origins[start - 1] == origins[start]
        if inside or (follows and (origins[stop] == origins[stop - 1] or unicodedata.combining(decomposed[stop]))):
            continue
        spans.append((origins[start], origins[stop - 1] + 1))
    return spans
