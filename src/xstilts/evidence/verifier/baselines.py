"""Interface of verifiers, which judge claims by sentences, and two baselines that a model must beat.

`Majority` ignores its input. `WordOverlap` takes shared words for support, as claims come to be confirmed that their
source denies; it is measured beside every model to put the model's figures into perspective.

>>> WordOverlap().predict_logits([("Batches help.", "Batches do not help.")])[0].tolist()
[1.0, 0.0, 0.0]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from xstilts.evidence.verifier.calibration import Array
from xstilts.evidence.verifier.scifact import content_overlap

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
