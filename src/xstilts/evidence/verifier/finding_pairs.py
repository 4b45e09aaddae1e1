"""A verifier on pairs of findings of a golden set: whether it tells the same finding from one that denies it.

Each finding is read as a claim with the other as its sentence, and the other way round. SUPPORT is right for the same
finding, CONTRADICT for a real conflict, and neither for pairs that only look like one or have nothing in common.

    measure(Majority(), card, golden_set.pairs).auc
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xstilts.evidence.verifier import calibration
from xstilts.evidence.verifier.baselines import Verifier
from xstilts.evidence.verifier.model_card import ModelCard
from xstilts.evidence.verifier.scifact import LABELS

RIGHT = {"same finding": LABELS[0], "real conflict": LABELS[1]}  # by relation; others are NEUTRAL


@dataclass(frozen=True)
class FindingPairScores:
    """Figures of a verifier on pairs of findings.

    Attributes:
        verifier: Name of the verifier.
        pairs: Number of pairs by relation.
        auc: AUC of the same finding against real conflicts, by the margin of SUPPORT over CONTRADICT.
        verdicts: By relation, the number of pairs that its threshold would call SUPPORT and CONTRADICT.
    """

    verifier: str
    pairs: Mapping[str, int]
    auc: float
    verdicts: Mapping[str, tuple[int, int]]

    @property
    def decided(self) -> int:
        """Pairs with a verdict."""
        return sum(map(sum, self.verdicts.values()))

    @property
    def right(self) -> int:
        """Pairs with the right verdict."""
        return sum(self.verdicts[name][LABELS.index(label)] for name, label in RIGHT.items() if name in self.verdicts)


def measure(verifier: Verifier, card: ModelCard, pairs: Sequence[Mapping[str, Any]]) -> FindingPairScores:
    """Measure a verifier on pairs of findings.

    Args:
        verifier: The verifier.
        card: Its card, with scaling and threshold; without a threshold it decides nothing.
        pairs: Rows of a golden set's pairs.jsonl.

    Returns:
        The scores.
    """
    relations = np.array([str(row["relation"]) for row in pairs], dtype=object)
    both = [[(row["sentence_a"], row["sentence_b"]), (row["sentence_b"], row["sentence_a"])] for row in pairs]
    logits = np.asarray(verifier.predict_logits([pair for two in both for pair in two]), dtype=np.float64)
    probabilities = card.scaling.probabilities(logits).reshape(-1, 2, len(LABELS))
    margins = (probabilities[..., 0] - probabilities[..., 1]).mean(1)
    likeliest = probabilities.max(1)  # one direction suffices: a finding may say more than the other
    limit = 2.0 if card.threshold is None else card.threshold
    verdicts: dict[str, tuple[int, int]] = {}
    for name in dict.fromkeys(relations):
        own = likeliest[relations == name]
        support, contradict = (own[:, label] >= limit for label in (0, 1))
        verdicts[name] = int((support & ~contradict).sum()), int((contradict & ~support).sum())
    same, conflict = (margins[relations == name] for name in RIGHT)
    return FindingPairScores(verifier.name, dict(Counter(relations)), calibration.auc(same, conflict), verdicts)
