"""A task file is checked whole: every mistake is named with its remedy, and none stops the list of tasks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from quick import together
from xstilts import cli
from xstilts.errors import InputError
from xstilts.tasks import base, validate

GOOD = '''"""Toys."""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

task = Task(
    name="NAME", format="classification", languages=("en", "sw"), labels=("no", "yes"), metric="accuracy",
    sources=(Source("jsonl", {"train": "toys-{language}.jsonl", "test": "toys-{language}.jsonl"},
                    columns={"text_a": "text"}),),
    citation="2026", licence="CC0", counts={"train": 2},
)
'''
# A change of the good file, and what has to be said of it.
WRONG = {
    '"classification"': ('"clasification"', "unknown task format 'clasification'; did you mean 'classification'?"),
    '"accuracy"': ('"acuracy"', "unknown metric 'acuracy'; did you mean 'accuracy'?"),
    'metric="accuracy"': ('metric="squad"', "the metric 'squad' does not score classification; give accuracy"),
    '"jsonl"': ('"jsnl"', "source 1 of 1: unknown reader 'jsnl'; did you mean 'jsonl'?"),
    '("no", "yes")': ('("no",)', "it has 1 label; name two or more"),
    'labels=("no", "yes")': ('labels=("no", "no")', "the label 'no' is there 2 times; name it once"),
    '("en", "sw")': ('("en", "swa")', "unknown language 'swa'"),
    'languages=("en", "sw")': ('languages="en"', "`languages` is 'en'; write a tuple of texts"),
    '"train": "toys': ('"trian": "toys', "unknown split 'trian'; did you mean 'train'?"),
    '{"text_a": "text"}': (
        '{"txt_a": "text"}',
        "classification has no field 'txt_a' (in `columns`); did you mean 'text_a'?",
    ),
    'citation="2026"': ('citation=""', "`citation` is empty; say where the data come from"),
    'licence="CC0"': ('licence="CC0", learned_from="nosuch"', "cannot be resolved: unknown task 'nosuch'"),
    'counts={"train": 2}': ('counts={"train": 3}', "train in en has 2 examples, and `counts` says 3; correct `counts`"),
    '"text_a": "text"}': ('"text_a": "txt"}', "toys-en.jsonl:1: expected the column txt, found text, label"),
    "task = Task(": ("task = Tsk(", ":6: NameError: name 'Tsk' is not defined; correct this line"),
    "from xstilts.data.source": ("from xstilts.data.sources", ":3: ModuleNotFoundError"),
    'format="classification",': ("format=,", ":7: SyntaxError"),
    '"NAME"': ('"others"', "defines the task 'others'; give the file and the task the same name"),
    '"""Toys."""': ("import sys; sys.exit(3)", ":1: SystemExit: 3; correct this line"),
    "from xstilts.tasks.base import Task\n": ("", "NameError: name 'Task' is not defined"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("XSTILTS_DATA", "XSTILTS_STORE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XSTILTS_TASKS", "")
    for code in ("en", "sw"):
        rows = '{"text": "a", "label": "no"}\n{"text": "b", "label": "yes"}\n'
        (tmp_path / f"toys-{code}.jsonl").write_text(rows, encoding="utf-8")
    (tmp_path / "mine").mkdir()
    return tmp_path


def put(folder: Path, name: str, old: str = "", new: str = "") -> Path:
    path = folder / "mine" / f"{name}.py"
    assert old in GOOD
    path.write_text(GOOD.replace(old, new, 1).replace("NAME", name), encoding="utf-8")
    return path


def test_a_right_file_is_right_with_its_data_and_without(folder: Path) -> None:
    file = put(folder, "toys_right")
    found = validate.validate(file, folder)
    assert found.problems == ()
    assert found.counts == {("train", "en"): 2, ("test", "en"): 2, ("test", "sw"): 2}
    alone = validate.validate(file)
    assert alone.problems == ()
    assert alone.absent["test", "sw"] == "toys-sw.jsonl"
    with pytest.raises(InputError, match=r"there is no task file .*nosuch.py: give NAME.py"):
        validate.validate(folder / "nosuch.py")


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_each_mistake_is_named_with_its_remedy(folder: Path, number: int) -> None:
    old, (new, message) = list(WRONG.items())[number]
    found = validate.validate(put(folder, f"toys_wrong{number}", old, new), folder)
    said = " | ".join(map(str, found.problems))
    assert message in said, said
    assert all(problem.what and problem.remedy for problem in found.problems)


def test_all_mistakes_of_a_file_are_named_at_once(folder: Path) -> None:
    file = put(folder, "toys_many", '"jsonl"', '"jsnl"')
    file.write_text(file.read_text().replace('"accuracy"', '"acuracy"').replace('"sw"', '"xx"'))
    assert len(validate.validate(file, folder).problems) == 3


@together("name", base.shipped_names())
def test_shipped_tasks_have_no_problem(name: str) -> None:
    assert [str(problem) for problem in validate.problems_of(base.task(name))] == []


def test_broken_files_are_listed_beside_the_others(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put(folder, "toys_good")
    for number, (old, (new, _)) in enumerate(WRONG.items()):
        put(folder, f"toys_bad{number}", old, new)
    (folder / "mine" / "toys_none.py").write_text("x = 1\n", encoding="utf-8")
    for words, code, expected in (
        (["tasks"], 0, "not usable: the task 'toys_bad18'"),
        (["tasks", "validate", str(folder / "mine/toys_good.py"), "--data", str(folder)], 0, "'toys_good' is right"),
        (
            ["tasks", "validate", str(folder / "mine/toys_bad0.py")],
            1,
            "unknown task format 'clasification'; did you mean",
        ),
        (["tasks", "validat", "x"], 2, ""),
    ):
        monkeypatch.setattr(sys, "argv", ["xstilts", *words, "--tasks", str(folder / "mine")])
        with pytest.raises(SystemExit) as end:
            cli.main()
        shown = capsys.readouterr()
        assert end.value.code == code, shown.err
        assert " ".join(expected.split()) in " ".join(shown.out.split())
        assert "toys_good" in shown.out or words[1:]
