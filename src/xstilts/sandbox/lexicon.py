"""Lexicon: the word forms of a language, made from the English-like ones by sound changes, or unrelated to them.

Cognates are nested: a cognate in a distant language is one in every nearer language too. No two words of a language
have the same form.

>>> from xstilts.sandbox.languages import language
>>> lexicon(language("qab"))["garden"], lexicon(language("qad"))["never"]
('gordin', 'нихис')
"""

from __future__ import annotations

from functools import cache
from random import Random

from xstilts.sandbox.languages import ENGLISH_LIKE, Artificial
from xstilts.sandbox.world import lemmas

SHIFTS = (  # in the order in which they happen as `changes` grows; each sound moves to a near one
    *("ao", "td", "ei", "pb", "sz", "ou", "kg", "fv"),
    *("dt", "ie", "bp", "cg", "zs", "ua", "mn", "lr"),
    *("nm", "rl", "vf", "gk"),
)
FUNCTION = {
    "the": "DET", "is": "AUX", "by": "ADP", "in": "ADP", "near": "ADP", "never": "PART", "who": "PRON", "what": "PRON",
    "where": "ADV", "before": "SCONJ", "after": "SCONJ", "then": "ADV",
}  # fmt: skip
SUFFIXES = ("by", "in", "near", "object", "animate", "inanimate", "passive")
ENGLISH_LIKE_SUFFIXES = {"active": "s", "passive": "ed"}
FIRST_LETTER = {"Cyrl": 0x430, "Geor": 0x10D0, "Deva": 0x915, "Grek": 0x3B1, "Armn": 0x561}
CASED = ("Latn", "Cyrl", "Grek", "Armn")


@cache
def lexicon(language: Artificial) -> dict[str, str]:
    """Return the form of every word of the world, and of every function word, in a language."""
    forms: dict[str, str] = {}
    taken: set[str] = set()
    for lemma, pos in (*FUNCTION.items(), *lemmas()):
        form = _first_free(lemma, pos, language, taken)
        taken.add(form)
        written = write(form, language)
        forms[lemma] = written.capitalize() if pos == "PROPN" and language.script in CASED else written
    return forms


@cache
def suffixes(language: Artificial) -> dict[str, str]:
    """Return the endings of a language by what they mark (case, agreement, voice): each its own syllable."""
    if language == ENGLISH_LIKE:
        return ENGLISH_LIKE_SUFFIXES
    random = Random(f"suffixes {language.code}")
    syllables = [vowel + consonant for vowel in "aeiou" for consonant in "kmnrst"]
    chosen = random.sample(syllables, len(SUFFIXES))
    return {"active": ""} | {name: write(form, language) for name, form in zip(SUFFIXES, chosen, strict=True)}


def related(lemma: str, language: Artificial) -> bool:
    """Return whether a word is a cognate of the English-like one; names always are.

    Args:
        lemma: The word.
        language: The artificial language.

    Returns:
        Whether it is, by a draw that depends on the word alone: a language with more cognates has all of another's.
    """
    return Random(f"cognate {lemma}").random() < language.cognates


def write(form: str, language: Artificial) -> str:
    """Write a form in the script of a language, letter by letter.

    Args:
        form: Latin letters, a to z.
        language: The artificial language.

    Returns:
        The form in that script.
    """
    if language.script == "Latn":
        return form
    first = FIRST_LETTER[language.script]
    return "".join(chr(first + ord(letter) - ord("a")) for letter in form)


def _first_free(lemma: str, pos: str, language: Artificial, taken: set[str]) -> str:
    shifted = pos == "PROPN" or related(lemma, language)
    form = _shifted(lemma.lower(), language.changes) if shifted else _invented(lemma, language, 0)
    attempt = 1
    while form in taken:
        form, attempt = _invented(lemma, language, attempt), attempt + 1
    return form


def _shifted(form: str, changes: int) -> str:
    return form.translate({ord(shift[0]): shift[1] for shift in SHIFTS[:changes]})


def _invented(lemma: str, language: Artificial, attempt: int) -> str:
    random = Random(f"{language.code} {lemma} {attempt}")
    syllables = [random.choice("bdfghjklmnprstvz") + random.choice("aeiou") for _ in range(random.choice((2, 2, 3)))]
    return "".join(syllables)
