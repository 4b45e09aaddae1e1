"""Crossref: what publishers registered; the word on titles, years and retractions.

Abstracts are JATS, where there are any. A retracted work is one that says it was updated by a retraction.

https://api.crossref.org/swagger-ui/index.html
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
    """Return works that match a query, best first."""

    def asked(start: int, size: int) -> Page | None:
        params = (("query", query), ("rows", str(size)), ("offset", str(start)))
        return client.ask(Request("crossref", "/works", params), lambda body: _page(body, start, size))

    return search_pages(asked, limit, PAGE_SIZE)


def text(client: Client, work: Work) -> str | None:
    """Return None: Crossref holds no texts."""
    return None


def _page(body: bytes, start: int, size: int) -> Page:
    message = parse_json_object(body)["message"]
    if not message["items"] and int(message["total-results"]) > start:
        raise RequestError("an empty page, though there are works", again=True)
    return Page([work for one in message["items"] if (work := _work(one))], len(message["items"]) >= size)


def _work(one: Any) -> Work | None:
    if not isinstance(one, dict) or not one.get("title"):
        return None
    dates = [part for key in ("issued", "published") for part in (one.get(key) or {}).get("date-parts") or [] if part]
    notices = [update.get("type") for update in one.get("updated-by") or []]
    return work_from_record(
        "crossref",
        parse_ids(doi=one.get("DOI")),
        title=strip_tags(one["title"][0]),
        authors=[_name(author) for author in one.get("author") or []],
        year=dates[0][0] if dates else None,
        venue=next(iter(one.get("container-title") or []), ""),
        abstract=strip_tags(one.get("abstract")),
        url=one.get("URL"),
        retracted=any(notice in ("retraction", "withdrawal", "removal") for notice in notices),
        citations=one.get("is-referenced-by-count"),
    )


def _name(author: dict[str, Any]) -> str:
    family, given = author.get("family"), author.get("given")
    return f"{family}, {given}" if family and given else str(family or author.get("name") or "")
