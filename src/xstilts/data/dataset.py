"""Dataset: one split of one task in one language, its identity, and the stage that reads it.

Files are identified by content: the same bytes read the same way are the same data wherever they lie, and a changed
byte makes other data. The stage writes JSON lines (`examples.jsonl`) and counts what was dropped or repaired.

>>> DatasetSplit("xnli", "classification", "test", "sw", ("yes", "no"), (("reader", "tsv"),), ()).label
'xnli-test-sw'
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from xstilts.data import held_out
from xstilts.data.examples import Example, PassageExample, write
from xstilts.data.language_check import EnglishCheck
from xstilts.data.languages import code_of
from xstilts.data.readers import Input, Report, Row, container
from xstilts.data.readers import read as read_rows
from xstilts.data.readers.answer_offsets import CHARACTERS
from xstilts.data.readers.delimited import LINES
from xstilts.data.readers.field_types import blank, check_converted, identifier, shown
from xstilts.data.readers.row import OTHER_LANGUAGE, bad
from xstilts.data.readers.row_to_example import (
    ANSWERED,
    SHAPE,
    WITH_OFFSETS,
    RowRules,
    file_unit,
    has_answer,
    written_out,
)
from xstilts.data.source import Source
from xstilts.errors import UNFORESEEN, InputError
from xstilts.store import names
from xstilts.store.identity import identity
from xstilts.store.names import format_in_keys
from xstilts.store.stage import BuildContext, stage

T = TypeVar("T")
LOOKED_AT = 100  # rows of a file in which no answer means that answers are withheld

EXAMPLES = names.EXAMPLES_FILE
OTHER_SPLIT = "noted: of another split"
KEPT_FIELDS = ("lines",)  # what a reader adds for messages: the line of each token


@identity("File", excluded=("path",))
@dataclass(frozen=True)
class DataFile:
    """A file by content, and where it lies: below the data folder, or anywhere if the path is absolute."""

    path: str
    sha256: str

    @classmethod
    def of(cls, path: Path, folder: Path | None) -> DataFile:
        """Describe a file, by its path below the data folder where it lies there, else by its absolute path."""
        held = container(path)
        status = held.stat()
        below = folder is not None and path.is_relative_to(folder)
        name = path.relative_to(folder) if folder is not None and below else path.absolute()
        return cls(name.as_posix(), _digest(held, status.st_size, status.st_mtime_ns))


@identity(
    "Data",
    renamed={"format": "kind"},
    always=("part",),
    excluded=("source", "expected"),
    encoded={"format": format_in_keys},
)
@dataclass(frozen=True)
class DatasetSplit:
    """One split of one task in one language: what decides its examples, and how they are read.

    Attributes:
        task: Name of the task.
        format: Name of the task format, a module of `formats`.
        split: "train", "validation" or "test".
        language: Code of the language.
        labels: The task's labels, in the order of a classifier's outputs.
        meaning: How the files are read (`Source.meaning`).
        files: The files by content.
        part: Start and stop over the rows, for data sets cut out of another one.
        sample: Take this many examples, spread evenly over the split; None: all.
        source: The source that reads them; None for data that cannot be read. No part of the identity.
        expected: How many examples there should be, as far as that is known. No part of the identity.
    """

    task: str
    format: str
    split: str
    language: str
    labels: tuple[str, ...]
    meaning: tuple[tuple[str, str], ...]
    files: tuple[DataFile, ...]
    part: tuple[int, int | None] = (0, None)
    sample: int | None = None
    source: Source | None = field(default=None, compare=False, repr=False)
    expected: int | None = field(default=None, compare=False, repr=False)

    @property
    def label(self) -> str:
        """A short name for display."""
        return f"{self.task}-{self.split}-{self.language}" + (f"-{self.sample}" if self.sample else "")


@stage(name=names.READ, version=1, label=lambda data: f"data-{data.label}")
def read(context: BuildContext, data: DatasetSplit) -> None:
    """Write the examples of a split to `examples.jsonl`, and what was repaired, dropped or noted to the manifest.

    Args:
        context: The folder to write to, and the runtime with the data folder.
        data: The split.

    Raises:
        InputError: The data cannot be read; or, unless the runtime allows unexpected data, there are fewer or more
            examples than expected, or the "en" training data are not English.
    """
    report, check = Report(), EnglishCheck()
    read_examples = examples(data, context.machine.data, report)
    guarded = data.split == "train" and data.language == "en"
    count = write(check.checked(read_examples) if guarded else read_examples, context.folder / EXAMPLES)
    context.record |= {"examples": count, "files": [file.path for file in data.files], **asdict(report)}
    if guarded:
        context.record["not_english"] = {
            "suspicious": check.suspicious,
            "judged": check.judged,
            "samples": check.samples,
        }
    if not context.machine.allow_unexpected_data:
        _check_count(data, count, report)
        _check_english(data, check)


def _check_count(data: DatasetSplit, count: int, report: Report) -> None:
    """Raise InputError where the number of examples is not the expected one.

    The dropped ones may count or not, and so may records over several lines, which the hub leaves out.
    """
    wanted = min(data.expected, data.sample) if data.expected and data.sample else data.expected
    dropped = sum(times for reason, times in report.counts.items() if reason.startswith("dropped: "))
    if wanted not in (None, count, count + dropped, count - report.counts.get(LINES, 0)):
        problem = f"expected {wanted} examples of {data.label}, found {count}"
        remedy = "part of the data set is missing or it is another version: get it again, or take it as it is with"
        raise bad(_names(data), problem, f"{remedy} --allow-unexpected-data")


def _check_english(data: DatasetSplit, check: EnglishCheck) -> None:
    """Raise InputError where "en" training data are not English."""
    if check.english() is False:
        share = f"{check.suspicious} of {check.judged} texts that are long enough to tell"
        share = share if check.suspicious else "its texts taken together, each being too short to tell"
        samples = f" (ids {', '.join(check.samples)})" if check.samples else ""
        problem = f"expected English training data of '{data.task}', found another language in {share}{samples}"
        remedy = (
            f"get the English file, ask for the language that it is in ('{data.task}:sw'), or take it as it is with"
        )
        raise bad(_names(data), problem, f"{remedy} --allow-unexpected-data")


def _names(data: DatasetSplit) -> str:
    return ", ".join(file.path for file in data.files)


def examples(data: DatasetSplit, folder: Path | None, report: Report) -> Iterator[Example]:
    """Yield the examples of a split.

    Args:
        data: The split.
        folder: The data folder; None where there is none (files with absolute paths need none).
        report: Counts what was repaired, dropped or noted.

    Yields:
        Examples. An id is the row's `id`, or its number in the files (from 0), counting dropped rows.

    Raises:
        InputError: A row is wrong and cannot be repaired (the message has file and line), there are no examples, or a
            file has changed since the split was planned.
    """
    if data.sample is None:
        yield from _all_examples(data, folder, report)
        return
    whole = list(_all_examples(data, folder, report))
    if whole and isinstance(whole[0], PassageExample):
        raise InputError(
            f"a part of the test examples of '{data.task}' cannot be taken: they are searched as a whole; leave "
            "out the number of test examples"
        )
    chosen = spread(whole, data.sample)
    if len(chosen) < len(whole):
        report.note(f"noted: {len(chosen)} of {len(whole)} examples taken, spread evenly", _names(data))
    yield from chosen


def spread(items: Sequence[T], count: int) -> list[T]:
    """Return some of a sequence, spread evenly over it; all where there are no more.

    Equal places of test sets that are translations of each other are equal examples.

    >>> spread("abcdefgh", 3)
    ['a', 'c', 'f']
    """
    if count >= len(items):
        return list(items)
    return [items[place * len(items) // count] for place in range(count)]


def _all_examples(data: DatasetSplit, folder: Path | None, report: Report) -> Iterator[Example]:
    source = data.source
    if source is None:
        raise InputError(f"{data.label} has no source to read it: get it from a task, by `Task.data`")
    if source.generator is not None:
        yield from source.generator.examples(data.task, data.split, data.language, source.options)
        return
    count, before = 0, dict(report.counts)
    distinct = _distinct(_shaped(data, source, folder, report))
    if parts := source.held_out:
        examples_of_file = list(distinct)
        if not examples_of_file:
            raise _nothing(data, report, before)
        percent = int(str(source.options["held_out_percent"]))
        distinct = iter(held_out.divided(examples_of_file, parts, percent).get(data.split, []))
    for example in distinct:
        count += 1
        yield example
    if not count:
        raise _nothing(data, report, before)
    wanted = data.expected
    if wanted not in (None, count):
        report.note(f"noted: {count} examples where {wanted} are expected", _names(data))


def _nothing(data: DatasetSplit, report: Report, before: Mapping[str, int]) -> InputError:
    """Return the exception for a split without examples: how many rows were dropped, and why."""
    expected = f"expected examples of {data.label}"
    apart = (OTHER_SPLIT, OTHER_LANGUAGE.format(data.language))
    dropped = {
        reason: times - before.get(reason, 0)
        for reason, times in report.counts.items()
        if (reason.startswith("dropped: ") or reason in apart) and times > before.get(reason, 0)
    }
    if not dropped:
        return bad(_names(data), f"{expected}, found none", "the file is empty: get it again")
    reasons = "; ".join(
        f"{times:,} {reason.partition(': ')[2]} (first at {report.places[reason][0]})"
        for reason, times in dropped.items()
    )
    problem = f"{expected}, found none: all {sum(dropped.values()):,} rows were dropped: {reasons}"
    return bad(_names(data), problem, "correct the rows, or get a version of the file that the task can read")


def answered(source: Source, format: str, paths: Sequence[Path], language: str) -> bool:
    """Return whether files have answers: whether any of their first rows has one that is not blank.

    Files whose rows cannot be read or have nothing to predict count as answered: reading them says what is wrong.

    Args:
        source: Has the reader of the files.
        format: Name of the task format.
        paths: The files.
        language: Code of the language, for readers of files of several.
    """
    if format not in ANSWERED or source.reader == "xquad_r":  # read whole for its first row, and never blank
        return True
    held = [container(path) for path in paths]
    state = tuple((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in held)
    key = (format, language, source.meaning(), tuple(map(str, paths)), state)
    if key not in _ANSWERED:
        _ANSWERED[key] = _answered(source, format, paths, language)
    return _ANSWERED[key]


_ANSWERED: dict[tuple[Any, ...], bool] = {}


def _answered(source: Source, format: str, paths: Sequence[Path], language: str) -> bool:
    files = [Input(path, path.name) for path in paths]
    rows = read_rows(source.reader, files, {**source.options, "language": language}, Report())
    blank = False
    try:
        for row in islice(rows, LOOKED_AT):
            state = has_answer(format, fields_of(row, source))
            if state:
                return True
            blank = blank or state is False
    except (InputError, *UNFORESEEN):
        return True
    return not blank


def _shaped(data: DatasetSplit, source: Source, folder: Path | None, report: Report) -> Iterator[tuple[Example, str]]:
    """Yield (example, place) of the rows that are not dropped."""
    files = _inputs(data, folder)
    split = "train" if source.held_out else data.split  # all parts drop the same rows
    withheld = source.withheld or (
        split == "test" and not answered(source, data.format, [file.path for file in files], data.language)
    )
    rules = RowRules(
        split, data.labels, report, source.label_names, source.dropped, withheld, label_form=source.label_form
    )
    positional = source.options.get("ids") == "position"
    for position, (place, fields, unit) in _part(enumerate(_meant(data, source, files, report)), data.part):
        here = rules if unit == rules.offset_unit else replace(rules, offset_unit=unit)
        try:
            given = None if positional else fields.get("id")
            id = str(position) if given is None else identifier(given, "id", place, report)
            example = SHAPE[data.format](id, fields, place, here)
        except InputError:
            raise
        except UNFORESEEN as error:
            raise _unforeseen(place, error) from error
        if example:
            yield example, place


def _meant(
    data: DatasetSplit, source: Source, files: Sequence[Input], report: Report
) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    """Yield (place, fields, unit of offsets) of the rows in the language of the split.

    The unit is that of the file, which is known when all of its rows are.
    """
    if data.format not in WITH_OFFSETS:
        for place, fields in _rows(data, source, files, report):
            yield place, fields, CHARACTERS
        return
    for file in files:
        rows = list(_rows(data, source, [file], report))
        answers = ((fields.get("context"), fields.get("answers"), place) for place, fields in rows)
        unit = file_unit(answers, file, report, certain=data.split == "train")
        yield from ((place, fields, unit) for place, fields in rows)


def _rows(
    data: DatasetSplit, source: Source, files: Sequence[Input], report: Report
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (place, fields) of the rows in the language of the split; every exception has the place of a row."""
    place = ", ".join(file.name for file in files)
    try:
        for row in read_rows(source.reader, files, {**source.options, "language": data.language}, report):
            place = row.place
            fields = fields_of(row, source)
            if not _in_split(fields, source, place):
                report.note(OTHER_SPLIT, place)
            elif _concerns(fields, data, source, place, report):
                yield place, fields
    except InputError:
        raise
    except UNFORESEEN as error:
        raise _unforeseen(f"{place} or the row after it", error) from error


