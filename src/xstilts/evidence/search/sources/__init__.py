"""Sources: where literature is found, one file each; the folder is the list of them.

A source is a module with two functions over the client. Each turns what its source says into works of our own and
nothing else: no source is trusted further than that.

>>> names()
('acl', 'arxiv', 'crossref', 'folder', 'openalex', 's2')
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, cast

from xstilts.errors import InputError
from xstilts.evidence.search.client import Client
from xstilts.evidence.search.work import Work


class Source(Protocol):
    """What a module of this folder offers."""

    def search(self, client: Client, query: str, limit: int) -> list[Work]:
        """Return at most `limit` works that match a query's words, best first; what was found before a failure."""

    def text(self, client: Client, work: Work) -> str | None:
        """Return the full text of a work, None where the source has none or fails."""


def source_names() -> tuple[str, ...]:
    """Return the names of all sources."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def load_source(name: str) -> Source:
    """Return the source of a name; InputError where there is none."""
    if name not in source_names():
        near = difflib.get_close_matches(name, source_names(), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(source_names())}"
        raise InputError(f"unknown source {name!r}; {hint}")
    return cast(Source, importlib.import_module(f"{__name__}.{name}"))


@dataclass(frozen=True)
class Page:
    """Works of a page of a search; `full`: it was as long as was asked for, so that another may follow."""

    works: list[Work]
    full: bool


def search_pages(asked: Callable[[int, int], Page | None], limit: int, size: int) -> list[Work]:
    """Return the works of page after page, `asked` with where it begins and its size; None ends it, a failure."""
    found: list[Work] = []
    for start, length in page_ranges(limit, size):
        page = asked(start, length)
        found += page.works if page else []
        if page is None or not page.full:
            break
    return found


def page_ranges(limit: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield where each page begins and how many works to ask for, so that `limit` are asked for in all.

    >>> list(pages(250, 100))
    [(0, 100), (100, 100), (200, 50)]
    """
    yield from ((start, min(size, limit - start)) for start in range(0, limit, size))
