"""Full disks, full tables of inodes, limits of file sizes, read-only disks: said in words, and continued to the same bytes."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import (
    Faults,
    Words,
    call,
    completed,
    differing,
    digests,
    left,
    make_encoder,
    prepare,
    short_run,
    small_world,
    trials,
)

pytestmark = pytest.mark.chaos
ROOM = "size=64m,nr_inodes=100000"


class Disk:
    """A small disk of its own, where this process may mount one; else a folder, for which only sizes of files are limited."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.is_mounted = os.geteuid() == 0 and self._mounted(ROOM)

    def _mounted(self, options: str) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.folder)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def remount(self, options: str) -> None:
        if self.is_mounted:
            subprocess.run(["mount", "-o", f"remount,{options}", str(self.folder)], check=True)

    def begin(self, options: str = ROOM) -> None:
        """Empty the disk, and give it a size."""
        if self.is_mounted:
            self.end()
            assert self._mounted(options)
        else:
            shutil.rmtree(self.folder)
            self.folder.mkdir()

    def end(self) -> None:
        if self.is_mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=False)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made = Disk(tmp_path / "disk")
    yield made
    made.end()


@pytest.fixture
def words(disk: Disk, tmp_path: Path) -> Words:
    prepare()
    make_encoder(tmp_path / "encoder")
    settings = ("--set", "trainable=top:1", "--set", "steps=8")
    return short_run(tmp_path / "encoder", disk.folder / "store", *settings)


def run(words: Words, log: Path, limit: int = 0) -> tuple[int, str]:
    def before() -> None:
        small_world()
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    log.unlink(missing_ok=True)
    return completed(call(log, *words, before=before)), log.read_text()


def test_a_full_disk_is_named_and_with_room_the_run_goes_on_to_the_same_bytes(
    disk: Disk, words: Words, tmp_path: Path
) -> None:
    log, store = tmp_path / "log", disk.folder / "store"
    assert run(words, log)[0] == 0, log.read_text()[-2000:]
    wanted = digests(store)
    paths = [path for path in store.rglob("*") if path.is_file()]
    size, files = sum(path.stat().st_size for path in paths), sum(1 for _ in store.rglob("*"))
    largest, counts, faults = max(path.stat().st_size for path in paths), Counter[str](), Faults()
    for _, draw in trials():
        way = draw.choice(["size", "size", "inodes", "file size"] if disk.is_mounted else ["file size"])
        limit = int(largest * draw.uniform(0.01, 1.2)) if way == "file size" else 0
        options = f"size={max(8, int(size / 1024 * draw.uniform(0.02, 1.3)))}k,nr_inodes=100000"
        disk.begin({"size": options, "inodes": f"size=64m,nr_inodes={draw.randint(3, files + 40)}"}.get(way, ROOM))
        code, text = run(words, log, limit)
        before = digests(store)
        is_named = code == 0 or "no space left" in text or "may be no larger" in text or "No space left" in text
        disk.remount(ROOM)
        again, later = run(words, log)
        counts[f"{way}: exit {code}"] += 1
        lost = [name for name, digest in before.items() if digests(store).get(name) != digest]
        differ, remains = differing(wanted, digests(store)), left(store)
        if not is_named or "Traceback" in text + later or again or differ or remains or lost:
            faults.append((way, code, is_named, again, differ[:4], remains[:4], lost[:4], text[-900:], later[-600:]))
    print(f"\nfull disks: {sum(counts.values())} trials {dict(counts)}, with faults {len(faults)}")
    assert not faults, faults


def test_on_a_disk_that_became_read_only_what_is_finished_is_read_and_the_rest_refused(
    disk: Disk, words: Words, tmp_path: Path
) -> None:
    if not disk.is_mounted:
        pytest.skip("needs a disk of its own, which root may mount")
    log = tmp_path / "log"
    assert run(words, log)[0] == 0, log.read_text()[-2000:]
    wanted = digests(disk.folder / "store")
    subprocess.run(["mount", "-o", "remount,ro", str(disk.folder)], check=True)
    assert run(words, log)[0] == 0, log.read_text()[-2000:]
    code, text = run((*words, "--set", "steps=9"), log)
    assert (code, "cannot be written" in text, "Traceback" in text) == (2, True, False), text
    subprocess.run(["mount", "-o", "remount,rw", str(disk.folder)], check=True)
    assert differing(wanted, digests(disk.folder / "store")) == []
