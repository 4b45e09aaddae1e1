from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from xstilts.experiments import score_table
from xstilts.experiments.score_table import Column, ScoreTable, cells_of, header, markdown, remarks, render, save
from xstilts.runtime.machine import Runtime
from xstilts.stats import gain, summary
from xstilts.training.recipe import Recipe

CODES = ("de", "en", "sw")


def column(name: str, *seeds: tuple[float, ...], distinct: bool = True, collapsed: tuple[str, ...] = ()) -> Column:
    """Return a column from the scores of each seed, in the order of `CODES`."""
    scores = {code: tuple(seed[n] for seed in seeds) for n, code in enumerate(CODES)}
    keys = {code: tuple(f"{name}{code}{s if distinct else 0}" for s in range(len(seeds))) for code in CODES}
    return Column(name, scores, keys, collapsed)


BASE = column("baseline", (60.0, 80.0, 40.0), (62.0, 82.0, 44.0), (61.0, 81.0, 42.0))
AFTER = column("mnli", (63.0, 81.0, 50.0), (65.5, 82.0, 54.0), (63.5, 83.0, 52.0))
TABLE = ScoreTable("xnli", "accuracy", CODES, "en", (BASE, AFTER))


def row(table: ScoreTable, label: str) -> list[str]:
    return dict(cells_of(table))[label]


def test_english_comes_first_and_the_means_last() -> None:
    assert TABLE.rows() == {
        "en": ("en",),
        "de": ("de",),
        "sw": ("sw",),
        "mean": CODES,
        "mean without English": ("de", "sw"),
    }


@pytest.mark.parametrize(
    ("languages", "labels"),
    [
        (("en",), ["en"]),
        (("de",), ["de"]),
        (("de", "sw"), ["de", "sw", "mean"]),
        (("sw", "en"), ["en", "sw", "mean", "mean without English"]),
    ],
)
def test_a_mean_is_there_only_where_it_says_something_else(languages: tuple[str, ...], labels: list[str]) -> None:
    assert list(replace(TABLE, languages=languages).rows()) == labels


def test_retrieval_has_means_at_the_fixed_layer_too() -> None:
    def at(layer: Column, shift: float) -> Column:
        return replace(layer, at_fixed_layer={code: tuple(s - shift for s in layer.scores[code]) for code in CODES})

    table = replace(TABLE, columns=(at(BASE, 20.0), at(AFTER, 10.0)), fixed_layer=14)
    added = {label: cells for label, cells in cells_of(table) if label not in TABLE.rows()}
    assert list(added) == ["mean, fixed layer 14", "mean without English, fixed layer 14"]
    before, after = (summary(c.mean(CODES)).mean - s for c, s in zip(TABLE.columns, (20, 10), strict=True))
    cells = added["mean, fixed layer 14"]
    assert cells[0].startswith(f"{before:.1f} ±")
    assert cells[1].startswith(f"{after:.1f} ±")
    assert cells[2].startswith(f"{after - before:+.1f} [")
    alone = [label for label, _ in cells_of(replace(table, languages=("de",)))]
    assert alone == ["de", "de, fixed layer 14"]
    same = replace(table, columns=tuple(replace(c, at_fixed_layer=c.scores) for c in TABLE.columns))
    assert [label for label, _ in cells_of(same)] == list(TABLE.rows())


def test_a_mean_is_over_languages_in_each_seed_and_then_over_seeds() -> None:
    assert BASE.mean(CODES) == pytest.approx((60.0, 188 / 3, 184 / 3))
    found = summary(BASE.mean(CODES))
    assert row(TABLE, "mean")[0] == f"{found.mean:.1f} ± {found.error:.1f}"


def test_gains_are_paired_by_seed() -> None:
    """The scores spread over four points, the gains hardly at all: only pairing sees that."""
    found = gain(BASE.scores["sw"], AFTER.scores["sw"])
    assert found.mean == 10
    assert row(TABLE, "sw") == ["42.0 ± 1.2", "52.0 ± 1.2", "+10.0 [+10.0, +10.0]*"]
    assert row(TABLE, "en")[2] == "+1.0 [-1.5, +3.5] "
    mixed = replace(AFTER, scores=AFTER.scores | {"sw": (54.0, 40.0, 62.0)})
    assert "*" not in row(replace(TABLE, columns=(BASE, mixed)), "sw")[2]


def test_the_order_of_seeds_is_the_order_of_runs_in_every_column() -> None:
    turned = [replace(c, scores={k: v[::-1] for k, v in c.scores.items()}) for c in (BASE, AFTER)]
    assert list(cells_of(replace(TABLE, columns=tuple(turned)))) == list(cells_of(TABLE))


def test_a_network_that_was_never_trained_counts_once() -> None:
    """Retrieval from a bare encoder has one result for all seeds: it has no spread, and its gains still have one."""
    same = column("baseline", *[(10.0, 20.0, 30.0)] * 3, distinct=False)
    assert same.replicates("de") == (10.0,)
    assert BASE.replicates("de") == (60.0, 62.0, 61.0)
    table = replace(TABLE, columns=(same, AFTER))
    assert row(table, "de")[0] == "10.0"
    assert row(table, "mean")[0] == "20.0"
    assert row(table, "de")[1] == row(TABLE, "de")[1]
    assert row(table, "de")[2].startswith("+54.0 [+")


