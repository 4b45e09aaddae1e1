r"""Footnotes and tables of a printed page, set apart from the sentences that they interrupt.

A footnote stands at the foot of a page, and a table in the midst of a sentence that goes on below it. Both are moved
behind the text, each a paragraph of its own, so that a sentence is whole across them; no character is changed.

>>> set_apart(["We train mBERT1 and\n1 It has 12 layers.\n3", "find a gain."]).split("\f")
['We train mBERT1 and\n3', 'find a gain.', '1 It has 12 layers.']
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from xstilts.evidence.text.documents import OPEN_WORDS, is_heading

PAGE_BREAK = "\f"
MOST_LINES = 14  # of the footnotes of one page
LOWER_PART = 0.4  # a footnote begins below this share of a page's lines
FOOTNOTE = re.compile(r"\s*(?P<mark>\d{1,2}|[*∗†‡§¶])\s*(?=[A-Z“\"(]|https?:|www\.|[a-z]+\.[a-z]+/)")
PAGE_NUMBER = re.compile(r"\s*\d{0,4}\s*")
NUMERIC = re.compile(r"[(\[]?[-+−±<>]?\d+(?:[.,]\d+)?[%*†‡KMB]?[)\]]?|[-–—±/|]|n/?a", re.IGNORECASE)
LEAST_CELLS, LEAST_ROWS, NUMERIC_SHARE = 3, 2, 0.5  # of a table: cells of a row, rows, and more numbers than this


def set_apart(pages: Sequence[str]) -> str:
    """Return the text of pages with footnotes and tables behind it.

    Args:
        pages: The text of each page, in lines as printed.

    Returns:
        The pages with a form feed between them; then, after one more and an empty line each, the footnotes and tables
        in their order. Without any it is the pages alone.
    """
    bodies, aside = [], []
    for page in pages:
        lines = page.split("\n")
        footnotes = _footnotes(lines)
        tables = [span for span in _tables(lines) if not footnotes or span[1] <= footnotes[0]]
        spans = sorted([*tables, *([footnotes] if footnotes else [])])
        aside += ["\n".join(lines[start:end]).strip("\n") for start, end in spans]
        hidden = {number for start, end in spans for number in range(start, end)}
        bodies.append("\n".join(line for number, line in enumerate(lines) if number not in hidden))
    return PAGE_BREAK.join([*bodies, *(["\n\n".join(aside)] if aside else [])])


def _footnotes(lines: Sequence[str]) -> tuple[int, int] | None:
    """Return first and last line (exclusive) of the footnotes of a page: each is marked in the text above them."""
    end = len(lines)
    while end and PAGE_NUMBER.fullmatch(lines[end - 1]):
        end -= 1
    for start in range(max(int(LOWER_PART * len(lines)), end - MOST_LINES), end):
        marks = [match["mark"] for line in lines[start:end] if (match := FOOTNOTE.match(line))]
        if (
            FOOTNOTE.match(lines[start])
            and not is_heading(lines[start])
            and _is_marked("\n".join(lines[:start]), marks)
        ):
            return start, end
    return None


def _is_marked(text: str, marks: Sequence[str]) -> bool:
    """Return whether footnotes are in order and a text has the marks of all, each after a word or its punctuation."""
    numbers = [int(mark) for mark in marks if mark.isdigit()]
    in_order = numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True
    return in_order and all(
        re.search(rf"(?<=[^\W\d_]|[,.;:)\]”’]){re.escape(mark)}(?![\w.]?\d|\w)", text) for mark in marks
    )


def _tables(lines: Sequence[str]) -> list[tuple[int, int]]:
    """Return the spans of lines that are rows of numbers, with the line of their columns' names."""
    spans, start = [], 0
    while start < len(lines):
        end = start
        while end < len(lines) and _is_row(lines[end]):
            end += 1
        if end - start >= LEAST_ROWS:
            spans.append((start - 1 if start and _is_header(lines, start - 1) else start, end))
        start = max(end, start + 1)
    return spans


def _is_row(line: str) -> bool:
    cells = line.split()
    numeric = sum(bool(NUMERIC.fullmatch(cell)) for cell in cells)
    digits = sum(any(character.isdigit() for character in cell) for cell in cells)
    return len(cells) >= LEAST_CELLS and numeric > NUMERIC_SHARE * len(cells) and digits >= 2


def _is_header(lines: Sequence[str], number: int) -> bool:
    """Return whether a line names columns: some words, none of which a sentence needs, below a sentence's end."""
    cells = lines[number].split()
    above = next((line.rstrip() for line in reversed(lines[:number]) if line.strip()), "")
    words = {cell.lower() for cell in cells}
    return (
        len(cells) >= LEAST_CELLS
        and words.isdisjoint(OPEN_WORDS)
        and not lines[number].rstrip().endswith((".", ",", ";", ":", "-"))
        and (not above or above.endswith((".", ":", "!", "?")))
    )
