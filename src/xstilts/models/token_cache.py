"""Token cache: tokenized texts in a few flat arrays, and the file in which they are kept.

A study uses the same texts for every seed and recipe. Where there are many, their tokens are stored in a file that is
named by a digest of the tokenizer and of the texts, and the next training or prediction finds it there. The file is a
header and the arrays, checked and then mapped into memory; a damaged one is written anew.

>>> [ids.tolist() for ids, _ in joined([[5, 6], [], [7]], None).rows()]
[[5, 6], [], [7]]
"""

from __future__ import annotations

import hashlib
import json
import mmap
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from xstilts.runtime.disk_cache import DiskCache

MEANING = 2  # raise it when other tokens would be stored under the same digest
CHUNK = 4096
LEAST = 100_000  # characters, below which a file saves nothing
EACH = 20  # characters that the overhead of a text counts for
FACTS = struct.Struct("<8sQQQ")  # magic, texts, tokens, numbers per token
CHECK = struct.Struct("<Q")  # checksum of the facts and the arrays
MAGIC = b"segments"

Numbers = NDArray[np.int32]


@dataclass(frozen=True)
class Segments:
    """Tokens of texts, one text after another.

    Args:
        ends: Where each text ends, (texts,).
        ids: Token ids, (tokens,).
        offsets: (start, stop) characters, (tokens, 2); (0, 2) where they were not asked for.
    """

    ends: NDArray[np.int64]
    ids: Numbers
    offsets: Numbers

    def rows(self) -> list[tuple[Numbers, Numbers]]:
        """Return the ids and the offsets of each text, as views."""
        return [(self.ids[start:stop], self.offsets[start:stop]) for start, stop in pairwise([0, *self.ends.tolist()])]

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """The arrays in the order in which they are stored."""
        return self.ends, self.ids, self.offsets

    @property
    def size(self) -> int:
        """How many bytes are stored."""
        return FACTS.size + CHECK.size + sum(array.nbytes for array in self.arrays)

    def write(self, file: BinaryIO) -> None:
        """Write header and arrays, little-endian."""
        arrays = [np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data for array in self.arrays]
        facts = FACTS.pack(MAGIC, len(self.ends), len(self.ids), 3 if len(self.offsets) else 1)
        file.write(facts + CHECK.pack(_checksum(facts, *arrays)))
        file.writelines(arrays)


def cut(tokenizer: Any, texts: Sequence[str], offsets: bool, cache: DiskCache | None = None) -> Segments:
    """Tokenize distinct texts, or find their tokens in a cache.

    Args:
        tokenizer: A fast tokenizer of transformers.
        texts: Different ones.
        offsets: Whether each token's characters are needed.
        cache: Used where the texts are long enough for that to save time; None: never.
    """
    if cache is None or EACH * len(texts) + sum(map(len, texts)) < LEAST:
        return _cut(tokenizer, texts, offsets)
    name = f"{_digest(tokenizer, texts, offsets)}.segments"
    return _found(cache, name) or _kept(tokenizer, texts, offsets, cache, name)


def _found(cache: DiskCache, name: str) -> Segments | None:
    path = cache.find(name)
    return read(path) if path else None


def _kept(tokenizer: Any, texts: Sequence[str], offsets: bool, cache: DiskCache, name: str) -> Segments:
    """Tokenize texts and store them, unless another process is doing so, whose file is awaited."""
    with cache.locked(name[0]):
        found = _found(cache, name)
        if found is None:
            found = _cut(tokenizer, texts, offsets)
            with cache.locked():
                cache.place(name, found.size, found.write)
    return found


def _cut(tokenizer: Any, texts: Sequence[str], offsets: bool) -> Segments:
    parts = []
    for start in range(0, len(texts), CHUNK):
        chunk = texts[start : start + CHUNK]
        part = joined(*_tokenized(tokenizer, chunk, offsets))
        if offsets:
            closed = [_closed(places, text) for (_, places), text in zip(part.rows(), chunk, strict=True)]
            part = Segments(part.ends, part.ids, np.concatenate(closed))
        parts.append(part)
    return _together(parts)


def _tokenized(
    tokenizer: Any, texts: Sequence[str], offsets: bool
) -> tuple[list[list[int]], list[list[tuple[int, int]]] | None]:
    """Return the ids and offsets of texts, in which the names of special tokens are text like any other.

    A text that says `<pad>` would else hold the padding's id; `split_special_tokens` does not help where the vocabulary
    of a Unigram model has the special tokens too. Such texts alone are tokenized again, with those out of reach.
    """
    encoded = tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=offsets, verbose=False)
    ids, places = list(encoded["input_ids"]), list(encoded["offset_mapping"]) if offsets else None
    special = _special(tokenizer, len(tokenizer), tuple(tokenizer.all_special_ids))
    unknown = tokenizer.unk_token_id
    name = special.get(unknown)
    control = frozenset(special) - {unknown}  # the unknown token stands for unknown characters too
    again = [
        number
        for number, (row, text) in enumerate(zip(ids, texts, strict=True))
        if not control.isdisjoint(row) or (name is not None and name in text)
    ]
    if again:
        literal = _without_special_tokens(tokenizer, tuple(special.items()), len(tokenizer))
        encodings = literal.encode_batch([texts[number] for number in again], add_special_tokens=False)
        for number, encoding in zip(again, encodings, strict=True):
            ids[number] = encoding.ids
            if places is not None:
                places[number] = encoding.offsets
    return ids, places


