"""Kinds of sentences follow from what they do in an abstract, whatever they are about."""

from __future__ import annotations

import pytest

from xstilts.evidence.claims.sentence_kind import kinds

OWN = "In this paper, we study gardens."
RESULT = "We find that {0} improves {1} over {2}."
FINDINGS = [
    "We find that {0} improves {1} over {2}.",
    "We also show that {0} does not improve {1}.",
    "Our experiments on three tasks show that {0} outperforms {2}.",
    "Results indicate that {0} is less sensitive to noise than {2}.",
    "Experimental results demonstrate the importance of {0} for {1}.",
    "Extensive experiments on six datasets reveal that {0} hurts {1}.",
    "Our analysis suggests a strong relation between {0} and {1}.",
    "Our method achieves a gain of 2.3 points in {1} over {2}.",
    "While most previous work relies on {2}, our results show that {0} works better.",
    "Contrary to earlier work, we find that {0} has no effect on {1}.",
    "We conduct experiments on ten datasets and show that {0} yields better {1} than {2}.",
    "We evaluate {0} in five settings, showing that {1} drops with size.",
    "We observe no difference in {1} between {0} and {2}.",
    "The evaluation confirms that {0} reduces {1} by 12%.",
    "Our main finding is that {0} matters more than {2}.",
    "We propose {0}, which improves {1} by 3.1 points over {2}.",
]
AIMS = [
    "We investigate whether {0} improves {1}.",
    "In this paper, we ask how {0} affects {1}.",
    "This paper examines the effect of {0} on {1}.",
    "This work aims to improve {1} by means of {0}.",
    "We study the role of {0} in {1}.",
    "We hypothesize that {0} improves {1}.",
    "We recommend that {0} be reported beside {1}.",
    "Does {0} improve {1}?",
    "Our results call for a closer look at {0}.",
]
BACKGROUND = [
    "Recent work has shown that {0} improves {1}.",
    "{0} has become a popular way to improve {1}.",
    "However, it remains unclear whether {0} improves {1}.",
    "{0} often leads to worse {1} than {2}.",
    "Previous studies found that {0} outperforms {2}.",
    "The success of {0} has been attributed to {1}.",
    "A major challenge of {0} is that it degrades {1}.",
]
METHODS = [
    "We propose a new way to combine {0} with {1}.",
    "We introduce {0}, a large collection of {1}.",
    "This paper presents {0} for the study of {1}.",
]
TOPICS = [
    ("subword overlap", "transfer", "random tokens"),
    ("the pruning of roses", "flowering", "watering"),
    ("zinc", "recovery", "placebo"),
]


def kind_after(text: str, *before: str) -> str:
    return kinds([*before, text])[-1]


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("form", FINDINGS)
def test_what_a_work_reports_is_a_finding_of_any_topic(form: str, topic: tuple[str, str, str]) -> None:
    assert kind_after(form.format(*topic), OWN) == "finding"


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("form", AIMS)
def test_what_a_work_sets_out_to_do_is_none(form: str, topic: tuple[str, str, str]) -> None:
    assert kind_after(form.format(*topic), OWN, RESULT.format(*topic)) == "aim"


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("form", METHODS)
def test_what_a_work_makes_is_none(form: str, topic: tuple[str, str, str]) -> None:
    assert kind_after(form.format(*topic), OWN) == "method"


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("form", BACKGROUND)
def test_what_stands_before_a_work_speaks_of_itself_is_background(form: str, topic: tuple[str, str, str]) -> None:
    assert kinds([form.format(*topic), OWN])[0] == "background"


@pytest.mark.parametrize("form", [BACKGROUND[0], BACKGROUND[4], BACKGROUND[5]])
def test_what_others_have_shown_is_theirs_wherever_it_stands(form: str) -> None:
    assert kind_after(form.format(*TOPICS[0]), OWN, RESULT.format(*TOPICS[0])) == "others' result"


def test_an_unmarked_sentence_is_a_finding_only_after_a_result() -> None:
    text = "Larger gardens need more water than small ones."
    assert kinds([text, OWN])[0] == "background"
    assert kind_after(text, OWN, RESULT.format(*TOPICS[1])) == "finding"
    assert kinds([text]) == ("finding",)  # a text that never speaks of itself


def test_a_list_of_works_is_a_reading_list() -> None:
    text = "Pruning (Doe, 2019), watering (Ng et al., 2020) and zinc (Abe, 2021) improve flowering."
    assert kind_after(text, OWN) == "reading list"
    assert kind_after(f"See Doe et al. (2019) for an overview. {text}", OWN) == "reading list"


def test_where_the_cues_do_not_decide_there_is_no_kind() -> None:
    assert kind_after("It has four wheels.", OWN) == ""
