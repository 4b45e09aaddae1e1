r"""Record file: the rows of a file in any of seven forms, one after the other, and the same form written again.

`xstilts predict` adds columns to a user's file and must give back all else as it was; `xstilts score` reads predictions
that were made anywhere. So a form here both reads and writes, a row at a time, with its place for messages. A row that
cannot be read is a `BadRow`, not an exception: the caller decides whether it stops there. (The readers of data sets,
`data.readers`, know more forms, read several files at once and stop at the first wrong row.)

>>> from io import BytesIO
>>> lines = Lines(BytesIO("text,stars\nGood.,5\nBad.\n".encode()), "a.csv")
>>> file = open_records(lines)
>>> file.reason
'CSV, as its name ends in .csv'
>>> [record.values if isinstance(record, Record) else record.problem for record in file.records()]
[{'text': 'Good.', 'stars': '5'}, 'expected 2 columns (text, stars), found 1']
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, BinaryIO, Protocol, TextIO

from xstilts.data.readers import text_lines
from xstilts.data.readers.field_types import parsed
from xstilts.errors import InputError

FORMS = ("text", "csv", "tsv", "jsonl", "json", "conll", "squad")
SUFFIXES = {
    **{".txt": "text", ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl"},
    **dict.fromkeys((".conll", ".conllu", ".conll03", ".bio", ".iob", ".iob2", ".iobes"), "conll"),
}
NAMES = {"text": "lines of text", "conll": "CoNLL", "squad": "SQuAD's JSON", "jsonl": "JSON lines"}
BLANKS = re.compile(r"[ \t]+")
NUMBERED = re.compile(r"\d+")
TAG = re.compile(r"[BIESLU]-\S+|O")  # of chunks, in any of the usual schemes
CONLLU = 10  # columns of CoNLL-U: the word is the second, its tag the fourth
LONGEST_FIELD = 16_000_000  # characters of a CSV field: a quote mark that is never closed would take the whole file
MOST_LINES = 0.7  # of the lines with as many columns: some may be damaged, and are named when they are read
LOOKED_AT = 200  # lines from which a form is inferred
csv.field_size_limit(LONGEST_FIELD)


@dataclass(frozen=True)
class Record:
    """One row.

    Attributes:
        place: File and line, for messages.
        values: By column; None for what is no row and is passed on as it is, such as a blank line.
        source: What the form needs to write the row again.
    """

    place: str
    values: Mapping[str, Any] | None
    source: Any = None


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be read: its place, and what is wrong."""

    place: str
    problem: str


class RecordFile(Protocol):
    """A file in one form.

    Attributes:
        form: One of `FORMS`.
        reason: What the form is, and why it was chosen.
        lines: Of the file.
        columns: Names of the columns, where the file has a header; else empty.
    """

    form: str
    reason: str
    lines: Lines
    columns: tuple[str, ...]

    def records(self) -> Iterator[Record | BadRow]:
        """Yield the rows in order, and what lies between them."""

    def begin(self, out: TextIO, added: Sequence[str]) -> None:
        """Begin to write the same form with more columns; InputError where a column is there already."""

    def write(self, out: TextIO, record: Record, added: Mapping[str, Any]) -> None:
        """Write a row with the values of the added columns; those of a record without values are ignored."""

    def end(self, out: TextIO) -> None:
        """Write what comes last."""


