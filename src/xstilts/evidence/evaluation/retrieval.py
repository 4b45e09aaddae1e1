"""Retrieval on a golden set: are the works that answer a question ranked before those that are off its topic?

The methods are compared on the same corpus: the whole ranking, BM25 alone, meaning alone, and the ranking without its
last step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from xstilts.evidence.evaluation import ranking_metrics
from xstilts.evidence.evaluation.golden import GoldenQuestion, GoldenSet
from xstilts.evidence.evaluation.part import Inputs, Measure, PartResult, intervals
from xstilts.evidence.retrieval.ranking import Ranker
from xstilts.runtime import progress

DEPTH, RECALL_DEPTH = 20, 100
NAME = "retrieval"
BM25, FULL = "BM25", "ours"
METHODS: Mapping[str, Callable[[Ranker], list[int]]] = {
    FULL: Ranker.reranked,
    BM25: Ranker.bm25,
    "meaning alone": Ranker.by_meaning,
    "without re-ranking": Ranker.fused,
}
MEASURES = (
    Measure("ndcg", f"nDCG@{DEPTH}", "judged works only"),
    Measure("recall_judged", f"recall@{RECALL_DEPTH}, judged", "grade 2 among the first judged works"),
    Measure("recall", f"recall@{RECALL_DEPTH}, all", "grade 2 among the first works, unjudged ones included"),
    Measure("off_topic", f"grade 0 @{DEPTH}", "share of the first judged works"),
)
# What a ranking should reach: (measure, least or most, value), the first beside BM25.
MARGIN = 0.08
TARGETS = (("recall_judged", "at least", 0.85), ("off_topic", "at most", 0.10))


def measure(golden: GoldenSet, inputs: Inputs) -> PartResult:
    """Measure retrieval.

    Args:
        golden: The golden set.
        inputs: The corpus and the encoder.

    Returns:
        Figures of each question and method, their means with intervals over questions, and what falls short.
    """
    index, rows, seconds = inputs.index, [], []
    for number, question in enumerate(golden.questions, 1):
        begin = time.monotonic()
        ranker = Ranker(index, question.text, inputs.encoder, inputs.embed_all)
        for method, ranked in METHODS.items():
            if method == "meaning alone" and inputs.encoder is None:
                continue
            keys = [index.record(row)["key"] for row in ranked(ranker)]
            rows.append({"question": question.id, "method": method, **_figures(keys, question)})
        seconds.append(time.monotonic() - begin)
        progress.step("retrieval", number, len(golden.questions), question.id)
    overall = intervals(rows, [measure.key for measure in MEASURES])
    return PartResult(NAME, MEASURES, tuple(rows), overall, tuple(_notes(golden, rows, overall, seconds, inputs)))


def _figures(keys: Sequence[str], question: GoldenQuestion) -> dict[str, float]:
    grades = question.grades
    return {
        "ndcg": ranking_metrics.ndcg(keys, grades, DEPTH),
        "recall_judged": ranking_metrics.recall(ranking_metrics.judged(keys, grades), grades, RECALL_DEPTH),
        "recall": ranking_metrics.recall(keys, grades, RECALL_DEPTH),
        "off_topic": ranking_metrics.off_topic_share(keys, grades, DEPTH),
    }


def _notes(
    golden: GoldenSet,
    rows: Sequence[Mapping[str, Any]],
    overall: Mapping[str, Mapping[str, Any]],
    seconds: Sequence[float],
    inputs: Inputs,
) -> list[str]:
    """Return what the figures rest on, and each target that is not reached."""
    keys = {inputs.index.record(row)["key"] for row in range(len(inputs.index))}
    graded = {key for question in golden.questions for key in question.grades}
    notes = [
        f"{len(inputs.index):,} works in the corpus; {len(graded & keys)} of the {len(graded)} judged works are in it.",
        f"Method: {Ranker(inputs.index, golden.questions[0].text, inputs.encoder, inputs.embed_all).method}.",
        f"Seconds a question, all methods together: {min(seconds):.2f} to {max(seconds):.2f}.",
    ]
    least = float(np.nanmean([ranking_metrics.least_off_topic_share(q.grades, DEPTH) for q in golden.questions]))
    gain = overall[FULL]["ndcg"]["mean"] - overall[BM25]["ndcg"]["mean"]
    if not gain >= MARGIN:
        notes.append(f"Short: nDCG@{DEPTH} is {gain:+.3f} against BM25; wanted is {MARGIN:+.2f}.")
    for name, side, wanted in TARGETS:
        value = overall[FULL][name]["mean"]
        label = next(measure.label for measure in MEASURES if measure.key == name)
        if math.isnan(value) or (value < wanted if side == "at least" else value > wanted):
            floor = f"; no ranking of the judged works can be below {least:.3f}" if name == "off_topic" else ""
            notes.append(f"Short: {label} is {value:.3f}; wanted is {side} {wanted:.2f}{floor}.")
    return notes
