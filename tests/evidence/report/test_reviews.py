"""Reviews: what does not apply counts for nothing, what is unsound or unanswered caps the score."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from small_corpus import DENIED, QUESTION, SAID, told

from xstilts.evidence.report import bundle, review
from xstilts.evidence.report.reviewers import Check, ReviewInput, candour, check_each
from xstilts.evidence.report.to_json import synthesis_to_json
from xstilts.evidence.search.identifiers import WorkIds

BY_CONSTRUCTION = "Does a larger batch size change inference efficiency?"


def panel(question: str, *texts: str, **changes: Any) -> dict[str, Any]:
    found = told(question, *texts)
    return review.review_panel(synthesis_to_json(found) | changes, found.corpus)


def test_a_check_of_nothing_is_not_applicable_and_counts_for_nothing() -> None:
    empty = check_each("nothing", [])
    assert (empty.share, empty.failed, empty.is_defect) == (None, False, False)
    half = Check("half", 1, 2)
    assert review.score([half, empty]) == review.score([half]) == 5.0
    assert review.score([empty]) is None


def test_a_check_below_its_floor_is_a_defect() -> None:
    assert not Check("half", 1, 2).is_defect
    assert not Check("half", 1, 2, floor=0.5).is_defect
    assert Check("half", 1, 2, floor=0.6).is_defect


@pytest.mark.parametrize("texts", [(), ("Cats sleep.",)])
def test_a_report_of_nothing_is_no_good_report(texts: tuple[str, ...]) -> None:
    found = panel(QUESTION, *texts)
    assert not found["answered"]
    assert found["score"] <= review.MAX_UNANSWERED
    scores = {one["reviewer"]: one["score"] for one in found["reviews"]}
    assert scores["evidence"] is None
    assert None not in (found["low"], found["median"], found["high"])


@pytest.mark.parametrize("texts", [(), ("Cats sleep.",), (SAID, DENIED)])
def test_every_view_shows_reviews_of_what_there_is(texts: tuple[str, ...]) -> None:
    pypdf = pytest.importorskip("pypdf")
    pytest.importorskip("typst")
    synthesis = told(QUESTION, *texts)
    report = synthesis_to_json(synthesis)
    report |= {"reviews": review.review_panel(report, synthesis.corpus)}
    views = bundle.render_views(report, synthesis.corpus)
    printed = "".join(sheet.extract_text() for sheet in pypdf.PdfReader(io.BytesIO(views[bundle.PDF])).pages)
    assert ("not applicable" in printed) == (None in [one["score"] for one in report["reviews"]["reviews"]])
    assert ("not applicable" in views[bundle.MARKDOWN].decode()) >= ("not applicable" in printed)


def test_what_holds_by_construction_answers_nothing() -> None:
    found = panel(BY_CONSTRUCTION, "Cats sleep.")
    assert not found["answered"]
    assert found["score"] <= review.MAX_UNANSWERED
    assert "The question is not answered" in found["said"]


def test_a_sound_report_is_above_what_a_defect_allows() -> None:
    found = panel(QUESTION, SAID, DENIED)
    assert (found["answered"], found["defects"], found["refused"]) == (True, [], [])
    assert found["score"] == found["median"] > review.MAX_DEFECTIVE
    without = panel(QUESTION, SAID, DENIED, limits=[])
    assert without["score"] == review.MAX_DEFECTIVE
    assert without["defects"] == ["limits are listed: not listed"]
    assert "With a defect the score is at most 5" in without["said"]


@given(
    some.from_regex(r"10\.(5555|3384)/(stub|nejlt|x)[-.a-z0-9]{0,9}(\.20[0-9]{2}\.[0-9]{4,5})?", fullmatch=True),
    some.from_regex(r"[0-9]{4}\.[0-9]{4,5}|", fullmatch=True),
    some.from_regex(r"20[0-9]{2}\.(stub|nejlt|substub)-1\.[0-9]|", fullmatch=True),
)
def test_only_identifiers_of_no_real_work_are_taken_for_invented(doi: str, arxiv: str, acl: str) -> None:
    ids = WorkIds(doi=doi, arxiv=arxiv, acl=acl)
    report: Any = {"works": [{"key": "k", "ids": vars(ids)}]}
    assert [key for key, _ in candour._marked(ReviewInput(report, {}, {}))] == ["k"] * ids.invented


def test_own_words_that_no_facet_holds_are_missed() -> None:
    found = told(QUESTION, SAID)
    asked = QUESTION.replace("?", " of dyslexic readers?")
    reviews = review.review_panel(synthesis_to_json(found) | {"question": asked}, found.corpus)
    assert reviews["defects"] == ["every content word of the question is a term of it: not 'dyslexic', 'readers'"]
    assert panel(asked, SAID)["defects"] == []
