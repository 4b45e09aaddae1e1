from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from families import FAMILIES, VOCABULARY, berts_last, quick_first
from given import TOYS, lesson, losses, stopped
from quick import first
from xstilts.evaluation.predict import predict, predict_inputs
from xstilts.evaluation.score import read_lines
from xstilts.formats import task_format
from xstilts.models import embedding_pruning
from xstilts.models.batch import ModelInput
from xstilts.models.embedding_pruning import pruned_embeddings
from xstilts.models.encoder import Encoder, load_tokenizer
from xstilts.models.freezing import freeze
from xstilts.models.heads import attach
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer
from xstilts.runtime.machine import Runtime
from xstilts.store.build import build
from xstilts.store.manifest import read
from xstilts.store.stage import Stage
from xstilts.training.recipe import Recipe, Selection
from xstilts.training.train import train

# Nothing is left of a gradient but a hundredth: what a gradient's norm counts shows in every weight.
CLIPPED = Recipe(learning_rate=1e-2, batch_size=8, steps=6, max_length=24, warmup_steps=2, clip_norm=1e-2)
FORMATS = ("classification", "token_classification")


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch, machine: Runtime) -> Any:
    """Return a function that builds with the whole table, in a store of its own."""

    def build_plainly(promise: Stage) -> Path:
        with monkeypatch.context() as patch:
            for module in ("training.train", "evaluation.predict"):
                patch.setattr(f"xstilts.{module}.pruned_embeddings", lambda *_, **__: nullcontext(torch.empty(0)))
            return build(promise, replace(machine, store=machine.store / "plain"))

    return build_plainly


def tensors(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "model" / "model.safetensors")


def table_of(tensors: dict[str, Tensor]) -> Tensor:
    return next(value for value in tensors.values() if value.shape[0] == VOCABULARY)


def close(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.allclose(one[n], other[n], atol=2e-5, rtol=1e-4) for n in one)


def shown(family: str, folders: Any, name: str, network: Network) -> tuple[Tokenizer, list[ModelInput]]:
    """Return the tokens and units of a toy, for a network that gets a head for them."""
    labels, _, examples = TOYS[name]
    attach(network, "toy", name, len(labels))
    tokens = Tokenizer.of(load_tokenizer(folders[family]))
    return tokens, task_format(name).encode(examples, tokens, 24, labels, Counter())


@pytest.mark.parametrize("family", quick_first(FAMILIES))
@pytest.mark.parametrize("name", first(1, FORMATS))
def test_training_and_predictions_are_those_of_the_whole_table(
    name: str, family: str, families: Any, machine: Runtime, plain: Any
) -> None:
    encoder = Encoder.of(families[family])
    model = train(encoder, (lesson(name),), CLIPPED, seed=1)
    one, other = build(model, machine), plain(model)
    rows, whole = (read(folder)["record"]["embedding_rows"] for folder in (one, other))
    assert rows < 20
    assert whole == VOCABULARY
    assert losses(one) == pytest.approx(losses(other), rel=1e-4)
    assert close(tensors(one), tensors(other))
    before, after = table_of(load_file(families[family] / "model.safetensors")), table_of(tensors(one))
    assert 0 < sum(not torch.equal(*pair) for pair in zip(before, after, strict=True)) <= rows
    asked = predict(model, lesson(name).train[0], name, 24)
    found, wanted = read_lines(build(asked, machine)), read_lines(plain(asked))
    assert [line["prediction"] for line in found] == [line["prediction"] for line in wanted]
    if name == "classification":
        sides = ([value for line in lines for value in line["log_probabilities"]] for lines in (found, wanted))
        assert next(sides) == pytest.approx(next(sides), abs=1e-3)


