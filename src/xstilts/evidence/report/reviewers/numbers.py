"""Reviewer "numbers": whether every number is in its source and every count adds up, with this module's own code."""

from __future__ import annotations

import re
from collections.abc import Iterator

from xstilts.evidence.report.reviewers import Check, Json, ReviewInput, check_each

DIGITS = re.compile(r"\d+(?:[.,]\d+)*")


def review(case: ReviewInput) -> tuple[Check, ...]:
    """Return checks that numbers are in their sources, have a subject, and that counts add up."""
    report = case.report
    return (
        check_each("every number of a statement is in its source", _printed(case), floor=1),
        check_each("every extracted number is in its statement", _extracted(report), floor=1),
        check_each("a score has its split and its model", _settings(report)),
        check_each("the counts of the search add up", _sums(report), floor=1),
        check_each("measurements that decide have an interval", _measured(report), floor=1),
    )


def _printed(case: ReviewInput) -> Iterator[tuple[str, bool]]:
    for claim in case.report["claims"]:
        locator = claim["locators"][0] if claim["locators"] else None
        text = case.texts.get(locator["sha256"], "") if locator else ""
        source = DIGITS.findall(text[locator["start"] : locator["end"]]) if locator else []
        yield claim["name"], all(number in source for number in DIGITS.findall(claim["text"]))


def _extracted(report: Json) -> Iterator[tuple[str, bool]]:
    for claim in report["claims"]:
        yield claim["name"], all(number["text"] in claim["text"] for number in claim["numbers"])


def _settings(report: Json) -> Iterator[tuple[str, bool]]:
    for claim in report["claims"]:
        scores = [number for number in claim["numbers"] if number["unit"] == "points" or number["metric"]]
        yield from ((claim["name"], bool(number["split"] and number["model"])) for number in scores)


def _sums(report: Json) -> Iterator[tuple[str, bool]]:
    flow, works = report["search"]["flow"], report["works"]
    yield "records", sum(flow["records"].values()) - flow["duplicates"] == flow["works"] == len(works)
    yield "excluded", sum(flow["left_out"].values()) == flow["works"] - flow["included"]
    yield "included", sum(work["included"] for work in works) == flow["included"]
    yield "cited", len({finding["work"] for finding in report["claims"]}) == flow["cited"]
    yield "statements", len(report["claims"]) == flow["statements"]
    for finding in report["findings"]:
        names = [claim["name"] for claim in report["claims"] if _touches(claim, finding)]
        yield f"statements on '{finding['term']}'", names == finding["claims"]


def _touches(claim: Json, finding: Json) -> bool:
    return {"role": finding["role"], "term": finding["term"]} in claim["touches"]


def _measured(report: Json) -> Iterator[tuple[str, bool]]:
    for row in report.get("measured", ()):
        complete = all(value is not None for value in row["interval"])
        yield f"{row['claim']} by {row['query']}", row["status"] == "UNTESTED" or complete
