"""Fit data: from a user's files to a task, with what was inferred about them in sentences.

Languages are named by the user, or guessed where a library can; splits that have no files are held out of the training
data. What is in the splits is counted before anything is trained: labels by split, and test rows that are also in the
training data.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xstilts.data import held_out, language_guess
from xstilts.data.dataset import EXAMPLES
from xstilts.data.examples import Example
from xstilts.data.examples import read as read_examples
from xstilts.data.hub_snapshot import Repository, downloading
from xstilts.data.language_guess import Guess
from xstilts.data.languages import language
from xstilts.data.readers import Input, Report, read
from xstilts.errors import InputError
from xstilts.evaluation import contamination
from xstilts.experiments import splits
from xstilts.experiments.fit_options import FitOptions
from xstilts.runtime import extras, tables
from xstilts.runtime.machine import Runtime
from xstilts.runtime.text import counted
from xstilts.store import local_executor, manifest
from xstilts.store.stage import folder_of
from xstilts.tasks import base
from xstilts.tasks.base import Task
from xstilts.tasks.user_format import FILE_FORMATS, FileFormat, infer, infer_parallel

ENGLISH = "en"
NAMED = re.compile(r"([a-z]{2,3}(?:-[a-z]{2,3})?)=(.+)", re.DOTALL)
HUB = re.compile(r"[\w.-]+/[\w.-]+(:[\w.-]+)?", re.ASCII)
WITHOUT_TEXT = ("label", "tags", "id", "target", "answers")  # fields that say nothing of the language
SPLIT_NAMES = ("train", "training", "dev", "validation", "test", "data")
LISTED_LABELS = 40
UNREMARKABLE = ("repaired: byte order mark", "repaired: Windows line end", "noted: line -DOC", "noted: columns sep")


@dataclass(frozen=True)
class FitData:
    """A user's data as a task.

    Attributes:
        task: The task.
        remarks: What was inferred, held out and guessed, in sentences.
    """

    task: Task
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class SplitCounts:
    """What a split in a language holds.

    Attributes:
        split: "train", "validation" or "test".
        language: The language.
        examples: The number of examples.
        labels: How often each label, or each tag, occurs; empty for formats without labels.
        repeated: Test examples whose texts are also those of a training example, up to case and punctuation.
        other_label: Of these, how many have another label there.
    """

    split: str
    language: str
    examples: int
    labels: Mapping[str, int]
    repeated: int = 0
    other_label: int = 0


def prepare(options: FitOptions, data: Path | None) -> FitData:
    """Make a task of a user's files.

    Args:
        options: The files and what is given about them.
        data: The data folder, for data sets of the hub.

    Raises:
        InputError: A file is missing or cannot be read in one way, or a language has to be named.
    """
    remarks: list[str] = []
    files: dict[str, list[FileFormat]] = {}
    for split, entries in (("train", options.train), ("validation", options.dev), ("test", options.test)):
        for entry in entries:
            code, path = _named(entry)
            formats = _formats(path, split, options, data)
            trained = [key.partition("/")[2] for key in files if key.startswith("train/")]
            if split == "validation" and len(trained) == 1:
                code = code or trained[0]
            code = code or _language(formats[0], split, remarks)
            if split == "validation" and trained and code not in trained:
                problem = f"development data in '{code}', and training data in {', '.join(trained)}"
                raise InputError(f"{path}: {problem}: weights are selected in a language of the training data")
            files.setdefault(f"{split}/{code}", []).extend(formats)
    alike: dict[tuple[Any, ...], list[FileFormat]] = {}
    for file in (file for of_key in files.values() for file in of_key):
        alike.setdefault((file.name, file.format, str(file.columns), file.reasons, file.unused), []).append(file)
    remarks = [*(first.describe(*others) for first, *others in alike.values()), *remarks]
    trained_in = tuple(key.partition("/")[2] for key in files if key.startswith("train/"))
    missing = _missing_splits(files)
    for split in missing:
        name = "development" if split == "validation" else split
        share = f"{options.held_out} % of the training data, {held_out.FEWEST} examples or more where there are enough,"
        remarks.append(
            f"no {name} data are given: {share} by digest of their texts and stratified by label, are held out"
        )
        if split == "test":
            remarks.append("no test data are given in another language: zero-shot transfer is not measured")
    task = Task.from_files(
        options.name or _task_name(options),
        {key: tuple(formats) for key, formats in files.items()},
        held_out=missing,
        held_out_percent=options.held_out,
        labels=options.labels or None,
        metric=options.metric or None,
        languages=options.languages or None,
        trained_in=trained_in or (ENGLISH,),
        **{key: text for key in ("citation", "licence", "note") if (text := getattr(options, key))},
    )
    return FitData(task, tuple(dict.fromkeys(remarks)))


def count(task: Task, machine: Runtime) -> list[SplitCounts]:
    """Read all splits of a task and count their examples and labels.

    Raises:
        InputError: A row is wrong; the message has file and line.
    """
    codes = {"train": task.trained_in, "validation": task.trained_in, "test": task.languages}
    stages = {
        (split, code): splits.read(task.data(split, code, machine.data))
        for split, of_split in codes.items()
        for code in of_split
        if task.has(split, code, machine.data)
    }
    local_executor.build_all(list(stages.values()), machine)
    examples = {
        key: list(read_examples(folder_of(stage, machine) / EXAMPLES, task.format)) for key, stage in stages.items()
    }
    trained: dict[Any, set[str]] = {}
    for (split, _), of_split in examples.items():
        for example in of_split if split == "train" else ():
            trained.setdefault(_texts(example), set()).add(_label(example))
    counts = []
    for (split, code), of_split in examples.items():
        labels = Counter(label for example in of_split for label in _labels(example))
        repeated = [trained[_texts(example)] for example in of_split if _texts(example) in trained]
        other = [
            example
            for example in of_split
            if _texts(example) in trained and _label(example) not in trained[_texts(example)]
        ]
        seen = (0, 0) if split == "train" else (len(repeated), len(other))
        counts.append(SplitCounts(split, code, len(of_split), dict(labels), *seen))
    return counts


def counts_table(task: Task, counts: Iterable[SplitCounts]) -> tables.TableView:
    """Return a table of the labels with a column for each split and language."""
    counts = list(counts)
    labels = sorted({label for of_split in counts for label in of_split.labels}, key=_label_order(task))
    columns = ("", *(f"{of_split.split} {of_split.language}" for of_split in counts))
    rows: list[tuple[Any, ...]] = [
        (label, *(tables.count(of_split.labels.get(label, 0)) for of_split in counts))
        for label in labels[:LISTED_LABELS]
    ]
    if len(labels) > LISTED_LABELS:
        rows.append((f"… {len(labels) - LISTED_LABELS} more", *("" for _ in counts)))
    rows.append(("examples", *(tables.count(of_split.examples) for of_split in counts)))
    return tables.table(f"{task.name}: {len(task.labels)} labels" if task.labels else task.name, columns, rows)


def reading_remarks(task: Task, machine: Runtime) -> Iterator[str]:
    """Yield what was dropped, kept or noted when the splits of a task were read, with the first places.

    Args:
        task: The task.
        machine: Names the store, in which the splits are, and the data folder.
    """
    codes = {"train": task.trained_in, "validation": task.trained_in, "test": task.languages}
    seen: set[tuple[str, ...]] = set()
    for split, of_split in codes.items():
        for code in of_split if split != "validation" or not _held_out(task) else ():
            if not task.has(split, code, machine.data):
                continue
            record = manifest.read(folder_of(splits.read(task.data(split, code, machine.data)), machine))["record"]
            for reason, times in record.get("counts", {}).items():
                places = tuple(record["places"][reason])
                if not reason.startswith(UNREMARKABLE) and (reason, *places) not in seen:
                    seen.add((reason, *places))
                    yield f"{split} {code}: {reason}: {counted(times, 'time')}, first at {places[0]}"


def _held_out(task: Task) -> bool:
    return any("validation" in source.held_out for source in task.sources)


def overlap_remarks(counts: Iterable[SplitCounts]) -> Iterator[str]:
    """Yield how many rows of each split are also in the training data, where any are."""
    for of_split in counts:
        if of_split.repeated:
            label = f", {of_split.other_label} of them with another label" if of_split.other_label else ""
            rows = f"{of_split.repeated} of {of_split.examples} {of_split.split} rows in {of_split.language}"
            yield f"{rows} are also in the training data{label}: remove them from one of the two"


def _named(entry: str) -> tuple[str, str]:
    """Return the language and the path of "sw=sw.csv"; the language is "" where none is named."""
    match = NAMED.fullmatch(entry)
    if not match or Path(entry).is_file():
        return "", entry
    for part in match[1].split("-"):
        language(part)
    return match[1], match[2]


def _formats(path: str, split: str, options: FitOptions, data: Path | None) -> list[FileFormat]:
    """Return how a file, a pair of parallel files or a data set of the hub is read."""
    if "," in path and not Path(path).is_file():
        parts = path.split(",")
        if len(parts) != 2:
            raise InputError(f"'{path}' names {len(parts)} files: give one, or two of parallel lines")
        return [infer_parallel(*parts)]
    extension = Path(path.partition(":")[0]).suffix.lstrip(".")
    if HUB.fullmatch(path) and not Path(path).exists() and extension not in (*FILE_FORMATS, "tsv", "txt"):
        return [infer(file, replace(options.reading, file_format="")) for file in _from_hub(path, split, data)]
    return [infer(path, options.reading)]


def _from_hub(id: str, split: str, data: Path | None) -> list[Path]:
    """Return the Parquet files of a split of a data set of the hub, having downloaded them below the data folder."""
    if data is None:
        raise InputError(f"'{id}' is no file here, and a data set of the hub needs a folder: give --data DIR")
    name, _, config = id.partition(":")
    repository = Repository(name, "main", data)
    with downloading(data):
        for pattern in (f"{config or 'data'}/{split}*.parquet", f"{config or 'default'}/{split}*.parquet"):
            if repository.matching(pattern):
                return repository.get(pattern)
    raise InputError(f"{id} has no Parquet files of a split '{split}': name a configuration, OWNER/NAME:CONFIG")


def _language(format: FileFormat, split: str, remarks: list[str]) -> str:
    """Return the guessed language of a file that the user names no language for, and say so."""
    path = format.paths[0]
    guess = language_guess.guess(_sample_texts(format))
    if guess and guess.clear:
        remarks.append(
            f"{path.name}: language {guess}, guessed from its texts: name it, CODE={path.name}, if this is wrong"
        )
        return guess.code
    if split != "test":
        why = f"its texts look like {guess}" if guess else f"languages are guessed after `{extras.command('langid')}`"
        remarks.append(
            f"{path.name}: taken to be English, as no language is named ({why}): else name it, CODE={path.name}"
        )
        return ENGLISH
    raise InputError(f"{path}: the language of this test file is not known ({_why_unknown(guess)}): name it, sw={path}")


def _why_unknown(guess: Guess | None) -> str:
    return f"its texts look like {guess}" if guess else f"to have it guessed, `{extras.command('langid')}`"


def _sample_texts(format: FileFormat) -> Iterator[str]:
    """Yield the texts of a file: of every column that holds a field other than labels."""
    inputs = [Input(path, str(path)) for path in format.paths]
    texts = [column for argument, column in format.columns.items() if argument not in WITHOUT_TEXT]
    for row in read(format.reader, inputs, {**format.options, "language": ""}, Report()):
        if not format.columns:
            words = row.values.get("tokens")
            yield " ".join(words) if words else str(row.values.get("context", ""))
        for column in texts:
            for name in (column,) if isinstance(column, str) else column:
                value = row.values.get(name)
                yield value if isinstance(value, str) else " ".join(map(str, value or ()))


def _missing_splits(files: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the splits that are to be held out of the training data."""
    given = {key.partition("/")[0] for key in files}
    return tuple(split for split in ("validation", "test") if split not in given) if "train" in given else ()


def _task_name(options: FitOptions) -> str:
    """Return a name for the task by its first file."""
    entry = (options.train or options.test)[0]
    stem = Path(_named(entry)[1].partition(",")[0]).name.partition(".")[0]
    name = re.sub(r"[^\w.-]+", "_", stem, flags=re.ASCII).strip("_")
    if stem.lower() in ("", *SPLIT_NAMES):  # not that of the folder, which would change keys when it is moved
        return "own_data"
    return name if name not in base.names() else f"own_{name}"


def _texts(example: Example) -> tuple[str, ...]:
    return tuple(contamination.normalised(text) for text in contamination.texts(example).values())


def _labels(example: Example) -> tuple[str, ...]:
    """Return the labels of an example: its own, or its tags."""
    tags = getattr(example, "tags", None)
    if tags is not None:
        return tuple(tags)
    label = getattr(example, "label", None)
    return () if label is None else (str(label),)


def _label(example: Example) -> str:
    return " ".join(_labels(example))


def _label_order(task: Task) -> Any:
    places = {label: number for number, label in enumerate(task.labels)}
    return lambda label: (places.get(label, len(places)), label)
