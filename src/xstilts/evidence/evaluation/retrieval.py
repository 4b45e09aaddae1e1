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
from xstilts.evidence.evaluation.golden import ANSWERS, GoldenQuestion, GoldenSet
from xstilts.evidence.evaluation.logistic import logistic
from xstilts.evidence.evaluation.part import Inputs, Measure, PartResult, intervals
from xstilts.evidence.retrieval.ranking import Ranker
from xstilts.evidence.retrieval.screening import FEATURES, THRESHOLD, Weights, chance
from xstilts.runtime import progress

DEPTH, RECALL_DEPTH = 20, 100
NAME = "retrieval"
BM25, FULL, OTHERS = "BM25", "ours", "ours, screening fitted on the other questions"
MEANING, RERANKED, FUSED = "meaning alone", "without screening", "without screening and re-ranking"
WITHOUT_SCREENING: Mapping[str, Callable[[Ranker], list[int]]] = {
    BM25: Ranker.bm25,
    MEANING: Ranker.by_meaning,
    RERANKED: Ranker.reranked,
    FUSED: Ranker.fused,
}
MEASURES = (
    Measure("ndcg", f"nDCG@{DEPTH}", "judged works only"),
    Measure("recall_judged", f"recall@{RECALL_DEPTH}, judged", "grade 2 among the first judged works"),
    Measure("recall", f"recall@{RECALL_DEPTH}, all", "grade 2 among the first works, unjudged ones included"),
    Measure("off_topic", f"grade 0 @{DEPTH}", "share of the first judged works that are shown"),
    Measure("shown", f"shown @{DEPTH}", "judged works that are shown, twenty at most"),
    Measure("answering", f"grade 2 @{DEPTH}", "how many of these have grade 2"),
)
# What a ranking should reach: (measure, least or most, value), the first beside BM25.
MARGIN = 0.08
TARGETS = (("recall_judged", "at least", 0.85), ("off_topic", "at most", 0.10))
AIMED_KEPT = 0.75  # share of grade 2, on the questions that the threshold is fitted on, that it keeps


def measure(golden: GoldenSet, inputs: Inputs) -> PartResult:
    """Measure retrieval.

    Args:
        golden: The golden set.
        inputs: The corpus and the encoder.

    Returns:
        Figures of each question and method, their means with intervals over questions, and what falls short.
    """
    index, rows, seconds = inputs.index, [], []
    row_of = {index.record(row)["key"]: row for row in range(len(index))}
    rankers, judged = {}, {}
    for number, question in enumerate(golden.questions, 1):
        begin = time.monotonic()
        ranker = rankers[question.id] = Ranker(index, question.text, inputs.encoder, inputs.embed_all)
        ranker.ordered()
        judged[question.id] = [
            (*ranker.topical(row_of[key]), grade) for key, grade in question.grades.items() if key in row_of
        ]
        seconds.append(time.monotonic() - begin)
        progress.step("retrieval", number, len(golden.questions), question.id)
    for question in golden.questions:
        ranker = rankers[question.id]
        others = [part for name, part in judged.items() if name != question.id]
        orders = {FULL: (ranker.ordered(), ranker.shown())}
        if any(grade == ANSWERS for part in others for *_, grade in part):
            screened = ranker.screened(fit_screening(others))
            every = [work.row for work in screened] + ranker.reranked()[len(screened) :]
            orders[OTHERS] = (every, [work.row for work in screened if not work.reason])
        for method, ranked in WITHOUT_SCREENING.items():
            if method != MEANING or inputs.encoder is not None:
                orders[method] = (ranked(ranker), ranked(ranker))
        for method, of_method in orders.items():
            keys, shown = ([index.record(row)["key"] for row in part] for part in of_method)
            rows.append({"question": question.id, "method": method, **_figures(keys, shown, question)})
    overall = intervals(rows, [measure.key for measure in MEASURES])
    return PartResult(NAME, MEASURES, tuple(rows), overall, tuple(_notes(golden, rows, overall, seconds, inputs)))


def fit_screening(parts: Sequence[Sequence[tuple[str, Mapping[str, float], int]]], kept: float = AIMED_KEPT) -> Weights:
    """Fit the screening of works: a model for each of two grades, and the threshold that keeps most that answer.

    Args:
        parts: For each question, its judged works: the field that they lack ("" for none), features and grade.
        kept: Share of the works of grade 2 that the threshold keeps.

    Returns:
        Weights as in `screening.json`.

    Raises:
        ValueError: No work is judged.
    """
    if not any(parts):
        raise ValueError("no work is judged; give the grades of some works")
    features = np.array([[row[name] for name in FEATURES] for part in parts for _, row, _ in part])
    grades = np.array([grade for part in parts for *_, grade in part])
    weights = np.array([100 / len(part) for part in parts for _ in part])
    mean, scale = features.mean(0), features.std(0) + 1e-9
    models: dict[str, dict[str, float]] = {}
    for name, grade in (("on the topic", ANSWERS - 1), ("answers", ANSWERS)):
        design = np.c_[(features - mean) / scale, np.ones(len(features))]
        solved = logistic(design, (grades >= grade).astype(np.float64), weights)
        slopes = np.round(solved[:-1] / scale, 3)
        intercept = round(float(solved[-1] - slopes @ mean), 3)
        models[name] = {"intercept": intercept, **dict(zip(FEATURES, map(float, slopes), strict=True))}
    rates = [chance(row, models) for part in parts for missing, row, grade in part if grade == ANSWERS and not missing]
    limit = float(np.quantile(rates, 1 - kept)) if rates else 0.5
    return {**models, THRESHOLD: {"chance": math.floor(limit * 1000) / 1000}}


def _figures(keys: Sequence[str], shown: Sequence[str], question: GoldenQuestion) -> dict[str, float]:
    grades = question.grades
    first = ranking_metrics.judged(shown, grades)[:DEPTH]
    return {
        "ndcg": ranking_metrics.ndcg(keys, grades, DEPTH),
        "recall_judged": ranking_metrics.recall(ranking_metrics.judged(keys, grades), grades, RECALL_DEPTH),
        "recall": ranking_metrics.recall(keys, grades, RECALL_DEPTH),
        "off_topic": ranking_metrics.off_topic_share(shown, grades, DEPTH),
        "shown": float(len(first)),
        "answering": float(sum(grades[key] == ANSWERS for key in first)),
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
    empty = [row["question"] for row in rows if row["method"] == FULL and not row["shown"]]
    graded = {key for question in golden.questions for key in question.grades}
    notes = [
        f"{len(inputs.index):,} works in the corpus; {len(graded & keys)} of the {len(graded)} judged works are in it.",
        f"Method: {Ranker(inputs.index, golden.questions[0].text, inputs.encoder, inputs.embed_all).method}.",
        f"Seconds a question, all methods together: {min(seconds):.2f} to {max(seconds):.2f}.",
    ]
    if empty:
        notes.append(f"No judged work is shown for {', '.join(empty)}; the share of grade 0 leaves them out.")
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
