"""Damage: whatever befalls a file of a task, the error names the file, the line and what to do.

Every source of every task is damaged in every way that can be seen: files made by the tests, and cut-outs of the real
ones where they are at hand. What cannot be seen is in `UNSEEN`, with the reason.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from forms import Files, Form, every_form
from xstilts.data.readers.tar_members import opened
from xstilts.errors import InputError

DATA = Path(os.environ.get("XSTILTS_DATA") or "no-such-folder")
RECORDS = 20
FEW = settings(
    max_examples=3,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@dataclass(frozen=True)
class Damage:
    """The files, one of them damaged, and where: its name, and the line or row if there is one to name."""

    files: Files
    path: str
    line: int | None = None


# Formats by what a line of theirs is.

DOCUMENTS = ("squad", "squad_pairs", "xquad_r")
JSON_LINES = ("jsonl", "mewslix", "mewslix_hub", "mewslix_pairs")
PARQUET = ("parquet", "bitext_parquet")
TABLES = ("tsv", "csv")

LABELS = {  # by `convert`: the label's column and a text's, where they are called otherwise
    "csqa.ask": ("answerKey", "id"),
    "csqa.ask_hub": ("answerKey", "question"),
    "belebele.ask": ("correct_answer_num", "flores_passage"),
    "siqa.ask": ("correct", "context"),
    "winogrande.ask": ("answer", "sentence"),
    "copa.ask": ("label", "premise"),
    "hellaswag.ask": ("label", "ctx_a"),
    "piqa.ask": ("label", "row"),
    "siqa.ask_line": ("label", "row"),
    "piqa.ask_hub": ("label", "goal"),
}


def pair(form: Form) -> tuple[str, str]:
    """Return the columns of the label and of a text; of what has no label, two whose exchange is seen."""
    convert = form.source.convert
    known = f"{convert.__module__.rpartition('.')[2]}.{convert.__name__}" if convert else ""
    if known in LABELS:
        return LABELS[known]
    if known == "myxnli.pair":
        return "label", f"sentence1_{form.language}"
    format, columns = form.task.format, form.source.columns
    if format == "token_classification":
        tags = "tag" if form.source.reader == "tagged" else "tags"
        return columns.get("tags", tags), "token" if form.source.reader == "tagged" else "tokens"
    if format == "extractive_qa" or form.source.reader in DOCUMENTS:
        return "answers", "question"
    field = {"classification": "text_a", "multiple_choice": "question", "masked_lm": "text"}.get(format, "source")
    return columns.get("label", "label"), columns.get(field, field)


def has_labels(form: Form) -> bool:
    return (
        form.task.format in ("classification", "multiple_choice", "token_classification") and not form.source.withheld
    )


# What cannot be seen, or is no damage: by corruption, in which forms, and why.

UNSEEN: list[tuple[tuple[str, ...], Callable[[Form], bool], str]] = [
    (("cut",), lambda f: f.source.reader == "text", "a text may end anywhere"),
    (("cut",), lambda f: f.columns == ("token",), "a word may end anywhere"),
    (("cut",), lambda f: f.source.reader == "aligned" and not has_labels(f), "a text may end anywhere"),
    (("exchanged",), lambda f: f.task.format in ("bitext_retrieval", "masked_lm") and f.source.reader not in (*DOCUMENTS, "mewslix_pairs"), "two texts: which is which is not in them"),
    (("exchanged",), lambda f: f.source.withheld and f.task.format != "extractive_qa", "two texts, or words alone"),
    (("exchanged",), lambda f: f.source.reader in ("bitext_parquet", "mewslix_hub"), "two texts: which is which is not in them"),
    (("exchanged", "label"), lambda f: f.task.format == "token_classification" and not f.task.labels, "the data say which tags are"),
    (("label",), lambda f: not has_labels(f), "there are no labels"),
    (("repeated",), lambda f: not f.has_ids and f.source.reader not in ("mewslix", "mewslix_pairs", "xquad_r"), "rows are numbered: two may be equal"),
    (("repeated",), lambda f: f.source.reader == "bitext_parquet", "ids are places in the list"),
    (("column",), lambda f: f.source.reader in ("aligned", "auto", "bible", "bitext", "conllu", "tagged", "text"), "columns have no names"),
    (("column",), lambda f: f.source.reader == "tsv" and not f.source.options.get("header"), "columns have no names"),
    (("lost",), lambda f: f.source.reader not in ("aligned", "bitext"), "there is one file, or several independent ones"),
    (("lost",), lambda f: len(f.paths) < 3 and f.source.reader == "bitext", "monolingual texts, no pair of which is known"),
    (("blank",), lambda f: f.source.reader == "tagged" and "number" not in f.columns, "a blank line ends a sentence"),
    (("blank",), lambda f: f.source.reader in ("auto", "bible", *DOCUMENTS), "white space between records means nothing"),
    (("blank",), lambda f: f.source.reader == "text", "left out and counted"),
    (("blank",), lambda f: f.source.reader in PARQUET, "there are no lines"),
]  # fmt: skip


def seen(corruption: str, form: Form) -> bool:
    return not any(corruption in names and unseen(form) for names, unseen, _ in UNSEEN)


# Clean cut-outs.


@cache
def made(form: Form) -> Files:
    return form.written(form.made())


@cache
def real(form: Form) -> Files:
    """Return the first records of the real files."""
    found = form.source.find(form.split, form.language, DATA)
    found = found[:2] if form.source.reader in ("text", "bible", "tagged", "conllu") else found
    files = {}
    for path in found:
        with opened(path) as stream:
            files[path.relative_to(DATA).as_posix()] = stream.read()
    if form.source.reader == "bitext":
        return _first_pairs(files)
    return {name: _first(form, raw.removeprefix(b"\xef\xbb\xbf")) for name, raw in files.items()}


def _first(form: Form, raw: bytes) -> bytes:
    reader = form.source.reader
    if reader in DOCUMENTS:
        article = json.loads(raw)["data"][0]
        paragraphs = [{**one, "qas": one["qas"][:3]} for one in article["paragraphs"][:3]]
        return json.dumps({"data": [{**article, "paragraphs": paragraphs}]}, ensure_ascii=False).encode()
    if reader in ("tagged", "conllu"):
        return b"\n\n".join(raw.replace(b"\r\n", b"\n").split(b"\n\n")[: RECORDS // 2]) + b"\n\n"
    if reader == "csv":
        return "".join(records(raw.decode())[:RECORDS]).encode()
    if reader == "bible":
        head = b"</seg>".join(raw.split(b"</seg>")[:RECORDS]) + b"</seg>"
        open_tags: list[bytes] = []
        for closing, name, empty in re.findall(rb"<(/?)(\w+)[^>]*?(/?)>", head):
            if closing:
                open_tags.pop()
            elif not empty:
                open_tags.append(name)
        return head + b"\n" + b"\n".join(b"</" + name + b">" for name in reversed(open_tags)) + b"\n"
    lines = raw.replace(b"\r\n", b"\n").split(b"\n")
    return b"\n".join(lines[: 2 * (RECORDS // 2)]).rstrip(b"\n") + b"\n"


def _first_pairs(files: Files) -> Files:
    gold = next((raw for name, raw in files.items() if name.endswith(".gold")), b"").split(b"\n")[:RECORDS]
    wanted = {id for line in gold for id in line.split(b"\t")}
    cut = {}
    for name, raw in files.items():
        lines = raw.split(b"\n")
        kept = gold if name.endswith(".gold") else [line for line in lines if line.split(b"\t")[0] in wanted]
        cut[name] = b"\n".join(kept) + b"\n"
    return cut


def records(text: str) -> list[str]:
    """Return the records of comma-separated values, which may span lines."""
    lines = text.splitlines(keepends=True)
    reader, start, found = csv.reader(lines), 0, []
    for _ in reader:
        found.append("".join(lines[start : reader.line_num]))
        start = reader.line_num
    return found


# Corruptions: of a form's files, with dice.


def lines_of(raw: bytes) -> list[str]:
    return raw.decode().split("\n")[:-1]


def joined(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def picked(form: Form, files: Files, dice: Random, lines: bool = True) -> tuple[str, int]:
    """Return a file and the number (from 0) of a line of it that is a record's."""
    path = dice.choice(sorted(files))
    if form.source.reader == "aligned":
        path = sorted(files, key=list(files).index)[_labelled(form, len(files), dice)]
    found = lines_of(files[path])
    first = 1 if form.source.options.get("header") else 0
    comments = form.source.reader == "conllu" or form.source.options.get("comments")
    possible = [
        number
        for number, line in enumerate(found)
        if number >= first and line.strip() and not (comments and line.startswith("#"))
    ]
    return path, dice.choice(possible)


