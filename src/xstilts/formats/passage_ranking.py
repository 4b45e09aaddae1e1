"""Passage ranking: which of many candidates, in any language, answer a query?

Query and candidate (with its context) are each embedded, and the nearest twenty candidates by cosine are predicted. A
network that was trained as a dual encoder embeds by its pooler, any other as the mean of the final states. It is
trained on pairs (the loss of `bitext_retrieval`), which acts on the last layer.
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
from xstilts.formats import Tuned, no_decisions, paired_features, score_examples
from xstilts.metrics import RANKED, Score, neighbours, normalise
from xstilts.models.batch import Batch, ModelInput, batch
from xstilts.models.heads import mean_pool
from xstilts.models.network import Network
from xstilts.models.tokenization import Ids, Tokenizer

divisible, headless, language_model, trainable = True, True, False, False
measured_untrained, layered, threshold_on_dev = False, False, False
sequences_per_input = 2
features, decisions = paired_features, no_decisions


def encode(
    examples: Sequence[PassageExample],
    tokenizer: Tokenizer,
    max_length: int,
    labels: tuple[str, ...],
    cut: Counter[str],
    query_length: int | None = None,
) -> list[ModelInput]:
    """Encode each passage as one sequence; what is too long is truncated in the context first, then in the text."""
    query_length = min(query_length or max_length, max_length)
    texts = tokenizer.segments([example.text for example in examples])
    contexts = tokenizer.segments([example.context or "" for example in examples])
    inputs = []
    for number, (example, text, context) in enumerate(zip(examples, texts, contexts, strict=True)):
        beside = None if example.context is None else context
        length = max_length if example.side == "candidate" else query_length
        inputs.append(ModelInput(number, (joined(text, beside, tokenizer, length, cut),)))
    return inputs


def joined(text: Ids, context: Ids | None, tokenizer: Tokenizer, max_length: int, cut: Counter[str]) -> Ids:
    """Join a text and its context to one sequence of at most `max_length` tokens, truncating the context first.

    Args:
        text: Token ids (tokens,).
        context: Token ids, or None for a text alone.
        tokenizer: Its special tokens surround both.
        max_length: Most tokens, special tokens included.
        cut: Its "truncated" is counted up where not all fits.
    """
    room = tokenizer.room(max_length, pair=context is not None)
    cut["truncated"] += len(text) + (0 if context is None else len(context)) > room
    kept = text[:room]
    return tokenizer.sequence(kept, None if context is None else context[: room - len(kept)])


def collate(inputs: Sequence[ModelInput], tokenizer: Tokenizer, random: torch.Generator | None = None) -> Batch:
    """Pad passages into one batch without targets."""
    return batch(inputs, tokenizer, torch.empty(0))


def loss(network: Network, head: str, batch: Batch) -> Tensor:
    """Refuse: passages are searched; training takes pairs."""
    raise InputError("passages have no loss: give --learn-from a task of pairs (format bitext_retrieval)")


def predict(network: Network, head: str, batch: Batch, inputs: Sequence[ModelInput]) -> list[NDArray[np.float32]]:
    """Compute each passage's embedding, (width,)."""
    if head in network.heads:
        vectors = network(head, batch.ids, batch.mask, batch.packing, batch.languages)
    else:
        vectors = mean_pool(network.encode(batch.ids, batch.mask, batch.packing, batch.languages), batch.mask)
    return list(vectors.float().cpu().numpy())


def decode(
    answers: Sequence[NDArray[np.float32]],
    inputs: Sequence[ModelInput],
    examples: Sequence[PassageExample],
    labels: tuple[str, ...],
) -> list[Mapping[str, Any]]:
    """Return for each query the ids of the nearest candidates, nearest first."""
    order = np.argsort([model_input.example for model_input in inputs])
    vectors = normalise(np.stack(answers)[order])
    queries, candidates = rows(examples, "query"), rows(examples, "candidate")
    _, places = neighbours(vectors[queries], vectors[candidates], RANKED)
    return [
        {"id": examples[row].id, "prediction": [examples[candidates[place]].id for place in nearest]}
        for row, nearest in zip(queries, places.tolist(), strict=True)
    ]


def rows(examples: Sequence[PassageExample], *sides: str) -> list[int]:
    """Return the row numbers of the passages on any of these sides ("query", "candidate", "bystander")."""
    return [number for number, example in enumerate(examples) if example.side in sides]


def chance(examples: Sequence[PassageExample]) -> float:
    """Return 0: a constant prediction finds next to nothing."""
    return 0.0


def score(
    examples: Sequence[PassageExample],
    lines: Sequence[Mapping[str, Any]],
    metric: str,
    language: str,
    tuned: Tuned = None,
) -> tuple[Score, dict[str, Any]]:
    """Score the queries; candidates and bystanders are not scored."""
    queries = [example for example in examples if example.side == "query"]
    return score_examples(queries, lines, metric, language)
