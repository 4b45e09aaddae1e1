"""Latency: how long calls take, measured in turns, so that whatever else the machine does affects all alike.

>>> taken = interleave({"one": lambda: sum(range(9)), "two": lambda: None}, 3, 1.0, lambda: None)
>>> [len(seconds) for seconds in taken.values()]
[3, 3]
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

ENOUGH = 20  # calls for a p99


@dataclass(frozen=True)
class Timing:
    """How long one form took for batches of one shape.

    Args:
        variant: The form.
        batch: Sequences.
        length: Tokens of a sequence.
        calls: How many were timed.
        p50_ms: Median milliseconds of a call.
        p99_ms: 99th percentile; None for fewer than `ENOUGH` calls.
        sequences_per_second: Throughput.
        tokens_per_second: Throughput, without padding.
    """

    variant: str
    batch: int
    length: int
    calls: int
    p50_ms: float
    p99_ms: float | None
    sequences_per_second: float
    tokens_per_second: float


def interleave(
    calls: Mapping[str, Callable[[], object]], rounds: int, seconds: float, wait: Callable[[], None]
) -> dict[str, list[float]]:
    """Time calls in rounds; each round starts with another call.

    Args:
        calls: By name.
        rounds: Most rounds.
        seconds: After which no further round is started.
        wait: Returns when the device has finished, so that the computation is timed and not its launch.

    Returns:
        The seconds of each call in each round, by name.
    """
    found: dict[str, list[float]] = {name: [] for name in calls}
    began = time.perf_counter()
    for number in range(rounds):
        for name in rotated([*calls], number):
            wait()
            started = time.perf_counter()
            calls[name]()
            wait()
            found[name].append(time.perf_counter() - started)
        if time.perf_counter() - began > seconds:
            break
    return found


def rotated(names: Sequence[str], number: int) -> list[str]:
    """Return names in the order of a round; every round starts with another one.

    >>> rotated(["a", "b", "c"], 1)
    ['b', 'c', 'a']
    """
    first = number % len(names)
    return [*names[first:], *names[:first]]


def timing(name: str, shape: tuple[int, int], tokens: int, seconds: Sequence[float]) -> Timing:
    """Summarise the calls of one form at one shape.

    Args:
        name: The form.
        shape: (sequences, tokens of a sequence).
        tokens: Of the batch, without padding.
        seconds: Of each call.
    """
    p50, p99 = (float(np.percentile(seconds, share)) * 1000 for share in (50, 99))
    speed = len(seconds) / sum(seconds)
    shown = p99 if len(seconds) >= ENOUGH else None
    return Timing(name, *shape, len(seconds), p50, shown, shape[0] * speed, tokens * speed)


def synchronizer(device: torch.device) -> Callable[[], None]:
    """Return a function that waits until a device has finished; on a CPU it does nothing."""
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    return torch.mps.synchronize if device.type == "mps" else lambda: None
