"""Kinds: the formats of tasks. One module a format, each a handful of functions that say the whole of it.

A kind turns examples into units (one loss term or one prediction, of one or several sequences), puts units into
batches, gives their loss, and turns a network's answers back into predictions about examples. It knows no data set.

>>> kind("classification").divisible
True
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from xstilts.models.network import Network
from xstilts.models.packed_attention import Packing
from xstilts.models.tokenization import Ids, Tokens

IGNORED = -100  # a target that no loss is taken of


def _nothing() -> Ids:
    return np.empty(0, dtype=np.int32)


@dataclass(frozen=True, slots=True)
class Unit:
    """What one loss term or one prediction is about.

    example: its place among the examples. sequences: token ids, one array each. target: what the kind wants to be
    answered. places: where in the example the pieces lie, for decoding.
    """

    example: int
    sequences: tuple[Ids, ...]
    target: Ids = field(default_factory=_nothing)
    places: Ids = field(default_factory=_nothing)

    @property
    def length(self) -> int:
        """Pieces of the longest sequence."""
        return max(len(sequence) for sequence in self.sequences)


@dataclass(frozen=True, slots=True)
class Batch:
    """Sequences padded on the right: ids and mask (sequences, pieces), and the kind's targets.

    packing: where the pieces lie, for an encoder that is to compute no padding.
    """

    ids: Tensor
    mask: Tensor
    targets: Tensor
    packing: Packing | None = None

    def packed(self) -> Batch:
        """Return the batch, made on the CPU, with its packing."""
        return replace(self, packing=Packing.of(self.mask.sum(1).tolist(), self.ids.shape[1]))

    def pinned(self) -> Batch:
        """Return the batch in memory from which a GPU takes it without a wait."""
        return self._moved(Tensor.pin_memory)

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        return self._moved(lambda tensor: tensor.to(device, non_blocking=True))

    def _moved(self, move: Callable[[Tensor], Tensor]) -> Batch:
        packing = self.packing and self.packing.moved(move)
        return Batch(move(self.ids), move(self.mask), move(self.targets), packing)

    @property
    def labels(self) -> int:
        """How many targets a loss is taken of."""
        return int((self.targets != IGNORED).sum())


class Kind(Protocol):
    """What every module of this folder provides."""

    divisible: bool
    """Whether a batch may be cut into smaller ones: its loss is a sum over units."""
    headless: bool
    """Whether a bare encoder answers: what it says are vectors, and there is no head to train or load."""

    def encode(
        self, examples: Sequence[Any], tokens: Tokens, max_length: int, labels: tuple[str, ...], cut: Counter[str]
    ) -> list[Unit]:
        """Return the units of examples in order; count in `cut` what did not fit and what became of it."""

    def collate(self, units: Sequence[Unit], tokens: Tokens, random: torch.Generator | None = None) -> Batch:
        """Put units into one batch, with randomness, if any, from a generator on the CPU."""

    def loss(self, network: Network, head: str, batch: Batch) -> Tensor:
        """Return the sum of the losses of a batch."""

    def predict(self, network: Network, head: str, batch: Batch, units: Sequence[Unit]) -> list[Any]:
        """Return what the network says of each unit, as plain values or arrays."""

    def decode(
        self, answers: Sequence[Any], units: Sequence[Unit], examples: Sequence[Any], labels: tuple[str, ...]
    ) -> list[Mapping[str, Any]]:
        """Return a line for each example: `id`, `prediction` and what else is worth keeping."""

    def chance(self, examples: Sequence[Any]) -> float:
        """Return the score, out of 100, of the best answer that ignores the input."""


@cache
def kind(name: str) -> Kind:
    """Return a kind by name: a module of this folder."""
    return cast(Kind, import_module(f"xstilts.formats.{name}"))


def padded(sequences: Sequence[Ids], value: int) -> Tensor:
    """Return arrays as one tensor (sequences, longest), filled up on the right with `value`."""
    width = max(len(sequence) for sequence in sequences)
    table = np.full((len(sequences), width), value, dtype=np.int64)
    for row, sequence in zip(table, sequences, strict=True):
        row[: len(sequence)] = sequence
    return torch.from_numpy(table)


def batch(units: Sequence[Unit], tokens: Tokens, targets: Tensor) -> Batch:
    """Return the sequences of units with targets made by the kind."""
    sequences = [sequence for unit in units for sequence in unit.sequences]
    ids = padded(sequences, tokens.pieces.pad)
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    return Batch(ids, (torch.arange(ids.shape[1]) < lengths[:, None]).long(), targets)


def single_targets(units: Sequence[Unit]) -> Tensor:
    """Return one target a unit, as (units,)."""
    return torch.from_numpy(np.array([unit.target[0] for unit in units], dtype=np.int64))


def majority(labels: Sequence[Any]) -> float:
    """Return the share of the most frequent label, out of 100."""
    counts = Counter(label for label in labels if label is not None)
    return 100 * max(counts.values(), default=0) / max(counts.total(), 1)
