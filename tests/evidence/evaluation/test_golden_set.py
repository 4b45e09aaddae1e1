"""Evaluation: measures against values by hand, golden sets in their form, and a report that says what falls short."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_works import bibtex, records

from xstilts.errors import InputError
from xstilts.evidence.evaluation import evaluate, golden, statements
from xstilts.evidence.evaluation.part import intervals
from xstilts.evidence.evaluation.ranking_metrics import least_off_topic_share, ndcg, off_topic_share, recall

GRADES = {"a": 2, "b": 2, "c": 1, "d": 0, "e": 0}


def test_measures_are_those_by_hand() -> None:
    ranking = ["x", "d", "a", "y", "c"]
    gain = 0 / math.log2(2) + 2 / math.log2(3) + 1 / math.log2(4)
    ideal = 2 / math.log2(2) + 2 / math.log2(3) + 1 / math.log2(4)
    assert ndcg(ranking, GRADES, 20) == pytest.approx(gain / ideal)
    assert ndcg(ranking, GRADES, 2) == pytest.approx((2 / math.log2(3)) / (2 + 2 / math.log2(3)))
    assert (recall(ranking, GRADES, 3), recall(ranking, GRADES, 2)) == (0.5, 0.0)
    assert off_topic_share(ranking, GRADES, 20) == pytest.approx(1 / 3)
    assert least_off_topic_share(GRADES, 4) == pytest.approx(1 / 4)
    assert math.isnan(ndcg(ranking, {"d": 0}, 20))
    assert math.isnan(recall(ranking, {"c": 1}, 20))
    assert math.isnan(off_topic_share(["x"], GRADES, 20))


@given(st.permutations([*GRADES, "x", "y"]))
def test_unjudged_works_change_nothing_and_no_order_beats_the_ideal_one(ranking: list[str]) -> None:
    judged = [key for key in ranking if key in GRADES]
    assert ndcg(ranking, GRADES, 20) == ndcg(judged, GRADES, 20) <= ndcg(sorted(GRADES), GRADES, 20) == 1
    assert off_topic_share(ranking, GRADES, 3) == off_topic_share(judged, GRADES, 3) >= least_off_topic_share(GRADES, 3)


def test_an_interval_holds_its_mean_and_is_the_same_each_time() -> None:
    rows = [{"question": str(n), "method": "m", "figure": n / 10, "none": math.nan} for n in range(9)]
    (figures,) = intervals(rows, ["figure", "none"]).values()
    assert figures["figure"]["mean"] == pytest.approx(0.4)
    assert figures["figure"]["low"] < 0.4 < figures["figure"]["high"]
    assert math.isnan(figures["none"]["mean"])
    assert intervals(rows, ["figure"]) == intervals(rows, ["figure"])


def write(folder: Path, name: str, rows: list[dict[str, object]]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Path]:
    """A golden set and its corpus: works that hold both words answer, works that hold the first are on the topic."""
    works = records(60)
    (tmp_path / "works.bib").write_text(bibtex(works), encoding="utf-8")
    graded = []
    for work in works:
        text = f"{work['title']} {work['abstract']}".lower()
        if "copper" in text or "kettle" in text:
            grade = 2 if "copper" in text and "fjord" in text else int("copper" in text)
            graded.append({"question": "Q1", "key": work["key"], "grade": grade})
    write(tmp_path / "set", golden.QUESTIONS, [{"question": "Q1", "text": "Does copper help in a fjord?"}])
    write(tmp_path / "set", golden.WORKS, [*graded, {"question": "Q1", "key": "not-in-the-corpus", "grade": 0}])
    return tmp_path / "set", tmp_path / "works.bib"


def test_a_report_has_every_method_and_says_what_it_rests_on(made: tuple[Path, Path], tmp_path: Path) -> None:
    report = evaluate.evaluate(*made, evaluate.Settings(tmp_path / "cache"))
    part = report["parts"]["retrieval"]
    assert set(part["overall"]) == {"ours", "BM25", "without screening", "without screening and re-ranking"}
    assert part["overall"]["ours"]["ndcg"]["mean"] > 0.8
    assert part["overall"]["ours"]["recall"]["mean"] == 1.0
    assert any("60 works" in note for note in part["notes"])
    assert any(note.startswith("Short: nDCG@20") for note in part["notes"])
    evaluate.show(report, tmp_path / "out")
    text = (tmp_path / "out/evaluation.md").read_text(encoding="utf-8")
    assert text.count("| ours |") == 2
    assert json.loads((tmp_path / "out/evaluation.json").read_text(encoding="utf-8"))["works"] == 60


def test_statements_are_a_part_of_their_own(made: tuple[Path, Path], tmp_path: Path) -> None:
    folder, corpus = made
    evaluate.show(evaluate.evaluate(folder, corpus, evaluate.Settings(tmp_path / "cache")), tmp_path / "without")
    works = [row for row in map(json.loads, (folder / golden.WORKS).read_text().splitlines()) if row["grade"]]
    seen = {"kind": "finding", "bears": True, "stance": "more/better", "subject": "copper", "compared_with": "-"}
    sentence = {"question": "Q1", "sentence": "Copper improves fjords.", **seen}
    write(folder, golden.STATEMENTS, [{**sentence, "key": work["key"]} for work in works])
    one, other = works[0]["key"], works[1]["key"]
    pair = {"key_a": one, "sentence_a": "Copper helps.", "key_b": other, "sentence_b": "Copper harms."}
    write(folder, golden.PAIRS, [{**pair, "relation": "apparent conflict"}])
    settings = evaluate.Settings(tmp_path / "cache", parts=(statements.NAME,))
    report = evaluate.evaluate(folder, corpus, settings)
    (row,) = report["parts"][statements.NAME]["rows"]
    assert set(statements.MEASURES) <= set(row)
    assert math.isnan(row["finding recall"])  # no abstract holds the judged sentence
    assert row["stance stated"] == 1.0 == row["stance right, of stated"]
    assert row["apparent conflicts called real"] <= 1
    text = "\n".join(evaluate.markdown(report))
    assert all(f"| {name} |" in text for name in statements.MEASURES)
    assert "Short (words): finding recall is undefined; wanted is at least 0.6." in text


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        (golden.QUESTIONS, [], "holds no question"),
        (golden.QUESTIONS, [{"question": "Q1"}], "row 1: no text"),
        (golden.WORKS, [{"question": "Q9", "key": "a", "grade": 1}], "'Q9' is not in questions.jsonl"),
        (golden.WORKS, [{"question": "Q1", "key": "a", "grade": 5}], "grades are 0, 1 and 2"),
        (golden.STATEMENTS, [{"key": "a"}], "no question, sentence, bears"),
    ],
)
def test_a_set_of_another_form_is_refused(
    made: tuple[Path, Path], name: str, rows: list[dict[str, object]], message: str
) -> None:
    if name == golden.QUESTIONS and not rows:
        write(made[0], golden.WORKS, [])
    write(made[0], name, rows)
    with pytest.raises(InputError, match=message):
        golden.read(made[0])


def test_a_missing_set_and_an_unknown_part_are_refused(made: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no golden set"):
        golden.read(tmp_path / "nothing")
    (made[0] / golden.WORKS).write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="JSON lines"):
        golden.read(made[0])
    with pytest.raises(InputError, match="no part x of an evaluation"):
        evaluate.evaluate(*made, evaluate.Settings(tmp_path, parts=("x",)))
    with pytest.raises(InputError, match="is no BibTeX file"):
        evaluate.open_corpus(tmp_path / "set", tmp_path)
