"""Tests of encoders: identity, loading, states, freezing and special tokens, for every family."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import families
from xstilts.errors import InputError
from xstilts.models.encoder import Encoder, load_backbone, load_tokenizer
from xstilts.models.freezing import freeze, language_parameters
from xstilts.models.heads import attach
from xstilts.models.network import Network
from xstilts.models.tokenization import special_tokens_of

torch.set_num_threads(1)
EVERY = sorted(families.FAMILIES)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> families.Folders:
    return families.Folders(tmp_path_factory.getbasetemp())


@pytest.fixture
def folder(folders: families.Folders, tmp_path: Path) -> Path:
    """A copy of a tiny XLM-R that a test may damage."""
    return Path(shutil.copytree(folders["xlm-roberta"], tmp_path / "model"))


def network(folders: families.Folders, family: str) -> Network:
    return Network(folders.backbone(family))


def batch(pad: int, lengths: tuple[int, ...] = (9, 5, 1)) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(3)
    mask = torch.zeros(len(lengths), max(lengths), dtype=torch.long)
    for row, length in enumerate(lengths):
        mask[row, :length] = 1
    return torch.where(mask.bool(), torch.randint(5, 60, mask.shape), pad), mask


def test_identity_is_the_content_of_the_files(folder: Path, tmp_path: Path) -> None:
    encoder = Encoder.of(folder)
    assert encoder == Encoder.of(str(folder))
    assert encoder.name == "model"
    assert encoder.location == str(folder)
    moved = Encoder.of(shutil.copytree(folder, tmp_path / "elsewhere" / "model"))
    assert moved == encoder
    assert moved.location != encoder.location
    (folder / "README.md").write_text("not identity")
    assert Encoder.of(folder) == encoder
    weights = load_file(folder / "model.safetensors")
    save_file({name: tensor + 1 for name, tensor in weights.items()}, folder / "model.safetensors")
    assert Encoder.of(folder).digest != encoder.digest


def test_identity_of_a_hub_id_is_its_revision() -> None:
    assert Encoder.of("owner/name") == Encoder("owner/name", "main")
    assert Encoder.of("owner/name", "abc").location == "owner/name@abc"
    assert Encoder.of("owner/name@abc") == Encoder("owner/name", "abc")


@pytest.mark.parametrize("name", ["./model", "/no/such/folder", "a/b/c", "~/model", Path("/no/such/folder"), "a\\b"])
def test_missing_folder(name: str | Path) -> None:
    with pytest.raises(InputError, match="no encoder folder"):
        Encoder.of(name)


@pytest.mark.parametrize(
    ("lost", "complaint"),
    [("config.json", "no config.json"), ("model.safetensors", "no weights"), ("tokenizer.json", "no tokenizer")],
)
def test_incomplete_folder(folder: Path, lost: str, complaint: str) -> None:
    (folder / lost).unlink()
    with pytest.raises(InputError, match=complaint):
        Encoder.of(folder)
    with pytest.raises(InputError, match=complaint):
        (load_tokenizer if "tokenizer" in lost else load_backbone)(folder)


def test_tokenizer_alone_loads(folder: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (folder / name).unlink()
    assert load_tokenizer(folder)("abc")["input_ids"][0] == 0


def test_pickles_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"pickled weights \(pytorch_model.bin\).*safetensors"):
        load_backbone(folder)


@pytest.mark.parametrize("keep", [0, 4, 100, 3000, -1])
def test_truncated_weights(folder: Path, keep: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"model.safetensors is missing or damaged.*download it again"):
        load_backbone(folder)


def test_weights_that_do_not_fit(folder: Path) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    kept = {name: tensor for name, tensor in weights.items() if "layer.1." not in name}
    save_file(kept, path, metadata={"format": "pt"})
    with pytest.raises(InputError, match="no weights for"):
        load_backbone(folder)
    save_file({name: tensor[..., :8].clone() for name, tensor in weights.items()}, path, metadata={"format": "pt"})
    with pytest.raises(InputError, match="cannot load"):
        load_backbone(folder)


def test_configuration_that_cannot_be_used(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_type": "xlm"}))
    with pytest.raises(InputError, match=r"'xlm' are not supported.*xlm-roberta"):
        load_backbone(folder)
    path.write_text(json.dumps({"model_type": "xlm-roberta", "hidden_size": "wide"}))
    with pytest.raises(InputError, match="cannot load"):
        load_backbone(folder)
    path.write_text("{")
    with pytest.raises(InputError, match="cannot load"):
        load_backbone(folder)


@pytest.mark.parametrize("family", ["xlm-roberta", "modernbert", "qwen3"])
def test_loading_is_silent_and_drops_shipped_heads(family: str, tmp_path: Path, capfd: Any) -> None:
    with_head = families.make(family, tmp_path / "head", "AutoModelForQuestionAnswering")
    model = transformers.AutoModelForQuestionAnswering.from_pretrained(with_head).eval()
    capfd.readouterr()
    ours = Network(load_backbone(with_head)).eval()
    load_tokenizer(with_head)
    said = capfd.readouterr()
    assert said.out + said.err == ""
    ids, mask = batch(pad=1)
    with torch.no_grad():
        theirs = model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states[-1]
        assert torch.equal(ours.encode(ids, mask), theirs)


@pytest.mark.parametrize("family", EVERY)
def test_backbone_is_bare(folders: families.Folders, family: str) -> None:
    backbone = folders.backbone(family)
    assert not any("pooler" in name or "decoder" in name or "head" in name for name in backbone.state_dict())
    assert {parameter.dtype for parameter in backbone.parameters()} == {torch.float32}
    assert backbone.config._attn_implementation == ("eager" if family in ("deberta-v2", "rembert") else "sdpa")
    assert not backbone.training


@pytest.mark.parametrize("family", EVERY)
def test_states_do_not_depend_on_padding(folders: families.Folders, family: str) -> None:
    net = network(folders, family)
    ids, mask = batch(special_tokens_of(load_tokenizer(folders[family])).pad)
    with torch.no_grad():
        hidden, layers = net.encode(ids, mask), net.all_hidden_states(ids, mask)
        assert hidden.shape == (3, 9, net.width) == (3, 9, families.WIDTH)
        assert layers.shape == (net.depth + 1, 3, 9, net.width)
        assert net.depth == families.DEPTH
        assert torch.equal(layers[-1], hidden)
        for row, length in enumerate(mask.sum(1).tolist()):
            alone = net.encode(ids[row : row + 1, :length], mask[row : row + 1, :length])
            torch.testing.assert_close(alone[0], hidden[row, :length], atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("family", EVERY)
def test_pieces_assemble_what_the_tokenizer_does(folders: families.Folders, family: str) -> None:
    tokenizer = load_tokenizer(folders[family])
    pieces = special_tokens_of(tokenizer)
    a, b = (tuple(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in ("abc", "de"))
    single, pair = tuple(tokenizer("abc")["input_ids"]), tuple(tokenizer("abc", "de")["input_ids"])
    if family in ("qwen3", "gemma3_text"):
        assert pieces.middle == pieces.suffix == (tokenizer.eos_token_id,)
        assert single == pieces.prefix + a
    else:
        assert pieces.prefix + a + pieces.suffix == single
        assert pieces.prefix + a + pieces.middle + b + pieces.suffix == pair
    assert pieces.pad == tokenizer.pad_token_id


def test_tokenizer_without_any_end_is_refused(folders: families.Folders) -> None:
    tokenizer = load_tokenizer(folders["qwen3"])
    tokenizer.eos_token = None
    with pytest.raises(InputError, match="eos_token"):
        special_tokens_of(tokenizer)


def trained_layers(net: Network) -> list[int]:
    layers = next(child for child in net.backbone.modules() if isinstance(child, torch.nn.ModuleList))
    return [number for number, layer in enumerate(layers) if any(p.requires_grad for p in layer.parameters())]


@pytest.mark.parametrize("family", EVERY)
def test_freeze_trains_what_it_says(folders: families.Folders, family: str) -> None:
    net = network(folders, family)
    heads = sum(parameter.numel() for parameter in attach(net, "toy", "token_classification", 3).parameters())
    fixed = {id(parameter) for parameter in language_parameters(net)}
    every = sum(parameter.numel() for parameter in net.parameters() if id(parameter) not in fixed)
    layer = [sum(p.numel() for p in one.parameters() if id(p) not in fixed) for one in layers_of(net)]
    assert freeze(net, "all") == every
    assert freeze(net, "head") == heads
    cases = {"top:1": [2], "top:3": [0, 1, 2], "bottom:2": [0, 1], "layers:0,2": [0, 2], "layers:1-2": [1, 2]}
    for trained, numbers in (cases | {"alternate": [0, 2], "layers:1": [1]}).items():
        assert freeze(net, trained) == heads + sum(layer[number] for number in numbers)
        assert trained_layers(net) == numbers
        assert not net.embedding_matrix.requires_grad
    norms = freeze(net, "layernorm")
    assert heads < norms < heads + 300
    assert not net.embedding_matrix.requires_grad
    assert freeze(net, "no-embeddings") < every
    assert not net.embedding_matrix.requires_grad
    assert trained_layers(net) == [0, 1, 2]
    assert freeze(net, "all") == every


def layers_of(net: Network) -> torch.nn.ModuleList:
    return next(child for child in net.backbone.modules() if isinstance(child, torch.nn.ModuleList))


@pytest.mark.parametrize("trained", ["", "some", "top", "top:", "top:x", "layers:", "layers:1-", "layers:a", "top:-1"])
def test_freeze_names_its_words(folders: families.Folders, trained: str) -> None:
    with pytest.raises(InputError, match=r"unknown part to train.*no-embeddings"):
        freeze(network(folders, "xlm-roberta"), trained)


@pytest.mark.parametrize("trained", ["top:0", "top:4", "bottom:4", "layers:3", "layers:0-3", "layers:2-1"])
def test_freeze_out_of_range(folders: families.Folders, trained: str) -> None:
    with pytest.raises(InputError, match="encoder of 3 layers"):
        freeze(network(folders, "xlm-roberta"), trained)


def test_a_tokenizer_is_loaded_once_for_folders_with_the_same_files(encoder: Encoder, tmp_path: Path) -> None:
    """A copy with other weights has the tokenizer; another token, marked in a file of it, is another tokenizer."""
    same, other = tmp_path / "same", tmp_path / "other"
    for folder in (same, other):
        shutil.copytree(encoder.folder, folder)
    config = json.loads((same / "config.json").read_text())
    (same / "config.json").write_text(json.dumps({**config, "architectures": ["XLMRobertaForTokenClassification"]}))
    first = load_tokenizer(encoder.folder)
    assert load_tokenizer(same) is first
    settings = json.loads((other / "tokenizer_config.json").read_text())
    (other / "tokenizer_config.json").write_text(json.dumps({**settings, "model_max_length": 77}))
    assert load_tokenizer(other).model_max_length == 77
    assert load_tokenizer(same).model_max_length == first.model_max_length
