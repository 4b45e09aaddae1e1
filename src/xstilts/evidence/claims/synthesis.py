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

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import dropwhile

from xstilts.evidence.claims.bearing import Similarity
from xstilts.evidence.claims.comparison import Cosine, Meaning, Relation, comparison_reasons, relate, setting_reasons
from xstilts.evidence.claims.effect_direction import (
    Direction,
    OutcomeDirection,
    combine,
    contests_others,
    is_conditional,
    opposed,
    outcome_directions,
)
from xstilts.evidence.claims.finding_record import NOT_STATED, FindingRecord, Stance, oriented, read_finding
from xstilts.evidence.claims.llm_proposals import Proposal, ScreenedProposals, accept
from xstilts.evidence.claims.question import Construction, Question, by_construction
from xstilts.evidence.claims.sentence_kind import kinds
from xstilts.evidence.claims.statement import CITES, Coverage, Statement, coverage, statements
from xstilts.evidence.claims.verdict import Decision, Entailment, NearFunction, NliFunction, decide
from xstilts.evidence.search.bm25 import SentenceIndex
from xstilts.evidence.search.corpus import Corpus
from xstilts.evidence.search.names import share_author
from xstilts.evidence.search.work import Work, fold_text
from xstilts.evidence.text.documents import Document, Locator, sentences

STANCE_OF: dict[Direction, Stance] = {
    "up": "more/better",
    "down": "less/worse",
    "level": "no difference",
    "mixed": "depends",
    "unsaid": "not stated",
}
NOT_REPRODUCED = re.compile(r"\b(?:reproduc|replicat)\w*", re.IGNORECASE)
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
        record: Its subject, comparison, outcome, setting and stance, as read.
        meaning: A sentence encoder's similarity, by which it is related to others; None for words alone.
    """

    name: str
    statement: Statement
    direction: Direction
    faithful: Decision
    corroborated: Decision
    nearest: tuple[Locator, str] | None = None
    outcome_directions: tuple[OutcomeDirection, ...] = ()
    record: FindingRecord = field(default_factory=FindingRecord)
    meaning: Meaning | None = field(default=None, compare=False, repr=False)


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
        """ "no evidence found", "works differ", "not comparable", "one work" or "not disputed"."""
        if not self.statements:
            return "no evidence found"
        result = {relation.kind for _, _, relation in relations(self.statements)}
        if "real conflict" in result:
            return "works differ"
        if "not comparable" in result:
            return "not comparable"
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
        similarities: Text and cosine of every call of the sentence encoder.
        cosines: Two texts and their cosine, of those that relations were read from.
    """

    question: Question
    corpus: Corpus
    statements: tuple[JudgedStatement, ...]
    findings: tuple[Finding, ...]
    constructions: tuple[Construction, ...]
    entailments: tuple[tuple[str, str, Entailment], ...] = ()
    proposals: ScreenedProposals = field(default_factory=ScreenedProposals)
    similarities: tuple[tuple[str, float], ...] = ()
    cosines: tuple[tuple[str, str, float], ...] = ()


def synthesise(
    question: Question,
    corpus: Corpus,
    nli: NliFunction | None = None,
    proposed: Sequence[Proposal] = (),
    similarity: Similarity | None = None,
    cosine: Cosine | None = None,
    near: NearFunction | None = None,
) -> Synthesis:
    """Return what a corpus says on a question.

    Args:
        question: The question.
        corpus: The corpus.
        nli: An NLI model for corroboration.
        proposed: Proposals of a language model; only verbatim ones count.
        similarity: Cosine similarity of a sentence encoder, for the ranking of findings.
        cosine: That of two texts, for relations of findings.
        near: Which sentences the NLI model reads for their meaning.

    Returns:
        The synthesis.
    """
    documents = list(corpus.texts())
    recorded: dict[tuple[str, str], Entailment] = {}
    recording_nli = _recording(nli, recorded) if nli else None
    accepted = accept(question, documents, proposed)
    titles = {work.id: work.title for work in corpus.works}
    cosines: dict[str, float] = {}
    compared: dict[tuple[str, str], float] = {}
    meaning = Meaning(_recording_cosine(cosine, compared)) if cosine else None
    recording_similarity = _recording_similarity(similarity, cosines) if similarity else None
    from_texts = _without_headings(corpus, statements(question, documents, titles, recording_similarity))
    every = (
        *from_texts,
        *(item for item in accepted.statements if item.text not in {other.text for other in from_texts}),
    )
    index = SentenceIndex.of(documents)
    judged = tuple(
        _judge(f"c{number}", item, question, corpus, index, recording_nli, near, meaning)
        for number, item in enumerate(every, start=1)
    )
    if meaning:
        list(relations(judged))  # so that every cosine that is needed is recorded
    by_statement = {item.statement: item for item in judged}
    findings = tuple(
        Finding(item, tuple(by_statement[statement] for statement in item.statements))
        for item in coverage(question, every)
    )
    pairs = tuple(
        (claim, text, entailment) for (claim, text), entailment in sorted(recorded.items(), key=lambda x: x[0])
    )
    constructions, similarities = by_construction(question), tuple(sorted(cosines.items()))
    related = tuple((*pair, value) for pair, value in sorted(compared.items()))
    return Synthesis(question, corpus, judged, findings, constructions, pairs, accepted, similarities, related)


