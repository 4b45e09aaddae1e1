"""Tokenization: texts as token ids, and sequences assembled from them.

Texts are tokenized without special tokens, each distinct text once (`segments`); sequences are then assembled around
the tokenizer's own special tokens. So truncation, windows and offsets are the same for every family.

>>> longest_first(7, 3, 6)
(3, 3)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xstilts.errors import InputError
from xstilts.models import token_cache
from xstilts.runtime.disk_cache import DiskCache
from xstilts.runtime.machine import Runtime

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Ids = NDArray[np.int32]
Offsets = NDArray[np.int32]

FOLDER = ".tokens"


@dataclass(frozen=True)
class SpecialTokens:
    """Token ids around segments: a single text is prefix + a + suffix, a pair is prefix + a + middle + b + suffix."""

    prefix: tuple[int, ...]
    middle: tuple[int, ...]
    suffix: tuple[int, ...]
    pad: int


def special_tokens_of(tokenizer: PreTrainedTokenizerBase) -> SpecialTokens:
    """Find out how a tokenizer surrounds segments with special tokens, from how it encodes a text and a pair.

    Tokenizers of decoders do not close a text. There the end-of-text token separates and closes the segments, so that
    the last state, which alone depends on the whole text, always belongs to the same token.

    Raises:
        InputError: Nothing closes a text, or a pair is surrounded differently from a text.
    """
    single, pair = tokenizer("a", verbose=False), tokenizer("a", "b", verbose=False)
    (prefix, suffix), (start, middle, end) = _around(single, 1), _around(pair, 2)
    pad = next(one for one in (tokenizer.pad_token_id, tokenizer.eos_token_id, 0) if one is not None)
    if not suffix:
        if tokenizer.eos_token_id is None:
            raise InputError(
                f"tokenizer {tokenizer.name_or_path!r} neither closes a text nor has an eos_token; set one"
            )
        eos = (tokenizer.eos_token_id,)
        return SpecialTokens(prefix, eos, eos, pad)
    if (prefix, suffix) != (start, end):
        raise InputError(
            f"tokenizer {tokenizer.name_or_path!r} surrounds a pair otherwise than a text; use another one"
        )
    return SpecialTokens(prefix, middle, suffix, pad)


def separator_of(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """Find out after which token a tokenizer gives the second text of a pair the type 1 in `token_type_ids`.

    A tokenizer is asked for them, as some that have them return them only then (RemBERT's in transformers 5).

    Returns:
        The id of the token, as [SEP] of BERT's tokenizers; None where all tokens have type 0, as in XLM-R's, which BERT
        models with a SentencePiece vocabulary have too.

    Raises:
        InputError: Types are given in another way.
    """
    pair = tokenizer("a", "b", return_token_type_ids=True, verbose=False)
    ids, types = list(pair["input_ids"]), list(pair.get("token_type_ids") or ())
    if not any(types):
        return None
    first = types.index(1)
    if types != [0] * first + [1] * (len(types) - first) or not first or ids.index(ids[first - 1]) != first - 1:
        raise InputError(
            f"tokenizer {tokenizer.name_or_path!r} gives the texts of a pair the token types {types}, and not 0 up to "
            "a separator and 1 after it; use another one"
        )
    return int(ids[first - 1])


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
class Tokenizer:
    """A tokenizer of transformers with its special tokens and, perhaps, a cache on disk.

    Args:
        tokenizer: A fast tokenizer.
        special_tokens: What surrounds segments.
        cache: Where tokenized texts are kept; None: nowhere.
        spaced: Whether a word inside a sentence is tokenized with the space before it (`needs_spaces`).
    """

    tokenizer: Any
    special_tokens: SpecialTokens
    cache: DiskCache | None = None
    spaced: bool = False

    @classmethod
    def of(cls, tokenizer: Any) -> Tokenizer:
        """Wrap a fast tokenizer of transformers; InputError for a slow one, which gives no offsets."""
        if not getattr(tokenizer, "is_fast", False):
            raise InputError(f"{type(tokenizer).__name__} gives no character offsets: use the model's fast tokenizer")
        return cls(tokenizer, special_tokens_of(tokenizer), spaced=needs_spaces(tokenizer))

    def cached(self, machine: Runtime) -> Tokenizer:
        """Return the same with a cache below the machine's store, of at most `machine.token_gib`."""
        cache = (
            DiskCache(machine.store / FOLDER, machine.token_gib, "the tokens of texts") if machine.token_gib else None
        )
        return replace(self, cache=cache)

    @property
    def mask(self) -> int | None:
        """The id of the mask token, if the tokenizer has one."""
        mask: int | None = self.tokenizer.mask_token_id
        return mask

    @property
    def unknown(self) -> int:
        """The id of the unknown token, for words that the tokenizer drops."""
        unknown = self.tokenizer.unk_token_id
        return int(unknown if unknown is not None else self.special_tokens.pad)

    @property
    def special(self) -> frozenset[int]:
        """The ids of all special tokens, which are never masked."""
        return frozenset(self.tokenizer.all_special_ids)

    def __len__(self) -> int:
        return len(self.tokenizer)

    def segments(self, texts: Sequence[str]) -> list[Ids]:
        """Tokenize texts.

        Returns:
            Each text's ids without special tokens, (tokens,). Equal texts share an array: do not write to it.
        """
        found = self._distinct(texts, offsets=False)
        return [found[text][0] for text in texts]

    def segments_with_offsets(self, texts: Sequence[str]) -> list[tuple[Ids, Offsets]]:
        """Tokenize texts and locate the tokens.

        Returns:
            Each text's ids, (tokens,), and each token's (start, stop) characters, (tokens, 2). There is nothing but
            white space between tokens: characters that normalization drops belong to the token beside them.
        """
        found = self._distinct(texts, offsets=True)
        return [found[text] for text in texts]

    def words(self, sentences: Sequence[Sequence[str]]) -> list[list[Ids]]:
        """Tokenize the words of sentences as they are tokenized within them, separated by spaces.

        Most tokenizers mark the beginning of a word by themselves. Byte-level BPE and Gemma's tokenizer mark the space
        before it: there every word but a sentence's first is tokenized with its space.

        Args:
            sentences: The words of each sentence.

        Returns:
            Each word's ids, by sentence; a word that the tokenizer drops is the unknown token.
        """
        nothing = np.array([self.unknown], dtype=np.int32)
        texts = [self._in_sentence(number, word) for words in sentences for number, word in enumerate(words)]
        ids = iter(self.segments(texts))
        return [[found if len(found) else nothing for found in islice(ids, len(words))] for words in sentences]

    def _in_sentence(self, number: int, word: str) -> str:
        return f" {word}" if self.spaced and number and word.strip() else word

    def room(self, max_length: int, pair: bool) -> int:
        """Return how many tokens of `max_length` are left beside the special ones of a text or pair.

        Raises:
            InputError: None are left.
        """
        special = (
            len(self.special_tokens.prefix)
            + len(self.special_tokens.suffix)
            + (len(self.special_tokens.middle) if pair else 0)
        )
        if max_length <= special:
            raise InputError(f"max_length {max_length} leaves no room beside {special} special tokens: raise it")
        return max_length - special

    def sequence(self, a: Ids, b: Ids | None = None) -> Ids:
        """Assemble a sequence, (tokens,), of one or two segments and the special tokens."""
        parts = [self.special_tokens.prefix, a, self.special_tokens.suffix]
        if b is not None:
            parts[2:2] = [self.special_tokens.middle, b]
        return np.concatenate([np.asarray(part, dtype=np.int32) for part in parts])

    def _distinct(self, texts: Sequence[str], offsets: bool) -> dict[str, tuple[Ids, Offsets]]:
        """Tokenize each distinct text once."""
        distinct = list(dict.fromkeys(texts))
        rows = token_cache.cut(self.tokenizer, distinct, offsets, self.cache).rows()
        return dict(zip(distinct, rows, strict=True))


PROBES = (("a", "a"), ("the", "cat"), ("in", "1969"), ("Paris", "."))


def needs_spaces(tokenizer: Any) -> bool:
    """Tell whether words tokenized one by one differ from a sentence of them, and their spaces mend that.

    >>> class Letters:  # a tokenizer for which a space is a token
    ...     def __call__(self, texts, **options):
    ...         return {"input_ids": [list(text.encode()) for text in texts]}
    >>> needs_spaces(Letters())
    True
    """

    def tokenized(texts: list[str]) -> list[list[int]]:
        ids: list[list[int]] = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    sentences = tokenized([f"{first} {second}" for first, second in PROBES])
    firsts = tokenized([first for first, _ in PROBES])
    apart = [first + second for first, second in zip(firsts, tokenized([word for _, word in PROBES]), strict=True)]
    spaced = [
        first + second for first, second in zip(firsts, tokenized([f" {word}" for _, word in PROBES]), strict=True)
    ]
    equal, mended = (
        sum(ids == wanted for ids, wanted in zip(form, sentences, strict=True)) for form in (apart, spaced)
    )
    return mended > equal


def longest_first(a: int, b: int, room: int) -> tuple[int, int]:
    """Return how many of a and b tokens are kept where the longer text is truncated first, as fast tokenizers do."""
    if a + b <= room:
        return a, b
    shorter = min(a, b, room // 2)
    return (shorter, room - shorter) if a <= b else (room - shorter, shorter)
