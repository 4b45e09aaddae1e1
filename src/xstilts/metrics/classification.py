"""Classification metrics: accuracy of one prediction per example, also for multiple choice and retrieval.

>>> from xstilts.data.examples import MultipleChoiceExample
>>> accuracy([MultipleChoiceExample("1", "It rained.", "effect?", ("dry", "wet"), 1)], {"1": 1}).headline
100.0
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xstilts.data.examples import BitextExample, ClassificationExample, Example, MultipleChoiceExample
from xstilts.errors import InputError
from xstilts.metrics.base import Array, Score, paired, require


def accuracy(gold: Sequence[Example], predictions: Mapping[str, Any], *, language: str = "en") -> Score:
    """Compute accuracy, in percent.

    Strings are compared without surrounding white space but otherwise to the letter; other values with ==, so that 1
    and 1.0 agree and "1" and 1 do not (google-research/xtreme, evaluate.py).

    Args:
        gold: Classification or multiple-choice examples with labels.
        predictions: A label, or the number of a candidate, by example id.
        language: Ignored.

    Returns:
        The score; an example contributes 1 or 0.

    Raises:
        InputError: An example has no label, or ids do not match.
    """
    return _share([same_label(_label(example), predicted) for example, predicted in paired(gold, predictions)])


def retrieval_accuracy(gold: Sequence[Example], predictions: Mapping[str, Any], *, language: str = "en") -> Score:
    """Compute the share of sentences whose translation was retrieved, in percent (Tatoeba in XTREME).

    Args:
        gold: Bitext examples.
        predictions: By example id, the id of the row that was retrieved for its English sentence.
        language: Ignored.

    Returns:
        The score; an example contributes 1 or 0.
    """
    pairs = paired(gold, predictions)
    return _share([require(e, BitextExample, "retrieval_accuracy").id == predicted for e, predicted in pairs])


def mlm_loss(gold: Sequence[Example], predictions: Mapping[str, Any], *, language: str = "en") -> Score:
    """Compute the mean loss of a masked token, in nats: lower is better.

    Args:
        gold: Texts.
        predictions: By example id, [summed loss, number of masked tokens].
        language: Ignored.

    Returns:
        The score; an example contributes its summed loss and its number of masked tokens.
    """
    parts = [[float(value) for value in predicted] for _, predicted in paired(gold, predictions)]
    nats, tokens = (sum(column) for column in zip(*parts, strict=True))
    mean = nats / tokens if tokens else 0.0
    return Score({"mlm_loss": mean}, mean, parts)


def ratio(sums: Array, count: Array) -> Array:
    """Compute mean losses of masked tokens, also of resampled examples.

    Args:
        sums: Weighted sums over examples of [loss, tokens], (..., 2).
        count: Weighted numbers of examples; not used.

    Returns:
        The means in nats; 0 where nothing was masked.
    """
    tokens = sums[..., 1]
    return np.divide(sums[..., 0], tokens, out=np.zeros_like(tokens), where=tokens > 0)


def pool(sums: Array, count: Array) -> Array:
    """Compute accuracies, also of resampled examples.

    Args:
        sums: Weighted numbers of correct examples, (..., 1).
        count: Weighted numbers of examples.

    Returns:
        The accuracies in percent.
    """
    return 100 * sums[..., 0] / count


def same_label(gold: object, predicted: object) -> bool:
    """Return whether two labels agree by XTREME's scorer.

    Args:
        gold: The gold label.
        predicted: The predicted label.

    Returns:
        Whether they are equal: strings without surrounding white space, other values by ==.
    """
    if isinstance(gold, str) and isinstance(predicted, str):
        return gold.strip() == predicted.strip()
    return bool(gold == predicted)


def _label(example: Example) -> str | int:
    if not isinstance(example, MultipleChoiceExample):
        example = require(example, ClassificationExample, "accuracy")
    if example.label is None:
        raise InputError(f"example '{example.id}' has no gold label (hidden in this split); score a split with labels")
    return example.label


def _share(right: Sequence[bool]) -> Score:
    share = sum(right) / len(right) * 100
    return Score({"accuracy": share}, share, [float(correct) for correct in right])
