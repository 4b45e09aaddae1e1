"""Tests of heads: every family with every format, against the classes that transformers ships."""

from __future__ import annotations

import hashlib
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import families
from quick import covering, diagonal, parameters
from xstilts.errors import InputError
from xstilts.models.encoder import Encoder, load_backbone, load_tokenizer
from xstilts.models.families import FAMILIES, NO_POOLER
from xstilts.models.heads import AUTO, HEADS, Head, Tied, attach, auto_class, head_row, mean_pool
from xstilts.models.hf_format import load, save, save_encoder
from xstilts.models.network import Network
from xstilts.models.tokenization import special_tokens_of

torch.set_num_threads(1)
FORMATS = list(AUTO)
CELLS = [(family, format) for family in sorted(families.FAMILIES) for format in FORMATS]
QUICK_CELLS = parameters(CELLS, diagonal(families.QUICK, FORMATS))
LABELS = {"classification": ("yes", "no", "maybe"), "token_classification": ("O", "B-PER", "I-PER")}


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> families.Folders:
    return families.Folders(tmp_path_factory.getbasetemp())


def headed(backbone: nn.Module, format: str, source: Path | None = None) -> Network:
    """Return a network with a head named "toy" of visible weights, to be compared."""
    torch.manual_seed(5)
    network = Network(backbone)
    head = attach(network, "toy", format, len(LABELS.get(format, ())), source)
    if source is None:
        with torch.no_grad():
            for parameter in head.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.2)
    return network.eval()


def batch(tokenizer: Any) -> tuple[Tensor, Tensor]:
    """Return two texts with their special tokens, the second padded."""
    pieces = special_tokens_of(tokenizer)
    middles = ([20, 21, 22, 23, 24, 25], [30, 31])
    rows = [[*pieces.prefix, *middle, *pieces.suffix] for middle in middles]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [pieces.pad] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    return ids, mask


def shipped_logits(model: Any, format: str, ids: Tensor, mask: Tensor) -> Tensor:
    if format == "multiple_choice":
        return model(input_ids=ids[None], attention_mask=mask[None]).logits.T
    found = model(input_ids=ids, attention_mask=mask)
    return torch.stack([found.start_logits, found.end_logits], -1) if format == "extractive_qa" else found.logits


def load_shipped(auto: str, folder: Path, **options: Any) -> Any:
    """Load with a transformers class and insist that every tensor found its place."""
    model, report = getattr(transformers, auto).from_pretrained(folder, output_loading_info=True, **options)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert not report["mismatched_keys"]
    return model.eval()


def test_the_table_is_complete() -> None:
    assert set(HEADS) == set(families.FAMILIES)
    assert all(list(rows) == FORMATS for rows in HEADS.values())
    for family, format in CELLS:
        config = type(families.config(family))
        if auto_class(family, format) is None:
            assert head_row(family, format).own
            shipped = config in getattr(transformers, AUTO[format])._model_mapping
            assert shipped == ("runs the decoder" in head_row(family, format).own)
        else:
            assert config in getattr(transformers, AUTO[format])._model_mapping


@pytest.mark.parametrize(("family", "format"), covering(sorted(families.FAMILIES), FORMATS))
def test_shape_and_padding(folders: families.Folders, family: str, format: str) -> None:
    network = headed(folders.backbone(family), format)
    ids, mask = batch(load_tokenizer(folders[family]))
    logits = network("toy", ids, mask)
    width = {"multiple_choice": 1, "extractive_qa": 2, "masked_lm": families.VOCABULARY}.get(format, 3)
    assert logits.shape == (2, width) if format in ("classification", "multiple_choice") else (2, ids.shape[1], width)
    length = int(mask[1].sum())
    alone = network("toy", ids[1:, :length], mask[1:, :length])
    padded = logits[1:] if logits.dim() == 2 else logits[1:, :length]
    torch.testing.assert_close(alone, padded, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("family", "format"), QUICK_CELLS)
def test_loss_falls(folders: families.Folders, family: str, format: str) -> None:
    torch.manual_seed(0)
    network = Network(folders.backbone(family)).train()
    attach(network, "toy", format, 3)
    ids, mask = batch(load_tokenizer(folders[family]))
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-2)
    losses = []
    for _ in range(9):
        logits = network("toy", ids, mask)
        if format == "multiple_choice":
            logits = logits.T
        elif format == "extractive_qa":
            logits = logits.transpose(1, 2).flatten(0, 1)
        else:
            logits = logits.flatten(0, -2)
        goal = torch.arange(len(logits)) % min(3, logits.shape[-1])
        loss = cross_entropy(logits, goal)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    assert all(parameter.grad is not None for parameter in network.heads.parameters())


