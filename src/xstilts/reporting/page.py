"""Page: what a report page consists of, rendered as one self-contained HTML file and as Markdown.

A page has a question, an answer, verdicts and sections; a section holds tables, plots, lists and commands. Every number
can name the stages that made it: one stage links to its row in the table of stages, several link to a line that lists
them. The HTML templates lie in `pages/`; a page of another type extends `pages/page.html`.

>>> print(markdown(Page("study", "Does it help?", "Not decided yet.")))
# Does it help?
<BLANKLINE>
**Not decided yet.**
<BLANKLINE>
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from markupsafe import Markup

from xstilts import __version__
from xstilts.runtime import text, whole_files
from xstilts.runtime.tables import FOLDED_FROM, NOTHING, Cell, TableView, templates
from xstilts.runtime.text import counted

__all__ = [
    "NOTHING",
    "Cell",
    "Listing",
    "Page",
    "Panel",
    "Plot",
    "Section",
    "TableView",
    "VerdictList",
    "VerdictView",
    "html",
    "markdown",
    "save",
]
PAGES = Path(__file__).with_name("pages")
FENCE = "```"
SHAPES = {  # of the mark beside a status, so that colour is not needed to tell them apart
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
    "not understood": "empty",
}


@dataclass(frozen=True)
class Panel:
    """One drawing of a plot.

    Attributes:
        title: Its heading; "" for none.
        drawing: The drawing as SVG.
        description: What it shows, in a sentence: for screen readers and for Markdown.
    """

    title: str
    drawing: Markup
    description: str


@dataclass(frozen=True)
class Plot:
    """Drawings that share a legend.

    Attributes:
        name: An identifier on the page.
        title: What is drawn.
        panels: The drawings.
        table: What is drawn, as a table; None where the section has it already.
        legend: The labels of the series, by their number.
        note: A sentence below the drawings.
    """

    name: str
    title: str
    panels: tuple[Panel, ...]
    table: TableView | None
    legend: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Listing:
    """A list of sentences, or of commands to type.

    Attributes:
        title: Its heading; "" for none.
        lines: The sentences or commands.
        commands: Whether they are commands.
    """

    title: str
    lines: tuple[str, ...]
    commands: bool = False


@dataclass(frozen=True)
class VerdictView:
    """A verdict as a page shows it.

    Attributes:
        name: The claim's name, part of the verdict's anchor.
        sentence: The claim.
        status: The verdict: a key of `SHAPES`.
        why: The reason for the status.
        facts: The numbers behind it, each with a label.
        published: The comparison with a published figure, where the claim names one.
    """

    name: str
    sentence: str
    status: str
    why: str
    facts: tuple[tuple[str, Cell], ...] = ()
    published: VerdictView | None = None

    @property
    def shape(self) -> str:
        """The shape of the mark that shows the status without colour."""
        return SHAPES.get(self.status, "empty")


@dataclass(frozen=True)
class VerdictList:
    """Verdicts within a section, shown in the same way as those at the top of the page."""

    verdicts: tuple[VerdictView, ...]


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes:
        name: Its anchor.
        title: Its heading.
        blocks: What it contains, in order.
        about: Its first paragraph; "" for none.
    """

    name: str
    title: str
    blocks: tuple[TableView | Plot | Listing | VerdictList, ...]
    about: str = ""

    def tables(self) -> Iterator[TableView]:
        """Yield all tables of the section, including those of plots."""
        for block in self.blocks:
            table = block.table if isinstance(block, Plot) else block
            if isinstance(table, TableView):
                yield table


