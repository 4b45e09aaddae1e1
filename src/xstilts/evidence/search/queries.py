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

from xstilts.evidence.claims.question import Question, general, vocabulary

TASKS, TRANSFER = "intermediate-task training", "cross-lingual transfer"
MORE_TASKS = ("intermediate phase", "intermediate fine-tuning")
MORE_TRANSFER = ("cross-lingual", "multilingual", "languages")
WORDINGS = 3  # of a term, that are searched for


def searches(question: Question) -> tuple[str, ...]:
    """Return searches for a question, each once: its own terms in a few wordings, its benchmark and its outcomes."""
    return tuple(dict.fromkeys(_searches(question)))


def topics(question: Question) -> tuple[tuple[str, ...], ...]:
    """Return the groups of words of which a work of a question mentions two."""
    own = tuple(wordings(term) for term in question.core if term not in general())
    transfer = (*wordings("zero-shot transfer"), *question.facet("benchmark").terms, *MORE_TRANSFER)
    return ((*wordings(TASKS), *MORE_TASKS), transfer, *own)


def wordings(term: str) -> tuple[str, ...]:
    """Return what a term of the vocabulary is called, the most usual first; the term where it is in none."""
    kinds = vocabulary()["terms"].values()
    return tuple(next((names[term] for names in kinds if term in names), (term,)))


def _searches(question: Question) -> Iterator[str]:
    for term in (term for term in question.core if term not in general()):
        for wording in wordings(term)[:WORDINGS]:
            yield wording if "intermediate" in wording else f"{wording} {TASKS}"
            yield f"{wording} {TRANSFER}"
    for term in question.facet("benchmark").terms:
        yield f"{TASKS} {term}"
    for term in question.facet("outcome").specific:
        if term not in general():
            yield f"{wordings(term)[0]} {TASKS}"
    yield f"{TASKS} {TRANSFER}"
