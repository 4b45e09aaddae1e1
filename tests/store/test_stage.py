from __future__ import annotations

import errno
import hashlib
import io
import json
import multiprocessing
import os
import shutil
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from xstilts.runtime import progress
from xstilts.runtime.machine import Runtime
from xstilts.store.build import build, is_built, missing
from xstilts.store.identity import canonical, identity
from xstilts.store.manifest import RECORD, damaged_files
from xstilts.store.stage import BuildContext, Stage, StageError, folder_of, stage
from xstilts.training.recipe import Recipe

calls: list[str] = []


@stage(name="leaf", version=1, label=lambda text: f"leaf-{text}")
def leaf(site: BuildContext, text: str) -> None:
    calls.append(text)
    (site.folder / "text").write_text(text)


@stage(name="joined", version=1)
def joined(site: BuildContext, parts: tuple[Stage, ...], between: str = " ") -> None:
    calls.append("joined")
    text = between.join((site.path(part) / "text").read_text() for part in parts)
    (site.folder / "text").write_text(text)
    site.record["length"] = len(text)


@stage(name="broken", version=1)
def broken(site: BuildContext, error: str) -> None:
    (site.folder / "half").write_text("half")
    code = getattr(errno, error, None)
    raise OSError(code, os.strerror(code)) if code else RuntimeError(error)


@stage(name="patient", version=1, resumes=True)
def patient(site: BuildContext, upto: int) -> None:
    """Count one further a call, as a training that is killed each time; done at `upto`."""
    count = site.folder / "count"
    reached = int(count.read_text()) + 1 if count.exists() else 1
    count.write_text(str(reached))
    if reached < upto:
        raise KeyboardInterrupt


@stage(name="slow", version=1)
def slow(site: BuildContext, journal: str) -> None:
    import time

    with Path(journal).open("a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(0.5)
    (site.folder / "done").write_text("done")


@pytest.fixture
def machine(tmp_path: Path) -> Runtime:
    calls.clear()
    return Runtime(store=tmp_path / "store")


def test_equal_arguments_have_equal_keys_and_defaults_are_applied() -> None:
    one, other = joined((leaf("a"), leaf("b"))), joined(parts=(leaf("a"), leaf("b")), between=" ")
    assert one.key == other.key
    assert one == other
    assert len({one, other, joined((leaf("a"),))}) == 2


@pytest.mark.parametrize("value", [[1], {1}, object(), Path("x"), b"bytes", print])
def test_what_has_no_stable_identity_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="no stable identity"):
        leaf(value)  # type: ignore[arg-type]


def test_a_field_can_be_kept_out_of_the_identity() -> None:
    @identity("Place", excluded=("path",))
    @dataclass(frozen=True)
    class Place:
        digest: str
        path: str

    assert canonical(Place("d", "/here")) == canonical(Place("d", "/there"))


def test_numbers_that_differ_by_the_last_bit_differ() -> None:
    assert canonical(Recipe(learning_rate=0.1)) != canonical(Recipe(learning_rate=0.1 + 1e-17 + 2e-17))
    assert canonical(1) != canonical(1.0)


def test_a_number_out_of_numpy_is_the_number() -> None:
    assert canonical(np.float64(0.1)) == canonical(0.1)
    with pytest.raises(TypeError, match="no stable identity"):
        canonical(np.int64(1))


def test_the_lock_is_free_when_the_work_is_over_even_if_it_failed(machine: Runtime) -> None:
    build(leaf("a"), machine)
    with pytest.raises(RuntimeError) as caught:
        build(broken("wrong"), machine)
    for promise in (leaf("a"), broken("wrong")):
        FileLock(machine.store / ".locks" / f"{promise.key}.lock").acquire(timeout=0).lock.release()
    assert caught.value  # and nothing that still holds on to the error holds on to the lock