@pytest.mark.parametrize("family", berts_last(FAMILIES))
@pytest.mark.parametrize("name", FORMATS)
def test_a_network_says_the_same_to_the_bit(name: str, family: str, families: Any, machine: Runtime) -> None:
    """Padded sequences of several lengths at once, and all of the weights as they were afterwards."""
    network = Network(families.backbone(family))
    tokens, units = shown(family, families, name, network)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    identities = {key: id(value) for key, value in network.named_parameters(remove_duplicate=False)}
    wanted = predict_inputs(network, "toy", task_format(name), units, tokens, machine)
    with pruned_embeddings(network, units, tokens, keep_all=task_format(name).language_model):
        assert len(network.embedding_matrix) < 20
        assert predict_inputs(network, "toy", task_format(name), units, tokens, machine) == wanted
    assert {key: id(value) for key, value in network.named_parameters(remove_duplicate=False)} == identities
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert predict_inputs(network, "toy", task_format(name), units, tokens, machine) == wanted


@pytest.mark.parametrize("family", berts_last(FAMILIES))
def test_the_padding_has_a_gradient_only_where_it_had_one(family: str, families: Any) -> None:
    network = Network(families.backbone(family))
    tokens, units = shown(family, families, "token_classification", network)
    how = task_format("token_classification")

    def rows_with_gradient() -> int:
        network.zero_grad()
        how.loss(network, "toy", how.collate(units, tokens)).backward()
        assert network.embedding_matrix.grad is not None
        return int((network.embedding_matrix.grad != 0).any(1).sum())

    network.eval()
    wanted = rows_with_gradient()
    with pruned_embeddings(network, units, tokens):
        assert rows_with_gradient() == wanted


@pytest.mark.parametrize("trained", first(1, ["gradual", "all"]))
@pytest.mark.parametrize("selection", [None, Selection(every_steps=2, patience=9, examples=16)])
def test_weight_decay_reaches_the_rows_that_no_text_touches(
    selection: Selection | None, trained: str, encoder: Encoder, machine: Runtime, plain: Any
) -> None:
    """With a selection the weights kept are those of an earlier step, and have decayed less."""
    recipe = replace(CLIPPED, weight_decay=3.0, steps=10, selection=selection, trainable=trained)
    model = train(encoder, (lesson("classification"),), recipe, seed=1)
    one, other = tensors(build(model, machine)), tensors(plain(model))
    assert close(one, other)
    last = tensors(build(train(encoder, (lesson("classification"),), replace(recipe, selection=None), seed=1), machine))
    assert close(one, last) == (selection is None)
    left = float((table_of(one) / table_of(load_file(Path(encoder.location) / "model.safetensors"))).nanmedian())
    assert left < 0.97 if trained == "all" else left <= 1  # embeddings that move last decay for fewer steps, or none


def test_without_decay_the_rows_that_no_text_touches_keep_their_bits(encoder: Encoder, machine: Runtime) -> None:
    folder = build(train(encoder, (lesson("token_classification"),), CLIPPED, seed=1), machine)
    before, after = table_of(load_file(Path(encoder.location) / "model.safetensors")), table_of(tensors(folder))
    tokens = Tokenizer.of(load_tokenizer(encoder.location))
    pieces = task_format("token_classification").encode(
        TOYS["token_classification"][2], tokens, 24, TOYS["token_classification"][0], Counter()
    )
    touched = {int(piece) for unit in pieces for piece in unit.sequences[0]}
    moved = {row for row in range(VOCABULARY) if not torch.equal(before[row], after[row])}
    assert moved == touched


@pytest.mark.parametrize("trained", ["top:1", "no-embeddings"])
def test_embeddings_that_are_frozen_keep_their_bits(trained: str, encoder: Encoder, machine: Runtime) -> None:
    recipe = replace(CLIPPED, weight_decay=3.0, trainable=trained)
    folder = build(train(encoder, (lesson("token_classification"),), recipe, seed=1), machine)
    before = table_of(load_file(Path(encoder.location) / "model.safetensors"))
    assert torch.equal(before, table_of(tensors(folder)))
    assert read(folder)["record"]["embedding_rows"] < 20


