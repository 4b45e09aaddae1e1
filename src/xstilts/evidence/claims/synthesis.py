"""Synthesis of the evidence on a question: judged statements, findings per term, and conflicts between works.

Each statement gets two separate verdicts: whether it is faithful to its own work, and whether a work of other authors
says the same or denies it. Neither makes it true. The result follows from the corpus alone, so that `verify` can
compute it again.

>>> from xstilts.evidence.search.corpus import Corpus
>>> from xstilts.evidence.claims.question import parse_question
>>> synthesise(parse_question("Does the batch size change accuracy?"), Corpus((), {}, ())).statements
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
from xstilts.evidence.search.names import share_author
from xstilts.evidence.search.work import Work, fold_text
from xstilts.evidence.text.documents import Document, Locator, sentences

MIN_TITLE_WORDS = 4  # fewest words of a title that is recognised before a sentence


@dataclass(frozen=True)
class JudgedStatement:
    """A statement with its direction and two verdicts.

    Attributes:
        name: Name in the report ("c1").
        statement: The statement.
        direction: Direction of its wording.
        faithful: Verdict by its own work.
        corroborated: Verdict by works of other authors.
        nearest: Place and text of the most similar sentence of another work, shown for comparison; it decides nothing.
        outcome_directions: Direction on each outcome of the question; none if it is on none of them.
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
    """A term of the question and the statements on it."""

    coverage: Coverage
    statements: tuple[JudgedStatement, ...]

    @property
    def works(self) -> dict[Direction, tuple[str, ...]]:
        """The ids of the works whose statements have each direction, by direction; "unsaid" is one of them."""
        works_by_direction: dict[Direction, list[str]] = {}
        for judged in self.statements:
            direction = judged.direction if judged.outcome_directions else "unsaid"
            works_by_direction.setdefault(direction, []).append(judged.statement.work)
        return {name: tuple(sorted(set(works))) for name, works in sorted(works_by_direction.items())}

    @property
    def status(self) -> str:
        """ "no evidence found", "works differ", "one work" or "not disputed"."""
        if not self.statements:
            return "no evidence found"
        if any(conflicts(self.statements)):
            return "works differ"
        return "one work" if len({judged.statement.work for judged in self.statements}) == 1 else "not disputed"


@dataclass(frozen=True)
class Synthesis:
    """All evidence on a question.

    Attributes:
        question: The question.
        corpus: The corpus.
        statements: Judged statements, most relevant first.
        findings: A finding per term of the question.
        constructions: What is true by construction.
        entailments: Claim, sentence and result of every call of the NLI model.
        proposals: What a language model proposed, after screening.
    """

    question: Question
    corpus: Corpus
    statements: tuple[JudgedStatement, ...]
    findings: tuple[Finding, ...]
    constructions: tuple[Construction, ...]
    entailments: tuple[tuple[str, str, Entailment], ...] = ()
    proposals: ScreenedProposals = field(default_factory=ScreenedProposals)


def synthesise(
    question: Question, corpus: Corpus, nli: NliFunction | None = None, proposed: Sequence[Proposal] = ()
) -> Synthesis:
    """Return what a corpus says on a question.

    Args:
        question: The question.
        corpus: The corpus.
        nli: An NLI model for corroboration.
        proposed: Proposals of a language model; only verbatim ones count.

    Returns:
        The synthesis.
    """
    documents = list(corpus.texts())
    recorded: dict[tuple[str, str], Entailment] = {}
    recording_nli = _recording(nli, recorded) if nli else None
    accepted = accept(question, documents, proposed)
    from_texts = _without_headings(corpus, statements(question, documents))
    every = (
        *from_texts,
        *(item for item in accepted.statements if item.text not in {other.text for other in from_texts}),
    )
    index = SentenceIndex.of(documents)
    judged = tuple(
        _judge(f"c{number}", item, question, corpus, index, recording_nli) for number, item in enumerate(every, start=1)
    )
    by_statement = {item.statement: item for item in judged}
    findings = tuple(
        Finding(item, tuple(by_statement[statement] for statement in item.statements))
        for item in coverage(question, every)
    )
    pairs = tuple(
        (claim, text, entailment) for (claim, text), entailment in sorted(recorded.items(), key=lambda x: x[0])
    )
    return Synthesis(question, corpus, judged, findings, by_construction(question), pairs, accepted)


def conflicts(judged: Iterable[JudgedStatement]) -> Iterable[tuple[JudgedStatement, JudgedStatement]]:
    """Yield pairs of statements of different works that are opposed on an outcome of the question.

    Conditional statements ("unless") are opposed to nothing.
    """
    unconditional = tuple(
        first for first in judged if first.outcome_directions and not is_conditional(first.statement.text)
    )
    for number, first in enumerate(unconditional):
        for other in unconditional[number + 1 :]:
            if first.statement.work != other.statement.work and _are_opposed(first, other):
                yield first, other


