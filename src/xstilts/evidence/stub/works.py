"""Works of the stub: one text file each, in `works/`; a header of names and values, an abstract, and maybe sections.

`in` names the sources that hold a work. "crossref year: 2021" is what one source says otherwise; "print: ligatures"
has its PDF set with ligatures and hyphens. An abstract "(none)" is none. A section begins with "== ".

>>> works()["stones"].said("crossref", "year"), works()["stones"].said("arxiv", "year")
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
    """A made-up work: its file's name, its header, abstract and the text of its sections ("" without any)."""

    name: str
    header: Mapping[str, str]
    abstract: str
    body: str

    def field(self, source: str, what: str) -> str:
        """Return what a source says of a work, "" where it says nothing."""
        return self.header.get(f"{source} {what}", self.header.get(what, ""))

    def authors(self, source: str) -> list[str]:
        """Return the names as a source gives them."""
        return self.field(source, "authors").split("; ")

    def held_by(self, source: str) -> bool:
        """Say whether a source knows this work."""
        return source in self.header["in"].split()

    @property
    def s2(self) -> str:
        """Semantic Scholar's id."""
        return hashlib.sha1(self.name.encode(), usedforsecurity=False).hexdigest()

    @property
    def openalex(self) -> str:
        """OpenAlex's id."""
        return f"W99{int(self.s2[:8], 16):010d}"


@cache
def works() -> dict[str, FictionalWork]:
    """Return all works by the names of their files."""
    return {path.stem: _read(path) for path in sorted(HERE.glob("*.txt"))}


def search_works(source: str, query: str, among: Mapping[str, FictionalWork]) -> list[FictionalWork]:
    """Return the works of a source that hold at least half of a query's words, best first."""
    asked = set(query.lower().replace("-", " ").split())
    scored = []
    for work in among.values():
        text = f"{work.header['title']} {work.abstract}".lower().replace("-", " ")
        words = {word.strip(".,:;?()%") for word in text.split()}
        if work.held_by(source) and 2 * len(asked & words) >= len(asked):
            scored.append((-len(asked & words), work.name, work))
    return [work for *_, work in sorted(scored, key=lambda row: row[:2])]


def _read(path: Path) -> FictionalWork:
    header, abstract, body = (path.read_text(encoding="utf-8").strip() + "\n\n\n").split("\n\n", 2)
    named = dict(line.split(": ", 1) for line in header.splitlines())
    return FictionalWork(path.stem, named, "" if abstract == "(none)" else abstract, body.strip())
