"""The scripts in `examples/` run from the first line to the last, each in a folder with nothing but the store."""

from __future__ import annotations

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
    [pytest.param(path, marks=pytest.mark.slow) if path.stem == "study" else path for path in EXAMPLES],
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
