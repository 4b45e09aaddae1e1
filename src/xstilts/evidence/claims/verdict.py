"""Decision: SUPPORTED, CONTRADICTED or NOT_ENOUGH_INFO, why, and where; `verified` is derived from it, never set.

Without a calibrated model of inference only words decide. SUPPORTED: the claim stands there as a whole sentence, with
its numbers and hedges. CONTRADICTED: the same words with another number of the same thing, or denied by one "not". All
else abstains, every paraphrase with it: likeness does not tell support from contradiction. Each sentence is judged by
itself, so that no other document and no order changes a verdict.

>>> from xstilts.evidence.text.documents import Document
>>> told = Document("doc:made-up", "body", "MNLI improves XNLI by 8.2 points on the dev set.")
>>> [decide(told.text.replace(*swap), [told], told.work).status for swap in (("", ""), ("8.2", "2.8"), ("dev", "test"))]
['SUPPORTED', 'CONTRADICTED', 'NOT_ENOUGH_INFO']
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from xstilts.errors import InputError
from xstilts.evidence.claims import contradiction, quote
from xstilts.evidence.claims.question import find_terms
from xstilts.evidence.claims.quote import QuoteMatch, on_one_line, sentence_lines
from xstilts.evidence.text import hedges, numbers
from xstilts.evidence.text.documents import Document, Locator, is_whole
from xstilts.evidence.text.hedges import content_stems
from xstilts.evidence.text.numbers import Agreement, readings

Status = Literal["SUPPORTED", "CONTRADICTED", "NOT_ENOUGH_INFO"]
MIN_OVERLAP = 0.5  # the share of a claim's content that a sentence must have before a model of inference reads it
NOT_STATED = "no sentence says so in these words"


@dataclass(frozen=True)
class Recomputation:
    """A query on the run store that gives the claim's number, and the sha256 of every result file that it read."""

    query: str
    files: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.query.strip() or not self.files:
            raise InputError(
                f"a recomputation by '{self.query}' of {len(self.files)} files; name a query and its files"
            )
        for one in self.files:
            if not re.fullmatch(r"[0-9a-f]{64}", one):
                raise InputError(f"'{one}' is no sha256; name result files by the digest of their bytes")


@dataclass(frozen=True)
class Entailment:
    """What a model of inference says of a claim, given a sentence: three probabilities that add up to one.

    threshold: above it, on held-out data, the model was right often enough. An uncalibrated one decides nothing.
    """

    supports: float
    contradicts: float
    neutral: float
    calibrated: bool = False
    threshold: float = 1.0

    def __post_init__(self) -> None:
        three = (self.supports, self.contradicts, self.neutral)
        if not all(0 <= one <= 1 for one in three) or not math.isclose(sum(three), 1, abs_tol=1e-3):
            raise InputError(f"probabilities {three}; give three between 0 and 1 that add up to 1")
        if not 0.5 < self.threshold <= 1:
            raise InputError(
                f"threshold {self.threshold}; only above 0.5, and at most at 1, can one verdict be reached"
            )

    @property
    def status(self) -> Status:
        """The verdict on the sentence alone."""
        if self.calibrated and self.supports >= self.threshold:
            return "SUPPORTED"
        return "CONTRADICTED" if self.calibrated and self.contradicts >= self.threshold else "NOT_ENOUGH_INFO"


NliFunction = Callable[[str, str], Entailment]  # claim, sentence


@dataclass(frozen=True)
class SentenceEntailment:
    """A sentence, where it stands, and what a model says of a claim given it."""

    locator: Locator
    text: str
    entailment: Entailment


@dataclass(frozen=True)
class Decision:
    """A verdict on a claim, and what it rests on: places in texts, or a query that was recomputed.

    quote, numbers and hedges: how the claim lies against its source. entailment: what a model said, if one was asked.
    """

    status: Status
    why: str
    locators: tuple[Locator, ...] = ()
    recomputation: Recomputation | None = None
    quote: QuoteMatch | None = None
    numbers: Agreement | None = None
    hedges: Agreement | None = None
    entailment: Entailment | None = None

    def __post_init__(self) -> None:
        if self.status not in get_args(Status):
            raise InputError(f"unknown verdict '{self.status}'; one of {', '.join(get_args(Status))}")
        if not isinstance(self.locators, tuple) or not all(isinstance(one, Locator) for one in self.locators):
            raise InputError(f"locators {self.locators!r} of '{self.why}'; give a tuple of Locator")
        if self.recomputation is not None and not isinstance(self.recomputation, Recomputation):
            raise InputError(f"recomputation {self.recomputation!r} of '{self.why}'; give a Recomputation")
        if self.status != "NOT_ENOUGH_INFO" and not self._has_basis:
            raise InputError(f"{self.status} ('{self.why}') rests on nothing; give a locator or a recomputation")

    @property
    def verified(self) -> bool:
        """Whether the claim is supported by a place that can be read again, or a query that can be asked again."""
        return self.status == "SUPPORTED" and self._has_basis

    @property
    def _has_basis(self) -> bool:
        return bool(self.locators) or self.recomputation is not None


