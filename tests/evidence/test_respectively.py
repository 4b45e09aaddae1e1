"""Lists with "respectively" are split where they can be read in one way only, and never otherwise."""

from __future__ import annotations

import pytest

from xstilts.evidence.text.respectively import readings


def test_every_pair_is_a_reading() -> None:
    assert readings(
        "Training on SQuAD v2.0, MNLI, and HellaSwag gains 8.2, 7.5, and 7.0 points on the dev set, respectively."
    ) == (
        "Training on SQuAD v2.0 gains 8.2 points on the dev set.",
        "Training on MNLI gains 7.5 points on the dev set.",
        "Training on HellaSwag gains 7.0 points on the dev set.",
    )


def test_names_may_come_last() -> None:
    assert readings("We gain 8.2% and -7.5% on XNLI and PAWS-X respectively.") == (
        "We gain 8.2% on XNLI.",
        "We gain -7.5% on PAWS-X.",
    )


@pytest.mark.parametrize(
    "text",
    [
        "SQuAD and MNLI gain 8.2 and 7.5 points.",
        "SQuAD, MNLI, and CCG gain 8.2 and 7.5 points, respectively.",
        "SQuAD and MNLI gain 8.2 and 7.5 points on BUCC and XNLI, respectively.",
        "SQuAD and MNLI respectively gain 8.2 and 7.5, CCG 3 and 4, respectively.",
        "They gain much and little, respectively.",
        "On XNLI and PAWS-X, base and large models gain 3 and 4 points, respectively.",
        "With MNLI and QQP, swahili and urdu gain 3 and 4 points, respectively.",
        "With MNLI and QQP, swahili as well as urdu gain 3 and 4 points, respectively.",
        "With MNLI and QQP, base/large models gain 3 and 4 points, respectively.",
        "SQuAD and MNLI add 8.2 and 7.5 points, respectively?",
        "Do SQuAD and MNLI add 8.2 and 7.5 points, respectively?",
    ],
)
def test_what_can_be_read_in_no_way_or_in_two_is_not_split(text: str) -> None:
    assert readings(text) == ()
