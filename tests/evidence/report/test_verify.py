"""Recheck: nothing of a bundle can be changed, taken out or damaged without a line that names it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import given_study
import pytest

from xstilts.evidence.claims import study_binding, study_measurements
from xstilts.evidence.claims.question import parse_question
from xstilts.evidence.claims.synthesis import synthesise
from xstilts.evidence.pipeline import ReportOptions, make_report
from xstilts.evidence.report import bundle, review, ro_crate, verify
from xstilts.evidence.report.to_json import synthesis_to_json
from xstilts.evidence.search import corpus
from xstilts.evidence.search.identifiers import parse_ids
from xstilts.evidence.search.work import work_from_record
from xstilts.evidence.text.documents import Document
from xstilts.verification.verify import Check

QUESTION = "Does MNLI as intermediate task improve accuracy on XNLI?"
MEASURE = {"type": "Gain", "intermediate": "mnli", "target": "xnli"}
WHERE = {"encoder": given_study.ENCODER, "split": "test", "metric": "accuracy"}
Plain = dict[str, Any]


@pytest.fixture(scope="module")
def bound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bundle of one statement, bound twice, and the store of its study."""
    folder = tmp_path_factory.mktemp("bound")
    work = work_from_record(
        "folder", parse_ids(doi="10.5555/own.1"), title="MNLI before XNLI", authors=["Doe, A"], year=2024
    )
    text = Document(work.id, "full text", given_study.SENTENCE)
    found = corpus.Corpus((work,), {work.id: (text,)}, (corpus.ScreeningDecision(work.id, True, "full text"),))
    said = synthesis_to_json(synthesise(parse_question(QUESTION), found))
    study, store = given_study.write(folder, 3)
    those = [
        study_binding.Binding(given_study.SENTENCE, MEASURE, "above", 0.0, where, published=10.0)
        for where in (WHERE, WHERE | {"encoder": "xlm-roberta-base"})
    ]
    other = study_binding.Binding(given_study.SENTENCE.removesuffix("."), MEASURE, "above")
    made = study_measurements.compare_with_study(said, study, store, [*those, other])
    said |= {"measured": made.rows, "study": made.study, "limits": [*said["limits"], *made.unbound]}
    said |= {"reviews": review.gated_reviews(said, found)}
    bundle.write(said, found, folder / "bundle", made.files)
    return folder


@pytest.fixture
def copy(bound: Path, tmp_path: Path, unprinted: None) -> Path:
    return shutil.copytree(bound, tmp_path / "copy")


@pytest.fixture
def unprinted(monkeypatch: pytest.MonkeyPatch) -> None:
    """No PDF is set anew: it holds the same statements, and takes long."""
    monkeypatch.setattr(bundle.pdf, "render_pdf", lambda found: None)


def checked(folder: Path) -> dict[str, Check]:
    """Return what is not as it should be, by name."""
    checks = verify.verify(folder / "bundle", folder / "store")
    return {one.name: one for one in checks if one.status != "stands"}


def changed(folder: Path, change: Callable[[Plain], object]) -> dict[str, Check]:
    """Return what is not as it should be after a change of the report, of which the views are written anew."""
    path = folder / "bundle/report.json"
    said = json.loads(path.read_text(encoding="utf-8"))
    change(said)
    path.write_text(json.dumps(said))
    bundle.write_views(folder / "bundle")
    return checked(folder)


def test_what_is_as_it_was_made_stands(bound: Path) -> None:
    assert checked(bound) == {}
    said = json.loads((bound / "bundle/report.json").read_text(encoding="utf-8"))
    assert [one["status"] for one in said["measured"]] == ["REPRODUCED", "UNTESTED"]
    assert said["limits"][-1].startswith("A binding is of no statement")


def test_what_is_made_with_bindings_stands(bound: Path, tmp_path: Path, unprinted: None) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/a.txt").write_text("Nothing more.")
    told = {"title": "MNLI as intermediate task before XNLI", "authors": ["Doe, A"], "abstract": given_study.SENTENCE}
    (tmp_path / "own/a.json").write_text(json.dumps(told))
    sources, store = (str(tmp_path / "own"),), bound / "store"
    where = ReportOptions(tmp_path / "bundle", tmp_path / "replies", sources, True, bound / "study", store)
    said = make_report(QUESTION, replace(where, bindings=bound / "bundle/bindings.json"))
    assert [one["status"] for one in said["measured"]] == ["REPRODUCED", "UNTESTED"]
    assert said["limits"][-1].startswith("A binding is of no statement")
    assert {one.status for one in verify.verify(tmp_path / "bundle", store)} == {"stands"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("answer", "It does."),
        ("abstract", ["It does."]),
        ("findings", []),
        ("limits", []),
        ("conflicts", [{"one": "c1", "other": "c1"}]),
        ("constructions", [{"said": "It does.", "reason": "Always."}]),
    ],
)
def test_a_part_of_the_report_that_does_not_follow_is_named(copy: Path, name: str, value: object) -> None:
    found = changed(copy, lambda said: said.update({name: value}))
    assert found["report"].status == "changed"
    assert name in found["report"].why


