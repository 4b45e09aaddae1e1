"""The verbs of stores, each on a store of toy trainings."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from plain_store import put
from toy_models import WEIGHTS, data, predict, put_machine, score, study, table, train, weights
from xstilts.errors import InputError
from xstilts.runtime import whole_files
from xstilts.store import archive, upkeep
from xstilts.store.build import build, missing
from xstilts.store.local_executor import build_all
from xstilts.store.stage import folder_of, with_inputs

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module", autouse=True)
def unsynced() -> Iterator[None]:
    """Wait for no disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole_files, "sync", lambda path: None)
        yield


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("built")
    build_all(study(), put_machine(place))
    return place


@pytest.fixture
def place(built: Path, tmp_path: Path) -> Path:
    """A folder with a store of two targets, which a test may change."""
    shutil.copytree(built / "store", tmp_path / "store")
    return tmp_path


def said(call: Call, *words: str) -> Any:
    code, out, err = call("store", *words, "--json")
    assert "error" not in err
    return code, json.loads(out)


def old(place: Path, days: float = 30.0) -> None:
    then = time.time() - days * 24 * 3600
    for path in (place / "store").rglob("stage.json"):
        os.utime(path, (then, then))


def report_of(place: Path, stages: Any) -> Path:
    """Write the least report that names stages."""
    records = {item.key: {"label": item.label} for item in stages}
    (place / "report").mkdir()
    (place / "report" / "report.json").write_text(json.dumps({"format": 1, "stages": records, "sources": {}}))
    return place / "report"


def test_list_size_and_pin(place: Path, call: Call) -> None:
    store = str(place / "store")
    model = folder_of(train("middle", data("middle")), put_machine(place))
    assert said(call, "pin", model.name, "--store", store)[1] == {"pinned": [model.name[-12:]]}
    code, listed = said(call, "list", "--store", store)
    assert code == 0
    assert len(listed["stages"]) == len(study())
    assert [row["folder"] for row in listed["stages"] if row["pinned"]] == [model.name]
    assert {row["stage"] for row in listed["stages"]} == {"read", "train", "predict", "score"}
    assert all(row["bytes"] > 0 and row["dropped_bytes"] == 0 for row in listed["stages"])
    _, sizes = said(call, "size", "--store", store)
    assert sizes["stages"]["train"]["stages"] == 5
    assert sizes["stages"]["train"]["weights"] == 5 * 64
    code, out, _ = call("store", "list", "train-middle", "--store", store)
    assert f"{model.name}  pinned\n1 stage in" in out
    assert said(call, "pin", model.name, "--store", store, "--remove")[1] == {"pinned": []}


