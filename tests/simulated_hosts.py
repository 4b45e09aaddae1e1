"""Processes that take themselves for those of other hosts: with a name, a boot and clocks of their own, and other locks."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock

from xstilts.runtime import progress
from xstilts.store import leases
from xstilts.store.leases import Process, this_process

LOCKS = ("shared", "own", "none", "idle")  # seen by all hosts, by each host alone, refused, or taken by all who ask


def start(
    host: str, work: Callable[[], Any], locks: str = "shared", hours: float = 0.0, log: Path | None = None
) -> int:
    """Fork a process of a simulated host; return its number."""
    child = os.fork()
    if child:
        return child
    try:
        become(host, locks, hours)
        if log:
            progress.listen(lambda event: log.open("a").write(f"{event.label}\n") if not event.total else None)
        work()
    except BaseException as error:
        if log:
            log.open("a").write(f"{type(error).__name__}: {error}\n")
        os._exit(1)
    os._exit(0)


def become(host: str, locks: str, hours: float) -> None:
    """Let this process take itself for one of another host."""
    me = this_process()
    itself = Process(host, f"boot of {host}", me.pids, me.pid, me.start)
    leases.this_process = lambda: itself  # type: ignore[assignment]
    if hours:
        wall, steady = time.time, time.monotonic
        time.time = lambda: wall() + 3600 * hours
        time.monotonic = lambda: steady() + 3600 * abs(hours)
    if locks == "own":
        leases.FileLock = lambda path: filelock.FileLock(f"{path}.{host}")  # type: ignore[assignment, misc]
    elif locks in ("none", "idle"):
        import fcntl

        def refused(*_: Any) -> None:
            if locks == "none":
                raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        fcntl.flock = refused


def ended(child: int, seconds: float = 30.0) -> int:
    """Return the exit code of a process, that of a signal where it had to be killed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        number, status = os.waitpid(child, os.WNOHANG)
        if number:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def until(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
