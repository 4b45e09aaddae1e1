"""View: the page of an evidence report, out of its `report.json` alone; the same page as that of a study.

>>> STATUS["NOT_ENOUGH_INFO"]
'not enough information'
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from xstilts.evidence.claims.answer import count_phrase
from xstilts.evidence.claims.effect_direction import DIRECTION_LABELS
from xstilts.evidence.report import citations, prisma
from xstilts.reporting.page import NOTHING, Cell, Listing, Page, Section, TableView, VerdictList, VerdictView
from xstilts.runtime import tables

Json = Mapping[str, Any]
STATUS = {"SUPPORTED": "supported", "CONTRADICTED": "contradicted", "NOT_ENOUGH_INFO": "not enough information"}
FAITHFUL = {**STATUS, "SUPPORTED": "faithful"}  # to its source: no word about the world
COLUMN_NOTE = (
    "Three columns that are never one: faithful to its source (it stands there as quoted, numbers and hedges too), "
    "corroborated by works of other authors, and measured here, on runs of this store. Not enough information is no "
    "refutation."
)


def build_page(report: Json) -> Page:
    """Return the page of an evidence report."""
    return Page(
        "evidence",
        report["question"],
        report["answer"],
        (*_study_answer(report), *report["abstract"]),
        tuple(_rulings(report)),
        tuple(one for one in _sections(report) if one.blocks),
        {work["key"]: () for work in report["works"]},
        "What was found",
    )


def _rulings(report: Json) -> Iterator[VerdictView]:
    """Yield what holds by construction, then what was found of each term of the question."""
    for number, one in enumerate(report["constructions"], 1):
        yield VerdictView(f"construction-{number}", one["said"], "true by construction", one["reason"])
    order = ("outcome", "benchmark", "models", "languages", "comparator", "intervention")
    for one in sorted(report["findings"], key=lambda finding: order.index(finding["role"])):
        said = one["said"]
        facts = tuple((DIRECTION_LABELS[name], _works(report, works)) for name, works in one["directions"].items())
        claims = (("statements", Cell(", ".join(one["claims"]))),) if one["claims"] else ()
        why = f"{said[:1].upper()}{said[1:]}."
        name = f"{one['role']}-{one['term']}".replace(" ", "-")
        here = _measured_on(report, one["term"])
        yield VerdictView(name, f"{one['role']}: {one['term']}", one["status"], why, facts + claims + here)


def _sections(report: Json) -> Iterator[Section]:
    yield Section("claims", "Statements and their verdicts", _claims(report), COLUMN_NOTE)
    yield from _measured(report)
    yield Section("conflicts", "Where works speak against each other", _conflicts(report))
    yield _reviews(report)
    yield Section("search", "How it was searched", tuple(_search(report)))
    yield Section("screened", "What was left out", (_left_out(report),))
    yield Section("limits", "Limits", (Listing("", tuple(report["limits"])),))
    yield Section("reproduce", "How to check it", _reproduce(report))
    yield Section("references", "References", (_references(report),))


def _claims(report: Json) -> tuple[VerdictList, ...]:
    return (VerdictList(tuple(_claim(report, one) for one in report["claims"])),) if report["claims"] else ()


def _claim(report: Json, one: Json) -> VerdictView:
    faithful, corroborated = one["faithful"], one["corroborated"]
    where = one["locators"][0]
    span = f"{where['part']}, characters {where['start']} to {where['end']}"
    facts: list[tuple[str, Cell]] = [
        ("source", Cell(one["by"], None, (_key(report, one["work"]),))),
        ("place", Cell(span)),
        ("stands between", Cell(_between(one))),
        ("corroborated", Cell(STATUS[corroborated["status"]])),
        ("measured here", Cell(_measured_of(report, one["name"]))),
        ("speaks of", Cell(DIRECTION_LABELS[one["direction"]])),
    ]
    if one["numbers"]:
        facts.append(("numbers", Cell("; ".join(_number(each) for each in one["numbers"]))))
    if one["hedges"]:
        facts.append(("hedges", Cell(", ".join(dict.fromkeys(each["name"] for each in one["hedges"])))))
    why = f"{one['name']}. Faithful to its source: {faithful['why']}. "
    if corroborated["status"] != "NOT_ENOUGH_INFO":
        why += f"Elsewhere: {corroborated['why']}. "
    return VerdictView(one["name"], one["text"], FAITHFUL[faithful["status"]], why.strip(), tuple(facts))


def _between(one: Json) -> str:
    """Return the sentences around a statement, with its name where it stands."""
    before, after = (f"“{one['context'][side]}”" if one["context"][side] else "" for side in ("before", "after"))
    return f"{before or 'the beginning'} [{one['name']}] {after or 'the end'}"


def _number(one: Json) -> str:
    of = (one["metric"], one["entity"], one["model"], one["split"], ", ".join(one["languages"]))
    about = ", ".join(part for part in of if part)
    return f"{one['text']} {one['unit']}".strip() + (f" ({about})" if about else "")


def _measured_of(report: Json, name: str) -> str:
    found = [one for one in report.get("measured", ()) if one["claim"] == name]
    return "; ".join(f"{one['status']}, {one['relation']}" for one in found) or "untested"


def _measured(report: Json) -> Iterator[Section]:
    """Yield what was bound to measures of a study, if one was given."""
    rows = tuple(
        (
            Cell(one["claim"]),
            Cell(one["status"]),
            Cell(one["relation"]),
            Cell(one["query"]),
            tables.signed(one["estimate"]),
            Cell(tables.signed_interval(*one["interval"]) or NOTHING),
            Cell(one["why"]),
        )
        for one in report.get("measured", ())
    )
    columns = ("statement", "status", "relation", "measure", "estimate", "interval", "why")
    about = (
        "A statement is bound to a measure of a study by a binding that a person can read and change (bindings.json). "
        "What another model, split or scale gives is a related measurement, and verifies no number of a paper. What "
        "the study itself claims stands below, measured again."
    )
    bound = (TableView("bindings", "Bindings", columns, rows),) if rows else ()
    yield Section("measured", "Measured here", (*bound, *_study_table(report)), about)


def _study_table(report: Json) -> Iterator[TableView]:
    """Yield what the study itself claims, if one was given."""
    study = report.get("study")
    if study:
        columns = ("claim", "verdict", "estimate", "interval", "unit", "measured again", "about")
        rows = tuple(
            (
                Cell(one["sentence"]),
                Cell(f"{one['verdict']}{', true by construction' if one['by_construction'] else ''}"),
                tables.signed(one["estimate"]),
                Cell(tables.signed_interval(*one["interval"]) or NOTHING),
                Cell(one["unit"]),
                Cell(one["again"]),
                Cell(", ".join(one["terms"])),
            )
            for one in study["claims"]
        )
        yield TableView("study", f"Claims of the study “{study['question']}”", columns, rows, folded=False)


def _study_answer(report: Json) -> tuple[str, ...]:
    """Return what one's own runs answer, to stand before what the literature says."""
    study = report.get("study")
    return (f"Measured here, “{study['question']}”: {study['answer']}",) if study else ()


