"""HTML and Markdown page of an evidence report, from its `report.json` alone, in the layout of a study's report.

The first screen answers: what is known, in quotes; how sure that is and why; what nobody has measured; what a study of
this store measured. Then comes the table of the evidence, and then everything that it rests on.

>>> STATUS["NOT_ENOUGH_INFO"]
'not enough information'
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from xstilts.evidence.claims.answer import count_phrase
from xstilts.evidence.claims.effect_direction import DIRECTION_LABELS
from xstilts.evidence.claims.finding_record import NOT_STATED
from xstilts.evidence.report import citations, prisma
from xstilts.reporting.page import NOTHING, Cell, Listing, Page, Section, TableView, VerdictList, VerdictView
from xstilts.runtime import tables

Json = Mapping[str, Any]
STATUS = {"SUPPORTED": "supported", "CONTRADICTED": "contradicted", "NOT_ENOUGH_INFO": "not enough information"}
FAITHFUL = {**STATUS, "SUPPORTED": "faithful"}  # to its source, which need not be true
MOST_SHOWN = 8  # statements in the table of the evidence; all of them are below it
FINDING_FIELDS = ("subject", "compared_with", "outcome", "stance")
COLUMN_NOTE = (
    "Three separate verdicts: faithful to its source (the work states it as quoted, with its numbers and hedges), "
    "corroborated by works of other authors, and measured here, on runs of this store. Not enough information is no "
    "refutation."
)


def build_page(report: Json) -> Page:
    """Return the page of an evidence report."""
    *answering, searched = report["abstract"] or [""]
    return Page(
        "evidence",
        report["question"],
        report["answer"],
        tuple(filter(None, (*answering, *_study_answer(report), searched))),
        sections=tuple(section for section in _sections(report) if section.blocks),
        inputs={work["key"]: () for work in report["works"]},
        notice=report.get("notice", ""),
    )


def _rulings(report: Json) -> Iterator[VerdictView]:
    """Yield what is true by construction, then the finding on each term of the question."""
    for number, item in enumerate(report["constructions"], 1):
        yield VerdictView(f"construction-{number}", item["said"], "true by construction", item["reason"])
    order = ("outcome", "words", "benchmark", "models", "languages", "comparator", "intervention")
    for item in sorted(report["findings"], key=lambda finding: order.index(finding["role"])):
        text = item["said"]
        facts = tuple((DIRECTION_LABELS[name], _works(report, works)) for name, works in item["directions"].items())
        claims = (("statements", Cell(", ".join(item["claims"]))),) if item["claims"] else ()
        why = f"{text[:1].upper()}{text[1:]}."
        name = f"{item['role']}-{item['term']}".replace(" ", "-")
        measured = _measured_on(report, item["term"])
        yield VerdictView(name, f"{item['role']}: {item['term']}", item["status"], why, facts + claims + measured)


def _sections(report: Json) -> Iterator[Section]:
    yield Section("evidence", "Evidence", _evidence(report))
    rulings = tuple(_rulings(report))
    tally = Counter(ruling.status for ruling in rulings)
    counts = ", ".join(f"{status}: {number}" for status, number in sorted(tally.items()))
    yield Section("findings", "Term by term", (VerdictList(rulings),) if rulings else (), f"{counts}.")
    yield Section("claims", "Statements and their verdicts", _claims(report), COLUMN_NOTE)
    yield from _measured(report)
    yield Section("conflicts", "Conflicts between works", _conflicts(report))
    yield _reviews(report)
    yield Section("search", "Search", tuple(_search(report)))
    yield Section("screened", "Excluded works", (_left_out(report),))
    yield Section("limits", "Limits", (Listing("", tuple(report["limits"])),))
    yield Section("reproduce", "How to verify this report", _reproduce(report))
    yield Section("references", "References", (_references(report),))


def _evidence(report: Json) -> tuple[TableView, ...]:
    """Return the table of the statements on an outcome of the question, of all where there are none; () without any."""
    outcomes = any(facet["role"] == "outcome" and facet["terms"] for facet in report["facets"])
    central = [
        claim for claim in report["claims"] if not outcomes or any(t["role"] == "outcome" for t in claim["touches"])
    ]
    shown = (central or report["claims"])[:MOST_SHOWN]
    rows = tuple(_evidence_row(report, claim) for claim in shown)
    rest = len(report["claims"]) - len(shown)
    note = f"The other {count_phrase(rest, 'statement')} and all verdicts are below." if rest else ""
    columns = ("finding", "setting", "stance", "quote", "source")
    return (TableView("evidence-table", "Statements", columns, rows, note, folded=False, quiet=True),) if rows else ()


def _evidence_row(report: Json, claim: Json) -> tuple[Cell, ...]:
    work = next(entry for entry in report["works"] if entry["id"] == claim["work"])
    finding = claim["finding"]
    compared = f", against {finding['compared_with']}" if finding["compared_with"] != NOT_STATED else ""
    return (
        Cell(f"{claim['name']}: {finding['subject']}{compared} → {finding['outcome']}"),
        Cell(_setting(finding["setting"])),
        Cell(finding["stance"]),
        Cell(f"“{claim['text']}”"),
        Cell(claim["by"], href=citations.work_url(work)),
    )


def _setting(setting: Mapping[str, str]) -> str:
    """Return model, tasks, languages and split of a finding as they were read, and what of them is not stated."""
    stated = [f"{name} {text}" for name, text in setting.items() if text != NOT_STATED]
    missing = [name for name, text in setting.items() if text == NOT_STATED]
    return "; ".join((*stated, *([f"{NOT_STATED}: {', '.join(missing)}"] if missing else ())))


def _claims(report: Json) -> tuple[VerdictList, ...]:
    return (VerdictList(tuple(_claim(report, claim) for claim in report["claims"])),) if report["claims"] else ()


def _claim(report: Json, claim: Json) -> VerdictView:
    faithful, corroborated = claim["faithful"], claim["corroborated"]
    locator = claim["locators"][0]
    span = f"{locator['part']}, characters {locator['start']} to {locator['end']}"
    facts: list[tuple[str, Cell]] = [
        ("source", Cell(claim["by"], None, (_key(report, claim["work"]),))),
        ("place", Cell(span)),
        ("context", Cell(_between(claim))),
        ("corroborated", Cell(STATUS[corroborated["status"]])),
        ("measured here", Cell(_measured_of(report, claim["name"]))),
        ("direction", Cell(DIRECTION_LABELS[claim["direction"]])),
        *((name.replace("_", " "), Cell(claim["finding"][name])) for name in FINDING_FIELDS),
        ("setting", Cell("; ".join(f"{name}: {text}" for name, text in claim["finding"]["setting"].items()))),
    ]
    if claim["numbers"]:
        facts.append(("numbers", Cell("; ".join(_number(number) for number in claim["numbers"]))))
    if claim["hedges"]:
        facts.append(("hedges", Cell(", ".join(dict.fromkeys(number["name"] for number in claim["hedges"])))))
    why = f"{claim['name']}. Faithful to its source: {faithful['why']}. "
    if corroborated["status"] != "NOT_ENOUGH_INFO":
        why += f"Elsewhere: {corroborated['why']}. "
    return VerdictView(claim["name"], claim["text"], FAITHFUL[faithful["status"]], why.strip(), tuple(facts))


def _between(claim: Json) -> str:
    """Return the sentences around a statement, with its name in its place."""
    before, after = (f"“{claim['context'][side]}”" if claim["context"][side] else "" for side in ("before", "after"))
    return f"{before or 'the beginning'} [{claim['name']}] {after or 'the end'}"


def _number(number: Json) -> str:
    of = (number["metric"], number["entity"], number["model"], number["split"], ", ".join(number["languages"]))
    about = ", ".join(part for part in of if part)
    return f"{number['text']} {number['unit']}".strip() + (f" ({about})" if about else "")


def _measured_of(report: Json, name: str) -> str:
    rows = [row for row in report.get("measured", ()) if row["claim"] == name]
    return "; ".join(f"{row['status']}, {row['relation']}" for row in rows) or "untested"


def _measured(report: Json) -> Iterator[Section]:
    """Yield the section on a study, if there is one."""
    rows = tuple(
        (
            Cell(row["claim"]),
            Cell(row["status"]),
            Cell(row["relation"]),
            Cell(row["query"]),
            tables.signed(row["estimate"]),
            Cell(tables.signed_interval(*row["interval"]) or NOTHING),
            Cell(row["why"]),
        )
        for row in report.get("measured", ())
    )
    columns = ("statement", "status", "relation", "measure", "estimate", "interval", "why")
    about = (
        "A binding (bindings.json, which you can edit) says which measure of the study decides a statement. "
        "A measurement with another model, split or scale is related, and verifies no number of a paper. The study's "
        "own claims are below, recomputed."
    )
    binding_tables = (TableView("bindings", "Bindings", columns, rows),) if rows else ()
    yield Section("measured", "Measured here", (*binding_tables, *_study_table(report)), about)


def _study_table(report: Json) -> Iterator[TableView]:
    """Yield the table of the study's own claims, if there is a study."""
    study = report.get("study")
    if study:
        columns = ("claim", "verdict", "estimate", "interval", "unit", "recomputed", "terms")
        rows = tuple(
            (
                Cell(claim["sentence"]),
                Cell(f"{claim['verdict']}{', true by construction' if claim['by_construction'] else ''}"),
                tables.signed(claim["estimate"]),
                Cell(tables.signed_interval(*claim["interval"]) or NOTHING),
                Cell(claim["unit"]),
                Cell(claim["again"]),
                Cell(", ".join(claim["terms"])),
            )
            for claim in study["claims"]
        )
        yield TableView("study", f"Claims of the study “{study['question']}”", columns, rows, folded=False)


