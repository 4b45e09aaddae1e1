"""Interface of verifiers, which judge claims by sentences, and three baselines that a model must beat.

`Majority` ignores its input. `ClaimOnly` reads the claim and never the sentence: what it gets right shows how far the
claims give away their labels. `WordOverlap` takes shared words for support, as claims come to be confirmed that their
source denies. They are measured beside every model to put the model's figures into perspective.

>>> WordOverlap().predict_logits([("Batches help.", "Batches do not help.")])[0].tolist()
[1.0, 0.0, 0.0]
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from xstilts.evidence.text.hedges import content_stems
from xstilts.evidence.verifier.calibration import Array
from xstilts.evidence.verifier.scifact import LABELS, Pair, content_overlap

ClaimSentencePairs = Sequence[tuple[str, str]]  # claims and sentences


class Verifier(Protocol):
    """Interface of a verifier."""

    @property
    def name(self) -> str:
        """Name for display."""

    @property
    def digest(self) -> str:
        """Digest of everything that determines its predictions."""

    def predict_logits(self, pairs: ClaimSentencePairs) -> Array:
        """Return logits of pairs of claim and sentence.

        Shape:
            (pairs, 3): SUPPORT, CONTRADICT and NEUTRAL.
        """


@dataclass(frozen=True)
class Majority:
    """Predicts the same for every pair."""

    name: str = "majority"
    digest: str = "majority"

    def predict_logits(self, pairs: ClaimSentencePairs) -> Array:
        """Return zeros, which calibration turns into the label frequencies."""
        return np.zeros((len(pairs), 3))


@dataclass(frozen=True)
class WordOverlap:
    """Predicts SUPPORT with the share of the claim's content words that occur in the sentence."""

    name: str = "shared words"
    digest: str = "shared words"

    def predict_logits(self, pairs: ClaimSentencePairs) -> Array:
        """Return the share of the claim's content words as the logit of SUPPORT, and 0 for the others."""
        return np.array([[content_overlap(claim, sentence), 0.0, 0.0] for claim, sentence in pairs]).reshape(-1, 3)


@dataclass(frozen=True)
class ClaimOnly:
    """Predicts by the words of the claim alone, with naive Bayes.

    Attributes:
        weights: Of each stem the log-probability (3,) under SUPPORT, CONTRADICT and NEUTRAL.
        name: Name for display.
        digest: The same.
    """

    weights: Mapping[str, Array] = field(repr=False)
    name: str = "claim alone"
    digest: str = "claim alone"

    @classmethod
    def fit(cls, pairs: Sequence[Pair]) -> ClaimOnly:
        """Fit it to labelled pairs, with one added to each count."""
        counts = [Counter[str]() for _ in LABELS]
        for pair in pairs:
            counts[LABELS.index(pair.label)].update(set(content_stems(pair.claim.text)))
        stems = set().union(*counts)
        totals = np.array([count.total() + len(stems) for count in counts])
        return cls({stem: np.log((np.array([count[stem] for count in counts]) + 1) / totals) for stem in stems})

    def predict_logits(self, pairs: ClaimSentencePairs) -> Array:
        """Return the sum of the weights of the claim's stems; the frequencies of labels are left to calibration."""
        zero = np.zeros(len(LABELS))
        return np.array(
            [sum((self.weights.get(stem, zero) for stem in set(content_stems(claim))), zero) for claim, _ in pairs]
        ).reshape(-1, len(LABELS))
