"""Archive: finished stages as one tar file, with a list of digests, and back into another store.

The first member, `store.json`, lists every file with its size and SHA-256. Nothing is taken from an archive that is not
listed there and is not as it is listed: links, other paths and other contents are refused, and the stages that were
read before remain. A stage appears in the store complete or not at all.

    write(Path("study.tar"), Path("work"), keys)
    read(Path("study.tar"), Path("other"))
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import tarfile
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from xstilts.errors import InputError
from xstilts.runtime import progress, whole_files
from xstilts.store import manifest, upkeep
from xstilts.store.build import REPLACED
from xstilts.store.identity import key_of
from xstilts.store.leases import held
from xstilts.store.upkeep import Stored
from xstilts.store.weights import unused

FORMAT = 1
LIST = "store.json"
MOST_LIST = 2**28  # bytes of a list that is read
PART = 2**20
FOLDER = re.compile(r"[\w.+-]{1,120}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Imported:
    """What came into a store.

    Attributes:
        new: Names of the folders that are new, or have files now that had been dropped.
        there: Names of those that were there before.
    """

    new: tuple[str, ...]
    there: tuple[str, ...]


def chosen(store: Path, keys: Collection[str]) -> list[Stored]:
    """Return finished stages and all that they were made from, as far as it is in the store.

    Args:
        store: Folder of the store.
        keys: Keys of the stages; none: all of the store.

    Returns:
        The stages, by the names of their folders.
    """
    every = list(upkeep.stored(store))
    if not keys:
        return every
    inputs = {stage.key: list(stage.record.get("inputs") or ()) for stage in every}
    stack, reached = list(keys), set[str]()
    while stack:
        key = stack.pop()
        if key not in reached:
            reached.add(key)
            stack += inputs.get(key, ())
    return [stage for stage in every if stage.key in reached]


def write(out: Path, store: Path, keys: Collection[str] = (), weights: bool = True) -> list[Stored]:
    """Write finished stages to an archive.

    Every file is read and compared with its digest before.

    Args:
        out: The file; `.gz` or `.xz` at its end compresses it.
        store: Folder of the store.
        keys: Keys of the stages, with which go all that they were made from; none: all of the store.
        weights: Whether weights go too; without them the stages are as if these had been dropped.

    Returns:
        The stages.

    Raises:
        InputError: There is no stage, or one is damaged.
    """
    stages = chosen(store, keys)
    if not stages:
        raise InputError(f"no finished stage to export in {store}: `xstilts store list` shows what there is")
    contents = [(stage, *_contents(stage, weights)) for stage in stages]
    listed = {
        "format": FORMAT,
        "stages": {
            stage.folder.name: {
                **{name: stage.record["files"][name] for name in files},
                manifest.RECORD: {"bytes": len(record), "sha256": hashlib.sha256(record).hexdigest()},
            }
            for stage, record, files in contents
        },
    }
    part = out.with_name(out.name + ".part")
    compression = {".gz": "gz", ".xz": "xz"}.get(out.suffix, "")
    with tarfile.open(part, f"w:{compression}", format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]
        text = json.dumps(listed, indent=1, ensure_ascii=False).encode()
        archive.addfile(_member(LIST, len(text)), io.BytesIO(text))
        for number, (stage, record, files) in enumerate(contents, start=1):
            for name in files:
                with (stage.folder / name).open("rb") as file:
                    size = stage.record["files"][name]["bytes"]
                    archive.addfile(_member(f"{stage.folder.name}/{name}", size), file)
            archive.addfile(_member(f"{stage.folder.name}/{manifest.RECORD}", len(record)), io.BytesIO(record))
            progress.step("export", number, len(contents), stage.folder.name)
    whole_files.sync(part)
    part.replace(out)
    return stages


def _contents(stage: Stored, weights: bool) -> tuple[bytes, list[str]]:
    """Return the manifest of a stage as the archive has it, and the files that go with it."""
    if damaged := manifest.damaged_files(stage.folder):
        raise InputError(
            f"{stage.folder.name} is damaged ({', '.join(damaged)}) and cannot be exported: run what made it again"
        )
    gone = {name for name in manifest.dropped(stage.record) if not (stage.folder / name).exists()}
    gone |= set() if weights else manifest.weights(stage.record).keys()
    record = manifest.with_dropped((stage.folder / manifest.RECORD).read_bytes(), gone)
    return record, [name for name in stage.record["files"] if name not in gone]


def _member(name: str, size: int) -> tarfile.TarInfo:
    """Return a member without anything of this machine: equal stages give equal archives."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member


