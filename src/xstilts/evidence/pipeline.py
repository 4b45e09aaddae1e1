"""Making: an evidence report from a question: search, screen, quote, judge, measure, review, write.

What reviewers refuse is not written: one quote that is not where it is said to be, and there is no report. Nor is there
one where no source answered.

    make("Does the batch size matter?", Where(Path("evidence")))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xstilts.errors import InputError
from xstilts.evidence.claims import llm_client, llm_proposals, study_binding, study_measurements
from xstilts.evidence.claims.question import parse_question
from xstilts.evidence.claims.synthesis import synthesise
from xstilts.evidence.claims.verdict import NliFunction
from xstilts.evidence.report import bundle, llm_opinion, review
from xstilts.evidence.report.to_json import synthesis_to_json
from xstilts.evidence.search.client import Client, RetryPolicy
from xstilts.evidence.search.corpus import Corpus, gather
from xstilts.evidence.search.hosts import Host, configured_hosts
from xstilts.evidence.search.queries import search_queries, topic_groups
from xstilts.evidence.search.sources import source_names

CACHE = Path.home() / ".cache" / "xstilts" / "evidence"


@dataclass(frozen=True)
class ReportOptions:
    """Where a report goes, and where it comes from.

    cache: the folder of replies. sources: names, or a folder of one's own; () all. study: a study's report, measured
    in `store`. bindings: what is bound to its measures, where it is not proposed.
    """

    out: Path
    cache: Path = CACHE
    sources: tuple[str, ...] = ()
    offline: bool = False
    study: Path | None = None
    store: Path = Path("work")
    bindings: Path | None = None


@dataclass(frozen=True)
class ReportServices:
    """What may help to make a report: a model of inference, a language model that proposes, hosts and manners.

    llm: its address and its name.
    """

    nli: NliFunction | None = None
    llm: tuple[str, str] | None = None
    hosts: Mapping[str, Host] | None = None
    policy: RetryPolicy | None = None


NO_SERVICES = ReportServices()


def make_report(question: str, where: ReportOptions, services: ReportServices = NO_SERVICES) -> dict[str, Any]:
    """Write the report of a question to a folder and return it.

    Raises InputError for a question that names nothing to change, ConnectionError where every source failed, and
    `review.Refused` where a reviewer does not find what is quoted.
    """
    asked = parse_question(question)
    model = llm_client.LanguageModel(*services.llm, where.cache / "llm", where.offline) if services.llm else None
    sources, hosts = choose_sources(where.sources, services.hosts)
    with Client(where.cache, hosts, services.policy, where.offline) as client:
        corpus = gather(client, search_queries(asked), topic_groups(asked), sources)
    _require_an_answer(corpus, sources)
    proposed = llm_proposals.propose(model, asked, corpus) if model else ()
    found = synthesis_to_json(synthesise(asked, corpus, services.nli, proposed))
    beside: dict[str, Any] = {bundle.PROPOSALS: [vars(one) for one in proposed]} if model else {}
    if where.study:
        bound = study_binding.read(where.bindings) if where.bindings else None
        made = study_measurements.compare_with_study(found, where.study, where.store, bound)
        beside |= made.files
        found |= {"measured": made.rows, "study": made.study, "limits": [*found["limits"], *made.unbound]}
    found |= {"reviews": review.gated_reviews(found, corpus)}
    found |= {"opinion": llm_opinion.opinion(model, found)} if model else {}
    bundle.write(found, corpus, where.out, beside)
    return found


def choose_sources(sources: Sequence[str], given: Mapping[str, Host] | None) -> tuple[tuple[str, ...], dict[str, Host]]:
    """Return the names of sources, and hosts in which the folder of one's own is the one that was named."""
    hosts = dict(configured_hosts() if given is None else given)
    found = []
    for one in sources:
        if one in source_names():
            found.append(one)
        elif Path(one).is_dir():
            hosts["folder"] = replace(hosts["folder"], url=one)
            found.append("folder")
        else:
            raise InputError(f"unknown source {one!r}: neither a folder nor one of {', '.join(source_names())}")
    return tuple(found), hosts


def _require_an_answer(corpus: Corpus, sources: Sequence[str]) -> None:
    """Raise ConnectionError where nothing was found because every source that was asked failed."""
    failed = {one.source: one.reason for one in corpus.failures}
    if not corpus.works and failed and not corpus.requests:
        told = "; ".join(f"{source}: {reason}" for source, reason in sorted(failed.items()))
        raise ConnectionError(f"no source answered, so there is no report ({told})")