def _labelled(form: Form, count: int, dice: Random) -> int:
    """Return the number of a file of labels among aligned ones, or of any where there are none."""
    label = form.columns.index(pair(form)[0]) if has_labels(form) else dice.randrange(len(form.columns))
    return label + len(form.columns) * dice.randrange(count // len(form.columns))


def cut(form: Form, files: Files, dice: Random) -> Damage:
    """End a line too early, sometimes the file with it; end a file in one piece too early."""
    reader = form.source.reader
    if reader in (*DOCUMENTS, *PARQUET):
        path = dice.choice(sorted(files))
        return Damage({**files, path: files[path][: dice.randrange(1, len(files[path]) - 8)].rstrip()}, path)
    path, number = picked(form, files, dice)
    lines = lines_of(files[path])
    if reader in ("auto", "bible"):
        start = "(<" if reader == "auto" else "<"
        number = dice.choice([n for n, line in enumerate(lines) if line.strip().startswith(start)])
    if reader == "csv":
        ends = [one.count("\n") for one in records(files[path].decode())]
        number = sum(ends[: dice.randrange(2, len(ends) + 1)]) - 1
    line = lines[number]
    last = {"tsv": line.rfind("\t"), "csv": line.rfind(","), "tagged": line.rfind("\t"), "conllu": line.rfind("\t")}
    stop = dice.randint(1, max(1, last.get(reader, line.find("\t") if reader == "bitext" else len(line) - 1)))
    shorter = line[:stop] if reader != "aligned" or len(line) > 1 else "?"
    whole = dice.random() < 0.3 and reader not in ("aligned", "bitext", "csv")
    damaged = (
        "\n".join([*lines[:number], shorter]).encode()
        if whole
        else joined([*lines[:number], shorter, *lines[number + 1 :]])
    )
    return Damage({**files, path: damaged}, path, None if reader in ("csv", "bible") else number + 1)


def encoding(form: Form, files: Files, dice: Random) -> Damage:
    """Put a byte that is not UTF-8 anywhere."""
    if form.source.reader in PARQUET:
        return _undecodable(form, files, dice)
    path = dice.choice(sorted(files))
    place = dice.randrange(len(files[path]))
    line = files[path][:place].count(b"\n") + 1
    return Damage({**files, path: files[path][:place] + b"\xff" + files[path][place:]}, path, line)


def _undecodable(form: Form, files: Files, dice: Random) -> Damage:
    path = dice.choice(sorted(files))
    table = pq.read_table(io.BytesIO(files[path]))
    name = dice.choice(
        [field.name for field in table.schema if pa.types.is_string(field.type) or pa.types.is_list(field.type)]
    )
    column = table[name].combine_chunks()
    texts = column if pa.types.is_string(column.type) else column.values
    if not pa.types.is_string(texts.type):
        name = next(field.name for field in table.schema if field.type in (pa.string(), pa.list_(pa.string())))
        column = table[name].combine_chunks()
        texts = column if pa.types.is_string(column.type) else column.values
    number = dice.randrange(len(texts))
    raw = [text.encode() for text in texts.to_pylist()]
    raw[number] += b"\xff"
    broken: Any = pa.array(raw, pa.binary()).view(pa.string())
    if not pa.types.is_string(column.type):
        broken = pa.ListArray.from_arrays(column.offsets, broken)
    stream = io.BytesIO()
    pq.write_table(table.set_column(table.schema.get_field_index(name), name, broken), stream)
    return Damage({**files, path: stream.getvalue()}, path)


def exchanged(form: Form, files: Files, dice: Random) -> Damage:
    """Exchange a column with another of another sort, in the whole file."""
    label, other = pair(form)

    def exchange(row: dict[str, Any]) -> dict[str, Any]:
        return {**row, label: row[other], other: row[label]}

    if form.source.reader in ("mewslix", "mewslix_pairs"):
        path = list(files)[-1]
        rows = [json.loads(line) for line in lines_of(files[path])]
        for row in rows:
            entity = row.get("entity", row)
            entity["description"], entity["sentence_spans"] = entity["sentence_spans"], entity["description"]
        return Damage({**files, path: joined([json.dumps(row) for row in rows])}, path, 1)
    if form.source.reader == "aligned":
        names, width = list(files), len(form.columns)
        at = width * dice.randrange(len(names) // width)
        a, b = (names[at + form.columns.index(name)] for name in (label, other))
        return Damage({**files, a: files[b], b: files[a]}, names[at])
    if form.source.reader == "bitext":
        path = list(files)[-1]
        turned = ["\t".join(reversed(line.split("\t"))) for line in lines_of(files[path])]
        return Damage({**files, path: joined(turned)}, path, 1)
    if form.source.reader == "conllu":
        label, other = "UPOS", "FORM"
    path = dice.choice(sorted(files))
    return Damage({**files, path: _mapped(form, files[path], exchange, None)}, path)


def label(form: Form, files: Files, dice: Random) -> Damage:
    """Put a label that is none into a row."""
    name, _ = pair(form)
    name = "UPOS" if form.source.reader == "conllu" else name
    wrong = dice.choice([99, 7_000]) if form.source.reader == "parquet" else dice.choice(["entailmnt", "B-PRE", "99"])

    def replaced(row: dict[str, Any]) -> dict[str, Any]:
        if isinstance(row[name], list):
            return {**row, name: [wrong, *row[name][1:]]}
        return {**row, name: str(wrong) if isinstance(row[name], str) else wrong}

    if form.source.reader == "aligned":
        path, number = picked(form, files, dice)
        lines = lines_of(files[path])
        return Damage({**files, path: joined([*lines[:number], str(wrong), *lines[number + 1 :]])}, path, number + 1)
    path, several = dice.choice(sorted(files)), form.source.options.get("language_column") == "language"
    return Damage({**files, path: _mapped(form, files[path], replaced, None if several else dice)}, path)


def repeated(form: Form, files: Files, dice: Random) -> Damage:
    """Put a copy of a record after it."""
    reader = form.source.reader
    path = dice.choice(sorted(files))
    if reader in DOCUMENTS:
        document = json.loads(files[path])
        questions = dice.choice(document["data"][0]["paragraphs"])["qas"]
        questions.append(questions[0])
        return Damage({**files, path: json.dumps(document).encode()}, path)
    if reader == "parquet":
        table = pq.read_table(io.BytesIO(files[path]))
        rows = table.to_pylist()
        number = dice.randrange(len(rows))
        return Damage(
            {**files, path: _parquet([*rows[: number + 1], rows[number], *rows[number + 1 :]])}, path, number + 2
        )
    chunks = _records(form, files[path])
    number = dice.choice(
        [n for n, chunk in enumerate(chunks) if reader != "bible" or "<seg " in chunk][reader == "csv" :]
    )
    copied = [*chunks[: number + 1], chunks[number], *chunks[number + 1 :]]
    return Damage({**files, path: "".join(copied).encode()}, path)


def column(form: Form, files: Files, dice: Random) -> Damage:
    """Take the name of a column out of the header, the key out of a record, the column out of a table."""
    reader = form.source.reader
    path = dice.choice(sorted(files))
    if reader in TABLES:
        first, rest = files[path].decode().split("\n", 1)
        separator = "\t" if reader == "tsv" else ","
        names = first.split(separator)
        gone = dice.choice([*form.columns] if form.columns else names)
        header = separator.join(name for name in names if name != gone)
        return Damage({**files, path: f"{header}\n{rest}".encode()}, path, 1)
    if reader in DOCUMENTS:
        document = json.loads(files[path])
        paragraph = dice.choice(document["data"][0]["paragraphs"])
        holder, key = dice.choice(
            [
                (paragraph, "context"),
                (paragraph, "qas"),
                *((dice.choice(paragraph["qas"]), k) for k in ("id", "question", "answers")),
            ]
        )
        del holder[key]
        return Damage({**files, path: json.dumps(document).encode()}, path)
    if reader in PARQUET:
        table = pq.read_table(io.BytesIO(files[path]))
        needed = pair(form) if reader == "parquet" else table.column_names
        gone = dice.choice([name for name in needed if name in table.column_names])
        return Damage({**files, path: _parquet(table.drop_columns([gone]).to_pylist())}, path)
    lines = lines_of(files[path])
    number = dice.randrange(len(lines))
    row = json.loads(lines[number])
    if reader == "jsonl":
        del row[dice.choice([name for name in pair(form)[form.source.withheld :] if name != "id"])]
    else:
        del row[dice.choice(sorted(row))]
    lines[number] = json.dumps(row)
    return Damage({**files, path: joined(lines)}, path, number + 1)


def lost(form: Form, files: Files, dice: Random) -> Damage:
    """Take a line out of one of the files that belong together."""
    path = dice.choice(sorted(files))
    if form.source.reader == "bitext":
        *sides, gold = list(files)
        path = dice.choice(sides)
        asked = {id for line in lines_of(files[gold]) for id in line.split("\t")}
        found = [n for n, line in enumerate(lines_of(files[path])) if line.split("\t")[0] in asked]
        number = dice.choice(found)
    else:
        number = dice.randrange(len(lines_of(files[path])))
    lines = lines_of(files[path])
    return Damage({**files, path: joined([*lines[:number], *lines[number + 1 :]])}, path)


def blank(form: Form, files: Files, dice: Random) -> Damage:
    """Put a blank line between records, or into a sentence where words have numbers."""
    path = dice.choice(sorted(files))
    if form.source.reader in ("tagged", "conllu"):
        lines = lines_of(files[path])
        inside = [n for n, line in enumerate(lines[:-1]) if line[:1].isdigit() and lines[n + 1][:1].isdigit()]
        number = dice.choice(inside) + 1
        return Damage({**files, path: joined([*lines[:number], "", *lines[number:]])}, path, number + 2)
    chunks = _records(form, files[path])
    number = dice.randrange(1, len(chunks))
    return Damage({**files, path: "".join([*chunks[:number], "\n", *chunks[number:]]).encode()}, path)


CORRUPTIONS = {one.__name__: one for one in (cut, encoding, exchanged, label, repeated, column, lost, blank)}


def _records(form: Form, raw: bytes) -> list[str]:
    text = raw.decode()
    if form.source.reader == "csv":
        return records(text)
    if form.source.reader == "bible":
        return re.split(r"(?=<seg )|(?<=</seg>\n)(?!<seg )", text)
    lines = text.splitlines(keepends=True)
    return ["".join(lines[n : n + 2]) for n in range(0, len(lines), 2)] if form.source.reader == "auto" else lines


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), stream)
    return stream.getvalue()


