"""Packed attention: the sequences of a batch one after another, without padding, each attending to itself only.

The encoder reads one long row of tokens; attention gets the boundaries of the sequences, and the final states are put
back where they would lie in a padded batch, so that heads and formats need not know. On a GPU attention is torch's
variable-length kernel, on a CPU one call for all sequences of equal length, which is there for tests and comparison:
padded batches of similar length are as fast on a CPU. The GPU's kernel has no dropout, so a packed training there has
dropout everywhere but in attention, as its record says.

>>> PackedLayout.of([2, 1], width=3).places.tolist()
[0, 1, 3]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

NAME = "xstilts_packed"
Rows = tuple[Tensor, Tensor, Tensor]  # queries, keys and values, (tokens, heads, size) each


@dataclass(frozen=True, slots=True)
class PackedLayout:
    """Where the tokens of a padded batch lie. It is computed on the CPU, so that nothing waits for a device.

    Args:
        places: Position of each token in the flattened padded batch, (tokens,).
        positions: Position of each token within its sequence, (tokens,).
        starts: Where sequences begin in the row, and its end, (sequences + 1,), int32.
        lengths: Of the sequences.
    """

    places: Tensor
    positions: Tensor
    starts: Tensor
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, lengths: Sequence[int], width: int) -> PackedLayout:
        """Compute the layout of sequences that are padded on the right to `width` tokens."""
        counts = np.asarray(lengths, dtype=np.int64)
        starts = np.concatenate([[0], np.cumsum(counts)])
        positions = np.arange(starts[-1]) - np.repeat(starts[:-1], counts)
        places = positions + np.repeat(np.arange(len(counts)) * width, counts)
        tensors = [torch.from_numpy(part) for part in (places, positions, starts.astype(np.int32))]
        return cls(tensors[0], tensors[1], tensors[2], tuple(counts.tolist()))

    def moved(self, move: Callable[[Tensor], Tensor]) -> PackedLayout:
        """Return the layout with its tensors moved by a function, such as `Tensor.pin_memory`."""
        return PackedLayout(move(self.places), move(self.positions), move(self.starts), self.lengths)

    def row(self, ids: Tensor) -> Tensor:
        """Pack a padded batch (sequences, width) into one row (1, tokens)."""
        return ids.flatten()[self.places][None]

    def spread(self, states: Tensor, width: int) -> Tensor:
        """Unpack states of the row (1, tokens, n) into the padded batch (sequences, width, n), zero at padding."""
        table = states.new_zeros(len(self.lengths) * width, states.shape[-1])
        return table.index_copy(0, self.places, states[0]).view(len(self.lengths), width, -1)


@contextmanager
def packed_forward(backbone: nn.Module, packing: PackedLayout, offset: int) -> Iterator[dict[str, Any]]:
    """Within this context a backbone attends within sequences.

    Args:
        backbone: Of a family that can be packed.
        packing: Of the batch that it will be called with.
        offset: The number of its first position.

    Yields:
        Further keyword arguments for its `forward`.
    """
    longest = max(packing.lengths)
    extra: dict[str, Any] = {"position_ids": (packing.positions + offset)[None], "cu_seq_lens_q": packing.starts}
    extra |= {"cu_seq_lens_k": packing.starts, "max_length_q": longest, "max_length_k": longest}
    with _attended_by(backbone.config, NAME):
        yield extra | {"lengths": packing.lengths}


def recomputation_contexts(
    backbone: nn.Module,
) -> Callable[[], tuple[AbstractContextManager[None], AbstractContextManager[None]]]:
    """Return a `context_fn` for `torch.utils.checkpoint` that keeps the attention implementation for recomputation.

    Layers are recomputed in the backward pass, when `packed_forward` is over; without this they would then attend as
    in a padded batch.
    """
    config: Any = backbone.config
    return lambda: (nullcontext(), _attended_by(config, config._attn_implementation))


@contextmanager
def _attended_by(config: Any, implementation: str) -> Iterator[None]:
    """Set the attention implementation of a configuration."""
    before, config._attn_implementation = config._attn_implementation, implementation
    try:
        yield
    finally:
        config._attn_implementation = before


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **extra: Any,
) -> tuple[Tensor, None]:
    """Attend within sequences, as transformers calls it: (1, heads, tokens, size) to (1, tokens, heads, size)."""
    causal = bool(getattr(module, "is_causal", False))
    window = extra.get("sliding_window")
    reach = -1 if window is None else window - 1
    rows = query[0].transpose(0, 1), key[0].transpose(0, 1), value[0].transpose(0, 1)
    if query.device.type == "cuda":
        found = _kernel(rows, extra, (reach, 0 if causal else reach))
    else:
        found = _by_length(rows, extra, causal, reach)
    return found[None], None


def _kernel(rows: Rows, extra: dict[str, Any], window: tuple[int, int]) -> Tensor:
    """Attend in one kernel on a GPU, which takes half precision only."""
    from torch.nn.attention.varlen import varlen_attn

    # Rotary positions and norms of queries come out in single precision.
    query, key, value = (row.to(torch.bfloat16) if row.dtype == torch.float32 else row for row in rows)
    found = varlen_attn(
        query,
        key,
        value,
        extra["cu_seq_lens_q"],
        extra["cu_seq_lens_k"],
        extra["max_length_q"],
        extra["max_length_k"],
        scale=extra.get("scaling"),
        window_size=window,
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return cast(Tensor, found)


def _by_length(rows: Rows, extra: dict[str, Any], causal: bool, reach: int) -> Tensor:
    """Attend among sequences of one length at a time, which need no padding."""
    lengths = np.array(extra["lengths"])
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    found = torch.empty_like(rows[0])
    for length in np.unique(lengths):
        places = torch.from_numpy(starts[lengths == length][:, None] + np.arange(length))
        query, key, value = (row[places].transpose(1, 2) for row in rows)
        attended = scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=_within(int(length), causal, reach),
            dropout_p=extra.get("dropout") or 0.0,
            scale=extra.get("scaling"),
            enable_gqa=query.shape[1] != key.shape[1],
        )
        found = found.index_put((places,), attended.transpose(1, 2))
    return found


def _within(length: int, causal: bool, reach: int) -> Tensor | None:
    """Return which tokens of a sequence attend to which, (length, length); None where all attend to all."""
    if not causal and reach < 0:
        return None
    place = torch.arange(length)
    back = place[:, None] - place[None, :]
    seen = back >= 0 if causal else torch.ones(length, length, dtype=torch.bool)
    return seen & (back.abs() <= reach) if reach >= 0 else seen


AttentionInterface.register(NAME, _attention)
