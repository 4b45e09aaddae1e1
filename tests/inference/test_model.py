"""Tests of `load_model`: predictions for texts of the user's own, in every format that has a head."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xstilts import api
from xstilts.errors import InputError
from xstilts.inference.model import load_model, trained_max_length
from xstilts.runtime.machine import Runtime

QUICK = ("steps=3", "max_train_examples=48", "max_length=40")
CPU = Runtime(device="cpu", threads=1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a function that trains the sandbox's encoder on a task for a moment."""
    runtime = Runtime(tmp_path_factory.mktemp("models"), device="cpu", threads=1)
    return lambda task: api.train("sandbox", task, recipe="sandbox", settings=QUICK, runtime=runtime)


def test_an_answer_is_the_text_between_its_offsets(trained: Any) -> None:
    checkpoint = trained("sandbox_qa")
    model = load_model(checkpoint.path, runtime=CPU)
    assert model.format == "extractive_qa"
    assert model.max_length == trained_max_length(checkpoint.path) == 40
    context = "  " + " ".join(f"Anna sees the {word} ." for word in ("cherry", "bridge", "doctor", "cherry") * 6)
    questions = [{"question": "Who ?", "context": context}, {"question": "Who sees ?", "context": "Onno sleeps ."}]
    for question, found in zip(questions, model.predict(questions), strict=True):
        assert question["context"][found["start"] : found["stop"]] == found["answer"]
        assert found["answer"]
        assert found["score"] > -100
        assert found["no_answer_score"] > -100


def test_choices_may_differ_in_number(trained: Any) -> None:
    model = load_model(trained("sandbox_choice").path, runtime=CPU)
    inputs = [
        {"context": "Anna sleeps .", "choices": ["Anna wakes .", "Onno eats ."]},
        {"question": "What next ?", "choices": ["a", "b", "c"]},
        {"context": "Onno runs .", "question": "What next ?", "choices": ["Onno eats .", "Anna wakes ."]},
    ]
    found = model.predict(inputs)
    assert [len(one["probabilities"]) for one in found] == [2, 3, 2]
    for question, one in zip(inputs, found, strict=True):
        assert one["choice"] == question["choices"][one["index"]]
        assert one["score"] == max(one["probabilities"])
        assert np.isclose(sum(one["probabilities"]), 1, atol=1e-3)
    alone = [model.predict([question])[0] for question in inputs]
    assert [one["index"] for one in alone] == [one["index"] for one in found]


def test_a_sentence_longer_than_the_model_takes_has_all_its_tags(trained: Any) -> None:
    model = load_model(trained("sandbox_ner").path, runtime=CPU)
    words = ["Anna", "sleeps", "near", "Northfield"] * 30
    (found,) = model.predict([{"tokens": words}])
    assert (found["tokens"], len(found["tags"])) == (words, len(words))


def test_vectors_are_means_of_states_at_any_layer(trained: Any) -> None:
    model = load_model("sandbox", runtime=CPU)
    texts = ["Anna sleeps .", "Onno follows the cherry near the bridge .", "Anna sleeps ."]
    last, first = model.embed(texts), model.embed(texts, layer=0)
    assert last.shape == first.shape == (3, 64)
    assert np.array_equal(last[0], last[2])
    assert not np.allclose(last, first)
    assert np.allclose(model.embed(texts[1:2]), last[1:2], atol=1e-5)
    assert model.embed([]).shape[0] == 0
    assert load_model(trained("sandbox_ner").path, runtime=CPU).embed(texts).shape == (3, 64)


WRONG: list[tuple[str, Any, str]] = [
    ("sandbox_nli", "a text", "predict takes a list of inputs"),
    (
        "sandbox_nli",
        [{"context": "a"}],
        "an input has no 'text' or 'text_a' or 'premise' or 'sentence1': it has context",
    ),
    ("sandbox_nli", [("a", "b", "c")], "expected a text or a pair of texts, not 3"),
    ("sandbox_qa", ["Who ?"], "expected an input such as"),
    ("sandbox_qa", [{"question": "Who ?"}], "an input has no 'context': it has question"),
    ("sandbox_ner", [""], "an input has no words"),
    ("sandbox_choice", [{"context": "a"}], "an input has no 'choices'"),
]


@pytest.mark.parametrize(("task", "inputs", "message"), WRONG)
def test_a_wrong_input_is_named(task: str, inputs: Any, message: str, trained: Any) -> None:
    with pytest.raises(InputError, match=message):
        load_model(trained(task).path, runtime=CPU).predict(inputs)


def test_no_input_gives_no_prediction(trained: Any) -> None:
    assert load_model(trained("sandbox_nli").path, runtime=CPU).predict([]) == []


def test_a_folder_without_a_head_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no head that predicts .bitext_retrieval.: use embed"):
        load_model("sandbox", runtime=CPU).predict(["a"])
    with pytest.raises(InputError, match="embed takes a list of texts"):
        load_model("sandbox", runtime=CPU).embed("a")
    with pytest.raises(InputError, match="has no config"):
        load_model(tmp_path)
