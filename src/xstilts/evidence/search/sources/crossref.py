"""Crossref: metadata that publishers registered; authoritative for titles, years and retractions.

Titles are in HTML and without their subtitles; abstracts, where there are any, are in JATS. A retracted work is one
that was "updated by" a retraction notice; a notice is itself no evidence and names the work that it updates. Relations
name the preprint of a publication.

Source: https://api.crossref.org/swagger-ui/index.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xstilts.evidence.search.client import Client
from xstilts.evidence.search.http_requests import Request, RequestError
from xstilts.evidence.search.identifiers import parse_ids
from xstilts.evidence.search.markup import parse_json_object, strip_tags
from xstilts.evidence.search.sources import Page, search_pages
from xstilts.evidence.search.work import Work, fold_text, work_from_record

PAGE_SIZE = 100
RETRACTED = ("retraction", "withdrawal", "removal", "partial_retraction")
SAME_WORK = ("has-preprint", "is-preprint-of", "is-version-of", "has-version", "is-identical-to", "is-same-as")


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
    notices = [update.get("type") for update in item.get("updated-by") or [] if isinstance(update, dict)]
    related = [*_related(item.get("relation"))]
    preprint = next((name for name in related if name.startswith("arxiv:")), "")
    return work_from_record(
        "crossref",
        parse_ids(doi=item.get("DOI"), arxiv=preprint),
        title=_title(item),
        authors=[_name(author) for author in item.get("author") or [] if isinstance(author, dict)],
        year=dates[0][0] if dates else None,
        venue=strip_tags(next(iter(item.get("container-title") or []), "")),
        abstract=strip_tags(item.get("abstract")),
        url=item.get("URL"),
        retracted=any(notice in RETRACTED for notice in notices) or bool(_retracted(item.get("update-to"))),
        citations=item.get("is-referenced-by-count"),
        **({"same_as": related} if related else {}),
        **({"retracts": retracted} if (retracted := _retracted(item.get("update-to"))) else {}),
    )


def _title(item: dict[str, Any]) -> str:
    """Return the title with its subtitle, which Crossref keeps apart; some publishers register it in both."""
    title, subtitle = (strip_tags(next(iter(item.get(name) or []), "")) for name in ("title", "subtitle"))
    if not subtitle or fold_text(subtitle) in fold_text(title):
        return title
    return f"{title}{' ' if title.endswith((':', '?', '!')) else ': '}{subtitle}"


def _related(relations: object) -> Iterator[str]:
    """Yield the identifiers of the same work that a publisher gives: its preprint, its version of record."""
    for kind in SAME_WORK:
        for other in (relations.get(kind) or ()) if isinstance(relations, dict) else ():
            if isinstance(other, dict) and (name := parse_ids(doi=other.get("id"), arxiv=_arxiv(other)).primary):
                yield name


def _arxiv(other: dict[str, Any]) -> object:
    return other.get("id") if "arxiv" in str(other.get("id-type", "")).lower() else ""


def _retracted(updates: object) -> list[str]:
    """Return the identifiers of the works that a notice retracts."""
    rows = [row for row in updates if isinstance(row, dict)] if isinstance(updates, list) else []
    names = (parse_ids(doi=row.get("DOI")).primary for row in rows if row.get("type") in RETRACTED)
    return sorted(filter(None, names))


def _name(author: dict[str, Any]) -> str:
    family, given = author.get("family"), author.get("given")
    return f"{family}, {given}" if family and given else str(family or author.get("name") or "")
