"""Transferability: how well states predict labels, and how similar two tasks are. Nothing is trained.

Each measure takes the states (examples, width) that an encoder gives a target's examples, and their labels (examples,).
Measures differ in scale: candidates are ranked by one measure, values of different measures are not compared.

>>> states, labels = np.array([[1.0, 0.1], [0.9, 0.0], [0.1, 1.0], [0.0, 0.9]]), np.array([0, 0, 1, 1])
>>> knn(states, labels, k=1), round(h_score(states, labels), 2)
(100.0, 0.99)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from xstilts.errors import InputError

States = NDArray[np.floating]
Labels = NDArray[np.integer]

STEPS, CHANGE = 100, 1e-6  # of the fixed point: most of them, and the relative change at which it is reached
LEAST, MOST = 1e-10, 1e10  # bounds of precisions: labels that states explain wholly, or not at all, have none


def logme(states: States, labels: Labels) -> float:
    """Compute LogME: the mean log evidence per example of the labels, each against the rest (You et al. 2021).

    Labels of 0 and 1 are modelled as a linear map of the states with a normal prior and normal noise; the evidence
    integrates over the map and is taken at the best precisions, found by MacKay's fixed point on the singular values.
    As in the paper, neither states nor labels are centred.

    Args:
        states: (examples, width).
        labels: (examples,).

    Returns:
        LogME in nats an example; higher is better.

    Raises:
        InputError: There are fewer than two labels.
    """
    f, classes = _checked(states, labels)
    u, sigma, _ = np.linalg.svd(f, full_matrices=False)
    return float(
        np.mean([_evidence(u, sigma**2, (labels == label).astype(np.float64), f.shape[1]) for label in classes])
    )


def _evidence(u: States, squares: States, y: States, width: int) -> float:
    """Return the log evidence an example of targets y (examples,) at the best precisions of prior and noise."""
    n = len(y)
    projected = (u.T @ y) ** 2
    outside = max(float(y @ y - projected.sum()), 0.0)  # what no map of the states can say
    alpha = beta = 1.0
    for _ in range(STEPS):
        norm, residual, effective = _fitted(squares, projected, outside, alpha, beta)
        before = alpha, beta
        # MacKay's fixed point: `effective` is the number of directions that the data determine.
        alpha = _bounded(effective / max(norm, 1e-300))
        beta = _bounded((n - effective) / max(residual, 1e-300))
        if abs(alpha / before[0] - 1) < CHANGE and abs(beta / before[1] - 1) < CHANGE:
            break
    norm, residual, _ = _fitted(squares, projected, outside, alpha, beta)
    determinant = float(np.log(alpha + beta * squares).sum()) + (width - len(squares)) * math.log(alpha)
    fit = n * math.log(beta) + width * math.log(alpha) - n * math.log(2 * math.pi)
    return (fit - beta * residual - alpha * norm - determinant) / 2 / n


def _fitted(
    squares: States, projected: States, outside: float, alpha: float, beta: float
) -> tuple[float, float, float]:
    """Return the squared norm of the mean map, the squared residual, and how many directions the labels decide."""
    total = alpha + beta * squares
    norm = float((beta**2 * squares * projected / total**2).sum())
    residual = float((alpha**2 * projected / total**2).sum()) + outside
    return norm, residual, float((beta * squares / total).sum())


def _bounded(value: float) -> float:
    return min(max(value, LEAST), MOST)


def h_score(states: States, labels: Labels, shrunk: bool = True) -> float:
    """Compute the H-score, trace(cov(f)⁻¹ cov(E[f|y])): 0 to the number of labels less one (Bao et al. 2019).

    Args:
        states: (examples, width).
        labels: (examples,).
        shrunk: Use Ledoit and Wolf's estimate of cov(f) and scale the other down accordingly, as Ibrahim et al. 2021
            propose: with few examples and many dimensions the plain score is near its maximum whatever the labels.

    Returns:
        The score; higher is better.

    Raises:
        InputError: There are fewer than two labels.
    """
    f, classes = _checked(states, labels)
    centred = f - f.mean(axis=0)
    covariance = centred.T @ centred / len(f)
    means = np.stack([centred[labels == label].mean(axis=0) for label in classes])
    shares = np.array([np.mean(labels == label) for label in classes])
    between = (means * shares[:, None]).T @ means
    alpha = shrinkage(centred) if shrunk else 0.0
    scale = float(np.trace(covariance)) / f.shape[1]
    regularised = (1 - alpha) * covariance + alpha * scale * np.eye(f.shape[1])
    return (1 - alpha) * float(np.trace(np.linalg.pinv(regularised, rcond=1e-10, hermitian=True) @ between))


def shrinkage(centred: States) -> float:
    """Return the weight of a multiple of the identity in Ledoit and Wolf's (2004) estimate of a covariance.

    Args:
        centred: (examples, width), of mean 0.

    Returns:
        The weight, 0 to 1.
    """
    n, width = centred.shape
    covariance = centred.T @ centred / n
    scale = float(np.trace(covariance)) / width
    away = float(np.square(covariance).sum()) / width - scale**2
    fourth = float((np.square(centred).sum(axis=1) ** 2).sum()) / n
    noise = (fourth - float(np.square(covariance).sum())) / n / width
    return min(max(noise, 0.0) / away, 1.0) if away > 1e-12 * scale**2 else 1.0


def knn(states: States, labels: Labels, k: int = 5) -> float:
    """Compute the accuracy, in percent, of a majority vote of the k nearest other examples (cosine).

    A tie is decided by the nearest of them.

    Args:
        states: (examples, width).
        labels: (examples,).
        k: How many neighbours vote.

    Returns:
        Percent of examples.

    Raises:
        InputError: There are fewer than two labels.
    """
    f, _ = _checked(states, labels)
    unit = _unit(f)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, : min(k, len(f) - 1)]
    return 100 * float(np.mean([_majority(labels[row]) == label for row, label in zip(nearest, labels, strict=True)]))


def _majority(near: Labels) -> int:
    values, first, counts = np.unique(near, return_index=True, return_counts=True)
    return int(values[np.lexsort((first, -counts))[0]])


def paired(first: States, second: States) -> float:
    """Compute the share, in percent, of rows whose nearest row on the other side (cosine) is their pair, both ways.

    Args:
        first: One half of each pair, (pairs, width).
        second: The other half, (pairs, width).

    Returns:
        Percent of rows.

    Raises:
        InputError: There are no pairs, or the sides differ in length.
    """
    if len(first) != len(second) or not len(first):
        raise InputError(f"expected pairs, found {len(first)} and {len(second)} rows; give both of every pair")
    similarity = _unit(first) @ _unit(second).T
    own = np.arange(len(first))
    return 50 * float(np.mean(similarity.argmax(axis=1) == own) + np.mean(similarity.argmax(axis=0) == own))


def cosine(one: States, other: States) -> float:
    """Return the cosine of two vectors.

    Args:
        one: A vector, (width,).
        other: Another one, of the same width.

    Returns:
        The cosine; 0 where one of them is zero.
    """
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / lengths if lengths > 0 else 0.0


def alike(one: Mapping[str, States], other: Mapping[str, States]) -> float:
    """Return the similarity of two task embeddings.

    Args:
        one: The parts of an embedding, such as its layers, by name.
        other: The parts of another one.

    Returns:
        The mean cosine of the parts, each with equal weight.

    Raises:
        InputError: They have different parts, as those of different encoders do.
    """
    if one.keys() != other.keys():
        raise InputError("task embeddings of different encoders cannot be compared: make both with the same one")
    return float(np.mean([cosine(one[name], other[name]) for name in one]))


def ranks(scores: Sequence[float]) -> tuple[float, ...]:
    """Return the ranks of scores.

    Args:
        scores: Higher is better; NaN for none.

    Returns:
        1 for the highest, the mean rank for ties, NaN for NaN.
    """
    values = np.asarray(scores, dtype=np.float64)
    measured = values[~np.isnan(values)]
    above = (measured[None, :] > values[:, None]).sum(axis=1)
    tied = (measured[None, :] == values[:, None]).sum(axis=1)
    return tuple(np.where(np.isnan(values), np.nan, above + (tied + 1) / 2).tolist())


def _checked(states: States, labels: Labels) -> tuple[States, Labels]:
    classes = np.unique(labels)
    if states.ndim != 2 or len(states) != len(labels):
        raise InputError(f"expected a label for each row of states, found {states.shape} and {len(labels)} labels")
    if len(classes) < 2:
        raise InputError(f"expected two labels or more, found {len(classes)}: give more examples")
    return states.astype(np.float64), classes


def _unit(states: States) -> States:
    f = states.astype(np.float64)
    return np.asarray(f / np.maximum(np.linalg.norm(f, axis=1, keepdims=True), 1e-300))
