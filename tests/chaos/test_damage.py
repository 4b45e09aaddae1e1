"""Cut, changed and deleted files of every kind that a store holds: noticed, named, made again, and nothing else is lost."""

from __future__ import annotations

import errno
import io
import os
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from harness import (
    HERE,
    SHORT,
    Faults,
    call,
    completed,
    differing,
    digests,
    ended,
    killed,
    left,
    make_encoder,
    prepare,
    sha256,
    small_world,
    trials,
)

from toy_models import put_machine, study
from xstilts.runtime import whole_files
from xstilts.store.local_executor import build_all
from xstilts.store.query import FINISHED

pytestmark = pytest.mark.chaos
WAYS = ("cut", "bit", "bits", "empty", "zeros", "other", "deleted")


def damage(path: Path, way: str, draw: random.Random) -> bool:
    """Change a file; return whether its content is another one."""
    before = path.read_bytes()
    content = bytearray(before)
    if way == "deleted":
        path.unlink()
        return True
    if way == "cut":
        content = content[: draw.randrange(len(content) or 1)]
    elif way in ("bit", "bits"):
        for _ in range(1 if way == "bit" else 20):
            if content:
                content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    elif way == "empty":
        content = bytearray()
    elif way == "zeros":
        content = bytearray(len(content))
    else:
        content = bytearray(draw.randbytes(len(content)))
    path.write_bytes(content)
    return bytes(content) != before


def forget(store: Path, path: Path) -> None:
    """Delete what was made from weights that are to be damaged: only who uses weights looks at them."""
    if path.suffix == ".safetensors" and path.parent.name == "model":
        for folder in [*store.glob("predict*"), *store.glob("score*"), *store.glob("train-target*")]:
            if folder not in path.parents:
                shutil.rmtree(folder)


class Trained:
    """A finished run, and one that was killed at a checkpoint."""

    def __init__(self, folder: Path) -> None:
        prepare()
        make_encoder(folder / "encoder")
        self.log, self.store = folder / "log", folder / "store"
        tasks = ("run", "--encoder", folder / "encoder", "--target", "sandbox_ner")
        settings = ("--set", "trainable=top:1", "--set", "steps=12", "--set", "selection=4")
        self.words = (*tasks, *SHORT, *settings, *HERE, "--store", self.store)
        self.finished, self.unfinished = folder / "finished", folder / "unfinished"
        assert self.run()[0] == 0, self.log.read_text()[-2000:]
        self.store.rename(self.finished)
        self.wanted = digests(self.finished)
        for _ in range(20):
            child = call(self.log, *self.words)
            while ended(child, 0.0) is None and not any(self.store.glob("train*.part/checkpoint.safetensors")):
                pass
            killed(child)
            if any(self.store.glob("train*.part/checkpoint.safetensors")):
                break
            shutil.rmtree(self.store)
        self.store.rename(self.unfinished)

    def run(self, before: Any = small_world) -> tuple[int, str]:
        self.log.unlink(missing_ok=True)
        return completed(call(self.log, *self.words, before=before)), self.log.read_text()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained(tmp_path_factory.mktemp("trained"))


def kind(path: Path, store: Path) -> str:
    parts = path.relative_to(store).parts
    stage = parts[0].partition("-")[0] + ("" if FINISHED.search(parts[0]) or parts[0][0] == "." else ".part")
    return f"{stage}/{path.suffix if parts[0][0] == '.' else path.name}"


def test_whatever_file_of_a_run_is_damaged_the_same_bytes_come_back(trained: Trained) -> None:
    counts, unnoticed, faults = Counter[str](), Counter[str](), Faults()
    for number, draw in trials():
        shutil.rmtree(trained.store, ignore_errors=True)
        unfinished = number % 3 == 2
        shutil.copytree(trained.unfinished if unfinished else trained.finished, trained.store)
        if not unfinished and number % 2:  # so that what they are made from is read
            for folder in [*trained.store.glob("predict*"), *trained.store.glob("score*")]:
                shutil.rmtree(folder)
        if not unfinished and number % 6 == 3:  # trained again on the states and tokens of the caches
            shutil.rmtree(next(trained.store.glob("train*")))
        by_kind: dict[str, list[Path]] = {}
        for path in sorted(path for path in trained.store.rglob("*") if path.is_file()):
            by_kind.setdefault(kind(path, trained.store), []).append(path)
        chosen = sorted(by_kind)[draw.randrange(len(by_kind))]
        path, way = draw.choice(by_kind[chosen]), draw.choice(WAYS)
        forget(trained.store, path)
        is_changed = damage(path, way, draw)
        code, text = trained.run()
        counts[chosen] += 1
        differ, remains = differing(trained.wanted, digests(trained.store)), left(trained.store)
        if is_changed and FINISHED.search(path.relative_to(trained.store).parts[0]) and way != "deleted":
            unnoticed[chosen] += "damaged" not in text
            remains = [name for name in remains if ".damaged" not in name]
        if code or differ or remains or "Traceback" in text:
            faults.append((chosen, way, code, differ[:4], remains[:4], text[-1200:]))
        elif trained.run()[0]:
            faults.append((chosen, way, "fails when run again"))
    print(
        f"\ndamage: {sum(counts.values())} trials {dict(counts)}, unnoticed {sum(unnoticed.values())}, faults {len(faults)}"
    )
    assert not faults, faults
    assert not sum(unnoticed.values()), unnoticed


