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

from xstilts.evidence.claims.question import Question, general_terms, vocabulary

TASKS, TRANSFER = "intermediate-task training", "cross-lingual transfer"
MORE_TASKS = ("intermediate phase", "intermediate fine-tuning")
MORE_TRANSFER = ("cross-lingual", "multilingual", "languages")
MAX_VARIANTS = 3  # variants of a term in search queries


def search_queries(question: Question) -> tuple[str, ...]:
    """Return the distinct search queries of a question: variants of its core terms, benchmarks and outcomes."""
    return tuple(dict.fromkeys(_search_queries(question)))


def topic_groups(question: Question) -> tuple[tuple[str, ...], ...]:
    """Return groups of synonyms; a work is on topic if it mentions two of the groups (`corpus.MIN_TOPICS`)."""
    core = tuple(term_variants(term) for term in question.core if term not in general_terms())
    transfer = (*term_variants("zero-shot transfer"), *question.facet("benchmark").terms, *MORE_TRANSFER)
    return ((*term_variants(TASKS), *MORE_TASKS), transfer, *core)


def term_variants(term: str) -> tuple[str, ...]:
    """Return the variants of a vocabulary term, the most usual first; the term itself if the vocabulary has none."""
    tables = vocabulary()["terms"].values()
    return tuple(next((names[term] for names in tables if term in names), (term,)))


def _search_queries(question: Question) -> Iterator[str]:
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
