"""Corpus: the works that were found for a question, their texts, and why each of the others was left out.

It is a folder of plain files, so that a person can read what was searched, when, and what was thrown away; each file is
known by its digest, and a corpus of which a character has changed is not read. The same replies give the same bytes.

    corpus.json       the digest of every file
    works.jsonl       a line a work: what all sources said of it, and the digests of its texts
    texts/<sha256>.txt
    screening.jsonl   a line a decision: taken in or left out, and why
    requests.jsonl    a line a request: what was asked of whom, and when
    failures.jsonl    a line a request that got nothing

>>> mentions("Batch sizes in fine-tuning", ["batch size"])
True
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xstilts.errors import InputError
from xstilts.evidence.search import response_cache
from xstilts.evidence.search.client import Client
from xstilts.evidence.search.identifiers import WorkIds
from xstilts.evidence.search.response_cache import Failure, RequestRecord
from xstilts.evidence.search.sources import load_source, source_names
from xstilts.evidence.search.work import FACT_PRIORITY, Work, fold_text, merge_works, unique_works
from xstilts.evidence.text.documents import Document
from xstilts.runtime import progress
from xstilts.store import manifest

ABSTRACT, FULL_TEXT = "abstract", "full text"
MIN_TOPICS = 2  # of a question's topics that a work must mention


@dataclass(frozen=True)
class ScreeningDecision:
    """A decision: whether a work was taken in, and why; source: whose record it was, where it is one of several."""

    work: str
    included: bool
    reason: str
    source: str = ""


@dataclass(frozen=True)
class Corpus:
    """What was found for a question. works: all, also those left out; documents: the texts of those taken in."""

    works: tuple[Work, ...]
    documents: Mapping[str, tuple[Document, ...]]
    screening: tuple[ScreeningDecision, ...]
    requests: tuple[RequestRecord, ...] = ()
    failures: tuple[Failure, ...] = ()

    @property
    def included(self) -> tuple[Work, ...]:
        """The works that were taken in."""
        return tuple(work for work in self.works if work.id in self.documents)

    def texts(self) -> Iterator[Document]:
        """Yield every text of the works that were taken in."""
        for work in self.included:
            yield from self.documents[work.id]


def gather(
    client: Client,
    queries: Sequence[str],
    topics: Sequence[Sequence[str]],
    sources: Sequence[str] = (),
    limit: int = 50,
) -> Corpus:
    """Search sources (all that are configured, unless given), merge, screen, and get the texts of what is taken in.

    topics: groups of words that mean the same; a work must mention two of the groups. limit: works of a query and
    source. What fails is in `failures`; nothing is raised for it.
    """
    asked_before, failed_before = len(client.requests), len(client.failures)
    chosen = tuple(sources) or tuple(name for name in source_names() if name in client.hosts and client.hosts[name].url)
    found: list[Work] = []
    for done, (name, query) in enumerate(((name, query) for name in chosen for query in queries), start=1):
        found += load_source(name).search(client, query, limit)
        progress.step("search", done, len(chosen) * len(queries), name)
    works, documents, screening = merge_works(found), {}, [*_duplicates(found)]
    for done, work in enumerate(works, start=1):
        reason = "retracted" if work.retracted else _off_topic(work, topics)
        texts = () if reason else _texts(client, work, chosen)
        if texts:
            documents[work.id] = texts
        taken = " and ".join(text.part for text in texts)
        screening.append(
            ScreeningDecision(work.id, bool(texts), reason or taken or "no text: neither abstract nor full text")
        )
        progress.step("texts", done, len(works))
    requests = tuple(dict.fromkeys(client.requests[asked_before:]))
    ordered = sorted(screening, key=lambda row: (row.work, row.source, row.reason))
    return Corpus(works, documents, tuple(ordered), requests, tuple(client.failures[failed_before:]))


def mentions_any(text: str, terms: Iterable[str]) -> bool:
    """Say whether a text has a word or phrase, whatever its case, hyphens and endings."""
    words = f" {fold_text(text)}"
    return any(f" {term}" in words for one in terms if (term := fold_text(one)))


def save(corpus: Corpus, folder: Path) -> None:
    """Write a corpus as files; equal corpora give equal bytes."""
    (folder / "texts").mkdir(parents=True, exist_ok=True)
    texts = {f"texts/{text.sha256}.txt": text.text for text in corpus.texts()}
    files = {
        "works.jsonl": _lines(_row(work, corpus.documents.get(work.id, ())) for work in corpus.works),
        "screening.jsonl": _lines(map(asdict, corpus.screening)),
        "requests.jsonl": response_cache.to_jsonl(corpus.requests),
        "failures.jsonl": response_cache.to_jsonl(corpus.failures),
        **dict(sorted(texts.items())),
    }
    for name, text in files.items():
        (folder / name).write_bytes(text.encode())
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    (folder / "corpus.json").write_text(json.dumps({"files": digests}, indent=1) + "\n", encoding="utf-8")


def changed_files(folder: Path) -> list[str]:
    """Return the files of a corpus that are missing, or no longer what was written."""
    return [name for name, digest in _index(folder).items() if _digest(folder / name) != digest]


def read(folder: Path) -> Corpus:
    """Read a corpus back; InputError where a file is not what was written."""
    if broken := changed_files(folder):
        raise InputError(f"{folder}: {', '.join(broken)} changed since the corpus was written; gather it again")
    works, documents = [], {}
    for row in _rows(folder / "works.jsonl"):
        parts = row.pop("documents")
        work = Work(
            **{**row, "ids": WorkIds(**row["ids"]), **{key: tuple(row[key]) for key in ("authors", "disagreements")}}
        )
        works.append(work)
        if parts:
            documents[work.id] = tuple(_document(folder, work.id, part) for part in parts)
    return Corpus(
        tuple(works),
        documents,
        tuple(ScreeningDecision(**row) for row in _rows(folder / "screening.jsonl")),
        tuple(RequestRecord(**response_cache.from_row(row)) for row in _rows(folder / "requests.jsonl")),
        tuple(Failure(**response_cache.from_row(row)) for row in _rows(folder / "failures.jsonl")),
    )


def _duplicates(found: Sequence[Work]) -> Iterator[ScreeningDecision]:
    """Yield a decision for each record that became part of a work it is not the first of."""
    seen: set[str] = set()
    records = sorted(unique_works(found), key=lambda work: (_rank(next(iter(work.sources))), work.id, work.title))
    owners = _owners(merge_works(found))
    for one in records:
        name = next(iter(one.sources))
        work = owners[_record_key(one.sources[name])]
        if work in seen:
            yield ScreeningDecision(one.id, False, f"duplicate of {work}", name)
        seen.add(work)


def _owners(works: Iterable[Work]) -> dict[str, str]:
    """Return which work each record of a source became part of."""
    return {_record_key(one): work.id for work in works for one in work.sources.values()}


def _record_key(one: Mapping[str, Any]) -> str:
    return json.dumps(one, sort_keys=True)


def _rank(name: str) -> int:
    return FACT_PRIORITY.index(name) if name in FACT_PRIORITY else len(FACT_PRIORITY)


def _off_topic(work: Work, topics: Sequence[Sequence[str]]) -> str:
    """Return why a work is none of the question's, "" where it is one; how a text opens counts as its abstract."""
    opens = (str(said.get("opening") or "") for said in work.sources.values())
    text = f"{work.title}. {work.abstract or ' '.join(opens)}"
    met = [group for group in topics if mentions_any(text, group)]
    if len(met) >= min(MIN_TOPICS, len(topics)):
        return ""
    only = f"only '{met[0][0]}'" if met else "nothing"
    return f"off-topic: title and abstract mention {only} of {', '.join(repr(group[0]) for group in topics)}"


