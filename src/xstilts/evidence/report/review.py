"""Automatic reviews of a report: scores, their spread, and what no average overrides.

A report that does not answer its question scores at most 3 of 10, one with a defect (a check of soundness below its
floor) at most 5, and one with a quote that is not at its place is refused. Otherwise the score is the median of the
reviewers to whom anything applies. Reviewers check different things: disagreement shows where a report is weak, not
that a reviewer is wrong.

>>> spread([9.0, 10.0, 7.0])
{'median': 9.0, 'low': 7.0, 'high': 10.0, 'agreement': 0.333}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import fmean, median
from typing import Any

from xstilts.errors import InputError
from xstilts.evidence.report import reviewers
from xstilts.evidence.report.reviewers import Check, ReviewInput
from xstilts.evidence.search.corpus import Corpus

Json = Mapping[str, Any]
MAX_UNANSWERED = 3.0  # maximum score of a report that does not answer its question
MAX_DEFECTIVE = 5.0  # maximum score of a report with a defect
AGREEMENT_DISTANCE = 1.0  # points within which two scores agree
ANSWERING = "answering"


class ReportRefused(InputError):
    """A report with a quote that is not at its place; the message names the statement."""


def gated_reviews(report: Json, corpus: Corpus) -> dict[str, Any]:
    """Return the reviews of a report.

    Args:
        report: The report, as JSON.
        corpus: Its corpus.

    Returns:
        As `review_panel`.

    Raises:
        ReportRefused: A quote is not at its place.
    """
    reviews = review_panel(report, corpus)
    if reviews["refused"]:
        raise ReportRefused(f"the report is refused: {'; '.join(reviews['refused'])}")
    return reviews


def review_panel(report: Json, corpus: Corpus) -> dict[str, Any]:
    """Return all reviews of a report as JSON, with spread, gates and final score.

    Args:
        report: The report, as JSON.
        corpus: Its corpus.

    Returns:
        The checks and the score of each reviewer, their median and range, whether a gate refuses the report, and the
        final score of at most 10.
    """
    case = _review_input(report, corpus)
    checks = {name: reviewers.load_reviewer(name).review(case) for name in reviewers.reviewer_names()}
    scores = {name: score(checklist) for name, checklist in checks.items()}
    statistics = spread([value for value in scores.values() if value is not None])
    refused = [
        f"{check.what}: not {check.note}"
        for name, checklist in checks.items()
        for check in checklist
        if name != ANSWERING and check.gate and check.failed
    ]
    defects = [
        f"{check.what}: not {check.note}" for checks_of in checks.values() for check in checks_of if check.is_defect
    ]
    answered = not any(check.failed for check in checks[ANSWERING] if check.gate)
    return {
        "reviews": [
            {"reviewer": name, "score": scores[name], "checks": [_check_to_json(check) for check in checklist]}
            for name, checklist in checks.items()
        ],
        **statistics,
        "answered": answered,
        "defects": defects,
        "refused": refused,
        "score": _final(statistics["median"], answered, defects, refused),
        "said": _summary(statistics, answered, defects, refused),
    }


def score(checks: Sequence[Check]) -> float | None:
    """Return the score of a checklist.

    Args:
        checks: The checks.

    Returns:
        Ten times the mean share of passed cases, each applicable check weighing the same; None if none applies.
    """
    shares = [check.share for check in checks if check.share is not None]
    return round(10 * fmean(shares), 2) if shares else None


def _final(middle: float, answered: bool, defects: Sequence[str], refused: Sequence[str]) -> float:
    """Return the final score: the reviewers' median within what the gates and the defects allow."""
    most = 10.0 if answered else MAX_UNANSWERED
    return 0.0 if refused else min(middle, most, MAX_DEFECTIVE if defects else 10.0)


def spread(scores: Sequence[float]) -> dict[str, float]:
    """Summarise the scores of the reviewers.

    Args:
        scores: A score of each.

    Returns:
        "median", "low", "high", and "agreement": the share of pairs within `AGREEMENT_DISTANCE` of each other.
    """
    pairs = [abs(first - second) <= AGREEMENT_DISTANCE for first, second in combinations(scores, 2)]
    return {
        "median": median(scores),
        "low": min(scores),
        "high": max(scores),
        "agreement": round(fmean(pairs), 3) if pairs else 1.0,
    }


def _review_input(report: Json, corpus: Corpus) -> ReviewInput:
    """Return the input of the reviewers, without reviews, so that none sees another's."""
    visible = {name: value for name, value in report.items() if name not in ("reviews", "opinion")}
    texts = {text.sha256: text.text for text in corpus.texts()}
    return ReviewInput(visible, texts, {work.id: work.sources for work in corpus.works})


def _check_to_json(check: Check) -> dict[str, Any]:
    return {
        "what": check.what,
        "passed": check.passed,
        "of": check.of,
        "note": check.note,
        "gate": check.gate,
        "defect": check.is_defect,
    }


def _summary(statistics: Mapping[str, float], answered: bool, defects: Sequence[str], refused: Sequence[str]) -> str:
    gate = (
        "Refused: a quote is not at its place."
        if refused
        else f"The question is not answered, so the score is at most {MAX_UNANSWERED:g}."
        if not answered
        else f"With a defect the score is at most {MAX_DEFECTIVE:g} ({'; '.join(defects)})."
        if defects
        else "All gates passed, and no defect found."
    )
    return (
        f"Scores from {statistics['low']:.1f} to {statistics['high']:.1f}; {statistics['agreement']:.0%} of pairs of "
        f"reviewers differ by at most {AGREEMENT_DISTANCE:g} point. {gate}"
    )
