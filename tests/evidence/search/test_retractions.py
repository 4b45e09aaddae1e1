"""Retractions: the forms of publishers, preprints and notices are heard, words that only sound like them are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from xstilts.errors import InputError
from xstilts.evidence.search.client import Client
from xstilts.evidence.search.corpus import gather
from xstilts.evidence.search.identifiers import parse_ids
from xstilts.evidence.search.retractions import clean_title, notice_subject, read_table, says_text, says_title
from xstilts.evidence.search.sources import arxiv, crossref
from xstilts.evidence.search.work import merge_works, work_from_record
from xstilts.evidence.stub import answers
from xstilts.evidence.stub.server import serving

TITLE = "On the order of tasks"


@pytest.mark.parametrize(
    "form",
    [
        "RETRACTED: {}",
        "Retracted: {}",
        "[RETRACTED] {}",
        "(Retracted) {}",
        "RETRACTED ARTICLE: {}",
        "Retracted Paper: {}",
        "WITHDRAWN: {}",
        "Withdrawn - {}",
        "TEMPORARY REMOVAL: {}",
        "{} (Retracted)",
        "{} [Retracted Article]",
        "{} - RETRACTED",
        "{} (withdrawn).",
    ],
)
def test_a_marked_title_is_heard_and_its_mark_taken_off(form: str) -> None:
    title = form.format(TITLE)
    assert says_title(title)
    assert clean_title(title) == TITLE
    assert not notice_subject(title)
    assert work_from_record("crossref", parse_ids(), title=title).retracted


@pytest.mark.parametrize(
    "form",
    [
        "Retraction: {}",
        "Retraction Note: {}",
        "Retraction Note to: {}",
        "Retraction notice to “{}” [J. Tasks 12 (2020) 1–9]",
        'Retraction Notice: "{}"',
        "Notice of Retraction: {}",
        "Statement of Retraction: {}",
        "Editorial retraction: {}",
        "Retraction for Doe et al., {}",
        "Retraction of “{}”",
        "Withdrawal: {}",
        "Withdrawal notice: {}",
    ],
)
def test_a_notice_names_its_work(form: str) -> None:
    title = form.format(TITLE)
    assert (says_title(title), notice_subject(title)) == (True, TITLE)


@pytest.mark.parametrize(
    "title",
    [
        "Retracted gestures in signed narratives",
        "Retraction of the tongue root in vowel harmony",
        "Withdrawn children and their language",
        "Detecting citations of retracted articles",
        "On the withdrawal of consent in corpora",
        "Removed stop words and retrieval",
        "Who cites withdrawn work?",
        "",
    ],
)
def test_a_title_on_something_withdrawn_is_no_mark(title: str) -> None:
    assert not says_title(title)
    assert clean_title(title) == title


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("This paper has been withdrawn by the author due to an error in equation 5.", True),
        ("This submission has been withdrawn by arXiv administrators.", True),
        ("Withdrawn", True),
        ("withdrawn due to a flaw in the proof", True),
        ("Paper withdrawn: the data were wrong", True),
        ("12 pages. This article was retracted.", True),
        ("The authors have withdrawn this manuscript.", True),
        ("Withdrawn from a conference, to be extended", False),
        ("Corrects the proof; an earlier version was withdrawn", False),
        ("We classify papers that have been withdrawn. This paper has three parts.", False),
        ("Accepted. Withdrawn samples are left out.", False),
        ("", False),
    ],
)
def test_a_comment_or_an_abstract_says_it_of_itself(text: str, said: bool) -> None:
    assert says_text(text) is said
    assert work_from_record("arxiv", parse_ids(), title=TITLE, abstract=text).retracted is said
    entry = f"<entry><id>http://arxiv.org/abs/2113.00001v2</id><title>T</title><arxiv:comment>{text}</arxiv:comment></entry>"
    (work,) = arxiv._page(f"{answers.ATOM}{entry}</feed>".encode()).works
    assert work.retracted is said


def test_a_notice_is_heard_for_the_work_that_it_is_about() -> None:
    work = work_from_record("s2", parse_ids(doi="10.5555/own.1"), title=TITLE, authors=["A Doe"], year=2019)
    other = work_from_record("s2", parse_ids(doi="10.5555/own.2"), title="On other tasks", authors=["A Doe"], year=2019)
    by_title = work_from_record("s2", parse_ids(doi="10.5555/own.3"), title=f"Retraction Note: {TITLE}", year=2021)
    by_doi = crossref._work(
        {
            "DOI": "10.5555/own.4",
            "title": ["A note of the editors"],
            "update-to": [{"type": "retraction", "DOI": "10.5555/OWN.1", "label": "Retraction"}],
        }
    )
    assert by_doi is not None
    for notice in (by_title, by_doi):
        found = {one.id: one.retracted for one in merge_works([other, notice, work])}
        assert found == {work.id: True, notice.id: True, other.id: False}


TABLE = (
    "Record ID,Title,OriginalPaperDOI,RetractionDOI,RetractionNature,Reason\n"
    '1,"One, two",10.5555/OWN.1,10.5555/n.1,Retraction,+Error\n'
    "2,Three,10.5555/own.2,10.5555/n.2,Correction,+Error\n"
    "3,Four,10.5555/own.3,10.5555/n.3,Retraction,+Error\n"
    "4,Four,10.5555/own.3,10.5555/n.4,Reinstatement,\n"
    "5,Five,unavailable,,Retraction,\n"
    "6,Größe,10.5555/own.6,,Expression of concern,\n"
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_the_table_of_retraction_watch_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(TABLE.encode(encoding))
    assert read_table(path) == {"doi:10.5555/own.1"}


def test_a_file_that_is_no_such_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    with pytest.raises(InputError, match="cannot be read"):
        read_table(path)
    path.write_text("Title,DOI\n")
    with pytest.raises(InputError, match="lacks the columns"):
        read_table(path)


def test_a_work_of_the_table_is_left_out(tmp_path: Path) -> None:
    with serving() as stub:
        client = Client(tmp_path, stub.hosts())
        found = gather(client, ["fine-tuning layers"], [["layer"]], ["acl"], retracted=["doi:10.5555/stub.2022.31"])
    reasons = {row.work: row.reason for row in found.screening if not row.source}
    assert reasons.pop("doi:10.5555/stub.2022.31") == "retracted"
    assert reasons
    assert "retracted" not in reasons.values()
