"""Telling: a dossier as plain JSON, the `report.json` of which all else is a view.

It holds no time, no path and no address of the machine that made it, so that the same corpus gives the same bytes.

>>> place(Locator("doc:x", "abstract", "0" * 64, 3, 9))["end"]
9
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from xstilts import __version__
from xstilts.evidence.claims import answer
from xstilts.evidence.claims.synthesis import Dossier, Finding, Said, conflicts
from xstilts.evidence.claims.verdict import Decision
from xstilts.evidence.report import citations
from xstilts.evidence.search.queries import searches, topics
from xstilts.evidence.search.work import Work
from xstilts.evidence.text.documents import Locator, around
from xstilts.reporting import study_report
from xstilts.reporting.study_report import FORMAT

KIND = "evidence"
Plain = dict[str, Any]


def told(dossier: Dossier) -> Plain:
    """Return all that a dossier says, as plain JSON; reviews and measurements are added to it."""
    works = _works(dossier)
    found: Plain = study_report.to_json(
        {
            "format": FORMAT,
            "kind": KIND,
            "version": __version__,
            "question": dossier.question.text,
            "answer": answer.answer(dossier),
            "abstract": answer.abstract(dossier),
            "facets": [{"role": one.role, "terms": one.terms} for one in dossier.question.facets],
            "constructions": [asdict(one) for one in dossier.constructions],
            "findings": [_finding(one) for one in dossier.findings],
            "claims": [_claim(dossier, one) for one in dossier.said],
            "conflicts": [{"one": one.name, "other": other.name} for one, other in conflicts(dossier.said)],
            "works": works,
            "search": {
                "queries": searches(dossier.question),
                "topics": topics(dossier.question),
                "sources": sorted({one.source for one in dossier.corpus.requests}),
                "failures": _failures(dossier),
                "flow": answer.flow(dossier),
            },
            "proposals": {
                "taken": [one.text for one in dossier.proposals.statements],
                "rejected": [{"quote": quote, "why": why} for quote, why in dossier.proposals.rejected],
            },
            "entailments": [
                {"claim": claim, "text": text, **asdict(said)} for claim, text, said in dossier.entailments
            ],
            "limits": list(answer.limits(dossier)),
        }
    )
    return found


def place(locator: Locator) -> Plain:
    """Return where something stands, as JSON has it."""
    return asdict(locator)


def decision(made: Decision) -> Plain:
    """Return a verdict, as JSON has it; `verified` is derived from it here as everywhere."""
    return {
        "status": made.status,
        "verified": made.verified,
        "why": made.why,
        "locators": [place(one) for one in made.locators],
        "quote": made.quote.status if made.quote else None,
        "numbers": made.numbers.status if made.numbers else None,
        "hedges": made.hedges.status if made.hedges else None,
        "recomputation": asdict(made.recomputation) if made.recomputation else None,
    }


def _finding(one: Finding) -> Plain:
    return {
        "role": one.coverage.role,
        "term": one.coverage.term,
        "status": one.status,
        "said": one.coverage.said,
        "directions": one.works,
        "claims": [each.name for each in one.said],
    }


def _claim(dossier: Dossier, one: Said) -> Plain:
    statement = one.statement
    return {
        "name": one.name,
        "text": statement.text,
        "work": statement.work,
        "by": answer.named(dossier, one),
        "locators": [place(each) for each in statement.locators],
        "context": _context(dossier, one),
        "touches": [{"role": role, "term": term} for role, term in statement.touches],
        "direction": one.direction,
        "numbers": [{**asdict(each), "value": str(each.value)} for each in statement.numbers],
        "hedges": [{"kind": kind, "name": name} for kind, name in statement.hedges],
        "readings": statement.readings,
        "retells": statement.cites,
        "faithful": decision(one.faithful),
        "corroborated": decision(one.corroborated),
        "beside": {**place(one.beside[0]), "text": one.beside[1]} if one.beside else None,
    }


def _context(dossier: Dossier, one: Said) -> Plain:
    """Return the sentences between which a statement stands, in the first of its places."""
    where = one.statement.locator
    document = next(text for text in dossier.corpus.documents[where.work] if text.sha256 == where.sha256)
    before, after = around(document, where.start, where.end)
    return {"before": before, "after": after}


def _works(dossier: Dossier) -> list[Plain]:
    reasons = {row.work: row.reason for row in dossier.corpus.screening if not row.source}
    names = citations.keys(dossier.corpus.works)
    cited: dict[str, list[str]] = {}
    for one in dossier.said:
        for where in one.statement.locators:
            if one.name not in cited.setdefault(where.work, []):
                cited[where.work].append(one.name)
    included = {work.id for work in dossier.corpus.included}
    return [
        _work(work, names[work.id])
        | {"included": work.id in included, "reason": reasons[work.id], "claims": cited.get(work.id, [])}
        for work in dossier.corpus.works
    ]


def _work(work: Work, key: str) -> Plain:
    kept = ("id", "title", "authors", "year", "venue", "url", "retracted", "citations", "disagreements")
    facts = {name: getattr(work, name) for name in kept}
    return {"key": key, **facts, "ids": asdict(work.ids), "sources": list(work.sources)}


def _failures(dossier: Dossier) -> list[Plain]:
    """Return what failed, without times, which are in the corpus's log."""
    return [
        {"source": one.source, "path": one.path, "reason": one.reason, "tries": one.tries}
        for one in dossier.corpus.failures
    ]
