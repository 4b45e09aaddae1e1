"""The corpus of a question: the works found, the texts of those included, and why the others were excluded.

On disk it is a folder of plain files with a digest of each; a corpus of which a byte has changed is refused. The same
replies give the same bytes.

    corpus.json       digest of every file
    works.jsonl       one work per line: what all sources say of it, and digests of its texts
    texts/<sha256>.txt
    screening.jsonl   one decision per line: included or excluded, and why
    requests.jsonl    one request per line: what was requested from which source, and when
    failures.jsonl    one failed request per line
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from xstilts.errors import UNFORESEEN, InputError, refusing
from xstilts.evidence.retrieval.query_words import content_stems, content_words
from xstilts.evidence.retrieval.screening import FEWEST, Topic, chance, sentences_of, threshold
from xstilts.evidence.search import response_cache
from xstilts.evidence.search.client import Client
from xstilts.evidence.search.identifiers import WorkIds
from xstilts.evidence.search.response_cache import Failure, RequestRecord
from xstilts.evidence.search.sources import acl, load_source, source_names
from xstilts.evidence.search.work import (
    FACT_PRIORITY,
    Work,
    invented_notice,
    mentions_any,
    merge_works,
    unique_works,
)
from xstilts.evidence.text.documents import Document
from xstilts.runtime import progress, whole_files
from xstilts.store import manifest

ABSTRACT, FULL_TEXT = "abstract", "full text"
MIN_TOPICS = 2  # topics of a question that a work must mention
MIN_SHARE, MIN_WORDS = 0.4, 6  # of the question's content words: a work that holds as many is on topic too
INDEXED, DEEPER = "acl", 6  # the source of which all works are at hand, and how many times as many cost nothing there


@dataclass(frozen=True)
class ScreeningDecision:
    """A screening decision.

    Attributes:
        work: Id of the work.
        included: Whether it is in the corpus.
        reason: Why, or which texts it has.
        source: For a duplicate record, the source that it came from.
    """

    work: str
    included: bool
    reason: str
    source: str = ""


@dataclass(frozen=True)
class Corpus:
    """What was found for a question.

    Attributes:
        works: All works found, also those excluded.
        documents: Texts of the included works, by work id.
        screening: A decision for each work, and for each duplicate record.
        requests: Requests that were answered.
        failures: Requests that failed.
    """

    works: tuple[Work, ...]
    documents: Mapping[str, tuple[Document, ...]]
    screening: tuple[ScreeningDecision, ...]
    requests: tuple[RequestRecord, ...] = ()
    failures: tuple[Failure, ...] = ()

    @property
    def included(self) -> tuple[Work, ...]:
        """The works that were included."""
        return tuple(work for work in self.works if work.id in self.documents)

    def texts(self) -> Iterator[Document]:
        """Yield every text of the included works."""
        for work in self.included:
            yield from self.documents[work.id]


def gather(
    client: Client,
    queries: Sequence[str],
    topics: Sequence[Sequence[str]],
    sources: Sequence[str] = (),
    limit: int = 50,
    retracted: Collection[str] = (),
    question: str = "",
) -> Corpus:
    """Search sources, merge and screen the works, and fetch the texts of those included.

    Where a large source is searched here and the question asks within a known field, works are screened as its search
    does (`retrieval.screening`), else by topics and words.

    Args:
        client: Client of the sources; its failures are part of the corpus, and none is raised.
        queries: Search queries.
        topics: Groups of synonyms; a work must mention two of the groups.
        sources: Names of sources; by default all that are configured.
        limit: Works per query and source; a source that is searched here gives `DEEPER` times as many for the first.
        retracted: Identifiers ("doi:...") of works that are known to be retracted, beyond what the sources say.
        question: The question; beside its topics, a work that holds many of its content words is on topic too.

    Returns:
        The corpus.
    """
    n_requests, n_failures = len(client.requests), len(client.failures)
    chosen = tuple(sources) or tuple(name for name in source_names() if name in client.hosts and client.hosts[name].url)
    records: list[Work] = []
    for number, (name, query) in enumerate(((name, query) for name in chosen for query in queries), start=1):
        most = DEEPER * limit if name == INDEXED and query == queries[0] else limit
        records += load_source(name).search(client, query, most)
        progress.step("search", number, len(chosen) * len(queries), name)
    works = tuple(
        replace(work, retracted=work.retracted or not set(retracted).isdisjoint(work.ids.prefixed()))
        for work in merge_works(records)
    )
    documents, screening, topic = {}, [*_duplicates(records)], _topic(client, question, works)
    for number, work in enumerate(works, start=1):
        off_topic = _set_aside(work, topic) if topic else _off_topic(work, topics, question)
        reason = "retracted" if work.retracted else off_topic
        texts = () if reason else _texts(client, work, chosen)
        if texts:
            documents[work.id] = texts
        parts = " and ".join(text.part for text in texts)
        screening.append(
            ScreeningDecision(work.id, bool(texts), reason or parts or "no text: neither abstract nor full text")
        )
        progress.step("texts", number, len(works))
    requests = tuple(dict.fromkeys(client.requests[n_requests:]))
    ordered = sorted(screening, key=lambda row: (row.work, row.source, row.reason))
    return Corpus(works, documents, tuple(ordered), requests, tuple(client.failures[n_failures:]))


def save(corpus: Corpus, folder: Path) -> None:
    """Write a corpus to a folder; equal corpora give equal bytes.

    Args:
        corpus: The works with their texts, the screening decisions, and the log of requests.
        folder: The folder; made where it does not exist.
    """
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
        whole_files.write(folder / name, text.encode())
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    notice = invented_notice(corpus.works)
    index = ({"notice": notice} if notice else {}) | {"files": digests}
    whole_files.write(folder / "corpus.json", json.dumps(index, indent=1) + "\n")


def changed_files(folder: Path) -> list[str]:
    """Return the files of a corpus that are missing or differ from their digest.

    Raises:
        InputError: The folder holds no corpus.
    """
    return [name for name, digest in _index(folder).items() if _digest(folder / name) != digest]


def read(folder: Path) -> Corpus:
    """Read a corpus that `save` wrote.

    Args:
        folder: Its folder.

    Returns:
        The corpus.

    Raises:
        InputError: The folder holds no corpus, or a file differs from its digest.
    """
    if changed := changed_files(folder):
        raise InputError(f"{folder}: {', '.join(changed)} changed since the corpus was written; gather it again")
    with refusing(lambda: folder, "gather it again"):
        works, documents = [], {}
        for row in _rows(folder / "works.jsonl"):
            parts = row.pop("documents")
            work = Work(
                **(
                    row
                    | {"ids": WorkIds(**row["ids"])}
                    | {key: tuple(row[key]) for key in ("authors", "disagreements")}
                )
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


def _duplicates(records_found: Sequence[Work]) -> Iterator[ScreeningDecision]:
    """Yield a decision for each record that was merged into a work, but for the first."""
    yielded: set[str] = set()
    records = sorted(
        unique_works(records_found), key=lambda work: (_rank(next(iter(work.sources))), work.id, work.title)
    )
    owners = _owners(merge_works(records_found))
    for record in records:
        name = next(iter(record.sources))
        work = owners[_record_key(record.sources[name])]
        if work in yielded:
            yield ScreeningDecision(record.id, False, f"duplicate of {work}", name)
        yielded.add(work)


def _owners(works: Iterable[Work]) -> dict[str, str]:
    """Return the id of the work that each record was merged into."""
    return {_record_key(record): work.id for work in works for record in work.sources.values()}


def _record_key(record: Mapping[str, Any]) -> str:
    return json.dumps(record, sort_keys=True)


def _rank(name: str) -> int:
    return FACT_PRIORITY.index(name) if name in FACT_PRIORITY else len(FACT_PRIORITY)


def _topic(client: Client, question: str, works: Iterable[Work]) -> Topic | None:
    """Return the topic by which works can be screened; None within no known field and without a large index."""
    index = acl.open_index(client) if question and any(INDEXED in work.sources for work in works) else None
    if index is None or len(index) < FEWEST:
        return None
    topic = Topic.of(question, {word.stem: index.rarity(word.stem) for word in content_words(question)})
    return topic if topic.fields else None


def _set_aside(work: Work, topic: Topic) -> str:
    """Return why a work only looks alike to a question within a known field, "" if it does not."""
    texts = sentences_of(work.title, _abstract(work))
    missing = topic.missing(work.title, "\n".join(texts))
    if missing or chance(topic.features(work.title, texts)) < threshold():
        return f"off-topic: {missing or topic.lacking(work.title, texts)}"
    return ""


def _abstract(work: Work) -> str:
    """Return a work's abstract; of a work without one, how its text opens."""
    return work.abstract or " ".join(str(record.get("opening") or "") for record in work.sources.values()).strip()


