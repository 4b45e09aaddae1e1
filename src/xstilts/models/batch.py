"""Model inputs and batches: token ids of encoded examples, padded together, with their targets.

>>> padded([np.array([5, 6]), np.array([7])], value=1).tolist()
[[5, 6], [7, 1]]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from xstilts.models.packed_attention import PackedLayout
from xstilts.models.tokenization import Ids, Tokenizer

IGNORED = -100  # a target without a loss


def _nothing() -> Ids:
    return np.empty(0, dtype=np.int32)


@dataclass(frozen=True, slots=True)
class ModelInput:
    """One encoded example, or one window of a long one.

    Args:
        example: Its position among the examples.
        sequences: Token ids of one or more sequences, each (tokens,).
        target: What the network is to predict, in the format's own shape; empty where the format has none.
        places: Where in the example the tokens lie, in the format's own shape, for decoding.
        languages: Code of the language of each sequence, for encoders with adapters for languages; empty: not known.
    """

    example: int
    sequences: tuple[Ids, ...]
    target: Ids = field(default_factory=_nothing)
    places: Ids = field(default_factory=_nothing)
    languages: tuple[str, ...] = ()

    @property
    def length(self) -> int:
        """Tokens of the longest sequence."""
        return max(len(sequence) for sequence in self.sequences)


@dataclass(frozen=True, slots=True)
class Batch:
    """Sequences padded on the right.

    Args:
        ids: Token ids, (sequences, tokens).
        mask: 1 for tokens, 0 for padding, (sequences, tokens).
        targets: In the format's own shape; `IGNORED` where there is no loss.
        packing: Where the tokens lie, for an encoder that computes no padding; None: it computes all.
        sequence_counts: How many sequences each input has, where inputs differ in it; None: all have equally many.
        languages: Code of the language of each sequence; empty: not known.
    """

    ids: Tensor
    mask: Tensor
    targets: Tensor
    packing: PackedLayout | None = None
    sequence_counts: tuple[int, ...] | None = None
    languages: tuple[str, ...] = ()

    def packed(self) -> Batch:
        """Return the batch with its packing; it must be on the CPU."""
        return replace(self, packing=PackedLayout.of(self.mask.sum(1).tolist(), self.ids.shape[1]))

    def pinned(self) -> Batch:
        """Return the batch in pinned memory, from which it is copied to a GPU asynchronously."""
        return self._moved(Tensor.pin_memory)

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        return self._moved(lambda tensor: tensor.to(device, non_blocking=True))

    def _moved(self, move: Callable[[Tensor], Tensor]) -> Batch:
        packing = self.packing and self.packing.moved(move)
        return replace(self, ids=move(self.ids), mask=move(self.mask), targets=move(self.targets), packing=packing)

    @property
    def labels(self) -> int:
        """How many targets have a loss."""
        return int((self.targets != IGNORED).sum())


def padded(sequences: Sequence[Ids], value: int) -> Tensor:
    """Pad arrays on the right with `value` to one tensor, (sequences, longest)."""
    width = max(len(sequence) for sequence in sequences)
    table = np.full((len(sequences), width), value, dtype=np.int64)
    for row, sequence in zip(table, sequences, strict=True):
        row[: len(sequence)] = sequence
    return torch.from_numpy(table)


def batch(inputs: Sequence[ModelInput], tokenizer: Tokenizer, targets: Tensor) -> Batch:
    """Pad the sequences of model inputs into one batch.

    Args:
        inputs: In the order of the batch.
        tokenizer: Gives the padding token.
        targets: Made by the format.
    """
    sequences = [sequence for model_input in inputs for sequence in model_input.sequences]
    ids = padded(sequences, tokenizer.special_tokens.pad)
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    languages = tuple(code for model_input in inputs for code in model_input.languages)
    mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
    return Batch(ids, mask, targets, languages=languages if len(languages) == len(sequences) else ())


def single_targets(inputs: Sequence[ModelInput]) -> Tensor:
    """Return the first target of each input, (inputs,)."""
    return torch.from_numpy(np.array([model_input.target[0] for model_input in inputs], dtype=np.int64))
