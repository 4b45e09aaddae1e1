"""The scripts in `examples/` run from the first line to the last, each in a folder with nothing but the store."""

from __future__ import annotations

import ast
import json
import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
PRINTED = {
    "compare": "zero-shot gain:",
    "own_csv_task": "reviews",
    "predict": "Who follows the cherry ? ->",
    "study": "Cloze questions help question answering",
}


def test_every_example_has_its_test() -> None:
    assert {path.stem for path in EXAMPLES} == set(PRINTED)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, few_examples: None) -> Path:
    """A store for all examples, of which two compare the same tasks."""
    return tmp_path_factory.mktemp("work")


@pytest.mark.parametrize(
    "script",
    [pytest.param(path, marks=pytest.mark.slow) if path.stem in ("study", "compare") else path for path in EXAMPLES],
    ids=lambda path: path.stem,
)
def test_an_example_runs(
    script: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "work").symlink_to(store)
    monkeypatch.chdir(tmp_path)
    for name in ("XSTILTS_DATA", "XSTILTS_STORE", "XSTILTS_TASKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STEPS", "2")
    monkeypatch.setattr(
        sys, "argv", [str(script), "--steps", "2", *(["--seeds", "2"] if "compare" in script.stem else [])]
    )
    runpy.run_path(str(script), run_name="__main__")
    assert PRINTED[script.stem] in capsys.readouterr().out


def test_the_notebook_runs_and_its_outputs_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Run its cells as a kernel does: the value of a cell's last expression is what it shows."""
    monkeypatch.chdir(tmp_path)
    for name in ("XSTILTS_DATA", "XSTILTS_STORE", "XSTILTS_TASKS"):
        monkeypatch.delenv(name, raising=False)
    notebook = json.loads((EXAMPLES[0].parent / "notebook.ipynb").read_text(encoding="utf-8"))
    names: dict[str, object] = {"__name__": "__main__"}
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    shown: list[str] = []
    for cell in cells:
        body = ast.parse("".join(cell["source"]))
        last = body.body.pop() if isinstance(body.body[-1], ast.Expr) else None
        exec(compile(body, "cell", "exec"), names)
        value = eval(compile(ast.Expression(last.value), "cell", "eval"), names) if isinstance(last, ast.Expr) else None
        shown += [value._repr_html_()] if hasattr(value, "_repr_html_") else []
    (table,) = shown
    kept = "".join("".join(output.get("data", {}).get("text/html", "")) for cell in cells for output in cell["outputs"])
    for html in (table, kept):
        assert html.count("<table>") == 2
        assert "<caption>en (accuracy), 95 % intervals</caption>" in html
        assert "the recommended model is model" in html
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert str(tmp_path) not in json.dumps(notebook)
