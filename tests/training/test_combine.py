"""Weights that are combined: what is true of them to the bit, and of the folders that are written."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from torch import Tensor
from transformers import AutoModel, AutoModelForSequenceClassification

from given import lesson
from quick import covering
from xstilts.errors import InputError
from xstilts.evaluation.predict import predict
from xstilts.models.encoder import Encoder, load_backbone
from xstilts.runtime.machine import Runtime
from xstilts.store import manifest
from xstilts.store.build import build, is_built
from xstilts.store.stage import Stage, folder_of, generations
from xstilts.training import snapshots
from xstilts.training.combine import (
    Averaging,
    LayerSwap,
    TaskVectors,
    Ties,
    averaged,
    averaging,
    composed,
    composition,
    made_from,
    mean,
)
from xstilts.training.recipe import Recipe
from xstilts.training.train import train

SHORT = Recipe(learning_rate=1e-2, batch_size=8, steps=3, max_length=24)
MODEL = "model/model.safetensors"

few = settings(max_examples=25)
numbers = some.floats(-1e6, 1e6, width=32)
rows = some.lists(numbers, min_size=3, max_size=3)
dtypes = some.sampled_from([torch.float32, torch.bfloat16])


def bits(tensor: Tensor) -> list[int]:
    return tensor.view(torch.int32 if tensor.dtype == torch.float32 else torch.int16).tolist()


def tensors(values: Sequence[list[float]], dtype: torch.dtype = torch.float32) -> list[dict[str, Tensor]]:
    return [{"w": torch.tensor(row, dtype=dtype)} for row in values]


@few
@given(rows, some.integers(1, 10), dtypes)
def test_the_mean_of_equal_weights_is_these_weights(row: list[float], count: int, dtype: torch.dtype) -> None:
    (one,) = tensors([row], dtype)
    assert bits(mean([one["w"]] * count)) == bits(one["w"])


@few
@given(some.lists(rows, min_size=2, max_size=5))
def test_a_mean_is_between_the_least_and_the_greatest(values: list[list[float]]) -> None:
    stacked = torch.tensor(values)
    found = mean(list(stacked))
    assert ((found >= stacked.min(0).values) & (found <= stacked.max(0).values)).all()


@few
@given(rows, rows, some.floats(-4, 4), dtypes)
def test_a_task_vector_that_is_added_and_subtracted_leaves_the_encoder(
    before: list[float], after: list[float], scale: float, dtype: torch.dtype
) -> None:
    encoder, member = tensors([before, after], dtype)
    both = TaskVectors((scale, -scale)).weights(encoder, [member, member])
    assert bits(both["w"]) == bits(encoder["w"])


@few
@given(rows, rows, dtypes)
def test_one_whole_task_vector_is_the_training(before: list[float], after: list[float], dtype: torch.dtype) -> None:
    encoder, member = tensors([before, after], dtype)
    assert bits(TaskVectors((1.0,)).weights(encoder, [member])["w"]) == bits(member["w"])
    assert torch.equal(Ties(1.0).weights(encoder, [member])["w"], member["w"])  # 0.0 and -0.0 are equal
    assert bits(TaskVectors((0.0,)).weights(encoder, [member])["w"]) == bits(encoder["w"])


@few
@given(rows, some.lists(rows, min_size=2, max_size=3), some.floats(0.1, 1))
def test_ties_keeps_weights_between_those_that_agree(
    before: list[float], after: list[list[float]], density: float
) -> None:
    encoder, *members = tensors([before, *after])
    found = Ties(density).weights(encoder, members)["w"]
    every = torch.stack([encoder["w"], *(member["w"] for member in members)])
    assert ((found >= every.min(0).values) & (found <= every.max(0).values)).all()


def test_ties_by_hand() -> None:
    """Of each vector the two largest entries stay; signs are elected by sums; means are over those that agree."""
    encoder = {"w": torch.zeros(4)}
    members = tensors([[4.0, -3.0, 1.0, 0.0], [2.0, 1.0, 0.5, 3.0], [-1.0, -5.0, 0.0, 0.5]])
    assert Ties(0.5).weights(encoder, members)["w"].tolist() == [3.0, -4.0, 0.0, 3.0]
    assert Ties(0.5, 0.5).weights(encoder, members)["w"].tolist() == [1.5, -2.0, 0.0, 1.5]
    assert TaskVectors((1.0, -1.0, 0.0)).weights(encoder, members)["w"].tolist() == [2.0, -4.0, 0.5, -3.0]


@pytest.mark.parametrize(
    ("text", "method"),
    [
        ("add:1", TaskVectors((1.0,))),
        ("add:0.5,-1", TaskVectors((0.5, -1.0))),
        ("ties:0.2", Ties(0.2, 1.0)),
        ("ties:1:0.3", Ties(1.0, 0.3)),
        ("swap@top:2", LayerSwap("top:2")),
        ("swap@layers:0-1,5", LayerSwap("layers:0-1,5")),
    ],
)
def test_a_composition_has_the_name_it_was_given(text: str, method: object) -> None:
    assert composition(text) == method
    assert composition(text).text == text


@pytest.mark.parametrize(
    "text", ["", "add", "add:", "add:x", "add:nan", "ties:0", "ties:2", "ties:0.1:1:1", "swap@", "swap:lora:2", "sum:1"]
)
def test_another_composition_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"give|density"):
        composition(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [("", (1, 0)), ("seeds", (4, 0)), ("seeds:3", (3, 0)), ("last:5", (1, 5)), ("last:2,seeds:3", (3, 2))],
)
def test_an_average_is_read(text: str, found: tuple[int, int]) -> None:
    assert averaging(text, 4) == Averaging(*found)
    assert averaging(Averaging(*found).text) == Averaging(*found)


@pytest.mark.parametrize(
    "text", ["seed", "seeds:1", "seeds:", "last", "last:1", "last:11", "seeds:2,seeds:2", "last:-2"]
)
def test_another_average_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="give"):
        averaging(text, 4)


@few
@given(some.lists(some.integers(1, 40), min_size=1, max_size=5))
def test_snapshots_are_at_tenths(totals: list[int]) -> None:
    for total in totals:
        due = [step for step in range(1, total + 1) if snapshots.is_due(step, total)]
        assert due == sorted({math.ceil(total * tenth / 10) for tenth in range(1, 11)})


# What is written.


@pytest.fixture(scope="module")
def encoder_of_all(families: object) -> Encoder:
    return Encoder.of(families["xlm-roberta"])  # type: ignore[index]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    return Runtime(store=tmp_path_factory.mktemp("combined"), device="cpu", threads=1)


@pytest.fixture(scope="module")
def trainings(encoder_of_all: Encoder, store: Runtime) -> list[Stage]:
    """Trainings of two seeds with a head of the same initial weights, the first with snapshots."""
    recipe = replace(SHORT, snapshots=2, weight_decay=0.1)
    stages = [train(encoder_of_all, (lesson("classification"),), recipe, *seeds) for seeds in ((1,), (2, 1))]
    for stage in stages:
        build(stage, store)
    return stages


def weights(stage: Stage, store: Runtime) -> bytes:
    return (build(stage, store) / MODEL).read_bytes()


def test_snapshots_change_no_weights_and_the_last_is_the_end(
    encoder_of_all: Encoder, trainings: list[Stage], store: Runtime
) -> None:
    without = train(encoder_of_all, (lesson("classification"),), replace(SHORT, weight_decay=0.1), 1)
    folder = folder_of(trainings[0], store)
    assert weights(without, store) == (folder / MODEL).read_bytes()
    assert [path.name for path in snapshots.folders(folder)] == ["00000002", "00000003"]
    earlier, last = (path / MODEL for path in snapshots.folders(folder))
    assert last.read_bytes() == (folder / MODEL).read_bytes() != earlier.read_bytes()
    assert not list((folder / "snapshots").glob("*.safetensors"))


def test_an_average_of_one_run_with_itself_is_this_run(trainings: list[Stage], store: Runtime) -> None:
    first, second = trainings
    assert weights(averaged([first, first, first]), store) == weights(first, store)
    average = averaged([first, second])
    assert average == averaged([second, first])
    assert weights(average, store) not in (weights(first, store), weights(second, store))
    folder = build(averaged([first, second], last=2), store)
    assert manifest.read(folder)["record"] == {"method": "last:2", "models": 4, "max_length": 24}


def test_an_average_loads_and_predicts_with_its_head(trainings: list[Stage], store: Runtime) -> None:
    average = averaged(trainings)
    AutoModelForSequenceClassification.from_pretrained(build(average, store) / "model")
    assert is_built(average, store)
    folder = build(predict(average, lesson("classification").train[0], "classification", 24), store)
    labels = [json.loads(line)["prediction"] for line in (folder / "predictions.jsonl").read_text().splitlines()]
    assert set(labels) <= {"no", "yes"}
    assert [stage.arguments["seed"] for stage in generations(average, made_from)[:-1]] == [
        stage.arguments["seed"] for stage in average.arguments["members"]
    ]


@pytest.mark.parametrize(
    ("text", "order"),
    covering(["add:0.5", "add:1,-1", "ties:0.3", "swap@top:1", "swap@layers:0-1"], [(0, 1), (1, 0)]),
)
def test_compositions_load_and_do_not_depend_on_the_order(
    text: str, order: tuple[int, int], encoder_of_all: Encoder, trainings: list[Stage], store: Runtime
) -> None:
    method = composition(text)
    members = [trainings[number] for number in order]
    if isinstance(method, TaskVectors) and len(method.scales) > 1:
        method = TaskVectors(tuple(method.scales[number] for number in order))
    found = composed(encoder_of_all, members, method)
    AutoModel.from_pretrained(build(found, store) / "model")
    if not isinstance(method, LayerSwap):
        assert found == composed(encoder_of_all, trainings, composition(text))


def test_swapped_layers_are_the_others(encoder_of_all: Encoder, trainings: list[Stage], store: Runtime) -> None:
    first, second = (backbone(folder_of(stage, store)) for stage in trainings)
    swapped = backbone(build(composed(encoder_of_all, trainings, LayerSwap("layers:0-1")), store))
    for name, value in swapped.items():
        assert torch.equal(value, (second if ".layer.0." in name or ".layer.1." in name else first)[name])
    same = composed(encoder_of_all, [trainings[0]] * 2, LayerSwap("top:1"))
    assert all(torch.equal(value, first[name]) for name, value in backbone(build(same, store)).items())


def test_a_task_vector_alone_is_the_trained_encoder(
    encoder_of_all: Encoder, trainings: list[Stage], store: Runtime
) -> None:
    first = backbone(folder_of(trainings[0], store))
    for method in (TaskVectors((1.0,)), Ties(1.0)):
        alone = backbone(build(composed(encoder_of_all, trainings[:1], method), store))
        assert all(torch.equal(value, first[name]) for name, value in alone.items())
    gone = backbone(build(composed(encoder_of_all, trainings[:1] * 2, TaskVectors((1.0, -1.0))), store))
    before = load_backbone(encoder_of_all.location).state_dict()
    assert all(torch.equal(value, before[name]) for name, value in gone.items())


def backbone(folder: Path) -> dict[str, Tensor]:
    return dict(load_backbone(folder / "model").state_dict())


def test_what_cannot_be_combined_is_refused(encoder_of_all: Encoder, trainings: list[Stage], store: Runtime) -> None:
    other_head = train(encoder_of_all, (lesson("classification"),), SHORT, 3)
    with pytest.raises(InputError, match=r"not of seeds 1, 3: give head_seed"):
        averaged([trainings[0], other_head])
    with pytest.raises(InputError, match="set snapshots=3"):
        averaged(trainings, last=3)
    with pytest.raises(InputError, match="starts from another encoder"):
        composed(trainings[0], trainings, Ties())
    with pytest.raises(InputError, match="give two tasks, not 1"):
        composed(encoder_of_all, trainings[:1], LayerSwap("top:1"))
    with pytest.raises(InputError, match=r"has 3 scales for 2 trainings"):
        composed(encoder_of_all, trainings, TaskVectors((1.0, 1.0, 1.0)))


def test_heads_of_other_labels_have_no_average(trainings: list[Stage], store: Runtime, tmp_path: Path) -> None:
    copied = Runtime(tmp_path / "store", device="cpu", threads=1)
    shutil.copytree(store.store, copied.store, ignore=shutil.ignore_patterns("combine-*", ".locks"))
    config = folder_of(trainings[1], copied) / "model/config.json"
    config.write_text(config.read_text().replace('"yes"', '"YES"'))
    manifest.write(config.parents[1], manifest.read(config.parents[1]))  # as a training would have written it
    with pytest.raises(InputError, match="the same labels in the same order"):
        build(averaged(trainings), copied)
