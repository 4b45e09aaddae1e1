"""Locks that last as long as the process that holds an open file, however it ends, on POSIX systems and on Windows.

`filelock` guards what two processes must not do at once; here others ask, by trying the same lock, whether a process is
still alive.

>>> import tempfile
>>> with tempfile.TemporaryFile("w") as file:
...     acquire(file)
"""

from __future__ import annotations

import sys
from typing import IO, Any

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


def acquire(file: IO[Any], *, shared: bool = False, wait: bool = False) -> None:
    """Lock an open file until it is closed.

    Args:
        file: The file.
        shared: Others may hold a shared lock too; on Windows every lock is exclusive.
        wait: Wait until the lock is free; on Windows for ten seconds.

    Raises:
        BlockingIOError: Another process holds the lock.
        OSError: The file system has no locks.
    """
    if sys.platform == "win32":
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError(*error.args) from None
    else:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
