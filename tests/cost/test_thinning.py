"""Few layers that stand for many give the numbers of the deep network, to the bit."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

import families as tiny
from xstilts.cost import thinning
from xstilts.cost.activation_memory import Device
from xstilts.models.families import FAMILIES
from xstilts.models.heads import AUTO, HEADLESS
from xstilts.planning import flops_estimate
from xstilts.training import memory
from xstilts.training.memory import Setting
from xstilts.training.recipe import Recipe

DEEP = 9
PATTERN = {"modernbert": 3, "gemma3_text": 4}  # every which layer has full attention
TRAINED = (
    "all",
    "top:5",
    "alternate",
    "layers:2-5,8",
    "no-embeddings",
    "lora:2",
    "lora:2@bottom:7",
    "head",
    "layernorm",
)
SETTINGS = (Setting(Device("cuda", "bf16")), Setting(Device("cpu", "fp32"), recompute=True))


def deep(model_type: str) -> Any:
    """Return a tiny configuration with many layers."""
    config, pattern = tiny.config(model_type), PATTERN.get(model_type, 1)
    depth = max(DEEP, 4 * pattern + 1)
    if getattr(config, "layer_types", None):
        config.layer_types = ["sliding_attention" if number % pattern else "full_attention" for number in range(depth)]
    config.num_hidden_layers = depth
    return config


def whole(marks: Sequence[Any], times: Sequence[int] = ()) -> thinning.Times:
    return dict.fromkeys(range(len(marks)), 1)


def figures(model_type: str, format: str, trained: str, settings: Sequence[Setting]) -> list[Any]:
    """Return the FLOPs' polynomial and the memory of trainings."""
    config = deep(model_type)
    recipe = Recipe(trainable=trained, optimizer="adafactor:bf16", batch_size=4, max_length=24)
    flops_estimate.KNOWN.clear()
    memories = [memory.estimate(config, recipe, format, 3, setting) for setting in settings]
    return [flops_estimate.factors(config, trained, format, 3), *memories]


def test_few_layers_have_the_flops_and_the_bytes_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of layers that are trained in turns, with other parameters in the lowest."""
    compare(monkeypatch, ("mt5", "token_classification", "alternate"), SETTINGS[:1])


@pytest.mark.slow
@pytest.mark.parametrize("format", [*AUTO, HEADLESS])
@pytest.mark.parametrize("model_type", FAMILIES)
def test_so_they_have_in_every_family(model_type: str, format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for trained in TRAINED:
        compare(monkeypatch, (model_type, format, trained), SETTINGS)


def compare(monkeypatch: pytest.MonkeyPatch, case: tuple[str, str, str], settings: Sequence[Setting]) -> None:
    with_few = figures(*case, settings)
    with monkeypatch.context() as patch:
        patch.setattr(thinning, "few_layers", lambda config, trained: thinning.FewLayers(config, trained, ()))
        patch.setattr(thinning, "stretches", whole)
        patch.setattr(thinning, "representatives", whole)
        assert with_few == figures(*case, settings), case


@given(st.lists(st.sampled_from("ab"), max_size=30), st.integers(1, 5), st.integers(1, 9))
@hypothesis.settings(max_examples=60)
def test_every_layer_is_stood_for_by_one_like_it(marks: list[str], period: int, repeated: int) -> None:
    every = [*marks, *("abcde"[:period] * repeated), *marks]
    for times in (thinning.stretches(every), thinning.representatives(every, [1] * len(every))):
        assert {mark: sum(count for number, count in times.items() if every[number] == mark) for mark in every} == {
            mark: every.count(mark) for mark in every
        }
        assert list(times) == sorted(times)
    assert len(thinning.stretches("abcde"[:period] * 9)) == 3 * period


def test_a_configuration_keeps_what_its_layers_are() -> None:
    config = deep("modernbert")
    before = copy.deepcopy(config).to_json_string()
    few = thinning.few_layers(config, "top:4")
    assert config.to_json_string() == before
    assert sum(few.times) == config.num_hidden_layers
    assert len(few.config.layer_types) == few.config.num_hidden_layers == len(few.times)
