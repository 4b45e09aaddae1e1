"""Literature sources, one module each; every module of this package is a source.

A source turns its replies into `Work` records and nothing else. It is untrusted: no code outside this package reads its
replies.

>>> source_names()
('acl', 'arxiv', 'crossref', 'folder', 'openalex', 's2')
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, cast

from xstilts.errors import InputError, nearest
from xstilts.evidence.search.client import Client
from xstilts.evidence.search.work import Work


class Source(Protocol):
    """Interface of a source module."""

    def search(self, client: Client, query: str, limit: int) -> list[Work]:
        """Search the source.

        Args:
            client: Sends and logs requests.
            query: The query.
            limit: Most works.

        Returns:
            Works, best first; after a failure, those of the pages before it.
        """

    def text(self, client: Client, work: Work) -> str | None:
        """Fetch the full text of a work.

        Args:
            client: Sends and logs requests.
            work: The work.

        Returns:
            The text; None if the source has none or fails.
        """


def source_names() -> tuple[str, ...]:
    """Return the names of all sources."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def load_source(name: str) -> Source:
    """Return the source of a name.

    Raises:
        InputError: There is no such source.
    """
    if name not in source_names():
        near = nearest(name, source_names())
        hint = f"did you mean {near!r}?" if near else f"known are {', '.join(source_names())}"
        raise InputError(f"unknown source {name!r}; {hint}")
    return cast(Source, importlib.import_module(f"{__name__}.{name}"))


@dataclass(frozen=True)
class Page:
    """A page of search results.

    Attributes:
        works: Works on the page.
        has_more: Whether the page was as long as requested, so that another may follow.
    """

    works: list[Work]
    has_more: bool


def search_pages(fetch_page: Callable[[int, int], Page | None], limit: int, size: int) -> list[Work]:
    """Return the works of successive pages of a search.

    Args:
        fetch_page: Fetches the page that begins at an offset and has a size; None for a failure, which ends the search.
        limit: Largest number of works.
        size: Largest page.

    Returns:
        The works of all pages up to the end, the limit or a failure.
    """
    works: list[Work] = []
    for start, length in page_ranges(limit, size):
        page = fetch_page(start, length)
        works += page.works if page else []
        if page is None or not page.has_more:
            break
    return works


def page_ranges(limit: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield offset and size of each page, so that `limit` works are requested in all.

    Args:
        limit: Works in all.
        size: Works of a page, at most.

    Yields:
        (offset, size) pairs.

    >>> list(page_ranges(250, 100))
    [(0, 100), (100, 100), (200, 50)]
    """
    yield from ((start, min(size, limit - start)) for start in range(0, limit, size))
