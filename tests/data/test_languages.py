"""The table of languages is complete, consistent and forgiving."""

from __future__ import annotations

import re

import pytest

from xstilts.data.languages import TABLE, XTREME_R, Language, iso3, language, languages
from xstilts.errors import InputError

XLMR = (
    "af am ar as az be bg bn br bs ca cs cy da de el en eo es et eu fa fi fr fy ga gd gl gu ha he hi hr hu hy id is it ja jv "
    "ka kk km kn ko ku ky la lo lt lv mg mk ml mn mr ms my ne nl no om or pa pl ps pt ro ru sa sd si sk sl so sq sr su sv sw "
    "ta te th tl tr ug uk ur uz vi xh yi zh"
)


def test_a_language_is_a_row() -> None:
    assert language("sw") == Language("sw", "Swahili", "Niger-Congo", "Latn", True)


def test_xtreme_r_has_fifty_known_languages() -> None:
    assert len(set(XTREME_R)) == 50
    assert all(language(code).code == code for code in XTREME_R)


def test_rows_are_complete_and_codes_occur_once() -> None:
    rows = [line.split("\t") for line in TABLE.read_text(encoding="utf-8").splitlines()]
    assert {len(row) for row in rows} == {6}
    assert all(all(row) for row in rows)
    assert len({row[0] for row in rows}) == len({row[1] for row in rows}) == len(rows)


def test_codes_and_scripts_are_iso() -> None:
    for code in languages():
        assert re.fullmatch("[a-z]{2,3}", code), code
        assert re.fullmatch("[A-Z][a-z]{3}", language(code).script), code
        assert re.fullmatch("[a-z]{3}", iso3(code)), code


def test_xlmr_has_seen_the_languages_of_cc100() -> None:
    seen = {code for code, row in languages().items() if row.in_xlmr}
    assert seen == {*XLMR.split(), "nb", "kmr"}  # Norwegian is Bokmål there, Kurdish is Northern Kurdish


@pytest.mark.parametrize(("code", "three"), [("sw", "swh"), ("zh", "cmn"), ("fa", "pes"), ("cbk", "cbk")])
def test_three_letter_codes_are_those_of_corpora(code: str, three: str) -> None:
    assert iso3(code) == three


@pytest.mark.parametrize(
    ("wrong", "right"), [("swahili", "sw"), ("Swahilli", "sw"), ("zh-CN", "zh"), ("swh", "sw"), ("GERMAN", "de")]
)
def test_an_unknown_language_is_told_with_the_nearest(wrong: str, right: str) -> None:
    with pytest.raises(InputError, match=f"unknown language '{wrong}'; did you mean '{right}'"):
        language(wrong)


def test_an_unknown_language_without_a_neighbour_is_told() -> None:
    with pytest.raises(InputError, match=r"unknown language '§§' \(codes are ISO 639-1, else 639-3\)"):
        language("§§")


def test_artificial_languages_are_known_by_their_private_codes() -> None:
    assert language("qaa").family == "artificial"
    assert not language("qaa").in_xlmr
    with pytest.raises(InputError, match="unknown language 'qax'"):
        language("qax")
