from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given as law
from hypothesis import settings
from hypothesis import strategies as st

from xstilts import metrics
from xstilts.claims.measures import Level
from xstilts.claims.results_table import ResultsTable
from xstilts.data import examples
from xstilts.data.dataset import EXAMPLES
from xstilts.errors import InputError
from xstilts.evaluation.score import read_lines, read_score, scored
from xstilts.experiments import collect_results
from xstilts.experiments.grid import Grid, feasible, mlm_of, target_training_tasks_of, tasks_of
from xstilts.experiments.run import Recipes
from xstilts.experiments.score_table import ScoreTable, markdown, remarks
from xstilts.models.encoder import Encoder
from xstilts.reporting import study_report
from xstilts.runtime import progress
from xstilts.runtime.machine import Runtime
from xstilts.sandbox import CODES
from xstilts.store.build import is_built, missing
from xstilts.store.stage import StageError, folder_of
from xstilts.tasks.base import task

SETTINGS = ("steps=2", "max_train_examples=32", "max_length=48")
RECIPES = Recipes("small", SETTINGS, SETTINGS)
POS = replace(task("sandbox_pos"), languages=CODES[:2])
RETRIEVAL = replace(task("sandbox_retrieval"), languages=CODES[1:3])
PARAPHRASE = task("sandbox_paraphrase")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, few_examples: None) -> Runtime:
    return Runtime(tmp_path_factory.mktemp("grid") / "store", device="cpu", threads=1)


@pytest.fixture(scope="module")
def grid(families: Any, machine: Runtime) -> Grid:
    """Return a finished grid: two targets, a baseline and one setting, two seeds."""
    asked = Grid(Encoder.of(families["xlm-roberta"]), (POS, RETRIEVAL), ((PARAPHRASE,),), RECIPES, seeds=2)
    asked.build(machine)
    return asked


@pytest.fixture(scope="module")
def tables(grid: Grid, machine: Runtime) -> list[ScoreTable]:
    return grid.tables(machine)


def worked(grid: Grid, machine: Runtime) -> Counter[str]:
    """Count what a grid would still build, by the name of the work."""
    return Counter(stage.work.function.__name__ for stage in missing(tuple(grid.score_stages(machine)), machine))


def test_a_second_time_nothing_is_built(grid: Grid, machine: Runtime) -> None:
    assert worked(grid, machine) == Counter()
    assert grid.build(machine) == 0


def test_what_two_targets_share_was_trained_once(grid: Grid, machine: Runtime) -> None:
    """Two intermediate trainings, four target trainings, and none for retrieval."""
    formats = Counter(path.name.rsplit("-seed", 1)[0] for path in machine.store.glob("train-*"))
    assert formats == {"train-sandbox_paraphrase": 2, "train-sandbox_pos": 4}


def test_the_baseline_is_first_and_every_column_has_every_seed(tables: list[ScoreTable]) -> None:
    for table in tables:
        assert [column.name for column in table.columns] == ["baseline", "sandbox_paraphrase"]
        assert all(len(scores) == 2 for column in table.columns for scores in column.scores.values())
    assert [table.target for table in tables] == ["sandbox_pos", "sandbox_retrieval"]
    assert tables[0].languages == POS.languages
    assert tables[0].english == "qaa"
    assert list(tables[0].rows()) == ["qaa", "qab", "mean", "mean without English"]


def test_the_figures_are_those_of_the_score_files(grid: Grid, machine: Runtime, tables: list[ScoreTable]) -> None:
    for target, table in zip(grid.targets, tables, strict=True):
        for column, runs in zip(table.columns, grid.runs(target).values(), strict=True):
            for seed, run in enumerate(runs):
                for code, score in run.scores().items():
                    record = read_score(folder_of(score, machine))
                    assert column.scores[code][seed] == record["headline"]
                    if target is RETRIEVAL:
                        assert column.at_fixed_layer[code][seed] == record["by_layer"][table.fixed_layer]
                    else:
                        assert (column.at_fixed_layer, table.fixed_layer) == ({}, None)


