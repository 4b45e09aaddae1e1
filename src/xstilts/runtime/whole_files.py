"""Whole files and folders: what is there is complete, and stays as it was until its successor is.

>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as folder:
...     write(Path(folder) / "report.json", "{}")
...     [path.name for path in Path(folder).iterdir()]
['report.json']
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write(path: Path, content: str | bytes, synced: bool = False) -> None:
    """Write a file beside the one that it replaces, then rename it: on a full disk, or killed, the old one stays.

    Args:
        path: The file. A link stays one, and what is no plain file, such as `/dev/stdout`, is written to.
        content: Its content; of text, as UTF-8 with the line ends that it has.
        synced: Whether it is on the disk when this returns.

    Raises:
        OSError: It cannot be written; nothing of it is left.
    """
    data = content.encode() if isinstance(content, str) else content
    target = path.resolve()
    if target.exists() and not target.is_file():
        target.write_bytes(data)
        return
    new = target.with_name(f".{target.name}.new")
    try:
        new.write_bytes(data)
        if synced:
            sync(new)
        new.replace(target)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    if synced:
        sync(target.parent)


@contextmanager
def folder(path: Path) -> Iterator[Path]:
    """Make a folder beside its place, then rename it: it is there whole, or it is as it was.

    Args:
        path: The folder, which does not exist or is empty.

    Yields:
        A place of the same name for its content, made by the block.
    """
    target = path.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
        new = Path(scratch) / target.name
        yield new
        if target.exists():
            target.rmdir()
        new.rename(target)


def sync(path: Path) -> None:
    """Flush a file or a folder to the disk; on Windows, which does not open folders, a file alone."""
    if sys.platform == "win32" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
