"""Token classification: a tag for every word, predicted at the word's first token.

A sentence that is too long is split between words and joined again after prediction, as in XTREME's scripts; no word is
lost in gold or prediction. A word that the tokenizer drops is encoded as the unknown token.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from xstilts.data.examples import TaggingExample
from xstilts.formats import Labels, States, decisions_by_token, score_examples
from xstilts.metrics import split_sentence
from xstilts.models.batch import IGNORED, Batch, ModelInput, batch, padded
from xstilts.models.network import Network
from xstilts.models.tokenization import Ids, Tokenizer

divisible, headless, language_model, trainable = True, False, False, True
measured_untrained, layered, threshold_on_dev = False, False, False
sequences_per_input = 1
score, decisions = score_examples, decisions_by_token


def encode(
    examples: Sequence[TaggingExample],
    tokenizer: Tokenizer,
    max_length: int,
    labels: tuple[str, ...],
    cut: Counter[str],
    query_length: int | None = None,
) -> list[ModelInput]:
    """Encode each part of a sentence as one model input.

    `places` holds the number of the part's first word, then the position of each word's first token, (1 + words,);
    `target` the tag's number there and `IGNORED` elsewhere, (tokens,). A tag that is not among the labels, as one that
    does not occur in the training data, is ignored.
    """
    every = tokenizer.words([example.tokens for example in examples])
    numbers = {label: number for number, label in enumerate(labels)}
    room = tokenizer.room(max_length, pair=False)
    inputs = []
    for number, (example, ids) in enumerate(zip(examples, every, strict=True)):
        words = [word[:room] for word in ids]
        parts = split_sentence([len(word) for word in words], room)
        cut["split"] += len(parts) > 1
        targets = [numbers.get(tag, IGNORED) for tag in example.tags] or [IGNORED] * len(words)
        inputs += [_model_input(number, words, targets, start, stop, tokenizer) for start, stop in parts]
    return inputs


def _model_input(
    example: int, words: Sequence[Ids], targets: Sequence[int], start: int, stop: int, tokenizer: Tokenizer
) -> ModelInput:
    sequence = tokenizer.sequence(np.concatenate(words[start:stop]))
    lengths = np.array([len(word) for word in words[start:stop]])
    firsts = len(tokenizer.special_tokens.prefix) + np.cumsum(lengths) - lengths
    target = np.full(len(sequence), IGNORED, dtype=np.int32)
    target[firsts] = targets[start:stop]
    return ModelInput(example, (sequence,), target, np.array([start, *firsts], dtype=np.int32))


def collate(inputs: Sequence[ModelInput], tokenizer: Tokenizer, random: torch.Generator | None = None) -> Batch:
    """Pad inputs into one batch; targets (inputs, tokens)."""
    return batch(inputs, tokenizer, padded([model_input.target for model_input in inputs], IGNORED))


def loss(network: Network, head: str, batch: Batch) -> Tensor:
    """Compute the summed cross-entropy of the words' tags."""
    logits = network(head, batch.ids, batch.mask, batch.packing, batch.languages)
    return cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORED, reduction="sum")


def predict(network: Network, head: str, batch: Batch, inputs: Sequence[ModelInput]) -> list[list[int]]:
    """Compute the number of the best tag of each word, (words,) for each input."""
    best = network(head, batch.ids, batch.mask, batch.packing, batch.languages).argmax(-1).cpu().numpy()
    return [row[model_input.places[1:]].tolist() for row, model_input in zip(best, inputs, strict=True)]


def decode(
    answers: Sequence[list[int]],
    inputs: Sequence[ModelInput],
    examples: Sequence[TaggingExample],
    labels: tuple[str, ...],
) -> list[Mapping[str, Any]]:
    """Return each sentence's tags, its parts joined in order."""
    tags: list[list[str]] = [[] for _ in examples]
    for answer, model_input in sorted(zip(answers, inputs, strict=True), key=lambda pair: int(pair[1].places[0])):
        tags[model_input.example] += [labels[number] for number in answer]
    return [{"id": example.id, "prediction": predicted} for example, predicted in zip(examples, tags, strict=True)]


def chance(examples: Sequence[TaggingExample]) -> float:
    """Return 0: one tag for every word finds no entity."""
    return 0.0


def features(model_input: ModelInput, states: Sequence[States], pooling: str) -> tuple[States, Labels]:
    """Return the state of each word's first token (words, width) with its tag's number."""
    places = model_input.places[1:]
    return states[0][places], model_input.target[places].astype(np.int64)
