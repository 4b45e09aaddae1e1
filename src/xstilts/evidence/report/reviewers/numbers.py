"""Numbers: is every number of the report in its source, and does every count add up? Counted again, with own code."""

from __future__ import annotations

import re
from collections.abc import Iterator

from xstilts.evidence.report.reviewers import Check, Json, ReviewInput, check_each

DIGITS = re.compile(r"\d+(?:[.,]\d+)*")


def review(case: ReviewInput) -> tuple[Check, ...]:
    """Return whether numbers stand in their sources, are told with what they are of, and sums are right."""
    report = case.report
    return (
        check_each("every number of a statement stands at its place", _printed(case)),
        check_each("every number that is told apart is one of the statement", _told(report)),
        check_each("a score is told with its split and its model", _settings(report)),
        check_each("the counts of the search add up", _sums(report)),
        check_each("measurements have an interval where they decide", _measured(report)),
    )


def _printed(case: ReviewInput) -> Iterator[tuple[str, bool]]:
    for one in case.report["claims"]:
        where = one["locators"][0] if one["locators"] else None
        text = case.texts.get(where["sha256"], "") if where else ""
        source = DIGITS.findall(text[where["start"] : where["end"]]) if where else []
        yield one["name"], all(number in source for number in DIGITS.findall(one["text"]))


def _told(report: Json) -> Iterator[tuple[str, bool]]:
    for one in report["claims"]:
        yield one["name"], all(number["text"] in one["text"] for number in one["numbers"])


def _settings(report: Json) -> Iterator[tuple[str, bool]]:
    for one in report["claims"]:
        scores = [number for number in one["numbers"] if number["unit"] == "points" or number["metric"]]
        yield from ((one["name"], bool(number["split"] and number["model"])) for number in scores)


def _sums(report: Json) -> Iterator[tuple[str, bool]]:
    flow, works = report["search"]["flow"], report["works"]
    yield "records", sum(flow["records"].values()) - flow["duplicates"] == flow["works"] == len(works)
    yield "left out", sum(flow["left_out"].values()) == flow["works"] - flow["included"]
    yield "taken in", sum(work["included"] for work in works) == flow["included"]
    yield "cited", len({one["work"] for one in report["claims"]}) == flow["cited"]
    yield "statements", len(report["claims"]) == flow["statements"]
    for one in report["findings"]:
        names = [each["name"] for each in report["claims"] if _touches(each, one)]
        yield f"statements on '{one['term']}'", names == one["claims"]


def _touches(claim: Json, finding: Json) -> bool:
    return {"role": finding["role"], "term": finding["term"]} in claim["touches"]


def _measured(report: Json) -> Iterator[tuple[str, bool]]:
    for one in report.get("measured", ()):
        whole = all(value is not None for value in one["interval"])
        yield f"{one['claim']} by {one['query']}", one["status"] == "UNTESTED" or whole
