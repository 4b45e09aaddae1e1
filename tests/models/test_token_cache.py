from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from xstilts.models import token_cache
from xstilts.models.token_cache import Segments, cut, joined, read
from xstilts.runtime.disk_cache import DiskCache

CUT = """
import sys, time
from pathlib import Path
from test_token_cache import Letters
from xstilts.models.token_cache import cut
from xstilts.runtime.disk_cache import DiskCache


class Slow(Letters):
    def __call__(self, texts, **options):
        time.sleep(0.2)
        print("cut", end=" ")
        return super().__call__(texts, **options)


texts = ["a" * 60_000, "b" * 60_000]
found = cut(Slow(), texts, True, DiskCache(Path(sys.argv[1]), 1, "tokens"))
print([len(ids) for ids, _ in found.rows()])
"""


class Letters:
    """A tokenizer for which every letter is a token."""

    backend_tokenizer = SimpleNamespace(to_str=lambda: "letters")
    all_special_ids, added_tokens_decoder, unk_token_id = (), types.MappingProxyType({}), None

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        return list(map(chr, ids))

    def __len__(self) -> int:
        return 0x110000

    def __call__(self, texts: list[str], return_offsets_mapping: bool, **options: Any) -> dict[str, Any]:
        offsets = [[(place, place + 1) for place in range(len(text))] for text in texts]
        return {"input_ids": [list(map(ord, text)) for text in texts], "offset_mapping": offsets}


def same(one: Segments, other: Segments) -> bool:
    pairs = zip(one.arrays, other.arrays, strict=True)
    return all(a.dtype == b.dtype and a.shape == b.shape and (a == b).all() for a, b in pairs)


pieces = some.integers(-(2**31), 2**31 - 1)
texts_of_pieces = some.lists(some.lists(some.tuples(pieces, some.tuples(pieces, pieces)), max_size=5), max_size=6)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts_of_pieces, some.booleans())
def test_what_is_written_is_read(tmp_path: Path, rows: list[Any], offsets: bool) -> None:
    ids = [[piece for piece, _ in row] for row in rows]
    places = [[place for _, place in row] for row in rows]
    written = joined(ids, places if offsets else None)
    path = tmp_path / "written"
    with path.open("wb") as file:
        written.write(file)
    assert path.stat().st_size == written.size
    found = read(path)
    assert found
    assert same(found, written)
    assert [row.tolist() for row, _ in found.rows()] == ids
    assert not offsets or [list(map(tuple, row.tolist())) for _, row in found.rows()] == places
    assert not any(array.flags.writeable for array in found.arrays)


def test_any_changed_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "written"
    with path.open("wb") as file:
        joined([[5, 6], [], [7]], [[(0, 1), (1, 2)], [], [(0, 3)]]).write(file)
    whole = path.read_bytes()
    assert read(path)
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        assert read(path) is None
        path.write_bytes(whole[:place])
        assert read(path) is None
    assert read(tmp_path / "gone") is None


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some.lists(some.text(some.sampled_from("ab\u4e2d\U0001f600\ud800\udc00"), max_size=3), unique=True), some.data())
def test_no_two_lists_of_texts_share_a_name(texts: list[str], data: some.DataObject) -> None:
    name = token_cache._digest(Letters(), texts, False)
    other = data.draw(some.permutations(texts) | some.just(["".join(texts)]) | some.just([*texts, "b\u4e2d"]))
    assert (token_cache._digest(Letters(), other, False) == name) == (other == texts)
    assert token_cache._digest(Letters(), texts, True) != name


def test_texts_are_cut_the_same_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["ab", "", "c", "defg", "", "h"]
    whole = cut(Letters(), texts, True)
    for size in (1, 2, 4):
        monkeypatch.setattr(token_cache, "CHUNK", size)
        assert same(cut(Letters(), texts, True), whole)
    assert whole.offsets.tolist() == [[0, 1], [1, 2], [0, 1], [0, 1], [1, 2], [2, 3], [3, 4], [0, 1]]
    assert cut(Letters(), [], True).rows() == []
    assert np.array_equal(whole.ends, [2, 2, 3, 7, 7, 8])


def test_two_processes_cut_texts_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CUT, str(tmp_path)]
    below = str(Path(__file__).parent)
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=below) for _ in range(2)]
    said = sorted(process.communicate()[0] for process in running)
    assert said == ["[60000, 60000]\n", "cut [60000, 60000]\n"]
    assert len(list(DiskCache(tmp_path, 1, "pieces").folder.glob("*.segments"))) == 1
