from __future__ import annotations

import json
import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest
from rich.console import Console

from xstilts import metrics
from xstilts.errors import InputError
from xstilts.experiments import benchmark
from xstilts.experiments.score_table import Column, ScoreTable, cells_of
from xstilts.metrics import XTREME, XTREME_R, Suite

ORACLES = Path(os.environ.get("XSTILTS_ORACLES", Path(__file__).resolve().parents[3] / "shared" / "oracles"))
SMALL = Suite("small", {"xnli": ("en", "sw"), "panx": ("en", "de"), "tatoeba": ("sw",)}, {"both": ("xnli", "panx")})


def column(name: str, seeds: Sequence[Mapping[str, float]], tag: str = "") -> Column:
    scores = {code: tuple(seed[code] for seed in seeds) for code in seeds[0]}
    return Column(name, scores, {code: tuple(f"{tag}{name}{code}{n}" for n in range(len(seeds))) for code in scores})


def table(target: str, *columns: Column) -> ScoreTable:
    return ScoreTable(target, "accuracy", tuple(columns[0].scores), "en", columns)


TABLES = [
    table(
        "xnli",
        column("baseline", [{"en": 80, "sw": 40, "ar": 1}, {"en": 82, "sw": 44, "ar": 1}]),
        column("mnli", [{"en": 80, "sw": 50, "ar": 1}, {"en": 82, "sw": 54, "ar": 1}]),
    ),
    table(
        "panx",
        column("baseline", [{"de": 60, "en": 70}, {"de": 64, "en": 70}]),
        column("mnli", [{"de": 61, "en": 70}, {"de": 65, "en": 70}]),
    ),
    table("tatoeba", column("baseline", [{"sw": 10}] * 2), column("mnli", [{"sw": 30}, {"sw": 34}])),
]


def test_means_of_retrieval_are_given_at_the_fixed_layer_too() -> None:
    """All rows that retrieval is part of follow at the literature's depth; where that was chosen, nothing does."""
    *others, tatoeba = TABLES
    moved = [replace(c, at_fixed_layer={"sw": tuple(s - 6 for s in c.scores["sw"])}) for c in tatoeba.columns]
    rows = dict(cells_of(benchmark.of([*others, replace(tatoeba, columns=tuple(moved), fixed_layer=14)], SMALL)))
    bare = dict(cells_of(benchmark.of(TABLES, SMALL)))
    added = ["tatoeba (1 language, no English)", "mean over all tasks", "mean over all tasks without English"]
    assert list(rows) == [*bare, *(f"{label}, fixed layer" for label in added)]
    assert bare.items() <= rows.items()
    assert rows[f"{added[0]}, fixed layer"][0].startswith("4.0")
    assert rows["mean over all tasks, fixed layer"][0].startswith(f"{(61.5 + 66 + 4) / 3:.1f}")
    same = [replace(column, at_fixed_layer=column.scores) for column in tatoeba.columns]
    assert dict(cells_of(benchmark.of([*others, replace(tatoeba, columns=tuple(same))], SMALL))) == bare


def test_a_mean_is_over_the_languages_of_the_suite_and_then_over_its_tasks() -> None:
    found = benchmark.of(TABLES, SMALL)
    base = found.scores()["baseline"]
    assert base.tasks == {"xnli": {"headline": 61.5}, "panx": {"headline": 66.0}, "tatoeba": {"headline": 10.0}}
    assert base.groups == {"both": 63.75, "all_task": pytest.approx((61.5 + 66 + 10) / 3)}
    rows = dict(cells_of(found))
    assert list(rows) == [
        "xnli (2 languages, English included)",
        "panx (2 languages, English included)",
        "tatoeba (1 language, no English)",
        "both (xnli, panx)",
        "mean over all tasks",
        "mean over all tasks without English",
    ]
    assert rows["mean over all tasks without English"][0].startswith(f"{(42 + 62 + 10) / 3:.1f} ±")
    assert rows["mean over all tasks"][2].startswith("+9.2 [")


@pytest.mark.parametrize("suite", [XTREME, XTREME_R], ids=lambda suite: suite.name)
def test_means_are_those_of_the_metric(suite: Suite) -> None:
    draw = random.Random(1)
    codes = {name: codes or ("ar", "zh") for name, codes in suite.languages.items()}
    seeds = [{task: {c: {"accuracy": draw.uniform(0, 100)} for c in of} for task, of in codes.items()} for _ in "abc"]
    tables = [
        table(task, column("baseline", [{c: v["accuracy"] for c, v in seed[task].items()} for seed in seeds]))
        for task in suite.languages
    ]
    averages = [metrics.average(suite, seed) for seed in seeds]
    found = benchmark.of(tables, suite).scores()["baseline"]
    assert found.groups == pytest.approx({g: fmean(a.groups[g] for a in averages) for g in averages[0].groups})
    assert {task: values["headline"] for task, values in found.tasks.items()} == pytest.approx(
        {task: fmean(a.tasks[task]["headline"] for a in averages) for task in suite.languages}
    )