def _unforeseen(place: str, error: Exception) -> InputError:
    problem = f"expected a row that can be read, found one that raises {type(error).__name__}: {str(error)[:120]}"
    return bad(place, problem, "correct the row or leave it out")


def _inputs(data: DatasetSplit, folder: Path | None) -> list[Input]:
    """Return the files to read, after checking that they are still the planned ones."""
    if folder is None and not all(Path(file.path).is_absolute() for file in data.files):
        raise InputError(f"{data.label} is read from files, and no data folder is given; name it with --data DIR")
    folder = folder or Path()
    for file in data.files:
        path = folder / file.path
        if not container(path).is_file():
            raise InputError(
                f"{path} does not exist any more; plan again, or name the folder that holds it with --data DIR"
            )
        if DataFile.of(path, path.parent).sha256 != file.sha256:
            raise InputError(f"{path} has changed since it was planned; plan again, or put the planned file back")
    return [Input(folder / file.path, file.path) for file in data.files]


def fields_of(row: Row, source: Source) -> Mapping[str, Any]:
    """Return a row's values by the names of the example's fields.

    Args:
        row: A row of a reader.
        source: Has the columns of the fields, or a function that converts the row.

    Raises:
        InputError: A column is missing, or the row cannot be converted.
    """
    values = dict(row.values)
    groups = [(one,) if isinstance(one, str) else one for one in source.columns.values()]
    missing = [column for group in groups for column in group if column not in values]
    if missing:
        problem = f"expected the column {', '.join(missing)}, found {', '.join(values)}"
        remedy = "name the column as the file does, or get the version of the file that the task names"
        raise bad(row.place, problem, remedy)
    chosen = {
        field: row.values[one] if isinstance(one, str) else tuple(row.values[column] for column in one)
        for field, one in source.columns.items()
    }
    if source.options.get("fields") == "named":
        kept = {name: values[name] for name in KEPT_FIELDS if name in values}
        return written_out(dict.fromkeys(source.options.get("empty", ()), "") | chosen | kept)  # type: ignore[arg-type]
    values.update(chosen)
    if source.convert is None:
        return values
    try:
        converted = source.convert(Row(row.place, values))
        check_converted(row.values, converted, row.place)
        return {**values, **converted}
    except InputError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        problem = f"expected a row that `{source.convert.__name__}` can convert, found {str(values)[:120]} ({error!r})"
        raise bad(row.place, problem, "the file is of another version: get the one the task names") from None


