"""A5: statements are whole sentences that touch the question and state a result; what has no evidence is said."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xstilts.errors import InputError
from xstilts.evidence.claims.question import ROLES, parse_question
from xstilts.evidence.claims.quote import locate, same_text
from xstilts.evidence.claims.statement import Statement, coverage, statements, states_result, touched_terms
from xstilts.evidence.text.documents import Document, is_whole

ASKED = parse_question(
    "Does a larger batch size improve accuracy or memory on XNLI compared to the default batch size?"
)
HURTS = "A larger batch size hurts accuracy on XNLI by 1.5 points."
COSTS = "Batches of 512 need twice the memory of the default batch size."
PIECES = [
    HURTS,
    COSTS,
    "Batch size is a topic.",
    "The weather improves.",
    "Does batch size improve accuracy?",
    "3 Results",
    "\n\n",
]


def told(text: str, work: str = "doc:made-up", part: str = "body") -> Document:
    return Document(work, part, text)


def found(*documents: Document) -> list[str]:
    return [one.text for one in statements(ASKED, documents)]


def test_what_touches_the_question_and_states_a_result_is_kept() -> None:
    assert found(told(" ".join(PIECES))) == [HURTS, COSTS]


@pytest.mark.parametrize(
    "text",
    [
        "Batch size and accuracy are topics.",
        "Does a larger batch size improve accuracy on XNLI?",
        "Adapters improve accuracy on XNLI.",
        "The weather improves by 3 points.",
        "A larger batch size hurts accuracy on XNLI by 1.5 poi",
    ],
)
def test_what_does_not_is_left_out(text: str) -> None:
    assert found(told(text)) == []


def test_what_a_work_refers_to_is_not_what_it_states() -> None:
    assert found(told(f"It is so.\nReferences\n{HURTS}")) == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=8).map(" ".join), st.integers(0, 200))
def test_a5_no_statement_is_cut_wherever_its_text_is(text: str, length: int) -> None:
    document = told(text[:length])
    for one in statements(ASKED, [document]):
        assert is_whole(one.text)
        assert same_text(one.text, one.locator.read(document))
        assert locate(one.text, [document], one.work).locator == one.locator


def test_a5_a_cut_statement_cannot_be_made() -> None:
    place = told(HURTS).locator(0, 9)
    with pytest.raises(InputError, match="a statement is never cut"):
        Statement(HURTS[:-8], (place,))
    with pytest.raises(InputError, match="has no place"):
        Statement(HURTS, ())


def test_a_long_sentence_is_kept_whole_to_its_last_character() -> None:
    long = "A larger batch size improves accuracy " + "on this and on that " * 40 + "and on XNLI."
    assert found(told(long)) == [long]


def test_a_sentence_that_leans_on_another_is_kept_with_it() -> None:
    leaning = f"{HURTS} This improves with more seeds."
    assert found(told(f"We vary one thing. {leaning}")) == [leaning]
    assert found(told(f"We vary one thing. {leaning} The gain is larger in Thai.")) == [
        f"{leaning} The gain is larger in Thai."
    ]
    assert found(told(f"Nothing whole\n\n{HURTS}")) == [HURTS]


def test_the_same_words_are_one_statement_with_every_place() -> None:
    (one,) = statements(
        ASKED, [told(HURTS), told(HURTS.replace(" on", "\non"), part="abstract"), told(HURTS, "doc:other")]
    )
    assert [(place.work, place.part) for place in one.locators] == [
        ("doc:made-up", "abstract"),
        ("doc:made-up", "body"),
        ("doc:other", "body"),
    ]
    assert one.text == HURTS
    assert one.work == "doc:made-up"


def test_a_statement_knows_its_facets_numbers_and_hedges() -> None:
    (one,) = statements(ASKED, [told(HURTS)])
    assert one.touches == (("intervention", "batch size"), ("outcome", "accuracy"), ("benchmark", "XNLI"))
    assert [(str(number.value), number.unit, number.entity) for number in one.numbers] == [("1.5", "points", "XNLI")]
    assert ("direction", "down") in one.hedges
    assert not one.cites
    assert one.readings == ()


def test_a_statement_on_the_parts_is_one_on_the_whole() -> None:
    asked = parse_question("Do adapters change efficiency?")
    assert touched_terms(asked, "Adapters need less memory.") == (
        ("intervention", "adapters"),
        ("outcome", "efficiency"),
    )


def test_two_models_are_two_sizes() -> None:
    asked = parse_question("Does model size matter?")
    assert touched_terms(asked, "XLM-R Base gains 2 points, XLM-R Large 3.") == (("intervention", "model size"),)
    assert touched_terms(asked, "XLM-R Base gains 2 points.") == ()


def test_any_language_is_one_but_english_only_if_it_is() -> None:
    asked = parse_question("Does intermediate training help non-English languages?")
    assert ("languages", "other than English") in touched_terms(asked, "It helps in Swahili.")
    assert touched_terms(asked, "It helps in English.") == ()


def test_an_aim_is_no_result() -> None:
    assert not states_result("We ask whether the gain grows with size.")


def test_a6_order_and_what_is_off_topic_change_nothing() -> None:
    documents = [told(HURTS), told(COSTS, "doc:other"), told(f"{COSTS} {HURTS}", "doc:third")]
    aside = told("Convolutions of larger images improve accuracy by 3 points.", "doc:aside")
    expected = statements(ASKED, documents)
    assert all(statements(ASKED, [*order, aside]) == expected for order in permutations(documents))


def test_every_facet_without_evidence_is_said() -> None:
    said = {(one.role, one.term): one.summary for one in coverage(ASKED, statements(ASKED, [told(HURTS)]))}
    assert said["outcome", "memory"] == "no evidence found for the outcome 'memory'"
    assert said["comparator", "standard settings"].startswith("no evidence found")
    assert said["outcome", "accuracy"] == "one statement of one work on the outcome 'accuracy'"
    assert [role for role in ROLES if any(one == role for one, _ in said)] == [
        "intervention",
        "comparator",
        "outcome",
        "benchmark",
    ]


def test_a_result_is_a_change_a_comparison_or_a_score() -> None:
    assert states_result("It outperforms the rest.")
    assert states_result("It has no effect.")
    assert not states_result("It is a topic.")
    assert not states_result("Does it improve?")
