"""The registry: shipped tasks, those of plug-ins and those of the user's folders, which may be broken."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

from xstilts.data.dataset import read
from xstilts.data.source import Source
from xstilts.errors import InputError
from xstilts.runtime.machine import Runtime
from xstilts.store.local_executor import build_all
from xstilts.store.stage import StageError
from xstilts.tasks import base, cards
from xstilts.tasks.base import Task, add_task_folder, listed, module_of, names, shipped_names, task

FILE = '''"""Toys."""

from xstilts.data.source import Source
from xstilts.tasks.base import Task
from xstilts.tasks.user._shared import LABELS


def upper(row):
    return {"text_a": row.values["text"].upper(), "label": row.values["label"]}


task = Task(
    name="NAME", format="classification", languages=("en", "sw"), labels=LABELS, metric="accuracy",
    sources=(Source("jsonl", {"train": "toys-{language}.jsonl"}, convert=upper),), citation="2026", licence="CC0",
)
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the user's with one task and its helper, which the registry knows."""
    mine = tmp_path / "mine"
    mine.mkdir()
    put(mine, "toys")
    (mine / "_shared.py").write_text('LABELS = ("no", "yes")\n')
    for code in ("en", "sw"):
        (tmp_path / f"toys-{code}.jsonl").write_text('{"text": "a", "label": "no"}\n{"text": "b", "label": "yes"}\n')
    monkeypatch.setenv("XSTILTS_TASKS", "")
    add_task_folder(mine)
    return mine


def put(folder: Path, name: str) -> None:
    (folder / f"{name}.py").write_text(FILE.replace("NAME", name))


def test_a_folder_has_tasks_as_the_package_has(folder: Path) -> None:
    assert set(names()) == {*shipped_names(), "toys"}
    assert task("toys").labels == ("no", "yes")
    assert task("toys:sw").trained_in == ("sw",)
    assert module_of("toys") == "xstilts.tasks.user.toys"
    with pytest.raises(InputError, match="unknown task 'toyz'; did you mean 'toys'"):
        task("toyz")
    put(folder, "more")
    assert task("more").name == "more"


def test_folders_come_by_variable_and_go_with_it(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other"
    other.mkdir()
    put(other, "trains")
    (other / "_shared.py").write_text('LABELS = ("a", "b")\n')
    monkeypatch.setenv("XSTILTS_TASKS", os.pathsep.join((str(folder), str(other))))
    assert {"toys", "trains"} <= set(names())
    monkeypatch.setenv("XSTILTS_TASKS", str(other))
    assert "toys" not in names()
    assert task("trains").labels == ("a", "b")
    with pytest.raises(InputError, match=r"there is no folder .*nowhere of tasks: correct --tasks"):
        add_task_folder(tmp_path / "nowhere")


def test_no_file_hides_another_task(folder: Path, tmp_path: Path) -> None:
    put(folder, "xnli")
    with pytest.raises(InputError, match=r"'xnli' is defined twice, by the shipped module .*xnli and .*mine/xnli\.py"):
        task("xnli")
    assert task("mnli").name == "mnli"
    again = tmp_path / "again"
    again.mkdir()
    put(again, "toys")
    add_task_folder(again)
    with pytest.raises(InputError, match=r"by .*mine/toys\.py and .*again/toys\.py: rename or remove one"):
        task("toys")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("task = Task(", r"broken\.py cannot be loaded \(SyntaxError: .*line 1.*\): correct it"),
        ("1 / 0", r"broken\.py cannot be loaded \(ZeroDivisionError: division by zero\)"),
        ("tusk = 1", r"broken\.py defines no task: it needs `task = Task\(…\)`"),
        (FILE.replace("NAME", "else"), r"broken\.py defines the task 'else': give the file and the task the same name"),
    ],
)
def test_a_broken_file_takes_no_other_down(folder: Path, text: str, message: str) -> None:
    (folder / "broken.py").write_text(text)
    assert "broken" in names()
    with pytest.raises(InputError, match=message):
        task("broken")
    entries = dict(listed())
    assert isinstance(entries["broken"], InputError)
    assert isinstance(entries["toys"], Task)
    assert "broken" not in cards.page()


