"""Queries: each question has searches and topics of its own, short enough for every source, and no general ones."""

from __future__ import annotations

import pytest
from five import ASKED, QUESTIONS

from xstilts.evidence.claims.question import parse_question
from xstilts.evidence.retrieval.query_words import content_words
from xstilts.evidence.search.queries import search_queries, term_variants, topic_groups
from xstilts.evidence.search.work import mentions_any


@pytest.mark.parametrize("name", ASKED)
def test_searches_are_few_short_and_different(name: str) -> None:
    found = QUESTIONS[name][0]
    assert 3 <= len(found) <= 13
    assert all(2 <= len(search.split()) <= 8 for search in found[1:])
    assert found[0].split() == [word.text for word in content_words(ASKED[name])]
    assert all(set(found) != set(QUESTIONS[other][0]) for other in ASKED if other != name)


@pytest.mark.parametrize("name", ASKED)
def test_a_question_is_on_its_own_topic(name: str) -> None:
    assert sum(mentions_any(ASKED[name], group) for group in topic_groups(parse_question(ASKED[name]))) >= 2


def test_what_is_measured_everywhere_is_no_topic() -> None:
    groups = topic_groups(parse_question(ASKED["batch"]))
    text = "Batch size and accuracy of image classifiers, and their inference efficiency"
    assert [mentions_any(text, group) for group in groups] == [False, False, True]


def test_a_term_of_no_vocabulary_is_its_own_wording() -> None:
    assert term_variants("quantum annealing") == ("quantum annealing",)
    assert term_variants("layer selection")[0] == "layer-wise"
    assert "frozen layer intermediate-task training" not in search_queries(
        parse_question("Does model size matter on XTREME?")
    )