@dataclass
class Lines:
    """The lines of a binary stream, decoded; some can be looked at before they are read.

    Bytes that are no UTF-8 are kept as surrogates, by which `broken` finds them.

    Attributes:
        stream: Of bytes.
        name: In messages.
        bytes_read: So far.
    """

    stream: BinaryIO
    name: str
    bytes_read: int = 0
    ahead: list[str] = field(default_factory=list)
    number: int = 0

    def look(self, count: int) -> list[str]:
        """Return the next lines, at most `count`, without taking them."""
        while len(self.ahead) < count:
            line = self._next()
            if line is None:
                break
            self.ahead.append(line)
        return self.ahead[:count]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Yield the place and the text of each line, without its end."""
        while True:
            line = self.ahead.pop(0) if self.ahead else self._next()
            if line is None:
                return
            self.number += 1
            yield f"{self.name}:{self.number}", line

    def _next(self) -> str | None:
        raw = self.stream.readline(text_lines.LONGEST + 1)
        if not raw:
            return None
        text_lines.refuse_long(raw, f"{self.name}:{self.number + len(self.ahead) + 1}")
        first, self.bytes_read = self.bytes_read == 0, self.bytes_read + len(raw)
        if first:
            text_lines.refuse_binary(raw, self.name)
        raw = raw.removeprefix(b"\xef\xbb\xbf") if first else raw
        return raw.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "surrogateescape")


def broken(text: str) -> str:
    r"""Return what is wrong with a text that is no Unicode; "" where nothing is.

    >>> broken("a\udcff"), broken("é")
    ('expected UTF-8, found byte 0xff at character 2', '')
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        what = f"byte 0x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"half a surrogate pair (U+{code:04X})"
        return f"expected UTF-8, found {what} at character {error.start + 1}"
    return ""


def open_records(
    lines: Lines, form: str = "", *, header: bool = True, delimiter: str = "", tagged: bool = False
) -> RecordFile:
    r"""Open a file in a form that is given, or inferred from its name, or else from its first lines.

    Args:
        lines: Of the file.
        form: One of `FORMS`; "" to infer it.
        header: Whether the first line of CSV or TSV names the columns; else they are called "1", "2" and so on.
        delimiter: What separates the columns of CSV; "" to infer it.
        tagged: Whether words with tags are expected, so that lines of one word each are CoNLL.

    Raises:
        InputError: There is no such form, or the file is none of its form.

    >>> from io import BytesIO
    >>> open_records(Lines(BytesIO(b"Anna B-PER\nruns O\n\nOtto B-PER\n"), "-"), tagged=True).reason
    'CoNLL, as its lines have columns and blank lines between sentences'
    """
    reason = "as it was given"
    delimiter = "\t" if delimiter == "\\t" else delimiter
    if len(delimiter) > 1 or delimiter in ('"', "\r", "\n"):
        raise InputError(f"the delimiter {delimiter!r} is not one character: give ',' or ';' or '\\t'")
    if form not in ("", *FORMS):
        raise InputError(f"unknown input format '{form}': give one of {', '.join(FORMS)}")
    if not form:
        form, reason = _inferred(lines, tagged)
    if form in ("csv", "tsv"):
        return Delimited(form, reason, lines, header, "\t" if form == "tsv" else delimiter or _delimiter(lines))
    reason = f"{NAMES.get(form, form.upper())}, {reason}"
    if form in ("json", "squad"):
        return Json(form, reason, lines)
    if form == "conll":
        return Conll(form, reason, lines)
    return Text(form, reason, lines) if form == "text" else JsonLines(form, reason, lines)


def _inferred(lines: Lines, tagged: bool) -> tuple[str, str]:
    suffix = PurePath(lines.name).suffix.lower()
    if suffix in SUFFIXES:
        return SUFFIXES[suffix], f"as its name ends in {suffix}"
    first = next((line for line in lines.look(LOOKED_AT if suffix or tagged else 1) if line.strip()), "")
    start = first.strip()
    if start[:1] in ("{", "[") and (suffix == ".json" or start in ("{", "[") or start.startswith(('{"', '[{"'))):
        return _inferred_json(first)
    if suffix == ".json":
        return "squad", "as its name ends in .json"
    looked = lines.look(LOOKED_AT) if tagged else [first]
    if tagged and _columns_of_words(looked):
        return "conll", "as its lines have columns and blank lines between sentences"
    if "\t" in first:
        return "tsv", "as its first line has tabs"
    return "text", "as its first line has no columns"


