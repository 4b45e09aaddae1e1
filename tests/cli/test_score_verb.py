"""The verb `score`: the official metric of predictions made anywhere, and nothing missing or doubled in silence."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from xstilts import metrics, stats
from xstilts.data.examples import AnswerSpan, ClassificationExample, QAExample, TaggingExample
from xstilts.errors import InputError
from xstilts.evaluation.score_file import Gold, Predictions, Reading, read_gold, read_predictions, scored, task_gold
from xstilts.tasks.base import task

Call = Callable[..., tuple[int, str, str]]
LABELS = ("neg", "neu", "pos")


@pytest.fixture
def call(call: Call) -> Call:
    """Return a function that runs the verb: exit code, standard output, standard error."""
    return partial(call, "score")


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def rows(seed: int, right: float, count: int = 60) -> list[tuple[str, str, str]]:
    """Return the id, the gold label and a prediction of each row."""
    rng = random.Random(1)
    gold = [(f"q{n}", rng.choice(LABELS)) for n in range(count)]
    rng = random.Random(seed)
    return [(id, label, label if rng.random() < right else rng.choice(LABELS)) for id, label in gold]


def gold_csv(folder: Path) -> Path:
    lines = "".join(f"{id},x,{label}\n" for id, label, _ in rows(0, 1))
    return written(folder / "gold.csv", "id,text,label\n" + lines)


def forms_of(found: list[tuple[str, str, str]]) -> dict[str, str]:
    """Return predictions in every form, by file name; those with ids in another order."""
    shuffled = random.Random(0).sample(found, len(found))
    return {
        "a.jsonl": "".join(json.dumps({"id": id, "prediction": label}) + "\n" for id, _, label in shuffled),
        "b.jsonl": "".join(json.dumps({"label": gold, "predicted_label": label}) + "\n" for _, gold, label in found),
        "c.csv": "id,label,predicted_label\n" + "".join(f"{id},{gold},{label}\n" for id, gold, label in shuffled),
        "d.tsv": "text\tprediction\n" + "".join(f"x\t{label}\n" for _, _, label in found),
        "e.txt": "".join(f"{label}\n" for _, _, label in found),
        "f.txt": "".join(f"{label}\t0.5\ta text\twith a tab\n" for _, _, label in found),  # as predict writes it
        "g.json": json.dumps({id: label for id, _, label in shuffled}),
        "h.json": json.dumps([{"id": id, "prediction": label} for id, _, label in shuffled]),
    }


@pytest.mark.parametrize("name", forms_of(rows(2, 0.6)))
def test_every_form_of_predictions_gives_the_official_score(tmp_path: Path, name: str) -> None:
    found = rows(2, 0.6)
    gold = read_gold(gold_csv(tmp_path), Reading())
    predictions = read_predictions(written(tmp_path / name, forms_of(found)[name]), gold)
    report = scored(gold, [predictions])
    official = metrics.metric("accuracy")(gold.examples, {id: label for id, _, label in found})
    first, second = report.scores[0].figures
    assert (gold.format, gold.metric, first.measure, second.measure) == (
        "classification", "accuracy", "accuracy", "macro_f1",
    )  # fmt: skip
    assert first.value == pytest.approx(official.headline)
    assert first.low < first.value < first.high
    confusion = report.scores[0].confusion
    assert confusion is not None
    assert second.value == pytest.approx(confusion.macro_f1)
    assert confusion.counts.sum() == len(found)


def test_two_files_are_compared_example_by_example(tmp_path: Path, call: Call) -> None:
    gold_path = gold_csv(tmp_path)
    gold = read_gold(gold_path, Reading())
    paths = [written(tmp_path / f"{n}.txt", forms_of(rows(n, right))["e.txt"]) for n, right in ((3, 0.5), (4, 0.9))]
    first, second = (read_predictions(path, gold) for path in paths)
    report = scored(gold, [first, second])
    accuracy, macro = report.differences
    parts = [np.array([metrics.metric("accuracy")(gold.examples, each.values).examples]) for each in (first, second)]
    assert accuracy.difference == pytest.approx(accuracy.second - accuracy.first)
    assert accuracy.low < accuracy.difference < accuracy.high
    assert accuracy.p == pytest.approx(stats.randomisation(*parts, resamples=2000))
    assert macro.p < 0.05
    same = scored(gold, [first, first]).differences[0]
    assert (same.difference, same.low, same.high, same.p) == (0, 0, 0, 1)
    code, out, _ = call(gold_path, *paths)
    assert code == 0
    for words in ("second minus first", "macro-F1", "labels of 3.txt", "confusion of 4.txt: gold in rows"):
        assert words in out
    assert json.loads(json.dumps(report.to_dict()))["differences"][0]["measure"] == "accuracy"
    assert {row["file"] for row in report.rows()} == {"3.txt", "4.txt"}


def test_tags_answers_and_choices_have_their_metrics(tmp_path: Path, call: Call) -> None:
    sentences = [(["Anna", "sees", "Lee"], ["B-PER", "O", "B-PER"], ["B-PER", "O", "O"]), (["Oslo"], ["B-LOC"], ["O"])]
    conll = ["".join(f"{word} {tag}{after}\n" for word, tag, after in zip(words, tags, more, strict=True))
             for words, tags, more in ((w, t, [""] * len(w)) for w, t, _ in sentences)]  # fmt: skip
    more = ["".join(f"{word} {tag} {after}\n" for word, tag, after in zip(*each, strict=True)) for each in sentences]
    gold_path = written(tmp_path / "g.conll", "\n".join(conll))
    gold = read_gold(gold_path, Reading())
    examples = [TaggingExample(str(n), tuple(words), tuple(tags)) for n, (words, tags, _) in enumerate(sentences)]
    expected = metrics.metric("entity_f1")(examples, {str(n): tags for n, (*_, tags) in enumerate(sentences)})
    files = {
        "p.conll": "\n".join(more),
        "p.txt": "".join(" ".join(tags) + "\n" for *_, tags in sentences),
        "p.jsonl": "".join(json.dumps({"predicted_tags": tags}) + "\n" for *_, tags in sentences),
    }
    for name, text in files.items():
        report = scored(gold, [read_predictions(written(tmp_path / name, text), gold)])
        assert report.metric == "entity_f1"
        assert report.scores[0].values == expected.values
    question = {"id": "a", "question": "?", "answers": [{"text": "the cat", "answer_start": 0}]}
    none = {"id": "b", "question": "?", "answers": [], "is_impossible": True}
    squad = {"data": [{"paragraphs": [{"context": "the cat", "qas": [question, none]}]}]}
    gold = read_gold(written(tmp_path / "g.json", json.dumps(squad)), Reading())
    assert gold.metric == "squad_v2"
    answers = read_predictions(written(tmp_path / "p.json", json.dumps({"a": "a cat", "b": ""})), gold)
    assert scored(gold, [answers]).scores[0].figures[0].value == 100
    ours = [{"id": "a", "predicted_answer": "cat", "answer_score": 1.0, "no_answer_score": 0.0},
            {"id": "b", "predicted_answer": "cat", "answer_score": 1.0, "no_answer_score": 2.0}]  # fmt: skip
    text = "".join(json.dumps(row) + "\n" for row in ours)
    assert scored(gold, [read_predictions(written(tmp_path / "o.jsonl", text), gold)]).scores[0].figures[0].value == 100
    choice = written(tmp_path / "c.csv", "id,label\n1,0\n2,1\n")
    code, out, err = call(choice, written(tmp_path / "c.txt", "0\n0\n"), "--format", "multiple_choice")
    assert code == 0, err
    assert re.search(r"accuracy\W+50.00", out)


# What does not fit.


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,prediction\nq0,neg\n", "59 of 60 examples of gold.csv have no prediction: 'q1', 'q2', "),
        ("id,prediction\n" + "".join(f"q{n},neg\n" for n in range(62)), "2 predictions have no example in gold.csv: 'q60'"),
        ("id,prediction\nq0,neg\nq0,pos\n", "there are two predictions for 'q0'"),
        ("prediction\nneg\n", "1 predictions for 60 examples of gold.csv, and no ids"),
        ("id,prediction\nq0,\n", "p.csv:2: expected a prediction, found ''"),
        ("id,prediction\nq0\n", "p.csv:2: expected 2 columns"),
        ("id,x,y\nq0,1,2\n", "p.csv:2: which column is it"),
    ],
)  # fmt: skip
def test_what_is_missing_or_too_much_is_named_and_refused(tmp_path: Path, call: Call, text: str, message: str) -> None:
    code, out, err = call(gold_csv(tmp_path), written(tmp_path / "p.csv", text))
    assert (code, out) == (2, "")
    assert message in err


def test_missing_predictions_may_count_as_wrong(tmp_path: Path, call: Call) -> None:
    half = "".join(json.dumps({"id": id, "prediction": label}) + "\n" for id, label, _ in rows(0, 1)[:30])
    code, out, _ = call(gold_csv(tmp_path), written(tmp_path / "p.jsonl", half), "--allow-missing")
    assert code == 0
    assert re.search(r"accuracy\W+50.00", out)
    assert "30 missing, counted as wrong" in out
    tagged = Gold("g", "token_classification", "tag_accuracy", "en", (TaggingExample("0", ("a",), ("O",)),), True)
    answer = QAExample("0", "", "", (AnswerSpan("x", 0),))
    unanswerable = QAExample("1", "", "", (), unanswerable=True)
    asked = Gold("g", "extractive_qa", "squad_v2", "en", (answer, unanswerable), True)
    for gold in (tagged, asked):
        empty = written(tmp_path / "e.json", "{}")
        predictions = read_predictions(empty, gold, allow_missing=True)
        assert scored(gold, [predictions]).scores[0].figures[0].value == 0


def test_the_benchmarks_own_measures_stand_beside_accuracy() -> None:
    assert (task("cola").more_metrics, task("qqp").more_metrics) == (("matthews",), ("f1:duplicate",))
    examples = tuple(ClassificationExample(str(n), "", None, label) for n, label in enumerate(("yes", "yes", "no")))
    gold = Gold("g", "classification", "accuracy", "en", examples, True, ("no", "yes"), ("matthews", "f1:yes"))
    report = scored(gold, [Predictions("p", {"0": "yes", "1": "no", "2": "no"})])
    values = {figure.measure: round(figure.value, 2) for figure in report.scores[0].figures}
    assert values == {"accuracy": 66.67, "macro_f1": 66.67, "matthews": 50.0, "f1:yes": 66.67}
    assert "Matthews" in report.views()[0].to_markdown()


def test_a_tasks_own_split_is_gold(tmp_path: Path, call: Call) -> None:
    chosen = task("sandbox_nli")
    gold = task_gold(chosen, "test", "qab", None)
    text = "".join(f"{example.label}\n" for example in gold.examples)
    path = written(tmp_path / "p.txt", text)
    code, out, err = call("test", path, "--task", "sandbox_nli", "--language", "qab", "--resamples", "100")
    assert code == 0, err
    assert re.search(r"accuracy\W+100.00", out)
    numbers = "".join(f"{chosen.labels.index(example.label)}\n" for example in gold.examples)
    assert read_predictions(written(tmp_path / "n.txt", numbers), gold).values == {e.id: e.label for e in gold.examples}
    with pytest.raises(InputError, match="predictions of bitext_retrieval are vectors"):
        task_gold(task("sandbox_retrieval"), "test", "qab", None)
    code, _, err = call("none.csv", path)
    assert (code, "none.csv is no file" in err) == (2, True)


def test_gold_that_is_wrong_is_named(tmp_path: Path) -> None:
    for text, message in [
        ("id,label\n1,\n", "g.csv:2: expected a gold label"),
        ("a,b\n1,2\n", "which task format is it"),
        ("id,label\n", "there are no rows"),
        ("id,label\n1,a\n1,b,c\n", "g.csv:3: expected 2 columns"),
    ]:
        with pytest.raises(InputError, match=message):
            read_gold(written(tmp_path / "g.csv", text), Reading())


def test_scores_are_also_a_json_document(call: Call, tmp_path: Path) -> None:
    gold = gold_csv(tmp_path)
    code, out, err = call(gold, gold, "--json")
    report = json.loads(out)
    assert (code, report["examples"], report["scores"][0]["figures"][0]["value"]) == (0, 60, 100.0), err
