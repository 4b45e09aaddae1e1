"""A law: nothing that is of the sandbox is shown without its mark, and nothing else has one."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from made_report import made
from xstilts import sandbox
from xstilts.experiments import score_table
from xstilts.experiments.score_table import Column, ScoreTable
from xstilts.reporting import study_page
from xstilts.reporting.page import html, markdown
from xstilts.selection import render
from xstilts.selection.recommendation import Advice, Figure
from xstilts.sharing.history import History, LanguageScore, Split
from xstilts.sharing.model_card import CardFacts, model_card
from xstilts.tasks.base import is_artificial, names, task
from xstilts.verification import compare_reports

MARK = re.compile("[Aa]rtificial languages(?::| at a distance)")
REAL, ARTIFICIAL = "sw", "qab"


def table(target: str, code: str) -> ScoreTable:
    """Return a table with the notes that a target has by itself."""
    run: Any = SimpleNamespace(target=task(target), translation=None, few_shot=None, target_training_tasks=None)
    notes = tuple(score_table._marks(run))
    columns = (Column("baseline", {code: (50.0,)}, {code: ("0" * 12,)}),)
    return ScoreTable(target, task(target).metric, (code,), code, columns, (), notes)


def report(code: str) -> Any:
    return made() | {"rows": [{"language": code}]}


def outputs(folder: Path, target: str, code: str) -> dict[str, str]:
    """Return everything that shows results of a target in a language, by its name."""
    tables = table(target, code)
    score_table.save([tables], folder)
    advice = Advice("e", target, ("a", "b"), {"knn": {"a": Figure(1.0), "b": Figure(2.0)}})
    score = LanguageScore(Split(target, "test", code, 10, ""), "accuracy", 50.0, None, None, "0" * 12, None, None, None)
    page = study_page.page(report(code))
    compared = compare_reports.page(report(code), report(code), ("one", "other"))
    return {
        "table.md": (folder / "table.md").read_text(encoding="utf-8"),
        "table.json": (folder / "table.json").read_text(encoding="utf-8"),
        "terminal and --json": "\n".join(score_table.remarks(tables)),
        "report.html": html(page),
        "report.md": markdown(page),
        "comparison.html": html(compared),
        "comparison.md": markdown(compared),
        "recommendation": "\n".join(render.summary_lines(advice)),
        "recommend.json": render.save(advice, folder).read_text(encoding="utf-8"),
        "README.md": model_card(
            CardFacts("toy", "classification", "xlm-roberta", 128, ("no",), History(scores=(score,)))
        ),
    }


def test_every_output_of_the_sandbox_has_its_mark(tmp_path: Path) -> None:
    for name, text in outputs(tmp_path, "sandbox_nli", ARTIFICIAL).items():
        assert MARK.search(text), name
        assert "no evidence" in text, name


@pytest.mark.slow
def test_no_output_on_real_languages_has_it(tmp_path: Path) -> None:
    for name, text in outputs(tmp_path, "xnli", REAL).items():
        assert not MARK.search(text), name


def test_every_task_of_the_sandbox_marks_its_table() -> None:
    for name in names():
        run: Any = SimpleNamespace(target=task(name))
        assert is_artificial(name) == name.startswith("sandbox_")
        assert (sandbox.NOTE in list(score_table._marks(run))) == is_artificial(name)


@pytest.mark.parametrize(
    ("codes", "said"), [((), False), (("en", "sw"), False), (("en", "qac"), True), (("qaa-qab",), True)]
)
def test_one_artificial_language_is_enough(codes: tuple[str, ...], said: bool) -> None:
    assert bool(sandbox.notice(codes)) is said