def _study_answer(report: Json) -> tuple[str, ...]:
    """Return the study's own answer, which precedes the literature's."""
    study = report.get("study")
    return (f"Measured here, “{study['question']}”: {study['answer']}",) if study else ()


def _measured_on(report: Json, term: str) -> tuple[tuple[str, Cell], ...]:
    """Return the counts of verdicts of the study's claims on a term."""
    counts = Counter(claim["verdict"] for claim in report.get("study", {}).get("claims", ()) if term in claim["terms"])
    text = ", ".join(f"{number} {verdict}" for verdict, number in sorted(counts.items()))
    return (("measured here", Cell(f"{text} of {count_phrase(counts.total(), 'claim')}")),) if counts else ()


def _conflicts(report: Json) -> tuple[TableView, ...]:
    claims = {claim["name"]: claim for claim in report["claims"]}
    rows = tuple(
        (
            Cell(f"{pair['one']}: {claims[pair['one']]['text']}"),
            Cell(f"{pair['other']}: {claims[pair['other']]['text']}"),
        )
        for pair in report["conflicts"]
    )
    others = tuple(
        (
            Cell(f"{row['one']}: {claims[row['one']]['text']}"),
            Cell(f"{row['other']}: {claims[row['other']]['text']}"),
            Cell(row["why"]),
        )
        for row in report["relations"]
        if row["kind"] == "not comparable"
    )
    columns = ("statement", "other statement", "not comparable, because")
    opposed = (TableView("opposed", "Opposed statements", ("statement", "opposed statement"), rows),) if rows else ()
    differing = (TableView("incomparable", "Not comparable", columns, others, folded=True),) if others else ()
    return opposed + differing


