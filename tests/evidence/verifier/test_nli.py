"""A cross-encoder reads sentences as it was taught to, refuses other labels and other cards, and decides by its own."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scifacts import Told, put

from xstilts.errors import InputError
from xstilts.evidence.verifier import model_card as cards
from xstilts.evidence.verifier import nli, scifact
from xstilts.evidence.verifier.calibration import Scaling
from xstilts.evidence.verifier.model_card import ModelCard
from xstilts.models import heads
from xstilts.models.encoder import load_backbone, load_tokenizer
from xstilts.models.hf_format import save
from xstilts.models.network import Network
from xstilts.runtime.machine import Runtime

PAIRS = [("a bad cab", "a cab"), ("fed", "a deaf bee fed a cab"), ("a bad cab", "bee"), ("fed", "fed")]


def checkpoint(families: Any, folder: Path, labels: tuple[str, ...]) -> Path:
    """A tiny model of random weights that tells these labels apart; the head of a label is the same wherever it is."""
    network = Network(load_backbone(families["xlm-roberta"]))
    torch.manual_seed(1)
    heads.attach(network, "task", "classification", labels=len(labels))
    last = [one for name, one in network.heads["task"].named_parameters() if one.shape[0] == len(labels)]
    order = [sorted(labels).index(label) for label in labels]
    for one in last:
        one.data = torch.randn(one.shape, generator=torch.Generator().manual_seed(2))[order]
    save(network.eval(), "task", "classification", labels, load_tokenizer(families["xlm-roberta"]), folder)
    return folder


@pytest.fixture(scope="module")
def folder(families: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(families, tmp_path_factory.mktemp("nli") / "tiny", ("neutral", "contradiction", "entailment"))


@pytest.fixture(scope="module")
def passing(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    return cards.measure(Told(), scifact.read(put(tmp_path_factory.mktemp("data"), 150)))


@pytest.fixture
def own(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "own"))


def test_answers_are_probabilities_in_the_order_of_the_pairs(folder: Path, machine: Runtime) -> None:
    model = nli.load(folder, machine)
    found = model.predict_logits(PAIRS)
    assert found.shape == (4, 3)
    assert np.allclose(np.exp(found).sum(1), 1, atol=1e-5)
    assert len({tuple(row) for row in found.round(4)}) > 1
    assert np.allclose(model.predict_logits(PAIRS[::-1])[::-1], found, atol=1e-5)
    assert np.allclose(model.predict_logits(PAIRS[1:2]), found[1:2], atol=1e-5)
    assert model.predict_logits([]).shape == (0, 3)


def test_the_sentence_is_the_premise(folder: Path, machine: Runtime) -> None:
    model = nli.load(folder, machine)
    network, tokenizer = model.network, model.tokens.tokenizer
    asked = tokenizer("a deaf bee fed a cab", "fed", return_tensors="pt")
    with torch.inference_mode():
        said = torch.log_softmax(network("head", asked["input_ids"], asked["attention_mask"]), -1)[0].numpy()
    assert np.allclose(model.predict_logits(PAIRS[1:2])[0], said[[2, 1, 0]], atol=1e-5)


@pytest.mark.parametrize(
    "labels", [("entailment", "neutral", "contradiction"), ("CONTRADICTION", "Entailment", "NEUTRAL")]
)
def test_the_order_and_case_of_labels_change_nothing(
    families: Any, folder: Path, labels: tuple[str, ...], machine: Runtime, tmp_path: Path
) -> None:
    known = tuple(label.casefold() for label in labels)
    other = checkpoint(families, tmp_path / "other", known)
    config = other / "config.json"
    text = config.read_text(encoding="utf-8")
    for one, written in zip(known, labels, strict=True):
        text = text.replace(f'"{one}"', f'"{written}"')
    config.write_text(text, encoding="utf-8")
    assert np.allclose(
        nli.load(other, machine).predict_logits(PAIRS), nli.load(folder, machine).predict_logits(PAIRS), atol=1e-5
    )


@pytest.mark.parametrize("labels", [("entailment", "not_entailment"), ("LABEL_0", "LABEL_1", "LABEL_2")])
def test_other_labels_are_refused(families: Any, labels: tuple[str, ...], machine: Runtime, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=f"has the labels {', '.join(labels)}; give a model of contradiction, entailment"
    ):
        nli.load(checkpoint(families, tmp_path / "other", labels), machine)


def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path, machine: Runtime) -> None:
    with pytest.raises(InputError, match=r"has no config.json"):
        nli.load(tmp_path, machine)


def test_without_a_card_it_is_heard_and_decides_nothing(folder: Path, machine: Runtime) -> None:
    model = nli.load(folder, machine)
    found = nli.nli_function(model)(*PAIRS[0])
    assert not found.calibrated
    assert found.status == "NOT_ENOUGH_INFO"
    assert np.allclose(
        [found.supports, found.contradicts, found.neutral], np.exp(model.predict_logits(PAIRS[:1])[0]), atol=1e-5
    )


def test_by_its_own_card_it_decides_and_by_another_it_does_not_begin(
    own: Path, machine: Runtime, passing: ModelCard
) -> None:
    model = nli.load(own, machine)
    cards.write(replace(passing, digest=model.digest), own)
    assert nli.nli_function(model)(*PAIRS[0]).calibrated
    cards.write(passing, own)
    with pytest.raises(InputError, match="card of another model"):
        nli.nli_function(model)


def test_a_card_that_refuses_only_scales(own: Path, machine: Runtime, passing: ModelCard) -> None:
    model = nli.load(own, machine)
    cards.write(replace(passing, digest=model.digest, threshold=None, scaling=Scaling(0.0, (1.0, 0.0, 0.0))), own)
    found = nli.nli_function(model)(*PAIRS[0])
    assert not found.calibrated
    assert found.status == "NOT_ENOUGH_INFO"
    assert found.supports == pytest.approx(np.e / (np.e + 2))


def test_another_weight_is_another_model_and_a_card_beside_it_is_not(
    own: Path, machine: Runtime, passing: ModelCard
) -> None:
    digest = nli.load(own, machine).digest
    cards.write(passing, own)
    assert nli.load(own, machine).digest == digest
    weights = own / "model.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(changed)
    assert nli.load(own, machine).digest != digest


@pytest.mark.parametrize(
    ("logits", "status"), [([9, 0, 0], "SUPPORTED"), ([0, 9, 0], "CONTRADICTED"), ([0, 0, 9], "NOT_ENOUGH_INFO")]
)
def test_what_is_sure_enough_decides(passing: ModelCard, logits: list[float], status: str) -> None:
    assert nli.entailment(np.array(logits, dtype=np.float64), passing).status == status
    assert nli.entailment(np.array(logits, dtype=np.float64), None).status == "NOT_ENOUGH_INFO"
