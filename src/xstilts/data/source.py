"""Source: one form in which the examples of a task can be had, and where its files lie below the data folder.

A task names several, tried in order: the original files, the folder that XTREME's script makes, files of the hub.
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
from xstilts.store.memo import memoised

Convert = Callable[[Row], Mapping[str, Any]]
Options = Mapping[str, str | int | tuple[str, ...]]


class Generator(Protocol):
    """What makes the examples of a source that has no files."""

    def has(self, split: str, language: str, options: Options) -> bool:
        """Say whether there is a split in a language."""

    def examples(self, task: str, split: str, language: str, options: Options) -> Iterator[Example]:
        """Yield the examples of a split in a language; the task's name seeds them."""

    def digest(self) -> str:
        """Return a SHA-256 of all that decides what is made."""


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
    generator: makes the examples where there are no files, as for artificial languages.
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
    generator: Generator | None = None

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
        if self.generator is not None:
            return self.generator.has(split, language, self.options)
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


def _matching(folder: Path, pattern: str) -> list[Path]:
    return memoised(folder, (pattern,), lambda: matching(folder, pattern))


@cache
def _normalised(function: Convert) -> str:
    """Return a function's source without comments and layout, so that only its meaning is part of a key."""
    return ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(function))))