@pytest.mark.parametrize(("family", "format"), QUICK_CELLS)
def test_saved_is_what_was_trained(folders: families.Folders, family: str, format: str, tmp_path: Path) -> None:
    network, labels = headed(folders.backbone(family), format), LABELS.get(format, ())
    for copy in ("a", "b"):
        save(network, "toy", format, labels, load_tokenizer(folders[family]), tmp_path / copy)
    digests = [hashlib.sha256((tmp_path / copy / "model.safetensors").read_bytes()).digest() for copy in ("a", "b")]
    assert digests[0] == digests[1]
    Encoder.of(tmp_path / "a")
    again, tokenizer, found = load(tmp_path / "a", format)
    ids, mask = batch(tokenizer)
    with torch.no_grad():
        logits = network("toy", ids, mask)
        torch.testing.assert_close(again("head", ids, mask), logits, atol=1e-6, rtol=1e-5)
        assert found == labels
        auto = auto_class(family, format)
        if auto is None:
            bare = getattr(transformers, FAMILIES[family].auto).from_pretrained(tmp_path / "a").eval()
            states = bare(input_ids=ids, attention_mask=mask).last_hidden_state
            torch.testing.assert_close(states, network.encode(ids, mask), atol=1e-6, rtol=1e-5)
            return
        model = load_shipped(auto, tmp_path / "a")
        torch.testing.assert_close(shipped_logits(model, format, ids, mask), logits, atol=1e-5, rtol=1e-5)
        for one in (network, model):
            one.train()
        torch.manual_seed(1)
        ours = network("toy", ids, mask)
        torch.manual_seed(1)
        torch.testing.assert_close(shipped_logits(model, format, ids, mask), ours, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", families.berts_last(sorted(families.FAMILIES)))
def test_saved_encoder_is_bare(folders: families.Folders, family: str, tmp_path: Path) -> None:
    network = headed(folders.backbone(family), "classification")
    save_encoder(network, load_tokenizer(folders[family]), tmp_path)
    again, tokenizer, labels = load(tmp_path, "bitext_retrieval")
    load_shipped(FAMILIES[family].auto, tmp_path, **(NO_POOLER if FAMILIES[family].load == NO_POOLER else {}))
    ids, mask = batch(tokenizer)
    with torch.no_grad():
        assert torch.equal(again.encode(ids, mask), network.encode(ids, mask))
        assert labels == ()
        pooled = mean_pool(network.encode(ids, mask), mask)
        torch.testing.assert_close(pooled[1], network.encode(ids, mask)[1, : int(mask[1].sum())].mean(0))


@pytest.mark.parametrize(
    ("first", "family"),
    parameters(
        product(["extractive_qa", "masked_lm"], sorted(families.FAMILIES)),
        diagonal(["extractive_qa", "masked_lm"], families.QUICK),
    ),
)
def test_next_phase_starts_from_the_saved_encoder(
    folders: families.Folders, family: str, first: str, tmp_path: Path
) -> None:
    network, tokenizer = headed(folders.backbone(family), first), load_tokenizer(folders[family])
    save(network, "toy", first, LABELS.get(first, ()), tokenizer, tmp_path / "first")
    second, tokenizer = Network(load_backbone(tmp_path / "first")), load_tokenizer(tmp_path / "first")
    attach(second, "toy", "classification", 2)
    save(second, "toy", "classification", ("a", "b"), tokenizer, tmp_path / "second")
    third, _, labels = load(tmp_path / "second", "classification")
    ids, mask = batch(tokenizer)
    with torch.no_grad():
        assert torch.equal(third.encode(ids, mask), network.encode(ids, mask))
        assert labels == ("a", "b")


def test_label_order_survives(folders: families.Folders, tmp_path: Path) -> None:
    labels = tuple(f"label {number * 7 % 13}" for number in range(13))
    network, tokenizer = Network(folders.backbone("xlm-roberta")), load_tokenizer(folders["xlm-roberta"])
    attach(network, "toy", "token_classification", 13)
    save(network, "toy", "token_classification", labels, tokenizer, tmp_path)
    assert load(tmp_path, "token_classification")[2] == labels
    config = transformers.AutoConfig.from_pretrained(tmp_path)
    assert [config.id2label[number] for number in range(13)] == list(labels)
    assert config.label2id == {label: number for number, label in enumerate(labels)}


@pytest.mark.parametrize(
    ("family", "setting"),
    [("modernbert", "cls"), ("modernbert", "mean"), ("eurobert", "bos"), ("eurobert", "mean"), ("eurobert", "late")],
)
def test_pooling_follows_the_configuration(
    folders: families.Folders, family: str, setting: str, tmp_path: Path
) -> None:
    backbone = folders.backbone(family)
    backbone.config.classifier_pooling = setting
    network, tokenizer = Network(backbone).eval(), load_tokenizer(folders[family])
    attach(network, "toy", "classification", 3)
    save(network, "toy", "classification", LABELS["classification"], tokenizer, tmp_path)
    ids, mask = batch(tokenizer)
    with torch.no_grad():
        theirs = shipped_logits(load_shipped(AUTO["classification"], tmp_path), "classification", ids, mask)
        torch.testing.assert_close(theirs, network.eval()("toy", ids, mask), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("family", "tied"),
    [
        *(
            pytest.param(family, family != "rembert", marks=[pytest.mark.slow] * (family in families.BERTS))
            for family in families.FAMILIES
            if auto_class(family, "masked_lm")
        ),
        ("eurobert", False),
    ],
)
def test_pretrained_mlm_head_is_used(family: str, tied: bool, tmp_path: Path) -> None:
    config = families.config(family)
    config.tie_word_embeddings = tied
    if family == "deberta-v2":
        config.legacy = False
    torch.manual_seed(2)
    model = transformers.AutoModelForMaskedLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(tmp_path / "pretrained")
    families.tokenizer(family).save_pretrained(tmp_path / "pretrained")
    network = headed(load_backbone(tmp_path / "pretrained"), "masked_lm", source=tmp_path / "pretrained")
    ids, mask = batch(load_tokenizer(tmp_path / "pretrained"))
    head = network.heads["toy"]
    assert isinstance(head, Head)
    assert isinstance(head.out, Tied) == tied
    with torch.no_grad():
        logits = network("toy", ids, mask)
        torch.testing.assert_close(logits, shipped_logits(model, "masked_lm", ids, mask), atol=1e-5, rtol=1e-5)
        save(network, "toy", "masked_lm", (), load_tokenizer(tmp_path / "pretrained"), tmp_path / "saved")
        saved = load_shipped(AUTO["masked_lm"], tmp_path / "saved")
        torch.testing.assert_close(shipped_logits(saved, "masked_lm", ids, mask), logits, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(load(tmp_path / "saved", "masked_lm")[0]("head", ids, mask), logits)


@pytest.mark.parametrize("family", families.berts_last(sorted(families.FAMILIES)))
def test_mlm_head_copies_no_embeddings(folders: families.Folders, family: str) -> None:
    network = headed(folders.backbone(family), "masked_lm")
    sizes = [parameter.numel() for parameter in network.heads.parameters()]
    assert families.VOCABULARY * families.WIDTH not in sizes
    ids, mask = batch(load_tokenizer(folders[family]))
    some = network.encode(ids, mask)[mask.bool()][:, None]
    ones = torch.ones(len(some), 1, dtype=torch.long)
    chosen = network.heads["toy"](some, ones, network.embedding_matrix)[:, 0]
    torch.testing.assert_close(chosen, network("toy", ids, mask)[mask.bool()], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", ["qwen3", "gemma3_text"])
def test_saved_tokenizer_of_a_decoder_closes_texts(folders: families.Folders, family: str, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(folders[family])
    pieces, pad = special_tokens_of(tokenizer), tokenizer.pad_token_id
    save(
        headed(folders.backbone(family), "classification"),
        "toy",
        "classification",
        ("a", "b", "c"),
        tokenizer,
        tmp_path,
    )
    saved = load_tokenizer(tmp_path)
    again = special_tokens_of(saved)
    assert (again.prefix, again.middle, again.suffix) == (pieces.prefix, pieces.middle, pieces.suffix)
    assert tuple(saved("abc", "d")["input_ids"][-1:]) == pieces.suffix
    assert saved.pad_token_id != saved.eos_token_id == tokenizer.eos_token_id
    assert tokenizer.pad_token_id == pad
    texts = saved(["abc", "d"], padding=True, return_tensors="pt")
    with torch.no_grad():
        model = load_shipped(AUTO["classification"], tmp_path)
        alone = model(**saved(["d"], return_tensors="pt")).logits
        torch.testing.assert_close(model(**texts).logits[1:], alone, atol=1e-5, rtol=1e-5)


def test_fresh_heads_are_reproducible_and_small(folders: families.Folders) -> None:
    network = Network(folders.backbone("xlm-roberta"))
    states = []
    for _ in range(2):
        torch.manual_seed(7)
        states.append(attach(network, "toy", "classification", 3).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not states[0]["out.bias"].any()
    assert 0.01 < states[0]["dense.weight"].std() < 0.03


def test_wrong_requests(folders: families.Folders, tmp_path: Path) -> None:
    network, tokenizer = (
        headed(folders.backbone("modernbert"), "token_classification"),
        load_tokenizer(folders["modernbert"]),
    )
    with pytest.raises(InputError, match="has no extractive_qa head"):
        save(network, "toy", "extractive_qa", (), tokenizer, tmp_path)
    with pytest.raises(InputError, match="distinct labels"):
        save(network, "toy", "token_classification", ("a", "b", "a"), tokenizer, tmp_path)
    with pytest.raises(InputError, match="for 2 labels"):
        save(network, "toy", "token_classification", ("a", "b"), tokenizer, tmp_path)
    with pytest.raises(InputError, match="at least 1"):
        attach(network, "other", "classification")
    other = Network(folders.backbone("eurobert"))
    other.config.classifier_pooling = "max"
    with pytest.raises(InputError, match="unknown classifier_pooling 'max'"):
        attach(other, "other", "classification", 2)
    save(network, "toy", "token_classification", LABELS["token_classification"], tokenizer, tmp_path)
    with pytest.raises(InputError, match="not a classification model"):
        load(tmp_path, "classification")
    with pytest.raises(InputError, match="no head for tasks of format 'bitext_retrieval'"):
        Head(network.config, "bitext_retrieval")
    with pytest.raises(InputError, match="no tensor 'xstilts_choice"):
        load(folders["eurobert"], "multiple_choice")
