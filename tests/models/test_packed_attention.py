from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from torch import Tensor

from families import FAMILIES, VOCABULARY, berts_last, quick_first
from given import TOYS, lesson, losses, still
from quick import covering, parameters
from xstilts.errors import InputError
from xstilts.evaluation.predict import predict
from xstilts.evaluation.score import read_lines
from xstilts.formats import Format, task_format
from xstilts.models import batching, packed_attention
from xstilts.models.batch import Batch
from xstilts.models.encoder import load_tokenizer
from xstilts.models.heads import attach
from xstilts.models.network import Network
from xstilts.models.packed_attention import PackedLayout
from xstilts.models.tokenization import Tokenizer
from xstilts.runtime.machine import Runtime
from xstilts.store.build import build
from xstilts.store.manifest import read
from xstilts.training.recipe import Recipe
from xstilts.training.train import train

PACKED = (
    *("xlm-roberta", "xlm-roberta-xl", "roberta", "camembert", "xmod", "bert", "distilbert", "electra", "modernbert"),
    *("eurobert", "qwen3", "gemma3_text"),
)
FORMATS = (
    "classification",
    "multiple_choice",
    "token_classification",
    "extractive_qa",
    "bitext_retrieval",
    "masked_lm",
)
LENGTHS = (9, 4, 12, 9, 1)
SHORT = Recipe(learning_rate=1e-2, batch_size=8, steps=4, max_length=24)


def padded_batch(network: Network) -> tuple[Tensor, Tensor]:
    """Return ids and mask of sequences of `LENGTHS`."""
    mask = (torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]).long()
    ids = torch.randint(5, VOCABULARY, mask.shape, generator=torch.Generator().manual_seed(0))
    return torch.where(mask.bool(), ids, network.config.pad_token_id or 0), mask


def packed(lengths: tuple[int, ...] = LENGTHS) -> PackedLayout:
    return PackedLayout.of(lengths, max(lengths))


@given(some.lists(some.integers(1, 9), min_size=1, max_size=8), some.integers(0, 3))
def test_a_row_holds_every_piece_once_and_spreads_to_where_it_came_from(lengths: list[int], more: int) -> None:
    width = max(lengths) + more
    found = PackedLayout.of(lengths, width)
    mask = torch.arange(width) < torch.tensor(lengths)[:, None]
    ids = torch.arange(len(lengths) * width).view(len(lengths), width)
    row = found.row(ids)
    assert torch.equal(row[0], ids[mask])
    assert torch.equal(found.spread(row[..., None], width)[..., 0], torch.where(mask, ids, 0))
    assert found.starts.tolist() == [0, *torch.tensor(lengths).cumsum(0).tolist()]
    assert torch.equal(found.positions, torch.cat([torch.arange(length) for length in lengths]))