@lru_cache(maxsize=4)
def _special(tokenizer: Any, size: int, roles: tuple[int, ...]) -> dict[int, str]:
    """Return the special tokens by id, those without a role included; a single character stays what it is in texts.

    Args:
        tokenizer: Of transformers.
        size: Its length, and
        roles: the ids of the special tokens with a role: by these a cached answer is known to be of today.
    """
    ids = sorted({*roles, *(number for number, token in tokenizer.added_tokens_decoder.items() if token.special)})
    named = zip(ids, tokenizer.convert_ids_to_tokens(ids), strict=True)
    return {number: token for number, token in named if len(token) > 1}


@lru_cache(maxsize=1)
def _without_special_tokens(tokenizer: Any, special: tuple[tuple[int, str], ...], size: int) -> Tokenizer:
    """Return a tokenizer of the same tokens and ids in which no text can become a special token.

    Args:
        tokenizer: Of transformers.
        special: Ids and names of its special tokens.
        size: Its length, which differs once tokens were added.
    """
    facts = json.loads(tokenizer.backend_tokenizer.to_str())
    ids, names = {number for number, _ in special}, {name for _, name in special}
    renamed = {name: f"\U0010ffff{name}" for name in names}  # begins with a character that no text has
    facts["added_tokens"] = [token for token in facts["added_tokens"] if token["id"] not in ids]
    facts |= {"truncation": None, "padding": None}
    model = facts["model"]
    if isinstance(model["vocab"], list):
        model["vocab"] = [[renamed.get(token, token), score] for token, score in model["vocab"]]
    else:
        model["vocab"] = {renamed.get(token, token): number for token, number in model["vocab"].items()}
        if model.get("unk_token") in renamed:
            model["unk_token"] = renamed[model["unk_token"]]
    if "merges" in model:
        pairs = ((merge, merge.split(" ") if isinstance(merge, str) else merge) for merge in model["merges"])
        model["merges"] = [merge for merge, parts in pairs if names.isdisjoint((*parts, "".join(parts)))]
    return Tokenizer.from_str(json.dumps(facts))


def joined(ids: Iterable[Sequence[int]], offsets: Iterable[Sequence[tuple[int, int]]] | None) -> Segments:
    """Return the output of a tokenizer as flat arrays."""
    rows = list(ids)
    flat = np.fromiter(chain.from_iterable(rows), dtype=np.int32)
    places = chain.from_iterable(chain.from_iterable(offsets or ()))
    ends = np.cumsum([len(row) for row in rows], dtype=np.int64)
    return Segments(ends, flat, np.fromiter(places, dtype=np.int32).reshape(-1, 2))


def _together(parts: Sequence[Segments]) -> Segments:
    """Return consecutive parts as one."""
    if not parts:
        return joined([], None)
    starts = np.cumsum([0, *(len(part.ids) for part in parts[:-1])])
    return Segments(
        np.concatenate([part.ends + start for part, start in zip(parts, starts, strict=True)]),
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.offsets for part in parts]),
    )


def read(path: Path) -> Segments | None:
    """Map the segments in a file, read-only; None where it is gone or damaged.

    The checksum covers everything: it takes far less time than tokenizing, and reads what is needed anyway.
    """
    try:
        with path.open("rb") as file:
            whole = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (FileNotFoundError, ValueError):  # gone, or empty
        return None
    facts, check, body = whole[: FACTS.size], whole[FACTS.size :][: CHECK.size], whole[FACTS.size + CHECK.size :]
    if len(check) < CHECK.size or CHECK.unpack(check) != (_checksum(facts, body),):
        return None
    _, texts, count, _ = FACTS.unpack(facts)
    flat = np.frombuffer(body[8 * texts :], "<i4")
    return Segments(np.frombuffer(body[: 8 * texts], "<i8"), flat[:count], flat[count:].reshape(-1, 2))


def _checksum(*parts: bytes | memoryview) -> int:
    total = 0
    for part in parts:
        total = zlib.crc32(part, total)
    return total


def _digest(tokenizer: Any, texts: Sequence[str], offsets: bool) -> str:
    """Return a digest of the tokenizer, whether offsets are needed, and the texts' lengths and characters."""
    split = bool(getattr(tokenizer, "split_special_tokens", False))
    facts = (MEANING, _identity(tokenizer, len(tokenizer), split), offsets, len(texts))
    total = hashlib.sha256(json.dumps(facts).encode())
    total.update(np.fromiter(map(len, texts), dtype="<i8", count=len(texts)).data)
    for start in range(0, len(texts), CHUNK):
        total.update("".join(texts[start : start + CHUNK]).encode("utf-8", "surrogatepass"))
    return total.hexdigest()[:24]


@lru_cache(maxsize=1)
def _identity(tokenizer: Any, size: int, split: bool) -> str:
    """Return a digest of all that decides a tokenizer's output; a large one takes 0.1 s, hence the cache.

    The serialized backend holds everything but whether special tokens in a text are split like others (`split`).
    """
    versions = version("tokenizers"), version("transformers")
    facts = (type(tokenizer).__qualname__, *versions, size, split, tokenizer.backend_tokenizer.to_str())
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _closed(offsets: Numbers, text: str) -> Numbers:
    """Extend tokens over characters that no token covers: combining accents, zero-width spaces."""
    stops = np.maximum.accumulate(np.append(0, offsets[:, 1]))
    starts = np.append(offsets[:, 0], len(text))
    places = offsets.copy()
    for number in np.flatnonzero(starts > stops).tolist() if len(offsets) else ():
        gap = text[stops[number] : starts[number]]
        if number and not gap[0].isspace():
            places[number - 1, 1] += len(gap.split(maxsplit=1)[0])
            gap = text[places[number - 1, 1] : starts[number]]
        if gap.strip() and number < len(places):
            places[number, 0] -= len(gap.lstrip())
        elif gap.strip():
            places[-1, 1] += len(gap.rstrip())
    return places
