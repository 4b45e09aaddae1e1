"""Languages: six artificial languages at a growing distance from the first, each defined by a few parameters.

As in K et al. (2020) and Dufter & Schütze (2020), every difference between two languages is a parameter, so that
transfer can be studied under control. They are no evidence about real languages. The codes are from the range that ISO
639-3 reserves for private use (qaa-qtz). For another language, change a parameter with `dataclasses.replace` and give
it another code.

>>> [round(distance(language), 2) for language in LANGUAGES]
[0.0, 0.09, 0.25, 0.51, 0.79, 1.0]
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class Artificial:
    """The parameters of a language.

    Attributes:
        code: Its code.
        name: Its name.
        script: ISO 15924 code of its script.
        order: Order of subject, verb and object.
        adjective_first: "big dog", not "dog big".
        adpositions: "before" the noun, "after" it, or as a "suffix" (case).
        articles: Whether it has articles.
        agreement: Adjectives and verbs take a suffix for the class of their noun.
        negation_first: "never" stands before the verb.
        question_first: The question word stands first.
        cognates: Share of words that come from those of the first language by regular sound changes. The others are
            unrelated; names are always cognates.
        changes: How many sounds have changed.
        parallel: Lines of translation beside 100 lines of text.
        family: Always "artificial".
        in_xlmr: Always False.
    """

    code: str
    name: str
    script: str = "Latn"
    order: str = "SVO"
    adjective_first: bool = True
    adpositions: str = "before"
    articles: bool = True
    agreement: bool = False
    negation_first: bool = True
    question_first: bool = True
    cognates: float = 1.0
    changes: int = 0
    parallel: int = 0
    family: str = "artificial"
    in_xlmr: bool = False

    def __hash__(self) -> int:
        """Return the code's hash: lexicons are looked up by language for every word."""
        return hash(self.code)


ENGLISH_LIKE = Artificial("qaa", "Albic")
LANGUAGES: tuple[Artificial, ...] = (
    ENGLISH_LIKE,
    Artificial("qab", "Berish", adjective_first=False, cognates=0.9, changes=4, parallel=200),
    Artificial(
        "qac", "Cadoric", order="SOV", adpositions="after", articles=False, cognates=0.7, changes=8, parallel=100
    ),
    Artificial(
        *("qad", "Delunese", "Cyrl", "VSO"),
        adjective_first=False,
        negation_first=False,
        cognates=0.5,
        changes=12,
        parallel=48,
    ),
    Artificial(
        *("qae", "Eshtian", "Geor", "SOV", False, "suffix"),
        articles=False,
        agreement=True,
        question_first=False,
        cognates=0.2,
        changes=16,
        parallel=24,
    ),
    Artificial(
        *("qaf", "Forgan", "Deva", "OVS", False, "suffix"),
        articles=False,
        agreement=True,
        negation_first=False,
        question_first=False,
        cognates=0.0,
        changes=20,
        parallel=12,
    ),
)
CODES = tuple(language.code for language in LANGUAGES)


def language(code: str) -> Artificial:
    """Return the artificial language of a code."""
    return next(language for language in LANGUAGES if language.code == code)


def distance(language: Artificial, origin: Artificial = ENGLISH_LIKE) -> float:
    """Return the distance of two languages by their parameters, from 0 (equal) to 1.

    One half is the words (unrelated words 0.2, changed sounds 0.1, script 0.2), the other half the grammar. The amounts
    of text do not count.

    Args:
        language: A language.
        origin: Another one; by default the English-like one.

    Returns:
        The distance.
    """
    pairs = ("SV", "VO", "SO")
    turned = sum(_precedes(language.order, *pair) != _precedes(origin.order, *pair) for pair in pairs) / len(pairs)
    grammar = (
        (0.15, turned),
        (0.05, language.adjective_first != origin.adjective_first),
        (0.1, _marking(language, origin)),
        (0.05, language.articles != origin.articles),
        (0.05, language.agreement != origin.agreement),
        (0.05, language.negation_first != origin.negation_first),
        (0.05, language.question_first != origin.question_first),
    )
    words = (
        (0.2, abs(language.cognates - origin.cognates)),
        (0.1, abs(language.changes - origin.changes) / 20),
        (0.2, language.script != origin.script),
    )
    return sum(weight * value for weight, value in (*grammar, *words))


def _precedes(order: str, a: str, b: str) -> bool:
    return order.index(a) < order.index(b)


def _marking(language: Artificial, origin: Artificial) -> float:
    if language.adpositions == origin.adpositions:
        return 0.0
    return 1.0 if "suffix" in (language.adpositions, origin.adpositions) else 0.5


_DISTANCES = ", ".join(f"{other.code} {distance(other):.2f}" for other in LANGUAGES[1:])
NOTE = f"artificial languages at a distance from {ENGLISH_LIKE.code} of {_DISTANCES}: no evidence about real ones"
LIMIT = "The languages are artificial and the encoder is tiny: this shows that the machinery works."
CITATION = "Artificial languages of this package, made after K et al. 2020 (ICLR) and Dufter & Schütze 2020 (EMNLP)"


NOTICE = "Artificial languages: this was measured in the sandbox, in languages that nobody speaks, and is no evidence"


def notice(codes: Iterable[str]) -> str:
    """Return what a reader of results must know first, where they are of artificial languages; "" where none are.

    Args:
        codes: The codes of the languages, or of pairs of them ("qaa-qab").

    Returns:
        A sentence with the codes of the artificial ones.

    >>> notice(["en", "de-sw"])
    ''
    """
    artificial = sorted({part for code in codes for part in code.split("-")} & set(CODES))
    return f"{NOTICE} about real ones ({', '.join(artificial)})." if artificial else ""


def digest() -> str:
    """Return a digest of all parameters: a changed parameter makes other data."""
    return sha256(repr(LANGUAGES).encode()).hexdigest()
