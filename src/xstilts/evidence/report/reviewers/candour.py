"""Reviewer "candour": whether the report states what speaks against it: hedges, conflicts, gaps, failures, limits."""

from __future__ import annotations

import re
from collections.abc import Iterator

from xstilts.evidence.report.reviewers import Check, Json, ReviewInput, check_each

HEDGES = re.compile(
    r"\b(?:not|no|neither|nor|never|may|might|could|consistently|significant|up to|at most|only|almost|most)\b"
)


def review(case: ReviewInput) -> tuple[Check, ...]:
    """Return checks of hedges, conflicts, gaps, failed sources, limits and unjustified certainty."""
    report = case.report
    return (
        check_each("hedges of a statement are listed", _hedged(report)),
        check_each("opposed works are not counted as agreement", _disputed(report)),
        check_each("terms without a statement are listed", _gaps(report)),
        check_each("every failed source is among the limits", _failures(report)),
        Check("limits are listed", int(bool(report["limits"])), 1),
        check_each("an uncalibrated model decided nothing", _uncalibrated(report)),
        check_each("no measurement in another setting verifies a paper's number", _related(report)),
    )


def _hedged(report: Json) -> Iterator[tuple[str, bool]]:
    for claim in report["claims"]:
        if HEDGES.search(claim["text"]):
            yield claim["name"], bool(claim["hedges"])


def _disputed(report: Json) -> Iterator[tuple[str, bool]]:
    claims = {first["name"]: first for first in report["claims"]}
    for pair in report["conflicts"]:
        first, second = claims[pair["one"]], claims[pair["other"]]
        shared = [
            finding for finding in report["findings"] if {first["name"], second["name"]} <= set(finding["claims"])
        ]
        yield f"{first['name']} and {second['name']}", all(finding["status"] == "works differ" for finding in shared)


def _gaps(report: Json) -> Iterator[tuple[str, bool]]:
    for finding in report["findings"]:
        if not finding["claims"]:
            yield finding["term"], finding["status"] == "no evidence found"


def _failures(report: Json) -> Iterator[tuple[str, bool]]:
    for source in sorted({failure["source"] for failure in report["search"]["failures"]}):
        yield source, any(limit.startswith(f"{source} failed") for limit in report["limits"])


def _uncalibrated(report: Json) -> Iterator[tuple[str, bool]]:
    judged = {claim["claim"] for claim in report["entailments"] if not claim["calibrated"]}
    for claim in report["claims"]:
        if claim["text"] in judged:
            yield claim["name"], "model of inference" not in claim["corroborated"]["why"] or _words(claim)


def _words(claim: Json) -> bool:
    """Return whether a verdict rests on words: on a quote, or on nothing."""
    return claim["corroborated"]["status"] == "NOT_ENOUGH_INFO" or claim["corroborated"]["quote"] in (
        "EXACT",
        "NORMALISED",
    )


def _related(report: Json) -> Iterator[tuple[str, bool]]:
    for row in report.get("measured", ()):
        yield row["claim"], not row["verified"] or (row["relation"] == "same setting" and row["status"] == "REPRODUCED")
