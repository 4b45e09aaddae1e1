"""Benchmark of the reviews: do their scores tell good reports from damaged ones?

Sound reports are damaged in many kinds of ways, one kind at a time, and all are reviewed. The area under the ROC curve
is the share of pairs of a sound and a damaged report of which the sound one has the higher score, ties counting half:
0.5 is chance. The damages are of kinds that a report can suffer between its corpus and its reader; a report whose
sources are themselves wrong is beyond any of these reviews.

    result = measure([(report, corpus)])
    print(result.auc, result.missed)

>>> auc([9.0, 8.0], [3.0, 8.0])
0.875
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from xstilts.evidence.report import review
from xstilts.evidence.search import corpus as corpora
from xstilts.evidence.search.corpus import Corpus
from xstilts.evidence.text.documents import sentences

Report = dict[str, Any]
Damage = Callable[[Report, Corpus], bool]
OPPOSITE = {"up": "down", "down": "up"}


@dataclass(frozen=True)
class BenchmarkResult:
    """Scores of sound and damaged reports.

    Attributes:
        sound: Score of each sound report, of 10.
        damaged: By kind of damage, the score of each report that could be damaged so.
    """

    sound: tuple[float, ...]
    damaged: Mapping[str, tuple[float, ...]]

    @property
    def auc(self) -> float:
        """Area under the ROC curve over all pairs of a sound and a damaged report, 0 to 1."""
        return auc(self.sound, [score for scores in self.damaged.values() for score in scores])

    @property
    def by_damage(self) -> dict[str, float]:
        """The area under the ROC curve by kind of damage."""
        return {name: auc(self.sound, scores) for name, scores in self.damaged.items()}

    @property
    def missed(self) -> tuple[str, ...]:
        """The kinds of damage of which a report keeps the score of a sound one."""
        return tuple(name for name, scores in self.damaged.items() if max(scores) >= min(self.sound))


def auc(sound: Sequence[float], damaged: Sequence[float]) -> float:
    """Return the area under the ROC curve.

    Args:
        sound: Scores of sound reports; at least one.
        damaged: Scores of damaged ones; at least one.

    Returns:
        The share of pairs in which the sound report scores higher; ties count half.
    """
    return fmean((good > bad) + 0.5 * (good == bad) for good in sound for bad in damaged)


def measure(cases: Sequence[tuple[Mapping[str, Any], Corpus]]) -> BenchmarkResult:
    """Review sound reports, and each after every kind of damage.

    Args:
        cases: Reports, as JSON, with their corpora.

    Returns:
        The scores.
    """
    sound = tuple(float(review.review_panel(report, corpus)["score"]) for report, corpus in cases)
    damaged: dict[str, list[float]] = {}
    for report, corpus in cases:
        for name, broken in damaged_reports(report, corpus):
            damaged.setdefault(name, []).append(float(review.review_panel(broken, corpus)["score"]))
    return BenchmarkResult(sound, {name: tuple(scores) for name, scores in damaged.items()})


def damaged_reports(report: Mapping[str, Any], corpus: Corpus) -> Iterator[tuple[str, Report]]:
    """Yield a report after each kind of damage that it can suffer.

    Args:
        report: The report, as JSON.
        corpus: Its corpus.

    Yields:
        The kind, and a damaged copy.
    """
    for name, damage in DAMAGES.items():
        broken: Report = copy.deepcopy(dict(report))
        if damage(broken, corpus):
            yield name, broken


def read_cases(folders: Sequence[Path]) -> list[tuple[Report, Corpus]]:
    """Read the reports of several folders, with their corpora."""
    return [
        (json.loads((folder / "report.json").read_text(encoding="utf-8")), corpora.read(folder / "corpus"))
        for folder in folders
    ]


# Each damage changes a report in place and returns whether it could.


def _dropped_places(report: Report, _: Corpus) -> bool:
    for claim in report["claims"]:
        claim["locators"] = []
    return bool(report["claims"])


def _swapped_numbers(report: Report, _: Corpus) -> bool:
    changed = False
    for claim in report["claims"]:
        text = re.sub(r"(\d)\.(\d)", r"\2.\1", claim["text"])
        changed |= text != claim["text"]
        claim["text"] = text
    return changed


def _wrong_place(report: Report, _: Corpus) -> bool:
    if len(report["claims"]) < 2:
        return False
    report["claims"][0]["locators"] = copy.deepcopy(report["claims"][1]["locators"])
    return True


def _shifted_place(report: Report, _: Corpus) -> bool:
    for claim in report["claims"][:1]:
        claim["locators"][0]["start"] += 3
    return bool(report["claims"])


def _changed_digest(report: Report, _: Corpus) -> bool:
    for claim in report["claims"][:1]:
        claim["locators"][0]["sha256"] = "0" * 64
    return bool(report["claims"])


def _cut_quote(report: Report, _: Corpus) -> bool:
    """End the first statement in its middle, and its place with it."""
    for claim in report["claims"][:1]:
        half = len(claim["text"]) // 2
        cut = len(claim["text"]) - claim["text"].rindex(" ", 0, half)
        claim["text"] = claim["text"][:-cut]
        for locator in (*claim["locators"], *claim["faithful"]["locators"]):
            locator["end"] -= cut
    return bool(report["claims"])


def _removed_negation(report: Report, _: Corpus) -> bool:
    changed = False
    for claim in report["claims"]:
        text = re.sub(r"\b(?:not|never|no|up to|only) ", "", claim["text"], count=1)
        changed |= text != claim["text"]
        claim["text"] = text
    return changed


def _wrong_work(report: Report, _: Corpus) -> bool:
    others = [work["id"] for work in report["works"] if report["claims"] and work["id"] != report["claims"][0]["work"]]
    for claim in report["claims"][:1]:
        claim["work"] = others[0]
    return bool(report["claims"] and others)


def _truism(report: Report, corpus: Corpus) -> bool:
    """Leave what holds by construction as the whole answer."""
    rule = {"when": [], "not_when": [], "said": "A model has parameters.", "reason": "It is a model."}
    report["constructions"] = report["constructions"] or [rule]
    return _no_statement(report, corpus)


def _no_statement(report: Report, _: Corpus) -> bool:
    """Take out every statement, consistently."""
    had = bool(report["claims"])
    report["claims"], report["conflicts"] = [], []
    for finding in report["findings"]:
        finding |= {"claims": [], "directions": {}, "status": "no evidence found"}
    for work in report["works"]:
        work["claims"] = []
    report["search"]["flow"] |= {"cited": 0, "statements": 0}
    return had


def _no_work(report: Report, corpus: Corpus) -> bool:
    """Leave a report of nothing."""
    had = _no_statement(report, corpus)
    report["works"] = []
    report["search"]["flow"] |= {"records": {}, "duplicates": 0, "works": 0, "left_out": {}, "included": 0}
    return had


def _vague(report: Report, _: Corpus) -> bool:
    """Leave statements without a direction and without a number."""
    for claim in report["claims"]:
        claim |= {"direction": "unsaid", "numbers": []}
    return bool(report["claims"])


def _off_topic(report: Report, corpus: Corpus) -> bool:
    """Replace every statement by a sentence of the same corpus that is about something else."""
    topic_words = set(re.findall(r"[a-z]{4,}", f"{report['question']} {report['search']['topics']}".lower()))
    aside = [
        (document, sentence)
        for document in corpus.texts()
        for sentence in sentences(document)
        if sentence.whole and len(topic_words & set(re.findall(r"[a-z]{4,}", sentence.text.lower()))) < 2
    ]
    if not report["claims"] or not aside:
        return False
    for number, claim in enumerate(report["claims"]):
        document, sentence = aside[number % len(aside)]
        locator = {
            "work": document.work,
            "part": document.part,
            "sha256": document.sha256,
            "start": sentence.start,
            "end": sentence.end,
        }
        claim |= {"text": " ".join(sentence.text.split()), "work": document.work, "locators": [locator]}
        claim["faithful"] |= {"locators": [copy.deepcopy(locator)]}
    return True


def _missing_limits(report: Report, _: Corpus) -> bool:
    report["limits"] = []
    return True


def _hidden_failure(report: Report, _: Corpus) -> bool:
    report["search"]["failures"].append({"source": "nowhere", "path": "/", "reason": "HTTP 500", "tries": 3})
    return True


def _invented_reference(report: Report, _: Corpus) -> bool:
    for work in report["works"]:
        if work["claims"]:
            work |= {"title": "A Work That Nobody Wrote", "authors": ["Nemo, A."]}
            return True
    return False


def _retracted_work(report: Report, _: Corpus) -> bool:
    for work in report["works"]:
        if work["claims"]:
            work["retracted"] = True
            return True
    return False


def _excluded_work(report: Report, _: Corpus) -> bool:
    for work in report["works"]:
        if work["claims"]:
            work |= {"included": False, "reason": "off-topic"}
            return True
    return False


def _twice_the_same_work(report: Report, _: Corpus) -> bool:
    for work in report["works"]:
        if work["claims"]:
            report["works"].append(copy.deepcopy(work))
            return True
    return False


def _no_reasons(report: Report, _: Corpus) -> bool:
    aside = [work for work in report["works"] if not work["claims"]]
    for work in aside:
        work["reason"] = ""
    return bool(aside)


def _wrong_counts(report: Report, _: Corpus) -> bool:
    report["search"]["flow"]["included"] += 5
    return True


def _unlisted_hedges(report: Report, _: Corpus) -> bool:
    had = any(claim["hedges"] for claim in report["claims"])
    for claim in report["claims"]:
        claim["hedges"] = []
    return had


def _hidden_conflict(report: Report, _: Corpus) -> bool:
    """Call works that differ undisputed, and leave their pairs in place."""
    had = bool(report["conflicts"])
    for finding in report["findings"]:
        if finding["status"] == "works differ":
            finding["status"] = "not disputed"
    return had


def _hidden_sides(report: Report, _: Corpus) -> bool:
    """Take out the pairs of opposed statements, and leave "works differ" in place."""
    had = bool(report["conflicts"])
    report["conflicts"] = []
    return had


def _hidden_gap(report: Report, _: Corpus) -> bool:
    """Take out the finding on one term of the question."""
    return bool(report["findings"]) and bool(report["findings"].pop())


def _dropped_word(report: Report, _: Corpus) -> bool:
    """Leave out of account what the question asks in words of its own."""
    report["question"] = f"{report['question'].rstrip('?')}, and in xylographic palimpsests?"
    return True


def _turned_directions(report: Report, _: Corpus) -> bool:
    had = any(claim["direction"] in OPPOSITE for claim in report["claims"])
    for claim in report["claims"]:
        claim["direction"] = OPPOSITE.get(claim["direction"], claim["direction"])
    return had


def _verified_by_nothing(report: Report, _: Corpus) -> bool:
    for claim in report["claims"][:1]:
        claim["corroborated"] |= {"status": "SUPPORTED", "verified": True, "locators": [], "recomputation": None}
    return bool(report["claims"])


def _related_as_verified(report: Report, _: Corpus) -> bool:
    """Verify a paper's number by a measurement in another setting."""
    if not report["claims"]:
        return False
    row = {"claim": report["claims"][0]["name"], "query": "gain", "relation": "related measurement", "verified": True}
    row |= {"status": "REPRODUCED", "interval": [0.1, 0.9], "estimate": 0.5, "why": ""}
    report["measured"] = [*report.get("measured", ()), row]
    return True


