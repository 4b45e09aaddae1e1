"""OpenAlex: the widest of the open indexes; it marks what was retracted.

Abstracts come as an inverted index. A key (OPENALEX_API_KEY) is sent only where there is one: a blank one is refused.

https://docs.openalex.org/api-entities/works
"""

from __future__ import annotations

from typing import Any

from xstilts.evidence.search.client import Client
from xstilts.evidence.search.http_requests import Request, RequestError
from xstilts.evidence.search.identifiers import parse_ids
from xstilts.evidence.search.markup import from_inverted_index, parse_json_object
from xstilts.evidence.search.sources import Page, search_pages
from xstilts.evidence.search.work import Work, work_from_record

PAGE_SIZE = 100


def search(client: Client, query: str, limit: int) -> list[Work]:
    """Return works that match a query, best first."""

    def asked(start: int, size: int) -> Page | None:
        params = (("search", query), ("per-page", str(min(limit, PAGE_SIZE))), ("page", str(start // PAGE_SIZE + 1)))
        return client.ask(Request("openalex", "/works", params), lambda body: _page(body, start, size))

    return search_pages(asked, limit, PAGE_SIZE)[:limit]


def text(client: Client, work: Work) -> str | None:
    """Return None: OpenAlex holds no texts."""
    return None


def _page(body: bytes, start: int, size: int) -> Page:
    page = parse_json_object(body)
    results = page["results"]
    if not results and int(page["meta"]["count"]) > start:
        raise RequestError("an empty page, though there are works", again=True)
    return Page([work for one in results if (work := _work(one))], len(results) >= size)


def _work(one: Any) -> Work | None:
    if not isinstance(one, dict) or not one.get("display_name"):
        return None
    place = one.get("primary_location") or {}
    address = place.get("landing_page_url") or ""
    return work_from_record(
        "openalex",
        parse_ids(doi=one.get("doi"), arxiv=address if "arxiv.org" in address else "", openalex=one.get("id")),
        title=one["display_name"],
        authors=[(author.get("author") or {}).get("display_name") for author in one.get("authorships") or []],
        year=one.get("publication_year"),
        venue=(place.get("source") or {}).get("display_name"),
        abstract=from_inverted_index(one.get("abstract_inverted_index")),
        url=address or one.get("id"),
        retracted=one.get("is_retracted") is True,
        citations=one.get("cited_by_count"),
    )
