"""Candour: does the report say what speaks against it: hedges, conflicts, gaps, failures, limits?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from xstilts.evidence.report.reviewers import Check, Json, ReviewInput, check_each

HEDGES = re.compile(
    r"\b(?:not|no|neither|nor|never|may|might|could|consistently|significant|up to|at most|only|almost|most)\b"
)


def review(case: ReviewInput) -> tuple[Check, ...]:
    """Return whether hedges are kept, conflicts and gaps told, failures named, and nothing is surer than it may be."""
    report = case.report
    return (
        check_each("a statement that is hedged is told with its hedges", _hedged(report)),
        check_each("opposed works are no agreement", _disputed(report)),
        check_each("terms without a statement are told", _gaps(report)),
        check_each("every failed source is among the limits", _failures(report)),
        Check("there are limits", int(bool(report["limits"])), 1),
        check_each("an uncalibrated model has decided nothing", _uncalibrated(report)),
        check_each("no measurement of another setting verifies a number of a paper", _related(report)),
    )


def _hedged(report: Json) -> Iterator[tuple[str, bool]]:
    for one in report["claims"]:
        if HEDGES.search(one["text"]):
            yield one["name"], bool(one["hedges"])


def _disputed(report: Json) -> Iterator[tuple[str, bool]]:
    said = {one["name"]: one for one in report["claims"]}
    for pair in report["conflicts"]:
        one, other = said[pair["one"]], said[pair["other"]]
        shared = [finding for finding in report["findings"] if {one["name"], other["name"]} <= set(finding["claims"])]
        yield f"{one['name']} and {other['name']}", all(each["status"] == "works differ" for each in shared)


def _gaps(report: Json) -> Iterator[tuple[str, bool]]:
    for one in report["findings"]:
        if not one["claims"]:
            yield one["term"], one["status"] == "no evidence found"


def _failures(report: Json) -> Iterator[tuple[str, bool]]:
    for source in sorted({one["source"] for one in report["search"]["failures"]}):
        yield source, any(limit.startswith(f"{source} failed") for limit in report["limits"])


def _uncalibrated(report: Json) -> Iterator[tuple[str, bool]]:
    heard = {one["claim"] for one in report["entailments"] if not one["calibrated"]}
    for one in report["claims"]:
        if one["text"] in heard:
            yield one["name"], "model of inference" not in one["corroborated"]["why"] or _words(one)


def _words(one: Json) -> bool:
    """Return whether a verdict rests on words: a quote found again, or none at all."""
    return one["corroborated"]["status"] == "NOT_ENOUGH_INFO" or one["corroborated"]["quote"] in ("EXACT", "NORMALISED")


def _related(report: Json) -> Iterator[tuple[str, bool]]:
    for one in report.get("measured", ()):
        yield one["claim"], not one["verified"] or (one["relation"] == "same setting" and one["status"] == "REPRODUCED")