def decide(claim: str, documents: Iterable[Document], work: str = "", reader: NliFunction | None = None) -> Decision:
    """Return the verdict of a work's texts on a claim; of all works, where none is named.

    reader: a model of inference, heard only where words do not decide, and only if it is calibrated.
    """
    documents = sorted(set(documents), key=lambda one: (one.work, one.part, one.sha256))
    own = [document for document in documents if not work or document.work == work]
    found = quote.locate(claim, documents, work)
    decision = _decide_by_quote(claim, found, own) or _decide_by_list(claim, own)
    against = contradiction.find_contradictions(claim, [] if decision and work else own, work)
    if decision and against:
        both = (*decision.locators, *(one.locator for one in against))
        return Decision("NOT_ENOUGH_INFO", f"said in one place, denied in another: {against[0].why}", both, quote=found)
    if decision:
        return decision
    if against:
        return _contradicted(found, against)
    return (
        _decide_by_nli(claim, own, reader, found)
        if reader
        else Decision("NOT_ENOUGH_INFO", found.why or NOT_STATED, quote=found)
    )


def _decide_by_quote(claim: str, found: QuoteMatch, documents: Sequence[Document]) -> Decision | None:
    """Return the verdict on a claim that stands there word for word; None where it does not, or is bent."""
    if not found.matched or found.locator is None:
        return None
    text = next(one for one in documents if one.sha256 == found.locator.sha256)
    source = found.locator.read(text)
    for without_pages in (False, True):
        said, bent = _agreement(claim, on_one_line(source, without_pages))
        if said.status == bent.status == "AGREE":
            why = f"stands in {found.locator.work}, {found.locator.part}, word for word ({found.status})"
            return Decision("SUPPORTED", why, (found.locator,), quote=found, numbers=said, hedges=bent)
    return None


def _decide_by_list(claim: str, documents: Sequence[Document]) -> Decision | None:
    """Return the verdict on a claim that is one reading of a sentence with "respectively"; None for any other."""
    for document in documents if is_whole(claim) else ():
        for line in sentence_lines(document):
            for said, bent in (_agreement(claim, one) for one in readings(line.text) if quote.same_text(claim, one)):
                if said.status == bent.status == "AGREE":
                    locator = document.locator(line.start, line.end)
                    found = quote.locate(locator.read(document), [document])
                    why = f"stands in {document.work}, {document.part}, as one item of lists with 'respectively'"
                    return Decision("SUPPORTED", why, (locator,), quote=found, numbers=said, hedges=bent)
    return None


def _agreement(claim: str, text: str) -> tuple[Agreement, Agreement]:
    """Return whether the numbers, and whether the hedges, of a claim are those of a text."""
    return numbers.agree(claim, text), hedges.agree(claim, text)


def _contradicted(found: QuoteMatch, against: Sequence[contradiction.Contradiction]) -> Decision:
    first = against[0]
    return Decision(
        "CONTRADICTED",
        f"{first.locator.work} says otherwise: {first.why}",
        tuple(one.locator for one in against),
        quote=found,
        numbers=first.numbers,
        hedges=first.hedges,
    )


def _decide_by_nli(claim: str, documents: Sequence[Document], reader: NliFunction, found: QuoteMatch) -> Decision:
    """Return what a calibrated model decides: one verdict of all sentences that are near enough, or none."""
    heard = [
        SentenceEntailment(locator, text, reader(claim, text))
        for locator, text in _candidate_sentences(claim, documents)
    ]
    deciding = [one for one in heard if one.entailment.status != "NOT_ENOUGH_INFO" and not _is_ruled_out(claim, one)]
    verdicts = {one.entailment.status for one in deciding}
    if len(verdicts) != 1:
        why = "the model reads both support and contradiction" if verdicts else _why_undecided(heard)
        shown = max((one.entailment for one in heard), key=lambda one: one.supports, default=None)
        return Decision("NOT_ENOUGH_INFO", why, quote=found, entailment=shown)
    first = deciding[0]
    says = "implies" if first.entailment.status == "SUPPORTED" else "denies"
    return Decision(
        first.entailment.status,
        f"{first.locator.work} {says} it, by a calibrated model of inference",
        tuple(one.locator for one in deciding),
        quote=found,
        numbers=numbers.agree(claim, first.text),
        hedges=hedges.agree(claim, first.text),
        entailment=first.entailment,
    )


def _is_ruled_out(claim: str, heard: SentenceEntailment) -> bool:
    """Return whether numbers, hedges, or what the claim names speak against what a model says."""
    said, bent = numbers.agree(claim, heard.text).status, hedges.agree(claim, heard.text).status
    if heard.entailment.status == "CONTRADICTED":
        return said == "CONSISTENT"
    named = {one.name for one in find_terms(claim)} <= {one.name for one in find_terms(heard.text)}
    return not (named and said == bent == "AGREE")


def _why_undecided(heard: Sequence[SentenceEntailment]) -> str:
    if heard and not any(one.entailment.calibrated for one in heard):
        return f"{NOT_STATED}; the model that reads others is not calibrated, and decides nothing"
    return f"{NOT_STATED}, nor clearly enough in others"


def _candidate_sentences(claim: str, documents: Sequence[Document]) -> Iterator[tuple[Locator, str]]:
    """Yield the whole sentences with enough of a claim's content, by place: no rank, which others could change."""
    wanted = {word for word in content_stems(claim) if word != "#"}
    for document in documents:
        for line in sentence_lines(document):
            if wanted and len(wanted & line.stems) >= MIN_OVERLAP * len(wanted):
                yield document.locator(line.start, line.end), line.text
