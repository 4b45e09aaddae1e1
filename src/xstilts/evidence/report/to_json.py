"""Telling: a synthesis as plain JSON, the `report.json` of which all else is a view.

It holds no time, no path and no address of the machine that made it, so that the same corpus gives the same bytes.

>>> place(Locator("doc:x", "abstract", "0" * 64, 3, 9))["end"]
9
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from xstilts import __version__
from xstilts.evidence.claims import answer
from xstilts.evidence.claims.synthesis import Finding, JudgedStatement, Synthesis, conflicts
from xstilts.evidence.claims.verdict import Decision
from xstilts.evidence.report import citations
from xstilts.evidence.search.queries import search_queries, topic_groups
from xstilts.evidence.search.work import Work
from xstilts.evidence.text.documents import Locator, context_sentences
from xstilts.reporting import study_report
from xstilts.reporting.study_report import FORMAT

KIND = "evidence"
JsonObject = dict[str, Any]


def synthesis_to_json(synthesis: Synthesis) -> JsonObject:
    """Return all that a synthesis says, as plain JSON; reviews and measurements are added to it."""
    works = _works(synthesis)
    found: JsonObject = study_report.to_json(
        {
            "format": FORMAT,
            "kind": KIND,
            "version": __version__,
            "question": synthesis.question.text,
            "answer": answer.answer(synthesis),
            "abstract": answer.abstract(synthesis),
            "facets": [{"role": one.role, "terms": one.terms} for one in synthesis.question.facets],
            "constructions": [
                {"when": one.when, "said": one.statement, "reason": one.reason, "not_when": one.not_when}
                for one in synthesis.constructions
            ],
            "findings": [_finding(one) for one in synthesis.findings],
            "claims": [_claim(synthesis, one) for one in synthesis.statements],
            "conflicts": [{"one": one.name, "other": other.name} for one, other in conflicts(synthesis.statements)],
            "works": works,
            "search": {
                "queries": search_queries(synthesis.question),
                "topics": topic_groups(synthesis.question),
                "sources": sorted({one.source for one in synthesis.corpus.requests}),
                "failures": _failures(synthesis),
                "flow": answer.prisma_counts(synthesis),
            },
            "proposals": {
                "taken": [one.text for one in synthesis.proposals.statements],
                "rejected": [{"quote": quote, "why": why} for quote, why in synthesis.proposals.rejected],
            },
            "entailments": [
                {"claim": claim, "text": text, **asdict(said)} for claim, text, said in synthesis.entailments
            ],
            "limits": list(answer.limits(synthesis)),
        }
    )
    return found


def locator_to_json(locator: Locator) -> JsonObject:
    """Return where something stands, as JSON has it."""
    return asdict(locator)


def decision_to_json(made: Decision) -> JsonObject:
    """Return a verdict, as JSON has it; `verified` is derived from it here as everywhere."""
    return {
        "status": made.status,
        "verified": made.verified,
        "why": made.why,
        "locators": [locator_to_json(one) for one in made.locators],
        "quote": made.quote.status if made.quote else None,
        "numbers": made.numbers.status if made.numbers else None,
        "hedges": made.hedges.status if made.hedges else None,
        "recomputation": asdict(made.recomputation) if made.recomputation else None,
    }


def _finding(one: Finding) -> JsonObject:
    return {
        "role": one.coverage.role,
        "term": one.coverage.term,
        "status": one.status,
        "said": one.coverage.summary,
        "directions": one.works,
        "claims": [each.name for each in one.statements],
    }


def _claim(synthesis: Synthesis, one: JudgedStatement) -> JsonObject:
    statement = one.statement
    return {
        "name": one.name,
        "text": statement.text,
        "work": statement.work,
        "by": answer.citation(synthesis, one),
        "locators": [locator_to_json(each) for each in statement.locators],
        "context": _context(synthesis, one),
        "touches": [{"role": role, "term": term} for role, term in statement.touches],
        "direction": one.direction,
        "numbers": [{**asdict(each), "value": str(each.value)} for each in statement.numbers],
        "hedges": [{"kind": kind, "name": name} for kind, name in statement.hedges],
        "readings": statement.readings,
        "retells": statement.cites,
        "faithful": decision_to_json(one.faithful),
        "corroborated": decision_to_json(one.corroborated),
        "beside": {**locator_to_json(one.nearest[0]), "text": one.nearest[1]} if one.nearest else None,
    }


def _context(synthesis: Synthesis, one: JudgedStatement) -> JsonObject:
    """Return the sentences between which a statement stands, in the first of its places."""
    where = one.statement.locator
    document = next(text for text in synthesis.corpus.documents[where.work] if text.sha256 == where.sha256)
    before, after = context_sentences(document, where.start, where.end)
    return {"before": before, "after": after}


def _works(synthesis: Synthesis) -> list[JsonObject]:
    reasons = {row.work: row.reason for row in synthesis.corpus.screening if not row.source}
    names = citations.citation_keys(synthesis.corpus.works)
    cited: dict[str, list[str]] = {}
    for one in synthesis.statements:
        for where in one.statement.locators:
            if one.name not in cited.setdefault(where.work, []):
                cited[where.work].append(one.name)
    included = {work.id for work in synthesis.corpus.included}
    return [
        _work(work, names[work.id])
        | {"included": work.id in included, "reason": reasons[work.id], "claims": cited.get(work.id, [])}
        for work in synthesis.corpus.works
    ]


def _work(work: Work, key: str) -> JsonObject:
    kept = ("id", "title", "authors", "year", "venue", "url", "retracted", "citations", "disagreements")
    facts = {name: getattr(work, name) for name in kept}
    return {"key": key, **facts, "ids": asdict(work.ids), "sources": list(work.sources)}


def _failures(synthesis: Synthesis) -> list[JsonObject]:
    """Return what failed, without times, which are in the corpus's log."""
    return [
        {"source": one.source, "path": one.path, "reason": one.reason, "tries": one.tries}
        for one in synthesis.corpus.failures
    ]
