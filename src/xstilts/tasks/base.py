"""Task: where a data set lies, what its rows mean, how it is scored. One file in `tasks/` defines one task.

The folder is the registry: `task("xnli")` imports `tasks/xnli.py` and takes its `task`. Intermediate and target are
roles that a run gives; a task knows neither models nor hyperparameters.

>>> task("xnli").metric
'accuracy'
"""

from __future__ import annotations

import difflib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from pathlib import Path

from xstilts.data.dataset import DataFile, DatasetSplit
from xstilts.data.languages import language
from xstilts.data.source import Source
from xstilts.errors import InputError
from xstilts.store.memo import memoised

FOLDERS = ("datasets", "subsets", "sandbox")


@dataclass(frozen=True)
class Task:
    """A data set and its question.

    format: name of a module of `kinds/`. languages: codes in which it is evaluated (or has data, for an intermediate
    task). labels: in the order of the classifier's outputs. metric: name of a function of `metrics`.
    learned_from: "itself", another task's name, several ("siqa+copa": one after the other), or None where nothing is
    trained. trained_in: the languages of its training data that are used, English alone unless something else is
    asked for (`task("panx:sw+ar")`). joined: tasks whose training data, in one heap and under one head, are this
    one's. labels of a tagging task may be left out: then they are those of its training data. counts: expected
    examples by split, in English or in each language. dev_language: for retrieval, the language on which a layer may
    be chosen. note: what must be known beside every score.
    """

    name: str
    format: str
    languages: tuple[str, ...]
    sources: tuple[Source, ...]
    metric: str
    citation: str
    licence: str
    labels: tuple[str, ...] = ()
    learned_from: str | None = "itself"
    trained_in: tuple[str, ...] = ("en",)
    joined: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    dev_language: str | None = None
    note: str = ""
    default_languages: tuple[str, ...] | None = None

    @property
    def artificial(self) -> bool:
        """Whether the sandbox makes its examples."""
        return any(source.generator is not None for part in self.parts() for source in part.sources)

    @property
    def label(self) -> str:
        """The name as one asks for it: with the languages of its training data where they are not the usual ones."""
        usual = self.trained_in == self.usual_languages
        return self.name if usual else f"{self.name}:{'+'.join(self.trained_in)}"

    @property
    def usual_languages(self) -> tuple[str, ...]:
        """The languages of the training data that are used unless others are asked for."""
        return self.trained_in if self.default_languages is None else self.default_languages

    def with_training_languages(self, languages: tuple[str, ...]) -> Task:
        """Return the task with training data in other languages than the usual ones."""
        return replace(self, trained_in=languages, default_languages=self.usual_languages)

    def data(self, split: str, language: str, folder: Path | None) -> DatasetSplit:
        """Return the identity of a split in a language, from the first source that has it below `folder`.

        Raises InputError, naming every place looked at, where no source has it.
        """
        return memoised(self, ("data", split, language, folder), lambda: self._looked_up(split, language, folder))

    def _looked_up(self, split: str, language: str, folder: Path | None) -> DatasetSplit:
        places: list[str] = []
        for source in self.sources_in(language):
            if source.generator is not None:
                if source.generator.has(split, language, source.options):
                    return self._data(split, language, source, (DataFile(source.reader, source.generator.digest()),))
                continue
            paths = source.find(split, language, folder) if folder else ()
            if paths and folder:
                return self._data(split, language, source, tuple(DataFile.of(path, folder) for path in paths))
            places += source.patterns(split, language)
        if not places:
            missing = f"no source of the task has a split '{split}' there"
            raise InputError(f"task '{self.name}' has no {split} data in '{language}': {missing}")
        raise InputError(
            f"task '{self.name}' has no {split} data in '{language}' below {folder or '(no --data given)'}: "
            f"looked for {', '.join(places)}; name the folder that holds it with --data DIR"
        )

    def has(self, split: str, language: str, folder: Path | None) -> bool:
        """Say whether a split in a language is there with its answers."""
        return memoised(self, ("has", split, language, folder), lambda: self._held(split, language, folder))

    def _held(self, split: str, language: str, folder: Path | None) -> bool:
        return any(source.holds(split, language, folder) for source in self.sources_in(language))

    def sources_in(self, language: str) -> tuple[Source, ...]:
        """Return the sources that may hold a language: files named without one hold the task's own languages only."""
        return tuple(source for source in self.every_source() if source.named or language in self.languages)

    def every_source(self) -> tuple[Source, ...]:
        """Return the task's sources, and last the folder of machine-translated data, which any task may have."""
        files = {split: f"translated/{self.name}/{split}-{{language}}.jsonl" for split in ("train", "validation")}
        return (*self.sources, Source("jsonl", files, options={"language_column": "language"}))

    def parts(self) -> tuple[Task, ...]:
        """Return the tasks whose training data are this one's: itself, or those that it joins."""
        return tuple(task(name).with_training_languages(self.trained_in) for name in self.joined) or (self,)

    def training_parts(self) -> tuple[tuple[Task, str], ...]:
        """Return the tasks and languages whose training data are this one's."""
        return tuple((part, code) for part in self.parts() for code in self.trained_in)

    def target_training_tasks(self) -> tuple[Task, ...]:
        """Return the tasks trained one after the other before this one is predicted."""
        if self.learned_from is None:
            return ()
        return (self,) if self.learned_from == "itself" else tuple(task(n) for n in self.learned_from.split("+"))

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
            source,
            self._expected(split, language, source),
        )

    def _expected(self, split: str, language: str, source: Source) -> int | None:
        """Return how many examples a source should have of a split, as far as that is known.

        The count of a training split holds in the languages that the task is usually trained in; nobody knows how many
        rows of a task a user has had translated.
        """
        foreign = split == "train" and language not in self.usual_languages
        return None if foreign or source not in self.sources else self.counts.get(split)


@cache
def task(name: str) -> Task:
    """Return the task that `tasks/<name>.py` defines; InputError with the nearest name where there is none.

    "panx:sw" is the same task with other languages to be trained in, "panx:sw+ar" with several under one head.
    """
    name, _, codes = name.partition(":")
    if codes:
        return task(name).with_training_languages(tuple(language(code).code for code in codes.split("+")))
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise InputError(f"unknown task '{name}'{hint} (`xstilts tasks` lists them)")
    found = import_module(_modules()[name]).task
    assert isinstance(found, Task)
    assert found.name == name
    return found


def task_in_languages(name: str, codes: str) -> Task:
    """Return a task in some of its languages, "en sw"; InputError for one that it has not."""
    known, asked = task(name), tuple(codes.split())
    for code in asked:
        if code not in known.languages:
            raise InputError(f"'{name}' has no language '{code}': there are {', '.join(known.languages)}")
    return replace(known, languages=asked)


@cache
def names() -> tuple[str, ...]:
    """Return the names of all tasks: the modules of `tasks/`."""
    return tuple(sorted(_modules()))


def module_of(name: str) -> str:
    """Return the full name of the module that defines a task."""
    return _modules()[name]


@cache
def _modules() -> dict[str, str]:
    """Return the modules that define the shipped tasks, by the name of the task."""
    folders = (import_module(f"xstilts.tasks.{folder}") for folder in FOLDERS)
    return {
        module.name: f"{folder.__name__}.{module.name}"
        for folder in folders
        for module in pkgutil.iter_modules(folder.__path__)
    }
