"""Page: what a page for readers is made of, whatever it reports, and its one self-contained HTML file.

A page is a question, an answer, verdicts and sections; a section holds sheets (tables), plots, lists and commands.
Every cell can name the stages that made its number: one stage is linked to its row in the table of stages, several to a
line that lists them. The templates lie in `pages/`; a page of another kind extends `pages/page.html`.

>>> sheet = TableView("gains", "Gains", ("task", "gain"), ((Cell("mnli"), Cell("+1.20", 1.2)),))
>>> sheet.numeric(1), sheet.numeric(0)
(True, False)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from xstilts import __version__

PAGES = Path(__file__).with_name("pages")
LARGE = 16  # rows above which a sheet is folded
SHAPES = {
    "holds": "full",
    "agrees": "full",
    "fails": "cross",
    "differs": "cross",
    "undecided": "half",
    "untested": "empty",
    "not comparable": "empty",
    "supported": "full",
    "contradicted": "cross",
    "not enough information": "empty",
    "true by construction": "full",
    "faithful": "full",
    "not disputed": "half",
    "works differ": "half",
    "one work": "half",
    "no evidence found": "empty",
}


@dataclass(frozen=True)
class Cell:
    """A text, the number it stands for, and the stages that made it.

    value: what it is sorted by and copied as. tone: a step of the diverging scale, -5 to 5. undecided: its interval
    reaches across zero. A cell without text and with keys lists them. href: an address elsewhere, http or https.
    """

    text: str
    value: float | None = None
    keys: tuple[str, ...] = ()
    tone: int | None = None
    undecided: bool = False
    drawing: Markup | None = None
    href: str = ""


@dataclass(frozen=True)
class TableView:
    """A table: its first column names the rows.

    anchors: the rows' own, where they are linked to. folded: whether readers open it themselves; None: where it is
    large. quiet: a few lines that nobody sorts or copies.
    """

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    anchors: tuple[str, ...] = ()
    folded: bool | None = None
    quiet: bool = False

    @property
    def is_folded(self) -> bool:
        """Say whether readers open it themselves: large tables are folded, unless they are told not to be."""
        return len(self.rows) > LARGE if self.folded is None else self.folded

    def numeric(self, column: int) -> bool:
        """Say whether a column holds numbers."""
        cells = [row[column] for row in self.rows if row[column].text not in ("", NOTHING)]
        return bool(cells) and all(cell.value is not None for cell in cells)

    def trimmed(self) -> TableView:
        """Return the sheet without the columns that say the same in all rows; the note says it once."""
        same = [column for column in range(len(self.columns)) if len({row[column].text for row in self.rows}) == 1] * (
            len(self.rows) > 1
        )
        kept = [column for column in range(len(self.columns)) if column not in same]
        told = [f"{self.columns[column]} {self.rows[0][column].text}" for column in same if self.rows[0][column].text]
        note = " ".join(filter(None, [self.note, f"In all rows: {', '.join(told)}." if told else ""]))
        rows = tuple(tuple(row[column] for column in kept) for row in self.rows)
        return replace(self, columns=tuple(self.columns[column] for column in kept), rows=rows, note=note)


@dataclass(frozen=True)
class Panel:
    """One drawing, and what it shows in words."""

    title: str
    drawing: Markup
    says: str


@dataclass(frozen=True)
class Plot:
    """Drawings that share a legend (labels by number of the series) and the sheet of what is drawn."""

    name: str
    title: str
    panels: tuple[Panel, ...]
    sheet: TableView
    legend: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Listing:
    """Sentences, or commands to type."""

    title: str
    lines: tuple[str, ...]
    commands: bool = False


@dataclass(frozen=True)
class VerdictView:
    """A sentence, what became of it and why; `beside` is what others found, kept apart."""

    name: str
    sentence: str
    status: str
    why: str
    facts: tuple[tuple[str, Cell], ...] = ()
    beside: VerdictView | None = None

    @property
    def shape(self) -> str:
        """Return the shape that says the status without colour."""
        return SHAPES.get(self.status, "empty")


@dataclass(frozen=True)
class Rulings:
    """Verdicts within a section, listed as those at the top are."""

    rulings: tuple[VerdictView, ...]


@dataclass(frozen=True)
class Section:
    """A part of a page with an anchor of its own."""

    name: str
    title: str
    blocks: tuple[TableView | Plot | Listing | Rulings, ...]
    about: str = ""

    def sheets(self) -> Iterator[TableView]:
        """Yield all tables, those of plots too."""
        for block in self.blocks:
            if isinstance(block, TableView | Plot):
                yield block if isinstance(block, TableView) else block.sheet


@dataclass(frozen=True)
class Page:
    """All that a reader sees; `inputs` are the stages that each stage was made of."""

    kind: str
    title: str
    answer: str
    about: tuple[str, ...] = ()
    rulings: tuple[VerdictView, ...] = ()
    sections: tuple[Section, ...] = ()
    inputs: Mapping[str, tuple[str, ...]] | None = None
    heading: str = "Verdicts"

    @property
    def tally(self) -> tuple[tuple[str, int], ...]:
        """Return how many rulings have each status, in the order of `SHAPES`."""
        found = [ruling.status for ruling in self.rulings]
        order = [*SHAPES, *sorted(set(found) - set(SHAPES))]
        return tuple((status, found.count(status)) for status in order if status in found)

    @cached_property
    def sources(self) -> dict[tuple[str, ...], str]:
        """Return an anchor for each set of several stages that a number comes from, in order of appearance."""
        several = [keys for cell in self._cells() if cell.text and len(keys := self.last(cell.keys)) > 1]
        return {keys: f"made-{number}" for number, keys in enumerate(dict.fromkeys(several), 1)}

    def last(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        """Return the stages of these from which nothing else among them was made; the others are behind them."""
        behind = {one for key in keys for one in self._behind(key)}
        return tuple(sorted(set(keys) - behind))

    def anchor(self, keys: tuple[str, ...]) -> str:
        """Return what a number of these stages links to; nothing where no stage of them is known."""
        last = self.last(keys)
        if len(last) > 1:
            return self.sources[last]
        return f"stage-{last[0]}" if last and last[0] in (self.inputs or {}) else ""

    def _behind(self, key: str) -> frozenset[str]:
        """Return all stages that one was made of."""
        if key not in self._ancestors:
            direct = (self.inputs or {}).get(key, ())
            self._ancestors[key] = frozenset(direct).union(*(self._behind(one) for one in direct))
        return self._ancestors[key]

    @cached_property
    def _ancestors(self) -> dict[str, frozenset[str]]:
        return {}

    def _cells(self) -> Iterable[Cell]:
        for ruling in self.rulings:
            yield from (cell for _, cell in ruling.facts)
        for section in self.sections:
            yield from (cell for sheet in section.sheets() for row in sheet.rows for cell in row)
            for block in section.blocks:
                if isinstance(block, Rulings):
                    yield from (cell for ruling in block.rulings for _, cell in ruling.facts)


NOTHING = "–"


def html(page: Page, template: str = "page.html") -> str:
    """Return a page as one HTML file that asks for nothing else; all texts are escaped."""
    made = _environment().get_template(template)
    kinds = {TableView: "sheet", Plot: "plot", Listing: "listing", Rulings: "rulings"}
    return made.render(page=page, version=__version__, kinds=kinds)


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(PAGES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["raw"] = lambda value: f"{value:.10g}"
    return made
