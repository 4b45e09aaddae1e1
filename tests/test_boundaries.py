"""Boundaries: what comes from outside is refused in words, read whole or counted; what is written is whole or as before."""

from __future__ import annotations

import errno
import io
import json
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plain_store import put_training
from xstilts import cli
from xstilts.data.dataset import examples
from xstilts.data.readers import Input, Report, text_lines
from xstilts.data.readers.tar_members import matching
from xstilts.data.readers.xquad_r import sentence_at
from xstilts.data.record_file import Lines
from xstilts.errors import InputError, may_pass, refusing
from xstilts.evaluation.score_file import Reading, read_gold, read_predictions
from xstilts.evidence.text import documents
from xstilts.evidence.text.documents import Document
from xstilts.models.configs import Shape
from xstilts.runtime import disk_cache, whole_files
from xstilts.runtime.machine import Runtime
from xstilts.tasks.base import task

Ended = tuple[int, str, str]


def raising(error: BaseException) -> Callable[..., NoReturn]:
    def act(*_: object, **__: object) -> NoReturn:
        raise error

    return act


# The command line: one line on standard error, and a code that means something.


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyError("rows"), 70, r"error: unexpected KeyError: 'rows'; its traceback is in (\S+): please report it"),
        (MemoryError("Unable to allocate 7 TiB"), 1, r"error: not enough memory \(Unable to allocate 7 TiB\): make"),
        (RuntimeError("CUDA out of memory.\nTried 2 GiB"), 1, r"error: not enough memory \(CUDA out of memory. Tried"),
        (RuntimeError("Could not determine home directory."), 2, r"error: there is no home directory for the ~ of a path"),
        (InputError("a.csv:3: expected a label"), 2, r"error: a.csv:3: expected a label"),
        (OSError(errno.EIO, "Input/output error", "a.csv"), 1, r"error: \[Errno 5\] Input/output error: 'a.csv'"),
    ],
)  # fmt: skip
def test_an_error_is_one_line_and_a_code(
    call: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, said: str
) -> None:
    monkeypatch.setattr(cli, "app", raising(error))
    ended, out, err = call("tasks")
    assert (ended, out, err.count("\n")) == (code, "", 1)
    found = re.match(said, err)
    assert found
    if code == 70:
        path = Path(found[1])
        assert "in act" in path.read_text()
        path.unlink()


def test_a_file_that_ends_too_early_is_no_abortion(call: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xstilts.tasks.base.names", raising(EOFError("cut")))
    code, _, err = call("tasks")
    assert code != 0
    assert "Aborted" not in err
    assert err.startswith("error: ")


@pytest.mark.parametrize("name", ["threads", "workers", "processes"])
def test_numbers_that_no_machine_has_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} must be 1,024 at most"):
        Runtime(**{name: 10**12})


@pytest.mark.parametrize("wrong", [{"width": 10**18}, {"heads": 0}, {"layers": -1}, {"width": 10, "heads": 3}])
def test_shapes_that_no_encoder_has_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match=r"must be from 1 to|do not divide"):
        Shape(**wrong)  # type: ignore[arg-type]


ODD = ["", "[]", "null", "{", "[" * 5000, '{"key": 1}', '{"key": "a", "label": "b", "work": "c", "inputs": []}', "\xff"]


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_an_odd_manifest_keeps_no_other_stage_from_being_shown(
    call: Callable[..., Ended], tmp_path: Path, odd: str
) -> None:
    model = put_training(tmp_path, "mnli", 1)
    broken = tmp_path / f"train-odd-{'0' * 12}"
    broken.mkdir()
    (broken / "stage.json").write_text(odd, encoding="latin-1")
    for words in (("cost",), ("show", model), ("store", "list")):
        code, out, _ = call(*words, "--store", tmp_path)
        assert (words, code) == (words, 0)
        assert out


# Guards.


@pytest.mark.parametrize("error", [KeyError("a"), TypeError("b"), ZeroDivisionError(), RecursionError(), IndexError(1)])
def test_odd_content_is_one_refusal_with_its_place(error: Exception) -> None:
    places = iter("ab")
    with pytest.raises(InputError, match=rf"a: expected .* found {type(error).__name__}.*; mend it"), refusing(lambda: next(places), "mend it"):  # fmt: skip
        raise error


@pytest.mark.parametrize("error", [InputError("worded"), OSError(errno.EIO, "bad disk"), MemoryError()])
def test_what_says_nothing_of_the_content_passes_a_guard(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, refusing(lambda: "a", "mend it"):
        raise error
    assert caught.value is error


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES, errno.ENOSPC, errno.EMFILE])
def test_reading_errors_that_may_pass_are_no_damage(code: int) -> None:
    assert may_pass(OSError(code, "x"))
    assert may_pass(RuntimeError(f"Error while deserializing: I/O error (os error {code})"))
    assert not may_pass(OSError(errno.ENOENT, "x"))


# Whole files.


def test_a_failed_rewrite_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, written = tmp_path / "report.json", Path.write_bytes
    whole_files.write(path, "old")

    def half(self: Path, data: bytes) -> int:
        written(self, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="No space"):
        whole_files.write(path, "the new one")
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("report.json", "old")]