def read(file: Path, store: Path) -> Imported:
    """Take the stages of an archive into a store.

    Args:
        file: The archive.
        store: Folder of the store; made where it does not exist.

    Returns:
        What is new, and what was there.

    Raises:
        InputError: It is no archive of stages, or something in it is not as its list says; stages that were read
            before are in the store.
    """
    scratch = store / f".import-{os.getpid()}"
    for earlier in store.glob(".import-*"):  # of a call that was killed
        if earlier == scratch or time.time() - earlier.stat().st_mtime > upkeep.DAY:
            shutil.rmtree(earlier, ignore_errors=True)
    scratch.mkdir(parents=True)
    new, there = list[str](), list[str]()
    try:
        with tarfile.open(file) as archive:
            listed = _list(archive, file)
            for number, (name, files) in enumerate(listed.items(), start=1):
                folder = scratch / name
                _unpack(archive, file, folder, files)
                _check(folder, file, name)
                (new if _place(folder, store / name) else there).append(name)
                progress.step("import", number, len(listed), name)
            if (extra := archive.next()) is not None:
                raise InputError(f"{file}: {extra.name} is not in its list {LIST}: take another copy of the archive")
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.filename not in (str(file), None):
            raise
        raise InputError(f"{file} is damaged or no archive of stages ({error}): take another copy") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Imported(tuple(new), tuple(there))


def _list(archive: tarfile.TarFile, file: Path) -> dict[str, dict[str, Any]]:
    """Return what an archive says that it holds, by folder and file; InputError where that is no such list."""
    member = archive.next()
    if member is None or member.name != LIST or not member.isreg() or member.size > MOST_LIST:
        raise InputError(f"{file} does not begin with {LIST}: it is no archive that `xstilts store export` wrote")
    values = json.loads(_stream(archive, member).read())
    try:
        if values["format"] != FORMAT:
            raise InputError(f"{file} is of format {values['format']}, which this version of xstilts does not read")
        stages: dict[str, dict[str, Any]] = values["stages"]
        for name, files in stages.items():
            if not FOLDER.fullmatch(name) or manifest.RECORD not in files:
                raise InputError(f"{file}: '{name}' is no folder of a stage: nothing of it is read")
            for path, facts in files.items():
                safe = PurePosixPath(path)
                if safe.is_absolute() or ".." in safe.parts or str(safe) != path or "\\" in path or ":" in path:
                    raise InputError(f"{file}: '{path}' leads out of its folder: nothing of it is read")
                if not isinstance(facts["bytes"], int) or not isinstance(facts["sha256"], str):
                    raise TypeError(path)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{file}: {LIST} is damaged ({error!r}): take another copy") from None
    return stages


def _unpack(archive: tarfile.TarFile, file: Path, folder: Path, files: dict[str, Any]) -> None:
    """Write the next members of an archive to a folder: exactly the listed ones, with the listed contents."""
    for _ in files:
        member = archive.next()
        name = member.name.removeprefix(f"{folder.name}/") if member else ""
        if member is None or name not in files or not member.isreg() or member.name == name:
            instead = f"{member.name} instead" if member else "its end"
            raise InputError(f"{file}: files of {folder.name} are missing, there is {instead}: take another copy")
        path, facts, total = folder / name, files[name], hashlib.sha256()
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = _stream(archive, member)
        with path.open("xb") as target:
            while part := stream.read(PART):
                total.update(part)
                target.write(part)
        if member.size != facts["bytes"] or total.hexdigest() != facts["sha256"]:
            raise InputError(f"{file}: {member.name} is not as {LIST} says: take another copy of the archive")


def _stream(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    stream = archive.extractfile(member)
    assert stream is not None  # of a regular file
    return stream


def _check(folder: Path, file: Path, name: str) -> None:
    """Refuse a stage whose manifest is not one of these files, or of another key than the folder's name says."""
    record = manifest.sound(folder)
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    if record is None or there - {manifest.RECORD} - record["files"].keys() or manifest.damaged_files(folder):
        raise InputError(f"{file}: {name} is not what its {manifest.RECORD} says: nothing of it is read")
    key = ""
    with suppress(KeyError, TypeError, AttributeError):
        key = key_of(record["work"], record["version"], record["arguments"])
    if not (key and name == f"{record.get('label')}-{key}" and record.get("key") == key):
        raise InputError(f"{file}: {name} has another key than its arguments give: nothing of it is read")


def _place(folder: Path, target: Path) -> bool:
    """Move a stage into the store, unless it is there with as many files; return whether it is new."""
    record = manifest.sound(folder)
    assert record is not None  # as checked
    for name in record["files"]:
        if (folder / name).exists():
            whole_files.sync(folder / name)
    whole_files.sync(folder / manifest.RECORD)
    replaced = target.with_name(target.name + REPLACED)
    if not target.exists():
        with held(target):
            if not target.exists():
                folder.rename(target)
                return True
        return False
    better = not manifest.has_all_files(target) and manifest.has_all_files(folder)
    if not better and manifest.is_whole(target):
        return False
    with unused(target) as is_unused:
        if is_unused:
            shutil.rmtree(replaced, ignore_errors=True)
            target.rename(replaced)
            folder.rename(target)
            shutil.rmtree(replaced, ignore_errors=True)
        return is_unused
