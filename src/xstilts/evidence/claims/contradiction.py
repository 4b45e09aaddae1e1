"""Clash: sentences that say what a claim denies, or give another number of the very same thing.

Narrow on purpose, since a wrong "refuted" is worse than none: both must not be able to be true. The sentence has the
claim's words in the same order and no others, but for fillers; the hedges are equal, but for the one "not" that makes
a clash; numbers differ by more than rounding, and none is a sum of others in the text. What other works say of models
and data of their own clashes still less: there a number needs its task and its model named, and no "we" or "it" may
stand for what differs.

>>> from xstilts.evidence.text.documents import Document
>>> told = Document("doc:made-up", "body", "XNLI does not benefit from intermediate training.")
>>> [one.why for one in clashes("XNLI benefits from intermediate training.", [told], told.work)]
["'not' stands only in the source"]
>>> clashes("XNLI rarely benefits from intermediate training.", [told])
()
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from xstilts.evidence.claims.quote import SentenceLine, sentence_lines
from xstilts.evidence.text import hedges, numbers
from xstilts.evidence.text.documents import Document, Locator, is_whole
from xstilts.evidence.text.hedges import content_stems
from xstilts.evidence.text.numbers import Agreement, readings

MIN_WORDS = 3  # words of content that a claim needs before anything can be the same but for one of them
LARGE_NUMBER = 1000  # from here on a sum of numbers from all over a text is no coincidence
SELF_REFERENCE = re.compile(
    r"\b(?:we|our|ours|us|i|my|it|its|they|their|them|this|that|these|those|here|such"
    r"|the (?:models?|methods?|gains?|study|studies|results?|experiments?|work|paper|approach))\b",
    re.IGNORECASE,
)  # what another work means by these is something else


@dataclass(frozen=True)
class Contradiction:
    """A sentence that speaks against a claim, where it stands, and how numbers and hedges lie."""

    locator: Locator
    why: str
    numbers: Agreement
    hedges: Agreement


def find_contradictions(claim: str, documents: Iterable[Document], work: str = "") -> tuple[Contradiction, ...]:
    """Return the sentences that speak against a claim, by place; none against one that is cut.

    work: the claim's own, in which it is of the same models and data; every other is taken to have others.
    """
    if not is_whole(claim) or len(content_stems(claim)) < MIN_WORDS:
        return ()
    wanted = {word for word in content_stems(claim) if word != "#"}
    found = [
        one
        for document in set(documents)
        for line in sentence_lines(document)
        if line.stems.issuperset(wanted)
        and "?" not in line.text
        and (one := _contradiction(claim, document, line, work))
    ]
    return tuple(sorted(found, key=lambda one: one.locator))


def _contradiction(claim: str, document: Document, line: SentenceLine, work: str) -> Contradiction | None:
    parts = [part for part in readings(line.text) or (line.text,) if content_stems(part) == content_stems(claim)]
    found = [(part, _difference(claim, part)) for part in parts]
    if not found or not all(why for _, why in found) or _is_total(claim, document):
        return None  # one reading says just this, and another is of something else
    part, why = found[0]
    if document.work != work and not _is_general(claim, part):
        return None
    said, bent = numbers.agree(claim, part), hedges.agree(claim, part)
    return Contradiction(document.locator(line.start, line.end), why, said, bent)


def _difference(claim: str, text: str) -> str:
    """Return what clashes, of numbers and hedges; "" where nothing does, or where the other differs too."""
    said, bent = numbers.agree(claim, text), hedges.agree(claim, text)
    return (said.why or bent.why) if {said.status, bent.status} == {"AGREE", "CLASH"} else ""


def _is_general(claim: str, text: str) -> bool:
    """Return whether two sentences speak of the same thing wherever they stand: each number of a model and a task."""
    said = (*numbers.numbers(claim), *numbers.numbers(text))
    return not (SELF_REFERENCE.search(claim) or SELF_REFERENCE.search(text)) and all(
        one.entity and one.model for one in said
    )


def _is_total(claim: str, document: Document) -> bool:
    """Return whether a large number of the claim is the sum of others anywhere in the text."""
    large = [one.value for one in numbers.numbers(claim) if one.value >= LARGE_NUMBER]
    there = {one.value for line in sentence_lines(document) for one in numbers.numbers(line.text)} if large else set()
    return any(numbers.find_sum(value, there) for value in large)
