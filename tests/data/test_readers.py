"""Readers give rows with their place, repair and count what is harmless, and stop at everything else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xstilts.data.readers import FORMATS, Input, Report, Row, read, text_lines
from xstilts.errors import InputError

PAIR = {"columns": ("text_a", "text_b", "label")}
TAGGED = {"columns": ("token", "tag")}
FUSED = """\
# text = du pain et dámelo
1-2\tdu\t_\t_\t_\t_\t_\t_\t_\t_
1\tde\tde\tADP\t_\t_\t3\tcase\t_\t_
2\tle\tle\tDET\t_\t_\t3\tdet\t_\t_
3\tpain\tpain\tNOUN\t_\t_\t0\troot\t_\t_
3.1\tempty\t_\tVERB\t_\t_\t_\t_\t_\t_
4\te\u200ct\tet\tCCONJ\t_\t_\t5\tcc\t_\t_
5-7\tdámelo\t_\t_\t_\t_\t_\t_\t_\t_
5\tda\tdar\tVERB\t_\t_\t3\tconj\t_\t_
6\tme\tyo\tPRON\t_\t_\t5\tobj\t_\t_
7\tlo\tél\tPRON\t_\t_\t5\tobj\t_\t_

"""


def rows(path: Path, format: str, options: Mapping[str, Any] | None = None, *more: Path) -> tuple[list[Row], Report]:
    report = Report()
    files = [Input(file, file.name) for file in (path, *more)]
    return list(read(format, files, options or {}, report)), report


def make(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_every_format_is_a_function_with_a_docstring() -> None:
    assert all(reader.__name__ == name and reader.__doc__ for name, reader in FORMATS.items())


def test_tsv_keeps_quotes_and_says_where_a_row_stands(tmp_path: Path) -> None:
    found, report = rows(make(tmp_path, "a.tsv", 'He said "no".\t"x\tneutral\nB\tC\tentailment\n'), "tsv", PAIR)
    assert found[0] == Row("a.tsv:1", {"text_a": 'He said "no".', "text_b": '"x', "label": "neutral"})
    assert found[1].place == "a.tsv:2"
    assert report == Report()


def test_tsv_unwraps_quoted_fields_only_where_asked(tmp_path: Path) -> None:
    path = make(tmp_path, "a.tsv", '"""Angel"" it is"\t"half\tx\n')
    assert rows(path, "tsv", {**PAIR, "quotes": 1})[0][0].values["text_a"] == '"Angel" it is'
    assert rows(path, "tsv", {**PAIR, "quotes": 1})[0][0].values["text_b"] == '"half'
    assert rows(path, "tsv", PAIR)[0][0].values["text_a"] == '"""Angel"" it is"'


