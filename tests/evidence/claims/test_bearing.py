"""A finding bears on a question as far as it speaks of what is asked."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np

from xstilts.evidence.claims.bearing import Candidate, answerable, bearings, phrases, root, roots, similarity_of

QUESTION = "Does pruning of roses improve flowering in dry summers, compared to watering?"
ON = Candidate("We find that pruning roses improves flowering over watering.", "Pruning", "Roses in dry summers.")
NEAR = Candidate("We find that pruning helps apples.", "Pruning apple trees", "Apples in wet summers.")
OFF = Candidate("We find that trains are late in winter.", "Trains", "Railways.")


def test_a_question_is_cut_where_it_turns() -> None:
    assert phrases(QUESTION) == ("pruning", "roses", "flowering", "dry summers", "watering")
    assert phrases("How well does it do?") == ()


def test_words_are_compared_by_their_roots() -> None:
    assert root("typological") == root("typology") == root("typologically")
    assert root("transfer") != root("transformer")
    assert roots("layer-wise") >= roots("layers")


def test_what_speaks_of_more_that_is_asked_bears_more() -> None:
    on, near, off = bearings(QUESTION, [ON, NEAR, OFF])
    assert on.score > near.score > off.score
    assert on.bears
    assert not off.bears


def test_neither_order_nor_other_findings_change_a_bearing() -> None:
    expected = dict(zip((ON, NEAR, OFF), bearings(QUESTION, [ON, NEAR, OFF]), strict=True))
    for order in permutations((ON, NEAR, OFF)):
        assert dict(zip(order, bearings(QUESTION, order), strict=True)) == expected
    assert bearings(QUESTION, [ON]) == (expected[ON],)
    assert bearings(QUESTION, []) == ()


def test_where_no_work_has_most_of_what_is_asked_nothing_bears() -> None:
    question = "Does pruning of roses improve the yield of copper mines in northern Chile?"
    assert not answerable(question, [ON, NEAR])
    assert not any(bearing.bears for bearing in bearings(question, [ON, NEAR]))
    assert answerable(QUESTION, [ON])


def test_a_sentence_without_a_word_of_the_question_bears_nothing_by_words_alone() -> None:
    borrowed = Candidate("It is 3 points.", ON.text, ON.context)
    assert not bearings(QUESTION, [borrowed])[0].bears


def test_meaning_ranks_what_words_do_not() -> None:
    calls: list[str] = []

    def vectors(texts: Sequence[str]) -> np.ndarray:
        calls.extend(texts)
        return np.array([[1.0, 0.0] if "rose" in text or "bush" in text else [0.0, 1.0] for text in texts], np.float32)

    one = Candidate("We find that cutting a bush makes it bloom.")
    other = Candidate("We find that cutting a cake makes it small.")
    similarity = similarity_of(vectors)
    first, second = bearings(QUESTION, [one, other], similarity)
    assert first.score > second.score
    assert bearings(QUESTION, [one, other], similarity) == (first, second)
    assert len(calls) == len(set(calls))