def test_builds_inputs_first_and_everything_once(machine: Runtime) -> None:
    promise = joined((leaf("a"), leaf("b"), leaf("a")))
    assert [item.label for item in missing((promise,), machine)] == ["leaf-a", "leaf-b", "joined"]
    folder = build(promise, machine)
    assert (folder / "text").read_text() == "a b a"
    assert build(promise, machine) == folder
    assert calls == ["a", "b", "joined"]
    assert missing((promise,), machine) == []
    record = json.loads((folder / RECORD).read_text())
    assert record["record"] == {"length": 5}
    assert set(record["inputs"]) == {leaf("a").key, leaf("b").key}


def test_a_failure_leaves_nothing_that_looks_finished(machine: Runtime) -> None:
    with pytest.raises(RuntimeError, match="wrong"):
        build(broken("wrong"), machine)
    assert not is_built(broken("wrong"), machine)
    assert not folder_of(broken("wrong"), machine).exists()


@pytest.mark.parametrize("error", ["ENOSPC", "EDQUOT", "I/O error: No space left on device (os error 28)"])
def test_a_full_disk_says_what_to_do(machine: Runtime, error: str) -> None:
    with pytest.raises(StageError, match=r"no space left.*run again, what is finished stays"):
        build(broken(error), machine)


@pytest.mark.parametrize("error", ["EFBIG", "I/O error: File too large (os error 27)"])
def test_a_limit_of_file_sizes_says_what_to_do(machine: Runtime, error: str) -> None:
    with pytest.raises(StageError, match=r"may be no larger.*ulimit -f.*what is finished stays"):
        build(broken(error), machine)


