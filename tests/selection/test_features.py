from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from families import DEPTH, FAMILIES, WIDTH
from given import TOYS, given, lesson, promised
from quick import first
from xstilts.data.dataset import DatasetSplit
from xstilts.data.examples import AnswerSpan, ClassificationExample, MultipleChoiceExample, QAExample, TaggingExample
from xstilts.errors import InputError
from xstilts.formats import task_format
from xstilts.models.batch import ModelInput
from xstilts.models.encoder import Encoder
from xstilts.models.heads import HEADS
from xstilts.runtime.machine import Runtime
from xstilts.selection import features as of_features
from xstilts.selection import task_embeddings
from xstilts.selection.features import MOST_ROWS, Asking, Features, drawn, features, load_encoder
from xstilts.selection.task_embeddings import TEXT, fisher, text_embedding
from xstilts.selection.transferability import alike
from xstilts.store.build import build
from xstilts.store.manifest import read as record_of
from xstilts.store.stage import BuildContext, Stage
from xstilts.training.recipe import Recipe
from xstilts.training.train import train

SHORT = Recipe(learning_rate=1e-3, batch_size=8, steps=1, max_length=24)
LABELLED = ("classification", "multiple_choice", "token_classification", "extractive_qa")


def data(format: str) -> tuple[Stage, ...]:
    labels, _, examples = TOYS[format]
    return (promised(format, examples, format, labels),)


def asking(format: str, **changes: Any) -> Asking:
    return replace(Asking(format, TOYS[format][0], 24), **changes)


def found(format: str, encoder: Encoder | Stage, machine: Runtime, **changes: Any) -> Features:
    asked = asking(format, **changes)
    return of_features.read(build(features(encoder, data(format), asked), machine), format)


ROWS = {  # rows and how many have the label 1 (tagging: B-LOC is 0 and O is 1)
    "classification": (16, 8),
    "multiple_choice": (32, 16),
    "token_classification": (40, 24),
    "extractive_qa": (58, 32),  # two tokens an answer; six contexts have one other token, ten have two
}


@pytest.mark.parametrize("format", LABELLED)
def test_rows_are_what_the_kind_says(format: str, encoder: Encoder, machine: Runtime) -> None:
    one = found(
        format, encoder, machine, labels=("B-LOC", "O") if format == "token_classification" else TOYS[format][0]
    )
    assert one.states.shape == (len(one.labels), WIDTH)
    assert (len(one.labels), int((one.labels == 1).sum())) == ROWS[format]
    assert all(np.isfinite(value) for value in one.measures().values())
    assert set(one.measures()) == {"logme", "h_score", "knn"}


def test_pairs_have_no_labels_but_their_other_halves(encoder: Encoder, machine: Runtime) -> None:
    one = found("bitext_retrieval", encoder, machine)
    assert one.labels.tolist() == [number for number in range(16) for _ in range(2)]
    assert set(one.measures()) == {"knn"}
    assert replace(one, states=np.repeat(one.states[0::2], 2, axis=0)).measures()["knn"] > 90


def states_of(encoder: Encoder, machine: Runtime, text: str) -> Any:
    """Return the final states of a text by transformers alone."""
    import torch

    network, tokens = load_encoder(encoder, BuildContext(Path(), machine))
    ids = torch.tensor(tokens.tokenizer(text)["input_ids"])[None]
    return network.backbone(ids, torch.ones_like(ids)).last_hidden_state[0].detach().numpy()


def one_unit(format: str, example: Any, encoder: Encoder, machine: Runtime, labels: tuple[str, ...] = ()) -> Features:
    stage = given(DatasetSplit("one", format, "train", "en", labels, (), ()), (json.dumps(asdict(example)),))
    asked = Asking(format, labels, 24)
    return of_features.read(build(features(encoder, (stage,), asked), machine), format)


def test_a_text_is_the_state_that_its_head_reads(families: Any, machine: Runtime) -> None:
    for family, place in (("xlm-roberta", 0), ("qwen3", -1)):
        encoder = Encoder.of(families[family])
        one = one_unit(
            "classification", ClassificationExample("0", "cab dab", None, "no"), encoder, machine, ("no", "yes")
        )
        if family == "xlm-roberta":
            assert one.states[0] == pytest.approx(states_of(encoder, machine, "cab dab")[place], abs=1e-5)
        assert HEADS[family]["classification"].pool == ("first" if place == 0 else "last")


def test_a_word_is_the_state_of_its_first_piece(encoder: Encoder, machine: Runtime) -> None:
    one = one_unit("token_classification", TaggingExample("0", ("ab", "c"), ("X", "Y")), encoder, machine)
    whole = states_of(encoder, machine, "ab c")
    assert one.labels.tolist() == [0, 1]
    assert one.states[0] == pytest.approx(whole[1], abs=1e-5)


def test_options_are_right_or_wrong(encoder: Encoder, machine: Runtime) -> None:
    one = one_unit("multiple_choice", MultipleChoiceExample("0", "a", "", ("b", "c", "d"), 1), encoder, machine)
    assert one.labels.tolist() == [0, 1, 0]


def test_an_answer_is_its_ends_against_other_pieces_of_the_context() -> None:
    places = np.full((9, 2), -1, dtype=np.int32)
    places[3:8] = [[n, n + 1] for n in range(5)]
    unit = ModelInput(0, (np.arange(9, dtype=np.int32),), np.array([4, 6], dtype=np.int32), places)
    states = [np.arange(9, dtype=np.float32)[:, None]]
    rows, labels = task_format("extractive_qa").features(unit, states, "")
    assert labels.tolist() == [1, 1, 0, 0]
    assert rows[:2, 0].tolist() == [4, 6]
    assert set(rows[2:, 0]) == {3, 7}  # neither inside the answer nor outside the context
    again, _ = task_format("extractive_qa").features(unit, states, "")
    assert (again == rows).all()
    silent = replace(unit, target=np.zeros(2, dtype=np.int32))
    assert len(task_format("extractive_qa").features(silent, states, "")[1]) == 0


