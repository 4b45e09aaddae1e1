"""Statement: whole sentences of works that touch a question and state a result, with where they stand.

What is kept is never cut and never rewritten: a sentence that begins with "This" or "It" is kept with those before
it, and one with "respectively" keeps its readings beside it. The same words found twice are one statement with two
places. A facet, or a term of one, that no statement touches is said.

>>> from xstilts.evidence.claims.question import ask
>>> from xstilts.evidence.text.documents import Document
>>> told = Document("doc:made-up", "body", "We vary the batch size. A larger batch size hurts accuracy on XNLI.")
>>> asked = ask("Does a larger batch size improve accuracy or inference cost on XNLI?")
>>> [one.text for one in statements(asked, [told])]
['A larger batch size hurts accuracy on XNLI.']
>>> [one.said for one in coverage(asked, statements(asked, [told])) if not one.statements]
["no evidence found for the outcome 'inference cost'"]
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from xstilts.errors import InputError
from xstilts.evidence.claims.question import Question, Role, find_terms, general_terms, narrower_terms, vocabulary
from xstilts.evidence.claims.quote import normalise, on_one_line
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
MAX_CHARACTERS = 1500  # characters: what is longer is a table or a list that no full stop parts


@dataclass(frozen=True)
class Statement:
    """Whole sentences on one line, and every place where they stand, of which the first is cited.

    touches: role and term of each facet of the question that they mention.
    """

    text: str
    locators: tuple[Locator, ...]
    touches: tuple[tuple[Role, str], ...] = ()

    def __post_init__(self) -> None:
        if not is_whole(self.text):
            raise InputError(f"'{self.text[-60:]}' does not end as a sentence does; a statement is never cut")
        if not self.locators:
            raise InputError(f"'{self.text}' has no place; say where it stands")

    @property
    def locator(self) -> Locator:
        """The first place where the statement stands."""
        return self.locators[0]

    @property
    def work(self) -> str:
        """The id of the work that is cited for it."""
        return self.locator.work

    @property
    def numbers(self) -> tuple[Number, ...]:
        """The numbers of the statement, each with what it is of."""
        return numbers(self.text)

    @property
    def hedges(self) -> tuple[Hedge, ...]:
        """The words that bend the statement."""
        return hedges(self.text)

    @property
    def readings(self) -> tuple[str, ...]:
        """The sentences for which a statement with "respectively" stands."""
        return readings(self.text)

    @property
    def cites(self) -> bool:
        """Whether it names other works, and so may tell what those found."""
        return bool(CITES.search(self.text))


@dataclass(frozen=True)
class Coverage:
    """A term of a facet, the statements that touch it, and what that means in words."""

    role: Role
    term: str
    statements: tuple[Statement, ...]

    @property
    def summary(self) -> str:
        """How much evidence there is, or that there is none."""
        if not self.statements:
            return f"no evidence found for the {self.role} '{self.term}'"
        works = len({locator.work for one in self.statements for locator in one.locators})
        count = f"{_count_phrase(len(self.statements), 'statement')} of {_count_phrase(works, 'work')}"
        return f"{count} on the {self.role} '{self.term}'"


def statements(question: Question, documents: Iterable[Document]) -> tuple[Statement, ...]:
    """Return what documents state on a question, those that touch most of it first, then by place.

    A statement touches what the question is about (its core) and one facet more, and says what came of it. The same
    words are one statement. Documents that say nothing on the question, and their order, change nothing.
    """
    found: dict[str, list[tuple[Locator, Statement]]] = {}
    for document in set(documents):
        for one in _statements_in(question, document):
            found.setdefault(normalise(one.text, True).text, []).append((one.locator, one))
    merged = [_merge([one for _, one in sorted(those, key=lambda pair: pair[0])]) for those in found.values()]
    return tuple(sorted(merged, key=lambda one: (-_weight(one), one.locator)))


def coverage(question: Question, those: Sequence[Statement]) -> tuple[Coverage, ...]:
    """Return for every term of every facet that the question names which statements touch it."""
    return tuple(
        Coverage(facet.role, term, tuple(one for one in those if (facet.role, term) in one.touches))
        for facet in question.facets
        for term in facet.terms
    )


def touched_terms(question: Question, text: str) -> tuple[tuple[Role, str], ...]:
    """Return which terms of which facets of a question a text mentions, in the question's order.

    A term of the comparator is touched wherever it stands, whatever its kind: both sides of a comparison count.
    """
    named = {mention.name for mention in find_terms(text)} | _comparison_terms(text)
    there = named | {term for term, narrower in narrower_terms().items() if not named.isdisjoint(narrower)}
    return tuple((facet.role, term) for facet in question.facets for term in facet.terms if term in there)


def states_result(text: str) -> bool:
    """Return whether a text says what came of something: a change, a comparison or a score; a question does not."""
    found = {mention.name for mention in _results().find(text)}
    return bool(found) and "aim" not in found and not text.rstrip(" \"'”’)").endswith(("?", "؟"))


def _comparison_terms(text: str) -> set[str]:
    """Return the terms that a text touches by naming two of a kind; a model and its own size are one."""
    named = {(one.kind, one.name.startswith("billions"), text[one.start : one.end]) for one in find_terms(text)}
    counts = {(kind, size): sum(one[:2] == (kind, size) for one in named) for kind, size, _ in named}
    several = vocabulary()["several"]
    return {term for kind, term in several.items() if max(counts.get((kind, size), 0) for size in (True, False)) > 1}


def _statements_in(question: Question, document: Document) -> Iterator[Statement]:
    reached = len(document.text)
    for start, end in reversed(list(_passages(document))):
        text = on_one_line(document.text[start:end])
        touches = touched_terms(question, text)
        within = start >= reached  # of what the next sentence, which leans on it, is kept with
        if not within and end - start <= MAX_CHARACTERS and _is_answer(question, touches, text):
            reached = start
            yield Statement(text, (document.locator(start, end),), touches)


def _passages(document: Document) -> Iterator[tuple[int, int]]:
    """Yield the offsets of whole sentences, with the one before where one leans on it, up to the references."""
    references = REFERENCES.search(document.text)
    before: list[Sentence] = []
    for sentence in sentences(document):
        if references and sentence.end > references.start() > 0:
            return
        before = [*before[-2:], sentence] if ANAPHORA.match(sentence.text) else [sentence]
        if all(one.whole for one in before):
            yield before[0].start, sentence.end


def _is_answer(question: Question, touches: Sequence[tuple[Role, str]], text: str) -> bool:
    terms = {term for _, term in touches}
    roles = {role for role, _ in touches} | ({"outcome"} if numbers(text) or _states_direction(text) else set())
    return len(roles) > 1 and not terms.isdisjoint(question.core) and states_result(text)


def _states_direction(text: str) -> bool:
    """Return whether a text says that something went up, down, or stayed."""
    return any(mention.name in ("up", "down", "level") for mention in _results().find(text))


def _merge(those: Sequence[Statement]) -> Statement:
    places = tuple(dict.fromkeys(place for one in those for place in one.locators))
    return Statement(those[0].text, places, those[0].touches)


def _weight(statement: Statement) -> int:
    return len({term for _, term in statement.touches} - general_terms())


def _count_phrase(number: int, noun: str) -> str:
    return f"one {noun}" if number == 1 else f"{number} {noun}s"


@cache
def _results() -> Lexicon:
    return Lexicon.of(vocabulary()["result"])
