from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from xstilts.runtime import progress
from xstilts.runtime.disk_cache import GIB, DiskCache

MAKE = """
import sys, time
from pathlib import Path
from xstilts.runtime.disk_cache import DiskCache

shelf = DiskCache(Path(sys.argv[1]), 1, "toys")
with shelf.locked("0"):
    if not shelf.find("0.toy"):
        time.sleep(0.2)
        with shelf.locked():
            shelf.place("0.toy", 4, lambda file: file.write(b"toys"))
        print("made")
"""


def put(shelf: DiskCache, name: str, size: int) -> Path | None:
    with shelf.locked():
        return shelf.place(name, size, lambda file: file.write(b"x" * size))


def sizes(shelf: DiskCache) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in shelf.folder.glob("*.*")}


def test_what_was_placed_is_found(tmp_path: Path) -> None:
    shelf = DiskCache(tmp_path / "toys", 1, "toys")
    assert shelf.find("0.toy") is None
    path = put(shelf, "0.toy", 5)
    assert path == shelf.find("0.toy") == tmp_path / "toys" / "0.toy"
    assert path.read_bytes() == b"xxxxx"
    put(shelf, "0.toy", 3)
    assert path.read_bytes() == b"xxx"
    assert sizes(shelf) == {"0.toy": 3}


@settings(max_examples=25, deadline=None)
@given(some.lists(some.tuples(some.sampled_from("abcdef"), some.integers(0, 9), some.booleans()), max_size=24))
def test_the_shelf_never_holds_more_and_keeps_what_was_used_last(events: list[tuple[str, int, bool]]) -> None:
    most, used = 16, list[str]()
    with tempfile.TemporaryDirectory() as folder:
        shelf = DiskCache(Path(folder), most / GIB, "toys")
        for when, (letter, size, only_find) in enumerate(events, start=1):
            name = f"{letter}.toy"
            held = sizes(shelf)
            path = shelf.find(name) if only_find else put(shelf, name, size)
            assert (path is None) == (only_find and name not in held)
            if path is None:
                continue
            os.utime(path, (when, when))
            used = [other for other in used if other != name] + [name]
            kept: list[str] = []
            room = most - sizes(shelf)[name]
            for other in reversed(used[:-1]):
                if held[other] > room and not only_find:
                    break
                room -= held[other]
                kept.append(other)
            used = [*reversed(kept), name] if not only_find else used
            assert sorted(used) == sorted(sizes(shelf))
            assert sum(sizes(shelf).values()) <= most


@pytest.mark.parametrize(("most", "free"), [(3, 1000), (1000, 7)])
def test_what_never_fits_is_not_kept_and_drives_nothing_out(
    most: int, free: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = DiskCache(tmp_path, most / GIB, "toys")
    put(shelf, "0.toy", 2)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    said: list[str] = []
    progress.listen(lambda event: said.append(event.label))
    assert put(shelf, "1.toy", 4) is None
    why = "too many to store" if most < 4 else "more than half of the free disk"
    assert said == [f"toys need 0.0 GiB, {why}: not stored"]
    assert sizes(shelf) == {"0.toy": 2}
    assert put(shelf, "2.toy", 3)


def test_what_is_torn_is_never_found_and_goes(tmp_path: Path) -> None:
    shelf = DiskCache(tmp_path, 1, "toys")

    def fail(file: object) -> None:
        raise OSError("no space left")

    with shelf.locked(), pytest.raises(OSError, match="no space left"):
        shelf.place("0.toy", 5, fail)
    assert shelf.find("0.toy") is None
    assert sizes(shelf) == {"0.part": 0}
    put(shelf, "1.toy", 1)
    assert sizes(shelf) == {"1.toy": 1}


def test_what_is_mapped_outlives_its_file(tmp_path: Path) -> None:
    shelf = DiskCache(tmp_path, 10_000 / GIB, "toys")
    path = put(shelf, "0.toy", 9_000)
    assert path
    mapped = np.memmap(path, dtype=np.uint8, mode="r")
    put(shelf, "1.toy", 9_000)
    assert not path.exists()
    assert (mapped == ord("x")).all()


def test_two_processes_make_a_thing_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MAKE, str(tmp_path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert sorted(process.communicate()[0] for process in running) == ["", "made\n"]
    assert [process.returncode for process in running] == [0, 0]
    assert sizes(DiskCache(tmp_path, 1, "toys")) == {"0.toy": 4}
