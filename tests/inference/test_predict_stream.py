"""Predictions of a stream equal those of one input at a time, whatever the order, the window and the batch size."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_heads import WORDS, made

from quick import first
from xstilts.errors import InputError
from xstilts.inference import model as models
from xstilts.inference.model import Model, load_model
from xstilts.runtime.machine import Runtime

FORMATS = ("classification", "token_classification", "extractive_qa", "multiple_choice")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a function that loads a made checkpoint of a format, with a number of tokens for each pass."""

    @cache
    def folder(format: str) -> Path:
        return made(format, tmp_path_factory.mktemp("heads") / format)

    @cache
    def load(format: str, tokens: int = 0, max_length: int = 24) -> Model:
        runtime = Runtime(device="cpu", threads=1, max_tokens_per_pass=tokens)
        return load_model(folder(format), max_length=max_length, runtime=runtime)

    return load


def inputs_of(format: str, seed: int, count: int) -> list[Any]:
    """Return inputs of all lengths, many beyond what the model takes at once, and some that are equal."""
    rng = random.Random(seed)

    def text(longest: int) -> str:
        return " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, longest)))

    def made_input() -> Any:
        if format == "classification":
            return rng.choice([text(60), (text(60), text(20)), {"premise": text(9), "hypothesis": text(40)}])
        if format == "token_classification":
            return rng.choice([text(70), text(9).split(), {"tokens": text(40).split()}])
        if format == "extractive_qa":
            return {"question": text(8), "context": f" {text(90)}"}
        return {"context": text(30), "choices": [text(9) for _ in range(rng.randint(2, 4))]}

    inputs = [made_input() for _ in range(count)]
    return [*inputs, *inputs[: count // 3]]


def same(found: Any, expected: Any) -> bool:
    """Tell whether predictions agree, numbers up to the rounding of another batch shape."""
    if isinstance(expected, float):
        return bool(np.isclose(found, expected, rtol=1e-3, atol=2e-4))
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(same(found[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    return bool(found == expected)


@pytest.mark.parametrize("format", first(1, FORMATS))
@settings(max_examples=4, deadline=None, derandomize=True)
@given(seed=st.integers(0, 999), window=st.integers(1, 12), tokens=st.sampled_from([30, 90, 512]))
def test_a_stream_predicts_what_single_calls_do(opened: Any, format: str, seed: int, window: int, tokens: int) -> None:
    inputs = inputs_of(format, seed, 6)
    alone = [opened(format).predict([value])[0] for value in inputs]
    order = random.Random(seed).sample(range(len(inputs)), len(inputs))
    stream = opened(format, tokens).stream((inputs[n] for n in order), window=window)
    for n, prediction in zip(order, stream, strict=True):
        assert same(prediction, alone[n]), (prediction, alone[n])


def test_no_more_than_a_window_is_held(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    taken, ahead = 0, []

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield f"Anna sees {'the cherry ' * (taken % 5)}"

    model = opened("classification")
    for given_back, _ in zip(range(40), model.stream(endless(), window=8), strict=False):
        ahead.append(taken - given_back)
    assert max(ahead) <= 9
    taken = 0
    monkeypatch.setattr(models, "WINDOW_CHARACTERS", 60)  # long texts are held in smaller windows
    next(model.stream(endless(), window=1000))
    assert taken < 8


@pytest.mark.parametrize("format", FORMATS)
def test_a_wrong_input_stops_the_stream_after_what_came_before(opened: Any, format: str) -> None:
    good, stream = inputs_of(format, 1, 5)[:5], []
    with pytest.raises(InputError, match=r"^inputs\[5\]: "):
        stream.extend(opened(format).stream([*good, 7, *good], window=4))
    assert [same(a, b) for a, b in zip(stream, opened(format).predict(good), strict=True)] == [True] * 5


def test_a_reader_that_fails_loses_nothing_before(opened: Any) -> None:
    def broken() -> Iterator[str]:
        yield from ("Anna sleeps .", "Boris sees Clara .")
        raise InputError("a.txt:3: no text")

    stream = []
    with pytest.raises(InputError, match=r"^a.txt:3"):
        stream.extend(opened("classification").stream(broken()))
    assert len(stream) == 2


def test_long_texts_are_read_in_parts_or_marked(opened: Any) -> None:
    model = opened("classification")
    long = " ".join(WORDS * 8)
    short, parts = model.predict(["Anna sleeps .", long])
    (cut,) = model.predict([long], long="truncate")
    assert (short["windows"], short["truncated"]) == (1, False)
    assert (parts["windows"] > 3, parts["truncated"]) == (True, False)
    assert (cut["windows"], cut["truncated"]) == (1, True)
    for found in (parts, cut):
        assert np.isclose(sum(found["probabilities"].values()), 1, atol=1e-3)
    (again,) = model.predict([long + " Clara" * 40])
    assert again["probabilities"] != parts["probabilities"]  # the end is read
    pair = model.predict([(long, long), (long, "Anna"), ("Anna", long), ("", long)])
    assert [found["windows"] > 3 for found in pair] == [True] * 4
    (question,) = opened("extractive_qa").predict([{"question": long, "context": long}])
    assert question["truncated"]
    (choice,) = opened("multiple_choice").predict([{"context": long, "choices": ["a", "b"]}])
    assert choice["truncated"]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(a=st.integers(0, 80), b=st.integers(0, 80), room=st.integers(4, 30))
def test_parts_hold_every_token_and_fit(a: int, b: int, room: int) -> None:
    first, second = np.arange(a, dtype=np.int32), np.arange(b, dtype=np.int32)
    parts = models._parts_of_pair(first, second, room)
    for side, ids in ((0, first), (1, second)):
        segments = [part[side] for part in parts]
        whole = np.concatenate([segment for segment in segments if segment is not None])
        assert np.array_equal(whole, ids) or all(np.array_equal(segment, ids) for segment in segments)
    assert all(len(part_a) + len(part_b if part_b is not None else ()) <= room for part_a, part_b in parts)


def test_tags_have_words_offsets_and_probabilities(opened: Any) -> None:
    text = "  Anna\tsees \U0001f352 the  chérry . "
    found, listed, mapped = opened("token_classification").predict([text, text.split(), {"text": text}])
    assert [text[start:stop] for start, stop in found["offsets"]] == found["tokens"] == text.split()
    assert len(found["tags"]) == len(found["scores"]) == len(found["tokens"])
    assert all(0.25 <= score <= 1 for score in found["scores"])
    assert "offsets" not in listed
    assert mapped == found
    (long_word,) = opened("token_classification").predict([["Anna", "x" * 300, "sleeps"]])
    assert (long_word["truncated"], len(long_word["tags"])) == (True, 3)


WRONG: list[tuple[str, Any]] = [
    ("classification", {"text": None}),
    ("classification", {"text": 5}),
    ("classification", {"text": "a", "text_pair": False}),
    ("classification", ["a", None]),
    ("token_classification", {"tokens": ["a", None]}),
    ("token_classification", ["a", ""]),
    ("multiple_choice", {"context": "a", "choices": "abc"}),
    ("multiple_choice", {"context": "a", "choices": []}),
    ("extractive_qa", {"question": ["a"], "context": "b"}),
]


@pytest.mark.parametrize(("format", "value"), WRONG)
def test_no_value_of_another_type_is_taken_for_a_text(opened: Any, format: str, value: Any) -> None:
    with pytest.raises(InputError):
        opened(format).check(value)


def test_vectors_of_a_stream_are_those_of_single_texts(opened: Any) -> None:
    model = load_model("sandbox", max_length=16, runtime=Runtime(device="cpu", threads=1))
    texts = [" ".join(WORDS[: n % 9 + 1] * (1 + n % 4)) for n in range(11)]
    blocks, parts = zip(*model.stream_vectors(iter(texts), window=4), strict=True)
    assert [len(block) for block in blocks] == [4, 4, 3]
    assert max(max(part) for part in parts) > 1
    alone = np.concatenate([model.embed([text]) for text in texts])
    assert np.allclose(np.concatenate(blocks), alone, atol=1e-4)
    with pytest.raises(InputError, match="the encoder has layers 0"):
        next(model.stream_vectors(texts, layer=9))
    with pytest.raises(InputError, match=r"texts\[1\]: expected a text"):
        model.embed(["a", None])  # type: ignore[list-item]


def test_numbers_that_are_none_are_refused(opened: Any, tmp_path: Path) -> None:
    import torch

    model = load_model(made("classification", tmp_path), runtime=Runtime(device="cpu", threads=1))
    with torch.no_grad():
        next(iter(model.network.heads["head"].parameters())).fill_(float("nan"))
    with pytest.raises(InputError, match="outputs of the head are NaN or infinite for input 0"):
        model.predict(["Anna sleeps ."])
    with pytest.raises(InputError, match="give a window of 1 or more"):
        model.stream([], window=0)
