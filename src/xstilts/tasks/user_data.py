"""User data: from files, rows or a data set of the hub to the sources, languages and labels of a task.

`Task.from_csv` and its siblings call these functions. A format needs fields, such as a text and a label, and the user
says which columns hold them; other columns are not read. Paths become absolute, so that such a task needs no data
folder, and files are identified by their content, so that moving them changes no key.

>>> fields("classification", {"text": "review", "label": "stars"})
{'text_a': 'review', 'label': 'stars'}
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from xstilts.data.dataset import fields_of
from xstilts.data.hub_snapshot import Repository, downloading
from xstilts.data.languages import codes, language
from xstilts.data.readers import Input, Report
from xstilts.data.readers import read as read_rows
from xstilts.data.readers.field_types import SURROGATE, label, parsed
from xstilts.data.readers.row import bad
from xstilts.data.source import Source
from xstilts.errors import InputError
from xstilts.runtime import progress
from xstilts.runtime.disk_cache import user_folder
from xstilts.runtime.text import counted

if TYPE_CHECKING:
    from xstilts.tasks.user_format import FileFormat

Paths = str | Path | Sequence[str | Path]
Files = Mapping[str, Paths]
Options = dict[str, str | int | tuple[str, ...]]

SPLITS = ("train", "validation", "test")
LANGUAGE = "{language}"
LABELLED = ("classification", "token_classification")
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
MISSING = ("nan", "NaN", "null", "NULL", "<NA>", "#N/A")  # as labels; "None" and "NA" name classes of real data
NAMED_LABELS = 12  # that a message repeats
NAME = re.compile(r"[\w.-]+", re.ASCII)
METRICS = {
    "classification": "accuracy",
    "multiple_choice": "accuracy",
    "extractive_qa": "squad",
    "bitext_retrieval": "retrieval_accuracy",
    "masked_lm": "mlm_loss",
}


class Columns(TypedDict, total=False):
    """The columns that hold the fields of a task format; a field is by default in the column of its own name.

    Attributes:
        text: The text, for "classification" and "masked_lm".
        text_pair: The second text of a pair (optional).
        label: The label, or for "multiple_choice" the number of the right choice, from 0.
        tokens: The words of a sentence, separated by blanks or in a list, for "token_classification".
        tags: Their tags, as the words.
        context: The passage, for "extractive_qa"; optional for "multiple_choice" and "bitext_retrieval".
        question: The question, for "extractive_qa"; optional for "multiple_choice".
        answers: A text, a list of texts, or SQuAD's objects with `text` and `answer_start`.
        choices: The choices, for "multiple_choice": a column of lists, or several columns.
        source: A sentence, for "bitext_retrieval".
        target: Its translation.
        id: Ids; without this column rows are numbered.
    """

    text: str
    text_pair: str
    label: str
    tokens: str
    tags: str
    context: str
    question: str
    answers: str
    choices: str | Sequence[str]
    source: str
    target: str
    id: str


@dataclass(frozen=True)
class _Fields:
    """The fields of a format: by the name of their argument, the field of the example."""

    required: Mapping[str, str]
    optional: Mapping[str, str]
    empty: tuple[str, ...] = ()  # optional fields that an example must have, be they empty


FIELDS = {
    "classification": _Fields({"text": "text_a", "label": "label"}, {"text_pair": "text_b"}),
    "token_classification": _Fields({"tokens": "tokens", "tags": "tags"}, {}),
    "extractive_qa": _Fields({"context": "context", "question": "question", "answers": "answers"}, {}),
    "multiple_choice": _Fields(
        {"choices": "choices", "label": "label"},
        {"context": "context", "question": "question"},
        ("context", "question"),
    ),
    "bitext_retrieval": _Fields({"source": "source", "target": "english"}, {"context": "context"}),
    "masked_lm": _Fields({"text": "text"}, {"text_pair": "pair"}),
}


@dataclass(frozen=True)
class DataRequest:
    """What the user gives about their data, whatever files or rows they are in.

    Attributes:
        name: Name of the task.
        format: Name of the task format.
        columns: From the argument of a field ("text", "label") to the column that holds it; see `Columns`.
        languages: Languages in which the task is evaluated; None: those of the files.
        trained_in: Languages of its training data.
        folder: Where relative paths start; None: the current folder.
    """

    name: str
    format: str
    columns: Mapping[str, Any]
    languages: tuple[str, ...] | None = None
    trained_in: tuple[str, ...] = ("en",)
    folder: Path | None = None

    def checked(self) -> DataRequest:
        """Return the request; InputError where its name, a column or a language is wrong."""
        if not NAME.fullmatch(self.name):
            raise InputError(f"'{self.name}' cannot name a task: use letters, digits, '_', '-' and '.'")
        fields(self.format, self.columns)
        for code in (*self.trained_in, *(self.languages or ())):
            _check_language(code, f"task '{self.name}'")
        return self


@dataclass(frozen=True)
class UserData:
    """What the user's files say of a task.

    Attributes:
        name: Name of the task.
        format: Name of its format.
        languages: Languages in which it is evaluated.
        sources: Its sources.
        trained_in: Languages of its training data.
        folder: The data folder of relative patterns; None where all are absolute.
    """

    name: str
    format: str
    languages: tuple[str, ...]
    sources: tuple[Source, ...]
    trained_in: tuple[str, ...]
    folder: Path | None = None

    @property
    def trains(self) -> bool:
        """Whether it has a training split."""
        return any("train" in source.files for source in self.sources)

    def settled_labels(self, labels: Sequence[str] | None, inherited: tuple[str, ...]) -> tuple[str, ...]:
        """Return the labels of the task: those given, those of the task it is learned from, or those of its data.

        Raises:
            InputError: There are fewer than two, or one twice, or none can be found.
        """
        if self.format not in LABELLED:
            return ()
        if labels is None and inherited:
            return inherited
        settled = self._labels_of_data() if labels is None else tuple(str(label) for label in labels)
        if len(settled) < 2 or len(set(settled)) < len(settled):
            shown = ", ".join(settled) or "none"
            raise InputError(f"task '{self.name}' needs two labels or more, each once; there are: {shown}")
        return settled

    def usual_metric(self, labels: tuple[str, ...]) -> str:
        """Return the metric that is usual for the format: F1 of entities where tags begin with "B-" or "I-"."""
        if self.format == "token_classification":
            return "entity_f1" if any(label[:2] in ("B-", "I-") for label in labels) else "tag_accuracy"
        return METRICS[self.format]

    def labelled(self, labels: Sequence[str] | None) -> tuple[Source, ...]:
        """Return the sources; those of multiple choice with what the label column holds for each choice."""
        if labels is None and self.format in LABELLED:  # by name: their order is not the user's
            return tuple(replace(source, label_form="names") for source in self.sources)
        if self.format != "multiple_choice" or labels is None:
            return self.sources
        numbers = {str(label): str(number) for number, label in enumerate(labels)}
        return tuple(replace(source, label_names=numbers) for source in self.sources)

    def _labels_of_data(self) -> tuple[str, ...]:
        """Return the labels of the training files, sorted, and note them."""
        places: dict[str, str] = {}
        paths: list[Path] = []
        for source in self.sources:
            for code in self.trained_in:
                here = source.find("train", code, self.folder)
                paths += here
                for place, row in _placed_rows(source, here, code):
                    tags = row.get("tags", ()) if self.format == "token_classification" else (row["label"],)
                    for value in tags.split() if isinstance(tags, str) else tags or ():
                        if value not in (None, "") and str(value) not in places:
                            places[_label_text(value, place)] = place
        _check_labels(places)
        values = set(places)
        if not paths:
            raise InputError(
                f"the labels of task '{self.name}' are not known, and no training file has them: give labels=[…]"
                + ("" if self.folder is None else f", or download its files below {self.folder}")
            )
        if len(values) < 2:
            shown = f"'{next(iter(values))}' alone" if values else "none"
            raise bad(str(paths[0]), f"expected two labels or more, found {shown}", "give data of every class")
        numbers = all(value.isdigit() for value in values)
        labels = tuple(sorted(values, key=lambda value: (int(value) if numbers else 0, value)))
        progress.note(f"{self.name}: {counted(len(labels), 'label')} in {paths[0].name}: {', '.join(labels)[:200]}")
        return labels


def fields(format: str, columns: Mapping[str, Any], present: Iterable[str] = ()) -> dict[str, str | tuple[str, ...]]:
    """Return the column of each field of a format.

    Args:
        format: Name of the format.
        columns: From the argument of a field ("text", "label") to its column.
        present: Columns that the data have: an optional field of multiple choice is taken from the column of its name.

    Raises:
        InputError: There is no such format to make a task of, or it has no such field.
    """
    if format not in FIELDS:
        raise InputError(f"no task of the format '{format}' can be made of such data: give one of {', '.join(FIELDS)}")
    known = {**FIELDS[format].required, **FIELDS[format].optional}
    for name in columns:
        if name not in known and name != "id":
            raise InputError(f"the format '{format}' has no field '{name}': it has {', '.join(known)} and id")
    chosen: dict[str, str | tuple[str, ...]] = {}
    for name, field in known.items():
        usual = name in FIELDS[format].required or (field in FIELDS[format].empty and field in present)
        column = columns.get(name, name if usual else None)
        if column is not None:
            chosen[field] = column if isinstance(column, str) else tuple(column)
    return chosen | ({"id": columns["id"]} if columns.get("id") else {})


def delimited_data(request: DataRequest, files: Files, delimiter: str) -> UserData:
    """Return the data of CSV files with a header; see `Task.from_csv`."""
    if len(delimiter) != 1:
        raise InputError(f"the delimiter {delimiter!r} is not one character: give ',' or ';' or '\\t'")
    reader, options = ("tsv", Options(header=1, quotes=1)) if delimiter == "\t" else ("csv", Options(header=1))
    options |= {"delimiter": delimiter} if delimiter not in ",\t" else {}
    return _data(request, files, reader, options)


def json_data(request: DataRequest, files: Files) -> UserData:
    """Return the data of JSON lines or of SQuAD's JSON; see `Task.from_json`."""
    if request.format == "extractive_qa":
        first = next(iter(_existing(request, files)), None)
        if first is not None and _is_squad(first):
            return _data(request, files, "squad", {}, named=False)
    return _data(request, files, "jsonl", {})