def directions_by_outcome(judged: Iterable[JudgedStatement]) -> dict[str, dict[str, Direction]]:
    """Combine the directions of each work's statements on each outcome.

    Args:
        judged: The statements.

    Returns:
        By outcome of the question and by work, one direction.
    """
    by_outcome: dict[str, dict[str, list[OutcomeDirection]]] = {}
    for item in judged:
        for outcome_direction in item.outcome_directions:
            by_outcome.setdefault(outcome_direction.question_term, {}).setdefault(item.statement.work, []).append(
                outcome_direction
            )
    return {
        outcome: {work: combine(outcome_direction.mark for outcome_direction in items) for work, items in works.items()}
        for outcome, works in by_outcome.items()
    }


def outcome_terms(statement: Statement) -> frozenset[str]:
    """Return the outcome terms of the question that a statement mentions."""
    return frozenset(term for role, term in statement.touches if role == "outcome")


def independent_works(work: Work, works: Iterable[Work]) -> tuple[Work, ...]:
    """Return the works that share no author with a work.

    Args:
        work: The work.
        works: Other works; it may be among them.

    Returns:
        The works; those without authors or of authors whose names cannot be compared are left out, and none is
        independent of a work without authors.
    """
    own_names = _family_names(work)
    others = ((other, _family_names(other)) for other in works if other.id != work.id)
    apart = (other for other, other_names in others if own_names.isdisjoint(other_names))
    return tuple(other for other in apart if share_author(work.authors, other.authors) is False)


def central_statements(question: Question, judged: Iterable[JudgedStatement]) -> tuple[JudgedStatement, ...]:
    """Return the statements that the answer rests on.

    Args:
        question: The question.
        judged: The statements.

    Returns:
        Those on an outcome of the question, or all if it names none.
    """
    if not question.facet("outcome").terms:
        return tuple(judged)
    return tuple(item for item in judged if item.outcome_directions or outcome_terms(item.statement))


def _are_opposed(first: JudgedStatement, other: JudgedStatement) -> bool:
    """Return whether directions on an outcome are opposed, or one statement itself says that it contradicts others."""
    contested = contests_others(first.statement.text) != contests_others(other.statement.text)
    shared = (
        (own, opposing)
        for own in first.outcome_directions
        for opposing in other.outcome_directions
        if own.outcome == opposing.outcome
    )
    return any(contested or opposed(own.mark, opposing.mark) for own, opposing in shared)


def _judge(
    name: str,
    statement: Statement,
    question: Question,
    corpus: Corpus,
    index: SentenceIndex,
    nli: NliFunction | None,
) -> JudgedStatement:
    own_work = next(work for work in corpus.works if work.id == statement.work)
    others = [text for work in independent_works(own_work, corpus.included) for text in corpus.documents[work.id]]
    faithful = decide(statement.text, corpus.documents[own_work.id], own_work.id)
    corroborated = decide(statement.text, others, nli=nli)
    nearest = _nearest_sentence(statement, index, {text.sha256 for text in others})
    directions = outcome_directions(statement.text, question)
    relevant = tuple(item for item in directions if item.question_term or not question.facet("outcome").terms)
    return JudgedStatement(
        name, statement, combine(item.mark for item in directions), faithful, corroborated, nearest, relevant
    )


def _nearest_sentence(statement: Statement, index: SentenceIndex, among: set[str]) -> tuple[Locator, str] | None:
    """Return place and text of the most similar sentence among other works."""
    hits = (hit for hit in index.search(statement.text, 20) if hit.locator.sha256 in among)
    return next(((hit.locator, " ".join(hit.sentence.text.split())) for hit in hits), None)


def _without_headings(corpus: Corpus, statements_found: Sequence[Statement]) -> list[Statement]:
    """Leave out sentences that a PDF merges with the title above them, if the sentence itself occurs elsewhere."""
    works = {work.id: work for work in corpus.works}
    return [
        statement
        for statement in statements_found
        if not _starts_with_title(statement.text, works[statement.work], corpus.documents[statement.work])
    ]


def _starts_with_title(text: str, work: Work, documents: Iterable[Document]) -> bool:
    """Return whether a title and authors precede a sentence that occurs elsewhere; short titles are ignored."""
    title, words = fold_text(work.title), fold_text(text)
    if len(title.split()) < MIN_TITLE_WORDS or not words.startswith(f"{title} "):
        return False
    byline = {"abstract", "and", *fold_text(" ".join(work.authors)).split()}
    rest = " ".join(dropwhile(byline.__contains__, words.removeprefix(title).split()))
    return any(rest == run for document in documents for run in _word_runs(document))


def _word_runs(document: Document) -> Iterator[str]:
    """Yield the words of every sentence, and of two and three in a row, as sentences with an anaphor are kept."""
    folded = [fold_text(sentence.text) for sentence in sentences(document)]
    yield from (
        " ".join(folded[start : start + length]) for length in (1, 2, 3) for start in range(len(folded) - length + 1)
    )


def _recording(nli: NliFunction, recorded: dict[tuple[str, str], Entailment]) -> NliFunction:
    """Wrap an NLI model so that its results are recorded, and a verdict can be computed again without it."""

    def read(claim: str, text: str) -> Entailment:
        if (claim, text) not in recorded:
            recorded[claim, text] = nli(claim, text)
        return recorded[claim, text]

    return read


def _family_names(work: Work) -> frozenset[str]:
    """Return the folded family names of the authors."""
    return frozenset(filter(None, (fold_text(name.partition(",")[0]) for name in work.authors)))
