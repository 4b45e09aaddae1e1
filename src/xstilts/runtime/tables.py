"""Tables: one value for a table, rendered in the terminal, as Markdown and as HTML.

A `TableView` has a title, columns (with units), rows of cells and an alignment for each column. A `Cell` is the text
that a reader sees, the number behind it (for sorting and copying), and the keys of the stages that made it. Building a
table and rendering it are separate, so that the command line, a notebook and a report show the same thing. Numbers
become cells by the functions of this module, which fix how many digits a score, a duration or a p-value has.

>>> view = table("Gains", ("task", "gain"), [("mnli", signed(1.204)), ("squad", signed(-0.3))], units=("", "points"))
>>> print(view.to_markdown())
| task | gain (points) |
| --- | ---: |
| mnli | +1.20 |
| squad | −0.30 |
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from markupsafe import Markup

from xstilts.runtime import extras, text

if TYPE_CHECKING:
    from jinja2 import Environment
    from rich.table import Table as RichTable

NOTHING = "–"  # shown where a value was not measured
FOLDED_FROM = 16  # rows above which an HTML page shows a table folded
UNBROKEN = 60  # characters of a title for which a narrower table is widened
TEMPLATES = Path(__file__).parent
Align = Literal["left", "right", "center"]
Number = float | int | None
PREFIXES = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
PREFIXED_FROM = 1e4  # smaller amounts are written out
TIMES = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))
SMALLEST_P = 0.001
RULES: Mapping[Align, str] = {"left": " --- ", "right": " ---: ", "center": " :---: "}


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: What a reader sees. A cell without text shows its `keys`.
        value: The number it stands for: what the column is sorted by and copied as; None for words.
        keys: Keys of the stages that made the number; a report links them.
        tone: A step of the diverging colour scale, -5 to 5, in a heat map.
        undecided: Whether the number's interval includes zero.
        drawing: An inline SVG shown before the text in HTML.
        href: A web address that the text links to in HTML.
    """

    text: str
    value: float | None = None
    keys: tuple[str, ...] = ()
    tone: int | None = None
    undecided: bool = False
    drawing: Markup | None = None
    href: str = ""


class Links(Protocol):
    """Where the stages behind a number are described on an HTML page."""

    @property
    def inputs(self) -> Mapping[str, tuple[str, ...]] | None:
        """The keys of each described stage's inputs, by its key."""
        ...

    def anchor(self, keys: tuple[str, ...]) -> str:
        """Return the id of the element that describes these stages; "" where there is none."""
        ...


@dataclass(frozen=True)
class _NoLinks:
    """For a table that stands alone: nothing is linked."""

    inputs: Mapping[str, tuple[str, ...]] | None = None

    def anchor(self, keys: tuple[str, ...]) -> str:
        return ""


@dataclass(frozen=True)
class TableView:
    """A table, whose first column names the rows. `table` builds one from plain values.

    Attributes:
        name: An identifier, unique among the tables of one page.
        title: What the table shows, in a few words.
        columns: The columns' names.
        rows: The cells of each row, as many as there are columns.
        note: A sentence below the table.
        anchors: The rows' ids in HTML, where something links to them.
        folded: Whether an HTML page shows it folded; None: from `FOLDED_FROM` rows on.
        quiet: Whether an HTML page leaves out the tools to search, sort and copy it.
        units: The unit of each column, "" for none; empty: no column has one.
        align: The alignment of each column; empty: numbers right, words left.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    anchors: tuple[str, ...] = ()
    folded: bool | None = None
    quiet: bool = False
    units: tuple[str, ...] = ()
    align: tuple[Align, ...] = ()

    @property
    def is_folded(self) -> bool:
        """Whether an HTML page shows the table folded."""
        return len(self.rows) > FOLDED_FROM if self.folded is None else self.folded

    @property
    def headings(self) -> tuple[str, ...]:
        """The columns' names with their units."""
        units = self.units or ("",) * len(self.columns)
        return tuple(f"{name} ({unit})" if unit else name for name, unit in zip(self.columns, units, strict=True))

    def numeric(self, column: int) -> bool:
        """Return whether all cells of a column that have a text are numbers."""
        cells = [row[column] for row in self.rows if row[column].text not in ("", NOTHING)]
        return bool(cells) and all(cell.value is not None for cell in cells)

    @property
    def alignments(self) -> tuple[Align, ...]:
        """How each column is aligned."""
        return self.align or tuple("right" if self.numeric(at) else "left" for at in range(len(self.columns)))

    def without_columns(self, dropped: Iterable[int]) -> TableView:
        """Return the table without the columns at these positions."""
        without = frozenset(dropped)
        positions = [at for at in range(len(self.columns)) if at not in without]
        return replace(
            self,
            columns=tuple(self.columns[at] for at in positions),
            rows=tuple(tuple(row[at] for at in positions) for row in self.rows),
            units=tuple(self.units[at] for at in positions) if self.units else (),
            align=tuple(self.align[at] for at in positions) if self.align else (),
        )

    def trimmed(self) -> TableView:
        """Return the table without columns that are the same in all (two or more) rows; the note states their value."""
        if len(self.rows) < 2:
            return self
        constant = [at for at in range(len(self.columns)) if len({row[at].text for row in self.rows}) == 1]
        values = [f"{self.columns[at]} {self.rows[0][at].text}" for at in constant if self.rows[0][at].text]
        note = " ".join(filter(None, [self.note, f"In all rows: {', '.join(values)}." if values else ""]))
        return replace(self.without_columns(constant), note=note)

    def to_rich(self, lines: bool = True) -> RichTable:
        """Return the table for a terminal, to be printed by `console().print`.

        Args:
            lines: Whether it has a title and ruled lines; False suits a view that is redrawn all the time.

        Returns:
            The table of rich.
        """
        from rich.table import Table
        from rich.text import Text

        if lines:
            width = min(len(self.title), UNBROKEN)
            table = Table(title=self.title or None, title_justify="left", caption=self.note or None, min_width=width)
        else:
            table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for heading, align in zip(self.headings, self.alignments, strict=True):
            table.add_column(Text(heading), justify=align)
        for row in self.rows:
            table.add_row(*(Text(cell.text or " ".join(cell.keys)) for cell in row))
        return table

    def to_markdown(self) -> str:
        """Return the table in Markdown, with its note below; a page writes the title as a heading."""
        return "\n".join(self._markdown_lines())

    def _markdown_lines(self) -> Iterator[str]:
        yield "| " + " | ".join(text.markdown(heading) for heading in self.headings) + " |"
        yield "|" + "|".join(RULES[align] for align in self.alignments) + "|"
        for row in self.rows:
            yield "| " + " | ".join(_markdown_cell(cell) for cell in row) + " |"
        if self.note:
            yield from ("", text.markdown_paragraph(self.note))

    def to_html(self, links: Links | None = None) -> Markup:
        """Return the table as HTML; all texts are escaped.

        Args:
            links: Where the stages behind the numbers are described; None for a table that stands alone.

        Returns:
            A `table` element, safe to be put into a page.
        """
        macros = templates().get_template("tables.html").module
        return Markup(macros.table(links or _NoLinks(), self))  # type: ignore[attr-defined]

    def _repr_html_(self) -> str:
        """Show the table in a notebook."""
        return str(self.to_html())


