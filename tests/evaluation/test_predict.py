from __future__ import annotations

import json
import math
import shutil
from collections import Counter
from dataclasses import replace
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from families import DEPTH
from given import TOYS, lesson, promised
from quick import first
from xstilts.cost import ledger
from xstilts.data.examples import BitextExample, ClassificationExample, PassageExample
from xstilts.evaluation.predict import PREDICTIONS, predict, predict_inputs
from xstilts.evaluation.score import read_lines
from xstilts.formats import task_format
from xstilts.models.batch import ModelInput
from xstilts.models.batching import length_bucketed_batches
from xstilts.models.encoder import Encoder, load_backbone, load_tokenizer
from xstilts.models.heads import attach
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer
from xstilts.runtime import progress
from xstilts.runtime.machine import Runtime
from xstilts.store.build import build
from xstilts.store.manifest import read
from xstilts.store.stage import Stage
from xstilts.training.recipe import Recipe
from xstilts.training.train import train

PREDICTING = import_module("xstilts.evaluation.predict")
SHORT = Recipe(learning_rate=1e-3, batch_size=8, steps=2, max_length=24)


def unit(lengths: list[int]) -> ModelInput:
    return ModelInput(0, tuple(np.zeros(length, dtype=np.int32) for length in lengths))


def padded(units: list[ModelInput]) -> int:
    """Return the tokens of a batch with its padding."""
    return max(one.length for one in units) * sum(len(one.sequences) for one in units)


units_of = some.lists(some.lists(some.integers(1, 90), min_size=1, max_size=5).map(unit), max_size=60)


@given(units_of, some.integers(1, 400))
def test_each_unit_is_in_one_batch_and_only_a_single_one_may_be_too_large(units: list[ModelInput], most: int) -> None:
    batches = length_bucketed_batches(units, most)
    assert sorted(number for numbers in batches for number in numbers) == list(range(len(units)))
    for numbers in batches:
        assert len(numbers) == 1 or padded([units[number] for number in numbers]) <= most


@given(units_of, some.integers(1, 400))
def test_the_longest_come_first_so_that_memory_is_known_at_once(units: list[ModelInput], most: int) -> None:
    lengths = [units[number].length for numbers in length_bucketed_batches(units, most) for number in numbers]
    assert lengths == sorted(lengths, reverse=True)


@given(units_of, some.integers(1, 400))
def test_no_batch_could_have_taken_the_next_unit_too(units: list[ModelInput], most: int) -> None:
    batches = [[units[number] for number in numbers] for numbers in length_bucketed_batches(units, most)]
    for batch, following in pairwise(batches):
        assert padded([*batch, following[0]]) > most


def test_sorting_saves_padding() -> None:
    random = np.random.default_rng(0)
    units = [unit([int(length)]) for length in random.integers(4, 128, size=500)]
    batches = length_bucketed_batches(units, 2048)
    total = sum(padded([units[number] for number in numbers]) for numbers in batches)
    assert total < 1.12 * sum(one.length for one in units)
    assert len(batches) <= math.ceil(total / 2048) * 1.2


