"""Statements on a golden set: what is shown bears, says what a reader saw in it, and conflicts only where works do.

Plugs the measures of `findings` into the evaluation, for words alone and, with an encoder, for words and meaning.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from xstilts.evidence.claims.bearing import Similarity, similarity_of
from xstilts.evidence.evaluation.findings import TRADE_OFF, Abstract, evaluate_findings
from xstilts.evidence.evaluation.golden import GoldenSet
from xstilts.evidence.evaluation.part import ALL, Inputs, Measure, PartResult

NAME, WORDS = "statements", "words"
# Measure, what it is about, and what it should reach: at least where it is a share, at most where it is a number.
MEASURES: Mapping[str, tuple[str, float | None]] = {
    "kind precision": ("sentences taken for findings that are findings", None),
    "kind recall": ("findings taken for findings", None),
    "aims and backgrounds taken for findings": ("number", 0),
    "bear, of judged": ("statements shown that bear, among judged sentences", 0.85),
    "bear, of all": ("the same, all sentences of works that do not answer counted as not bearing", 0.85),
    "finding recall": ("bearing findings that are shown", 0.6),
    **{
        f"{name}, aimed at recall {aimed}": ("the same with another threshold", None)
        for aimed in TRADE_OFF
        for name in ("bear, of all", "finding recall")
    },
    "unanswerable, said so": ("questions without an answer of which this is said", 1.0),
    "stance stated": ("bearing findings of which a stance is stated", 0.5),
    "stance right, of stated": ("stated stances that a reader saw too, turned with the comparison", 0.9),
    "stance right, as written": ("the same, not turned", None),
    "real conflicts called": ("number", None),
    "real conflict precision": ("pairs called a conflict that are one", 1.0),
    "real conflict recall": ("conflicts that are called one", None),
    "apparent conflicts called real": ("number", 0),
    "same findings called": ("number", None),
    "same finding precision": ("pairs called the same finding that are", None),
    "same finding recall": ("same findings that are called so", None),
    "real conflicts called, held out": ("the same with a threshold of meaning set on pairs of other works", None),
    "real conflict precision, held out": ("pairs called a conflict that are one", 1.0),
    "apparent conflicts called real, held out": ("number", 0),
    "same finding precision, held out": ("pairs called the same finding that are", None),
    "same finding recall, held out": ("same findings that are called so", None),
}
NUMBERS = (
    "aims and backgrounds taken for findings",
    "apparent conflicts called real",
    "apparent conflicts called real, held out",
)


def measure(golden: GoldenSet, inputs: Inputs) -> PartResult:
    """Measure statements, their stances and their relations.

    Args:
        golden: The golden set.
        inputs: The corpus, whose abstracts are read, and the encoder.

    Returns:
        Figures of each method over all questions, and what falls short. A question is judged by a model of bearing that
        was fitted on the others.
    """
    judged = {key for question in golden.questions for key in question.grades}
    judged |= {row[name] for row in golden.pairs for name in ("key_a", "key_b")}
    records = (inputs.index.record(row) for row in range(len(inputs.index)))
    abstracts = {
        record["key"]: Abstract(record["title"], record["abstract"]) for record in records if record["key"] in judged
    }
    questions = [{"question": question.id, "text": question.text} for question in golden.questions]
    works = [
        {"question": question.id, "key": key, "grade": grade}
        for question in golden.questions
        for key, grade in question.grades.items()
    ]
    methods: dict[str, Similarity | None] = {WORDS: None}
    if inputs.encoder:
        methods["words and meaning"] = similarity_of(inputs.encoder.passages)
    rows: list[dict[str, Any]] = []
    for method, similarity in methods.items():
        figures = evaluate_findings(questions, works, golden.statements, golden.pairs, abstracts, similarity)
        known = {name: math.nan if figures.get(name) is None else float(figures[name] or 0) for name in MEASURES}
        rows.append({"question": ALL, "method": method, **known})
    overall = {
        row["method"]: {name: {"mean": row[name], "low": math.nan, "high": math.nan} for name in MEASURES}
        for row in rows
    }
    measures = tuple(Measure(name, name, about) for name, (about, _) in MEASURES.items())
    return PartResult(NAME, measures, tuple(rows), overall, tuple(_notes(golden, rows)))


def _notes(golden: GoldenSet, rows: list[dict[str, Any]]) -> Iterator[str]:
    yield f"{len(golden.statements)} judged sentences and {len(golden.pairs)} judged pairs, over all questions at once."
    for row in rows:
        for name, (_, wanted) in MEASURES.items():
            if wanted is None or (name.endswith("held out") and row["method"] == WORDS):
                continue
            value = float(row[name])
            if value > wanted if name in NUMBERS else not value >= wanted:
                side = "at most" if name in NUMBERS else "at least"
                figure = "undefined" if math.isnan(value) else f"{value:.3g}"
                yield f"Short ({row['method']}): {name} is {figure}; wanted is {side} {wanted:g}."
