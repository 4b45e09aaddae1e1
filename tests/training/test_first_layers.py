"""Tests of truncated encoders: for every family the first layers compute what they computed in the whole encoder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import families
from xstilts.errors import InputError
from xstilts.models.configs import config_before
from xstilts.models.encoder import Encoder, load_backbone, load_tokenizer
from xstilts.models.naming import name_of
from xstilts.models.network import Network
from xstilts.models.tokenization import special_tokens_of
from xstilts.runtime.machine import Runtime
from xstilts.store.build import build
from xstilts.store.stage import StageError
from xstilts.training.first_layers import first_layers

NORMED = (
    "modernbert",
    "eurobert",
    "mt5",
    "umt5",
    "t5",
    "qwen3",
    "gemma3_text",
    "xlm-roberta-xl",
)  # after the last layer


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> families.Folders:
    return families.Folders(tmp_path_factory.getbasetemp())


@pytest.mark.parametrize("family", sorted(families.FAMILIES))
def test_the_first_layers_of_a_family(folders: families.Folders, family: str, tmp_path: Path) -> None:
    whole = Network(load_backbone(folders[family])).eval()
    machine, count = Runtime(tmp_path, device="cpu", threads=1), whole.depth - 1
    assert count
    stage = first_layers(Encoder.of(folders[family]), count)
    planned = config_before(stage, machine)
    folder = build(stage, machine)
    assert planned.num_hidden_layers == config_before(stage, machine).num_hidden_layers == count
    cut = Network(load_backbone(folder / "model")).eval()
    assert cut.depth == len(cut.layer_modules) == count
    assert name_of(stage) == f"{Path(folders[family]).name}-first-{count}"

    special = special_tokens_of(load_tokenizer(folder / "model"))
    ids = torch.tensor([[*special.prefix, 20, 21, 22, 23, *special.suffix]])
    with torch.no_grad():
        expected = whole.all_hidden_states(ids, torch.ones_like(ids))[count]
        states = cut.encode(ids, torch.ones_like(ids))
    if family not in NORMED:
        torch.testing.assert_close(states, expected, atol=1e-6, rtol=1e-6)
    names = {name for name, _ in cut.backbone.named_parameters()}
    assert names < {name for name, _ in whole.backbone.named_parameters()}
    for name, parameter in cut.backbone.named_parameters():
        assert torch.equal(parameter, whole.backbone.get_parameter(name)), name


def test_more_layers_than_there_are_are_refused(folders: families.Folders, tmp_path: Path) -> None:
    machine = Runtime(tmp_path, device="cpu", threads=1)
    for count in (0, 99):
        with pytest.raises((InputError, StageError), match=f"its first {count} cannot be taken"):
            build(first_layers(Encoder.of(folders["xlm-roberta"]), count), machine)
