"""Metrics: from gold examples and predictions to scores equal to those of the official scorers.

`metric(name)` looks up a task's metric; all have the signature of `base.Metric`. One module per family:
`classification`, `question_answering`, `sequence_labeling`, `retrieval`, and `suites` for the averages of benchmarks.

>>> from xstilts.data.examples import ClassificationExample
>>> metric("accuracy")([ClassificationExample("7", "Yes?", None, "yes")], {"7": "yes"}).values
{'accuracy': 100.0}
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from xstilts.errors import InputError, did_you_mean
from xstilts.metrics import classification, question_answering, sequence_labeling
from xstilts.metrics.base import Array, Metric, Score
from xstilts.metrics.classification import accuracy, mlm_loss, retrieval_accuracy, same_label
from xstilts.metrics.question_answering import match, mlqa, mlqa_words, overlap_f1, squad, squad_v2, squad_words
from xstilts.metrics.retrieval import (
    RANKED,
    Candidate,
    average_precision,
    bitext_f1,
    extract,
    identify,
    map20,
    mine,
    mined_f1,
    nearest_source,
    neighbours,
    normalise,
    ranked_precisions,
    reciprocal_ranks,
    tune_threshold,
    unambiguous,
)
from xstilts.metrics.sequence_labeling import chunks, entity_f1, pos_f1, split_sentence, tag_accuracy
from xstilts.metrics.suites import XTREME, XTREME_R, Suite, SuiteScore, average, suite

__all__ = [
    "RANKED",
    "XTREME",
    "XTREME_R",
    "Candidate",
    "Metric",
    "Score",
    "Suite",
    "SuiteScore",
    "accuracy",
    "average",
    "average_precision",
    "bitext_f1",
    "bounds",
    "chunks",
    "entity_f1",
    "extract",
    "headlines",
    "identify",
    "map20",
    "match",
    "metric",
    "mine",
    "mined_f1",
    "mlm_loss",
    "mlqa",
    "mlqa_words",
    "names",
    "nearest_source",
    "neighbours",
    "normalise",
    "overlap_f1",
    "pos_f1",
    "ranked_precisions",
    "reciprocal_ranks",
    "retrieval_accuracy",
    "same_label",
    "split_sentence",
    "squad",
    "squad_v2",
    "squad_words",
    "suite",
    "tag_accuracy",
    "tune_threshold",
    "unambiguous",
]

Pool = Callable[[Array, Array], Array]

# Each metric with the function that finds its headline from summed contributions.
_METRICS: dict[str, tuple[Metric, Pool]] = {
    "accuracy": (accuracy, classification.pool),
    "retrieval_accuracy": (retrieval_accuracy, classification.pool),
    "squad": (squad, question_answering.pool),
    "squad_v2": (squad_v2, question_answering.pool),
    "mlqa": (mlqa, question_answering.pool),
    "entity_f1": (entity_f1, sequence_labeling.pool),
    "pos_f1": (pos_f1, sequence_labeling.pool),
    "tag_accuracy": (tag_accuracy, sequence_labeling.share),
    "mined_f1": (mined_f1, sequence_labeling.pool),
    "map20": (map20, classification.pool),
    "mlm_loss": (mlm_loss, classification.ratio),
}
PERCENT = (0.0, 100.0)
_BOUNDS = {"mlm_loss": (0.0, math.inf)}  # of metrics that are no percentages


def names() -> tuple[str, ...]:
    """Return the names that `metric` knows."""
    return tuple(_METRICS)


def metric(name: str) -> Metric:
    """Look up a metric by name.

    Args:
        name: One of `names()`.

    Returns:
        A function from gold examples and predictions to a score.

    Raises:
        InputError: There is no such metric; the message has the nearest name.
    """
    return _known(name)[0]


def bounds(name: str) -> tuple[float, float]:
    """Return the smallest and the largest headline that a metric can have.

    Args:
        name: The name of the metric.

    Returns:
        0 and 100 for a percentage, which any metric is that `names` does not have; 0 and infinity for a loss.

    >>> bounds("accuracy")
    (0.0, 100.0)
    """
    return _BOUNDS.get(name, PERCENT)


def headlines(name: str, examples: Sequence[Any] | Array, weights: Array) -> Array:
    """Compute the headline of each resample.

    Args:
        name: The name of the metric.
        examples: What each example contributed, `Score.examples`.
        weights: How often each example is in each resample, (resamples, examples); all ones give the headline itself.

    Returns:
        Headlines, (resamples,), in percent (a loss in nats).
    """
    contributions = np.reshape(np.asarray(examples, dtype=np.float64), (len(examples), -1))
    return _known(name)[1](weights @ contributions, weights.sum(axis=-1))


def _known(name: str) -> tuple[Metric, Pool]:
    if name not in _METRICS:
        raise InputError(f"unknown metric '{name}'; {did_you_mean(name, _METRICS, otherwise='one of')}")
    return _METRICS[name]
