"""Verdict on a claim (SUPPORTED, CONTRADICTED or NOT_ENOUGH_INFO), its reason, and the places that it rests on.

Without a calibrated NLI model only words decide. SUPPORTED: the claim occurs as a whole sentence with its numbers and
hedges. CONTRADICTED: the same words with another number for the same thing, or denied by a single "not". Everything
else abstains, paraphrases included: similarity does not tell support from contradiction. Each sentence is judged by
itself, so that neither other documents nor their order change a verdict.

>>> from xstilts.evidence.text.documents import Document
>>> document = Document("doc:made-up", "body", "MNLI improves XNLI by 8.2 points on the dev set.")
>>> claims = [document.text.replace(*swap) for swap in (("", ""), ("8.2", "2.8"), ("dev", "test"))]
>>> [decide(claim, [document], document.work).status for claim in claims]
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
MIN_OVERLAP = 0.5  # least share of a claim's content words in a sentence that the NLI model reads
NOT_STATED = "no sentence states it in these words"


@dataclass(frozen=True)
class Recomputation:
    """A query on the run store that reproduces a claim's number.

    Attributes:
        query: The query in words.
        files: sha256 of every result file that it read.

    Raises:
        InputError: The query is empty, or there is no file or one that is no digest.
    """

    query: str
    files: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.query.strip() or not self.files:
            raise InputError(
                f"a recomputation by '{self.query}' of {len(self.files)} files; name a query and its files"
            )
        for digest in self.files:
            if not re.fullmatch(r"[0-9a-f]{64}", digest):
                raise InputError(f"'{digest}' is no sha256; name result files by the digest of their bytes")


@dataclass(frozen=True)
class Entailment:
    """An NLI model's probabilities for a claim, given a sentence.

    Attributes:
        supports: Probability of support.
        contradicts: Probability of contradiction.
        neutral: Probability of neither.
        calibrated: Whether the model may decide; its model card says so.
        threshold: Probability from which it decides.

    Raises:
        InputError: The probabilities do not add up to 1, or the threshold is not in (0.5, 1].
    """

    supports: float
    contradicts: float
    neutral: float
    calibrated: bool = False
    threshold: float = 1.0

    def __post_init__(self) -> None:
        three = (self.supports, self.contradicts, self.neutral)
        if not all(0 <= p <= 1 for p in three) or not math.isclose(sum(three), 1, abs_tol=1e-3):
            raise InputError(f"probabilities {three}; give three between 0 and 1 that add up to 1")
        if not 0.5 < self.threshold <= 1:
            raise InputError(
                f"threshold {self.threshold}; only above 0.5, and at most at 1, can one verdict be reached"
            )

    @property
    def status(self) -> Status:
        """The verdict on a claim that follows from these probabilities of one sentence alone."""
        if self.calibrated and self.supports >= self.threshold:
            return "SUPPORTED"
        return "CONTRADICTED" if self.calibrated and self.contradicts >= self.threshold else "NOT_ENOUGH_INFO"


NliFunction = Callable[[str, str], Entailment]  # claim, sentence
NearFunction = Callable[[str, Sequence[str]], Sequence[bool]]  # claim, sentences: which are near to it in meaning


@dataclass(frozen=True)
class SentenceEntailment:
    """What an NLI model says about a claim and one sentence.

    Attributes:
        locator: The place of the sentence.
        text: The sentence.
        entailment: The probabilities of the labels for the claim, given the sentence.
    """

    locator: Locator
    text: str
    entailment: Entailment


@dataclass(frozen=True)
class Decision:
    """A verdict on a claim, and what it rests on.

    Attributes:
        status: The verdict.
        why: Reason in words.
        locators: Places in texts.
        recomputation: A query that reproduces its number.
        quote: How the claim was found as a quote.
        numbers: How its numbers compare with the source.
        hedges: How its hedges compare with the source.
        entailment: An NLI model's probabilities, if one was used.

    Raises:
        InputError: A field has a wrong type, or a verdict other than NOT_ENOUGH_INFO has neither place nor
            recomputation.
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
        if not isinstance(self.locators, tuple) or not all(isinstance(locator, Locator) for locator in self.locators):
            raise InputError(f"locators {self.locators!r} of '{self.why}'; give a tuple of Locator")
        if self.recomputation is not None and not isinstance(self.recomputation, Recomputation):
            raise InputError(f"recomputation {self.recomputation!r} of '{self.why}'; give a Recomputation")
        if self.status != "NOT_ENOUGH_INFO" and not self._has_basis:
            raise InputError(f"{self.status} ('{self.why}') rests on nothing; give a locator or a recomputation")

    @property
    def verified(self) -> bool:
        """Whether the claim is supported by a place or a query that can be checked again; derived, never stored."""
        return self.status == "SUPPORTED" and self._has_basis

    @property
    def _has_basis(self) -> bool:
        return bool(self.locators) or self.recomputation is not None


def decide(
    claim: str,
    documents: Iterable[Document],
    work: str = "",
    nli: NliFunction | None = None,
    near: NearFunction | None = None,
) -> Decision:
    """Return the verdict of a work's texts on a claim.

    Args:
        claim: The claim.
        documents: Texts; their order changes nothing.
        work: Id of the work to judge by; "" for all works.
        nli: An NLI model, used only where words do not decide; an uncalibrated one decides nothing.
        near: Which further sentences it reads, beside those that share the claim's words; None: no others.

    Returns:
        The decision. A claim that is both stated and denied is NOT_ENOUGH_INFO.
    """
    documents = sorted(set(documents), key=lambda document: (document.work, document.part, document.sha256))
    own_documents = [document for document in documents if not work or document.work == work]
    match = quote.locate(claim, documents, work)
    decision = _decide_by_quote(claim, match, own_documents) or _decide_by_list(claim, own_documents)
    contradictions = contradiction.find_contradictions(claim, [] if decision and work else own_documents, work)
    if decision and contradictions:
        locators = (*decision.locators, *(document.locator for document in contradictions))
        return Decision(
            "NOT_ENOUGH_INFO", f"stated in one place, denied in another: {contradictions[0].why}", locators, quote=match
        )
    if decision:
        return decision
    if contradictions:
        return _contradicted(match, contradictions)
    return (
        _decide_by_nli(claim, own_documents, nli, near, match)
        if nli
        else Decision("NOT_ENOUGH_INFO", match.why or NOT_STATED, quote=match)
    )


