"""The verb `predict`: every form comes out as it went in, with predictions beside it, and a wrong row costs no work."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_heads import LABELS, WORDS, made

from xstilts.data.record_file import BadRow, Lines, Record, open_records
from xstilts.errors import InputError
from xstilts.inference import predict_file
from xstilts.inference.model import load_model
from xstilts.inference.predict_file import Columns, columns_of
from xstilts.runtime.machine import Runtime

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a made checkpoint for each format."""
    folder = tmp_path_factory.mktemp("heads")
    for format in ("classification", "token_classification", "extractive_qa", "multiple_choice"):
        made(format, folder / format)
    return folder


@cache
def loaded(path: str) -> Any:
    """Load a checkpoint once for all tests."""
    return load_model(path, runtime=Runtime(device="cpu", threads=1))


@pytest.fixture
def call(call: Call, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Return a function that runs a verb on text as standard input, or on a file."""
    monkeypatch.setattr("xstilts.inference.model.load_model", lambda path, **options: loaded(str(path)))

    def run(*arguments: object, stdin: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        return call(*arguments, "--device", "cpu")

    return run


def sentences(count: int, seed: int = 1) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 30))) for _ in range(count)]


def expected(heads: Path, format: str, inputs: list[Any]) -> list[dict[str, Any]]:
    return list(loaded(str(heads / format)).predict(inputs))


def csv_of(rows: list[list[str]], delimiter: str = ",") -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return out.getvalue()


# Every form in gives the same form out, with the same rows.


def test_text_lines_keep_their_place_beside_labels(heads: Path, call: Call, tmp_path: Path) -> None:
    texts = [*sentences(9), 'a\ttab and "quotes', "é \U0001f352 \u2028 x"]
    lines = [texts[0], "", *texts[1:], "  "]
    file = tmp_path / "a.txt"
    file.write_text("\ufeff" + "\r\n".join(lines) + "\n", encoding="utf-8", newline="")
    code, out, err = call("predict", heads / "classification", file)
    cells = [line.split("\t", 2) for line in out.removesuffix("\n").split("\n")]
    assert (code, [text for *_, text in cells]) == (0, lines)
    labels = [prediction["label"] for prediction in expected(heads, "classification", texts)]
    assert [label for label, *_ in cells if label] == labels
    assert "read as lines of text, as its name ends in .txt" in err
    assert "11 rows predicted" in err
    assert "2 lines without a row (blank lines, comments) passed on" in err


@pytest.mark.parametrize(("suffix", "mark"), [("csv", ","), ("csv", ";"), ("tsv", "\t")])
def test_tables_keep_their_cells_and_gain_columns(
    heads: Path, call: Call, tmp_path: Path, suffix: str, mark: str
) -> None:
    texts, rng = sentences(12, seed=2), random.Random(0)
    odd = ['a "quoted" one', "comma, inside", "two\nlines; here"] if suffix == "csv" else ['"half', "comma, inside"]
    rows = [["nr", "review", "label"], *([str(n), text, rng.choice("ab")] for n, text in enumerate([*texts, *odd]))]
    file = tmp_path / f"a.{suffix}"
    text = csv_of(rows, mark) if suffix == "csv" else "".join("\t".join(row) + "\n" for row in rows)
    file.write_text(text, encoding="utf-8")
    code, out, err = call("predict", heads / "classification", file, "--window", "5")
    table = list(csv.reader(io.StringIO(out), delimiter=mark)) if suffix == "csv" else [
        line.split("\t") for line in out.splitlines()
    ]  # fmt: skip
    assert code == 0
    assert [row[:3] for row in table] == rows
    labels = [f"probability_{label}" for label in LABELS["classification"]]
    assert table[0][3:] == ["predicted_label", "probability", *labels, "windows", "truncated"]
    found = [dict(zip(table[0], row, strict=True)) for row in table[1:]]
    for row, prediction in zip(found, expected(heads, "classification", [row[1] for row in rows[1:]]), strict=True):
        assert row["predicted_label"] == prediction["label"]
        assert np.isclose(float(row["probability"]), prediction["score"], atol=1e-3)
    assert "column review" in err


def test_objects_keep_their_keys_on_lines_and_in_a_list(heads: Path, call: Call, tmp_path: Path) -> None:
    rows = [{"id": n, "tokens": text.split(), "more": {"x": [n]}} for n, text in enumerate(sentences(7, seed=3))]
    texts = [{"id": n, "text": text} for n, text in enumerate(sentences(4, seed=4))]
    wanted = expected(heads, "token_classification", [row["tokens"] for row in rows])
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    for document, form in ((lines, "JSON lines"), (json.dumps(rows).encode(), "JSON")):
        code, out, err = call("predict", heads / "token_classification", "-", stdin=document)
        found = [json.loads(line) for line in out.splitlines()] if form == "JSON lines" else json.loads(out)
        assert code == 0
        assert f"read as {form}, as " in err
        assert [{key: row[key] for key in ("id", "tokens", "more")} for row in found] == rows
        assert [row["predicted_tags"] for row in found] == [one["tags"] for one in wanted]
    code, out, _ = call(
        "predict", heads / "token_classification", stdin="".join(json.dumps(row) + "\n" for row in texts).encode()
    )
    for row in map(json.loads, out.splitlines()):
        assert [row["text"][start:stop] for start, stop in row["word_offsets"]] == row["words"]
        assert len(row["predicted_tags"]) == len(row["words"]) == len(row["tag_probabilities"])


CONLL = {
    "blanks": ("Anna NNP B-PER\nsleeps VBZ O\n\n\nBoris NNP B-PER\n\n", " "),
    "tabs": ("-DOCSTART-\tO\n\nAnna\tB-PER\n# O\n \t\nBoris\tB-PER\n", "\t"),
    "one": ("Anna\nsleeps\n\n#\nBoris", " "),
    "conllu": (
        "# sent_id = 1\n# text = du lac\n1-2\tdu\t_\t_\t_\t_\t_\t_\t_\t_\n"
        + "".join(f"{n}\t{word}\t_\tX\t_\t_\t0\t_\t_\t_\n" for n, word in ((1, "de"), (2, "le"), (3, "lac"))),
        "\t",
    ),
}


@pytest.mark.parametrize("name", CONLL)
def test_conll_keeps_its_lines_and_gains_a_column(heads: Path, call: Call, name: str) -> None:
    text, _ = CONLL[name]
    options = ["--input-format", "conll"] if name in ("one", "tabs") else []
    code, out, err = call("predict", heads / "token_classification", *options, stdin=text.encode())
    assert code == 0, err
    lines, found = text.removesuffix("\n").split("\n"), out.removesuffix("\n").split("\n")
    assert len(lines) == len(found)
    tags = [after[len(before) :] for before, after in zip(lines, found, strict=True)]
    assert [after[: len(before)] for before, after in zip(lines, found, strict=True)] == lines
    between = [not line.strip() or line.startswith(("-DOC", "# sent", "# text")) for line in lines]
    assert [not tag for tag in tags] == between
    words = [tag[1:] for tag, line in zip(tags, lines, strict=True) if tag and not line.startswith("1-2")]
    assert set(words) <= set(LABELS["token_classification"])
    if name == "conllu":
        assert [*expected(heads, "token_classification", [["de", "le", "lac"]])[0]["tags"]] == words


def test_squad_keeps_its_document(heads: Path, call: Call, tmp_path: Path) -> None:
    contexts = sentences(3, seed=5)
    document = {
        "version": "x",
        "data": [
            {
                "title": "é",
                "paragraphs": [
                    {"context": context, "qas": [{"id": f"{n}-{q}", "question": f"Who {q} ?"} for q in range(2)]}
                    for n, context in enumerate(contexts)
                ],
            }
        ],
    }
    file, out = tmp_path / "q.json", tmp_path / "deep" / "out.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    code, shown, err = call("predict", heads / "extractive_qa", file, "--out", out)
    assert (code, shown) == (0, ""), err
    found = json.loads(out.read_text(encoding="utf-8"))
    for paragraph in found["data"][0]["paragraphs"]:
        for question in paragraph["qas"]:
            start, stop = question.pop("predicted_start"), question.pop("predicted_stop")
            assert paragraph["context"][start:stop] == question.pop("predicted_answer")
            for name in ("answer_score", "no_answer_score", "windows", "truncated"):
                del question[name]
    assert found == document


def test_choices_are_a_list_or_columns(heads: Path, call: Call) -> None:
    rows = [["premise", "choice1", "choice2"], ["Anna sleeps .", "Boris sees .", "the cherry"]]
    code, out, _ = call("predict", heads / "multiple_choice", "--input-format", "csv", stdin=csv_of(rows).encode())
    (row,) = csv.DictReader(io.StringIO(out))
    assert (code, row["predicted_choice"]) == (0, rows[1][1 + int(row["predicted_index"])])
    listed = {"context": "Anna sleeps .", "choices": rows[1][1:]}
    _, out, _ = call("predict", heads / "multiple_choice", stdin=json.dumps(listed).encode())
    assert json.loads(out)["predicted_choice"] == row["predicted_choice"]


# Wrong rows.

BAD = {
    "jsonl": (b'{"text": "a"}\n', [b"{broken\n", b'{"text": null}\n', b'{"text": 5}\n', b'"text"\n', b'{"text": " "}\n',
                                   b'{"x": "a"}\n', b'{"text": "\\ud800"}\n', b'{"text": "\xff"}\n']),
    "csv": (b'1,"a, b"\n', [b"2\n", b"2,a,b\n", b"2,\n", b'2,"a"b\n', b"2,\xff\n"]),
    "tsv": (b"1\ta\n", [b"2\n", b"2\ta\tb\n", b"2\t \n", b"2\t\xff\n"]),
    "txt": (b"a b\n", [b"\xff\xfe\n"]),
}  # fmt: skip
HEADERS = {"csv": b"nr,text\n", "tsv": b"nr\ttext\n"}


@pytest.mark.parametrize(("suffix", "bad"), [(suffix, bad) for suffix, (_, rows) in BAD.items() for bad in rows])
def test_a_bad_row_is_named_and_costs_nothing(heads: Path, call: Call, tmp_path: Path, suffix: str, bad: bytes) -> None:
    good, header, file = BAD[suffix][0], HEADERS.get(suffix, b""), tmp_path / f"a.{suffix}"
    file.write_bytes(header + good * 3 + bad + good * 2)
    place = f"a.{suffix}:{4 + bool(header)}"
    code, out, err = call("predict", heads / "classification", file)
    assert (code, len(out.splitlines())) == (2, 3 + bool(header))
    assert f"error: {place}: " in err
    assert "--skip-bad-rows" in err
    assert "3 rows before it written" in err
    code, out, err = call("predict", heads / "classification", file, "--skip-bad-rows")
    assert (code, len(out.splitlines())) == (0, 5 + bool(header))
    assert "1 bad row left out" in err
    assert f"  {place}: " in err


def test_a_bad_sentence_is_named(heads: Path, call: Call) -> None:
    text = b"Anna B-PER\n\nBoris B-PER\nsleeps\n\nAnna O\n"
    code, out, err = call("predict", heads / "token_classification", stdin=text)
    assert (code, len(out.splitlines())) == (2, 2)
    assert "error: -:4: expected 2 columns as in the sentence's first line, found 1" in err


def test_what_can_be_refused_is_refused_before_anything_is_written(heads: Path, call: Call, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("a,b\n1,2\n", encoding="utf-8")
    done = tmp_path / "done.csv"
    done.write_text("text,predicted_label\na,b\n", encoding="utf-8")
    for arguments, message in [
        ((file,), "which column is the text? give --text; there are a, b"),
        ((file, "--text", "c"), "there is no column 'c': there are a, b"),
        ((file, "--out", file, "--text", "a"), "is the input itself"),
        ((done,), "there is a column 'predicted_label' already"),
        ((file, "--input-format", "xml"), "unknown input format 'xml'"),
        ((file, "--long", "cut", "--text", "a"), "windows or truncate"),
        ((tmp_path / "none.csv",), "there is no file"),
        ((file, "--vectors", "v.npy", "--neighbours", file), "give one"),
    ]:
        code, out, err = call("predict", heads / "classification", *arguments)
        assert code in (1, 2)
        assert not out
        assert message in err, err
    code, _, err = call("predict", heads / "multiple_choice", stdin=b"a\n")
    assert code == 2
    assert "lines of text do not hold what multiple_choice needs" in err
    code, _, err = call("predict", "sandbox", stdin=b"a\n")
    assert code == 2
    assert "--vectors" in err


def test_a_file_without_rows_is_written_as_it_is(heads: Path, call: Call, tmp_path: Path) -> None:
    for name, text in (("a.csv", "text\n"), ("a.txt", ""), ("a.jsonl", ""), ("a.csv", "")):
        (tmp_path / name).write_text(text, encoding="utf-8")
        code, out, err = call("predict", heads / "classification", tmp_path / name)
        assert (code, out) == (0, text), err


# Vectors and neighbours.


def test_vectors_and_exact_neighbours(call: Call, tmp_path: Path) -> None:
    texts, others = sentences(9, seed=6), sentences(30, seed=7)
    for name, lines in (("a.txt", texts), ("b.txt", others)):
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name in ("a", "b"):
        code, out, err = call("predict", "sandbox", tmp_path / f"{name}.txt", "--vectors", tmp_path / f"{name}.npy")
        assert (code, out) == (0, ""), err
    a, b = (np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "ab")
    assert np.allclose(a, loaded("sandbox").embed(texts), atol=1e-4)
    cosines = (a / np.linalg.norm(a, axis=1, keepdims=True)) @ (b / np.linalg.norm(b, axis=1, keepdims=True)).T
    code, out, err = call("predict", "sandbox", tmp_path / "a.txt", "--neighbours", tmp_path / "b.txt", "-k", "3")
    assert code == 0, err
    for text, row, line in zip(texts, cosines, out.splitlines(), strict=True):
        *cells, last = line.split("\t")
        assert last == text
        assert np.allclose([float(value) for value in cells[1::3]], np.sort(row)[::-1][:3], atol=1e-4)
        assert [others[int(number) - 1] for number in cells[0::3]] == cells[2::3]


def test_blocks_of_keys_give_the_same_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    queries = rng.normal(size=(5, 4)).astype(np.float32)
    keys = rng.normal(size=(25, 4)).astype(np.float32)
    whole = predict_file.nearest(queries, keys, 7)
    monkeypatch.setattr(predict_file, "KEY_ROWS", 4)
    values, _ = predict_file.nearest(queries, keys, 7)
    assert np.allclose(values, whole[0], atol=1e-6)
    assert predict_file.nearest(queries, keys, 99)[1].shape == (5, 25)
    axes = np.eye(4, dtype=np.float32)  # cosines of 0 and 1 are exact in every block
    values, order = predict_file.nearest(axes[1:2], axes[[0, 1, 2, 1, 3, 0, 1, 2]], 8)
    assert (order.tolist(), values.tolist()) == ([[1, 3, 6, 0, 2, 4, 5, 7]], [[1.0] * 3 + [0.0] * 5])


# Streams.


def process(heads: Path, *arguments: str, **pipes: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "xstilts", "predict", str(heads / "classification"), *arguments, "--device", "cpu"]
    return subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"}, **pipes)


@pytest.mark.slow
def test_a_closed_pipe_and_ctrl_c_end_it_without_a_traceback(heads: Path, tmp_path: Path) -> None:
    closed = process(heads, "--window", "4", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    stopped = process(heads, "--window", "2", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert closed.stdin
    assert closed.stdout
    assert stopped.stdin
    assert stopped.stdout
    stopped.stdin.write(b"Anna sleeps .\n" * 3)
    stopped.stdin.flush()
    closed.stdout.close()
    _, err = closed.communicate(b"Anna sleeps .\n" * 3000)
    assert closed.returncode == 141
    assert b"Traceback" not in err
    assert b"rror" not in err
    while True:  # two rows are predicted, the third waits for its window
        assert stopped.stderr
        if b"read as" in stopped.stderr.readline():
            break
    time.sleep(1.5)
    stopped.send_signal(signal.SIGINT)
    out, err = stopped.communicate()
    assert stopped.returncode == 130, err
    assert b"Traceback" not in err
    assert len(out.splitlines()) in (2, 3)


# Forms and columns.

INFERRED = [
    (b'{"a": 1}\n{"a": 2}\n', "-", False, "jsonl"),
    (b'[{"a": 1}]', "a.json", False, "json"),
    (b'{"data": [{"paragraphs": []}]}', "a.json", False, "squad"),
    (b'{\n "data": []\n}', "a.json", False, "squad"),
    (b'{"a": 1}\n{"a": 2}\n', "a.json", False, "jsonl"),
    (b"a\tb\n", "-", False, "tsv"),
    (b"a b\n\nc\n", "-", False, "text"),
    (b"a b\n\nc d\n", "-", True, "conll"),
    (b"a b\nc d e\n", "-", True, "text"),
    (b"{unclosed text\n", "-", False, "text"),
    (b"", "-", False, "text"),
    (b"x", "a.iob2", False, "conll"),
]


@pytest.mark.parametrize(("content", "name", "tagged", "form"), INFERRED)
def test_a_form_is_inferred_and_nothing_is_lost_by_looking(content: bytes, name: str, tagged: bool, form: str) -> None:
    lines = Lines(io.BytesIO(content), name)
    file = open_records(lines, tagged=tagged)
    assert file.form == form
    if form == "text":
        assert [record.source for record in file.records() if isinstance(record, Record)] == content.decode().split(
            "\n"
        )[: content.count(b"\n")]


def test_headers_are_checked_and_may_be_missing() -> None:
    with pytest.raises(InputError, match="two columns are called 'a'"):
        open_records(Lines(io.BytesIO(b"a,a\n1,2\n"), "a.csv"))
    file = open_records(Lines(io.BytesIO(b"x,y\n"), "a.csv"), header=False)
    assert [record.values for record in file.records() if isinstance(record, Record)] == [{"1": "x", "2": "y"}]
    unclosed = open_records(Lines(io.BytesIO(b'a\n"x\ny\n'), "a.csv"))
    (row,) = unclosed.records()
    assert isinstance(row, BadRow)
    assert row.place == "a.csv:2"


@pytest.mark.parametrize(
    ("format", "names", "chosen", "fields"),
    [
        ("classification", ["x"], Columns(), {"text": "x"}),
        ("classification", ["text", "y"], Columns(text="y"), {"text": "y"}),
        ("classification", ["a", "b"], Columns(text="a", text_pair="b"), {"text": "a", "text_pair": "b"}),
        ("token_classification", ["words", "text"], Columns(), {"tokens": "words"}),
        ("token_classification", ["words", "text"], Columns(text="text"), {"text": "text"}),
        ("extractive_qa", ["query", "passage"], Columns(), {"question": "query", "context": "passage"}),
        ("multiple_choice", ["sol2", "sol1"], Columns(), {"choices": ("sol1", "sol2")}),
        ("bitext_retrieval", ["premise", "hypothesis", "text"], Columns(), {"text": "text"}),
    ],
)
def test_columns_are_known_by_their_names(format: str, names: list[str], chosen: Columns, fields: Any) -> None:
    assert columns_of(format, names, chosen, "a.csv") == fields


def test_with_json_the_summary_is_the_result_and_predictions_need_a_file(
    call: Call, heads: Path, tmp_path: Path
) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text(f"{WORDS[0]}\n{WORDS[1]}\n")
    assert "give --out FILE" in call("predict", heads / "classification", texts, "--json")[2]
    code, out, err = call("predict", heads / "classification", texts, "--json", "--out", tmp_path / "labelled.txt")
    assert (code, json.loads(out)["rows"]) == (0, 2), err
    assert len((tmp_path / "labelled.txt").read_text().splitlines()) == 2


@pytest.mark.parametrize("rows", [[["txt"], ["a"]], [["text"], ["a", "b"]], [["text"], [""]]])
def test_vectors_that_are_refused_leave_an_older_file(heads: Path, call: Call, tmp_path: Path, rows: Any) -> None:
    (tmp_path / "a.csv").write_text(csv_of(rows))
    (tmp_path / "v.npy").write_bytes(b"older")
    code, _, errors = call(
        "predict", heads / "classification", tmp_path / "a.csv", "--text", "text", "--vectors", tmp_path / "v.npy"
    )
    assert (code, (tmp_path / "v.npy").read_bytes()) == (2, b"older"), errors


def test_files_that_cannot_be_read_or_written_are_refused_first(heads: Path, call: Call, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\na b\n")
    for path, out, wrong in (
        (tmp_path / "nope.csv", tmp_path / "b.csv", "there is no file"),
        (tmp_path, tmp_path / "b.csv", "is a folder"),
        (tmp_path / "a.csv", tmp_path, "cannot be written"),
        (tmp_path / "a.csv", tmp_path / "a.csv" / "b.csv", "cannot be written"),
    ):
        code, _, errors = call("predict", heads / "classification", path, "--out", out)
        assert (code, wrong in errors) == (2, True)
