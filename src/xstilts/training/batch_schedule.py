"""Schedule: which examples are in which step, decided before the first one.

The whole order of a training is a pure function of lengths, recipe and seed: a position in it is a number, so a
killed run resumes exactly. Batches hold examples of like length, so that little is padded; whose turn it is in a mix
of tasks follows a sampling rule.

>>> lesson = TrainingSet(np.array([5, 9, 5, 9]))
>>> [part.units.tolist() for (part,) in schedule((lesson,), 1, batch_size=4, sampling="uniform", seed=0)]
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

POOL = 32  # batches whose examples are sorted together: enough to be alike in length, few enough to stay random


@dataclass(frozen=True)
class ScheduledSet:
    """What the order of one task depends on.

    lengths: pieces by unit. languages: a number by unit, drawn with p ~ n ** alpha, so smaller ones more often below 1.
    every_step: this lesson adds a batch to every step instead of taking turns.
    """

    lengths: Whole
    languages: Whole | None = None
    alpha: float = 1.0
    every_step: bool = False


@dataclass(frozen=True)
class Part:
    """The share of one lesson in a step: its number and the units."""

    lesson: int
    units: Whole


Step = tuple[Part, ...]


def steps_of(sizes: tuple[int, ...], epochs: float, batch_size: int, sampling: str) -> int:
    """Return how many steps `epochs` passes take; with a cap, passes over the capped sizes."""
    shares(sizes, sampling)  # refuses a rule that there is not
    rule, _, number = sampling.partition(":")
    counted = [min(size, int(number)) for size in sizes] if rule == "capped" else sizes
    return max(1, round(sum(counted) * epochs / batch_size))


def shares(sizes: tuple[int, ...], sampling: str) -> list[float]:
    """Return the probability with which each task takes its turn.

    sampling: "proportional" (to the sizes n), "capped:K" (to min(n, K)), "uniform", "temperature:T" (to n ** (1 / T)),
    or the probabilities themselves, "0.5,0.3,0.2". Raises InputError for any other.
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


def schedule(
    lessons: tuple[ScheduledSet, ...], steps: int, batch_size: int, sampling: str, seed: int
) -> Iterator[Step]:
    """Yield the parts of each step, a function of its arguments alone."""
    turns = [number for number, lesson in enumerate(lessons) if not lesson.every_step]
    companions = [number for number, lesson in enumerate(lessons) if lesson.every_step]
    if not turns:
        raise InputError("every lesson only accompanies another one: give at least one that takes its turn")
    random = np.random.default_rng((seed, len(lessons)))
    taken = random.choice(turns, size=steps, p=shares(tuple(len(lessons[n].lengths) for n in turns), sampling))
    batches = [_batches(lesson, batch_size, np.random.default_rng((seed, 1 + n))) for n, lesson in enumerate(lessons)]
    for turn in taken.tolist():
        yield tuple(Part(number, next(batches[number])) for number in (turn, *companions))


def _batches(lesson: ScheduledSet, batch_size: int, random: np.random.Generator) -> Iterator[Whole]:
    """Yield batches for ever: passes in random order, alike in length within a pool, the pool's batches shuffled.

    What does not fill a batch at the end of a pass begins the next one, so that every batch is whole.
    """
    order = np.empty(0, dtype=np.int64)
    while True:
        while len(order) < batch_size:
            order = np.concatenate([order, _epoch(lesson, random)])
        whole = len(order) // batch_size * batch_size
        for start in range(0, whole, POOL * batch_size):
            pool = order[start : min(start + POOL * batch_size, whole)]
            pool = pool[np.argsort(lesson.lengths[pool], kind="stable")].reshape(-1, batch_size)
            yield from random.permutation(pool)
        order = order[whole:]


def _epoch(lesson: ScheduledSet, random: np.random.Generator) -> Whole:
    """Return the units of one pass: each once, or languages drawn again in proportion to n ** alpha."""
    size = len(lesson.lengths)
    if lesson.languages is None or lesson.alpha == 1.0:
        return random.permutation(size)
    counts = np.bincount(lesson.languages)
    wanted = counts**lesson.alpha * (counts > 0)
    weight = (wanted / wanted.sum() / np.maximum(counts, 1))[lesson.languages]
    return random.choice(size, size=size, p=weight / weight.sum())
