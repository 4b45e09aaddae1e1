"""Leases: who builds a stage, so that processes of any host can tell whether the builder lives.

A lock of the operating system costs microseconds and ends with its process, but it may be missing on a network file
system, or be seen by one host alone. So who holds a stage's lock also writes a lease: a small file with host, process,
a random token and a counter, which a thread raises every few seconds. Three rules decide.

- A lease is free when its process has ended, which the operating system says on the same host. Of any other holder
  nothing is believed but the counter: when it has not changed for the lease's time by the clock of who waits, the lease
  is taken over. No clocks of two hosts are compared, and no times of files.
- Leases of a stage are numbered, and a number is created exclusively: of all who want to take over, one does.
- Who was taken over without having ended (a suspended process, a host that lost its network) publishes nothing: its
  folder is renamed before the next one begins, so that the rename by which it would publish finds nothing to rename.

    with held(folder, inputs=keys) as lease:
        ...  # fill lease.part
        lease.require()
        lease.part.rename(folder)
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from xstilts.errors import InputError
from xstilts.runtime import file_system, progress
from xstilts.runtime.file_system import FileSystem

LOCKS, LEASES, PART = ".locks", "leases", ".part"
SECONDS = 60.0  # of silence after which a lease is taken over
BEATS = 12  # beats of the counter in this time
POLL, LONGEST_POLL = 0.05, 0.5  # seconds between two tries
BOOT, OWN_PIDS = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")


class LeaseTaken(RuntimeError):
    """Another process took the lease over, because nothing was heard of this one for the lease's time."""


@dataclass(frozen=True)
class Process:
    """A process, as other hosts can tell it from any other.

    Attributes:
        host: Name of its host.
        boot: What the host's system calls its present run; "" where it says none.
        pids: The name space of process numbers, as of a container; "" where the system has none.
        pid: Its number.
        start: When it started, in ticks since the boot; "" where the system does not say.
    """

    host: str
    boot: str
    pids: str
    pid: int
    start: str


def this_process() -> Process:
    """Return the running process."""
    return _process(os.getpid())


