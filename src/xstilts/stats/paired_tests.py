"""Paired tests: two arms over the same examples, or the same seeds.

They are narrower than an estimate's p-value: swapping examples tests the same models on other examples, swapping seeds
other seeds on the same examples. Swapping is exact where there are few ways to swap, else approximate randomisation
(Noreen 1989; Yeh 2000), counted with the observed arrangement among the drawn ones (Phipson & Smyth 2010).

>>> randomise_seeds(np.array([70.0, 71.0, 69.0]), np.array([72.0, 74.0, 70.0]))  # 2 of 8 arrangements are as extreme
0.25
"""

from __future__ import annotations

import numpy as np

from xstilts.errors import InputError
from xstilts.metrics.base import Array
from xstilts.stats.bootstrap import Headline, share

EXACT = 12  # pairs up to which every arrangement is tried


def randomisation(
    before: Array, after: Array, headline: Headline = share, resamples: int = 9999, seed: int = 0
) -> float:
    """Return the two-sided p-value of no difference, arms swapped example by example, the same ones in all seeds.

    Args:
        before: Contributions of examples, (seeds, examples) or (seeds, examples, k).
        after: Contributions of the other arm, of the same seeds and examples.
        headline: From contributions and weights to the figure that is compared.
        resamples: How many arrangements are drawn where there are too many to try all.
        seed: The seed of the random numbers.

    Returns:
        The p-value.

    Raises:
        InputError: The shapes differ.

    Source:
        Noreen 1989; Yeh 2000; Phipson & Smyth 2010.
    """
    arms = [np.asarray(arm, dtype=np.float64) for arm in (before, after)]
    if arms[0].shape != arms[1].shape or arms[0].ndim not in (2, 3):
        raise InputError(f"expected two arms of seeds x examples, found {arms[0].shape} and {arms[1].shape}")
    before, after = (arm.reshape(*arm.shape[:2], -1) for arm in arms)
    pooled = np.concatenate([after, before], axis=1)
    total, first = 0, 0.0
    for swaps in _swaps(before.shape[1], resamples, seed):
        after_weights, before_weights = (
            np.concatenate([1 - swaps, swaps], axis=1),
            np.concatenate([swaps, 1 - swaps], axis=1),
        )
        differences = np.abs(
            np.mean(
                [
                    headline(contributions, after_weights) - headline(contributions, before_weights)
                    for contributions in pooled
                ],
                axis=0,
            )
        )
        first = float(differences[0]) if total == 0 else first
        # The first arrangement swaps nothing: its figure is the observed one, and ties with it count.
        total += int((differences >= first - 1e-9).sum())
    return total / (resamples + 1 if before.shape[1] > EXACT else 2 ** before.shape[1])


def randomise_seeds(before: Array, after: Array, resamples: int = 9999, seed: int = 0) -> float:
    """Return the two-sided p-value of no difference between scores paired by seed, by swapping arms within seeds.

    Args:
        before: Scores of one arm, one for each seed.
        after: Scores of the other arm, of the same seeds in the same order.
        resamples: How many arrangements are drawn where there are too many to try all.
        seed: The seed of the random numbers.

    Returns:
        The p-value; never below 2 / 2^seeds.
    """
    differences = np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64)
    statistics = np.concatenate(
        [np.abs((1 - 2 * swaps) @ differences) for swaps in _swaps(len(differences), resamples, seed)]
    )
    return float((statistics >= statistics[0] * (1 - 1e-12)).mean())


def _swaps(pairs: int, resamples: int, seed: int) -> list[Array]:
    """Return blocks of arrangements (arrangements, pairs) of 0 and 1, none swapped in the first."""
    if pairs <= EXACT:
        return [(np.arange(2**pairs)[:, None] >> np.arange(pairs) & 1).astype(np.float64)]
    rng = np.random.default_rng(seed)
    step = max(1, 1_000_000 // pairs)
    blocks = [rng.integers(0, 2, (min(step, resamples - at), pairs)) for at in range(0, resamples, step)]
    return [np.zeros((1, pairs)), *(block.astype(np.float64) for block in blocks)]


def almost_order(better: Array, worse: Array, confidence: float = 0.95, resamples: int = 1000, seed: int = 0) -> float:
    """Return the upper bound of the violation ratio of almost stochastic order; 0 is full dominance.

    Args:
        better: Scores of independent runs, not paired.
        worse: Scores of the other arm.
        confidence: The confidence of the bound.
        resamples: How often the deviation is bootstrapped.
        seed: The seed of the random numbers.

    Returns:
        The bound. Below 0.5, `better` almost stochastically dominates `worse` at that confidence.

    Source:
        del Barrio et al. 2018; Dror et al. 2019, "Deep Dominance".
    """
    from scipy.stats import norm

    first, second = np.sort(np.asarray(better, np.float64)), np.sort(np.asarray(worse, np.float64))
    rng = np.random.default_rng(seed)
    n, m = len(first), len(second)
    drawn = _violations(
        np.sort(rng.choice(first, (resamples, n)), axis=1), np.sort(rng.choice(second, (resamples, m)), axis=1)
    )
    ratio = float(_violations(first[None], second[None])[0])
    return float(np.clip(ratio + norm.ppf(confidence) * drawn.std(ddof=1), 0.0, 1.0))


def _violations(better: Array, worse: Array) -> Array:
    """Return the share of the squared distance of quantiles at which `better` is the smaller; sorted rows."""
    n, m = better.shape[1], worse.shape[1]
    ends = np.unique(np.concatenate([np.arange(n + 1) / n, np.arange(m + 1) / m]).round(12))
    middles, widths = (ends[1:] + ends[:-1]) / 2, np.diff(ends)
    gaps = better[:, (middles * n).astype(int)] - worse[:, (middles * m).astype(int)]
    squared = (gaps**2 * widths).sum(axis=1)
    against = (np.minimum(gaps, 0) ** 2 * widths).sum(axis=1)
    return np.asarray(np.divide(against, squared, out=np.full_like(squared, 0.5), where=squared > 0))