def conll_data(request: DataRequest, files: Files, columns: Sequence[str] | None) -> UserData:
    """Return the data of files with a token a line; see `Task.from_conll`."""
    if columns is None:
        first = next(iter(_existing(request, files)), None)
        count = _columns_in(first) if first is not None else 2
        columns = ("token", *(f"column{number}" for number in range(2, count)), "tag")
    if not {"token", "tag"} <= set(columns):
        raise InputError(
            f"the columns {', '.join(columns)} of task '{request.name}' have no 'token' or no 'tag': name both"
        )
    options = Options(columns=tuple(columns), blanks=1)
    return _data(request, files, "tagged", options, named=False)


def rows_data(request: DataRequest, dataset: Any) -> UserData:
    """Return the data of rows in memory, having written them as JSON lines; see `Task.from_dataset`."""
    request.checked()
    splits = dataset if isinstance(dataset, Mapping) else {"train": dataset}
    written: dict[str, bytes] = {}
    for split, rows in splits.items():
        records = list(_records(rows))
        chosen = fields(request.format, request.columns, records[0] if records else ())
        needed = [column for one in chosen.values() for column in ((one,) if isinstance(one, str) else one)]
        lines = (_line(record, needed, f"row {number} of '{split}'") for number, record in enumerate(records))
        written[split] = "".join(lines).encode()
    digest = hashlib.sha256(b"".join(split.encode() + b"\0" + text for split, text in written.items())).hexdigest()
    kept = request.folder.expanduser().absolute() if request.folder else user_folder() / "datasets"
    place = kept / f"{request.name}-{digest[:16]}"
    place.mkdir(parents=True, exist_ok=True)
    files: dict[str, Paths] = {}
    for split, text in written.items():
        files[split] = path = place / f"{split.replace('/', '-')}.jsonl"
        if not path.exists():
            part = path.with_name(f"{path.name}.{os.getpid()}.part")
            part.write_bytes(text)
            part.replace(path)
    return _data(request, files, "jsonl", {})


