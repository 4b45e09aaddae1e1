"""Effort: the FLOPs of a training or a prediction before it is done, by the polynomials of the ledger (`flops`).

What the ledger adds up batch by batch is here worked out of sizes: steps by the recipe, sequences by their mean length.
No padding is reckoned with, as there is none where batches are packed, which a GPU's are. Each further layer adds the
same operations, so a deep network is told from shallow ones, where its layers are trained alike.

>>> from xstilts.models.configs import config_of
>>> found = factors(config_of("FacebookAI/xlm-roberta-base"), "all", "classification", 3)
>>> round(found["forward"]["padded_tokens"] / (2 * 12 * 12 * 768**2), 3)
1.0
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from xstilts.cost import flops
from xstilts.formats import masked_lm, task_format
from xstilts.planning.dataset_sizes import Size
from xstilts.runtime.machine import GPU_TOKENS
from xstilts.training import batch_schedule
from xstilts.training.memory import UNKNOWN_LABELS as LABELS
from xstilts.training.memory import unnumbered
from xstilts.training.recipe import Recipe
from xstilts.training.training_set import TrainingSet

SHALLOW = 2  # layers, at least: the first and the last may differ from what is between
ALIKE = re.compile(r"all|head|layernorm|no-embeddings|lora:[\d:]+")  # what is trained in every layer or in none
Factors = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Effort:
    """FLOPs by part as in a ledger, and the pieces that were taught or, where nothing is taught, asked."""

    forward: float = 0.0
    activations: float = 0.0
    weights: float = 0.0
    looks: float = 0.0
    tokens: float = 0.0

    @property
    def flops(self) -> float:
        """All of it."""
        return self.forward + self.activations + self.weights + self.looks

    def __add__(self, other: Effort) -> Effort:
        return Effort(*(one + two for one, two in zip(vars(self).values(), vars(other).values(), strict=True)))

    def times(self, count: float) -> Effort:
        """Return the effort of doing it so many times."""
        return Effort(*(count * value for value in vars(self).values()))


def training(
    config: Any, recipe: Recipe, lessons: Sequence[TrainingSet], sizes: Sequence[Size], devs: Sequence[Size | None]
) -> Effort | None:
    """Return what a training takes, with its looks at development data; None where a size that matters is not known.

    sizes, devs: of each lesson's training and development data. Patience is taken not to run out.
    """
    shown = units(recipe, lessons, sizes)
    if shown is None:
        return None
    steps = sum(count for one, count in zip(lessons, shown, strict=True) if one.weight is None) / recipe.batch_size
    found = Effort()
    for one, size, count in zip(lessons, sizes, shown, strict=True):
        terms = _terms(size, count * size.unit_sequences, count / recipe.batch_size)
        found += _effort(factors(config, recipe.trainable, one.format, len(one.labels) or LABELS), terms)
    return found + _looks(config, recipe, lessons, devs, steps)


def units(recipe: Recipe, lessons: Sequence[TrainingSet], sizes: Sequence[Size]) -> list[float] | None:
    """Return how many loss terms of each lesson a training shows; None where that hangs on a size that is not known."""
    turns = [size.units for one, size in zip(lessons, sizes, strict=True) if one.weight is None]
    known = tuple(round(count) for count in turns if count is not None)
    if len(known) < len(turns) and not (recipe.steps and len(turns) == 1):
        return None
    counts = known or (1,)
    steps = recipe.steps or batch_schedule.steps_of(counts, recipe.epochs, recipe.batch_size, recipe.sampling)
    shares = iter(batch_schedule.shares(counts, recipe.sampling))
    return [steps * recipe.batch_size * (next(shares) if one.weight is None else 1.0) for one in lessons]


def predicting(config: Any, format: str, labels: int, size: Size) -> Effort | None:
    """Return what it takes to ask a trained network of a split; None where its size is not known."""
    if size.units is None:
        return None
    found = factors(config, "all", format, labels, learning=not task_format(format).headless)
    return _effort({"forward": found["forward"]}, _terms(size, size.units * size.unit_sequences, 1))


def factors(config: Any, trained: str, format: str, labels: int, learning: bool = True) -> Factors:
    """Return the polynomial of an encoder with one head: factors of the terms, by part.

    Raises InputError for a part to train that the encoder does not have.
    """
    return _factors(config.to_json_string(), _Held(config), trained, format, labels, learning)


class _Held:
    """A configuration that a cache passes on without looking at it: the text beside it says which one it is."""

    def __init__(self, config: Any) -> None:
        self.config = config

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held)


@lru_cache(maxsize=1024)
def _factors(text: str, held: _Held, trained: str, format: str, labels: int, learning: bool) -> Factors:
    further = int(held.config.num_hidden_layers) - SHALLOW
    if further < 1 or not ALIKE.fullmatch(trained):
        return _counted(held.config, trained, format, labels, learning)
    found = _counted(_cut(held.config, SHALLOW), trained, format, labels, learning)
    layer = _layer(text, held, trained)
    return {
        part: {term: value + further * layer[part].get(term, 0.0) for term, value in terms.items()}
        for part, terms in found.items()
    }


@lru_cache(maxsize=256)
def _layer(text: str, held: _Held, trained: str) -> Factors:
    """Return what one further layer adds, whatever the head."""
    few, more = (
        _counted(_cut(held.config, layers), trained, "extractive_qa", 0, True) for layers in (SHALLOW, SHALLOW + 1)
    )
    return {part: {term: more[part][term] - value for term, value in terms.items()} for part, terms in few.items()}


def _cut(config: Any, layers: int) -> Any:
    """Return a configuration with fewer layers."""
    found = copy.deepcopy(config)
    if getattr(config, "layer_types", None):
        found.layer_types = list(config.layer_types)[:layers]
    found.num_hidden_layers = layers
    return found


def _counted(config: Any, trained: str, format: str, labels: int, learning: bool) -> Factors:
    """Count on a network without numbers."""
    found = flops.polynomial(unnumbered(config, trained, format, labels), "head", learning)
    return {part: {term: float(factor) for term, factor in terms.items()} for part, terms in found.items()}


def _terms(size: Size, sequences: float, steps: float) -> dict[str, float]:
    """Return the sums of shapes over so many sequences in so many steps of equal size."""
    tokens = sequences * size.pieces
    passes = steps * math.ceil(tokens / max(steps, 1e-9) / GPU_TOKENS)
    return {
        "passes": passes,
        "sequences": sequences,
        "padded_tokens": tokens,
        "attended": sequences * size.squares,
        "answered": masked_lm.SHARE * tokens,
        "compared": sequences**2 / max(steps, 1e-9),
    }


def _effort(found: Factors, terms: dict[str, float]) -> Effort:
    parts = {part: sum(value * terms[term] for term, value in each.items()) for part, each in found.items()}
    return Effort(**parts, tokens=terms["padded_tokens"])


def _looks(
    config: Any, recipe: Recipe, lessons: Sequence[TrainingSet], devs: Sequence[Size | None], steps: float
) -> Effort:
    """Return what a selection takes to look at the development data of the lessons that take turns."""
    found = Effort()
    if recipe.selection is None:
        return found
    count = math.ceil(steps / recipe.selection.every_steps)
    for one, dev in zip(lessons, devs, strict=True):
        if dev is None or dev.examples is None or one.weight is not None:
            continue
        seen = replace(dev, examples=min(dev.examples, float(recipe.selection.examples)))
        asked = predicting(config, one.format, len(one.labels) or LABELS, seen)
        found += Effort(looks=asked.forward * count) if asked else Effort()
    return found