def test_another_version_stands_for_nothing(copy: Path) -> None:
    found = changed(copy, lambda said: said.update(version="0.0.1"))
    assert found["report"].status == "untested"
    assert "0.0.1" in found["report"].why


@pytest.mark.parametrize(
    ("name", "value"), [("answer", "It does."), ("abstract", []), ("findings", []), ("limits", [])]
)
def test_another_version_must_still_say_the_same(copy: Path, name: str, value: object) -> None:
    found = changed(copy, lambda said: said.update({"version": "0.0.1", name: value}))
    assert found["report"].status == "changed"
    assert name in found["report"].why


def test_another_version_must_still_have_every_statement(copy: Path) -> None:
    def change(said: Plain) -> None:
        said.update(version="0.0.1", claims=[], measured=[])
        for one in said["works"]:
            one["claims"] = []

    found = changed(copy, change)
    assert found["report"].status == "changed"
    assert "names of statements" in found["report"].why


def test_views_and_reviews_of_another_version_are_compared(copy: Path) -> None:
    changed(copy, lambda said: said.update(version="0.0.1"))
    for view in bundle.VIEWS:
        (copy / "bundle" / view).write_text("It does.")
    found = checked(copy)
    assert {found[view].status for view in bundle.VIEWS} == {"untested"}
    assert changed(copy, lambda said: said["reviews"].update(score=4.5))["reviews"].status == "untested"


def test_a_review_that_is_better_than_it_was_is_noticed(copy: Path) -> None:
    assert changed(copy, lambda said: said["reviews"].update(score=4.5))["reviews"].status == "changed"


@pytest.mark.parametrize("kept", [0, 1])
def test_a_measurement_that_is_taken_out_is_noticed(copy: Path, kept: int) -> None:
    found = changed(copy, lambda said: said.update(measured=said["measured"][kept : kept + 1]))
    assert found["c1, measured"].status == "changed"
    assert "report lacks" in found["c1, measured"].why


def test_measurements_that_are_all_taken_out_are_noticed(copy: Path) -> None:
    assert changed(copy, lambda said: said.pop("measured"))["c1, measured"].status == "changed"


def test_a_measurement_that_was_never_made_is_noticed(copy: Path) -> None:
    found = changed(copy, lambda said: said["measured"].append(said["measured"][0]))
    assert found["c1, measured"].why == "its binding is missing"


def test_a_measurement_that_says_more_than_it_gives_is_noticed(copy: Path) -> None:
    found = changed(copy, lambda said: said["measured"][1].update(status="REPRODUCED", verified=True))
    assert found["c1, measured"].why.startswith("UNTESTED: related measurement")


@pytest.mark.parametrize("name", ["study.json", "bindings.json"])
def test_a_measurement_without_what_it_was_made_from_is_untested(copy: Path, name: str) -> None:
    (copy / "bundle" / name).unlink()
    found = checked(copy)
    assert (found["c1, measured"].status, found[ro_crate.METADATA].status) == ("untested", "changed")


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7", b"nope", b"\x00" * 99])
def test_a_damaged_pdf_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "report.pdf"
    path.write_bytes(content)
    check = verify._check_pdf(path, {"claims": []})
    assert (check.status, check.why[:17]) == ("changed", "it cannot be read")


def test_a_pdf_that_is_cut_or_another_is_named(copy: Path) -> None:
    from xstilts.evidence.stub.print import text_to_pdf

    path = copy / "bundle/report.pdf"
    if not path.is_file():
        pytest.skip("the PDF needs the extra pdf")
    path.write_bytes(path.read_bytes()[:999])
    found = checked(copy)
    assert (found["report.pdf"].status, found[ro_crate.METADATA].status) == ("changed", "changed")
    path.write_bytes(text_to_pdf("Another report."))
    assert verify._check_pdf(path, {"claims": [{"name": "c1", "text": "A."}]}).why == "it lacks c1"


@pytest.mark.parametrize(
    "content", ["nope", "{}", "[]", '{"@graph": 5}', '{"@graph": [5]}', '{"@graph": []}', "[" * 100_000, "\ufeff"]
)
def test_damaged_metadata_are_named(tmp_path: Path, content: str) -> None:
    (tmp_path / ro_crate.METADATA).write_text(content)
    assert verify._check_metadata(tmp_path).status == "changed"


def test_metadata_that_are_gone_are_untested(copy: Path) -> None:
    (copy / "bundle" / ro_crate.METADATA).unlink()
    assert {name: one.status for name, one in checked(copy).items()} == {ro_crate.METADATA: "untested"}


def test_views_that_say_something_else_or_are_gone_are_named(copy: Path) -> None:
    views = [copy / "bundle" / name for name in bundle.VIEWS]
    for path in views:
        path.write_text(path.read_text(encoding="utf-8").replace("MNLI", "QNLI", 1))
    assert {name: one.status for name, one in checked(copy).items()} == dict.fromkeys(
        (*bundle.VIEWS, ro_crate.METADATA), "changed"
    )
    for path in views:
        path.unlink()
    found = checked(copy)
    assert {found[name].status for name in bundle.VIEWS} == {"untested"}