def test_tsv_with_a_header_names_the_columns(tmp_path: Path) -> None:
    path = make(tmp_path, "a.tsv", "id\tPremise\tLabel\n7\tIt rains.\tyes\n")
    assert rows(path, "tsv", {"columns": ("Premise",), "header": 1})[0] == [
        Row("a.tsv:2", {"id": "7", "Premise": "It rains.", "Label": "yes"})
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_marks_and_line_ends_are_repaired_and_counted(tmp_path: Path, mark: bytes, end: str) -> None:
    path = make(tmp_path, "a.tsv", mark + f"A\tB\tx{end}C\u2028D\tE\ty{end}".encode())
    found, report = rows(path, "tsv", PAIR)
    assert [list(row.values.values()) for row in found] == [["A", "B", "x"], ["C\u2028D", "E", "y"]]
    assert report.counts.get("repaired: byte order mark", 0) == (mark != b"")
    assert report.counts.get("repaired: Windows line end", 0) == (2 if end == "\r\n" else 0)


def test_a_blank_end_is_repaired_but_a_hole_is_not(tmp_path: Path) -> None:
    assert rows(make(tmp_path, "a.tsv", "A\tB\tx\n\n\n"), "tsv", PAIR)[1].places == {
        "repaired: blank line at the end": ["a.tsv:2"]
    }
    with pytest.raises(InputError, match=r"^b\.tsv:2: expected a record, found a blank line; remove it"):
        rows(make(tmp_path, "b.tsv", "A\tB\tx\n\nA\tB\tx\n"), "tsv", PAIR)


def test_a_report_shows_only_the_first_places(tmp_path: Path) -> None:
    report = rows(make(tmp_path, "a.tsv", "A\tB\tx\r\n" * 9), "tsv", PAIR)[1]
    assert report.counts == {"repaired: Windows line end": 9}
    assert report.places["repaired: Windows line end"] == [f"a.tsv:{n}" for n in range(1, 6)]


BAD: list[tuple[str, bytes, dict[str, Any], str]] = [
    ("tsv", b"A\tB\tx\nC\tD\n", PAIR, r"bad:2: expected 3 columns \(text_a, text_b, label\), found 2 in 'C \| D'; the line is cut"),
    ("tsv", b"A\tB\tx\tmore\n", PAIR, r"bad:1: expected 3 columns .*, found 4"),
    ("tsv", b"A\tB\tx\nC\xff\tD\ty\n", PAIR, r"bad:2: expected UTF-8, found byte 0xff at byte 2 .* `iconv -f"),
    ("tsv", b"a\tb\n1\t2\n", {"columns": ("a", "label"), "header": 1}, r"bad:1: expected a header with the columns a, label, found 'a \| b'; name the missing label"),
    ("csv", b"a,b\n1\n", {"columns": ("a", "b"), "header": 1}, r"bad:2: expected 2 columns \(a, b\), found 1"),
    ("csv", b'a,b\n1,"cut\n', {"columns": ("a", "b"), "header": 1}, r"bad:2: expected comma-separated values, found an error: unexpected end of data"),
    ("jsonl", b'{"a": 1}\n{"a": \n', {}, r"bad:2: expected one JSON object, found text that ends or breaks at character \d+; the line is cut"),
    ("jsonl", b'{"a": 1}\n{"a": "x", "a": "y"}\n', {}, "bad:2: expected one JSON object: an object has the key 'a' twice"),
    ("json_rows", b'[{"b": {"a": 1, "a": 2}}]\n', {}, "bad:1: expected JSON: an object has the key 'a' twice, with 1 and 2"),
    ("squad", b'{"data": [], "data": [1]}\n', {}, "bad:1: expected JSON: an object has the key 'data' twice"),
    ("jsonl", b"[1, 2]\n", {}, r"bad:1: expected one JSON object, found '\[1, 2\]'; is this a JSON-lines file\?"),
    ("squad", b'{"data": [', {}, r"bad:1: expected JSON, found text that ends or breaks at column \d+; the file is cut"),
    ("squad", b"[]", {}, r"bad: expected 'data', found list; is this file in SQuAD's format"),
    ("squad", b'{"data": [{"paragraphs": [{"qas": []}]}]}', {}, r"bad:data\[0\]\.paragraphs\[0\]: expected 'context', found the keys qas"),
    ("squad", b'{"data": [{"paragraphs": 3}]}', {}, r"bad:data\[0\]\.paragraphs: expected a list, found int"),
    ("tagged", b"A\tO\nB\n\n", TAGGED, r"bad:2: expected 2 columns \(token, tag\), found 1 in 'B'"),
    ("conllu", b"1\tA\n\n", {}, r"bad:1: expected 10 columns \(ID, FORM, .*\), found 2 in '1 \| A'"),
    ("conllu", b"x" + b"\t_" * 9 + b"\n\n", {}, r"bad:1: expected a word's number \(7, 7-8 or 7\.1\), found 'x'"),
    ("parquet", b"PAR1 not really", {}, r"bad: expected Parquet: .*; the file is cut"),
    ("bible", b"<a><seg id='1'>x</seg>\n", {}, r"bad:1: expected XML, found an error at column \d+; the file is cut"),
    ("text", b"\xfe\xff\x00a", {}, r"bad:1: expected UTF-8, found byte 0xfe at byte 1"),
]  # fmt: skip


@pytest.mark.parametrize(("format", "content", "options", "message"), BAD)
def test_what_cannot_be_repaired_is_told_exactly(
    tmp_path: Path, format: str, content: bytes, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match="^" + message):
        rows(make(tmp_path, "bad", content), format, options)


def test_csv_fields_may_span_lines_and_places_stay_right(tmp_path: Path) -> None:
    found, _ = rows(make(tmp_path, "a.csv", 'a,b\n1,"two\nlines"\n2,x\n'), "csv", {"columns": ("a",), "header": 1})
    assert [(row.place, row.values["b"]) for row in found] == [("a.csv:2", "two\nlines"), ("a.csv:4", "x")]


def test_json_lines_are_read(tmp_path: Path) -> None:
    assert rows(make(tmp_path, "b.jsonl", '{"a": [1], "a": [1]}\n'), "jsonl")[0] == [Row("b.jsonl:1", {"a": [1]})]
    assert rows(make(tmp_path, "a.jsonl", '{"a": [1]}\n'), "jsonl")[0] == [Row("a.jsonl:1", {"a": [1]})]


def test_aligned_files_are_read_side_by_side_group_after_group(tmp_path: Path) -> None:
    paths = [make(tmp_path, f"{name}.{n}", f"{name}{n}\n") for n in (1, 2) for name in "ab"]
    found, _ = rows(paths[0], "aligned", {"columns": ("x", "y")}, *paths[1:])
    assert [dict(row.values) for row in found] == [{"x": "a1", "y": "b1"}, {"x": "a2", "y": "b2"}]


def test_aligned_files_of_different_lengths_are_told(tmp_path: Path) -> None:
    a, b = make(tmp_path, "a.sw", "1\n2\n"), make(tmp_path, "a.en", "1\n")
    with pytest.raises(InputError, match=r"^a\.en:2: expected as many lines as in a\.sw, found 1; .* line by line"):
        rows(a, "aligned", {"columns": ("x", "y")}, b)
    with pytest.raises(InputError, match=r"expected groups of 3 files, found 2"):
        rows(a, "aligned", {"columns": ("x", "y", "z")}, b)


def test_text_leaves_blank_lines_out_and_counts_them(tmp_path: Path) -> None:
    found, report = rows(make(tmp_path, "a.txt", "One. \n\n Two.\n"), "text")
    assert [row.values["text"] for row in found] == ["One.", "Two."]
    assert report.places == {"dropped: blank line": ["a.txt:2"]}


def test_squad_places_are_paths_inside_the_file(tmp_path: Path) -> None:
    question = {"id": "q", "question": "Who?", "answers": [{"text": "She", "answer_start": 0}]}
    document = {"data": [{"paragraphs": [{"context": "She did.", "qas": [question]}]}]}
    assert rows(make(tmp_path, "a.json", json.dumps(document)), "squad")[0] == [
        Row("a.json:data[0].paragraphs[0].qas[0]", {**question, "context": "She did."})
    ]


def test_tagged_sentences_know_the_lines_of_their_words(tmp_path: Path) -> None:
    found, _ = rows(make(tmp_path, "a.tsv", "A\tB-PER\nb\tO\n\n#\tO\n"), "tagged", TAGGED)
    assert found == [
        Row("a.tsv:1", {"tokens": ("A", "b"), "tags": ("B-PER", "O"), "lines": (1, 2)}),
        Row("a.tsv:4", {"tokens": ("#",), "tags": ("O",), "lines": (4,)}),
    ]


def test_tagged_sentences_may_have_no_tags_or_comments(tmp_path: Path) -> None:
    path = make(tmp_path, "a.tsv", "A\nb\n\n")
    assert rows(path, "tagged", {"columns": ("token",)})[0][0].values["tags"] == ()
    path = make(tmp_path, "a.iob2", "# text = A\n1\tA\tO\t-\t-\n")
    columns = ("number", "token", "tag", "other", "annotator")
    assert rows(path, "tagged", {"columns": columns, "comments": 1})[0][0].values["tokens"] == ("A",)


def test_conllu_gives_syntactic_words(tmp_path: Path) -> None:
    (row,) = rows(make(tmp_path, "x.conllu", FUSED), "conllu")[0]
    assert row.values["tokens"] == ("de", "le", "pain", "et", "da", "me", "lo")


def test_conllu_gives_fused_forms_with_the_tag_of_their_head(tmp_path: Path) -> None:
    (row,) = rows(make(tmp_path, "x.conllu", FUSED), "conllu", {"fused": 1, "language": "fr"})[0]
    assert row.values["tokens"] == ("du", "pain", "et", "dámelo")
    assert row.values["tags"] == ("ADP", "NOUN", "CCONJ", "VERB")
    assert row.values["lines"] == (2, 5, 7, 8)


@pytest.mark.parametrize(("language", "tag"), [("es", "AUX"), ("pt", "PRON")])
def test_equal_words_of_a_fused_form_are_decided_by_language(tmp_path: Path, language: str, tag: str) -> None:
    words = "1-2\thaberse" + "\t_" * 8 + "\n1\thaber\t_\tAUX\t_\t_\t3\t_\t_\t_\n2\tse\t_\tPRON\t_\t_\t3\t_\t_\t_\n"
    path = make(tmp_path, "x.conllu", words + "3\tido\t_\tVERB\t_\t_\t0\t_\t_\t_\n\n")
    assert rows(path, "conllu", {"fused": 1, "language": language})[0][0].values["tags"] == (tag, "VERB")


def test_conllu_sentences_without_words_are_dropped_and_counted(tmp_path: Path) -> None:
    hidden = "1\t_\t_\tNOUN" + "\t_" * 6 + "\n2\t_\t_\tVERB" + "\t_" * 6 + "\n\n"
    found, report = rows(make(tmp_path, "x.conllu", hidden), "conllu")
    assert found == []
    assert report.places == {"dropped: sentence without words": ["x.conllu:1"]}


def test_parquet_names_labels_where_the_file_says_them(tmp_path: Path) -> None:
    features = {"tags": {"feature": {"names": ["O", "B-PER"], "_type": "ClassLabel"}, "_type": "Sequence"}}
    table = pa.table({"tags": [[1, 0]], "label": [2]})
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "a.parquet")
    assert rows(tmp_path / "a.parquet", "parquet")[0] == [Row("a.parquet:row 1", {"tags": ["B-PER", "O"], "label": 2})]
    with pytest.raises(InputError, match=r"a\.parquet: expected the columns tokens, found tags, label"):
        rows(tmp_path / "a.parquet", "parquet", {"columns": ("tokens",)})


