"""Choice: which of several candidates goes with a context and a question about it.

Each candidate is a sequence of its own, scored by one number. What is too long loses the *start* of the context: the
end of a story matters for what comes next (as in the paper's code).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from xstilts.data.examples import MultipleChoiceExample
from xstilts.formats import majority
from xstilts.models.batch import IGNORED, Batch, ModelInput, batch, single_targets
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer

divisible, headless = True, False


def encode(
    examples: Sequence[MultipleChoiceExample],
    tokens: Tokenizer,
    max_length: int,
    labels: tuple[str, ...],
    cut: Counter[str],
) -> list[ModelInput]:
    """Return one unit an example, with a sequence for each candidate."""
    prompts = tokens.segments([f"{example.context} {example.question}".strip() for example in examples])
    candidates = iter(tokens.segments([choice for example in examples for choice in example.choices]))
    room = tokens.room(max_length, pair=True)
    units = []
    for number, (example, prompt) in enumerate(zip(examples, prompts, strict=True)):
        sequences = []
        for candidate in [next(candidates) for _ in example.choices]:
            kept = candidate[-max(room - 1, 1) :]
            start = max(0, len(prompt) + len(kept) - room)
            cut["truncated"] += start > 0 or len(kept) < len(candidate)
            sequences.append(tokens.sequence(prompt[start:], kept))
        target = IGNORED if example.label is None else example.label
        units.append(ModelInput(number, tuple(sequences), np.array([target], dtype=np.int32)))
    return units


def collate(units: Sequence[ModelInput], tokens: Tokenizer, random: torch.Generator | None = None) -> Batch:
    """Put units into one batch with a target each; all must have as many candidates."""
    return batch(units, tokens, single_targets(units))


def loss(network: Network, head: str, batch: Batch) -> Tensor:
    """Return the summed cross-entropy of the right candidates."""
    return cross_entropy(_logits(network, head, batch), batch.targets, ignore_index=IGNORED, reduction="sum")


def predict(network: Network, head: str, batch: Batch, units: Sequence[ModelInput]) -> list[list[float]]:
    """Return the log-probabilities of the candidates of each unit."""
    return torch.log_softmax(_logits(network, head, batch).float(), dim=-1).tolist()


def decode(
    answers: Sequence[list[float]],
    units: Sequence[ModelInput],
    examples: Sequence[MultipleChoiceExample],
    labels: tuple[str, ...],
) -> list[Mapping[str, Any]]:
    """Return each example's most probable candidate by number and all log-probabilities."""
    return [
        {
            "id": examples[unit.example].id,
            "prediction": int(np.argmax(answer)),
            "log_probabilities": [round(value, 5) for value in answer],
        }
        for answer, unit in zip(answers, units, strict=True)
    ]


def chance(examples: Sequence[MultipleChoiceExample]) -> float:
    """Return the share of the most frequent right place."""
    return majority([example.label for example in examples])


def _logits(network: Network, head: str, batch: Batch) -> Tensor:
    scores: Tensor = network(head, batch.ids, batch.mask, batch.packing)
    return scores.view(len(batch.targets), -1)
