"""Build: the results of stages, each in a folder of the store that appears complete or not at all.

A stage is built in `<folder>.part` under a lock, and the folder is renamed when its manifest is written. So a process
that is killed leaves nothing that looks finished, and two processes that need one stage build it once.
"""

from __future__ import annotations

import errno
import hashlib
import inspect
import os
import shutil
import time
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from xstilts.runtime import progress
from xstilts.runtime.machine import Runtime
from xstilts.store import manifest
from xstilts.store.stage import BuildContext, Stage, StageError, StageFunction, folder_of


def is_built(stage: Stage, machine: Runtime) -> bool:
    """Return whether a stage's result is in the store.

    Args:
        stage: The stage.
        machine: Names the store.

    Returns:
        Whether its folder has a manifest and every file that this names.
    """
    return manifest.is_whole(folder_of(stage, machine))


def build(stage: Stage, machine: Runtime) -> Path:
    """Build a stage and its inputs, as far as they are not in the store.

    Many processes may call this on one store: one builds, the others wait.

    Args:
        stage: The stage.
        machine: Where and how to build it.

    Returns:
        The folder of the result.

    Raises:
        StageError: The disk is full. What the stage's function raises passes through; finished stages stay.
    """
    folder = folder_of(stage, machine)
    if is_built(stage, machine):
        return folder
    for input_stage in stage.inputs:
        build(input_stage, machine)
    with _lock(folder):
        if not is_built(stage, machine):
            # Asked again under the lock: another process may have finished the stage while this one waited.
            _make(stage, folder, machine)
    return folder


def missing(stages: tuple[Stage, ...], machine: Runtime) -> list[Stage]:
    """Return the stages that have to be built for others.

    Args:
        stages: What is to be built.
        machine: Names the store.

    Returns:
        These stages and their transitive inputs, without finished ones; inputs first, each once.
    """
    visited: set[str] = set()
    order: list[Stage] = []
    in_store = _keys(machine.store)

    def visit(stage: Stage) -> None:
        if stage.key in visited:
            return
        visited.add(stage.key)
        # The inputs of a finished stage are not visited: they may have been deleted.
        if stage.key in in_store and is_built(stage, machine):
            return
        for input_stage in stage.inputs:
            visit(input_stage)
        order.append(stage)

    for item in stages:
        visit(item)
    return order


def _keys(store: Path) -> set[str]:
    """Return the keys in the names of a store's folders: one listing instead of a look-up for each stage."""
    with suppress(OSError):
        return {name.rpartition("-")[2] for name in os.listdir(store)}
    return set()


def _make(stage: Stage, folder: Path, machine: Runtime) -> None:
    part = folder.with_name(folder.name + ".part")
    # What a killed call left: a stage that cannot continue it starts clean.
    if part.exists() and not stage.work.resumes:
        shutil.rmtree(part)
    try:
        part.mkdir(parents=True, exist_ok=True)
        context = BuildContext(part, machine)
        started = time.time()
        stage.work.function(context, **stage.arguments)
        manifest.write(part, _facts(stage, context, started))
        if folder.exists():
            _put_aside(folder)
        # The rename is last, when every file is on the disk: a folder without ".part" is never half a result.
        part.rename(folder)
        manifest.sync(folder.parent)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise StageError(
            f"no space left in {machine.store} while building {folder.name}: "
            "free some and run again, what is finished stays"
        ) from error


def _facts(stage: Stage, context: BuildContext, started: float) -> dict[str, Any]:
    return {
        "label": stage.label,
        "key": stage.key,
        "work": stage.work.name,
        "version": stage.work.version,
        "source": source_digest(stage.work),
        "arguments": stage.canonical_arguments,
        "inputs": {input_stage.key: input_stage.label for input_stage in stage.inputs},
        "machine": {"device": context.machine.device, "threads": context.machine.threads},
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started, 3),
        "record": context.record,
    }


def source_digest(work: StageFunction) -> str:
    """Return a digest of the source of a stage function's module, which shows a change without a new version."""
    source = inspect.getsource(inspect.getmodule(work.function) or work.function)
    return hashlib.sha256(source.encode()).hexdigest()[:12]


def _put_aside(folder: Path) -> None:
    """Rename a damaged result: it is no longer taken for finished, and nothing of it is deleted."""
    number = next(n for n in range(1, 10**6) if not folder.with_name(f"{folder.name}.damaged{n}").exists())
    progress.note(f"{folder.name} was damaged: it is kept as {folder.name}.damaged{number} and built again")
    folder.rename(folder.with_name(f"{folder.name}.damaged{number}"))


def _lock(folder: Path) -> AbstractContextManager[object]:
    """Return the held lock of a stage; the operating system releases it when the process ends."""
    locks = folder.parent / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    lock = FileLock(locks / f"{folder.name.rsplit('-', 1)[-1]}.lock")
    try:
        # First without waiting, only to tell the user why the second call waits.
        return lock.acquire(timeout=0)
    except Timeout:
        progress.note(f"another process is building {folder.name}: waiting for it")
        return lock.acquire()