def test_a_stopped_training_ends_in_the_same_bits(encoder: Encoder, machine: Runtime) -> None:
    recipe = replace(CLIPPED, weight_decay=3.0, steps=12, selection=Selection(3, 9, 16))
    model = train(encoder, (lesson("classification"),), recipe, seed=1)
    whole = build(model, replace(machine, store=machine.store / "whole"))
    stopped(model, machine, 7)
    part = next(machine.store.glob("train-*.part"))
    stored = load_file(part / "checkpoint.safetensors")
    assert not any(VOCABULARY in value.shape for value in stored.values())
    again = build(model, machine)
    assert (again / "model" / "model.safetensors").read_bytes() == (whole / "model" / "model.safetensors").read_bytes()


def test_the_optimiser_sees_only_the_rows_used(families: Any) -> None:
    network = Network(families.backbone("xlm-roberta"))
    tokens, units = shown("xlm-roberta", families, "classification", network)
    freeze(network, "all")
    how = task_format("classification")
    with pruned_embeddings(network, units, tokens):
        optimiser = torch.optim.AdamW(network.parameters(), lr=0.1, fused=True)
        how.loss(network, "toy", how.collate(units, tokens)).backward()
        optimiser.step()
        moments = [value for state in optimiser.state.values() for value in state.values()]
        assert not any(VOCABULARY in value.shape for value in moments)
        assert any(value.shape == network.embedding_matrix.shape for value in moments)


def test_masked_lm_keeps_the_whole_table(families: Any) -> None:
    network = Network(families.backbone("xlm-roberta"))
    tokens, units = shown("xlm-roberta", families, "masked_lm", network)
    table = network.embedding_matrix
    with pruned_embeddings(network, units, tokens, keep_all=True) as others:
        assert network.embedding_matrix is table
        assert not others.numel()


def test_a_shared_table_is_narrowed_wherever_it_is(families: Any) -> None:
    backbone = families.backbone("mt5")
    network = Network(backbone)
    tokens, units = shown("mt5", families, "token_classification", network)
    with pruned_embeddings(network, units, tokens):
        assert backbone.shared.weight is backbone.encoder.embed_tokens.weight
        assert len(backbone.shared.weight) < VOCABULARY
    assert backbone.shared.weight is backbone.encoder.embed_tokens.weight
    assert len(backbone.shared.weight) == VOCABULARY


def test_after_a_failure_the_whole_table_is_back(families: Any) -> None:
    network = Network(families.backbone("xlm-roberta"))
    tokens, units = shown("xlm-roberta", families, "token_classification", network)
    stranger = ModelInput(0, (np.array([0, VOCABULARY - 1, 2], dtype=np.int32),), np.array([0, 0, 0], dtype=np.int32))
    how = task_format("token_classification")
    with pytest.raises(IndexError), pruned_embeddings(network, units, tokens):
        how.loss(network, "toy", how.collate([stranger], tokens))
    assert how.loss(network, "toy", how.collate([stranger], tokens)).isfinite()
    assert "places" not in dict(network.backbone.get_input_embeddings().named_buffers())


@pytest.mark.parametrize("family", ["xlm-roberta", "mt5"])
def test_a_large_table_waits_on_the_disk_and_nothing_of_it_stays_there(
    family: str, families: Any, machine: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = train(
        Encoder.of(families[family]), (lesson("token_classification"),), replace(CLIPPED, weight_decay=0.1), seed=1
    )
    whole = build(model, machine)
    mapped: list[Tensor] = []
    honest = embedding_pruning._on_disk

    def on_disk(table: Tensor, folder: Path) -> Tensor:
        found = honest(table, folder)
        assert torch.equal(found, table)
        assert found.data_ptr() != table.data_ptr()
        assert list(folder.iterdir()) == []
        mapped.append(found)
        return found

    monkeypatch.setattr(embedding_pruning, "_on_disk", on_disk)
    monkeypatch.setattr(embedding_pruning, "LARGE", 1)
    again = build(model, replace(machine, store=machine.store / "again"))
    assert len(mapped) == 1
    assert (again / "model" / "model.safetensors").read_bytes() == (whole / "model" / "model.safetensors").read_bytes()
