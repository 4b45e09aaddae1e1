"""Task: where a data set lies, what its rows mean, how it is scored. One file in `tasks/` defines one task.

The folder is the registry: `task("xnli")` imports `tasks/xnli.py` and takes its `task`. Intermediate and target are
roles that a run gives; a task knows neither models nor hyperparameters.

>>> task("xnli").metric
'accuracy'
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import inspect
import pkgutil
import textwrap
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from xstilts.data.dataset import Data, File
from xstilts.data.examples import BadInput
from xstilts.data.languages import language
from xstilts.data.readers import Row, matching

Convert = Callable[[Row], Mapping[str, Any]]
T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """One form in which a task's examples can be had, below the data folder.

    reader: the format, a function of `readers.py`. files: patterns by split, relative to the data folder, with
    `{language}` spelled as `names` says (the code itself by default) and `*` for several files, read in sorted order.
    columns: fields of the example that are called otherwise in the rows. options: arguments of the reader, and of
    all: ids ("position": rows are numbered, whatever their `id`), language_column (holds a row's language).
    convert: a function from a row to the example's fields, where columns do not suffice.
    label_names: what this source calls a label. dropped: raw labels whose rows hold no gold label and are left out,
    counted.
    withheld: the answers are not in the files, as in a leaderboard's test set: nothing can be measured on them.
    part: (start, stop) over the rows of a split, for data sets cut out of another one.
    revision: for files below `hub/`, the commit or branch that `hub.download` takes them from. Data are identified by
    content, so it is no part of their meaning.
    """

    reader: str
    files: Mapping[str, str | tuple[str, ...]]
    columns: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str | int | tuple[str, ...]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    convert: Convert | None = None
    label_names: Mapping[str, str] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    part: Mapping[str, tuple[int, int | None]] = field(default_factory=dict)
    withheld: bool = False
    revision: str = "main"

    def patterns(self, split: str, language: str) -> tuple[str, ...]:
        """Return the file patterns of a split in a language; empty where this source has none."""
        patterns = self.files.get(split, ())
        patterns = (patterns,) if isinstance(patterns, str) else patterns
        return tuple(pattern.replace("{language}", self.names.get(language, language)) for pattern in patterns)

    @property
    def named(self) -> bool:
        """Whether the names of the files say which language is in them."""
        groups = ((one,) if isinstance(one, str) else one for one in self.files.values())
        return any("{language}" in pattern for group in groups for pattern in group)

    def find(self, split: str, language: str, folder: Path) -> tuple[Path, ...]:
        """Return the files of a split in a language that exist below `folder`; empty unless every pattern has one."""
        found = [_matching(folder, pattern) for pattern in self.patterns(split, language)]
        return tuple(path for paths in found for path in paths) if found and all(found) else ()

    def holds(self, split: str, language: str, folder: Path | None) -> bool:
        """Say whether this source has a split in a language, with its answers."""
        if self.reader == "sandbox":
            from xstilts import sandbox

            return sandbox.has(split, language, self.options)
        return folder is not None and not self.withheld and bool(self.find(split, language, folder))

    def meaning(self) -> tuple[tuple[str, str], ...]:
        """Return what, beside the files' bytes, decides the examples: the identity of this way of reading."""
        code = "" if self.convert is None else _normalised(self.convert)
        parts = {
            "columns": sorted(self.columns.items()),
            "options": sorted(self.options.items()),
            "label_names": sorted(self.label_names.items()),
            "dropped": self.dropped,
        }
        described = [("reader", self.reader), *((name, repr(value)) for name, value in parts.items() if value)]
        return (*described, ("convert", hashlib.sha256(code.encode()).hexdigest()[:12])) if code else tuple(described)


@dataclass(frozen=True)
class Task:
    """A data set and its question.

    kind: name of a module of `kinds/`. languages: codes in which it is evaluated (or has data, for an intermediate
    task). labels: in the order of the classifier's outputs. metric: name of a function of `metrics`.
    learned_from: "itself", another task's name, several ("siqa+copa": one after the other), or None where nothing is
    trained. trained_in: the languages of its training data that are used, English alone unless something else is
    asked for (`task("panx:sw+ar")`). joined: tasks whose training data, in one heap and under one head, are this
    one's. labels of a tagging task may be left out: then they are those of its training data. counts: expected
    examples by split, in English or in each language. dev_language: for retrieval, the language on which a layer may
    be chosen. note: what must be known beside every score.
    """

    name: str
    kind: str
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

    @property
    def artificial(self) -> bool:
        """Whether the sandbox makes its examples."""
        return any(source.reader == "sandbox" for part in self.parts() for source in part.sources)

    @property
    def label(self) -> str:
        """The name as one asks for it: with the languages of its training data where they are not the usual ones."""
        usual = task(self.name).trained_in
        return self.name if self.trained_in == usual else f"{self.name}:{'+'.join(self.trained_in)}"

    def data(self, split: str, language: str, folder: Path | None) -> Data:
        """Return the identity of a split in a language, from the first source that has it below `folder`.

        Raises BadInput, naming every place looked at, where no source has it.
        """
        return once(self, ("data", split, language, folder), lambda: self._looked_up(split, language, folder))

    def _looked_up(self, split: str, language: str, folder: Path | None) -> Data:
        places: list[str] = []
        for source in self.sources_in(language):
            if source.reader == "sandbox":
                if source.holds(split, language, folder):
                    from xstilts import sandbox

                    return self._data(split, language, source, (File("sandbox", sandbox.digest()),))
                continue
            paths = source.find(split, language, folder) if folder else ()
            if paths and folder:
                return self._data(split, language, source, tuple(File.of(path, folder) for path in paths))
            places += source.patterns(split, language)
        if not places:
            missing = f"no source of the task has a split '{split}' there"
            raise BadInput(f"task '{self.name}' has no {split} data in '{language}': {missing}")
        raise BadInput(
            f"task '{self.name}' has no {split} data in '{language}' below {folder or '(no --data given)'}: "
            f"looked for {', '.join(places)}; name the folder that holds it with --data DIR"
        )

    def has(self, split: str, language: str, folder: Path | None) -> bool:
        """Say whether a split in a language is there with its answers."""
        return once(self, ("has", split, language, folder), lambda: self._held(split, language, folder))

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
        return tuple(replace(task(name), trained_in=self.trained_in) for name in self.joined) or (self,)

    def heaps(self) -> tuple[tuple[Task, str], ...]:
        """Return the tasks and languages whose training data are this one's."""
        return tuple((part, code) for part in self.parts() for code in self.trained_in)

    def source_of(self, data: Data) -> Source:
        """Return the source that `data` was found in."""
        return next(source for source in self.every_source() if source.meaning() == data.meaning)

    def teachers(self) -> tuple[Task, ...]:
        """Return the tasks trained one after the other before this one is predicted."""
        if self.learned_from is None:
            return ()
        return (self,) if self.learned_from == "itself" else tuple(task(n) for n in self.learned_from.split("+"))

    def _data(self, split: str, language: str, source: Source, files: tuple[File, ...]) -> Data:
        part = source.part.get(split, (0, None))
        return Data(self.name, self.kind, split, language, self.labels, source.meaning(), files, part)


@cache
def task(name: str) -> Task:
    """Return the task that `tasks/<name>.py` defines; BadInput with the nearest name where there is none.

    "panx:sw" is the same task with other languages to be trained in, "panx:sw+ar" with several under one head.
    """
    name, _, codes = name.partition(":")
    if codes:
        return replace(task(name), trained_in=tuple(language(code).code for code in codes.split("+")))
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise BadInput(f"unknown task '{name}'{hint} (`xstilts tasks` lists them)")
    found = import_module(f"xstilts.tasks.{name}").task
    assert isinstance(found, Task)
    assert found.name == name
    return found


def spoken(name: str, codes: str) -> Task:
    """Return a task in some of its languages, "en sw"; BadInput for one that it has not."""
    known, asked = task(name), tuple(codes.split())
    for code in asked:
        if code not in known.languages:
            raise BadInput(f"'{name}' has no language '{code}': there are {', '.join(known.languages)}")
    return replace(known, languages=asked)


@cache
def names() -> tuple[str, ...]:
    """Return the names of all tasks: the modules of `tasks/`."""
    from xstilts import tasks

    return tuple(sorted(module.name for module in pkgutil.iter_modules(tasks.__path__)))


Survey = dict[tuple[Hashable, ...], tuple[object, Any]]


@contextmanager
def surveyed() -> Iterator[None]:
    """While this lasts, each question of `once` is answered once, as when thousands of runs are planned."""
    global _surveyed
    before = _surveyed
    _surveyed = {} if before is None else before
    try:
        yield
    finally:
        _surveyed = before


def once(about: object, asked: tuple[Hashable, ...], look: Callable[[], T]) -> T:
    """Return what `look` finds; while a survey lasts, what it found the first time for this very object."""
    if _surveyed is None:
        return look()
    question = (id(about), *asked)
    if question not in _surveyed:
        _surveyed[question] = about, look()  # the object is kept, so that no other can get its id
    found: T = _surveyed[question][1]
    return found


def _matching(folder: Path, pattern: str) -> list[Path]:
    return once(folder, (pattern,), lambda: matching(folder, pattern))


_surveyed: Survey | None = None


@cache
def _normalised(function: Convert) -> str:
    """Return a function's source without comments and layout, so that only its meaning is part of a key."""
    return ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(function))))