def _inferred_json(first: str) -> tuple[str, str]:
    """Tell JSON lines, whose first line is an object, from a document."""
    try:
        value = parsed(first)
    except ValueError:
        return ("json", "as it begins with [") if first.lstrip().startswith("[") else ("squad", "as it begins with {")
    if isinstance(value, list):
        return "json", "as it is a list"
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        return "squad", "as it has the key 'data'"
    return "jsonl", "as its first line is a JSON object"


def _columns_of_words(looked: Sequence[str]) -> bool:
    """Tell whether lines are one word each, with columns and sentences between blank lines."""
    words = [line for line in looked if line.strip(" \t") and not line.startswith("#")]
    blank = any(not line.strip(" \t") for line in looked[:-1])
    counts = Counter(len(BLANKS.split(line.strip(" \t"))) for line in words)
    if not words:
        return False
    (usual, times), share = counts.most_common(1)[0], MOST_LINES if len(counts) > 1 else 1.0
    alike = times >= share * len(words) and (usual > 1 or len(counts) == 1)
    return alike and (usual == CONLLU or (blank and usual < CONLLU))


def _delimiter(lines: Lines) -> str:
    """Return what separates the names in the first line: the most frequent of a comma, a semicolon and a tab."""
    first = "".join(lines.look(1))
    return max((",", ";", "\t"), key=first.count)


# The forms.


@dataclass
class Text:
    """A text on each line; added columns come before it, separated by tabs, as the text itself may hold tabs."""

    form: str
    reason: str
    lines: Lines
    columns: tuple[str, ...] = ()

    def records(self) -> Iterator[Record | BadRow]:
        for place, line in self.lines:
            problem = broken(line)
            if problem:
                yield BadRow(place, problem)
            else:
                yield Record(place, {"text": line} if line.strip() else None, line)

    def begin(self, out: TextIO, added: Sequence[str]) -> None:
        """Write nothing: there is no header."""

    def write(self, out: TextIO, record: Record, added: Mapping[str, Any]) -> None:
        cells = [_flat(cell(value)) for value in added.values()]
        out.write("\t".join([*cells, record.source]) + "\n")

    def end(self, out: TextIO) -> None:
        """Write nothing."""


