from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import families
import writing
from given import TOYS
from xstilts.errors import InputError
from xstilts.formats import task_format
from xstilts.models import token_cache
from xstilts.models.encoder import load_tokenizer
from xstilts.models.tokenization import FOLDER, Tokenizer, longest_first
from xstilts.runtime.machine import Runtime

CLOSING = [name for name in families.FAMILIES if name not in ("qwen3", "gemma3_text")]
PAIRS = [("cab dab", "fig"), ("a", "b"), ("Zoo 9 \u00bd", "caf\u0065\u0301 d"), ("", "a"), ("< s> a", "</")]
XLMR = families.tokenizer("xlm-roberta")
TOKENIZERS = {name: Tokenizer.of(make()) for name, make in writing.TOKENIZERS.items()}
written = some.text(
    some.sampled_from("ab qé\u0301\u0300\u200b \n\u4e2d\u56fd\u0e19\u0e49\u0e33ﬃ½\U0001f600"), max_size=24
)


def tokens_of(family: str) -> Tokenizer:
    return Tokenizer.of(families.tokenizer(family))


@given(some.integers(0, 600), some.integers(0, 600), some.integers(0, 512))
def test_longest_first_fills_the_room_and_takes_from_the_longer(a: int, b: int, room: int) -> None:
    kept_a, kept_b = longest_first(a, b, room)
    assert 0 <= kept_a <= a
    assert 0 <= kept_b <= b
    assert kept_a + kept_b == min(a + b, room)
    if kept_a < a:
        assert kept_a >= kept_b - 1
    if kept_b < b:
        assert kept_b >= kept_a - 1


def test_longest_first_is_that_of_a_fast_tokenizer() -> None:
    for a in range(9):
        for b in range(1, 9):  # an empty second text is none to the tokenizer
            for room in range(1, 19):
                encoded = XLMR(" ".join("a" * a), " ".join("b" * b), truncation="longest_first", max_length=room + 4)
                owners = encoded.sequence_ids(0)
                assert longest_first(a, b, room) == (owners.count(0), owners.count(1)), (a, b, room)


@pytest.mark.parametrize("family", CLOSING)
@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_a_sequence_is_what_the_tokenizer_itself_puts_together(family: str, a: str, b: str) -> None:
    tokens = tokens_of(family)
    first, second = tokens.segments([a, b])
    assert tokens.sequence(first, second).tolist() == tokens.tokenizer(a, b)["input_ids"]
    assert tokens.sequence(first).tolist() == tokens.tokenizer(a)["input_ids"]


@pytest.mark.parametrize("family", ["qwen3", "gemma3_text"])
def test_a_decoder_gets_every_segment_closed(family: str) -> None:
    tokens = tokens_of(family)
    end = tokens.tokenizer.eos_token_id
    first, second = tokens.segments(["cab", "dab"])
    assert tokens.sequence(first, second).tolist()[-1] == end
    assert tokens.sequence(first).tolist() == [*tokens.tokenizer("cab")["input_ids"], end]
    assert tokens.sequence(first, second).tolist().count(end) == 2


@pytest.mark.parametrize("family", families.FAMILIES)
@pytest.mark.parametrize("pair", [False, True])
def test_the_room_is_what_is_left_beside_the_special_tokens(family: str, pair: bool) -> None:
    tokens = tokens_of(family)
    nothing = np.empty(0, dtype=np.int32)
    special = len(tokens.sequence(nothing, nothing if pair else None))
    assert tokens.room(special + 7, pair) == 7
    with pytest.raises(InputError, match=f"max_length {special} leaves no room beside {special} special tokens"):
        tokens.room(special, pair)


@pytest.mark.parametrize("name", writing.TOKENIZERS)
@pytest.mark.parametrize("text", [text for text, _ in writing.TEXTS.values()])
def test_pieces_cover_every_character_but_white_space(name: str, text: str) -> None:
    ids, offsets = TOKENIZERS[name].segments_with_offsets([text])[0]
    assert len(ids) == len(offsets)
    covered = {place for start, stop in offsets for place in range(start, stop)}
    assert {place for place, letter in enumerate(text) if not letter.isspace()} <= covered
    assert all(0 <= start <= stop <= len(text) for start, stop in offsets)


@settings(max_examples=150, deadline=None)
@given(written, some.sampled_from(sorted(writing.TOKENIZERS)))
def test_pieces_cover_any_text_in_order(text: str, name: str) -> None:
    ids, offsets = TOKENIZERS[name].segments_with_offsets([text])[0]
    assert ids.tolist() == TOKENIZERS[name].segments([text])[0].tolist()
    covered = {place for start, stop in offsets for place in range(start, stop)}
    if len(ids):
        assert {place for place, letter in enumerate(text) if not letter.isspace()} <= covered
    assert all(0 <= start <= stop <= len(text) for start, stop in offsets)
    assert (np.diff(offsets[:, 0]) >= 0).all()
    assert (np.diff(offsets[:, 1]) >= 0).all()


