"""Semantic Scholar's Academic Graph, which knows most identifiers of a work; abstracts may be missing.

Without a key (S2_API_KEY) all users share one rate limit, and 429 is frequent. PDF addresses in its replies are not
followed, since they may lead anywhere; arXiv and the Anthology provide the texts.

Source: https://api.semanticscholar.org/api-docs/graph

>>> _page(b'{"total": 1, "data": [{"title": "On tasks", "externalIds": {"ArXiv": "2113.00001"}}]}', 0).works[0].id
'arxiv:2113.00001'
"""

from __future__ import annotations

from typing import Any

from xstilts.evidence.search.client import Client
from xstilts.evidence.search.http_requests import Request, RequestError
from xstilts.evidence.search.identifiers import parse_ids
from xstilts.evidence.search.markup import parse_json_object, plain_text
from xstilts.evidence.search.sources import Page, search_pages
from xstilts.evidence.search.work import Work, work_from_record

FIELDS = ("fields", "title,abstract,year,venue,authors,externalIds,citationCount,url")
PAGE_SIZE, MAX_RESULTS = 100, 1000


def search(client: Client, query: str, limit: int) -> list[Work]:
    """Return works that match a query, best first; at most `MAX_RESULTS`.

    Args:
        client: Sends and logs requests.
        query: The query.
        limit: Most works.

    Returns:
        Works.
    """

    def fetch_page(start: int, size: int) -> Page | None:
        params = (("query", query), ("offset", str(start)), ("limit", str(size)), FIELDS)
        return client.fetch(Request("s2", "/graph/v1/paper/search", params), lambda body: _page(body, start))

    return search_pages(fetch_page, min(limit, MAX_RESULTS), PAGE_SIZE)


def text(client: Client, work: Work) -> str | None:
    """Return None: full texts are fetched from their publishers.

    Args:
        client: Ignored.
        work: Ignored.

    Returns:
        None.
    """
    return None


def _page(body: bytes, start: int) -> Page:
    page = parse_json_object(body)
    data = page.get("data") or []
    if not data and int(page["total"]) > start:
        raise RequestError("an empty page, although there are works", retryable=True)
    return Page([work for item in data if (work := _work(item))], "next" in page)


def _work(item: Any) -> Work | None:
    if not isinstance(item, dict) or not item.get("title"):
        return None
    names = item.get("externalIds") or {}
    return work_from_record(
        "s2",
        parse_ids(names.get("DOI"), names.get("ArXiv"), names.get("ACL"), item.get("paperId")),
        title=plain_text(item["title"]),
        authors=[author.get("name") for author in item.get("authors") or []],
        year=item.get("year"),
        venue=item.get("venue"),
        abstract=plain_text(item.get("abstract")),
        url=item.get("url"),
        citations=item.get("citationCount"),
    )
