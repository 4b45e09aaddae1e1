"""Classification: a label for a text or a pair of texts.

A pair that is too long gives from its longer text, as in XTREME's and the paper's scripts.
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
from xstilts.formats import majority
from xstilts.models.batch import IGNORED, Batch, ModelInput, batch, single_targets
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer, longest_first

divisible, headless = True, False


def encode(
    examples: Sequence[ClassificationExample],
    tokens: Tokenizer,
    max_length: int,
    labels: tuple[str, ...],
    cut: Counter[str],
) -> list[ModelInput]:
    """Return one unit an example, its target the number of its label."""
    firsts = tokens.segments([example.text_a for example in examples])
    seconds = tokens.segments([example.text_b or "" for example in examples])
    units = []
    for number, (example, a, b) in enumerate(zip(examples, firsts, seconds, strict=True)):
        pair = example.text_b is not None
        keep_a, keep_b = longest_first(len(a), len(b), tokens.room(max_length, pair))
        cut["truncated"] += keep_a + keep_b < len(a) + len(b)
        sequence = tokens.sequence(a[:keep_a], b[:keep_b] if pair else None)
        target = IGNORED if example.label is None else labels.index(example.label)
        units.append(ModelInput(number, (sequence,), np.array([target], dtype=np.int32)))
    return units


def collate(units: Sequence[ModelInput], tokens: Tokenizer, random: torch.Generator | None = None) -> Batch:
    """Put units into one batch with a target each."""
    return batch(units, tokens, single_targets(units))


def loss(network: Network, head: str, batch: Batch) -> Tensor:
    """Return the summed cross-entropy of the labels."""
    return cross_entropy(_logits(network, head, batch), batch.targets, ignore_index=IGNORED, reduction="sum")


def predict(network: Network, head: str, batch: Batch, units: Sequence[ModelInput]) -> list[list[float]]:
    """Return the log-probabilities of the labels for each unit."""
    return torch.log_softmax(_logits(network, head, batch).float(), dim=-1).tolist()


def decode(
    answers: Sequence[list[float]],
    units: Sequence[ModelInput],
    examples: Sequence[ClassificationExample],
    labels: tuple[str, ...],
) -> list[Mapping[str, Any]]:
    """Return each example's most probable label and all log-probabilities."""
    return [
        {
            "id": examples[unit.example].id,
            "prediction": labels[int(np.argmax(answer))],
            "log_probabilities": [round(value, 5) for value in answer],
        }
        for answer, unit in zip(answers, units, strict=True)
    ]


def chance(examples: Sequence[ClassificationExample]) -> float:
    """Return the share of the most frequent label."""
    return majority([example.label for example in examples])


def _logits(network: Network, head: str, batch: Batch) -> Tensor:
    logits: Tensor = network(head, batch.ids, batch.mask, batch.packing)
    return logits