def test_gc_shows_first_and_deletes_only_what_nothing_needs(
    place: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xstilts.reporting import study_report

    monkeypatch.setattr(study_report, "read", lambda folder: json.loads((folder / "report.json").read_text()))
    machine, store = put_machine(place), str(place / "store")
    old(place)
    kept = [item for item in study() if item.label == "score-predict-train-target0-data-test0en"]
    report = report_of(place, kept)
    (machine.store / "train-x-0123456789ab.part").mkdir()
    os.utime(machine.store / "train-x-0123456789ab.part", (0, 0))
    before = sorted(path.name for path in machine.store.iterdir())
    code, _, err = call("store", "gc", "--store", store)
    assert code == 2
    assert "nothing is named that must stay" in err
    _, shown = said(call, "gc", "--store", store, "--report", str(report))
    assert not shown["deleted"]
    assert sorted(path.name for path in machine.store.iterdir()) == before
    assert shown["left_behind"] == ["train-x-0123456789ab.part"]
    _, done = said(call, "gc", "--store", store, "--report", str(report), "--delete")
    assert done["stages"] == shown["stages"]
    needed = {folder_of(item, machine).name for item in with_inputs(kept)}
    assert {path.name for path in machine.store.iterdir() if not path.name.startswith(".")} == needed
    assert missing(tuple(with_inputs(kept)), machine) == []


def test_gc_keeps_what_is_young_pinned_or_read(place: Path, call: Call) -> None:
    from xstilts.store.weights import reading

    machine, store = put_machine(place), str(place / "store")
    old(place)
    middle, target = train("middle", data("middle")), train("target0", data("target0"))
    young = folder_of(target, machine)
    os.utime(young / "stage.json")
    said(call, "pin", middle.key, "--store", store)
    other = next(item for item in study() if item.label == "data-test1sw")
    with reading([other], machine):
        said(call, "gc", "--store", store, "--delete")
    left = {path.name for path in machine.store.iterdir() if not path.name.startswith(".")}
    assert left == {folder_of(item, machine).name for item in (*with_inputs([middle]), target, other)}


def test_gc_of_weights_leaves_records_and_tables(place: Path, call: Call) -> None:
    machine = put_machine(place)
    before = table(study(), machine)
    _, done = said(call, "gc", "--store", str(machine.store), "--weights", "--older-than", "0", "--delete")
    assert done["bytes"] == 5 * 64
    assert weights(study(), machine) == set()
    assert table(study(), machine) == before
    assert missing(tuple(study()), machine) == []


def test_verify_reads_every_byte(place: Path, call: Call) -> None:
    machine = put_machine(place)
    assert said(call, "verify", "--store", str(machine.store)) == (
        0,
        {"stages": len(study()), "damaged": {}, "unlisted": {}},
    )
    folder = folder_of(train("middle", data("middle")), machine)
    (folder / WEIGHTS).write_text("x" * 64)
    (folder / "model" / ".tmpabc").write_text("half")
    other = folder_of(data("middle"), machine)
    (other / "stage.json").write_text("[]")
    code, found = said(call, "verify", "--store", str(machine.store))
    assert code == 1
    assert found["damaged"] == {other.name: ["stage.json"], folder.name: [WEIGHTS]}
    assert found["unlisted"] == {folder.name: ["model/.tmpabc"]}


@pytest.mark.parametrize(("name", "more"), [("a.tar", ()), ("a.tar.gz", ("--no-weights",))])
def test_what_is_exported_is_imported(place: Path, tmp_path: Path, call: Call, name: str, more: tuple[str]) -> None:
    machine, other = put_machine(place), put_machine(tmp_path / "other")
    file = str(tmp_path / name)
    said(call, "export", file, "--store", str(machine.store), *more)
    _, taken = said(call, "import", file, "--store", str(other.store))
    assert len(taken["new"]) == len(study())
    assert table(study(), other) == table(study(), machine)
    assert missing(tuple(study()), other) == []
    assert weights(study(), other) == (set() if more else weights(study(), machine))
    assert said(call, "verify", "--store", str(other.store))[0] == 0
    _, again = said(call, "import", file, "--store", str(other.store))
    assert (again["new"], len(again["there"])) == ([], len(study()))
    # Weights that had been dropped come with an archive that has them.
    whole = tmp_path / "whole.tar"
    said(call, "export", str(whole), "--store", str(machine.store))
    said(call, "import", str(whole), "--store", str(other.store))
    assert weights(study(), other) == weights(study(), machine)
    assert not list(other.store.glob(".import*"))


def test_one_stage_is_exported_with_what_it_was_made_from(place: Path, tmp_path: Path) -> None:
    machine = put_machine(place)
    gold = data("test0en")
    one = score(predict(train("target0", data("target0")), gold), gold)
    stages = archive.write(tmp_path / "one.tar", machine.store, {one.key})
    assert {stage.key for stage in stages} == {item.key for item in with_inputs([one])}


def rewritten(source: Path, target: Path, change: Callable[[str, bytes], tuple[str, bytes, bytes] | None]) -> None:
    """Copy an archive; `change` gives name, content and type of a member, or None to leave it out."""
    with tarfile.open(source) as old_file, tarfile.open(target, "w") as new:
        for member in old_file:
            changed = change(member.name, old_file.extractfile(member).read())  # type: ignore[union-attr]
            if changed is not None:
                name, content, kind = changed
                copy = tarfile.TarInfo(name)
                copy.type, copy.size, copy.linkname = kind, len(content), "/etc/passwd"
                new.addfile(copy, io.BytesIO(content))


def in_list(old_name: str, new_name: str) -> Callable[[str, bytes], tuple[str, bytes, bytes]]:
    return lambda name, content: (
        name.replace(old_name, new_name),
        content.replace(old_name.encode(), new_name.encode()) if name == "store.json" else content,
        tarfile.REGTYPE,
    )


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda name, content: (name, content.replace(b"middle", b"muddle"), tarfile.REGTYPE), "take another copy"),
        (lambda name, content: None if name.endswith(".jsonl") else (name, content, tarfile.REGTYPE), "are missing"),
        (lambda name, content: (name, content, tarfile.SYMTYPE if ".jsonl" in name else tarfile.REGTYPE), "missing"),
        (lambda name, content: None if name == "store.json" else (name, content, tarfile.REGTYPE), "does not begin"),
        (in_list("/examples.jsonl", "/../../x.jsonl"), "is not|leads out|missing"),
        (in_list('"examples.jsonl"', '"../x.jsonl"'), "leads out of its folder"),
        (in_list("data-middle", "data-muddle"), "another key|is not what"),
        (in_list("data-middle-", "../data-middle-"), "is no folder of a stage"),
    ],
)
def test_an_archive_that_is_not_as_its_list_says_is_refused(tmp_path: Path, change: Any, why: str) -> None:
    machine = put_machine(tmp_path)
    build(data("middle"), machine)
    archive.write(tmp_path / "good.tar", machine.store)
    rewritten(tmp_path / "good.tar", tmp_path / "bad.tar", change)
    with pytest.raises(InputError, match=why):
        archive.read(tmp_path / "bad.tar", tmp_path / "other")
    assert [path.name for path in (tmp_path / "other").iterdir()] == []
    assert not (tmp_path / "x.jsonl").exists()


