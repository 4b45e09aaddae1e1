"""Reviewer "candour": whether the report states what speaks against it: hedges, conflicts, gaps, limits, marks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from xstilts.evidence.report.reviewers import Check, Json, ReviewInput, check_each

EMPTY = ("no evidence found", "not understood")
# Words of degree are not always hedges ("most languages"), and a direction may be in words that these lists lack.
MOST_HEDGES, MOST_DIRECTIONS = 0.5, 0.5
UP = re.compile(
    r"\b(?:improv|increas|gain|help|benefi|boost|rais|rise|outperform|exceed|surpass|better|best|higher|faster|grow|more|doubl"
    r"|larger|add)\w*",
    re.IGNORECASE,
)
DOWN = re.compile(
    r"\b(?:worsen|decreas|declin|reduc|hurt|harm|degrad|drop|fall|lose|lost|loss|worse|lower|slower|underperform|shrink|halv"
    r"|save|less|fewer|no evidence|not|never)\w*",
    re.IGNORECASE,
)
# By scheme, what no real work has: a DOI for examples, a volume of no Anthology, a month beyond twelve.
INVENTED = {
    "doi": re.compile(r"10\.5555/stub\.", re.IGNORECASE),
    "acl": re.compile(r"\d+\.stub-", re.IGNORECASE),
    "arxiv": re.compile(r"\d\d(?!0[0-9]|1[0-2])\d\d\."),
}
HEDGES = re.compile(
    r"\b(?:not|no|neither|nor|never|may|might|could|consistently|significant|up to|at most|only|almost|most)\b"
)


def review(case: ReviewInput) -> tuple[Check, ...]:
    """Return checks of hedges, directions, conflicts, gaps, failed sources, limits, marks and unjustified certainty."""
    report = case.report
    return (
        check_each("hedges of a statement are listed", _hedged(report), floor=MOST_HEDGES),
        check_each("a stated direction has a word for it", _directed(report), floor=MOST_DIRECTIONS),
        check_each("opposed works are not counted as agreement", _disputed(report), floor=1),
        check_each("terms without a statement are listed", _gaps(report), floor=1),
        check_each("every failed source is among the limits", _failures(report), floor=1),
        Check("limits are listed", int(bool(report["limits"])), 1, "listed", floor=1),
        check_each("works that are made up are said to be", _marked(case), floor=1),
        check_each("an uncalibrated model decided nothing", _uncalibrated(report), floor=1),
        check_each("no measurement in another setting verifies a paper's number", _related(report), floor=1),
    )


def _hedged(report: Json) -> Iterator[tuple[str, bool]]:
    for claim in report["claims"]:
        if HEDGES.search(claim["text"]):
            yield claim["name"], bool(claim["hedges"])


def _directed(report: Json) -> Iterator[tuple[str, bool]]:
    """Yield whether a statement of more or less has a word of that direction, or none of the other alone."""
    for claim in report["claims"]:
        if claim["direction"] in ("up", "down"):
            own, other = (UP, DOWN) if claim["direction"] == "up" else (DOWN, UP)
            yield claim["name"], bool(own.search(claim["text"])) or not other.search(claim["text"])


def _marked(case: ReviewInput) -> Iterator[tuple[str, bool]]:
    """Yield whether the report says that a work is made up whose identifiers can be no real work's."""
    for work in case.report["works"]:
        if any(pattern.match(str(work["ids"].get(scheme, ""))) for scheme, pattern in INVENTED.items()):
            yield work["key"], bool(case.report.get("notice"))


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
            yield finding["term"], finding["status"] in EMPTY


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
