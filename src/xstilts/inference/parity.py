"""Likeness: how far the answers of one form of a network are from those of another.

>>> import torch
>>> ours, theirs, mask = torch.tensor([[0.0, 2.0]]), torch.tensor([[1.0, 2.0]]), torch.ones(1, 4)
>>> between(ours, theirs, mask, "classification")
Likeness(difference=1.0, largest=2.0, equal=1, decisions=1)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Likeness:
    """The largest difference of two logits beside the largest logit; how many of the decisions are equal."""

    difference: float = 0.0
    largest: float = 0.0
    equal: int = 0
    decisions: int = 0

    def and_also(self, other: Likeness) -> Likeness:
        """Return the likeness over the answers of both."""
        return Likeness(
            max(self.difference, other.difference),
            max(self.largest, other.largest),
            self.equal + other.equal,
            self.decisions + other.decisions,
        )

    @property
    def agreement(self) -> float | None:
        """The share of equal decisions; None where nothing was decided."""
        return self.equal / self.decisions if self.decisions else None


def between(found: Tensor, expected: Tensor, mask: Tensor, format: str) -> Likeness:
    """Compare logits as a head of a kind gives them, but for what it says of padding (mask 0)."""
    seen = mask.bool() if expected.ndim > 2 else torch.ones(len(expected), dtype=torch.bool, device=expected.device)
    ours, theirs = decided(found, mask, format), decided(expected, mask, format)
    return Likeness(
        float((found - expected)[seen].abs().max()),
        float(expected[seen].abs().max()),
        int((ours == theirs).sum()),
        ours.numel(),
    )


def decided(logits: Tensor, mask: Tensor, format: str) -> Tensor:
    """Return the arg-max: a label a sequence (classification) or a token (tagging, mlm), start and end (span).

    Empty for choice, whose logits are compared across sequences, and for vectors.
    """
    if format == "extractive_qa":
        return logits.masked_fill(mask.unsqueeze(-1) == 0, -torch.inf).argmax(1).flatten()
    if format in ("token_classification", "masked_lm"):
        return logits.argmax(-1)[mask.bool()]
    return logits.argmax(-1) if format == "classification" else logits.new_empty(0, dtype=torch.long)
