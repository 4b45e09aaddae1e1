"""Directions are read as a person reads them: of what is asked for, and for more of what is changed."""

from __future__ import annotations

from itertools import product

import directions
import pytest

from xstilts.evidence.claims import effect_direction
from xstilts.evidence.claims.effect_direction import (
    clauses,
    combine,
    contests_others,
    direction,
    is_conditional,
    opposed,
    outcome_directions,
    reports_others,
)
from xstilts.evidence.claims.question import parse_question
from xstilts.evidence.demo import QUESTIONS

BATCH = parse_question("Does a larger batch size improve accuracy on XNLI compared to the default batch size?")
SIZE = parse_question("Does the gain of intermediate-task training depend on model size?")
PARTS = parse_question("Does freezing layers change efficiency and accuracy compared to full fine-tuning?")
TURNED = {"up": "down", "down": "up", "level": "level"}


@pytest.mark.parametrize(("name", "expected", "text"), directions.read())
def test_a_statement_of_the_demo_is_read_as_a_person_reads_it(name: str, expected: str, text: str) -> None:
    assert direction(text, parse_question(QUESTIONS[name])) == expected


@pytest.mark.parametrize(
    ("verb", "expected"),
    [
        ("improves", "up"),
        ("increases", "up"),
        ("worsens", "down"),
        ("reduces", "down"),
        ("does not improve", "level"),
        ("does not hurt", "level"),
        ("has no effect on", "level"),
    ],
)
def test_less_of_what_is_changed_turns_a_direction(verb: str, expected: str) -> None:
    for more, less in product(("A larger", "Raising the", "Increasing the"), ("A smaller", "A lower", "Reducing the")):
        assert direction(f"{more} batch size {verb} accuracy on XNLI.", BATCH) == expected
        assert direction(f"{less} batch size {verb} accuracy on XNLI.", BATCH) == TURNED[expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A batch size of 8 improves accuracy by 0.7 points compared to 128.", "down"),
        ("A batch size of 128 improves accuracy by 0.7 points compared to 8.", "up"),
        ("A batch size of 32 outperforms one of 256 in accuracy.", "down"),
        ("A batch size of 256 outperforms one of 32 in accuracy.", "up"),
        ("Accuracy improves with a smaller batch size.", "down"),
        ("Accuracy falls as the batch size grows.", "down"),
        ("Accuracy falls as the batch size shrinks.", "up"),
        ("Accuracy does not depend on batch size.", "level"),
        ("Accuracy depends on batch size.", "unsaid"),
        ("It is unclear whether the batch size improves accuracy.", "unsaid"),
        ("A larger batch size halves the training time.", "unsaid"),
        ("A larger batch size halves the training time, and improves accuracy.", "up"),
        ("Earlier work found that a larger batch size improves accuracy.", "unsaid"),
        ("A larger batch size improves accuracy (Doe et al., 2020).", "unsaid"),
        ("The default batch size outperforms a larger batch size in accuracy.", "down"),
        ("Accuracy is higher with a larger batch size, because less noise hurts it.", "up"),
        ("A larger batch size improves accuracy, but the lower layers do not change.", "up"),
        ("A larger batch size improves accuracy on XNLI but hurts accuracy on PAWS-X.", "mixed"),
        ("Batch sizes of 8 and 64 reach 70.1 and 72.4 in accuracy.", "up"),
        ("Batch sizes of 64 and 8 reach 70.1 and 72.4 in accuracy.", "down"),
        ("Batch sizes of 8 and 64 reach 70.1 and 70.2 in accuracy.", "level"),
    ],
)
def test_a_direction_is_of_accuracy_and_of_a_larger_batch(text: str, expected: str) -> None:
    assert direction(text, BATCH) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Intermediate-task training improves XLM-R Large by 3 points.", "unsaid"),
        ("The gain of intermediate-task training grows with model size.", "up"),
        ("The gain shrinks with model size, although each model improves.", "down"),
        ("The gain does not depend on model size.", "level"),
        ("The gain is independent of model size.", "level"),
        ("The gain is larger for small models.", "down"),
        ("The gain of larger models is smaller.", "down"),
        ("Smaller models gain more from intermediate-task training.", "down"),
    ],
)
def test_where_a_gain_is_asked_after_a_gain_is_no_direction(text: str, expected: str) -> None:
    assert direction(text, SIZE) == expected


