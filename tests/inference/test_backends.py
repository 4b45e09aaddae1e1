"""Tests of variants: every form of every family answers what fp32 answers, as nearly as its numbers allow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from families import FAMILIES, berts_last
from xstilts.errors import InputError
from xstilts.inference import backends
from xstilts.inference.backends import Int8Linear, Loaded, form, format_of, load, located
from xstilts.models.encoder import SANDBOX, load_tokenizer
from xstilts.models.heads import AUTO, HEADLESS, HEADS, attach, stored_prefix
from xstilts.models.hf_format import save, save_encoder
from xstilts.models.network import Network

torch.set_num_threads(1)
LABELS = {"classification": ("yes", "no", "maybe"), "token_classification": ("O", "B-PER", "I-PER")}


def checkpoint(families: Any, family: str, format: str, folder: Path) -> Path:
    """Write a checkpoint with a head, as a training does."""
    torch.manual_seed(3)
    network, labels = Network(families.backbone(family)), LABELS.get(format, ())
    attach(network, "toy", format, len(labels))
    with torch.no_grad():
        for parameter in network.parameters():  # wider than at the start of a training, or all forms agree
            parameter.normal_(std=0.2)
    save(network, "toy", format, labels, load_tokenizer(families[family]), folder)
    return folder


def opened(folder: Path, format: str | None = None) -> Loaded:
    return load(folder, format, torch.device("cpu"), folder)


def batch(loaded: Loaded) -> tuple[Tensor, Tensor]:
    ids = loaded.token_ids[torch.randint(len(loaded.token_ids), (3, 9), generator=torch.Generator().manual_seed(0))]
    mask = torch.ones_like(ids)
    mask[2, 5:] = 0
    return ids, mask


@pytest.mark.parametrize("format", AUTO)
@pytest.mark.parametrize("family", ["xlm-roberta", "mt5", "qwen3"])
def test_the_kind_of_a_checkpoint_is_seen(families: Any, tmp_path: Path, family: str, format: str) -> None:
    assert format_of(checkpoint(families, family, format, tmp_path)) == (HEADLESS if format == "masked_lm" else format)


@pytest.mark.parametrize("family", berts_last(sorted(FAMILIES)))
def test_every_family_is_near_to_itself_in_fewer_bits(families: Any, tmp_path: Path, family: str) -> None:
    loaded = opened(checkpoint(families, family, "token_classification", tmp_path))
    ids, mask = batch(loaded)
    seen, expected = mask.bool(), form("fp32", loaded).ask(ids, mask)
    largest = float(expected[seen].abs().max())
    for name in ("bf16", "int8"):
        found = form(name, loaded).ask(ids, mask)
        assert found.dtype == torch.float32
        apart = float((found - expected)[seen].abs().max())
        assert 0 < apart < 0.15 * largest, name
    assert torch.equal(form("fp32", loaded).ask(ids, mask), expected)  # making the others has not touched it


def test_int8_holds_a_quarter_of_what_is_linear_and_all_of_the_rest(families: Any, tmp_path: Path) -> None:
    loaded = opened(checkpoint(families, "xlm-roberta", "classification", tmp_path))
    layers = [one for one in loaded.module.network.backbone.modules() if isinstance(one, nn.Linear)]
    saved = sum(3 * one.weight.numel() - 4 * one.out_features for one in layers)
    assert layers
    assert form("fp32", loaded).weight_bytes - form("int8", loaded).weight_bytes == saved
    parameters = sum(one.numel() for one in loaded.module.parameters())
    assert form("fp32", loaded).weight_bytes - form("bf16", loaded).weight_bytes == 2 * parameters


def test_computed_positions_stay_in_float32(families: Any, tmp_path: Path) -> None:
    loaded = opened(checkpoint(families, "qwen3", "classification", tmp_path))
    before = {name: one.clone() for name, one in loaded.module.named_buffers()}
    form("bf16", loaded)
    assert before
    assert all(torch.equal(one, before[name]) for name, one in loaded.module.named_buffers())
    assert {one.dtype for one in loaded.module.parameters()} == {torch.float32}


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(2, 24), st.integers(1, 24), st.booleans(), st.integers(0, 99))
def test_an_int8_layer_is_a_layer_but_for_its_rounding(
    rows: int, wide: int, narrow: int, bias: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    layer, states = nn.Linear(wide, narrow, bias), torch.randn(rows, wide)
    with torch.no_grad():
        found, expected = Int8Linear(layer)(states), layer(states)
        most = states.abs().amax(1, keepdim=True) * layer.weight.abs().amax(1)  # half a step of each factor, times each
    assert bool(((found - expected).abs() <= wide * most / 127 * 1.02 + 1e-5).all())


def test_a_layer_of_one_input_is_left_as_it_is(families: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one input cannot be int8"):
        Int8Linear(nn.Linear(1, 4))
    loaded = opened(checkpoint(families, "xlm-roberta", "classification", tmp_path))
    loaded.module.network.backbone.register_module("gate", nn.Linear(1, 4))
    before = form("fp32", loaded).weight_bytes
    assert form("int8", loaded).weight_bytes < before


def test_an_int8_layer_takes_each_token_by_itself_and_zeros_as_zeros() -> None:
    torch.manual_seed(0)
    layer = Int8Linear(nn.Linear(24, 8))
    states = torch.randn(2, backends.ROWS, 24)  # more than are taken at once
    states[0, 0], states[1, 3] = 0, 1e6
    whole = layer(states)
    assert whole.shape == (2, backends.ROWS, 8)
    assert torch.equal(whole[0, 0], layer.bias)
    for place in ((0, 1), (1, 3), (1, -1)):
        assert torch.allclose(layer(states[place][None])[0], whole[place], rtol=1e-6)


def test_a_folder_of_a_training_and_the_shipped_encoder_are_found(families: Any, tmp_path: Path) -> None:
    folder = checkpoint(families, "xlm-roberta", "classification", tmp_path / "train-x/model")
    assert located(tmp_path / "train-x") == located(folder) == folder
    assert located("sandbox") == SANDBOX
    with pytest.raises(InputError, match=r"no config\.json"):
        located(tmp_path)


def test_an_encoder_alone_is_asked_for_the_mean_of_its_states(families: Any, tmp_path: Path) -> None:
    network = Network(families.backbone("xlm-roberta"))
    save_encoder(network, load_tokenizer(families["xlm-roberta"]), tmp_path)
    loaded = opened(tmp_path)
    ids, mask = batch(loaded)
    states = network.eval().encode(ids, mask)
    assert loaded.format == HEADLESS
    assert torch.allclose(form("fp32", loaded).ask(ids, mask)[2], states[2, :5].mean(0), atol=1e-6)


def test_pieces_are_ordinary_and_the_longest_sequence_fits(families: Any, tmp_path: Path) -> None:
    loaded = opened(checkpoint(families, "xlm-roberta", "classification", tmp_path))
    assert not set(loaded.token_ids.tolist()) & set(load_tokenizer(tmp_path).all_special_ids)
    ids = loaded.token_ids[:1].repeat(1, loaded.longest)
    assert form("fp32", loaded).ask(ids, torch.ones_like(ids)).shape == (1, 3)


def test_what_is_asked_wrongly_is_named(families: Any, tmp_path: Path) -> None:
    folder = checkpoint(families, "xlm-roberta", "classification", tmp_path)
    with pytest.raises(InputError, match="unknown variant 'int4'; use some of fp32, bf16"):
        backends.row("int4")
    with pytest.raises(InputError, match=r"not an? extractive_qa model"):
        opened(folder, "extractive_qa")
    (folder / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.json is damaged"):
        opened(folder)


def test_every_head_that_has_no_shipped_class_is_stored_under_the_name_that_is_looked_for() -> None:
    own = {(row.output, format) for rows in HEADS.values() for format, row in rows.items() if row.own}
    assert own
    assert all(output.startswith(f"{stored_prefix(format)}.") for output, format in own)
    # As in folders that the first release wrote.
    assert {output.partition(".")[0] for output, _ in own} <= {
        "xstilts_classification",
        "xstilts_choice",
        "xstilts_tagging",
        "xstilts_span",
        "xstilts_mlm",
    }
