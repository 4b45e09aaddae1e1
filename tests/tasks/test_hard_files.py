"""Files of a user's own with faults that real ones have: each is read right, or refused with its place, untrained."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import unicodedata
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quick import covering
from xstilts import api
from xstilts.data.record_file import Lines, open_records
from xstilts.errors import InputError
from xstilts.experiments import fit_data
from xstilts.experiments.fit_options import FitOptions
from xstilts.runtime.machine import Runtime
from xstilts.store.local_executor import Unbuilt

LAW = settings(max_examples=20, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
PLACE = r"^[^:]+(:\d+|, row \d+)?: "


def table(path: Path, rows: Sequence[Sequence[Any]], header: Sequence[str] = ("text", "label")) -> Path:
    """Write rows as CSV, or as JSON lines where the name says so."""
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(dict(zip(header, row, strict=True))) + "\n" for row in rows))
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *rows])
    return path


def texts(labels: Sequence[Any]) -> list[tuple[str, Any]]:
    return [(f"The text of row {number} is here.", label) for number, label in enumerate(labels)]


def read(folder: Path, train: Path | None, test: Path | None = None, **options: Any) -> list[fit_data.SplitCounts]:
    """Read files as `xstilts fit --dry-run` does."""
    files = {"train": f"en={train}"} if train else {}
    files |= {"test": f"sw={test}"} if test else {}
    return api.check_fit(
        FitOptions.of({"encoder": "sandbox", **files, **options}, None), Runtime(folder / "store", device="cpu")
    )[1]


def spellings(label: str) -> list[str]:
    """Return how else a label is written by hand, or by another program."""
    others = [label.upper(), label.title(), f" {label}", f"{label} ", unicodedata.normalize("NFD", label)]
    return [other for other in others if other != label]


@LAW
@given(label=st.sampled_from(["positive", "café", "very good", "b-per"]), data=st.data(), form=st.sampled_from([0, 1]))
def test_labels_that_differ_in_spelling_alone_are_refused(
    label: str, data: st.DataObject, form: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other, folder = data.draw(st.sampled_from(spellings(label))), tmp_path_factory.mktemp("spelling")
    rows = texts([label, "negative"] * 10 + [other])
    path = table(folder / ("a.csv", "a.jsonl")[form], rows)
    with pytest.raises(InputError, match=rf"{path.name}:{22 - form}: found the label .*differ in case, blanks or"):
        read(folder, path)
    held = {*read(folder, path, labels=[label, "negative", other])[0].labels}
    assert held <= {label, "negative", other}


@pytest.mark.parametrize(
    ("labels", "wrong", "line"),
    [
        (["pos", "neg", "1", "0"], "a number, and 'pos', a name", 4),
        (["B-PER", "O", "0", "O"], "'0', a number", 4),
        (["pos", "neg", "nan", "neg"], "as programs write a missing value", 4),
        (["pos", "neg", "<NA>", "neg"], "as programs write a missing value", 4),
        (["pos"] * 4, "two labels or more, found 'pos' alone", 0),
    ],
)
def test_labels_that_are_hardly_meant_are_refused(tmp_path: Path, labels: list[str], wrong: str, line: int) -> None:
    path = table(tmp_path / "a.csv", texts(labels * 6))
    with pytest.raises(InputError, match=PLACE + f".*{wrong}") as refused:
        read(tmp_path, path)
    assert not line or f"{path.name}:{line}: " in str(refused.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"0": "pos"}, ["pos"]])
def test_values_that_are_no_label_are_refused(tmp_path: Path, value: Any) -> None:
    path = table(tmp_path / "a.jsonl", texts(["pos", "neg"] * 8 + [value]))
    with pytest.raises(InputError, match=r"a\.jsonl:17: expected a label"):
        read(tmp_path, path)


def test_real_classes_stay(tmp_path: Path) -> None:
    for labels in (["None", "NA"], ["1", "2", "5+"], ["yes", "no"], ["1.0", "2.0"], ["B-LOC", "I-LOC", "O"]):
        path = table(tmp_path / "a.csv", texts(labels * 8))
        assert {label for split in read(tmp_path, path) for label in split.labels} == set(labels)


def test_numbers_are_not_read_by_the_order_of_inferred_names(tmp_path: Path) -> None:
    train, test = table(tmp_path / "a.csv", texts(["pos", "neg"] * 9)), table(tmp_path / "b.csv", texts(["1", "0"] * 6))
    with pytest.raises(Unbuilt, match=r"b\.csv:2: expected the name of a label \(neg, pos\), found '1'") as failed:
        read(tmp_path, train, test)
    assert failed.value.wrong_input
    (counts,) = [split for split in read(tmp_path, train, test, labels=["pos", "neg"]) if split.split == "test"]
    assert counts.labels == {"pos": 6, "neg": 6}


def packed(text: str, how: str) -> bytes:
    if how == "zip":
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("a.csv", text)
        return archive.getvalue()
    return gzip.compress(text.encode()) if how == "gzip" else text.encode("utf-16") if how == "UTF-16" else b"PAR1" * 9


@pytest.mark.parametrize("how", ["zip", "gzip", "UTF-16", "Parquet"])
@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a"])
def test_packed_files_are_no_text(tmp_path: Path, how: str, name: str) -> None:
    content = packed("text,label\nGood.,pos\n", how)
    with pytest.raises(InputError, match=f"expected a text file, found .*{how}"):
        list(open_records(Lines(io.BytesIO(content), name)).records())
    (tmp_path / name).write_bytes(content)
    if how != "Parquet":
        with pytest.raises(InputError, match=f"expected a text file, found .*{how}"):
            read(tmp_path, tmp_path / name)


@pytest.mark.parametrize("delimiter", [";;", '"', "\n"])
def test_a_delimiter_is_one_character(delimiter: str) -> None:
    with pytest.raises(InputError, match="is not one character"):
        open_records(Lines(io.BytesIO(b"text,label\n"), "a.csv"), delimiter=delimiter)


def sentences(end: str, between: str = " ", word: str = "Rome") -> str:
    lines = [f"{word}{between}B-LOC{end}", f"is{between}O{end}", f"old{between}O{end}", ""]
    return "\n".join("\n".join(line.replace("old", f"old{number}") for line in lines) for number in range(20)) + "\n"


@pytest.mark.parametrize(
    ("end", "word"), covering(["", "\t", " ", "\t\t", "\r"], ["Rome", "New\u00a0York", "a\u2028b", "#"])
)
def test_words_and_tags_survive_what_editors_leave(tmp_path: Path, end: str, word: str) -> None:
    path = tmp_path / "a.conll"
    path.write_text(sentences(end, "\t" if "\t" in end else " ", word), encoding="utf-8", newline="")
    options: dict[str, Any] = {"tokens": "1", "tags": "2"} if "\t" in end else {}
    counts = read(tmp_path, path, **options)
    assert sum(split.labels["B-LOC"] for split in counts) == 20
    assert {label for split in counts for label in split.labels} == {"B-LOC", "O"}


CHOICES = ["good", "bad", "ugly"]


@pytest.mark.parametrize("write", [list, str, json.dumps], ids=["list", "Python", "JSON"])
@pytest.mark.parametrize("label", [int, float, str, lambda number: "ABC"[number]], ids=["int", "float", "text", "A"])
def test_choices_and_their_labels_are_read_as_tables_hold_them(
    tmp_path: Path, write: Callable[[Any], Any], label: Callable[[int], Any]
) -> None:
    rows = [(f"Which is row {number}?", write(CHOICES), label(number % 3)) for number in range(30)]
    counts = read(tmp_path, table(tmp_path / "a.jsonl", rows, ("question", "choices", "label")))
    assert sum(split.labels["2"] for split in counts) == 10


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("q", CHOICES, 3), r"a\.jsonl, row 31: expected a label from 0 to 2, found 3"),
        (("q", "good", 0), r"a\.jsonl:31: expected a list of texts in 'choices'"),
        (("q", ["good", None], 0), r"a\.jsonl:31: expected texts in 'choices', found null as number 2"),
    ],
)
def test_a_wrong_question_is_named(tmp_path: Path, row: tuple[Any, ...], message: str) -> None:
    rows = [(f"Which is row {number}?", CHOICES, number % 3) for number in range(30)]
    path = table(tmp_path / "a.jsonl", [*rows, row], ("question", "choices", "label"))
    with pytest.raises((InputError, Unbuilt), match=message) as failed:
        read(tmp_path, path)
    assert getattr(failed.value, "wrong_input", True)


def test_choices_in_an_object_are_refused(tmp_path: Path) -> None:
    rows = [(f"Which is row {n}?", {"text": CHOICES, "label": ["A", "B", "C"]}, "ABC"[n % 3]) for n in range(30)]
    with pytest.raises(InputError, match=r"expected a list of texts in 'choices', found \{"):
        read(tmp_path, table(tmp_path / "a.jsonl", rows, ("question", "choices", "label")))


def questions(blank: Sequence[int], count: int = 30) -> list[tuple[str, str, Any]]:
    context = "The old house is in Rome and number {} is new."
    return [(context.format(n), f"Where is {n}?", [] if n in blank else ["Rome"]) for n in range(count)]


def test_a_test_set_with_some_answers_only_is_refused_with_the_row(tmp_path: Path) -> None:
    columns = ("context", "question", "answers")
    train = table(tmp_path / "a.jsonl", questions(()), columns)
    partly = table(tmp_path / "b.jsonl", questions((4, 6), 12), columns)
    with pytest.raises(Unbuilt, match=r"b\.jsonl:5: expected an answer as other questions have, found none") as failed:
        read(tmp_path, train, partly)
    assert failed.value.wrong_input
    with pytest.raises(Unbuilt, match=r"all 30 rows were dropped: 30 question without an answer \(first at"):
        read(tmp_path, table(tmp_path / "c.jsonl", questions(range(30)), columns))


def test_dropped_rows_are_said_with_their_place(tmp_path: Path) -> None:
    rows = [*questions(()), ("The house is in Rome.", "Where?", ["Paris"])]
    path = table(tmp_path / "a.jsonl", rows, ("context", "question", "answers"))
    options, machine = (
        FitOptions.of({"encoder": "sandbox", "train": f"en={path}"}, None),
        Runtime(tmp_path / "store", device="cpu"),
    )
    data, _ = api.check_fit(options, machine)
    remarks = "\n".join(fit_data.reading_remarks(data.task, machine))
    assert re.search(r"train en: dropped: answer not in its context: 1 time, first at .*a\.jsonl:31$", remarks, re.M)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"languages": ["de"]}, "has test data in en, not de"),
        ({"text": "label", "label": "label"}, "the column 'label' is given as text and as label"),
        ({"metric": "bleu"}, "unknown metric 'bleu'"),
        ({"settings": ["lr=1"]}, "learning_rate"),
        ({"recipe": "xtrem"}, "xtreme"),
        ({"intermediate": ["mnlli"]}, "mnlli"),
    ],
)
def test_a_dry_run_refuses_what_a_fit_would(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    path = table(tmp_path / "a.csv", texts(["pos", "neg"] * 9))
    with pytest.raises(InputError, match=message):
        read(tmp_path, path, **options)


def test_columns_that_pandas_writes_are_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"text": {"0": "a b", "1": "c d"}, "label": {"0": "x", "1": "y"}}))
    with pytest.raises(InputError, match=r"found an object of columns \(text, label\), as pandas writes it"):
        read(tmp_path, path)


def test_a_store_that_cannot_be_made_is_the_users_to_change(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", texts(["pos", "neg"] * 9))
    (tmp_path / "file").write_text("")
    options = FitOptions.of({"encoder": "sandbox", "train": f"en={path}"}, None)
    with pytest.raises(InputError, match=r"cannot be made .*give another --store"):
        api.check_fit(options, Runtime(tmp_path / "file" / "store", device="cpu"))
