"""Sources: each finds and reads works through the same two functions, and no reply can break them."""

from __future__ import annotations

import gzip
import json
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quick import covering, first
from xstilts.errors import InputError
from xstilts.evidence.retrieval import corpus_files
from xstilts.evidence.retrieval.corpus_files import decompressed
from xstilts.evidence.search import corpus as corpora
from xstilts.evidence.search import markup, pdf_text
from xstilts.evidence.search.client import Client, RetryPolicy, _parse
from xstilts.evidence.search.http_requests import Request, RequestError
from xstilts.evidence.search.identifiers import parse_ids
from xstilts.evidence.search.sources import (
    acl,
    arxiv,
    crossref,
    folder,
    load_source,
    openalex,
    page_ranges,
    source_names,
)
from xstilts.evidence.search.work import Work, merge_works, single_line, work_from_record
from xstilts.evidence.stub import answers
from xstilts.evidence.stub.answers import StubRequest
from xstilts.evidence.stub.print import text_to_pdf
from xstilts.evidence.stub.server import BOMB, SOURCES, Fault, FaultKind, Stub, serving
from xstilts.evidence.stub.works import works

ONLINE = sorted(SOURCES)
QUERY = "intermediate-task training XTREME-R"
QUICK = RetryPolicy(max_attempts=2, first_wait=0.0, timeout=5.0)


@pytest.fixture
def stub() -> Iterator[Stub]:
    with serving() as served:
        yield served


@pytest.fixture
def client(stub: Stub, tmp_path: Path) -> Client:
    return Client(tmp_path / "replies", stub.hosts(), QUICK)


