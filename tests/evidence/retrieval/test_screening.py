"""Look-alikes are set aside with a reason; nothing is where the field is not known or the works are few."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xstilts.evidence.evaluation.retrieval import fit_screening
from xstilts.evidence.retrieval import screening
from xstilts.evidence.retrieval.ranking import Ranker
from xstilts.evidence.retrieval.screening import Topic, chance, threshold
from xstilts.evidence.retrieval.source_search import SearchOutcome, lines, to_json
from xstilts.evidence.retrieval.work_index import build_in_memory

QUESTION = "Does copper plating improve cross-lingual transfer?"
ON = "Copper plating improves cross-lingual transfer to many languages."
OTHER_FIELD = "Copper plating improves kettles, and copper is cheap."
FIELD_ALONE = "We study tulips in twelve languages."
WORKS = [
    {"key": "on", "title": "Plating", "abstract": f"{ON} Multilingual models of low-resource languages gain most."},
    {"key": "other-field", "title": "Copper plating improves copper", "abstract": OTHER_FIELD},
    {"key": "field-alone", "title": "Transfer of tulips", "abstract": FIELD_ALONE},
]
OTHERS = [
    {"key": f"else-{number}", "title": f"Bricks {number}", "abstract": "Bricks are red."} for number in range(1000)
]


def test_what_lacks_field_or_subject_is_set_aside_and_said_so() -> None:
    ranking = Ranker(build_in_memory([*WORKS, *OTHERS]), QUESTION).ranking(5)
    assert [work.record["key"] for work in ranking.works] == ["on"]
    reasons = {work.record["key"]: work.reason for work in ranking.set_aside}
    assert reasons["other-field"] == "it does not speak of several languages"
    assert "copper, plating" in reasons["field-alone"]
    outcome = SearchOutcome(ranking, {"made": 3}, {})
    text = "\n".join(lines(outcome))
    assert "set aside" in text
    assert all(reason in text for reason in reasons.values())
    assert {work["key"]: work["reason"] for work in to_json(QUESTION, outcome)["set_aside"]} == reasons


def test_every_work_keeps_a_place_and_those_that_are_shown_come_first() -> None:
    ranker = Ranker(build_in_memory([*WORKS, *OTHERS]), QUESTION)
    assert sorted(ranker.ordered()) == sorted(ranker.reranked())
    assert ranker.ordered()[: len(ranker.shown())] == ranker.shown()


def test_a_question_of_no_known_field_is_not_screened() -> None:
    ranker = Ranker(build_in_memory([*WORKS, *OTHERS]), "Does copper plating improve kettles?")
    assert ranker.shown() == ranker.reranked()
    assert not ranker.ranking(5).set_aside


def test_a_small_collection_on_one_topic_is_not_screened_by_words_that_all_of_it_has() -> None:
    own = [
        {"key": str(number), "title": "Plating", "abstract": f"{ON} This is paper {number}."} for number in range(30)
    ]
    ranker = Ranker(build_in_memory(own), QUESTION)
    assert len(ranker.shown()) == 30


def test_field_and_subject_must_stand_together() -> None:
    topic = Topic.of(QUESTION, {})
    together = topic.joint("", [ON])
    assert together == 1.0
    assert topic.joint("", ["Copper plating is old.", "Cross-lingual transfer is new."]) == 0.0
    assert topic.joint("Copper plating", ["Cross-lingual transfer is new."]) == 1.0
    assert topic.joint("", []) == 0.0


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 3))
def test_more_of_a_question_never_lowers_the_chance(one: float, other: float, field: float) -> None:
    low, high = sorted((one, other))
    assert 0 < chance({"joint": low, "field": field}) <= chance({"joint": high, "field": field}) < 1
    assert 0 < threshold() < 1


def test_a_paper_is_no_nearer_to_the_topic_than_its_abstract() -> None:
    topic = Topic.of(QUESTION, {})
    counts = [topic.features("", ["languages " * times])["field"] for times in (1, screening.MOST, 400)]
    assert counts[0] < counts[1] == counts[2]


def test_weights_follow_the_grades() -> None:
    near, far = {"joint": 1.0, "field": 2.0}, {"joint": 0.0, "field": 0.0}
    parts = [[("", near, 2), ("", near, 1), ("", far, 0), ("no field", near, 0)]] * 3
    weights = fit_screening(parts)
    assert chance(near, weights) >= threshold(weights) > chance(far, weights)
    with pytest.raises(ValueError, match="no work is judged"):
        fit_screening([[]])
