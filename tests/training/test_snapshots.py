"""A training with snapshots that is killed anywhere, and run again, ends in the same bytes and leaves nothing over."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from given import lesson
from quick import first
from xstilts.models.encoder import Encoder
from xstilts.runtime.machine import Runtime
from xstilts.store import manifest
from xstilts.store.build import build, is_built
from xstilts.store.stage import Stage, folder_of
from xstilts.training import snapshots
from xstilts.training import train as training
from xstilts.training.checkpoint import Checkpoint
from xstilts.training.recipe import Recipe, Selection

RECIPE = Recipe(learning_rate=1e-2, batch_size=8, steps=20, max_length=24, weight_decay=0.1, snapshots=3)
Place = tuple[Any, str, int]  # an object, the name of its function, and at which call the process is killed
# Snapshots are due at every second step.
PLACES: dict[str, Place] = {
    "between snapshots": (Checkpoint, "save", 9),
    "before a checkpoint counts a snapshot": (Checkpoint, "save", 16),
    "while a snapshot is written": (snapshots, "save_file", 6),
    "before the first folder": (training, "_write_snapshot", 1),
    "while the second folder is written": (training, "save", 3),
    "after the last folder": (snapshots.Snapshots, "finish", 1),
    "while files of weights are removed": (Path, "unlink", 9),
    "after the checkpoint is gone": (manifest, "write", 1),
}


def promise(source: Encoder, recipe: Recipe) -> Stage:
    return training.train(source, (lesson("classification"),), recipe, seed=3)


def machine_of(store: Path, checkpoint_seconds: float = 0.0) -> Runtime:
    return Runtime(store, device="cpu", threads=1, checkpoint_seconds=checkpoint_seconds)


def files(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all files of a training, without its record, which has times."""
    every = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in every.items() if name != manifest.RECORD}


def kill_at(place: Place) -> None:
    """Let this process be killed within a call of a function: when it has written its files, but is not done."""
    owner, name, last = place
    call: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def counted(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls < last:
            return call(*args, **options)
        if name in ("save", "save_file") and owner is not Checkpoint:
            call(*args, **options)  # what is written is there, and half of it
            for path in (value for value in args if isinstance(value, Path)):
                for file in [path] if path.is_file() else [*path.glob("*.safetensors")]:
                    os.truncate(file, file.stat().st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, counted)


def killed(stage: Stage, machine: Runtime, place: Place) -> int | None:
    """Build a stage in a process that is killed; return the signal."""

    def run() -> None:
        torch.set_num_threads(1)
        kill_at(place)
        build(stage, machine)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join()
    return process.exitcode


@pytest.fixture(scope="module")
def whole(families: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    source = Encoder.of(families["xlm-roberta"])
    return files(build(promise(source, RECIPE), machine_of(tmp_path_factory.mktemp("whole"))))


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
@pytest.mark.parametrize("checkpoint_seconds", first(1, [0.0, 1e9]))
@pytest.mark.parametrize("where", first(1, sorted(PLACES, key=lambda where: "while" not in where)))
def test_a_killed_training_has_the_same_snapshots(
    where: str, checkpoint_seconds: float, families: Any, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    """With a checkpoint after each step, and with none, so that all begins again beside what is left."""
    if checkpoint_seconds and PLACES[where][0] is Checkpoint:
        pytest.skip("there is no checkpoint")
    stage = promise(Encoder.of(families["xlm-roberta"]), RECIPE)
    machine = machine_of(tmp_path / "store", checkpoint_seconds)
    assert killed(stage, machine, PLACES[where]) == -signal.SIGKILL
    assert not is_built(stage, machine)
    assert files(build(stage, machine)) == whole
    assert not list(machine.store.glob("*.part"))
    steps = {name.split("/")[1] for name in whole if name.startswith("snapshots/")}
    assert steps == {"00000016", "00000018", "00000020"}


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
@pytest.mark.slow
def test_a_training_killed_twice_with_a_selection_has_the_same_snapshots(families: Any, tmp_path: Path) -> None:
    recipe = replace(RECIPE, selection=Selection(4, 5, 16))
    stage = promise(Encoder.of(families["xlm-roberta"]), recipe)
    expected = files(build(stage, machine_of(tmp_path / "whole")))
    machine = machine_of(tmp_path / "killed")
    for where in ("while a snapshot is written", "while the second folder is written"):
        assert killed(stage, machine, PLACES[where]) == -signal.SIGKILL
    assert files(build(stage, machine)) == expected
    assert folder_of(stage, machine).exists()
