"""The benchmark of the token cache runs, and its sides agree."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "token_cache.py"


@pytest.mark.slow
@pytest.mark.parametrize(
    "texts",
    [("--texts", "1500"), ("--lines", "rows.tsv")],
    ids=lambda texts: texts[0],
)
def test_the_sides_agree_on_few_texts(
    texts: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARK.parent))
    monkeypatch.chdir(tmp_path)
    Path("rows.tsv").write_text("".join(f"anna lasa {n}\tanalala {n}\n" for n in range(2500)), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", [str(BENCHMARK), "--rounds", "1", *texts])
    runpy.run_path(str(BENCHMARK), run_name="__main__")
    said = capsys.readouterr().out
    assert said.count("times as fast as cutting") == 4
    assert "stored mib: 0\n" not in said
