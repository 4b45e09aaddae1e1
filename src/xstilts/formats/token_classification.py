"""Tagging: a tag for every word, told at the word's first piece.

A sentence that is too long is split between words and joined again after prediction, as in XTREME's scripts; nothing
vanishes from gold or prediction. A word of which the tokenizer makes nothing is the unknown piece.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from xstilts.data.examples import TaggingExample
from xstilts.metrics import split_sentence
from xstilts.models.batch import IGNORED, Batch, ModelInput, batch, padded
from xstilts.models.network import Network
from xstilts.models.tokenization import Ids, Tokenizer

divisible, headless = True, False


def encode(
    examples: Sequence[TaggingExample], tokens: Tokenizer, max_length: int, labels: tuple[str, ...], cut: Counter[str]
) -> list[ModelInput]:
    """Return a unit for each part of a sentence; `places` holds its first word, then each word's first piece.

    A tag that is not among the labels, as one that training has not seen, has no target.
    """
    pieces = iter(tokens.words([word for example in examples for word in example.tokens]))
    numbers = {label: number for number, label in enumerate(labels)}
    room = tokens.room(max_length, pair=False)
    units = []
    for number, example in enumerate(examples):
        words = [word[:room] for word in islice(pieces, len(example.tokens))]
        parts = split_sentence([len(word) for word in words], room)
        cut["split"] += len(parts) > 1
        targets = [numbers.get(tag, IGNORED) for tag in example.tags] or [IGNORED] * len(words)
        units += [_unit(number, words, targets, start, stop, tokens) for start, stop in parts]
    return units


def _unit(
    example: int, words: Sequence[Ids], targets: Sequence[int], start: int, stop: int, tokens: Tokenizer
) -> ModelInput:
    sequence = tokens.sequence(np.concatenate(words[start:stop]))
    lengths = np.array([len(word) for word in words[start:stop]])
    firsts = len(tokens.special_tokens.prefix) + np.cumsum(lengths) - lengths
    target = np.full(len(sequence), IGNORED, dtype=np.int32)
    target[firsts] = targets[start:stop]
    return ModelInput(example, (sequence,), target, np.array([start, *firsts], dtype=np.int32))


def collate(units: Sequence[ModelInput], tokens: Tokenizer, random: torch.Generator | None = None) -> Batch:
    """Put units into one batch with a target a piece."""
    return batch(units, tokens, padded([unit.target for unit in units], IGNORED))


def loss(network: Network, head: str, batch: Batch) -> Tensor:
    """Return the summed cross-entropy of the words' tags."""
    logits = network(head, batch.ids, batch.mask, batch.packing)
    return cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORED, reduction="sum")


def predict(network: Network, head: str, batch: Batch, units: Sequence[ModelInput]) -> list[list[int]]:
    """Return the number of the best tag of each word of each unit."""
    best = network(head, batch.ids, batch.mask, batch.packing).argmax(-1).cpu().numpy()
    return [row[unit.places[1:]].tolist() for row, unit in zip(best, units, strict=True)]


def decode(
    answers: Sequence[list[int]],
    units: Sequence[ModelInput],
    examples: Sequence[TaggingExample],
    labels: tuple[str, ...],
) -> list[Mapping[str, Any]]:
    """Return each sentence's tags, its parts joined again."""
    tags: list[list[str]] = [[] for _ in examples]
    for answer, unit in sorted(zip(answers, units, strict=True), key=lambda pair: int(pair[1].places[0])):
        tags[unit.example] += [labels[number] for number in answer]
    return [{"id": example.id, "prediction": found} for example, found in zip(examples, tags, strict=True)]


def chance(examples: Sequence[TaggingExample]) -> float:
    """Return 0: one tag for every word finds no entity."""
    return 0.0
