"""Works: one spelling of ids, one work of many records in any order, every source's word kept, differences told."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xstilts.evidence.search.identifiers import WorkIds, parse_ids
from xstilts.evidence.search.work import Work, fold_text, merge_works, work_from_record

DOI = "10.5555/stub.1"


def record(source: str, known: WorkIds, title: str = "On tasks", year: int = 2020, first: str = "Ada Ng") -> Work:
    return work_from_record(
        source, known, title=title, authors=[first, "Bo Li"], year=year, abstract=f"As {source} has it."
    )


@pytest.mark.parametrize(
    ("raw", "best"),
    [
        ({"doi": "https://doi.org/10.5555/ABC.1"}, "doi:10.5555/abc.1"),
        ({"doi": "10.48550/arXiv.2113.00001"}, "arxiv:2113.00001"),
        ({"arxiv": "http://arxiv.org/abs/2113.00001v12"}, "arxiv:2113.00001"),
        ({"arxiv": "http://arxiv.org/abs/cs/0501001v1"}, "arxiv:cs/0501001"),
        ({"arxiv": "arXiv:cmp-lg/9404001"}, "arxiv:cmp-lg/9404001"),
        ({"acl": "https://aclanthology.org/2021.stub-main.1/"}, "acl:2021.stub-main.1"),
        ({"acl": "https://aclanthology.org/P19-1001.pdf"}, "acl:P19-1001"),
        ({"openalex": "https://openalex.org/W123"}, "openalex:W123"),
        ({"doi": "10.1234/\ud800abc"}, ""),
        ({"doi": "10.1234/abc\ud800"}, "doi:10.1234/abc"),
        ({"doi": None, "arxiv": 5, "acl": "no id", "s2": "short"}, ""),
    ],
)
def test_an_id_has_one_spelling(raw: dict[str, object], best: str) -> None:
    assert parse_ids(**raw).primary == best


@pytest.mark.parametrize(("doi", "acl"), [("2020.aacl-main.56", "2020.aacl-main.56"), ("p19-1001", "P19-1001")])
def test_a_doi_of_the_acl_holds_the_anthologys_id(doi: str, acl: str) -> None:
    assert parse_ids(doi=f"10.18653/v1/{doi}").acl == acl


def test_ids_survive_their_own_spelling() -> None:
    known = parse_ids("10.18653/V1/P19-1001", "2113.00001v2", "", "a" * 40, "W12")
    assert parse_ids(known.doi, known.arxiv, known.acl, known.s2, known.openalex) == known
    assert [name.partition(":")[0] for name in known.prefixed()] == ["doi", "arxiv", "acl", "s2", "openalex"]


def test_records_that_share_any_id_are_one_work() -> None:
    found = [
        record("s2", parse_ids(doi=DOI, arxiv="2113.00001"), "A"),
        record("crossref", parse_ids(doi=DOI), "B"),
        record("arxiv", parse_ids(arxiv="2113.00001v2"), "C"),
        record("acl", parse_ids(arxiv="2113.00001", acl="2021.stub-main.1"), "D"),
        record("openalex", parse_ids(acl="2021.stub-main.1"), "E"),
    ]
    (work,) = merge_works(found)
    assert work.id == f"doi:{DOI}"
    assert (work.ids.arxiv, work.ids.acl) == ("2113.00001", "2021.stub-main.1")
    assert sorted(work.sources) == ["acl", "arxiv", "crossref", "openalex", "s2"]


def test_without_an_id_in_common_title_authors_and_time_decide() -> None:
    preprint = record("arxiv", parse_ids(arxiv="2113.00001"), "On  Tasks: a Study", first="Ada Ng")
    published = record("crossref", parse_ids(doi=DOI), "On tasks – A study", first="Ng, A.")
    assert [work.id for work in merge_works([preprint, published])] == [f"doi:{DOI}"]
    for other in (
        record("crossref", parse_ids(doi=DOI), "On tasks: a study", year=2026),
        record("crossref", parse_ids(doi=DOI), "On tasks: a study", first="Cy Ng-Li"),
        record("crossref", parse_ids(doi=DOI, arxiv="2113.00009"), "On tasks: a study"),
    ):
        assert len(merge_works([preprint, other])) == 2


@pytest.mark.parametrize(
    ("title", "authors", "year", "one"),
    [
        ("On tasks: a study", ["Ng, A.", "Li, B."], 2022, True),  # published two years later
        ("On tasks: a study", ["Li, Bo", "Ng, Ada"], 2021, True),  # authors in another order
        ("On tasks: a study", ["Ng Ada", "Li Bo", "Cy Wu"], 2021, True),  # one more, families first
        ("RETRACTED: On tasks: a study", ["Ng, A."], 2021, True),
        ("On tasks: a study", ["Ng, A.", "Li, B."], 2025, False),  # too late
        ("On tasks: a study", ["Wu, C.", "Li, B."], 2021, False),  # half of the authors
        ("On tasks: a second study", ["Ng, A.", "Li, B."], 2021, False),
        ("On tasks: a study", [], 2021, False),
    ],
)
def test_a_preprint_and_its_publication_are_one_work(title: str, authors: list[str], year: int, one: bool) -> None:
    preprint = record("arxiv", parse_ids(arxiv="2113.00001"), "On tasks: a study")
    published = work_from_record("crossref", parse_ids(doi=DOI), title=title, authors=authors, year=year)
    assert (len(merge_works([preprint, published])) == 1) is one
    for ids in (parse_ids(acl="2021.stub-main.1"), parse_ids(doi="10.5555/stub.9")):
        other = work_from_record("crossref", parse_ids(doi=DOI), title=title, authors=authors, year=year)
        if year != 2020:
            assert len(merge_works([record("s2", ids, "On tasks: a study"), other])) == 2


def test_a_relation_that_a_publisher_gives_joins_works_of_different_titles() -> None:
    preprint = record("s2", parse_ids(doi="10.5555/pre.1"), "Do tasks help?", 2018)
    published = work_from_record(
        "crossref", parse_ids(doi=DOI), title="On tasks", year=2023, same_as=["doi:10.5555/pre.1"]
    )
    (work,) = merge_works([preprint, published])
    assert {work.id for work in merge_works([published, preprint])} == {work.id}
    assert set(work.sources) == {"s2", "crossref"}


@settings(deadline=None, max_examples=40)
@given(st.permutations(range(6)), st.lists(st.integers(0, 5), max_size=4))
def test_the_order_and_repetition_of_what_was_found_change_nothing(order: list[int], again: list[int]) -> None:
    found = [
        record("s2", parse_ids(arxiv="2113.00001"), "A", 2020),
        record("arxiv", parse_ids(arxiv="2113.00001v3", doi=DOI), "A!", 2020),
        record("crossref", parse_ids(doi=DOI), "A", 2021),
        record("s2", parse_ids(doi="10.5555/stub.2", s2="b" * 40), "A", 2022),
        record("openalex", parse_ids(openalex="W1"), "A", 2022),
        record("folder", parse_ids(), "Z", 2020),
    ]
    assert merge_works([found[n] for n in (*order, *again)]) == merge_works(found)
    assert len(merge_works(found)) == 3


def test_what_each_source_said_stays() -> None:
    said = [record("crossref", parse_ids(doi=DOI), "Title", 2021), record("arxiv", parse_ids(doi=DOI), "Title", 2020)]
    (work,) = merge_works([*said, record("crossref", parse_ids(doi=DOI), "Another title", 2021)])
    assert set(work.sources) == {"crossref", "crossref 2", "arxiv"}
    assert [work.sources["arxiv"][what] for what in ("title", "year", "doi")] == ["Title", 2020, DOI]
    assert work.year == 2021  # of the publisher
    assert work.abstract == "As arxiv has it."  # of those who hold it as written


def test_differences_are_told_with_who_said_what() -> None:
    (work,) = merge_works(
        [
            record("crossref", parse_ids(doi=DOI), "On Tasks", 2021),
            record("arxiv", parse_ids(doi=DOI), "on tasks.", 2020),
            record("s2", parse_ids(doi=DOI), "Under tasks", 2020, first="Ada Wu"),
        ]
    )
    year, title, authors = work.disagreements
    assert year == "year: 2021 (crossref), 2020 (s2, arxiv)"
    assert title == "title: On Tasks (crossref, arxiv), Under tasks (s2)"
    assert authors.startswith("authors: Ng, Ada; Li, Bo (crossref, arxiv), Wu, Ada;")
    (agreed,) = merge_works([record("crossref", parse_ids(doi=DOI)), record("arxiv", parse_ids(doi=DOI))])
    assert agreed.disagreements == ()


def test_one_source_that_says_retracted_is_enough() -> None:
    notice = work_from_record("openalex", parse_ids(doi=DOI), title="On tasks", retracted=True)
    (work,) = merge_works([record("s2", parse_ids(doi=DOI)), notice])
    assert work.retracted
    assert work_from_record("crossref", parse_ids(doi=DOI), title="RETRACTED: On tasks").retracted
    assert not record("s2", parse_ids(doi=DOI)).retracted


@pytest.mark.parametrize(
    ("name", "turned"),
    [
        ("Ada Lovelace", "Lovelace, Ada"),
        ("Lovelace, Ada", "Lovelace, Ada"),
        ("Pelle van der Maas", "van der Maas, Pelle"),
        ("Maria del Carmen Ruiz", "Ruiz, Maria del Carmen"),
        ("高瀬みどり", "高瀬みどり"),
        ("Plato", "Plato"),
    ],
)
def test_names_begin_with_the_family(name: str, turned: str) -> None:
    assert work_from_record("s2", parse_ids(), title="T", authors=[name]).authors == (turned,)


def test_what_has_the_wrong_type_or_shape_is_left_out() -> None:
    work = work_from_record(
        "s2", parse_ids(), title="A\x00 b\n c", authors=[None, 3, ""], year="MMXX", url="javascript:alert(1)"
    )
    assert (work.title, work.authors, work.year, work.url) == ("A b c", (), None, "")
    assert work.id.startswith("title:")


@pytest.mark.parametrize("authors", [5, "Doe, Jane", {"Doe": "Jane"}, True, None])
def test_authors_that_are_no_list_are_left_out(authors: object) -> None:
    assert work_from_record("folder", parse_ids(), title="T", authors=authors).authors == ()


@pytest.mark.parametrize("title", ["中間タスク学習", "أثر التدريب", "मध्यवर्ती कार्य"])
def test_titles_of_any_script_can_be_compared(title: str) -> None:
    assert fold_text(title)
    assert fold_text(f" {title}! ") == fold_text(title)
