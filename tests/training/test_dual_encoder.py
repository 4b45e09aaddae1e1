"""Dual encoders as XTREME-R trains them: the loss, the learned scale, the checkpoint, and what is predicted with it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as some
from safetensors.torch import load_file
from torch import Tensor, nn

from families import FAMILIES, quick_first, tokenizer
from given import TOYS, lesson, losses, promised, stopped
from xstilts.data.examples import BitextExample, PassageExample
from xstilts.evaluation.predict import predict
from xstilts.evaluation.score import read_lines
from xstilts.formats import task_format
from xstilts.inference.model import load_model
from xstilts.models.batch import ModelInput
from xstilts.models.encoder import Encoder, load_backbone
from xstilts.models.heads import DualEncoderHead, attach_dual_encoder
from xstilts.models.hf_format import load, save_encoder
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer
from xstilts.runtime.machine import Runtime
from xstilts.store import manifest
from xstilts.store.build import build
from xstilts.store.stage import Stage
from xstilts.training.optimizer import make_optimizer
from xstilts.training.recipe import Recipe
from xstilts.training.step import Stepper
from xstilts.training.train import train
from xstilts.training.training_set import EncodedTrainingSet

XLMR = Tokenizer.of(tokenizer("xlm-roberta"))
PAIRS = task_format("bitext_retrieval")
ONE_WAY = Recipe(1e-3, 8, steps=4, max_length=24, ranking="one-way", ranking_parts=4)
COPA = Recipe(1e-3, 8, steps=2, max_length=24)


def official(first: Tensor, second: Tensor, dense: nn.Linear, scale: Tensor) -> Tensor:
    """XTREME-R's loss, restated: tanh pooler of the first tokens, unit vectors, one softmax a query."""
    vectors = [torch.tanh(states @ dense.weight.T + dense.bias) for states in (first, second)]
    a, b = (part / part.norm(dim=1, keepdim=True) for part in vectors)
    logits = (a @ b.T * scale).double()  # e to the power of 100 is no number of 32 bits
    right = [logits[row, row] - torch.log(torch.exp(logits[row]).sum()) for row in range(len(logits))]
    return -torch.stack(right).mean().float()


def inputs_of(texts: list[tuple[str, str]]) -> list[ModelInput]:
    rows = [BitextExample(str(number), *pair) for number, pair in enumerate(texts)]
    return PAIRS.encode(rows, XLMR, 24, (), Counter())


words = some.text("abcdefg", min_size=1, max_size=6)


@settings(max_examples=6, deadline=None)
@drawn(some.lists(some.tuples(words, words), min_size=2, max_size=5), some.floats(0.5, 20.0))
def test_the_loss_is_the_official_one(families: Any, texts: list[tuple[str, str]], scale: float) -> None:
    torch.manual_seed(1)
    network = Network(families.backbone("xlm-roberta")).eval()
    head = attach_dual_encoder(network, "pairs")
    assert head.scale.tolist() == [100.0]
    head.scale.data.fill_(scale)
    batch = PAIRS.collate(inputs_of(texts), XLMR)
    states = network.encode(batch.ids, batch.mask)[:, 0]
    expected = official(states[0::2], states[1::2], head.dense, head.scale)
    loss = PAIRS.loss(network, "pairs", batch) / batch.labels
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)
    (given,) = torch.autograd.grad(loss, head.scale, retain_graph=True)
    (wanted,) = torch.autograd.grad(expected, head.scale)
    torch.testing.assert_close(given, wanted, rtol=1e-3, atol=1e-6)


def test_a_step_averages_the_losses_of_its_parts(families: Any, machine: Runtime) -> None:
    """Negatives are the other passages of the part: of 8 pairs in 4 parts, one."""
    network = Network(families.backbone("xlm-roberta")).eval()
    head = attach_dual_encoder(network, "bitext_retrieval")
    examples = TOYS["bitext_retrieval"][2][:8]
    inputs = PAIRS.encode(examples, XLMR, 24, (), Counter())
    encoded = EncodedTrainingSet(lesson("bitext_retrieval"), PAIRS, (), inputs, [0] * 8, [])
    stepper = Stepper(network, [encoded], XLMR, ONE_WAY, machine, make_optimizer(network, ONE_WAY), 1)
    passes = tuple(stepper._passes(encoded, list(range(8)), 10_000, torch.Generator()))
    assert [len(chosen) for chosen, _ in passes] == [2, 2, 2, 2]
    parts = [network.encode(batch.ids, batch.mask)[:, 0] for _, batch in passes]
    expected = torch.stack([official(part[0::2], part[1::2], head.dense, head.scale) for part in parts]).mean()
    targets = sum(batch.labels for _, batch in passes)
    torch.testing.assert_close(stepper._backward(encoded, passes, 4, targets), expected.detach(), rtol=1e-4, atol=1e-5)
    assert head.scale.grad is not None
    assert head.scale.grad.item() != 0
    assert head.dense.weight.grad is not None
    assert head.dense.weight.grad.norm() > 0


