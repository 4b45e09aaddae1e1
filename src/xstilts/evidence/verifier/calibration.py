"""Calibration: whether probabilities mean what they say, and from where on one may be believed.

Logits are mapped to probabilities by one scale and a bias for each class, fitted on held-out labels, so that a model
that knows nothing says the classes' shares, and not 0.99. A threshold is a promise: with 95 % confidence at least so
many of the verdicts above it are right. It is looked for on a grid that does not depend on the data, at an equal share
of the error each, so that looking often cannot find a lucky one.

>>> round(lower_bound(24, 24), 2), round(lower_bound(20, 24), 2)
(0.88, 0.66)
>>> scaled = fit(np.zeros((4, 2)), np.array([0, 0, 0, 1]))
>>> [round(float(one), 2) for one in scaled.probabilities(np.zeros((1, 2)))[0]]
[0.75, 0.25]
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LabelArray = NDArray[Any]  # labels as numbers, or right and wrong

GRID = tuple(round(0.55 + 0.05 * step, 2) for step in range(9))  # thresholds: 0.55, 0.60 … 0.95
PRECISION, MISS = 0.8, 0.05
RIDGE, STEPS = 1e-3, 100  # so weak that it only holds back what separable data would drive to infinity


@dataclass(frozen=True)
class Scaling:
    """From logits to probabilities: softmax(scale × logits + biases).

    One scale for all classes is temperature scaling (Guo et al. 2017, section 4.2); the biases take up that classes are
    not as frequent as where the model learned (Alexandari et al. 2020). A scale of 0 says the classes' shares.
    """

    scale: float = 1.0
    biases: tuple[float, ...] = (0.0, 0.0, 0.0)

    def probabilities(self, logits: Array) -> Array:
        """Return probabilities (examples, classes) for logits, or log-probabilities, of that shape."""
        return _softmax(self.scale * np.asarray(logits, dtype=np.float64) + np.array(self.biases))


def fit(logits: Array, labels: LabelArray) -> Scaling:
    """Return the scaling that makes labels (examples,), numbers of classes, most likely; its scale is never below 0.

    Newton's method on a convex loss, halving steps that would not lower it.
    """
    examples, classes = logits.shape
    design = np.zeros((examples, classes, classes))
    design[:, :, 0] = logits
    design[:, range(classes - 1), range(1, classes)] = 1.0
    truth = np.eye(classes)[labels]
    found = np.zeros(classes)
    for _ in range(STEPS):
        step = _newton(design, truth, found)
        while _loss(design, truth, found - step) > _loss(design, truth, found) and np.abs(step).max() > 1e-12:
            step = step / 2
        found = found - step
        if np.abs(step).max() < 1e-9:
            break
    if found[0] < 0:  # more likely the more it says the contrary: nothing that scaling mends
        return fit(np.zeros_like(logits), labels)
    return Scaling(float(found[0]), (*(float(one) for one in found[1:]), 0.0))


def cross_validated(logits: Array, labels: LabelArray, folds: LabelArray) -> Array:
    """Return probabilities (examples, classes), each by a scaling that was fitted without the example's fold."""
    found = np.empty(logits.shape)
    for fold in np.unique(folds):
        out = folds == fold
        found[out] = fit(logits[~out], labels[~out]).probabilities(logits[out])
    return found


def ece(confidence: Array, right: LabelArray, bins: int = 10) -> float:
    """Return the expected calibration error in bins of equal width (Guo et al. 2017, eq. 3): 0 to 1, lower is better.

    confidence, right (examples,): the probability of what was said, and whether it was true. NaN without examples.
    """
    if not len(confidence):
        return math.nan
    at = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(at, np.asarray(right, dtype=np.float64) - confidence, bins)
    return float(np.abs(gaps).sum() / len(confidence))


def brier(probabilities: Array, labels: LabelArray) -> float:
    """Return the mean squared distance of probabilities from the truth, summed over classes (Brier 1950): 0 to 2."""
    return float(((probabilities - np.eye(probabilities.shape[1])[labels]) ** 2).sum(1).mean())


def risk_coverage(confidence: Array, right: LabelArray) -> tuple[tuple[float, float], ...]:
    """Return (coverage, risk) at each confidence from the highest down (Geifman & El-Yaniv 2017): equal ones together.

    coverage: the share of examples that are at least as confident; risk: the share of those that is wrong.
    """
    order = np.argsort(-confidence, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(confidence[order]) != 0, True)) if len(order) else np.empty(0, dtype=int)
    wrong = np.cumsum(1 - np.asarray(right, dtype=np.float64)[order])
    return tuple((float((end + 1) / len(order)), float(wrong[end] / (end + 1))) for end in ends)


def auc(positive: Array, negative: Array) -> float:
    """Return the probability that a positive scores above a negative, ties half (Mann & Whitney 1947); NaN of none."""
    if not len(positive) or not len(negative):
        return math.nan
    ordered = np.sort(negative)
    below, up_to = np.searchsorted(ordered, positive, "left"), np.searchsorted(ordered, positive, "right")
    return float((below + up_to).mean() / (2 * len(negative)))


def lower_bound(right: int, of: int, miss: float = MISS) -> float:
    """Return the bound below which a share lies with probability `miss` at most: one-sided Clopper & Pearson (1934).

    Exact for independent examples, and never too high: the share at which so many right ones, or more, are still as
    likely as `miss`.
    """
    if right <= 0:
        return 0.0
    counts = np.arange(right, of + 1)
    ways = np.array([math.lgamma(of + 1) - math.lgamma(k + 1) - math.lgamma(of - k + 1) for k in counts])
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        likely = np.exp(ways + counts * math.log(middle) + (of - counts) * math.log1p(-middle)).sum()
        low, high = (middle, high) if likely < miss else (low, middle)
    return low


def threshold(confidence: Array, right: LabelArray, precision: float = PRECISION, miss: float = MISS) -> float | None:
    """Return the lowest threshold of the grid whose lower bound of precision is high enough; None where none is.

    With probability 1 - `miss` it keeps its promise: each threshold is tested at an equal share of `miss` (Bonferroni;
    as in Angelopoulos et al. 2021, Learn then Test, section 2.2).
    """
    right = np.asarray(right, dtype=bool)
    for one in GRID:
        above = confidence >= one
        if above.any() and lower_bound(int(right[above].sum()), int(above.sum()), miss / len(GRID)) >= precision:
            return one
    return None


def _softmax(logits: Array) -> Array:
    raised = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(raised / raised.sum(-1, keepdims=True), dtype=np.float64)


def _loss(design: Array, truth: Array, found: Array) -> float:
    logits = design @ found
    peak = logits.max(1)
    total = peak + np.log(np.exp(logits - peak[:, None]).sum(1))
    return float((total - (logits * truth).sum(1)).sum() + RIDGE / 2 * found @ found)


def _newton(design: Array, truth: Array, found: Array) -> Array:
    """Return Newton's step of the loss."""
    said = _softmax(design @ found)
    mean = np.einsum("nc,ncp->np", said, design)
    slope = np.einsum("nc,ncp->p", said - truth, design) + RIDGE * found
    bend = np.einsum("nc,ncp,ncq->pq", said, design, design) - mean.T @ mean + RIDGE * np.eye(len(found))
    return np.asarray(np.linalg.solve(bend, slope), dtype=np.float64)
