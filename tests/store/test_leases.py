"""One builds a stage at a time on whatever hosts, with whatever locks; who died is taken over, who slept publishes nothing."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from quick import first
from simulated_hosts import LOCKS, ended, start, until
from toy_models import WEIGHTS, data, journal, note, put_machine, study, table, train
from xstilts.errors import InputError
from xstilts.runtime import file_system, whole_files
from xstilts.runtime.file_system import FileSystem, mounted, probe
from xstilts.runtime.machine import Runtime
from xstilts.store import manifest, names
from xstilts.store.build import build, is_built
from xstilts.store.leases import held, held_at_once
from xstilts.store.local_executor import build_all
from xstilts.store.stage import BuildContext, folder_of, stage
from xstilts.store.weights import drop, reading

LEASE = 0.4  # seconds


@pytest.fixture(scope="module", autouse=True)
def unsynced() -> Iterator[None]:
    """Wait for no disk: here processes are killed, not machines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole_files, "sync", lambda path: None)
        yield


@stage(name="long", version=1, resumes=("count",))
def long(site: BuildContext, steps: int) -> None:
    """Count to a number, a hundredth of a second each, and go on where an earlier process stopped."""
    count = site.folder / "count"
    begun = int(count.read_text()) if count.exists() else 0
    note(site, f"from{begun}")
    for step in range(begun, steps):
        new = site.folder / "new"
        new.write_text(str(step + 1))
        new.replace(count)
        time.sleep(0.01)
    note(site, "counted")


def hasty(folder: Path) -> Runtime:
    return replace(put_machine(folder), lease_seconds=LEASE)


def counted(machine: Runtime) -> int:
    path = machine.store.parent / "journal"
    return int((machine.store / f"{folder_of(long(40), machine).name}.part" / "count").exists()) if path.exists() else 0


def left(machine: Runtime) -> set[str]:
    """Return what is in a store beside finished stages, and leases that were not ended."""
    names = {path.name for path in machine.store.iterdir() if path.name not in (".locks", ".builds")}
    alive = {f"lease {path.name}" for path in (machine.store / ".locks" / "leases").iterdir()}
    return {name for name in names if not is_name(name)} | alive


def is_name(name: str) -> bool:
    return len(name.rpartition("-")[2]) == 12


@pytest.mark.parametrize("locks", first(1, reversed(LOCKS)))
def test_eight_processes_of_four_hosts_build_every_stage_once(tmp_path: Path, locks: str) -> None:
    machine, stages = put_machine(tmp_path), study(1)
    work = lambda: build_all(stages, machine)  # noqa: E731
    # Clocks differ by days, and nothing depends on them.
    children = [start(f"host{n % 4}", work, locks, hours=31.0 * (n % 4 - 1), log=tmp_path / "log") for n in range(8)]
    assert [ended(child, 60) for child in children] == [0] * 8
    assert sum(journal(machine).values()) == sum(item.work.name != names.SCORE for item in stages)
    assert all(is_built(item, machine) for item in stages)
    assert left(machine) == set()
    other = put_machine(tmp_path / "other")
    (tmp_path / "other").mkdir()
    build_all(stages, other)
    assert table(stages, machine) == table(stages, other)


@pytest.mark.parametrize(
    ("locks", "host", "waits"),
    [
        *[("shared", "a", False), ("none", "b", True)],
        *(pytest.param(*case, marks=pytest.mark.slow) for case in (("none", "a", False), ("shared", "b", True))),
        pytest.param("own", "b", True, marks=pytest.mark.slow),
    ],
)
def test_a_dead_builder_is_taken_over_at_once_on_its_host_and_after_its_lease_on_another(
    tmp_path: Path, locks: str, host: str, waits: bool
) -> None:
    machine = hasty(tmp_path)
    child = start("a", lambda: build(long(40), machine), locks)
    until(lambda: counted(machine))
    os.kill(child, signal.SIGKILL)
    ended(child)
    began = time.monotonic()
    # Two that wait: one of them builds.
    children = [start(host, lambda: build(long(40), machine), locks, hours=-500.0, log=tmp_path / "log") for _ in "ab"]
    assert [ended(child) for child in children] == [0, 0]
    assert (time.monotonic() - began > LEASE) is waits or not waits
    words = (tmp_path / "journal").read_text().split()
    assert words[0] == "from0"
    assert len(words) == 3
    assert words[1] != "from0"  # the dead builder's checkpoint
    assert is_built(long(40), machine)
    assert left(machine) == set()
    assert ("is taken over" in (tmp_path / "log").read_text()) is waits


