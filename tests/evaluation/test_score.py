from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from given import given, promised
from xstilts import metrics
from xstilts.data.dataset import DatasetSplit
from xstilts.data.examples import (
    AnswerSpan,
    BitextExample,
    ClassificationExample,
    Example,
    MultipleChoiceExample,
    QAExample,
    TaggingExample,
)
from xstilts.errors import InputError
from xstilts.evaluation.predict import PREDICTIONS
from xstilts.evaluation.score import CONTRIBUTIONS, SCORE, read_lines, read_score, score
from xstilts.formats import by_id
from xstilts.runtime.machine import Runtime
from xstilts.store.build import build, is_built
from xstilts.store.stage import BuildContext, Stage, stage


@stage(name="said", version=1)
def said(site: BuildContext, lines: tuple[str, ...]) -> None:
    """Stand in for `predict`: the lines are given."""
    (site.folder / PREDICTIONS).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def spoken(lines: Sequence[dict[str, Any]]) -> Stage:
    return said(tuple(json.dumps(line) for line in lines))


@pytest.fixture
def machine(tmp_path: Path) -> Runtime:
    return Runtime(store=tmp_path / "store")


QUESTIONS = [
    QAExample("q1", "the cat sat", "who", (AnswerSpan("the cat", 0), AnswerSpan("cat", 4))),
    QAExample("q2", "a dog ran home", "where", (AnswerSpan("home", 10),)),
    QAExample("q3", "nothing here", "what", (), unanswerable=True),
]
CASES: dict[str, tuple[str, list[Example], list[Any], float]] = {
    "accuracy": (
        "classification",
        [ClassificationExample(str(n), "a", None, label) for n, label in enumerate("xyxy")],
        ["x", "x", "x", "y"],
        75.0,
    ),
    "accuracy of choices": (
        "multiple_choice",
        [MultipleChoiceExample(str(n), "a", "", ("b", "c"), n % 2) for n in range(4)],
        [0, 1, 1, 1],
        75.0,
    ),
    "entity_f1": (
        "token_classification",
        [TaggingExample("0", ("Ann", "ran"), ("B-PER", "O")), TaggingExample("1", ("Oslo",), ("B-LOC",))],
        [["B-PER", "O"], ["B-PER"]],
        50.0,
    ),
    "pos_f1": (
        "token_classification",
        [TaggingExample("0", ("Ann", "ran"), ("NOUN", "VERB"))],
        [["NOUN", "NOUN"]],
        0.0,
    ),
    "squad": ("extractive_qa", list(QUESTIONS[:2]), ["cat", "ran home"], (50 + 100 * (1 + 2 / 3) / 2) / 2),
}


@pytest.mark.parametrize("case", CASES)
def test_a_score_is_what_the_metric_says_and_keeps_each_contribution(case: str, machine: Runtime) -> None:
    format, examples, predictions, headline = CASES[case]
    metric = case.split()[0]
    lines = [{"id": e.id, "prediction": p} for e, p in zip(examples, predictions, strict=True)]
    folder = build(score(spoken(lines), promised(format, examples), metric), machine)
    direct = metrics.metric(metric)(examples, {line["id"]: line["prediction"] for line in lines})
    found = read_score(folder)
    assert found == {
        "metric": metric,
        "headline": direct.headline,
        "values": direct.values,
        "examples": len(examples),
    }
    assert found["headline"] == pytest.approx(headline)
    parts = [json.loads(line) for line in (folder / CONTRIBUTIONS).read_text().splitlines()]
    assert parts == direct.examples
    assert metrics.headlines(metric, parts, np.ones((1, len(parts))))[0] == pytest.approx(found["headline"])


def test_the_order_of_the_lines_does_not_matter_but_their_ids_do(machine: Runtime) -> None:
    _, examples, predictions, headline = CASES["accuracy"]
    lines = [{"id": e.id, "prediction": p} for e, p in zip(examples, predictions, strict=True)]
    gold = promised("classification", examples)
    assert read_score(build(score(spoken(lines[::-1]), gold, "accuracy"), machine))["headline"] == headline
    with pytest.raises(InputError, match="'3' has no prediction"):
        build(score(spoken(lines[:-1]), gold, "accuracy"), machine)
    with pytest.raises(InputError, match="'9' has no gold"):
        build(score(spoken([*lines, {"id": "9", "prediction": "x"}]), gold, "accuracy"), machine)


def test_the_language_of_the_data_reaches_the_metric(machine: Runtime) -> None:
    """MLQA's normalisation takes articles off as the language has them: "der Hund" and "Hund" agree in German only."""
    example = QAExample("1", "der Hund", "wer", (AnswerSpan("der Hund", 0),))
    found = {}
    for code in ("de", "en"):
        data = DatasetSplit("toy", "extractive_qa", "test", code, (), (), ())
        line = {"id": "1", "context": "der Hund", "question": "wer"}
        line |= {"answers": [{"text": "der Hund", "start": 0}], "unanswerable": False}
        gold = given(data, (json.dumps(line),))
        promise = score(spoken([{"id": "1", "prediction": "Hund"}]), gold, "mlqa")
        found[code] = read_score(build(promise, machine))["values"]["exact_match"]
        assert promise.label == f"score-toy-test-{code}"
    assert found == {"de": 100.0, "en": 0.0}
    assert example.answers[0].text in example.context


