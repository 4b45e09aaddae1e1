"""Snapshots chosen by development data: of the training language, and (oracle) of the target language."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from xstilts.errors import InputError
from xstilts.experiments import score_table, snapshot_choice
from xstilts.experiments.grid import Grid
from xstilts.experiments.run import Recipes, Run
from xstilts.experiments.score_table import Column, ScoreTable
from xstilts.models.encoder import Encoder
from xstilts.runtime.machine import Runtime
from xstilts.sandbox import CODES
from xstilts.store.stage import Stage
from xstilts.tasks.base import task

NLI, POS, RETRIEVAL = (task(f"sandbox_{name}") for name in ("nli", "pos", "retrieval"))
RUN = Run(Encoder("tiny", "0" * 64, "/nowhere"), (), POS, Recipes("sandbox"), 1, oracle=3)
MACHINE = Runtime(store=Path("/nowhere"))


def test_choices_are_among_the_last_snapshots_of_the_target() -> None:
    found = snapshot_choice.pairs(RUN)
    assert tuple(found) == CODES
    models = [dev.arguments["predictions"].arguments["model"] for dev, _ in found["qab"]]
    assert [model.arguments["method"].number for model in models] == [3, 2, 1]
    (phase,) = RUN.phases()
    assert phase.recipe.snapshots == 3
    assert all(model.arguments["members"] == (phase.stage,) for model in models)
    for code, of_language in found.items():
        for dev, test in of_language:
            assert [stage.arguments["gold"].arguments["data"].split for stage in (dev, test)] == ["validation", "test"]
            assert {stage.arguments["gold"].arguments["data"].language for stage in (dev, test)} == {code}
    grid = Grid(RUN.encoder, (POS,), (), RUN.recipes, 1, oracle=3)
    assert set(snapshot_choice.stages(RUN)) <= set(grid.stages(MACHINE))
    assert not set(snapshot_choice.stages(RUN)) & set(grid.score_stages(MACHINE))


def test_the_training_language_is_looked_at_though_it_is_not_measured() -> None:
    found = snapshot_choice.pairs(replace(RUN, only_languages=("qab", "qac")))
    assert tuple(found) == ("qab", "qac", "qaa")
    assert all(dev == test for dev, test in found["qaa"])


def test_there_is_nothing_to_choose_without_an_oracle_a_training_or_other_languages() -> None:
    english = replace(RUN, only_languages=("qaa",))
    for run in (replace(RUN, oracle=0), replace(RUN, target=RETRIEVAL), replace(RUN, target=NLI), english):
        assert snapshot_choice.pairs(run) == {}
        assert snapshot_choice.scores([run], MACHINE) == {}


@settings(max_examples=20)
@given(some.dictionaries(some.sampled_from(CODES), some.lists(some.integers(0, 9), min_size=3, max_size=3), min_size=6))
def test_where_test_and_development_scores_agree_no_choice_beats_the_oracle(values: dict[str, list[int]]) -> None:
    def headline(stage: Stage, machine: Runtime) -> float:
        model = stage.arguments["predictions"].arguments["model"]
        return float(values[stage.arguments["gold"].arguments["data"].language][3 - model.arguments["method"].number])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshot_choice, "_headline", headline)
        found = snapshot_choice.scores([RUN, RUN], MACHINE)
    english, oracle = found["snapshot by qaa dev data"], found[snapshot_choice.ORACLE]
    assert {code: score for code, (score, _) in oracle.items()} == {code: max(values[code]) for code in CODES}
    assert all(english[code][0] <= oracle[code][0] for code in CODES)
    assert english["qaa"] == oracle["qaa"]


def test_the_table_has_a_mean_for_each_choice() -> None:
    column = Column("baseline", {"qaa": (50.0,), "qab": (40.0,)}, {"qaa": ("a",), "qab": ("b",)})
    chosen = {"snapshot by qaa dev data": {"qab": (41.0,)}, snapshot_choice.ORACLE: {"qab": (45.0,)}}
    table = ScoreTable("t", "accuracy", ("qaa", "qab"), "qaa", (replace(column, by_snapshot=chosen),))
    rows = dict(score_table.cells_of(table))
    assert rows["qab, snapshot by qaa dev data"] == ["41.0"]
    assert rows["qab, snapshot by its own dev data (oracle)"] == ["45.0"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"oracle": 1}, "among 2 to 10 snapshots, not 1"),
        ({"oracle": 11}, "among 2 to 10 snapshots, not 11"),
        ({"average": "last:3"}, "leave --average out"),
        ({"split": "validation"}, "measure on --split test"),
    ],
)
def test_other_choices_are_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        replace(RUN, **change)  # type: ignore[arg-type]
