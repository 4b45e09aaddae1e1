"""The index: exact, the same in any order of works, on disk and in memory, after a kill and after damage."""

from __future__ import annotations

import math
import random
from pathlib import Path

import bm25s
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_works import NOUNS, records

from xstilts.evidence.retrieval import work_index
from xstilts.evidence.retrieval.query_words import content_stems, content_words, phrases
from xstilts.evidence.retrieval.work_index import (
    FILES,
    WorkIndex,
    best_rows,
    build_in_memory,
    open_or_build,
    text_of,
)

WORKS = records(60)
QUERY = {"copper": 1.0, "fjord": 2.0, "delta": 1.0}


def content(index: WorkIndex) -> tuple[object, ...]:
    """Return all that an index holds, to compare."""
    rows = [index.record(row) for row in range(len(index))]
    return rows, dict(index.rows_by_stem), *(array.tolist() for array in (index.starts, index.postings, index.weights))


def test_scores_are_those_of_bm25s() -> None:
    index = build_in_memory(WORKS)
    ordered = [content_stems(text_of(index.record(row))) for row in range(len(index))]
    oracle = bm25s.BM25(k1=work_index.K1, b=work_index.B, method="lucene")
    oracle.index(ordered, show_progress=False)
    expected = np.asarray(oracle.get_scores(["copper", "fjord", "fjord", "delta"]))
    # Lucene leaves out the constant factor k1 + 1.
    np.testing.assert_allclose(index.scores(QUERY), expected * (work_index.K1 + 1), rtol=1e-5)


def test_rows_of_a_stem_and_its_rarity_are_counted_by_hand() -> None:
    index = build_in_memory(WORKS)
    holding = [row for row in range(len(index)) if "ember" in content_stems(text_of(index.record(row)))]
    assert index.rows_with("ember").tolist() == holding
    assert index.rarity("ember") == pytest.approx(math.log(1 + (60 - len(holding) + 0.5) / (len(holding) + 0.5)))
    assert index.rows_with("absent").tolist() == []
    assert index.rarity("absent") >= max(index.rarity(noun) for noun in NOUNS)


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_works_changes_nothing(draw: random.Random) -> None:
    assert content(build_in_memory(draw.sample(WORKS, len(WORKS)))) == content(build_in_memory(WORKS))


def test_memory_and_disk_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_index, "BLOCK", 16)
    on_disk = open_or_build(tmp_path, "digest", WORKS)
    assert content(on_disk) == content(build_in_memory(WORKS))
    assert best_rows(on_disk.scores(QUERY), 9) == best_rows(build_in_memory(WORKS).scores(QUERY), 9)
    assert isinstance(on_disk.weights, np.memmap)


def test_a_built_index_is_opened_without_its_records(tmp_path: Path) -> None:
    open_or_build(tmp_path, "digest", WORKS)

    def unread() -> object:
        raise AssertionError("the records were read again")
        yield

    assert len(open_or_build(tmp_path, "digest", unread())) == 60  # type: ignore[arg-type]
    assert {path.name for path in tmp_path.iterdir()} == {"digest-1", "digest-1.lock"}


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_killed_build_goes_on_with_its_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    monkeypatch.setattr(work_index, "BLOCK", 16)
    expected, block = content(build_in_memory(WORKS)), work_index._block
    made: list[int] = []

    def killed(works: object, start: int) -> dict[str, object]:
        if len(made) == after:
            raise KeyboardInterrupt
        made.append(start)
        return block(works, start)  # type: ignore[arg-type]

    monkeypatch.setattr(work_index, "_block", killed)
    with pytest.raises(KeyboardInterrupt):
        open_or_build(tmp_path, "digest", WORKS)
    assert not (tmp_path / "digest-1").exists()
    if after:  # a block that was cut short is made again
        first = tmp_path / "digest-1.part" / "block-000000000.npz"
        first.write_bytes(first.read_bytes()[:-40])
    again: list[int] = []
    monkeypatch.setattr(work_index, "_block", lambda works, start: (again.append(start), block(works, start))[1])
    assert content(open_or_build(tmp_path, "digest", WORKS)) == expected
    assert again == [start for start in range(0, 60, 16) if start not in made[1:]]


@pytest.mark.parametrize("name", [*FILES, work_index.RECORD])
def test_a_damaged_index_is_built_again(tmp_path: Path, name: str) -> None:
    open_or_build(tmp_path, "digest", WORKS)
    path = tmp_path / "digest-1" / name
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    assert content(open_or_build(tmp_path, "digest", WORKS)) == content(build_in_memory(WORKS))
    path.unlink()
    assert content(open_or_build(tmp_path, "digest", WORKS)) == content(build_in_memory(WORKS))


def test_an_index_of_nothing_finds_nothing(tmp_path: Path) -> None:
    for index in (build_in_memory([]), open_or_build(tmp_path, "none", [])):
        assert (len(index), best_rows(index.scores(QUERY), 5)) == (0, [])


@given(st.lists(st.integers(0, 4), max_size=60), st.integers(1, 12))
def test_best_rows_are_those_of_a_sort(scores: list[int], limit: int) -> None:
    expected = sorted((row for row, score in enumerate(scores) if score > 0), key=lambda row: (-scores[row], row))
    assert best_rows(np.array(scores, dtype=np.float32), limit) == expected[:limit]


def test_words_of_any_script_are_found() -> None:
    index = build_in_memory([{"key": "ja", "title": "多言語 モデル", "abstract": ""}, {"key": "hi", "title": "भाषा"}])
    assert best_rows(index.scores({"モデル": 1.0}), 5) == [1]
    assert index.record(1)["key"] == "ja"


@given(st.text(max_size=60))
def test_content_words_are_the_stems_once_and_phrases_hold_them_all(text: str) -> None:
    stems = [word.stem for word in content_words(text)]
    assert stems == list(dict.fromkeys(content_stems(text)))
    assert {stem for phrase in phrases(text) for stem in content_stems(phrase)} == set(stems)
    assert all(phrase in text for phrase in phrases(text))
