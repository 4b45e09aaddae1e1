"""Fictional works of the stub: one text file each in `works/`, with a header, an abstract and optional sections.

The header has names and values. `in` lists the sources that hold the work; "crossref year: 2021" is what one source
says instead; "print: ligatures" sets its PDF with ligatures and hyphens. An abstract "(none)" is missing. A section
begins with "== ".

>>> works()["stones"].field("crossref", "year"), works()["stones"].field("arxiv", "year")
('2021', '2020')
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent / "works"


@dataclass(frozen=True)
class FictionalWork:
    """A fictional work.

    Attributes:
        name: The name of its file.
        header: Title, authors, year and the like, by name; "SOURCE NAME" for what one source gives differently.
        abstract: Its abstract; "" for none.
        body: The text of its sections; "" for none.
    """

    name: str
    header: Mapping[str, str]
    abstract: str
    body: str

    def field(self, source: str, name: str) -> str:
        """Return a header field as a source gives it.

        Args:
            source: The name of the source.
            name: The name of the field.

        Returns:
            The value; "" for none.
        """
        return self.header.get(f"{source} {name}", self.header.get(name, ""))

    def authors(self, source: str) -> list[str]:
        """Return the authors' names as a source gives them."""
        return self.field(source, "authors").split("; ")

    def held_by(self, source: str) -> bool:
        """Return whether a source holds this work."""
        return source in self.header["in"].split()

    @property
    def s2(self) -> str:
        """Its Semantic Scholar id."""
        return hashlib.sha1(self.name.encode(), usedforsecurity=False).hexdigest()

    @property
    def openalex(self) -> str:
        """Its OpenAlex id."""
        return f"W99{int(self.s2[:8], 16):010d}"


@cache
def works() -> dict[str, FictionalWork]:
    """Return all works by file name."""
    return {path.stem: _read(path) for path in sorted(HERE.glob("*.txt"))}


def search_works(source: str, query: str, candidates: Mapping[str, FictionalWork]) -> list[FictionalWork]:
    """Return the works of a source that match a query.

    Args:
        source: The name of the source.
        query: The query; a match has at least half of its words in title and abstract.
        candidates: All works, by name.

    Returns:
        Works, best first.
    """
    query_words = set(query.lower().replace("-", " ").split())
    scored = []
    for work in candidates.values():
        text = f"{work.header['title']} {work.abstract}".lower().replace("-", " ")
        words = {word.strip(".,:;?()%") for word in text.split()}
        if work.held_by(source) and 2 * len(query_words & words) >= len(query_words):
            scored.append((-len(query_words & words), work.name, work))
    return [work for *_, work in sorted(scored, key=lambda row: row[:2])]


def _read(path: Path) -> FictionalWork:
    header, abstract, body = (path.read_text(encoding="utf-8").strip() + "\n\n\n").split("\n\n", 2)
    fields = dict(line.split(": ", 1) for line in header.splitlines())
    return FictionalWork(path.stem, fields, "" if abstract == "(none)" else abstract, body.strip())
