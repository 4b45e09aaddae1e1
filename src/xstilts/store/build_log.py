"""Build log: the progress of builds, written to the store for `xstilts status` and dashboards.

A build has a folder `.builds/<host>-<process>-<time>/`. Its `asked.json` is written once and lists the stages to be
built; `now.json` is replaced while it changes and has the running stages, their steps and the failures; the process
holds `lock` as long as it lives. As other hosts may not see that lock, the time of `now.json` is also renewed while the
process lives. A build that succeeds deletes its folder. That of a failed or killed one stays for a week; no result
depends on it, and it may be deleted at any time.

    with noted(todo, machine) as log:
        log.begin(todo[:1])
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xstilts.runtime import process_lock, progress, whole_files
from xstilts.runtime.machine import Runtime
from xstilts.runtime.progress import Event
from xstilts.store.identity import canonical
from xstilts.store.stage import Stage

FOLDER, ASKED, NOW, LOCK = ".builds", "asked.json", "now.json", "lock"
EVERY = 1.0  # seconds between two versions of `now.json`
BEAT, SILENT = 10.0, 60.0  # seconds between two new times of `now.json`, and after which another host's build is over
KEPT = 7 * 24 * 3600.0  # seconds after which the folder of a failed build is deleted


@dataclass
class BuildLog:
    """The state of a build; a thread writes it, so that the build never waits for the disk.

    Attributes:
        keys: Keys of the stages to be built.
        running: When each running stage was begun, by key.
        failed: Why stages failed, by key; "" where an input failed.
        steps: The last step of running stages, by key.
        ended: When the build ended; None before.
    """

    keys: frozenset[str]
    running: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    ended: float | None = None

    def begin(self, items: Sequence[Stage]) -> None:
        """Mark stages as running."""
        self.running = self.running | {item.key: time.time() for item in items}

    def end(self, item: Stage) -> None:
        """Mark a stage as no longer running."""
        self.running = {key: since for key, since in self.running.items() if key != item.key}
        self.steps = {key: step for key, step in self.steps.items() if key != item.key}

    def fail(self, item: Stage, reason: str) -> None:
        """Mark a stage as failed.

        Args:
            item: The stage.
            reason: The error; "" where an input failed.
        """
        self.end(item)
        self.failed[item.key] = reason

    def hear(self, event: Event) -> None:
        """Take the step of a running stage from a progress event, whose label is the name of the stage's folder."""
        key = event.label.rpartition("-")[2]
        if key in self.keys and event.total:
            step = {"done": event.done, "total": event.total, "detail": event.detail, "at": time.time()}
            self.steps = self.steps | {key: step}

    def to_json(self) -> str:
        """Return the state as JSON. Another thread may call this: fields are replaced, never changed in place."""
        now = {"running": self.running, "failed": dict(self.failed), "steps": self.steps, "ended": self.ended}
        return json.dumps(now, ensure_ascii=False)


@dataclass(frozen=True)
class BuildStatus:
    """A build as read from its folder.

    Attributes:
        name: Name of the folder.
        started: When it began, in seconds since the epoch.
        workers: Number of its processes.
        stages: Label and function name of each stage, by key.
        arguments: Canonical arguments of trainings, by key.
        running: When each running stage was begun, by key.
        failed: Why stages failed, by key.
        steps: The last step of running stages, by key.
        ended: When it ended; None before.
        alive: Whether its process is running.
        inputs: Keys of what a stage is made from, by the stage's key.
        own: Whether it is a build of this process.
    """

    name: str
    started: float
    workers: int
    stages: dict[str, tuple[str, str]]
    arguments: dict[str, Any]
    running: dict[str, float]
    failed: dict[str, str]
    steps: dict[str, dict[str, Any]]
    ended: float | None
    alive: bool
    inputs: dict[str, list[str]] = field(default_factory=dict)
    own: bool = False


@contextmanager
def noted(todo: Sequence[Stage], machine: Runtime) -> Iterator[BuildLog]:
    """Keep a log of a build in the store within this context.

    Args:
        todo: The stages to be built.
        machine: Has the store. Where the log cannot be written there, the build goes on without it.

    Yields:
        The log, to which the build reports.
    """
    note, folder = BuildLog(frozenset(item.key for item in todo)), None
    with ExitStack() as open_:
        if todo:
            with suppress(OSError):
                folder = _begin(todo, machine, open_)
        if folder:
            open_.enter_context(_kept(note, folder))
            open_.enter_context(progress.also_listening(note.hear))
        yield note
    if folder and not note.failed:
        shutil.rmtree(folder, ignore_errors=True)