def test_each_distinct_text_is_cut_once_and_the_order_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Counting:
        is_fast, all_special_ids, unk_token_id, mask_token_id = True, [], 3, 4
        added_tokens_decoder: dict[int, Any] = {}  # noqa: RUF012

        def __len__(self) -> int:
            return len(XLMR)

        def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
            return []

        def __call__(self, texts: list[str], **options: Any) -> Any:
            asked.extend(texts)
            return XLMR(texts, **options)

    monkeypatch.setattr(token_cache, "CHUNK", 3)
    tokens = Tokenizer(Counting(), Tokenizer.of(XLMR).special_tokens)
    texts = ["a", "b", "a", "c c", "d", "b", "e"]
    found = tokens.segments(texts)
    assert asked == ["a", "b", "c c", "d", "e"]
    assert [ids.tolist() for ids in found] == [XLMR(text, add_special_tokens=False)["input_ids"] for text in texts]


def test_words_stand_alone_and_none_is_empty() -> None:
    tokens = Tokenizer.of(XLMR)
    (found,) = tokens.words([["cab", "", " ", "\u200b", "cab"]])
    assert all(len(ids) for ids in found)
    assert found[0].tolist() == found[4].tolist() == XLMR("cab", add_special_tokens=False)["input_ids"]
    assert found[1].tolist() == [XLMR.unk_token_id]


def test_a_tokenizer_without_an_unknown_piece_takes_the_padding_for_it() -> None:
    tokens = TOKENIZERS["byte_level"]
    assert tokens.tokenizer.unk_token_id is None
    assert tokens.words([[""]])[0][0].tolist() == [tokens.special_tokens.pad]
    assert tokens.mask is None


def test_special_tokens_are_known() -> None:
    tokens = Tokenizer.of(XLMR)
    assert {
        tokens.mask,
        tokens.unknown,
        tokens.special_tokens.pad,
        *tokens.special_tokens.prefix,
        *tokens.special_tokens.suffix,
    } <= tokens.special
    assert len(tokens) == len(XLMR)


def test_a_slow_tokenizer_is_refused() -> None:
    class Slow:
        is_fast = False

    with pytest.raises(InputError, match="Slow gives no character offsets: use the model's fast tokenizer"):
        Tokenizer.of(Slow())


def test_an_accent_belongs_to_its_letter_and_what_stands_before_a_word_to_the_word() -> None:
    text = "cafe\u0301 x"
    pieces = [text[start:stop] for start, stop in Tokenizer.of(XLMR).segments_with_offsets([text])[0][1]]
    assert pieces == ["c", "a", "f", "e\u0301", " x"]
    offsets = TOKENIZERS["wordpiece"].segments_with_offsets(["a \u0301b \u0301"])[0][1]
    assert offsets.tolist() == [[0, 1], [2, 6]]


# What is kept.

MANY = ["", "cab dab", *(text for text, _ in writing.TEXTS.values()), "<s> a </s>", "", "cab dab"]


def stored(machine: Runtime) -> list[Path]:
    return sorted((machine.store / FOLDER).glob("*.*"))


def plain(found: list[Any]) -> list[Any]:
    """Return arrays as bytes with their types and shapes."""
    arrays = [one if isinstance(one, tuple) else (one,) for one in found]
    return [[(array.dtype.str, array.shape, array.tobytes()) for array in row] for row in arrays]


@pytest.fixture
def keeping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep however little there is."""
    monkeypatch.setattr(token_cache, "LEAST", 1)


@pytest.fixture
def cuts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of texts each time that a tokenizer is asked."""
    asked: list[int] = []
    inner = token_cache._cut

    def counting(tokenizer: Any, texts: Any, offsets: bool) -> Any:
        asked.append(len(texts))
        return inner(tokenizer, texts, offsets)

    monkeypatch.setattr(token_cache, "_cut", counting)
    return asked


@pytest.mark.usefixtures("keeping")
@pytest.mark.parametrize("name", [*families.FAMILIES, *writing.TOKENIZERS])
def test_pieces_that_were_kept_are_those_that_are_cut(
    name: str, machine: Runtime, cuts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_cache, "CHUNK", 5)
    tokens = TOKENIZERS[name] if name in TOKENIZERS else tokens_of(name)
    kept = tokens.cached(machine)
    for asked in ("segments", "segments_with_offsets"):
        wanted = plain(getattr(tokens, asked)(MANY))
        cuts.clear()
        assert plain(getattr(kept, asked)(MANY)) == wanted
        assert plain(getattr(kept, asked)(MANY)) == wanted
        assert cuts == [len(set(MANY))]
    assert plain(kept.words([MANY])[0]) == plain(tokens.words([MANY])[0])
    assert len(stored(machine)) == 2 + tokens.spaced  # words with their spaces are other texts
    first, *_, last = kept.segments([*MANY, ""])
    assert first is last