def _measured_on(report: Json, term: str) -> tuple[tuple[str, Cell], ...]:
    """Return the verdicts of the study's claims that are about a term, counted."""
    found = Counter(one["verdict"] for one in report.get("study", {}).get("claims", ()) if term in one["terms"])
    told = ", ".join(f"{number} {verdict}" for verdict, number in sorted(found.items()))
    return (("measured here", Cell(f"{told} of {count_phrase(found.total(), 'claim')}")),) if found else ()


def _conflicts(report: Json) -> tuple[TableView, ...]:
    said = {one["name"]: one for one in report["claims"]}
    rows = tuple(
        (Cell(f"{pair['one']}: {said[pair['one']]['text']}"), Cell(f"{pair['other']}: {said[pair['other']]['text']}"))
        for pair in report["conflicts"]
    )
    return (TableView("opposed", "Opposed by their words", ("one says", "another says"), rows),) if rows else ()


def _reviews(report: Json) -> Section:
    panel = report.get("reviews")
    if not panel:
        return Section("reviews", "Reviews", ())
    rows = tuple(_check(one["reviewer"], check) for one in panel["reviews"] for check in one["checks"])
    scores = tuple((Cell(one["reviewer"]), tables.number(one["score"], 1)) for one in panel["reviews"])
    scores += (
        (Cell("median"), tables.number(panel["median"], 1)),
        (Cell("score after the gates"), tables.number(panel["score"], 1)),
    )
    return Section(
        "reviews",
        "Reviews",
        (
            TableView("scores", "Scores out of 10", ("reviewer", "score"), scores, panel["said"], quiet=True),
            TableView("checks", "Every check", ("reviewer", "check", "passed", "note"), rows, folded=True),
            *_opinion(report),
        ),
        "Each reviewer is a checklist of its own, blind to the others, with code of its own to find evidence again. "
        "The score is of the report's making, not of the question's truth.",
    )


