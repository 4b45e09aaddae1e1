"""Sentences that contradict a claim: they deny it, or give another number for exactly the same thing.

This is narrow on purpose, since a wrong "contradicted" is worse than none: both sentences must be unable to be true.
The sentence has the claim's content words in the same order and no others. Hedges are equal but for a single "not", or
numbers differ by more than rounding, and none is a sum of others in the text. For other works it is narrower still,
since they mean their own models and data: each number needs its task, model, split and languages, the training data
must be named, and there may be no "we" or "it".

>>> from xstilts.evidence.text.documents import Document
>>> document = Document("doc:made-up", "body", "XNLI does not benefit from intermediate training.")
>>> [match.why for match in find_contradictions("XNLI benefits from intermediate training.", [document], document.work)]
["'not' stands only in the source"]
>>> find_contradictions("XNLI rarely benefits from intermediate training.", [document])
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

MIN_WORDS = 3  # fewest content words of a claim that can be contradicted
LARGE_NUMBER = 1000  # from here on, equality with a sum of a text's numbers is no coincidence
TRAINED = re.compile(r"\b(?:train|tun)\w* on \w|\bas (?:an? |the )?intermediate", re.IGNORECASE)
SELF_REFERENCE = re.compile(
    r"\b(?:we|our|ours|us|i|my|it|its|they|their|them|this|that|these|those|here|such"
    r"|the (?:models?|methods?|gains?|study|studies|results?|experiments?|work|paper|approach))\b",
    re.IGNORECASE,
)  # another work means something else by these


@dataclass(frozen=True)
class Contradiction:
    """A sentence that contradicts a claim.

    Attributes:
        locator: Its place.
        why: The reason.
        numbers: How its numbers compare with the claim's.
        hedges: How its hedges compare with the claim's.
    """

    locator: Locator
    why: str
    numbers: Agreement
    hedges: Agreement


def find_contradictions(claim: str, documents: Iterable[Document], work: str = "") -> tuple[Contradiction, ...]:
    """Return the sentences that contradict a claim.

    Args:
        claim: The claim; a fragment or a claim of fewer than `MIN_WORDS` content words is contradicted by nothing.
        documents: Texts to search.
        work: Id of the claim's own work, which means the same models and data; all others are taken to mean their own.

    Returns:
        Contradictions by place.
    """
    if not is_whole(claim) or len(content_stems(claim)) < MIN_WORDS:
        return ()
    words = {word for word in content_stems(claim) if word != "#"}
    matches = [
        match
        for document in set(documents)
        for line in sentence_lines(document)
        if line.stems.issuperset(words)
        and "?" not in line.text
        and (match := _contradiction(claim, document, line, work))
    ]
    return tuple(sorted(matches, key=lambda match: match.locator))


def _contradiction(claim: str, document: Document, line: SentenceLine, work: str) -> Contradiction | None:
    """Return the contradiction of a claim by a sentence, or None."""
    parts = [part for part in readings(line.text) or (line.text,) if content_stems(part) == content_stems(claim)]
    differences = [(part, _difference(claim, part)) for part in parts]
    if not differences or not all(why for _, why in differences) or _is_total(claim, document):
        return None  # one reading states the claim, or is about something else
    part, why = differences[0]
    if document.work != work and not _is_general(claim, part):
        return None
    number_agreement, hedge_agreement = numbers.agree(claim, part), hedges.agree(claim, part)
    return Contradiction(document.locator(line.start, line.end), why, number_agreement, hedge_agreement)


def _difference(claim: str, text: str) -> str:
    """Return why numbers or hedges clash; "" if neither does, or if the other differs too."""
    number_agreement, hedge_agreement = numbers.agree(claim, text), hedges.agree(claim, text)
    return (
        (number_agreement.why or hedge_agreement.why)
        if {number_agreement.status, hedge_agreement.status} == {"AGREE", "CLASH"}
        else ""
    )


def _is_general(claim: str, text: str) -> bool:
    """Return whether two sentences speak of the same thing wherever they occur.

    Every number then has a task, a model, a split and languages, and the training data are named.
    """
    all_numbers = (*numbers.numbers(claim), *numbers.numbers(text))
    trained = all(TRAINED.search(sentence) for sentence in (claim, text)) or not all_numbers
    return (
        trained
        and not (SELF_REFERENCE.search(claim) or SELF_REFERENCE.search(text))
        and all(number.entity and number.model and number.split and number.languages for number in all_numbers)
    )


def _is_total(claim: str, document: Document) -> bool:
    """Return whether a large number of the claim is the sum of others anywhere in the text."""
    large = [number.value for number in numbers.numbers(claim) if number.value >= LARGE_NUMBER]
    values = (
        {number.value for line in sentence_lines(document) for number in numbers.numbers(line.text)} if large else set()
    )
    return any(numbers.find_sum(value, values) for value in large)
