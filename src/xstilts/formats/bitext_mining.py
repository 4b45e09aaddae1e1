"""Bitext mining: which sentences of two monolingual corpora are translations of each other, if any?

No head is trained: a sentence is embedded as the mean of its tokens' states, at every layer in one pass; pairs are
mined by the ratio margin over four neighbours both ways, each sentence in at most one pair (Artetxe & Schwenk 2019;
XTREME's BUCC). `score` drops the pairs below a threshold that is chosen on development data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xstilts.data.examples import PassageExample
from xstilts.formats import Tuned, at_best_layer, no_decisions, paired_features
from xstilts.formats.passage_ranking import chance, collate, encode, loss, rows
from xstilts.metrics import Score, identify, mine, tune_threshold, unambiguous
from xstilts.metrics import metric as metric_of
from xstilts.models.batch import Batch, ModelInput
from xstilts.models.heads import mean_pool
from xstilts.models.network import Network

__all__ = [
    "chance",
    "collate",
    "decisions",
    "decode",
    "divisible",
    "encode",
    "features",
    "headless",
    "language_model",
    "layered",
    "loss",
    "measured_untrained",
    "predict",
    "score",
    "sequences_per_input",
    "threshold_on_dev",
    "trainable",
]

divisible, headless, language_model, trainable = True, True, False, False
measured_untrained, layered, threshold_on_dev = True, True, True
sequences_per_input = 2
features, decisions = paired_features, no_decisions
Found = dict[str, list[Any]]


def predict(network: Network, head: str, batch: Batch, inputs: Sequence[ModelInput]) -> list[NDArray[np.float32]]:
    """Compute each sentence's embedding at every layer, (layers + 1, width); layer 0 is the input embeddings."""
    states = network.all_hidden_states(batch.ids, batch.mask, batch.packing, batch.languages)
    return list(torch.stack([mean_pool(state, batch.mask) for state in states], dim=1).float().cpu().numpy())


def decode(
    answers: Sequence[NDArray[np.float32]],
    inputs: Sequence[ModelInput],
    examples: Sequence[PassageExample],
    labels: tuple[str, ...],
) -> list[Mapping[str, Any]]:
    """Return for each query, by layer, [id of the mined sentence, score of the pair], or None."""
    order = np.argsort([model_input.example for model_input in inputs])
    vectors = np.stack(answers)[order]
    layers = [_mined(vectors[:, layer], examples) for layer in range(vectors.shape[1])]
    queries = [examples[row].id for row in rows(examples, "query")]
    return [{"id": id, "prediction": [layer.get(id) for layer in layers]} for id in queries]


def _mined(vectors: NDArray[np.float32], examples: Sequence[PassageExample]) -> Found:
    """Return [id, score] of the candidate mined for each sentence of the other side, by its id."""
    sides = [rows(examples, "query", "bystander"), rows(examples, "candidate")]
    texts = [[examples[row].text for row in side] for side in sides]
    known = [unambiguous([examples[row].id for row in s], t) for s, t in zip(sides, texts, strict=True)]
    pairs = mine(texts[0], vectors[sides[0]], texts[1], vectors[sides[1]])
    return {source: [candidate, score] for (source, candidate), score in identify(pairs, *known).items()}


def score(
    examples: Sequence[PassageExample],
    lines: Sequence[Mapping[str, Any]],
    metric: str,
    language: str,
    tuned: Tuned = None,
) -> tuple[Score, dict[str, Any]]:
    """Score, at the chosen layer, the pairs above each layer's threshold.

    Thresholds are those of the development data (`tuned`). Without it they are the best on these very data, which
    `threshold_from` says: an upper bound, not a result.
    """
    queries = [example for example in examples if example.side == "query"]
    gold = {(example.id, target) for example in queries for target in example.targets}
    layers = [{line["id"]: line["prediction"][n] for line in lines} for n in range(len(lines[0]["prediction"]))]
    thresholds = tuned["thresholds"] if tuned else [_threshold(layer, gold) for layer in layers]
    kept = [
        {id: pair[0] if pair and pair[1] >= threshold else None for id, pair in layer.items()}
        for layer, threshold in zip(layers, thresholds, strict=True)
    ]
    result, notes = at_best_layer([metric_of(metric)(queries, pairs) for pairs in kept], tuned)
    source = "other data" if tuned else "these data: the best there is, not a result"
    notes |= {"threshold": thresholds[notes["layer"]], "thresholds": thresholds, "threshold_from": source}
    return result, notes


def _threshold(layer: Mapping[str, Any], gold: set[tuple[str, str]]) -> float:
    return tune_threshold({(id, pair[0]): pair[1] for id, pair in layer.items() if pair}, gold)
