"""A hedge that is dropped, added or exchanged makes another claim; one "not" more or less denies it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xstilts.evidence.text.hedges import agree, content_stems, hedges
from xstilts.evidence.text.stemming import load_table

NAMES = {
    kind: [v for variants in terms.values() for v in variants]
    for kind, terms in load_table("hedges.toml")["hedges"].items()
}
SAID = "Training on MNLI helps XNLI."


@pytest.mark.parametrize("kind", sorted(NAMES))
def test_every_hedge_that_is_dropped_is_seen(kind: str) -> None:
    for hedge in NAMES[kind]:
        assert hedges(f"On MNLI {hedge} XNLI."), hedge
        assert agree("On MNLI XNLI.", f"On MNLI {hedge} XNLI.").status != "AGREE", hedge


@pytest.mark.parametrize(
    ("claim", "source"),
    [
        ("It improves by 8.2 points on the dev set.", "It improves by 8.2 points on the test set."),
        ("It improves every task.", "It worsens every task."),
        ("It improves XNLI.", "It may improve XNLI."),
        ("It outperforms the rest.", "It neither consistently outperforms the rest nor MLM."),
        ("It gains 5 points.", "It gains up to 5 points."),
        ("It gains 5 points.", "It gains 5 points on average."),
        ("It improves XNLI.", "It does not always improve XNLI."),
        ("It improves XNLI.", "It fails to improve XNLI, and not by little."),
        ("It improves all tasks.", "It improves most tasks."),
        ("It improves XNLI.", "If frozen, it improves XNLI."),
    ],
)
def test_other_hedges_differ_but_refute_nothing(claim: str, source: str) -> None:
    assert agree(claim, source).status == "DIFFER"
    assert agree(source, claim).status == "DIFFER"


@pytest.mark.parametrize(
    "source",
    [
        "It does not help XNLI.",
        "It doesn't help XNLI.",
        "It did not help XNLI.",
        "It cannot help XNLI.",
        "We find that it does not help XNLI.",
    ],
)
def test_a_single_not_of_the_verb_clashes(source: str) -> None:
    assert agree("It helps XNLI.", source).status == "CLASH"
    assert agree(source, "It helps XNLI.").status == "CLASH"
    assert content_stems(source) == content_stems("It helps XNLI.")


def test_what_is_not_so_clashes_with_what_is() -> None:
    assert agree("XNLI is hard.", "XNLI is not hard.").status == "CLASH"
    assert agree("Models are trained on MNLI.", "Models are not trained on MNLI.").status == "CLASH"


OTHER_THINGS = [
    ("Models trained on MNLI improve on XNLI.", "Models not trained on MNLI improve on XNLI."),
    ("Languages that have training data gain 2 points.", "Languages that have no training data gain 2 points."),
    ("Languages that have training data gain 2 points.", "Languages that do not have training data gain 2 points."),
    ("Training MNLI improves XNLI.", "Training without MNLI improves XNLI."),
    ("Models that converge hurt XNLI.", "Models that fail to converge hurt XNLI."),
    ("Models we train on MNLI improve XNLI.", "Models we did not train on MNLI improve XNLI."),
    ("Languages BERT sees improve.", "Languages BERT does not see improve."),
    ("Tasks the model sees improve.", "Tasks the model does not see improve."),
    ("Languages which are seen improve.", "Languages which are not seen improve."),
    ("If it is frozen, MNLI improves XNLI.", "If it is not frozen, MNLI improves XNLI."),
    ("It improves XNLI because it is large.", "It does not improve XNLI because it is large."),
    ("It improves some tasks.", "It does not improve some tasks."),
    ("It may improve XNLI.", "It may not improve XNLI."),
    ("We find that it helps XNLI.", "We do not find that it helps XNLI."),
    ("It helps XNLI.", "It never helps XNLI."),
    ("It helps XNLI.", "It fails to help XNLI."),
]


@pytest.mark.parametrize(("claim", "source"), OTHER_THINGS)
def test_a_not_of_something_else_clashes_with_nothing(claim: str, source: str) -> None:
    assert agree(claim, source).status == "DIFFER"
    assert agree(source, claim).status == "DIFFER"


def test_not_only_denies_nothing() -> None:
    assert agree("It helps XNLI.", "It not only helps XNLI.").status == "DIFFER"


def test_what_differs_is_named() -> None:
    found = agree("It improves XNLI on the test set.", "It may improve XNLI on the dev set.")
    assert found.why == "the claim says 'test'; the source says 'dev', 'may'"


@given(
    st.lists(st.sampled_from([v for those in NAMES.values() for v in those] + ["MNLI", "XNLI"]), max_size=8).map(
        " ".join
    )
)
def test_a_text_agrees_with_itself(text: str) -> None:
    assert agree(text, text).status == "AGREE"


def test_content_keeps_order_and_hides_numbers() -> None:
    assert content_stems("We find that the MNLI task adds 8.2 points.") == ("mnli", "task", "add", "#", "point")
    assert content_stems("A beats B.") != content_stems("B beats A.")
