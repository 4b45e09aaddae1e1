"""Learning: what the benchmarks teach, and the package's own loop teaching it.

Examples have random pieces and the lengths of a real data set. No weights are kept: a course begins with random ones.

>>> lengths("squad", 1000, np.random.default_rng(0)).max() <= 384
np.True_
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sides import TOKENS, backbone, config, texts

from xstilts.cost import ledger
from xstilts.formats import task_format
from xstilts.models.batch import ModelInput
from xstilts.models.embedding_pruning import pruned_embeddings
from xstilts.models.freezing import freeze
from xstilts.models.heads import attach
from xstilts.models.network import Network
from xstilts.runtime.machine import Runtime
from xstilts.training.batch_schedule import schedule
from xstilts.training.frozen_layer_cache import NOTHING, cached_states
from xstilts.training.optimizer import make_optimizer, prepare, suited
from xstilts.training.recipe import Recipe
from xstilts.training.step import PreparedStep, Stepper
from xstilts.training.training_set import EncodedTrainingSet, TrainingSet

TASK = "toy"


@dataclass(frozen=True)
class Shape:
    """Of examples: their format, labels, the length that common scripts pad to, and how lengths are spread."""

    format: str
    labels: tuple[str, ...]
    longest: int
    metric: str
    twentieths: tuple[int, ...] = ()


# XNLI's pairs: lognormal, mean 38. SQuAD v1.1's windows of 384 pieces, 128 apart: every twentieth of the lengths of a
# part of its training set (`squad_small`, 6,555 windows, mean 172), with 1.3 pieces a word as XLM-R has in English.
# UD English-EWT's sentences (mean 25) and SNLI's pairs (mean 34), as XLM-R's tokenizer cuts them: every twentieth too.
MEAN, SPREAD = 38, 0.45
SHAPES = {
    "xnli": Shape("classification", ("a", "b", "c"), 128, "accuracy"),
    "squad": Shape(
        "extractive_qa",
        (),
        384,
        "squad",
        (40, 87, 109, 119, 125, 131, 135, 141, 146, 151, 158, 166, 174, 183, 191, 202, 215, 234, 260, 296, 384),
    ),
    "udpos": Shape(
        "token_classification",
        tuple(f"T{number}" for number in range(17)),
        128,
        "accuracy",
        (3, 6, 8, 10, 11, 13, 15, 17, 18, 20, 22, 24, 26, 28, 31, 33, 37, 41, 47, 55, 128),
    ),
    "snli": Shape(
        "classification",
        ("a", "b", "c"),
        128,
        "accuracy",
        (12, 21, 23, 24, 26, 27, 28, 29, 30, 31, 32, 33, 34, 36, 37, 39, 41, 44, 47, 52, 97),
    ),
}


def lengths(name: str, count: int, random: np.random.Generator) -> Any:
    """Return lengths like those of a data set, special pieces included."""
    shape = SHAPES[name]
    if shape.twentieths:
        places = np.linspace(0, 1, len(shape.twentieths))
        return np.interp(random.random(count), places, shape.twentieths).astype(int)
    return random.lognormal(np.log(MEAN) - SPREAD**2 / 2, SPREAD, count).astype(int).clip(8, shape.longest)


def units(asked: argparse.Namespace, count: int, seed: int) -> list[ModelInput]:
    """Return examples of `--lengths`: random pieces with a random label, a random span, or a random tag a piece."""
    random, shape = np.random.default_rng(seed), SHAPES[asked.lengths]
    found = []
    for number, text in enumerate(texts(lengths(asked.lengths, count, random) - 2, asked.pieces, random)):
        if shape.format == "extractive_qa":
            first = int(random.integers(1, len(text)))
            target = [first, min(first + int(random.integers(10)), len(text))]
        elif shape.format == "token_classification":
            target = [-100, *random.integers(len(shape.labels), size=len(text)).tolist(), -100]
        else:
            target = [int(random.integers(len(shape.labels)))]
        found.append(ModelInput(number, (TOKENS.sequence(text),), np.array(target, dtype=np.int32)))
    return found


def every_token(asked: argparse.Namespace) -> list[ModelInput]:
    """Return a unit of all pieces that the whole data set shows, however few examples are taken of it."""
    return [ModelInput(0, (np.arange(asked.pieces, dtype=np.int32),))]


@dataclass(frozen=True)
class Course:
    """What is trained, how, and where. recipe: with `steps`. shown: inputs whose tokens the network keeps, if not those
    that are trained on. stored: frozen layers run once a unit. warm: steps before time is taken.
    """

    format: str
    labels: tuple[str, ...]
    units: list[ModelInput]
    recipe: Recipe
    machine: Runtime
    seed: int = 0
    shown: list[ModelInput] = field(default_factory=list)
    stored: bool = False
    warm: int = 0


@dataclass(frozen=True)
class Taken:
    """What a course took: seconds with all that the package does about it, the loss of each step, the loop's cost."""

    seconds: float
    losses: list[float]
    spent: ledger.Spent