@pytest.mark.parametrize("locks", first(1, ["own", "none"]))
def test_a_slow_builder_whose_thread_beats_is_never_taken_over(tmp_path: Path, locks: str) -> None:
    machine = hasty(tmp_path)
    children = [start(host, lambda: build(long(120), machine), locks) for host in "ab"]  # three times the lease
    assert [ended(child) for child in children] == [0, 0]
    assert (tmp_path / "journal").read_text().split() == ["from0", "counted"]


@pytest.mark.parametrize("locks", first(1, ["none", "shared", "own"]))
@pytest.mark.parametrize("host", first(1, "ba"))
def test_a_builder_that_slept_longer_than_its_lease_publishes_nothing(tmp_path: Path, locks: str, host: str) -> None:
    machine = hasty(tmp_path)
    sleeper = start("a", lambda: build(long(40), machine), locks, log=tmp_path / "log")
    until(lambda: counted(machine))
    os.kill(sleeper, signal.SIGSTOP)
    assert ended(start(host, lambda: build(long(40), machine), locks)) == 0
    folder = folder_of(long(40), machine)
    published = folder.stat().st_ino, (folder / manifest.RECORD).read_bytes()
    os.kill(sleeper, signal.SIGCONT)
    assert ended(sleeper) == 0  # it has the result of the other
    assert (folder.stat().st_ino, (folder / manifest.RECORD).read_bytes()) == published
    assert left(machine) == set()
    assert "was taken over by another process" in (tmp_path / "log").read_text()


CHANGES = ("rename", "replace", "unlink", "rmdir", "mkdir")


def stopped_at(number: int) -> None:
    """Let this process stop before the change of this number of what others see."""
    count = 0

    def stopping(real: Callable[..., Any]) -> Callable[..., Any]:
        def change(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGSTOP)
            return real(*arguments, **options)

        return change

    for name in CHANGES:
        setattr(os, name, stopping(getattr(os, name)))


@pytest.mark.parametrize("damaged", [False, *first(0, [True])])
@pytest.mark.parametrize("number", first(2, (7, 6, 8, 9, 10, 1, 2, 3, 4, 5, 11, 12, 13, 14)))
def test_whenever_a_builder_sleeps_one_whole_result_remains(tmp_path: Path, number: int, damaged: bool) -> None:
    """Suspended before any change that it makes on the disk, taken over by another host, and awake again."""
    machine, item = replace(put_machine(tmp_path), lease_seconds=0.2), train("a", data("a"))
    for part in (*item.inputs, item) if damaged else item.inputs:
        build(part, machine)
    if damaged:
        (folder_of(item, machine) / WEIGHTS).unlink()

    def work() -> None:
        stopped_at(number)
        build(item, machine)

    sleeper = start("a", work, "none")
    until(lambda: os.waitpid(sleeper, os.WNOHANG | os.WUNTRACED)[0])
    assert ended(start("b", lambda: build(item, machine), "none")) == 0
    assert is_built(item, machine)
    folder = folder_of(item, machine)
    digest = (folder / WEIGHTS).read_text()
    try:
        os.kill(sleeper, signal.SIGCONT)
        assert ended(sleeper) == 0
    except ProcessLookupError:  # it made fewer changes, and was gone
        pass
    assert is_built(item, machine)
    assert manifest.damaged_files(folder) == []
    assert (folder / WEIGHTS).read_text() == digest
    assert not list(machine.store.glob("*.damaged*"))


def test_weights_that_another_host_reads_are_not_dropped(tmp_path: Path) -> None:
    """Even where the locks of one host are not seen by another."""
    machine, model = put_machine(tmp_path), train("a", data("a"))
    folder = build(model, machine)
    reader = machine.store / "predict-0123456789ab"

    def read() -> None:
        with held(reader, [model.key], LEASE), reading([model], machine):
            time.sleep(60)

    child = start("b", read, "own")
    until(lambda: list((machine.store / ".locks" / "leases").glob("0123456789ab.*")))
    assert drop(folder) == 0
    os.kill(child, signal.SIGKILL)
    ended(child)
    assert drop(folder) == 0  # nobody knows whether the other host's process is alive
    with held(reader):  # which waits for its lease to be over
        pass
    assert drop(folder) > 0