def test_results_of_retrieval_have_the_fixed_layer_beside_the_chosen_one(grid: Grid, machine: Runtime) -> None:
    """Its examples are those of a score without development data, which is at that layer."""
    table = ResultsTable(tuple(collect_results.rows("", replace(grid, targets=(RETRIEVAL,)), machine)))
    differ = False
    for run in (run for runs in grid.runs(RETRIEVAL).values() for run in runs):
        for code, score in run.scores().items():
            (row,) = (row for row in table.rows if row.keys[-1] == score.key and row.seed == run.seed)
            gold = examples.read(folder_of(score.arguments["gold"], machine) / EXAMPLES, "bitext_retrieval")
            lines = read_lines(folder_of(score.arguments["predictions"], machine))
            alone = scored(list(gold), lines, ("bitext_retrieval", code), RETRIEVAL.metric)
            assert row.at_fixed_layer is not None
            assert row.at_fixed_layer.examples is not None
            assert row.at_fixed_layer.examples.read_text(encoding="utf-8") == alone["contributions.jsonl"]
            assert row.at_fixed_layer.score == json.loads(alone["score.json"])["headline"]
            differ |= row.at_fixed_layer.examples != row.examples
    for setting in ("baseline", "sandbox_paraphrase"):
        rows = table.select(target=RETRIEVAL.name, intermediate=setting).rows
        level = Level(setting, RETRIEVAL.name, layer="fixed").of(table).estimate
        assert level.value == pytest.approx(np.mean([row.at_fixed_layer.score for row in rows if row.at_fixed_layer]))
    reported = {row["target"] for row in study_report.levels(table) if row["language"] == "mean at the fixed layer"}
    assert reported == ({RETRIEVAL.name} if differ else set())


@law(st.integers(2, 5), st.integers(0, 4), st.sampled_from(("bitext_retrieval", "bitext_mining")), st.randoms())
@settings(max_examples=40, deadline=None)
def test_contributions_at_the_fixed_layer_are_those_of_that_layer(
    layers: int, best: int, format: str, chance: random.Random
) -> None:
    """For any layer that development data choose; mining keeps the threshold that they chose for the fixed one."""
    ids = [f"e{n}" for n in range(6)]
    if format == "bitext_retrieval":
        gold: list[Any] = [examples.BitextExample(id, "a", "b") for id in ids]
        lines = [{"id": id, "prediction": [chance.choice(ids) for _ in range(layers)]} for id in ids]
    else:
        gold = [examples.PassageExample(f"f{n}", "a", None, "query", (id,)) for n, id in enumerate(ids)]
        pairs = [[[chance.choice(ids), chance.random()] for _ in range(layers)] for _ in ids]
        lines = [{"id": one.id, "prediction": found} for one, found in zip(gold, pairs, strict=True)]
    metric = "retrieval_accuracy" if format == "bitext_retrieval" else "mined_f1"
    tuned = {"by_layer": [float(layer == best % layers) for layer in range(layers)], "thresholds": [0.5] * layers}
    files = scored(gold, lines, (format, "de"), metric, tuned)
    record = json.loads(files["score.json"])
    name = "contributions.jsonl" if record["layer"] == record["fixed_layer"] else "contributions_at_fixed_layer.jsonl"
    assert set(files) == {"score.json", "contributions.jsonl", name}
    parts = np.asarray([json.loads(line) for line in files[name].splitlines()], dtype=np.float64)
    headline = metrics.headlines(metric, parts.reshape(len(parts), -1), np.ones((1, len(parts))))
    assert float(headline[0]) == pytest.approx(record["by_layer"][record["fixed_layer"]])


def test_every_example_has_its_prediction(grid: Grid, machine: Runtime) -> None:
    for score in grid.score_stages(machine):
        gold = examples.read(
            folder_of(score.arguments["gold"], machine) / EXAMPLES,
            "token_classification" if "pos" in score.label else "bitext_retrieval",
        )
        lines = read_lines(folder_of(score.arguments["predictions"], machine))
        assert [line["id"] for line in lines] == [one.id for one in gold]


