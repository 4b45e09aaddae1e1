"""Download: a task's files from the Hugging Face hub, of one commit, into the local data folder.

A source whose patterns begin with `hub/<owner>/<name>/` can be downloaded: the rest of a pattern is a path in that
data set's repository. Only matching files are downloaded, never code. Where a repository has none, as those that are
made by a script, the hub's own Parquet copy of it is used.

>>> from xstilts.tasks.base import task
>>> [source.reader for source in sources(task("xquad"), "test", "sw")]
['parquet']
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from xstilts.data.hub_snapshot import Repository, downloading
from xstilts.data.source import Source
from xstilts.errors import InputError
from xstilts.runtime import progress
from xstilts.tasks.base import Task

SPLITS = ("train", "validation", "test")


class Absent(InputError):
    """The hub can be reached, and has none of the files of a task."""


def download(
    task: Task, folder: Path, splits: Sequence[str] | None = None, languages: Sequence[str] | None = None
) -> list[Path]:
    """Download the files of a task that are missing below a data folder.

    Args:
        task: The task.
        folder: The data folder.
        splits: Splits to download; None: all of the task.
        languages: Languages to download; None: those in which the task uses a split.

    Returns:
        The files, old and new. Splits that the hub does not have are noted.

    Raises:
        InputError: No source of the task is on the hub, the hub has none of the files, refuses the request or cannot be
            reached, or the folder has another commit.
    """
    pairs = [pair for split in splits or splits_of(task) for pair in _pairs(task, split, languages)]
    asked = {pair: sources(task, *pair) for pair in pairs if sources(task, *pair)}
    if not asked:
        looked = dict.fromkeys(path for source in task.sources for pair in pairs for path in source.patterns(*pair))
        lacking = "; ".join(dict.fromkeys(filter(None, (task.not_on_hub(*pair) for pair in pairs))))
        where = f"put its files below {folder}: {', '.join(looked)}"
        missing = f" ({lacking})" if lacking else ""
        raise InputError(f"task '{task.name}' has no form on the hub for that{missing}; {where}")
    with downloading(folder):
        opened: dict[tuple[str, str], Repository] = {}
        found = {pair: _first(offered, pair, folder, opened) for pair, offered in asked.items()}
        for repository in opened.values():
            shutil.rmtree(repository.part, ignore_errors=True)
    _note_missing(task, found)
    return list(dict.fromkeys(path for paths in found.values() for path in paths))


def sources(task: Task, split: str, language: str) -> tuple[Source, ...]:
    """Return the sources of a task that can be downloaded, for a split in a language."""
    return tuple(source for source in task.sources_in(language) if _is_hub(source.patterns(split, language)))


def splits_of(task: Task) -> tuple[str, ...]:
    """Return the splits of a task's files, training first."""
    found = dict.fromkeys(split for source in task.sources for split in source.files)
    return tuple(sorted(found, key=lambda split: SPLITS.index(split) if split in SPLITS else len(SPLITS)))


def languages_of(task: Task) -> tuple[str, ...]:
    """Return the languages of a task, and last the one on which its layer may be chosen."""
    chosen_on = (task.dev_language,) if task.dev_language else ()
    return tuple(dict.fromkeys((*task.languages, *chosen_on)))


def used_languages(task: Task, split: str) -> tuple[str, ...]:
    """Return the languages in which a task uses a split: those it is trained in for training, else all."""
    every = split != "train" or task.format == "masked_lm"
    return tuple(code for code in languages_of(task) if every or code in task.trained_in)


def _pairs(task: Task, split: str, languages: Sequence[str] | None) -> Iterator[tuple[str, str]]:
    yield from ((split, code) for code in languages or used_languages(task, split))


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


def _note_missing(task: Task, found: dict[tuple[str, str], list[Path]]) -> None:
    """Send a note of the splits that the hub does not have; Absent where it has none."""
    missing = [f"{split} in {code}" for (split, code), paths in found.items() if not paths]
    if len(missing) == len(found):
        looked = {path for pair in found for source in sources(task, *pair) for path in source.patterns(*pair)}
        raise Absent(f"the hub has nothing of task '{task.name}': looked for {', '.join(sorted(looked))}")
    if missing:
        progress.note(f"{task.name}: the hub has no {', '.join(missing)}")
