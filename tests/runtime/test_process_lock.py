"""Tests of locks on open files, and of what keeps the package from being imported on Windows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import xstilts
from xstilts.runtime import process_lock


def test_readers_share_a_lock_and_a_writer_holds_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("w") as writer:
        process_lock.acquire(writer, wait=True)
        with path.open() as reader, pytest.raises(BlockingIOError):
            process_lock.acquire(reader, shared=True)
    with path.open() as reader, path.open() as other, path.open("w") as writer:
        process_lock.acquire(reader, shared=True)
        process_lock.acquire(other, shared=True)
        with pytest.raises(BlockingIOError):
            process_lock.acquire(writer)


def test_no_module_of_posix_alone_is_imported_without_a_condition() -> None:
    posix = re.compile(r"^(import|from) (fcntl|grp|posix|pty|pwd|resource|syslog|termios|tty)\b", re.MULTILINE)
    root = Path(xstilts.__file__).parent
    assert [path for path in root.rglob("*.py") if posix.search(path.read_text(encoding="utf-8"))] == []
