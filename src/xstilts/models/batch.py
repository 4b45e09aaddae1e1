"""TODO formats.batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from xstilts.models.packed_attention import PackedLayout
from xstilts.models.tokenization import Ids, Tokenizer

IGNORED = -100  # a target that no loss is taken of


def _nothing() -> Ids:
    return np.empty(0, dtype=np.int32)


@dataclass(frozen=True, slots=True)
class ModelInput:
    """What one loss term or one prediction is about.

    example: its place among the examples. sequences: token ids, one array each. target: what the kind wants to be
    answered. places: where in the example the tokens lie, for decoding.
    """

    example: int
    sequences: tuple[Ids, ...]
    target: Ids = field(default_factory=_nothing)
    places: Ids = field(default_factory=_nothing)

    @property
    def length(self) -> int:
        """Tokens of the longest sequence."""
        return max(len(sequence) for sequence in self.sequences)


@dataclass(frozen=True, slots=True)
class Batch:
    """Sequences padded on the right: ids and mask (sequences, tokens), and the kind's targets.

    packing: where the tokens lie, for an encoder that is to compute no padding.
    """

    ids: Tensor
    mask: Tensor
    targets: Tensor
    packing: PackedLayout | None = None

    def packed(self) -> Batch:
        """Return the batch, made on the CPU, with its packing."""
        return replace(self, packing=PackedLayout.of(self.mask.sum(1).tolist(), self.ids.shape[1]))

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


def padded(sequences: Sequence[Ids], value: int) -> Tensor:
    """Return arrays as one tensor (sequences, longest), filled up on the right with `value`."""
    width = max(len(sequence) for sequence in sequences)
    table = np.full((len(sequences), width), value, dtype=np.int64)
    for row, sequence in zip(table, sequences, strict=True):
        row[: len(sequence)] = sequence
    return torch.from_numpy(table)


def batch(inputs: Sequence[ModelInput], tokenizer: Tokenizer, targets: Tensor) -> Batch:
    """Return the sequences of units with targets made by the kind."""
    sequences = [sequence for model_input in inputs for sequence in model_input.sequences]
    ids = padded(sequences, tokenizer.special_tokens.pad)
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    return Batch(ids, (torch.arange(ids.shape[1]) < lengths[:, None]).long(), targets)


def single_targets(inputs: Sequence[ModelInput]) -> Tensor:
    """Return one target a unit, as (units,)."""
    return torch.from_numpy(np.array([model_input.target[0] for model_input in inputs], dtype=np.int64))
