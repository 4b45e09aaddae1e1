"""Search queries of a question, and the topics that make a work relevant to it.

Both follow from the question alone, so that a search can be repeated. The first query holds all of its content words;
others hold its phrases and the terms that the vocabulary knows, in a few words each, as all sources take them.

A work is on topic if it mentions two of: each core term of the question under any of its names, each phrase of words
that the vocabulary does not know, any other such word where no core term is known, and intermediate-task training and
cross-lingual transfer where the question is about them. Outcomes do not count: they are measured everywhere.

>>> from xstilts.evidence.claims.question import parse_question
>>> search_queries(parse_question("Does a larger batch size in intermediate-task training improve XNLI?"))[:2]
('larger batch size intermediate task training improve XNLI', 'batch size intermediate-task training')
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from xstilts.evidence.claims.own_words import unheld
from xstilts.evidence.claims.question import Question, find_terms, general_terms, vocabulary
from xstilts.evidence.retrieval.query_words import content_words, phrases
from xstilts.evidence.search.work import mentions_any
from xstilts.evidence.text.hedges import direction_words

TASKS, TRANSFER = "intermediate-task training", "cross-lingual transfer"
MORE_TASKS = ("intermediate phase", "intermediate fine-tuning")
MORE_TRANSFER = ("cross-lingual", "multilingual", "languages")
MAX_VARIANTS = 3  # variants of a term in search queries
MAX_WORDS = 8  # of all queries but the first


def search_queries(question: Question) -> tuple[str, ...]:
    """Return the distinct search queries of a question: its own words first, then terms, benchmarks and outcomes.

    Every term and every own phrase of the question is in one of them, so that "no evidence found" is never said of what
    was not searched for.
    """
    own = " ".join(word.text for word in content_words(question.text))
    queries = tuple(filter(None, (own, *_search_queries(question))))
    rest = " ".join(_unsearched(question, queries))
    return tuple(dict.fromkeys((*queries, *([f"{rest} {TRANSFER}"] if rest else []))))


def topic_groups(question: Question) -> tuple[tuple[str, ...], ...]:
    """Return groups of synonyms; a work is on topic if it mentions two of the groups (`corpus.MIN_TOPICS`)."""
    core = tuple(term_variants(term) for term in question.core if term not in {*general_terms(), *question.words})
    phrases_asked, single = _own_groups(question)
    # Single words say little beside a term of the vocabulary, and much where the question holds none.
    return (*_fields(question).values(), *core, *phrases_asked, *([single] if single and not core else []))


def _fields(question: Question) -> dict[str, tuple[str, ...]]:
    """Return the fields that a question is about, each with its names."""
    transfer = (*term_variants("zero-shot transfer"), *question.facet("benchmark").terms, *MORE_TRANSFER)
    fields = {TASKS: (*term_variants(TASKS), *MORE_TASKS), TRANSFER: transfer}
    return {name: names for name, names in fields.items() if mentions_any(question.text, names)}


def _own_groups(question: Question) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    """Return a group for each phrase of words that are no terms of the vocabulary, and all other such words."""
    groups, single = [], []
    for phrase in _own_phrases(question):
        words = phrase.split()
        if len(words) == 1:
            single.append(phrase)
        else:
            groups.append((phrase, *(f"{first} {second}" for first, second in pairwise(words) if len(words) > 2)))
    return groups, tuple(single)


def _own_phrases(question: Question) -> tuple[str, ...]:
    """Return the phrases of a question between the terms of the vocabulary, without words of direction ("improve")."""
    text, position, kept = question.text, 0, []
    for mention in find_terms(text):
        kept.append(text[position : mention.start])
        position = mention.end
    outside = ", ".join([*kept, text[position:]])
    own = (" ".join(word.text for word in content_words(phrase)) for phrase in phrases(outside))
    return tuple(phrase for phrase in own if phrase and not direction_words(phrase))


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
    """Yield queries of a few words each: a term or phrase with a field of the question."""
    fields = tuple(_fields(question)) or ("",)
    wordings = [
        word for term in question.core if term not in general_terms() for word in term_variants(term)[:MAX_VARIANTS]
    ]
    for wording in (*wordings, *(phrase for phrase in _own_phrases(question) if " " in phrase)):
        for field in fields:
            apart = "intermediate" in wording and field == TASKS
            yield " ".join((wording if apart else f"{wording} {field}").split()[:MAX_WORDS])
    for field in fields[:1]:
        yield from (f"{field} {term}".strip() for term in question.facet("benchmark").terms)
        for term in question.facet("outcome").specific:
            if term not in general_terms():
                yield f"{term_variants(term)[0]} {field}".strip()
    yield " ".join(fields)
