"""Review: what all reviewers say of a report, their spread, and two gates that no average opens.

A report that does not answer its question has at most 3 of 10; one with a quote that is not where it is said to be is
refused. The score is the median. Reviewers look at different things: that they differ says where a report is weak, not
that one of them errs.

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
MAX_UNANSWERED = 3.0  # of 10, at most, for a report that does not answer its question
AGREEMENT_DISTANCE = 1.0  # points within which two scores agree
ANSWERING = "answering"


class ReportRefused(InputError):
    """A report that quotes what is not there; the message says which statement."""


def gated_reviews(report: Json, corpus: Corpus) -> dict[str, Any]:
    """Return the reviews of a report; Refused where its evidence is not found again."""
    found = review_panel(report, corpus)
    if found["refused"]:
        raise ReportRefused(f"the report is refused: {'; '.join(found['refused'])}")
    return found


def review_panel(report: Json, corpus: Corpus) -> dict[str, Any]:
    """Return every review of a report, as JSON has it, with their spread, the gates and the score after them."""
    case = _review_input(report, corpus)
    checks = {name: reviewers.load_reviewer(name).review(case) for name in reviewers.reviewer_names()}
    scores = {name: score(those) for name, those in checks.items()}
    told = spread(list(scores.values()))
    refused = [
        f"{check.what}: not {check.note}"
        for name, those in checks.items()
        for check in those
        if name != ANSWERING and check.gate and check.share < 1
    ]
    answered = all(check.share == 1 for check in checks[ANSWERING] if check.gate)
    closed = 0.0 if refused else min(told["median"], MAX_UNANSWERED) if not answered else told["median"]
    return {
        "reviews": [
            {"reviewer": name, "score": scores[name], "checks": [_check_to_json(one) for one in those]}
            for name, those in checks.items()
        ],
        **told,
        "answered": answered,
        "refused": refused,
        "score": closed,
        "said": _summary(told, answered, refused),
    }


def score(checks: Sequence[Check]) -> float:
    """Return ten times the mean share of a checklist, each check counting the same."""
    return round(10 * fmean(one.share for one in checks), 2)


def spread(scores: Sequence[float]) -> dict[str, float]:
    """Return median and range of scores, and the share of pairs of reviewers who are within a point of each other."""
    pairs = [abs(one - other) <= AGREEMENT_DISTANCE for one, other in combinations(scores, 2)]
    return {
        "median": median(scores),
        "low": min(scores),
        "high": max(scores),
        "agreement": round(fmean(pairs), 3) if pairs else 1.0,
    }


def _review_input(report: Json, corpus: Corpus) -> ReviewInput:
    """Return what reviewers are given; reviews are left out, so that none sees another."""
    seen = {name: value for name, value in report.items() if name not in ("reviews", "opinion")}
    texts = {text.sha256: text.text for text in corpus.texts()}
    return ReviewInput(seen, texts, {work.id: work.sources for work in corpus.works})


def _check_to_json(check: Check) -> dict[str, Any]:
    return {"what": check.what, "passed": check.passed, "of": check.of, "note": check.note, "gate": check.gate}


def _summary(told: Mapping[str, float], answered: bool, refused: Sequence[str]) -> str:
    gate = (
        "Refused: a quote is not where it is said to be."
        if refused
        else "No gate closed."
        if answered
        else f"The question is not answered, so the score is at most {MAX_UNANSWERED:g}."
    )
    return (
        f"From {told['low']:.1f} to {told['high']:.1f}; {told['agreement']:.0%} of the pairs of reviewers are within "
        f"{AGREEMENT_DISTANCE:g} point of each other. {gate}"
    )
