from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from families import DEPTH, FAMILIES, quick_first
from given import TOYS, lesson, losses, stopped
from quick import covering
from xstilts.errors import InputError
from xstilts.formats import task_format
from xstilts.models.batch import ModelInput
from xstilts.models.embedding_pruning import pruned_embeddings
from xstilts.models.encoder import Encoder, load_tokenizer
from xstilts.models.freezing import freeze
from xstilts.models.heads import attach
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer
from xstilts.runtime import disk_cache, progress
from xstilts.runtime.machine import Runtime
from xstilts.store.build import build
from xstilts.training import frozen_layer_cache
from xstilts.training.frozen_layer_cache import FOLDER, NOTHING, cached_states
from xstilts.training.recipe import Recipe, Selection
from xstilts.training.train import HISTORY, train

TOP = Recipe(learning_rate=1e-2, batch_size=6, steps=8, max_length=24, warmup_steps=2, trainable="top:1")
REFUSED = ("mt5", "umt5", "t5", "xmod")


def files(machine: Runtime) -> list[Path]:
    return sorted((machine.store / FOLDER).glob("*.states"))


def same(one: Path, other: Path) -> bool:
    first, second = (load_file(folder / "model" / "model.safetensors") for folder in (one, other))
    return first.keys() == second.keys() and all(
        torch.allclose(value, second[name], atol=2e-5, rtol=1e-4) for name, value in first.items()
    )


def frozen(family: str, folders: Any, name: str, trained: str) -> tuple[Network, Tokenizer, list[ModelInput]]:
    """Return a partly frozen network in training, with a head for a toy, and the toy's units."""
    labels, _, examples = TOYS[name]
    network, tokens = Network(folders.backbone(family)), Tokenizer.of(load_tokenizer(folders[family]))
    attach(network, "toy", name, len(labels))
    freeze(network, trained)
    return network.train(), tokens, task_format(name).encode(examples, tokens, 24, labels, Counter())


@pytest.mark.parametrize("family", quick_first(FAMILIES))
@pytest.mark.parametrize(
    ("name", "trained"),
    [
        ("classification", "top:1"),
        pytest.param("token_classification", "head", marks=pytest.mark.slow),
        pytest.param("token_classification", "top:2", marks=pytest.mark.slow),
    ],
)
def test_training_on_stored_states_is_training_on_all_layers(
    name: str, trained: str, family: str, families: Any, machine: Runtime
) -> None:
    model = train(Encoder.of(families[family]), (lesson(name),), replace(TOP, trainable=trained), seed=1)
    plain = replace(machine, store=machine.store / "plain", prefix_gib=0)
    one, other = build(model, machine), build(model, plain)
    assert len(files(machine)) == (family not in REFUSED)
    assert not files(plain)
    assert losses(one) == pytest.approx(losses(other), rel=1e-4)
    assert same(one, other)


@pytest.mark.parametrize(
    ("family", "name"),
    covering(
        sorted(set(FAMILIES) - set(REFUSED)),
        ["token_classification", "multiple_choice", "extractive_qa", "bitext_retrieval"],
    ),
)
def test_a_batch_is_answered_without_the_frozen_layers(name: str, family: str, families: Any, machine: Runtime) -> None:
    network, tokens, units = frozen(
        family, families, "token_classification" if name == "bitext_retrieval" else name, "top:1"
    )
    if name == "bitext_retrieval":
        units = task_format(name).encode(TOYS[name][2], tokens, 24, (), Counter())
    how, head = task_format(name), "none" if name == "bitext_retrieval" else "toy"
    batch = how.collate(units[3:11], tokens)
    torch.manual_seed(1)
    wanted = how.loss(network, head, batch)
    below = cached_states(network, units, tokens, replace(machine, max_tokens_per_pass=60))
    calls: list[int] = []
    for number, layer in enumerate(network.layer_modules):
        inner = next(layer.children())
        inner.register_forward_hook(lambda *_, number=number: calls.append(number))
    torch.manual_seed(1)
    with below.replayed(network, units[3:11]):
        found = how.loss(network, head, batch)
    assert set(calls) == {DEPTH - 1}
    assert found.item() == pytest.approx(wanted.item(), rel=1e-4)
    torch.manual_seed(1)
    assert how.loss(network, head, batch).item() == wanted.item()
    assert set(calls) == set(range(DEPTH))


