"""References: are the works that are cited real to a source, whole, on topic, cited once, and not retracted?"""

from __future__ import annotations

from collections.abc import Iterator

from xstilts.evidence.report.reviewers import Check, Json, ReviewInput, check_each

FACTS = ("title", "year", "authors")


def review(case: ReviewInput) -> tuple[Check, ...]:
    """Return whether references agree with a source's own words, are whole, sound, and decided on with a reason."""
    cited = [work for work in case.report["works"] if work["claims"]]
    return (
        check_each("every cited work is as a source has it", ((work["key"], _agrees(case, work)) for work in cited)),
        check_each("every cited work has authors, a year and a title", ((work["key"], _whole(work)) for work in cited)),
        check_each("no cited work is retracted", ((work["key"], not work["retracted"]) for work in cited)),
        check_each("every cited work was taken in, and every statement has its work", _cited(case.report)),
        check_each("every other work was left out with a reason, or states nothing", _reasons(case.report)),
        check_each("sources agree on every cited work", ((work["key"], not work["disagreements"]) for work in cited)),
        check_each("the full text of every cited work was read", _read(cited)),
        check_each("no two cited works are one", _apart(cited)),
        check_each("every statement's work is on the question", _relevant(case.report)),
    )


def _agrees(case: ReviewInput, work: Json) -> bool:
    said = case.records.get(work["id"], {}).values()
    return all(any(record.get(fact) == work[fact] for record in said) for fact in FACTS)


def _whole(work: Json) -> bool:
    return bool(work["title"] and work["authors"] and work["year"])


def _cited(report: Json) -> Iterator[tuple[str, bool]]:
    taken = {work["id"] for work in report["works"] if work["included"]}
    for one in report["claims"]:
        yield one["name"], {where["work"] for where in one["locators"]} <= taken and one["work"] in taken


def _reasons(report: Json) -> Iterator[tuple[str, bool]]:
    for work in report["works"]:
        if not work["claims"]:
            yield work["key"], bool(work["reason"])


def _read(cited: list[Json]) -> Iterator[tuple[str, bool]]:
    yield from ((work["key"], "full text" in work["reason"]) for work in cited)


def _apart(cited: list[Json]) -> Iterator[tuple[str, bool]]:
    names = [f"{kind}:{value}" for work in cited for kind, value in work["ids"].items() if value]
    titles = [("".join(filter(str.isalnum, work["title"].casefold())), work["year"]) for work in cited]
    for work, title in zip(cited, titles, strict=True):
        own = [f"{kind}:{value}" for kind, value in work["ids"].items() if value]
        yield work["key"], all(names.count(name) == 1 for name in own) and titles.count(title) == 1


def _relevant(report: Json) -> Iterator[tuple[str, bool]]:
    """Yield whether each statement touches two of the question's terms, or one that no other question has."""
    for one in report["claims"]:
        yield one["name"], len(one["touches"]) > 1 or bool(one["touches"] and one["numbers"])