def test_whatever_file_of_a_toy_study_is_damaged_the_same_bytes_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole_files, "sync", lambda path: None)
    stages, machine = study(2), put_machine(tmp_path)
    build_all(stages, machine)
    wanted, unnoticed, faults, count = digests(machine.store), 0, Faults(), 0
    shutil.copytree(machine.store, tmp_path / "finished")
    for _, draw in trials():
        shutil.rmtree(machine.store)
        shutil.copytree(tmp_path / "finished", machine.store)
        files = sorted(path for path in machine.store.rglob("*") if path.is_file())
        path, way = draw.choice(files), draw.choice(WAYS)
        forget(machine.store, path)
        is_changed = damage(path, way, draw)
        count += 1
        build_all(stages, machine)
        differ, remains = differing(wanted, digests(machine.store)), left(machine.store)
        inside = FINISHED.search(path.relative_to(machine.store).parts[0])
        aside = any(".damaged" in name for name in remains)
        unnoticed += bool(inside and is_changed and way != "deleted" and not aside)
        if differ or [name for name in remains if ".damaged" not in name]:
            faults.append((str(path), way, differ[:4], remains[:4]))
    print(f"\ndamage of toy studies: {count} trials, unnoticed {unnoticed}, with faults {len(faults)}")
    assert not faults, faults
    assert not unnoticed


def test_a_read_error_that_passes_is_named_and_nothing_is_trained_again(trained: Trained) -> None:
    """A file that cannot be read at the moment is not damaged: the run ends with its name, or does not need it."""
    counts, faults = Counter[str](), Faults()
    for number, draw in trials():
        shutil.rmtree(trained.store, ignore_errors=True)
        unfinished = number % 2 == 1
        shutil.copytree(trained.unfinished if unfinished else trained.finished, trained.store)
        if not unfinished:
            for folder in [*trained.store.glob("predict*"), *trained.store.glob("score*")]:
                shutil.rmtree(folder)
        error = draw.choice([errno.EIO, errno.ESTALE, errno.EACCES, errno.EMFILE])
        pattern = "train*.part/checkpoint.safetensors" if unfinished else "*-*/*"
        path = draw.choice(sorted(path for path in trained.store.glob(pattern) if path.is_file()))

        def before(path: Path = path, error: int = error) -> None:
            small_world()
            real = io.open

            def failing(file: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
                if isinstance(file, str | os.PathLike) and Path(file) == path and "r" in mode:
                    raise OSError(error, os.strerror(error), str(path))
                return real(file, mode, *rest, **options)

            io.open = failing  # type: ignore[assignment]

        there = {folder.name for folder in trained.store.iterdir() if FINISHED.search(folder.name)}
        digest, step = sha256(path), len(digests(trained.store))
        code, text = trained.run(before)
        counts[f"{kind(path, trained.store)}: exit {code}"] += 1
        aside = [folder.name for folder in trained.store.iterdir() if ".damaged" in folder.name]
        lost = there - {folder.name for folder in trained.store.iterdir()}
        is_kept = (not path.exists() and code == 0) or (path.exists() and sha256(path) == digest)
        if aside or lost or "Traceback" in text or not is_kept or (code and path.name not in text) or not step:
            faults.append((kind(path, trained.store), errno.errorcode[error], code, aside, lost, text[-1200:]))
            continue
        code, text = trained.run()
        if code or differing(trained.wanted, digests(trained.store)) or left(trained.store):
            faults.append((kind(path, trained.store), "then", code, text[-1200:]))
    print(f"\nread errors that pass: {sum(counts.values())} trials {dict(counts)}, with faults {len(faults)}")
    assert not faults, faults