def read(store: Path) -> list[BuildStatus]:
    """Return the builds that have a folder in a store.

    Args:
        store: Folder of the store.

    Returns:
        Their states, the oldest first: of running builds, and of those that ended early or failed. Unreadable folders
        are left out.
    """
    builds = []
    for folder in _folders(store):
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            builds.append(_read(folder))
    return sorted(builds, key=lambda build: build.started)


def _begin(todo: Sequence[Stage], machine: Runtime, open_: ExitStack) -> Path:
    folder = machine.store / FOLDER / f"{_process()}{time.time_ns()}"
    folder.mkdir(parents=True)
    # The lock lasts as long as the process, however this ends, and so tells others whether the build is alive.
    lock = open_.enter_context((folder / LOCK).open("w"))
    with suppress(OSError):  # on a file system without locks it is taken for alive until it ends
        process_lock.acquire(lock, wait=True)
    for old in _folders(machine.store):
        if not _alive(old) and time.time() - old.stat().st_mtime > KEPT:
            shutil.rmtree(old, ignore_errors=True)
    request = {
        "started": time.time(),
        "workers": max(1, machine.workers),
        "stages": {item.key: (item.label, item.work.name) for item in todo},
        "arguments": {item.key: canonical(item.arguments) for item in todo if item.work.resumes},
        "inputs": {item.key: [part.key for part in item.inputs] for item in todo if item.inputs},
    }
    whole_files.write(folder / ASKED, json.dumps(request, ensure_ascii=False))
    return folder


def _process() -> str:
    """Return what the names of this process's folders begin with."""
    return f"{_host()}-{os.getpid()}-"


def _host() -> str:
    return re.sub(r"\W", "_", socket.gethostname())


@contextmanager
def _kept(note: BuildLog, folder: Path) -> Iterator[None]:
    """Write a log whenever it has changed, from its own thread, and at the end."""
    over, written, at = threading.Event(), "", 0.0

    def write() -> None:
        nonlocal written, at
        with suppress(OSError):
            if (text := note.to_json()) != written:
                whole_files.write(folder / NOW, text)
                written, at = text, time.monotonic()
            elif time.monotonic() - at > BEAT:
                os.utime(folder / NOW)
                at = time.monotonic()

    def follow() -> None:
        write()
        while not over.wait(EVERY):
            write()

    beside = threading.Thread(target=follow, name="builds", daemon=True)
    beside.start()
    try:
        yield
    finally:
        over.set()
        beside.join()
        # After the thread has ended, so that this is the last state written.
        note.ended = time.time()
        write()


def _read(folder: Path) -> BuildStatus:
    alive = _alive(folder)  # before the rest: a build that ends meanwhile has written so
    request = json.loads((folder / ASKED).read_bytes().decode())
    now: dict[str, Any] = {"running": {}, "failed": {}, "steps": {}, "ended": None}
    with suppress(FileNotFoundError):
        now |= json.loads((folder / NOW).read_bytes().decode())
    stages = {key: (label, work) for key, (label, work) in request["stages"].items()}
    progress_now = {name: now[name] for name in ("running", "failed", "steps", "ended")}
    begun = folder.name, request["started"], request["workers"], stages, request["arguments"]
    return BuildStatus(
        *begun,
        **progress_now,
        alive=alive and now["ended"] is None,
        inputs=request.get("inputs", {}),
        own=folder.name.startswith(_process()),
    )


def _alive(folder: Path) -> bool:
    """Return whether the process of a build is running: it holds the lock, of which readers share one kind.

    A lock may be seen on its own host alone: a build of another host runs as long as the time of `now.json` is renewed.
    """
    try:
        with (folder / LOCK).open() as lock:
            # A shared lock, so that two readers at the same time do not take each other for the build.
            process_lock.acquire(lock, shared=True)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return not folder.name.startswith(f"{_host()}-") and _is_renewed(folder)


def _is_renewed(folder: Path) -> bool:
    """Return whether the time of `now.json` is recent, by the clock of the file system where one may write there."""
    now = time.time()
    with suppress(OSError), tempfile.TemporaryFile(dir=folder.parent) as probe:
        now = os.fstat(probe.fileno()).st_mtime
    with suppress(OSError):
        return now - (folder / NOW).stat().st_mtime < SILENT
    return False


def _folders(store: Path) -> list[Path]:
    with suppress(OSError):
        return [path for path in sorted((store / FOLDER).iterdir()) if path.is_dir()]
    return []
