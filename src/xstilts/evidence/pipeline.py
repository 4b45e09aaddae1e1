"""From a question to an evidence report: search, screen, quote, judge, compare with a study, review, write.

No report is written if a reviewer refuses it (a quote that is not at its place) or if no source answered.

    make_report("Does the batch size matter?", ReportOptions(Path("evidence")))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xstilts.errors import InputError
from xstilts.evidence.claims import llm_client, llm_proposals, study_binding, study_measurements
from xstilts.evidence.claims.bearing import Similarity
from xstilts.evidence.claims.question import parse_question
from xstilts.evidence.claims.synthesis import synthesise
from xstilts.evidence.claims.verdict import NearFunction, NliFunction
from xstilts.evidence.report import bundle, llm_opinion, review
from xstilts.evidence.report.to_json import synthesis_to_json
from xstilts.evidence.search.client import Client, RetryPolicy
from xstilts.evidence.search.corpus import Corpus, gather
from xstilts.evidence.search.hosts import Host, configured_hosts
from xstilts.evidence.search.queries import search_queries, topic_groups
from xstilts.evidence.search.response_cache import CACHE
from xstilts.evidence.search.retractions import read_table
from xstilts.evidence.search.sources import source_names
from xstilts.runtime import extras


@dataclass(frozen=True)
class ReportOptions:
    """Inputs and output folder of a report.

    Attributes:
        out: Folder of the report.
        cache: Folder of the sources' replies.
        sources: Names of sources, or the path of a local folder of papers; () for all.
        offline: Answer from the cache alone.
        study: Folder of a study's report, whose results are compared with the literature.
        store: The run store that holds the study's results.
        bindings: JSON file of bindings of statements to the study's measures; by default they are proposed.
        retractions: CSV file of Retraction Watch, whose works are excluded; by default what the sources say decides.
    """

    out: Path
    cache: Path = CACHE
    sources: tuple[str, ...] = ()
    offline: bool = False
    study: Path | None = None
    store: Path = Path("work")
    bindings: Path | None = None
    retractions: Path | None = None


@dataclass(frozen=True)
class ReportServices:
    """Optional models and network settings of a report.

    Attributes:
        nli: An NLI model that may decide whether other works corroborate a statement.
        llm: Address and name of a language model that may propose evidence.
        hosts: Hosts of the sources; by default those of the environment.
        policy: Retries and timeouts.
        similarity: Cosine similarity of a sentence encoder, which ranks findings and relates them by meaning, beside
            their words.
        near: Which sentences the NLI model reads for their meaning, beside those that share words.
    """

    nli: NliFunction | None = None
    llm: tuple[str, str] | None = None
    hosts: Mapping[str, Host] | None = None
    policy: RetryPolicy | None = None
    similarity: Similarity | None = None
    near: NearFunction | None = None


NO_SERVICES = ReportServices()


def make_report(question: str, options: ReportOptions, services: ReportServices = NO_SERVICES) -> dict[str, Any]:
    """Write the report of a question to a folder.

    Args:
        question: The question.
        options: Inputs and output folder.
        services: Models and network settings.

    Returns:
        The report, as written to report.json.

    Raises:
        InputError: The question names no intervention, or a source is unknown.
        ConnectionError: Every source failed.
        ReportRefused: A reviewer does not find a quote at its place.
    """
    extras.require("evidence", "an evidence report")
    parsed = parse_question(question)
    model = llm_client.LanguageModel(*services.llm, options.cache / "llm", options.offline) if services.llm else None
    sources, hosts = choose_sources(options.sources, services.hosts)
    retracted = read_table(options.retractions) if options.retractions else frozenset()
    with Client(options.cache, hosts, services.policy, options.offline) as client:
        queries, topics = search_queries(parsed), topic_groups(parsed)
        corpus = gather(client, queries, topics, sources, retracted=retracted, question=question)
    _require_an_answer(corpus, sources)
    proposals = llm_proposals.propose(model, parsed, corpus) if model else ()
    similarity = services.similarity
    cosine = (lambda one, other: float(similarity(one, [other])[0])) if similarity else None
    synthesis = synthesise(parsed, corpus, services.nli, proposals, similarity, cosine, services.near)
    report = synthesis_to_json(synthesis)
    extra_files: dict[str, Any] = {bundle.PROPOSALS: [vars(proposal) for proposal in proposals]} if model else {}
    if options.study:
        bindings = study_binding.read(options.bindings) if options.bindings else None
        comparison = study_measurements.compare_with_study(report, options.study, options.store, bindings)
        extra_files |= comparison.files
        report |= {
            "measured": comparison.rows,
            "study": comparison.study,
            "limits": [*report["limits"], *comparison.unbound],
        }
    report |= {"reviews": review.gated_reviews(report, corpus)}
    report |= {"opinion": llm_opinion.opinion(model, report)} if model else {}
    bundle.write(report, corpus, options.out, extra_files)
    return report


def choose_sources(
    sources: Sequence[str], known_hosts: Mapping[str, Host] | None
) -> tuple[tuple[str, ...], dict[str, Host]]:
    """Resolve the sources of a report.

    Args:
        sources: Names of sources, or paths of a local folder of papers.
        known_hosts: Hosts by source; by default those of the environment.

    Returns:
        Names of sources, and hosts in which "folder" is the named path.

    Raises:
        InputError: A name is neither a source nor a folder.
    """
    hosts = dict(configured_hosts() if known_hosts is None else known_hosts)
    chosen = []
    for name in sources:
        if name in source_names():
            chosen.append(name)
        elif Path(name).is_dir():
            hosts["folder"] = replace(hosts["folder"], url=name)
            chosen.append("folder")
        else:
            raise InputError(f"unknown source {name!r}: neither a folder nor one of {', '.join(source_names())}")
    return tuple(chosen), hosts


def _require_an_answer(corpus: Corpus, sources: Sequence[str]) -> None:
    """Raise ConnectionError if nothing was found because every source failed."""
    failed = {failure.source: failure.reason for failure in corpus.failures}
    if not corpus.works and failed and not corpus.requests:
        reasons = "; ".join(f"{source}: {reason}" for source, reason in sorted(failed.items()))
        raise ConnectionError(f"no source answered, so there is no report ({reasons})")
