"""Dossier: what is known on a question: statements of works, each with its verdicts, and what was found of each facet.

A statement is judged twice, and the two are kept apart: whether it is faithful to its own work, and whether another
work, of other authors, says the same or denies it. That a work says so does not make it so. Nothing here asks the
network; the same corpus gives the same dossier, and `verify` makes it again.

>>> from xstilts.evidence.search.corpus import Corpus
>>> from xstilts.evidence.claims.question import ask
>>> compiled(ask("Does the batch size change accuracy?"), Corpus((), {}, ())).said
()
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import dropwhile

from xstilts.evidence.claims.effect_direction import (
    Direction,
    OutcomeDirection,
    combine,
    contests_others,
    is_conditional,
    opposed,
    outcome_directions,
)
from xstilts.evidence.claims.llm_proposals import Proposal, ScreenedProposals, accept
from xstilts.evidence.claims.question import Construction, Question, by_construction
from xstilts.evidence.claims.statement import Coverage, Statement, coverage, statements
from xstilts.evidence.claims.verdict import Decision, Entailment, NliFunction, decide
from xstilts.evidence.search.bm25 import SentenceIndex
from xstilts.evidence.search.corpus import Corpus
from xstilts.evidence.search.work import Work, fold_text
from xstilts.evidence.text.documents import Document, Locator, sentences

MIN_TITLE_WORDS = 4  # words from which a title is known again before a sentence


@dataclass(frozen=True)
class JudgedStatement:
    """A statement of a work, the direction of its words, and two verdicts.

    sides: its direction on each outcome that is asked for; none where it is on none of them. faithful: by its own work.
    corroborated: by works of others. beside: the sentence of another work that is nearest in words, to be read with it;
    it decides nothing.
    """

    name: str
    statement: Statement
    direction: Direction
    faithful: Decision
    corroborated: Decision
    nearest: tuple[Locator, str] | None = None
    outcome_directions: tuple[OutcomeDirection, ...] = ()


@dataclass(frozen=True)
class Finding:
    """A term of the question, what was said on it, and how many works stand behind each direction."""

    coverage: Coverage
    statements: tuple[JudgedStatement, ...]

    @property
    def works(self) -> dict[Direction, tuple[str, ...]]:
        """The works behind each direction on what is asked, also behind none."""
        found: dict[Direction, list[str]] = {}
        for one in self.statements:
            way = one.direction if one.outcome_directions else "unsaid"
            found.setdefault(way, []).append(one.statement.work)
        return {name: tuple(sorted(set(works))) for name, works in sorted(found.items())}

    @property
    def status(self) -> str:
        """Whether works differ, agree in direction, or one stands alone; or nothing was found."""
        if not self.statements:
            return "no evidence found"
        if any(conflicts(self.statements)):
            return "works differ"
        return "one work" if len({one.statement.work for one in self.statements}) == 1 else "not disputed"


@dataclass(frozen=True)
class Synthesis:
    """All that is known on a question; entailments: what a model of inference was asked, and what it said."""

    question: Question
    corpus: Corpus
    statements: tuple[JudgedStatement, ...]
    findings: tuple[Finding, ...]
    constructions: tuple[Construction, ...]
    entailments: tuple[tuple[str, str, Entailment], ...] = ()
    proposals: ScreenedProposals = field(default_factory=ScreenedProposals)


def synthesise(
    question: Question, corpus: Corpus, reader: NliFunction | None = None, proposed: Sequence[Proposal] = ()
) -> Synthesis:
    """Return what a corpus says on a question; of what a language model proposed, only what is there word for word."""
    documents = list(corpus.texts())
    heard: dict[tuple[str, str], Entailment] = {}
    listening = _recording(reader, heard) if reader else None
    accepted = accept(question, documents, proposed)
    found = _without_headings(corpus, statements(question, documents))
    every = (*found, *(one for one in accepted.statements if one.text not in {other.text for other in found}))
    index = SentenceIndex.of(documents)
    said = tuple(
        _judge(f"c{number}", one, question, corpus, index, listening) for number, one in enumerate(every, start=1)
    )
    by_statement = {one.statement: one for one in said}
    findings = tuple(
        Finding(one, tuple(by_statement[statement] for statement in one.statements))
        for one in coverage(question, every)
    )
    pairs = tuple((claim, text, entailment) for (claim, text), entailment in sorted(heard.items(), key=lambda x: x[0]))
    return Synthesis(question, corpus, said, findings, by_construction(question), pairs, accepted)


def conflicts(said: Iterable[JudgedStatement]) -> Iterable[tuple[JudgedStatement, JudgedStatement]]:
    """Yield statements of different works that are opposed on an outcome that is asked for and that both name.

    What holds under a condition only ("unless") is opposed to nothing.
    """
    those = tuple(one for one in said if one.outcome_directions and not is_conditional(one.statement.text))
    for number, one in enumerate(those):
        for other in those[number + 1 :]:
            if one.statement.work != other.statement.work and _are_opposed(one, other):
                yield one, other


def directions_by_outcome(said: Iterable[JudgedStatement]) -> dict[str, dict[str, Direction]]:
    """Return by outcome that is asked for, and by work, its direction: that of all its statements together."""
    found: dict[str, dict[str, list[OutcomeDirection]]] = {}
    for one in said:
        for side in one.outcome_directions:
            found.setdefault(side.question_term, {}).setdefault(one.statement.work, []).append(side)
    return {
        asked: {work: combine(side.mark for side in those) for work, those in works.items()}
        for asked, works in found.items()
    }


def outcome_terms(statement: Statement) -> frozenset[str]:
    """Return the outcomes that a statement touches; none where it names none of the question's."""
    return frozenset(term for role, term in statement.touches if role == "outcome")


