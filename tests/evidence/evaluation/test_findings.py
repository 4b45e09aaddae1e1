"""Findings are measured against judged rows, each question by a model of the others."""

from __future__ import annotations

import pytest

from xstilts.evidence.evaluation.findings import Abstract, evaluate_findings, fit_weights

TOPICS = {"Q1": ("pruning", "roses"), "Q2": ("watering", "tulips"), "Q3": ("singing", "orchids")}
RESULT = "We find that {0} of {1} improves flowering over shading."
OTHER = "We find that trains are more punctual than buses."
QUESTIONS = [
    {"question": name, "text": f"Does {verb} of {noun} improve flowering, compared to shading?"}
    for name, (verb, noun) in TOPICS.items()
] + [{"question": "Q4", "text": "Does polishing of copper improve the taste of lemon cakes?"}]
ABSTRACTS = {
    **{
        name: Abstract(f"On {verb}", f"Gardens are popular. We study {noun}. {RESULT.format(verb, noun)}")
        for name, (verb, noun) in TOPICS.items()
    },
    "aside": Abstract("On trains", f"We study trains. {OTHER}"),
}
WORKS = [{"question": name, "key": name, "grade": 2} for name in TOPICS] + [
    {"question": question["question"], "key": "aside", "grade": 0} for question in QUESTIONS
]
STATEMENTS = [
    {
        "question": name,
        "key": name,
        "sentence": RESULT.format(verb, noun),
        "kind": "finding",
        "bears": True,
        "stance": "more/better",
        "subject": f"{verb} of {noun}",
        "compared_with": "shading",
    }
    for name, (verb, noun) in TOPICS.items()
] + [
    {"question": "Q1", "key": "Q1", "sentence": "Gardens are popular.", "kind": "background", "bears": False},
    {"question": "Q4", "key": "aside", "sentence": OTHER, "kind": "finding", "bears": False},
]
PAIRS = [
    {
        "key_a": "Q1",
        "sentence_a": RESULT.format("pruning", "roses"),
        "key_b": "Q2",
        "sentence_b": RESULT.format("watering", "tulips"),
        "relation": "apparent conflict",
    }
]


def test_what_is_judged_rightly_gives_full_marks() -> None:
    measures = evaluate_findings(QUESTIONS, WORKS, STATEMENTS, PAIRS, ABSTRACTS)
    for name in ("kind precision", "kind recall", "bear, of judged", "bear, of all", "unanswerable, said so"):
        assert measures[name] == 1.0
    assert measures["stance stated"] == measures["stance right, of stated"] == 1.0
    assert measures["aims and backgrounds taken for findings"] == measures["apparent conflicts called real"] == 0
    assert measures["real conflict precision"] is None  # none was called


def test_wrong_stances_and_labels_lower_the_measures() -> None:
    turned = [{**row, "stance": "less/worse"} if row["bears"] else row for row in STATEMENTS]
    assert evaluate_findings(QUESTIONS, WORKS, turned, PAIRS, ABSTRACTS)["stance right, of stated"] == 0.0
    unanswered = [{**row, "bears": row["bears"] and row["question"] != "Q1"} for row in STATEMENTS]
    measures = evaluate_findings(QUESTIONS, WORKS, unanswered, PAIRS, ABSTRACTS)
    assert measures["bear, of judged"] is not None
    assert measures["bear, of judged"] < 1.0
    assert measures["unanswerable, said so"] == 0.5


def test_a_model_is_fitted_on_judged_findings_only() -> None:
    weights = fit_weights([([{"a": 1.0}, {"a": 0.0}, {"a": 9.0}], [True, False, None])])
    assert weights["a"] > 0
    with pytest.raises(ValueError, match="no finding is judged"):
        fit_weights([([{"a": 1.0}], [None])])
