"""Validate: a task file checked whole, from its import to the rows of its data, with a remedy for all that is wrong.

A run stops at the first mistake; here all of them are collected, so that a file is corrected in one go. The file is
imported, that is run, as `xstilts tasks` does it.

>>> from xstilts.tasks.base import task
>>> [problem.what for problem in problems_of(task("xnli"))]
[]
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from xstilts import metrics
from xstilts.data.dataset import examples
from xstilts.data.examples import SHAPES
from xstilts.data.languages import codes, language
from xstilts.data.readers import FORMATS, Report
from xstilts.data.source import Source
from xstilts.errors import InputError, did_you_mean
from xstilts.runtime.text import counted
from xstilts.tasks import base
from xstilts.tasks.base import Task

SPLITS = ("train", "validation", "test")
METRICS = {
    "classification": ("accuracy",),
    "multiple_choice": ("accuracy",),
    "token_classification": ("entity_f1", "pos_f1", "tag_accuracy"),
    "extractive_qa": ("squad", "squad_v2", "mlqa"),
    "bitext_retrieval": ("retrieval_accuracy",),
    "bitext_mining": ("mined_f1", "bitext_f1"),
    "passage_ranking": ("map20",),
    "masked_lm": ("mlm_loss",),
}
WITHOUT_HEAD = ("bitext_retrieval", "bitext_mining", "passage_ranking", "masked_lm")  # any training may come before
LABELLED = ("classification", "token_classification")
TEXTS = ("name", "format", "metric", "citation", "licence")


@dataclass(frozen=True)
class Problem:
    """Something wrong with a task file, and what to do about it."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}"


@dataclass(frozen=True)
class Validation:
    """What is known of a task file.

    Attributes:
        task: The task that it defines; None where it cannot be loaded.
        problems: What is wrong.
        counts: The number of examples by split and language, of the data that are present.
        absent: Where data were looked for that are not present, by split and language.
        notes: What readers repaired, dropped or noted, with counts.
    """

    task: Task | None
    problems: tuple[Problem, ...]
    counts: Mapping[tuple[str, str], int]
    absent: Mapping[tuple[str, str], str]
    notes: Mapping[str, int]

    def to_json(self) -> dict[str, object]:
        """Return the findings as plain values; counts and missing places by "split language"."""
        return {
            "task": self.task.name if self.task else None,
            "problems": [str(problem) for problem in self.problems],
            "counts": {" ".join(place): count for place, count in self.counts.items()},
            "absent": {" ".join(place): looked_for for place, looked_for in self.absent.items()},
            "notes": dict(self.notes),
        }


def validate(file: Path, data: Path | None = None) -> Validation:
    """Check a task file and the data that it names.

    Args:
        file: A Python file with `task = Task(…)`, which is run.
        data: The data folder; None where the task needs none, or to check the file alone.

    Raises:
        InputError: There is no such file.
    """
    file = file.expanduser().absolute()
    if not file.is_file() or file.suffix != ".py":
        raise InputError(f"there is no task file {file}: give NAME.py, which defines `task`")
    task, problems = _loaded(file)
    if task is None:
        return Validation(None, tuple(problems), {}, {}, {})
    problems += problems_of(task)
    counts: dict[tuple[str, str], int] = {}
    absent: dict[tuple[str, str], str] = {}
    report = Report()
    if not problems:
        for split, code in _places(task):
            try:
                if not task.has(split, code, data):
                    absent[split, code] = _looked_for(task, split, code)
                    continue
                counts[split, code] = sum(1 for _ in examples(task.data(split, code, data), data, report))
                wanted = task.counts.get(split)
                if wanted is not None and code in task.usual_languages and counts[split, code] != wanted:
                    problem = f"{split} in {code} has {counts[split, code]} examples, and `counts` says {wanted}"
                    problems.append(Problem(problem, "correct `counts`, or get the complete data"))
            except InputError as error:
                problem, _, remedy = str(error).rpartition("; ")
                problems.append(Problem(problem or remedy, remedy if problem else "correct it"))
    return Validation(task, tuple(problems), counts, absent, report.counts)


def problems_of(task: Task) -> list[Problem]:
    """Return what is wrong with a task, apart from its data."""
    return list(_of_types(task)) or [*_of_task(task), *_of_languages(task), *_of_labels(task), *_of_sources(task)]


def _loaded(file: Path) -> tuple[Task | None, list[Problem]]:
    """Return the task of a file, or what is wrong with its import."""
    try:
        base.add_task_folder(file.parent)
        return base.task(file.stem), []
    except InputError as error:
        problem, _, remedy = str(error).rpartition(": ")
        cause = error.__cause__
        if cause is None:
            return None, [Problem(problem, remedy)]
        line = next(
            (f":{at.lineno}" for at in reversed(traceback.extract_tb(cause.__traceback__)) if at.filename == str(file)),
            "",
        )
        if isinstance(cause, SyntaxError):
            line = f":{cause.lineno}"
        return None, [Problem(f"{file}{line}: {type(cause).__name__}: {cause}", "correct this line")]