@dataclass
class Delimited:
    """CSV with quoting, or TSV as it stands; added columns come last."""

    form: str
    reason: str
    lines: Lines
    header: bool
    delimiter: str
    columns: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    first: list[tuple[str, list[str], str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        shown = {"\t": "a tab", ",": "','"}.get(self.delimiter, f"'{self.delimiter}'")
        usual = self.delimiter == ("," if self.form == "csv" else "\t")
        self.reason = f"{self.form.upper()}{'' if usual else f' with {shown}'}, {self.reason}"
        self.rows = self._rows()
        row = next(self.rows, None)
        if row is None:
            return
        place, cells, problem = row
        if problem:
            raise InputError(f"{place}: {problem}; is this {self.form.upper()}? else give --input-format")
        self.columns = tuple(name.strip() for name in cells)
        if not self.header:
            self.columns = tuple(str(number) for number in range(1, len(cells) + 1))
            self.first.append(row)
        repeated = [name for name in self.columns if self.columns.count(name) > 1]
        if repeated:
            raise InputError(f"{place}: two columns are called '{repeated[0]}'; rename one, or give --no-header")

    def records(self) -> Iterator[Record | BadRow]:
        for rows in (self.first, self.rows):
            for place, cells, problem in rows:
                if not problem and not cells:
                    yield Record(place, None)
                elif not problem and len(cells) != len(self.columns):
                    names = ", ".join(self.columns)
                    yield BadRow(place, f"expected {len(self.columns)} columns ({names}), found {len(cells)}")
                elif problem:
                    yield BadRow(place, problem)
                else:
                    yield Record(place, dict(zip(self.columns, cells, strict=True)), cells)

    def begin(self, out: TextIO, added: Sequence[str]) -> None:
        refuse_columns(self.columns, added, self.lines.name)
        self.added = tuple(added)
        if self.header and self.columns:
            self._line(out, [*self.columns, *added])

    def write(self, out: TextIO, record: Record, added: Mapping[str, Any]) -> None:
        if record.values is None:
            out.write("\n")
        else:
            self._line(out, [*record.source, *(cell(added.get(name)) for name in self.added)])

    def end(self, out: TextIO) -> None:
        """Write nothing."""

    def _line(self, out: TextIO, cells: Sequence[str]) -> None:
        if self.form == "tsv":
            out.write("\t".join(map(_flat, cells)) + "\n")
        else:
            csv.writer(out, delimiter=self.delimiter, lineterminator="\n").writerow(cells)

    def _rows(self) -> Iterator[tuple[str, list[str], str]]:
        """Yield the place, the cells and the problem ("" for none) of each row."""
        if self.form == "tsv":
            for place, line in self.lines:
                yield place, line.split("\t") if line else [], broken(line)
            return
        reader = csv.reader((line + "\n" for _, line in self.lines), strict=True, delimiter=self.delimiter)
        while True:
            place = f"{self.lines.name}:{self.lines.number + 1}"
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield place, [], f"expected CSV, found an error: {error}"
                continue
            yield place, cells, next(filter(None, map(broken, cells)), "")


@dataclass
class JsonLines:
    """A JSON object on each line; added columns are keys."""

    form: str
    reason: str
    lines: Lines
    columns: tuple[str, ...] = ()
    added: tuple[str, ...] = ()

    def records(self) -> Iterator[Record | BadRow]:
        for place, line in self.lines:
            if not line.strip():
                yield Record(place, None)
                continue
            problem, values = broken(line), None
            if not problem:
                try:
                    values = parsed(line)
                except ValueError as error:
                    problem = f"expected one JSON object, found text that breaks ({error})"
            if not problem and not isinstance(values, dict):
                problem = f"expected one JSON object, found {line[:40]!r}"
            if not problem and "\\u" in line:
                problem = broken(json.dumps(values, ensure_ascii=False))
            yield BadRow(place, problem) if problem or values is None else Record(place, values)

    def begin(self, out: TextIO, added: Sequence[str]) -> None:
        """Write nothing: there is no header."""

    def write(self, out: TextIO, record: Record, added: Mapping[str, Any]) -> None:
        line = ""
        if record.values is not None:
            refuse_columns(record.values, added, record.place)
            line = json.dumps({**record.values, **added}, ensure_ascii=False)
        out.write(line + "\n")

    def end(self, out: TextIO) -> None:
        """Write nothing."""


@dataclass
class Conll:
    """A word on each line in columns separated by tabs or blanks, a blank line after each sentence.

    Columns of CoNLL-U are recognised by their number; there, ranges and empty nodes are no words. An added column comes
    last, separated as the others are; it has a value for each word.

    Attributes:
        token_column: Number of the column with the word, from 1; 0: by the first lines, see `word_columns`; of CoNLL-U
            the second.
        tag_column: Number of the column with the tag; 0: by the first lines; of CoNLL-U the fourth.
    """

    form: str
    reason: str
    lines: Lines
    columns: tuple[str, ...] = ()
    token_column: int = 0
    tag_column: int = 0

    def __post_init__(self) -> None:
        looked = (line for line in self.lines.look(LOOKED_AT) if not line.startswith(("#", "-DOCSTART-")))
        words = [_cells(line) for line in looked if line.strip(" \t")]
        self.width, _ = next(iter(Counter(map(len, words)).most_common(1)), (0, 0))
        self.is_conllu = self.width == CONLLU and any(NUMBERED.match(cells[0]) for cells in words)
        token, tag = word_columns([cells for cells in words if len(cells) == self.width])
        self.usual = (2, 4) if self.is_conllu else (token + 1, tag + 1)

    @property
    def columns_read(self) -> tuple[int, int]:
        """The numbers of the columns with the word and with its tag, from 1."""
        return self.token_column or self.usual[0], self.tag_column or self.usual[1]

    def records(self) -> Iterator[Record | BadRow]:
        block: list[tuple[str, str]] = []
        ended = False
        for place, line in self.lines:
            between = not line.strip(" \t") or line.startswith("-DOCSTART-")
            if block and ended and not between:
                yield from self._sentence(block)
                block, ended = [], False
            if between and not block:
                yield Record(place, None, [(line, False)])
            else:
                block.append((place, line))
                ended = ended or between
        if block:
            yield from self._sentence(block)

    def _sentence(self, block: Sequence[tuple[str, str]]) -> Iterator[Record | BadRow]:
        """Yield the sentence of some lines, with the blank lines after it."""
        rows: list[tuple[str, bool]] = []
        words: list[tuple[str, list[str]]] = []
        usual = Counter(len(_cells(line)) for _, line in block if line.strip(" \t") and line[0] != "#").most_common(1)
        for place, line in block:
            cells = _cells(line)
            # A comment ("# text = …") begins as the word "#" does.
            comment = line[:1] == "#" and (" = " in line or (usual and len(cells) != usual[0][0]))
            if not line.strip(" \t") or line.startswith("-DOCSTART-") or comment:
                rows.append((line, False))
                continue
            conllu = len(cells) == CONLLU and NUMBERED.match(cells[0])
            is_word = not conllu or bool(NUMBERED.fullmatch(cells[0]))
            rows.append((line, is_word))
            if is_word:
                words.append((place, cells))
        first = block[0][0]
        if not words:
            yield Record(first, None, rows)
            return
        counts = {len(cells) for _, cells in words}
        problem = next(filter(None, (broken(line) for _, line in block)), "")
        if len(counts) > 1:
            count = len(words[0][1])
            first, cells = next((place, cells) for place, cells in words if len(cells) != count)
            problem = f"expected {count} columns as in the sentence's first line, found {len(cells)}"
        elif max(self.token_column, self.tag_column) > max(counts):
            problem = f"expected a column {max(self.token_column, self.tag_column)}, found {max(counts)} columns"
        if problem:
            yield BadRow(first, problem)
            return
        width = max(counts)
        if width == self.width:
            token, tag = (number - 1 for number in self.columns_read)
        else:  # another number of columns than in the first lines
            conllu = width == CONLLU and NUMBERED.match(words[0][1][0])
            token = self.token_column - 1 if self.token_column else int(bool(conllu))
            tag = self.tag_column - 1 if self.tag_column else 3 if conllu else -1
        values: dict[str, Any] = {"tokens": [cells[token] for _, cells in words]}
        if max(counts) > 1:
            values["tags"] = [cells[tag] for _, cells in words]
        yield Record(first, values, rows)

    def begin(self, out: TextIO, added: Sequence[str]) -> None:
        """Write nothing: there is no header."""

    def write(self, out: TextIO, record: Record, added: Mapping[str, Any]) -> None:
        values = iter(next(iter(added.values()), ()) if record.values is not None else ())
        for line, is_word in record.source:
            mark = "\t" if "\t" in line else " "
            more = next(values) if is_word else "_" if NUMBERED.match(line) and record.values is not None else None
            out.write(line if more is None else f"{line.rstrip(' ')}{mark}{more}")
            out.write("\n")

    def end(self, out: TextIO) -> None:
        """Write nothing."""


@dataclass
class Json:
    """One JSON document: SQuAD's (data, paragraphs, qas), or a list of objects; added columns are keys.

    The document is read whole and written at the end.
    """

    form: str
    reason: str
    lines: Lines
    columns: tuple[str, ...] = ()
    document: Any = None

    def records(self) -> Iterator[Record | BadRow]:
        name, parts = self.lines.name, [line for _, line in self.lines]
        text = "\n".join(parts)
        problem = broken(text)
        try:
            self.document = None if problem else parsed(text)
        except ValueError as error:
            problem = f"expected one JSON document, found text that breaks ({error})"
        if problem:
            raise InputError(f"{name}: {problem}; the file is cut or damaged: get it again, or give --input-format")
        rows = self._questions(name) if isinstance(self.document, dict) else self._objects(name)
        for place, values, source in rows:
            if isinstance(values, dict):
                yield Record(place, values, source)
            else:
                yield BadRow(place, f"expected a JSON object, found {str(values)[:40]!r}")

    def _objects(self, name: str) -> Iterator[tuple[str, Any, Any]]:
        for number, row in enumerate(_list(self.document, name)):
            yield f"{name}[{number}]", row, row

    def _questions(self, name: str) -> Iterator[tuple[str, Any, Any]]:
        for a, article in enumerate(_list(self.document.get("data"), f"{name}:data")):
            if isinstance(article, dict) and "paragraphs" not in article:  # a list of rows below "data"
                yield f"{name}:data[{a}]", article, article
                continue
            paragraphs = article.get("paragraphs") if isinstance(article, dict) else None
            for p, paragraph in enumerate(_list(paragraphs, f"{name}:data[{a}].paragraphs")):
                place = f"{name}:data[{a}].paragraphs[{p}]"
                qas = paragraph.get("qas") if isinstance(paragraph, dict) else None
                for q, question in enumerate(_list(qas, f"{place}.qas")):
                    values = {**question, "context": paragraph.get("context")} if isinstance(question, dict) else None
                    yield f"{place}.qas[{q}]", values, question

    def begin(self, out: TextIO, added: Sequence[str]) -> None:
        """Write nothing yet."""

    def write(self, out: TextIO, record: Record, added: Mapping[str, Any]) -> None:
        refuse_columns(record.source, added, record.place)
        record.source.update(added)

    def end(self, out: TextIO) -> None:
        json.dump(self.document, out, ensure_ascii=False, indent=None if self.form == "squad" else 1)
        out.write("\n")


def word_columns(words: Sequence[Sequence[str]]) -> tuple[int, int]:
    """Find the columns of the words and of their tags by what is in them.

    Tags of chunks (B-PER, I-LOC, O) are recognised, and the last such column is taken; other tags are in the last
    column. The word is in the first column, or in the first that holds no tags of chunks where the tag comes first.

    Args:
        words: The columns of some words, as many of each.

    Returns:
        The positions of the word and of its tag, from 0; the same where there is one column.

    >>> word_columns([["Anna", "NNP", "B-PER"], ["runs", "VB", "O"]]), word_columns([["B-PER", "Anna"], ["O", "runs"]])
    ((0, 2), (1, 0))
    """
    width = len(words[0]) if words else 1
    chunks = [
        at
        for at in range(width)
        if all(TAG.fullmatch(cells[at]) for cells in words) and any(cells[at] != "O" for cells in words)
    ]
    if not words or len(chunks) == width:
        return 0, width - 1
    token = 0 if 0 not in chunks else next(at for at in range(width) if at not in chunks)
    return token, chunks[-1] if chunks else width - 1


def cell(value: Any) -> str:
    """Return a value as the text of a table's cell: lists separated by blanks, no value as "".

    >>> cell(["B-PER", "O"]), cell([[0, 4], [5, 6]]), cell(True), cell(None), cell(0.5)
    ('B-PER O', '0-4 5-6', 'true', '', '0.5')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return " ".join("-".join(map(str, each)) if isinstance(each, list | tuple) else str(each) for each in value)
    return str(value)


def refuse_columns(there: Iterable[str], added: Iterable[str], place: str) -> None:
    """Raise InputError where a column that is to be added is there already."""
    twice = sorted(set(there) & set(added))
    if twice:
        raise InputError(
            f"{place}: there is a column '{twice[0]}' already, as in a file with predictions; remove or rename it"
        )


def _flat(text: str) -> str:
    """Return a text without tabs and line ends, which would be columns and rows."""
    return re.sub(r"[\t\r\n]+", " ", text)


def _cells(line: str) -> list[str]:
    """Return the columns of a line: between tabs where there is one, else between blanks."""
    return line.rstrip(" ").split("\t") if "\t" in line else BLANKS.split(line.strip(" "))


def _list(value: Any, place: str) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(f"{place}: expected a list, found {type(value).__name__}; is this file in SQuAD's format?")
    return value
