"""Encoder and head, counted apart at small shapes, give what a pass through the whole network does at any other."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from torch.nn import functional

import families as tiny
from quick import parameters
from xstilts.cost import flops, growth
from xstilts.cost.activation_memory import TERMS, ActivationMemory, Device, SavedTensors, faked
from xstilts.cost.flops import Shape
from xstilts.models.families import FAMILIES
from xstilts.models.heads import AUTO, HEADLESS
from xstilts.models.network import Network
from xstilts.training.memory import unnumbered
from xstilts.training.optimizer import prepare
from xstilts.training.recipe import Recipe

FORMATS = (*AUTO, HEADLESS)
TRAINED = ("all", "head", "top:1", "layernorm", "no-embeddings", "lora:2", "lora:2@top:1")
DEVICES = (Device("cuda", "bf16"), Device("cpu", "fp32"), Device("cpu", "bf16"))
UNSEEN = Shape(4, 40, 9)
# Encoders whose top layer's output is the final state, or normed once more, with bf16 matrices and without.
QUICK = [
    ("xlm-roberta", "classification", "lora:2"),
    ("xlm-roberta", "masked_lm", "all"),
    ("mt5", "token_classification", "lora:2@top:1"),
    ("modernbert", "extractive_qa", "top:1"),
    ("mt5", HEADLESS, "no-embeddings"),
    ("qwen3", "multiple_choice", "head"),
]
CASES = parameters(product(FAMILIES, FORMATS, TRAINED), QUICK)


def network_of(model_type: str, format: str, trained: str, optimizer: str = "adamw") -> Network:
    network = unnumbered(tiny.config(model_type), trained, format, 3, dual_encoder=trained.startswith("lora"))
    prepare(network, Recipe(trainable=trained, optimizer=optimizer))
    return network


@pytest.mark.parametrize(("model_type", "format", "trained"), CASES)
def test_flops_are_those_of_the_whole_network(model_type: str, format: str, trained: str) -> None:
    network = network_of(model_type, format, trained)
    twin = flops.twin(network)

    def whole() -> Any:
        ids = torch.zeros(UNSEEN.sequences, UNSEEN.length, dtype=torch.long, device="meta")
        states = twin.encode(ids, torch.zeros(UNSEEN.sequences, 1, 1, UNSEEN.length, device="meta"))
        return flops.answer(twin, "head", states, UNSEEN, learning=True)

    for learning in (True, False):
        if not learning and format == HEADLESS:
            continue
        counted = flops.operations(twin, whole, learning, (1,) * len(network.layer_modules)).flops
        sums = {part: sum(values) for part, values in counted.items()}
        if learning:
            sums["weights"] -= sums["activations"]
        terms = {name: term(UNSEEN) for name, term in flops.TERMS.items()}
        assert flops.spent(network, "head", terms, learning) == sums


@pytest.mark.parametrize(("model_type", "format", "trained"), CASES)
def test_bytes_are_those_of_the_whole_network(model_type: str, format: str, trained: str) -> None:
    for number, device in enumerate(DEVICES):
        network = network_of(model_type, format, trained, ("adamw" if number else "adafactor:bf16"))
        mode, twin = faked(network)
        saved = SavedTensors(twin)
        with mode:
            ids = torch.zeros(UNSEEN.sequences, UNSEEN.length, dtype=torch.long)
            mask = torch.ones_like(ids)
        with mode, saved.kept(), device.ways():
            states = twin.encode(ids, mask)
            logits = flops.answer(twin, "head", states, UNSEEN, learning=True).flatten(0, -2)
            functional.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long), reduction="sum")
        expected = [
            sum(count * saved.sizes[number] for number, count in counts.items())
            for counts in saved.counts((1,) * len(network.layer_modules))
        ]
        memory = ActivationMemory(network, "head", device, (1,) * len(network.layer_modules))
        found = [
            sum(factor * TERMS[name](UNSEEN) for name, factor in growth.added([part], TERMS).items())
            for part in (memory.whole, memory.between, *memory.layers)
        ]
        assert found == expected
