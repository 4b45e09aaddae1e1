"""Parity: how far the outputs of one form of a network are from those of another.

>>> ours, theirs, mask = torch.tensor([[0.0, 2.0]]), torch.tensor([[1.0, 2.0]]), torch.ones(1, 4)
>>> compare(ours, theirs, mask, "classification")
Parity(difference=1.0, largest=2.0, equal=1, decisions=1)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from xstilts.formats import task_format


@dataclass(frozen=True)
class Parity:
    """How close two sets of logits are.

    Args:
        difference: The largest difference of two logits.
        largest: The largest logit, to compare it with.
        equal: How many arg-max decisions are equal.
        decisions: How many there are.
    """

    difference: float = 0.0
    largest: float = 0.0
    equal: int = 0
    decisions: int = 0

    def combined(self, other: Parity) -> Parity:
        """Return the parity over the logits of both."""
        return Parity(
            max(self.difference, other.difference),
            max(self.largest, other.largest),
            self.equal + other.equal,
            self.decisions + other.decisions,
        )

    @property
    def agreement(self) -> float | None:
        """The share of equal decisions; None where there are no decisions."""
        return self.equal / self.decisions if self.decisions else None


def compare(logits: Tensor, expected: Tensor, mask: Tensor, format: str) -> Parity:
    """Compare two sets of logits, padding apart.

    Args:
        logits: As the head of the format gives them.
        expected: The reference, of the same shape.
        mask: 1 for tokens, 0 for padding, (sequences, tokens).
        format: The task format, which knows what is decided (`Format.decisions`).
    """
    decisions = task_format(format).decisions
    kept = mask.bool() if expected.ndim > 2 else torch.ones(len(expected), dtype=torch.bool, device=expected.device)
    ours, theirs = decisions(logits, mask), decisions(expected, mask)
    return Parity(
        float((logits - expected)[kept].abs().max()),
        float(expected[kept].abs().max()),
        int((ours == theirs).sum()),
        ours.numel(),
    )
