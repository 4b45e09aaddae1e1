"""The index finds sentences by their words, in an order that does not depend on how they were gathered."""

from __future__ import annotations

from itertools import permutations

import pytest

from xstilts.errors import InputError
from xstilts.evidence.search.bm25 import SentenceIndex
from xstilts.evidence.text.documents import Document

DOCUMENTS = [
    Document("doc:one", "body", "Larger batches improve accuracy. Adapters are small. Not a whole sen"),
    Document("doc:two", "body", "Larger batches improve accuracy. Layers were frozen."),
    Document("doc:three", "body", "これは有効です。 It depends on batches."),
]


def test_what_shares_most_with_a_query_comes_first() -> None:
    hits = SentenceIndex.of(DOCUMENTS).search("does a larger batch improve accuracy")
    assert [(hit.locator.work, hit.sentence.text) for hit in hits] == [
        ("doc:one", "Larger batches improve accuracy."),
        ("doc:two", "Larger batches improve accuracy."),
        ("doc:three", "It depends on batches."),
    ]
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_every_hit_is_read_where_it_stands() -> None:
    by_work = {document.work: document for document in DOCUMENTS}
    hits = SentenceIndex.of(DOCUMENTS).search("batches accuracy adapters layers frozen small")
    assert hits
    assert all(hit.locator.read(by_work[hit.locator.work]) == hit.sentence.text for hit in hits)


def test_a6_the_order_of_documents_changes_no_hit() -> None:
    assert (
        len({SentenceIndex.of([*order, order[0]]).search("larger batch accuracy") for order in permutations(DOCUMENTS)})
        == 1
    )


def test_a_sentence_in_another_script_is_found() -> None:
    (hit,) = SentenceIndex.of(DOCUMENTS).search("これは有効です")
    assert hit.sentence.text == "これは有効です。"


def test_a_cut_sentence_is_never_found() -> None:
    assert SentenceIndex.of(DOCUMENTS).search("whole sen") == ()


def test_what_no_sentence_has_finds_none() -> None:
    assert SentenceIndex.of(DOCUMENTS).search("quantum chromodynamics") == ()
    assert SentenceIndex.of([]).search("batches") == ()
    assert len(SentenceIndex.of(DOCUMENTS).search("larger batches", 1)) == 1
    with pytest.raises(InputError, match="ask for 1 or more"):
        SentenceIndex.of(DOCUMENTS).search("batches", 0)
