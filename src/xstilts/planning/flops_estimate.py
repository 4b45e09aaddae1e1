"""FLOPs estimate: the FLOPs of a training or a prediction before it is done, by the ledger's polynomials.

What the ledger (`cost.flops`) adds up batch by batch is computed here from sizes: steps by the recipe, sequences by
their mean length. Padding is left out, as there is none where batches are packed, which a GPU's are. Deep networks are
not built: a few of their layers stand for all (`cost.thinning`).

>>> from xstilts.models.configs import config_of
>>> polynomial = factors(config_of("FacebookAI/xlm-roberta-base"), "all", "classification", 3)
>>> round(polynomial["forward"]["padded_tokens"] / (2 * 12 * 12 * 768**2), 3)
1.0
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from xstilts.cost import flops, thinning
from xstilts.formats import masked_lm
from xstilts.planning.dataset_sizes import Size
from xstilts.runtime.machine import GPU_TOKENS
from xstilts.training import batch_schedule
from xstilts.training.memory import UNKNOWN_LABELS as LABELS
from xstilts.training.memory import unnumbered
from xstilts.training.recipe import Recipe
from xstilts.training.training_set import TrainingSet

Factors = dict[str, dict[str, float]]


@dataclass(frozen=True)
class FlopsEstimate:
    """FLOPs by part, as in a ledger.

    Attributes:
        forward: FLOPs of forward passes.
        activations: FLOPs of backward passes with respect to activations.
        weights: FLOPs of backward passes with respect to weights.
        looks: FLOPs of evaluations on development data during a training.
        tokens: Tokens that are trained on or predicted.
    """

    forward: float = 0.0
    activations: float = 0.0
    weights: float = 0.0
    looks: float = 0.0
    tokens: float = 0.0

    @property
    def flops(self) -> float:
        """FLOPs of all parts."""
        return self.forward + self.activations + self.weights + self.looks

    def __add__(self, other: FlopsEstimate) -> FlopsEstimate:
        return FlopsEstimate(
            *(own + others for own, others in zip(vars(self).values(), vars(other).values(), strict=True))
        )

    def times(self, count: float) -> FlopsEstimate:
        """Return the FLOPs of several repetitions.

        Args:
            count: How many.

        Returns:
            All parts and the tokens, multiplied.
        """
        return FlopsEstimate(*(count * value for value in vars(self).values()))


def training(
    config: Any,
    recipe: Recipe,
    training_sets: Sequence[TrainingSet],
    sizes: Sequence[Size],
    devs: Sequence[Size | None],
) -> FlopsEstimate | None:
    """Return the FLOPs of a training and its evaluations on development data, assuming that it does not stop early.

    Args:
        config: Configuration of the encoder.
        recipe: The hyperparameters.
        training_sets: What is trained on.
        sizes: Size of each training set.
        devs: Size of each development set; None for none.

    Returns:
        None where a size that matters is not known.
    """
    counts = model_inputs(recipe, training_sets, sizes)
    if counts is None:
        return None
    in_turn = (count for training_set, count in zip(training_sets, counts, strict=True) if training_set.weight is None)
    steps = sum(in_turn) / recipe.batch_size
    estimate = FlopsEstimate()
    for training_set, size, count in zip(training_sets, sizes, counts, strict=True):
        terms = _terms(size, count * size.sequences_per_input, count / recipe.batch_size)
        estimate += _evaluated(
            factors(config, recipe.trainable, training_set.format, len(training_set.labels) or LABELS), terms
        )
    return estimate + _dev_evaluations(config, recipe, training_sets, devs, steps)


def model_inputs(recipe: Recipe, training_sets: Sequence[TrainingSet], sizes: Sequence[Size]) -> list[float] | None:
    """Return how many model inputs of each training set a training sees.

    Args:
        recipe: Steps or epochs, batch size and sampling.
        training_sets: What is trained on; those with a weight are in every step.
        sizes: Size of each training set.

    Returns:
        Numbers, repeated inputs counted again; None where a size that matters is not known.
    """
    turns = [
        size.model_inputs
        for training_set, size in zip(training_sets, sizes, strict=True)
        if training_set.weight is None
    ]
    known_turns = tuple(round(count) for count in turns if count is not None)
    if len(known_turns) < len(turns) and not (recipe.steps and len(turns) == 1):
        return None
    counts = known_turns or (1,)
    steps = recipe.steps or batch_schedule.steps_of(counts, recipe.epochs, recipe.batch_size, recipe.sampling)
    shares = iter(batch_schedule.shares(counts, recipe.sampling))
    return [
        steps * recipe.batch_size * (next(shares) if training_set.weight is None else 1.0)
        for training_set in training_sets
    ]


def prediction(config: Any, format: str, labels: int, size: Size) -> FlopsEstimate | None:
    """Return the FLOPs of predicting a split.

    Args:
        config: Configuration of the encoder.
        format: The task format.
        labels: Number of labels of the head.
        size: Size of the split.

    Returns:
        None where the size is not known.
    """
    if size.model_inputs is None:
        return None
    polynomial = factors(config, "all", format, labels, learning=False)
    return _evaluated(polynomial, _terms(size, size.model_inputs * size.sequences_per_input, 1))


def factors(config: Any, trained: str, format: str, labels: int, learning: bool = True) -> Factors:
    """Return the polynomial of an encoder with one head: by part, the factors of the terms of `cost.flops.TERMS`.

    Args:
        config: Configuration of the encoder.
        trained: The part that is trained, as `Recipe.trainable`.
        format: Task format of the head.
        labels: Number of labels of the head.
        learning: Whether the head is trained.

    Returns:
        FLOPs a term ("padded_tokens", "attended", …) by part ("forward", "activations", "weights").

    Raises:
        InputError: The encoder has no such part.
    """
    identity = config.to_json_string(), trained, format, labels, learning
    if identity not in KNOWN:
        few = thinning.few_layers(config, trained)
        network = unnumbered(few.config, few.trained, format, labels)
        polynomial = flops.polynomial(network, "head", learning, few.times)
        KNOWN[identity] = {
            part: {name: float(value) for name, value in terms.items()} for part, terms in polynomial.items()
        }
    return KNOWN[identity]


KNOWN: dict[tuple[Any, ...], Factors] = {}  # what `factors` has worked out in this process


def _terms(size: Size, sequences: float, steps: float) -> dict[str, float]:
    """Return the sums of the shapes' terms over sequences in steps of equal size."""
    tokens = sequences * size.tokens
    passes = steps * math.ceil(tokens / max(steps, 1e-9) / GPU_TOKENS)
    return {
        "passes": passes,
        "sequences": sequences,
        "padded_tokens": tokens,
        "attended": sequences * size.squares,
        "answered": masked_lm.SHARE * tokens,
        "compared": sequences**2 / max(steps, 1e-9),
    }


def _evaluated(polynomial: Factors, terms: dict[str, float]) -> FlopsEstimate:
    parts = {
        part: sum(value * terms[term] for term, value in coefficients.items())
        for part, coefficients in polynomial.items()
    }
    return FlopsEstimate(**parts, tokens=terms["padded_tokens"])


def _dev_evaluations(
    config: Any, recipe: Recipe, training_sets: Sequence[TrainingSet], devs: Sequence[Size | None], steps: float
) -> FlopsEstimate:
    """Return the FLOPs of a selection's evaluations on the development data of the sets that take turns."""
    estimate = FlopsEstimate()
    if recipe.selection is None:
        return estimate
    count = math.ceil(steps / recipe.selection.every_steps)
    for training_set, dev in zip(training_sets, devs, strict=True):
        if dev is None or dev.examples is None or training_set.weight is not None:
            continue
        evaluated = replace(dev, examples=min(dev.examples, float(recipe.selection.examples)))
        predicted = prediction(config, training_set.format, len(training_set.labels) or LABELS, evaluated)
        estimate += FlopsEstimate(looks=predicted.forward * count) if predicted else FlopsEstimate()
    return estimate
