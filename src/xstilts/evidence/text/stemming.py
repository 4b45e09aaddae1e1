"""Words: texts as stems, and lexicons of what terms are called, longest name first.

A lexicon is data: kinds, terms and their variants, from a TOML file. Words are compared without case, plural s, past
ed and final e; between the words of a term anything but letters and digits may stand, so that "batch-size", "batch
sizes" and "Batch\\nsize" are one term. In a variant "#" stands for any number, and "#B" for any of billions.

>>> lexicon = Lexicon.of({"intervention": {"batch size": ["batch size", "larger batch"]}})
>>> [(found.name, found.start, found.end) for found in lexicon.find("Do larger batches help?")]
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
    """A word's stem and the characters where it stands."""

    stem: str
    start: int
    end: int


@dataclass(frozen=True)
class Mention:
    """A term that stands in a text: its kind, its name, and the characters."""

    kind: str
    name: str
    start: int
    end: int


@dataclass(frozen=True)
class Lexicon:
    """Terms by the stems of their variants, below the first stem, longest first; build it with `of`."""

    variants: Mapping[str, Sequence[tuple[tuple[str, ...], str, str]]]

    @staticmethod
    def of(kinds: Mapping[str, Mapping[str, Sequence[str]]]) -> Lexicon:
        """Return the lexicon of kinds, their terms and the variants of each."""
        found: dict[str, list[tuple[tuple[str, ...], str, str]]] = {}
        for kind, terms in kinds.items():
            for name, variants in terms.items():
                for variant in variants:
                    stems = tuple(word.stem for word in words(variant))
                    found.setdefault(stems[0], []).append((stems, kind, name))
        return Lexicon({first: sorted(those, key=lambda one: -len(one[0])) for first, those in found.items()})

    def find(self, text: str) -> tuple[Mention, ...]:
        """Return the terms that stand in a text, in order; none lies in another."""
        found, at, those = [], 0, words(text)
        while at < len(those):
            length, mention = self._at(text, those, at)
            if mention:
                found.append(mention)
            at += length
        return tuple(found)

    def _at(self, text: str, those: Sequence[Word], at: int) -> tuple[int, Mention | None]:
        first = those[at].stem
        wild = [*self.variants.get("#", ()), *self.variants.get("#b", ())] if _matches("#", first) else []
        for stems, kind, name in sorted([*self.variants.get(first, ()), *wild], key=lambda one: -len(one[0])):
            here = those[at : at + len(stems)]
            if (
                len(here) == len(stems)
                and all(map(_matches, stems, (word.stem for word in here)))
                and _are_adjacent(text, here)
            ):
                return len(stems), Mention(kind, name, here[0].start, here[-1].end)
        return 1, None


def _matches(wanted: str, found: str) -> bool:
    """Return whether a stem is the one that a variant has there, or a number where it has "#"."""
    if wanted in ("#", "#b"):
        return is_number(found) and found.endswith(wanted[1:])
    return wanted == found


def _are_adjacent(text: str, those: Sequence[Word]) -> bool:
    """Return whether only spaces and hyphens stand between words."""
    return all(BETWEEN.fullmatch(text, left.end, right.start) for left, right in pairwise(those))


@lru_cache(maxsize=1 << 14)
def words(text: str) -> tuple[Word, ...]:
    """Return the words of a text, numbers whole ("1,104.5"), "+", "%" and "×" as words."""
    return tuple(Word(stem(found[0]), found.start(), found.end()) for found in WORD.finditer(text))


@cache
def stem(word: str) -> str:
    """Return a word without what number and tense add: crude, and the same for all that are compared."""
    word = word.lower().replace("’", "'").removesuffix("'s")
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    if len(word) > 5 and word.endswith("ed"):
        return word[:-2]
    return word[:-1] if len(word) > 4 and word.endswith("e") else word


def is_number(stem: str) -> bool:
    """Return whether a stem is a number, in digits or in letters up to twelve."""
    return stem[0].isdigit() or stem in _counted()


@cache
def _counted() -> frozenset[str]:
    return frozenset(stem(word) for word in COUNTED.split())


@cache
def load_table(name: str) -> dict[str, Any]:
    """Return the tables of a TOML file that lies beside this one."""
    return tomllib.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))