def hub_data(
    request: DataRequest,
    repository: str,
    revision: str,
    config: str,
    splits: Mapping[str, str] | None,
    files: Mapping[str, str] | None,
) -> UserData:
    """Return the data of Parquet files below `hub/` in the data folder; see `Task.from_hub`."""
    name, languages, trained_in = request.checked().name, request.languages or ("en",), request.trained_in
    if repository.count("/") != 1 or not all(NAME.fullmatch(part) for part in repository.split("/")):
        raise InputError(f"'{repository}' is no data set of the hub: give OWNER/NAME")
    splits = {split: split for split in SPLITS} if splits is None else splits
    patterns = files or {split: f"{config}/{theirs}*.parquet" for split, theirs in splits.items()}
    options, chosen = _named(request, ())
    sources: list[Source] = []
    for key, pattern in patterns.items():
        split, code = _split(name, key)
        path = f"hub/{repository}/{pattern}"
        known = () if LANGUAGE in path else (code,) if code and code != LANGUAGE else trained_in
        if LANGUAGE not in path and split == "test" and not code:
            known = languages
        if len(known) > 1 or (code == LANGUAGE and known):
            raise InputError(f"'{pattern}' of task '{name}' says no language: write {LANGUAGE} where its code stands")
        sources.append(Source("parquet", {split: path}, chosen, options, revision=revision, languages=known))
    place = request.folder or os.environ.get("XSTILTS_DATA")
    folder = Path(place).expanduser() if place else None
    user_data = UserData(name, request.format, languages, tuple(sources), trained_in, folder)
    return user_data if folder is None else _HubData(**vars(user_data))


