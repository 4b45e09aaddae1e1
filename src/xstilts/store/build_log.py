"""Builds: what work in progress leaves in its store for those who watch, and how they read it.

A build is a folder `.builds/<host>-<process>-<time>/`: `asked.json`, written once, says what is asked for; `now.json`,
replaced while things change, what is in the works and what failed; `lock` is held for as long as the process lives,
however that ends. A build whose stages all came about leaves nothing; one that failed or was killed leaves what it
said, which no result rests on and which may be deleted at any time.

    with noted(todo, machine) as note:
        note.begin(todo[:1])
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xstilts.runtime import progress
from xstilts.runtime.machine import Runtime
from xstilts.runtime.progress import Event
from xstilts.store import manifest
from xstilts.store.identity import canonical
from xstilts.store.stage import Stage

FOLDER, ASKED, NOW, LOCK = ".builds", "asked.json", "now.json", "lock"
EVERY = 1.0  # seconds between two versions of what is happening
KEPT = 7 * 24 * 3600.0  # seconds after which nobody asks what became of a build


@dataclass
class BuildLog:
    """What a build says of itself; it is written beside the work, which never waits for it."""

    keys: frozenset[str]
    running: dict[str, float] = field(default_factory=dict)  # by key when it was begun
    failed: dict[str, str] = field(default_factory=dict)  # by key why; "" where something needed failed
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    ended: float | None = None

    def begin(self, items: Sequence[Stage]) -> None:
        """Say that stages are in the works."""
        self.running = self.running | {item.key: time.time() for item in items}

    def end(self, item: Stage) -> None:
        """Say that a stage is no longer in the works."""
        self.running = {key: since for key, since in self.running.items() if key != item.key}
        self.steps = {key: step for key, step in self.steps.items() if key != item.key}

    def fail(self, item: Stage, reason: str) -> None:
        """Say that a stage could not be built, and why; "" where something that it needs could not."""
        self.end(item)
        self.failed[item.key] = reason

    def hear(self, event: Event) -> None:
        """Take from an event of work how far a stage is; its label is the stage's folder."""
        key = event.label.rpartition("-")[2]
        if key in self.keys and event.total:
            step = {"done": event.done, "total": event.total, "detail": event.detail, "at": time.time()}
            self.steps = self.steps | {key: step}

    def said(self) -> str:
        """Return all of it as JSON; another thread may, since no field is changed while it is copied or read."""
        now = {"running": self.running, "failed": dict(self.failed), "steps": self.steps, "ended": self.ended}
        return json.dumps(now, ensure_ascii=False)


@dataclass(frozen=True)
class BuildStatus:
    """A build as those see it who watch. stages: by key the label and the work's name; arguments: of trainings."""

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


@contextmanager
def noted(todo: Sequence[Stage], machine: Runtime) -> Iterator[BuildLog]:
    """Leave word of a build in the store while it goes on; where that cannot be written, go on without."""
    note, folder = BuildLog(frozenset(item.key for item in todo)), None
    with ExitStack() as open_:
        if todo:
            with suppress(OSError):
                folder = _begin(todo, machine, open_)
        if folder:
            open_.enter_context(_kept(note, folder))
            open_.enter_context(progress.overheard(note.hear))
        yield note
    if folder and not note.failed:
        shutil.rmtree(folder, ignore_errors=True)


def read(store: Path) -> list[BuildStatus]:
    """Return the builds that left word in a store, the oldest first; what cannot be read is none."""
    found = []
    for folder in _folders(store):
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            found.append(_read(folder))
    return sorted(found, key=lambda build: build.started)


def _begin(todo: Sequence[Stage], machine: Runtime, open_: ExitStack) -> Path:
    host = re.sub(r"\W", "_", socket.gethostname())
    folder = machine.store / FOLDER / f"{host}-{os.getpid()}-{time.time_ns()}"
    folder.mkdir(parents=True)
    lock = open_.enter_context((folder / LOCK).open("w"))
    with suppress(OSError):  # on a file system without locks it is taken for alive until it ends
        fcntl.flock(lock, fcntl.LOCK_EX)
    for old in _folders(machine.store):
        if not _alive(old) and time.time() - old.stat().st_mtime > KEPT:
            shutil.rmtree(old, ignore_errors=True)
    asked = {
        "started": time.time(),
        "workers": max(1, machine.workers),
        "stages": {item.key: (item.label, item.work.name) for item in todo},
        "arguments": {item.key: canonical(item.arguments) for item in todo if item.work.resumes},
    }
    manifest.replaced(folder / ASKED, json.dumps(asked, ensure_ascii=False))
    return folder


@contextmanager
def _kept(note: BuildLog, folder: Path) -> Iterator[None]:
    """Write what a note says whenever it has changed, from a thread of its own, and at the end."""
    over, written = threading.Event(), ""

    def write() -> None:
        nonlocal written
        with suppress(OSError):
            if (said := note.said()) != written:
                manifest.replaced(folder / NOW, said)
                written = said

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
        note.ended = time.time()
        write()


def _read(folder: Path) -> BuildStatus:
    alive = _alive(folder)  # before the rest: what ends meanwhile has said so
    asked = json.loads((folder / ASKED).read_bytes().decode())
    now: dict[str, Any] = {"running": {}, "failed": {}, "steps": {}, "ended": None}
    with suppress(FileNotFoundError):
        now |= json.loads((folder / NOW).read_bytes().decode())
    stages = {key: (label, work) for key, (label, work) in asked["stages"].items()}
    said = {name: now[name] for name in ("running", "failed", "steps", "ended")}
    begun = folder.name, asked["started"], asked["workers"], stages, asked["arguments"]
    return BuildStatus(*begun, **said, alive=alive and now["ended"] is None)


def _alive(folder: Path) -> bool:
    """Say whether the process of a build lives: nobody else holds its lock. Two who ask do not disturb each other."""
    try:
        with (folder / LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _folders(store: Path) -> list[Path]:
    with suppress(OSError):
        return [path for path in sorted((store / FOLDER).iterdir()) if path.is_dir()]
    return []