@pytest.mark.parametrize("family", berts_last(PACKED))
def test_packed_states_are_padded_states_at_every_layer(family: str, families: Any) -> None:
    network = Network(families.backbone(family))
    ids, mask = padded_batch(network)
    with torch.no_grad():
        for states in ("encode", "all_hidden_states"):
            wanted = getattr(network, states)(ids, mask) * mask[..., None]
            torch.testing.assert_close(getattr(network, states)(ids, mask, packed()), wanted, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("family", berts_last(PACKED))
def test_no_sequence_sees_another(family: str, families: Any) -> None:
    network = Network(families.backbone(family))
    ids, mask = padded_batch(network)
    with torch.no_grad():
        before = network.encode(ids, mask, packed())
        other = ids.clone()
        other[2] = torch.where(ids[2] == 7, 8, 7)
        after = network.encode(other, mask, packed())
    assert torch.equal(before[[0, 1, 3, 4]], after[[0, 1, 3, 4]])
    assert not torch.equal(before[2], after[2])


@pytest.mark.parametrize("family", berts_last(PACKED))
def test_gradients_stay_within_their_sequence(family: str, families: Any) -> None:
    network = Network(families.backbone(family))
    ids, mask = padded_batch(network)
    ids = torch.arange(5, 5 + ids.numel()).view(ids.shape) % (VOCABULARY - 5) + 5
    ids = torch.where(mask.bool(), ids, network.config.pad_token_id or 0)
    network.encode(ids, mask, packed())[0, :, 0].sum().backward()  # the sum over a layer norm's features is constant
    moved = network.embedding_matrix.grad
    assert moved is not None
    touched = set(moved.abs().sum(1).nonzero().flatten().tolist())
    assert touched <= set(ids[0, : LENGTHS[0]].tolist())
    assert touched


@pytest.mark.parametrize("family", berts_last(PACKED))
def test_leaking_attention_would_be_noticed(family: str, families: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attention over the row as one sequence is what these tests are there to catch."""
    network = Network(families.backbone(family))
    ids, mask = padded_batch(network)
    whole = lambda rows, told, causal, reach: honest(rows, {**told, "lengths": (sum(LENGTHS),)}, causal, reach)  # noqa: E731
    honest = packed_attention._by_length
    with torch.no_grad():
        wanted = network.encode(ids, mask, packed())
        monkeypatch.setattr(packed_attention, "_by_length", whole)
        assert not torch.allclose(network.encode(ids, mask, packed()), wanted, atol=1e-4)


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - set(PACKED)))
def test_families_whose_attention_would_leak_are_padded(family: str, families: Any, machine: Runtime) -> None:
    network = Network(families.backbone(family))
    assert network.family.padded
    assert not batching.should_pack(network, machine)
    with pytest.raises(InputError, match=f"{family} cannot be packed: its attention"):
        batching.should_pack(network, replace(machine, packing="on"))


@pytest.mark.parametrize("family", berts_last(PACKED))
def test_the_rest_is_packed_where_asked_for_and_padded_on_a_cpu(family: str, families: Any, machine: Runtime) -> None:
    network = Network(families.backbone(family))
    assert not network.family.padded
    choices = [batching.should_pack(network, replace(machine, packing=how)) for how in ("auto", "on", "off")]
    assert choices == [False, True, False]
    with pytest.raises(InputError, match="auto, on or off"):
        replace(machine, packing="maybe")


@pytest.mark.parametrize(("family", "name"), covering(PACKED, FORMATS))
def test_loss_gradients_and_answers_of_a_packed_batch_are_those_of_the_padded_one(
    name: str, family: str, families: Any
) -> None:
    tokens = Tokenizer.of(load_tokenizer(families[family]))
    if name == "masked_lm" and tokens.mask is None:
        pytest.skip("its tokenizer has no mask token")
    network, how = Network(families.backbone(family)), task_format(name)
    labels, _, examples = TOYS[name]
    if not how.headless:
        attach(network, "head", name, len(labels)).eval()
    units = how.encode(examples, tokens, 24, labels, Counter())[:7]
    batch = how.collate(units, tokens, torch.Generator().manual_seed(0))
    found = [loss_and_gradients(network, how, one) for one in (batch, batch.packed())]
    assert found[1][0] == pytest.approx(found[0][0], rel=1e-5)
    for wanted, gradient in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(gradient, wanted, atol=1e-5, rtol=1e-3)
    with torch.no_grad():
        said = [how.predict(network, "head", one, units) for one in (batch, batch.packed())]
    for one, other in zip(*said, strict=True):
        np.testing.assert_allclose(np.asarray(other, dtype=float), np.asarray(one, dtype=float), atol=1e-4)


def loss_and_gradients(network: Network, how: Format, batch: Batch) -> tuple[float, list[Tensor]]:
    network.zero_grad()
    loss = how.loss(network, "head", batch)
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.item(), [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]


@pytest.mark.parametrize("family", quick_first(PACKED))
def test_a_packed_training_goes_like_a_padded_one_and_computes_no_padding(
    family: str, families: Any, machine: Runtime, tmp_path: Path
) -> None:
    model = train(still(families[family], tmp_path / "still"), (lesson("extractive_qa"),), SHORT, seed=1)
    machines = [replace(machine, store=tmp_path / how, packing=how) for how in ("off", "on")]
    folders = [build(model, one) for one in machines]
    assert losses(folders[1]) == pytest.approx(losses(folders[0]), rel=1e-4)
    asked = predict(model, lesson("extractive_qa").train[0], "extractive_qa", 24)
    found = [[line["prediction"] for line in read_lines(build(asked, one))] for one in machines]
    assert found[0] == found[1]
    assert [read(folder)["record"]["batches"] for folder in folders] == ["padded", "packed"]
    padded, packed = (read(folder)["record"]["cost"] for folder in folders)
    assert padded["tokens"] == packed["tokens"] == packed["padded_tokens"] < padded["padded_tokens"]


@pytest.mark.parametrize(
    ("family", "trained"),
    parameters([("xlm-roberta", "top:1"), ("modernbert", "top:1"), ("qwen3", "head")], [("modernbert", "top:1")]),
)
def test_stored_states_of_frozen_layers_are_packed_too(
    family: str, trained: str, families: Any, machine: Runtime, tmp_path: Path
) -> None:
    recipe = replace(SHORT, trainable=trained, steps=8)
    model = train(still(families[family], tmp_path / "still"), (lesson("token_classification"),), recipe, seed=1)
    folders = [build(model, replace(machine, store=tmp_path / how, packing=how)) for how in ("off", "on")]
    assert losses(folders[1]) == pytest.approx(losses(folders[0]), rel=1e-4)


def test_a_packed_batch_is_charged_for_no_padding(families: Any) -> None:
    tokens = Tokenizer.of(load_tokenizer(families["xlm-roberta"]))
    labels, _, examples = TOYS["extractive_qa"]
    units = task_format("extractive_qa").encode(examples, tokens, 24, labels, Counter())
    batch = task_format("extractive_qa").collate(units, tokens).packed()
    assert batch.packing is not None
    assert batch.packing.lengths == tuple(unit.length for unit in units)
    network = Network(families.backbone("xlm-roberta"))
    attach(network, "head", "extractive_qa")
    with torch.no_grad():
        loss = task_format("extractive_qa").loss(network, "head", batch)
    torch.testing.assert_close(loss, task_format("extractive_qa").loss(network, "head", replace(batch, packing=None)))