@pytest.fixture(scope="module")
def trained(families: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Stage, Path, Runtime]:
    machine = Runtime(store=tmp_path_factory.mktemp("dual") / "store", device="cpu", threads=1)
    model = train(Encoder.of(families["xlm-roberta"]), (lesson("bitext_retrieval"),), ONE_WAY, 1)
    return model, build(model, machine) / "model", machine


def test_the_checkpoint_has_the_scale_and_loads_with_plain_transformers(trained: tuple[Stage, Path, Runtime]) -> None:
    """AutoModel's `pooler_output` is what texts are compared by."""
    _, folder, _ = trained
    assert load_file(folder / "model.safetensors")["logit_scale"].tolist() != [100.0]
    network, wrapped, _ = load(folder, "bitext_retrieval")
    head = network.heads["head"]
    assert isinstance(head, DualEncoderHead)
    assert head.scale.shape == (1,)
    inputs = wrapped(["abc", "defg ab"], padding=True, return_tensors="pt")
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    shipped = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        pooled = shipped(input_ids=ids, attention_mask=mask).pooler_output
        torch.testing.assert_close(network.eval()("head", ids, mask), pooled, rtol=1e-4, atol=1e-5)
    model = load_model(folder, runtime=Runtime(device="cpu", threads=1))
    np.testing.assert_allclose(model.embed(["abc", "defg ab"]), pooled.numpy(), rtol=1e-3, atol=1e-4)
    mean = model.embed(["abc"], layer=network.depth)
    assert mean.shape == (1, network.width)
    assert not np.allclose(mean[0], pooled[0].numpy(), atol=1e-3)


def test_candidates_are_ranked_by_the_pooler(trained: tuple[Stage, Path, Runtime]) -> None:
    model, folder, machine = trained
    sides = ["query", "query", "candidate", "candidate", "candidate"]
    texts = ["aaa", "bbb", "bb", "aa", "cc dd"]
    examples = [PassageExample(str(n), text, None, sides[n]) for n, text in enumerate(texts)]
    lines = read_lines(build(predict(model, promised("passage_ranking", examples), "passage_ranking", 24), machine))
    vectors = load_model(folder, runtime=machine).embed(texts)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    best = [[str(2 + place) for place in np.argsort(-(unit[query] @ unit[2:].T))] for query in (0, 1)]
    assert [line["prediction"] for line in lines] == best


def test_a_stopped_training_ends_in_the_same_bits(
    trained: tuple[Stage, Path, Runtime], signals: None, tmp_path: Path
) -> None:
    model, folder, machine = trained
    elsewhere = replace(machine, store=tmp_path / "store", checkpoint_seconds=0)
    stopped(model, elsewhere, 2)
    again = build(model, elsewhere) / "model"
    assert (again / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert losses(again.parent) == losses(folder.parent)


@pytest.mark.parametrize("family", quick_first(FAMILIES))
def test_every_family_saves_and_loads_a_dual_encoder(families: Any, family: str, tmp_path: Path) -> None:
    network = Network(families.backbone(family))
    head = attach_dual_encoder(network, "pairs")
    head.scale.data.fill_(7.0)
    save_encoder(network, tokenizer(family), tmp_path, head)
    again = load(tmp_path, "bitext_retrieval")[0].heads["head"]
    assert isinstance(again, DualEncoderHead)
    assert again.scale.tolist() == [7.0]
    assert torch.equal(again.dense.weight, head.dense.weight)
    # A further training starts from this pooler; its scale is learned anew.
    further = attach_dual_encoder(Network(load_backbone(tmp_path)), "pairs", tmp_path)
    assert torch.equal(further.dense.weight, head.dense.weight)
    assert further.scale.tolist() == [100.0]


def test_queries_have_a_length_of_their_own() -> None:
    long = "abcdefgabcdefgabcdefg"
    passages = [PassageExample("q", long, None, "query"), PassageExample("c", long, None, "candidate")]
    encoded = task_format("passage_ranking").encode(passages, XLMR, 20, (), Counter(), 9)
    assert [item.length for item in encoded] == [9, 20]
    (pair,) = PAIRS.encode([BitextExample("p", long, long)], XLMR, 20, (), Counter(), 9)
    assert [len(sequence) for sequence in pair.sequences] == [9, 20]


def test_a_continued_head_starts_where_the_phase_before_ended(encoder: Encoder, machine: Runtime) -> None:
    """COPA starts from SIQA's head, as XTREME-R's script does; a head of another format is a new one."""
    first = train(encoder, (lesson("multiple_choice", "siqa"),), COPA, 1)
    still = replace(COPA, steps=1, learning_rate=1e-30)
    before = load_file(build(first, machine) / "model" / "model.safetensors")
    folder = build(train(first, (lesson("multiple_choice", "copa"),), replace(still, head="continued"), 1), machine)
    after = load_file(folder / "model" / "model.safetensors")
    assert torch.equal(after["classifier.weight"], before["classifier.weight"])
    assert manifest.read(folder)["record"]["head_continued"] is True
    other = train(first, (lesson("classification"),), replace(still, head="continued"), 1)
    assert manifest.read(build(other, machine))["record"]["head_continued"] is False