def test_what_is_held_is_not_had_at_once_and_what_was_left_is(tmp_path: Path) -> None:
    folder = tmp_path / "store" / "a-0123456789ab"

    def hold() -> None:
        with held(folder):
            time.sleep(60)

    child = start("a", hold)
    until(lambda: list(folder.parent.glob(".locks/leases/*.1")))
    for host, expected in (("a", False), ("b", False)):

        def ask(expected: bool = expected) -> None:
            with held_at_once(folder) as lease:
                assert (lease is not None) is expected

        assert ended(start(host, ask)) == 0
    os.kill(child, signal.SIGKILL)
    ended(child)
    for host, expected in (("b", False), ("a", True)):

        def ask_again(expected: bool = expected) -> None:
            with held_at_once(folder) as lease:
                assert (lease is not None) is expected

        assert ended(start(host, ask_again)) == 0


def test_a_lease_that_was_cut_short_is_taken_over_after_its_time(tmp_path: Path) -> None:
    machine, item = hasty(tmp_path), data("a")
    leases_of = machine.store / ".locks" / "leases"
    leases_of.mkdir(parents=True)
    (leases_of / f"{item.key}.3").write_bytes(b'{"beats": "00')
    began = time.monotonic()
    build(item, machine)
    assert time.monotonic() - began > LEASE
    assert left(machine) == set()


def test_who_comes_after_a_failed_taker_continues_in_its_folder(tmp_path: Path) -> None:
    machine, folder = hasty(tmp_path), folder_of(long(40), hasty(tmp_path))
    child = start("a", lambda: build(long(40), machine), "none")
    until(lambda: counted(machine))
    os.kill(child, signal.SIGKILL)
    ended(child)
    taker = start("b", lambda: build(long(40), machine), "none")
    until(lambda: len((tmp_path / "journal").read_text().split()) == 2)
    assert (folder.with_name(f"{folder.name}.part2") / "count").exists()
    os.kill(taker, signal.SIGKILL)
    ended(taker)
    assert ended(start("b", lambda: build(long(40), machine), "none")) == 0
    words = (tmp_path / "journal").read_text().split()
    assert [word == "from0" for word in words] == [True, False, False, False]
    assert words[-1] == "counted"
    assert left(machine) == set()


# What a file system can do.


def test_a_local_disk_holds_a_store(tmp_path: Path) -> None:
    assert probe(tmp_path) == FileSystem()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
def test_locks_that_fail_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refused(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refused)
    assert probe(tmp_path) == FileSystem(locks=os.strerror(number))


def test_locks_that_two_can_take_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    assert probe(tmp_path) == FileSystem(locks="two open files can both take a lock")


def test_a_store_on_a_bucket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_open = os.open

    def copied(source: Any, target: Any, **_: Any) -> None:
        if os.path.isdir(source):
            shutil.copytree(source, target)
            shutil.rmtree(source)
        else:
            shutil.copy(source, target)
            os.unlink(source)

    def twice(path: Any, flags: int, *rest: Any, **options: Any) -> int:
        return real_open(path, flags & ~os.O_EXCL, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", copied)
        assert "object by object" in probe(tmp_path).unfit
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", twice)
        assert "created twice" in probe(tmp_path).unfit
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "22 1 0:21 / / rw - ext4 /dev/sda rw\n"
        f"23 1 0:22 / {tmp_path} rw,nosuid shared:9 - fuse.s3fs s3fs rw\n"
        f"24 1 0:23 / {tmp_path}x rw - fuse.rclone r: rw\n"
    )
    assert mounted(tmp_path, mounts) == ("fuse.s3fs", "s3fs")
    assert mounted(tmp_path.parent, mounts) == ("ext4", "/dev/sda")
    monkeypatch.setattr(file_system, "mounted", lambda folder: mounted(folder, mounts))
    machine = put_machine(tmp_path)
    with pytest.raises(InputError, match=r"cannot lie there: it is a mount of s3fs.*give a --store on a local disk"):
        build(data("a"), machine)
    with pytest.raises(InputError, match="cannot lie there"):
        build_all([data("a")], machine)
    assert not list(machine.store.glob("data*"))


def test_a_store_is_tried_once_on_each_host(tmp_path: Path) -> None:
    calls = tmp_path / "calls"

    def work() -> None:
        real = file_system.probe
        file_system.probe = lambda folder: (calls.open("a").write("x"), real(folder))[1]  # type: ignore[func-returns-value]
        build(data(f"a{time.monotonic_ns()}"), put_machine(tmp_path))

    for host, locks in (("a", "shared"), ("a", "shared"), ("b", "none"), ("b", "none")):
        assert ended(start(host, work, locks, log=tmp_path / "log")) == 0
    assert calls.read_text() == "xx"
    notes = [json.loads(path.read_text())["can"]["locks"] for path in (tmp_path / "store" / ".locks").glob("tried-*")]
    assert sorted(notes) == ["", os.strerror(errno.ENOLCK)]
    assert (tmp_path / "log").read_text().count("do not work") == 1
