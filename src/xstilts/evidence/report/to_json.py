"""An evidence report as JSON: `report.json`, from which every other file is derived.

It holds no time, path or address of the machine, so that the same corpus gives the same bytes.

>>> locator_to_json(Locator("doc:x", "abstract", "0" * 64, 3, 9))["end"]
9
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from xstilts import __version__
from xstilts.evidence.claims import answer
from xstilts.evidence.claims.synthesis import Finding, JudgedStatement, Synthesis, conflicts, relations
from xstilts.evidence.claims.verdict import Decision
from xstilts.evidence.report import citations
from xstilts.evidence.search.queries import search_queries, topic_groups
from xstilts.evidence.search.work import Work, invented_notice
from xstilts.evidence.text.documents import Locator, context_sentences
from xstilts.reporting import study_report
from xstilts.reporting.study_report import FORMAT_OF_KINDS

KIND = "evidence"
JsonObject = dict[str, Any]


def synthesis_to_json(synthesis: Synthesis) -> JsonObject:
    """Return a synthesis as JSON; reviews and measurements are added by `pipeline`."""
    works, notice = _works(synthesis), invented_notice(synthesis.corpus.works)
    report: JsonObject = study_report.to_json(
        {
            "format": FORMAT_OF_KINDS,
            "kind": KIND,
            "version": __version__,
            **({"notice": notice} if notice else {}),
            "question": synthesis.question.text,
            "answer": answer.answer(synthesis),
            "abstract": answer.abstract(synthesis),
            "facets": [{"role": item.role, "terms": item.terms} for item in synthesis.question.facets],
            "constructions": [
                {"when": item.when, "said": item.statement, "reason": item.reason, "not_when": item.not_when}
                for item in synthesis.constructions
            ],
            "findings": [_finding(synthesis, item) for item in synthesis.findings],
            "claims": [_claim(synthesis, item) for item in synthesis.statements],
            "conflicts": [{"one": item.name, "other": other.name} for item, other in conflicts(synthesis.statements)],
            "relations": [
                {"one": item.name, "other": other.name, "kind": relation.kind, "why": relation.why}
                for item, other, relation in relations(synthesis.statements)
            ],
            "works": works,
            "search": {
                "queries": search_queries(synthesis.question),
                "topics": topic_groups(synthesis.question),
                "sources": sorted({item.source for item in synthesis.corpus.requests}),
                "failures": _failures(synthesis),
                "flow": answer.prisma_counts(synthesis),
            },
            "proposals": {
                "taken": [item.text for item in synthesis.proposals.statements],
                "rejected": [{"quote": quote, "why": why} for quote, why in synthesis.proposals.rejected],
            },
            "entailments": [
                {"claim": claim, "text": text, **asdict(entailment)}
                for claim, text, entailment in synthesis.entailments
            ],
            "similarities": [{"text": text, "cosine": cosine} for text, cosine in synthesis.similarities],
            "cosines": [{"one": text, "other": other, "cosine": cosine} for text, other, cosine in synthesis.cosines],
            "limits": list(answer.limits(synthesis)),
        }
    )
    return report


def locator_to_json(locator: Locator) -> JsonObject:
    """Return a locator as JSON."""
    return asdict(locator)


def decision_to_json(decision: Decision) -> JsonObject:
    """Return a decision as JSON, with the derived `verified`."""
    return {
        "status": decision.status,
        "verified": decision.verified,
        "why": decision.why,
        "locators": [locator_to_json(locator) for locator in decision.locators],
        "quote": decision.quote.status if decision.quote else None,
        "numbers": decision.numbers.status if decision.numbers else None,
        "hedges": decision.hedges.status if decision.hedges else None,
        "recomputation": asdict(decision.recomputation) if decision.recomputation else None,
    }


def _finding(synthesis: Synthesis, finding: Finding) -> JsonObject:
    return {
        "role": finding.coverage.role,
        "term": finding.coverage.term,
        "status": answer.finding_status(synthesis, finding),
        "said": answer.finding_summary(synthesis, finding),
        "directions": finding.works,
        "claims": [judged.name for judged in finding.statements],
    }


def _claim(synthesis: Synthesis, judged: JudgedStatement) -> JsonObject:
    statement = judged.statement
    return {
        "name": judged.name,
        "text": statement.text,
        "work": statement.work,
        "by": answer.citation(synthesis, judged),
        "locators": [locator_to_json(item) for item in statement.locators],
        "context": _context(synthesis, judged),
        "touches": [{"role": role, "term": term} for role, term in statement.touches],
        "direction": judged.direction,
        "bearing": statement.bearing,
        "finding": {
            "subject": judged.record.subject,
            "compared_with": judged.record.compared_with,
            "outcome": judged.record.outcome,
            "stance": judged.record.stance,
            "setting": judged.record.setting.words,
            "setting_of_text": judged.record.around.words,
        },
        "numbers": [{**asdict(item), "value": str(item.value)} for item in statement.numbers],
        "hedges": [{"kind": kind, "name": name} for kind, name in statement.hedges],
        "readings": statement.readings,
        "retells": statement.cites,
        "faithful": decision_to_json(judged.faithful),
        "corroborated": decision_to_json(judged.corroborated),
        "beside": {**locator_to_json(judged.nearest[0]), "text": judged.nearest[1]} if judged.nearest else None,
    }


def _context(synthesis: Synthesis, judged: JudgedStatement) -> JsonObject:
    """Return the sentences before and after a statement at its first place."""
    locator = judged.statement.locator
    document = next(text for text in synthesis.corpus.documents[locator.work] if text.sha256 == locator.sha256)
    before, after = context_sentences(document, locator.start, locator.end)
    return {"before": before, "after": after}


def _works(synthesis: Synthesis) -> list[JsonObject]:
    reasons = {row.work: row.reason for row in synthesis.corpus.screening if not row.source}
    names = citations.citation_keys(synthesis.corpus.works)
    cited: dict[str, list[str]] = {}
    for judged in synthesis.statements:
        for locator in judged.statement.locators:
            if judged.name not in cited.setdefault(locator.work, []):
                cited[locator.work].append(judged.name)
    included = {work.id for work in synthesis.corpus.included}
    return [
        _work(work, names[work.id])
        | {"included": work.id in included, "reason": reasons[work.id], "claims": cited.get(work.id, [])}
        for work in synthesis.corpus.works
    ]


def _work(work: Work, key: str) -> JsonObject:
    columns = ("id", "title", "authors", "year", "venue", "url", "retracted", "citations", "disagreements")
    facts = {name: getattr(work, name) for name in columns}
    marked = {"invented": True} if work.invented else {}
    return {"key": key, **facts, "ids": asdict(work.ids), "sources": list(work.sources), **marked}


def _failures(synthesis: Synthesis) -> list[JsonObject]:
    """Return the failures without times, which are in the corpus's log."""
    return [
        {"source": failure.source, "path": failure.path, "reason": failure.reason, "tries": failure.tries}
        for failure in synthesis.corpus.failures
    ]