def _unmarked(report: Report, _: Corpus) -> bool:
    """Leave out that works are invented."""
    return report.pop("notice", None) is not None


DAMAGES: Mapping[str, Damage] = {
    "places dropped": _dropped_places,
    "numbers swapped": _swapped_numbers,
    "place of another statement": _wrong_place,
    "place shifted": _shifted_place,
    "digest changed": _changed_digest,
    "quote cut": _cut_quote,
    "negation or hedge removed": _removed_negation,
    "attributed to another work": _wrong_work,
    "truism as answer": _truism,
    "no statement": _no_statement,
    "no work": _no_work,
    "neither direction nor number": _vague,
    "statements on something else": _off_topic,
    "limits missing": _missing_limits,
    "failed source hidden": _hidden_failure,
    "reference invented": _invented_reference,
    "retracted work cited": _retracted_work,
    "excluded work cited": _excluded_work,
    "one work twice": _twice_the_same_work,
    "exclusions without reasons": _no_reasons,
    "counts wrong": _wrong_counts,
    "hedges not listed": _unlisted_hedges,
    "conflict called agreement": _hidden_conflict,
    "opposed side hidden": _hidden_sides,
    "gap hidden": _hidden_gap,
    "word of the question dropped": _dropped_word,
    "directions turned": _turned_directions,
    "verified by nothing": _verified_by_nothing,
    "related measurement as verification": _related_as_verified,
    "invention unmarked": _unmarked,
}
