"""Task: where a data set lies, what its rows mean and how it is scored; and the registry of tasks by name.

A task knows neither models nor hyperparameters; intermediate and target are roles that a run gives. One file in
`tasks/datasets`, `tasks/subsets` or `tasks/sandbox` defines one shipped task: the folder is the list. The registry also
has the tasks of installed plug-ins (entry points of the group `xstilts.tasks`, each a `Task` or a module with a `task`)
and those of the user's own folders (`add_task_folder`, or the variable XSTILTS_TASKS), in which every `NAME.py` defines
`task` as the shipped files do. `Task.from_csv`, `from_json`, `from_conll`, `from_hub` and `from_dataset` make a task of
the user's own data; a run takes such a task as it is, and it needs no name in the registry.

>>> task("xnli").metric
'accuracy'
"""

from __future__ import annotations

import os
import pkgutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module, invalidate_caches
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, TypedDict, Unpack

from xstilts.data.dataset import DataFile, DatasetSplit, answered
from xstilts.data.examples import SHAPES
from xstilts.data.held_out import PERCENT
from xstilts.data.languages import language
from xstilts.data.source import Source
from xstilts.errors import InputError, nearest
from xstilts.store.memo import memoised
from xstilts.tasks import user
from xstilts.tasks.user_data import (
    Columns,
    DataRequest,
    Files,
    UserData,
    conll_data,
    delimited_data,
    hub_data,
    inferred_data,
    json_data,
    rows_data,
)
from xstilts.tasks.user_format import FileFormat, FileOptions, infer

FOLDERS = ("datasets", "subsets", "sandbox")
GROUP = "xstilts.tasks"  # of entry points
TEXT_READERS = ("aligned", "auto", "conllu", "csv", "jsonl", "tagged", "tsv")  # labels of which are written out
LISTED = 12  # languages that a message lists
OWN = "the user's own"  # citation and licence where none is given


class TaskOptions(TypedDict, total=False):
    """Options of a task made of the user's own data; each has a default.

    Attributes:
        labels: The labels in the order of the classifier's outputs; for "multiple_choice", what the label column holds
            for the first choice, the second and so on. By default those of the training data, sorted, or those of the
            task that `learned_from` names.
        languages: Languages in which the task is evaluated; by default those of the data.
        metric: Name of a metric; by default the usual one of the format.
        learned_from: The tasks that a model is trained on before it predicts this one (`Task.learned_from`); by default
            "itself".
        trained_in: Languages of the training data; by default English.
        citation: The paper to cite.
        licence: The licence of the data.
        note: What a reader must know beside every score.
    """

    labels: Sequence[str] | None
    languages: Sequence[str] | None
    metric: str | None
    learned_from: str | Task | tuple[str | Task, ...] | None
    trained_in: Sequence[str]
    citation: str
    licence: str
    note: str


class DataOptions(TaskOptions, Columns, total=False):
    """Options of a task made of the user's own data, and the columns that hold the fields of its format."""


