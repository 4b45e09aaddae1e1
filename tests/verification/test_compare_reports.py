from __future__ import annotations

import json
import math
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from made_report import made
from xstilts.cli import app
from xstilts.errors import InputError
from xstilts.reporting import study_report
from xstilts.reporting.page import Page, TableView, html
from xstilts.verification import compare_reports, compare_stores

NAMES = ("old", "new")


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    found = made()
    return {**found, "gains": found["gains"][:40], "levels": found["levels"][:40], "costs": found["costs"][:12]}


def changed(whole: dict[str, Any]) -> dict[str, Any]:
    """Return a report of which each part may be changed."""
    return deepcopy({**whole, "stages": {}, "curves": [], "scalings": []})


def sheet(page: Page, name: str) -> TableView:
    return next(sheet for section in page.sections for sheet in section.tables() if sheet.name == name)


def apart(page: Page) -> str:
    """Return all that cannot be compared."""
    return "\n".join(
        line for section in page.sections if section.name == "apart" for block in section.blocks for line in block.lines
    )  # type: ignore[union-attr]


def test_a_report_does_not_differ_from_itself(whole: dict[str, Any]) -> None:
    page = compare_reports.page(whole, whole, NAMES)
    for name, column in (("levels", 8), ("gains", 8)):
        rows = sheet(page, name).rows
        assert {row[column].value for row in rows} == {0.0}
        assert {row[-1].text for row in rows} == {"the same stages"}
    assert {cell.value for row in sheet(page, "ratios").rows for cell in row[4:] if cell.value is not None} == {1.0}
    assert apart(page) == ""
    assert "Verdicts that differ: 0" in page.answer


def test_all_figures_of_both_are_compared(whole: dict[str, Any]) -> None:
    page = compare_reports.page(whole, whole, NAMES)
    assert len(sheet(page, "levels").rows) == len(whole["levels"])
    assert len(sheet(page, "gains").rows) == len(whole["gains"])


ROW = st.tuples(st.floats(-50, 50), st.floats(0, 9), st.floats(0, 9)).map(
    lambda part: {"estimate": part[0], "low": part[0] - part[1], "high": part[0] + part[2]}
)


@given(ROW, ROW)
def test_the_difference_turns_with_the_order_and_its_interval_is_as_wide_as_both(one: Any, other: Any) -> None:
    value, low, high = compare_reports.difference(one, other)
    back = compare_reports.difference(other, one)
    assert low is not None
    assert high is not None
    assert (value, low, high) == pytest.approx((-back[0], -back[2], -back[1]))
    assert low <= value <= high
    widths = [row["high"] - row["low"] for row in (one, other)]
    assert max(widths) / math.sqrt(2) - 1e-9 <= high - low <= sum(widths) + 1e-9


def test_a_difference_is_called_one_where_its_interval_is_on_one_side_of_zero(whole: dict[str, Any]) -> None:
    other = changed(whole)
    for row in other["levels"]:
        row["keys"] = ["0123456789ab"]
        row.update({side: row[side] + 100 for side in ("estimate", "low", "high")})
    rows = sheet(compare_reports.page(whole, other, NAMES), "levels").rows
    assert {row[-1].text for row in rows} == {"differs"}
    assert all(row[8].value == pytest.approx(100) for row in rows)


def test_without_an_interval_in_both_nothing_is_decided(whole: dict[str, Any]) -> None:
    other = changed(whole)
    for row in other["gains"]:
        row.update({"low": None, "high": None, "keys": []})
    rows = sheet(compare_reports.page(whole, other, NAMES), "gains").rows
    assert {row[-1].text for row in rows} == {"no interval in both"}


def test_verdicts_that_differ_are_told_apart_from_claims_that_do(whole: dict[str, Any]) -> None:
    other = changed(whole)
    other["verdicts"][0].update({"status": "undecided", "why": "fewer seeds"})
    other["verdicts"][1]["margin"] = 7.0
    other["verdicts"].pop(2)
    page = compare_reports.page(whole, other, NAMES)
    (row,) = sheet(page, "turned").rows
    assert [cell.text for cell in row[:3]] == [whole["verdicts"][0]["sentence"], "holds", "undecided"]
    assert f"'{whole['verdicts'][1]['sentence']}' has another margin in new" in apart(page)
    assert f"'{whole['verdicts'][2]['sentence']}' is only in old" in apart(page)


def test_another_metric_is_not_compared(whole: dict[str, Any]) -> None:
    other = changed(whole)
    other["settings"]["targets"][0]["metric"] = "f1"
    page = compare_reports.page(whole, other, NAMES)
    assert "xnli: metric accuracy in one, f1 in the other" in apart(page)
    assert not [row for row in sheet(page, "levels").rows if row[3].text == "xnli"]


def test_a_mean_over_other_languages_is_not_compared(whole: dict[str, Any]) -> None:
    other = changed(whole)
    first = other["levels"][0]
    other["levels"] = other["levels"][1:]
    page = compare_reports.page(whole, other, NAMES)
    place = ", ".join(first[column] for column in ("encoder", "recipe", "intermediate", "target"))
    assert f"the mean of {place}: over other languages" in apart(page)
    assert "scores only in old: 1" in apart(page)


