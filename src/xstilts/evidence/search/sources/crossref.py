"""Crossref: metadata that publishers registered; authoritative for titles, years and retractions.

Abstracts, where there are any, are in JATS. A retracted work is one that was "updated by" a retraction notice.

Source: https://api.crossref.org/swagger-ui/index.html
"""

from __future__ import annotations

from typing import Any

from xstilts.evidence.search.client import Client
from xstilts.evidence.search.http_requests import Request, RequestError
from xstilts.evidence.search.identifiers import parse_ids
from xstilts.evidence.search.markup import parse_json_object, strip_tags
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
        params = (("query", query), ("rows", str(size)), ("offset", str(start)))
        return client.fetch(Request("crossref", "/works", params), lambda body: _page(body, start, size))

    return search_pages(fetch_page, limit, PAGE_SIZE)


def text(client: Client, work: Work) -> str | None:
    """Return None: Crossref has no full texts.

    Args:
        client: Ignored.
        work: Ignored.

    Returns:
        None.
    """
    return None


def _page(body: bytes, start: int, size: int) -> Page:
    message = parse_json_object(body)["message"]
    if not message["items"] and int(message["total-results"]) > start:
        raise RequestError("an empty page, although there are works", retryable=True)
    return Page([work for item in message["items"] if (work := _work(item))], len(message["items"]) >= size)


def _work(item: Any) -> Work | None:
    if not isinstance(item, dict) or not item.get("title"):
        return None
    dates = [part for key in ("issued", "published") for part in (item.get(key) or {}).get("date-parts") or [] if part]
    notices = [update.get("type") for update in item.get("updated-by") or []]
    return work_from_record(
        "crossref",
        parse_ids(doi=item.get("DOI")),
        title=strip_tags(item["title"][0]),
        authors=[_name(author) for author in item.get("author") or []],
        year=dates[0][0] if dates else None,
        venue=next(iter(item.get("container-title") or []), ""),
        abstract=strip_tags(item.get("abstract")),
        url=item.get("URL"),
        retracted=any(notice in ("retraction", "withdrawal", "removal") for notice in notices),
        citations=item.get("is-referenced-by-count"),
    )


def _name(author: dict[str, Any]) -> str:
    family, given = author.get("family"), author.get("given")
    return f"{family}, {given}" if family and given else str(family or author.get("name") or "")
