"""The ACL Anthology: it has no search, but gives away everything it knows in one file, which is searched here.

The file is asked for once and is kept as any reply; it is large (its address can be that of a part). A work matches
if its title and abstract hold most of a query's words.

https://aclanthology.org/faq/api/
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
MAX_BYTES = 1024 * MIB  # of the file, unpacked
MIN_SHARE = 0.6  # of a query's words that a work must hold
CANDIDATE_FACTOR = 10  # times as many works are read as are asked for


def search(client: Client, query: str, limit: int) -> list[Work]:
    """Return works that hold most of a query's words, best first."""
    dump = client.ask(Request("acl", DUMP), _decompress)
    return rank_entries(dump, query, limit) if dump else []


def text(client: Client, work: Work) -> str | None:
    """Return the text of a work's PDF."""
    asked = Request("acl", f"/{work.ids.acl}.pdf", may_be_absent=True)
    return client.ask(asked, pdf_text.extract_text) if work.ids.acl else None


def rank_entries(dump: str, query: str, limit: int) -> list[Work]:
    """Return the works with the largest share of a query's words in title or abstract; in a tie, of title alone."""
    asked = set(fold_text(query).split())
    scored = []
    for work in _works(_candidates(dump, asked, CANDIDATE_FACTOR * limit)):
        title, abstract = (asked & set(fold_text(text).split()) for text in (work.title, work.abstract))
        if asked and len(title | abstract) >= MIN_SHARE * len(asked):
            scored.append((-len(title | abstract), -len(title), work.id, work))
    return [work for *_, work in sorted(scored, key=lambda row: row[:3])[:limit]]


def _decompress(body: bytes) -> str:
    """Return the file's text, packed or not; Trouble where it breaks off, unpacks to too much, or holds no works."""
    try:
        with gzip.open(io.BytesIO(body)) if body[:2] == b"\x1f\x8b" else io.BytesIO(body) as file:
            content = file.read(MAX_BYTES + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise RequestError("the file breaks off", again=True) from error
    if len(content) > MAX_BYTES:
        raise RequestError(f"the file unpacks to more than {MAX_BYTES:,} bytes")
    text = content.decode()
    if not bibtex.START.search(text):
        raise RequestError("the file holds no works", again=True)
    return text


def _candidates(dump: str, asked: set[str], most: int) -> Iterator[bibtex.RawEntry]:
    """Yield the entries that a rough look, of some microseconds at each of a hundred thousand, finds most likely."""
    held = ((_count_words(entry.tex, asked), entry) for entry in bibtex.raw_entries(dump))
    likely = ((-count, place, entry) for place, (count, entry) in enumerate(held) if count >= MIN_SHARE * len(asked))
    yield from (entry for *_, entry in heapq.nsmallest(most, likely, key=lambda row: row[:2]))


def _count_words(tex: str, asked: set[str]) -> int:
    text = tex.replace("{", "").replace("}", "").lower()
    return sum(word in text for word in asked)


def _works(entries: Iterable[bibtex.RawEntry]) -> Iterator[Work]:
    for entry in (unread.read() for unread in entries):
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