def _opinion(report: Json) -> Iterator[TableView]:
    """Yield what a language model said of the report, if one was asked."""
    said = report.get("opinion")
    if said:
        rows = tuple(
            (Cell(one["what"]), Cell("met" if one["passed"] else "not met"), Cell(one["why"])) for one in said["checks"]
        )
        caption = f"Opinion of the language model {said['model']}, which counts nowhere"
        note = f"It left {said['unanswered']} of its checks without a usable answer." if said["unanswered"] else ""
        yield TableView("opinion", caption, ("check", "said", "why"), rows, note, quiet=True)


def _check(reviewer: str, check: Json) -> tuple[Cell, ...]:
    passed = Cell(f"{check['passed']} of {check['of']}", check["passed"])
    return Cell(reviewer), Cell(check["what"]), passed, Cell(f"not {check['note']}" if check["note"] else NOTHING)


def _search(report: Json) -> Iterator[Any]:
    search = report["search"]
    yield prisma.plot(search["flow"])
    yield Listing(f"Searches in {', '.join(search['sources']) or 'no source'}", tuple(search["queries"]))
    lines = tuple(f"{one['source']}: {one['reason']} ({one['path']})" for one in search["failures"])
    yield from [Listing("What failed", lines)] if lines else []
    rejected = tuple(f"“{one['quote']}”: {one['why']}" for one in report["proposals"]["rejected"])
    yield from [Listing(f"Proposed by a language model and rejected: {len(rejected)}", rejected)] if rejected else []


def _left_out(report: Json) -> TableView:
    rows = tuple(
        (
            Cell(work["title"]),
            Cell(", ".join(work["authors"])),
            Cell(str(work["year"] or NOTHING), work["year"]),
            Cell(work["reason"]),
        )
        for work in report["works"]
        if not work["included"]
    )
    return TableView("left-out", "Works left out, and why", ("title", "authors", "year", "reason"), rows, folded=True)


def _reproduce(report: Json) -> tuple[Listing, ...]:
    return (
        Listing("", ("xstilts verify .",), commands=True),
        Listing("", ("Without a network: each quote is found again in the stored texts, each verdict made again.",)),
    )


def _references(report: Json) -> TableView:
    works = [work for work in report["works"] if work["claims"]]
    rows = tuple(
        (
            Cell(work["key"], href=citations.work_url(work)),
            Cell("; ".join(work["authors"])),
            Cell(str(work["year"] or NOTHING), work["year"]),
            Cell(work["title"]),
            Cell(work["venue"] or NOTHING),
            Cell(", ".join(work["claims"])),
            Cell("; ".join(work["disagreements"]) or NOTHING),
        )
        for work in works
    )
    columns = ("key", "authors", "year", "title", "venue", "statements", "sources disagree on")
    anchors = tuple(f"stage-{work['key']}" for work in works)
    note = "All works, also those that are only screened, are in references.bib and references.json."
    return TableView("works", "Cited works", columns, rows, note, anchors, folded=False)


def _works(report: Json, works: list[str]) -> Cell:
    named = [citations.short_citation(work) for work in report["works"] if work["id"] in works]
    return Cell(", ".join(named))


def _key(report: Json, work: str) -> str:
    return next(str(one["key"]) for one in report["works"] if one["id"] == work)
