"""Tests of pooling: a choice for every family, kept in what is saved and from phase to phase."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import families
from quick import covering
from xstilts.errors import InputError
from xstilts.experiments.grid import tasks_of
from xstilts.experiments.run import Recipes
from xstilts.models.configs import default_pooling
from xstilts.models.encoder import Encoder, load_tokenizer
from xstilts.models.heads import SEQUENCE, Head, attach, auto_class, pooling_of
from xstilts.models.hf_format import load, save
from xstilts.models.network import Network
from xstilts.models.pooling import (
    CHOICES,
    FAMILY,
    FIRST,
    LAST,
    MEAN,
    SENTENCE_TRANSFORMERS,
    choose_pooling,
    chosen_pooling,
    published_pooling,
)

torch.set_num_threads(1)
LABELS = {"classification": ("yes", "no", "maybe"), "multiple_choice": ()}


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> families.Folders:
    return families.Folders(tmp_path_factory.getbasetemp())


def headed(network: Network, format: str) -> Network:
    """Return a network with a head "toy" whose weights are visible in its logits."""
    head = attach(network, "toy", format, len(LABELS[format]))
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return network.eval()


@pytest.mark.parametrize(
    ("family", "pooling"), covering(sorted(families.FAMILIES), [choice for choice in CHOICES if choice != FAMILY])
)
def test_the_chosen_state_alone_decides(folders: families.Folders, family: str, pooling: str, tmp_path: Path) -> None:
    """Logits are a function of the chosen state, padding changes nothing, and a saved folder pools the same way."""
    format = SEQUENCE[CHOICES.index(pooling) % 2]
    network = Network(folders.backbone(family))
    choose_pooling(network.config, pooling)
    head = headed(network, format).heads["toy"]
    assert isinstance(head, Head)
    assert head.pool == pooling == pooling_of(network.config, format)

    states = torch.randn(2, 5, network.width)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    logits = head(states, mask)
    read = {FIRST: [0], LAST: [2], MEAN: [0, 1, 2]}[pooling]
    for place in range(5):
        disturbed = states.clone()
        disturbed[1, place] += 3.0
        changed = not torch.equal(head(disturbed, mask)[1], logits[1])
        assert changed == (place in read), place

    save(network, "toy", format, LABELS[format], load_tokenizer(folders[family]), tmp_path / "saved")
    again, _, _ = load(tmp_path / "saved", format)
    torch.testing.assert_close(again.heads["head"](states, mask), logits, atol=0, rtol=0)
    shipped = auto_class(family, format, chosen_pooling(network.config))
    assert again.config.architectures == [type(network.backbone).__name__] or shipped


@pytest.mark.parametrize("family", sorted(families.FAMILIES))
def test_the_family_pools_as_before(folders: families.Folders, family: str) -> None:
    """Choosing "family" changes no setting, and undoes an earlier choice."""
    config = folders.backbone(family).config
    before = config.to_dict()
    choose_pooling(config, FAMILY)
    assert config.to_dict() == before
    pooled = pooling_of(config, "classification")
    choose_pooling(config, LAST)
    choose_pooling(config, FAMILY)
    assert pooling_of(config, "classification") == pooled


@pytest.mark.parametrize(
    ("settings", "pooling"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, MEAN),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, FIRST),
        ({"pooling_mode_lasttoken": True}, LAST),
        ({"pooling_mode": "mean", "word_embedding_dimension": 8}, MEAN),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True, "pooling_mode_cls_token": True}, FAMILY),
        ({"pooling_mode_max_tokens": True}, FAMILY),
        ([], FAMILY),
    ],
)
def test_how_a_published_sentence_encoder_pools(
    folders: families.Folders, settings: object, pooling: str, tmp_path: Path
) -> None:
    assert published_pooling(tmp_path / SENTENCE_TRANSFORMERS) == FAMILY
    (tmp_path / SENTENCE_TRANSFORMERS).parent.mkdir()
    (tmp_path / SENTENCE_TRANSFORMERS).write_text(json.dumps(settings), encoding="utf-8")
    assert published_pooling(tmp_path / SENTENCE_TRANSFORMERS) == pooling
    for path in Path(folders["xlm-roberta"]).iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    assert default_pooling(Encoder.of(tmp_path)) == pooling


def test_recipes_pool_sentence_encoders_as_they_were_trained() -> None:
    sentences, words = (
        Encoder(name, "main") for name in ("intfloat/multilingual-e5-small", "FacebookAI/xlm-roberta-base")
    )
    for role in ("intermediate", "target"):
        assert Recipes().of(tasks_of("mnli"), role, sentences).pooling == MEAN
        assert Recipes().of(tasks_of("mnli"), role, words).pooling == FAMILY
        assert (
            Recipes("xtreme", ("pooling=first",), ("pooling=first",)).of(tasks_of("mnli"), role, sentences).pooling
            == FIRST
        )
    with pytest.raises(InputError, match=r"unknown pooling 'max'; there are family, first, last, mean"):
        Recipes("xtreme", ("pooling=max",))


def test_known_sentence_encoders() -> None:
    pooled = {name: default_pooling(Encoder(f"intfloat/multilingual-e5-{name}", "main")) for name in ("small", "large")}
    assert pooled == {"small": MEAN, "large": MEAN}
    assert default_pooling(Encoder("FacebookAI/xlm-roberta-base", "main")) == FAMILY
    assert default_pooling(Encoder("someone/unknown", "main")) == FAMILY
