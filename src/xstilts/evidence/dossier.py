"""Dossier: what is known on a question: statements of works, each with its verdicts, and what was found of each facet.

A statement is judged twice, and the two are kept apart: whether it is faithful to its own work, and whether another
work, of other authors, says the same or denies it. That a work says so does not make it so. Nothing here asks the
network; the same corpus gives the same dossier, and `verify` makes it again.

>>> from xstilts.evidence.corpus import Corpus
>>> from xstilts.evidence.question import ask
>>> compiled(ask("Does the batch size change accuracy?"), Corpus((), {}, ())).said
()
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from xstilts.evidence.corpus import Corpus, mentions
from xstilts.evidence.decision import Decision, Entailment, Reader, decide
from xstilts.evidence.direction import Direction, contests, direction, opposed
from xstilts.evidence.index import Index
from xstilts.evidence.proposals import Proposal, Proposals, taken
from xstilts.evidence.question import Construction, Question, by_construction
from xstilts.evidence.statement import Coverage, Statement, coverage, statements
from xstilts.evidence.text import Locator
from xstilts.evidence.work import Work

TITLE = 4  # words from which a title is known again within a sentence
COSTS = frozenset(("training cost", "inference cost", "memory", "efficiency"))


@dataclass(frozen=True)
class Said:
    """A statement of a work, the direction of its words, and two verdicts.

    faithful: by its own work. corroborated: by works of others. beside: the sentence of another work that is nearest in
    words, to be read with it; it decides nothing.
    """

    name: str
    statement: Statement
    direction: Direction
    faithful: Decision
    corroborated: Decision
    beside: tuple[Locator, str] | None = None


@dataclass(frozen=True)
class Finding:
    """A term of the question, what was said on it, and how many works stand behind each direction."""

    coverage: Coverage
    said: tuple[Said, ...]

    @property
    def works(self) -> dict[Direction, tuple[str, ...]]:
        """The works behind each direction, those that have one."""
        found: dict[Direction, list[str]] = {}
        for one in self.said:
            found.setdefault(one.direction, []).append(one.statement.work)
        return {name: tuple(sorted(set(works))) for name, works in sorted(found.items())}

    @property
    def status(self) -> str:
        """Whether works differ, agree in direction, or one stands alone; or nothing was found."""
        if not self.said:
            return "no evidence found"
        if any(conflicts(self.said)):
            return "works differ"
        return "one work" if len({one.statement.work for one in self.said}) == 1 else "not disputed"


@dataclass(frozen=True)
class Dossier:
    """All that is known on a question; entailments: what a model of inference was asked, and what it said."""

    question: Question
    corpus: Corpus
    said: tuple[Said, ...]
    findings: tuple[Finding, ...]
    constructions: tuple[Construction, ...]
    entailments: tuple[tuple[str, str, Entailment], ...] = ()
    proposals: Proposals = field(default_factory=Proposals)


def compiled(
    question: Question, corpus: Corpus, reader: Reader | None = None, proposed: Sequence[Proposal] = ()
) -> Dossier:
    """Return what a corpus says on a question; of what a language model proposed, only what is there word for word."""
    documents = list(corpus.texts())
    heard: dict[tuple[str, str], Entailment] = {}
    listening = _listening(reader, heard) if reader else None
    accepted = taken(question, documents, proposed)
    found = _without_headings(corpus, statements(question, documents))
    every = (*found, *(one for one in accepted.statements if one.text not in {other.text for other in found}))
    index = Index.of(documents)
    said = tuple(
        _judged(f"c{number}", one, question, corpus, index, listening) for number, one in enumerate(every, start=1)
    )
    by_statement = {one.statement: one for one in said}
    findings = tuple(
        Finding(one, tuple(by_statement[statement] for statement in one.statements))
        for one in coverage(question, every)
    )
    pairs = tuple((claim, text, entailment) for (claim, text), entailment in sorted(heard.items(), key=lambda x: x[0]))
    return Dossier(question, corpus, said, findings, by_construction(question), pairs, accepted)


def conflicts(said: Iterable[Said]) -> Iterable[tuple[Said, Said]]:
    """Yield statements of different works whose directions are opposed and that are of the same outcome."""
    those = tuple(said)
    for number, one in enumerate(those):
        for other in those[number + 1 :]:
            apart = one.statement.work != other.statement.work
            if apart and _against(one, other) and _same_outcome(one.statement, other.statement):
                yield one, other


def outcomes(statement: Statement) -> frozenset[str]:
    """Return the outcomes that a statement touches; none where it names none of the question's."""
    return frozenset(term for role, term in statement.touches if role == "outcome")


def strangers(work: Work, works: Iterable[Work]) -> tuple[Work, ...]:
    """Return the works that share no author with one: only they can corroborate it."""
    own = _families(work)
    return tuple(other for other in works if other.id != work.id and own.isdisjoint(_families(other)))


def central(question: Question, said: Iterable[Said]) -> tuple[Said, ...]:
    """Return what the answer rests on: all, but where only costs are asked for what touches them, if anything does."""
    asked, those = set(question.facet("outcome").terms), tuple(said)
    if not asked or not asked <= COSTS:
        return those
    return tuple(one for one in those if not asked.isdisjoint(outcomes(one.statement))) or those


def _against(one: Said, other: Said) -> bool:
    """Return whether directions are opposed, or one says itself that it speaks against others."""
    if "unsaid" in (one.direction, other.direction):
        return False
    return opposed(one.direction, other.direction) or contests(one.statement.text) != contests(other.statement.text)


def _same_outcome(one: Statement, other: Statement) -> bool:
    return not (outcomes(one) and outcomes(other)) or not outcomes(one).isdisjoint(outcomes(other))


def _judged(
    name: str, statement: Statement, question: Question, corpus: Corpus, index: Index, reader: Reader | None
) -> Said:
    own = next(work for work in corpus.works if work.id == statement.work)
    others = [text for work in strangers(own, corpus.included) for text in corpus.documents[work.id]]
    faithful = decide(statement.text, corpus.documents[own.id], own.id)
    corroborated = decide(statement.text, others, reader=reader)
    near = _near(statement, index, {text.sha256 for text in others})
    return Said(name, statement, direction(statement.text, question), faithful, corroborated, near)


def _near(statement: Statement, index: Index, among: set[str]) -> tuple[Locator, str] | None:
    """Return the sentence of others that is nearest in words."""
    hits = (hit for hit in index.search(statement.text, 20) if hit.locator.sha256 in among)
    return next(((hit.locator, " ".join(hit.sentence.text.split())) for hit in hits), None)


def _without_headings(corpus: Corpus, those: Sequence[Statement]) -> list[Statement]:
    """Leave out what a PDF runs together with the title above it: the sentence itself stands elsewhere.

    A title of a few words may be a part of any sentence.
    """
    titles = {work.id: work.title for work in corpus.works if len(work.title.split()) >= TITLE}
    return [one for one in those if not (one.work in titles and mentions(one.text, [titles[one.work]]))]


def _listening(reader: Reader, heard: dict[tuple[str, str], Entailment]) -> Reader:
    """Return a reader that keeps what it said, so that a verdict can be made again without the model."""

    def read(claim: str, text: str) -> Entailment:
        if (claim, text) not in heard:
            heard[claim, text] = reader(claim, text)
        return heard[claim, text]

    return read


def _families(work: Work) -> frozenset[str]:
    return frozenset(name.partition(",")[0].casefold() for name in work.authors)
