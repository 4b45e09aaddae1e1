"""Reciprocal rank fusion: several rankings as one, by ranks alone, since their scores are not comparable.

A work's score is the sum of 1 / (60 + rank) over the rankings that hold it.

Source: Cormack, Clarke & Büttcher 2009.

>>> fused([["a", "b", "c"], ["b", "c", "d"]])
['b', 'c', 'a', 'd']
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

T = TypeVar("T", int, str)
DAMPING = 60  # the value of the source


def fused(rankings: Iterable[Sequence[T]]) -> list[T]:
    """Fuse rankings.

    Args:
        rankings: Rankings, best first, each item once in each.

    Returns:
        All items, best first; of equal scores the lower item first. The order of the rankings changes nothing.
    """
    ranks: dict[T, list[int]] = {}
    for ranking in rankings:
        for rank, item in enumerate(ranking, 1):
            ranks.setdefault(item, []).append(rank)
    scores = {item: sum(1 / (DAMPING + rank) for rank in sorted(held)) for item, held in ranks.items()}
    return sorted(scores, key=lambda item: (-scores[item], item))
