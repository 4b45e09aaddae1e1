"""Kinds: the formats of tasks. One module a format, each a handful of functions that say the whole of it.

A kind turns examples into units (one loss term or one prediction, of one or several sequences), puts units into
batches, gives their loss, and turns a network's answers back into predictions about examples. It knows no data set.

>>> task_format("classification").divisible
True
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from xstilts.models.batch import Batch, ModelInput
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer


class Format(Protocol):
    """What every module of this folder provides."""

    divisible: bool
    """Whether a batch may be cut into smaller ones: its loss is a sum over units."""
    headless: bool
    """Whether a bare encoder answers: what it says are vectors, and there is no head to train or load."""

    def encode(
        self, examples: Sequence[Any], tokens: Tokenizer, max_length: int, labels: tuple[str, ...], cut: Counter[str]
    ) -> list[ModelInput]:
        """Return the units of examples in order; count in `cut` what did not fit and what became of it."""

    def collate(self, units: Sequence[ModelInput], tokens: Tokenizer, random: torch.Generator | None = None) -> Batch:
        """Put units into one batch, with randomness, if any, from a generator on the CPU."""

    def loss(self, network: Network, head: str, batch: Batch) -> Tensor:
        """Return the sum of the losses of a batch."""

    def predict(self, network: Network, head: str, batch: Batch, units: Sequence[ModelInput]) -> list[Any]:
        """Return what the network says of each unit, as plain values or arrays."""

    def decode(
        self, answers: Sequence[Any], units: Sequence[ModelInput], examples: Sequence[Any], labels: tuple[str, ...]
    ) -> list[Mapping[str, Any]]:
        """Return a line for each example: `id`, `prediction` and what else is worth keeping."""

    def chance(self, examples: Sequence[Any]) -> float:
        """Return the score, out of 100, of the best answer that ignores the input."""


@cache
def task_format(name: str) -> Format:
    """Return a kind by name: a module of this folder."""
    return cast(Format, import_module(f"xstilts.formats.{name}"))


def majority(labels: Sequence[Any]) -> float:
    """Return the share of the most frequent label, out of 100."""
    counts = Counter(label for label in labels if label is not None)
    return 100 * max(counts.values(), default=0) / max(counts.total(), 1)
