"""Which sentences a verifier reads: those with half of a claim's content words, and those whose meaning is near.

How near is near is measured on the training claims of SciFact, once for a sentence encoder: the cosine that `RECALL` of
the sentences in rationales reach. It is a fixed cosine and not a number of best sentences, so that what other texts say
changes no verdict. The verifier's card keeps it, beside what it costs: the share of sentences that are read.

    rule = measure(encoder, data)
    near_function(encoder, rule)("Batches help.", ["Larger batches are better.", "We thank the reviewers."])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xstilts.errors import InputError
from xstilts.evidence.claims.verdict import MIN_OVERLAP, NearFunction
from xstilts.evidence.retrieval.sentence_encoder import SentenceEncoder
from xstilts.evidence.verifier.calibration import Array, LabelArray
from xstilts.evidence.verifier.scifact import Claim, SciFact, content_overlap, pairs

RECALL = 0.9


@dataclass(frozen=True)
class CandidateScores:
    """What a choice of sentences keeps.

    Attributes:
        recall: Share of the sentences in rationales that are read, 0 to 1.
        share: Share of all sentences of cited abstracts that are read, 0 to 1.
    """

    recall: float
    share: float


@dataclass(frozen=True)
class CandidateRule:
    """How near a sentence must be to be read.

    Attributes:
        encoder: Name of the sentence encoder.
        digest: Its digest.
        least: Least cosine of claim and sentence.
        by_words: The choice by words alone, on the development claims.
        by_both: The choice by words or meaning, on the development claims.
    """

    encoder: str
    digest: str
    least: float
    by_words: CandidateScores
    by_both: CandidateScores


def measure(encoder: SentenceEncoder, data: SciFact) -> CandidateRule:
    """Measure how near the sentences of rationales are to their claims.

    Args:
        encoder: The sentence encoder.
        data: SciFact; the training claims choose the cosine, the development claims measure it.

    Returns:
        The rule.
    """
    cosines, _, in_rationale = _sentences(encoder, data, data.train)
    least = float(np.quantile(cosines[in_rationale], 1 - RECALL))
    cosines, overlaps, in_rationale = _sentences(encoder, data, data.dev)
    by_words = overlaps >= MIN_OVERLAP
    by_both = by_words | (cosines >= least)
    return CandidateRule(
        encoder.encoder.name,
        encoder.encoder.digest,
        least,
        *(CandidateScores(float(kept[in_rationale].mean()), float(kept.mean())) for kept in (by_words, by_both)),
    )


def near_function(encoder: SentenceEncoder, rule: CandidateRule | None) -> NearFunction:
    """Return the function by which `decide` chooses sentences.

    Args:
        encoder: The sentence encoder.
        rule: The rule of the verifier's card.

    Raises:
        InputError: The card has none, or that of another encoder.
    """
    if rule is None or rule.digest != encoder.encoder.digest:
        measured = f"{rule.encoder} ({rule.digest[:12]})" if rule else "no sentence encoder"
        raise InputError(
            f"the verifier's card was made with {measured}, not with {encoder.encoder.name} "
            f"({encoder.encoder.digest[:12]}); make it again: xstilts evidence train-verifier --sentence-encoder"
        )

    def near(claim: str, sentences: Sequence[str]) -> list[bool]:
        return [bool(cosine >= rule.least) for cosine in encoder.passages(sentences) @ encoder.query(claim)]

    return near


def _sentences(encoder: SentenceEncoder, data: SciFact, claims: Sequence[Claim]) -> tuple[Array, Array, LabelArray]:
    """Return cosine, word overlap, and whether it is in a rationale, of each sentence of each cited abstract."""
    cited = [pair for pair in pairs(data, claims) if pair.abstract.sentences]
    texts = list(dict.fromkeys(sentence for pair in cited for sentence in pair.abstract.sentences))
    claimed = list(dict.fromkeys(pair.claim.text for pair in cited))
    vectors = dict(zip(texts, encoder.passages(texts, "SciFact"), strict=True))
    queries = dict(zip(claimed, encoder.queries(claimed), strict=True))
    rows = [
        (
            float(vectors[sentence] @ queries[pair.claim.text]),
            content_overlap(pair.claim.text, sentence),
            any(index in rationale for rationale in pair.claim.rationales.get(pair.abstract.id, ())),
        )
        for pair in cited
        for index, sentence in enumerate(pair.abstract.sentences)
    ]
    cosines, overlaps, in_rationale = zip(*rows, strict=True)
    return np.array(cosines), np.array(overlaps), np.array(in_rationale, dtype=bool)