def test_a_link_and_what_is_no_file_are_written_to(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("old")
    (tmp_path / "link").symlink_to("there")
    whole_files.write(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there").read_text() == "new"
    whole_files.write(Path("/dev/null"), "gone")
    assert not Path("/dev/null").is_file()


def test_without_a_home_the_cache_lies_with_temporary_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", raising(RuntimeError("Could not determine home directory.")))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    assert disk_cache.user_folder() == tmp_path / "xstilts"


# Data files.


def counted(folder: Path, name: str, split: str, language: str) -> tuple[int, dict[str, int]]:
    report = Report()
    return len(list(examples(task(name).data(split, language, folder), folder, report))), report.counts


def test_rows_of_other_languages_and_splits_are_counted(tmp_path: Path) -> None:
    spoken = ["swahili", "swahili", "english", "swahilj", "telugu", "sw", "swahili"]
    asked = [
        {"id": f"{code}-{n}", "question": "Q?", "answers": [{"text": "abc", "answer_start": 0}]}
        for n, code in enumerate(spoken)
    ]
    path = tmp_path / "tydiqa" / "tydiqa-goldp-v1.1-dev.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": "abc def.", "qas": asked}]}]}))
    found, counts = counted(tmp_path, "tydiqa", "test", "sw")
    assert found == 4
    assert counts == {"noted: not in 'sw'": 2, 'dropped: unknown language "swahilj"': 1}
    assert found + sum(counts.values()) == len(spoken)


def archive(path: Path, *members: tuple[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def test_an_archive_that_holds_a_file_twice_is_refused(tmp_path: Path) -> None:
    archive(tmp_path / "a.tar.gz", ("test", b"x"), ("dev", b"y"))
    assert len(matching(tmp_path, "a.tar.gz/*")) == 2
    archive(tmp_path / "b.tar.gz", ("test", b"x"), ("dev", b"y"), ("test", b"z"))
    with pytest.raises(InputError, match=r"b\.tar\.gz: expected each file once, found 'test' again"):
        matching(tmp_path, "b.tar.gz/*")


def test_a_flipped_bit_in_an_archive_is_refused(tmp_path: Path) -> None:
    words = "".join(f"w{n}\tO\n\n" for n in range(300)).encode()
    archive(tmp_path / "a.tar.gz", ("test", words))
    raw = (tmp_path / "a.tar.gz").read_bytes()
    for place in range(20, len(raw), 7):
        path = tmp_path / f"{place}.tar.gz"
        path.write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
        with pytest.raises(InputError, match=rf"{place}\.tar\.gz: expected a gzipped tar archive"):
            matching(tmp_path, f"{place}.tar.gz/*")


def test_a_line_without_an_end_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_lines, "LONGEST", 100)
    path = tmp_path / "a.txt"
    path.write_bytes(b"short\n" + b"x" * 99 + b"\n" + b"x" * 10_000)
    read = text_lines.lines(Input(path, "a.txt"), Report())
    assert [len(line) for _, line in (next(read), next(read))] == [5, 99]
    with pytest.raises(InputError, match=r"a\.txt:3: expected a line of at most 100 bytes"):
        next(read)
    with path.open("rb") as stream, pytest.raises(InputError, match=r"a\.txt:3: expected a line of at most 100 bytes"):
        list(Lines(stream, "a.txt"))


SENTENCE = re.compile(r"\S.*?(?:[.!?]+[\"')\]]*(?=\s+[^a-z]|$)|$)", re.DOTALL)  # what a sentence is, in quadratic time


@given(st.text(alphabet='aB.!?") \n1', min_size=1, max_size=14), st.data())
def test_the_sentence_at_a_place_is_that_of_its_definition(text: str, data: Any) -> None:
    place = data.draw(st.integers(0, len(text) - 1))
    wanted = next((m[0] for m in SENTENCE.finditer(text) if m.start() <= place < m.end()), text)
    assert sentence_at(text, place) == wanted


@given(st.text(alphabet="a. \n", max_size=60))
def test_no_sentence_is_longer_than_the_longest_where_it_has_a_space(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "LONGEST_SENTENCE", 8)
        found = documents.sentences(Document("w", "abstract", text))
    assert "".join("".join(one.text for one in found).split()) == "".join(text.split())
    assert not any(re.search(r"\s", one.text[8:-1]) for one in found)


# Predictions and gold answers.


def test_ids_that_occur_twice_are_refused(tmp_path: Path) -> None:
    gold, said = tmp_path / "gold.csv", tmp_path / "said.json"
    gold.write_text("id,label\n1,yes\n2,no\n1,no\n")
    with pytest.raises(InputError, match=r"gold\.csv:4: the id '1' occurs again \(first at gold\.csv:2\)"):
        read_gold(gold, Reading(format="classification"))
    gold.write_text("id,label\n1,yes\n2,no\n")
    said.write_text('{"1": "yes", "2": "no", "1": "no"}')
    with pytest.raises(InputError, match=r"said\.json: the key '1' occurs twice"):
        read_predictions(said, read_gold(gold, Reading(format="classification")))


@pytest.mark.parametrize("raw", ["²", "٣", "9" * 30, "-1", "x"])
def test_what_only_looks_like_a_number_is_no_choice(tmp_path: Path, raw: str) -> None:
    (tmp_path / "gold.tsv").write_text(f"id\tlabel\n1\t{raw}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"gold\.tsv:2: expected the number of a choice"):
        read_gold(tmp_path / "gold.tsv", Reading(format="multiple_choice"))


@pytest.mark.parametrize("line", ["1" * 5000, "[" * 5000, '{"id": ' + "1" * 5000 + "}", '{"a": NaN'])
def test_json_that_python_cannot_hold_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "said.jsonl").write_text('{"id": "1", "label": "a"}\n' + line + "\n")
    with pytest.raises(InputError, match=r"said\.jsonl:2: "):
        read_gold(tmp_path / "said.jsonl", Reading(format="classification"))


def test_rows_have_their_place_in_a_guard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xstilts.evaluation.score_file._example", raising(KeyError("unforeseen")))
    (tmp_path / "gold.csv").write_text("id,label\n1,yes\n")
    with pytest.raises(InputError, match=r"gold\.csv:2: expected a row that can be read, found KeyError"):
        read_gold(tmp_path / "gold.csv", Reading(format="classification"))
