"""Bitext retrieval: find a sentence's translation among all the others.

As a target it needs no training: a sentence is embedded as the mean of its tokens' states, at every layer in one pass,
and each English sentence retrieves the nearest sentence of the other language (cosine; the lowest row at a tie), as
XTREME's Tatoeba does. As a training set it has the translation ranking loss: each sentence must find its translation
within the batch (InfoNCE, both ways, temperature 0.05). A network with the head of a dual encoder has XTREME-R's loss:
each first text must find the second one of its pair, by pooled states and a learned scale.
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
from xstilts.formats import Tuned, at_best_layer, no_decisions, paired_features
from xstilts.formats.passage_ranking import joined
from xstilts.metrics import Score, nearest_source
from xstilts.metrics import metric as metric_of
from xstilts.models.batch import Batch, ModelInput, batch
from xstilts.models.heads import DualEncoderHead, mean_pool
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer

divisible, headless, language_model, trainable = False, True, False, True
measured_untrained, layered, threshold_on_dev = True, True, False
sequences_per_input = 2
features, decisions = paired_features, no_decisions
TEMPERATURE = 0.05


def encode(
    examples: Sequence[BitextExample],
    tokenizer: Tokenizer,
    max_length: int,
    labels: tuple[str, ...],
    cut: Counter[str],
    query_length: int | None = None,
) -> list[ModelInput]:
    """Encode each pair as one input of two sequences: the sentence, and its English translation with its context."""
    first_length = min(query_length or max_length, max_length)
    sources = tokenizer.segments([example.source for example in examples])
    english = tokenizer.segments([example.english for example in examples])
    contexts = tokenizer.segments([example.context or "" for example in examples])
    inputs = []
    for number, (example, a, b, context) in enumerate(zip(examples, sources, english, contexts, strict=True)):
        beside = None if example.context is None else context
        pair = joined(a, None, tokenizer, first_length, cut), joined(b, beside, tokenizer, max_length, cut)
        inputs.append(ModelInput(number, pair, np.array([number], dtype=np.int32)))
    return inputs


def collate(inputs: Sequence[ModelInput], tokenizer: Tokenizer, random: torch.Generator | None = None) -> Batch:
    """Pad pairs into one batch; targets (pairs,): the pairs' positions in it."""
    return batch(inputs, tokenizer, torch.arange(len(inputs)))


def loss(network: Network, head: str, batch: Batch) -> Tensor:
    """Compute the summed ranking loss: the mean of both directions, or a dual encoder's from first to second texts."""
    if head in network.heads:
        dual_encoder = network.heads[head]
        assert isinstance(dual_encoder, DualEncoderHead)
        vectors = normalize(network(head, batch.ids, batch.mask, batch.packing, batch.languages).float(), dim=-1)
        similarity = vectors[0::2] @ vectors[1::2].T * dual_encoder.scale
        return cross_entropy(similarity, batch.targets, reduction="sum")
    vectors = normalize(
        mean_pool(network.encode(batch.ids, batch.mask, batch.packing, batch.languages), batch.mask).float(), dim=-1
    )
    similarity = vectors[0::2] @ vectors[1::2].T / TEMPERATURE
    forth = cross_entropy(similarity, batch.targets, reduction="sum")
    back = cross_entropy(similarity.T, batch.targets, reduction="sum")
    return (forth + back) / 2


def predict(network: Network, head: str, batch: Batch, inputs: Sequence[ModelInput]) -> list[NDArray[np.float32]]:
    """Compute the embeddings of each input, (sequences, layers + 1, width); layer 0 is the input embeddings."""
    states = network.all_hidden_states(batch.ids, batch.mask, batch.packing, batch.languages)
    vectors = torch.stack([mean_pool(state, batch.mask) for state in states], dim=1).float().cpu().numpy()
    return list(vectors.reshape(len(inputs), -1, *vectors.shape[1:]))


def decode(
    answers: Sequence[NDArray[np.float32]],
    inputs: Sequence[ModelInput],
    examples: Sequence[BitextExample],
    labels: tuple[str, ...],
) -> list[Mapping[str, Any]]:
    """Return for each English sentence, by layer, the id of the retrieved sentence."""
    order = np.argsort([model_input.example for model_input in inputs])
    vectors = np.stack(answers)[order]
    retrieved = [nearest_source(vectors[:, 0, layer], vectors[:, 1, layer]) for layer in range(vectors.shape[2])]
    return [
        {"id": example.id, "prediction": [examples[rows[number]].id for rows in retrieved]}
        for number, example in enumerate(examples)
    ]


def chance(examples: Sequence[BitextExample]) -> float:
    """Return the share that a random guess retrieves."""
    return 100 / max(len(examples), 1)


def score(
    examples: Sequence[BitextExample],
    lines: Sequence[Mapping[str, Any]],
    metric: str,
    language: str,
    tuned: Tuned = None,
) -> tuple[Score, dict[str, Any]]:
    """Score every layer and choose one (`at_best_layer`)."""
    measure = metric_of(metric)
    layers = range(len(lines[0]["prediction"]))
    return at_best_layer(
        [measure(examples, {line["id"]: line["prediction"][layer] for line in lines}) for layer in layers], tuned
    )
