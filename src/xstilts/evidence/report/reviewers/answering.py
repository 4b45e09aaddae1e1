"""Answering: does the report answer its question, facet by facet, from both sides?

A question is answered where a statement touches both what is changed and what that does, or where what it asks is true
by construction. "No evidence found" is an answer too, but only to its facet.
"""

from __future__ import annotations

from collections.abc import Iterator

from xstilts.evidence.report.reviewers import Check, Json, ReviewInput, check_each


def review(case: ReviewInput) -> tuple[Check, ...]:
    """Return whether the question, each of its terms, both sides, and what holds by construction are dealt with."""
    report = case.report
    return (
        Check("the question itself is answered", int(_answered(report)), 1, gate=True),
        check_each("every term of the question has statements, or is said to have none", _terms(report)),
        check_each("a statement touches both what is changed and an outcome that is asked for", _direct(report)),
        check_each("two works or more speak on every outcome that is asked for", _several(report)),
        check_each("works that are opposed are shown side by side", _sides(report)),
    )


def _answered(report: Json) -> bool:
    asked = {facet["role"]: set(facet["terms"]) for facet in report["facets"]}
    changed = asked["intervention"] | asked["comparator"]
    answers = [one for one in report["claims"] if changed & {touch["term"] for touch in one["touches"]}]
    told = any(
        one["faithful"]["status"] == "SUPPORTED" and (one["numbers"] or one["direction"] != "unsaid") for one in answers
    )
    return told or bool(report["constructions"])


def _direct(report: Json) -> Iterator[tuple[str, bool]]:
    roles = [(one["name"], {touch["role"] for touch in one["touches"]}) for one in report["claims"]]
    yield from ((name, {"intervention", "outcome"} <= those) for name, those in roles)


def _several(report: Json) -> Iterator[tuple[str, bool]]:
    for one in report["findings"]:
        if one["role"] == "outcome":
            yield one["term"], len({work for works in one["directions"].values() for work in works}) > 1


def _terms(report: Json) -> Iterator[tuple[str, bool]]:
    found = {(one["role"], one["term"]): one for one in report["findings"]}
    touched = {(touch["role"], touch["term"]) for one in report["claims"] for touch in one["touches"]}
    for facet in report["facets"]:
        for term in facet["terms"]:
            one = found.get((facet["role"], term))
            empty = one is not None and one["status"] == "no evidence found"
            yield f"{facet['role']} '{term}'", one is not None and empty != ((facet["role"], term) in touched)


def _sides(report: Json) -> Iterator[tuple[str, bool]]:
    said = {one["name"]: one for one in report["claims"]}
    differ = [one for one in report["findings"] if one["status"] == "works differ"]
    for one in differ:
        pairs = [pair for pair in report["conflicts"] if {pair["one"], pair["other"]} <= set(one["claims"])]
        fine = any(said[pair["one"]]["work"] != said[pair["other"]]["work"] for pair in pairs)
        yield f"{one['role']} '{one['term']}'", fine
