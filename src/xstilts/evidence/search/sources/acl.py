"""ACL Anthology: a local search in its full BibTeX export, and PDFs.

The Anthology has no search interface. Its export is large and fetched once, then cached as any reply; its address may
be that of a part. A work matches if title and abstract contain most words of the query.

Source: https://aclanthology.org/faq/api/
"""

from __future__ import annotations

import gzip
import heapq
import io
import re
import zlib
from collections.abc import Iterable, Iterator

from xstilts.evidence.search import bibtex, pdf_text
from xstilts.evidence.search.client import Client
from xstilts.evidence.search.hosts import MIB
from xstilts.evidence.search.http_requests import Request, RequestError
from xstilts.evidence.search.identifiers import parse_ids
from xstilts.evidence.search.work import Work, fold_text, work_from_record

DUMP = "/anthology+abstracts.bib.gz"
MAX_BYTES = 1024 * MIB  # largest decompressed export
MIN_SHARE = 0.6  # least share of a query's words in a matching work
CANDIDATE_FACTOR = 10  # entries parsed per requested work


def search(client: Client, query: str, limit: int) -> list[Work]:
    """Return works that contain most words of a query, best first; empty if the export cannot be fetched.

    Args:
        client: Sends and logs requests.
        query: The query.
        limit: Most works.

    Returns:
        Works.
    """
    dump = client.fetch(Request("acl", DUMP), _decompress)
    return rank_entries(dump, query, limit) if dump else []


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


def rank_entries(dump: str, query: str, limit: int) -> list[Work]:
    """Return the works of an export that contain most words of a query.

    Args:
        dump: The export, as BibTeX.
        query: Words to search for.
        limit: Largest number of works.

    Returns:
        Works that contain at least `MIN_SHARE` of the words, sorted by how many title and abstract, then the title
        alone, contain.
    """
    query_words = set(fold_text(query).split())
    scored = []
    for work in _works(_candidates(dump, query_words, CANDIDATE_FACTOR * limit)):
        title, abstract = (query_words & set(fold_text(text).split()) for text in (work.title, work.abstract))
        if query_words and len(title | abstract) >= MIN_SHARE * len(query_words):
            scored.append((-len(title | abstract), -len(title), work.id, work))
    return [work for *_, work in sorted(scored, key=lambda row: row[:3])[:limit]]


def _decompress(body: bytes) -> str:
    """Return the text of the export, compressed or not; RequestError if it is truncated, too large or empty."""
    try:
        with gzip.open(io.BytesIO(body)) if body[:2] == b"\x1f\x8b" else io.BytesIO(body) as file:
            content = file.read(MAX_BYTES + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise RequestError("the file is truncated", retryable=True) from error
    if len(content) > MAX_BYTES:
        raise RequestError(f"the file decompresses to more than {MAX_BYTES:,} bytes")
    text = content.decode()
    if not bibtex.START.search(text):
        raise RequestError("the file holds no works", retryable=True)
    return text


def _candidates(dump: str, query_words: set[str], most: int) -> Iterator[bibtex.RawEntry]:
    """Yield the most promising entries by substring matches: parsing all of some hundred thousand takes too long."""
    counted = ((_count_words(entry.tex, query_words), entry) for entry in bibtex.raw_entries(dump))
    likely = (
        (-count, place, entry) for place, (count, entry) in enumerate(counted) if count >= MIN_SHARE * len(query_words)
    )
    yield from (entry for *_, entry in heapq.nsmallest(most, likely, key=lambda row: row[:2]))


def _count_words(tex: str, query_words: set[str]) -> int:
    text = tex.replace("{", "").replace("}", "").lower()
    return sum(word in text for word in query_words)


def _works(entries: Iterable[bibtex.RawEntry]) -> Iterator[Work]:
    for entry in (raw.parse() for raw in entries):
        if entry.get("title") and entry["type"] != "proceedings":
            yield _work(entry)


def _work(entry: dict[str, str]) -> Work:
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