def test_retrieval_without_training_is_one_result_and_has_no_error(tables: list[ScoreTable]) -> None:
    baseline, after = tables[1].columns
    for code in RETRIEVAL.languages:
        assert len(set(baseline.keys[code])) == 1
        assert len(baseline.replicates(code)) == 1
        assert len(set(after.keys[code])) == 2
    lines = markdown(tables[1]).splitlines()
    cells = next(line for line in lines if line.startswith("| qab")).split("|")
    assert "±" not in cells[2]
    assert "±" in cells[3]
    assert any(remark.startswith("layer ") and "qab" in remark for remark in remarks(tables[1]))


def test_two_steps_teach_nothing_and_that_is_said(tables: list[ScoreTable]) -> None:
    baseline, after = tables[0].columns
    assert {"train-sandbox_paraphrase-seed1", "train-sandbox_paraphrase-seed2"} <= set(after.collapsed)
    assert not any("paraphrase" in label for label in baseline.collapsed)
    said = "\n".join(remarks(tables[0]))
    assert "sandbox_paraphrase: no better than chance after train-sandbox_paraphrase-seed1" in said


def test_a_table_is_the_same_each_time(grid: Grid, machine: Runtime, tables: list[ScoreTable]) -> None:
    assert [markdown(table) for table in grid.tables(machine)] == [markdown(table) for table in tables]


def test_an_added_language_costs_predictions_and_scores_only(grid: Grid, machine: Runtime) -> None:
    wider = replace(grid, targets=(replace(POS, languages=CODES[:3]),))
    assert worked(wider, machine) == {"read": 1, "predict": 4, "score": 4}


def test_an_added_seed_costs_what_belongs_to_it(grid: Grid, machine: Runtime) -> None:
    found = worked(replace(grid, seeds=3), machine)
    assert found["train"] == 3  # the intermediate task, and the target without it and after it
    assert found["read"] == 0


def test_an_added_setting_leaves_the_others_as_they_are(grid: Grid, machine: Runtime) -> None:
    found = worked(replace(grid, targets=(POS,), settings=((PARAPHRASE,), (task("sandbox_roles"),))), machine)
    assert found["train"] == 4
    assert found["predict"] == found["score"] == 4


def test_other_teachers_are_for_the_targets_that_are_trained(grid: Grid) -> None:
    roles = task("sandbox_roles")
    taught = replace(grid, target_training_tasks={"": (roles, POS)})
    phases = [phase.tasks for phase in taught.runs(POS)["baseline"][0].phases()]
    assert phases == [(roles,), (POS,)]
    assert taught.runs(RETRIEVAL)["baseline"][0].phases() == ()


def test_teachers_are_for_all_targets_or_for_one() -> None:
    found = target_training_tasks_of(["sandbox_qa", "sandbox_nli=sandbox_roles+sandbox_nli", "panx=panx:sw+ar"])
    assert found[""] == (task("sandbox_qa"),)
    assert [one.name for one in found["sandbox_nli"]] == ["sandbox_roles", "sandbox_nli"]
    assert found["panx"] == (task("panx:sw+ar"),)
    with pytest.raises(InputError, match="unknown task 'sandbox_nly'"):
        target_training_tasks_of(["sandbox_nly=sandbox_qa"])


def test_what_cannot_be_run_is_left_out_and_told(grid: Grid, machine: Runtime) -> None:
    told: list[str] = []
    progress.listen(lambda event: told.append(event.label))
    kept = feasible(replace(grid, targets=(task("xnli"), POS)), machine)
    assert kept.targets == (POS,)
    assert told == [line for line in told if line.startswith("left out: task 'xnli' has no test data")]
    assert len(told) == 1
    with pytest.raises(InputError, match="no target can be run: task 'xnli' has no"):
        feasible(replace(grid, targets=(task("xnli"),)), machine)