@pytest.mark.parametrize("name", [RECORD, "text"])
@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES, errno.ESTALE, errno.EMFILE])
def test_a_read_error_that_passes_is_no_damage(
    machine: Runtime, code: int, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, promise = build(leaf("a"), machine), joined((leaf("a"),))
    os.utime(folder / name, (1, 1))  # so that it is read again
    real = io.open

    def failing(file: Any, *rest: Any, **options: Any) -> Any:
        if Path(str(file)) == folder / name:
            raise OSError(code, os.strerror(code), str(file))
        return real(file, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(io, "open", failing)
        for ask in (lambda: build(promise, machine), lambda: missing((promise,), machine)):
            with pytest.raises(StageError, match=rf"{name} cannot be read.*nothing was changed"):
                ask()
    build(promise, machine)
    assert calls == ["a", "joined"]
    assert not list(machine.store.glob("*.damaged*"))


def test_work_that_resumes_finds_what_it_left_and_other_work_does_not(machine: Runtime) -> None:
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            build(patient(3), machine)
    assert (build(patient(3), machine) / "count").read_text() == "3"
    part = folder_of(leaf("x"), machine).with_name(folder_of(leaf("x"), machine).name + ".part")
    part.mkdir(parents=True)
    (part / "rubbish").write_text("left by a killed process")
    assert not (build(leaf("x"), machine) / "rubbish").exists()


@pytest.mark.parametrize("damage", ["cut", "bit", "record", "bit of the record"])
def test_a_damaged_result_is_put_aside_and_built_again(machine: Runtime, damage: str) -> None:
    said: list[str] = []
    progress.listen(lambda event: said.append(event.label))
    folder = build(leaf("text"), machine)
    if damage == "cut":
        (folder / "text").write_text("te")
    elif damage == "bit":
        (folder / "text").write_text("uext")
    elif damage == "record":
        (folder / RECORD).write_text("{")
    else:
        (folder / RECORD).write_text((folder / RECORD).read_text().replace('"version": 1', '"version": 3'))
    assert missing((leaf("text"),), machine) == [leaf("text")]
    assert (build(leaf("text"), machine) / "text").read_text() == "text"
    assert folder.with_name(f"{folder.name}.damaged1").exists()
    assert any("damaged" in line for line in said)


def test_a_file_that_was_deleted_is_just_built_again(machine: Runtime) -> None:
    folder = build(leaf("text"), machine)
    (folder / "text").unlink()
    assert not is_built(leaf("text"), machine)
    assert missing((leaf("text"),), machine) == [leaf("text")]
    assert (build(leaf("text"), machine) / "text").read_text() == "text"
    assert [path.name for path in machine.store.iterdir() if path.name != ".locks"] == [folder.name]


def test_a_changed_byte_is_seen_by_its_digest(machine: Runtime) -> None:
    folder = build(leaf("text"), machine)
    assert damaged_files(folder) == []
    (folder / "text").write_text("tExt")
    assert damaged_files(folder) == ["text"]


def test_two_processes_build_a_stage_once(machine: Runtime, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=build, args=(slow(str(journal)), machine)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(timeout=60)
        assert process.exitcode == 0
    assert len(journal.read_text().splitlines()) == 1


def test_a_stage_survives_pickling_to_a_worker() -> None:
    import pickle

    promise = joined((leaf("a"),))
    assert pickle.loads(pickle.dumps(promise)).key == promise.key


@stage(name="varied", version=2)
def varied(site: BuildContext, value: Any, *, other: Any = 0.1) -> None:
    """A work of one argument by place and one by name only."""


@identity("Around", excluded=("aside",))
@dataclass(frozen=True)
class Around:
    inner: Any
    aside: str = ""


VALUES = [
    *(None, True, 1, 1.0, 0, 0.0, -0.0, "1", "", "\u00e4\ud83d", float("nan"), ()),
    *((1, "1"), {"b": 1, "a": (2.5,)}, Recipe(epochs=3), Recipe(epochs=3.0), Around(Recipe(epochs=1)), leaf("a")),
    *((leaf("a"), leaf("b")), Around(Around((leaf("b"), None))), Around(1, "/here")),
]


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_a_key_is_the_digest_of_the_plain_json(value: Any) -> None:
    """However arguments are given, copied or asked for before: equal ones have the key that is spelled out here."""
    plain = {"work": "varied", "version": 2}
    arguments = {"value": canonical(value)}  # and nothing of `other`, which is at its default
    text = json.dumps({**plain, "arguments": arguments}, sort_keys=True)
    expected = hashlib.sha256(text.encode()).hexdigest()[:12]
    ways = [varied(value), varied(value=value), varied(value, other=0.1), varied(deepcopy(value)), varied(value)]
    assert {promise.key for promise in ways} == {expected}
    assert [promise.inputs for promise in ways] == [ways[0].inputs] * len(ways)


def test_what_is_equal_to_python_and_not_the_same_has_another_key() -> None:
    keys = [varied(value).key for value in VALUES]
    assert len(set(keys)) == len(keys)


def test_a_call_that_does_not_fit_is_refused() -> None:
    for args, kwargs in (((), {}), (((), " ", 1), {}), (((),), {"parts": ()}), (((),), {"site": None})):
        with pytest.raises(TypeError, match="argument"):
            joined(*args, **kwargs)  # type: ignore[arg-type]


def test_labels_are_safe_in_a_path_and_letters_stay_in_every_script() -> None:
    every = [chr(number) for number in range(0x3200)]
    for start in range(0, len(every), 90):
        part = every[start : start + 90]
        assert leaf("".join(part)).label == "leaf-" + "".join(c if c.isalnum() or c in "-_.+" else "_" for c in part)


def test_what_vanishes_or_comes_after_a_plan_is_seen(machine: Runtime) -> None:
    """A plan is one look at the store; the next plan, and every build, looks again."""
    promise = joined((leaf("a"), leaf("b")))
    assert len(missing((promise,), machine)) == 3
    build(leaf("a"), machine)
    assert missing((promise,), machine) == [leaf("b"), promise]
    folder = build(promise, machine)
    assert missing((promise,), machine) == []
    shutil.rmtree(folder)
    shutil.rmtree(folder_of(leaf("b"), machine))
    calls.clear()
    assert not is_built(promise, machine)
    assert (build(promise, machine) / "text").read_text() == "a b"
    assert calls == ["b", "joined"]


def test_only_a_stages_own_folder_counts_in_a_plan(machine: Runtime) -> None:
    folder = build(leaf("a"), machine)
    for name in (f"other-{leaf('a').key}", f"{folder.name}.part", f"{folder.name}.damaged1"):
        folder = folder.rename(folder.with_name(name))
        assert missing((leaf("a"),), machine) == [leaf("a")]
    folder.rename(folder_of(leaf("a"), machine))
    assert missing((leaf("a"),), machine) == []
