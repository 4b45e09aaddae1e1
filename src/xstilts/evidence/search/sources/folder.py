"""A folder of files of one's own: PDFs and texts, with what is known of each in a JSON file beside it.

`paper.pdf` (or .txt, .md) may have `paper.json` with title, authors, year, venue, abstract, url, doi, arxiv, acl.
Without one the title is the first line of the text, as far as it goes on, the abstract what follows a line "Abstract"
up to the introduction, and nothing else is known. A text without such a line has no abstract: it is screened by how it
opens, and the opening is quoted only as a part of the whole. XSTILTS_FOLDER names the folder.

>>> opening("Batches and\\ntransfer\\nAbstract\\nThey matter little. So it is.\\n1 Introduction\\nThey do not.")
('Batches and transfer', 'They matter little. So it is.', '')
>>> opening("On batches\\nThey matter little.")
('On batches', '', 'On batches\\nThey matter little.')
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from xstilts.evidence.search import pdf_text
from xstilts.evidence.search.client import Client
from xstilts.evidence.search.identifiers import WorkIds, parse_ids
from xstilts.evidence.search.sources.acl import MIN_SHARE
from xstilts.evidence.search.work import Work, fold_text, single_line, work_from_record
from xstilts.evidence.text.documents import Document, sentences

EXTENSIONS = (".pdf", ".txt", ".md")
ABSTRACT = re.compile(r"^\s*abstract\s*[.:]?\s*$", re.IGNORECASE | re.MULTILINE)
INTRODUCTION = re.compile(r"^\s*(?:1\.?\s+|I\.\s+)?introduction\s*$", re.IGNORECASE | re.MULTILINE)
MAX_ABSTRACT_CHARACTERS = 2500  # characters of an abstract
METADATA_FIELDS = ("title", "authors", "year", "venue", "abstract", "url", "retracted", "citations")


def search(client: Client, query: str, limit: int) -> list[Work]:
    """Return the files whose title, abstract and text hold most of a query's words, best first."""
    folder = client.hosts["folder"].url
    if not folder or not Path(folder).is_dir():
        client.fail("folder", "no such folder; set XSTILTS_FOLDER to one with PDFs or texts")
        return []
    asked, scored = set(fold_text(query).split()), []
    for path in _files(Path(folder)):
        content = path.read_bytes()
        held = _text(path, _digest(content))
        work = _work(path, content, held)
        client.read("folder", _name(path), content)
        unread = f"{_name(path)} has no text that can be read"
        if held is None and all(one.reason != unread for one in client.failures):
            client.fail("folder", unread)
        shared = asked & set(fold_text(f"{work.title} {work.abstract} {held}").split())
        if asked and len(shared) >= MIN_SHARE * len(asked):
            scored.append((-len(shared), path.name, work))
    return [work for *_, work in sorted(scored, key=lambda row: row[:2])[:limit]]


def text(client: Client, work: Work) -> str | None:
    """Return the text of the file that a work was found in; None where it is gone or another file now."""
    said = work.sources.get("folder", {})
    folder = Path(client.hosts["folder"].url)
    for path in _files(folder) if said and folder.is_dir() else ():
        if _name(path) == said.get("file") and _digest(path.read_bytes()) == said.get("sha256"):
            return _text(path, said["sha256"])
    return None


def _name(path: Path) -> str:
    """Return a file's name as text has it: on some disks it is bytes that are none."""
    return path.name.encode("utf-8", "replace").decode()


def _files(folder: Path) -> list[Path]:
    """Return the files of a folder that can be read, without what is hidden, too large, or a link out of it."""
    found = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in EXTENSIONS and path.is_file()]
    inside = [path for path in found if path.resolve().is_relative_to(folder.resolve())]
    return [path for path in inside if path.name[0] != "." and path.stat().st_size <= pdf_text.MAX_BYTES]


@lru_cache(maxsize=512)
def _text(path: Path, digest: str) -> str | None:
    """Return the text of a file of that digest, read once for all queries; None where there is none."""
    content = path.read_bytes()
    if path.suffix.lower() == ".pdf":
        return pdf_text.extract_text(content)
    return pdf_text.storable_text(content.decode("utf-8", "replace")) or None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _work(path: Path, content: bytes, held: str | None) -> Work:
    said = _metadata(path.with_suffix(".json"))
    known = parse_ids(said.get("doi"), said.get("arxiv"), said.get("acl"))
    title, abstract, opens = split_opening(held or "")
    facts = {
        "title": title or path.stem,
        "abstract": abstract,
        **{key: said[key] for key in METADATA_FIELDS if key in said},
    }
    work = work_from_record("folder", known, **facts, file=_name(path), sha256=_digest(content), opening=opens)
    return work if known != WorkIds() else _with_file_id(work, content)


def split_opening(held: str) -> tuple[str, str, str]:
    """Return title, abstract (which ends with a whole sentence) and, where there is none, the opening of a text."""
    headed = ABSTRACT.search(held)
    title = ""
    for line in (line.strip() for line in held[: headed.start() if headed else len(held)].splitlines()):
        if title and not (title.endswith("-") or line[:1].islower()):
            break
        title = title + line if title.endswith("-") else f"{title} {line}".strip()
    abstract = _abstract(held, headed.end()) if headed else ""
    return single_line(title).lstrip("# "), abstract, "" if abstract else held[:MAX_ABSTRACT_CHARACTERS].strip()


def _abstract(held: str, start: int) -> str:
    ended = INTRODUCTION.search(held, start)
    told = Document(
        "file:", "abstract", held[start : ended.start() if ended else len(held)][: 2 * MAX_ABSTRACT_CHARACTERS]
    )
    whole = [one.end for one in sentences(told) if one.whole and one.end <= MAX_ABSTRACT_CHARACTERS]
    return told.text[: whole[-1]].strip() if whole else ""


def _with_file_id(work: Work, content: bytes) -> Work:
    return replace(work, id=f"file:{_digest(content)[:16]}")


def _metadata(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
