"""Marking: a page in Markdown, short, for people who read in a terminal or a repository.

>>> from xstilts.reporting.page import Page
>>> print(text(Page("study", "Does it help?", "Nobody knows yet.")))
# Does it help?
<BLANKLINE>
**Nobody knows yet.**
<BLANKLINE>
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from xstilts.reporting.page import LARGE, Cell, Listing, Page, Plot, Rulings, Section, TableView, VerdictView

SPECIAL = re.compile(r"[\\`*<>|~]|(?<!\w)_|_(?!\w)|\](?=[(\[:])|&(?=#?\w+;)")
STARTS = re.compile(r"^(?:(?=[#+=-]+(?:\s|$))|\d+(?=[.)](?:\s|$)))")  # before it a backslash, or after its number
FENCE = "```"


def text(page: Page) -> str:
    """Return a page in Markdown; large tables are counted and left to the files beside it."""
    lines = [f"# {escaped(page.title)}", "", f"**{escaped(page.answer)}**", ""]
    for paragraph in page.about:
        lines += [opened(paragraph), ""]
    if page.rulings:
        tally = ", ".join(f"{status}: {number}" for status, number in page.tally)
        lines += [f"## {page.heading}", "", escaped(tally), ""]
        lines += [line for ruling in page.rulings for line in _ruling(ruling)]
        lines.append("")
    for section in page.sections:
        lines += _section(section)
    return "\n".join(lines)


def escaped(said: str) -> str:
    """Return a text that Markdown shows as it is, in one line."""
    return SPECIAL.sub(r"\\\g<0>", " ".join(said.split()))


def opened(said: str) -> str:
    """Return a text that begins a line and is still no list or heading."""
    return STARTS.sub(lambda found: f"{found.group(0)}\\", escaped(said))


def _ruling(ruling: VerdictView) -> Iterator[str]:
    yield f"- **{escaped(ruling.status)}**: {escaped(ruling.sentence.rstrip('.'))}. {escaped(ruling.why)}"
    facts = "; ".join(f"{label} {cell.text}" for label, cell in ruling.facts)
    if facts:
        yield f"  {escaped(facts)}"
    if ruling.beside:
        yield f"  - published, *{escaped(ruling.beside.status)}*: {escaped(ruling.beside.why)}"


def _section(section: Section) -> Iterator[str]:
    yield from (f"## {escaped(section.title)}", "")
    if section.about:
        yield from (opened(section.about), "")
    for block in section.blocks:
        if isinstance(block, Listing):
            yield from _listing(block)
        elif isinstance(block, Rulings):
            yield from (line for ruling in block.rulings for line in _ruling(ruling))
            yield ""
        else:
            yield from sheet(block) if isinstance(block, TableView) else _plot(block)


def _listing(listing: Listing) -> Iterator[str]:
    if listing.title:
        yield from (f"### {escaped(listing.title)}", "")
    if listing.commands:
        fence = FENCE + "`" * max((len(run) for line in listing.lines for run in re.findall("`+", line)), default=0)
        yield from (f"{fence}sh", *listing.lines, fence, "")
    else:
        yield from (*(f"- {opened(line)}" for line in listing.lines), "")


def _plot(plot: Plot) -> Iterator[str]:
    yield from (f"### {escaped(plot.title)}", "")
    yield from (f"- {opened(panel.says)}" for panel in plot.panels)
    yield ""
    if not plot.sheet.is_folded:
        yield from sheet(plot.sheet)


def sheet(one: TableView) -> Iterator[str]:
    """Yield a table's lines; of a large one its title and how many rows it has."""
    yield from (f"### {escaped(one.caption)}", "")
    if len(one.rows) > 2 * LARGE:
        yield from (f"{len(one.rows)} rows, which the page has.", "")
        return
    yield "| " + " | ".join(escaped(column) for column in one.columns) + " |"
    yield "|" + "|".join(" ---: " if one.numeric(column) else " --- " for column in range(len(one.columns))) + "|"
    for row in one.rows:
        yield "| " + " | ".join(_cell(cell) for cell in row) + " |"
    yield ""
    if one.note:
        yield from (opened(one.note), "")


def _cell(cell: Cell) -> str:
    said = escaped(cell.text or " ".join(cell.keys))
    return f"{said} (undecided)" if cell.undecided else said