def fresh(asked: argparse.Namespace, format: str, labels: int, seed: int, **more: Any) -> Network:
    """Return a network of random weights, made on the device, which is much faster; embeddings wait on the CPU."""
    torch.manual_seed(seed)
    with torch.device(asked.device):
        network = Network(backbone(config(asked, **more)))
    network.backbone.get_input_embeddings().to("cpu")  # type: ignore[operator]
    attach(network, TASK, format, labels)
    return network


@contextmanager
def learner(asked: argparse.Namespace, machine: Runtime) -> Iterator[Stepper]:
    """Make a network that learns batches of examples, to take steps with; it has the rows of all pieces."""
    shape, recipe = SHAPES[asked.lengths], Recipe(batch_size=asked.batch)
    network, shown = fresh(asked, shape.format, len(shape.labels), 0), units(asked, 40 * asked.batch, 0)
    training_set = TrainingSet(TASK, shape.format, shape.labels, (), None, "")
    encoded = EncodedTrainingSet(training_set, task_format(shape.format), shape.labels, shown, [0] * len(shown), [])
    freeze(network, recipe.trainable)
    with pruned_embeddings(network, every_token(asked), TOKENS):
        yield Stepper(network, [encoded], TOKENS, recipe, machine, make_optimizer(network, recipe), 0)


def steps_of(learner: Stepper, count: int) -> Iterator[PreparedStep]:
    """Yield steps ready to be taken."""
    sets = tuple(encoded.scheduled() for encoded in learner.training_sets)
    for number, step in enumerate(schedule(sets, count, learner.recipe.batch_size, "proportional", 0)):
        yield learner.prepare(number, step)


def take(network: Network, course: Course) -> Taken:
    """Train a network in this package's loop, as `xstilts.training.train` does."""
    training_set = TrainingSet(TASK, course.format, course.labels, (), None, "")
    encoded = EncodedTrainingSet(
        training_set, task_format(course.format), course.labels, course.units, [0] * len(course.units), []
    )
    recipe, machine = course.recipe, suited(course.machine, course.recipe)
    total, spent = recipe.steps or 1, ledger.nothing()
    freeze(network, recipe.trainable)
    began = time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as folder,
        pruned_embeddings(
            network,
            course.shown or course.units,
            TOKENS,
            keep_all=task_format(course.format).language_model,
            folder=Path(folder),
        ),
    ):
        prepare(network, recipe)
        network.to(machine.torch_device())
        below = cached_states(network, course.units, TOKENS, machine) if course.stored else NOTHING
        stepper = Stepper(
            network, [encoded], TOKENS, recipe, machine, make_optimizer(network, recipe), course.seed, below
        )
        steps = schedule((encoded.scheduled(),), total, recipe.batch_size, "uniform", course.seed)
        ready = stepper.prefetch(enumerate(steps))
        losses = [stepper.take(one, total) for one in islice(ready, course.warm)]
        with ledger.metered(spent, machine):  # waits for the device at its end
            losses += [stepper.take(one, total) for one in ready]
        seconds = time.perf_counter() - began
    return Taken(seconds, [float(loss) for loss in losses], spent)
