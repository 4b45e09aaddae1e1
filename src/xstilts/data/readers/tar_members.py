"""Tar members: files inside a `.tar.gz`, which is read in place and never unpacked.

A path may go on below an archive as if it were a folder: `UD_English-EWT.tar.gz/UD_English-EWT/en_ewt-ud-train.auto`.
Only plain files of the archive are seen, so that no link and no path in it can lead anywhere.

>>> container(Path("a.tar.gz/b/c.auto"))
PosixPath('a.tar.gz')
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import IO

from xstilts.data.readers.row import bad

ENDING = ".tar.gz"
PART = 2**20
DAMAGED = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile)


def matching(folder: Path, pattern: str) -> list[Path]:
    """Return the files below `folder` that a pattern matches, in an archive where it leads into one, sorted."""
    before, inside, member = pattern.partition(f"{ENDING}/")
    if not inside:
        return sorted(folder.glob(pattern))
    archives = sorted(folder.glob(before + ENDING))
    return [path / name for path in archives for name in _members(path) if fnmatchcase(name, member)]


def container(path: Path) -> Path:
    """Return the file on disk that a path leads to: the archive, where it goes on below one."""
    return next((parent for parent in reversed(path.parents) if parent.name.endswith(ENDING)), path)


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading bytes, wherever it is."""
    held = container(path)
    if held == path:
        with path.open("rb") as stream:
            yield stream
        return
    with _archive(held) as archive:
        stream = archive.extractfile(path.relative_to(held).as_posix())  # type: ignore[assignment]
        if stream is None:
            raise FileNotFoundError(path)
        with stream:
            yield stream


def _members(archive: Path) -> tuple[str, ...]:
    status = archive.stat()
    return _listed(archive, status.st_size, status.st_mtime_ns)


@cache
def _listed(archive: Path, size: int, modified: int) -> tuple[str, ...]:
    with _archive(archive) as opened_archive:
        names = sorted(member.name for member in opened_archive if member.isfile())
        # Only at the end of a gzip file is its checksum compared: a flipped bit would be read as another text.
        while opened_archive.fileobj is not None and opened_archive.fileobj.read(PART):
            pass
    twice = next((one for one, other in pairwise(names) if one == other), None)
    if twice is not None:
        raise bad(str(archive), f"expected each file once, found {twice!r} again", "keep one of them, or get it again")
    return tuple(names)


@contextmanager
def _archive(path: Path) -> Iterator[tarfile.TarFile]:
    """Open an archive; InputError where it is damaged."""
    try:
        with tarfile.open(path, "r:gz") as archive:
            yield archive
    except DAMAGED as error:
        raise bad(str(path), f"expected a gzipped tar archive: {error}", "it is cut or damaged: get it again") from None
