"""A table written in every form is read back as the same examples, and what is ambiguous is refused with the remedy."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quick import covering
from xstilts.data.dataset import examples
from xstilts.data.examples import (
    AnswerSpan,
    BitextExample,
    ClassificationExample,
    Example,
    MultipleChoiceExample,
    QAExample,
    TaggingExample,
)
from xstilts.data.readers import Report
from xstilts.errors import InputError
from xstilts.tasks.base import Task
from xstilts.tasks.user_format import FileOptions, infer, infer_parallel

TEXTS = (
    "A fine book, really; so good.",
    'He said "no" twice.',
    "Nzuri sana — 很好",
    "It's over: the end.",
    "one two three",
)
LABELS = ("pos", "neg")
COUNT = 12
Row = dict[str, Any]


def text(number: int) -> str:
    return f"{TEXTS[number % len(TEXTS)]} {number}"


# Of each task format: its usual columns, odd names for them, rows, and what they are as examples.
SENTENCES = (("Anna", "lives", "in", "Bonn"), ("It", "rains"), ("Ünal", "reads"))
TAGS = (("B-PER", "O", "O", "B-LOC"), ("O", "O"), ("B-PER", "O"))
FORMATS: dict[str, tuple[dict[str, str], list[Row], list[Example]]] = {
    "classification": (
        {"text": "rev", "label": "cls"},
        [{"text": text(n), "label": LABELS[n % 2]} for n in range(COUNT)],
        [ClassificationExample(str(n), text(n), None, LABELS[n % 2]) for n in range(COUNT)],
    ),
    "pairs": (
        {"text": "one", "text_pair": "two", "label": "cls"},
        [{"text": text(n), "text_pair": text(n + 1), "label": LABELS[n % 2]} for n in range(COUNT)],
        [ClassificationExample(str(n), text(n), text(n + 1), LABELS[n % 2]) for n in range(COUNT)],
    ),
    "token_classification": (
        {"tokens": "ws", "tags": "ts"},
        [{"tokens": " ".join(SENTENCES[n % 3]), "tags": " ".join(TAGS[n % 3])} for n in range(COUNT)],
        [TaggingExample(str(n), SENTENCES[n % 3], TAGS[n % 3]) for n in range(COUNT)],
    ),
    "extractive_qa": (
        {"context": "para", "question": "ask", "answers": "reply"},
        [{"context": f"Anna {n} sleeps.", "question": "Who?", "answers": f"Anna {n}"} for n in range(COUNT)],
        [QAExample(str(n), f"Anna {n} sleeps.", "Who?", (AnswerSpan(f"Anna {n}", 0),)) for n in range(COUNT)],
    ),
    "bitext_retrieval": (
        {"source": "left", "target": "right"},
        [{"source": text(n), "target": text(n + 1)} for n in range(COUNT)],
        [BitextExample(str(n), text(n), text(n + 1)) for n in range(COUNT)],
    ),
}


def delimited(delimiter: str, quoting: int, header: bool) -> Callable[[Sequence[Row]], bytes]:
    def write(rows: Sequence[Row]) -> bytes:
        file = io.StringIO(newline="")
        writer = csv.writer(file, delimiter=delimiter, quoting=quoting, lineterminator="\r\n" if quoting else "\n")  # type: ignore[arg-type]
        if header:
            writer.writerow(rows[0])
        writer.writerows(row.values() for row in rows)
        return file.getvalue().encode()

    return write


def as_parquet(rows: Sequence[Row]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows)), file)
    return file.getvalue()


FORMS: dict[str, Callable[[Sequence[Row]], bytes]] = {
    **{
        f"delimiter {delimiter!r}, {'all' if quoting else 'few'} quotes, {'a' if header else 'no'} header": delimited(
            delimiter, quoting, header
        )
        for delimiter, quoting, header in itertools.product(",;\t", (csv.QUOTE_MINIMAL, csv.QUOTE_ALL), (True, False))
    },
    "jsonl": lambda rows: "".join(json.dumps(row) + "\n" for row in rows).encode(),
    "json": lambda rows: json.dumps(rows, indent=1).encode(),
    "json under a key": lambda rows: json.dumps({"version": "1", "data": rows}, ensure_ascii=False).encode(),
    "parquet": as_parquet,
    "byte order mark": lambda rows: b"\xef\xbb\xbf" + delimited(",", csv.QUOTE_MINIMAL, True)(rows),
}


def read(path: Path, options: FileOptions | None = None) -> list[Example]:
    format = infer(path, options)
    key = "test/en" if format.format == "bitext_retrieval" else "train/en"
    task = Task.from_files("t", {key: format})
    return list(examples(task.data(key.partition("/")[0], "en", None), None, Report()))


@pytest.mark.parametrize(("form", "format"), covering(FORMS, FORMATS))
def test_a_table_is_read_back_whatever_form_it_is_written_in(tmp_path: Path, format: str, form: str) -> None:
    odd, rows, expected = FORMATS[format]
    path = tmp_path / "file"
    by_name = "no header" not in form
    if by_name:
        path.write_bytes(FORMS[form](rows))
        assert read(path) == expected, "known by the usual names"
        extra = [{"n": str(n), **{odd[name]: value for name, value in row.items()}} for n, row in enumerate(rows)]
        path.write_bytes(FORMS[form](extra))
        assert read(path, FileOptions(odd)) == expected, "given names"
    else:
        path.write_bytes(FORMS[form](rows))
    numbers = {name: str(number) for number, name in enumerate(rows[0], 1)}
    path.write_bytes(FORMS[form](rows))
    header = None if "delimiter" not in form else by_name
    assert read(path, FileOptions(numbers, header=header)) == expected, "given numbers"
    if format in ("classification", "pairs", "bitext_retrieval") and not by_name:
        assert read(path) == expected, "known by what the columns hold"


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("first", ["0", "1", "A"])
def test_choices_count_from_whatever_they_count_from(tmp_path: Path, first: str, header: bool) -> None:
    names = {"0": "012", "1": "123", "A": "ABC"}[first]
    rows = [{"question": f"q {n}", "c1": "x", "c2": "y", "c3": "z", "label": names[n % 3]} for n in range(9)]
    path = tmp_path / "choices.csv"
    path.write_bytes(delimited(",", csv.QUOTE_MINIMAL, header)(rows))
    columns: dict[str, Any] = {"choices": ("c1", "c2", "c3"), "question": "question", "label": "label"}
    if not header:
        columns = {"choices": ("2", "3", "4"), "question": "1", "label": "5"}
    expected = [MultipleChoiceExample(str(n), "", f"q {n}", ("x", "y", "z"), n % 3) for n in range(9)]
    assert read(path, FileOptions(columns, header=header)) == expected
    lists = [{"question": f"q {n}", "choices": ["x", "y", "z"], "label": names[n % 3]} for n in range(9)]
    path.write_bytes(FORMS["jsonl"](lists))
    assert read(path) == expected


def conll(separator: str, order: Sequence[str], start: str, comments: bool, end: str) -> str:
    lines = [start] if start else []
    for number, (words, tags) in enumerate(zip(SENTENCES, TAGS, strict=True)):
        lines += [f"# sent_id = {number} of it"] if comments else []
        for at, (word, tag) in enumerate(zip(words, tags, strict=True), 1):
            values = {"number": str(at), "word": word, "pos": "X", "tag": tag}
            lines.append(separator.join(values[name] for name in order))
        lines.append(end)
    return "\n".join([*lines, ""])


@pytest.mark.parametrize("order", ["word tag", "word pos tag", "tag word", "number word tag", "word tag pos"])
@pytest.mark.parametrize("separator", [" ", "\t"])
@pytest.mark.parametrize(
    ("start", "comments", "end"),
    [("", False, ""), ("-DOCSTART- -X- O\n", False, ""), ("", True, ""), ("", False, "\t")],
)
def test_words_in_lines_whatever_their_columns(
    tmp_path: Path, order: str, separator: str, start: str, comments: bool, end: str
) -> None:
    path = tmp_path / "words.txt"
    names = order.split()
    path.write_text(conll(separator, names, start, comments, end), encoding="utf-8")
    given = {"tokens": str(names.index("word") + 1), "tags": str(names.index("tag") + 1)}
    expected = [TaggingExample(str(n), *pair) for n, pair in enumerate(zip(SENTENCES, TAGS, strict=True))]
    assert read(path, FileOptions(given)) == expected
    if order != "tag word":
        assert read(path) == expected


def test_squad_in_its_versions(tmp_path: Path) -> None:
    question = {"id": "q1", "question": "Who?", "answers": [{"text": "Anna", "answer_start": 0}]}
    path = tmp_path / "squad.json"
    for version, more in (("1.1", {}), ("v2.0", {"is_impossible": False})):
        document = {"version": version, "data": [{"paragraphs": [{"context": "Anna ran.", "qas": [question | more]}]}]}
        for indent in (None, 2):
            path.write_text(json.dumps(document, indent=indent), encoding="utf-8")
            assert read(path) == [QAExample("q1", "Anna ran.", "Who?", (AnswerSpan("Anna", 0),))]
            assert (
                infer(path).describe().startswith(f"squad.json: read as extractive_qa, SQuAD JSON {version}, because")
            )


def test_conllu_and_parallel_lines(tmp_path: Path) -> None:
    row = "\t".join("_" * 10).split("\t")
    words = [(number, word, tag) for number, (word, tag) in enumerate([("Anna", "PROPN"), ("ran", "VERB")], 1)]
    lines = ["\t".join([str(n), word, "_", tag, *row[4:6], "0", *row[7:]]) for n, word, tag in words]
    (tmp_path / "a.conllu").write_text("# text = Anna ran\n" + "\n".join(lines) + "\n\n", encoding="utf-8")
    assert read(tmp_path / "a.conllu")[0] == TaggingExample("0", ("Anna", "ran"), ("PROPN", "VERB"))
    for code in ("sw", "en"):
        (tmp_path / f"news.{code}").write_text(f"{code} one\n{code} two\n", encoding="utf-8")
    pair = infer_parallel(tmp_path / "news.sw", tmp_path / "news.en")
    task = Task.from_files("news", {"test/sw": pair})
    assert list(examples(task.data("test", "sw", None), None, Report()))[1] == BitextExample("1", "sw two", "en two")
    assert (task.learned_from, task.metric) == (None, "retrieval_accuracy")
    (tmp_path / "news.en").write_text("one\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"news.sw has 2 lines and .*news.en 1: parallel files belong together"):
        infer_parallel(tmp_path / "news.sw", tmp_path / "news.en")


WRONG: Mapping[str, tuple[bytes, FileOptions, str]] = {
    "empty": (b"", FileOptions(), "found none; the file is empty"),
    "header alone": (b"text,label\n", FileOptions(), "file:1: expected rows below the header text, label, found none"),
    "pickle": (b"\x80\x04\x95", FileOptions(), "pickled objects; such files can run code"),
    "spreadsheet": (b"PK\x03\x04abc", FileOptions(), "a zip archive or a spreadsheet; save the table as CSV"),
    "utf-16": ("text,label\n".encode("utf-16"), FileOptions(), "found UTF-16; convert it with `iconv"),
    "latin-1": ("text,label\nété,a\n".encode("latin-1"), FileOptions(), r"file:2: expected UTF-8"),
    "one column": (b"a text\nanother\n", FileOptions(), r"file:1: expected columns separated by"),
    "uneven": (
        b"text,label\n" + b"a b,x\n" * 9 + b"a, b,y\n",
        FileOptions(),
        r"file:11: expected 2 columns separated by ',' as in most lines, found 3; put texts .* quote marks",
    ),
    "no label": (b"a,b\n1,2\n3,4\n", FileOptions({"text": "a"}), r"file:1: the columns do not tell .*: a \(1, 3\)"),
    "misspelt": (
        b"text,label\na b,x\n",
        FileOptions({"text": "txt"}),
        r"file:1: expected a column 'txt' \(did you mean 'text'\?\); the file has the columns text, label",
    ),
    "header or row": (b"a b,x\nc d,y\n", FileOptions({"text": "1", "label": "2"}), "give --delimiter, --header or"),
    "two formats": (b"text,tags\na,b\n", FileOptions({"text": "text", "tags": "tags"}), "different task formats: give"),
    "cut JSON": (b'[{"text": "a",\n "label"', FileOptions(), r"file:2: expected JSON, found text that ends"),
    "other JSON": (b'{"a": 1,\n "b": 2}', FileOptions(), "expected a list of rows, found no list of objects"),
    "words alone": (b"Anna\nran\n\nBonn\n", FileOptions(file_format="conll"), r"file:1: .* found words alone"),
    "uneven words": (b"a X\nb X\nc d e X\n\n", FileOptions(file_format="conll"), r"file:3: expected 2 columns as in"),
    "tags": (b"tokens,tags\na b,O\n", FileOptions(), r"row 1: expected a tag for each word, found 2 words and 1 tag;"),
    "choices": (
        b"question,choice1,choice2,choice3,label\n" + b"q,a,b,c,1\nq,a,b,c,2\n" * 5,
        FileOptions(),
        "does not say whether choices count from 0 or 1; name the labels",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_told_is_refused_with_its_remedy(tmp_path: Path, case: str) -> None:
    content, options, message = WRONG[case]
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(InputError, match=message):
        infer(tmp_path / "file", options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": {"txt": "a"}}, r"unknown field 'txt' \(did you mean 'text'\?\)"),
        ({"format": "clasification"}, r"unknown task format .* \(did you mean 'classification'\?\)"),
        ({"file_format": "jsnl"}, r"unknown file format .* \(did you mean 'jsonl'\?\)"),
        ({"delimiter": "||"}, "is not one character"),
    ],
)
def test_options_are_checked_before_a_file_is_opened(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        FileOptions(**options)


def held_out_rows() -> Iterator[Row]:
    for n in range(200):
        yield {"text": f"text {n // 2}", "label": "rare" if n < 20 else LABELS[n % 2]}


def test_what_is_held_out_is_fixed_stratified_and_disjoint(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    rows = list(held_out_rows())
    path.write_bytes(FORMS["jsonl"](rows))
    task = Task.from_files("t", {"train": path}, held_out=("validation", "test"))
    parts = {
        split: list(examples(task.data(split, "en", None), None, Report())) for split in ("train", "validation", "test")
    }
    texts = {split: {example.text_a for example in part} for split, part in parts.items()}  # type: ignore[union-attr]
    assert sum(map(len, parts.values())) == 200
    assert not texts["train"] & (texts["validation"] | texts["test"])
    assert 30 <= len(parts["validation"]) <= 34
    assert all(any(example.label == "rare" for example in part) for part in parts.values())  # type: ignore[union-attr]
    path.write_bytes(FORMS["jsonl"](rows[::-1]))
    again = Task.from_files("t", {"train": path}, held_out=("validation", "test"))
    other = {example.text_a for example in examples(again.data("validation", "en", None), None, Report())}  # type: ignore[union-attr]
    assert other == texts["validation"]
    whole = Task.from_files("t", {"train": path}).data("train", "en", None)
    assert whole.meaning != again.data("train", "en", None).meaning
    path.write_bytes(FORMS["jsonl"](rows[:6]))
    few = Task.from_files("t", {"train": path}, held_out=("validation",), labels=("rare", "x"))
    with pytest.raises(InputError, match="6 training examples are too few to hold out validation"):
        list(examples(few.data("train", "en", None), None, Report()))