def table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    name: str = "",
    note: str = "",
    units: Sequence[str] = (),
    align: Sequence[Align] = (),
) -> TableView:
    """Build a table from plain values: texts, numbers, None where nothing was measured, or cells.

    Args:
        title: What the table shows; "" for none.
        columns: The columns' names.
        rows: The rows, each with one value for each column.
        name: An identifier for a page; by default made from the title.
        note: A sentence below the table.
        units: The unit of each column, "" for none.
        align: The alignment of each column; by default numbers right, words left.

    Returns:
        The table, to be rendered by `to_rich`, `to_markdown` or `to_html`.
    """
    cells = tuple(tuple(value if isinstance(value, Cell) else cell(value) for value in row) for row in rows)
    name = name or "-".join(title.lower().split())
    return TableView(name, title, tuple(columns), cells, note, units=tuple(units), align=tuple(align))


def drawn(title: str, names: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]]) -> RichTable:
    """Return rows as a table for the terminal.

    Args:
        title: The title.
        names: The names of the columns, that of the labels first.
        rows: The label and the cells of each row; rows of means are bold.

    Returns:
        The table of rich.
    """
    from rich.table import Table

    shown = Table(title=title, title_justify="left")
    for number, name in enumerate(names):
        shown.add_column(name, justify="left" if number == 0 else "right")
    for label, cells in rows:
        shown.add_row(label, *cells, style="bold" if label.startswith("mean") else None)
    return shown


@cache
def templates(*folders: Path) -> Environment:
    """Return the environment of the HTML templates, those in other folders first; every value is escaped."""
    extras.require("report", "an HTML page")
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader((*folders, TEMPLATES)),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["raw"] = lambda value: f"{value:.10g}"
    return environment


def is_known(value: Number) -> bool:
    """Return whether a number was measured.

    Args:
        value: The number.

    Returns:
        False for None, NaN and infinities.
    """
    return value is not None and math.isfinite(value)


def number(value: Number, decimals: int = 2, keys: Sequence[str] = ()) -> Cell:
    """Return a number with a fixed count of decimals.

    Args:
        value: The number; None for an unknown one.
        decimals: How many decimals.
        keys: Keys of the stages behind it.

    Returns:
        A cell that holds the value too, for sorting.

    >>> number(71.256).text, number(None).text
    ('71.26', '–')
    """
    return _formatted(value, f"{value:.{decimals}f}", keys) if value is not None else Cell(NOTHING, None, tuple(keys))


def signed(value: Number, decimals: int = 2, keys: Sequence[str] = ()) -> Cell:
    """Return a difference with its sign.

    Args:
        value: The difference; None for an unknown one.
        decimals: How many decimals.
        keys: Keys of the stages behind it.

    Returns:
        A cell that holds the value too, for sorting.

    >>> signed(-1.234).text
    '−1.23'
    """
    return _formatted(value, f"{value:+.{decimals}f}", keys) if value is not None else Cell(NOTHING, None, tuple(keys))


