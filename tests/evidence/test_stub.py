"""The stub: works that nobody can take for real, on both sides of five questions, and a server anyone can start."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest
from five import QUESTIONS

from xstilts.evidence.search.client import Client, RetryPolicy
from xstilts.evidence.search.corpus import Corpus, gather
from xstilts.evidence.search.hosts import configured_hosts
from xstilts.evidence.stub import __main__ as command
from xstilts.evidence.stub.server import SOURCES, serving
from xstilts.evidence.stub.works import FictionalWork, works

HEADER = {"title", "authors", "year", "venue", "arxiv", "doi", "acl", "in", "citations", "print", "retracted"}
# For each question, works whose results speak for an effect, and works whose results speak against one.
SIDES = {
    "cost": (["2313.00070"], ["2313.00074"]),
    "batch": (["2213.00014", "2113.00003"], ["2313.00021"]),
    "languages": (["2313.00080"], ["2413.00082", "2113.00084"]),
    "layers": (["2213.00031"], ["2313.00040", "2313.00044"]),
    "size": (["2213.00060", "2313.00063"], ["2413.00065"]),
}


@pytest.fixture(params=sorted(works()))
def work(request: pytest.FixtureRequest) -> FictionalWork:
    return works()[request.param]


def test_no_work_can_be_taken_for_a_real_one(work: FictionalWork) -> None:
    doi, arxiv, acl = (work.header.get(kind, "") for kind in ("doi", "arxiv", "acl"))
    assert doi.startswith(("10.5555/stub.", "10.48550/arXiv.")) or not doi
    assert not arxiv or int(arxiv[2:4]) == 13
    assert "10.48550" not in doi or "2313." in doi
    assert not acl or ".stub-" in acl


def test_a_header_has_only_what_is_read(work: FictionalWork) -> None:
    assert {name.split(" ")[-1] for name in work.header} <= HEADER | {"version"}
    assert set(work.header["in"].split()) <= set(SOURCES)
    for source, kind in (("arxiv", "arxiv"), ("crossref", "doi"), ("acl", "acl")):
        assert not work.held_by(source) or kind in work.header
    assert all(re.fullmatch(r"\d{4}", work.field(source, "year")) for source in SOURCES)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Corpus]:
    with serving() as stub:
        client = Client(tmp_path_factory.mktemp("replies"), stub.hosts(), RetryPolicy(first_wait=0.0))
        return {question: gather(client, *asked) for question, asked in QUESTIONS.items()}


@pytest.mark.parametrize("question", QUESTIONS)
def test_each_question_finds_both_sides(question: str, found: dict[str, Corpus]) -> None:
    taken = {work.ids.arxiv for work in found[question].included}
    for side in SIDES[question]:
        assert set(side) <= taken
    assert found[question].failures == ()


def test_the_questions_find_different_works_and_leave_out_for_every_reason(found: dict[str, Corpus]) -> None:
    assert len({tuple(corpus.documents) for corpus in found.values()}) >= 4  # two ask about model size
    reasons = {
        row.reason.partition(" ")[0] for corpus in found.values() for row in corpus.screening if not row.included
    }
    assert reasons == {"off-topic:", "retracted", "no", "duplicate"}


def test_results_are_told_as_papers_tell_them() -> None:
    texts = " ".join(work.abstract for work in works().values())
    for shape in (
        "respectively",
        "Neither",
        "consistently outperform",
        "up to",
        "development set",
        "test set",
        "seeds",
    ):
        assert shape in texts
    for shape in (r"from \d+\.\d to \d+\.\d", r"95 % interval", r"not significant", r"compared to", r"F1", r"mAP@20"):
        assert re.search(shape, texts)


def test_the_stub_is_started_from_the_command_line() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "xstilts.evidence.stub", "--port", "0", "--fault", "s2=busy"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        assert process.stdout is not None
        told = [process.stdout.readline().removeprefix("export ").strip() for _ in SOURCES]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
    hosts = configured_hosts(dict(line.split("=", 1) for line in told))
    assert {hosts[name].url.rpartition("/")[2] for name in SOURCES} == set(SOURCES)
    assert process.returncode == 0


@pytest.mark.parametrize("fault", ["pubmed=busy", "s2=tired", "s2"])
def test_a_fault_that_is_none_is_refused(fault: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--fault", fault])
    assert "kinds are busy" in capsys.readouterr().err