def conflicts(judged: Iterable[JudgedStatement]) -> Iterable[tuple[JudgedStatement, JudgedStatement]]:
    """Yield pairs of statements of different works that are in real conflict on an outcome of the question."""
    for first, other, relation in relations(judged):
        if relation.kind == "real conflict":
            yield first, other


def relations(judged: Iterable[JudgedStatement]) -> Iterator[tuple[JudgedStatement, JudgedStatement, Relation]]:
    """Yield pairs of statements of different works that say the same or oppose each other, with their relation.

    Args:
        judged: The statements.

    Yields:
        Both statements and their relation: the same finding, a real conflict, or opposed in words but not comparable.
    """
    items = tuple(judged)
    for number, first in enumerate(items):
        for other in items[number + 1 :]:
            if first.statement.work != other.statement.work and (relation := _relation(first, other)):
                yield first, other, relation


def _relation(first: JudgedStatement, other: JudgedStatement) -> Relation | None:
    """Return how two statements relate; None if they neither say the same nor oppose each other."""
    conditional = is_conditional(first.statement.text) or is_conditional(other.statement.text)
    if first.outcome_directions and other.outcome_directions and not conditional:
        if not _are_opposed(first, other):
            return None
        compared = comparison_reasons(first.record, other.record, first.meaning)
        reasons = [*compared, *setting_reasons(first.record, other.record)]
        return Relation("not comparable", " and ".join(reasons)) if reasons else Relation("real conflict")
    relation = relate(first.record, other.record, first.meaning)
    stances = {first.record.stance, other.record.stance}
    is_listed = relation.kind in ("same finding", "real conflict") or (
        relation.kind == "not comparable" and NOT_STATED not in stances and len(stances) == 2
    )
    return relation if is_listed and not conditional else None


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
    near: NearFunction | None,
    meaning: Meaning | None,
) -> JudgedStatement:
    own_work = next(work for work in corpus.works if work.id == statement.work)
    others = [text for work in independent_works(own_work, corpus.included) for text in corpus.documents[work.id]]
    faithful = decide(statement.text, corpus.documents[own_work.id], own_work.id)
    corroborated = _by_other_data(decide(statement.text, others, nli=nli, near=near), others)
    nearest = _nearest_sentence(statement, index, {text.sha256 for text in others})
    named = {term for role, term in statement.touches if term in question.core}
    directions = outcome_directions(statement.text, question) if named else ()
    relevant = tuple(item for item in directions if item.question_term or not question.facet("outcome").terms)
    direction = combine(item.mark for item in directions)
    record = oriented(read_finding(statement.text, _around(statement, own_work, corpus)), question.text)
    if relevant:
        outcome = " and ".join(dict.fromkeys(item.question_term or item.outcome or NOT_STATED for item in relevant))
        record = replace(record, subject=" and ".join(sorted(named)), outcome=outcome, stance=STANCE_OF[direction])
    return JudgedStatement(name, statement, direction, faithful, corroborated, nearest, relevant, record, meaning)


def _around(statement: Statement, work: Work, corpus: Corpus) -> list[str]:
    """Return the title of a statement's work and the sentences of its text."""
    document = next(text for text in corpus.documents[work.id] if text.sha256 == statement.locator.sha256)
    return [work.title, *(" ".join(sentence.text.split()) for sentence in sentences(document))]


def _by_other_data(decision: Decision, documents: Iterable[Document]) -> Decision:
    """Return a corroboration only if it rests on another work's own finding: repeating or retelling is none."""
    if decision.status != "SUPPORTED":
        return decision
    if decision.quote is not None and decision.quote.matched:
        why = f"repeated in {decision.locators[0].work}, which is no second measurement"
        return Decision("NOT_ENOUGH_INFO", why, decision.locators, quote=decision.quote)
    texts = {document.sha256: document for document in documents}
    own = [locator for locator in decision.locators if _is_own_finding(texts[locator.sha256], locator)]
    if not own:
        why = f"mentioned in {decision.locators[0].work}, but not as a finding of its own"
        return Decision("NOT_ENOUGH_INFO", why, decision.locators, quote=decision.quote, entailment=decision.entailment)
    return replace(decision, locators=tuple(own))


def _is_own_finding(document: Document, locator: Locator) -> bool:
    every = sentences(document)
    kind_of = dict(zip(((item.start, item.end) for item in every), kinds([item.text for item in every]), strict=True))
    text = locator.read(document)
    is_second_hand = CITES.search(text) or NOT_REPRODUCED.search(text)
    return kind_of.get((locator.start, locator.end), "finding") in ("finding", "") and not is_second_hand


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


def _recording_similarity(similarity: Similarity, recorded: dict[str, float]) -> Similarity:
    """Wrap a sentence encoder so that its cosines are recorded, and a ranking can be computed again without it."""

    def compare(question: str, texts: Sequence[str]) -> list[float]:
        values = [float(value) for value in similarity(question, texts)]
        recorded.update(zip(texts, values, strict=True))
        return values

    return compare


def _recording_cosine(cosine: Cosine, recorded: dict[tuple[str, str], float]) -> Cosine:
    """Wrap the cosine of two texts so that each is recorded once, whatever their order."""

    def compare(one: str, other: str) -> float:
        pair = (one, other) if one <= other else (other, one)
        if pair not in recorded:
            recorded[pair] = float(cosine(*pair))
        return recorded[pair]

    return compare


def _family_names(work: Work) -> frozenset[str]:
    """Return the folded family names of the authors."""
    return frozenset(filter(None, (fold_text(name.partition(",")[0]) for name in work.authors)))