def _mapped(form: Form, raw: bytes, change: Callable[[dict[str, Any]], dict[str, Any]], dice: Random | None) -> bytes:
    """Return a file with a row changed, or all rows where there are no dice."""
    reader = form.source.reader
    if reader in DOCUMENTS:
        document = json.loads(raw)
        for paragraph in document["data"][0]["paragraphs"]:
            paragraph["qas"] = [change(one) for one in paragraph["qas"]]
        return json.dumps(document).encode()
    if reader == "parquet":
        rows = pq.read_table(io.BytesIO(raw)).to_pylist()
        return _parquet(_changed(rows, change, dice))
    if reader == "jsonl":
        return joined([json.dumps(row) for row in _changed([json.loads(line) for line in lines_of(raw)], change, dice)])
    if reader in TABLES:
        separator = "\t" if reader == "tsv" else ","
        rows = (
            [next(csv.reader([one])) for one in records(raw.decode())]
            if reader == "csv"
            else [line.split("\t") for line in lines_of(raw)]
        )
        if reader == "csv":
            rows = list(csv.reader(io.StringIO(raw.decode(), newline="")))
        header = rows.pop(0) if form.source.options.get("header") else None
        names = header or list(form.columns)
        changed = [
            [*row.values()] for row in _changed([dict(zip(names, row, strict=True)) for row in rows], change, dice)
        ]
        if separator == "\t":
            return joined(["\t".join(row) for row in ([header] if header else []) + changed])
        stream = io.StringIO(newline="")
        csv.writer(stream, lineterminator="\n").writerows([names, *changed])
        return stream.getvalue().encode()
    names = (
        ["ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC"]
        if reader == "conllu"
        else list(form.columns)
    )
    lines, separator = lines_of(raw), str(form.source.options.get("separator", "\t"))
    words = [
        n
        for n, line in enumerate(lines)
        if line and separator in line and (reader != "conllu" or line.split("\t")[0].isdigit())
    ]
    rows = _changed([dict(zip(names, lines[n].split(separator), strict=True)) for n in words], change, dice)
    for number, row in zip(words, rows, strict=True):
        lines[number] = separator.join(row.values())
    return joined(lines)


