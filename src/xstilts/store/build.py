"""Build: the results of stages, each in a folder of the store that appears complete or not at all.

A stage is built in `<folder>.part` under a lock and a lease (`leases`), and the folder is renamed when its manifest is
written. So a process that is killed leaves nothing that looks finished, and two processes that need one stage build it
once. The files of an input are compared with their digests before they are used: what was damaged is put aside and
built again.
"""

from __future__ import annotations

import errno
import hashlib
import inspect
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from xstilts.runtime import progress, whole_files
from xstilts.runtime.machine import Runtime
from xstilts.store import manifest
from xstilts.store.leases import Lease, LeaseTaken, held
from xstilts.store.stage import BuildContext, Stage, StageError, StageFunction, folder_of
from xstilts.store.weights import reading, unused

REPLACED = ".replaced"
TRIES = 10  # how often inputs are built again that another process drops or that are damaged meanwhile


def is_built(stage: Stage, machine: Runtime) -> bool:
    """Return whether a stage is finished: its result is in the store, if perhaps without the weights.

    Args:
        stage: The stage.
        machine: Names the store.

    Returns:
        Whether its folder has a manifest and every file that this names, but for dropped ones (`weights.drop`).
    """
    return manifest.is_whole(folder_of(stage, machine))


def build(stage: Stage, machine: Runtime) -> Path:
    """Build a stage and its inputs, as far as they are not in the store with all of their files.

    Many processes may call this on one store: one builds, the others wait. Files are read and compared with their
    digests, once in a process; a damaged folder is put aside and built again.

    Args:
        stage: The stage.
        machine: Where and how to build it.

    Returns:
        The folder of the result, with all of its files.

    Raises:
        StageError: The disk is full, or inputs are damaged again and again. What the stage's function raises passes
            through; finished stages stay.
    """
    folder = folder_of(stage, machine)
    for _ in range(TRIES):
        if is_usable(folder):
            return folder
        for input_stage in stage.inputs:
            build(input_stage, machine)
        # Nobody drops files of the inputs from here on; what was dropped before is built again.
        keys = [part.key for part in stage.inputs]
        with _space(folder), held(folder, keys, machine.lease_seconds) as lease, reading(stage.inputs, machine):
            # Asked again under the lock: another process may have finished the stage while this one waited.
            if not is_usable(folder) and all(is_usable(folder_of(part, machine)) for part in stage.inputs):
                try:
                    _make(stage, folder, machine, lease)
                    return folder
                except LeaseTaken:
                    progress.note(f"{folder.name} was taken over by another process, as nothing was heard of this one")
    raise StageError(
        f"the inputs of {folder.name} are damaged or deleted as soon as they are built: look at the disk of "
        f"{machine.store}, and at what else deletes files there"
    )


def is_usable(folder: Path) -> bool:
    """Return whether a stage's folder has all of its files, with the contents that were written.

    Args:
        folder: Folder of the stage.
    """
    with _readable(folder):
        record = manifest.sound(folder)
        return record is not None and not manifest.absent(folder, record) and not manifest.changed_files(folder, record)


def is_sound(stage: Stage, machine: Runtime) -> bool:
    """Return whether a stage is finished as `is_built` says, and its files are as they were written, weights excepted.

    Args:
        stage: The stage.
        machine: Names the store.
    """
    folder = folder_of(stage, machine)
    with _readable(folder):
        record = manifest.sound(folder)
        return record is not None and _is_there(folder, record, with_weights=False, contents=True)


def missing(stages: tuple[Stage, ...], machine: Runtime, contents: bool = True) -> list[Stage]:
    """Return the stages that have to be built for others.

    A model whose weights were dropped is finished, but has to be built again for a stage that is made from it.

    Args:
        stages: What is to be finished.
        machine: Names the store.
        contents: Whether files are compared with their digests, weights excepted, which `build` looks at.

    Returns:
        Those of these stages that are not finished, with the transitive inputs that are needed for them and are not
        there; inputs first, each once.
    """
    in_store = _keys(machine.store)

    def is_there(stage: Stage, with_weights: bool) -> bool:
        folder = folder_of(stage, machine)
        with _readable(folder):
            record = manifest.sound(folder) if stage.key in in_store else None
            return record is not None and _is_there(folder, record, with_weights, contents)

    # The inputs of what is finished do not matter: they may have been deleted.
    needed = {stage.key for stage in stages if not is_there(stage, False)}
    stack = [stage for stage in stages if stage.key in needed]
    while stack:
        for input_stage in stack.pop().inputs:
            if input_stage.key not in needed and not is_there(input_stage, True):
                needed.add(input_stage.key)
                stack.append(input_stage)
    order: dict[str, Stage] = {}

    def visit(stage: Stage) -> None:
        if stage.key in needed and stage.key not in order:
            for input_stage in stage.inputs:
                visit(input_stage)
            order[stage.key] = stage

    for stage in stages:
        visit(stage)
    return list(order.values())


