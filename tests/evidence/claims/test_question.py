"""A question is split into facets by a vocabulary that is data, and loses no word; what holds by construction is said."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from small_corpus import told
from twenty import ASKED

from xstilts.errors import InputError
from xstilts.evidence.claims import answer
from xstilts.evidence.claims.own_words import content_stems, mentions_phrase, own_phrases, subject_phrases
from xstilts.evidence.claims.question import ROLES, Question, by_construction, general_terms, parse_question, vocabulary
from xstilts.evidence.search.queries import search_queries, topic_groups

REPORTS = Path(os.environ.get("XSTILTS_REPORTS", Path(__file__).resolve().parents[4] / "shared" / "spec" / "reports"))


def facets(text: str) -> dict[str, tuple[str, ...]]:
    return {facet.role: facet.terms for facet in parse_question(text).facets if facet.terms}


def said(question: Question) -> str:
    return " ".join(rule.statement for rule in by_construction(question))


def test_a_question_has_all_facets_in_order() -> None:
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


# A question's own words.


def test_no_content_word_of_a_question_is_lost() -> None:
    for text in ASKED:
        question = parse_question(text)
        held = content_stems(" ".join(question.terms))
        assert content_stems(text) - content_stems("language model data text task example question") <= held


def test_a_phrase_is_a_run_of_words_that_no_facet_holds() -> None:
    found = parse_question("Does label smoothing, in XLM-R Large, change calibration and F1 on XNLI?")
    assert found.words == ("label smoothing", "calibration")
    assert (found.core, found.facet("outcome").terms) == (("label smoothing",), ("F1",))
    assert own_phrases("Does the model help the languages?", ()) == ()
    assert subject_phrases("Do glosses help the endangered?", ("glosses", "endangered")) == ("glosses",)


@pytest.mark.parametrize(
    ("text", "phrase", "said"),
    [
        ("Overlapping vocabularies of subwords help.", "subword vocabulary overlap", True),
        ("The vocabulary of subwords is shared.", "subword vocabulary overlap", True),
        ("The vocabulary is shared.", "subword vocabulary overlap", False),
        ("Sources of language data", "source-language", True),
        ("The form of it", "formal", False),
        ("Forgetting is rare", "forget", True),
        ("", "forget", False),
    ],
)
def test_a_phrase_is_met_in_any_order_and_ending(text: str, phrase: str, said: bool) -> None:
    assert mentions_phrase(text, phrase) is said


def test_a1_two_questions_with_one_verb_have_nothing_in_common() -> None:
    first, other = "Does subword vocabulary overlap improve transfer?", "Does a larger model improve transfer?"
    one, two = parse_question(first), parse_question(other)
    assert set(one.core).isdisjoint(two.core)
    assert set(search_queries(one)) & set(search_queries(two)) <= {"intermediate-task training cross-lingual transfer"}
    assert topic_groups(one) != topic_groups(two)
    both = (ASKED[first], "A larger model improves transfer by 2.0 points.")
    found = [told(text, *both) for text in (first, other)]
    assert [[item.statement.text for item in one.statements] for one in found] == [[text] for text in both]
    assert len({answer.answer(one) for one in found}) == len({answer.abstract(one)[0] for one in found}) == 2


@pytest.mark.parametrize("text", ASKED)
def test_a1_twenty_questions_beyond_the_vocabulary_are_searched_read_and_answered_by_their_own_words(text: str) -> None:
    question = parse_question(text)
    assert question.words
    assert set(question.core) <= set(question.words)
    queries = search_queries(question)
    assert all(any(mentions_phrase(query, phrase) for query in queries) for phrase in question.words)
    found = told(text, *ASKED.values())
    assert found.statements[0].statement.text == ASKED[text]
    assert len(found.statements) < 3
    empty = told(text, "Cats sleep.")
    assert answer.answer(empty).startswith(f"No evidence found on {question.core[0]}")
    gaps = next(part for part in answer.abstract(empty) if part.startswith("No evidence found for"))
    assert all(f"'{phrase}' (searched for in" in gaps for phrase in question.words)


def test_a1_twenty_questions_have_twenty_answers() -> None:
    found = [told(text, *ASKED.values()) for text in ASKED]
    for part in (answer.answer, answer.abstract):
        assert len({part(one) for one in found}) == len(ASKED)
    assert len({search_queries(one.question) for one in found}) == len(ASKED)


def test_what_nothing_was_read_for_is_not_understood_and_not_without_evidence() -> None:
    said = answer.abstract(told("Does label smoothing improve accuracy?"))
    assert "Not understood: 'label smoothing'" in " ".join(said)
    assert "No evidence found for 'label smoothing'" not in " ".join(said)


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
