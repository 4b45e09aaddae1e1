"""Tests of usage: the code of a card, run as it stands, gives what `load_model` gives."""

from __future__ import annotations

import os
import warnings
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_backends import LABELS, checkpoint

from families import FAMILIES, QUICK
from quick import diagonal, parameters
from xstilts.inference.model import Model, load_model
from xstilts.models.encoder import load_tokenizer
from xstilts.models.heads import AUTO, HEADLESS, auto_class
from xstilts.models.hf_format import save_encoder
from xstilts.models.network import Network
from xstilts.runtime.machine import Runtime
from xstilts.sharing import usage
from xstilts.sharing.usage import EXAMPLES, SECOND, TEXT, onnx_usage, pipeline_of, renamed

CPU = Runtime(device="cpu", threads=1)
FORMATS = tuple(format for format in AUTO if format != "masked_lm")
TAGS = {"tags": ("NOUN", "VERB", "PUNCT"), "entities": ("O", "B-PER", "I-PER")}


def run(code: str, folder: Path, **names: Any) -> dict[str, Any]:
    """Run code beside the folder that it names, as a reader of the card does; return its names."""
    before = Path.cwd()
    os.chdir(folder.parent)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the pipeline warns of the tokenizer
            exec(compile(code, "README.md", "exec"), names)
    finally:
        os.chdir(before)
    return names


def spans(words: list[str], tags: list[str]) -> list[tuple[str, str]]:
    """Return the entities of tagged words."""
    found: list[tuple[list[str], str]] = []
    previous = "O"
    for word, tag in zip(words, tags, strict=True):
        if tag != "O":
            begins = tag.startswith("B-") or previous == "O" or previous[2:] != tag[2:]
            if begins:
                found.append(([], tag[2:]))
            found[-1][0].append(word)
        previous = tag
    return [(" ".join(part), label) for part, label in found]


def check(format: str, found: dict[str, Any], model: Model, labels: tuple[str, ...]) -> None:
    example = EXAMPLES[format]
    if format == HEADLESS:
        assert np.allclose(found["vectors"].numpy(), model.embed(example), atol=1e-5)
        return
    (expected,) = model.predict([(TEXT, SECOND)] if format == "classification" else [example])
    if format == "classification":
        assert found["label"] == expected["label"]
        assert np.isclose(float(found["probabilities"].max()), expected["score"], atol=1e-4)
    elif format == "multiple_choice":
        assert np.allclose(found["logits"].softmax(-1).tolist(), expected["probabilities"], atol=1e-4)
    elif format == "extractive_qa":
        answer, score = found["answer"](example["question"], example["context"])
        assert answer == expected["answer"]
        assert np.isclose(score, expected["score"], atol=1e-3)
    elif "O" in labels:
        assert found["entities"] == spans(expected["tokens"], expected["tags"])
    else:
        assert found["tags"] == list(zip(expected["tokens"], expected["tags"], strict=True))


@pytest.mark.parametrize(
    ("format", "family"),
    parameters(product([*FORMATS, HEADLESS], sorted(FAMILIES)), diagonal([*FORMATS, HEADLESS], QUICK)),
)
def test_the_code_of_a_card_gives_what_the_model_predicts(
    family: str, format: str, families: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A tiny tokenizer knows small letters only, and the pipeline begins a word at every unknown token.
    monkeypatch.setitem(EXAMPLES, "token_classification", "anna lives in berlin")
    folder, labels = tmp_path / "toy", LABELS.get(format, ())
    if format == HEADLESS:
        save_encoder(Network(families.backbone(family)), load_tokenizer(families[family]), folder)
    else:
        checkpoint(families, family, format, folder)
    model = load_model(folder, runtime=CPU)
    shown = usage.usage(format, family, model.max_length, "toy", labels, pairs=True)
    assert shown.plain == (format not in AUTO or auto_class(family, format) is not None)
    check(format, run(shown.code, folder), model, labels) if shown.plain else run(shown.code, folder)


@pytest.mark.parametrize("labels", TAGS.values(), ids=TAGS)
def test_words_come_back_whole(
    labels: tuple[str, ...], families: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LABELS, "token_classification", labels)
    folder = checkpoint(families, "xlm-roberta", "token_classification", tmp_path / "toy")
    model = load_model(folder, runtime=CPU)
    for text in ("ab cde fghij kl m nopq", "a b c a b c a b c", "word", "x y z xyz zyx"):
        monkeypatch.setitem(EXAMPLES, "token_classification", text)
        code = usage.usage("token_classification", "xlm-roberta", 64, "toy", labels).code
        check("token_classification", run(code, folder), model, labels)


def test_a_long_context_is_read_in_the_same_windows(families: Any, tmp_path: Path) -> None:
    folder = checkpoint(families, "xlm-roberta", "extractive_qa", tmp_path / "toy")
    model = load_model(folder, runtime=CPU, max_length=36)
    answer = run(usage.usage("extractive_qa", "xlm-roberta", 36, "toy").code, folder)["answer"]
    generator = torch.Generator().manual_seed(0)
    for length in (20, 90, 200):
        letters = torch.randint(97, 123, (length,), generator=generator).tolist()
        context = "".join(" " if n % 5 == 4 else chr(letter) for n, letter in enumerate(letters)).strip()
        (expected,) = model.predict([{"question": "ab c", "context": context}])
        assert answer("ab c", context) == (expected["answer"], pytest.approx(expected["score"], abs=1e-3))


def test_the_name_in_the_code_can_be_another() -> None:
    code = usage.usage("classification", "xlm-roberta", 128, "toy").code
    assert 'name = "toy"' in code
    assert renamed(code, "lab/toy") == code.replace('"toy"', '"lab/toy"')
    assert 'name = "lab/toy"' in renamed(onnx_usage("classification", "toy"), "lab/toy")


def test_every_format_has_a_task_on_the_hub() -> None:
    assert [pipeline_of(format) for format in (*FORMATS, HEADLESS)]
