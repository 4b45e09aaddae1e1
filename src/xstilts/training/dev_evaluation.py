"""Evaluate a network during training, on development data or on what it has seen: scores, and whether above chance."""

from __future__ import annotations

import math
from typing import Any

from xstilts import metrics
from xstilts.data.examples import Example
from xstilts.evaluation.predict import predict_inputs
from xstilts.formats import by_id
from xstilts.models.batch import ModelInput
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer
from xstilts.runtime.machine import Runtime
from xstilts.training.training_set import EncodedTrainingSet


def evaluate_on_dev(
    network: Network,
    training_sets: list[EncodedTrainingSet],
    tokenizer: Tokenizer,
    machine: Runtime,
    max_examples: int,
) -> dict[str, Any]:
    """Score the training sets that take turns and have development data.

    Args:
        network: On the device of `machine`, with the sets' heads.
        training_sets: What it is trained on.
        tokenizer: Pads batches.
        machine: Device and arithmetic.
        max_examples: The first so many development examples of each set are scored.

    Returns:
        By task: `score`, `chance` (that of the best constant prediction), and `collapsed` (not above chance).
    """
    scores = {}
    for encoded in training_sets:
        examples = encoded.dev[:max_examples]
        if examples and encoded.training_set.weight is None:
            inputs = [model_input for model_input in encoded.dev_inputs if model_input.example < len(examples)]
            scores[encoded.training_set.task] = _scored(network, encoded, examples, inputs, tokenizer, machine)
    return scores


def evaluate_on_seen(
    network: Network, training_sets: list[EncodedTrainingSet], tokenizer: Tokenizer, machine: Runtime
) -> dict[str, Any]:
    """Score the training sets without development data on training examples: is the network above chance there?

    Args:
        network: On the device of `machine`, with the sets' heads.
        training_sets: What it is trained on.
        tokenizer: Pads batches.
        machine: Device and arithmetic.

    Returns:
        By task as in `evaluate_on_dev`; these scores choose nothing and are no measure of quality.
    """
    return {
        encoded.training_set.task: _scored(network, encoded, encoded.seen, encoded.seen_inputs, tokenizer, machine)
        for encoded in training_sets
        if encoded.seen
    }


def _scored(
    network: Network,
    encoded: EncodedTrainingSet,
    examples: list[Example],
    inputs: list[ModelInput],
    tokenizer: Tokenizer,
    machine: Runtime,
) -> dict[str, Any]:
    training_set = encoded.training_set
    answers = predict_inputs(network, training_set.task, encoded.format, inputs, tokenizer, machine)
    lines = encoded.format.decode(answers, inputs, examples, encoded.labels)
    score = metrics.metric(training_set.metric)(examples, by_id(lines, training_set.metric)).headline
    chance = encoded.format.chance(examples)
    return {"score": score, "chance": chance, "collapsed": _collapsed(score, chance, len(examples))}


def _collapsed(score: float, chance: float, count: int) -> bool:
    """Say whether a score is no better than chance: not above it by two standard errors, and at least one point."""
    share = chance / 100
    return score < chance + max(1.0, 200 * math.sqrt(share * (1 - share) / count))
