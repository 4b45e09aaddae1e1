"""Weights are dropped and come back: the same tables whatever is missing, whoever is killed, and with two processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quick import first
from toy_models import WEIGHTS, data, journal, predict, put_machine, study, table, train, weights
from xstilts.errors import InputError
from xstilts.runtime import whole_files
from xstilts.store import manifest, names, pins
from xstilts.store import weights as store_weights
from xstilts.store.build import build, is_built, missing
from xstilts.store.leases import held
from xstilts.store.local_executor import build_all
from xstilts.store.manifest import damaged_files, dropped, read
from xstilts.store.stage import folder_of
from xstilts.store.weights import drop, reading


def run(machine: Any, stages: Any = None) -> int:
    stages = stages or study()
    return build_all(stages, machine, keep=stages)


@pytest.fixture(scope="module", autouse=True)
def unsynced() -> Iterator[None]:
    """Wait for no disk: here processes are killed, not machines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole_files, "sync", lambda path: None)
        yield


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which everything is finished and nothing was dropped."""
    folder = tmp_path_factory.mktemp("full")
    run(put_machine(folder))
    return folder


def test_what_is_dropped_leaves_the_record_and_is_built_again_where_it_is_needed(tmp_path: Path) -> None:
    machine = put_machine(tmp_path)
    model, gold = train("a", data("a")), data("gold")
    folder = build(model, machine)
    before, digest, text = read(folder), manifest.digest(folder), (folder / WEIGHTS).read_text()
    assert drop(folder) == len(text)
    assert not (folder / WEIGHTS).exists()
    after = read(folder)
    assert dropped(after) == (WEIGHTS,)
    assert {name: value for name, value in after.items() if name != "dropped"} == before
    assert manifest.digest(folder) == digest
    assert is_built(model, machine)
    assert damaged_files(folder) == []
    assert missing((model,), machine) == []
    assert missing((predict(model, gold),), machine) == [model, gold, predict(model, gold)]
    with pytest.raises(InputError, match=r"weights of train-a-\w+ were dropped.*delete .* and run"):
        manifest.refuse_dropped(folder / "model")
    build(predict(model, gold), machine)
    assert (folder / WEIGHTS).read_text() == text
    assert dropped(read(folder)) == ()
    assert not [path.name for path in machine.store.iterdir() if "damaged" in path.name or "replaced" in path.name]
    assert drop(folder) == len(text)
    assert drop(folder) == 0


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("keep", "left"), [("none", set()), ("intermediate", {"train-middle"})])
def test_a_study_drops_what_nothing_needs_any_more(
    tmp_path: Path, full: Path, keep: str, left: set[str], workers: int
) -> None:
    machine = put_machine(tmp_path, keep, workers)
    count = run(machine)
    assert weights(study(), machine) == left
    assert sum(journal(machine).values()) == sum(item.work.name != names.SCORE for item in study())  # each once
    assert table(study(), machine) == table(study(), put_machine(full))
    assert run(machine) == 0
    assert count == len(study())
    assert missing(tuple(study()), machine) == []


def test_weights_go_as_soon_as_nothing_needs_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine, most = put_machine(tmp_path, "none"), []
    after = store_weights.Dropping.after

    def counted(self: store_weights.Dropping, stage: Any) -> None:
        most.append(len(list(machine.store.glob(f"train*/{WEIGHTS}"))))
        after(self, stage)

    monkeypatch.setattr(store_weights.Dropping, "after", counted)
    run(machine, study(6))
    assert max(most) <= 3  # the intermediate training, a target and the one that is just finished


def test_an_earlier_store_is_swept_and_pins_are_kept(tmp_path: Path) -> None:
    run(put_machine(tmp_path))
    machine, middle = put_machine(tmp_path, "none"), train("middle", data("middle"))
    pins.add(machine.store, middle.key)
    assert run(machine) == 0
    assert weights(study(), machine) == {"train-middle"}
    pins.remove(machine.store, middle.key)
    run(machine)
    assert weights(study(), machine) == set()


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_whatever_is_deleted_or_dropped_the_same_tables_come_back(full: Path, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as place:
        shutil.copytree(full / "store", Path(place) / "store", ignore=shutil.ignore_patterns(".builds"))
        machine = put_machine(Path(place), data.draw(st.sampled_from(["all", "intermediate", "none"])))
        stages = study()
        for item in data.draw(st.lists(st.sampled_from(stages), max_size=8)):
            folder = folder_of(item, machine)
            how = data.draw(st.sampled_from(["folder", "file", "drop", "bit", "cut"]))
            files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.exists() else []
            if how == "folder":
                shutil.rmtree(folder, ignore_errors=True)
            elif how == "drop":
                drop(folder)
            elif files:
                path = data.draw(st.sampled_from(files))
                content = bytearray(path.read_bytes())
                if how == "file":
                    path.unlink()
                elif content and how == "bit":
                    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
                    path.write_bytes(content)
                elif content:
                    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
        expected = [item.key for item in missing(tuple(stages), machine)]
        run(machine)
        assert table(stages, machine) == table(stages, put_machine(full))
        assert missing(tuple(stages), machine) == []
        assert all(is_built(item, machine) for item in stages)
        assert all(not damaged_files(folder_of(item, machine)) for item in stages if item.label in expected)


def test_what_another_build_reads_is_not_dropped(tmp_path: Path) -> None:
    machine = put_machine(tmp_path)
    model = train("a", data("a"))
    folder = build(model, machine)
    with reading([model], machine):
        assert drop(folder) == 0
    with held(folder):
        other = subprocess.run(
            [
                sys.executable,
                "-c",
                f"from pathlib import Path\nfrom xstilts.store.weights import drop\nprint(drop(Path({str(folder)!r})))",
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        assert other.stdout == "0\n"
    assert drop(folder) > 0


def in_child(work: Any) -> int:
    """Run something in a forked child; return its exit code."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


