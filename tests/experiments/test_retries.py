"""Trainings that end no better than chance are repeated with another seed: which, with which seeds, and how it is shown.

Whether a training collapses is decided by the tests: in the laws nothing is trained, in the others the record of a
training says what a rule of the test says of it.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from built_study import CLOZE, QA, SHORT
from quick import covering
from xstilts.api import Comparison
from xstilts.claims import claim
from xstilts.claims.claim import Claim
from xstilts.claims.measures import Gain
from xstilts.claims.results_table import ResultsTable
from xstilts.cli import app
from xstilts.errors import InputError
from xstilts.experiments import grid as grids
from xstilts.experiments import retries, score_table
from xstilts.experiments import study as studies
from xstilts.experiments.grid import Grid, settle, tasks_of
from xstilts.experiments.run import Recipes, Run
from xstilts.experiments.study import Arm, Study
from xstilts.models.encoder import Encoder
from xstilts.planning import render
from xstilts.planning.forecast import Gpu, forecast
from xstilts.reporting import study_page, study_report
from xstilts.runtime.machine import Runtime
from xstilts.store import local_executor, manifest, names, weights
from xstilts.store.local_executor import Unbuilt
from xstilts.store.names import PRETRAINING
from xstilts.store.stage import Stage, folder_of, with_inputs
from xstilts.verification.verify import Check, verify

NLI = "sandbox_nli"
GRID = Grid(
    Encoder.of("sandbox"),
    tasks_of(QA),
    (tasks_of(CLOZE),),
    Recipes("sandbox", SHORT, SHORT),
    2,
    only_languages=("qaa", "qab"),
)
WIDE = replace(GRID, settings=(tasks_of(CLOZE), tasks_of(f"{CLOZE},{NLI}")), seeds=4)
SHAPES = {
    "plain": WIDE,
    "reset": replace(WIDE, reset_layers="top:1"),
    "averaged": replace(WIDE, average="seeds:2"),
    "composed": replace(WIDE, settings=(tasks_of(f"{CLOZE},{NLI}"),), combine="add:0.5"),
    "learned": replace(WIDE, target_training_tasks={QA: (*tasks_of(CLOZE), *tasks_of(QA))}),
}
EACH_SHAPE = pytest.mark.parametrize("shape", SHAPES)


def keys(grid: Grid, machine: Runtime) -> list[str]:
    return [stage.key for stage in grid.stages(machine)]


# Laws: nothing is trained.


class Imagined:
    """A store in which some trainings collapse, and in which a build may be killed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, collapses: Callable[[Stage], bool]) -> None:
        self.built: list[Stage] = []
        self.left = 10**6
        monkeypatch.setattr(grids, "is_built", lambda stage, machine: stage in self.built)
        monkeypatch.setattr(
            retries, "has_collapsed", lambda stage, machine: stage in self.built and collapses(stage)
        )  # fmt: skip

    def build(self, stages: Collection[Stage], machine: Runtime) -> int:
        for stage in stages:
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            self.built.append(stage)
        return len(stages)


def at_random(number: int, share: float) -> Callable[[Stage], bool]:
    return lambda stage: random.Random(f"{number} {stage.key}").random() < share


def phases(grid: Grid, machine: Runtime) -> Iterator[Any]:
    for run in grid.all_runs(machine.data):
        yield from (phase for phase in run.shared_phases() if phase.role != PRETRAINING)


@EACH_SHAPE
def test_without_a_collapse_runs_have_the_stages_that_they_have_without_retries(shape: str, machine: Runtime) -> None:
    grid = SHAPES[shape]
    assert keys(replace(grid, retries=3), machine) == keys(grid, machine)
    every = frozenset(stage.key for stage in with_inputs(grid.stages(machine)))
    assert keys(replace(grid, collapsed=every), machine) == keys(grid, machine)
    assert grid.due(machine) == []
    assert grid.resolved(machine) is grid