def test_a_question_without_an_answer_has_no_rows(encoder: Encoder, machine: Runtime) -> None:
    asked = [QAExample("0", "b zz b", "who", (AnswerSpan("zz", 2),)), QAExample("1", "b zz b", "who", (), True)]
    lines = tuple(json.dumps(asdict(one)) for one in asked)
    stage = given(DatasetSplit("two", "extractive_qa", "train", "en", (), (), ()), lines)
    one = of_features.read(
        build(features(encoder, (stage,), Asking("extractive_qa", (), 24)), machine), "extractive_qa"
    )
    assert one.labels.tolist() == [1, 1, 0, 0]


def test_raw_text_is_refused(encoder: Encoder, machine: Runtime) -> None:
    with pytest.raises(InputError, match="have no labels"):
        found("masked_lm", encoder, machine)


def test_examples_are_drawn_once_and_keep_their_order() -> None:
    assert drawn(range(5), 9) == [0, 1, 2, 3, 4]
    few = drawn(range(1000), 20)
    assert few == sorted(few) == drawn(range(1000), 20)
    assert len(set(few)) == 20
    assert MOST_ROWS >= 500


def test_what_is_asked_is_part_of_the_key_and_what_the_machine_decides_is_not(encoder: Encoder) -> None:
    one = features(encoder, data("extractive_qa"), asking("extractive_qa"))
    assert one.key == features(encoder, data("extractive_qa"), asking("extractive_qa")).key
    assert one.key != features(encoder, data("extractive_qa"), asking("extractive_qa", examples=3)).key
    assert not {"machine", "device"} & one.arguments.keys()


@pytest.mark.parametrize("format", LABELLED)
def test_small_passes_give_the_same_states(format: str, encoder: Encoder, machine: Runtime, tmp_path: Path) -> None:
    one = found(format, encoder, machine)
    small = found(format, encoder, replace(machine, store=tmp_path / "small", max_tokens_per_pass=16))
    assert np.allclose(one.states, small.states, atol=1e-5)
    assert (one.labels == small.labels).all()


def test_a_text_embedding_is_the_mean_of_the_texts(encoder: Encoder, machine: Runtime) -> None:
    folder = build(text_embedding(encoder, data("token_classification"), asking("token_classification")), machine)
    own = task_embeddings.read(folder)
    assert own.keys() == {TEXT}
    one = TaggingExample("0", ("a", "b"), ("O", "O"))
    stage = given(DatasetSplit("one", "token_classification", "train", "en", (), (), ()), (json.dumps(asdict(one)),))
    alone = task_embeddings.read(build(text_embedding(encoder, (stage,), asking("token_classification")), machine))
    assert alone[TEXT] == pytest.approx(states_of(encoder, machine, "a b").mean(axis=0), abs=1e-5)


@pytest.mark.parametrize("format", first(2, [*LABELLED, "bitext_retrieval", "masked_lm"]))
def test_every_kind_that_is_trained_has_a_fisher(format: str, encoder: Encoder, machine: Runtime) -> None:
    model = train(encoder, (replace(lesson(format), dev=None),), SHORT, seed=1)
    folder = build(fisher(model, data(format), asking(format, examples=8)), machine)
    parts = task_embeddings.read(folder)
    assert list(parts) == [f"layer {number}" for number in range(DEPTH)]
    assert all((part >= 0).all() and part.sum() > 0 for part in parts.values())
    assert record_of(folder)["record"]["units"] == 8
    assert alike(parts, parts) == pytest.approx(1)


def test_a_fisher_is_the_mean_of_squared_gradients_by_unit(encoder: Encoder, machine: Runtime) -> None:
    import torch

    from xstilts.formats import task_format
    from xstilts.models.hf_format import load
    from xstilts.models.tokenization import Tokenizer
    from xstilts.selection.features import encode_examples

    model = train(encoder, (replace(lesson("classification"), dev=None),), SHORT, seed=1)
    asked = asking("classification", examples=3)
    parts = task_embeddings.read(build(fisher(model, data("classification"), asked), machine))
    network, tokenizer, _ = load(build(model, machine) / "model", "classification")
    tokens, how = Tokenizer.of(tokenizer), task_format("classification")
    network.eval()
    units = encode_examples(data("classification"), asked, network, tokens, BuildContext(Path(), machine))
    name, weight = next((n, w) for n, w in network.layer_modules[0].named_parameters() if w.dim() == 2)
    sums = torch.zeros(len(weight))
    for unit in units:
        (gradient,) = torch.autograd.grad(how.loss(network, "head", how.collate([unit], tokens)), [weight])
        sums += gradient.square().mean(1)
    start = 0
    for other, one in network.layer_modules[0].named_parameters():
        if other == name:
            break
        start += len(one)
    assert parts["layer 0"][start : start + len(weight)] == pytest.approx(sums.numpy() / 3, rel=1e-4)


def test_every_family_has_features(families: Any, machine: Runtime) -> None:
    for family in ("modernbert", "deberta-v2", "mt5"):
        assert family in FAMILIES
        one = found("classification", Encoder.of(families[family]), machine, examples=4)
        assert one.states.shape == (4, WIDTH)
