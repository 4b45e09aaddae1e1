"""Disk cache: a bounded folder of files, each named by a digest of everything that decides its content.

It keeps what is costly to compute and used again but is no result: states of frozen layers (`frozen_layer_cache`) and
the tokens of texts (`token_cache`). A file appears when it is complete, and the least recently used one makes room. So
the cache may be emptied at any time; a file that is mapped into memory stays readable when it is deleted.

>>> cache = DiskCache(Path("work/.toys"), 0.5, "toys")
>>> cache.find("0123.toy") is None
True
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

from xstilts.runtime import progress
from xstilts.runtime.file_system import has_locks

GIB = 2**30


def user_folder() -> Path:
    """Return this package's folder below the user's cache folder (XDG_CACHE_HOME, else `~/.cache`).

    Where the user has no home, as in some containers, it lies below the folder for temporary files.
    """
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute()
    except RuntimeError:
        base = Path(tempfile.gettempdir())
    return base / "xstilts"


@dataclass(frozen=True)
class DiskCache:
    """A bounded folder of files.

    Attributes:
        folder: Where the files lie.
        most_gib: Most GiB that they take together.
        holds: What they hold, for messages.
    """

    folder: Path
    most_gib: float
    holds: str

    def locked(self, part: str = "") -> AbstractContextManager[object]:
        """Return a lock for a `with` statement.

        Args:
            part: Name of a part to lock, such as a file that is about to be made; "": the whole cache. A process that
                needs both locks takes that of the part first.

        Returns:
            A lock between processes; none where the file system has none, so that some files are made twice.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self.folder / f"lock{part}") if has_locks(self.folder) else nullcontext()

    def find(self, name: str) -> Path | None:
        """Return a file by name and mark it as used now.

        Outside `locked()` another process may delete the file before it is opened.

        Args:
            name: Name of the file.

        Returns:
            The path; None where there is no such file.
        """
        path = self.folder / name
        try:
            os.utime(path)
        except FileNotFoundError:
            return None
        return path

    def place(self, name: str, size: int, write: Callable[[BinaryIO], object]) -> Path | None:
        """Write a file; to be called within `locked()`.

        Args:
            name: Name of the file.
            size: Its size in bytes.
            write: Writes the content to an open file.

        Returns:
            The path; None, with a note, for a file that is larger than the whole cache or than half of the free disk.
        """
        path = self.folder / name
        if not self._room(path, size):
            return None
        part = path.with_suffix(".part" if has_locks(self.folder) else f".{secrets.token_hex(4)}.part")
        with part.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        return path

    def is_too_small(self, size: int) -> bool:
        """Return, with a note, whether a file of `size` bytes is larger than the whole cache."""
        if size <= self.most_gib * GIB:
            return False
        progress.note(f"{self.holds} need {size / GIB:.1f} GiB, too many to store: not stored")
        return True

    def _room(self, path: Path, size: int) -> bool:
        """Delete the least recently used files until a file fits; return whether it fits at all."""
        for torn in self.folder.glob("*.part") if has_locks(self.folder) else ():  # else another process may be at it
            torn.unlink()
        if self.is_too_small(size):
            return False
        if size > shutil.disk_usage(self.folder).free // 2:
            progress.note(f"{self.holds} need {size / GIB:.1f} GiB, more than half of the free disk: not stored")
            return False
        others = [other for other in self.folder.glob("[!.]*.*") if other != path]
        used = sum(other.stat().st_size for other in others)
        for other in sorted(others, key=lambda other: other.stat().st_mtime):
            if used + size > self.most_gib * GIB:
                used -= other.stat().st_size
                other.unlink(missing_ok=True)
        return True
