"""Words are compared without case, plural and tense; terms are found by any name, the longest first."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xstilts.evidence.claims.question import vocabulary
from xstilts.evidence.text.stemming import Lexicon, load_table, stem, words

LEXICON = Lexicon.of({"benchmark": {"XTREME": ["XTREME"], "XTREME-R": ["XTREME-R"]}, "task": {"ANLI+": ["ANLI+"]}})


@pytest.mark.parametrize(
    ("one", "other"),
    [("improves", "improved"), ("Batches", "batch"), ("studies", "study"), ("sizes", "Size"), ("model’s", "model")],
)
def test_forms_of_a_word_have_one_stem(one: str, other: str) -> None:
    assert stem(one) == stem(other)


@pytest.mark.parametrize(("one", "other"), [("better", "worse"), ("loss", "lo"), ("bus", "bu"), ("not", "note")])
def test_other_words_have_another_stem(one: str, other: str) -> None:
    assert stem(one) != stem(other)


def test_numbers_are_whole_words() -> None:
    assert [word.stem for word in words("1,104,934 of 8.2%, v2.0")] == ["1,104,934", "of", "8.2", "%", "v2", "0"]


@pytest.mark.parametrize("written", ["XTREME-R", "xtreme-r", "XTREME R", "XTREME-\nR", "XTREME‑R"])
def test_a_term_is_found_however_it_is_joined(written: str) -> None:
    assert [found.name for found in LEXICON.find(f"on {written}, we")] == ["XTREME-R"]


@pytest.mark.parametrize("text", ["extreme", "XTREME. R is a language", "ANLI"])
def test_a_longer_term_is_not_found_in_a_shorter(text: str) -> None:
    assert {found.name for found in LEXICON.find(text)} <= {"XTREME"}


def test_a_number_may_stand_within_a_term() -> None:
    lexicon = Lexicon.of(
        {"intervention": {"layers": ["top # layers"]}, "models": {"billions": ["#B", "#B parameters"]}}
    )
    found = [
        (one.name, one.start, one.end) for one in lexicon.find("The top 12 layers, top six layers of 3.5B parameters.")
    ]
    assert found == [("layers", 4, 17), ("layers", 19, 33), ("billions", 37, 52)]
    assert not lexicon.find("The top layers of 300M parameters, b, 12.")


@given(st.text(alphabet="XTREM-R ANLI+.\n", max_size=60))
def test_terms_do_not_overlap(text: str) -> None:
    found = LEXICON.find(text)
    assert all(left.end <= right.start for left, right in pairwise(found))
    assert all(0 <= one.start < one.end <= len(text) for one in found)


def test_each_term_of_the_vocabulary_is_found_by_each_of_its_names() -> None:
    for kind, terms in vocabulary()["terms"].items():
        lexicon = Lexicon.of({kind: terms})
        for name, variants in terms.items():
            for variant in variants:
                text = variant.replace("#B", "3.5B").replace("#", "twelve")
                assert {found.name for found in lexicon.find(text)} == {name}, variant


def test_no_name_of_a_hedge_is_another_of_its_kind() -> None:
    for kind, terms in load_table("hedges.toml")["hedges"].items():
        names = [(kind, tuple(word.stem for word in words(variant))) for those in terms.values() for variant in those]
        wider = {name for name in names if names.count(name) > 1}
        owners = {
            name: {n for n, vs in terms.items() for v in vs if tuple(w.stem for w in words(v)) == name[1]}
            for name in wider
        }
        assert all(len(found) == 1 for found in owners.values()), owners
