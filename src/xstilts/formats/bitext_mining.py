"""Mining: which sentences of two monolingual texts are translations of each other, if any?

Untrained: sentences are the mean of their pieces' states, at every layer in one pass; pairs are mined by the ratio
margin over four neighbours both ways, each sentence in at most one pair (Artetxe & Schwenk 2019; XTREME's BUCC). From
which score on a pair counts as found is decided on development data (`score`), not here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xstilts.data.examples import PassageExample
from xstilts.formats.passage_ranking import chance, collate, encode, loss, rows
from xstilts.metrics import identify, mine, unambiguous
from xstilts.models.batch import Batch, ModelInput
from xstilts.models.heads import mean_pool
from xstilts.models.network import Network

__all__ = ["chance", "collate", "decode", "divisible", "encode", "headless", "loss", "predict"]

divisible, headless = True, True
Found = dict[str, list[Any]]


def predict(network: Network, head: str, batch: Batch, units: Sequence[ModelInput]) -> list[NDArray[np.float32]]:
    """Return each sentence's vectors as (layers, width), layer 0 being the embeddings."""
    states = network.all_hidden_states(batch.ids, batch.mask, batch.packing)
    return list(torch.stack([mean_pool(state, batch.mask) for state in states], dim=1).float().cpu().numpy())


def decode(
    answers: Sequence[NDArray[np.float32]],
    units: Sequence[ModelInput],
    examples: Sequence[PassageExample],
    labels: tuple[str, ...],
) -> list[Mapping[str, Any]]:
    """Return for each query, layer by layer, the id of the sentence mined for it and the pair's score, or None."""
    order = np.argsort([unit.example for unit in units])
    vectors = np.stack(answers)[order]
    layers = [_mined(vectors[:, layer], examples) for layer in range(vectors.shape[1])]
    asking = [examples[row].id for row in rows(examples, "query")]
    return [{"id": id, "prediction": [layer.get(id) for layer in layers]} for id in asking]


def _mined(vectors: NDArray[np.float32], examples: Sequence[PassageExample]) -> Found:
    """Return [id, score] of the candidate mined for each sentence of the other side, by its id."""
    sides = [rows(examples, "query", "bystander"), rows(examples, "candidate")]
    texts = [[examples[row].text for row in side] for side in sides]
    known = [unambiguous([examples[row].id for row in s], t) for s, t in zip(sides, texts, strict=True)]
    found = mine(texts[0], vectors[sides[0]], texts[1], vectors[sides[1]])
    return {source: [candidate, score] for (source, candidate), score in identify(found, *known).items()}