def _of_types(task: Task) -> Iterator[Problem]:
    """Yield fields of the wrong type, which would fail in a confusing way elsewhere."""
    for name in TEXTS:
        if not isinstance(getattr(task, name), str):
            yield Problem(f"`{name}` is {getattr(task, name)!r}", "write a text")
    for name in ("languages", "labels", "trained_in"):
        value = getattr(task, name)
        if not isinstance(value, tuple) or not all(isinstance(text, str) for text in value):
            yield Problem(
                f"`{name}` is {value!r}", f"write a tuple of texts, {name}=({value!r},)" if value else "write ()"
            )
    if not isinstance(task.sources, tuple) or not all(isinstance(source, Source) for source in task.sources):
        yield Problem(f"`sources` is {task.sources!r:.60}", "write a tuple, sources=(Source(…),)")


def _of_task(task: Task) -> Iterator[Problem]:
    if task.format not in SHAPES:
        yield Problem(f"unknown task format '{task.format}'", _choose(task.format, SHAPES))
    try:
        if task.metric != "mlm_loss":
            metrics.metric(task.metric)
    except InputError:
        yield Problem(f"unknown metric '{task.metric}'", _choose(task.metric, metrics.names()))
    else:
        usual = METRICS.get(task.format, ())
        if usual and task.metric not in usual:
            yield Problem(f"the metric '{task.metric}' does not score {task.format}", f"give {' or '.join(usual)}")
    if not task.sources and not task.joined:
        yield Problem("it has no data", "give sources=(Source(…),), or joined=(…) of other tasks")
    for name in ("citation", "licence"):
        if not getattr(task, name).strip():
            yield Problem(f"`{name}` is empty", "say where the data come from and under what licence")
    try:
        parents = task.target_training_tasks()
        task.training_parts()
    except (InputError, AttributeError, TypeError) as error:
        yield Problem(f"`learned_from` or `joined` cannot be resolved: {error}", "name tasks of the registry")
        return
    if parents and parents[-1].name != task.name and task.format not in WITHOUT_HEAD:
        last = parents[-1]
        if last.format != task.format:
            yield Problem(
                f"it is learned from '{last.name}', whose format is {last.format}", f"name a task of {task.format} last"
            )
        elif not set(task.labels) <= set(last.labels):
            missing = ", ".join(sorted(set(task.labels) - set(last.labels)))
            yield Problem(f"'{last.name}', which it is learned from, has no labels {missing}", "name another task")


def _of_languages(task: Task) -> Iterator[Problem]:
    for code in dict.fromkeys((*task.languages, *task.trained_in, *filter(None, (task.dev_language,)))):
        try:
            for part in codes(code):
                language(part)
        except InputError as error:
            yield Problem(str(error), "correct the code")
    for code, times in _repeated(task.languages):
        yield Problem(f"the language '{code}' is there {times} times", "name it once")


def _of_labels(task: Task) -> Iterator[Problem]:
    if task.format == "classification" and len(task.labels) < 2:
        yield Problem(
            f"it has {counted(len(task.labels), 'label')}", "name two or more, in the order of the classifier's outputs"
        )
    if task.labels and task.format not in LABELLED:
        yield Problem(f"{task.format} has no labels, and {len(task.labels)} are given", "leave `labels` out")
    for label, times in _repeated(task.labels):
        yield Problem(f"the label '{label}' is there {times} times", "name it once")


def _of_sources(task: Task) -> Iterator[Problem]:
    shape = SHAPES.get(task.format)
    for number, source in enumerate(task.sources):
        where = f"source {number + 1} of {len(task.sources)}"
        if source.generator is None and source.reader not in FORMATS:
            yield Problem(f"{where}: unknown reader '{source.reader}'", _choose(source.reader, FORMATS))
        for split in source.files:
            if split not in SPLITS:
                yield Problem(f"{where}: unknown split '{split}'", _choose(split, SPLITS))
        wanted = {field.name for field in fields(shape)} | {"is_impossible", "lines"} if shape else set()
        for name in source.columns if shape and source.convert is None else ():
            if name not in wanted:
                yield Problem(f"{where}: {task.format} has no field '{name}' (in `columns`)", _choose(name, wanted))
        for label in source.label_names.values() if task.format == "classification" else ():
            if task.labels and label not in task.labels:
                yield Problem(
                    f"{where}: `label_names` leads to '{label}', which is no label", _choose(label, task.labels)
                )
        if source.convert is not None and not inspect.isfunction(source.convert):
            yield Problem(f"{where}: `convert` is no function", "define it with `def` at the top level of the file")
            continue
        try:
            source.meaning()
        except (InputError, TypeError) as error:
            yield Problem(f"{where}: {error}", "correct it")


def _places(task: Task) -> Iterator[tuple[str, str]]:
    """Yield the splits and languages that the task's sources may have."""
    given = {split for source in task.sources for split in source.files} or set(SPLITS)
    for split in (split for split in SPLITS if split in given):
        both = (*task.trained_in, *task.languages) if split == "validation" else ()
        for code in dict.fromkeys(task.trained_in if split == "train" else both or task.languages):
            yield split, code


def _looked_for(task: Task, split: str, code: str) -> str:
    patterns = [pattern for source in task.sources_in(code) for pattern in source.patterns(split, code)]
    return ", ".join(patterns[:3])


def _repeated(values: Iterable[str]) -> Iterator[tuple[str, int]]:
    listed = list(values)
    return ((value, listed.count(value)) for value in dict.fromkeys(listed) if listed.count(value) > 1)


def _choose(name: str, known: Iterable[str]) -> str:
    return did_you_mean(name, sorted(known), otherwise="give one of")