@dataclass(frozen=True)
class Task:
    """A data set and how it is scored.

    Attributes:
        name: Name in keys, tables and reports; that of the file which defines the task, for a registered one.
        format: Name of the task format, a module of `formats`.
        languages: Codes of the languages in which it is evaluated (or has data, for an intermediate task).
        sources: The forms in which its examples are available, tried in order.
        metric: Name of a function of `metrics`.
        citation: The paper to cite.
        licence: The licence of the data.
        labels: The labels in the order of the classifier's outputs. Those of a token classification task may be left
            out: then they are those of its training data.
        learned_from: The tasks that a model is trained on before it predicts this one: "itself", a task or its name,
            several of them one after the other (a tuple, or "siqa+copa"), or None where nothing is trained.
        trained_in: The languages of its training data that are used, English alone unless others are chosen
            (`task("panx:sw+ar")`).
        joined: Tasks, or their names, whose training data together, under one head, are those of this task.
        counts: Expected numbers of examples by split, in English or in each language.
        dev_language: For retrieval, the language on which a layer may be chosen.
        note: What a reader must know beside every score.
        default_languages: The usual `trained_in` where another one is chosen; None where it is not.
        contains: Names of tasks whose training data are among those of this one, as SQuAD 1.1's are among SQuAD 2.0's.
        more_metrics: Measures of label counts shown beside the metric: "matthews", or "f1:LABEL" for one label's F1.
        forms: Sources of the same examples with their texts in another form, by its name, such as the prompts of a
            benchmark; a recipe chooses one (`in_form`). No part of equality.
        test_examples: Measure on this many test examples of each language, spread evenly over them; None: on all.
    """

    name: str
    format: str
    languages: tuple[str, ...]
    sources: tuple[Source, ...]
    metric: str
    citation: str
    licence: str
    labels: tuple[str, ...] = ()
    learned_from: str | Task | tuple[str | Task, ...] | None = "itself"
    trained_in: tuple[str, ...] = ("en",)
    joined: tuple[str | Task, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    dev_language: str | None = None
    note: str = ""
    default_languages: tuple[str, ...] | None = None
    more_metrics: tuple[str, ...] = ()
    contains: tuple[str, ...] = ()
    forms: Mapping[str, tuple[Source, ...]] = field(default_factory=dict, compare=False, repr=False)
    test_examples: int | None = None

    @property
    def artificial(self) -> bool:
        """Whether the sandbox makes its examples."""
        return any(source.generator is not None for part in self.parts() for source in part.sources)

    @property
    def label(self) -> str:
        """The name with the languages of the training data where they are not the usual ones, as in "panx:sw"."""
        usual = self.trained_in == self.usual_languages
        return self.name if usual else f"{self.name}:{'+'.join(self.trained_in)}"

    @property
    def usual_languages(self) -> tuple[str, ...]:
        """The languages of the training data that are used unless others are asked for."""
        return self.trained_in if self.default_languages is None else self.default_languages

    def with_training_languages(self, languages: tuple[str, ...]) -> Task:
        """Return the task with training data in other languages than the usual ones."""
        return replace(self, trained_in=languages, default_languages=self.usual_languages)

    def measured_on(self, examples: int) -> Task:
        """Return the task with so many test examples of each language (`test_examples`).

        Raises:
            InputError: The number is below 1.
        """
        if examples < 1:
            raise InputError(f"'{self.name}' cannot be measured on {examples} test examples: give 1 or more")
        return replace(self, test_examples=examples)

    def in_form(self, name: str) -> Task:
        """Return the task with its texts in a form; the task itself where it has no form of this name.

        Args:
            name: A key of `forms`; "": the usual form.
        """
        if name not in self.forms:
            return self
        return memoised(self, ("form", name), lambda: replace(self, sources=self.forms[name], forms={}))

    @classmethod
    def from_csv(
        cls,
        name: str,
        files: Files,
        *,
        format: str,
        delimiter: str = ",",
        folder: Path | str | None = None,
        **options: Unpack[DataOptions],
    ) -> Task:
        """Make a task of CSV files whose first line names the columns.

        Args:
            name: Name of the task in keys, tables and reports: letters, digits, `_`, `-` and `.`.
            files: From a split ("train", "validation", "test") to its file, or several; "test/{language}" to a path
                with `{language}` in it, or "test/sw" to the file of one language. Files that name no language are
                in that of `trained_in`.
            format: "classification", "token_classification", "extractive_qa", "multiple_choice", "bitext_retrieval" or
                "masked_lm".
            delimiter: What separates the columns; a tab means that quote marks are text.
            folder: Where relative paths start; None: the current folder.
            **options: Labels, languages, metric and the like (`TaskOptions`), and the columns that hold the fields of
                the format (`Columns`).

        Returns:
            The task. It finds its files by absolute paths and needs no data folder; moving them changes no key.

        Raises:
            InputError: A file or a column is missing, a language or a label is unknown, or no labels can be found.
        """
        request, task_options = _request(name, format, folder, options)
        return cls._of(delimited_data(request, files, delimiter), task_options)

    @classmethod
    def from_json(
        cls,
        name: str,
        files: Files,
        *,
        format: str,
        folder: Path | str | None = None,
        **options: Unpack[DataOptions],
    ) -> Task:
        """Make a task of JSON lines, or of JSON files in SQuAD's format; arguments as in `from_csv`.

        A file of extractive QA whose first line has the key "data" is read in SQuAD's format, and names of columns
        are not used.

        Raises:
            InputError: A file or a column is missing, a language or a label is unknown, or no labels can be found.
        """
        request, task_options = _request(name, format, folder, options)
        return cls._of(json_data(request, files), task_options)

    @classmethod
    def from_conll(
        cls,
        name: str,
        files: Files,
        *,
        fields: Sequence[str] | None = None,
        folder: Path | str | None = None,
        **options: Unpack[TaskOptions],
    ) -> Task:
        """Make a token classification task of files with a token a line; other arguments as in `from_csv`.

        Blanks separate the columns of a line, and a blank line ends a sentence.

        Args:
            name: Name of the task in keys, tables and reports.
            files: From a split to its file or files, as in `from_csv`.
            fields: Names of the columns, "token" and "tag" among them; None: the first is the token, the last the tag.
            folder: Where relative paths start; None: the current folder.
            **options: As in `from_csv`, without columns; the usual metric is "entity_f1" for tags such as B-PER, else
                "tag_accuracy".

        Raises:
            InputError: A file is missing, a line has another number of columns, or a language is unknown.
        """
        request, task_options = _request(name, "token_classification", folder, options)
        return cls._of(conll_data(request, files, fields), task_options)

    @classmethod
    def from_hub(
        cls,
        repository: str,
        *,
        format: str,
        name: str | None = None,
        revision: str = "main",
        config: str = "default",
        splits: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
        data: Path | str | None = None,
        **options: Unpack[DataOptions],
    ) -> Task:
        """Make a task of a data set on the Hugging Face hub, of its Parquet files.

        The files are downloaded below `DATA/hub` by `tasks.download.download(task, DATA)` or `xstilts data --get`.

        Args:
            repository: The data set, "owner/name".
            format: Name of the task format, as in `from_csv`.
            name: Name of the task; None: that of the repository.
            revision: A branch, a tag or, to hold still, a commit.
            config: Configuration of the data set; it may have `{language}` in it.
            splits: From this package's splits to those of the data set; None: train, validation and test by those
                names. "test/{language}" is a split that there is in every language, "test" one in English.
            files: Patterns of Parquet files within the repository by split, instead of `config` and `splits`.
            data: The data folder, where labels are to be found in the training files; they are downloaded if they are
                not there. None: the variable XSTILTS_DATA.
            **options: As in `from_csv`. By default the task is evaluated in English, the citation is the repository,
                and the licence that of its page.

        Raises:
            InputError: The repository or a language is none, or labels are to be found and there is no data folder.
        """
        name = repository.rpartition("/")[2] if name is None else name
        page = f"https://huggingface.co/datasets/{repository}"
        options = {"citation": page, "licence": "that of the data set's page on the hub", **options}
        request, task_options = _request(name, format, data, options)
        return cls._of(hub_data(request, repository, revision, config, splits, files), task_options)

    @classmethod
    def from_dataset(
        cls,
        name: str,
        dataset: Any,
        *,
        format: str,
        folder: Path | str | None = None,
        **options: Unpack[DataOptions],
    ) -> Task:
        """Make a task of data in memory: a `datasets.Dataset`, a pandas DataFrame or a list of dictionaries.

        The rows are written as JSON lines into a folder named by their content, from which the task is read, also by
        worker processes and later runs. Arguments that are not listed are those of `from_csv`.

        Args:
            name: Name of the task in keys, tables and reports.
            dataset: From a split ("train", "validation", "test", or "test/sw" for one language) to its rows, such as a
                `datasets.DatasetDict`; rows alone are the training split.
            format: Name of the task format.
            folder: Where the rows are kept; None: `xstilts/datasets` below the user's cache folder.
            **options: As in `from_csv`, with columns as in `from_json`.

        Raises:
            InputError: A column is missing, a value cannot be written as JSON, or a language or a label is unknown.
        """
        request, task_options = _request(name, format, folder, options)
        return cls._of(rows_data(request, dataset), task_options)

    @classmethod
    def from_files(
        cls,
        name: str,
        files: Mapping[str, str | Path | FileFormat | Sequence[FileFormat]],
        *,
        reading: FileOptions | None = None,
        held_out: Sequence[str] = (),
        held_out_percent: int = PERCENT,
        **options: Unpack[TaskOptions],
    ) -> Task:
        """Make a task of files in any format, which are read as `user_format.infer` finds them to be.

        Args:
            name: Name of the task in keys, tables and reports.
            files: From a split ("train", or "test/sw" with a language) to its file, or to what `infer` returned for
                it; files that name no language are in that of `trained_in`.
            reading: Columns and formats, where they are not to be inferred.
            held_out: The splits that are cut out of the training files: "validation", "test" or both.
            held_out_percent: The share of each, in percent.
            **options: As in `from_csv`, without columns.

        Raises:
            InputError: A file is missing or can be read in several ways, or the files are of different task formats.
        """
        trained_in = tuple(options.get("trained_in", ("en",)))
        formats: dict[str, list[FileFormat]] = {}
        for key, given in files.items():
            split, _, code = key.partition("/")
            parts = [given] if isinstance(given, str | Path | FileFormat) else given
            inferred = [part if isinstance(part, FileFormat) else infer(part, reading) for part in parts]
            formats.setdefault(f"{split}/{code or trained_in[0]}", []).extend(inferred)
        task_formats = {part.format for parts in formats.values() for part in parts}
        if len(task_formats) != 1:
            shown = "; ".join(part.describe() for parts in formats.values() for part in parts) or "none"
            raise InputError(f"the files of task '{name}' are not of one task format: {shown}")
        request, task_options = _request(name, task_formats.pop(), None, options)
        if request.format == "bitext_retrieval":
            task_options.setdefault("learned_from", None)
        return cls._of(inferred_data(request, formats, held_out, held_out_percent), task_options)

    @classmethod
    def _of(cls, data: UserData, options: TaskOptions) -> Task:
        """Return the task of a user's data, with its labels and its metric."""
        name, labels = data.name, options.get("labels")
        if name in _shipped():
            raise InputError(f"there is a shipped task '{name}' ({_shipped()[name]}): give the task another name")
        task = cls(
            name,
            data.format,
            data.languages,
            data.sources,
            options.get("metric") or "",
            options.get("citation", OWN),
            options.get("licence", OWN),
            learned_from=options.get("learned_from", "itself"),
            trained_in=data.trained_in,
            note=options.get("note", ""),
        )
        if not data.trains and task.learned_from == "itself":
            remedy = "give a 'train' file, or the task to train on as learned_from=TASK (None: no training)"
            raise InputError(f"task '{name}' has no training data: {remedy}")
        parents = () if task.learned_from == "itself" else task.target_training_tasks()
        inherited = next((parent.labels for parent in reversed(parents) if parent.format == task.format), ())
        task = replace(task, labels=data.settled_labels(labels, inherited))
        return replace(task, metric=task.metric or data.usual_metric(task.labels), sources=data.labelled(labels))

    def data(self, split: str, language: str, folder: Path | None) -> DatasetSplit:
        """Return the identity of a split in a language, from the first source that has it.

        Args:
            split: "train", "validation" or "test".
            language: Code of the language.
            folder: The data folder; None where there is none (a task of absolute paths needs none).

        Raises:
            InputError: No source has it; the message names every place that was looked at.
        """
        return memoised(self, ("data", split, language, folder), lambda: self._looked_up(split, language, folder))

    def _looked_up(self, split: str, language: str, folder: Path | None) -> DatasetSplit:
        places: list[str] = []
        withheld: DatasetSplit | None = None
        for source in self.sources_in(language):
            if source.generator is not None:
                if source.generator.has(split, language, source.options):
                    return self._data(split, language, source, (DataFile(source.reader, source.generator.digest()),))
                continue
            paths, base = source.find(split, language, folder), None if source.absolute else folder
            if paths:
                data = self._data(split, language, source, tuple(DataFile.of(path, base) for path in paths))
                if self.holds(source, split, language, folder):
                    return data
                withheld = withheld or data
            places += source.places(split, language)
        if withheld:
            return withheld
        if not places:
            missing = f"no source of the task has a split '{split}' there"
            raise InputError(f"task '{self.name}' has no {split} data in '{language}': {missing}")
        lacking = self.not_on_hub(split, language)
        raise InputError(
            f"task '{self.name}' has no {split} data in '{language}' below {folder or '(no --data given)'}: "
            f"looked for {', '.join(places)}{lacking and f' ({lacking})'}; "
            "name the folder that holds it with --data DIR"
        )

    def has(self, split: str, language: str, folder: Path | None) -> bool:
        """Return whether a split in a language is there with its answers."""
        return memoised(self, ("has", split, language, folder), lambda: self._held(split, language, folder))

    def _held(self, split: str, language: str, folder: Path | None) -> bool:
        return any(self.holds(source, split, language, folder) for source in self.sources_in(language))

    def check_languages(self, codes: Sequence[str]) -> None:
        """Raise InputError for a language that the task does not have."""
        for code in codes:
            if code not in self.languages:
                there = ", ".join(self.languages) or "none"
                raise InputError(f"'{self.name}' has no language '{language(code).code}': there are {there}")

    def labelled_languages(self, split: str, codes: Sequence[str], folder: Path | None) -> tuple[str, ...]:
        """Return the languages in which a split is there with its answers.

        Args:
            split: "train", "validation" or "test".
            codes: The languages to look at, in order; none: all of the task's.
            folder: The data folder; None where no files are needed.

        Raises:
            InputError: The task has no such language; or there are no files, or only such that hide the answers.
        """
        self.check_languages(codes)
        every = tuple(codes) or self.languages
        if not every:
            raise InputError(f"'{self.name}' has no languages to measure, only training data: give a target")
        there = tuple(code for code in every if self.has(split, code, folder))
        if not there:
            self.data(split, every[0], folder)  # says where it looked, if there are no files
            raise InputError(f"the {split} files of '{self.name}' hide the labels: evaluate on split='validation'")
        return there

    def holds(self, source: Source, split: str, language: str, folder: Path | None) -> bool:
        """Return whether a source of the task has a split in a language, with answers that are not blank."""
        if not source.holds(split, language, folder):
            return False
        if split != "test" or source.generator is not None:
            return True
        return answered(source, self.format, source.find(split, language, folder), language)

    def sources_in(self, language: str) -> tuple[Source, ...]:
        """Return the sources that may hold a language: files named without one hold the task's own languages only."""
        return tuple(
            source for source in self.every_source() if source.named or language in (source.languages or self.languages)
        )

    def not_on_hub(self, split: str, language: str) -> str:
        """Return what the task's data sets on the hub have instead of a split in a language.

        Args:
            split: "train", "validation" or "test".
            language: Code of the language.

        Returns:
            A sentence; "" where one of them has it, or the task has no such split or no data set there.

        >>> task("bucc").not_on_hub("validation", "de")
        'not on the hub: mteb/BUCC has only test'
        """
        held: dict[str, list[Source]] = {}
        for source in self.sources:
            if source.repository:
                held.setdefault(source.repository, []).append(source)
        offered = any(source.repository and source.patterns(split, language) for source in self.sources_in(language))
        if offered or not any(split in source.files for source in self.sources):
            return ""
        parts = []
        for repository, sources in held.items():
            codes = [
                code
                for code in self.languages
                if any(source in self.sources_in(code) and source.patterns(split, code) for source in sources)
            ]
            others = f"{len(codes)} other languages" if len(codes) > LISTED else ", ".join(codes)
            splits = " and ".join(dict.fromkeys(name for source in sources for name in source.files))
            parts.append(f"{repository} has {split} in {others}" if codes else f"{repository} has only {splits}")
        return f"not on the hub: {'; '.join(parts)}" if parts else ""

    def every_source(self) -> tuple[Source, ...]:
        """Return the task's sources, and last the folder of machine-translated data, which any task may have."""
        files = {split: f"translated/{self.name}/{split}-{{language}}.jsonl" for split in ("train", "validation")}
        return (*self.sources, Source("jsonl", files, options={"language_column": "language"}))

    def parts(self) -> tuple[Task, ...]:
        """Return the tasks that this one's training data come from: itself, or those that it joins."""
        return tuple(_task_of(part).with_training_languages(self.trained_in) for part in self.joined) or (self,)

    @property
    def joined_names(self) -> tuple[str, ...]:
        """The names of the tasks that it joins."""
        return tuple(part.label if isinstance(part, Task) else part for part in self.joined)

    def training_parts(self) -> tuple[tuple[Task, str], ...]:
        """Return the tasks and languages that this one's training data come from."""
        return tuple((part, code) for part in self.parts() for code in self.trained_in)

    def training_data_names(self) -> frozenset[str]:
        """Return the names of the data sets whose training data this one's are, or contain, in whatever language."""
        return frozenset(name for part in self.parts() for name in (part.name, *part.contains))

    def target_training_tasks(self) -> tuple[Task, ...]:
        """Return the tasks trained one after the other before this one is predicted."""
        learned_from = self.learned_from
        if learned_from is None:
            return ()
        if isinstance(learned_from, str):
            return (self,) if learned_from == "itself" else tuple(task(name) for name in learned_from.split("+"))
        parts = (learned_from,) if isinstance(learned_from, Task) else learned_from
        return tuple(self if part == "itself" else _task_of(part) for part in parts)

    @property
    def learned_from_name(self) -> str | None:
        """The names of the tasks in `learned_from`, joined by "+"; None where nothing is trained."""
        learned_from = self.learned_from
        if learned_from is None or isinstance(learned_from, str):
            return learned_from
        parts = (learned_from,) if isinstance(learned_from, Task) else learned_from
        return "+".join(part.label if isinstance(part, Task) else part for part in parts)

    def _data(self, split: str, language: str, source: Source, files: tuple[DataFile, ...]) -> DatasetSplit:
        part = source.part.get(split, (0, None))
        return DatasetSplit(
            self.name,
            self.format,
            split,
            language,
            self.labels,
            source.meaning(),
            files,
            part,
            self.test_examples if split == "test" else None,
            replace(source, label_form=self._label_form(source)),
            self._expected(split, language, source),
        )

    def _label_form(self, source: Source) -> str:
        """Return whether a source has names or numbers of labels, "" where either may be.

        The text files of shipped tasks have names unless they say numbers. A user's own may have either.
        """
        published = self.name in _shipped() and source in self.sources and source.reader in TEXT_READERS
        return source.label_form or ("names" if published else "")

    def _expected(self, split: str, language: str, source: Source) -> int | None:
        """Return how many examples a source should have of a split; None where it is unknown.

        The count of a training split holds in the languages that the task is usually trained in; a user may have
        translated any part of it.
        """
        foreign = split == "train" and language not in self.usual_languages
        return None if foreign or source not in self.sources else self.counts.get(split)


def task(name: str) -> Task:
    """Return a task of the registry.

    Args:
        name: Name of a shipped task, of one of a plug-in or of one in a folder of the user's. "panx:sw" is the same
            task with training data in other languages, "panx:sw+ar" in several under one head.

    Raises:
        InputError: There is no such task (the message has the nearest name), or its file or plug-in is broken.
    """
    return _task(name, _state())


def names() -> tuple[str, ...]:
    """Return the names of all tasks of the registry, sorted; those of broken files too, which `task` refuses."""
    return tuple(sorted(_places(_state())))


def shipped_names() -> tuple[str, ...]:
    """Return the names of the tasks that come with this package, sorted."""
    return tuple(sorted(_shipped()))


def is_artificial(label: str) -> bool:
    """Return whether a task by this name or label ("sandbox_nli:qab") comes with this package and is the sandbox's."""
    name = label.partition(":")[0]
    return name in shipped_names() and task(name).artificial


def listed() -> Iterator[tuple[str, Task | InputError]]:
    """Yield each name of the registry with its task, or with the error of its file or plug-in."""
    for name in names():
        try:
            yield name, task(name)
        except InputError as error:
            yield name, error


def add_task_folder(path: Path | str) -> None:
    """Add a folder to the registry, each `NAME.py` in which defines `task`, for this process and its workers.

    Raises:
        InputError: There is no such folder.
    """
    folder = Path(path).expanduser().absolute()
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder} of tasks: correct --tasks, or make it")
    if folder not in user.folders():
        before = os.environ.get(user.VARIABLE, "")
        os.environ[user.VARIABLE] = os.pathsep.join(filter(None, (before, str(folder))))


