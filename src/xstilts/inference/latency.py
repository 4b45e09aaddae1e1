"""Turns: how long calls take that are made one after another, so that all of them see the same machine.

>>> taken = turns({"one": lambda: sum(range(9)), "two": lambda: None}, 3, 1.0, lambda: None)
>>> [len(seconds) for seconds in taken.values()]
[3, 3]
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

ENOUGH = 20  # calls, for a p99 to be told


@dataclass(frozen=True)
class Timing:
    """How long one form took for batches of one shape; p99_ms: None of fewer than `ENOUGH` calls."""

    variant: str
    batch: int
    length: int
    calls: int
    p50_ms: float
    p99_ms: float | None
    sequences_per_second: float
    tokens_per_second: float


def turns(
    calls: Mapping[str, Callable[[], object]], rounds: int, seconds: float, wait: Callable[[], None]
) -> dict[str, list[float]]:
    """Return the seconds of each call in each round; another begins each time; rounds end early with the seconds.

    wait: until a device has done all that it was given, so that what is timed is the answer and not the asking.
    """
    found: dict[str, list[float]] = {name: [] for name in calls}
    began = time.perf_counter()
    for number in range(rounds):
        for name in order([*calls], number):
            wait()
            started = time.perf_counter()
            calls[name]()
            wait()
            found[name].append(time.perf_counter() - started)
        if time.perf_counter() - began > seconds:
            break
    return found


def order(names: Sequence[str], number: int) -> list[str]:
    """Return names in the order of a round; every round begins with another one."""
    first = number % len(names)
    return [*names[first:], *names[:first]]


def timing(name: str, shape: tuple[int, int], tokens: int, seconds: Sequence[float]) -> Timing:
    """Sum up the calls of one form at one shape (sequences, tokens a sequence); tokens: of a batch, without padding."""
    p50, p99 = (float(np.percentile(seconds, share)) * 1000 for share in (50, 99))
    speed = len(seconds) / sum(seconds)
    told = p99 if len(seconds) >= ENOUGH else None
    return Timing(name, *shape, len(seconds), p50, told, shape[0] * speed, tokens * speed)


def waiting(device: torch.device) -> Callable[[], None]:
    """Return what waits until a device has done all that it was given; on a CPU there is nothing to wait for."""
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    return torch.mps.synchronize if device.type == "mps" else lambda: None
