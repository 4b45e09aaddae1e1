"""Hostile archives: cut, flipped, with links, devices, paths that lead out, or a file twice."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from fuzzing import SEED, Lost, Tally, inputs, mutated_bytes

from xstilts.data.dataset import examples
from xstilts.data.readers import Report
from xstilts.tasks.base import task

pytestmark = pytest.mark.chaos
SENTENCES = 30
WORDS = "".join(f"en:w{n}\tO\nen:x\tB-PER\n\n" for n in range(SENTENCES)).encode()
PLAIN, SYMBOLIC, HARD, PIPE, DEVICE = (
    tarfile.REGTYPE,
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.FIFOTYPE,
    tarfile.CHRTYPE,
)
Member = tuple[str, bytes, bytes]
MEMBERS: dict[str, list[Member]] = {
    "good": [("test", WORDS, PLAIN)],
    "leads out": [("../../test", WORDS, PLAIN), ("/etc/test", WORDS, PLAIN), ("./test", WORDS, PLAIN)],
    "link": [("test", b"/etc/passwd", SYMBOLIC)],
    "hard link": [("other", WORDS, PLAIN), ("test", b"/etc/passwd", HARD)],
    "pipe": [("test", b"", PIPE)],
    "device": [("test", b"/dev/zero", DEVICE)],
    "twice": [("test", WORDS, PLAIN), ("test", WORDS.replace(b"en:w", b"en:z"), PLAIN)],
    "empty": [],
    "odd name": [("te\nst", WORDS, PLAIN), ("test", WORDS, PLAIN)],
}


def packed(members: list[Member]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content, kind in members:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(content) if kind == PLAIN else 0
            info.linkname = "" if kind == PLAIN else content.decode()
            tar.addfile(info, io.BytesIO(content) if kind == PLAIN else None)
    return stream.getvalue()


def reading(folder: Path, raw: bytes) -> Callable[[], None]:
    path = folder / "panx_dataset" / "en.tar.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(raw)

    def read() -> None:
        report = Report()
        found = list(examples(task("panx").data("test", "en", folder), folder, report))
        if len(found) != SENTENCES:
            raise Lost(f"{len(found)} of {SENTENCES} sentences, and the report says {report.counts}")

    return read


def test_archives(tmp_path: Path) -> None:
    dice, tally = Random(SEED), Tally("archives")
    cases = {name: packed(members) for name, members in MEMBERS.items()}
    good = cases["good"]
    cases |= {"plain": WORDS, "text": gzip.compress(WORDS), "nothing": b"", "garbage": dice.randbytes(200)}
    for name, raw in cases.items():
        outcome = tally.attempt(reading(tmp_path / name, raw), name)
        assert (outcome == "accepted") == (name in ("good", "odd name")), name
    for number in range(inputs(400)):
        raw = good[: dice.randrange(len(good))] if dice.random() < 0.4 else mutated_bytes(good, dice)
        tally.attempt(reading(tmp_path / str(number), raw), f"archive {number}")
    broken = tally.verdict()
    assert not broken, f"\n{broken}"