def inferred_data(
    request: DataRequest, files: Mapping[str, Sequence[FileFormat]], held_out: Sequence[str], percent: int
) -> UserData:
    """Return the data of files whose formats are inferred; see `Task.from_files`.

    Args:
        request: Name, format and languages; its columns are those of the files.
        files: From a split and a language, "test/sw", to its files.
        held_out: Splits that are cut out of the training files.
        percent: The share of each.
    """
    request.checked()
    sources: list[Source] = []
    for key, formats in files.items():
        split, code = _split(request.name, key)
        _check_language(code, f"'{key}' of task '{request.name}'")
        for other in formats[1:]:
            if (other.reader, other.options, other.columns) != (
                formats[0].reader,
                formats[0].options,
                formats[0].columns,
            ):
                raise InputError(f"the files of '{key}' differ: {formats[0].describe()}; {other.describe()}; make one")
        first = formats[0]
        options = Options(first.options)
        columns: dict[str, str | tuple[str, ...]] = {}
        if first.columns:
            more, columns = _named(replace(request, columns=first.columns), ())
            options |= more
        elif first.reader == "tagged":
            options["ids"] = "position"
        patterns = {split: tuple(str(path.absolute()) for format in formats for path in format.paths)}
        if split == "train" and held_out:
            options |= {"held_out": tuple(held_out), "held_out_percent": percent}
            patterns |= dict.fromkeys(held_out, patterns["train"])
        names = {label: str(number) for number, label in enumerate(first.choice_labels)}
        sources.append(Source(first.reader, patterns, columns, options, label_names=names, languages=(code,)))
    tests = [key.partition("/")[2] for key in files if key.startswith("test/")]
    there = tuple(dict.fromkeys(tests)) or request.trained_in
    absent = [code for code in request.languages or () if code not in there]
    if absent:
        remedy = "correct the languages, or give test files in them"
        raise InputError(
            f"task '{request.name}' has test data in {', '.join(there)}, not {', '.join(absent)}: {remedy}"
        )
    evaluated = request.languages or there
    return UserData(request.name, request.format, evaluated, tuple(sources), request.trained_in)


