r"""Delimited files, with one record a line: TSV, CSV, JSON lines, line-aligned files, plain text.

TSV is read as it stands, without quoting, since sentences contain quote marks. With the option `quotes` a field that is
wholly wrapped in quote marks, with the inner ones doubled, is unwrapped: Python's `csv` writes such fields, and with
it XTREME's scripts.

>>> _unquoted('"the ""real"" thing"'), _unquoted('"a" or "b"')
('the "real" thing', '"a" or "b"')
"""

from __future__ import annotations

import csv as python_csv
import json
import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from xstilts.data.readers.row import Input, Options, Report, Row, bad, columns_of
from xstilts.data.readers.text_lines import lines

Record = tuple[int, list[str]]
QUOTED = re.compile(r'"((?:[^"]|"")*)"')


def tsv(files: Sequence[Input], options: Options, report: Report) -> Iterator[Row]:
    """Read tab-separated values. Options: columns, header (1: the first line names the columns), quotes."""
    for file in files:
        split = ((number, line.split("\t")) for number, line in _filled(file, report))
        if options.get("quotes"):
            split = ((number, [_unquoted(field) for field in fields]) for number, fields in split)
        yield from _table(file, split, options)


def csv(files: Sequence[Input], options: Options, report: Report) -> Iterator[Row]:
    """Read comma-separated values with quoting; a field may span lines. Options: columns, header, delimiter."""
    for file in files:
        yield from _table(file, _records(file, report, str(options.get("delimiter", ","))), options)


def jsonl(files: Sequence[Input], options: Options, report: Report) -> Iterator[Row]:
    """Read one JSON object a line."""
    for file in files:
        for number, line in _filled(file, report):
            place = f"{file.name}:{number}"
            try:
                values = json.loads(line)
            except json.JSONDecodeError as error:
                problem = f"expected one JSON object, found text that ends or breaks at character {error.pos + 1}"
                raise bad(place, problem, "the line is cut or damaged: get the file again") from None
            if not isinstance(values, dict):
                raise bad(place, f"expected one JSON object, found {line[:40]!r}", "is this a JSON-lines file?")
            yield Row(place, values)


def aligned(files: Sequence[Input], options: Options, report: Report) -> Iterator[Row]:
    """Read files that belong together line by line, one file a column; several such groups follow each other."""
    columns = columns_of(options)
    for group in _groups(files, len(columns)):
        streams = zip_longest(*(lines(file, report) for file in group))
        for number, found in enumerate(streams, 1):
            if None in found:
                ended = group[found.index(None)].name
                longer = next(file.name for file, line in zip(group, found, strict=True) if line)
                problem = f"expected as many lines as in {longer}, found {number - 1}"
                raise bad(f"{ended}:{number}", problem, "the files belong together line by line: get them again")
            place = ", ".join(f"{file.name}:{number}" for file in group)
            yield Row(place, dict(zip(columns, (line for _, line in found), strict=True)))


def text(files: Sequence[Input], options: Options, report: Report) -> Iterator[Row]:
    """Read one text a line; blank lines are left out and counted."""
    for file in files:
        for number, line in lines(file, report):
            if line.strip():
                yield Row(f"{file.name}:{number}", {"text": line.strip()})
            else:
                report.note("dropped: blank line", f"{file.name}:{number}")


def _groups(files: Sequence[Input], size: int) -> Iterator[Sequence[Input]]:
    if len(files) % size:
        names = ", ".join(file.name for file in files)
        raise bad(names, f"expected groups of {size} files, found {len(files)}", "a file of a group is missing")
    return (files[start : start + size] for start in range(0, len(files), size))


def _filled(file: Input, report: Report) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file in which only the end may be blank."""
    blank = 0
    for number, line in lines(file, report):
        if not line.strip():
            blank = blank or number
        elif blank:
            remedy = "remove it or get the file again"
            raise bad(f"{file.name}:{blank}", "expected a record, found a blank line", remedy)
        else:
            yield number, line
    if blank:
        report.note("repaired: blank line at the end", f"{file.name}:{blank}")


def _unquoted(field: str) -> str:
    match = QUOTED.fullmatch(field)
    return match[1].replace('""', '"') if match else field


def _records(file: Input, report: Report, delimiter: str) -> Iterator[Record]:
    reader = python_csv.reader((line + "\n" for _, line in lines(file, report)), strict=True, delimiter=delimiter)
    start = 1
    try:
        for fields in reader:
            yield start, fields
            start = reader.line_num + 1
    except python_csv.Error as error:
        remedy = "quote marks inside a quoted field must be doubled"
        raise bad(f"{file.name}:{start}", f"expected comma-separated values, found an error: {error}", remedy) from None


def _table(file: Input, records: Iterator[Record], options: Options) -> Iterator[Row]:
    names = columns_of(options)
    if options.get("header"):
        names = _header(file, next(records, None), names)
    for number, fields in records:
        if len(fields) != len(names):
            expected = f"expected {len(names)} columns ({', '.join(names)}), found {len(fields)}"
            remedy = "the line is cut, a column is missing or a text contains the separator: get the file again"
            raise bad(f"{file.name}:{number}", f"{expected} in {_shown(fields)}", remedy)
        yield Row(f"{file.name}:{number}", dict(zip(names, fields, strict=True)))


def _header(file: Input, record: Record | None, needed: tuple[str, ...]) -> tuple[str, ...]:
    found = tuple(name.strip() for name in record[1]) if record else ()
    missing = [name for name in needed if name not in found]
    if record and missing:
        expected = f"expected a header with the columns {', '.join(needed)}, found {_shown(record[1])}"
        raise bad(f"{file.name}:1", expected, f"name the missing {', '.join(missing)} in the first line")
    return found


def _shown(fields: Sequence[str]) -> str:
    shown = " | ".join(fields)
    return repr(shown if len(shown) <= 80 else shown[:77] + "...")