def test_masked_lm_is_for_the_settings_and_not_for_the_baseline(grid: Grid, machine: Runtime) -> None:
    mlm = mlm_of("sandbox_text", ("qab", "qac", "sw"), 0.5, 0.3, machine)
    assert mlm is not None
    assert mlm.languages == ("qab", "qac")
    runs = replace(grid, mlm=mlm).runs(POS)
    assert all(run.mlm is None for run in runs["baseline"])
    assert all(run.mlm == mlm for run in runs["sandbox_paraphrase"])
    assert mlm_of(None, ("qab",), 1, 1, machine) is None


def test_masked_lm_on_a_users_own_text_takes_the_languages_that_have_a_folder(tmp_path: Path) -> None:
    for code in ("sw", "ur"):
        (tmp_path / code).mkdir()
        (tmp_path / code / "lines.txt").write_text("one line\n", encoding="utf-8")
    mlm = mlm_of("text", ("de", "sw", "ur"), 1.0, 0.3, Runtime(tmp_path / "store", tmp_path))
    assert mlm is not None
    assert mlm.languages == ("sw", "ur")


def test_masked_lm_with_nothing_to_run_beside_is_refused(grid: Grid, machine: Runtime) -> None:
    mlm = mlm_of("sandbox_text", ("qab",), 1.0, 0.3, machine)
    with pytest.raises(InputError, match="masked-LM runs beside intermediate tasks"):
        replace(grid, settings=(), mlm=mlm)
    with pytest.raises(InputError, match="task 'common_voice' has no train data in 'sw'"):
        mlm_of("common_voice", ("sw", "de"), 1.0, 0.3, machine)
    with pytest.raises(InputError, match="'sandbox_text' has text in none of sw, de"):
        mlm_of("sandbox_text", ("sw", "de"), 1.0, 0.3, machine)


def test_names_of_tasks_are_read_from_lists() -> None:
    assert [one.name for one in tasks_of(" mnli, squad ,")] == ["mnli", "squad"]
    assert [one.name for one in tasks_of("siqa+copa", "+")] == ["siqa", "copa"]
    with pytest.raises(InputError, match="unknown task 'mnly'; did you mean 'mnli'"):
        tasks_of("squad,mnly")
    for nothing in ("", " , ", ","):
        with pytest.raises(InputError, match="expected names of tasks"):
            tasks_of(nothing)


def test_a_device_that_is_not_here_is_refused_before_anything_is_built(grid: Grid, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot work on device 'cuda:99'.*give auto, cpu"):
        grid.build(Runtime(tmp_path / "store", device="cuda:99"))
    assert not (tmp_path / "store").exists()


def test_a_target_that_fails_leaves_the_others_finished(families: Any, machine: Runtime, tmp_path: Path) -> None:
    """The target's training diverges, and retrieval does not need it."""
    recipes = Recipes("small", SETTINGS, (*SETTINGS, "learning_rate=1e38"))
    asked = Grid(Encoder.of(families["xlm-roberta"]), (POS, RETRIEVAL), (), recipes, seeds=1)
    elsewhere = replace(machine, store=tmp_path / "store")
    with pytest.raises(StageError, match="train-sandbox_pos-seed1: the loss became"):
        asked.build(elsewhere)
    done = [is_built(score, elsewhere) for score in asked.score_stages(elsewhere)]
    assert done == [False] * 2 + [True] * 2
    assert not list(elsewhere.store.glob("predict-sandbox_pos*"))
    assert json.loads(next(elsewhere.store.glob("score-sandbox_retrieval*/score.json")).read_text())["metric"]


def test_settings_of_one_name_are_refused() -> None:
    """Their rows could not be told apart."""
    both = tasks_of("sandbox_cloze"), tasks_of("sandbox_cloze:qab+qac")
    with pytest.raises(InputError, match="names that differ"):
        Grid(Encoder.of("sandbox"), (POS,), both, RECIPES, seeds=1)
