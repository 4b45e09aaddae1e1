"""Names of persons, compared across orders, scripts, initials and accents.

Sources write the same person as "Wei Zhang", "Zhang, W." or "Zhang Wei", with or without accents, in Cyrillic or Latin
letters. Names are compared by their parts in any order, an initial standing for a part. What cannot be compared, as a
name in Chinese characters with one in Latin letters, is neither the same nor different.

>>> is_same_person("Zhang, W.", "Wei Zhang"), is_same_person("Müller, Jörg", "Jorg Mueller")
(True, True)
>>> is_same_person("高瀬みどり", "Takase, Midori") is None
True
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

SUFFIXES = frozenset(("jr", "sr", "ii", "iii", "iv", "phd", "md"))
PARTICLES = frozenset(
    ("al", "bin", "da", "de", "del", "della", "den", "der", "di", "dos", "du", "el", "ter", "van", "von", "zu")
)
# Letters that no decomposition turns into plain ones, and the usual Latin spellings of two scripts.
LATIN = {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ß": "ss", "æ": "ae", "œ": "oe", "ı": "i", "’": "", "'": ""}
CYRILLIC = (
    "аa бb вv гg дd еe жzh зz иi кk лl мm нn оo пp рr сs тt уu фf хkh цts чch шsh щshch ъ ыy ь эe юyu яya іi ґg єe"
)
GREEK = "αa βv γg δd εe ζz ηi θth ιi κk λl μm νn ξx οo πp ρr σs τt υu φf χch ψps ωo ςs"
SPELLINGS = str.maketrans({**LATIN, **{pair[0]: pair[1:] for pair in f"{CYRILLIC} {GREEK}".split(" ")}})
# Spellings of the same sound that Latin transcriptions differ in, and German umlauts with and without their e.
VARIANTS = (("ae", "a"), ("oe", "o"), ("ue", "u"), ("y", "i"), ("j", "i"), ("ii", "i"), ("ks", "x"))


def is_same_person(first: str, other: str) -> bool | None:
    """Compare two names.

    Args:
        first: A name, as "Family, Given" or "Given Family".
        other: Another one.

    Returns:
        Whether they may be one person: every part of the shorter name is one of the other's or its initial, and at
        least one part is spelt out in both. None where the scripts cannot be compared.
    """
    if _is_ideographic(first) or _is_ideographic(other):
        if _is_ideographic(first) != _is_ideographic(other):
            return None
        return "".join(sorted(_letters(first))) == "".join(sorted(_letters(other)))
    shorter, longer = sorted((name_parts(first), name_parts(other)), key=len)
    rest, spelt = list(longer), 0
    for part in sorted(shorter, key=len, reverse=True):
        match = next((candidate for candidate in rest if candidate == part), None)
        match = match or next((candidate for candidate in rest if _is_initial(part, candidate)), None)
        if match is None:
            return False
        rest.remove(match)
        spelt += len(match) > 1 and len(part) > 1
    return bool(spelt)


def share_author(first: Iterable[str], other: Iterable[str]) -> bool | None:
    """Return whether two lists of authors share one; None where that is not known.

    Args:
        first: Names of authors.
        other: Names of the other work's authors.

    Returns:
        True, False, or None if either list is empty or some names are in scripts that cannot be compared.
    """
    those = tuple(other)
    compared = [is_same_person(name, candidate) for name in first for candidate in those]
    return True if True in compared else None if None in compared or not compared else False


def name_parts(name: str) -> tuple[str, ...]:
    """Return the parts of a name in plain lower-case letters, without particles and suffixes.

    >>> name_parts("van der Maas, Pelle J.")
    ('maas', 'pelle', 'j')
    """
    letters = unicodedata.normalize("NFKD", name.casefold())
    spelt = "".join(letter for letter in letters if unicodedata.category(letter) != "Mn").translate(SPELLINGS)
    parts = [part for part in re.findall(r"[^\W\d_]+", spelt) if part not in SUFFIXES]
    return tuple(map(_spelling, [part for part in parts if part not in PARTICLES] or parts))


def is_suffix(word: str) -> bool:
    """Return whether a word of a name is a suffix such as "Jr."."""
    return word.strip(".,").lower() in SUFFIXES


def _spelling(part: str) -> str:
    """Return a part of a name in one of its spellings; its first letter stays, for which an initial may stand."""
    rest = part[1:]
    for variant, usual in VARIANTS:
        rest = rest.replace(variant, usual)
    return part[:1] + rest


def _is_initial(first: str, other: str) -> bool:
    short, long = sorted((first, other), key=len)
    return len(short) == 1 and long.startswith(short)


def _is_ideographic(name: str) -> bool:
    """Return whether a name is in a script whose names are not in parts, or in no script that is spelt out here."""
    letters = _letters(name)
    return bool(letters) and not all(
        unicodedata.name(letter, "").startswith(("LATIN", "CYRILLIC", "GREEK")) for letter in letters
    )


def _letters(name: str) -> list[str]:
    return [letter for letter in unicodedata.normalize("NFC", name).casefold() if letter.isalpha() and letter != "ʹ"]
