"""Statements: whole sentences of works that state a finding of their own on a question, with their places.

A sentence is a statement if it is a finding by its kind (`sentence_kind`) and bears on the question (`bearing`), or
touches its facets. Aims, background, methods and others' results are none. A statement is never cut or rephrased.
A sentence that begins with "This" or "It" is kept with those before it. The same words in two places are one statement
with two places. `coverage` lists the statements on each term of the question, also where there are none.

>>> from xstilts.evidence.claims.question import parse_question
>>> from xstilts.evidence.text.documents import Document
>>> document = Document("doc:made-up", "body", "We vary the batch size. A larger batch size hurts accuracy on XNLI.")
>>> question = parse_question("Does a larger batch size improve accuracy or inference cost on XNLI?")
>>> [statement.text for statement in statements(question, [document])]
['A larger batch size hurts accuracy on XNLI.']
>>> [term.summary for term in coverage(question, statements(question, [document])) if not term.statements]
["no evidence found for the outcome 'inference cost'"]
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from xstilts.errors import InputError
from xstilts.evidence.claims.bearing import Candidate, Similarity, answerable, bearings
from xstilts.evidence.claims.own_words import mentions_phrase
from xstilts.evidence.claims.question import Question, Role, find_terms, general_terms, narrower_terms, vocabulary
from xstilts.evidence.claims.quote import normalise, on_one_line
from xstilts.evidence.claims.sentence_kind import Kind, kinds
from xstilts.evidence.text.documents import Document, Locator, Sentence, is_whole, sentences
from xstilts.evidence.text.hedges import Hedge, hedges
from xstilts.evidence.text.numbers import Number, numbers, readings
from xstilts.evidence.text.stemming import Lexicon

ANAPHORA = re.compile(
    r"(?:It|This|These|They|That|Those|Such|Both|However|But|In contrast|Conversely|Compared (?:to|with)"
    r"|(?:The|Its|Their) (?:gains?|loss|losses|differences?|effects?|improvements?|ratios?)(?! (?:of|from|between)))\b"
)
REFERENCES = re.compile(r"^(?:\d+\.?\s+)?(?:References|REFERENCES|Bibliography|BIBLIOGRAPHY)\s*$", re.MULTILINE)
CITES = re.compile(r"\bet al\b|\((?:[^()]*\b)?(?:19|20)\d\d[a-z]?\)|\[\d+(?:[,–-]\s?\d+)*\]")
MAX_CHARACTERS = 1500  # longer passages are tables or lists without full stops


@dataclass(frozen=True)
class Statement:
    """Whole sentences on one line that state a result.

    Attributes:
        text: The sentences.
        locators: Every place where they occur; the first is cited.
        touches: Role and term of each of the question's terms that they mention.
        bearing: How far they answer the question, from 0 to 1.

    Raises:
        InputError: The text ends within a sentence, or there is no place.
    """

    text: str
    locators: tuple[Locator, ...]
    touches: tuple[tuple[Role, str], ...] = ()
    bearing: float = 0.0

    def __post_init__(self) -> None:
        if not is_whole(self.text):
            raise InputError(f"'{self.text[-60:]}' does not end as a sentence does; a statement is never cut")
        if not self.locators:
            raise InputError(f"'{self.text}' has no place; say where it stands")

    @property
    def locator(self) -> Locator:
        """The place that is cited."""
        return self.locators[0]

    @property
    def work(self) -> str:
        """Id of the work that is cited."""
        return self.locator.work

    @property
    def numbers(self) -> tuple[Number, ...]:
        """The numbers of the statement, with what each measures."""
        return numbers(self.text)

    @property
    def hedges(self) -> tuple[Hedge, ...]:
        """The hedges of the statement."""
        return hedges(self.text)

    @property
    def readings(self) -> tuple[str, ...]:
        """The sentences that a statement with "respectively" stands for."""
        return readings(self.text)

    @property
    def cites(self) -> bool:
        """Whether it cites other works, and so may report their results."""
        return bool(CITES.search(self.text))


@dataclass(frozen=True)
class Coverage:
    """A term of a question and the statements that mention it.

    Attributes:
        role: The facet of the term: intervention, comparator, outcome, …
        term: The term.
        statements: The statements.
    """

    role: Role
    term: str
    statements: tuple[Statement, ...]

    @property
    def summary(self) -> str:
        """How many statements of how many works mention the term, in words."""
        if not self.statements:
            return f"no evidence found for the {self.role} '{self.term}'"
        works = len({locator.work for statement in self.statements for locator in statement.locators})
        count = f"{_count_phrase(len(self.statements), 'statement')} of {_count_phrase(works, 'work')}"
        return f"{count} on the {self.role} '{self.term}'"


def statements(
    question: Question,
    documents: Iterable[Document],
    titles: Mapping[str, str] | None = None,
    similarity: Similarity | None = None,
) -> tuple[Statement, ...]:
    """Return what documents state on a question.

    Args:
        question: The question.
        documents: Texts; their order, and texts without a statement, change nothing.
        titles: Title by id of the work.
        similarity: Cosine similarity of a sentence encoder; without one, words alone decide.

    Returns:
        Findings that bear on the question; those that answer it most first, then by place. None if no work with a
        finding mentions most of what the question asks.
    """
    titles = titles or {}
    passages = [
        (document, passage) for document in sorted(set(documents), key=_place) for passage in _passages(document)
    ]
    candidates = [
        Candidate(on_one_line(document.text[item.start : item.end]), titles.get(document.work, ""), document.text)
        for document, item in passages
    ]
    if not answerable(question.text, candidates):
        return ()
    specific = set(question.core) - general_terms()
    by_text: dict[str, list[tuple[Locator, Statement]]] = {}
    next_start: dict[Document, int] = {}
    rated = zip(passages, candidates, bearings(question.text, candidates, similarity), strict=True)
    for (document, passage), candidate, bearing in reversed(list(rated)):
        touches = touched_terms(question, candidate.text)
        is_contained = passage.start >= next_start.get(document, len(document.text))  # in the next sentence's statement
        title = "" if ANAPHORA.match(candidate.text) else candidate.title  # "It improves" names nothing by itself
        named = {term for _, term in (*touches, *touched_terms(question, title))}
        on_core = not specific or not specific.isdisjoint(named)
        is_shown = (passage.kind == "finding" and bearing.bears and on_core) or _is_answer(
            question, touches, candidate.text
        )
        if not is_contained and is_shown:
            next_start[document] = passage.start
            locator = document.locator(passage.start, passage.end)
            statement = Statement(candidate.text, (locator,), touches, round(bearing.score, 4))
            by_text.setdefault(normalise(candidate.text, True).text, []).append((locator, statement))
    result = [
        _merge([statement for _, statement in sorted(pairs, key=lambda pair: pair[0])]) for pairs in by_text.values()
    ]
    return tuple(sorted(result, key=lambda item: (-_weight(item), -item.bearing, item.locator)))


def coverage(question: Question, all_statements: Sequence[Statement]) -> tuple[Coverage, ...]:
    """Return the statements on every term of a question.

    Args:
        question: The question.
        all_statements: The statements.

    Returns:
        An entry for each term, by facet; its statements may be none.
    """
    return tuple(
        Coverage(
            facet.role,
            term,
            tuple(statement for statement in all_statements if (facet.role, term) in statement.touches),
        )
        for facet in question.facets
        for term in facet.terms
    )


def touched_terms(question: Question, text: str) -> tuple[tuple[Role, str], ...]:
    """Return role and term of the question's terms that a text mentions, in the question's order.

    A term of the comparator counts wherever it occurs, whatever its kind: both sides of a comparison matter.

    Args:
        question: The question.
        text: A sentence.

    Returns:
        (role, term) pairs.
    """
    names = {mention.name for mention in find_terms(text)} | _comparison_terms(text)
    names |= {phrase for phrase in question.words if mentions_phrase(text, phrase)}
    mentioned = names | {term for term, narrower in narrower_terms().items() if not names.isdisjoint(narrower)}
    return tuple((facet.role, term) for facet in question.facets for term in facet.terms if term in mentioned)


def states_result(text: str) -> bool:
    """Return whether a text states a result: a change, a comparison or a score; questions and aims do not."""
    kinds = {mention.name for mention in _results().find(text)}
    return bool(kinds) and "aim" not in kinds and not text.rstrip(" \"'”’)").endswith(("?", "؟"))


def _comparison_terms(text: str) -> set[str]:
    """Return the terms that a text mentions by naming two of a kind; a model and its own size are one."""
    mentioned = {
        (item.kind, item.name.startswith("billions"), text[item.start : item.end]) for item in find_terms(text)
    }
    counts = {(kind, size): sum(item[:2] == (kind, size) for item in mentioned) for kind, size, _ in mentioned}
    several = vocabulary()["several"]
    return {term for kind, term in several.items() if max(counts.get((kind, size), 0) for size in (True, False)) > 1}


@dataclass(frozen=True)
class _Passage:
    """Whole sentences from `start` to `end`, and the kind of the last of them."""

    start: int
    end: int
    kind: Kind


def _passages(document: Document) -> Iterator[_Passage]:
    """Yield whole sentences that may be findings, with those before that they refer to, up to the references."""
    references = REFERENCES.search(document.text)
    every = sentences(document)
    group: list[Sentence] = []
    for sentence, kind in zip(every, kinds([on_one_line(item.text) for item in every]), strict=True):
        if references and sentence.end > references.start() > 0:
            return
        group = [*group[-2:], sentence] if ANAPHORA.match(sentence.text) else [sentence]
        short = sentence.end - group[0].start <= MAX_CHARACTERS
        if short and kind in ("finding", "") and all(member.whole for member in group):
            yield _Passage(group[0].start, sentence.end, kind)


def _place(document: Document) -> tuple[str, str, str]:
    return document.work, document.part, document.sha256


def _is_answer(question: Question, touches: Sequence[tuple[Role, str]], text: str) -> bool:
    terms = {term for _, term in touches}
    roles = {role for role, _ in touches} | ({"outcome"} if numbers(text) or _states_direction(text) else set())
    return len(roles) > 1 and not terms.isdisjoint(question.core) and states_result(text)


def _states_direction(text: str) -> bool:
    """Return whether a text says that something went up, went down or stayed."""
    return any(mention.name in ("up", "down", "level") for mention in _results().find(text))


def _merge(duplicates: Sequence[Statement]) -> Statement:
    places = tuple(dict.fromkeys(place for statement in duplicates for place in statement.locators))
    return Statement(duplicates[0].text, places, duplicates[0].touches, duplicates[0].bearing)


def _weight(statement: Statement) -> int:
    return len({term for _, term in statement.touches} - general_terms())


def _count_phrase(number: int, noun: str) -> str:
    return f"one {noun}" if number == 1 else f"{number} {noun}s"


@cache
def _results() -> Lexicon:
    return Lexicon.of(vocabulary()["result"])