@pytest.mark.skipif(not ORACLES.is_dir(), reason=f"no fixtures of official scorers in {ORACLES}")
@pytest.mark.parametrize("name", ["aggregate_xtreme", "aggregate_xtreme_r"])
def test_means_are_those_of_the_official_script(name: str) -> None:
    fixture = json.loads((ORACLES / f"{name}.json").read_text(encoding="utf-8"))
    values, suite = fixture["official"]["values"], metrics.suite(fixture["xtreme_version"])
    tables = []
    for theirs, detailed in values["detailed"].items():
        exact, f1 = detailed.get("exact_match"), detailed.get("f1") or detailed.get("accuracy") or detailed["map@20"]
        scores = {code: (exact[code] + f1[code]) / 2 if exact else float(f1[code]) for code in f1}
        tables.append(table({"bucc2018": "bucc"}.get(theirs, theirs), column("baseline", [scores])))
    assert benchmark.of(tables, suite).scores()["baseline"].groups == pytest.approx(values["overall"])


def test_what_is_missing_is_named_and_no_mean_is_made_over_fewer() -> None:
    found = benchmark.of([replace(TABLES[0], languages=("en", "ar")), TABLES[1]], SMALL)
    assert found.missing == {"xnli": ("sw",), "tatoeba": ()}
    assert list(found.rows()) == ["panx (2 languages, English included)"]
    assert found.scores()["baseline"].groups == {}
    said = benchmark.remarks(found)
    assert "no mean of xnli: no score in sw" in said
    assert "no mean of tatoeba: no score in any language" in said
    assert any("no mean of both, all_task" in remark for remark in said)
    whole = " ".join(benchmark.remarks(benchmark.of(TABLES, SMALL)))
    assert "no mean" not in whole
    assert "include English, but for tatoeba" in whole


def test_a_mean_of_results_that_are_the_same_counts_once() -> None:
    bare = Column("baseline", {"sw": (10.0, 10.0)}, {"sw": ("k", "k")})
    only = Suite("only", {"tatoeba": ("sw",)}, {})
    assert dict(cells_of(benchmark.of([table("tatoeba", bare)], only)))["mean over all tasks"] == ["10.0"]


def test_tables_must_be_of_one_grid() -> None:
    with pytest.raises(InputError, match="none of the tables is of small"):
        benchmark.of([replace(TABLES[0], target="squad")], SMALL)
    for other in (TABLES[1].columns[:1], tuple(replace(c, name=c.name + "!") for c in TABLES[1].columns)):
        with pytest.raises(InputError, match="settings and seeds of 'xnli'"):
            benchmark.of([TABLES[0], replace(TABLES[1], columns=other)], SMALL)


def test_collapsed_runs_are_named() -> None:
    fallen = replace(TABLES[0].columns[1], collapsed=("train-xnli-seed2",))
    found = benchmark.of([replace(TABLES[0], columns=(TABLES[0].columns[0], fallen)), *TABLES[1:]], SMALL)
    assert "mnli: no better than chance after train-xnli-seed2" in benchmark.remarks(found)


def test_targets_are_the_tasks_of_a_suite_in_its_languages() -> None:
    for suite in (XTREME, XTREME_R):
        found = {task.name: task for task in benchmark.targets(suite)}
        assert list(found) == list(suite.languages)
        assert all(set(found[name].languages) == set(codes) for name, codes in suite.languages.items() if codes)
    assert "ro" not in {task.name: task for task in benchmark.targets(XTREME)}["xquad"].languages


def test_means_are_shown_and_saved(tmp_path: Path) -> None:
    found = benchmark.of(TABLES, SMALL)
    screen = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with screen.file:
        screen.print(benchmark.render(found))
    text = screen.export_text()
    assert all(label in text for label in found.rows())
    benchmark.save(found, tmp_path)
    lines = (tmp_path / "benchmark.md").read_text(encoding="utf-8").splitlines()
    assert lines[:3] == ["### small (means)", "", "| mean of | baseline | mnli | gain [95 %] |"]
    assert json.loads((tmp_path / "benchmark.json").read_text())["columns"][0]["scores"]["panx"] == [65.0, 67.0]
