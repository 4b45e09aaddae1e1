"""Tests of locks on open files, and of what keeps the package from being imported on Windows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import Timeout

import xstilts
from xstilts.runtime import file_system, process_lock
from xstilts.runtime.file_system import FileSystem


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


@pytest.mark.parametrize("fault", ["", "no locks"])
def test_one_process_at_a_time_holds_a_lock_and_a_killed_one_does_not(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_system, "probe", lambda folder: FileSystem(locks=fault))
    path, holder = tmp_path / "lock", type(file_system.lock(tmp_path / "lock")).__name__
    hold = f"import filelock, time; it = filelock.{holder}({str(path)!r}); it.acquire(); print(1, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(Timeout), file_system.lock(path).acquire(timeout=0):
            pass
        other.kill()
    with file_system.lock(path).acquire(timeout=30):
        assert path.exists()


def test_no_module_of_posix_alone_is_imported_without_a_condition() -> None:
    posix = re.compile(r"^(import|from) (fcntl|grp|posix|pty|pwd|resource|syslog|termios|tty)\b", re.MULTILINE)
    root = Path(xstilts.__file__).parent
    assert [path for path in root.rglob("*.py") if posix.search(path.read_text(encoding="utf-8"))] == []
