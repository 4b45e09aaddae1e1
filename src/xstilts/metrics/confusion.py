"""Confusion: which labels were predicted for which, and the measures that follow from it, as scikit-learn defines them.

Accuracy hides how the rare labels fare. From the counts of (gold, predicted) labels follow precision, recall and F1 of
each label, their unweighted mean (macro-F1), Matthews' correlation (GLUE's measure of CoLA) and the F1 of one label
(GLUE's of QQP). All are functions of counts alone, so that resamples of examples are scored by counting.

>>> table = Confusion.of(["a", "a", "b", "c"], ["a", "b", "b", "b"])
>>> table.counts.tolist()
[[1, 1, 0], [0, 1, 0], [0, 1, 0]]
>>> round(table.macro_f1, 2), round(table.matthews, 2)
(38.89, 38.73)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xstilts.errors import InputError
from xstilts.metrics.base import Array

MACRO_F1, MATTHEWS, F1 = "macro_f1", "matthews", "f1"
CELLS = 4_000_000  # of the matrices of resamples that are held at once
LIMIT = 2000  # labels: beyond, the matrix is larger than anyone reads and memory likes


@dataclass(frozen=True)
class LabelScore:
    """How one label fared; shares in percent, 0 where a denominator is 0.

    Attributes:
        label: The label.
        precision: Share of the examples predicted as the label that have it.
        recall: Share of the examples with the label that were predicted as it.
        f1: The harmonic mean of both.
        gold: How many examples have the label.
        predicted: How many were predicted as it.
    """

    label: str
    precision: float
    recall: float
    f1: float
    gold: int
    predicted: int


@dataclass(frozen=True)
class Confusion:
    """How often each label was predicted for each.

    Attributes:
        labels: All that occur in gold or predictions.
        counts: Examples by gold label (rows) and predicted label (columns).

    Shape:
        counts: (labels, labels)
    """

    labels: tuple[str, ...]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, gold: Sequence[object], predicted: Sequence[object], labels: Sequence[str] = ()) -> Confusion:
        """Count pairs of labels.

        Args:
            gold: The gold label of each example; strings are taken without surrounding white space.
            predicted: The predicted label of each example.
            labels: The order in which labels are shown; those that do not occur are left out, others follow, sorted.

        Raises:
            InputError: The two differ in length, or are empty.
        """
        rows, columns = (tuple(str(label).strip() for label in side) for side in (gold, predicted))
        if len(rows) != len(columns) or not rows:
            raise InputError(f"expected a prediction for each of {len(rows)} gold labels, found {len(columns)}")
        names = _ordered({*rows, *columns}, labels)
        numbers = {name: number for number, name in enumerate(names)}
        counts = np.zeros((len(names), len(names)), dtype=np.int64)
        np.add.at(counts, ([numbers[row] for row in rows], [numbers[column] for column in columns]), 1)
        return cls(names, counts)

    @property
    def accuracy(self) -> float:
        """The share of right predictions, in percent."""
        return float(100 * np.trace(self.counts) / self.counts.sum())

    @property
    def macro_f1(self) -> float:
        """The unweighted mean of the labels' F1, in percent."""
        return float(macro_f1(self.counts))

    @property
    def matthews(self) -> float:
        """Matthews' correlation coefficient times 100, as GLUE gives it."""
        return float(matthews(self.counts))

    def f1(self, label: str) -> float:
        """Return the F1 of one label in percent; 0 where it does not occur."""
        return float(label_f1(self.counts, self.labels.index(label))) if label in self.labels else 0.0

    def by_label(self) -> tuple[LabelScore, ...]:
        """Return precision, recall and F1 of each label."""
        right = np.diagonal(self.counts)
        gold, predicted = self.counts.sum(1), self.counts.sum(0)
        rows = zip(self.labels, _share(right, predicted), _share(right, gold), gold, predicted, strict=True)
        return tuple(
            LabelScore(label, float(precision), float(recall), self.f1(label), int(all_gold), int(all_predicted))
            for label, precision, recall, all_gold, all_predicted in rows
        )


def macro_f1(counts: Array | NDArray[np.int64]) -> Array:
    """Return the mean F1, in percent, of the labels that occur (scikit-learn, f1_score(average="macro")).

    Shape:
        counts: (..., labels, labels), gold in rows; returns (...,)
    """
    occurs = counts.sum(-1) + counts.sum(-2)
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    return np.asarray(_share(2 * right, occurs).sum(-1) / np.maximum((occurs > 0).sum(-1), 1))


