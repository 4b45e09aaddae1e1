"""Shelf: a bounded folder of files named by a digest of all that decides what is in them.

What is costly to compute and needed again, but is no result, is kept here: states of frozen layers (`prefix`), the
pieces of texts (`segments`). A file appears when it is whole, and the one that was used longest ago makes room. So a
shelf may be emptied at any time, and what is mapped into memory stays there when its file goes.

>>> shelf = DiskCache(Path("work/.toys"), 0.5, "toys")
>>> shelf.find("0123.toy") is None
True
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from filelock import BaseFileLock, FileLock

from xstilts.runtime import progress

GIB = 2**30


@dataclass(frozen=True)
class DiskCache:
    """A folder, the most GiB that its files may take, and what they hold, for people."""

    folder: Path
    most_gib: float
    holds: str

    def locked(self, part: str = "") -> BaseFileLock:
        """Return a lock to be held with `with`: on the whole shelf, or on a part of it, as on what is about to be made.

        Who holds both takes the part first.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self.folder / f"lock{part}")

    def find(self, name: str) -> Path | None:
        """Return a file by name, used now, or None; outside the shelf's lock it may be gone before it is opened."""
        path = self.folder / name
        try:
            os.utime(path)
        except FileNotFoundError:
            return None
        return path

    def place(self, name: str, size: int, write: Callable[[BinaryIO], object]) -> Path | None:
        """Put a file of `size` bytes there, within `locked()`; None, with a note, where it is too large to be kept.

        Too large is what needs more than the whole shelf, or more than half of what is free on the disk.
        """
        path = self.folder / name
        if not self._room(path, size):
            return None
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        return path

    def _room(self, path: Path, size: int) -> bool:
        """Make room for a file, the oldest files first; say whether there is enough of it."""
        for torn in self.folder.glob("*.part"):
            torn.unlink()
        most = self.most_gib * GIB
        if size > min(most, shutil.disk_usage(self.folder).free // 2):
            progress.note(f"{self.holds} need {size / GIB:.1f} GiB, too many to store: not stored")
            return False
        others = [other for other in self.folder.glob("[!.]*.*") if other != path]
        held = sum(other.stat().st_size for other in others)
        for other in sorted(others, key=lambda other: other.stat().st_mtime):
            if held + size > most:
                held -= other.stat().st_size
                other.unlink()
        return True