def recover(store: Path) -> None:
    """End what killed processes began: of a model that was being built again, exactly one folder remains.

    Args:
        store: Folder of the store.
    """
    with suppress(FileNotFoundError, NotADirectoryError):
        for path in [store / name for name in os.listdir(store) if name.endswith(REPLACED)]:
            folder = path.with_name(path.name.removesuffix(REPLACED))
            with unused(folder) as is_unused:
                if is_unused and folder.exists():
                    shutil.rmtree(path, ignore_errors=True)
                elif is_unused and path.exists():
                    path.rename(folder)  # it lacks weights, and has the record


def _is_there(folder: Path, record: dict[str, Any], with_weights: bool, contents: bool) -> bool:
    """Return whether a stage has its files, dropped ones too or not, and whether others than weights are unchanged."""
    if manifest.absent(folder, record) - (set() if with_weights else set(manifest.dropped(record))):
        return False
    read = [name for name in record["files"] if name not in manifest.weights(record)] if contents else ()
    return not manifest.changed_files(folder, record, read)


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    """Refuse to judge a stage that cannot be read: that may pass, and does not mean that it is damaged."""
    try:
        yield
    except OSError as error:
        raise StageError(
            f"{error.filename or folder} cannot be read ({error.strerror or error}), so nothing is known of the "
            "stage: look at the disk and at the file's rights, then run again; nothing was changed"
        ) from error


def _keys(store: Path) -> set[str]:
    """Return the keys in the names of a store's folders: one listing instead of a look-up for each stage."""
    with suppress(OSError):
        return {name.rpartition("-")[2] for name in os.listdir(store)}
    return set()


def _make(stage: Stage, folder: Path, machine: Runtime, lease: Lease) -> None:
    part, replaced = lease.part, folder.with_name(folder.name + REPLACED)
    try:
        _clear(part, stage.work)
        shutil.rmtree(replaced, ignore_errors=True)
        part.mkdir(parents=True, exist_ok=True)
        context = BuildContext(part, machine)
        started = time.time()
        stage.work.function(context, **stage.arguments)
        manifest.write(part, _facts(stage, context, started))
        lease.require()
        if folder.exists():
            folder.rename(replaced) if _is_intact(folder) else _put_aside(folder)
        # The rename is last, when every file is on the disk: a folder without ".part" is never half a result. Who takes
        # the lease over renames ".part" first, so that there is nothing to rename here.
        try:
            part.rename(folder)
        except OSError:
            if replaced.exists() and not folder.exists():
                replaced.rename(folder)
            raise
    except Exception as error:
        if lease.is_taken():  # its folder was moved away, which may have any error
            raise LeaseTaken(str(error)) from error
        raise
    whole_files.sync(folder.parent)
    shutil.rmtree(replaced, ignore_errors=True)


@contextmanager
def _space(folder: Path) -> Iterator[None]:
    """Say what to do where the disk is full."""
    try:
        yield
    except Exception as error:
        if _is_of(error, errno.EFBIG):
            raise StageError(
                f"a file of {folder.name} may be no larger: raise the limit of file sizes (`ulimit -f`) and run again, "
                "what is finished stays"
            ) from error
        if not _is_full(error):
            raise
        raise StageError(
            f"no space left in {folder.parent} while building {folder.name}: "
            "free some and run again, what is finished stays"
        ) from error


def _is_full(error: Exception) -> bool:
    """Return whether an error is that of a full disk, as Python or a library in another language says it."""
    return _is_of(error, errno.ENOSPC, errno.EDQUOT)


def _is_of(error: Exception, *codes: int) -> bool:
    return getattr(error, "errno", None) in codes or any(f"(os error {code})" in str(error) for code in codes)


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


def _clear(part: Path, work: StageFunction) -> None:
    """Remove what a killed call left, but for the files that the stage continues from."""
    if not part.exists():
        return
    if not work.resumes:
        shutil.rmtree(part)
        return
    manifest.sweep(part)
    if isinstance(work.resumes, bool):
        return
    kept = {path for pattern in work.resumes for path in part.glob(pattern)}
    for path in part.rglob("*"):
        if path.is_file() and path not in kept:
            path.unlink()


def _is_intact(folder: Path) -> bool:
    """Return whether a stage lacks files, and what is there of it is as it was written."""
    record = manifest.sound(folder)
    there = [name for name in record["files"] if (folder / name).exists()] if record else []
    return (
        record is not None
        and not (manifest.absent(folder, record) & {*there})
        and not manifest.changed_files(folder, record, there)
    )


def _put_aside(folder: Path) -> None:
    """Rename a damaged result: it is no longer taken for finished, and nothing of it is deleted."""
    number = next(n for n in range(1, 10**6) if not folder.with_name(f"{folder.name}.damaged{n}").exists())
    progress.note(f"{folder.name} was damaged: it is kept as {folder.name}.damaged{number} and built again")
    folder.rename(folder.with_name(f"{folder.name}.damaged{number}"))
