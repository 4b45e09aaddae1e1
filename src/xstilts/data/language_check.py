"""English: does a text that is said to be English look English? Judged by the text itself, not by the file's name.

Training files that were said to be English and held nine languages have made "zero-shot" results that were none. What
tells is the script, the small words that English cannot do without (`the`, `of`, `is`), and in short texts the small
words of other languages (`und`, `que`, `ya`). A text has to give enough of these to be judged: a list of names, a
title or a caption of five words is too short to say, and is not held against anybody.

>>> suspicious("The dog that you saw in the garden was not ours."), suspicious("Der Hund ist nicht da, und es regnet.")
(False, True)
>>> print(suspicious("Red kites, Lake Zurich"))
None
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import cache

from xstilts.data.examples import Example

LOOKED_AT = 600  # characters of a text; the rest of a long one says the same
ENOUGH_WORDS = 10  # before the absence of small English words tells
ONE_IN = 15  # words is a small English one at least; in running text it is one in three
SIGNS = 2  # small words that tell a language in a text that is not long enough
MOST_SUSPICIOUS = 0.015  # of the texts that could be judged; real English data have stayed below half of it
FEWEST_SUSPICIOUS = 8  # texts, below which a share is an accident
ENOUGH_TOGETHER = 200  # words of texts too short to be judged alone, before they are judged together
SAMPLES = 3
NO_TEXT = ("id", "label", "tags", "side", "targets")

SMALL = (  # without those that others have too: a, an, as, do, he, i, me, no, on, or, so
    "the and but nor of to in at by for from with without into about after before between under up out off than if "
    "then that this these those there here is are was were be been being has have had does did not can could will "
    "would shall should may might must you she it we they him her them my your his its our their who whom whose which "
    "what when where why how any some each every many much more most other such only own same very just also because "
    "while through during against one two never always often still"
)
SMALL_ELSEWHERE = (
    # Germanic, from German to Swedish
    "das und ist nicht ein eine einen einem einer dem des mit auf für sich auch wird wurde sind het een en niet dat "
    "voor zijn wordt werd ook nie vir af til det ikke på och att är inte "
    # Romance, from French to Romanian and Haitian Creole
    "les est une et qui dans pour avec aux cette sont por con una su más pero los las os dos não uma ao em foi il che "
    "per non gli della nel sono și din este să nu care yon pou nan ki "
    # Finnish, Estonian, Hungarian, Lithuanian, Polish
    "ja ei oli että hän mutta aga az és egy hogy nem volt ir yra kad iš na jest się że "
    # Turkish, Azerbaijani, Basque, Quechua
    "ve bir için ile olarak daha və üçün ilə eta ez zen dute huk kay "
    # Indonesian, Malay, Javanese, Tagalog
    "yang dan dari ini itu dengan untuk pada tidak adalah dalam oleh lan sing iki ang ng mga sa ay niya "
    # Swahili, Wolof, Yoruba, Zulu
    "ya wa kwa katika za cha la vya kuwa ambayo hii yake ci bi mu nga te ní sí àwọn ukuthi futhi "
    # Vietnamese
    "là và của các có được trong cho một những không người với"
)
ENGLISH, FOREIGN = frozenset(SMALL.split()), frozenset(SMALL_ELSEWHERE.split())
WORD = re.compile(r"(?<![^\s\"'(“‘«„¿¡-])[^\W\d_]+(?![\w/@])")


@dataclass(frozen=True, slots=True)
class Signs:
    """What speaks in a text: letters by script, words, and among them the small ones of English and of others.

    words: without those that begin with a capital, since names are of no language.
    """

    latin: int = 0
    other: int = 0
    words: int = 0
    english: int = 0
    foreign: int = 0

    def __add__(self, more: Signs) -> Signs:
        return Signs(*(getattr(self, one.name) + getattr(more, one.name) for one in fields(self)))

    def suspicious(self) -> bool | None:
        """Say whether this is another language than English; None where there is too little to say."""
        if self.other > self.latin:
            return True
        if self.foreign >= SIGNS and self.foreign > self.english:
            return True
        if self.words >= ENOUGH_WORDS:
            return self.english * ONE_IN < self.words
        return False if self.english >= SIGNS else None


@dataclass
class Watch:
    """Looks at examples as they pass, and says in the end whether they are English."""

    texts: int = 0
    judged: int = 0
    suspicious: int = 0
    samples: list[str] = field(default_factory=list)
    unjudged: Signs = field(default_factory=Signs)

    def add(self, example: Example) -> None:
        """Look at an example; its id and first words are kept if it is one of the first few that look foreign."""
        text = " ".join(_said(example))
        found = signs(text)
        self.texts += 1
        verdict = found.suspicious()
        if verdict is None:
            self.unjudged += found
            return
        self.judged += 1
        self.suspicious += verdict
        if verdict and len(self.samples) < SAMPLES:
            self.samples.append(f"{example.id}: {' '.join(text.split())[:60]!r}")

    def passed(self, examples: Iterator[Example]) -> Iterator[Example]:
        """Yield examples as they are, having looked at each."""
        for example in examples:
            self.add(example)
            yield example

    @property
    def share(self) -> float:
        """The share of suspicious texts among those that could be judged."""
        return self.suspicious / max(1, self.judged)

    def english(self) -> bool | None:
        """Say whether all of it is English, but for accidents; None where there is too little to say."""
        if self.suspicious >= FEWEST_SUSPICIOUS and self.share > MOST_SUSPICIOUS:
            return False
        if self.judged >= FEWEST_SUSPICIOUS:
            return True
        if self.unjudged.words < ENOUGH_TOGETHER:
            return None
        return not self.unjudged.suspicious()


def suspicious(text: str) -> bool | None:
    """Say whether a text is in another language than English; None where it is too short to say."""
    return signs(text).suspicious()


def signs(text: str) -> Signs:
    """Return what speaks in the beginning of a text."""
    text = text[:LOOKED_AT]
    words = [(word, word.casefold()) for word in WORD.findall(text)]
    english = sum(plain in ENGLISH for _, plain in words)
    foreign = sum(plain in FOREIGN for _, plain in words)
    counted = sum(word == plain or plain in ENGLISH or plain in FOREIGN for word, plain in words)
    if text.isascii():
        return Signs(len(text), 0, counted, english, foreign)
    latin = [_is_latin(letter) for letter in text if letter.isalpha()]
    return Signs(sum(latin), len(latin) - sum(latin), counted, english, foreign)


def _said(example: Example) -> Iterator[str]:
    """Yield the texts of an example, whatever its shape."""
    for one in fields(example):
        value = getattr(example, one.name)
        if one.name in NO_TEXT or value is None:
            continue
        if isinstance(value, str):
            yield value
        elif isinstance(value, tuple):
            yield from (part for part in value if isinstance(part, str))


@cache
def _is_latin(letter: str) -> bool:
    return unicodedata.name(letter, "").startswith(("LATIN", "FULLWIDTH LATIN", "FEMININE", "MASCULINE", "MICRO"))