class _HubData(UserData):
    """Data of the hub, of which the training files are downloaded where labels are to be found in them."""

    def _labels_of_data(self) -> tuple[str, ...]:
        for source in self.sources:
            for code in self.trained_in:
                if not source.find("train", code, self.folder):
                    self._download(source, code)
        return super()._labels_of_data()

    def _download(self, source: Source, code: str) -> None:
        folder = self.folder or Path()
        with downloading(folder):
            for pattern in source.patterns("train", code):
                _, owner, name, path = pattern.split("/", 3)
                repository = Repository(f"{owner}/{name}", source.revision, folder)
                repository.get(path)
                shutil.rmtree(repository.part, ignore_errors=True)


def _data(request: DataRequest, files: Files, reader: str, options: Options, named: bool = True) -> UserData:
    """Return the data of files in one format; `named` is False where the reader itself names the fields."""
    request.checked()
    name, trained_in = request.name, request.trained_in
    groups, evaluated = _groups(request, files)
    sources = [Source(reader, patterns, options=options, languages=known) for patterns, known in groups]
    for number, source in enumerate(sources):
        if named:
            path, code = next(_found(source, evaluated, trained_in))
            first = next(read_rows(reader, [Input(path, str(path))], {**options, "language": code}, Report()), None)
            more, chosen = _named(request, first.values if first else ())
            source = replace(source, columns=chosen, options=options | more)
        for path, code in _found(source, evaluated, trained_in):
            if next(_rows(source, [path], code), None) is None:
                raise InputError(f"{path} of task '{name}' has no rows: correct the path, or fill the file")
        sources[number] = source
    return UserData(name, request.format, evaluated, tuple(sources), trained_in)


def _named(request: DataRequest, present: Iterable[str]) -> tuple[Options, dict[str, str | tuple[str, ...]]]:
    """Return the options and the columns of a source that has the named fields alone."""
    chosen = fields(request.format, request.columns, present)
    options = Options(fields="named")
    if "id" not in chosen:
        options["ids"] = "position"
    empty = tuple(field for field in FIELDS[request.format].empty if field not in chosen)
    return options | ({"empty": empty} if empty else {}), chosen


def _groups(
    request: DataRequest, files: Files
) -> tuple[list[tuple[dict[str, tuple[str, ...]], tuple[str, ...]]], tuple[str, ...]]:
    """Return the files by split in groups, each with its languages (none: the names say them), and all evaluated ones.

    A group is what one source has: the files of one language that no name says, or those whose names say it.
    """
    name, languages, trained_in = request.name, request.languages, request.trained_in
    named: dict[str, tuple[str, ...]] = {}
    fixed: dict[str, dict[str, tuple[str, ...]]] = {}
    there: dict[str, list[str]] = {}
    for key, value in files.items():
        split, code = _split(name, key)
        paths = _absolute(value, request.folder)
        if code == LANGUAGE or any(LANGUAGE in path for path in paths):
            if not all(LANGUAGE in path for path in paths):
                raise InputError(
                    f"the files of '{key}' of task '{name}' need {LANGUAGE} where a language's code stands"
                )
            named[split] = paths
            there.setdefault(split, []).extend(_languages_of(request, split, paths))
            continue
        if not code:
            usual = languages if split == "test" and languages else trained_in
            if len(usual) > 1:
                remedy = f"give '{split}/CODE' for each, or '{split}/{LANGUAGE}'"
                raise InputError(f"'{key}' of task '{name}' may be in {', '.join(usual)}: {remedy}")
            code = usual[0]
        _check_language(code, f"'{key}' of task '{name}'")
        for path in paths:
            if not _matches(path):
                raise InputError(f"there is no file {path}, which task '{name}' has as '{key}': correct the path")
        fixed.setdefault(code, {})[split] = paths
        there.setdefault(split, []).append(code)
    if not there:
        raise InputError(f"task '{name}' has no files: give files={{'train': 'train.csv', 'test': 'test.csv'}}")
    evaluated = languages or tuple(sorted(set(_evaluated(there))))
    missing = [code for code in evaluated if "test" in there and code not in there["test"]]
    if missing:
        raise InputError(f"task '{name}' has no test file in {', '.join(missing)}: correct languages= or the files")
    groups = [(patterns, (code,)) for code, patterns in fixed.items()]
    return [*groups, *([(named, ())] if named else [])], evaluated