def test_a_mean_of_zero_shot_transfer_is_over_what_was_not_taught(whole: dict[str, Any]) -> None:
    one = changed(whole)
    place = {name: one["gains"][0][name] for name in ("encoder", "recipe", "intermediate", "target")}
    rows = [row for row in one["gains"] if all(row[name] == value for name, value in place.items())]
    mean = next(row for row in rows if row["language"] == "mean")
    one["gains"] = [*rows, {**mean, "language": "zero-shot"}]
    older = {**changed(one), "gains": rows}
    page = compare_reports.page(one, older, NAMES)
    assert [row[5].text for row in sheet(page, "gains").rows].count("mean") == 1
    other = changed(one)
    next(row for row in other["gains"] if row["language"] == "en")["in_training_language"] = True
    page = compare_reports.page(one, other, NAMES)
    assert [row[5].text for row in sheet(page, "gains").rows if row[5].text in ("mean", "zero-shot")] == ["mean"]
    assert apart(page).count("over other languages") == 1


def test_costs_are_ratios_of_medians_and_other_machines_are_told(whole: dict[str, Any]) -> None:
    other = changed(whole)
    for row in other["costs"]:
        row["figures"] = {name: value and value * 3 for name, value in row["figures"].items()}
    other["reproduce"]["devices"] = ["cuda"]
    page = compare_reports.page(whole, other, NAMES)
    ratios = [cell.value for row in sheet(page, "ratios").rows for cell in row[4:] if cell.value is not None]
    assert ratios
    assert ratios == pytest.approx([3.0] * len(ratios))
    assert "different devices: cpu; cuda" in next(one.about for one in page.sections if one.name == "costs")


def test_settings_of_both_and_of_one_are_listed(whole: dict[str, Any]) -> None:
    other = changed(whole)
    other["settings"]["seeds"] = [3, 4]
    rows = {
        row[0].text: [cell.text for cell in row[1:]]
        for row in sheet(compare_reports.page(whole, other), "settings").rows
    }
    assert rows["seeds"] == ["3", "1, 2", "4"]
    assert rows["targets"] == ["xnli, xquad, udpos", "–", "–"]


def test_nothing_in_common_says_so(whole: dict[str, Any]) -> None:
    other = changed(whole)
    other.update({"levels": [], "gains": [], "costs": [], "verdicts": []})
    page = compare_reports.page(whole, other, NAMES)
    assert page.answer == "The reports have no figure in common."
    assert html(page).endswith("</html>\n")


def put_stage(store: Path, name: str, key: str, score: float, seconds: float) -> None:
    """Write a finished stage of scoring as the store has it."""
    folder = store / f"score-{name}-{key}"
    folder.mkdir(parents=True)
    (folder / "score.json").write_text(json.dumps({"headline": score}), encoding="utf-8")
    record = {
        "label": f"score-{name}",
        "key": key,
        "work": "xstilts.evaluation.score.score",
        "arguments": {},
        "inputs": {},
        "record": {},
        "seconds": seconds,
        "libraries": {"torch": store.name},
        "machine": {"device": "cpu"},
        "files": {"score.json": {"bytes": 1, "sha256": f"{score}"}},
    }
    (folder / "stage.json").write_text(json.dumps(record), encoding="utf-8")


@pytest.fixture
def stores(tmp_path: Path) -> tuple[Path, Path]:
    """Two stores: one stage the same in both, one with other files, and one label under two keys."""
    for name, score, key in (("one", 50.0, "c"), ("two", 51.5, "d")):
        put_stage(tmp_path / name, "same", "a" * 12, 70.0, 2.0)
        put_stage(tmp_path / name, "unlike", "b" * 12, score, 2.0 if name == "one" else 6.0)
        put_stage(tmp_path / name, "other", key * 12, score, 1.0)
    return tmp_path / "one", tmp_path / "two"


def test_stores_are_compared_key_by_key(stores: tuple[Path, Path]) -> None:
    page = compare_stores.page(*stores)
    (row,) = sheet(page, "unlike").rows
    assert [cell.text for cell in row] == [f"score-unlike-{'b' * 12}", "score.json", "50.00", "51.50", "+1.50"]
    assert [cell.value for cell in sheet(page, "counts").rows[0][1:]] == [2, 1, 1]
    assert [cell.value for cell in sheet(page, "seconds").rows[0][1:]] == [4.0, 8.0, 2.0]
    assert ["torch", "one", "two"] in [[cell.text for cell in row] for row in sheet(page, "libraries").rows]
    assert "score-other" in apart(page)
    assert "Of 2 stages that both have, 1 hold the same files, 1 others." in page.answer


def test_the_verb_compares_stores_and_reports_but_no_mixture(
    stores: tuple[Path, Path], whole: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["report", *map(str, stores), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert {path.name for path in out.iterdir()} == {"comparison.html", "comparison.md"}
    study = tmp_path / "study"
    study.mkdir()
    (study / study_report.REPORT).write_text(json.dumps(changed(whole)), encoding="utf-8")
    first = [path.read_bytes() for path in compare_reports.write(study, study, out)]
    assert first == [path.read_bytes() for path in compare_reports.write(study, study, out)]
    with pytest.raises(InputError, match="neither two folders"):
        compare_reports.write(study, stores[0], out)