class Told:
    """A client to whom every source gives the same reply."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def fetch(self, asked: Request, parse: Callable[[bytes], Any]) -> Any:
        try:
            return _parse(parse, 200, self.body)
        except RequestError:
            return None

    fetch_once = fetch


# Every source.


def test_the_folder_is_the_list_of_sources() -> None:
    assert set(source_names()) == {*SOURCES, "folder"}
    with pytest.raises(InputError, match="did you mean 'openalex'"):
        load_source("open-alex")


@pytest.mark.parametrize("name", ONLINE)
def test_a_source_finds_works_as_they_are(client: Client, name: str) -> None:
    found = load_source(name).search(client, QUERY, 50)
    titles = {single_line(work.field(name, "title")): work for work in works().values() if work.held_by(name)}
    assert len(found) > 5
    for work in found:
        true = titles[work.title]
        assert (work.year, work.abstract) == (int(true.field(name, "year")), single_line(true.abstract))
        assert len(work.authors) == len(true.authors(name))
        assert list(work.sources) == [name]
        assert work.retracted == (name in ("openalex", "crossref") and "retracted" in true.header)


@pytest.mark.parametrize(("name", "limit"), covering(["arxiv", "s2", "openalex", "crossref"], [1, 3, 7, 50]))
def test_pages_give_what_one_page_gives(client: Client, monkeypatch: pytest.MonkeyPatch, name: str, limit: int) -> None:
    whole = load_source(name).search(client, QUERY, limit)
    monkeypatch.setattr(load_source(name), "PAGE_SIZE", 3)
    assert [work.id for work in load_source(name).search(client, QUERY, limit)] == [work.id for work in whole]
    assert len(whole) <= limit


@pytest.mark.parametrize("limit", [0, 1, 99, 100, 101, 250])
def test_pages_ask_for_the_limit_in_all(limit: int) -> None:
    assert sum(size for _, size in page_ranges(limit, 100)) == limit


@pytest.mark.parametrize("name", first(2, ONLINE))
@pytest.mark.parametrize("kind", ["busy", "broken", "empty", "cut", "key", "nonsense", "doctype", "elsewhere"])
def test_a_source_that_fails_finds_nothing_and_says_so(client: Client, stub: Stub, name: str, kind: FaultKind) -> None:
    stub.faults[name] = Fault(kind)
    assert load_source(name).search(client, QUERY, 5) == []
    assert [(failure.source, bool(failure.reason)) for failure in client.failures] == [(name, True)]


@pytest.mark.parametrize(("name", "kind"), covering(ONLINE, ["busy", "broken", "empty", "cut", "nonsense"]))
def test_a_source_that_recovers_finds_everything(client: Client, stub: Stub, name: str, kind: FaultKind) -> None:
    stub.faults[name] = Fault(kind, times=1)
    assert len(load_source(name).search(client, QUERY, 50)) > 5
    assert client.failures == []


@pytest.mark.parametrize("name", ONLINE)
def test_missing_abstracts_are_empty(client: Client, stub: Stub, name: str) -> None:
    stub.faults[name] = Fault("null")
    assert {work.abstract for work in load_source(name).search(client, QUERY, 5)} <= {""}
    assert client.failures == []


@pytest.mark.parametrize("name", ["arxiv", "s2", "openalex", "crossref"])
def test_a_page_that_fails_keeps_those_before_it(
    client: Client, stub: Stub, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(load_source(name), "PAGE_SIZE", 3)
    first = load_source(name).search(client, QUERY, 3)
    stub.faults[name] = Fault("broken")
    found = load_source(name).search(client, QUERY, 9)
    assert len(first) == 3
    assert found == first
    assert len(client.failures) == 1


# Hostile replies.

SEARCHED = {
    "s2": ("/graph/v1/paper/search", {"query": QUERY, "limit": "3"}),
    "openalex": ("/works", {"search": QUERY, "per-page": "3"}),
    "crossref": ("/works", {"query": QUERY, "rows": "3"}),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def changed(value: Any, draw: random.Random, new: Any) -> Any:
    """Return JSON with one piece, anywhere in it, replaced."""
    if not isinstance(value, dict | list) or not value or draw.random() < 0.1:
        return new
    place = draw.choice(sorted(value) if isinstance(value, dict) else range(len(value)))
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[place] = changed(value[place], draw, new)
    return copy


@pytest.mark.parametrize("name", sorted(SEARCHED))
@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), new=JSON)
def test_no_json_breaks_a_source(name: str, seed: int, new: Any) -> None:
    _, body = SOURCES[name](StubRequest(*SEARCHED[name]))
    client: Any = Told(json.dumps(changed(json.loads(body), random.Random(seed), new)).encode())
    assert all(isinstance(work, Work) for work in load_source(name).search(client, QUERY, 3))


@pytest.mark.parametrize("name", ONLINE)
@settings(deadline=None, max_examples=40)
@given(body=st.binary(max_size=40))
def test_no_bytes_break_a_source(name: str, body: bytes) -> None:
    client: Any = Told(body)
    assert load_source(name).search(client, QUERY, 3) == []
    assert (
        load_source(name).text(
            client, work_from_record("s2", parse_ids(arxiv="2113.00001", acl="2021.stub-main.1"), title="T")
        )
        is None
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_xml_with_a_document_type_is_refused_unread(encoding: str) -> None:
    body = BOMB.decode().replace("?>", f' encoding="{encoding}"?>', 1).encode(encoding)
    with pytest.raises(RequestError, match="document type"):
        markup.parse_xml(body)
    assert markup.parse_xml(b"<a>&lt;&#65;</a>").text == "<A"


# One by one.


def test_a_query_for_arxiv_is_words_and_nothing_else(client: Client) -> None:
    assert (
        arxiv.arxiv_query('ti:"x" OR (batch) ANDNOT y')
        == "all:ti AND all:x AND all:OR AND all:batch AND all:ANDNOT AND all:y"
    )
    assert arxiv.search(client, "?!", 5) == []


def test_an_error_told_as_an_entry_is_a_failure() -> None:
    body = f"{answers.ATOM}<entry><title>Error</title><summary>bad</summary></entry></feed>".encode()
    with pytest.raises(RequestError, match="refused"):
        arxiv._page(body)


def test_versions_of_a_preprint_are_one_work(client: Client) -> None:
    work = next(one for one in arxiv.search(client, QUERY, 50) if one.ids.arxiv == "2013.00001")
    assert (work.ids.arxiv, work.sources["arxiv"]["version"]) == ("2013.00001", "3")


def test_a_withdrawn_preprint_is_retracted() -> None:
    entry = (
        "<entry><id>http://arxiv.org/abs/2113.00001v2</id><title>T</title>"
        "<arxiv:comment>This paper has been withdrawn by its author</arxiv:comment></entry>"
    )
    (work,) = arxiv._page(f"{answers.ATOM}{entry}</feed>".encode()).works
    assert work.retracted


def test_abstracts_in_markup_and_in_pieces_become_text() -> None:
    assert markup.strip_tags(
        "<jats:title>Abstract</jats:title><jats:p>A &lt; B, <jats:italic>p</jats:italic>.</jats:p>"
    )
    assert "A < B" in markup.strip_tags("<p>A &lt; B</p>")
    assert markup.from_inverted_index({"is": [1, 4], "it": [0, 3], "that": [2]}) == "it is that it is"
    assert markup.from_inverted_index({"x": [10**12]}) == "x"
    assert markup.from_inverted_index(None) == ""


CROSSREF = {
    "DOI": "10.5555/Own.1",
    "title": ["Bigger <i>m</i><scp>bert</scp> &amp;amp; batches<sup>*</sup>"],
    "subtitle": ["A study of H<sub>2</sub>O"],
    "author": [{"family": "O&amp;apos;Neil", "given": "Áine", "sequence": "first"}, {"name": "The Group"}],
    "issued": {"date-parts": [[2021, 3]]},
    "container-title": ["Tasks &amp; Languages"],
    "abstract": "<jats:title>Abstract</jats:title><jats:sec><jats:title>Results</jats:title><jats:p>A rate of 10<jats:sup>"
    "−3</jats:sup> helps <jats:italic>all</jats:italic> <jats:inline-formula><jats:tex-math>$x$</jats:tex-math></jats:inline-"
    "formula>models.</jats:p></jats:sec>",
    "relation": {"has-preprint": [{"id-type": "doi", "id": "10.48550/arXiv.2113.00007", "asserted-by": "subject"}]},
}


def test_crossrefs_subtitles_markup_and_relations_are_read() -> None:
    work = crossref._work(CROSSREF)
    assert work is not None
    assert work.title == "Bigger mbert & batches^*: A study of H₂O"
    assert work.abstract == "Results: A rate of 10⁻³ helps all models."
    assert (work.venue, work.ids.arxiv, work.ids.doi) == ("Tasks & Languages", "2113.00007", "10.5555/own.1")
    preprint = work_from_record("arxiv", parse_ids(arxiv="2113.00007"), title="Do batches help?", authors=["B. Ng"])
    assert len(merge_works([work, preprint])) == 1


@pytest.mark.parametrize(
    ("title", "subtitle", "shown"),
    [
        ("On tasks", "A study", "On tasks: A study"),
        ("On tasks:", "A study", "On tasks: A study"),
        ("Why tasks?", "A study", "Why tasks? A study"),
        ("On tasks: a study", "A study", "On tasks: a study"),
    ],
)
def test_a_subtitle_follows_its_title_once(title: str, subtitle: str, shown: str) -> None:
    work = crossref._work({"title": [title], "subtitle": [subtitle]})
    assert work is not None
    assert work.title == shown


@pytest.mark.parametrize("what", ["relation", "subtitle", "update-to", "updated-by", "author"])
@pytest.mark.parametrize("value", [None, [], {}, [None], {"has-preprint": [None]}, {"has-preprint": None}])
def test_fields_of_crossref_that_are_empty_break_nothing(what: str, value: Any) -> None:
    assert crossref._work({"title": ["T"], what: value}) is not None


def test_typesetting_in_titles_of_indexes_is_taken_off_and_other_tags_stay() -> None:
    item = {
        "display_name": "<i>m</i>BERT &amp; 10<sup>2</sup> tasks",
        "locations": [{"landing_page_url": "https://arxiv.org/abs/2113.00008"}],
    }
    work = openalex._work(item)
    assert work is not None
    assert (work.title, work.ids.arxiv) == ("mBERT & 10² tasks", "2113.00008")
    assert markup.plain_text("<jats:p>A <script> of &lt;b&gt;</jats:p>") == "A <script> of <b>"
    assert markup.strip_tags("x &amp;lt; y") == "x < y"


def test_the_anthologys_file_may_be_packed_or_not_and_is_asked_for_once(client: Client, stub: Stub) -> None:
    for query in ("layer-wise fine-tuning", "batch size"):
        assert acl.search(client, query, 5)
    assert stub.requests == ["acl /anthology+abstracts.bib.gz"]
    _, packed = answers.acl(StubRequest(acl.DUMP, {}))
    assert decompressed(gzip.decompress(packed)) == decompressed(packed)


def test_the_anthologys_best_work_holds_most_of_the_words(client: Client) -> None:
    found = acl.search(client, "batch size intermediate-task XTREME-R", 3)
    assert found[0].title.startswith("Large Batches in Intermediate-Task")


def test_an_anthology_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_files, "MAX_BYTES", 1000)
    with pytest.raises(RequestError, match="decompresses to more than 1,000"):
        acl._check(gzip.compress(b"@misc{a, b={c}}" + b" " * 10_000))


@pytest.mark.parametrize("name", ["s2", "openalex", "crossref"])
def test_indexes_hold_no_texts(client: Client, name: str) -> None:
    assert load_source(name).text(client, load_source(name).search(client, QUERY, 1)[0]) is None


# Texts.


@pytest.mark.parametrize("name", ["arxiv", "acl"])
def test_a_full_text_is_the_pdfs(client: Client, name: str) -> None:
    found = {work.id: work for work in load_source("s2").search(client, QUERY, 50)}
    work = found["doi:10.5555/stub.2020.1"]
    text = load_source(name).text(client, work)
    assert text is not None
    assert "The ANLI+ intermediate task contains 1,104,934 training examples" in " ".join(text.split())
    bare = found["doi:10.5555/stub.2021.84"]
    assert load_source(name).text(client, bare) is None
    assert client.failures == []


@pytest.mark.parametrize("work", ["japanese", "arabic", "hindi"])
def test_every_script_survives_a_pdf(work: str) -> None:
    title = works()[work].header["title"]
    text = pdf_text.extract_text(text_to_pdf(f"{title}\n{works()[work].abstract}"))
    assert text is not None
    assert set(title) - {" "} <= set(text)


def test_a_pdf_is_printed_in_lines_pages_and_hyphens() -> None:
    said = " ".join(f"sentence{n}: an efficiently fine-tuned affiliation" for n in range(200))
    content = text_to_pdf(said, ligatures=True)
    text = pdf_text.extract_text(content)
    assert text is not None
    assert b"<FB03>" in content  # the ligature ffi
    assert "\f" in text
    assert max(map(len, text.splitlines())) <= 73
    assert any(line.rstrip().endswith("-") for line in text.splitlines())
    assert text.split("\f")[0].rstrip().endswith("1")


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 30))
def test_no_file_breaks_the_reader_of_pdfs(seed: int, count: int) -> None:
    content, draw = bytearray(text_to_pdf("Some text.\nMore of it.")), random.Random(seed)
    for _ in range(count):
        content[draw.randrange(8, len(content))] = draw.randrange(256)
    text = pdf_text.extract_text(bytes(content[: draw.randrange(len(content))] if seed % 3 == 0 else content))
    assert text is None or "\x00" not in text


def test_a_pdf_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    content = text_to_pdf("Text.")
    assert pdf_text.extract_text(content)
    monkeypatch.setattr(pdf_text, "MAX_BYTES", 10)
    assert pdf_text.extract_text(content) is None


# A folder of one's own.


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    place = tmp_path / "own"
    place.mkdir()
    (place / "a.pdf").write_bytes(text_to_pdf("Batches of one's own\nLarger batches cost memory."))
    (place / "b.txt").write_text("# Layers\nFreezing layers saves memory.\n", encoding="utf-8")
    told = {"title": "On Layers", "authors": ["Ada Ng"], "year": 2020, "doi": "10.5555/own.1", "abstract": "Frozen."}
    (place / "b.json").write_text(json.dumps(told), encoding="utf-8")
    (place / ".hidden.txt").write_text("memory", encoding="utf-8")
    (place / "broken.pdf").write_bytes(b"%PDF-1.7 memory")
    (tmp_path / "secret.txt").write_text("Our memory", encoding="utf-8")
    (place / "link.txt").symlink_to(tmp_path / "secret.txt")
    monkeypatch.setenv("XSTILTS_FOLDER", str(place))
    return Client(tmp_path / "replies", offline=True)


def test_a_folder_is_searched_and_its_files_are_on_record(own: Client) -> None:
    found = folder.search(own, "memory", 5)
    assert [(work.id[:5], work.title) for work in found] == [("file:", "Batches of one's own"), ("doi:1", "On Layers")]
    assert found[1].authors == ("Ng, Ada",)
    assert [request.path for request in own.requests] == ["a.pdf", "b.txt", "broken.pdf"]
    folder.search(own, "layers", 5)
    assert [one.reason for one in own.failures] == ["broken.pdf has no readable text"]
    assert [folder.text(own, work) for work in found][1] == "# Layers\nFreezing layers saves memory.\n"


@pytest.mark.parametrize(
    ("text", "title", "abstract", "opens"),
    [
        ("One line\n\nIt is so. And", "One line", "", "One line\n\nIt is so. And"),
        ("On fine-\ntuning\nA. Ng\nAbstract\nIt is so.\n1 Introduction\nNo.", "On fine-tuning", "It is so.", ""),
        ("Abstract\nIt is so.", "", "It is so.", ""),
        ("Our abstract is here.\nIt is so.", "Our abstract is here.", "", "Our abstract is here.\nIt is so."),
        ("Abstract\nno sentence", "", "", "Abstract\nno sentence"),
        ("", "", "", ""),
    ],
)
def test_title_and_abstract_are_those_that_a_text_says_are(text: str, title: str, abstract: str, opens: str) -> None:
    assert folder.split_opening(text) == (title, abstract, opens)


def test_an_opening_is_no_longer_than_an_abstract_and_is_known_of_the_file(own: Client) -> None:
    assert len(folder.split_opening("It is so. " * 1000)[2]) <= folder.MAX_ABSTRACT_CHARACTERS
    found = {work.sources["folder"]["file"]: work for work in folder.search(own, "memory", 5)}
    assert found["a.pdf"].abstract == ""
    assert str(found["a.pdf"].sources["folder"]["opening"]).startswith("Batches of one's own")


def test_a_file_that_changed_is_not_the_one_that_was_found(own: Client) -> None:
    (work,) = folder.search(own, "freezing layers", 5)
    path = Path(own.hosts["folder"].url) / "b.txt"
    path.write_text(path.read_text() + "More.", encoding="utf-8")
    assert folder.text(own, work) is None


@pytest.mark.parametrize("name", [b"M\xfcller.txt", "two\u2028lines.txt".encode(), b"new\nline.txt"])
def test_a_file_may_be_named_as_it_will(own: Client, tmp_path: Path, name: bytes) -> None:
    place = Path(own.hosts["folder"].url)
    try:
        (place / os.fsdecode(name)).write_text("A batch size of 7 improves accuracy on XNLI by 2.0 points.")
    except OSError:
        pytest.skip("this disk has no such names")
    found = corpora.gather(own, ["batch size"], [["batch size"]], ["folder"])
    corpora.save(found, tmp_path / "corpus")
    again = corpora.read(tmp_path / "corpus")
    assert again == found
    assert [work.title for work in again.works] != []
    work = next(one for one in folder.search(own, "batch size accuracy", 5) if "7" in (folder.text(own, one) or ""))
    assert work.sources["folder"]["file"].encode()


@pytest.mark.parametrize(
    "told", ['{"authors": 5}', '{"authors": "Doe, Jane"}', '{"doi": "10.1234/\\ud800abc"}', "[" * 200_000, "[]", "{"]
)
def test_what_is_said_of_a_file_breaks_nothing(own: Client, tmp_path: Path, told: str) -> None:
    place = Path(own.hosts["folder"].url)
    (place / "b.json").write_text(told)
    (work,) = folder.search(own, "freezing layers", 5)
    assert (work.authors, work.title) == ((), "Layers")
    assert work.id.encode()


def test_a_work_of_another_source_has_no_file(own: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    other = work_from_record("s2", parse_ids(), title="T")
    assert folder.text(own, other) is None
    own.hosts["folder"] = replace(own.hosts["folder"], url="no-such-folder")
    assert folder.text(own, other) is None


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252"])
def test_a_text_in_a_usual_encoding_is_read(own: Client, encoding: str) -> None:
    said = "Größere Batches kosten naïve Modelle memory – so “it” is.\n"
    (Path(own.hosts["folder"].url) / "b.txt").write_bytes(said.encode(encoding))
    (work,) = (work for work in folder.search(own, "memory", 5) if work.sources["folder"]["file"] == "b.txt")
    assert folder.text(own, work) == said


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("koi8-r", "Размер пакета не важен."),
        ("cp1251", "Размер пакета не важен."),
        ("shift_jis", "バッチの大きさは重要ではない。"),
        ("gb18030", "批量大小并不重要。"),
    ],
)
def test_a_text_in_an_unknown_encoding_is_named_and_not_guessed(own: Client, encoding: str, said: str) -> None:
    (Path(own.hosts["folder"].url) / "b.txt").write_bytes(f"On memory\n{said}".encode(encoding))
    folder.search(own, "memory", 5)
    assert "b.txt is in an unknown encoding and was not read; save it as UTF-8" in [one.reason for one in own.failures]


def test_a_folder_that_is_not_there_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XSTILTS_FOLDER", str(tmp_path / "gone"))
    client = Client(tmp_path)
    assert folder.search(client, "memory", 5) == []
    assert "XSTILTS_FOLDER" in client.failures[0].reason
