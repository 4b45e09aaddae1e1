r"""User format: what a file of the user's is, found out from its content and said with the reasons.

A file is CSV or TSV, JSON lines, one JSON document, SQuAD's JSON, CoNLL, Parquet, or two files of parallel lines. Its
columns are given by the user, or known by their names, or known by what they hold. Where two readings are possible the
file is refused with the options that decide: a wrong guess would cost a training. Only a sample of the beginning is
looked at; the readers check every row later. Pickled files are refused, as loading them runs code.

>>> import tempfile
>>> path = Path(tempfile.mkdtemp()) / "reviews.csv"
>>> _ = path.write_text("review;stars\nA fine book.;5\nNo, thanks.;1\n")
>>> infer(path).columns
{'text': 'review', 'label': 'stars'}
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from xstilts.data.languages import ARTIFICIAL, languages
from xstilts.data.readers import Input, Options, Report, lines, read
from xstilts.data.readers.conll import BLANKS
from xstilts.data.readers.field_types import notated, parsed, shown
from xstilts.data.readers.row import bad
from xstilts.data.readers.row_to_example import written_out
from xstilts.data.readers.text_lines import refuse_binary
from xstilts.data.record_file import TAG, word_columns
from xstilts.errors import InputError, suggestion
from xstilts.runtime.text import counted
from xstilts.tasks.user_data import FIELDS, Columns

SAMPLE_LINES = 500
SAMPLE_CHARACTERS = 1_000_000
NAME_WORDS = 4  # that a column's name has at most
FEWEST_ROWS = 8  # from which the values of a column say whether it holds labels
FILE_FORMATS = ("csv", "jsonl", "json", "squad", "conll", "parquet")
DELIMITERS = {"\t": "a tab", ";": "';'", ",": "','"}
CONLL_SUFFIXES = (".conll", ".conllu", ".conll03", ".bio", ".iob", ".iob2", ".iobes")
NUMBERED = re.compile(r"\d+([-.]\d+)?")
CHOICE = re.compile(r"(choice|option|ending|answer|alternative|sol)[_ ]?([a-h0-9])", re.IGNORECASE)

# Names by which columns are known, by the argument that names them.
NAMES: Mapping[str, tuple[str, ...]] = {
    "text": (
        *("text", "sentence", "review", "content", "utterance", "tweet", "comment", "message", "document", "body"),
        "headline",
    ),
    "label": (
        *("label", "labels", "class", "category", "intent", "sentiment", "stars", "rating", "gold_label", "topic"),
        *("emotion", "polarity"),
    ),
    "tokens": ("tokens", "words"),
    "tags": ("tags", "ner_tags", "pos_tags", "upos"),
    "context": ("context", "passage", "paragraph"),
    "question": ("question",),
    "answers": ("answers", "answer"),
    "choices": ("choices", "options", "endings"),
    "source": ("source", "src"),
    "target": ("target", "tgt", "translation"),
    "id": (),
}
PAIRS = (
    ("text", "text_pair"),
    ("premise", "hypothesis"),
    ("sentence1", "sentence2"),
    ("text_a", "text_b"),
    ("text1", "text2"),
    ("question1", "question2"),
)
# The text before the choices, where a column has the name of neither field.
STEMS: Mapping[str, tuple[str, ...]] = {
    "context": ("context", "premise", "ctx", "passage", "paragraph", "sentence", "text", "story"),
    "question": ("question", "goal", "query"),
}
ANSWER_NUMBERS = (*NAMES["label"], "answer", "correct", "answerkey")
# More particular formats first: a question with choices may have a column called "text" as well.
FORMATS = ("token_classification", "extractive_qa", "multiple_choice", "bitext_retrieval", "classification")
GIVES_AWAY = {
    "tokens": "token_classification",
    "tags": "token_classification",
    "answers": "extractive_qa",
    "choices": "multiple_choice",
    "source": "bitext_retrieval",
    "target": "bitext_retrieval",
    "text": "classification",
    "text_pair": "classification",
}


@dataclass(frozen=True)
class FileFormat:
    """What a file is, and why.

    Attributes:
        paths: The file; two of parallel lines.
        name: The file format in words, such as "CSV with ';'".
        reader: The reader, a key of `readers.FORMATS`.
        options: Options of the reader.
        format: The task format.
        columns: From the argument of a field ("text", "label") to its column; empty where the reader names the fields.
        reasons: Why it is read so.
        choice_labels: What the label column of multiple choice holds for the first choice, the second and so on, where
            that is not 0, 1 and so on.
        unused: Columns that are not read.
    """

    paths: tuple[Path, ...]
    name: str
    reader: str
    options: Options
    format: str
    columns: Mapping[str, str | tuple[str, ...]]
    reasons: tuple[str, ...] = ()
    choice_labels: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

    def describe(self, *others: FileFormat) -> str:
        """Return in one sentence how the file is read, and others that are read alike."""
        names = ", ".join(" + ".join(path.name for path in file.paths) for file in (self, *others))
        columns = ", ".join(
            f"{_listed(column)} as {argument}" for argument, column in self.columns.items() if argument != column
        )
        shown = f", column {columns}" if columns else ""
        rest = f"; not read: {', '.join(self.unused)}" if self.unused else ""
        return f"{names}: read as {self.format}, {self.name}{shown}, because {', and '.join(self.reasons)}{rest}"


@dataclass(frozen=True)
class FileOptions:
    """What the user says of a file, where it is not to be inferred.

    Attributes:
        columns: From the argument of a field to its column: its name, or its number, from 1.
        format: The task format; "" to infer it.
        file_format: A name in `FILE_FORMATS`; "" to infer it.
        delimiter: What separates the columns of CSV; "" to infer it.
        header: Whether the first line names the columns; None to infer it.
        labels: Labels that the user names; those of choices are then not inferred.
    """

    columns: Mapping[str, Any] = field(default_factory=dict)
    format: str = ""
    file_format: str = ""
    delimiter: str = ""
    header: bool | None = None
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        known = [*Columns.__annotations__]
        for name in self.columns:
            if name not in known:
                raise InputError(f"unknown field '{name}'{suggestion(name, known)}: there are {', '.join(known)}")
        if self.format and self.format not in FORMATS:
            near = suggestion(self.format, FORMATS)
            raise InputError(f"unknown task format '{self.format}'{near}: give one of {', '.join(FORMATS)}")
        if self.file_format and self.file_format not in FILE_FORMATS:
            near = suggestion(self.file_format, FILE_FORMATS)
            raise InputError(f"unknown file format '{self.file_format}'{near}: give one of {', '.join(FILE_FORMATS)}")
        if self.delimiter and self.delimiter != "\\t" and len(self.delimiter) != 1:
            raise InputError(f"the delimiter {self.delimiter!r} is not one character: give ',' or ';' or '\\t'")


@dataclass(frozen=True)
class _Table:
    """A possible reading of a file as rows with columns, and a sample of the rows."""

    path: Path
    name: str
    reader: str
    options: Mapping[str, Any]
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    reasons: tuple[str, ...]
    named: bool = True  # the columns have names of their own

    def values(self, column: str) -> list[Any]:
        return [row[column] for row in self.rows if row.get(column) not in (None, "")]


def infer(path: Path | str, options: FileOptions | None = None) -> FileFormat:
    """Find out what a file is.

    Args:
        path: The file.
        options: What the user says of it; default: nothing.

    Returns:
        How to read it, with the reasons.

    Raises:
        InputError: There is no such file, it is of no known format, or it can be read in several ways; the message has
            the file, the line where there is one, and the option that decides.
    """
    path, options = Path(path).expanduser(), options or FileOptions()
    if not path.is_file():
        raise InputError(f"there is no file {path}: correct the path")
    start = _beginning(path)
    file_format = options.file_format or _file_format(path, start)
    if file_format == "parquet":
        return _inferred([_parquet(path)], options)
    sample = _sample(path)
    if not any(text.strip() for _, text in sample):
        raise bad(str(path), "expected rows, found none", "the file is empty: correct the path, or fill the file")
    if file_format in ("json", "squad"):
        return _json(path, options)
    if file_format == "jsonl":
        return _inferred([_jsonl(path, sample)], options)
    if file_format == "conll":
        return _conll(path, sample, options)
    return _inferred(_delimited(path, sample, options), options)


def infer_parallel(source: Path | str, target: Path | str) -> FileFormat:
    """Return how two files are read whose lines are translations of each other.

    Raises:
        InputError: A file is missing, or one has more lines than the other.
    """
    paths = tuple(Path(path).expanduser() for path in (source, target))
    counts = []
    for path in paths:
        if not path.is_file():
            raise InputError(f"there is no file {path}: correct the path")
        _beginning(path)
        counts.append(sum(1 for _ in lines(Input(path, str(path)), Report())))
    if counts[0] != counts[1] or not counts[0]:
        shown = f"{paths[0]} has {counts[0]} lines and {paths[1]} {counts[1]}"
        raise InputError(f"{shown}: parallel files belong together line by line, so give two of equally many lines")
    columns = ("source", "target")
    reason = f"two files were given, of {counts[0]} lines each"
    return FileFormat(
        paths,
        "parallel lines",
        "aligned",
        {"columns": columns},
        "bitext_retrieval",
        dict(zip(columns, columns, strict=True)),
        (reason,),
    )


# The file format.


def _beginning(path: Path) -> bytes:
    """Return the first bytes of a file; InputError where it is no text."""
    with path.open("rb") as file:
        start = file.read(8192)
    refuse_binary(start, str(path), parquet=True)
    if start.startswith(b"\x80") or path.suffix in (".pkl", ".pickle", ".pt", ".npy"):
        remedy = "such files can run code when they are loaded: save the rows as CSV, JSON lines or Parquet"
        raise bad(str(path), "expected a text file, found pickled objects", remedy)
    if b"\x00" in start and not start.startswith(b"PAR1"):
        raise bad(str(path), "expected a text file, found binary data", "save the rows as CSV or JSON lines (UTF-8)")
    return start


def _file_format(path: Path, start: bytes) -> str:
    if start.startswith(b"PAR1"):
        return "parquet"
    sample = _sample(path)
    filled = [text for _, text in sample if text.strip()]
    text = filled[0].lstrip() if filled else ""
    if text.startswith("{"):
        try:
            first = parsed(text)
        except ValueError:
            return "jsonl" if path.suffix in (".jsonl", ".ndjson") else "json"
        # A document in one line is one row, or has its rows in a list.
        held = isinstance(first, dict) and any(_is_rows(value) for value in first.values())
        return "json" if held and len(filled) == 1 else "jsonl"
    begins = "".join(filled[:2]).replace(" ", "")[:2]
    if text.startswith("[") and (path.suffix == ".json" or begins in ("[{", "[]")):
        return "json"
    if path.suffix in CONLL_SUFFIXES or _looks_like_conll(sample):
        return "conll"
    return "csv"


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _sample(path: Path) -> list[tuple[int, str]]:
    """Return the first lines of a file with their numbers."""
    sample: list[tuple[int, str]] = []
    characters = 0
    for number, text in islice(lines(Input(path, str(path)), Report()), SAMPLE_LINES):
        sample.append((number, text))
        characters += len(text)
        if characters > SAMPLE_CHARACTERS:
            break
    return sample


def _rows(path: Path, reader: str, options: Options) -> tuple[Mapping[str, Any], ...]:
    rows = read(reader, [Input(path, str(path))], {**options, "language": ""}, Report())
    return tuple(row.values for row in islice(rows, SAMPLE_LINES))


# Rows with columns.


def _parquet(path: Path) -> _Table:
    rows = _rows(path, "parquet", {})
    if not rows:
        raise bad(str(path), "expected rows, found none", "correct the path, or fill the file")
    return _Table(path, "Parquet", "parquet", {}, tuple(rows[0]), rows, ("the file begins as Parquet does",))


def _jsonl(path: Path, sample: Sequence[tuple[int, str]]) -> _Table:
    rows = _rows(path, "jsonl", {})
    if len(rows) == 1 and len(rows[0]) > 1 and all(isinstance(value, Mapping) for value in rows[0].values()):
        problem = f"expected rows, found an object of columns ({', '.join(rows[0])}), as pandas writes it"
        raise bad(str(path), problem, 'write rows, frame.to_json(path, orient="records", lines=True)')
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    return _Table(path, "JSON lines", "jsonl", {}, columns, rows, ("each line is a JSON object",))


def _json(path: Path, options: FileOptions) -> FileFormat:
    """Return the reading of a JSON document: SQuAD's, or a list of rows."""
    content = "\n".join(text for _, text in lines(Input(path, str(path)), Report()))
    try:
        document = parsed(content)
    except json.JSONDecodeError as error:
        problem = f"expected JSON, found text that ends or breaks at column {error.colno}"
        remedy = "correct the file; for one JSON object a line, name it .jsonl or give --file-format jsonl"
        raise bad(f"{path}:{error.lineno}", problem, remedy) from None
    except ValueError as error:
        raise bad(str(path), f"expected JSON: {error}", "correct the file") from None
    if isinstance(document, dict) and isinstance(articles := document.get("data"), list):
        squad = [article for article in articles if isinstance(article, dict) and "paragraphs" in article]
        if squad and options.format in ("", "extractive_qa"):
            reasons = ("it has SQuAD's keys data and paragraphs",)
            if options.columns:
                given = ", ".join(options.columns)
                raise bad(str(path), f"found SQuAD's JSON and the columns {given}", "leave the columns out")
            version = f"SQuAD JSON {document['version']}" if document.get("version") else "SQuAD JSON"
            return FileFormat((path,), version, "squad", {}, "extractive_qa", {}, reasons)
    if options.file_format == "squad":
        raise bad(str(path), "expected SQuAD's JSON (data, paragraphs, qas), found other keys", "correct --file-format")
    keys = [key for key, value in document.items() if _is_rows(value)] if isinstance(document, dict) else [""]
    if len(keys) != 1 or (keys == [""] and not _is_rows(document)):
        remedy = "write a list of objects, or one object a line (.jsonl)"
        lists = f"lists under {', '.join(keys)}" if keys and keys != [""] else "no list of objects"
        raise bad(str(path), f"expected a list of rows, found {lists}", remedy)
    reader_options = {"rows": keys[0]} if keys[0] else {}
    rows = document[keys[0]] if keys[0] else document
    columns = tuple(dict.fromkeys(name for row in rows[:SAMPLE_LINES] for name in row))
    where = f"'{keys[0]}' is a list of objects" if keys[0] else "the document is a list of objects"
    table = _Table(path, "JSON", "json_rows", reader_options, columns, tuple(rows[:SAMPLE_LINES]), (where,))
    return _inferred([table], options)