def _changed(rows: list[Any], change: Callable[[Any], Any], dice: Random | None) -> list[Any]:
    chosen = range(len(rows)) if dice is None else [dice.randrange(len(rows))]
    return [change(row) if number in chosen else row for number, row in enumerate(rows)]


# The law.


def cases(of: Callable[[], list[Form]]) -> Iterator[Any]:
    """Yield each corruption of each form; of forms that one reader reads in one way, the first is always tested."""
    tested: Counter[tuple[Any, ...]] = Counter()
    for form in of():
        for corruption in CORRUPTIONS:
            if seen(corruption, form):
                way = (form.source.reader, form.task.format, bool(form.source.convert), corruption)
                tested[way] += 1
                marks = [pytest.mark.slow] if tested[way] > 1 else []
                yield pytest.param(form, corruption, id=f"{form.label}-{corruption}", marks=marks)


def of_tests() -> list[Form]:
    """Return each source of each task once, in its last split."""
    return [list(group)[-1] for _, group in groupby(every_form(), key=lambda form: (form.name, form.number))]


def at_hand() -> list[Form]:
    """Return each source once, in a split and a language for which there are real files."""
    return [form for form in map(_there, of_tests()) if form] if DATA.is_dir() else []


def _there(form: Form) -> Form | None:
    for split in form.source.files:
        for language in dict.fromkeys((form.language, *form.task.trained_in, *form.task.languages)):
            one = Form(form.name, form.number, split, language)
            if one.source.find(split, language, DATA) and not one.shadowed():
                return one
    return None


