"""Splits: where runs take their dataset splits from, a data folder or names alone.

A run needs to know which splits of a task exist and the stages that read them. `DataFolder` looks them up below a data
folder, which decides the keys of the stages by the content of the files. `NamedSplits` needs no files: a split is its
task, name and language. The stages of a run over named splits cannot be built, but they are equal exactly where the
stages of the real runs would be, so that a forecast counts them.

>>> from xstilts.tasks.base import task
>>> splits = NamedSplits()
>>> splits.read(task("xnli"), "test", "sw") == splits.read(task("xnli"), "test", "sw")
True
>>> splits.has(task("xnli"), "validation", "sw"), splits.has(task("squad"), "test", "en")
(True, True)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from xstilts.data.dataset import DatasetSplit
from xstilts.data.dataset import read as read_stage
from xstilts.store.memo import memoised
from xstilts.store.stage import Stage
from xstilts.tasks.base import Task, task


class Splits(Protocol):
    """Dataset splits that runs read."""

    def __hash__(self) -> int:
        """Return a hash, as what is planned from splits is remembered by them."""
        ...

    def has(self, task: Task, split: str, language: str) -> bool:
        """Return whether a split exists in a language, with its answers.

        Args:
            task: The task.
            split: "train", "validation" or "test".
            language: The code of the language.

        Returns:
            Whether it exists.
        """
        ...

    def withheld(self, task: Task, split: str, language: str) -> bool:
        """Return whether a split exists in a language without its answers, as the test set of a leaderboard.

        Args:
            task: The task.
            split: "train", "validation" or "test".
            language: The code of the language.

        Returns:
            Whether there are inputs without answers, and none with answers.
        """
        ...

    def read(self, task: Task, split: str, language: str) -> Stage:
        """Return the stage that reads a split in a language.

        Args:
            task: The task.
            split: "train", "validation" or "test".
            language: The code of the language.

        Returns:
            The stage, which has not been built.

        Raises:
            InputError: The split does not exist; the message names every place looked at.
        """
        ...


@dataclass(frozen=True)
class DataFolder:
    """The splits below a data folder; without one, those that need no files (the sandbox's).

    Attributes:
        path: The data folder, or None.
    """

    path: Path | None = None

    def has(self, task: Task, split: str, language: str) -> bool:
        """Return whether a split exists in a language, with its answers.

        Args:
            task: The task.
            split: "train", "validation" or "test".
            language: The code of the language.

        Returns:
            Whether its files are below the data folder, or are made by a generator.
        """
        return task.has(split, language, self.path)

    def withheld(self, task: Task, split: str, language: str) -> bool:
        """Return whether a split exists in a language without its answers.

        Args:
            task: The task.
            split: "train", "validation" or "test".
            language: The code of the language.

        Returns:
            Whether there are inputs without answers, and none with answers.
        """
        folder = self.path
        if folder is None or self.has(task, split, language):
            return False
        return any(source.find(split, language, folder) for source in task.sources)

    def read(self, task: Task, split: str, language: str) -> Stage:
        """Return the stage that reads a split in a language.

        Args:
            task: The task.
            split: "train", "validation" or "test".
            language: The code of the language.

        Returns:
            The stage, which has not been built.

        Raises:
            InputError: The split does not exist; the message names every place looked at.
        """
        identity = ("read", split, language, self.path)
        return memoised(task, identity, lambda: read(task.data(split, language, self.path)))


class NamedSplits:
    """Splits by name, for forecasts: every task has a test split, the others only where its sources define them."""

    def __init__(self) -> None:
        self._tasks: dict[Stage, Task] = {}

    def has(self, task: Task, split: str, language: str) -> bool:
        """Return whether a task has a split; files are not looked at.

        Args:
            task: The task.
            split: "train", "validation" or "test".
            language: The code of the language.

        Returns:
            True for test data; for others, whether the task names files or a generator for them.
        """
        return split == "test" or any(
            source.generator.has(split, language, source.options)
            if source.generator
            else bool(source.patterns(split, language))
            for source in task.sources
        )

    def withheld(self, task: Task, split: str, language: str) -> bool:
        """Return False: named splits have their answers.

        Args:
            task: Ignored.
            split: Ignored.
            language: Ignored.

        Returns:
            False.
        """
        return False

    def read(self, task: Task, split: str, language: str) -> Stage:
        """Return a stage that stands for the reading of a split and cannot be built.

        Args:
            task: The task.
            split: "train", "validation" or "test".
            language: The code of the language.

        Returns:
            The stage; it only serves to count stages and costs.
        """
        stage = read(DatasetSplit(task.name, task.format, split, language, task.labels, (), ()))
        self._tasks.setdefault(stage, task)
        return stage

    def task_of(self, stage: Stage) -> Task:
        """Return the task whose split a stage reads.

        Args:
            stage: A stage that reads data.

        Returns:
            The task that `read` was called with; of a stage made elsewhere, the registered task of that name.
        """
        return self._tasks.get(stage) or task(stage.arguments["data"].task)


@lru_cache(maxsize=65536)
def read(data: DatasetSplit) -> Stage:
    """Return the stage that reads a split; runs that read the same split share one object.

    Args:
        data: The split.

    Returns:
        The stage, which has not been built.
    """
    return read_stage(data)


def splits_of(data: Splits | Path | None) -> Splits:
    """Return the splits below a data folder.

    Args:
        data: A data folder, None for none, or splits.

    Returns:
        The splits; splits are returned as they are.
    """
    return DataFolder(data) if data is None or isinstance(data, Path) else data
