"""A part of an evaluation: what it gets, and the figures that it returns.

A part is a module with a name and a function `measure(golden, inputs) -> PartResult`; `evaluate.PARTS` lists them. Its
rows hold a question, a method and one figure for each measure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xstilts.evidence.evaluation.golden import GoldenSet
from xstilts.evidence.retrieval.sentence_encoder import SentenceEncoder
from xstilts.evidence.retrieval.work_index import WorkIndex

RESAMPLES, LEVEL, SEED = 2000, 0.95, 0
ALL = "all"  # the question of rows that are measured on all questions at once


@dataclass(frozen=True)
class Measure:
    """A measure: its name in rows, its name in tables, and what it is about."""

    key: str
    label: str
    about: str


@dataclass(frozen=True)
class Inputs:
    """What parts are measured on.

    Attributes:
        index: The works of the corpus.
        encoder: A sentence encoder; None for words alone.
        embed_all: Whether the meaning of all works is compared, not only of those found by words.
    """

    index: WorkIndex
    encoder: SentenceEncoder | None = None
    embed_all: bool = False


@dataclass(frozen=True)
class PartResult:
    """The figures of a part.

    Attributes:
        name: Name of the part.
        measures: Its measures.
        rows: For each question and method: "question", "method", and a figure for each measure.
        overall: By method and measure: "mean" over questions, and "low" and "high" of its interval.
        notes: What the figures rest on, and what falls short.
    """

    name: str
    measures: tuple[Measure, ...]
    rows: tuple[Mapping[str, Any], ...]
    overall: Mapping[str, Mapping[str, Mapping[str, float]]]
    notes: tuple[str, ...]


Part = Callable[[GoldenSet, Inputs], PartResult]


def intervals(rows: Sequence[Mapping[str, Any]], measures: Sequence[str]) -> dict[str, dict[str, dict[str, float]]]:
    """Return the mean of each measure over questions, with its bootstrap interval.

    Args:
        rows: Rows with "question", "method" and the measures; NaN where a question has no such figure.
        measures: Names of measures.

    Returns:
        By method and measure: "mean", and "low" and "high" of the percentile interval over resampled questions; NaN
        where no question has the figure.
    """
    methods = dict.fromkeys(row["method"] for row in rows)
    return {
        method: {name: _interval([row[name] for row in rows if row["method"] == method]) for name in measures}
        for method in methods
    }


def _interval(figures: Sequence[float]) -> dict[str, float]:
    known = np.array([figure for figure in figures if not np.isnan(figure)], dtype=np.float64)
    if not len(known):
        return dict.fromkeys(("mean", "low", "high"), float("nan"))
    draws = np.random.default_rng(SEED).integers(0, len(known), size=(RESAMPLES, len(known)))
    low, high = np.quantile(known[draws].mean(axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {"mean": float(known.mean()), "low": float(low), "high": float(high)}
