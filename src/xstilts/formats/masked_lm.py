"""Masked language modelling: predict masked tokens of a text, or of a text followed by its translation.

15 % of the tokens are selected anew each time; of these 80 % become the mask token, 10 % a random token, and 10 % stay
(Devlin et al. 2019; over translation pairs: Conneau & Lample 2019).
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
from xstilts.formats import Labels, States, decisions_by_token, score_examples
from xstilts.models.batch import IGNORED, Batch, ModelInput, batch
from xstilts.models.network import Network
from xstilts.models.tokenization import Ids, Tokenizer, longest_first

divisible, headless, language_model, trainable = True, False, True, True
measured_untrained, layered, threshold_on_dev = True, False, False
sequences_per_input = 1
score, decisions = score_examples, decisions_by_token
SHARE = 0.15


def encode(
    examples: Sequence[TextExample],
    tokenizer: Tokenizer,
    max_length: int,
    labels: tuple[str, ...],
    cut: Counter[str],
    query_length: int | None = None,
) -> list[ModelInput]:
    """Encode texts: a long text becomes several inputs, a pair that is too long is truncated in its longer half."""
    firsts = tokenizer.segments([example.text for example in examples])
    seconds = tokenizer.segments([example.pair or "" for example in examples])
    inputs = []
    for number, (example, a, b) in enumerate(zip(examples, firsts, seconds, strict=True)):
        if example.pair is not None:
            keep_a, keep_b = longest_first(len(a), len(b), tokenizer.room(max_length, pair=True))
            cut["truncated"] += keep_a + keep_b < len(a) + len(b)
            inputs.append(_model_input(number, tokenizer.sequence(a[:keep_a], b[:keep_b])))
            continue
        room = tokenizer.room(max_length, pair=False)
        parts = [a[start : start + room] for start in range(0, max(len(a), 1), room)]
        cut["split"] += len(parts) > 1
        inputs += [_model_input(number, tokenizer.sequence(part)) for part in parts]
    return inputs


def _model_input(example: int, sequence: Ids) -> ModelInput:
    """Return a model input that differs from those of equal texts, of which other tokens are masked."""
    return ModelInput(example, (sequence,), places=np.array([example], dtype=np.int32))


def collate(inputs: Sequence[ModelInput], tokenizer: Tokenizer, random: torch.Generator | None = None) -> Batch:
    """Pad inputs into one batch and mask some of their tokens; targets (inputs, tokens): their ids, else `IGNORED`.

    Random numbers are drawn sequence by sequence, so that masking does not depend on what else is in the batch.
    """
    whole = batch(inputs, tokenizer, torch.empty(0))
    each = [
        torch.rand(len(sequence), 3, generator=random) for model_input in inputs for sequence in model_input.sequences
    ]
    hidden, drawn, any_token = pad_sequence(each, batch_first=True).unbind(-1)
    open_to_masking = whole.mask.bool() & ~torch.isin(whole.ids, torch.tensor(sorted(tokenizer.special)))
    chosen = (hidden < SHARE) & open_to_masking
    targets = torch.where(chosen, whole.ids, IGNORED)
    ids = torch.where(chosen & (drawn < 0.8), _mask(tokenizer), whole.ids)
    strange = (any_token * len(tokenizer)).long()
    ids = torch.where(chosen & (drawn >= 0.8) & (drawn < 0.9), strange, ids)
    return replace(whole, ids=ids, targets=targets)


def loss(network: Network, head: str, batch: Batch) -> Tensor:
    """Compute the summed cross-entropy of the masked tokens; only their states go through the head."""
    return _losses(network, head, batch).sum()


def predict(network: Network, head: str, batch: Batch, inputs: Sequence[ModelInput]) -> list[tuple[float, int]]:
    """Compute for each input the summed loss of its masked tokens and their number."""
    hidden = batch.targets != IGNORED
    sums = torch.zeros(len(inputs), device=batch.ids.device)
    sums.index_add_(0, hidden.nonzero()[:, 0], _losses(network, head, batch))
    return list(zip(sums.tolist(), hidden.sum(1).tolist(), strict=True))


def decode(
    answers: Sequence[tuple[float, int]],
    inputs: Sequence[ModelInput],
    examples: Sequence[TextExample],
    labels: tuple[str, ...],
) -> list[Mapping[str, Any]]:
    """Return for each text the summed loss, in nats, of its masked tokens and their number."""
    sums = [[0.0, 0] for _ in examples]
    for (loss_sum, count), model_input in zip(answers, inputs, strict=True):
        sums[model_input.example][0] += loss_sum
        sums[model_input.example][1] += count
    return [
        {"id": example.id, "prediction": [round(nats, 5), count]}
        for example, (nats, count) in zip(examples, sums, strict=True)
    ]


def chance(examples: Sequence[TextExample]) -> float:
    """Return 0: a loss has no chance level."""
    return 0.0


def features(model_input: ModelInput, states: Sequence[States], pooling: str) -> tuple[States, Labels]:
    """Refuse: masked tokens are no labels to compare states by."""
    raise InputError("tasks of format 'masked_lm' have no labels to compare states by: give another target")


def _losses(network: Network, head: str, batch: Batch) -> Tensor:
    hidden = batch.targets != IGNORED
    states = network.encode(batch.ids, batch.mask, batch.packing, batch.languages)[hidden]
    ones = torch.ones_like(states[:, :1], dtype=torch.long)
    logits = network.heads[head](states[:, None], ones, network.embedding_matrix)
    return cross_entropy(logits[:, 0].float(), batch.targets[hidden], reduction="none")


def _mask(tokenizer: Tokenizer) -> Tensor:
    if tokenizer.mask is None:
        raise InputError("the tokenizer has no mask token, so masked-LM is not possible: use an encoder that has one")
    return torch.tensor(tokenizer.mask)
