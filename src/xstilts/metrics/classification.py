"""Labels: accuracy of one answer an example, for classification, multiple choice and retrieval.

>>> from xstilts.data.examples import MultipleChoiceExample
>>> accuracy([Choice("1", "It rained.", "effect?", ("dry", "wet"), 1)], {"1": 1}).headline
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
    """Score labels by the share of right ones, in percent.

    Strings are compared without surrounding white space but otherwise to the letter; other values with ==, so that 1
    and 1.0 agree and "1" and 1 do not (google-research/xtreme, evaluate.py).
    """
    return _share([same_label(_label(example), predicted) for example, predicted in paired(gold, predictions)])


def retrieval_accuracy(gold: Sequence[Example], predictions: Mapping[str, Any], *, language: str = "en") -> Score:
    """Score retrieval by the share of examples for which their own row was chosen, in percent (Tatoeba in XTREME).

    A prediction is the id of the row that was chosen for the example's English sentence.
    """
    pairs = paired(gold, predictions)
    return _share([require(e, BitextExample, "retrieval_accuracy").id == predicted for e, predicted in pairs])


def mlm_loss(gold: Sequence[Example], predictions: Mapping[str, Any], *, language: str = "en") -> Score:
    """Score masked-LM by the mean loss of a hidden token, in nats: lower is better.

    A prediction is [summed loss, number of hidden tokens] of a text, for the same hidden tokens each time.
    """
    parts = [[float(value) for value in predicted] for _, predicted in paired(gold, predictions)]
    nats, pieces = (sum(column) for column in zip(*parts, strict=True))
    mean = nats / pieces if pieces else 0.0
    return Score({"mlm_loss": mean}, mean, parts)


def ratio(sums: Array, count: Array) -> Array:
    """Return the mean loss from summed [loss, tokens] (last axis); 0 where nothing was hidden."""
    pieces = sums[..., 1]
    return np.divide(sums[..., 0], pieces, out=np.zeros_like(pieces), where=pieces > 0)


def pool(sums: Array, count: Array) -> Array:
    """Return accuracy in percent from numbers of right examples (last axis of one) and of examples."""
    return 100 * sums[..., 0] / count


def same_label(gold: object, predicted: object) -> bool:
    """Say whether two labels agree as XTREME's scorer sees it: lines stripped, JSON values with ==."""
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
    return Score({"accuracy": share}, share, [float(one) for one in right])