def _off_topic(work: Work, topics: Sequence[Sequence[str]], question: str) -> str:
    """Return why a work is off the topics of a question, "" if it is not."""
    text = f"{work.title}. {_abstract(work)}"
    met = [group for group in topics if mentions_any(text, group)]
    wanted = {*content_stems(question)}
    held = wanted.intersection(content_stems(text))
    if len(met) >= min(MIN_TOPICS, len(topics)) or len(held) >= max(MIN_WORDS, MIN_SHARE * len(wanted)):
        return ""
    only = f"only '{met[0][0]}'" if met else "nothing"
    counted = f", and {len(held)} of {len(wanted)} words of the question" if wanted else ""
    return f"off-topic: title and abstract mention {only} of {', '.join(repr(group[0]) for group in topics)}{counted}"


def _texts(client: Client, work: Work, chosen: Sequence[str]) -> tuple[Document, ...]:
    """Return the abstract and the full text of a work, as far as sources have them."""
    full_text = next(
        (text for name in sorted(chosen, key=_rank) if (text := load_source(name).text(client, work))), None
    )
    parts = ((ABSTRACT, work.abstract), (FULL_TEXT, full_text))
    return tuple(Document(work.id, part, text) for part, text in parts if text)


def _row(work: Work, documents: Iterable[Document]) -> dict[str, Any]:
    return {**asdict(work), "documents": [{"part": document.part, "sha256": document.sha256} for document in documents]}


def _lines(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    lines = path.read_bytes().decode().split("\n")  # not splitlines(): texts contain other line separators
    yield from (json.loads(line) for line in lines if line)


def _document(folder: Path, work: str, part: Mapping[str, str]) -> Document:
    return Document(work, part["part"], (folder / f"texts/{part['sha256']}.txt").read_bytes().decode())


def _digest(path: Path) -> str:
    return manifest.sha256(path) if path.is_file() else ""


def _index(folder: Path) -> dict[str, str]:
    try:
        digests: dict[str, str] = json.loads((folder / "corpus.json").read_bytes())["files"]
    except (OSError, *UNFORESEEN) as error:
        raise InputError(f"{folder} holds no corpus (no readable corpus.json); gather one") from error
    if not isinstance(digests, dict):
        raise InputError(f"{folder}/corpus.json lists no files; gather the corpus again")
    if any(Path(name).is_absolute() or ".." in Path(name).parts for name in digests):
        raise InputError(f"{folder}/corpus.json lists files outside of its folder; do not use it")
    return digests