def told(form: Form, files: Files, corruption: str, seed: int, folder: Path) -> None:
    mixed = form.source.reader == "mewslix_hub"  # lines of JSON beside a Parquet file, whose damage `parquet` shows
    damaged = {path: raw for path, raw in files.items() if not (mixed and path.endswith(".parquet"))}
    damage = CORRUPTIONS[corruption](form, damaged, Random(seed))
    damage = replace(damage, files={**files, **damage.files})
    with pytest.raises(InputError) as caught:
        form.read(damage.files, folder)
    message = str(caught.value)
    problem, _, remedy = message.partition("; ")
    assert damage.path in message
    assert problem
    assert len(remedy) > 10
    if damage.line:
        assert re.search(rf"{re.escape(damage.path)}:(row )?{damage.line}\b", message)
    elif form.source.reader in PARQUET and corruption in ("cut", "column"):
        assert re.match(r"[^:]+\.parquet(:row \d+)?: ", message)
    else:
        assert re.match(r"[^:]+:(\d+|row \d+|data\S*)[:,] ", message)


@FEW
@given(seed=st.integers(0, 2**32))
@pytest.mark.parametrize(("form", "corruption"), list(cases(of_tests)))
def test_damage_is_told_with_file_line_and_remedy(form: Form, corruption: str, seed: int, tmp_path: Path) -> None:
    told(form, made(form), corruption, seed, tmp_path)


@pytest.mark.skipif(not DATA.is_dir(), reason="XSTILTS_DATA does not name a folder with the real data")
@FEW
@given(seed=st.integers(0, 2**32))
@pytest.mark.parametrize(("form", "corruption"), list(cases(at_hand)))
def test_damage_to_real_files_is_told(form: Form, corruption: str, seed: int, tmp_path: Path) -> None:
    told(form, real(form), corruption, seed, tmp_path)


@pytest.mark.parametrize("form", at_hand(), ids=lambda form: form.label)
def test_a_real_cut_out_is_clean(form: Form, tmp_path: Path) -> None:
    assert form.read(real(form), tmp_path)[0]


def test_what_cannot_be_seen_occurs() -> None:
    for names, unseen, reason in UNSEEN:
        assert set(names) <= set(CORRUPTIONS)
        assert any(unseen(form) for form in of_tests()), reason
