"""Retries: a training that ends no better than chance is repeated with another seed, by a rule declared beforehand.

Fine-tuning of large encoders sometimes stays at chance, by the seed alone; the usual practice is to start such a run
again (Phang et al. 2018; Mosbach et al. 2021). The rule is of single trainings: where a training's record says that it
is not above chance on development data of its training language (on its training data, where there are no others), the
training with the next seed takes its place, at most as often as declared, and the last one stays whatever it scores.
Which seed that is follows from the first seed alone, so that everything else is a pure function of what a store has.
Test data are not looked at.

>>> [seed_of(2, number) for number in range(3)], first_seed(2002)
([2, 1002, 2002], 2)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from xstilts.errors import InputError
from xstilts.runtime.machine import Runtime
from xstilts.store import manifest
from xstilts.store.build import is_built
from xstilts.store.identity import key_of
from xstilts.store.stage import Stage, folder_of

STEP = 1000  # from the seed of one try to that of the next
MOST = 20


def check(retries: int, seeds: int) -> None:
    """Raise InputError for a number of retries that is none, or with which the seeds of two runs would meet.

    Args:
        retries: How often a training may be repeated.
        seeds: The number of seeds, which are 1, 2, ….
    """
    if isinstance(retries, bool) or not isinstance(retries, int) or not 0 <= retries <= MOST:
        raise InputError(f"a training can be repeated 0 to {MOST} times, not {retries!r}")
    if retries and seeds >= STEP:
        raise InputError(f"with {seeds} seeds, repeated trainings would have seeds of other runs: give {STEP - 1}")


def rule(retries: int) -> str:
    """Return the declared rule in words."""
    often = "once" if retries == 1 else f"{retries} times"
    return (
        "a training that ends no better than chance on development data of its training language (on training data "
        f"where there are no others) is repeated with another seed, at most {often}"
    )


def seed_of(seed: int, number: int) -> int:
    """Return the seed of a try.

    Args:
        seed: The seed of the first one, which the run is called by.
        number: How many tries were before.
    """
    return seed + STEP * number


def first_seed(seed: int) -> int:
    """Return the seed of the first try of a training that has this seed."""
    return seed % STEP


def is_collapsed(record: Mapping[str, Any]) -> bool:
    """Return whether a training is no better than chance on any of its tasks.

    Args:
        record: The manifest of the training, which has scores on development data, or on training data of tasks
            without them.
    """
    return any(score["collapsed"] for score in judged(record).values())


def judged(record: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the scores by which a training is judged, by task: `score`, `chance`, `collapsed`.

    Args:
        record: The manifest of the training.
    """
    return {**(record["record"].get("dev") or {}), **(record["record"].get("seen") or {})}


def has_collapsed(training: Stage, machine: Runtime) -> bool:
    """Return whether a training is finished and no better than chance."""
    return is_built(training, machine) and is_collapsed(manifest.read(folder_of(training, machine)))


def earlier_keys(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield the keys of the tries before a training, the first one first, as they follow from its manifest.

    Args:
        record: The manifest of a training of a grid with retries.
    """
    arguments = record["arguments"]
    for number in range(arguments["seed"] // STEP):
        seed = seed_of(first_seed(arguments["seed"]), number)
        earlier = arguments | {"seed": seed}
        if earlier.get("head_seed") == seed:  # its own seed, which is left out
            del earlier["head_seed"]
        yield key_of(record["work"], record["version"], earlier)
