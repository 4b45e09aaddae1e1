"""Reviewer "references": whether cited works match a source's record and are complete, relevant and not retracted."""

from __future__ import annotations

import re
from collections.abc import Iterator

from xstilts.evidence.claims import own_words
from xstilts.evidence.report.reviewers import Check, Json, ReviewInput, check_each

FACTS = ("title", "year", "authors")
MOST_RELEVANT = 0.6  # share of statements: by words alone, those in other words than the question's are missed
SHORTEST, PREFIX = 4, 5  # letters of a word that is compared, and of its beginning


def review(case: ReviewInput) -> tuple[Check, ...]:
    """Return checks that references match their sources, are complete and sound, and were screened with a reason."""
    cited = [work for work in case.report["works"] if work["claims"]]
    return (
        check_each(
            "every cited work matches a source's record",
            ((work["key"], _agrees(case, work)) for work in cited),
            floor=1,
        ),
        check_each("every cited work has authors, a year and a title", ((work["key"], _whole(work)) for work in cited)),
        check_each("no cited work is retracted", ((work["key"], _sound(case, work)) for work in cited), floor=1),
        check_each("every cited work was included, and every statement has its work", _cited(case.report), floor=1),
        check_each(
            "every other work has a reason for its exclusion, or states nothing", _reasons(case.report), floor=1
        ),
        check_each("sources agree on every cited work", ((work["key"], not work["disagreements"]) for work in cited)),
        check_each("the full text of every cited work was read", _read(cited)),
        check_each("no two cited works are the same", _apart(cited), floor=1),
        check_each("every statement is on the question", _relevant(case.report), floor=MOST_RELEVANT),
    )


def _agrees(case: ReviewInput, work: Json) -> bool:
    records = case.records.get(work["id"], {}).values()
    return all(any(record.get(fact) == work[fact] for record in records) for fact in FACTS)


def _whole(work: Json) -> bool:
    return bool(work["title"] and work["authors"] and work["year"])


def _cited(report: Json) -> Iterator[tuple[str, bool]]:
    included = {work["id"] for work in report["works"] if work["included"]}
    for claim in report["claims"]:
        yield (
            claim["name"],
            {locator["work"] for locator in claim["locators"]} <= included and claim["work"] in included,
        )


def _reasons(report: Json) -> Iterator[tuple[str, bool]]:
    for work in report["works"]:
        if not work["claims"]:
            yield work["key"], bool(work["reason"])


def _read(cited: list[Json]) -> Iterator[tuple[str, bool]]:
    yield from ((work["key"], "full text" in work["reason"]) for work in cited)


def _apart(cited: list[Json]) -> Iterator[tuple[str, bool]]:
    names = [f"{scheme}:{value}" for work in cited for scheme, value in work["ids"].items() if value]
    titles = [("".join(filter(str.isalnum, work["title"].casefold())), work["year"]) for work in cited]
    for work, title in zip(cited, titles, strict=True):
        own_ids = [f"{scheme}:{value}" for scheme, value in work["ids"].items() if value]
        yield (
            work["key"],
            all(names.count(name) == 1 for name in own_ids) and (not title[0] or titles.count(title) == 1),
        )


def _sound(case: ReviewInput, work: Json) -> bool:
    """Return whether neither the report nor any record says that a work was retracted."""
    records = case.records.get(work["id"], {}).values()
    return not work["retracted"] and not any(record.get("retracted") for record in records)


def _relevant(report: Json) -> Iterator[tuple[str, bool]]:
    """Yield whether each statement has two content words of the question, or one of its topics.

    What a statement is listed under is not believed: its own words are compared.
    """
    question_words = _beginnings(report["question"])
    topics = [variant.casefold() for group in report["search"]["topics"] for variant in group if "#" not in variant]
    for claim in report["claims"]:
        shown = claim["text"].casefold().replace("-", " ")
        on_topic = any(variant.replace("-", " ") in shown for variant in topics)
        shared = len(question_words & _beginnings(claim["text"]))
        yield claim["name"], bool(claim["touches"]) and (shared > 1 or (on_topic and bool(shared or claim["numbers"])))


def _beginnings(text: str) -> set[str]:
    """Return the beginnings of the content words of a text."""
    empty = {*own_words.FUNCTION.split(), *own_words.RELATING.split()}
    words = re.findall(r"[^\W\d_]+", text.casefold())
    return {word[:PREFIX] for word in words if word not in empty and len(word) >= SHORTEST}