def _reviews(report: Json) -> Section:
    panel = report.get("reviews")
    if not panel:
        return Section("reviews", "Reviews", ())
    rows = tuple(_check(review["reviewer"], check) for review in panel["reviews"] for check in review["checks"])
    return Section(
        "reviews",
        "Reviews",
        (
            review_scores(panel),
            TableView("checks", "Every check", ("reviewer", "check", "passed", "note"), rows, folded=True),
            *_opinion(report),
        ),
        "Each reviewer is an independent checklist with its own code to check the evidence. The score rates how the "
        "report was made, not whether its answer is true.",
    )


def review_scores(panel: Json) -> TableView:
    """Return the table of the reviewers' scores, their median and the final score."""
    scores = tuple((Cell(review["reviewer"]), _score(review["score"])) for review in panel["reviews"])
    scores += (
        (Cell("median"), _score(panel["median"])),
        (Cell("final score, after the gates"), _score(panel["score"])),
    )
    return TableView("scores", "Scores out of 10", ("reviewer", "score"), scores, panel["said"], quiet=True)


def _opinion(report: Json) -> Iterator[TableView]:
    """Yield the table of a language model's opinion, if there is one."""
    opinion = report.get("opinion")
    if opinion:
        rows = tuple(
            (Cell(check["what"]), Cell("met" if check["passed"] else "not met"), Cell(check["why"]))
            for check in opinion["checks"]
        )
        caption = f"Opinion of the language model {opinion['model']}, which changes no score"
        note = f"{opinion['unanswered']} checks have no usable answer." if opinion["unanswered"] else ""
        yield TableView("opinion", caption, ("check", "answer", "reason"), rows, note, quiet=True)


def _score(score: float | None) -> Cell:
    return Cell("not applicable") if score is None else tables.number(score, 1)


def _check(reviewer: str, check: Json) -> tuple[Cell, ...]:
    count = f"{check['passed']} of {check['of']}"
    passed = Cell(count, check["passed"]) if check["of"] else Cell("not applicable")
    return Cell(reviewer), Cell(check["what"]), passed, Cell(f"not {check['note']}" if check["note"] else NOTHING)


def _search(report: Json) -> Iterator[Any]:
    search = report["search"]
    yield prisma.plot(search["flow"])
    yield Listing(f"Searches in {', '.join(search['sources']) or 'no source'}", tuple(search["queries"]))
    lines = tuple(f"{failure['source']}: {failure['reason']} ({failure['path']})" for failure in search["failures"])
    yield from [Listing("What failed", lines)] if lines else []
    rejected = tuple(f"“{failure['quote']}”: {failure['why']}" for failure in report["proposals"]["rejected"])
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
    return TableView(
        "left-out", "Excluded works, with reasons", ("title", "authors", "year", "reason"), rows, folded=True
    )


def _reproduce(report: Json) -> tuple[Listing, ...]:
    return (
        Listing("", ("xstilts verify .",), commands=True),
        Listing(
            "", ("Without a network: each quote is checked in the stored texts, and each verdict is computed again.",)
        ),
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
    note = "All works, including those excluded, are in references.bib and references.json."
    return TableView("works", "Cited works", columns, rows, note, anchors, folded=False)


def _works(report: Json, works: list[str]) -> Cell:
    cited = [citations.short_citation(work) for work in report["works"] if work["id"] in works]
    return Cell(", ".join(cited))


def _key(report: Json, work: str) -> str:
    return next(str(entry["key"]) for entry in report["works"] if entry["id"] == work)