def _delimited(path: Path, sample: Sequence[tuple[int, str]], options: FileOptions) -> list[_Table]:
    """Return the readings of a text file as a table, one for each delimiter by which all lines have equally many."""
    given = "\t" if options.delimiter == "\\t" else options.delimiter
    complete = len(sample) < SAMPLE_LINES and sum(len(text) for _, text in sample) <= SAMPLE_CHARACTERS
    tables: list[_Table] = []
    uneven: list[InputError] = []
    for delimiter in (given,) if given else DELIMITERS:
        quoted = _quoted_records(sample, delimiter, complete)
        records, reader = quoted, "csv"
        if delimiter == "\t":
            split = [(number, [_unwrapped(value) for value in text.split("\t")]) for number, text in _filled(sample)]
            if _even(split) or not _even(quoted):
                records, reader = split, "tsv"
        width = _even(records)
        if not width:
            uneven += _uneven(path, records, delimiter)
            continue
        reader_options: dict[str, Any] = {"quotes": 1} if reader == "tsv" else {}
        if reader == "csv" and delimiter != ",":
            reader_options["delimiter"] = delimiter
        called = DELIMITERS.get(delimiter, repr(delimiter))
        name = "TSV" if delimiter == "\t" else "CSV" if delimiter == "," else f"CSV with {called}"
        reason = f"every line has {width} columns separated by {called}"
        tables += _headed(path, name, reader, reader_options, records, reason, options)
    if not tables:
        if uneven:
            raise uneven[0]
        remedy = "give --delimiter, or, for text without labels, a second file with the labels in a table"
        raise bad(f"{path}:1", "expected columns separated by ',', ';' or a tab, found one column", remedy)
    return tables


