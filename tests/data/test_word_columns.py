"""Columns of CoNLL in any order: `fit`, `predict` and `score` read the same words and tags."""

from __future__ import annotations

from io import BytesIO
from itertools import permutations
from pathlib import Path

import pytest

from xstilts.data.record_file import Conll, Lines, Record, open_records, word_columns
from xstilts.evaluation.score_file import Reading, read_gold, read_predictions, scored
from xstilts.tasks.user_format import infer

WORDS = (("Anna", "NNP", "B-PER"), ("sees", "VB", "O"), ("Basel", "NNP", "B-LOC"), ("O", "UH", "O"))
ORDERS = [
    order for width in (2, 3) for order in permutations(("word", "pos", "tag"), width) if {"word", "tag"} <= {*order}
]


def text_of(order: tuple[str, ...], mark: str, added: str = "") -> str:
    rows = (dict(zip(("word", "pos", "tag"), word, strict=True)) for word in WORDS)
    lines = [mark.join([row[name] for name in order] + ([row["tag"]] if added else [])) for row in rows]
    return "\n".join([f"-DOCSTART-{mark}-X-", "", *lines, "", *lines, ""])


def usual(order: tuple[str, ...]) -> bool:
    """Whether the word is before other columns that hold no tags of chunks, as in all published files."""
    return order.index("word") < order.index("pos") if "pos" in order else True


@pytest.mark.parametrize("mark", [" ", "\t"], ids=["blanks", "tabs"])
@pytest.mark.parametrize("order", [order for order in ORDERS if usual(order)], ids="-".join)
def test_words_and_tags_are_recognised_in_any_order(order: tuple[str, ...], mark: str, tmp_path: Path) -> None:
    gold_path, path = tmp_path / "gold.conll", tmp_path / "predicted.conll"
    gold_path.write_text(text_of(order, mark), encoding="utf-8")
    path.write_text(text_of(order, mark, added="tag"), encoding="utf-8")
    file = open_records(Lines(BytesIO(gold_path.read_bytes()), "gold.conll"))
    assert isinstance(file, Conll)
    sentences = [record.values for record in file.records() if isinstance(record, Record) and record.values]
    assert sentences == [{"tokens": [word for word, _, _ in WORDS], "tags": [tag for _, _, tag in WORDS]}] * 2
    assert file.columns_read == (order.index("word") + 1, order.index("tag") + 1)
    gold = read_gold(gold_path, Reading())
    assert scored(gold, [read_predictions(path, gold)]).scores[0].figures[0].value == 100
    assert f"word in column {file.columns_read[0]} and tag in column {file.columns_read[1]}" in infer(gold_path).name


def test_given_columns_win() -> None:
    file = Conll("conll", "", Lines(BytesIO(b"B-PER Anna x\nO runs y\n"), "a"), token_column=3, tag_column=2)
    (record,) = file.records()
    assert isinstance(record, Record)
    assert record.values == {"tokens": ["x", "y"], "tags": ["Anna", "runs"]}


def test_tags_that_are_not_of_chunks_are_in_the_last_column() -> None:
    assert word_columns([["Anna", "NNP"], ["runs", "VB"]]) == (0, 1)
    assert word_columns([["O", "O"], ["O", "O"]]) == (0, 1)
    assert word_columns([["Anna"]]) == (0, 0)
    assert word_columns([]) == (0, 0)
