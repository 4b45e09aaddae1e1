"""Vectors on disk: embedded once, the same for any order, whole after a kill, and made again where damaged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from made_works import BagOfWords

from xstilts.evidence.retrieval.sentence_encoder import SentenceEncoder, published_prefixes
from xstilts.evidence.retrieval.vector_store import Vectors, VectorStore

TEXTS = ["copper fjord", "delta", "ember glacier lagoon", "fjord", "copper"]


class Counting:
    """Embeds and counts what it was given."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, texts: Sequence[str]) -> Vectors:
        self.texts += texts
        return BagOfWords().passages(texts)


def store(folder: Path) -> tuple[VectorStore, Counting]:
    embed = Counting()
    return VectorStore(folder / "x.vectors", 32, embed), embed


def test_a_text_is_embedded_once_by_all_stores_of_a_file(tmp_path: Path) -> None:
    first, embed = store(tmp_path)
    before = first.vectors([*TEXTS, *TEXTS])
    second, again = store(tmp_path)
    np.testing.assert_array_equal(second.vectors([*TEXTS, *TEXTS]), before)
    assert (sorted(embed.texts), again.texts) == (sorted(TEXTS), [])
    np.testing.assert_allclose(before[:5], BagOfWords().passages(TEXTS), atol=1e-3)
    second.vectors(["new"])
    assert first.vectors(["new"]).shape == (1, 32)
    assert embed.texts == [*sorted(TEXTS, key=lambda text: (len(text),)), *embed.texts[5:]] or "new" not in embed.texts
    assert first.vectors([]).shape == (0, 32)


@pytest.mark.parametrize("cut", [1, 40, 79])
def test_a_record_cut_short_by_a_kill_is_dropped(tmp_path: Path, cut: int) -> None:
    first, _ = store(tmp_path)
    expected = first.vectors(TEXTS)
    file = tmp_path / "x.vectors"
    assert file.stat().st_size == 5 * 80
    file.write_bytes(file.read_bytes()[:-cut])
    second, embed = store(tmp_path)
    np.testing.assert_array_equal(second.vectors(TEXTS), expected)
    assert len(embed.texts) == 1
    assert file.stat().st_size == 5 * 80


def test_a_vector_without_its_length_is_made_again(tmp_path: Path) -> None:
    first, _ = store(tmp_path)
    expected = first.vectors(TEXTS)
    file = tmp_path / "x.vectors"
    content = bytearray(file.read_bytes())
    content[16:80] = bytes(64)
    file.write_bytes(content)
    second, embed = store(tmp_path)
    np.testing.assert_array_equal(second.vectors(TEXTS), expected)
    assert len(embed.texts) == 1


def test_prefixes_are_those_that_files_or_the_name_say(tmp_path: Path) -> None:
    assert published_prefixes("", "intfloat/e5-large-v2") == ("query: ", "passage: ")
    assert published_prefixes("", "multilingual-e5-small-4bit") == ("query: ", "passage: ")
    assert published_prefixes("", "intfloat/multilingual-e5-large-instruct")[1] == ""
    assert published_prefixes("", "code5model") == ("", "")
    prompts = {"prompts": {"query": "ask: ", "document": "text: "}}
    (tmp_path / "config_sentence_transformers.json").write_text(json.dumps(prompts), encoding="utf-8")
    assert published_prefixes(str(tmp_path), "e5") == ("ask: ", "text: ")
    (tmp_path / "config_sentence_transformers.json").write_text("[]", encoding="utf-8")
    assert published_prefixes(str(tmp_path), "e5") == ("query: ", "passage: ")


def test_an_encoder_of_transformers_pools_and_is_loaded_for_new_texts_alone(tmp_path: Path) -> None:
    encoder = SentenceEncoder.of("sandbox", tmp_path, ("", ""))
    assert (encoder.pooling, encoder.prefixes) == ("mean", ("", ""))
    texts = ["a first sentence", "a second and longer sentence of words", "a"]
    vectors = encoder.passages(texts)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=2e-3)
    alone = np.stack([SentenceEncoder.of("sandbox", tmp_path / text).passages([text])[0] for text in texts])
    np.testing.assert_allclose(vectors, alone, atol=0.03)  # in bfloat16, and padded beside others
    again = SentenceEncoder.of("sandbox", tmp_path)
    np.testing.assert_array_equal(again.passages(texts), vectors)
    assert "_loaded" not in vars(again)
