"""Verifiers: what may be asked whether a sentence supports or contradicts a claim, and two that a model has to beat.

`Majority` reads nothing. `Likeness` takes shared words for support, which is how claims come to be ticked that their
source denies: it is measured beside every model, to show what its figures are worth.

>>> Likeness().ask([("Batches help.", "Batches do not help.")])[0].tolist()
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
    """What a card is made of: a name, a digest of all that decides its answers, and the answers."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def digest(self) -> str:
        """What tells it from all others."""

    def predict_logits(self, pairs: ClaimSentencePairs) -> Array:
        """Return logits (pairs, 3) of SUPPORT, CONTRADICT and NEUTRAL."""


@dataclass(frozen=True)
class Majority:
    """Says the same of all."""

    name: str = "majority"
    digest: str = "majority"

    def predict_logits(self, pairs: ClaimSentencePairs) -> Array:
        """Return zeros, which scaling turns into the shares of the labels."""
        return np.zeros((len(pairs), 3))


@dataclass(frozen=True)
class WordOverlap:
    """Says SUPPORT, the more of a claim's content stands in the sentence."""

    name: str = "shared words"
    digest: str = "shared words"

    def predict_logits(self, pairs: ClaimSentencePairs) -> Array:
        """Return the share of the claim's content as the logit of SUPPORT."""
        return np.array([[content_overlap(claim, sentence), 0.0, 0.0] for claim, sentence in pairs]).reshape(-1, 3)
