"""Proposals: what a language model proposes as evidence, of which only what stands there word for word is taken.

A model returns a sentence and says whose it is. The sentence must be found in that work, whole; what is not is
rejected and counted, whatever else the model said with it. A model decides nothing and rewords nothing here.

>>> from xstilts.evidence.claims.question import ask
>>> taken(ask("Does the batch size matter?"), [], [Proposal("Batches help.", "doc:x")]).rejected
(('Batches help.', 'these words stand in no text here as whole sentences'),)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from xstilts.evidence.claims.question import Question
from xstilts.evidence.claims.quote import locate, on_one_line
from xstilts.evidence.claims.statement import Statement, states_result, touched
from xstilts.evidence.text.documents import Document

OFF = "it is there, but states no result on the question"


@dataclass(frozen=True)
class Proposal:
    """A quote that a model returned, and the work that it says it is from."""

    quote: str
    work: str


@dataclass(frozen=True)
class Proposals:
    """What came of proposals: those taken, as statements of our own reading, and those rejected, with why."""

    statements: tuple[Statement, ...] = ()
    rejected: tuple[tuple[str, str], ...] = ()


def taken(question: Question, documents: Sequence[Document], proposed: Iterable[Proposal]) -> Proposals:
    """Return which proposals are whole sentences of the work they name and state a result on the question."""
    statements, rejected = [], []
    for one in dict.fromkeys(proposed):
        made = _statement(question, documents, one)
        if isinstance(made, Statement):
            statements.append(made)
        else:
            rejected.append((one.quote, made))
    return Proposals(tuple(statements), tuple(rejected))


def _statement(question: Question, documents: Sequence[Document], one: Proposal) -> Statement | str:
    """Return the statement that a proposal points at, or why there is none."""
    found = locate(one.quote, documents, one.work) if one.quote.strip() else None
    if found is None or found.locator is None or not found.found:
        return found.why if found else "it quotes nothing"
    text = next(each for each in documents if each.sha256 == found.locator.sha256 and each.work == found.locator.work)
    said = on_one_line(found.locator.read(text))
    touches = touched(question, said)
    terms = {term for _, term in touches}
    if terms.isdisjoint(question.core) or not states_result(said):
        return OFF
    return Statement(said, (found.locator,), touches)