@pytest.mark.usefixtures("keeping")
def test_other_texts_or_tokenizers_have_files_of_their_own(machine: Runtime) -> None:
    more = families.tokenizer("xlm-roberta")
    more.add_tokens(["zoo"])
    split = families.tokenizer("xlm-roberta")
    split.split_special_tokens = True
    tokenizers = [families.tokenizer("xlm-roberta"), more, split, families.tokenizer("modernbert")]
    heaps = [["ab", "c"], ["a", "bc"], ["abc"], ["c", "ab"], ["ab", "c", ""], ["a", "\u0301b", "c"], ["<s> zoo"]]
    for tokenizer in tokenizers:
        tokens = Tokenizer.of(tokenizer)
        for texts in heaps * 2:
            assert plain(tokens.cached(machine).segments(texts)) == plain(tokens.segments(texts))
    assert len(stored(machine)) == len(tokenizers) * len(heaps)
    found = [Tokenizer.of(one).cached(machine).segments(["<s> zoo"])[0].tolist() for one in tokenizers]
    assert found[0] == found[2]  # special tokens in texts are text in any case
    assert found[0] != found[1]


@pytest.mark.usefixtures("keeping")
@pytest.mark.parametrize("family", families.FAMILIES)
def test_a_saved_tokenizer_finds_what_the_first_one_kept(family: str, tmp_path: Path, machine: Runtime) -> None:
    families.tokenizer(family).save_pretrained(tmp_path / "first")
    for here, there in (("first", "second"), ("second", "third")):
        tokenizer = load_tokenizer(tmp_path / here)
        Tokenizer.of(tokenizer).cached(machine).segments(MANY)
        tokenizer.save_pretrained(tmp_path / there)
    assert len(stored(machine)) == 1


@pytest.mark.usefixtures("keeping")
def test_a_damaged_file_is_made_anew(machine: Runtime, cuts: list[int]) -> None:
    tokens = Tokenizer.of(XLMR).cached(machine)
    wanted = plain(tokens.segments_with_offsets(MANY))
    (path,) = stored(machine)
    whole = path.read_bytes()
    damaged = [b"", whole[:-4], whole[:20], whole + b"more", bytes(len(whole))]
    for place in (3, 9, 17, 25, 33, 41, len(whole) // 2, len(whole) - 1):
        damaged.append(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    for number, content in enumerate(damaged):
        path.unlink()
        path.write_bytes(content)
        assert plain(tokens.segments_with_offsets(MANY)) == wanted
        assert path.read_bytes() == whole
        assert len(cuts) == 2 + number


@pytest.mark.usefixtures("keeping")
def test_no_more_is_kept_than_the_machine_says(machine: Runtime) -> None:
    tokens = Tokenizer.of(XLMR)
    tokens.cached(machine).segments(MANY)
    (first,) = stored(machine)
    os.utime(first, (1, 1))
    small = replace(machine, token_gib=1.5 * first.stat().st_size / 2**30)
    view = tokens.cached(small).segments(MANY)
    os.utime(first, (1, 1))
    tokens.cached(small).segments([text + "q" for text in MANY])
    assert len(stored(machine)) == 1
    assert first not in stored(machine)
    assert plain(view) == plain(tokens.segments(MANY))  # what is mapped stays
    none = replace(machine, store=machine.store / "none", token_gib=0)
    assert tokens.cached(none) == tokens
    tokens.cached(replace(none, token_gib=1e-9)).segments(MANY)
    assert not stored(none)


def test_little_text_is_worth_no_file(machine: Runtime) -> None:
    tokens = Tokenizer.of(XLMR).cached(machine)
    tokens.segments(MANY)
    assert not stored(machine)
    tokens.segments(["a" * token_cache.LEAST])
    assert len(stored(machine)) == 1


@pytest.mark.usefixtures("keeping")
@pytest.mark.parametrize("name", TOYS)
def test_every_kind_encodes_from_what_was_kept(name: str, machine: Runtime) -> None:
    """What is mapped cannot be written to: a kind that did so would fail here."""
    labels, _, examples = TOYS[name]
    tokens = Tokenizer.of(XLMR)
    wanted = task_format(name).encode(examples, tokens, 24, labels, Counter())
    for _ in range(2):
        units = task_format(name).encode(examples, tokens.cached(machine), 24, labels, Counter())
        for one, other in zip(units, wanted, strict=True):
            assert plain([*one.sequences, one.target, one.places]) == plain(
                [*other.sequences, other.target, other.places]
            )
    assert stored(machine)
