"""Masked-LM: guess the pieces that were hidden, in a text or in a text beside its translation.

Of 15 % of the pieces, drawn anew each time, 80 % become the mask, 10 % a random piece, 10 % stay (Devlin et al. 2019;
over translation pairs: Conneau & Lample 2019).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

from xstilts.data.examples import TextExample
from xstilts.errors import InputError
from xstilts.models.batch import IGNORED, Batch, ModelInput, batch
from xstilts.models.network import Network
from xstilts.models.tokenization import Ids, Tokenizer, longest_first

divisible, headless = True, False
SHARE = 0.15


def encode(
    examples: Sequence[TextExample], tokens: Tokenizer, max_length: int, labels: tuple[str, ...], cut: Counter[str]
) -> list[ModelInput]:
    """Return the units of texts: a long text becomes several, a pair too long gives from its longer half."""
    firsts = tokens.segments([example.text for example in examples])
    seconds = tokens.segments([example.pair or "" for example in examples])
    units = []
    for number, (example, a, b) in enumerate(zip(examples, firsts, seconds, strict=True)):
        if example.pair is not None:
            keep_a, keep_b = longest_first(len(a), len(b), tokens.room(max_length, pair=True))
            cut["truncated"] += keep_a + keep_b < len(a) + len(b)
            units.append(_unit(number, tokens.sequence(a[:keep_a], b[:keep_b])))
            continue
        room = tokens.room(max_length, pair=False)
        parts = [a[start : start + room] for start in range(0, max(len(a), 1), room)]
        cut["split"] += len(parts) > 1
        units += [_unit(number, tokens.sequence(part)) for part in parts]
    return units


def _unit(example: int, sequence: Ids) -> ModelInput:
    """Return a unit that is its text's alone: of equal texts, each has other pieces hidden."""
    return ModelInput(example, (sequence,), places=np.array([example], dtype=np.int32))


def collate(units: Sequence[ModelInput], tokens: Tokenizer, random: torch.Generator | None = None) -> Batch:
    """Put units into one batch, hide some of their pieces and make those the targets.

    Random numbers are drawn sequence by sequence, so that it does not matter how many share a batch.
    """
    whole = batch(units, tokens, torch.empty(0))
    each = [torch.rand(len(sequence), 3, generator=random) for unit in units for sequence in unit.sequences]
    hidden, drawn, any_piece = pad_sequence(each, batch_first=True).unbind(-1)
    open_to_masking = whole.mask.bool() & ~torch.isin(whole.ids, torch.tensor(sorted(tokens.special)))
    chosen = (hidden < SHARE) & open_to_masking
    targets = torch.where(chosen, whole.ids, IGNORED)
    ids = torch.where(chosen & (drawn < 0.8), _mask(tokens), whole.ids)
    strange = (any_piece * len(tokens)).long()
    ids = torch.where(chosen & (drawn >= 0.8) & (drawn < 0.9), strange, ids)
    return replace(whole, ids=ids, targets=targets)


def loss(network: Network, head: str, batch: Batch) -> Tensor:
    """Return the summed cross-entropy of the hidden pieces; only their states go through the head."""
    return _losses(network, head, batch).sum()


def predict(network: Network, head: str, batch: Batch, units: Sequence[ModelInput]) -> list[tuple[float, int]]:
    """Return for each unit the summed loss of its hidden pieces and their number."""
    hidden = batch.targets != IGNORED
    sums = torch.zeros(len(units), device=batch.ids.device)
    sums.index_add_(0, hidden.nonzero()[:, 0], _losses(network, head, batch))
    return list(zip(sums.tolist(), hidden.sum(1).tolist(), strict=True))


def decode(
    answers: Sequence[tuple[float, int]],
    units: Sequence[ModelInput],
    examples: Sequence[TextExample],
    labels: tuple[str, ...],
) -> list[Mapping[str, Any]]:
    """Return for each text the summed loss, in nats, of its hidden pieces and their number."""
    sums = [[0.0, 0] for _ in examples]
    for (loss_sum, count), unit in zip(answers, units, strict=True):
        sums[unit.example][0] += loss_sum
        sums[unit.example][1] += count
    return [
        {"id": example.id, "prediction": [round(nats, 5), count]}
        for example, (nats, count) in zip(examples, sums, strict=True)
    ]


def chance(examples: Sequence[TextExample]) -> float:
    """Return 0: a loss has no chance level."""
    return 0.0


def _losses(network: Network, head: str, batch: Batch) -> Tensor:
    hidden = batch.targets != IGNORED
    states = network.encode(batch.ids, batch.mask, batch.packing)[hidden]
    ones = torch.ones_like(states[:, :1], dtype=torch.long)
    logits = network.heads[head](states[:, None], ones, network.embedding_matrix)
    return cross_entropy(logits[:, 0].float(), batch.targets[hidden], reduction="none")


def _mask(tokens: Tokenizer) -> Tensor:
    if tokens.mask is None:
        raise InputError("the tokenizer has no mask piece, so masked-LM is not possible: use an encoder that has one")
    return torch.tensor(tokens.mask)
