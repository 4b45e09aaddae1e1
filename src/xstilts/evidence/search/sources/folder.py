r"""A local folder of papers (PDF, .txt, .md), with optional metadata in a JSON file beside each.

`paper.pdf` may have `paper.json` with title, authors, year, venue, abstract, url, doi, arxiv, acl. Without it, the
title is the first line of the text (with its continuation lines) and the abstract is what follows a line "Abstract" up
to the introduction. A text without such a line has no abstract: it is screened by its opening, which is quoted only as
part of the full text. XSTILTS_FOLDER names the folder.

>>> split_opening("Batches and\ntransfer\nAbstract\nThey matter little. So it is.\n1 Introduction\nThey do not.")
('Batches and transfer', 'They matter little. So it is.', '')
>>> split_opening("On batches\nThey matter little.")
('On batches', '', 'On batches\nThey matter little.')
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
from xstilts.evidence.search.work import Work, fold_text, single_line, work_from_record
from xstilts.evidence.text.documents import Document, sentences

EXTENSIONS = (".pdf", ".txt", ".md")
ABSTRACT = re.compile(r"^\s*abstract\s*[.:]?\s*$", re.IGNORECASE | re.MULTILINE)
INTRODUCTION = re.compile(r"^\s*(?:1\.?\s+|I\.\s+)?introduction\s*$", re.IGNORECASE | re.MULTILINE)
MIN_SHARE = 0.6  # least share of a query's words in a matching file
MAX_ABSTRACT_CHARACTERS = 2500  # characters of an abstract
METADATA_FIELDS = ("title", "authors", "year", "venue", "abstract", "url", "retracted", "citations")


def search(client: Client, query: str, limit: int) -> list[Work]:
    """Return the files whose title, abstract and text contain most words of a query, best first.

    Args:
        client: Names the folder and logs what is read.
        query: The query.
        limit: Most works.

    Returns:
        Works, whose metadata are those that the files state.
    """
    folder = client.hosts["folder"].url
    if not folder or not Path(folder).is_dir():
        client.log_failure("folder", "no such folder; set XSTILTS_FOLDER to a folder of PDFs or texts")
        return []
    query_words, scored = set(fold_text(query).split()), []
    for path in _files(Path(folder)):
        content = path.read_bytes()
        content_text = _text(path, _digest(content))
        work = _work(path, content, content_text)
        client.log_read("folder", _name(path), content)
        unread = f"{_name(path)} {_unread_reason(path, content)}"
        if content_text is None and all(failure.reason != unread for failure in client.failures):
            client.log_failure("folder", unread)
        shared = query_words & set(fold_text(f"{work.title} {work.abstract} {content_text}").split())
        if query_words and len(shared) >= MIN_SHARE * len(query_words):
            scored.append((-len(shared), path.name, work))
    return [work for *_, work in sorted(scored, key=lambda row: row[:2])[:limit]]


def text(client: Client, work: Work) -> str | None:
    """Return the text of the file that a work was read from; None if the file is gone or has changed.

    Args:
        client: Names the folder.
        work: The work.

    Returns:
        The text, or None.
    """
    record = work.sources.get("folder", {})
    folder = Path(client.hosts["folder"].url)
    for path in _files(folder) if record and folder.is_dir() else ():
        if _name(path) == record.get("file") and _digest(path.read_bytes()) == record.get("sha256"):
            return _text(path, record["sha256"])
    return None


def _unread_reason(path: Path, content: bytes) -> str:
    """Return what is wrong with a file that has no text, and what to do where that is known."""
    if path.suffix.lower() != ".pdf" and content and pdf_text.decode(content) is None:
        return "is in an unknown encoding and was not read; save it as UTF-8"
    return "has no readable text"


def _name(path: Path) -> str:
    """Return a file's name as text: on some disks it holds bytes that are no valid text."""
    return path.name.encode("utf-8", "replace").decode()


def _files(folder: Path) -> list[Path]:
    """Return the readable files of a folder, without hidden ones, oversized ones and links that leave it."""
    candidates = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in EXTENSIONS and path.is_file()]
    inside = [path for path in candidates if path.resolve().is_relative_to(folder.resolve())]
    return [path for path in inside if path.name[0] != "." and path.stat().st_size <= pdf_text.MAX_BYTES]


@lru_cache(maxsize=512)
def _text(path: Path, digest: str) -> str | None:
    """Return the text of a file of that digest, read once for all queries; None if it has none."""
    content = path.read_bytes()
    if path.suffix.lower() == ".pdf":
        return pdf_text.extract_text(content)
    decoded = pdf_text.decode(content)
    return pdf_text.storable_text(decoded) or None if decoded is not None else None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _work(path: Path, content: bytes, content_text: str | None) -> Work:
    metadata = _metadata(path.with_suffix(".json"))
    identifiers = parse_ids(metadata.get("doi"), metadata.get("arxiv"), metadata.get("acl"))
    title, abstract, opens = split_opening(content_text or "")
    facts = {
        "title": title or path.stem,
        "abstract": abstract,
        **{key: metadata[key] for key in METADATA_FIELDS if key in metadata},
    }
    work = work_from_record("folder", identifiers, **facts, file=_name(path), sha256=_digest(content), opening=opens)
    return work if identifiers != WorkIds() else _with_file_id(work, content)


def split_opening(content_text: str) -> tuple[str, str, str]:
    """Return title, abstract and opening of a text.

    Args:
        content_text: The text of a paper.

    Returns:
        The title; the abstract, which ends with a whole sentence; and, without an abstract, the first
        `MAX_ABSTRACT_CHARACTERS` characters of the text.
    """
    heading = ABSTRACT.search(content_text)
    title = ""
    for line in (
        line.strip() for line in content_text[: heading.start() if heading else len(content_text)].splitlines()
    ):
        if title and not (title.endswith("-") or line[:1].islower()):
            break
        title = title + line if title.endswith("-") else f"{title} {line}".strip()
    abstract = _abstract(content_text, heading.end()) if heading else ""
    return single_line(title).lstrip("# "), abstract, "" if abstract else content_text[:MAX_ABSTRACT_CHARACTERS].strip()


def _abstract(content_text: str, start: int) -> str:
    introduction = INTRODUCTION.search(content_text, start)
    document = Document(
        "file:",
        "abstract",
        content_text[start : introduction.start() if introduction else len(content_text)][
            : 2 * MAX_ABSTRACT_CHARACTERS
        ],
    )
    sentence_ends = [
        sentence.end for sentence in sentences(document) if sentence.whole and sentence.end <= MAX_ABSTRACT_CHARACTERS
    ]
    return document.text[: sentence_ends[-1]].strip() if sentence_ends else ""


def _with_file_id(work: Work, content: bytes) -> Work:
    return replace(work, id=f"file:{_digest(content)[:16]}")


def _metadata(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
