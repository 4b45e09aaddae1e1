"""Batch schedule: which examples are in which step, decided before the first step.

The whole order of a training is a pure function of lengths, recipe and seed: a position in it is a number, so a
killed run resumes exactly. Batches hold examples of similar length, so that little is padded; in a mix of tasks a
sampling rule decides which task a step trains on.

>>> texts = ScheduledSet(lengths=np.array([5, 9, 5, 9]))
>>> [part.inputs.tolist() for (part,) in schedule((texts,), 1, batch_size=4, sampling="uniform", seed=0)]
[[0, 2, 3, 1]]
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xstilts.errors import InputError

Whole = NDArray[np.int64]

POOL = 32  # batches whose examples are sorted together: enough for similar lengths, few enough to stay random


@dataclass(frozen=True)
class ScheduledSet:
    """What the order of one training set depends on.

    Attributes:
        lengths: Tokens of each model input, (inputs,).
        languages: The number of each input's language, (inputs,); None: a single language.
        alpha: Languages are drawn with p ~ n ** alpha: below 1, smaller ones more often than they occur.
        every_step: The set adds a batch to every step instead of taking turns.
    """

    lengths: Whole
    languages: Whole | None = None
    alpha: float = 1.0
    every_step: bool = False


@dataclass(frozen=True)
class Part:
    """What a step takes from one training set: the set's number, and the numbers of its model inputs, (batch_size,)."""

    training_set: int
    inputs: Whole


Step = tuple[Part, ...]


def steps_of(sizes: tuple[int, ...], epochs: float, batch_size: int, sampling: str) -> int:
    """Return the number of steps of a training.

    Args:
        sizes: Model inputs of each training set that takes turns.
        epochs: Passes over all of them together; with "capped:K", over the capped sizes.
        batch_size: Inputs of a step.
        sampling: As in `shares`.

    Returns:
        At least 1.

    Raises:
        InputError: The sampling rule is unknown.
    """
    shares(sizes, sampling)  # raises for an unknown rule
    rule, _, number = sampling.partition(":")
    counted = [min(size, int(number)) for size in sizes] if rule == "capped" else sizes
    return max(1, round(sum(counted) * epochs / batch_size))


def shares(sizes: tuple[int, ...], sampling: str) -> list[float]:
    """Return the probability of each training set to be the one that a step trains on.

    Args:
        sizes: Model inputs of each set.
        sampling: "proportional" (to the sizes n), "capped:K" (to min(n, K)), "uniform", "temperature:T" (to
            n ** (1 / T)), or the probabilities themselves, "0.5,0.3,0.2".

    Returns:
        A probability for each set; they sum to 1.

    Raises:
        InputError: An unknown rule, or not one probability for each set.

    >>> shares((100, 300), "capped:100")
    [0.5, 0.5]
    """
    rule, _, number = sampling.partition(":")
    try:
        if rule == "proportional":
            weights = [float(size) for size in sizes]
        elif rule == "capped":
            weights = [float(min(size, int(number))) for size in sizes]
        elif rule == "uniform":
            weights = [1.0 for _ in sizes]
        elif rule == "temperature":
            weights = [size ** (1 / float(number)) for size in sizes]
        else:
            weights = [float(weight) for weight in sampling.split(",")]
    except (ValueError, ArithmeticError):
        raise InputError(
            f"unknown sampling '{sampling}': give proportional, capped:K, uniform, temperature:T or probabilities"
        ) from None
    if len(weights) != len(sizes) or min(weights) < 0 or not 0 < sum(weights) < math.inf:
        raise InputError(f"sampling '{sampling}' does not give {len(sizes)} tasks a share each")
    return [weight / sum(weights) for weight in weights]


def schedule(sets: tuple[ScheduledSet, ...], steps: int, batch_size: int, sampling: str, seed: int) -> Iterator[Step]:
    """Generate the order of a training.

    Args:
        sets: All training sets; at least one takes turns.
        steps: How many steps.
        batch_size: Inputs that each set gives to a step.
        sampling: As in `shares`.
        seed: Another seed gives another order.

    Yields:
        For each step, the part of the set whose turn it is, then those of the sets that are in every step.

    Raises:
        InputError: No set takes turns.
    """
    turns = [number for number, scheduled in enumerate(sets) if not scheduled.every_step]
    every_step = [number for number, scheduled in enumerate(sets) if scheduled.every_step]
    if not turns:
        raise InputError("every training set only accompanies another one: give at least one that takes turns")
    # Each set draws from a generator of its own: adding a set changes whose turn it is, not another set's batches.
    random = np.random.default_rng((seed, len(sets)))
    drawn = random.choice(turns, size=steps, p=shares(tuple(len(sets[n].lengths) for n in turns), sampling))
    batches = [
        _batches(scheduled, batch_size, np.random.default_rng((seed, 1 + n))) for n, scheduled in enumerate(sets)
    ]
    for turn in drawn.tolist():
        yield tuple(Part(number, next(batches[number])) for number in (turn, *every_step))


def _batches(scheduled: ScheduledSet, batch_size: int, random: np.random.Generator) -> Iterator[Whole]:
    """Yield batches without end: epochs in random order, sorted by length within a pool, the pool's batches shuffled.

    What does not fill a batch at the end of an epoch begins the next one, so that every batch is full.
    """
    order = np.empty(0, dtype=np.int64)
    while True:
        while len(order) < batch_size:
            order = np.concatenate([order, _epoch(scheduled, random)])
        full = len(order) // batch_size * batch_size
        for start in range(0, full, POOL * batch_size):
            pool = order[start : min(start + POOL * batch_size, full)]
            pool = pool[np.argsort(scheduled.lengths[pool], kind="stable")].reshape(-1, batch_size)
            yield from random.permutation(pool)
        order = order[full:]


def _epoch(scheduled: ScheduledSet, random: np.random.Generator) -> Whole:
    """Return the inputs of one epoch: each once, or languages drawn with replacement in proportion to n ** alpha."""
    size = len(scheduled.lengths)
    if scheduled.languages is None or scheduled.alpha == 1.0:
        return random.permutation(size)
    counts = np.bincount(scheduled.languages)
    weights = counts**scheduled.alpha * (counts > 0)
    # A language's share, divided among its inputs.
    weight = (weights / weights.sum() / np.maximum(counts, 1))[scheduled.languages]
    return random.choice(size, size=size, p=weight / weight.sum())
