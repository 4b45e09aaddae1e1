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
from xstilts.evidence.search.http_requests import Ask, Trouble
from xstilts.evidence.search.identifiers import ids
from xstilts.evidence.search.work import Work, plain, stated

DUMP = "/anthology+abstracts.bib.gz"
MOST = 1024 * MIB  # of the file, unpacked
SHARE = 0.6  # of a query's words that a work must hold
LIKELY = 10  # times as many works are read as are asked for


def search(client: Client, query: str, limit: int) -> list[Work]:
    """Return works that hold most of a query's words, best first."""
    dump = client.ask(Ask("acl", DUMP), _unpacked)
    return matching(dump, query, limit) if dump else []


def text(client: Client, work: Work) -> str | None:
    """Return the text of a work's PDF."""
    asked = Ask("acl", f"/{work.ids.acl}.pdf", may_be_absent=True)
    return client.ask(asked, pdf_text.text_of) if work.ids.acl else None


def matching(dump: str, query: str, limit: int) -> list[Work]:
    """Return the works with the largest share of a query's words in title or abstract; in a tie, of title alone."""
    asked = set(plain(query).split())
    scored = []
    for work in _works(_likely(dump, asked, LIKELY * limit)):
        title, abstract = (asked & set(plain(text).split()) for text in (work.title, work.abstract))
        if asked and len(title | abstract) >= SHARE * len(asked):
            scored.append((-len(title | abstract), -len(title), work.id, work))
    return [work for *_, work in sorted(scored, key=lambda row: row[:3])[:limit]]


def _unpacked(body: bytes) -> str:
    """Return the file's text, packed or not; Trouble where it breaks off, unpacks to too much, or holds no works."""
    try:
        with gzip.open(io.BytesIO(body)) if body[:2] == b"\x1f\x8b" else io.BytesIO(body) as file:
            content = file.read(MOST + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise Trouble("the file breaks off", again=True) from error
    if len(content) > MOST:
        raise Trouble(f"the file unpacks to more than {MOST:,} bytes")
    text = content.decode()
    if not bibtex.START.search(text):
        raise Trouble("the file holds no works", again=True)
    return text


def _likely(dump: str, asked: set[str], most: int) -> Iterator[bibtex.Unread]:
    """Yield the entries that a rough look, of some microseconds at each of a hundred thousand, finds most likely."""
    held = ((_held(entry.tex, asked), entry) for entry in bibtex.unread(dump))
    likely = ((-count, place, entry) for place, (count, entry) in enumerate(held) if count >= SHARE * len(asked))
    yield from (entry for *_, entry in heapq.nsmallest(most, likely, key=lambda row: row[:2]))


def _held(tex: str, asked: set[str]) -> int:
    text = tex.replace("{", "").replace("}", "").lower()
    return sum(word in text for word in asked)


def _works(entries: Iterable[bibtex.Unread]) -> Iterator[Work]:
    for entry in (unread.read() for unread in entries):
        if entry.get("title") and entry["type"] != "proceedings":
            yield _work(entry)


def _work(entry: dict[str, str]) -> Work:
    return stated(
        "acl",
        ids(doi=entry.get("doi"), acl=entry.get("url")),
        title=entry["title"],
        authors=re.split(r"\s+and\s+", entry.get("author", "")),
        year=entry.get("year"),
        venue=entry.get("booktitle") or entry.get("journal"),
        abstract=entry.get("abstract"),
        url=entry.get("url"),
        pages=entry.get("pages", ""),
        key=entry["key"],
    )