def _evaluated(there: Mapping[str, list[str]]) -> list[str]:
    return next(there[split] for split in reversed(SPLITS) if split in there)


def _split(name: str, key: str) -> tuple[str, str]:
    """Return the split and the language in a key of `files`: "test/sw", "test/{language}", "train"."""
    split, _, code = key.partition("/")
    if split not in SPLITS:
        raise InputError(f"unknown split '{split}' of task '{name}': give {', '.join(SPLITS)} or 'test/{LANGUAGE}'")
    return split, code


def _absolute(value: Paths, folder: Path | None) -> tuple[str, ...]:
    paths = (value,) if isinstance(value, str | Path) else tuple(value)
    base = folder.expanduser() if folder else Path()
    return tuple(os.path.abspath(base / Path(path).expanduser()) for path in paths)


def _matches(path: str) -> tuple[Path, ...]:
    return Source("", {"train": path}).find("train", "", None)


def _existing(request: DataRequest, files: Files) -> Iterator[Path]:
    """Yield the files that are there, in whatever language."""
    for value in files.values():
        for path in _absolute(value, request.folder):
            yield from _matches(path.replace(LANGUAGE, "*"))


def _languages_of(request: DataRequest, split: str, paths: tuple[str, ...]) -> list[str]:
    """Return the languages of the files that a pattern finds; of those wanted alone, where some are."""
    name, wanted = request.name, (request.languages or ()) if split == "test" else ()
    for code in wanted:
        for path in paths:
            if not _matches(path.replace(LANGUAGE, code)):
                absent = path.replace(LANGUAGE, code)
                raise InputError(f"there is no file {absent} for '{code}' of task '{name}': correct languages=")
    if wanted:
        return list(wanted)
    pattern = re.compile(_expression(paths[0]))
    found: dict[str, Path] = {}
    for file in _matches(paths[0].replace(LANGUAGE, "*")):
        if match := pattern.fullmatch(str(file)):
            found.setdefault(match["language"], file)
    if not found:
        raise InputError(f"no file matches {paths[0]} of task '{name}': correct the path")
    for code, file in found.items():
        _check_language(code, f"{file}, which matches '{split}/{LANGUAGE}' of task '{name}'")
    return sorted(found)


def _expression(pattern: str) -> str:
    """Return a regular expression of a pattern, with the language as a group."""
    first, *others = pattern.split(LANGUAGE)
    parts = [_escaped(first), "(?P<language>[^/]+?)", *(_escaped(other) for other in others[:1])]
    return "".join([*parts, *(f"(?P=language){_escaped(other)}" for other in others[1:])])


def _escaped(text: str) -> str:
    return re.escape(text).replace(r"\*\*", ".*").replace(r"\*", "[^/]*")


def _check_language(code: str, where: str) -> None:
    try:
        for part in codes(code):
            language(part)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _found(source: Source, evaluated: Sequence[str], trained_in: Sequence[str]) -> Iterator[tuple[Path, str]]:
    """Yield the files of a source with their languages."""
    for split in source.files:
        for code in dict.fromkeys(trained_in if split == "train" else (*evaluated, *trained_in)):
            yield from ((path, code) for path in source.find(split, code, None))


def _rows(source: Source, paths: Iterable[Path], code: str) -> Iterator[Mapping[str, Any]]:
    """Yield the fields of the rows of files; InputError with file and line for a column that is missing."""
    return (fields for _, fields in _placed_rows(source, paths, code))