COUNTS = {
    "all": 0,
    "head": 3,
    "top:1": 2,
    "top:3": 0,
    "bottom:1": 0,
    "layers:1": 1,
    "layers:2": 2,
    "layernorm": 0,
    "no-embeddings": 0,
}


@pytest.mark.parametrize(("family", "trained"), covering(FAMILIES, COUNTS))
def test_the_prefix_is_what_is_frozen_below_all_that_is_trained(family: str, trained: str, families: Any) -> None:
    count = COUNTS[trained]
    network, _, _ = frozen(family, families, "token_classification", trained)
    assert network.prefix == count
    modes = [layer.training for layer in network.layer_modules]
    assert modes == [number >= count for number in range(DEPTH)]
    assert network.backbone.training == (count == 0)
    assert network.heads["toy"].training
    assert not any(module.training for module in network.eval().modules())


def test_the_prefix_gives_the_same_states_each_time_and_what_is_above_does_not(families: Any) -> None:
    network, tokens, units = frozen("xlm-roberta", families, "classification", "top:1")
    batch = task_format("classification").collate(units, tokens)
    kept: list[torch.Tensor] = []
    network.layer_modules[1].register_forward_hook(lambda module, inputs, output: kept.append(output))
    finals = [network.encode(batch.ids, batch.mask) for _ in range(2)]
    assert torch.equal(*kept)
    assert not torch.equal(*finals)


