"""SciFact is read safely, and scored as its makers do; on the real files its known figures come out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scifacts import put, rows

from xstilts.errors import InputError
from xstilts.evidence.verifier import scifact
from xstilts.evidence.verifier.scifact import Abstract, Claim, Pair, Prediction


def test_what_is_written_is_read(tmp_path: Path) -> None:
    data = scifact.read(put(tmp_path))
    assert (len(data.train), len(data.dev), len(data.abstracts)) == (90, 45, 135)
    found = scifact.pairs(data, data.train)
    assert len(found) == 90 + 18
    assert {one.label for one in found} == {"SUPPORT", "CONTRADICT", "NEUTRAL"}
    assert all(1 in one.near for one in found if one.label != "NEUTRAL")
    assert scifact.rationale_coverage(found) == 1


def test_another_byte_is_another_digest(tmp_path: Path) -> None:
    home = put(tmp_path)
    before = scifact.read(home).sha256
    assert scifact.read(home).sha256 == before
    path = home / "claims_dev.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace("raises", "lowers", 1), encoding="utf-8")
    assert scifact.read(home).sha256 != before


def claim(**changes: Any) -> str:
    (row, *_), _ = rows(1, 1002)
    return json.dumps({**row, "evidence": {}, "cited_doc_ids": [1000], **changes})


@pytest.mark.parametrize(
    ("name", "line", "says"),
    [
        ("claims_train.jsonl", "{", r"claims_train.jsonl:1: expected a JSON object .*; get SciFact's file again"),
        ("claims_train.jsonl", "[" * 100_000, "claims_train.jsonl:1: expected a JSON object"),
        ("claims_train.jsonl", '"text"', "found '\"text\"'"),
        ("claims_train.jsonl", '{"id": 7, "claim": "unlabelled"}', r"labelled claim \(KeyError"),
        ("claims_dev.jsonl", claim(evidence=[]), r"claims_dev.jsonl:1: expected a labelled claim \(AttributeError"),
        ("claims_dev.jsonl", claim(cited_doc_ids=[77]), "abstract 77 is not in the corpus"),
        ("claims_dev.jsonl", claim(evidence={"1001": [{"sentences": [0], "label": "SUPPORT"}]}), "or not cited"),
        ("claims_dev.jsonl", claim(evidence={"1000": [{"sentences": [0], "label": "REFUTE"}]}), "found 'REFUTE'"),
        ("claims_dev.jsonl", claim(evidence={"1000": [{"sentences": [3], "label": "SUPPORT"}]}), "has 3 sentences"),
        ("claims_dev.jsonl", claim(evidence={"1000": []}), "found ''"),
        ("corpus.jsonl", '{"doc_id": "4", "title": "", "abstract": []}', "expected doc_id, title and abstract"),
        ("corpus.jsonl", '{"doc_id": 4, "title": "", "abstract": "cut"}', "a list of sentences"),
    ],
)
def test_what_is_damaged_is_refused_with_its_place(tmp_path: Path, name: str, line: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        scifact.read(put(tmp_path, 3, {name: [line]}))


def test_the_same_claim_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="claim 1002 stands there twice"):
        scifact.read(put(tmp_path, 3, {"claims_train.jsonl": [claim(), claim()]}))


def test_a_folder_without_it_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no corpus.jsonl; unpack SciFact there"):
        scifact.read(tmp_path)


def test_retrieval_finds_what_shares_words(tmp_path: Path) -> None:
    data = scifact.read(put(tmp_path))
    assert all(data.search(one.text, 1) == (one.id,) for one in data.dev)
    assert data.search("quantum chromodynamics", 3) == ()
    assert scifact.retrieval_recall(data, data.dev, (1, 3)) == {1: 1.0, 3: 1.0}
    assert len(scifact.retrieved_pairs(data, data.dev, 2)) == 90


CLAIM = Claim(
    1, "It helps.", (10, 20), {10: "SUPPORT", 20: "CONTRADICT"}, {10: (frozenset({0, 2}),), 20: (frozenset({1}),)}
)
TEN, TWENTY, THIRTY = (Abstract(number, "", ("a.", "b.", "c.")) for number in (10, 20, 30))


def said(abstract: Abstract, label: str, *sentences: int) -> Prediction:
    pair = Pair(CLAIM, abstract, CLAIM.labels.get(abstract.id, "NEUTRAL"), (0, 1, 2))
    return Prediction(pair, label, sentences)


def test_scores_by_hand() -> None:
    found = scifact.scores(
        [CLAIM], [said(TEN, "SUPPORT", 0), said(TWENTY, "SUPPORT", 1), said(THIRTY, "CONTRADICT", 0)]
    )
    assert found == pytest.approx(
        {
            "abstract, label": 2 * 1 / (3 + 2),
            "abstract, label and rationale": 0,  # half of a sufficient set is none
            "sentence": 2 * 1 / (3 + 3),
            "sentence and label": 0,
        }
    )


def test_all_said_rightly_is_one_and_nothing_said_is_none() -> None:
    right = [said(TEN, "SUPPORT", 0, 2), said(TWENTY, "CONTRADICT", 1), said(THIRTY, "NEUTRAL", 1)]
    assert set(scifact.scores([CLAIM], right).values()) == {1.0}
    assert set(scifact.scores([CLAIM], [said(TEN, "NEUTRAL")]).values()) == {0.0}


def test_the_known_figures_of_the_real_files(shared: Path) -> None:
    data = scifact.read(shared / scifact.FOLDER)
    found = scifact.pairs(data, data.dev)
    counts = [sum(one.label == label for one in found) for label in scifact.LABELS]
    assert (len(data.train), len(data.dev), len(data.abstracts), counts[:2]) == (809, 300, 5183, [138, 71])
    assert scifact.rationale_coverage(found) == pytest.approx(0.77, abs=0.03)
