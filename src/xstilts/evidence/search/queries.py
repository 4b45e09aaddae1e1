"""Search queries of a question, and the topics that make a work relevant to it.

Both follow from the question's facets and the vocabulary alone, so that a search can be repeated. A query is a few
words, as all sources take them. A work is on topic if it mentions two of: intermediate-task training, cross-lingual
transfer, and each core term of the question. Outcomes do not count: accuracy and time are measured everywhere.

>>> from xstilts.evidence.claims.question import parse_question
>>> search_queries(parse_question("Does a larger batch size improve XNLI?"))[:2]
('batch size intermediate-task training', 'batch size cross-lingual transfer')
"""

from __future__ import annotations

from collections.abc import Iterator

from xstilts.evidence.claims.own_words import specific_words, unheld
from xstilts.evidence.claims.question import Question, general_terms, vocabulary

TASKS, TRANSFER = "intermediate-task training", "cross-lingual transfer"
MORE_TASKS = ("intermediate phase", "intermediate fine-tuning")
MORE_TRANSFER = ("cross-lingual", "multilingual", "languages")
MAX_VARIANTS = 3  # variants of a term in search queries
MAX_OWN_WORDS = 8  # of the query of the question's own words; longer ones find little


def search_queries(question: Question) -> tuple[str, ...]:
    """Return the distinct search queries of a question: variants of its core terms, benchmarks, outcomes, own words.

    Every term and every own phrase of the question is in one of them, so that "no evidence found" is never said of what
    was not searched for.
    """
    queries = tuple(_search_queries(question))
    rest = " ".join(_unsearched(question, queries))
    return tuple(dict.fromkeys((*queries, *([f"{rest} {TRANSFER}"] if rest else []))))


def topic_groups(question: Question) -> tuple[tuple[str, ...], ...]:
    """Return groups of synonyms; a work is on topic if it mentions two of the groups (`corpus.MIN_TOPICS`)."""
    core = tuple(
        (term, *specific_words(term)) if term in question.words else term_variants(term)
        for term in question.core
        if term not in general_terms()
    )
    transfer = (*term_variants("zero-shot transfer"), *question.facet("benchmark").terms, *MORE_TRANSFER)
    return ((*term_variants(TASKS), *MORE_TASKS), transfer, *core)


def term_variants(term: str) -> tuple[str, ...]:
    """Return the variants of a vocabulary term, the most usual first; the term itself if the vocabulary has none."""
    tables = vocabulary()["terms"].values()
    return tuple(next((names[term] for names in tables if term in names), (term,)))


def _unsearched(question: Question, queries: tuple[str, ...]) -> Iterator[str]:
    """Yield the terms of a question of which no query has any variant."""
    for term in question.terms:
        if term not in general_terms() and all(unheld((wording,), queries) for wording in term_variants(term)):
            yield term


def _search_queries(question: Question) -> Iterator[str]:
    own = " ".join(question.words).split()[:MAX_OWN_WORDS]
    if len(own) > 1:
        yield " ".join(own)
    for term in (term for term in question.core if term not in general_terms()):
        for wording in term_variants(term)[:MAX_VARIANTS]:
            yield wording if "intermediate" in wording else f"{wording} {TASKS}"
            yield f"{wording} {TRANSFER}"
    for term in question.facet("benchmark").terms:
        yield f"{TASKS} {term}"
    for term in question.facet("outcome").specific:
        if term not in general_terms():
            yield f"{term_variants(term)[0]} {TASKS}"
    yield f"{TASKS} {TRANSFER}"