def label_f1(counts: Array | NDArray[np.int64], label: int) -> Array:
    """Return the F1 of one label in percent (scikit-learn, f1_score(pos_label=label)); 0 where it does not occur."""
    right, occurs = counts[..., label, label], counts[..., label, :].sum(-1) + counts[..., :, label].sum(-1)
    return _share(2 * right, occurs)


def matthews(counts: Array | NDArray[np.int64]) -> Array:
    """Return Matthews' correlation times 100, for any number of labels; 0 where all gold or predictions are one label.

    Shape:
        counts: (..., labels, labels), gold in rows; returns (...,)

    Source:
        Gorodkin 2004, as in scikit-learn's matthews_corrcoef.
    """
    counts = counts.astype(np.float64)
    gold, predicted, total = counts.sum(-1), counts.sum(-2), counts.sum((-1, -2))
    right = np.trace(counts, axis1=-2, axis2=-1)
    together = right * total - (gold * predicted).sum(-1)
    apart = (total**2 - (predicted**2).sum(-1)) * (total**2 - (gold**2).sum(-1))
    return np.asarray(np.divide(100 * together, np.sqrt(apart), out=np.zeros_like(together), where=apart > 0))


def measure(name: str, labels: Sequence[str] = ()) -> Callable[[NDArray[Any]], Array]:
    """Look up a measure of counts: "macro_f1", "matthews", or "f1:LABEL" for the F1 of one label.

    Args:
        name: Of the measure.
        labels: In the order of the counts.

    Raises:
        InputError: There is no such measure.

    >>> float(measure("f1:yes", ["no", "yes"])(np.array([[1, 1], [0, 2]])))
    80.0
    """
    family, _, label = name.partition(":")
    if family == F1 and label:
        number = list(labels).index(label) if label in labels else None
        return (lambda counts: np.zeros(counts.shape[:-2])) if number is None else partial(label_f1, label=number)
    if name not in (MACRO_F1, MATTHEWS):
        raise InputError(f"unknown measure '{name}'; give {MACRO_F1}, {MATTHEWS} or {F1}:LABEL")
    return macro_f1 if name == MACRO_F1 else matthews


def measure_title(name: str) -> str:
    """Return the name of a measure in tables; that of another metric is returned as it is.

    >>> measure_title("f1:duplicate"), measure_title("squad")
    ("F1 of 'duplicate'", 'squad')
    """
    label = name.partition(":")[2]
    return {MACRO_F1: "macro-F1", MATTHEWS: "Matthews × 100"}.get(name, f"F1 of '{label}'" if label else name)


@dataclass(frozen=True)
class Resampled:
    """A measure of counts as a headline for `stats`: the contribution of an example is the number of its label pair.

    Attributes:
        name: Of the measure.
        labels: All labels.
    """

    name: str
    labels: tuple[str, ...]

    def contributions(self, gold: Sequence[str], predicted: Sequence[str]) -> Array:
        """Return the number of each example's pair of labels, (examples, 1)."""
        numbers = {label: number for number, label in enumerate(self.labels)}
        codes = [numbers[a] * len(numbers) + numbers[b] for a, b in zip(gold, predicted, strict=True)]
        return np.array(codes, dtype=np.float64)[:, None]

    def __call__(self, contributions: Array, weights: Array) -> Array:
        """Return the measure of each resample, (resamples,).

        Args:
            contributions: As `contributions` gives them.
            weights: How often each example is in each resample, (resamples, examples).
        """
        codes = contributions[:, 0].astype(np.int64)
        order = np.argsort(codes, kind="stable")
        pairs, starts = np.unique(codes[order], return_index=True)
        sums, size = np.add.reduceat(weights[:, order], starts, axis=1), len(self.labels)
        compute, step = measure(self.name, self.labels), max(1, CELLS // size**2)
        values = np.empty(len(weights))
        for start in range(0, len(weights), step):  # the matrices of all resamples at once may not fit
            block = sums[start : start + step]
            counts = np.zeros((len(block), size * size))
            counts[:, pairs] = block
            values[start : start + step] = compute(counts.reshape(-1, size, size))
        return values


def _share(part: NDArray[Any], total: NDArray[Any]) -> Array:
    """Return shares in percent; 0 where the total is 0."""
    part, total = np.asarray(part, dtype=np.float64), np.asarray(total, dtype=np.float64)
    return np.asarray(np.divide(100 * part, total, out=np.zeros_like(part), where=total > 0))


def _ordered(present: set[str], labels: Sequence[str]) -> tuple[str, ...]:
    known = [label for label in labels if label in present]
    names = (*dict.fromkeys(known), *sorted(present - set(known)))
    if len(names) > LIMIT:
        raise InputError(f"{len(names):,} different labels: are these labels, or numbers? give the column of labels")
    return names