STEPS = ("rename", "replace", "unlink", "rmdir")


def killed_at(number: int) -> None:
    """Let this process die just before the operation of this number on the disk, of those that change what others see."""
    count = 0

    def dying(real: Any) -> Any:
        def operation(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count == number:
                os._exit(77)
            return real(*arguments, **options)

        return operation

    for name in STEPS:
        setattr(os, name, dying(getattr(os, name)))


@pytest.mark.parametrize("stride", first(1, [17, 5]))
def test_a_kill_between_any_two_steps_leaves_a_store_that_continues_to_the_same_tables(
    tmp_path: Path, full: Path, stride: int
) -> None:
    """One study is built, its weights are dropped on the way, a model is built again: killed before every operation."""
    stages, sure = study(1), put_machine(full)
    expected = table(study(), sure)
    number, codes = 0, []
    while not codes or codes[-1] == 77:
        number += stride if number > 20 else 3
        place = tmp_path / str(number)
        place.mkdir()
        machine = put_machine(place, "none")

        def work(machine: Any = machine, number: int = number) -> None:
            killed_at(number)
            run(machine, stages)
            for item in (stages[0], stages[0].arguments["predictions"]):
                # Renamed first: half a folder is taken for damaged, and kept.
                gone = folder_of(item, machine).rename(machine.store / f"{item.key}.deleted")
                shutil.rmtree(gone)
            run(machine, stages)

        codes.append(in_child(work))
        run(machine, stages)
        read_again = table(stages, machine)
        assert read_again == {name: expected[name] for name in read_again}
        assert not weights(stages, machine)
        left = [path.name for path in machine.store.iterdir() if path.suffix in (".part", ".replaced", ".damaged1")]
        assert left == []
        assert not list(machine.store.glob("[!.]*/**/*.new"))
        shutil.rmtree(place)
    assert codes[-1] == 0
    assert len(codes) > 8


def test_two_processes_of_one_study_drop_nothing_that_the_other_needs(tmp_path: Path, full: Path) -> None:
    machine = put_machine(tmp_path, "none")
    children = []
    for _ in range(2):
        child = os.fork()
        if child == 0:
            try:
                run(machine)
            except BaseException:
                os._exit(1)
            os._exit(0)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0]
    assert table(study(), machine) == table(study(), put_machine(full))
    assert sum(journal(machine).values()) <= len(study()) + 2
    run(machine)
    assert weights(study(), machine) == set()