def task_in_languages(name: str, codes: str, test_examples: int | None = None) -> Task:
    """Return a task in some of its languages, and on a part of its test examples.

    Args:
        name: Name of the task.
        codes: The languages, "en sw".
        test_examples: Measure on this many test examples of each language (`Task.test_examples`).

    Raises:
        InputError: The task does not have a language, or the number is below 1.
    """
    whole, chosen = task(name), tuple(codes.split())
    whole.check_languages(chosen)
    part = replace(whole, languages=chosen)
    return part if test_examples is None else part.measured_on(test_examples)


def module_of(name: str) -> str:
    """Return the full name of the module that defines a task."""
    return _places(_state())[name][0].module


def _request(
    name: str, format: str, folder: Path | str | None, options: Mapping[str, Any]
) -> tuple[DataRequest, TaskOptions]:
    """Return the request for a user's data, and the options of the task; other options are columns."""
    task_options: Any = {key: value for key, value in options.items() if key in TaskOptions.__annotations__}
    for name_of_list in ("languages", "trained_in"):  # a single code may stand without brackets
        if isinstance(task_options.get(name_of_list), str):
            task_options[name_of_list] = (task_options[name_of_list],)
    languages = task_options.get("languages")
    request = DataRequest(
        name,
        format,
        {key: value for key, value in options.items() if key not in task_options},
        tuple(languages) if languages else None,
        tuple(task_options.get("trained_in", ("en",))),
        Path(folder) if folder else None,
    )
    return request, task_options


