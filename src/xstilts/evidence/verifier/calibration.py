"""Calibration of probabilities, and selective prediction: from which probability on a verdict may be trusted.

Logits are mapped to probabilities by one scale and a bias per class, fitted on held-out labels, so that an
uninformative model predicts the class frequencies. A threshold guarantees that, with 95 % confidence, at least a given
share of the verdicts above it is right. It is chosen from a fixed grid with the error divided equally (Bonferroni), so
that trying many thresholds does not find a lucky one.

>>> round(lower_bound(24, 24), 2), round(lower_bound(20, 24), 2)
(0.88, 0.66)
>>> scaled = fit(np.zeros((4, 2)), np.array([0, 0, 0, 1]))
>>> [round(float(p), 2) for p in scaled.probabilities(np.zeros((1, 2)))[0]]
[0.75, 0.25]
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LabelArray = NDArray[Any]  # class indices, or booleans

GRID = tuple(round(0.55 + 0.05 * step, 2) for step in range(9))  # thresholds: 0.55, 0.60 … 0.95
PRECISION, MISS = 0.8, 0.05
RIDGE, STEPS = 1e-3, 100  # weak: it only keeps parameters finite on separable data


@dataclass(frozen=True)
class Scaling:
    """Map from logits to probabilities: softmax(scale × logits + biases).

    One scale for all classes is temperature scaling (Guo et al. 2017, section 4.2); the biases correct for other class
    frequencies than in training (Alexandari et al. 2020). At scale 0 it predicts the class frequencies.

    Attributes:
        scale: Factor of the logits.
        biases: Bias of each class.
    """

    scale: float = 1.0
    biases: tuple[float, ...] = (0.0, 0.0, 0.0)

    def probabilities(self, logits: Array) -> Array:
        """Return probabilities.

        Args:
            logits: Logits or log-probabilities (examples, classes).

        Returns:
            Probabilities (examples, classes).
        """
        return _softmax(self.scale * np.asarray(logits, dtype=np.float64) + np.array(self.biases))


def fit(logits: Array, labels: LabelArray) -> Scaling:
    """Fit a scaling by maximum likelihood with Newton's method; the loss is convex, and steps that raise it are halved.

    Args:
        logits: Logits (examples, classes).
        labels: Class indices (examples,).

    Returns:
        The scaling; its scale is never below 0.
    """
    examples, classes = logits.shape
    design = np.zeros((examples, classes, classes))
    design[:, :, 0] = logits
    design[:, range(classes - 1), range(1, classes)] = 1.0
    truth = np.eye(classes)[labels]
    parameters = np.zeros(classes)
    for _ in range(STEPS):
        step = _newton(design, truth, parameters)
        while _loss(design, truth, parameters - step) > _loss(design, truth, parameters) and np.abs(step).max() > 1e-12:
            step = step / 2
        parameters = parameters - step
        if np.abs(step).max() < 1e-9:
            break
    if parameters[0] < 0:  # predictions are reversed, which scaling must not repair
        return fit(np.zeros_like(logits), labels)
    return Scaling(float(parameters[0]), (*(float(value) for value in parameters[1:]), 0.0))


def cross_validated(logits: Array, labels: LabelArray, folds: LabelArray) -> Array:
    """Return probabilities, each by a scaling fitted without the example's fold.

    Args:
        logits: Logits (examples, classes).
        labels: Class indices (examples,).
        folds: Fold of each example (examples,).

    Returns:
        Probabilities (examples, classes).
    """
    probabilities = np.empty(logits.shape)
    for fold in np.unique(folds):
        held_out = folds == fold
        probabilities[held_out] = fit(logits[~held_out], labels[~held_out]).probabilities(logits[held_out])
    return probabilities


def ece(confidence: Array, right: LabelArray, bins: int = 10) -> float:
    """Return the expected calibration error in bins of equal width: 0 to 1, lower is better.

    Args:
        confidence: Probability of the predicted class (examples,).
        right: Whether the prediction was right (examples,).
        bins: Number of bins.

    Returns:
        The error; NaN without examples.

    Source:
        Guo et al. 2017, equation 3.
    """
    if not len(confidence):
        return math.nan
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    bin_gaps = np.bincount(bin_of, np.asarray(right, dtype=np.float64) - confidence, bins)
    return float(np.abs(bin_gaps).sum() / len(confidence))


def brier(probabilities: Array, labels: LabelArray) -> float:
    """Return the Brier score, summed over classes: 0 to 2, lower is better.

    Args:
        probabilities: Probabilities (examples, classes).
        labels: Class indices (examples,).

    Source:
        Brier 1950.

    Returns:
        The mean over examples.
    """
    return float(((probabilities - np.eye(probabilities.shape[1])[labels]) ** 2).sum(1).mean())


def risk_coverage(confidence: Array, right: LabelArray) -> tuple[tuple[float, float], ...]:
    """Return the risk-coverage curve of selective prediction.

    Args:
        confidence: Confidence of each prediction (examples,).
        right: Whether it was right (examples,).

    Returns:
        Pairs of coverage (share of examples at least as confident) and risk (share of those that is wrong), from the
        highest confidence down; equal confidences together.

    Source:
        Geifman & El-Yaniv 2017.
    """
    order = np.argsort(-confidence, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(confidence[order]) != 0, True)) if len(order) else np.empty(0, dtype=int)
    wrong = np.cumsum(1 - np.asarray(right, dtype=np.float64)[order])
    return tuple((float((end + 1) / len(order)), float(wrong[end] / (end + 1))) for end in ends)


def auc(positive: Array, negative: Array) -> float:
    """Return the probability that a positive example scores above a negative one, ties counting half.

    Args:
        positive: Scores of positive examples.
        negative: Scores of negative examples.

    Returns:
        The area under the ROC curve; NaN without examples of a kind.

    Source:
        Mann & Whitney 1947.
    """
    if not len(positive) or not len(negative):
        return math.nan
    ordered = np.sort(negative)
    below, up_to = np.searchsorted(ordered, positive, "left"), np.searchsorted(ordered, positive, "right")
    return float((below + up_to).mean() / (2 * len(negative)))


def lower_bound(right: int, of: int, miss: float = MISS) -> float:
    """Return the one-sided exact lower confidence bound of a proportion.

    Args:
        right: Number of successes.
        of: Number of independent trials.
        miss: Probability that the bound is too high.

    Returns:
        The proportion at which `right` or more successes still have probability `miss`.

    Source:
        Clopper & Pearson 1934.
    """
    if right <= 0:
        return 0.0
    counts = np.arange(right, of + 1)
    log_binomials = np.array([math.lgamma(of + 1) - math.lgamma(k + 1) - math.lgamma(of - k + 1) for k in counts])
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        tail = np.exp(log_binomials + counts * math.log(middle) + (of - counts) * math.log1p(-middle)).sum()
        low, high = (middle, high) if tail < miss else (low, middle)
    return low


def threshold(confidence: Array, right: LabelArray, precision: float = PRECISION, miss: float = MISS) -> float | None:
    """Return the lowest threshold of `GRID` above which verdicts are precise enough.

    Args:
        confidence: Confidence of each verdict (examples,).
        right: Whether it was right (examples,).
        precision: Required lower bound of the precision.
        miss: Probability that the guarantee fails, divided equally among the thresholds.

    Returns:
        The threshold; None if none qualifies.

    Source:
        Angelopoulos et al. 2021, Learn then Test, section 2.2.
    """
    right = np.asarray(right, dtype=bool)
    for candidate in GRID:
        above = confidence >= candidate
        if above.any() and lower_bound(int(right[above].sum()), int(above.sum()), miss / len(GRID)) >= precision:
            return candidate
    return None


def _softmax(logits: Array) -> Array:
    raised = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(raised / raised.sum(-1, keepdims=True), dtype=np.float64)


def _loss(design: Array, truth: Array, parameters: Array) -> float:
    logits = design @ parameters
    peak = logits.max(1)
    total = peak + np.log(np.exp(logits - peak[:, None]).sum(1))
    return float((total - (logits * truth).sum(1)).sum() + RIDGE / 2 * parameters @ parameters)


def _newton(design: Array, truth: Array, parameters: Array) -> Array:
    """Return Newton's step of the loss."""
    predicted = _softmax(design @ parameters)
    mean = np.einsum("nc,ncp->np", predicted, design)
    gradient = np.einsum("nc,ncp->p", predicted - truth, design) + RIDGE * parameters
    hessian = np.einsum("nc,ncp,ncq->pq", predicted, design, design) - mean.T @ mean + RIDGE * np.eye(len(parameters))
    return np.asarray(np.linalg.solve(hessian, gradient), dtype=np.float64)
