"""Retrieval: find a sentence's translation among all the others.

As a task it is untrained: sentences are the mean of their pieces' states, at every layer in one pass, and each
English sentence takes the nearest sentence of the other language (cosine; the lowest row at a tie), as XTREME's
Tatoeba does. As a lesson it is the translation ranking loss: each sentence must find its translation within the batch
(InfoNCE, both ways, temperature 0.05).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from xstilts.data.examples import BitextExample
from xstilts.formats.passage_ranking import joined
from xstilts.metrics import nearest_source
from xstilts.models.batch import Batch, ModelInput, batch
from xstilts.models.heads import mean_pool
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer

divisible, headless = False, True
TEMPERATURE = 0.05


def encode(
    examples: Sequence[BitextExample], tokens: Tokenizer, max_length: int, labels: tuple[str, ...], cut: Counter[str]
) -> list[ModelInput]:
    """Return one unit a pair: the sentence, then its English translation (or the answer with its context)."""
    sources = tokens.segments([example.source for example in examples])
    english = tokens.segments([example.english for example in examples])
    contexts = tokens.segments([example.context or "" for example in examples])
    units = []
    for number, (example, a, b, context) in enumerate(zip(examples, sources, english, contexts, strict=True)):
        beside = None if example.context is None else context
        pair = joined(a, None, tokens, max_length, cut), joined(b, beside, tokens, max_length, cut)
        units.append(ModelInput(number, pair, np.array([number], dtype=np.int32)))
    return units


def collate(units: Sequence[ModelInput], tokens: Tokenizer, random: torch.Generator | None = None) -> Batch:
    """Put pairs into one batch; the targets are the pairs' places in it."""
    return batch(units, tokens, torch.arange(len(units)))


def loss(network: Network, head: str, batch: Batch) -> Tensor:
    """Return the summed ranking loss, the mean of both directions."""
    vectors = normalize(mean_pool(network.encode(batch.ids, batch.mask, batch.packing), batch.mask).float(), dim=-1)
    similarity = vectors[0::2] @ vectors[1::2].T / TEMPERATURE
    forth = cross_entropy(similarity, batch.targets, reduction="sum")
    back = cross_entropy(similarity.T, batch.targets, reduction="sum")
    return (forth + back) / 2


def predict(network: Network, head: str, batch: Batch, units: Sequence[ModelInput]) -> list[NDArray[np.float32]]:
    """Return for each pair its vectors as (2, layers, width), layer 0 being the embeddings; of one sentence, one."""
    states = network.all_hidden_states(batch.ids, batch.mask, batch.packing)
    vectors = torch.stack([mean_pool(state, batch.mask) for state in states], dim=1).float().cpu().numpy()
    return list(vectors.reshape(len(units), -1, *vectors.shape[1:]))


def decode(
    answers: Sequence[NDArray[np.float32]],
    units: Sequence[ModelInput],
    examples: Sequence[BitextExample],
    labels: tuple[str, ...],
) -> list[Mapping[str, Any]]:
    """Return for each English sentence, layer by layer, the id of the sentence found."""
    order = np.argsort([unit.example for unit in units])
    vectors = np.stack(answers)[order]
    found = [nearest_source(vectors[:, 0, layer], vectors[:, 1, layer]) for layer in range(vectors.shape[2])]
    return [
        {"id": example.id, "prediction": [examples[rows[number]].id for rows in found]}
        for number, example in enumerate(examples)
    ]


def chance(examples: Sequence[BitextExample]) -> float:
    """Return the share that a blind guess finds."""
    return 100 / max(len(examples), 1)
