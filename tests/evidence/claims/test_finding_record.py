"""A finding is taken apart as it is worded; a stance needs its subject and its outcome."""

from __future__ import annotations

import pytest

from xstilts.evidence.claims.finding_record import NOT_STATED, TURNED, oriented, read_finding, read_setting

BETTER = [
    "{0} improves {1}",
    "{0} outperforms {2} in {1}",
    "{0} yields higher {1} than {2}",
    "{0} achieves better {1} than {2}",
    "{0} leads to consistent gains in {1}",
    "{0} reduces forgetting",
    "{0} mitigates the loss of {1}",
]
WORSE = [
    "{0} degrades {1}",
    "{0} hurts {1}",
    "{0} reduces {1}",
    "{0} leads to lower {1} than {2}",
    "{0} underperforms {2} in {1}",
    "{0} increases the error rate",
]
LEVEL = [
    "{0} does not improve {1}",
    "{0} has no effect on {1}",
    "{0} gives no clear improvement in {1}",
    "{0} is comparable to {2} in {1}",
]
LEADS = [
    "{}.",
    "We find that {}.",
    "Our experiments on three tasks show that {}.",
    "Moreover, results indicate that {}.",
]
SIDES = ("frozen adapters", "accuracy", "full tuning")


@pytest.mark.parametrize(
    ("form", "stance"),
    [
        (form, name)
        for name, forms in (("more/better", BETTER), ("less/worse", WORSE), ("no difference", LEVEL))
        for form in forms
    ],
)
@pytest.mark.parametrize("lead", LEADS)
def test_a_stance_is_of_the_subject_on_the_outcome(form: str, stance: str, lead: str) -> None:
    text = lead.format(form.format(*SIDES))
    record = read_finding(text[:1].upper() + text[1:])
    assert (record.stance, record.subject.lower()) == (stance, SIDES[0])
    assert record.outcome != NOT_STATED
    if "{2}" in form:
        assert record.compared_with == SIDES[2]


@pytest.mark.parametrize("form", [form for form in BETTER if "{2}" in form])
def test_the_sides_of_a_comparison_are_not_exchanged(form: str) -> None:
    one = read_finding(f"We find that {form.format('roses', 'accuracy', 'tulips')}.")
    other = read_finding(f"We find that {form.format('tulips', 'accuracy', 'roses')}.")
    assert (one.subject, one.compared_with) == (other.compared_with, other.subject) == ("roses", "tulips")


@pytest.mark.parametrize(
    "text",
    [
        "Transfer learning has gained popularity.",
        "We find that roses smell.",
        "We find that it is so.",
        "We find that roses improve accuracy but reduce recall.",
        "We find that roses improve accuracy, whereas tulips reduce it.",
        "We find that removing roses hurts accuracy.",
        "We find that roses cannot improve accuracy.",
        "We find that roses improve accuracy only if they are red.",
        "We show how roses grow.",
    ],
)
def test_where_a_direction_is_open_none_is_stated(text: str) -> None:
    assert read_finding(text).stance == "not stated"


@pytest.mark.parametrize(
    ("text", "subject", "stance"),
    [
        ("Further gains can be achieved with frozen adapters.", "frozen adapters", "more/better"),
        ("Transfer can be further improved by frozen adapters.", "frozen adapters", "more/better"),
        ("Transfer is not related to frozen adapters.", "frozen adapters", "no difference"),
        ("Frozen adapters are insufficient to improve accuracy.", "frozen adapters", "no difference"),
        ("Frozen adapters contribute to the good performance of BERT.", "frozen adapters", "more/better"),
        ("Simple but effective, frozen adapters improve accuracy.", "frozen adapters", "more/better"),
        ("Frozen adapters – a kind of module – are able to outperform prompts.", "frozen adapters", "more/better"),
        ("We use frozen adapters on two tasks, obtaining better accuracy.", "frozen adapters", "more/better"),
        ("Masks, frozen layers, and adapters improve accuracy.", "masks, frozen layers and adapters", "more/better"),
        ("No gains can be achieved with frozen adapters.", "", "not stated"),
    ],
)
def test_a_subject_may_come_last_or_be_far_from_its_predicate(text: str, subject: str, stance: str) -> None:
    record = read_finding(text)
    assert record.stance == stance
    assert record.subject.lower().replace(", and", " and") == subject or not subject


def test_a_method_that_no_sentence_names_has_the_name_of_its_title() -> None:
    context = ("Slow and fast: pruning schedules for roses", "We want red roses.")
    assert read_finding("Our method outperforms tulips.", context).subject == "pruning schedules"
    assert read_finding("Our method outperforms tulips.", ("Are roses red?",)).subject == NOT_STATED


def test_our_method_is_named_by_the_text_around() -> None:
    context = ("Roses", "We propose a new pruning schedule that saves water.")
    assert read_finding("Our method outperforms tulips.", context).subject == "pruning schedule"
    assert read_finding("Our method outperforms tulips.").subject == NOT_STATED


def test_a_record_is_turned_where_a_question_asks_for_the_other_side() -> None:
    record = read_finding("We find that learned selection outperforms English development data in accuracy.")
    turned = oriented(record, "How reliable are English development data for the selection of checkpoints?")
    assert (turned.subject, turned.stance) == (record.compared_with, TURNED[record.stance])
    assert oriented(record, "Does learned selection help?") == record


def test_a_setting_is_what_is_named() -> None:
    setting = read_setting(
        "XLM-R improves on XNLI and named entity recognition in Thai and 12 other languages (test set)."
    )
    assert "XLM-R" in setting.models
    assert {"XNLI", "named entity recognition"} <= {*setting.tasks}
    assert "Thai" in setting.languages
    assert setting.split == "test"
    assert {*read_setting("Roses smell.").words.values()} == {NOT_STATED}