def _placed_rows(source: Source, paths: Iterable[Path], code: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    files = [Input(path, str(path)) for path in paths]
    for row in read_rows(source.reader, files, {**source.options, "language": code}, Report()):
        yield row.place, fields_of(row, source)


def _label_text(value: Any, place: str) -> str:
    """Return a label as text; InputError for what is none: a list, an object, NaN or infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        raise bad(place, f"expected a label, found the number {value}", "correct the row or leave it out")
    return str(value) if isinstance(value, float) else label(value, "label", place)


def _check_labels(places: Mapping[str, str]) -> None:
    """Raise InputError for labels that were found in data and are hardly meant.

    These are names of missing values, labels that differ in case, blanks or Unicode form alone, and numbers beside
    names. A user who means them names all labels.

    Args:
        places: From a label to where it first stands.
    """
    names = f"labels={list(places)} or --labels {','.join(places)}" if len(places) <= NAMED_LABELS else "all labels"
    meant = f"or name {names}, if they are meant"
    alike: dict[str, str] = {}
    for value, place in places.items():
        if value.strip() in MISSING:
            raise bad(
                place, f"expected a label, found '{value}', as programs write a missing value", f"fill it, {meant}"
            )
        other = alike.setdefault(" ".join(unicodedata.normalize("NFKC", value).casefold().split()), value)
        if other != value:
            problem = f"found the label '{value}', and '{other}' at {places[other]}, which differ in case, blanks or "
            raise bad(place, f"{problem}Unicode form alone", f"write one of them, {meant}")
    numbers = [value for value in places if NUMBER.fullmatch(value)]
    words = [value for value in places if not any(letter.isdigit() for letter in value)]
    if numbers and words:
        problem = f"found the label '{numbers[0]}', a number, and '{words[0]}', a name, at {places[words[0]]}"
        raise bad(places[numbers[0]], problem, f"write numbers or names, {meant}")


def _is_squad(path: Path) -> bool:
    """Return whether a file is one JSON document of SQuAD's, not JSON lines."""
    with path.open(encoding="utf-8-sig") as file:
        try:
            first = parsed(file.readline())
        except ValueError:
            return True  # a document over several lines
    return isinstance(first, dict) and "data" in first


def _columns_in(path: Path) -> int:
    """Return how many columns the first token of a file has."""
    with path.open(encoding="utf-8-sig") as file:
        filled = (line.split() for line in file if line.strip() and not line.startswith("-DOCSTART-"))
        return max(2, len(next(filled, ())))


def _records(rows: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a pandas DataFrame, a `datasets.Dataset` or an iterable of dictionaries."""
    if hasattr(rows, "to_dict") and hasattr(rows, "columns"):
        yield from rows.to_dict("records")
        return
    features = getattr(rows, "features", None) or {}
    classes = {name: getattr(getattr(kind, "feature", kind), "names", None) for name, kind in features.items()}
    for row in rows:
        if not isinstance(row, Mapping):
            raise InputError(f"expected rows that are dictionaries, found {type(row).__name__}: give a list of them")
        yield {name: _class_name(value, classes.get(name)) for name, value in row.items()}


def _class_name(value: Any, names: Sequence[str] | None) -> Any:
    """Return the name of a class label of `datasets`, which keeps their numbers."""
    if not names or value is None:
        return value
    if isinstance(value, list | tuple):
        return [_class_name(item, names) for item in value]
    return names[value] if 0 <= value < len(names) else None


def _line(record: Mapping[str, Any], needed: Sequence[str], where: str) -> str:
    missing = [column for column in needed if column not in record]
    if missing:
        have = ", ".join(map(str, record))
        raise InputError(f"{where} has no column {', '.join(missing)}: it has {have}; name the columns as they are")
    values = {column: _json_value(record[column], f"{where}, column {column}") for column in needed}
    line = json.dumps(values, ensure_ascii=False)
    return (json.dumps(values) if SURROGATE.search(line) else line) + "\n"  # escaped, a surrogate can be written


def _json_value(value: Any, where: str) -> Any:
    """Return a value as JSON has it: numbers and arrays of numpy as Python's, NaN as null."""
    if hasattr(value, "tolist"):  # an array or a number of numpy
        value = value.tolist()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return None if value != value else value
    if isinstance(value, Mapping):
        return {str(key): _json_value(item, where) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(item, where) for item in value]
    raise InputError(f"{where}: {type(value).__name__} cannot be written as JSON: give texts, numbers or lists")
