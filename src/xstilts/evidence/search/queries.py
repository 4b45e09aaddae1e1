"""Queries: what to type into a search for a question, and what a work must mention to be one of its works.

Both follow from the question's facets and the vocabulary, so that the search is on record with the question and can be
repeated. A search is a few words, as all sources take them. A work is on topic if it mentions two of: intermediate
tasks, languages and transfer, and each thing that the question asks about; what it measures does not count, since
accuracy and time are measured everywhere.

>>> from xstilts.evidence.claims.question import ask
>>> searches(ask("Does a larger batch size improve XNLI?"))[:2]
('batch size intermediate-task training', 'batch size cross-lingual transfer')
"""

from __future__ import annotations

from collections.abc import Iterator

from xstilts.evidence.claims.question import Question, general_terms, vocabulary

TASKS, TRANSFER = "intermediate-task training", "cross-lingual transfer"
MORE_TASKS = ("intermediate phase", "intermediate fine-tuning")
MORE_TRANSFER = ("cross-lingual", "multilingual", "languages")
MAX_VARIANTS = 3  # of a term, that are searched for


def search_queries(question: Question) -> tuple[str, ...]:
    """Return searches for a question, each once: its own terms in a few wordings, its benchmark and its outcomes."""
    return tuple(dict.fromkeys(_search_queries(question)))


def topic_groups(question: Question) -> tuple[tuple[str, ...], ...]:
    """Return the groups of words of which a work of a question mentions two."""
    own = tuple(term_variants(term) for term in question.core if term not in general_terms())
    transfer = (*term_variants("zero-shot transfer"), *question.facet("benchmark").terms, *MORE_TRANSFER)
    return ((*term_variants(TASKS), *MORE_TASKS), transfer, *own)


def term_variants(term: str) -> tuple[str, ...]:
    """Return what a term of the vocabulary is called, the most usual first; the term where it is in none."""
    kinds = vocabulary()["terms"].values()
    return tuple(next((names[term] for names in kinds if term in names), (term,)))


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