def test_bible_verses_have_ids(tmp_path: Path) -> None:
    text = '<?xml version="1.0" ?>\n<b>\n<seg id="b.MAT.1.1" type="verse">\n\tHapo &amp;\n mwanzo\n</seg>\n<seg id="x"></seg></b>\n'
    found, report = rows(make(tmp_path, "a.xml", text), "bible")
    assert found == [Row("a.xml:3", {"id": "b.MAT.1.1", "text": "Hapo & mwanzo"})]
    assert report.places == {"dropped: verse without text": ["a.xml:7"]}


def test_only_newlines_end_lines(tmp_path: Path) -> None:
    path = make(tmp_path, "a", "a\x0cb\u0085c\rd\ne")
    assert list(text_lines.lines(Input(path, "a"), Report())) == [(1, "a\x0cb\u0085c\rd"), (2, "e")]


def test_words_count_from_one_so_that_a_lost_line_is_seen(tmp_path: Path) -> None:
    path = make(tmp_path, "x.conllu", "1\tA" + "\t_" * 8 + "\n3\tB" + "\t_" * 8 + "\n\n")
    with pytest.raises(
        InputError, match=r"x\.conllu:2: expected the word number 2, found '3'; a line is missing, or blank"
    ):
        rows(path, "conllu")
    columns = ("number", "token", "tag", "other", "annotator")
    path = make(tmp_path, "a.iob2", "1\tA\tO\t-\t-\n\n2\tB\tO\t-\t-\n")
    with pytest.raises(InputError, match=r"a\.iob2:3: expected the word number 1, found '2'"):
        rows(path, "tagged", {"columns": columns})