def test_another_recipe_over_the_same_layers_finds_the_states(
    encoder: Encoder, machine: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught = (lesson("classification"),)
    build(train(encoder, taught, TOP, seed=1), machine)
    with monkeypatch.context() as patch:
        patch.setattr(frozen_layer_cache, "_compute", lambda *_: pytest.fail("computed again"))
        build(train(encoder, taught, replace(TOP, learning_rate=1e-3), seed=2), machine)
        build(train(encoder, taught, replace(TOP, trainable="lora:2@top:1"), seed=1), machine)
    assert len(files(machine)) == 1
    build(train(encoder, taught, replace(TOP, trainable="top:2"), seed=1), machine)
    assert len(files(machine)) == 2


def test_other_weights_or_sequences_are_not_served_these_states(families: Any, machine: Runtime) -> None:
    network, tokens, units = frozen("xlm-roberta", families, "classification", "top:1")
    with pruned_embeddings(network, units, tokens):
        cached_states(network, units, tokens, machine)
        cached_states(network, list(units), tokens, machine)
        assert len(files(machine)) == 1
        cached_states(network, [*units[:-1], ModelInput(0, (units[0].sequences[0][::-1].copy(),))], tokens, machine)
    assert len(files(machine)) == 2
    cached_states(network, units, tokens, machine)
    assert len(files(machine)) == 3
    with torch.no_grad():
        next(network.layer_modules[0].parameters()).view(-1)[0] += 1e-3
    cached_states(network, units, tokens, machine)
    assert len(files(machine)) == 4
    with torch.no_grad():
        next(network.layer_modules[2].parameters()).view(-1)[0] += 1e-3
    cached_states(network, units, tokens, machine)
    assert len(files(machine)) == 4


def test_the_oldest_states_make_room_and_what_never_fits_is_not_stored(families: Any, machine: Runtime) -> None:
    network, tokens, units = frozen("xlm-roberta", families, "token_classification", "top:1")
    cached_states(network, units, tokens, machine)
    (first,) = files(machine)
    small = replace(machine, prefix_gib=2.5 * first.stat().st_size / 2**30)
    others = [[ModelInput(0, (np.append(one.sequences[0][:-1], n).astype(np.int32),)) for one in units] for n in (5, 6)]
    os.utime(first, (1, 1))
    (first.with_name("torn.part")).write_bytes(b"half")
    cached_states(network, others[0], tokens, small)
    assert first in files(small)
    cached_states(network, others[1], tokens, small)
    assert first not in files(small)
    assert len(files(small)) == 2
    assert not list(first.parent.glob("*.part"))
    said: list[str] = []
    progress.listen(lambda event: said.append(event.label))
    assert cached_states(network, units, tokens, replace(machine, prefix_gib=1e-9)) is NOTHING
    assert "too many to store" in said[0]


def test_a_full_disk_leaves_nothing_that_looks_whole(
    families: Any, machine: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, tokens, units = frozen("xlm-roberta", families, "token_classification", "top:1")

    def full(descriptor: int) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="no space left"):
            cached_states(network, units, tokens, machine)
    assert not files(machine)
    assert cached_states(network, units, tokens, machine).starts


@pytest.mark.parametrize("trained", ["top:1", "head", "lora:2@top:2"])
def test_without_room_on_the_disk_the_weights_are_the_same_to_the_bit(
    trained: str, encoder: Encoder, machine: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = train(encoder, (lesson("classification"),), replace(TOP, trainable=trained), seed=1)
    roomy, full = (replace(machine, store=machine.store / name) for name in ("roomy", "full"))
    expected = build(model, roomy) / "model" / "model.safetensors"
    monkeypatch.setattr(disk_cache.shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    got = build(model, full) / "model" / "model.safetensors"
    assert files(roomy)
    assert not files(full)
    assert got.read_bytes() == expected.read_bytes()


def test_without_room_on_the_disk_and_in_memory_a_training_is_refused(
    families: Any, machine: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, tokens, units = frozen("xlm-roberta", families, "classification", "top:1")
    monkeypatch.setattr(disk_cache.shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    monkeypatch.setattr(frozen_layer_cache, "available_memory_bytes", lambda: 1000)
    with pytest.raises(InputError, match="free disk space, or put the store"):
        cached_states(network, units, tokens, machine)


@pytest.mark.parametrize("damage", ["bit", "cut", "empty", "zeros"])
def test_damaged_states_are_computed_again(damage: str, families: Any, machine: Runtime) -> None:
    network, tokens, units = frozen("xlm-roberta", families, "classification", "top:1")
    expected = np.array(cached_states(network, units, tokens, machine).states)
    (path,) = files(machine)
    whole = path.read_bytes()
    bits = bytearray(whole)
    bits[len(bits) // 3] ^= 0x40
    path.write_bytes({"bit": bytes(bits), "cut": whole[:100], "empty": b"", "zeros": bytes(len(whole))}[damage])
    said: list[str] = []
    progress.listen(lambda event: said.append(event.label))
    assert np.array_equal(cached_states(network, units, tokens, machine).states, expected)
    assert any("is damaged: these states of the frozen layers are computed again" in line for line in said)
    assert path.read_bytes() == whole


def test_what_is_seen_once_or_masked_anew_is_not_stored(encoder: Encoder, machine: Runtime) -> None:
    build(train(encoder, (lesson("classification"),), replace(TOP, steps=None, epochs=1), seed=1), machine)
    beside = (lesson("classification"), lesson("masked_lm", weight=0.5))
    build(train(encoder, beside, TOP, seed=1), machine)
    assert not files(machine)


@pytest.mark.parametrize("kept", [True, False])
def test_a_stopped_training_ends_in_the_same_bits(kept: bool, encoder: Encoder, machine: Runtime) -> None:
    """Whether the states are still there or have to be computed again."""
    recipe = replace(TOP, steps=12, selection=Selection(3, 9, 16))
    model = train(encoder, (lesson("classification"), lesson("token_classification")), recipe, seed=1)
    whole = build(model, replace(machine, store=machine.store / "whole"))
    stopped(model, machine, 7)
    for path in files(machine) if not kept else ():
        path.unlink()
    again = build(model, machine)
    assert (again / "model" / "model.safetensors").read_bytes() == (whole / "model" / "model.safetensors").read_bytes()
    assert (again / HISTORY).read_bytes() == (whole / HISTORY).read_bytes()