def test_equal_scores_of_different_trainings_count_each() -> None:
    equal = column("baseline", *[(10.0, 20.0, 30.0)] * 3)
    assert equal.replicates("de") == (10.0, 10.0, 10.0)
    assert row(replace(TABLE, columns=(equal,)), "de") == ["10.0 ± 0.0"]


def test_one_seed_has_no_error_and_no_interval() -> None:
    table = replace(TABLE, columns=(column("baseline", (1.0, 2.0, 3.0)), column("mnli", (0.5, 2.0, 4.0))))
    assert row(table, "de") == ["1.0", "0.5", "-0.5"]
    assert row(table, "sw") == ["3.0", "4.0", "+1.0"]


def test_a_loss_is_starred_as_a_gain_is() -> None:
    table = replace(TABLE, columns=(AFTER, replace(BASE, name="worse")))
    assert row(table, "sw")[2] == "-10.0 [-10.0, -10.0]*"


def test_the_header_has_a_gain_for_each_setting_but_the_baseline() -> None:
    other = replace(AFTER, name="squad")
    table = replace(TABLE, columns=(BASE, AFTER, other))
    assert header(table) == ["language", "baseline", "mnli", "gain [95 %]", "squad", "gain [95 %]"]
    assert all(len(cells) == 5 for _, cells in cells_of(table))


def test_what_must_be_known_is_said() -> None:
    fallen = replace(AFTER, collapsed=("train-mnli-seed2", "train-xnli-seed2"))
    table = replace(TABLE, columns=(BASE, fallen), missing=("yo", "zu"), notes=("a note",))
    said = remarks(table)
    assert "3 seeds" in said[0]
    assert "a note" in said
    assert "mnli: no better than chance after train-mnli-seed2" in said
    assert "mnli: no better than chance after train-xnli-seed2" in said
    assert "no test data for yo, zu" in said
    assert not any("chance" in remark or "no test data" in remark for remark in remarks(TABLE))


def test_markdown_is_a_table_and_is_the_same_each_time() -> None:
    text = markdown(TABLE)
    assert text == markdown(TABLE)
    lines = text.splitlines()
    assert lines[0] == "### xnli (accuracy)"
    assert lines[2] == "| language | baseline | mnli | gain [95 %] |"
    assert lines[3] == "| --- | ---: | ---: | ---: |"
    assert lines[6] == "| sw | 42.0 ± 1.2 | 52.0 ± 1.2 | +10.0 [+10.0, +10.0]* |"
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
    assert [line[2:] for line in lines if line.startswith("- ")] == remarks(TABLE)


def test_every_cell_is_on_the_screen() -> None:
    """Intervals in brackets must not be taken for markup."""
    screen = Console(width=120, record=True, markup=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with screen.file:
        screen.print(render(TABLE))
    text = screen.export_text()
    for label, cells in cells_of(TABLE):
        assert label in text
        assert all(cell.strip() in text for cell in cells)
    assert "gain [95 %]" in text


def test_what_is_saved_can_be_read_again(tmp_path: Path) -> None:
    save([TABLE, replace(TABLE, target="squad")], tmp_path / "deep" / "folder")
    text = (tmp_path / "deep" / "folder" / "table.md").read_text(encoding="utf-8")
    assert text.count("### ") == 2
    first, second = json.loads((tmp_path / "deep" / "folder" / "table.json").read_text(encoding="utf-8"))
    assert second["target"] == "squad"
    assert first["columns"][1]["scores"]["sw"] == [50.0, 54.0, 52.0]
    assert first["columns"][0]["keys"]["sw"] == ["baselinesw0", "baselinesw1", "baselinesw2"]
    before = (tmp_path / "deep" / "folder" / "table.json").read_bytes()
    save([TABLE, replace(TABLE, target="squad")], tmp_path / "deep" / "folder")
    assert (tmp_path / "deep" / "folder" / "table.json").read_bytes() == before
    assert not math.isnan(first["columns"][0]["scores"]["de"][0])


@pytest.mark.parametrize(
    ("format", "pooling", "artificial", "collapsed", "said"),
    [
        ("classification", "family", False, True, True),
        ("multiple_choice", "first", False, True, True),
        ("classification", "mean", False, True, False),
        ("token_classification", "family", False, True, False),
        ("classification", "family", True, True, False),
        ("classification", "family", False, False, False),
    ],
)
def test_a_first_token_at_chance_is_answered_with_the_mean(
    format: str, pooling: str, artificial: bool, collapsed: bool, said: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    phase = SimpleNamespace(recipe=Recipe(pooling=pooling), training_sets=[SimpleNamespace(format=format)])
    run: Any = SimpleNamespace(target=SimpleNamespace(artificial=artificial), phases=lambda: [phase])
    monkeypatch.setattr(score_table, "_at_chance", lambda phase, machine: collapsed)
    notes = list(score_table._pooling({"baseline": [run]}, Runtime()))
    assert bool(notes) == said
    assert all("--set pooling=mean" in note for note in notes)