def _in_split(fields: Mapping[str, Any], source: Source, place: str) -> bool:
    """Return whether a row is in the split, for files of all splits whose rows say it (the option `where`)."""
    where = source.options.get("where")
    if not isinstance(where, tuple):
        return True
    column, value = where
    if blank(fields.get(column)):
        raise bad(
            place, f"expected the row's split in '{column}', found none", "correct the row, or get the file again"
        )
    return bool(fields[column] == value)


def _concerns(fields: Mapping[str, Any], data: DatasetSplit, source: Source, place: str, report: Report) -> bool:
    """Return whether a row is in the language of the split, for files whose `language_column` has that of each row.

    Rows without a known language are counted as dropped, and where the name of the file says the language, so are those
    in another one; files of several languages have the others' rows for the others' splits, which is noted.
    """
    column = source.options.get("language_column")
    if not isinstance(column, str):
        return True
    written = fields.get(column)
    if blank(written):
        report.note(f"dropped: no language in '{column}'", place)
        return False
    code = code_of(written) if isinstance(written, str) else None
    if written == data.language or code == data.language:
        return True
    if code is None:
        report.note(f"dropped: unknown language {shown(written)}", place)
    elif source.named:
        report.note(f"dropped: row in '{code}' in a file of '{data.language}'", place)
    else:
        report.note(OTHER_LANGUAGE.format(data.language), place)
    return False


def _part(rows: Iterator[T], part: tuple[int, int | None]) -> Iterator[T]:
    start, stop = part
    if start >= 0 and (stop is None or stop >= 0):
        return islice(rows, start, stop)
    return iter(list(rows)[start:stop])


def _distinct(found: Iterator[tuple[Example, str]]) -> Iterator[Example]:
    places: dict[str, str] = {}
    for example, place in found:
        if example.id in places:
            problem = f"expected ids that occur once, found {example.id!r} again (first at {places[example.id]})"
            remedy = "give the rows ids of their own, or set the option ids='position' in the task's source"
            raise bad(place, problem, remedy)
        places[example.id] = place
        yield example


@cache
def _digest(path: Path, size: int, modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