@dataclass(frozen=True)
class _Place:
    """Where a task is defined: a module, its file or distribution for messages, and the entry point of a plug-in."""

    module: str
    where: str
    entry: EntryPoint | None = None


def _task_of(part: str | Task) -> Task:
    return part if isinstance(part, Task) else task(part)


def _state() -> str:
    """Return the names of the files in the user's folders, by which the registry is cached."""
    return os.pathsep.join(sorted(str(file) for folder in user.folders() for file in folder.glob("*.py")))


@cache
def _task(name: str, state: str) -> Task:
    name, _, codes = name.partition(":")
    if codes:
        return _task(name, state).with_training_languages(tuple(language(code).code for code in codes.split("+")))
    places = _places(state).get(name)
    if not places:
        near = nearest(name, _places(state))
        hint = f"; did you mean '{near}'?" if near else "; it is a task format (--format)" if name in SHAPES else ""
        raise InputError(f"unknown task '{name}'{hint} (`xstilts tasks` lists them)")
    if len(places) > 1:
        both = " and ".join(place.where for place in places)
        raise InputError(f"the task '{name}' is defined twice, by {both}: rename or remove one of them")
    return _loaded(name, places[0])


def _loaded(name: str, place: _Place) -> Task:
    """Return what a module or an entry point defines; InputError with its place where it is broken."""
    try:
        found = place.entry.load() if place.entry else import_module(place.module)
        found = found if isinstance(found, Task) else getattr(found, "task", None)
    except (Exception, SystemExit) as error:  # a script that ends the program must not end this one
        if name in _shipped():
            raise
        said = f"{type(error).__name__}: {error}"
        raise InputError(f"the task '{name}' of {place.where} cannot be loaded ({said}): correct it") from error
    if not isinstance(found, Task):
        raise InputError(f"{place.where} defines no task: it needs `task = Task(…)` (helper files begin with '_')")
    if found.name != name:
        raise InputError(f"{place.where} defines the task '{found.name}': give the file and the task the same name")
    return found


