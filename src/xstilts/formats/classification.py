"""Classification: a label for a text or a pair of texts.

A pair that is too long is truncated in its longer text, as in XTREME's and the paper's scripts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from xstilts.data.examples import ClassificationExample
from xstilts.formats import majority, pooled_features, score_examples
from xstilts.models.batch import IGNORED, Batch, ModelInput, batch, single_targets
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer, longest_first

divisible, headless, language_model, trainable = True, False, False, True
measured_untrained, layered, threshold_on_dev = False, False, False
sequences_per_input = 1
score, features = score_examples, pooled_features


def encode(
    examples: Sequence[ClassificationExample],
    tokenizer: Tokenizer,
    max_length: int,
    labels: tuple[str, ...],
    cut: Counter[str],
    query_length: int | None = None,
) -> list[ModelInput]:
    """Encode each example as one model input of one sequence; its target is the number of its label, (1,)."""
    firsts = tokenizer.segments([example.text_a for example in examples])
    seconds = tokenizer.segments([example.text_b or "" for example in examples])
    inputs = []
    for number, (example, a, b) in enumerate(zip(examples, firsts, seconds, strict=True)):
        pair = example.text_b is not None
        keep_a, keep_b = longest_first(len(a), len(b), tokenizer.room(max_length, pair))
        cut["truncated"] += keep_a + keep_b < len(a) + len(b)
        sequence = tokenizer.sequence(a[:keep_a], b[:keep_b] if pair else None)
        target = IGNORED if example.label is None else labels.index(example.label)
        inputs.append(ModelInput(number, (sequence,), np.array([target], dtype=np.int32)))
    return inputs


def collate(inputs: Sequence[ModelInput], tokenizer: Tokenizer, random: torch.Generator | None = None) -> Batch:
    """Pad inputs into one batch; targets (inputs,)."""
    return batch(inputs, tokenizer, single_targets(inputs))


def loss(network: Network, head: str, batch: Batch) -> Tensor:
    """Compute the summed cross-entropy of the labels."""
    return cross_entropy(_logits(network, head, batch), batch.targets, ignore_index=IGNORED, reduction="sum")


def predict(network: Network, head: str, batch: Batch, inputs: Sequence[ModelInput]) -> list[list[float]]:
    """Compute the log-probabilities of the labels, (labels,) for each input."""
    return torch.log_softmax(_logits(network, head, batch).float(), dim=-1).tolist()


def decode(
    answers: Sequence[list[float]],
    inputs: Sequence[ModelInput],
    examples: Sequence[ClassificationExample],
    labels: tuple[str, ...],
) -> list[Mapping[str, Any]]:
    """Return each example's most probable label and all log-probabilities."""
    return [
        {
            "id": examples[model_input.example].id,
            "prediction": labels[int(np.argmax(answer))],
            "log_probabilities": [round(value, 5) for value in answer],
        }
        for answer, model_input in zip(answers, inputs, strict=True)
    ]


def chance(examples: Sequence[ClassificationExample]) -> float:
    """Return the share of the most frequent label."""
    return majority([example.label for example in examples])


def decisions(logits: Tensor, mask: Tensor) -> Tensor:
    """Return the most probable label of each sequence."""
    return logits.argmax(-1)


def _logits(network: Network, head: str, batch: Batch) -> Tensor:
    logits: Tensor = network(head, batch.ids, batch.mask, batch.packing, batch.languages)
    return logits
