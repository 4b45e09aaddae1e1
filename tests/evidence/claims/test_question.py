"""A question is split into six facets by a vocabulary that is data; what is true by construction is said."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from xstilts.errors import InputError
from xstilts.evidence.claims.question import ROLES, Question, by_construction, general_terms, parse_question, vocabulary

REPORTS = Path(os.environ.get("XSTILTS_REPORTS", Path(__file__).resolve().parents[4] / "shared" / "spec" / "reports"))


def facets(text: str) -> dict[str, tuple[str, ...]]:
    return {facet.role: facet.terms for facet in parse_question(text).facets if facet.terms}


def said(question: Question) -> str:
    return " ".join(rule.statement for rule in by_construction(question))


def test_a_question_has_all_six_facets_in_order() -> None:
    assert tuple(facet.role for facet in parse_question("Does a larger batch size help?").facets) == ROLES


def test_each_facet_is_found() -> None:
    found = facets(
        "Does freezing the lower layers of XLM-R Large improve F1 on TyDiQA in Swahili compared to full fine-tuning?"
    )
    assert found == {
        "intervention": ("layer selection",),
        "comparator": ("full fine-tuning",),
        "outcome": ("F1",),
        "benchmark": ("TyDiQA",),
        "models": ("XLM-R Large",),
        "languages": ("Swahili",),
    }


@pytest.mark.parametrize("cue", ["compared to", "instead of", "rather than", "versus", "relative to"])
def test_what_stands_behind_a_comparison_is_compared_with(cue: str) -> None:
    found = facets(f"Do adapters cost less memory {cue} full fine-tuning on XNLI?")
    assert found["intervention"] == ("adapters",)
    assert found["comparator"] == ("full fine-tuning",)
    assert found["benchmark"] == ("XNLI",)


def test_a_comparison_ends_at_its_cue() -> None:
    found = facets("How do adapters compare to full fine-tuning in terms of learning rate?")
    assert found["comparator"] == ("full fine-tuning",)
    assert found["intervention"] == ("adapters", "learning rate")


def test_what_names_nothing_to_change_is_refused() -> None:
    with pytest.raises(InputError, match="names nothing that is changed; use words such as batch size"):
        parse_question("Is it good?")


def test_the_core_is_what_is_changed_and_not_what_all_have_in_common() -> None:
    assert parse_question("Does batch size matter in intermediate-task training?").core == ("batch size",)
    assert parse_question("Does intermediate-task training help?").core == ("intermediate-task training",)


def test_every_rule_names_terms_of_the_vocabulary() -> None:
    terms = {term for kind in vocabulary()["terms"].values() for term in kind}
    for rule in vocabulary()["construction"]:
        assert terms.issuperset([*rule["when"], *rule.get("not_when", [])])
        assert rule["said"].endswith(".")
        assert rule["reason"].endswith(".")
    assert terms >= general_terms()
    assert terms.issuperset(vocabulary()["broader"])


def test_what_holds_by_construction_is_said_with_its_reason() -> None:
    batch = parse_question("Does a larger batch size change inference efficiency?")
    assert "batch size of training cannot change what inference costs" in said(batch)
    assert all(rule.reason for rule in by_construction(batch))
    assert not by_construction(parse_question("Does a larger batch size change accuracy?"))
    assert "no target language" in said(
        parse_question("Does the efficiency of STILTs differ for non-English languages?")
    )
    mixed = parse_question("Does the efficiency of multilingual intermediate tasks differ for non-English languages?")
    assert "no target language" not in said(mixed)


@pytest.fixture(scope="module")
def asked() -> list[Question]:
    """The questions of the reports, which lie outside the project."""
    pages = [page.read_text(encoding="utf-8") for page in sorted(REPORTS.glob("*.txt"))]
    if not pages:
        pytest.skip("no reports: name their folder in XSTILTS_REPORTS (by default ../shared/spec/reports)")
    return [parse_question(found[1]) for page in pages if (found := re.search(r"Research question: (.*?)\.?\n", page))]


def test_a1_the_five_questions_are_five(asked: list[Question]) -> None:
    assert len(asked) == 5
    assert len({question.facets for question in asked}) == 5
    assert all(set(question.core).isdisjoint(general_terms()) for question in asked)
    assert {question.core for question in asked} == {
        ("batch size",),
        ("model size",),
        ("layer selection",),
        ("multilingual intermediate tasks",),
    }


def test_a1_every_question_has_an_outcome_and_a_benchmark(asked: list[Question]) -> None:
    assert all(question.facet("outcome").terms and question.facet("benchmark").terms for question in asked)
    assert sum(bool(question.facet("comparator").terms) for question in asked) == 4


def test_a1_halves_that_need_no_measurement_are_said(asked: list[Question]) -> None:
    decided = {question.core[0]: said(question) for question in asked if by_construction(question)}
    assert "cannot change what inference costs" in decided["batch size"]
    assert "tokenisation and evaluation" in decided["model size"]
    assert "inference" in decided["layer selection"]