@pytest.mark.parametrize("cut", [0, 100, 600, 3000])
def test_a_cut_archive_is_refused(tmp_path: Path, cut: int) -> None:
    machine = put_machine(tmp_path)
    build(data("middle"), machine)
    archive.write(tmp_path / "good.tar", machine.store)
    (tmp_path / "cut.tar").write_bytes((tmp_path / "good.tar").read_bytes()[:cut])
    with pytest.raises(InputError, match=r"take another copy|does not begin"):
        archive.read(tmp_path / "cut.tar", tmp_path / "other")


def test_five_thousand_stages_are_listed_within_a_second(tmp_path: Path, call: Call) -> None:
    arguments = {"data": {"type": "Data", "task": "x", "recipe": {f"field{n}": n for n in range(30)}}}
    put(tmp_path, "first", "train", arguments)
    text = next(tmp_path.glob("*/stage.json")).read_text()
    for number in range(5000):
        folder = tmp_path / f"stage-{number:012x}"
        folder.mkdir()
        (folder / "stage.json").write_text(text)
    started = time.process_time()
    code, out, _ = call("store", "list", "--store", str(tmp_path))
    assert time.process_time() - started < 1
    assert (code, out.splitlines()[-1]) == (0, f"5,001 stages in {tmp_path}")


def test_odd_manifests_break_no_verb(place: Path, call: Call) -> None:
    store = place / "store"
    for number, text in enumerate(("{}", "[]", "null", "3", '{"key": 5, "work": null}', '{"files": []}', "{", "")):
        (store / f"odd-{number:012x}").mkdir()
        (store / f"odd-{number:012x}" / "stage.json").write_text(text)
    assert len(said(call, "list", "--store", str(store))[1]["stages"]) == len(study())
    assert said(call, "size", "--store", str(store))[0] == 0
    assert len(said(call, "verify", "--store", str(store))[1]["damaged"]) == 8
    assert upkeep.needed(upkeep.stored(store), store, []) == set()
