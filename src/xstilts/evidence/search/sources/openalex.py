"""OpenAlex: the largest open index; it marks retracted works.

Abstracts come as an inverted index. The key (OPENALEX_API_KEY) is sent only if there is one, since an empty one is
refused.

Source: https://docs.openalex.org/api-entities/works
"""

from __future__ import annotations

from typing import Any

from xstilts.evidence.search.client import Client
from xstilts.evidence.search.http_requests import Request, RequestError
from xstilts.evidence.search.identifiers import parse_ids
from xstilts.evidence.search.markup import from_inverted_index, parse_json_object, plain_text
from xstilts.evidence.search.sources import Page, search_pages
from xstilts.evidence.search.work import Work, work_from_record

PAGE_SIZE = 100


def search(client: Client, query: str, limit: int) -> list[Work]:
    """Return works that match a query, best first.

    Args:
        client: Sends and logs requests.
        query: The query.
        limit: Most works.

    Returns:
        Works.
    """

    def fetch_page(start: int, size: int) -> Page | None:
        params = (("search", query), ("per-page", str(min(limit, PAGE_SIZE))), ("page", str(start // PAGE_SIZE + 1)))
        return client.fetch(Request("openalex", "/works", params), lambda body: _page(body, start, size))

    return search_pages(fetch_page, limit, PAGE_SIZE)[:limit]


def text(client: Client, work: Work) -> str | None:
    """Return None: OpenAlex has no full texts.

    Args:
        client: Ignored.
        work: Ignored.

    Returns:
        None.
    """
    return None


def _page(body: bytes, start: int, size: int) -> Page:
    page = parse_json_object(body)
    results = page["results"]
    if not results and int(page["meta"]["count"]) > start:
        raise RequestError("an empty page, although there are works", retryable=True)
    return Page([work for item in results if (work := _work(item))], len(results) >= size)


def _work(item: Any) -> Work | None:
    if not isinstance(item, dict) or not item.get("display_name"):
        return None
    place = item.get("primary_location") or {}
    address = place.get("landing_page_url") or ""
    pages = [address, *(_address(other) for other in item.get("locations") or ())]
    return work_from_record(
        "openalex",
        parse_ids(
            doi=item.get("doi"),
            arxiv=next((page for page in pages if "arxiv.org" in page), ""),
            openalex=item.get("id"),
        ),
        title=plain_text(item["display_name"]),
        authors=[(author.get("author") or {}).get("display_name") for author in item.get("authorships") or []],
        year=item.get("publication_year"),
        venue=(place.get("source") or {}).get("display_name"),
        abstract=plain_text(from_inverted_index(item.get("abstract_inverted_index"))),
        url=address or item.get("id"),
        retracted=item.get("is_retracted") is True,
        citations=item.get("cited_by_count"),
    )


def _address(location: object) -> str:
    address = location.get("landing_page_url") if isinstance(location, dict) else ""
    return address if isinstance(address, str) else ""
