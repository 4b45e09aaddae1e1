"""Names: one person in any order, script and spelling that can be compared; what cannot be is left open."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_corpus import work

from xstilts.evidence.claims.synthesis import independent_works
from xstilts.evidence.search.names import is_same_person, share_author
from xstilts.evidence.search.work import family_first

SAME = [
    ("Zhang Wei", "Wei Zhang"),
    ("Zhang, W.", "Wei Zhang"),
    ("Иванов, Пётр", "Petr Ivanov"),
    ("Юрий Сергеев", "Sergeev, Yuri"),
    ("Παπαδόπουλος, Νίκος", "Nikos Papadopoulos"),
    ("Łukasz Dębowski", "Debowski, L."),
    ("Jörg Müller", "Mueller, Joerg"),
    ("Smith, John, Jr.", "John Smith"),
    ("高瀬 みどり", "高瀬みどり"),
    ("みどり 高瀬", "高瀬 みどり"),
    ("Martin, J.-P.", "Jean-Pierre Martin"),
    ("van der Maas, Pelle", "Pelle van der Maas"),
    ("ÅSA ØRSTED", "Asa Orsted"),
]
OTHERS = [
    ("Zhang, W.", "Wang, W."),
    ("Doe, A.", "Doe, B."),
    ("Smith, J.", "Smith, Ivan"),
    ("A. B.", "A. C."),
    ("高瀬", "田中"),
    ("Ivanov, Petr", "Иванова, Анна"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_one_person_is_one_person(one: str, other: str) -> None:
    assert is_same_person(one, other) is is_same_person(other, one) is True


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_two_persons_are_two(one: str, other: str) -> None:
    assert is_same_person(one, other) is is_same_person(other, one) is False


@given(st.text(max_size=12), st.text(max_size=12))
def test_any_names_can_be_compared_either_way(one: str, other: str) -> None:
    assert is_same_person(one, other) == is_same_person(other, one)


def test_authors_in_scripts_that_cannot_be_compared_are_not_called_independent() -> None:
    assert share_author(["高瀬みどり"], ["Takase, Midori"]) is None
    assert share_author(["高瀬みどり", "Doe, A"], ["Takase, Midori", "A. Doe"]) is True
    assert share_author([], ["A. Doe"]) is None
    own = work(0, authors=["Zhang, Wei"])
    others = [work(n, authors=[name]) for n, name in enumerate(("Wei Zhang", "張偉", "Doe, A"), 1)]
    assert independent_works(own, others) == (others[2],)


@pytest.mark.parametrize(
    ("name", "turned"),
    [("John Smith Jr.", "Smith, John Jr."), ("John Smith, Jr.", "Smith, John Jr."), ("Jr. Smith", "Smith, Jr.")],
)
def test_a_suffix_is_no_family(name: str, turned: str) -> None:
    assert family_first(name) == turned
