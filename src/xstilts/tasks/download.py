"""Hub: a task's files from the Hugging Face hub, of one commit, into the local data folder.

A source whose patterns begin with `hub/<owner>/<name>/` can be downloaded: the rest of a pattern is a path in that
data set's repository. Only files that match are downloaded, never code. Where a repository has none, as for those that
are made by a script, the hub's own Parquet copy of it is looked into.

>>> from xstilts.tasks.base import task
>>> [source.reader for source in sources(task("xquad"), "test", "sw")]
['parquet']
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from filelock import FileLock

from xstilts.data.hub_snapshot import Repository
from xstilts.data.source import Source
from xstilts.errors import InputError
from xstilts.runtime import progress
from xstilts.tasks.base import Task

SPLITS = ("train", "validation", "test")


class Absent(InputError):
    """The hub can be asked, and has nothing of what a task looks for."""


def download(
    task: Task, folder: Path, splits: Sequence[str] | None = None, languages: Sequence[str] | None = None
) -> list[Path]:
    """Get the files of a task below a data folder from the hub, those that are missing there; return all of them.

    Splits and languages: those the task uses, unless given. What the hub does not have is noted. Raises InputError
    where
    no source has a hub form, the hub has nothing of it, refuses or cannot be reached, or a folder holds another commit.
    """
    pairs = [pair for split in splits or splits_of(task) for pair in _pairs(task, split, languages)]
    asked = {pair: sources(task, *pair) for pair in pairs if sources(task, *pair)}
    if not asked:
        looked = dict.fromkeys(path for source in task.sources for pair in pairs for path in source.patterns(*pair))
        where = f"put its files below {folder}: {', '.join(looked)}"
        raise InputError(f"task '{task.name}' has no form on the hub for that; {where}")
    (folder / "hub" / ".part").mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "hub" / ".part" / "lock"):
        opened: dict[tuple[str, str], Repository] = {}
        found = {pair: _first(offered, pair, folder, opened) for pair, offered in asked.items()}
        for repository in opened.values():
            shutil.rmtree(repository.part, ignore_errors=True)
    _tell_missing(task, found)
    return list(dict.fromkeys(path for paths in found.values() for path in paths))


def sources(task: Task, split: str, language: str) -> tuple[Source, ...]:
    """Return the sources of a task that can be downloaded for a split in a language."""
    return tuple(source for source in task.sources_in(language) if _is_hub(source.patterns(split, language)))


def splits_of(task: Task) -> tuple[str, ...]:
    """Return the splits that files of a task are named for, training first."""
    found = dict.fromkeys(split for source in task.sources for split in source.files)
    return tuple(sorted(found, key=lambda split: SPLITS.index(split) if split in SPLITS else len(SPLITS)))


def spoken(task: Task) -> tuple[str, ...]:
    """Return the languages of a task, and last the one on which a layer may be chosen."""
    chosen_on = (task.dev_language,) if task.dev_language else ()
    return tuple(dict.fromkeys((*task.languages, *chosen_on)))


def used(task: Task, split: str) -> tuple[str, ...]:
    """Return the languages in which a task uses a split: to train on those it is trained in, else all of them."""
    every = split != "train" or task.format == "masked_lm"
    return tuple(code for code in spoken(task) if every or code in task.trained_in)


def _pairs(task: Task, split: str, languages: Sequence[str] | None) -> Iterator[tuple[str, str]]:
    yield from ((split, code) for code in languages or used(task, split))


def _is_hub(patterns: tuple[str, ...]) -> bool:
    return bool(patterns) and all(pattern.startswith("hub/") and pattern.count("/") > 2 for pattern in patterns)


def _first(
    offered: Iterable[Source], pair: tuple[str, str], folder: Path, opened: dict[tuple[str, str], Repository]
) -> list[Path]:
    """Download from the first source that has a file for each of its patterns; nothing where none has."""
    for source in offered:
        places = [_opened(pattern, source.revision, folder, opened) for pattern in source.patterns(*pair)]
        if all(repository.matching(pattern) for repository, pattern in places):
            return [path for repository, pattern in places for path in repository.get(pattern)]
    return []


def _opened(
    pattern: str, revision: str, folder: Path, opened: dict[tuple[str, str], Repository]
) -> tuple[Repository, str]:
    """Return the repository that a pattern begins with, and the rest of the pattern."""
    _, owner, name, path = pattern.split("/", 3)
    id = f"{owner}/{name}"
    return opened.setdefault((id, revision), Repository(id, revision, folder)), path


def _tell_missing(task: Task, found: dict[tuple[str, str], list[Path]]) -> None:
    """Note what the hub does not have; raise Absent where it has nothing."""
    missing = [f"{split} in {code}" for (split, code), paths in found.items() if not paths]
    if len(missing) == len(found):
        looked = {path for pair in found for source in sources(task, *pair) for path in source.patterns(*pair)}
        raise Absent(f"the hub has nothing of task '{task.name}': looked for {', '.join(sorted(looked))}")
    if missing:
        progress.note(f"{task.name}: the hub has no {', '.join(missing)}")
