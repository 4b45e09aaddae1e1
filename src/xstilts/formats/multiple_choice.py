"""Multiple choice: which of several candidates goes with a context and a question about it.

Each candidate is a sequence, scored by one logit. What is too long is truncated at the *start* of the context: the end
of a story matters for what comes next (as in the paper's code).
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

from xstilts.data.examples import MultipleChoiceExample
from xstilts.formats import majority, no_decisions, pooled_features, score_examples
from xstilts.models.batch import IGNORED, Batch, ModelInput, batch, single_targets
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer

divisible, headless, language_model, trainable = True, False, False, True
measured_untrained, layered, threshold_on_dev = False, False, False
sequences_per_input = 5
score, features, decisions = score_examples, pooled_features, no_decisions


def encode(
    examples: Sequence[MultipleChoiceExample],
    tokenizer: Tokenizer,
    max_length: int,
    labels: tuple[str, ...],
    cut: Counter[str],
    query_length: int | None = None,
) -> list[ModelInput]:
    """Encode each example as one model input, with a sequence for each candidate; target (1,): the right one."""
    prompts = tokenizer.segments([f"{example.context} {example.question}".strip() for example in examples])
    candidates = iter(tokenizer.segments([choice for example in examples for choice in example.choices]))
    room = tokenizer.room(max_length, pair=True)
    inputs = []
    for number, (example, prompt) in enumerate(zip(examples, prompts, strict=True)):
        sequences = []
        for candidate in [next(candidates) for _ in example.choices]:
            kept = candidate[-max(room - 1, 1) :]
            start = max(0, len(prompt) + len(kept) - room)
            cut["truncated"] += start > 0 or len(kept) < len(candidate)
            sequences.append(tokenizer.sequence(prompt[start:], kept))
        target = IGNORED if example.label is None else example.label
        inputs.append(ModelInput(number, tuple(sequences), np.array([target], dtype=np.int32)))
    return inputs


def collate(inputs: Sequence[ModelInput], tokenizer: Tokenizer, random: torch.Generator | None = None) -> Batch:
    """Pad inputs into one batch; targets (inputs,). Inputs may have different numbers of candidates."""
    counts = tuple(len(model_input.sequences) for model_input in inputs)
    padded = batch(inputs, tokenizer, single_targets(inputs))
    return padded if len(set(counts)) == 1 else replace(padded, sequence_counts=counts)


def loss(network: Network, head: str, batch: Batch) -> Tensor:
    """Compute the summed cross-entropy of the right candidates."""
    return cross_entropy(_logits(network, head, batch), batch.targets, ignore_index=IGNORED, reduction="sum")


def predict(network: Network, head: str, batch: Batch, inputs: Sequence[ModelInput]) -> list[list[float]]:
    """Compute the log-probabilities of the candidates, (candidates,) for each input."""
    rows = torch.log_softmax(_logits(network, head, batch).float(), dim=-1).tolist()
    return [row[: len(model_input.sequences)] for row, model_input in zip(rows, inputs, strict=True)]


def decode(
    answers: Sequence[list[float]],
    inputs: Sequence[ModelInput],
    examples: Sequence[MultipleChoiceExample],
    labels: tuple[str, ...],
) -> list[Mapping[str, Any]]:
    """Return each example's most probable candidate by number and all log-probabilities."""
    return [
        {
            "id": examples[model_input.example].id,
            "prediction": int(np.argmax(answer)),
            "log_probabilities": [round(value, 5) for value in answer],
        }
        for answer, model_input in zip(answers, inputs, strict=True)
    ]


def chance(examples: Sequence[MultipleChoiceExample]) -> float:
    """Return the share of the most frequent right position."""
    return majority([example.label for example in examples])


def _logits(network: Network, head: str, batch: Batch) -> Tensor:
    """Return the logits of the candidates, (inputs, most candidates); -inf where an input has fewer."""
    scores: Tensor = network(head, batch.ids, batch.mask, batch.packing, batch.languages)
    if batch.sequence_counts is None:
        return scores.view(len(batch.targets), -1)
    parts = torch.split_with_sizes(scores.flatten(), list(batch.sequence_counts))
    return pad_sequence(list(parts), batch_first=True, padding_value=-torch.inf)