def close(one: Any, other: Any) -> bool:
    """Say whether two lines of predictions agree, log-probabilities up to rounding."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(close, one, other))
    return bool(one == pytest.approx(other, abs=2e-4)) if isinstance(one, float) else bool(one == other)


@pytest.mark.parametrize(
    "name",
    first(
        3,
        ["extractive_qa", "multiple_choice", "masked_lm", "token_classification", "bitext_retrieval", "classification"],
    ),
)
def test_predictions_do_not_depend_on_how_much_is_taken_at_once(name: str, encoder: Encoder, machine: Runtime) -> None:
    taught = lesson(name)
    model = encoder if name == "bitext_retrieval" else train(encoder, (taught,), SHORT, seed=1)
    promise = predict(model, taught.train[0], name, 24)
    found = []
    for most in (1, 50, 10**6):
        folder = build(promise, replace(machine, max_tokens_per_pass=most))
        found.append(read_lines(folder))
        shutil.rmtree(folder)
    assert close(found[0], found[1])
    assert close(found[0], found[2])
    assert [line["id"] for line in found[0]] == [example.id for example in TOYS[name][2]]


@pytest.mark.parametrize(("name", "each"), [("classification", 1), ("extractive_qa", 1), ("bitext_retrieval", 2)])
def test_what_is_asked_twice_is_computed_once(
    name: str, each: int, encoder: Encoder, families: Any, machine: Runtime
) -> None:
    """Questions that share everything but their example, and sentences in several pairs."""
    labels, _, examples = TOYS[name]
    tokens, how = Tokenizer.of(load_tokenizer(families["xlm-roberta"])), task_format(name)
    network = Network(load_backbone(encoder.location))
    if not how.headless:
        attach(network, "head", name, len(labels))
    units = how.encode(examples, tokens, 24, labels, Counter())
    alone = [found for unit in units for found in predict_inputs(network, "head", how, [unit], tokens, machine)]
    with ledger.metered(spent := ledger.nothing(), machine):
        found = predict_inputs(network, "head", how, units * 3, tokens, machine)
    for number, answer in enumerate(found):
        np.testing.assert_allclose(np.asarray(answer), np.asarray(alone[number % len(units)]), atol=1e-5)
    sequences = {sequence.tobytes() for unit in units for sequence in unit.sequences}
    assert spent["asked"]["head"]["sequences"] == len(sequences) < 3 * each * len(units)


def test_retrieval_answers_at_every_layer_from_a_bare_encoder(encoder: Encoder, machine: Runtime) -> None:
    rows = [BitextExample(f"row{n}", chr(97 + n) * (n + 1), chr(97 + n) * (n + 1)) for n in range(12)]
    folder = build(predict(encoder, promised("bitext_retrieval", rows), "bitext_retrieval", 24), machine)
    lines = read_lines(folder)
    assert [line["prediction"] for line in lines] == [[f"row{n}"] * (DEPTH + 1) for n in range(12)]
    known = {name: value for name, value in read(folder)["record"].items() if name != "cost"}
    assert known == {"examples": 12, "sequences": 24, "cut": {"truncated": 0}, "max_length": 24}


def test_the_layers_of_a_trained_encoder_are_its_own(encoder: Encoder, machine: Runtime) -> None:
    model = train(encoder, (lesson("token_classification"),), replace(SHORT, steps=20, learning_rate=0.05), seed=1)
    data = lesson("bitext_retrieval").train[0]
    before, after = (read_lines(build(predict(one, data, "bitext_retrieval", 24), machine)) for one in (encoder, model))
    assert before != after


def test_a_length_beyond_the_positions_of_the_model_is_cut_and_counted(encoder: Encoder, machine: Runtime) -> None:
    """Texts of two hundred tokens, sixty-four positions, and a recipe that asks for 512."""
    rows = [ClassificationExample(str(n), "a b c d " * 50, "e f", "yes" if n % 2 else "no") for n in range(8)]
    data = promised("classification", rows, "long", ("no", "yes"))
    taught = replace(lesson("classification"), train=(data,), dev=data)
    model = train(encoder, (taught,), replace(SHORT, max_length=512), seed=1)
    folder = build(predict(model, data, "classification", 512), machine)
    assert len(read_lines(folder)) == 8
    assert read(folder)["record"]["max_length"] == 64
    assert read(folder)["record"]["cut"] == {"truncated": 8}


@pytest.mark.parametrize("family", ["modernbert", "mt5", "qwen3", "deberta-v2"])
def test_positions_without_a_table_have_no_end(family: str, families: Any) -> None:
    assert Network(families.backbone(family)).clip_max_length(10**4) == 10**4


def test_answers_keep_their_order_the_mode_of_the_network_and_no_gradients(families: Any, machine: Runtime) -> None:
    labels, _, examples = TOYS["token_classification"]
    network = Network(families.backbone("xlm-roberta"))
    attach(network, "toy", "token_classification", 2)
    network.train()
    how, tokens = task_format("token_classification"), Tokenizer.of(load_tokenizer(families["xlm-roberta"]))
    units = how.encode(examples, tokens, 6, labels, Counter())
    told: list[progress.Event] = []
    progress.listen(told.append)
    found = predict_inputs(network, "toy", how, units, tokens, replace(machine, max_tokens_per_pass=20), "toy")
    assert network.training
    assert [len(answer) for answer in found] == [len(one.places) - 1 for one in units]
    assert all(parameter.grad is None for parameter in network.parameters())
    assert [event.done for event in told] == list(range(1, told[0].total + 1))
    assert found == predict_inputs(network, "toy", how, units, tokens, machine)


def test_masked_pieces_are_the_same_each_time(families: Any, machine: Runtime) -> None:
    _, _, examples = TOYS["masked_lm"]
    network = Network(families.backbone("xlm-roberta"))
    attach(network, "toy", "masked_lm")
    how, tokens = task_format("masked_lm"), Tokenizer.of(load_tokenizer(families["xlm-roberta"]))
    units = how.encode(examples, tokens, 24, (), Counter())
    torch.manual_seed(1)
    first = predict_inputs(network, "toy", how, units, tokens, machine)
    torch.manual_seed(2)
    assert predict_inputs(network, "toy", how, units, tokens, machine) == first


def test_an_encoder_made_again_in_the_same_folder_is_not_taken_for_the_old_one(
    families: Any, machine: Runtime, tmp_path: Path
) -> None:
    shutil.copytree(families["xlm-roberta"], tmp_path / "encoder")
    data, found = lesson("bitext_retrieval").train[0], []
    for _ in range(2):
        promise: Stage = predict(Encoder.of(tmp_path / "encoder"), data, "bitext_retrieval", 24)
        found.append((promise.key, build(promise, machine)))
        backbone = load_backbone(tmp_path / "encoder")
        for parameter in backbone.parameters():
            torch.nn.init.normal_(parameter)
        backbone.save_pretrained(tmp_path / "encoder")  # type: ignore[operator]
    (key, folder), (other_key, other_folder) = found
    assert key != other_key
    assert (folder / PREDICTIONS).read_bytes() != (other_folder / PREDICTIONS).read_bytes()


def test_predictions_are_lines_that_a_person_can_read(encoder: Encoder, machine: Runtime) -> None:
    rows = [ClassificationExample("größe", "a", None, "ja")]
    data = promised("classification", rows, "umlaut", ("ja", "nein"))
    taught = replace(lesson("classification"), labels=("ja", "nein"), train=(data,), dev=None)
    folder = build(predict(train(encoder, (taught,), SHORT, 1), data, "classification", 24), machine)
    text = (folder / PREDICTIONS).read_text(encoding="utf-8")
    assert "größe" in text
    line = json.loads(text)
    assert math.isclose(sum(map(math.exp, line["log_probabilities"])), 1, abs_tol=1e-4)
    assert line["prediction"] == ("ja", "nein")[int(np.argmax(line["log_probabilities"]))]


def test_candidates_of_another_language_are_asked_once(encoder: Encoder, machine: Runtime, monkeypatch: Any) -> None:
    there = [PassageExample(f"c{n}", text, "a b", "candidate") for n, text in enumerate(("ab", "fg", "zz"))]
    asked = {code: PassageExample("q", text, None, "query", ("c1",)) for code, text in (("de", "fg"), ("sw", "zz"))}
    data = {code: promised("passage_ranking", [passage, *there], f"asked-{code}") for code, passage in asked.items()}
    seen: list[int] = []
    once = PREDICTING.predict_inputs

    def counted(network: Any, head: Any, format: Any, units: Any, *rest: Any) -> Any:
        seen.append(len(units))
        return once(network, head, format, units, *rest)

    monkeypatch.setattr(PREDICTING, "predict_inputs", counted)
    found = {code: read_lines(build(predict(encoder, data[code], "passage_ranking", 24), machine)) for code in data}
    assert seen == [1, 3, 1]
    other = replace(machine, store=machine.store / "other")
    PREDICTING._last[:] = [None, "", []]
    assert read_lines(build(predict(encoder, data["sw"], "passage_ranking", 24), other)) == found["sw"]
