"""Ranking: which of many candidates, in any language, answer a query?

A dual encoder: query and candidate (with its context beside it) are each the mean of their last states, and the
nearest twenty candidates by cosine are the answer. It is taught by pairs (`retrieval`'s loss), so the last layer is
the one that has learned it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xstilts.data.examples import PassageExample
from xstilts.errors import InputError
from xstilts.metrics import RANKED, neighbours, normalise
from xstilts.models.batch import Batch, ModelInput, batch
from xstilts.models.heads import mean_pool
from xstilts.models.network import Network
from xstilts.models.tokenization import Ids, Tokenizer

divisible, headless = True, True


def encode(
    examples: Sequence[PassageExample], tokens: Tokenizer, max_length: int, labels: tuple[str, ...], cut: Counter[str]
) -> list[ModelInput]:
    """Return one unit a passage; a context that is too long is cut at its end, and only then the text."""
    texts = tokens.segments([example.text for example in examples])
    contexts = tokens.segments([example.context or "" for example in examples])
    units = []
    for number, (example, text, context) in enumerate(zip(examples, texts, contexts, strict=True)):
        beside = None if example.context is None else context
        units.append(ModelInput(number, (joined(text, beside, tokens, max_length, cut),)))
    return units


def joined(text: Ids, context: Ids | None, tokens: Tokenizer, max_length: int, cut: Counter[str]) -> Ids:
    """Return one sequence of a text and its context that fits; the context gives first."""
    room = tokens.room(max_length, pair=context is not None)
    cut["truncated"] += len(text) + (0 if context is None else len(context)) > room
    kept = text[:room]
    return tokens.sequence(kept, None if context is None else context[: room - len(kept)])


def collate(units: Sequence[ModelInput], tokens: Tokenizer, random: torch.Generator | None = None) -> Batch:
    """Put passages into one batch without targets."""
    return batch(units, tokens, torch.empty(0))


def loss(network: Network, head: str, batch: Batch) -> Tensor:
    """Refuse: passages are searched, pairs are learned from."""
    raise InputError("passages cannot be learned from: give --learn-from a task of pairs (format retrieval)")


def predict(network: Network, head: str, batch: Batch, units: Sequence[ModelInput]) -> list[NDArray[np.float32]]:
    """Return each passage's vector."""
    return list(mean_pool(network.encode(batch.ids, batch.mask, batch.packing), batch.mask).float().cpu().numpy())


def decode(
    answers: Sequence[NDArray[np.float32]],
    units: Sequence[ModelInput],
    examples: Sequence[PassageExample],
    labels: tuple[str, ...],
) -> list[Mapping[str, Any]]:
    """Return for each query the ids of the nearest candidates, nearest first."""
    order = np.argsort([unit.example for unit in units])
    vectors = normalise(np.stack(answers)[order])
    asking, found = rows(examples, "query"), rows(examples, "candidate")
    _, places = neighbours(vectors[asking], vectors[found], RANKED)
    return [
        {"id": examples[row].id, "prediction": [examples[found[place]].id for place in nearest]}
        for row, nearest in zip(asking, places.tolist(), strict=True)
    ]


def rows(examples: Sequence[PassageExample], *sides: str) -> list[int]:
    """Return the places of the passages of a side."""
    return [number for number, example in enumerate(examples) if example.side in sides]


def chance(examples: Sequence[PassageExample]) -> float:
    """Return 0: a blind guess finds next to nothing."""
    return 0.0
