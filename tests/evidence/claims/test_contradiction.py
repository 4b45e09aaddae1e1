"""Only another number of the very same thing, or one "not" of the verb between equal words, speaks against a claim."""

from __future__ import annotations

import pytest

from xstilts.evidence.claims.contradiction import find_contradictions
from xstilts.evidence.text.documents import Document

SAID = "Training on MNLI improves XNLI by 8.2 points on the dev set."


OURS = "doc:made-up"


def told(text: str) -> Document:
    return Document(OURS, "body", f"It is so. {text}")


@pytest.mark.parametrize(
    ("claim", "source"),
    [
        (SAID.replace("8.2", "2.8"), SAID),
        (SAID.replace("8.2", "2.8"), SAID.replace("Training", "We find that training")),
        ("It does not help XNLI in Thai.", "It helps XNLI in Thai."),
        ("It helps XNLI in Thai.", "It does not help XNLI in Thai."),
        ("SQuAD gains 7.5 points on XNLI.", "SQuAD and MNLI gain 8.2 and 7.5 points on XNLI, respectively."),
        ("It helps XNLI in 4 languages.", "It helps XNLI in three languages."),
        ("It has 40 million parameters.", "It has 41 million parameters."),
    ],
)
def test_a_clash_is_found_where_it_stands(claim: str, source: str) -> None:
    (one,) = find_contradictions(claim, [told(source)], OURS)
    assert one.locator.read(told(source)) == source
    assert one.why


@pytest.mark.parametrize(
    ("claim", "source"),
    [
        (SAID, SAID),
        (SAID.replace("8.2", "2.8"), SAID.replace("dev", "test")),
        (SAID.replace("8.2", "2.8"), SAID.replace("MNLI", "SQuAD")),
        (SAID.replace("8.2", "2.8"), SAID.replace("set.", "set of Thai.")),
        (SAID.replace("8.2", "2.8"), SAID.replace("by", "by up to")),
        (SAID.replace("8.2", "2.8"), SAID.replace("Training", "If frozen, training")),
        (SAID.replace("8.2", "2.8"), SAID.replace("set.", "set?")),
        (
            SAID.replace("8.2", "2.8"),
            SAID.replace("set.", "set with the same six other things as in the work before it."),
        ),
        (SAID.replace("improves", "worsens"), SAID),
        (SAID.replace("improves", "does not improve"), SAID.replace("8.2", "2.8")),
        ("English outperforms MLM here.", "MLM does not outperform English here."),
        ("It outperforms MLM on XNLI.", "It does not consistently outperform MLM on XNLI."),
        ("It helps XNLI.", "It does not help XNLI, nor without MLM."),
        ("It gains 8.", "It gains 9."),
        (SAID.replace("8.2 points on the dev set.", "8"), SAID.replace("8.2 points on the dev set", "9")),
        ("MNLI gains 8.2 points on XNLI.", "SQuAD and MNLI gain 8.2 and 7.5 points on BUCC and XNLI, respectively."),
    ],
)
def test_what_is_merely_different_speaks_against_nothing(claim: str, source: str) -> None:
    assert find_contradictions(claim, [told(source)], OURS) == ()
    assert find_contradictions(claim, [told(source)]) == ()


def test_a7_a_total_of_numbers_elsewhere_in_the_text_does_not_clash() -> None:
    claim = "The ANLI+ task contains 1,104,934 training examples."
    source = claim.replace("1,104,934", "549,367")
    assert find_contradictions(claim, [told(source)], OURS)
    assert not find_contradictions(
        claim, [told(f"{source} MNLI has 392,702 examples. ANLI has 162,865 examples.")], OURS
    )


@pytest.mark.parametrize(
    ("claim", "source"),
    [
        (
            "Intermediate-task training improves accuracy by 1.2 points.",
            "Intermediate-task training improves accuracy by 3.4 points after distillation.",
        ),
        (
            "Intermediate-task training improves accuracy by 1.2 points.",
            "Intermediate-task training improves accuracy by 3.4 points.",
        ),
        ("We fine-tune with a batch size of 256.", "We fine-tune with a batch size of 1024."),
        ("Our model reaches an accuracy of 80.1 on XNLI.", "Our model reaches an accuracy of 75.3 on XNLI."),
        ("Training on FooBank adds 2.8 points.", "Training on FooBank adds 8.2 points on BarBank."),
        (
            "Batch size 256 improves accuracy by 2 points.",
            "Batch size 256 improves accuracy by 5 points for verbs.",
        ),
        ("MNLI gains 2 points on XNLI.", "MNLI gains 2.1 points on XNLI."),
        ("MNLI gains 2 points on XNLI.", "MNLI gains 8 points on XNLI."),
        ("XLM-R Large gains 2.8 points on XNLI.", "XLM-R Large gains 8.2 points on XNLI."),
        (
            "XLM-R Large gains 2.8 points on the XNLI test set in Thai.",
            "XLM-R Large gains 8.2 points on the XNLI test set in Thai.",
        ),
        (
            "XLM-R Large trained on MNLI gains 2.8 points on XNLI in Thai.",
            "XLM-R Large trained on MNLI gains 8.2 points on XNLI in Thai.",
        ),
        ("It helps XNLI in Thai.", "It does not help XNLI in Thai."),
        ("The model improves on XNLI in Thai.", "The model does not improve on XNLI in Thai."),
    ],
)
def test_what_may_be_of_other_models_or_data_does_not_clash_across_works(claim: str, source: str) -> None:
    assert find_contradictions(claim, [told(source)]) == ()
    assert find_contradictions(source, [told(claim)], "doc:other") == ()


@pytest.mark.parametrize(
    ("claim", "source"),
    [
        (
            "XLM-R Large trained on MNLI gains 2.8 points on the XNLI test set in Thai.",
            "XLM-R Large trained on MNLI gains 8.2 points on the XNLI test set in Thai.",
        ),
        ("Training on MNLI improves XNLI.", "Training on MNLI does not improve XNLI."),
    ],
)
def test_what_names_all_that_it_is_of_clashes_across_works(claim: str, source: str) -> None:
    (one,) = find_contradictions(claim, [told(source)], "doc:other")
    assert one.locator.read(told(source)) == source


@pytest.mark.parametrize(
    ("claim", "source"),
    [
        ("Models trained on MNLI improve on XNLI.", "Models not trained on MNLI improve on XNLI."),
        ("Languages that have training data gain 2 points.", "Languages that have no training data gain 2 points."),
        ("Training MNLI improves XNLI.", "Training without MNLI improves XNLI."),
        ("Models that converge hurt XNLI.", "Models that fail to converge hurt XNLI."),
    ],
)
def test_a_not_of_something_else_speaks_against_nothing(claim: str, source: str) -> None:
    for work in ("", OURS):
        assert find_contradictions(claim, [told(source)], work) == ()
        assert find_contradictions(source, [told(claim)], work) == ()
