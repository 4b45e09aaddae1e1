"""Tokens: texts as pieces, and sequences put together from them.

Texts are cut into pieces without special pieces, each distinct text once; sequences are then assembled around the
tokenizer's own special pieces. So truncation, windows and offsets are ours and the same for every family.

>>> longest_first(7, 3, 6)
(3, 3)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xstilts.example import BadInput

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Ids = NDArray[np.int32]
Offsets = NDArray[np.int32]

CHUNK = 4096


@dataclass(frozen=True)
class Pieces:
    """Token ids around segments: a single text is prefix a suffix, a pair is prefix a middle b suffix."""

    prefix: tuple[int, ...]
    middle: tuple[int, ...]
    suffix: tuple[int, ...]
    pad: int


def special_pieces(tokenizer: PreTrainedTokenizerBase) -> Pieces:
    """Find out, by probing with a text and a pair, how a tokenizer surrounds segments with special tokens.

    Tokenizers of decoders do not close a text. There the end-of-text token separates and closes the segments, so that
    the last state, which alone has seen everything, always stands on the same token.
    """
    single, pair = tokenizer("a"), tokenizer("a", "b")
    (prefix, suffix), (start, middle, end) = _around(single, 1), _around(pair, 2)
    pad = next(one for one in (tokenizer.pad_token_id, tokenizer.eos_token_id, 0) if one is not None)
    if not suffix:
        if tokenizer.eos_token_id is None:
            raise BadInput(f"tokenizer {tokenizer.name_or_path!r} neither closes a text nor has an eos_token; set one")
        eos = (tokenizer.eos_token_id,)
        return Pieces(prefix, eos, eos, pad)
    if (prefix, suffix) != (start, end):
        raise BadInput(f"tokenizer {tokenizer.name_or_path!r} surrounds a pair otherwise than a text; use another one")
    return Pieces(prefix, middle, suffix, pad)


def _around(encoding: Any, segments: int) -> list[tuple[int, ...]]:
    ids, owners = encoding["input_ids"], encoding.sequence_ids(0)
    gaps: list[list[int]] = [[] for _ in range(segments + 1)]
    gap = 0
    for number, owner in zip(ids, owners, strict=True):
        if owner is None:
            gaps[gap].append(number)
        else:
            gap = owner + 1
    return [tuple(one) for one in gaps]


@dataclass(frozen=True)
class Tokens:
    """A tokenizer and its special pieces."""

    tokenizer: Any
    pieces: Pieces

    @classmethod
    def of(cls, tokenizer: Any) -> Tokens:
        """Wrap a fast tokenizer of transformers."""
        if not getattr(tokenizer, "is_fast", False):
            raise BadInput(f"{type(tokenizer).__name__} gives no character offsets: use the model's fast tokenizer")
        return cls(tokenizer, special_pieces(tokenizer))

    @property
    def mask(self) -> int | None:
        """The id of the mask piece, if the tokenizer has one."""
        mask: int | None = self.tokenizer.mask_token_id
        return mask

    @property
    def unknown(self) -> int:
        """The id that stands for a word of which the tokenizer makes nothing."""
        unknown = self.tokenizer.unk_token_id
        return int(unknown if unknown is not None else self.pieces.pad)

    @property
    def special(self) -> frozenset[int]:
        """The ids that are never masked."""
        return frozenset(self.tokenizer.all_special_ids)

    def __len__(self) -> int:
        return len(self.tokenizer)

    def segments(self, texts: Sequence[str]) -> list[Ids]:
        """Return each text's pieces, without special ones; equal texts share an array."""
        return [ids for ids, _ in self._encoded(texts, offsets=False)]

    def segments_with_offsets(self, texts: Sequence[str]) -> list[tuple[Ids, Offsets]]:
        """Return each text's pieces and the (start, stop) characters of each, as (n, 2).

        Between pieces there is at most white space: what normalising swallows belongs to the piece it stands at.
        """
        found = self._encoded(texts, offsets=True)
        return [(ids, _closed(offsets, text)) for text, (ids, offsets) in zip(texts, found, strict=True)]

    def words(self, words: Sequence[str]) -> list[Ids]:
        """Return the pieces of words standing alone; a word of which nothing is left is the unknown piece."""
        nothing = np.array([self.unknown], dtype=np.int32)
        return [ids if len(ids) else nothing for ids in self.segments(words)]

    def room(self, max_length: int, pair: bool) -> int:
        """Return how many pieces fit into a sequence beside the special ones."""
        special = len(self.pieces.prefix) + len(self.pieces.suffix) + (len(self.pieces.middle) if pair else 0)
        if max_length <= special:
            raise BadInput(f"max_length {max_length} leaves no room beside {special} special pieces: raise it")
        return max_length - special

    def sequence(self, a: Ids, b: Ids | None = None) -> Ids:
        """Return one sequence of a text or a pair with the special pieces."""
        parts = [self.pieces.prefix, a, self.pieces.suffix]
        if b is not None:
            parts[2:2] = [self.pieces.middle, b]
        return np.concatenate([np.asarray(part, dtype=np.int32) for part in parts])

    def _encoded(self, texts: Sequence[str], offsets: bool) -> list[tuple[Ids, Offsets]]:
        distinct = list(dict.fromkeys(texts))
        known: dict[str, tuple[Ids, Offsets]] = {}
        for start in range(0, len(distinct), CHUNK):
            part = distinct[start : start + CHUNK]
            encoded = self.tokenizer(part, add_special_tokens=False, return_offsets_mapping=offsets, verbose=False)
            places = encoded["offset_mapping"] if offsets else [()] * len(part)
            for text, ids, where in zip(part, encoded["input_ids"], places, strict=True):
                known[text] = np.array(ids, dtype=np.int32), np.array(where, dtype=np.int32).reshape(-1, 2)
        return [known[text] for text in texts]


def _closed(offsets: Offsets, text: str) -> Offsets:
    """Widen pieces over characters that no piece covers: combining accents, zero-width spaces."""
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


def longest_first(a: int, b: int, room: int) -> tuple[int, int]:
    """Return how many pieces of each of two texts are kept when the longer one gives first, as fast tokenizers do."""
    if a + b <= room:
        return a, b
    shorter = min(a, b, room // 2)
    return (shorter, room - shorter) if a <= b else (room - shorter, shorter)