@dataclass
class Lease:
    """A lease that this process holds.

    Attributes:
        folder: The folder of the stage.
        number: Its number, one more than that of the lease before.
        facts: What its file says, but for the counter.
        beats: The counter.
        part: The folder in which the stage is built.
    """

    folder: Path
    number: int
    facts: dict[str, Any]
    beats: int = 0
    part: Path = field(init=False)
    _writing: threading.Lock = field(default_factory=threading.Lock)
    _has_ended: bool = False

    def __post_init__(self) -> None:
        self.part = self.folder.with_name(self.facts["part"])

    @property
    def path(self) -> Path:
        """The file."""
        return _file(self.folder, self.number)

    def text(self, **facts: Any) -> bytes:
        """Return what the file has to say.

        Args:
            facts: What changes of its facts.
        """
        return json.dumps({"beats": f"{self.beats:012}", **self.facts, **facts}, ensure_ascii=False).encode() + b"\n"

    def is_own(self) -> bool:
        """Return whether the lease is still this process's.

        Raises:
            OSError: Its file cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                return self.facts["token"].encode() in file.read() and not _file(self.folder, self.number + 1).exists()
        except FileNotFoundError:
            return False

    def is_taken(self) -> bool:
        """Return whether another process has certainly taken the lease over."""
        try:
            return not self.is_own()
        except OSError:
            return False

    def require(self) -> None:
        """Refuse to go on without the lease.

        Raises:
            LeaseTaken: Another process has it.
            OSError: Its file cannot be read.
        """
        if not self.is_own():
            raise LeaseTaken(f"another process builds {self.folder.name}")

    def beat(self) -> None:
        """Raise the counter, unless the lease was taken over."""
        # An error of the disk may pass before the time is up.
        with self._writing, suppress(OSError), self.path.open("r+b") as file:
            if not self._has_ended and self.facts["token"].encode() in file.read():
                self.beats += 1
                file.seek(0)
                file.write(self.text())

    def release(self) -> None:
        """End the lease; who comes next continues in the same folder, if one is left that is not the usual one."""
        with self._writing, suppress(OSError):
            self._has_ended = True
            if self.facts["pid"] != this_process().pid or not self.is_own():  # a forked child ends nothing
                return
            if self.facts["part"] != self.folder.name + PART and self.part.exists():
                self.path.write_bytes(self.text(released=True))
            else:
                self.path.unlink()


def require_store(store: Path) -> FileSystem:
    """Return what a store's file system can do, as tried once on each host.

    Args:
        store: An existing folder.

    Raises:
        InputError: It cannot hold stages: it renames folders piece by piece, or creates files twice.
        OSError: Nothing can be written there, or the disk is full.
    """
    tried = _tried(store.absolute(), this_process())
    if tried.unfit:
        raise InputError(
            f"the store {store} cannot lie there: {tried.unfit}; give a --store on a local disk, NFS or Lustre, and "
            "copy finished stages with `xstilts store export`"
        )
    return tried


@contextmanager
def held(folder: Path, inputs: Collection[str] = (), seconds: float = SECONDS) -> Iterator[Lease]:
    """Hold a stage within this context: no other process of any host builds it or deletes its files.

    Args:
        folder: The folder of the stage.
        inputs: Keys of the stages whose files are read meanwhile.
        seconds: Others may take the lease over when they have seen no beat for this long.

    Yields:
        The lease.

    Raises:
        InputError: The file system cannot hold a store.
        OSError: Lease or lock cannot be written.
    """
    with _Lock(folder) as lock:
        lease = _acquired(folder, lock, inputs, seconds, wait=True)
        assert lease is not None
        with _beating(lease):
            yield lease


@contextmanager
def held_at_once(folder: Path) -> Iterator[Lease | None]:
    """As `held`, where it can be had without waiting.

    Args:
        folder: The folder of the stage.

    Yields:
        The lease; None where another process holds it, or may.
    """
    with _Lock(folder) as lock:
        lease = _acquired(folder, lock, (), SECONDS, wait=False)
        if lease is None:
            yield None
            return
        with _beating(lease):
            yield lease


def away(store: Path, keys: Collection[str]) -> Iterator[str]:
    """Yield which stages processes of other hosts hold, by leases that were not ended.

    Args:
        store: Folder of the store.
        keys: Keys of stages.
    """
    for name in _names(store):
        if (key := name.partition(".")[0]) in keys and _is_elsewhere(_read(store, name)):
            yield key


def read_elsewhere(folder: Path) -> bool:
    """Return whether a process of another host reads the files of a stage, by the leases of what is made from it.

    Args:
        folder: The folder of the stage.
    """
    key = _key(folder)
    leases = (_read(folder.parent, name) for name in _names(folder.parent))
    return any(_is_elsewhere(facts) and key in facts.get("inputs", ()) for facts in leases)


class _Lock:
    """The lock of the operating system on a stage, where it works: with it no other process of this host is alive."""

    def __init__(self, folder: Path) -> None:
        (folder.parent / LOCKS / LEASES).mkdir(parents=True, exist_ok=True)
        self.works = not require_store(folder.parent).locks
        self.is_held = False
        self._lock = FileLock(folder.parent / LOCKS / f"{_key(folder)}.lock")

    def __enter__(self) -> _Lock:
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_held:
            self._lock.release()

    def take(self) -> bool:
        """Take the lock if it is free; return whether it is held."""
        if self.works and not self.is_held:
            with suppress(Timeout):
                self._lock.acquire(timeout=0)
                self.is_held = True
        return self.is_held


def _acquired(folder: Path, lock: _Lock, inputs: Collection[str], seconds: float, wait: bool) -> Lease | None:
    """Take a lease as soon as it is free; None where it is not and nobody waits."""
    text, since, delay, look, is_noted = b"", 0.0, POLL, 0.0, False
    while True:
        now = time.monotonic()  # before the file is read: what is read later may be newer, never older
        if lock.take() or not lock.works or now >= look or not wait:
            look = now + min(1.0, seconds / BEATS)
            number, latest = _latest(folder)
            if latest != text or not since:
                text, since = latest, now
            facts = _facts(text)
            is_free = not number or bool(facts.get("released")) or _has_ended(facts, lock.is_held)
            is_silent = now - since >= float(facts.get("seconds") or seconds)
            if (is_free and (lock.is_held or not lock.works)) or (number and is_silent):
                lease = _claimed(folder, number, facts, is_free, lock, inputs, seconds)
                if lease:
                    return lease
        if not wait:
            return None
        if not is_noted:
            progress.note(f"another process is building {folder.name}: waiting for it")
            is_noted = True
        time.sleep(delay)
        delay = POLL if lock.works else min(LONGEST_POLL, 1.2 * delay)


def _claimed(
    folder: Path,
    number: int,
    before: Mapping[str, Any],
    is_free: bool,
    lock: _Lock,
    inputs: Collection[str],
    seconds: float,
) -> Lease | None:
    """Create the lease after one that is free or silent; None where another process was faster."""
    usual = folder.name + PART
    part, moved = (name if name.startswith(usual) else "" for name in (before.get("part", ""), before.get("moved", "")))
    part = part or usual
    if not is_free:  # who was silent may still write to its folder
        part, moved = f"{usual}{number + 1}", part
    about = {"token": secrets.token_hex(8), "seconds": seconds, "locked": lock.is_held, "part": part, "moved": moved}
    lease = Lease(folder, number + 1, {**about, "inputs": [*inputs], **asdict(this_process())})
    try:
        descriptor = os.open(lease.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(lease.text())
        numbers = _numbers(folder)
        now = _facts(_content(_file(folder, number))) if number else {}
    except BaseException:
        lease.path.unlink(missing_ok=True)
        raise
    # Meanwhile another may have taken over, finished, and begun again with the first number.
    if max(numbers, default=0) != lease.number or now.get("token", before.get("token")) != before.get("token"):
        lease.path.unlink(missing_ok=True)
        return None
    for earlier in numbers:
        if earlier < lease.number:
            _file(folder, earlier).unlink(missing_ok=True)
    if moved and not lease.part.exists():
        with suppress(FileNotFoundError):
            folder.with_name(moved).rename(lease.part)
    if not is_free:
        silent = f"process {before.get('pid', '?')} on {before.get('host', 'an unknown host')}"
        progress.note(f"{folder.name} is taken over: nothing was heard of {silent}")
    return lease


def _has_ended(facts: Mapping[str, Any], is_locked: bool) -> bool:
    """Return whether the holder of a lease has certainly ended; `is_locked`: this process has the stage's lock."""
    me = this_process()
    if (facts.get("host"), facts.get("boot")) != (me.host, me.boot):
        return False
    if facts.get("pids") != me.pids or not facts.get("start"):
        return is_locked and bool(facts.get("locked"))  # the system took the lock away from it
    if facts.get("pid") == me.pid and facts["start"] == me.start:
        return facts.get("token") not in _HEART.held
    return not _is_running(int(facts["pid"]), facts["start"])