def test_text_in_parquet_that_is_not_utf8_is_told_with_its_row(tmp_path: Path) -> None:
    texts = pa.array([b"A", b"B\xff"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet")
    with pytest.raises(
        InputError, match=r"a\.parquet:row 2: expected UTF-8, found byte 0xff; the file is cut or damaged"
    ):
        rows(tmp_path / "a.parquet", "parquet")


def test_parquet_damaged_inside_is_told_with_a_row(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"n": list(range(1000))}), path, compression="zstd", use_dictionary=False)
    raw = path.read_bytes()
    path.write_bytes(raw[:60] + bytes(200) + raw[260:])
    with pytest.raises(InputError, match=r"a\.parquet:row 1: expected Parquet: .*; the file is cut or damaged"):
        rows(path, "parquet")


def test_a_pair_of_the_gold_occurs_once(tmp_path: Path) -> None:
    texts = [make(tmp_path, name, f"{name}-1\tA\n") for name in ("de", "en")]
    gold = make(tmp_path, "gold", "de-1\ten-1\nde-1\ten-1\n")
    with pytest.raises(InputError, match=r"gold:2: expected pairs that occur once, found 'de-1' 'en-1' again; remove"):
        rows(texts[0], "bitext", {}, texts[1], gold)


def test_aligned_rows_name_all_their_files(tmp_path: Path) -> None:
    a, b = make(tmp_path, "a.sw", "Moja\n"), make(tmp_path, "a.en", "One\n")
    assert rows(a, "aligned", {"columns": ("x", "y")}, b)[0][0].place == "a.sw:1, a.en:1"