def test_the_listing_names_a_broken_file(folder: Path) -> None:
    (folder / "broken.py").write_text("1 / 0")
    command = [sys.executable, "-c", "from xstilts.cli import main; main()", "tasks"]
    environment = {**os.environ, "COLUMNS": "300"}
    shown = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert "not usable: the task 'broken' of" in shown.stdout, shown.stderr
    assert "broken.py" in shown.stdout
    assert "toys" in shown.stdout


def test_plug_ins_give_a_task_or_a_module_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("plugin_of_tests")
    vars(module)["task"] = vars(module)["toys2"] = Task("toys2", "masked_lm", (), (), "mlm_loss", "2026", "CC0")
    monkeypatch.setitem(sys.modules, "plugin_of_tests", module)
    points = [
        EntryPoint("toys2", value, base.GROUP)
        for value in ("plugin_of_tests:toys2", "plugin_of_tests", "plugin_of_tests:no", "nowhere")
    ]
    results = []
    for point in points:
        monkeypatch.setattr(base, "entry_points", lambda group, point=point: [point])
        clear()
        try:
            results.append(task("toys2").format)
        except InputError as error:
            results.append(str(error))
    clear()
    assert results[:2] == ["masked_lm", "masked_lm"]
    assert "the task 'toys2' of a plug-in (plugin_of_tests:no) cannot be loaded (AttributeError" in results[2]
    assert "ModuleNotFoundError: No module named 'nowhere'" in results[3]
    monkeypatch.setattr(base, "entry_points", lambda group: [EntryPoint("xnli", "plugin_of_tests", base.GROUP)])
    with pytest.raises(InputError, match=r"'xnli' is defined twice, by the shipped module .* and a plug-in"):
        task("xnli")
    clear()


def clear() -> None:
    base._places.cache_clear()
    base._task.cache_clear()


def test_workers_find_the_functions_of_a_folder(folder: Path, tmp_path: Path) -> None:
    promised = tuple(read(task("toys").data("train", code, tmp_path)) for code in ("en", "sw"))
    machine = Runtime(
        store=tmp_path / "store", data=tmp_path, device="cpu", workers=2, threads=1, allow_unexpected_data=True
    )
    assert build_all(promised, machine) == 2
    lines = next((tmp_path / "store").glob("data-toys-train-sw-*")) / "examples.jsonl"
    assert '"text_a": "A"' in lines.read_text()


def test_a_function_that_no_worker_can_import_is_refused(folder: Path, tmp_path: Path) -> None:
    def local(row: object) -> dict[str, str]:
        return {"text_a": "a", "label": "no"}

    source = Source("jsonl", {"train": "toys-{language}.jsonl"}, convert=local)
    toys = Task("local", "classification", ("en", "sw"), (source,), "accuracy", "2026", "CC0", ("no", "yes"))
    promised = tuple(read(toys.data("train", code, tmp_path)) for code in ("en", "sw"))
    machine = Runtime(
        store=tmp_path / "store", data=tmp_path, device="cpu", workers=2, threads=1, allow_unexpected_data=True
    )
    with pytest.raises(StageError, match=r"data-local-train-en cannot be built by a worker process .*top level"):
        build_all(promised, machine)
    assert build_all(promised, Runtime(store=tmp_path / "store", data=tmp_path, allow_unexpected_data=True)) == 2
    exec("hidden = lambda row: {}", scope := {})
    with pytest.raises(InputError, match="the source of the convert function '<lambda>' cannot be read"):
        Source("jsonl", {}, convert=scope["hidden"]).meaning()


SCRIPT = """
import sys
from pathlib import Path
from xstilts.data.dataset import read
from xstilts.data.source import Source
from xstilts.runtime.machine import Runtime
from xstilts.store.local_executor import build_all
from xstilts.tasks.base import Task

def lower(row):
    return {"text_a": row.values["text"].lower(), "label": row.values["label"]}

if __name__ == "__main__":
    here = Path(sys.argv[1])
    source = Source("jsonl", {"train": "toys-{language}.jsonl"}, convert=lower)
    toys = Task("scripted", "classification", ("en", "sw"), (source,), "accuracy", "2026", "CC0", ("no", "yes"))
    stages = [read(toys.data("train", code, here)) for code in toys.languages]
    machine = Runtime(here / "store", here, device="cpu", workers=2, threads=1, allow_unexpected_data=True)
    print(build_all(stages, machine))
"""


def test_a_task_of_a_script_is_built_by_workers(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.stdout.strip(), result.returncode) == ("2", 0), result.stderr