@pytest.mark.parametrize(("shape", "case"), covering(SHAPES, [(1, 0.3, 1), (2, 0.5, 2), (3, 0.9, 3), (4, 1.0, 2)]))
def test_what_collapsed_is_repeated_and_nothing_else(
    shape: str, case: tuple[int, float, int], machine: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, share, most = case
    collapses = at_random(number, share)
    store = Imagined(monkeypatch, collapses)
    (grid,), count = settle([replace(SHAPES[shape], retries=most)], machine, store.build)
    used: dict[Stage, tuple[Stage, ...]] = {phase.stage: phase.tries for phase in phases(grid, machine)}
    assert any(used.values())
    for stage, tries in used.items():
        assert all(map(collapses, tries))
        assert not collapses(stage) or len(tries) == most
        first = stage.arguments["seed"] % retries.STEP
        assert [one.arguments["seed"] for one in (*tries, stage)] == [
            first + 1000 * number for number in range(len(tries) + 1)
        ]
        # Each try follows from the manifest of the last one, as verification finds it.
        record = {"work": stage.work.name, "version": stage.work.version, "arguments": stage.canonical_arguments}
        assert list(retries.earlier_keys(record)) == [one.key for one in tries]
    # Nothing was trained on an encoder whose training was repeated, and nothing twice.
    expected = {*used, *(one for tries in used.values() for one in tries)}
    assert len(store.built) == count == len(expected)
    assert {*store.built} == expected


@pytest.mark.parametrize("number", range(3))
def test_a_build_that_is_killed_and_continued_ends_in_the_same_runs(
    number: int, machine: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid, collapses = replace(WIDE, retries=2), at_random(number, 0.4)
    (whole,), count = settle([grid], machine, Imagined(monkeypatch, collapses).build)
    store = Imagined(monkeypatch, collapses)
    kills, resolved = random.Random(number), None
    while resolved is None:
        store.left = kills.randint(1, 5)
        try:
            (resolved,), _ = settle([grid], machine, store.build)
        except KeyboardInterrupt:
            continue
    assert resolved == whole
    assert len(store.built) == count
    assert settle([resolved], machine, store.build) == ((whole,), 0)


def test_runs_that_share_an_intermediate_training_share_the_one_that_repeats_it(
    machine: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = replace(GRID, targets=tasks_of(f"{QA},{NLI}"), retries=1)
    store = Imagined(monkeypatch, lambda stage: "cloze" in stage.label and stage.arguments["seed"] == 2)
    (grid,), _ = settle([two], machine, store.build)
    behind = {
        target.name: [run.shared_phases()[0].stage for run in grid.runs(target)[CLOZE]] for target in grid.targets
    }
    assert behind[QA] == behind[NLI]
    assert [stage.arguments["seed"] for stage in behind[QA]] == [1, 1002]
    # The targets' trainings keep the seed of the run: only what collapsed has another one.
    assert {run.shared_phases()[1].stage.arguments["seed"] for run in grid.all_runs() if run.intermediate} == {1, 2}


def test_members_of_an_average_keep_the_heads_of_the_first_seed(
    machine: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    averaged = replace(GRID, settings=(), average="seeds", retries=1)
    store = Imagined(monkeypatch, lambda stage: stage.arguments["seed"] in (1, 2))
    (grid,), _ = settle([averaged], machine, store.build)
    members = [phase.stage.arguments for phase in phases(grid, machine)]
    assert {(one["seed"], one["head_seed"]) for one in members} == {(1001, 1), (1002, 1)}


def test_a_training_that_fails_is_not_tried_again_and_does_not_stop_the_others(
    machine: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Imagined(monkeypatch, lambda stage: stage.arguments["seed"] == 1)
    tried: list[Stage] = []

    def build(stages: Collection[Stage], machine: Runtime) -> int:
        tried.extend(stages)
        fails = [stage for stage in stages if "cloze" in stage.label]
        store.build([stage for stage in stages if stage not in fails], machine)
        if fails:
            raise Unbuilt("the loss is infinite", {stage.key: "infinite" for stage in fails}, len(stages) - len(fails))
        return len(stages)

    _, count = settle([replace(GRID, retries=1)], machine, build)
    assert len(tried) == len({*tried})
    assert sorted(stage.label for stage in store.built) == [f"train-{QA}-seed{seed}" for seed in (1, 1001, 2)]
    assert count == 3


@pytest.mark.parametrize("number", [-1, 21, True, 1.5])
def test_numbers_that_are_no_retries_are_refused(number: Any) -> None:
    with pytest.raises(InputError, match="can be repeated 0 to 20 times"):
        replace(GRID, retries=number)


def test_seeds_of_repeated_trainings_never_meet_those_of_other_runs() -> None:
    replace(GRID, seeds=999, retries=1)
    with pytest.raises(InputError, match="give 999"):
        replace(GRID, seeds=1000, retries=1)
    replace(GRID, seeds=1000)
    with pytest.raises(InputError, match="give 999"):
        Run(GRID.encoder, (), GRID.targets[0], GRID.recipes, 1000, retries=1)


def test_arms_of_a_study_have_one_rule() -> None:
    with pytest.raises(InputError, match="the same retries, not 0, 2"):
        Study("?", (Arm(GRID, "one"), Arm(replace(GRID, retries=2), "two")), ())


def test_a_submission_is_of_trainings_as_they_end(tmp_path: Path) -> None:
    options = ["--encoder", "sandbox", "--target", QA, "--suite", "xtreme", "--recipe", "sandbox", "--retries", "1"]
    found = CliRunner().invoke(app, ["submit", *options, "--out", str(tmp_path), "--store", str(tmp_path / "store")])
    assert isinstance(found.exception, InputError) or "leave --retries out" in found.output


def test_a_plan_says_how_many_trainings_may_come(tmp_path: Path) -> None:
    machine = Runtime(tmp_path, device="cpu")
    without = forecast(Study("?", (Arm(GRID),), ()), Gpu(), machine)
    found = forecast(Study("?", (Arm(replace(GRID, retries=2)),), ()), Gpu(), machine)
    # Two seeds of three trainings: the baseline's, the intermediate one, the target's after it.
    assert "at most 2 times: at most 12 further trainings" in found.repeats
    assert render.to_json(found)["repeats"] == found.repeats
    assert without.repeats == ""
    assert (found.lines, found.total) == (without.lines, without.total)


# A study whose store says what collapsed.

HELPS = Claim("Cloze questions help", Gain(CLOZE, QA), "above")
STUDY = Study("Does it help?", (Arm(replace(GRID, retries=1)),), (HELPS,))


def collapses(stage: Stage) -> bool:
    """Return whether a training of the test collapses.

    The intermediate training of seed 1 does and its repetition does not; so does the baseline's target of seed 2, and
    its repetition too.
    """
    after = isinstance(stage.arguments["encoder"], Stage)
    return stage.label in (f"train-{CLOZE}-seed1",) or (
        not after and stage.label in (f"train-{QA}-seed2", f"train-{QA}-seed1002")
    )


def rewritten(stage: Stage, machine: Runtime, collapsed: bool) -> None:
    """Let the record of a training say whether it collapsed."""
    path = folder_of(stage, machine) / "stage.json"
    record = json.loads(path.read_text())
    record.pop(manifest.DIGEST, None)  # as a manifest of an earlier version, of which no change is seen
    for task in record["record"]["dev"].values():
        task["collapsed"] = collapsed
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, few_examples: None) -> tuple[Runtime, Path]:
    """A store in which the study is finished, and its report."""
    machine = Runtime(tmp_path_factory.mktemp("store") / "store", device="cpu", threads=1)
    out, build_all = tmp_path_factory.mktemp("report"), local_executor.build_all

    def build(stages: Collection[Stage], machine: Runtime, first: str = "", keep: Sequence[Stage] = ()) -> int:
        todo = [stage for stage in with_inputs(stages) if not folder_of(stage, machine).is_dir()]
        count = build_all(list(stages), machine, first, keep)
        for stage in todo:
            if stage.work.name == names.TRAIN:
                rewritten(stage, machine, collapses(stage))
        return count

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(local_executor, "build_all", build)
        studies.build(STUDY, machine)
        assert studies.build(STUDY, machine) == 0
    told(machine, out)
    return machine, out


def test_weights_are_dropped_while_trainings_are_repeated(
    finished: tuple[Runtime, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, _ = finished
    store = tmp_path / "store"
    shutil.copytree(machine.store, store)
    lean = replace(machine, store=store, keep="none")
    stages = studies.resolved(STUDY, machine).stages(machine)
    gone = [stage for stage in stages if stage.work.name in (names.PREDICT, names.SCORE)]
    for stage in gone:
        shutil.rmtree(folder_of(stage, lean))
    most: list[int] = []
    drop = weights.drop

    def counted(folder: Path) -> int:
        freed = drop(folder)
        most.append(len(list(store.glob("train*/model/model.safetensors"))))
        return freed

    monkeypatch.setattr(weights, "drop", counted)
    assert studies.build(STUDY, lean) == len(gone)
    assert most[-1] == 0
    assert most == sorted(most, reverse=True)
    read, expected = (
        [(row.keys, row.score, row.repeated, row.seeds_used) for row in studies.table(STUDY, one).rows]
        for one in (lean, machine)
    )
    assert read == expected


def told(machine: Runtime, out: Path) -> dict[str, Any]:
    """Write the report of the finished study."""
    study = studies.resolved(STUDY, machine)
    table = studies.table(study, machine)
    origin = study_report.Origin("small", "sandbox", Path(__file__), f"xstilts study {Path(__file__).name}")
    found = study_report.build_report(study, table, claim.check_all(study.claims, table), origin, machine)
    study_report.write(found, out)
    studies.write(table, out)
    study_page.write_pages(out)
    return found


@pytest.fixture
def spoiled(finished: tuple[Runtime, Path], tmp_path: Path) -> tuple[Runtime, Path]:
    """The same, to be spoiled."""
    machine, out = finished
    shutil.copytree(machine.store, tmp_path / "store")
    shutil.copytree(out, tmp_path / "report")
    return Runtime(tmp_path / "store", device="cpu", threads=1), tmp_path / "report"


@pytest.fixture(scope="module")
def table(finished: tuple[Runtime, Path]) -> ResultsTable:
    return studies.table(STUDY, finished[0])


def report(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "report.json").read_text()))


def changed(checks: tuple[Check, ...]) -> dict[str, str]:
    return {check.name: check.why for check in checks if check.status == "changed"}


def test_runs_keep_their_seed_and_gains_pair_by_it(table: ResultsTable) -> None:
    used = {(row.intermediate, row.seed): row.seeds_used for row in table.rows}
    assert used == {("baseline", 1): (), ("baseline", 2): (1002,), (CLOZE, 1): (1001, 1), (CLOZE, 2): ()}
    assert all(bool(row.seeds_used) == bool(row.repeated) for row in table.rows)
    gain = Gain(CLOZE, QA, languages=("qab",))
    by_seed = gain.by_seed(table)
    scores = {(row.intermediate, row.seed): row.score for row in table.rows if row.language == "qab"}
    assert list(by_seed.values()) == [scores[CLOZE, seed] - scores["baseline", seed] for seed in (1, 2)]


def test_only_trainings_that_are_used_are_predicted_with(finished: tuple[Runtime, Path], table: ResultsTable) -> None:
    machine, _ = finished
    folders = {folder.name.rpartition("-")[2]: folder.name for folder in machine.store.iterdir()}
    predicted = {key for key, name in folders.items() if name.startswith("predict")}
    assert predicted == {key for row in table.rows for key in row.keys if key in predicted}
    trained = sorted(name.rpartition("-")[0] for name in folders.values() if name.startswith("train"))
    qa = [f"train-{QA}-seed{seed}" for seed in (1, 1, 1002, 2, 2)]
    assert trained == sorted([*(f"train-{CLOZE}-seed{seed}" for seed in (1, 1001, 2)), *qa])


def test_the_report_counts_and_shows_every_try(finished: tuple[Runtime, Path]) -> None:
    _, out = finished
    found = report(out)
    entries = [
        (one["role"], one["seed"], [(tried["seed"], tried["collapsed"]) for tried in one["tries"]])
        for one in found["repeated"]
    ]
    assert entries == [("target", 2, [(2, True), (1002, True)]), ("intermediate", 1, [(1, True), (1001, False)])]
    assert found["retries"] == 1
    assert {tried["key"] for one in found["repeated"] for tried in one["tries"]} <= found["stages"].keys()
    # Trainings that nothing rests on any more are not among those that the results rest on.
    assert [one["key"] for one in found["collapsed"]] == [found["repeated"][0]["tries"][-1]["key"]]
    text = (out / "report.md").read_text()
    assert "Repeated with another seed" in text
    assert "2 trainings repeated, 2 further tries; 1 no better than chance in the last one too" in text


def test_the_table_of_scores_has_the_seeds_that_were_used_beside_the_run_s(finished: tuple[Runtime, Path]) -> None:
    header, *lines = (finished[1] / "table.csv").read_text().splitlines()
    at = header.split(",").index("seed")
    assert header.split(",")[at + 1] == "seeds_used"
    assert {tuple(line.split(",")[at : at + 2]) for line in lines} == {
        ("1", ""),
        ("2", "1002"),
        ("1", "1001 1"),
        ("2", ""),
    }


def test_a_score_table_says_which_trainings_were_repeated(finished: tuple[Runtime, Path]) -> None:
    machine, _ = finished
    (found,) = Comparison.of(replace(GRID, retries=1), machine).tables
    remarks = score_table.remarks(found)
    assert f"no better than chance, and repeated with seed 1001: train-{CLOZE}-seed1" in remarks
    assert f"no better than chance, and repeated with seed 1002: train-{QA}-seed2" in remarks
    assert f"baseline: no better than chance after train-{QA}-seed1002" in remarks


def test_the_report_stands(finished: tuple[Runtime, Path]) -> None:
    machine, out = finished
    found = verify(out, machine.store)
    assert {check.status for check in found} == {"stands"}
    assert "repeated" in {check.name for check in found}


def test_a_changed_try_is_found(spoiled: tuple[Runtime, Path]) -> None:
    machine, out = spoiled
    entry = report(out)["repeated"][1]["tries"][0]
    path = next(machine.store.glob(f"*-{entry['key']}")) / "stage.json"
    record = json.loads(path.read_text())
    next(iter(record["record"]["dev"].values()))["score"] += 1
    path.write_text(json.dumps(record))
    assert "is not the file that the report was made from" in changed(verify(out, machine.store))["figures"]


def test_a_try_that_is_gone_is_found(spoiled: tuple[Runtime, Path]) -> None:
    machine, out = spoiled
    entry = report(out)["repeated"][1]["tries"][0]
    shutil.rmtree(next(machine.store.glob(f"*-{entry['key']}")))
    assert {check.name: check.status for check in verify(out, machine.store)}["figures"] == "untested"


@pytest.mark.parametrize("path", ["seed", "score", "collapsed", "key"])
def test_a_figure_of_a_try_that_is_written_otherwise_is_found(spoiled: tuple[Runtime, Path], path: str) -> None:
    machine, out = spoiled
    found = report(out)
    tried = found["repeated"][1]["tries"][0]
    if path == "score":
        next(iter(tried["dev"].values()))["score"] += 1
    else:
        tried[path] = {"seed": 5, "collapsed": False, "key": "0" * 12}[path]
    (out / "report.json").write_text(json.dumps(found))
    assert (
        f"repeated[1].tries[0].{'dev' if path == 'score' else path}" in changed(verify(out, machine.store))["repeated"]
    )


def test_a_left_out_repetition_is_found(spoiled: tuple[Runtime, Path]) -> None:
    machine, out = spoiled
    found = report(out)
    del found["repeated"]
    (out / "report.json").write_text(json.dumps(found))
    assert "repeated" in changed(verify(out, machine.store))
    for row in found["rows"]:
        row.pop("repeated", None)
        row.pop("seeds_used", None)
    (out / "report.json").write_text(json.dumps(found))
    assert "repeated" in " ".join(changed(verify(out, machine.store)).values())


def test_a_repetition_against_the_rule_is_found(spoiled: tuple[Runtime, Path]) -> None:
    """The training of the intermediate phase was repeated although it had not collapsed, and all files say so."""
    machine, out = spoiled
    (out / "report.json").unlink()
    study = studies.resolved(STUDY, machine)
    table = studies.table(study, machine)
    (stage,) = (tried for phase in phases(study.arms[0].grid, machine) for tried in phase.tries if CLOZE in tried.label)
    rewritten(stage, machine, False)
    origin = study_report.Origin("small", "sandbox", Path(__file__), f"xstilts study {Path(__file__).name}")
    found = study_report.build_report(study, table, claim.check_all(study.claims, table), origin, machine)
    study_report.write(found, out)
    assert any("which did not end at chance" in why for why in changed(verify(out, machine.store)).values())


def test_a_collapse_that_was_not_repeated_is_found(spoiled: tuple[Runtime, Path]) -> None:
    machine, out = spoiled
    found = report(out)
    found["retries"] = 2
    (out / "report.json").write_text(json.dumps(found))
    assert any("was not repeated" in why for why in changed(verify(out, machine.store)).values())
