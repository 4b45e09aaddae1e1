"""ACL Anthology: a local search in its full BibTeX export, and PDFs.

The Anthology has no search interface. Its export is large and fetched once, then cached as any reply and indexed once;
its address may be that of a part. All content words of a query take part (`retrieval.ranking`).

Source: https://aclanthology.org/faq/api/
"""

from __future__ import annotations

import re
import zlib

from xstilts.evidence.retrieval.corpus_files import decompressed, open_bibtex
from xstilts.evidence.retrieval.ranking import Ranker
from xstilts.evidence.retrieval.work_index import WorkIndex
from xstilts.evidence.search import bibtex, pdf_text
from xstilts.evidence.search.client import Client
from xstilts.evidence.search.http_requests import Request, RequestError
from xstilts.evidence.search.identifiers import parse_ids
from xstilts.evidence.search.work import Work, work_from_record

DUMP = "/anthology+abstracts.bib.gz"
INDEXES = "indexes"  # folder of the indexes in the cache


def search(client: Client, query: str, limit: int) -> list[Work]:
    """Return the works that fit a query, best first; empty if the export cannot be fetched.

    Args:
        client: Sends and logs requests.
        query: The query.
        limit: Most works.

    Returns:
        Works.
    """
    index = open_index(client)
    rows = Ranker(index, query).reranked()[:limit] if index else []
    return [work_of_entry(index.record(row)) for row in rows] if index else []


def open_index(client: Client) -> WorkIndex | None:
    """Return the index of the export, fetched and built if it is not in the cache; None if it cannot be fetched."""

    def opened(body: bytes) -> WorkIndex:
        _check(body)
        return open_bibtex([body], client.cache / INDEXES, "the export")

    return client.fetch_once(Request("acl", DUMP), opened)


def text(client: Client, work: Work) -> str | None:
    """Return the text of a work's PDF; None without an Anthology id or a PDF.

    Args:
        client: Sends and logs requests.
        work: The work.

    Returns:
        The text, or None.
    """
    request = Request("acl", f"/{work.ids.acl}.pdf", not_found_ok=True)
    return client.fetch(request, pdf_text.extract_text) if work.ids.acl else None


def _check(body: bytes) -> None:
    """Raise RequestError unless the export, compressed or not, is whole, of a usual size, and holds works."""
    try:
        content = decompressed(body)
    except (EOFError, OSError, zlib.error) as error:
        raise RequestError("the file is truncated", retryable=True) from error
    except UnicodeDecodeError:
        raise
    except ValueError as error:
        raise RequestError(f"the file is too large: {error}") from error
    if not bibtex.START.search(content):
        raise RequestError("the file holds no works", retryable=True)


def work_of_entry(entry: dict[str, str]) -> Work:
    """Return the work that an entry of the export describes.

    Args:
        entry: Fields as plain text, with "type" and "key".

    Returns:
        The work.
    """
    return work_from_record(
        "acl",
        parse_ids(doi=entry.get("doi"), acl=entry.get("url")),
        title=entry["title"],
        authors=re.split(r"\s+and\s+", entry.get("author", "")),
        year=entry.get("year"),
        venue=entry.get("booktitle") or entry.get("journal"),
        abstract=entry.get("abstract"),
        url=entry.get("url"),
        pages=entry.get("pages", ""),
        key=entry["key"],
    )
