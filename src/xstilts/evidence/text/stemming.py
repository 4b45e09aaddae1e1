r"""Crude stems of words, and lexicons that find terms by their variants, longest first.

A lexicon is data: kinds, terms and their variants, from a TOML file. Words are compared without case, plural s, past ed
and final e. Between the words of a term there may be white space, hyphens or slashes, so that "batch-size", "batch
sizes" and "Batch\nsize" are one term. In a variant, "#" stands for any number and "#B" for any of billions.

>>> lexicon = Lexicon.of({"intervention": {"batch size": ["batch size", "larger batch"]}})
>>> [(mention.name, mention.start, mention.end) for mention in lexicon.find("Do larger batches help?")]
[('batch size', 3, 17)]
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

WORD = re.compile(r"\d+(?:[.,]\d+)*[KMBkmb]?(?![^\W_])|[^\W_]+(?:['’][^\W_]+)*|#B?|[+%×]")
COUNTED = "two three four five six seven eight nine ten eleven twelve"
BETWEEN = re.compile(r"[\s\-‐‑–—/_]*|\.")


@dataclass(frozen=True)
class Word:
    """A word of a text.

    Attributes:
        stem: Its stem.
        start: Its first character in the text.
        end: The character after its last.
    """

    stem: str
    start: int
    end: int


@dataclass(frozen=True)
class Mention:
    """A term of a lexicon that occurs in a text.

    Attributes:
        kind: The kind of the term, such as "task", "metric" or "languages".
        name: The term.
        start: Its first character in the text.
        end: The character after its last.
    """

    kind: str
    name: str
    start: int
    end: int


@dataclass(frozen=True)
class Lexicon:
    """Terms by the stems of their variants.

    Attributes:
        variants: By first stem, the stems, kind and name of each variant, longest first; built by `of`.
    """

    variants: Mapping[str, Sequence[tuple[tuple[str, ...], str, str]]]

    @staticmethod
    def of(kinds: Mapping[str, Mapping[str, Sequence[str]]]) -> Lexicon:
        """Build a lexicon.

        Args:
            kinds: By kind, the terms and the variants of each.

        Returns:
            The lexicon, which finds variants by their stems.
        """
        variants_by_stem: dict[str, list[tuple[tuple[str, ...], str, str]]] = {}
        for kind, terms in kinds.items():
            for name, variants in terms.items():
                for variant in variants:
                    stems = tuple(word.stem for word in words(variant))
                    variants_by_stem.setdefault(stems[0], []).append((stems, kind, name))
        return Lexicon({first: sorted(rows, key=lambda row: -len(row[0])) for first, rows in variants_by_stem.items()})

    def find(self, text: str) -> tuple[Mention, ...]:
        """Return the terms that occur in a text, in order and without overlap."""
        mentions, position, tokens = [], 0, words(text)
        while position < len(tokens):
            length, mention = self._at(text, tokens, position)
            if mention:
                mentions.append(mention)
            position += length
        return tuple(mentions)

    def _at(self, text: str, tokens: Sequence[Word], position: int) -> tuple[int, Mention | None]:
        first = tokens[position].stem
        wild = [*self.variants.get("#", ()), *self.variants.get("#b", ())] if _matches("#", first) else []
        for stems, kind, name in sorted([*self.variants.get(first, ()), *wild], key=lambda variant: -len(variant[0])):
            span = tokens[position : position + len(stems)]
            if (
                len(span) == len(stems)
                and all(map(_matches, stems, (word.stem for word in span)))
                and _are_adjacent(text, span)
            ):
                return len(stems), Mention(kind, name, span[0].start, span[-1].end)
        return 1, None


def _matches(expected: str, actual: str) -> bool:
    """Return whether a stem is the expected one, or a number where the variant has "#"."""
    if expected in ("#", "#b"):
        return is_number(actual) and actual.endswith(expected[1:])
    return expected == actual


def _are_adjacent(text: str, span: Sequence[Word]) -> bool:
    """Return whether only white space, hyphens and slashes stand between words."""
    return all(BETWEEN.fullmatch(text, left.end, right.start) for left, right in pairwise(span))


@lru_cache(maxsize=1 << 14)
def words(text: str) -> tuple[Word, ...]:
    """Return the words of a text; numbers are kept whole ("1,104.5"), and "+", "%" and "×" are words."""
    return tuple(Word(stem(match[0]), match.start(), match.end()) for match in WORD.finditer(text))


@cache
def stem(word: str) -> str:
    """Return a word without case, plural s, past ed and final e."""
    word = word.lower().replace("’", "'").removesuffix("'s")
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    if len(word) > 5 and word.endswith("ed"):
        return word[:-2]
    return word[:-1] if len(word) > 4 and word.endswith("e") else word


def is_number(stem: str) -> bool:
    """Return whether a stem is a number, in digits or spelt out from two to twelve."""
    return stem[0].isdigit() or stem in _counted()


@cache
def _counted() -> frozenset[str]:
    return frozenset(stem(word) for word in COUNTED.split())


@cache
def load_table(name: str) -> dict[str, Any]:
    """Return the tables of a TOML file of this package, read once."""
    return tomllib.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))