def _quoted_records(sample: Sequence[tuple[int, str]], delimiter: str, whole: bool) -> list[tuple[int, list[str]]]:
    reader = csv.reader((text + "\n" for _, text in sample), delimiter=delimiter)
    records: list[tuple[int, list[str]]] = []
    start = 1
    try:
        for values in reader:
            if values:
                records.append((start, values))
            start = reader.line_num + 1
    except csv.Error:
        return []
    return records if whole or len(records) < 2 else records[:-1]  # the last one may be cut


def _unwrapped(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] == '"' and '"' not in value[1:-1].replace('""', "")
    return value[1:-1].replace('""', '"') if quoted else value


def _filled(sample: Sequence[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    return ((number, text) for number, text in sample if text.strip())


def _even(records: Sequence[tuple[int, list[str]]]) -> int:
    """Return how many columns all records have; 0 where they differ or have one."""
    widths = {len(values) for _, values in records}
    width = widths.pop() if len(widths) == 1 else 0
    return width if width > 1 else 0


def _uneven(path: Path, records: Sequence[tuple[int, list[str]]], delimiter: str) -> list[InputError]:
    """Return an error for the first line that differs where nearly all others have equally many columns."""
    widths = [len(values) for _, values in records]
    usual = max(set(widths), key=widths.count, default=0)
    if usual < 2 or widths.count(usual) < 0.8 * len(widths):
        return []
    number, values = next((number, values) for number, values in records if len(values) != usual)
    called = DELIMITERS.get(delimiter, repr(delimiter))
    problem = f"expected {usual} columns separated by {called} as in most lines, found {len(values)}"
    return [bad(f"{path}:{number}", problem, "put texts that hold the separator into quote marks, or give --delimiter")]


def _headed(
    path: Path,
    name: str,
    reader: str,
    reader_options: Mapping[str, Any],
    records: Sequence[tuple[int, list[str]]],
    reason: str,
    options: FileOptions,
) -> list[_Table]:
    """Return the tables that the records may be: with a header, without one, or both where that is not clear."""
    first, *others = ([value.strip() for value in values] for _, values in records)
    decided, why = (
        (options.header, "--header says so") if options.header is not None else _has_header(first, others, options)
    )
    if decided and not others:
        raise bad(f"{path}:1", f"expected rows below the header {', '.join(first)}, found none", "fill the file")
    tables = []
    if decided is not False and others:
        rows = tuple(dict(zip(first, values, strict=True)) for values in others)
        reasons = (reason, f"the first line names the columns ({why})" if decided else "the first line may be a header")
        if len(set(first)) == len(first):
            tables.append(_Table(path, name, reader, {**reader_options, "header": 1}, tuple(first), rows, reasons))
        elif decided:
            raise bad(f"{path}:1", f"expected different names of columns, found {', '.join(first)}", "rename one")
    if not decided:
        columns = tuple(f"column{number}" for number in range(1, len(first) + 1))
        rows = tuple(dict(zip(columns, values, strict=True)) for values in (first, *others))
        reasons = (reason, f"the first line is a row ({why})" if decided is False else "the first line may be a row")
        unnamed = {**reader_options, "columns": columns}
        tables.append(_Table(path, f"{name} without a header", reader, unnamed, columns, rows, reasons, named=False))
    return tables


def _has_header(first: Sequence[str], others: Sequence[Sequence[str]], options: FileOptions) -> tuple[bool | None, str]:
    """Return whether the first line names columns, and why; None where that is not clear."""
    lowered = [value.lower() for value in first]
    given = [column for columns in options.columns.values() for column in _as_tuple(columns)]
    if given and any(column in first for column in given):
        return True, "it has the columns that were given"
    known = {name for names in NAMES.values() for name in names} | {name for pair in PAIRS for name in pair}
    if any(value in known or CHOICE.fullmatch(value) for value in lowered) and all(first):
        return True, f"'{next(v for v in first if v.lower() in known or CHOICE.fullmatch(v))}' is a usual name"
    if any(len(value.split()) > NAME_WORDS for value in first):
        return False, f"a cell has more than {NAME_WORDS} words"
    if len(set(first)) < len(first) or not all(first) or any(_is_number(value) for value in first):
        return False, "a cell is empty, a number or there twice"
    for at, value in enumerate(first):
        column = [row[at] for row in others]
        few = len(set(column)) <= max(2, len(column) // 4)
        if len(column) >= FEWEST_ROWS - 1 and few:
            if value in column:
                return False, f"'{value}' is there again below it"
            return True, f"'{value}' is not among the {len(set(column))} values below it"
    if any(all(_is_number(row[at]) for row in others) for at in range(len(first))) and others:
        return True, "it has words above numbers"
    return None, ""


def _is_number(value: str) -> bool:
    return bool(re.fullmatch(r"[+-]?\d+(\.\d+)?", value))


# From columns to the fields of a task format.


def _inferred(tables: Sequence[_Table], options: FileOptions) -> FileFormat:
    """Return the one reading of a file in which the columns make a task."""
    readings: list[FileFormat] = []
    errors: list[InputError] = []
    for table in tables:
        try:
            readings.append(_of_table(table, options))
        except InputError as error:
            errors.append(error)
    if not readings:
        raise errors[0]
    if len(readings) > 1:
        shown = " or ".join(f"{reading.name} ({reading.reasons[-1]})" for reading in readings)
        remedy = "give --delimiter, --header or --no-header, or the names of the columns"
        raise bad(f"{tables[0].path}:1", f"the file can be read in {len(readings)} ways: {shown}", remedy)
    return readings[0]


def _of_table(table: _Table, options: FileOptions) -> FileFormat:
    columns = _given_columns(table, options.columns)
    formats = _possible_formats(table, columns, options)
    chosen: dict[str, tuple[dict[str, Any], str]] = {}
    for format in formats:
        filled = _filled_by_name(table, format, columns)
        if filled is not None:
            named = "the columns were given" if set(filled) <= set(columns) else "its columns are named so"
            chosen[format] = filled, named
            break
    if not chosen:
        chosen = _filled_by_content(table, formats, columns, options)
    format, (fields, reason) = next(iter(chosen.items()))
    taken: dict[str, str] = {}
    for argument, column in ((argument, column) for argument, given in fields.items() for column in _as_tuple(given)):
        if taken.setdefault(column, argument) != argument:
            problem = f"the column '{column}' is given as {taken[column]} and as {argument}"
            raise bad(f"{table.path}:1", problem, "give each a column of its own")
    choice_labels = _choice_labels(table, fields) if format == "multiple_choice" and not options.labels else ()
    _check_sample(table, format, fields)
    reasons = (reason, *table.reasons)
    unused = tuple(column for column in table.columns if column not in _columns_in(fields))
    return FileFormat(
        (table.path,), table.name, table.reader, table.options, format, fields, reasons, choice_labels, unused
    )


def _given_columns(table: _Table, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given columns by their names in the file; InputError for one that is not there."""

    def named(column: str) -> str:
        if column in table.columns:
            return column
        if column.isdigit() and 1 <= int(column) <= len(table.columns):
            return table.columns[int(column) - 1]
        near = suggestion(column, table.columns)
        there = (
            ", ".join(table.columns) if table.named else f"{len(table.columns)} without names, so give their numbers"
        )
        raise bad(f"{table.path}:1", f"expected a column '{column}'{near}", f"the file has the columns {there}")

    return {
        argument: named(str(column)) if isinstance(column, str | int) else tuple(named(str(part)) for part in column)
        for argument, column in given.items()
    }


def _possible_formats(table: _Table, columns: Mapping[str, Any], options: FileOptions) -> tuple[str, ...]:
    """Return the task formats that have all of the given columns."""
    if options.format:
        formats: tuple[str, ...] = (options.format,)
    else:
        formats = (
            tuple(dict.fromkeys(GIVES_AWAY[argument] for argument in columns if argument in GIVES_AWAY)) or FORMATS
        )
        if len(formats) > 1 and formats != FORMATS:
            shown = ", ".join(f"--{argument.replace('_', '-')}" for argument in columns)
            raise InputError(f"{table.path}: {shown} are columns of different task formats: give --format")
    possible = []
    for format in formats:
        known = {*FIELDS[format].required, *FIELDS[format].optional, "id"}
        if set(columns) <= known:
            possible.append(format)
    if not possible:
        shown = ", ".join(columns)
        known_names = ", ".join({**FIELDS[formats[0]].required, **FIELDS[formats[0]].optional})
        raise InputError(f"{table.path}: {formats[0]} has no columns {shown}; it has {known_names}")
    return tuple(possible)


def _filled_by_name(table: _Table, format: str, columns: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the column of each field of a format by the names of columns; None where a required one is not known."""
    free = {column.lower(): column for column in table.columns if column not in columns.values()}
    filled = dict(columns)
    if format == "classification" and "text" not in filled:
        for first, second in PAIRS:
            if first in free and second in free and "text_pair" not in filled:
                filled |= {"text": free[first], "text_pair": free[second]}
                break
    if format == "multiple_choice" and "choices" not in filled:
        stems = {column: stem[1].lower() for column in table.columns if (stem := CHOICE.fullmatch(column))}
        if len(set(stems.values())) == 1 and len(stems) > 1:
            filled["choices"] = tuple(stems)
    if format == "bitext_retrieval" and not {"source", "target"} & set(filled):
        codes = [column for column in table.columns if column in languages() or column in ARTIFICIAL]
        if len(codes) == 2 and len(table.columns) == 2:
            filled |= dict(zip(("source", "target"), sorted(codes, key="en".__eq__), strict=True))
    for argument in FIELDS[format].required:
        if argument not in filled:
            names = ANSWER_NUMBERS if (format, argument) == ("multiple_choice", "label") else NAMES[argument]
            match = [free[name] for name in names if name in free and free[name] not in filled.values()]
            if not match:
                return None
            filled[argument] = match[0]
    if format == "multiple_choice":
        for argument, names in STEMS.items():
            match = [free[name] for name in names if name in free and free[name] not in _columns_in(filled)]
            if argument not in filled and match:
                filled[argument] = match[0]
    return filled


def _columns_in(fields: Mapping[str, Any]) -> set[str]:
    return {name for column in fields.values() for name in _as_tuple(column)}


def _filled_by_content(
    table: _Table, formats: Sequence[str], columns: Mapping[str, Any], options: FileOptions
) -> dict[str, tuple[dict[str, Any], str]]:
    """Return a format and its columns by what the columns hold: few labels beside one or two texts."""
    free = [column for column in table.columns if column not in columns.values()]
    labels = [column for column in free if _is_label(table, column)]
    texts = [column for column in free if column not in labels and _is_text(table, column)]
    if "classification" in formats:
        label = columns.get("label") or (labels[0] if len(labels) == 1 else None)
        wanted = [] if "text" in columns else texts
        if label and ("text" in columns or 1 <= len(wanted) <= 2):
            filled = dict(columns) | {"label": label} | dict(zip(("text", "text_pair"), wanted, strict=False))
            count = len(set(map(str, table.values(label))))
            return {"classification": (filled, f"{label} has {count} values in {len(table.rows)} rows")}
    paired = {name for pair in PAIRS for name in pair}  # a pair of texts whose label is missing
    two_texts = len(texts) == 2 and not labels and not columns and not {text.lower() for text in texts} & paired
    if "bitext_retrieval" in formats and two_texts and len(table.columns) == 2:
        filled = dict(zip(("source", "target"), texts, strict=True))
        return {"bitext_retrieval": (filled, "it has two columns of texts and no labels")}
    raise _not_known(table, formats, columns, options)


def _is_label(table: _Table, column: str) -> bool:
    values = table.values(column)
    if any(isinstance(value, list | dict | float) for value in values) or len(values) < FEWEST_ROWS:
        return False
    return 2 <= len(set(map(str, values))) <= max(2, len(values) // 4)


def _is_text(table: _Table, column: str) -> bool:
    values = table.values(column)
    if not values or any(not isinstance(value, str) for value in values):
        return False
    return not all(_is_number(value) for value in values) and sum(" " in value for value in values) >= len(values) / 4


def _not_known(table: _Table, formats: Sequence[str], columns: Mapping[str, Any], options: FileOptions) -> InputError:
    """Return the error for columns that do not tell what they are, with a look at each."""
    shown = "; ".join(f"{column} ({_shown(table, column)})" for column in table.columns)
    needed = FIELDS[formats[0]].required if len(formats) == 1 else {"text": "", "label": ""}
    missing = [argument for argument in needed if argument not in columns]
    remedy = " ".join(f"--{argument.replace('_', '-')} COLUMN" for argument in missing or needed)
    others = "" if len(formats) == 1 else " (or --tokens --tags, --context --question --answers, --choices --label)"
    return bad(f"{table.path}:1", f"the columns do not tell what they hold: {shown}", f"name them, {remedy}{others}")


def _shown(table: _Table, column: str) -> str:
    values = list(dict.fromkeys(str(value) for value in table.values(column)))
    return ", ".join(value if len(value) <= 24 else value[:21] + "…" for value in values[:2]) or "empty"


def _choice_labels(table: _Table, fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what the label column holds for each choice, where it is not a number from 0."""
    choices = fields["choices"]
    lists = [notated(row.get(choices)) for row in table.rows if isinstance(choices, str)]
    counts = [len(value) for value in lists if isinstance(value, list | tuple)]
    if lists and not counts:
        problem = f"expected a list of texts in '{choices}', found {shown(lists[0])}"
        remedy = "write a list of the texts in each row, or name several columns, --choices a,b,c"
        raise bad(f"{table.path}:1", problem, remedy)
    most = len(choices) if isinstance(choices, tuple) else max(counts, default=0)
    values = {_as_number(value) for value in table.values(fields["label"])}
    ranges = {
        "0": tuple(map(str, range(most))),
        "1": tuple(map(str, range(1, most + 1))),
        "A": tuple("ABCDEFGH"[:most]),
        "a": tuple("abcdefgh"[:most]),
    }
    fitting = [start for start, names in ranges.items() if values <= set(names)]
    if fitting == ["0"] or (fitting == ["0", "1"] and "0" in values):
        return ()
    floats = any(isinstance(value, float) for value in table.values(fields["label"]))
    if len(fitting) == 1 and not floats:
        return ranges[fitting[0]]
    misfits = {start: values - set(names) for start, names in ranges.items()}
    start, few = min(misfits.items(), key=lambda item: len(item[1]))
    row, value = next(
        (number, value)
        for number, value in enumerate((row.get(fields["label"]) for row in table.rows), 1)
        if value not in (None, "") and (_as_number(value) in few or not few)
    )
    if (
        few
        and len(few) < len(values)
        and sum(_as_number(v) in few for v in table.values(fields["label"])) <= max(1, len(table.rows) // 10)
    ):
        problem = f"expected a label from {ranges[start][0]} to {ranges[start][-1]}, found {shown(value)}"
        raise bad(f"{table.path}, row {row}", problem, "correct the row, or name the labels, --labels 1,2,3")
    held = ", ".join(sorted(values)[:6])
    problem = f"the label column {fields['label']} holds {held}, which does not say whether choices count from 0 or 1"
    raise bad(f"{table.path}:1", problem, "name the labels in the order of the choices, --labels 1,2,3")


def _as_number(value: Any) -> str:
    """Return the label of a choice as text, a float without a fraction as the whole number that it is."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _check_sample(table: _Table, format: str, fields: Mapping[str, Any]) -> None:
    """Raise InputError where the sample shows that the columns are not what they were taken for."""
    others = [column for column in table.columns if column not in _columns_in(fields) and _is_text(table, column)]
    if format == "multiple_choice" and not {"context", "question"} & set(fields) and others:
        problem = f"the choices belong to a text, which may be in {' or '.join(others)}"
        raise bad(f"{table.path}:1", problem, "name its column, --question COLUMN or --context COLUMN, or both")
    if format != "token_classification":
        return
    for number, row in enumerate(table.rows):
        words = written_out({"tokens": row[fields["tokens"]], "tags": row[fields["tags"]]})
        if len(words["tokens"] or ()) != len(words["tags"] or ()):
            counts = " and ".join(
                counted(len(words[key] or ()), noun) for key, noun in (("tokens", "word"), ("tags", "tag"))
            )
            remedy = "separate words and tags by single blanks, or write them as lists in JSON lines"
            raise bad(f"{table.path}, row {number + 1}", f"expected a tag for each word, found {counts}", remedy)


# CoNLL.


def _looks_like_conll(sample: Sequence[tuple[int, str]]) -> bool:
    """Return whether a text has a word with tags in each line, and blank lines between sentences."""
    texts = [text for _, text in sample]
    while texts and not texts[-1].strip():
        texts.pop()
    blank = any(not text.strip() for text in texts) or any(text.startswith("-DOCSTART-") for text in texts)
    return blank and _columns_of_words(sample)[0] > 1


def _columns_of_words(sample: Sequence[tuple[int, str]]) -> tuple[int, str, bool]:
    """Return how many columns the words have, what separates them, and whether there are comments; 0: they differ."""
    texts = [text for _, text in sample if text.strip() and not text.startswith("-DOCSTART-")]
    words = [text for text in texts if not text.startswith("#")]
    for separator in ("\t", ""):
        widths = {len(_split(text, separator)) for text in words}
        if len(widths) == 1 and (width := widths.pop()) > 1:
            comments = any(len(_split(text, separator)) != width for text in texts)
            return width, separator, comments
    return 0, "", False


def _split(text: str, separator: str) -> list[str]:
    return text.split("\t") if separator else BLANKS.split(text.strip(" \t"))


def _conll(path: Path, sample: Sequence[tuple[int, str]], options: FileOptions) -> FileFormat:
    """Return the reading of words in lines with their tags."""
    if options.format not in ("", "token_classification"):
        raise bad(
            str(path), f"found words in lines, which are no {options.format}", "correct --format or --file-format"
        )
    width, separator, comments = _columns_of_words(sample)
    if not width:
        raise _uneven_words(path, sample)
    words = [
        _split(text, separator)
        for _, text in sample
        if text.strip() and not text.startswith("-DOCSTART-") and not (comments and text.startswith("#"))
    ]
    reasons = ["each line is a word with its tags"]
    if width == 10 and separator and all(NUMBERED.fullmatch(values[0]) for values in words):
        if {"tokens", "tags"} & set(options.columns):
            raise bad(str(path), "found CoNLL-U, of which FORM and UPOS are read", "leave --tokens and --tags out")
        reasons.append("its ten columns are those of CoNLL-U")
        return FileFormat((path,), "CoNLL-U (UPOS)", "conllu", {"fused": 1}, "token_classification", {}, tuple(reasons))
    token, tag = _word_columns(path, words, options, reasons)
    columns = tuple("token" if at == token else "tag" if at == tag else f"column{at + 1}" for at in range(width))
    reader_options: dict[str, Any] = {"columns": columns} | ({"comments": 1} if comments else {})
    if not separator or not any(" " in value or not value for values in words for value in values):
        reader_options["blanks"] = 1  # also skips -DOCSTART- and separators that hold blanks
    name = f"CoNLL with {'tabs' if separator else 'spaces'}, word in column {token + 1} and tag in column {tag + 1}"
    return FileFormat((path,), name, "tagged", reader_options, "token_classification", {}, tuple(reasons))


def _word_columns(
    path: Path, words: Sequence[Sequence[str]], options: FileOptions, reasons: list[str]
) -> tuple[int, int]:
    """Return the positions of the word and of its tag."""
    width = len(words[0])

    def position(argument: str) -> int | None:
        given = str(options.columns.get(argument, ""))
        if not given:
            return None
        if not given.isdigit() or not 1 <= int(given) <= width:
            remedy = f"its columns have no names: give a number from 1 to {width}, --{argument} 1"
            raise bad(f"{path}:1", f"expected a column '{given}', found {width} columns", remedy)
        return int(given) - 1

    token, tag = position("tokens"), position("tags")
    if token is None:
        numbered = all(NUMBERED.fullmatch(values[0]) for values in words) and width > 2
        token = 1 if numbered else word_columns(words)[0] if tag is None else int(tag == 0)
    if tag is None:
        tagged = [at for at in range(width) if at != token and all(TAG.fullmatch(values[at]) for values in words)]
        tag = tagged[-1] if tagged else width - 1
        reasons.append(f"column {tag + 1} holds tags such as B-PER" if tagged else "the last column is usually the tag")
    if token == tag:
        raise bad(f"{path}:1", "the word and its tag are in one column", "give --tokens and --tags, counted from 1")
    return token, tag


def _uneven_words(path: Path, sample: Sequence[tuple[int, str]]) -> InputError:
    filled = [(number, len(_split(text, ""))) for number, text in sample if text.strip() and not text.startswith("#")]
    widths = [width for _, width in filled]
    usual = max(set(widths), key=widths.count)
    if usual == 1:
        problem = "expected a word and its tag in each line, found words alone"
        return bad(f"{path}:{filled[0][0]}", problem, "give a file with tags")
    number, width = next((number, width) for number, width in filled if width != usual)
    problem = f"expected {usual} columns as in most lines, found {width}"
    return bad(f"{path}:{number}", problem, "a column is missing, or a word holds a blank: separate columns by tabs")


def _as_tuple(columns: Any) -> tuple[str, ...]:
    return (str(columns),) if isinstance(columns, str | int) else tuple(map(str, columns))


def _listed(column: str | tuple[str, ...]) -> str:
    return f"'{column}'" if isinstance(column, str) else " + ".join(f"'{part}'" for part in column)