def _decide_by_quote(claim: str, match: QuoteMatch, documents: Sequence[Document]) -> Decision | None:
    """Return the verdict on a claim that occurs word for word; None if it does not, or with other numbers or hedges."""
    if not match.matched or match.locator is None:
        return None
    text = next(document for document in documents if document.sha256 == match.locator.sha256)
    source = match.locator.read(text)
    for without_pages in (False, True):
        number_agreement, hedge_agreement = _agreement(claim, on_one_line(source, without_pages))
        if number_agreement.status == hedge_agreement.status == "AGREE":
            why = f"occurs in {match.locator.work}, {match.locator.part}, word for word ({match.status})"
            return Decision(
                "SUPPORTED", why, (match.locator,), quote=match, numbers=number_agreement, hedges=hedge_agreement
            )
    return None


def _decide_by_list(claim: str, documents: Sequence[Document]) -> Decision | None:
    """Return the verdict on a claim that is one reading of a sentence with "respectively"; None for any other."""
    for document in documents if is_whole(claim) else ():
        for line in sentence_lines(document):
            for number_agreement, hedge_agreement in (
                _agreement(claim, reading) for reading in readings(line.text) if quote.same_text(claim, reading)
            ):
                if number_agreement.status == hedge_agreement.status == "AGREE":
                    locator = document.locator(line.start, line.end)
                    match = quote.locate(locator.read(document), [document])
                    why = f"stands in {document.work}, {document.part}, as one item of lists with 'respectively'"
                    return Decision(
                        "SUPPORTED", why, (locator,), quote=match, numbers=number_agreement, hedges=hedge_agreement
                    )
    return None


def _agreement(claim: str, text: str) -> tuple[Agreement, Agreement]:
    """Compare numbers and hedges of a claim with those of a text."""
    return numbers.agree(claim, text), hedges.agree(claim, text)


def _contradicted(match: QuoteMatch, contradictions: Sequence[contradiction.Contradiction]) -> Decision:
    first = contradictions[0]
    return Decision(
        "CONTRADICTED",
        f"{first.locator.work} contradicts it: {first.why}",
        tuple(contradiction.locator for contradiction in contradictions),
        quote=match,
        numbers=first.numbers,
        hedges=first.hedges,
    )


def _decide_by_nli(
    claim: str, documents: Sequence[Document], nli: NliFunction, near: NearFunction | None, match: QuoteMatch
) -> Decision:
    """Return the verdict of a calibrated model over all candidate sentences; it abstains where these disagree."""
    judged = [
        SentenceEntailment(locator, text, nli(claim, text))
        for locator, text in _candidate_sentences(claim, documents, near)
    ]
    deciding = [
        item for item in judged if item.entailment.status != "NOT_ENOUGH_INFO" and not _is_ruled_out(claim, item)
    ]
    verdicts = {item.entailment.status for item in deciding}
    if len(verdicts) != 1:
        why = "the model finds both support and contradiction" if verdicts else _why_undecided(judged)
        best = max((item.entailment for item in judged), key=lambda item: item.supports, default=None)
        return Decision("NOT_ENOUGH_INFO", why, quote=match, entailment=best)
    first = deciding[0]
    says = "implies" if first.entailment.status == "SUPPORTED" else "denies"
    return Decision(
        first.entailment.status,
        f"{first.locator.work} {says} it, by a calibrated NLI model",
        tuple(item.locator for item in deciding),
        quote=match,
        numbers=numbers.agree(claim, first.text),
        hedges=hedges.agree(claim, first.text),
        entailment=first.entailment,
    )


def _is_ruled_out(claim: str, judged: SentenceEntailment) -> bool:
    """Return whether numbers, hedges or named terms speak against the model's verdict."""
    number_status, hedge_status = numbers.agree(claim, judged.text).status, hedges.agree(claim, judged.text).status
    if judged.entailment.status == "CONTRADICTED":
        return number_status == "CONSISTENT"
    names_covered = {term.name for term in find_terms(claim)} <= {term.name for term in find_terms(judged.text)}
    return not (names_covered and number_status == hedge_status == "AGREE")


def _why_undecided(judged: Sequence[SentenceEntailment]) -> str:
    if judged and not any(item.entailment.calibrated for item in judged):
        return f"{NOT_STATED}; the NLI model is not calibrated, so it decides nothing"
    return f"{NOT_STATED}, and the NLI model is not certain enough of any other"


def _candidate_sentences(
    claim: str, documents: Sequence[Document], near: NearFunction | None
) -> Iterator[tuple[Locator, str]]:
    """Yield the whole sentences with enough of a claim's content or near to it in meaning, by place.

    Neither depends on other texts, as a ranking would.
    """
    words = {word for word in content_stems(claim) if word != "#"}
    for document in documents:
        lines = sentence_lines(document)
        meant = near(claim, [line.text for line in lines]) if near and lines else [False] * len(lines)
        for line, is_near in zip(lines, meant, strict=True):
            if is_near or (words and len(words & line.stems) >= MIN_OVERLAP * len(words)):
                yield document.locator(line.start, line.end), line.text
