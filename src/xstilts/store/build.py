"""TODO store.build."""

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
    """Say whether a stage's result is there and whole."""
    return manifest.is_whole(folder_of(stage, machine))


def build(stage: Stage, machine: Runtime) -> Path:
    """Build a stage and what it needs, unless it is there; return its folder.

    Safe for many processes on one store: one builds, the others wait. Raises StageError when the disk is full or when
    an input is gone; whatever the work itself raises passes through, and what was finished before stays.
    """
    folder = folder_of(stage, machine)
    if is_built(stage, machine):
        return folder
    for needed in stage.inputs:
        build(needed, machine)
    with _lock(folder):
        if not is_built(stage, machine):
            _make(stage, folder, machine)
    return folder


def missing(stages: tuple[Stage, ...], machine: Runtime) -> list[Stage]:
    """Return what has to be built for `stages`, inputs before what needs them, each once."""
    seen: set[str] = set()
    order: list[Stage] = []
    there = _keys(machine.store)

    def visit(stage: Stage) -> None:
        if stage.key in seen:
            return
        seen.add(stage.key)
        if stage.key in there and is_built(stage, machine):
            return
        for needed in stage.inputs:
            visit(needed)
        order.append(stage)

    for item in stages:
        visit(item)
    return order


def _keys(store: Path) -> set[str]:
    """Return the keys in the names of a store's folders: one look tells of thousands of stages that are not there."""
    with suppress(OSError):
        return {name.rpartition("-")[2] for name in os.listdir(store)}
    return set()


def _make(stage: Stage, folder: Path, machine: Runtime) -> None:
    part = folder.with_name(folder.name + ".part")
    if part.exists() and not stage.work.resumes:
        shutil.rmtree(part)
    try:
        part.mkdir(parents=True, exist_ok=True)
        site = BuildContext(part, machine)
        started = time.time()
        stage.work.function(site, **stage.arguments)
        manifest.write(part, _facts(stage, site, started))
        if folder.exists():
            _put_aside(folder)
        part.rename(folder)
        manifest.sync(folder.parent)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise StageError(
            f"no space left in {machine.store} while building {folder.name}: "
            "free some and run again, what is finished stays"
        ) from error


def _facts(stage: Stage, site: BuildContext, started: float) -> dict[str, Any]:
    return {
        "label": stage.label,
        "key": stage.key,
        "work": stage.work.name,
        "version": stage.work.version,
        "source": source_digest(stage.work),
        "arguments": stage.canonical_arguments,
        "inputs": {needed.key: needed.label for needed in stage.inputs},
        "machine": {"device": site.machine.device, "threads": site.machine.threads},
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started, 3),
        "record": site.record,
    }


def source_digest(work: StageFunction) -> str:
    """Return a digest of the source of a work's module, by which a change without a new version can be seen."""
    source = inspect.getsource(inspect.getmodule(work.function) or work.function)
    return hashlib.sha256(source.encode()).hexdigest()[:12]


def _put_aside(folder: Path) -> None:
    """Move a damaged result out of the way; nothing of it is taken for finished, nothing of it is destroyed."""
    number = next(n for n in range(1, 10**6) if not folder.with_name(f"{folder.name}.damaged{n}").exists())
    progress.note(f"{folder.name} was damaged: it is kept as {folder.name}.damaged{number} and built again")
    folder.rename(folder.with_name(f"{folder.name}.damaged{number}"))


def _lock(folder: Path) -> AbstractContextManager[object]:
    """Return the held lock of a stage; it goes with the process that holds it, however that ends."""
    locks = folder.parent / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    lock = FileLock(locks / f"{folder.name.rsplit('-', 1)[-1]}.lock")
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        progress.note(f"another process is building {folder.name}: waiting for it")
        return lock.acquire()