def test_where_there_may_be_no_answer_the_margin_goes_along(machine: Runtime) -> None:
    lines = [
        {"id": "q1", "prediction": "cat", "score": 5.0, "null_score": 1.5},
        {"id": "q2", "prediction": "home", "score": 2.0, "null_score": 3.0},
        {"id": "q3", "prediction": "", "score": None, "null_score": 0.5},
    ]
    answers = by_id(lines, "squad_v2")
    assert {name: answer["null_score"] for name, answer in answers.items()} == {"q1": -3.5, "q2": 1.0, "q3": 0.5}
    assert by_id(lines, "squad") == {"q1": "cat", "q2": "home", "q3": ""}
    folder = build(score(spoken(lines), promised("extractive_qa", QUESTIONS), "squad_v2"), machine)
    direct = metrics.metric("squad_v2")(QUESTIONS, answers)
    assert read_score(folder)["values"] == direct.values


PAIRS = [BitextExample(f"r{n}", "a", "b") for n in range(4)]


def layered(*right: int) -> list[dict[str, Any]]:
    """Return predictions that have so many of four rows right at each layer."""
    found = [[f"r{n}" if n < count else "r0" if n else "r1" for count in right] for n in range(4)]
    return [{"id": f"r{n}", "prediction": layers} for n, layers in enumerate(found)]


def test_without_a_choice_the_layer_is_the_one_of_the_literature(machine: Runtime) -> None:
    right = [0] * 25
    right[14] = 3
    found = read_score(
        build(score(spoken(layered(*right)), promised("bitext_retrieval", PAIRS), "retrieval_accuracy"), machine)
    )
    assert (found["layer"], found["fixed_layer"], found["headline"]) == (14, 14, 75.0)
    assert found["by_layer"] == [25.0 * count for count in right]


@pytest.mark.parametrize(("depth", "wanted"), [(24, 14), (12, 7), (28, 16), (3, 2), (1, 1), (0, 0)])
def test_the_depth_of_the_literature_is_a_share_of_the_layers(depth: int, wanted: int, machine: Runtime) -> None:
    lines = spoken(layered(*range(depth + 1)) if depth < 4 else layered(*[1] * (depth + 1)))
    found = read_score(build(score(lines, promised("bitext_retrieval", PAIRS), "retrieval_accuracy"), machine))
    assert found["fixed_layer"] == wanted == math.floor(14 / 24 * depth + 0.5)


def test_the_layer_is_chosen_on_another_language_and_not_on_the_one_that_is_measured(machine: Runtime) -> None:
    dev = score(spoken(layered(0, 3, 1, 2)), promised("bitext_retrieval", PAIRS, "dev"), "retrieval_accuracy")
    gold = promised("bitext_retrieval", PAIRS, "measured")
    promise = score(spoken(layered(4, 1, 4, 4)), gold, "retrieval_accuracy", dev)
    folder = build(promise, machine)
    found = read_score(folder)
    assert (found["layer"], found["headline"]) == (1, 25.0)
    assert found["by_layer"] == [100.0, 25.0, 100.0, 100.0]
    parts = [json.loads(line) for line in (folder / CONTRIBUTIONS).read_text().splitlines()]
    assert 100 * sum(parts) / len(parts) == found["headline"]


def test_of_layers_that_are_as_good_the_highest_is_taken(machine: Runtime) -> None:
    dev = score(spoken(layered(2, 3, 3, 1)), promised("bitext_retrieval", PAIRS, "dev"), "retrieval_accuracy")
    promise = score(spoken(layered(0, 0, 2, 0)), promised("bitext_retrieval", PAIRS), "retrieval_accuracy", dev)
    assert read_score(build(promise, machine))["layer"] == 2


def test_another_metric_is_another_score_of_the_same_predictions(machine: Runtime) -> None:
    _, examples, predictions, _ = CASES["pos_f1"]
    lines = spoken([{"id": e.id, "prediction": p} for e, p in zip(examples, predictions, strict=True)])
    gold = promised("token_classification", examples)
    one, other = score(lines, gold, "pos_f1"), score(lines, gold, "entity_f1")
    assert one.key != other.key
    build(one, machine)
    assert is_built(lines, machine)
    assert not is_built(other, machine)


def test_files_are_as_they_are_named(machine: Runtime) -> None:
    _, examples, predictions, _ = CASES["accuracy"]
    lines = [{"id": e.id, "prediction": p} for e, p in zip(examples, predictions, strict=True)]
    folder = build(score(spoken(lines), promised("classification", examples), "accuracy"), machine)
    assert {path.name for path in folder.iterdir()} == {SCORE, CONTRIBUTIONS, "stage.json"}
    assert read_lines(build(spoken(lines), machine)) == lines