def count(value: Number, keys: Sequence[str] = ()) -> Cell:
    """Return a whole number with separated thousands.

    Args:
        value: The number; None for an unknown one.
        keys: Keys of the stages behind it.

    Returns:
        A cell that holds the value too, for sorting.

    >>> count(12345).text
    '12,345'
    """
    return Cell(f"{value:,.0f}", float(value), tuple(keys)) if value is not None and is_known(value) else Cell(NOTHING)


def amount(value: Number, keys: Sequence[str] = ()) -> Cell:
    """Return an amount of any size with four digits and a metric prefix.

    Args:
        value: The amount; None for an unknown one.
        keys: Keys of the stages behind it.

    Returns:
        A cell that holds the value too, for sorting.

    >>> amount(1_234_567_890).text, amount(9999).text
    ('1.235 G', '9999')
    """
    if value is None or not is_known(value):
        return Cell(NOTHING, None, tuple(keys))
    prefixes = PREFIXES if abs(value) >= PREFIXED_FROM else ()
    size, prefix = next(((size, prefix) for size, prefix in prefixes if abs(value) >= size), (1, ""))
    return _formatted(value, f"{value / size:.4g} {prefix}".strip(), keys)


def duration(seconds: Number, keys: Sequence[str] = ()) -> Cell:
    """Return a time in the unit that suits it; the cell's value stays in seconds.

    Args:
        seconds: The time in seconds; None for an unknown one.
        keys: Keys of the stages behind it.

    Returns:
        A cell with three digits and a unit.

    >>> duration(5400).text
    '1.5 h'
    """
    if seconds is None or not is_known(seconds):
        return Cell(NOTHING, None, tuple(keys))
    size, unit = next(((size, unit) for size, unit in TIMES if seconds >= size), (1.0, "s"))
    return Cell(f"{seconds / size:.3g} {unit}", float(seconds), tuple(keys))


def p_value(value: Number, keys: Sequence[str] = ()) -> Cell:
    """Return a p-value with three decimals; below 0.001 only that bound.

    Args:
        value: The p-value; None for an unknown one.
        keys: Keys of the stages behind it.

    Returns:
        A cell that holds the value too, for sorting.

    >>> p_value(1e-9).text
    '< 0.001'
    """
    if value is None or not is_known(value):
        return Cell(NOTHING, None, tuple(keys))
    text_of_value = f"< {SMALLEST_P:g}" if value < SMALLEST_P else f"{value:.3f}"
    return Cell(text_of_value, float(value), tuple(keys))


def interval(low: Number, high: Number, decimals: int = 2) -> str:
    """Return the interval of a figure.

    Args:
        low: Its lower end; None or NaN for an unknown one.
        high: Its upper end.
        decimals: How many decimals.

    Returns:
        "[low, high]"; "" where an end is unknown.
    """
    has_both = is_known(low) and is_known(high)
    return f"[{number(low, decimals).text}, {number(high, decimals).text}]" if has_both else ""


def signed_interval(low: Number, high: Number, decimals: int = 2) -> str:
    """Return the interval of a difference, with signs.

    Args:
        low: Its lower end; None or NaN for an unknown one.
        high: Its upper end.
        decimals: How many decimals.

    Returns:
        "[low, high]"; "" where an end is unknown.

    >>> signed_interval(0.5, 1.25)
    '[+0.50, +1.25]'
    """
    has_both = is_known(low) and is_known(high)
    return f"[{signed(low, decimals).text}, {signed(high, decimals).text}]" if has_both else ""


def cost_figure(name: str, value: Number, keys: Sequence[str] = ()) -> Cell:
    """Return a figure of cost in the form that suits it.

    Args:
        name: Its name; one that ends in "seconds" is a duration, any other an amount.
        value: Its value; None for an unknown one.
        keys: Keys of the stages behind it.

    Returns:
        The cell.
    """
    return duration(value, keys) if name.endswith("seconds") else amount(value, keys)


def cell(value: object) -> Cell:
    """Return a cell of any value: None as a dash, counts with separated thousands, other numbers with four digits."""
    if value is None:
        return Cell(NOTHING)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Cell(str(value))
    return count(value) if isinstance(value, int) else Cell(_with_minus(f"{value:.4g}"), value)


def _formatted(value: float, formatted: str, keys: Sequence[str]) -> Cell:
    return (
        Cell(_with_minus(formatted), float(value), tuple(keys)) if is_known(value) else Cell(NOTHING, None, tuple(keys))
    )


def _with_minus(formatted: str) -> str:
    """Return a number's text with a true minus sign; one in an exponent stays."""
    return formatted.replace("-", "−") if "e-" not in formatted else formatted


def _markdown_cell(cell: Cell) -> str:
    escaped = text.markdown(cell.text or " ".join(cell.keys))
    return f"{escaped} (undecided)" if cell.undecided else escaped
