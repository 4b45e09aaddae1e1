"""Reviewer "answering": whether the report answers its question, facet by facet and from both sides.

A question is answered if a faithful statement is on what the question asks of (its intervention, comparator or own
words) and on an outcome of it, if it names any, and has a direction or a number. What holds by construction holds
whatever is measured: it answers nothing by itself. "No evidence found" answers only its facet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from xstilts.data.languages import languages
from xstilts.evidence.claims import own_words
from xstilts.evidence.report.reviewers import Check, Json, ReviewInput, check_each
from xstilts.evidence.text.stemming import load_table

ASKED_OF = ("intervention", "comparator", "words")
SHORTEST = 4  # letters of a word that must be accounted for
EMPTY = ("no evidence found", "not understood")


def review(case: ReviewInput) -> tuple[Check, ...]:
    """Return checks of the answer, every word and term, both sides, and opposed works."""
    report = case.report
    terms = check_each(
        "every term of the question has statements, or is listed as having none", _terms(report), floor=1
    )
    return (
        Check("the question is answered", int(_answered(report)), 1, "by a statement", gate=True),
        check_each("every content word of the question is a term of it", _words(report), floor=1),
        terms,
        check_each("a statement mentions both the subject and an outcome of the question", _direct(report)),
        check_each("two or more works report on every outcome of the question", _several(report)),
        check_each("opposed works are shown side by side", _sides(report), floor=1),
    )


def _answered(report: Json) -> bool:
    terms = {facet["role"]: set(facet["terms"]) for facet in report["facets"]}
    of = set().union(*(terms.get(role, set()) for role in ASKED_OF))
    outcomes = terms["outcome"]
    for claim in report["claims"]:
        touched = {touch["term"] for touch in claim["touches"]}
        on_both = (not of or of & touched) and (not outcomes or outcomes & touched or claim["direction"] != "unsaid")
        says = claim["numbers"] or claim["direction"] != "unsaid"
        if claim["faithful"]["status"] == "SUPPORTED" and on_both and says:
            return True
    return False


def _words(report: Json) -> Iterator[tuple[str, bool]]:
    """Yield whether each content word of the question is in its own words or among the words of the vocabulary."""
    own = {
        part
        for facet in report["facets"]
        if facet["role"] == "words"
        for term in facet["terms"]
        for part in _parts(term)
    }
    for word in _parts(report["question"]):
        if len(word) >= SHORTEST and word not in _known():
            yield f"'{word}'", word in own


def _parts(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text.lower())


@cache
def _known() -> frozenset[str]:
    """Return the words that need no account: of the vocabulary and of languages, and those without content."""
    texts = [
        own_words.FUNCTION,
        own_words.RELATING,
        own_words.CLASSES,
        *(language.name for language in languages().values()),
    ]

    def collect(value: Any) -> None:
        if isinstance(value, str):
            texts.append(value)
        for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            collect(part)

    for part in ("terms", "cues", "usual", "general"):
        collect(load_table("vocabulary.toml")[part])
    words = {word for text in texts for word in _parts(text)}
    return frozenset((*words, *(f"{word}s" for word in words)))


def _direct(report: Json) -> Iterator[tuple[str, bool]]:
    roles = [(claim["name"], {touch["role"] for touch in claim["touches"]}) for claim in report["claims"]]
    yield from ((name, "outcome" in named and not named.isdisjoint(ASKED_OF)) for name, named in roles)


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
            empty = finding is not None and finding["status"] in EMPTY
            yield f"{facet['role']} '{term}'", finding is not None and empty != ((facet["role"], term) in mentioned)


def _sides(report: Json) -> Iterator[tuple[str, bool]]:
    claims = {finding["name"]: finding for finding in report["claims"]}
    differ = [finding for finding in report["findings"] if finding["status"] == "works differ"]
    for finding in differ:
        pairs = [pair for pair in report["conflicts"] if {pair["one"], pair["other"]} <= set(finding["claims"])]
        passed = any(claims[pair["one"]]["work"] != claims[pair["other"]]["work"] for pair in pairs)
        yield f"{finding['role']} '{finding['term']}'", passed