def _is_running(pid: int, start: str) -> bool:
    """Return whether a process of this host is running, and not another one of the same number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    state = _state(pid)
    return not state or (state[1] == start and state[0] not in "ZX")


def _state(pid: int) -> tuple[str, ...]:
    """Return a process's state and start, as Linux says it; nothing where it does not."""
    with suppress(OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return fields[0], fields[19]
    return ()


def _is_elsewhere(facts: Mapping[str, Any]) -> bool:
    me = this_process()
    others = (facts.get("host"), facts.get("boot")) != (me.host, me.boot)
    return bool(facts.get("token")) and not facts.get("released") and others


@cache
def _process(pid: int) -> Process:
    boot = pids = ""
    with suppress(OSError):
        boot, pids = BOOT.read_text(encoding="ascii").strip(), os.readlink(OWN_PIDS)
    state = _state(pid) if sys.platform == "linux" else ()
    return Process(socket.gethostname(), boot, pids, pid, state[1] if state else "")


@cache
def _tried(store: Path, process: Process) -> FileSystem:
    """Return what a store's file system can do, from the store or tried and noted there."""
    # A file for each host: where one mounts what another has on its disk, they differ.
    place = {"host": process.host, "boot": process.boot, "device": store.stat().st_dev}
    name = "".join(character if character.isalnum() or character in "-." else "_" for character in process.host)
    path = store / LOCKS / f"tried-{name}.json"
    with suppress(OSError, ValueError, TypeError, KeyError):
        noted = json.loads(path.read_bytes().decode())
        if noted["place"] == place:
            return FileSystem(**noted["can"])
    path.parent.mkdir(parents=True, exist_ok=True)
    can = file_system.probe(path.parent)
    if can.locks and not can.unfit:
        progress.note(
            f"the locks of {store} do not work ({can.locks}): builders keep each other out by leases, and one that "
            "dies on another host is taken over when its lease is over"
        )
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    new.write_text(json.dumps({"place": place, "can": asdict(can)}), encoding="utf-8")
    new.replace(path)
    return can


def _key(folder: Path) -> str:
    return folder.name.rpartition("-")[2]


def _file(folder: Path, number: int) -> Path:
    return folder.parent / LOCKS / LEASES / f"{_key(folder)}.{number}"


def _names(store: Path) -> list[str]:
    try:
        return os.listdir(store / LOCKS / LEASES)
    except FileNotFoundError:
        return []


def _numbers(folder: Path) -> list[int]:
    """Return the numbers of a stage's leases."""
    key = f"{_key(folder)}."
    numbers = (name.removeprefix(key) for name in _names(folder.parent) if name.startswith(key))
    return [int(number) for number in numbers if number.isdecimal()]


def _latest(folder: Path) -> tuple[int, bytes]:
    """Return the number and the content of a stage's latest lease; 0 where there is none."""
    number = max(_numbers(folder), default=0)
    return number, _content(_file(folder, number)) if number else b""


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""  # ended meanwhile


def _facts(text: bytes) -> dict[str, Any]:
    """Return what a lease says; nothing where its writer was killed before it had written, or the file is damaged."""
    try:
        facts: dict[str, Any] = json.loads(text.decode())
        words = all(
            isinstance(facts[name], str) for name in ("token", "part", "moved", "host", "boot", "pids", "start")
        )
        others = isinstance(facts["pid"], int) and isinstance(facts["inputs"], list) and float(facts["seconds"]) > 0
        return facts if words and others else {}
    except (ValueError, KeyError, TypeError):
        return {}


def _read(store: Path, name: str) -> dict[str, Any]:
    return _facts(_content(store / LOCKS / LEASES / name))


class _Heart:
    """One thread that beats all leases of this process."""

    def __init__(self) -> None:
        self.held: dict[str, Lease] = {}
        self._changed = threading.Condition()
        self._pause: float | None = None  # seconds between beats; None: the thread waits for a lease
        self._thread: threading.Thread | None = None

    def add(self, lease: Lease) -> None:
        """Beat a lease from now on."""
        with self._changed:
            self.held[lease.facts["token"]] = lease
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
                self._thread.start()
            elif self._pause is None or self._pause > lease.facts["seconds"] / BEATS:
                self._changed.notify()

    def remove(self, lease: Lease) -> None:
        """Beat a lease no more."""
        with self._changed:
            self.held.pop(lease.facts["token"], None)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._pause = min((lease.facts["seconds"] / BEATS for lease in self.held.values()), default=None)
                self._changed.wait(self._pause)
                leases = list(self.held.values())
            for lease in leases:
                lease.beat()


_HEART = _Heart()


def _forget() -> None:
    """Let a forked child begin anew: it holds no lease of its parent, and the parent's thread is not there."""
    global _HEART
    _HEART = _Heart()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@contextmanager
def _beating(lease: Lease) -> Iterator[None]:
    """Beat a lease within this context, and end it then."""
    _HEART.add(lease)
    try:
        yield
    finally:
        _HEART.remove(lease)
        lease.release()  # before the lock is given back, so that who gets it finds no lease