def independent_works(work: Work, works: Iterable[Work]) -> tuple[Work, ...]:
    """Return the works that share no author with one: only they can corroborate it, and only if both name theirs."""
    own = _family_names(work)
    others = ((other, _family_names(other)) for other in works if other.id != work.id)
    return tuple(other for other, theirs in others if own and theirs and own.isdisjoint(theirs))


def central_statements(question: Question, said: Iterable[JudgedStatement]) -> tuple[JudgedStatement, ...]:
    """Return what the answer rests on: what is on an outcome that is asked for, or all where none is."""
    if not question.facet("outcome").terms:
        return tuple(said)
    return tuple(one for one in said if one.outcome_directions or outcome_terms(one.statement))


def _are_opposed(one: JudgedStatement, other: JudgedStatement) -> bool:
    """Return whether directions on an outcome are opposed, or one says itself that it speaks against others."""
    contested = contests_others(one.statement.text) != contests_others(other.statement.text)
    shared = (
        (mine, theirs)
        for mine in one.outcome_directions
        for theirs in other.outcome_directions
        if mine.outcome == theirs.outcome
    )
    return any(contested or opposed(mine.mark, theirs.mark) for mine, theirs in shared)


def _judge(
    name: str,
    statement: Statement,
    question: Question,
    corpus: Corpus,
    index: SentenceIndex,
    reader: NliFunction | None,
) -> JudgedStatement:
    own = next(work for work in corpus.works if work.id == statement.work)
    others = [text for work in independent_works(own, corpus.included) for text in corpus.documents[work.id]]
    faithful = decide(statement.text, corpus.documents[own.id], own.id)
    corroborated = decide(statement.text, others, reader=reader)
    near = _nearest_sentence(statement, index, {text.sha256 for text in others})
    read = outcome_directions(statement.text, question)
    asked = tuple(side for side in read if side.question_term or not question.facet("outcome").terms)
    return JudgedStatement(name, statement, combine(side.mark for side in read), faithful, corroborated, near, asked)


def _nearest_sentence(statement: Statement, index: SentenceIndex, among: set[str]) -> tuple[Locator, str] | None:
    """Return the sentence of others that is nearest in words."""
    hits = (hit for hit in index.search(statement.text, 20) if hit.locator.sha256 in among)
    return next(((hit.locator, " ".join(hit.sentence.text.split())) for hit in hits), None)


def _without_headings(corpus: Corpus, those: Sequence[Statement]) -> list[Statement]:
    """Leave out what a PDF runs together with the title above it, where the sentence itself stands elsewhere."""
    works = {work.id: work for work in corpus.works}
    return [one for one in those if not _starts_with_title(one.text, works[one.work], corpus.documents[one.work])]


def _starts_with_title(text: str, work: Work, documents: Iterable[Document]) -> bool:
    """Return whether title and authors stand before what is said elsewhere; a short title may begin any sentence."""
    title, words = fold_text(work.title), fold_text(text)
    if len(title.split()) < MIN_TITLE_WORDS or not words.startswith(f"{title} "):
        return False
    byline = {"abstract", "and", *fold_text(" ".join(work.authors)).split()}
    rest = " ".join(dropwhile(byline.__contains__, words.removeprefix(title).split()))
    return any(rest == one for document in documents for one in _word_runs(document))


def _word_runs(document: Document) -> Iterator[str]:
    """Yield the words of every sentence, and of two and three in a row, as one that leans on others is kept."""
    those = [fold_text(one.text) for one in sentences(document)]
    yield from (" ".join(those[at : at + length]) for length in (1, 2, 3) for at in range(len(those) - length + 1))


def _recording(reader: NliFunction, heard: dict[tuple[str, str], Entailment]) -> NliFunction:
    """Return a reader that keeps what it said, so that a verdict can be made again without the model."""

    def read(claim: str, text: str) -> Entailment:
        if (claim, text) not in heard:
            heard[claim, text] = reader(claim, text)
        return heard[claim, text]

    return read


def _family_names(work: Work) -> frozenset[str]:
    """Return the family names of the authors, without case and accents."""
    return frozenset(filter(None, (fold_text(name.partition(",")[0]) for name in work.authors)))