def test_less_cost_is_more_efficiency_and_only_cost_where_cost_is_asked_for() -> None:
    text = "Freezing layers saves 30 % of the memory, but worsens accuracy."
    assert {(one.outcome, one.question_term, one.mark) for one in outcome_directions(text, PARTS)} == {
        ("memory", "efficiency", "up"),
        ("quality", "accuracy", "down"),
    }
    (one,) = outcome_directions(text, parse_question("Does freezing layers change memory?"))
    assert (one.outcome, one.question_term, one.mark) == ("memory", "memory", "down")
    assert direction(text, PARTS) == "mixed"
    assert direction("Freezing layers makes training time 30 % less.", PARTS) == "up"
    assert direction("Freezing lower layers improves accuracy.", PARTS) == "up"


def test_what_is_said_of_another_change_is_left_out() -> None:
    assert direction("Adapters increase inference latency; freezing layers leaves it unchanged.", PARTS) == "level"


def test_no_difference_narrows_a_direction_and_does_not_turn_it() -> None:
    assert combine(()) == "unsaid"
    assert combine(("up", "level")) == combine(("up", "not down")) == "up"
    assert combine(("up", "down")) == combine(("mixed", "up")) == "mixed"
    assert direction("Accuracy improves. The gain is not significant in Thai.") == "up"
    assert direction("Accuracy does not improve. In Thai it improves.") == "mixed"


def test_what_denies_a_gain_is_not_opposed_to_a_loss() -> None:
    assert opposed("up", "not up")
    assert opposed("down", "up")
    assert opposed("level", "up")
    assert not opposed("down", "not up")
    assert not opposed("up", "up")
    assert not opposed("mixed", "up")


def test_what_others_found_is_told_from_what_speaks_against_it() -> None:
    assert reports_others("It has been reported that it helps.")
    assert not reports_others("Contrary to earlier work, it helps.")
    assert contests_others("Contrary to earlier work, it helps.")
    assert not contests_others("It helps.")
    assert is_conditional("It falls unless the rate is scaled.")
    assert not is_conditional("It falls.")


def test_a_series_is_read_only_where_every_size_has_one_value() -> None:
    assert effect_direction.size_trend("It takes 1.3 times as long at 0.3B, and 1.7 times at 9.8B.") == {"time": "up"}
    assert effect_direction.size_trend("Base takes 2 hours and 4 GiB, Large 3 hours and 3 GiB.") == {
        "hour": "up",
        "GiB": "down",
    }
    assert effect_direction.size_trend("Large gains 3 points and Base 5 points.") == {"point": "down"}
    assert effect_direction.size_trend("Base gains 3 points, Large 5 points, XL 4 points.") == {}
    assert effect_direction.size_trend("Base and Large gain 3 points.") == {}
    assert effect_direction.size_trend("Models of 22M to 118M gain 5 points, others 3 points.") == {}


def test_scores_count_where_both_sides_are_named() -> None:
    told = "Freezing layers reaches 62.9 in accuracy compared to {} for full fine-tuning."
    assert [effect_direction.score_comparison(told.format(score), PARTS) for score in ("60.0", "62.7", "64.1")] == [
        "up",
        "level",
        "down",
    ]
    assert (
        effect_direction.score_comparison("Freezing layers reaches 62.9 compared to 60.0 for adapters.", PARTS) is None
    )
    assert (
        effect_direction.score_comparison("Adapters reach 62.9 compared to 60.0 for full fine-tuning.", PARTS) is None
    )


def test_what_is_changed_turns_no_clause() -> None:
    (one,) = clauses("A lower batch size matters.", BATCH)
    assert (one.turns, one.flipped) == ((), True)
