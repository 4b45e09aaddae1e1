"""File system: whether a folder's can hold a store that several processes and hosts share, tried out.

What is tried takes about a millisecond on a local disk. Types of mounts are known by name where trying does not show
what happens under load: a bucket renames a folder by copying its objects one by one, so that a folder which is half
there looks finished.

>>> import tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     probe(Path(folder))
FileSystem(locks='', unfit='')
"""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock

from xstilts.runtime import process_lock

MOUNTS = Path("/proc/self/mountinfo")
# Types or sources of mounts that show the objects of a bucket as files.
BUCKETS = frozenset(
    (
        *("s3fs", "goofys", "geesefs", "mountpoint-s3", "gcsfuse", "rclone", "blobfuse", "blobfuse2"),
        *("ossfs", "ossfs2", "cosfs", "obsfs", "yas3fs", "riofs"),
    )
)
IN_BUCKET = "a folder is renamed object by object there, so that half of a stage could look finished"


@dataclass(frozen=True)
class FileSystem:
    """What the file system of a folder can do.

    Attributes:
        locks: Why locks do not work; "" where they do, at least between the processes of this host.
        unfit: Why no store can lie there; "" where one can.
    """

    locks: str = ""
    unfit: str = ""


def probe(folder: Path) -> FileSystem:
    """Try out locks, exclusive creation and renames in a folder; nothing stays there.

    Args:
        folder: An existing folder that can be written.

    Returns:
        What works.

    Raises:
        OSError: Nothing can be written there, or the disk is full.
    """
    if bucket := {kind.removeprefix("fuse.") for kind in mounted(folder)} & BUCKETS:
        return FileSystem(unfit=f"it is a mount of {sorted(bucket)[0]}: {IN_BUCKET}")
    place = folder / f".probe-{secrets.token_hex(6)}"
    place.mkdir()
    try:
        return FileSystem(_fault_of_locks(place), _fault_of_names(place))
    finally:
        shutil.rmtree(place, ignore_errors=True)


def lock(path: Path) -> BaseFileLock:
    """Return a lock between processes, for a `with` statement.

    Args:
        path: Its file, in an existing folder that can be written.

    Returns:
        A lock of the operating system, which ends with its process; where the file system has none, one by existence
        of the file: what a killed process leaves is removed by the next one on the same host.
    """
    return FileLock(path) if has_locks(path.parent) else SoftFileLock(path)


@cache
def has_locks(folder: Path) -> bool:
    """Return whether locks work in an existing folder that can be written; it is tried out once."""
    return not probe(folder).locks


def mounted(folder: Path, mounts: Path = MOUNTS) -> tuple[str, ...]:
    """Return the type and the source of the mount in which a folder lies; nothing where the system does not say.

    Args:
        folder: An existing folder.
        mounts: The system's list of mounts.
    """
    deepest: tuple[int, tuple[str, ...]] = (0, ())
    with suppress(OSError, ValueError, IndexError):
        place = folder.resolve()
        for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
            about, _, source = line.partition(" - ")
            point = Path(about.split()[4].replace("\\040", " "))
            if (depth := len(point.parts)) >= deepest[0] and place.is_relative_to(point):
                deepest = depth, tuple(source.split()[:2])
    return deepest[1]


def _fault_of_locks(place: Path) -> str:
    """Return why locks do not work; "" where a second open file cannot take what a first one holds."""
    path = place / "lock"
    path.touch()
    try:
        with path.open("r+") as holder, path.open("r+") as other:
            process_lock.acquire(holder)
            try:
                process_lock.acquire(other)
            except BlockingIOError:
                return ""
            return "two open files can both take a lock"
    except OSError as error:
        return f"{error.strerror or error}"


def _fault_of_names(place: Path) -> str:
    """Return why no stage can be published there; "" where creation is exclusive and a rename moves what is open."""
    new, old, folder, moved = (place / name for name in ("new", "old", "folder", "moved"))
    try:
        os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        with suppress(FileExistsError):
            os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            return "a file can be created twice there, so that two processes could both hold a stage"
        old.write_text("old", encoding="ascii")
        new.write_text("new", encoding="ascii")
        new.replace(old)
        folder.mkdir()
        with (folder / "file").open("w", encoding="ascii") as file:
            if os.name != "nt":  # where what is open cannot be moved
                folder.rename(moved)
            file.write("written")
        if os.name == "nt":
            folder.rename(moved)
        texts = old.read_text(encoding="ascii"), (moved / "file").read_text(encoding="ascii")
        if texts != ("new", "written") or folder.exists() or new.exists():
            return f"a rename does not move files as they are: {IN_BUCKET}"
    except (FileNotFoundError, FileExistsError):
        return f"a renamed file or folder is not where it was moved to: {IN_BUCKET}"
    return ""
