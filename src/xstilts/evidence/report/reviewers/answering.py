"""Reviewer "answering": whether the report answers its question, facet by facet and from both sides.

A question is answered if a statement mentions the intervention and has a direction or a number, or if an answer is true
by construction. "No evidence found" answers only its facet.
"""

from __future__ import annotations

from collections.abc import Iterator

from xstilts.evidence.report.reviewers import Check, Json, ReviewInput, check_each


def review(case: ReviewInput) -> tuple[Check, ...]:
    """Return checks of the answer, every term, both sides, and opposed works."""
    report = case.report
    return (
        Check("the question is answered", int(_answered(report)), 1, gate=True),
        check_each("every term of the question has statements, or is listed as having none", _terms(report)),
        check_each("a statement mentions both the intervention and an outcome of the question", _direct(report)),
        check_each("two or more works report on every outcome of the question", _several(report)),
        check_each("opposed works are shown side by side", _sides(report)),
    )


def _answered(report: Json) -> bool:
    terms = {facet["role"]: set(facet["terms"]) for facet in report["facets"]}
    changed = terms["intervention"] | terms["comparator"]
    answers = [claim for claim in report["claims"] if changed & {touch["term"] for touch in claim["touches"]}]
    stated = any(
        claim["faithful"]["status"] == "SUPPORTED" and (claim["numbers"] or claim["direction"] != "unsaid")
        for claim in answers
    )
    return stated or bool(report["constructions"])


def _direct(report: Json) -> Iterator[tuple[str, bool]]:
    roles = [(claim["name"], {touch["role"] for touch in claim["touches"]}) for claim in report["claims"]]
    yield from ((name, {"intervention", "outcome"} <= roles_named) for name, roles_named in roles)


def _several(report: Json) -> Iterator[tuple[str, bool]]:
    for finding in report["findings"]:
        if finding["role"] == "outcome":
            yield finding["term"], len({work for works in finding["directions"].values() for work in works}) > 1


def _terms(report: Json) -> Iterator[tuple[str, bool]]:
    by_term = {(finding["role"], finding["term"]): finding for finding in report["findings"]}
    mentioned = {(touch["role"], touch["term"]) for finding in report["claims"] for touch in finding["touches"]}
    for facet in report["facets"]:
        for term in facet["terms"]:
            finding = by_term.get((facet["role"], term))
            empty = finding is not None and finding["status"] == "no evidence found"
            yield f"{facet['role']} '{term}'", finding is not None and empty != ((facet["role"], term) in mentioned)


def _sides(report: Json) -> Iterator[tuple[str, bool]]:
    claims = {finding["name"]: finding for finding in report["claims"]}
    differ = [finding for finding in report["findings"] if finding["status"] == "works differ"]
    for finding in differ:
        pairs = [pair for pair in report["conflicts"] if {pair["one"], pair["other"]} <= set(finding["claims"])]
        passed = any(claims[pair["one"]]["work"] != claims[pair["other"]]["work"] for pair in pairs)
        yield f"{finding['role']} '{finding['term']}'", passed
