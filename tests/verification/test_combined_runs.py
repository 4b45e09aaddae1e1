"""Reports of runs whose weights are combined: costs count each training once, and the store bears the rows out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from built_study import ARMS, CLOZE, QA, finished_store
from quick import first
from xstilts.claims import claim
from xstilts.claims.claim import Claim
from xstilts.claims.measures import Gain
from xstilts.cost import summary
from xstilts.experiments import score_table
from xstilts.experiments import study as studies
from xstilts.experiments.grid import tasks_of
from xstilts.experiments.run import training_roles
from xstilts.experiments.study import Arm, Study
from xstilts.reporting import study_report
from xstilts.sharing.history import history
from xstilts.store.stage import folder_of
from xstilts.verification.verify import verify

CASES = (
    ("last:2", 1, "add:1,-0.5", "add:1,-0.5"),
    ("seeds,last:2", 2, "swap@top:1", "swap@top:1"),
    ("seeds:2", 2, "ties:0.3", "ties:0.3"),
    ("seeds", 2, "add:0.50", "add:0.5"),
)


@pytest.mark.parametrize("case", first(0, CASES))
def test_a_report_of_combined_runs_stands(
    case: tuple[str, int, str, str],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    few_examples: None,
) -> None:
    average, seeds, combine, shown = case
    machine = finished_store(tmp_path_factory)
    grid = replace(
        ARMS[0].grid,
        settings=(tasks_of(f"{CLOZE},sandbox_nli"),),
        seeds=seeds,
        only_languages=("qaa",),
        average=average,
        combine=combine,
    )
    setting = f"{CLOZE}+sandbox_nli ({shown})"
    better = Claim("Together they help", Gain(setting, QA, recipe="combined"), "above")
    study = Study("Do they add up?", (Arm(grid, "combined"),), (better,))
    studies.build(study, machine)
    table = studies.table(study, machine)
    assert {(row.intermediate, row.seed) for row in table.rows} == {("baseline", 1), (setting, 1)}
    origin = study_report.Origin("small", "sandbox", Path(__file__), f"xstilts study {Path(__file__).name}")
    report = study_report.build_report(study, table, claim.check_all(study.claims, table), origin, machine)
    study_report.write(report, tmp_path / "report")
    checks = verify(tmp_path / "report", machine.store)
    assert {check.sentence: check.why for check in checks if check.status == "changed"} == {}

    # Each training is counted once, with its role; the card says what was combined.
    (target,) = grid.targets
    run = grid.runs(target)[setting][0]
    (row,) = [row for row in table.rows if row.intermediate == setting]
    assert row.keys[:-2] == tuple(phase.stage.key for phase in run.phases())
    roles = training_roles([run])
    lines = summary.entries(machine.store, [row.keys[-1]], roles)
    assert sorted(line.key for line in lines if line.phase in ("intermediate", "target")) == sorted(roles)
    known = history(folder_of(run.model(), machine) / "model")  # type: ignore[arg-type]
    assert [training.role for training in known.trainings] == [phase.role for phase in run.phases()]
    assert len(known.combined) == 1 + seeds
    (shown_table,) = grid.tables(machine)
    assert any("an average of weights" in note for note in score_table.remarks(shown_table))