@pytest.mark.parametrize("change", [{"answers": "She"}, {"question": []}, {"answers": [{"answer_start": "0"}]}])
def test_pairs_of_another_shape_are_told(tmp_path: Path, change: dict[str, Any]) -> None:
    question = {"id": "q", "question": "Who?", "answers": [{"text": "She", "answer_start": 0}], **change}
    document = {"data": [{"paragraphs": [{"context": "She did.", "qas": [question]}]}]}
    with pytest.raises(
        InputError, match=r"a\.json:data\[0\]\.paragraphs\[0\]\.qas\[0\].*: expected .*; correct the row"
    ):
        rows(make(tmp_path, "a.json", json.dumps(document)), "squad_pairs")


def test_a_question_occurs_once_in_a_file_of_xquad_r(tmp_path: Path) -> None:
    question = {"id": "q", "question": "Who?", "answers": [{"text": "She", "answer_start": 0}]}
    paragraph = {"context": "She did.", "sentence_breaks": [[0, 8]], "qas": [question, question]}
    path = make(tmp_path, "de.json", json.dumps({"data": [{"paragraphs": [paragraph]}]}))
    with pytest.raises(
        InputError, match=r"qas\[1\]: expected ids that occur once, found 'q' again \(first at .*qas\[0\]\)"
    ):
        rows(path, "xquad_r", {"language": "en"})


def test_entities_of_another_shape_are_told(tmp_path: Path) -> None:
    mentions = make(tmp_path, "m.jsonl", "")
    entity = {"entity_id": "Q1", "title": "T", "description": [], "sentence_spans": "A poet."}
    entities = make(tmp_path, "e.jsonl", json.dumps(entity) + "\n")
    with pytest.raises(InputError, match=r"e\.jsonl:1: expected text in 'description', found \[\]"):
        rows(mentions, "mewslix", {"language": "en"}, entities)
