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

from xstilts.data.readers.field_types import parsed
from xstilts.data.readers.row import Input, Options, Report, Row, bad, columns_of
from xstilts.data.readers.text_lines import lines

Record = tuple[int, list[str]]
QUOTED = re.compile(r'"((?:[^"]|"")*)"')
FIELD = re.compile(r'"(?:[^"]|"")*"(?=\t|\Z)|[^\t]*')
OPEN = re.compile(r'(?:^|[\t\n])"(?:[^"]|"")*$')
LONGEST = 200  # lines of a record
BLANK_REMEDY = "remove it or get the file again"
LINES, TABS = "noted: record over several lines", "noted: quoted field with a tab"


def tsv(files: Sequence[Input], options: Options, report: Report) -> Iterator[Row]:
    """Read tab-separated values. Options: columns, header (1: the first line names the columns), quotes."""
    for file in files:
        if options.get("quotes"):
            yield from _table(file, _quoted_records(file, options, report), options)
        else:
            yield from _table(file, ((number, line.split("\t")) for number, line in _filled(file, report)), options)


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
                values = parsed(line)
            except json.JSONDecodeError as error:
                problem = f"expected one JSON object, found text that ends or breaks at character {error.pos + 1}"
                raise bad(place, problem, "the line is cut or damaged: get the file again") from None
            except ValueError as error:
                raise bad(place, f"expected one JSON object: {error}", "is this a JSON-lines file?") from None
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
            raise bad(f"{file.name}:{blank}", "expected a record, found a blank line", BLANK_REMEDY)
        else:
            yield number, line
    if blank:
        report.note("repaired: blank line at the end", f"{file.name}:{blank}")


def _quoted_records(file: Input, options: Options, report: Report) -> Iterator[Record]:
    """Yield records whose quoted fields may hold tabs and span lines, as QQP's do.

    A line that has the number of columns is a record as it stands, since texts may begin with a quote mark that none
    closes. Only where a line has another number do quote marks count: on it, on the line before and on those after.
    """
    width = 0 if options.get("header") else len(columns_of(options))
    waiting: list[tuple[int, str]] = []  # a whole line that may go on, or the lines of a record that does
    partial, blank = False, 0
    for number, line in lines(file, report):
        if not line.strip() and not _open(waiting):
            blank = blank or number
            continue
        if blank:
            raise bad(f"{file.name}:{blank}", "expected a record, found a blank line", BLANK_REMEDY)
        count = line.count("\t") + 1
        width = width or count
        if count == width and line.strip() and not partial:
            yield from _whole(waiting, file)
            waiting = [(number, line)]
            continue
        if not partial and not _open(waiting):
            yield from _whole(waiting, file)
            waiting = []
        waiting.append((number, line))
        partial = True
        for start in (0, 1)[: len(waiting)]:
            if (fields := _joined(waiting[start:], width)) is not None:
                yield from _whole(waiting[:start], file)
                report.note(LINES if len(waiting) > start + 1 else TABS, f"{file.name}:{waiting[start][0]}")
                yield waiting[start][0], fields
                waiting, partial = [], False
                break
        if partial and (count == width or not _open(waiting) or len(waiting) > LONGEST):
            yield from _whole(waiting, file)
            waiting, partial = [], False
    while waiting and not waiting[-1][1].strip():
        blank = waiting.pop()[0]
    yield from _whole(waiting, file)
    if blank:
        report.note("repaired: blank line at the end", f"{file.name}:{blank}")


def _whole(waiting: Sequence[tuple[int, str]], file: Input) -> Iterator[Record]:
    """Yield lines as a record each; InputError for a blank one among them."""
    for number, line in waiting:
        if not line.strip():
            raise bad(f"{file.name}:{number}", "expected a record, found a blank line", BLANK_REMEDY)
        yield number, [_unquoted(field) for field in line.split("\t")]


def _open(waiting: Sequence[tuple[int, str]]) -> bool:
    """Return whether lines leave a quoted field open, so that it may go on."""
    text = "\n".join(line for _, line in waiting)
    return bool(text) and OPEN.search(text) is not None


def _joined(waiting: Sequence[tuple[int, str]], width: int) -> list[str] | None:
    """Return the fields of lines taken together, where they make one record of so many columns."""
    text = "\n".join(line for _, line in waiting)
    matches, stop = [], -1
    while stop < len(text):
        match = FIELD.match(text, stop + 1)
        if match is None:
            return None
        matches.append(match[0])
        stop = match.end()
    whole = len(matches) == width and all(
        QUOTED.fullmatch(field) for field in matches if field.startswith('"') or "\n" in field
    )
    return [_unquoted(field) for field in matches] if whole else None


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
