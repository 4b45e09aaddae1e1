"""Each number has what it is of; only the same thing with another value clashes, and a total is consistent."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xstilts.evidence.text.numbers import agree, find_sum, numbers, readings


def values(text: str) -> list[str]:
    return [str(one.value) for one in numbers(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It has 1,104,934 examples.", ["1104934"]),
        ("It gains 8.2, 7.5, and 7.0 points.", ["8.2", "7.5", "7.0"]),
        ("It loses −2.3 points, -4 here.", ["-2.3", "-4"]),
        ("Nine tasks and twelve languages of 40.", ["40", "9", "12"]),
        ("Trained at 1e-5 with 550M parameters, or 1.1 billion.", ["0.00001", "550000000", "1100000000.0"]),
        ("From 1 to 10, or 5-7.", ["1", "10", "5", "7"]),
    ],
)
def test_numbers_are_read_as_they_are_written(text: str, found: list[str]) -> None:
    assert sorted(map(Decimal, values(text))) == sorted(map(Decimal, found))


@pytest.mark.parametrize(
    "text",
    [
        "As in Doe et al. (2019) and (Roe, 2020; Poe and Moe, 2021a).",
        "See Table 3, Figure 12, Section 4.1, Appendix B2 and [4, 5].",
        "XLM-R, mT5, SQuAD v2.0 and SQuAD 1.1 are names.",
        "One of them is it.",
    ],
)
def test_what_is_no_quantity_is_left_out(text: str) -> None:
    assert values(text) == []


def test_a_number_knows_what_it_is_of() -> None:
    (one,) = numbers("XLM-R Large gains 8.2 points of F1 on the dev set of TyDiQA in Swahili.")
    assert (one.unit, one.entity, one.metric, one.split, one.model) == ("points", "TyDiQA", "F1", "dev", "XLM-R Large")
    assert one.languages == ("Swahili",)


def test_a_list_with_respectively_gives_each_number_its_own() -> None:
    found = numbers("SQuAD, MNLI, and HellaSwag gain 8.2, 7.5, and 7.0 points, respectively.")
    assert [(one.entity, str(one.value), one.unit) for one in found] == [
        ("SQuAD", "8.2", "points"),
        ("MNLI", "7.5", "points"),
        ("HellaSwag", "7.0", "points"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "On XTREME-R, MNLI and SQuAD improve the mean test score of XLM-R Base (270M parameters) by 4.6 points, of "
            "XLM-R Large (550M) by 2.9 points. The gain of XLM-R Large does not differ over three seeds.",
            [
                "270M parameters (XLM-R Base)",
                "4.6 points (XLM-R Base, test)",
                "550M (XLM-R Large)",
                "2.9 points (XLM-R Large, test)",
                "three seeds (XLM-R Large)",
            ],
        ),
        (
            "The gain grows from 0.8 points at 300M to 2.2 points at 3.7B, and stays at 2.1 points at 13B.",
            ["0.8 points ()", "300M ()", "2.2 points ()", "3.7B ()", "2.1 points ()", "13B ()"],
        ),
        (
            "Batch sizes of 32 and 256 reach 62.7 and 62.8 points on the XTREME-R test sets.",
            ["32 ()", "256 ()", "62.7 points (test)", "62.8 points (XTREME-R, test)"],
        ),
        (
            "It takes 4.1 hours with a batch size of 256 and 6.6 hours with a batch size of 32.",
            ["4.1 hours ()", "256 ()", "6.6 hours ()", "32 ()"],
        ),
        (
            "With MNLI, a batch size from 32 to 256 improves the XTREME-R test score of XLM-R Large from 62.1 to 63.0. "
            "Tatoeba rises by 2.4 points of accuracy, while XQuAD changes by 0.2 F1.",
            [
                "32 ()",
                "256 ()",
                "62.1 (XTREME-R, XLM-R Large, test)",
                "63.0 (XTREME-R, XLM-R Large, test)",
                "2.4 points (Tatoeba)",
                "0.2 (F1, XQuAD)",
            ],
        ),
        (
            "A batch size of 32 or one of 256 differs by 0.1 points.",
            ["32 ()", "256 ()", "0.1 points ()"],
        ),
        ("It worsens by 2.6 F1 on XQuAD and 3.1 F1 on TyDiQA.", ["2.6 (F1, XQuAD)", "3.1 (F1, TyDiQA)"]),
        (
            "It is 3.2 points for those of one of the six, and 0.4 points else.",
            ["3.2 points ()", "six ()", "0.4 points ()"],
        ),
        ("Peak memory is 16.3 bytes per parameter.", ["16.3 ()"]),
        ("XLM-R Base and XLM-R Large gain 2 points.", ["2 points ()"]),
        ("XLM-R Base takes 0.7 hours and 4.4 GiB.", ["0.7 hours (XLM-R Base)", "4.4 GB (XLM-R Base)"]),
        (
            "It gains 5-7 points, or two to three points.",
            ["5 points ()", "7 points ()", "two points ()", "three points ()"],
        ),
        ("It gains 3 points for Thai, but 1 point for Hindi.", ["3 points (Thai)", "1 points (Hindi)"]),
    ],
)
def test_a_number_is_said_of_nothing_else_than_its_own(text: str, said: list[str]) -> None:
    found = [
        f"{f'{one.text} {one.unit}'.strip()} "
        f"({', '.join(filter(None, (one.metric, one.entity, one.model, one.split, *one.languages)))})"
        for one in numbers(text)
    ]
    assert found == said


def test_a_difference_before_an_interval_is_no_percentage() -> None:
    found = {one.text: one.unit for one in numbers("The difference is 0.2, 95 % interval from -0.2 to 0.6.")}
    assert found == {"0.2": "", "95": "%", "-0.2": "", "0.6": ""}


@pytest.mark.parametrize(
    ("written", "unit"), [("9 target tasks", "tasks"), ("9 of the best 40 languages", "languages"), ("9 (of 12)", "")]
)
def test_a_unit_follows_its_number(written: str, unit: str) -> None:
    last = numbers(f"It uses {written} there.")[-1 if unit == "languages" else 0]
    assert last.unit == unit


@pytest.mark.parametrize(
    ("claim", "source", "status"),
    [
        ("MNLI gains 8.2 points.", "MNLI gains 8.20 points.", "AGREE"),
        ("It has 9 tasks.", "It has nine target tasks.", "AGREE"),
        ("It gains much.", "It gains 8.2 points.", "AGREE"),
        ("MNLI gains 2.8 points.", "MNLI gains 8.2 points.", "CLASH"),
        ("MNLI gains 8.2 points.", "SQuAD gains 8.2 points.", "DIFFER"),
        ("MNLI gains 8.2 points.", "MNLI gains 8.2%.", "DIFFER"),
        ("MNLI gains 2.8 points on the dev set.", "MNLI gains 8.2 points on the test set.", "DIFFER"),
        ("XLM-R Base gains 2.8 points.", "XLM-R Large gains 8.2 points.", "DIFFER"),
        ("MNLI gains 2.8 points in Thai.", "MNLI gains 8.2 points in Hindi.", "DIFFER"),
        ("MNLI gains 2.8 points.", "MNLI gains 8.2 points, then 7 points.", "DIFFER"),
        ("MNLI gains 2.8 points.", "It is good.", "DIFFER"),
        ("MNLI has 392,702 examples.", "MNLI has 392.702 examples.", "DIFFER"),
        ("MNLI gains 2 points.", "MNLI gains –2 points.", "DIFFER"),
        ("MNLI gains 2 points on XNLI.", "MNLI gains 2.1 points on XNLI.", "DIFFER"),
        ("MNLI has 393,000 examples.", "MNLI has 392,702 examples.", "DIFFER"),
        ("MNLI has 393k examples.", "MNLI has 392,702 examples.", "DIFFER"),
        ("MNLI has 393 thousand examples.", "MNLI has 391,702 examples.", "CLASH"),
        ("MNLI gains 2.0 points on XNLI.", "MNLI gains 2.1 points on XNLI.", "CLASH"),
        ("SQuAD gains 7.5 points and MNLI 8.2 points.", "SQuAD gains 8.2 points and MNLI 7.5 points.", "CLASH"),
    ],
)
def test_numbers_agree_only_of_the_same_thing(claim: str, source: str, status: str) -> None:
    assert agree(claim, source).status == status


def test_a7_an_exact_sum_of_three_is_consistent() -> None:
    source = "ANLI has 162,865 examples, MNLI 392,702 examples, SNLI 549,367 examples."
    found = agree("ANLI+ contains 1,104,934 training examples.", source)
    assert found.status == "CONSISTENT"
    assert found.why == "1,104,934 is the sum 162,865 + 392,702 + 549,367"
    assert agree("ANLI+ contains 1,104,935 training examples.", source).status == "DIFFER"


@given(
    st.lists(st.integers(1, 10**6), min_size=2, max_size=4, unique=True), st.lists(st.integers(1, 10**6), max_size=8)
)
def test_a_total_is_found_and_adds_up(parts: list[int], others: list[int]) -> None:
    value = Decimal(sum(parts))
    found = find_sum(value, {Decimal(one) for one in (*parts, *others)})
    assert found
    assert sum(found) == value


@given(st.sets(st.integers(1, 30), max_size=12), st.integers(1, 60))
def test_no_total_is_made_up(others: set[int], value: int) -> None:
    found = find_sum(Decimal(value), {Decimal(one) for one in others})
    assert not found or (sum(found) == value and set(found) <= others and 2 <= len(found) == len(set(found)))


@given(
    st.lists(st.sampled_from(["MNLI", "gains", "8.2", "points", "7", "in", "Thai", ",", "dev"]), max_size=12).map(
        " ".join
    )
)
def test_a_text_agrees_with_itself(text: str) -> None:
    assert agree(text, text).status == "AGREE"


# Lists with "respectively": split where they can be read in one way only, and never otherwise.


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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("In 2019, Doe showed that it improves.", []),
        ("From 1998 to 2004 scores rose by 2.0 points.", ["2.0"]),
        ("On WMT 2014 and CoNLL 2003 F1 improves by 1.1 points.", ["1.1"]),
        ("It needs 2000 training examples.", ["2000"]),
        ("A batch size of 2000 improves accuracy.", ["2000"]),
        ("It has 2,000 of them and 2048 more.", ["2,000", "2048"]),
    ],
)
def test_a_year_is_no_result(text: str, shown: list[str]) -> None:
    assert [number.text for number in numbers(text)] == shown