def _texts(client: Client, work: Work, chosen: Sequence[str]) -> tuple[Document, ...]:
    """Return the abstract and the full text of a work, as far as sources have them."""
    whole = next((text for name in sorted(chosen, key=_rank) if (text := load_source(name).text(client, work))), None)
    parts = ((ABSTRACT, work.abstract), (FULL_TEXT, whole))
    return tuple(Document(work.id, part, text) for part, text in parts if text)


def _row(work: Work, documents: Iterable[Document]) -> dict[str, Any]:
    return {**asdict(work), "documents": [{"part": one.part, "sha256": one.sha256} for one in documents]}


def _lines(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    lines = path.read_bytes().decode().split("\n")  # and at no other sign that ends a line: texts hold those
    yield from (json.loads(line) for line in lines if line)


def _document(folder: Path, work: str, part: Mapping[str, str]) -> Document:
    return Document(work, part["part"], (folder / f"texts/{part['sha256']}.txt").read_bytes().decode())


def _digest(path: Path) -> str:
    return manifest.sha256(path) if path.is_file() else ""


def _index(folder: Path) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads((folder / "corpus.json").read_bytes())["files"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"{folder} holds no corpus (no readable corpus.json); gather one") from error
    if any(Path(name).is_absolute() or ".." in Path(name).parts for name in found):
        raise InputError(f"{folder}/corpus.json lists files outside of its folder; do not use it")
    return found