@dataclass(frozen=True)
class Page:
    """A report page.

    Attributes:
        source: What is reported, e.g. the study's name, for the page's first line.
        title: The question.
        answer: The answer in a few sentences.
        about: Paragraphs of background.
        verdicts: The verdicts on the claims.
        sections: Everything else, in the order of reading.
        inputs: The keys of each stage's direct inputs, by its key: the stages that the page describes.
        heading: The heading above the verdicts.
        measured_on: What the answer was measured on, each fact with its label.
        notice: What a reader must know before anything else, as that works or languages are made up; "" for nothing.
    """

    source: str
    title: str
    answer: str
    about: tuple[str, ...] = ()
    verdicts: tuple[VerdictView, ...] = ()
    sections: tuple[Section, ...] = ()
    inputs: Mapping[str, tuple[str, ...]] | None = None
    heading: str = "Verdicts"
    measured_on: tuple[tuple[str, str], ...] = ()
    notice: str = ""

    @property
    def tally(self) -> tuple[tuple[str, int], ...]:
        """The number of verdicts with each status, in the order of `SHAPES`."""
        statuses = [verdict.status for verdict in self.verdicts]
        order = [*SHAPES, *sorted(set(statuses) - set(SHAPES))]
        return tuple((status, statuses.count(status)) for status in order if status in statuses)

    @cached_property
    def sources(self) -> dict[tuple[str, ...], str]:
        """An anchor for each set of two or more stages that a number comes from, in order of appearance."""
        sets = [keys for cell in self._cells() if cell.text and len(keys := self.last(cell.keys)) > 1]
        return {keys: f"made-{number}" for number, keys in enumerate(dict.fromkeys(sets), 1)}

    def last(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        """Return those of these stages that are no input, direct or not, of another of them."""
        inputs = {key for stage in keys for key in self._all_inputs(stage)}
        return tuple(sorted(set(keys) - inputs))

    def anchor(self, keys: tuple[str, ...]) -> str:
        """Return the anchor that a number of these stages links to; "" where the page describes none of them."""
        last = self.last(keys)
        if len(last) > 1:
            return self.sources[last]
        return f"stage-{last[0]}" if last and last[0] in (self.inputs or {}) else ""

    def _all_inputs(self, key: str) -> frozenset[str]:
        """Return the keys of a stage's transitive inputs."""
        if key not in self._known_inputs:
            direct = (self.inputs or {}).get(key, ())
            self._known_inputs[key] = frozenset(direct).union(*(self._all_inputs(other) for other in direct))
        return self._known_inputs[key]

    @cached_property
    def _known_inputs(self) -> dict[str, frozenset[str]]:
        return {}

    def _cells(self) -> Iterable[Cell]:
        for verdict in self.verdicts:
            yield from (cell for _, cell in verdict.facts)
        for section in self.sections:
            yield from (cell for table in section.tables() for row in table.rows for cell in row)
            for block in section.blocks:
                if isinstance(block, VerdictList):
                    yield from (cell for verdict in block.verdicts for _, cell in verdict.facts)


def save(page: Page, folder: Path, html_name: str, markdown_name: str) -> tuple[Path, ...]:
    """Write a page as HTML and as Markdown.

    Args:
        page: The page.
        folder: The folder; made where it does not exist.
        html_name: The name of the HTML file.
        markdown_name: The name of the Markdown file.

    Returns:
        The paths of both files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = folder / html_name, folder / markdown_name
    for file, content in zip(files, (html(page), markdown(page)), strict=True):
        whole_files.write(file, content)
    return files


def html(page: Page, template: str = "page.html") -> str:
    """Render a page as one HTML file that loads nothing else.

    Args:
        page: The page; all its texts are escaped.
        template: The name of the template.

    Returns:
        The text of the file.
    """
    block_types = {TableView: "table", Plot: "plot", Listing: "listing", VerdictList: "verdicts"}
    return templates(PAGES).get_template(template).render(page=page, version=__version__, block_types=block_types)


def markdown(page: Page) -> str:
    """Return a page in Markdown, to be read in a terminal or a repository; of large tables only their size."""
    lines = [f"# {text.markdown(page.title)}", ""]
    lines += [f"> {text.markdown(page.notice)}", ""] if page.notice else []
    lines += [f"**{text.markdown(page.answer)}**", ""]
    if page.measured_on:
        lines += [*(f"- {text.markdown(label)}: {text.markdown(fact)}" for label, fact in page.measured_on), ""]
    for paragraph in page.about:
        lines += [text.markdown_paragraph(paragraph), ""]
    if page.verdicts:
        tally = ", ".join(f"{status}: {number}" for status, number in page.tally)
        lines += [f"## {page.heading}", "", text.markdown(tally), ""]
        lines += [line for verdict in page.verdicts for line in _verdict_lines(verdict)]
        lines.append("")
    for section in page.sections:
        lines += _section_lines(section)
    return "\n".join(lines)


def _verdict_lines(verdict: VerdictView) -> Iterator[str]:
    status, sentence = text.markdown(verdict.status), text.markdown(verdict.sentence.rstrip("."))
    yield f"- **{status}**: {sentence}. {text.markdown(verdict.why)}"
    facts = "; ".join(f"{label} {cell.text}" for label, cell in verdict.facts)
    if facts:
        yield f"  {text.markdown(facts)}"
    if verdict.published:
        yield f"  - published, *{text.markdown(verdict.published.status)}*: {text.markdown(verdict.published.why)}"


def _section_lines(section: Section) -> Iterator[str]:
    yield from (f"## {text.markdown(section.title)}", "")
    if section.about:
        yield from (text.markdown_paragraph(section.about), "")
    for block in section.blocks:
        if isinstance(block, Listing):
            yield from _listing_lines(block)
        elif isinstance(block, VerdictList):
            yield from (line for verdict in block.verdicts for line in _verdict_lines(verdict))
            yield ""
        else:
            yield from _table_lines(block) if isinstance(block, TableView) else _plot_lines(block)


def _listing_lines(listing: Listing) -> Iterator[str]:
    if listing.title:
        yield from (f"### {text.markdown(listing.title)}", "")
    if listing.commands:
        # A fence must be longer than any run of backticks within it.
        fence = FENCE + "`" * max((len(run) for line in listing.lines for run in re.findall("`+", line)), default=0)
        yield from (f"{fence}sh", *listing.lines, fence, "")
    else:
        yield from (*(f"- {text.markdown_paragraph(line)}" for line in listing.lines), "")


def _plot_lines(plot: Plot) -> Iterator[str]:
    yield from (f"### {text.markdown(plot.title)}", "")
    yield from (f"- {text.markdown_paragraph(panel.description)}" for panel in plot.panels)
    yield ""
    if plot.table and not plot.table.is_folded:
        yield from _table_lines(plot.table)


def _table_lines(table: TableView) -> Iterator[str]:
    yield from (f"### {text.markdown(table.title)}", "")
    if len(table.rows) > 2 * FOLDED_FROM:
        yield from (f"{counted(len(table.rows), 'row')}: see the HTML page.", "")
    else:
        yield from (table.to_markdown(), "")
