"""Dataset: one split of one task in one language, its identity, and the stage that reads it.

Files are identified by content: the same bytes read the same way are the same data wherever they lie, and a changed
byte makes other data. The stage writes JSON lines (`examples.jsonl`) and counts what was dropped or repaired.

>>> DatasetSplit("xnli", "classification", "test", "sw", ("yes", "no"), (("reader", "tsv"),), ()).label
'xnli-test-sw'
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from xstilts.data.examples import Example, write
from xstilts.data.language_check import EnglishCheck
from xstilts.data.languages import language
from xstilts.data.readers import Input, Report, Row, container
from xstilts.data.readers import read as read_rows
from xstilts.data.readers.row import bad
from xstilts.data.readers.row_to_example import SHAPE, RowRules, written_out
from xstilts.data.source import Source
from xstilts.errors import InputError
from xstilts.store import names
from xstilts.store.identity import identity
from xstilts.store.names import format_in_keys
from xstilts.store.stage import BuildContext, stage

T = TypeVar("T")

EXAMPLES = names.EXAMPLES_FILE
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
    source: Source | None = field(default=None, compare=False, repr=False)
    expected: int | None = field(default=None, compare=False, repr=False)

    @property
    def label(self) -> str:
        """A short name for display."""
        return f"{self.task}-{self.split}-{self.language}"


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
    """Raise InputError where the number of examples, with or without the dropped ones, is not the expected one."""
    wanted = data.expected
    dropped = sum(times for reason, times in report.counts.items() if reason.startswith("dropped: "))
    if wanted not in (None, count, count + dropped):
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
    source = data.source
    if source is None:
        raise InputError(f"{data.label} has no source to read it: get it from a task, by `Task.data`")
    if source.generator is not None:
        yield from source.generator.examples(data.task, data.split, data.language, source.options)
        return
    count = 0
    for example in _distinct(_shaped(data, source, folder, report)):
        count += 1
        yield example
    if not count:
        raise bad(_names(data), f"expected examples of {data.label}, found none", "the file is empty: get it again")
    wanted = data.expected
    if wanted not in (None, count):
        report.note(f"noted: {count} examples where {wanted} are expected", _names(data))


def _shaped(data: DatasetSplit, source: Source, folder: Path | None, report: Report) -> Iterator[tuple[Example, str]]:
    """Yield (example, place) of the rows that are not dropped."""
    rules = RowRules(data.split, data.labels, report, source.label_names, source.dropped, source.withheld)
    positional = source.options.get("ids") == "position"
    rows = read_rows(source.reader, _inputs(data, folder), {**source.options, "language": data.language}, report)
    meant = ((row.place, fields) for row in rows if _concerns(fields := fields_of(row, source), data, source))
    for position, (place, fields) in _part(enumerate(meant), data.part):
        id = str(position) if positional or fields.get("id") is None else str(fields["id"])
        example = SHAPE[data.format](id, fields, place, rules)
        if example:
            yield example, place


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
        return {**values, **source.convert(Row(row.place, values))}
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        problem = f"expected a row that `{source.convert.__name__}` can convert, found {str(values)[:120]} ({error!r})"
        raise bad(row.place, problem, "the file is of another version: get the one the task names") from None


def _concerns(fields: Mapping[str, Any], data: DatasetSplit, source: Source) -> bool:
    """Return whether a row is in the language of the split, for files whose `language_column` has that of each row."""
    column = source.options.get("language_column")
    if not isinstance(column, str):
        return True
    return str(fields.get(column)).lower() in (data.language, language(data.language).name.lower())


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
