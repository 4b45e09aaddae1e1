"""Semantic Scholar: its Academic Graph, which knows most ids of a work; abstracts may be missing.

Without a key (S2_API_KEY) all share one allowance, and 429 is frequent. Addresses of PDFs in its replies are not
followed: they lead anywhere, and arXiv and the Anthology give the texts.

https://api.semanticscholar.org/api-docs/graph

>>> _page(b'{"total": 1, "data": [{"title": "On tasks", "externalIds": {"ArXiv": "2113.00001"}}]}', 0).works[0].id
'arxiv:2113.00001'
"""

from __future__ import annotations

from typing import Any

from xstilts.evidence.search.client import Client
from xstilts.evidence.search.http_requests import Request, RequestError
from xstilts.evidence.search.identifiers import parse_ids
from xstilts.evidence.search.markup import parse_json_object
from xstilts.evidence.search.sources import Page, search_pages
from xstilts.evidence.search.work import Work, work_from_record

FIELDS = ("fields", "title,abstract,year,venue,authors,externalIds,citationCount,url")
PAGE_SIZE, MAX_RESULTS = 100, 1000


def search(client: Client, query: str, limit: int) -> list[Work]:
    """Return works that match a query, best first."""

    def asked(start: int, size: int) -> Page | None:
        params = (("query", query), ("offset", str(start)), ("limit", str(size)), FIELDS)
        return client.ask(Request("s2", "/graph/v1/paper/search", params), lambda body: _page(body, start))

    return search_pages(asked, min(limit, MAX_RESULTS), PAGE_SIZE)


def text(client: Client, work: Work) -> str | None:
    """Return None: full texts come from those who publish them."""
    return None


def _page(body: bytes, start: int) -> Page:
    page = parse_json_object(body)
    data = page.get("data") or []
    if not data and int(page["total"]) > start:
        raise RequestError("an empty page, though there are works", again=True)
    return Page([work for one in data if (work := _work(one))], "next" in page)


def _work(one: Any) -> Work | None:
    if not isinstance(one, dict) or not one.get("title"):
        return None
    names = one.get("externalIds") or {}
    return work_from_record(
        "s2",
        parse_ids(names.get("DOI"), names.get("ArXiv"), names.get("ACL"), one.get("paperId")),
        title=one["title"],
        authors=[author.get("name") for author in one.get("authors") or []],
        year=one.get("year"),
        venue=one.get("venue"),
        abstract=one.get("abstract"),
        url=one.get("url"),
        citations=one.get("citationCount"),
    )
