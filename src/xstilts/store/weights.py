"""Weights: large files of models are dropped when nothing needs them any more, and the record of the stage stays.

A model takes gigabytes; its manifest, losses and scores take kilobytes, and these are what tables and reports read. A
stage whose weights were dropped counts as finished, and is built again where a stage to be built needs its files.

Nothing is dropped that another process reads: who builds a stage holds a shared lock on each of its inputs, and who
drops files an exclusive one. A process that is killed in between leaves files that the manifest calls dropped, which
are used as long as they are all there.

    with reading([training], machine):
        ...  # its files stay
    drop(folder_of(training, machine))  # the bytes that are free now
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from xstilts.runtime import process_lock
from xstilts.runtime.machine import KEEP_ALL, KEEP_INTERMEDIATE, Runtime
from xstilts.store import build_log, leases, manifest, names, pins
from xstilts.store.leases import LOCKS
from xstilts.store.stage import Stage, folder_of, with_inputs


@contextmanager
def reading(stages: Iterable[Stage], machine: Runtime) -> Iterator[None]:
    """Within this context nobody drops files of some stages, or deletes them.

    Args:
        stages: The stages.
        machine: Names the store.
    """
    items = tuple(stages)
    with ExitStack() as held:
        for stage in items:
            if sys.platform != "win32":  # where every lock is exclusive
                file = held.enter_context(_readers(folder_of(stage, machine)).open("a"))
                with suppress(OSError):  # a file system without locks, where nothing is dropped either
                    process_lock.acquire(file, shared=True, wait=True)
        # The locks of another host may not be seen here, so who holds an input there is waited for.
        for key in set(leases.away(machine.store, {stage.key for stage in items})):
            with leases.held(next(folder_of(stage, machine) for stage in items if stage.key == key)):
                pass
        yield


@contextmanager
def unused(folder: Path) -> Iterator[bool]:
    """Within this context nobody reads or builds a stage, if that can be had at once.

    Args:
        folder: The folder of the stage.

    Yields:
        Whether it is so: False where another process is at it, and where the system has no shared locks.
    """
    with ExitStack() as held:
        try:
            if sys.platform == "win32":
                raise OSError
            lease = held.enter_context(leases.held_at_once(folder))
            process_lock.acquire(held.enter_context(_readers(folder).open("a")))
            is_unused = lease is not None and not leases.read_elsewhere(folder)
        except OSError:
            is_unused = False
        yield is_unused


def drop(folder: Path) -> int:
    """Delete the weights of a finished stage; its manifest says which, with sizes and digests.

    Args:
        folder: The folder of the stage.

    Returns:
        How many bytes are free now; 0 where there were none, or another process reads or builds the stage.
    """
    if not (folder / manifest.RECORD).is_file():
        return 0
    with unused(folder) as is_unused:
        if not is_unused:
            return 0
        record = manifest.sound(folder)
        files = manifest.weights(record) if record else {}
        there = {name: size for name, size in files.items() if (folder / name).is_file()}
        if record is None or not there or manifest.absent(folder, record) - files.keys():
            return 0  # of a damaged stage nothing is deleted
        # First said, then done: whenever the process is killed, what is gone is known to have been dropped.
        if set(manifest.dropped(record)) != files.keys():
            manifest.mark_dropped(folder, files)
        for name in there:
            (folder / name).unlink(missing_ok=True)
        return sum(there.values())


def droppable(stages: Sequence[Stage], keep: str) -> list[Stage]:
    """Return the models whose weights `--keep` drops, once what is made from them is finished.

    Args:
        stages: All stages of a study, with their inputs.
        keep: "all", "intermediate" (models that another model is made from keep their weights) or "none".

    Returns:
        The stages.
    """
    if keep == KEEP_ALL:
        return []
    models = [stage for stage in stages if stage.work.name in names.MODELS]
    begun_from = {part.key for model in models for part in model.inputs} if keep == KEEP_INTERMEDIATE else set()
    return [stage for stage in models if stage.key not in begun_from]


@dataclass
class Dropping:
    """Drops the weights of models while a study is built, each as soon as all that is made from it is finished.

    What is pinned, and what it was made from, is kept.

    Attributes:
        stages: All stages of the study, with their inputs.
        machine: Names the store and what is kept.
        finished: Tells whether a stage is finished.
        freed: How many bytes were freed.
    """

    stages: Sequence[Stage]
    machine: Runtime
    finished: Callable[[Stage, Runtime], bool]
    freed: int = 0
    _models: dict[str, Stage] = field(init=False)
    _left: dict[str, dict[str, Stage]] = field(init=False)  # what is to be built from a model, by the model's key

    def __post_init__(self) -> None:
        models = droppable(self.stages, self.machine.keep)
        pinned = pins.read(self.machine.store) if models else set()
        kept = {stage.key for stage in with_inputs(stage for stage in self.stages if stage.key in pinned)}
        self._models = {stage.key: stage for stage in models if stage.key not in kept}
        self._left = {key: {} for key in self._models}
        for stage in self.stages if self._models else ():
            for part in stage.inputs:
                if part.key in self._left:
                    self._left[part.key][stage.key] = stage

    def sweep(self) -> None:
        """Drop what no stage to be built needs."""
        for model in self._models.values():
            self._look(model)

    def after(self, stage: Stage) -> None:
        """Drop what was needed for a stage alone that is finished now, and its own weights if nothing needs them.

        Args:
            stage: The stage.
        """
        for item in (*stage.inputs, stage):
            if item.key in self._models:
                self._look(item)

    def is_over(self, stage: Stage) -> bool:
        """Return whether a model is finished, and all that is made from it too, perhaps by another process.

        Args:
            stage: A stage that was to be built when the study was begun.
        """
        return stage.key in self._models and not self._unfinished(stage) and self.finished(stage, self.machine)

    def _look(self, model: Stage) -> None:
        if self._unfinished(model) or not self.finished(model, self.machine):
            return
        if not needed_elsewhere(model, self.machine):
            self.freed += drop(folder_of(model, self.machine))

    def _unfinished(self, model: Stage) -> dict[str, Stage]:
        left = self._left.get(model.key, {})
        for key in [key for key, item in left.items() if self.finished(item, self.machine)]:
            del left[key]
        return left


def needed_elsewhere(model: Stage, machine: Runtime) -> bool:
    """Return whether another running build has still to build something from a model.

    Args:
        model: The model.
        machine: Names the store.
    """
    return any(
        model.key in inputs and not manifest.is_whole(machine.store / f"{build.stages[key][0]}-{key}")
        for build in build_log.read(machine.store)
        if build.alive and not build.own
        for key, inputs in build.inputs.items()
    )


def _key(folder: Path) -> str:
    return folder.name.rpartition("-")[2]


def _locks(folder: Path) -> Path:
    locks = folder.parent / LOCKS
    locks.mkdir(parents=True, exist_ok=True)
    return locks


def _readers(folder: Path) -> Path:
    return _locks(folder) / f"{_key(folder)}.readers"
