"""Search by meaning over sources: the Anthology, BibTeX files, folders of papers, and the interfaces of the others.

A single index is ranked as it is. Several sources are ranked together: the best works of each, in one index in memory.

    outcome = search("Does vocabulary overlap improve transfer?", SearchOptions(Path("cache"), ("acl",)))
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xstilts.errors import InputError
from xstilts.evidence.retrieval.corpus_files import bibtex_files, open_corpus
from xstilts.evidence.retrieval.query_words import content_words
from xstilts.evidence.retrieval.ranking import Ranker, Ranking
from xstilts.evidence.retrieval.sentence_encoder import SentenceEncoder
from xstilts.evidence.retrieval.work_index import WorkIndex, build_in_memory
from xstilts.evidence.search.client import Client, RetryPolicy
from xstilts.evidence.search.hosts import Host, configured_hosts
from xstilts.evidence.search.sources import acl, load_source, source_names
from xstilts.evidence.search.work import Work, merge_works

PER_SOURCE = 100  # works of each source that are ranked together
INDEXES, VECTORS = acl.INDEXES, "vectors"  # folders in the cache


def sentence_encoder(name: str, cache: Path, prefixes: tuple[str, str] | None = None) -> SentenceEncoder | None:
    """Return the sentence encoder that a user names; None for "".

    Args:
        name: Folder or hub id.
        cache: Folder below which its vectors are kept.
        prefixes: What it sees before a query and before a passage; None: what it was trained with.

    Raises:
        InputError: There is no such encoder.
    """
    return SentenceEncoder.of(name, cache / VECTORS, prefixes) if name else None


@dataclass(frozen=True)
class SearchOptions:
    """Where and how to search.

    Attributes:
        cache: Folder of replies, indexes and vectors.
        sources: Names of sources, BibTeX files, and folders of them or of papers; () for all that are configured.
        encoder: Folder or hub id of a sentence encoder; "" for words alone.
        embed_all: Embed all works of an index, not only candidates.
        offline: Answer from the cache alone.
        top: Works that are returned.
        prefixes: What the encoder sees before a query and before a passage; by default what is known of it.
    """

    cache: Path
    sources: tuple[str, ...] = ()
    encoder: str = ""
    embed_all: bool = False
    offline: bool = False
    top: int = 10
    prefixes: tuple[str, str] | None = None


@dataclass(frozen=True)
class SearchOutcome:
    """A ranking, where it was searched, and which sources failed.

    Attributes:
        ranking: The works.
        searched: Number of works by source: of the whole index, or of those that its interface returned.
        failures: By source, why it failed.
    """

    ranking: Ranking
    searched: Mapping[str, int]
    failures: Mapping[str, str]


def search(
    question: str,
    options: SearchOptions,
    hosts: Mapping[str, Host] | None = None,
    policy: RetryPolicy | None = None,
) -> SearchOutcome:
    """Search for works.

    Args:
        question: A question, or words.
        options: Where and how to search.
        hosts: Hosts of the sources; by default those of the environment.
        policy: Retries and timeouts.

    Returns:
        The works, best first.

    Raises:
        InputError: The question has no content word, or a source is unknown.
        ConnectionError: Every source failed.
    """
    if not content_words(question):
        raise InputError(f"{question!r} has no word to search for; give a question, or some words")
    if options.top < 1:
        raise InputError(f"a search for {options.top} works finds none; ask for 1 or more")
    encoder = sentence_encoder(options.encoder, options.cache, options.prefixes)
    known = dict(configured_hosts() if hosts is None else hosts)
    names = options.sources or tuple(name for name in source_names() if name in known and known[name].url)
    found_by: dict[str, WorkIndex | list[Work]] = {}
    with Client(options.cache, known, policy, options.offline) as client:
        for name in names:
            results = _of_source(client, name, question, options)
            if results is not None:
                found_by[name] = results
        failures = {failure.source: failure.reason for failure in client.failures}
    searched = {name: len(results) for name, results in found_by.items()}
    if not any(searched.values()) and failures:
        raise ConnectionError("; ".join(f"{name}: {reason}" for name, reason in sorted(failures.items())))
    index = _joined(question, found_by)
    return SearchOutcome(Ranker(index, question, encoder, options.embed_all).ranking(options.top), searched, failures)


def _of_source(client: Client, name: str, question: str, options: SearchOptions) -> WorkIndex | list[Work] | None:
    """Return the index of a source, or the works that its interface returns; None where it fails."""
    if name == "acl":
        return acl.open_index(client)
    path = Path(name)
    if name not in source_names():
        if bibtex_files(path):
            return open_corpus(path, options.cache / INDEXES)
        if not path.is_dir():
            known = ", ".join(source_names())
            raise InputError(f"unknown source {name!r}: neither a folder, nor a BibTeX file, nor one of {known}")
        client.hosts["folder"] = replace(client.hosts["folder"], url=name)
        name = "folder"
    query = " ".join(word.text for word in content_words(question))
    return load_source(name).search(client, query, PER_SOURCE)


def _joined(question: str, results: Mapping[str, WorkIndex | Sequence[Work]]) -> WorkIndex:
    """Return the one index, or an index of the best works of several sources, each work once."""
    indexes = [held for held in results.values() if isinstance(held, WorkIndex)]
    if len(indexes) == len(results) == 1:
        return indexes[0]
    works = [work for held in results.values() if not isinstance(held, WorkIndex) for work in held]
    for index in indexes:
        rows = Ranker(index, question).reranked()[:PER_SOURCE]
        works += [acl.work_of_entry(index.record(row)) for row in rows]
    return build_in_memory(_record(work) for work in merge_works(works))


def _record(work: Work) -> dict[str, str]:
    opening = next((str(record["opening"]) for record in work.sources.values() if record.get("opening")), "")
    return {
        "key": work.id,
        "title": work.title,
        "abstract": work.abstract or " ".join(opening.split()),
        "author": " and ".join(work.authors),
        "year": str(work.year or ""),
        "url": work.url,
    }


def to_json(question: str, outcome: SearchOutcome) -> dict[str, Any]:
    """Return an outcome as a JSON object."""
    ranking = outcome.ranking
    return {
        "question": question,
        "method": ranking.method,
        "words": ranking.words,
        "in_no_work": ranking.absent,
        "in_no_shown_work": ranking.unmatched,
        "searched": outcome.searched,
        "failures": outcome.failures,
        "works": [
            {
                "rank": rank,
                **{name: work.record.get(name, "") for name in ("key", "title", "year", "url")},
                "sentence": work.sentence,
                "matched": work.matched,
            }
            for rank, work in enumerate(ranking.works, 1)
        ],
        "set_aside": [
            {**{name: work.record.get(name, "") for name in ("key", "title", "year", "url")}, "reason": work.reason}
            for work in ranking.set_aside
        ],
    }


def lines(outcome: SearchOutcome) -> Iterator[str]:
    """Yield an outcome as lines for the terminal."""
    ranking = outcome.ranking
    for rank, work in enumerate(ranking.works, 1):
        year = work.record.get("year", "")
        yield f"{rank:>3}  {work.record.get('title', '')}{f' ({year})' if year else ''}"
        if work.sentence != work.record.get("title", ""):
            yield f"     {work.sentence}"
        yield f"     {work.record.get('url') or work.record['key']}"
    if not ranking.works:
        yield "no work was found" if not ranking.set_aside else "no work is on the topic"
    yield ""
    for number, work in enumerate(ranking.set_aside):
        yield from () if number else ("set aside, though they share words with the question:",)
        yield f"     {work.record.get('title', '')}: {work.reason}"
    counts = ", ".join(f"{count:,} works of {name}" for name, count in outcome.searched.items())
    yield f"searched: {counts or 'nothing'}; {ranking.method}"
    if ranking.absent:
        yield f"in no work: {', '.join(ranking.absent)}"
    if ranking.unmatched:
        yield f"in no work shown: {', '.join(ranking.unmatched)}"
    yield from (f"failed: {name} ({reason})" for name, reason in sorted(outcome.failures.items()))
