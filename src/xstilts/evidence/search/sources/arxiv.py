"""arXiv: preprints from its Atom API, at most one request in three seconds, and their PDFs.

The feed is sometimes empty although it reports matches; such a reply is requested again. A malformed query is reported
as an entry called "Error".

Source: https://info.arxiv.org/help/api/user-manual.html

>>> arxiv_query("batch size, in fine-tuning")
'all:batch AND all:size AND all:in AND all:fine AND all:tuning'
"""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

from xstilts.evidence.search import pdf_text
from xstilts.evidence.search.client import Client
from xstilts.evidence.search.http_requests import Request, RequestError
from xstilts.evidence.search.identifiers import parse_ids
from xstilts.evidence.search.markup import parse_xml
from xstilts.evidence.search.retractions import says_text
from xstilts.evidence.search.sources import Page, search_pages
from xstilts.evidence.search.work import Work, single_line, work_from_record

ATOM, ARXIV_NAMESPACE = "{http://www.w3.org/2005/Atom}", "{http://arxiv.org/schemas/atom}"
TOTAL = "{http://a9.com/-/spec/opensearch/1.1/}totalResults"
PAGE_SIZE = 100


def search(client: Client, query: str, limit: int) -> list[Work]:
    """Return works that contain every word of a query, best first.

    Args:
        client: Sends and logs requests.
        query: The query; one without words finds nothing.
        limit: Most works.

    Returns:
        Works.
    """

    def fetch_page(start: int, size: int) -> Page | None:
        place = (("start", str(start)), ("max_results", str(size)))
        params = (("search_query", arxiv_query(query)), *place, ("sortBy", "relevance"))
        return client.fetch(Request("arxiv", "/api/query", params), lambda body: _page(body, start, size))

    return search_pages(fetch_page, limit, PAGE_SIZE) if arxiv_query(query) else []


def text(client: Client, work: Work) -> str | None:
    """Return the text of a work's PDF; None without an arXiv id or a PDF.

    Args:
        client: Sends and logs requests.
        work: The work.

    Returns:
        The text, or None.
    """
    request = Request("arxiv", f"/pdf/{work.ids.arxiv}", not_found_ok=True)
    return client.fetch(request, pdf_text.extract_text) if work.ids.arxiv else None


def arxiv_query(query: str) -> str:
    """Return a query in arXiv's syntax; operators in it are taken as words."""
    return " AND ".join(f"all:{word}" for word in re.findall(r"\w+", query))


def _page(body: bytes, start: int = 0, size: int = 1) -> Page:
    root = parse_xml(body)
    entries = root.findall(f"{ATOM}entry")
    total = int(root.findtext(TOTAL, "0") or 0)
    if any(single_line(entry.findtext(f"{ATOM}title")) == "Error" for entry in entries):
        raise RequestError("the query is refused")
    if not entries and total > start:
        raise RequestError("an empty page, although there are works", retryable=True)
    works = [_work(entry) for entry in entries if single_line(entry.findtext(f"{ATOM}title"))]
    return Page(works, len(entries) >= size)


def _work(entry: Element) -> Work:
    address, comment = (
        single_line(entry.findtext(f"{ATOM}id")),
        single_line(entry.findtext(f"{ARXIV_NAMESPACE}comment")),
    )
    version = re.search(r"v(\d+)$", address)
    return work_from_record(
        "arxiv",
        parse_ids(arxiv=address, doi=entry.findtext(f"{ARXIV_NAMESPACE}doi")),
        title=entry.findtext(f"{ATOM}title"),
        authors=[author.findtext(f"{ATOM}name") for author in entry.findall(f"{ATOM}author")],
        year=(entry.findtext(f"{ATOM}published") or "")[:4],
        venue=entry.findtext(f"{ARXIV_NAMESPACE}journal_ref"),
        abstract=entry.findtext(f"{ATOM}summary"),
        url=address,
        retracted=says_text(comment),
        version=version.group(1) if version else "",
    )
