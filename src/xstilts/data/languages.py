"""Languages: a table of languages; all other modules use their codes.

The table (`languages.tsv`) holds the 50 languages of XTREME-R, the languages XLM-R was pretrained on, and those of the
other data sets that tasks can read. Codes are ISO 639-1 where there is one, else 639-3. Families are as in the XTREME
paper ("IE: Germanic"). `in_xlmr`: among the languages of CC-100 (Conneau et al. 2020, appendix A), whatever script.

>>> language("sw").family
'Niger-Congo'
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from xstilts.errors import InputError, nearest

TABLE = Path(__file__).with_name("languages.tsv")
FIFTY = (
    "af ar az bg bn de el en es et eu fa fi fr gu he hi ht hu id it ja jv ka kk ko lt ml mr ms my nl pa pl pt qu ro ru "
    "sw ta te th tl tr uk ur vi wo yo zh"
)
XTREME_R = tuple(FIFTY.split())
BCP47 = re.compile(r"(?P<language>[a-z]{2,3})(?:[-_][a-z]{4})?(?:[-_](?:[a-z]{2}|[0-9]{3}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Language:
    """A language.

    Attributes:
        code: ISO 639-1 code where there is one, else 639-3.
        name: English name.
        family: Family, as in the XTREME paper.
        script: ISO 15924 code.
        in_xlmr: Whether it is among the languages of XLM-R's pretraining data.
    """

    code: str
    name: str
    family: str
    script: str
    in_xlmr: bool


# The sandbox's languages, whose codes are from the range that ISO 639 leaves for private use.
ARTIFICIAL = {
    code: Language(code, name, "artificial", script, in_xlmr=False)
    for code, name, script in (
        ("qaa", "Albic", "Latn"),
        ("qab", "Berish", "Latn"),
        ("qac", "Cadoric", "Latn"),
        ("qad", "Delunese", "Cyrl"),
        ("qae", "Eshtian", "Geor"),
        ("qaf", "Forgan", "Deva"),
    )
}


def language(code: str) -> Language:
    """Return the language of a code.

    Raises:
        InputError: There is no such code; the message has the nearest code or name.
    """
    if code in languages():
        return languages()[code]
    if code in ARTIFICIAL:
        return ARTIFICIAL[code]
    raise InputError(f"unknown language '{code}'{_hint(code)} (codes are ISO 639-1, else 639-3)")


def codes(code: str) -> tuple[str, ...]:
    """Return the codes in a code: itself, or those of a pair such as MLQA's "de-ar" (context, then question)."""
    return tuple(code.split("-"))


@cache
def languages() -> dict[str, Language]:
    """Return the table by code."""
    return {code: Language(code, name, family, script, seen == "1") for code, name, family, script, seen, _ in _rows()}


@cache
def iso3(code: str) -> str:
    """Return the three-letter code that corpora use (`swh` for `sw`, `cmn` for `zh`)."""
    return {row[0]: row[5] for row in _rows()}[language(code).code]


def code_of(written: str) -> str | None:
    """Return the code of a language as data sets write it, or None where no rule knows it.

    The rules: the code, its three-letter form, the English name, and a tag of BCP 47 that begins with one of the codes
    and goes on with a script, a region or both; case and blanks around it do not matter.

    >>> [code_of(name) for name in ("swh", "sw-KE", "zh_Hans_CN", " Swahili ", "sw2", "")]
    ['sw', 'sw', 'zh', 'sw', None, None]
    """
    name = written.strip().lower()
    known = _codes_by_name()
    if name in known:
        return known[name]
    tag = BCP47.fullmatch(name)
    return known.get(tag["language"]) if tag else None


@cache
def _codes_by_name() -> dict[str, str]:
    """Return the codes by the forms in which a language is written, in lower case."""
    artificial = {name.lower(): one.code for one in ARTIFICIAL.values() for name in (one.code, one.name)}
    names = {row[1].lower(): row[0] for row in _rows()}
    return names | {row[5]: row[0] for row in _rows()} | artificial | {code: code for code in languages()}


def _rows() -> list[list[str]]:
    return [line.split("\t") for line in TABLE.read_text(encoding="utf-8").splitlines()[1:]]


def _hint(code: str) -> str:
    names = {row[1].lower(): row[0] for row in _rows()} | {row[5]: row[0] for row in _rows()}
    plain = names.get(code.lower(), code.partition("-")[0])
    if plain in languages():
        return f"; did you mean '{plain}'?"
    near = nearest(code.lower(), [*languages(), *names], cutoff=0.5)
    return f"; did you mean '{names.get(near, near)}'?" if near else ""
