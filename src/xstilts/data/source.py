"""Source: one form in which the examples of a task are available, and where its files lie below the data folder.

A task has several, which are tried in order: the original files, the folder that XTREME's script makes, the files of
the Hugging Face hub.

>>> Source("jsonl", {"test": "reviews/test-{language}.jsonl"}).patterns("test", "sw")
('reviews/test-sw.jsonl',)
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from xstilts.data.examples import Example
from xstilts.data.readers import Row, matching
from xstilts.errors import InputError
from xstilts.store.memo import memoised

Convert = Callable[[Row], Mapping[str, Any]]
Options = Mapping[str, str | int | tuple[str, ...]]


class Generator(Protocol):
    """Makes the examples of a source that has no files."""

    def has(self, split: str, language: str, options: Options) -> bool:
        """Return whether there is a split in a language."""

    def examples(self, task: str, split: str, language: str, options: Options) -> Iterator[Example]:
        """Yield the examples of a split in a language; the task's name seeds them."""

    def digest(self) -> str:
        """Return a SHA-256 of everything that decides the examples."""


@dataclass(frozen=True)
class Source:
    """One form in which a task's examples are available.

    Attributes:
        reader: The file format, a key of `readers.FORMATS`.
        files: File patterns by split, relative to the data folder or absolute. `{language}` stands for the language,
            spelled as `names` says (the code by default), and `*` for several files, read in sorted order.
        columns: From a field of the example to the column of the rows that holds it, where their names differ. A
            tuple of columns gives a field with several values, such as the choices of a multiple-choice question.
        options: Arguments of the reader. Options of every source: `ids` ("position": rows are numbered, whatever
            their `id`), `language_column` (the column that holds a row's language), `where` (a column and the value
            that rows of the split have in it, for files of all splits), `fields` ("named": rows have the fields in
            `columns` alone, whatever other columns there are, and those in `empty` as empty texts), and `held_out`
            with `held_out_percent` (the splits that are cut out of the training files, see `held_out`).
        names: From the code of a language to its spelling in file names.
        convert: A function from a row to the example's fields, where `columns` does not suffice. Its code is part of
            the identity of the data; it must stand at the top level of a module.
        label_names: From a label as the rows have it to a label of the task.
        dropped: Raw labels of rows without a gold label, which are left out and counted.
        part: Start and stop over the rows of a split, for data sets cut out of another one.
        withheld: The files have no answers, as the test sets of leaderboards: they cannot be scored. A test set in
            which every answer is blank counts as withheld without it (`dataset.answered`).
        revision: For files below `hub/`, the commit or branch that `tasks.download` takes them from. Data are
            identified by content, so the revision is no part of their identity.
        generator: Makes the examples where there are no files, as for the sandbox's artificial languages.
        languages: The languages that the files have, where these are not those of the task.
        lacks: Languages in which some splits are missing, by split.
        label_form: "names" or "numbers", where the published files have the one or the other: names are due then, and
            a number is refused, or names are noted. "": both are read, and numbers noted. No part of the identity.
        layouts: Other places of the same files, each by split as in `files`, tried in order where `files` finds none.
            No part of the identity.
        by_name: Several files of a pattern are read in the order of their names, whatever their folders, as XTREME
            joins the treebanks of a language. No part of the identity, which has the files in their order.
    """

    reader: str
    files: Mapping[str, str | tuple[str, ...]]
    columns: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    options: Mapping[str, str | int | tuple[str, ...]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    convert: Convert | None = None
    label_names: Mapping[str, str] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    part: Mapping[str, tuple[int, int | None]] = field(default_factory=dict)
    withheld: bool = False
    revision: str = "main"
    generator: Generator | None = None
    languages: tuple[str, ...] = ()
    label_form: str = ""
    layouts: tuple[Mapping[str, str | tuple[str, ...]], ...] = ()
    lacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    by_name: bool = False

    def patterns(self, split: str, language: str) -> tuple[str, ...]:
        """Return the file patterns of a split in a language; empty where this source has none."""
        return self._patterns(self.files, split, language)

    def places(self, split: str, language: str) -> tuple[str, ...]:
        """Return the file patterns of a split in a language in every layout, for messages."""
        layouts = (self.files, *self.layouts)
        return tuple(pattern for files in layouts for pattern in self._patterns(files, split, language))

    def templates(self, split: str) -> tuple[str, ...]:
        """Return the file patterns of a split in every layout, with `{language}` in them."""
        found = (files.get(split, ()) for files in (self.files, *self.layouts))
        return tuple(pattern for group in found for pattern in ((group,) if isinstance(group, str) else group))

    def _patterns(self, files: Mapping[str, str | tuple[str, ...]], split: str, language: str) -> tuple[str, ...]:
        if (self.languages and language not in self.languages) or language in self.lacks.get(split, ()):
            return ()
        patterns = files.get(split, ())
        patterns = (patterns,) if isinstance(patterns, str) else patterns
        return tuple(pattern.replace("{language}", self.names.get(language, language)) for pattern in patterns)

    @property
    def held_out(self) -> tuple[str, ...]:
        """The splits that are cut out of the training files."""
        splits = self.options.get("held_out", ())
        return splits if isinstance(splits, tuple) else ()

    @property
    def named(self) -> bool:
        """Whether the names of the files in `files` have their language."""
        groups = ((one,) if isinstance(one, str) else one for one in self.files.values())
        return any("{language}" in pattern for group in groups for pattern in group)

    @property
    def repository(self) -> str:
        """The hub's data set that its files belong to, "owner/name"; "" for other files."""
        groups = [(one,) if isinstance(one, str) else one for one in self.files.values()]
        parts = groups[0][0].split("/") if groups and groups[0] else []
        return "/".join(parts[1:3]) if parts[:1] == ["hub"] and len(parts) > 3 else ""

    @property
    def absolute(self) -> bool:
        """Whether its files are found without a data folder."""
        groups = ((one,) if isinstance(one, str) else one for one in self.files.values())
        return bool(self.files) and all(Path(pattern).is_absolute() for group in groups for pattern in group)

    def find(self, split: str, language: str, folder: Path | None) -> tuple[Path, ...]:
        """Return the files of a split in a language.

        Args:
            split: "train", "validation" or "test".
            language: Code of the language.
            folder: The data folder; None where there is none, then only absolute patterns are looked up.

        Returns:
            The existing files, in the order of the patterns; empty unless every pattern has one.
        """
        if folder is None and not self.absolute:
            return ()
        for files in (self.files, *self.layouts):
            groups = [_matching(folder or Path(), pattern) for pattern in self._patterns(files, split, language)]
            if self.by_name:
                groups = [sorted(paths, key=lambda path: path.name) for paths in groups]
            if groups and all(groups):
                return tuple(path for paths in groups for path in paths)
        return ()

    def holds(self, split: str, language: str, folder: Path | None) -> bool:
        """Return whether this source has a split in a language, with its answers unless the files leave them blank."""
        if self.generator is not None:
            return self.generator.has(split, language, self.options)
        return not self.withheld and bool(self.find(split, language, folder))

    def meaning(self) -> tuple[tuple[str, str], ...]:
        """Return what decides the examples beside the bytes of the files; it is part of the identity of the data."""
        code = "" if self.convert is None else _normalised(self.convert)
        parts = {
            "columns": sorted(self.columns.items()),
            "options": sorted(self.options.items()),
            "label_names": sorted(self.label_names.items()),
            "dropped": self.dropped,
        }
        described = [("reader", self.reader), *((name, repr(value)) for name, value in parts.items() if value)]
        return (*described, ("convert", hashlib.sha256(code.encode()).hexdigest()[:12])) if code else tuple(described)


def _matching(folder: Path, pattern: str) -> list[Path]:
    path = Path(pattern)
    if path.is_absolute():
        if path.is_file():  # a file whose name has glob characters
            return [path]
        return matching(Path(path.anchor), pattern.removeprefix(path.anchor))
    return memoised(folder, (pattern,), lambda: matching(folder, pattern))


@cache
def _normalised(function: Convert) -> str:
    """Return a function's source without comments and layout, so that only its meaning is part of a key."""
    try:
        return ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(function))))
    except (OSError, SyntaxError, TypeError) as error:
        raise InputError(
            f"the source of the convert function {getattr(function, '__qualname__', function)!r} cannot be read "
            f"({error}): define it with `def` at the top level of a module"
        ) from None