@cache
def _places(state: str) -> dict[str, tuple[_Place, ...]]:
    """Return where the tasks of the registry are defined, by name: several places where names collide."""
    found: dict[str, list[_Place]] = {}
    for name, module in _shipped().items():
        found.setdefault(name, []).append(_Place(module, f"the shipped module {module}"))
    for entry in entry_points(group=GROUP):
        plugin = f"the plug-in {entry.dist.name}" if entry.dist else "a plug-in"
        found.setdefault(entry.name, []).append(_Place(entry.module, f"{plugin} ({entry.value})", entry))
    for name, file in _user_files():
        found.setdefault(name, []).append(_Place(f"{user.__name__}.{name}", str(file)))
    return {name: tuple(places) for name, places in found.items()}


def _user_files() -> list[tuple[str, Path]]:
    """Return the task files in the folders of the user's, having made them importable."""
    folders = user.folders()
    user.__path__ = [str(folder) for folder in folders]
    for name, module in list(sys.modules.items()):  # of a folder that was there before
        file = getattr(module, "__file__", None)
        if name.startswith(f"{user.__name__}.") and file and Path(file).parent not in folders:
            del sys.modules[name]
    invalidate_caches()
    files = (file for folder in folders for file in sorted(folder.glob("*.py")))
    return [(file.stem, file) for file in files if not file.stem.startswith("_")]


@cache
def _shipped() -> dict[str, str]:
    """Return the modules that define the shipped tasks, by the name of the task."""
    folders = (import_module(f"xstilts.tasks.{folder}") for folder in FOLDERS)
    return {
        module.name: f"{folder.__name__}.{module.name}"
        for folder in folders
        for module in pkgutil.iter_modules(folder.__path__)
    }
