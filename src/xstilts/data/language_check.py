"""Language check: whether texts that should be English are English, judged by their words, not by the file's name.

Training files labelled English that in fact hold nine languages have led to false "zero-shot" results. The check
counts letters by script, English function words (`the`, `of`, `is`) and, in short texts, function words of other
languages (`und`, `que`, `ya`). A list of names, a title or a caption of five words is too short to be judged, and does
not count.

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

LOOKED_AT = 600  # characters of a text that are read
ENOUGH_WORDS = 10  # that a text must have before the absence of English function words counts
ONE_IN = 15  # words at least is an English function word; in running text it is one in three
SIGNS = 2  # function words that decide on a text with fewer words
MOST_SUSPICIOUS = 0.015  # share of the judged texts; English data sets have less than half of it
FEWEST_SUSPICIOUS = 8  # texts, below which a share is no evidence
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
    """Counts by which a text is judged.

    Attributes:
        latin: Letters of the Latin script.
        other: Letters of other scripts.
        words: Words, without capitalized ones, since names have no language.
        english: English function words.
        foreign: Function words of other languages.
    """

    latin: int = 0
    other: int = 0
    words: int = 0
    english: int = 0
    foreign: int = 0

    def __add__(self, more: Signs) -> Signs:
        return Signs(*(getattr(self, one.name) + getattr(more, one.name) for one in fields(self)))

    def suspicious(self) -> bool | None:
        """Return whether the text is in another language than English; None where it is too short to judge."""
        if self.other > self.latin:
            return True
        if self.foreign >= SIGNS and self.foreign > self.english:
            return True
        if self.words >= ENOUGH_WORDS:
            return self.english * ONE_IN < self.words
        return False if self.english >= SIGNS else None


@dataclass
class EnglishCheck:
    """Counts over a stream of examples, and whether they are English.

    Attributes:
        texts: Number of examples.
        judged: How many were long enough to judge.
        suspicious: How many of these are in another language.
        samples: Ids and first words of the first few suspicious ones.
        unjudged: Counts over the texts that were too short.
    """

    texts: int = 0
    judged: int = 0
    suspicious: int = 0
    samples: list[str] = field(default_factory=list)
    unjudged: Signs = field(default_factory=Signs)

    def add(self, example: Example) -> None:
        """Count an example."""
        text = " ".join(_texts(example))
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

    def checked(self, examples: Iterator[Example]) -> Iterator[Example]:
        """Yield examples unchanged, and count each."""
        for example in examples:
            self.add(example)
            yield example

    @property
    def share(self) -> float:
        """The share of suspicious texts among those that could be judged."""
        return self.suspicious / max(1, self.judged)

    def english(self) -> bool | None:
        """Return whether the examples are English, up to a small share; None where they are too short to judge."""
        if self.suspicious >= FEWEST_SUSPICIOUS and self.share > MOST_SUSPICIOUS:
            return False
        if self.judged >= FEWEST_SUSPICIOUS:
            return True
        if self.unjudged.words < ENOUGH_TOGETHER:
            return None
        return not self.unjudged.suspicious()


def suspicious(text: str) -> bool | None:
    """Return whether a text is in another language than English; None where it is too short to judge."""
    return signs(text).suspicious()


def signs(text: str) -> Signs:
    """Return the counts of the first characters of a text."""
    text = text[:LOOKED_AT]
    words = [(word, word.casefold()) for word in WORD.findall(text)]
    english = sum(plain in ENGLISH for _, plain in words)
    foreign = sum(plain in FOREIGN for _, plain in words)
    counted = sum(word == plain or plain in ENGLISH or plain in FOREIGN for word, plain in words)
    if text.isascii():
        return Signs(len(text), 0, counted, english, foreign)
    latin = [_is_latin(letter) for letter in text if letter.isalpha()]
    return Signs(sum(latin), len(latin) - sum(latin), counted, english, foreign)


def _texts(example: Example) -> Iterator[str]:
    """Yield the texts of an example of any format."""
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
