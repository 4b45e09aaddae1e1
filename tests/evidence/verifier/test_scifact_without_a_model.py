"""On SciFact, where overlap ticks what is contradicted: words alone decide nothing wrongly, and quote all that is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from xstilts.evidence.claims.quote import locate
from xstilts.evidence.claims.verdict import decide
from xstilts.evidence.text.documents import Document, sentences


@pytest.fixture(scope="module")
def abstracts(shared: Path) -> dict[str, Document]:
    rows = rows_of(shared / "literature/scifact/corpus.jsonl")
    return {
        str(row["doc_id"]): Document(f"scifact:{row['doc_id']}", "abstract", " ".join(row["abstract"])) for row in rows
    }


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a7_no_paraphrase_is_certified_and_none_refuted(shared: Path, abstracts: dict[str, Document]) -> None:
    pairs = [
        (row["claim"], document)
        for row in rows_of(shared / "literature/scifact/claims_dev.jsonl")
        for document in row["evidence"]
    ]
    assert len(pairs) > 200
    verdicts = {decide(claim, [abstracts[document]], abstracts[document].work).status for claim, document in pairs}
    assert verdicts == {"NOT_ENOUGH_INFO"}


def test_a2_every_sentence_is_quoted_where_it_stands(abstracts: dict[str, Document]) -> None:
    for document in list(abstracts.values())[:60]:
        for sentence in sentences(document):
            found = locate(sentence.text, [document], document.work)
            assert not sentence.whole or (found.matched and found.locator is not None)
            if found.locator:
                assert sentence.text in found.locator.read(document)
