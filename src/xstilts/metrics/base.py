"""What every metric returns, and how gold examples are matched with predictions.

A score keeps what each example contributed, so that intervals are computed later without predicting again.

>>> Score({"accuracy": 50.0}, 50.0, [1.0, 0.0]).headline
50.0
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from xstilts.data.examples import Example
from xstilts.errors import InputError

Array = NDArray[np.float64]
E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Score:
    """A metric's value on a set of examples.

    Attributes:
        values: Under the official scorer's names; shares are in percent.
        headline: The value that is reported for the task.
        examples: What each example contributed, in gold order: 0 or 1 (labels), [exact match, F1] in 0..1 (answers),
            or [correct, predicted, gold] chunks (tags).
    """

    values: dict[str, float]
    headline: float
    examples: list[Any]


class Metric(Protocol):
    """A function from gold examples and predictions by example id to a score."""

    def __call__(self, gold: Sequence[Example], predictions: Mapping[str, Any], *, language: str = "en") -> Score:
        """Score predictions.

        Args:
            gold: Examples of the split, each with its own id.
            predictions: By example id.
            language: Code of the text's language, on which MLQA's normalization depends.
        """
        ...


def require(example: Example, shape: type[E], metric: str) -> E:
    """Check that an example is of the class that a metric scores.

    Args:
        example: The example.
        shape: The class that the metric scores.
        metric: The name of the metric, for the message.

    Returns:
        The same example.

    Raises:
        InputError: It is of another class.
    """
    if isinstance(example, shape):
        return example
    raise InputError(
        f"metric '{metric}' scores {shape.__name__}, but example '{example.id}' is {type(example).__name__}; "
        "use the metric that its task names"
    )


def require_examples(gold: Sequence[Example]) -> None:
    """Check that there are examples to score.

    Args:
        gold: The gold examples.

    Raises:
        InputError: There is none.
    """
    if not gold:
        raise InputError("no gold examples to score; check that the split is not empty")


def paired(gold: Sequence[Example], predictions: Mapping[str, Any]) -> list[tuple[Example, Any]]:
    """Match examples with predictions by id.

    Args:
        gold: The gold examples.
        predictions: The prediction of each example, by id.

    Returns:
        Each example with its prediction, in the order of the examples.

    Raises:
        InputError: An id occurs twice in the gold examples, or only on one side.
    """
    require_examples(gold)
    ids: set[str] = set()
    for example in gold:
        if example.id in ids:
            raise InputError(f"example id '{example.id}' occurs twice in the gold data; give every example its own id")
        if example.id not in predictions:
            raise InputError(f"example '{example.id}' has no prediction; predict every example of the split")
        ids.add(example.id)
    extra = next((id for id in predictions if id not in ids), None)
    if extra is not None:
        raise InputError(f"prediction '{extra}' has no gold example; predict the split that is scored, and only that")
    return [(example, predictions[example.id]) for example in gold]


def f1(correct: float, predicted: float, gold: float) -> float:
    """Return F1, the harmonic mean of precision and recall.

    Args:
        correct: The number of predicted items that are right.
        predicted: The number of predicted items.
        gold: The number of gold items.

    Returns:
        F1 in 0..1; 0 where nothing is correct.
    """
    if not correct:
        return 0.0
    precision, recall = correct / predicted, correct / gold
    return 2 * precision * recall / (precision + recall)


def found_scores(correct: float, predicted: float, gold: float) -> dict[str, float]:
    """Return F1, precision and recall, each 0 where its denominator is 0.

    Args:
        correct: The number of predicted items that are right.
        predicted: The number of predicted items.
        gold: The number of gold items.

    Returns:
        "f1", "precision" and "recall" in percent.
    """
    precision = correct / predicted if predicted else 0.0
    recall = correct / gold if gold else 0.0
    return {"f1": f1(correct, predicted, gold) * 100, "precision": precision * 100, "recall": recall * 100}
