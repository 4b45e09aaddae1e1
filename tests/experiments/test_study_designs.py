"""The designs of the studies of layers, batch sizes and costs: what their claims need is in their arms, at each scale."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from built_study import ARMS, CLOZE, QA, SHORT, finished_store
from xstilts.claims.claim import MOST_TESTED
from xstilts.claims.measures import Scaling
from xstilts.claims.results_table import Result, ResultsTable
from xstilts.errors import InputError
from xstilts.experiments import study as studies
from xstilts.experiments.extra_tables import TriedRate, TriedRates
from xstilts.experiments.grid import Grid, tasks_of
from xstilts.experiments.run import Recipes
from xstilts.experiments.study import SCALES, Arm, Study
from xstilts.formats import task_format
from xstilts.metrics.suites import XTREME_R
from xstilts.models.encoder import Encoder
from xstilts.models.naming import name_of
from xstilts.planning import render
from xstilts.planning.forecast import Gpu, forecast
from xstilts.runtime.machine import Runtime
from xstilts.store.names import INTERMEDIATE
from xstilts.tasks.base import Task
from xstilts.training.recipe import Recipe

FOLDER = Path(__file__).parents[2] / "studies"
LAYERS, BATCHES, COSTS = "layerwise", "batch_size", "cost_by_size"
EACH = pytest.mark.parametrize("scale", SCALES)
ALL = [(name, scale) for name in (LAYERS, BATCHES, COSTS) for scale in SCALES]


@cache
def loaded(name: str, scale: str) -> Study:
    return studies.load(FOLDER / f"{name}.py", scale)


def group(target: Task) -> str:
    """Return the group of XTREME-R that a target is in, or that a task of the sandbox stands for."""
    named = [name for name in ("classification", "tagging", "qa", "retrieval") if target.name in XTREME_R.groups[name]]
    by_format = {"classification": "classification", "token_classification": "tagging", "extractive_qa": "qa"}
    return named[0] if named else by_format.get(target.format, "retrieval")


def intermediate_recipes(arm: Arm) -> Iterator[Recipe]:
    for setting in arm.grid.settings:
        yield arm.grid.recipes.of(setting, INTERMEDIATE, arm.grid.encoder)


@pytest.mark.parametrize(("name", "scale"), ALL)
def test_at_most_six_claims_share_the_level_and_those_that_answer_come_first(name: str, scale: str) -> None:
    claims = [claim for claim in loaded(name, scale).claims if claim.is_tested]
    assert 1 <= len(claims) <= MOST_TESTED
    answering = [claim.answers for claim in claims]
    assert any(answering)
    assert answering == sorted(answering, reverse=True)
    assert not any(claim.by_construction for claim in claims)


@pytest.mark.parametrize(("name", "scale"), ALL)
def test_there_are_two_intermediate_tasks_and_a_target_of_each_group(name: str, scale: str) -> None:
    first = loaded(name, scale).arms[0]
    assert len(first.grid.settings) == 2
    # At small, two cores have the costly groups in replication, and in the few steps that costs are measured on.
    costly = {"classification", "qa"} if scale == "small" and name != COSTS else set()
    assert {group(target) for target in first.grid.targets} == {"classification", "tagging", "qa", "retrieval"} - costly


@pytest.mark.parametrize(("name", "scale"), ALL)
def test_no_intermediate_task_is_the_training_set_of_a_target(name: str, scale: str) -> None:
    for arm in loaded(name, scale).arms:
        intermediate = {task.name for setting in arm.grid.settings for task in setting}
        for target in arm.grid.targets:
            trained_on = arm.grid.target_training_tasks.get(target.name, target.target_training_tasks())
            assert not intermediate & {part.name for task in trained_on for part, _ in task.training_parts()}


@EACH
def test_every_arm_of_layers_chooses_among_the_same_rates(scale: str) -> None:
    arms = loaded(LAYERS, scale).arms
    assert len(arms[0].rates) >= 3
    assert {arm.rates for arm in arms} == {arms[0].rates}
    # The arm whose layers are restored has the trainings of the arm that it is compared with, and so its rate.
    of_all, restored = (arm for arm in arms if arm.label.startswith("all"))
    assert restored.grid.reset_layers
    assert replace(restored.grid, reset_layers="") == of_all.grid


@EACH
def test_every_batch_size_sees_as_many_examples_and_looks_at_no_development_data_before_the_end(scale: str) -> None:
    seen = {}
    for arm in loaded(BATCHES, scale).arms:
        for recipe in intermediate_recipes(arm):
            assert recipe.steps is not None
            assert recipe.selection is None
            seen.setdefault(arm.label, []).append(recipe.steps * recipe.batch_size)
    assert len({tuple(counts) for counts in seen.values()}) == 1
    assert len({count for counts in seen.values() for count in counts}) == 1


@EACH
def test_every_batch_size_chooses_among_as_many_rates_around_the_root_rule(scale: str) -> None:
    arms = [arm for arm in loaded(BATCHES, scale).arms if arm.rates]
    sizes = [next(intermediate_recipes(arm)).batch_size for arm in arms]
    middle = [arm.rates[len(arm.rates) // 2] for arm in arms]
    assert len({len(arm.rates) for arm in arms}) == 1
    for size, rate in zip(sizes, middle, strict=True):
        assert rate / middle[0] == pytest.approx((size / sizes[0]) ** 0.5, rel=0.01)
    (usual,) = (arm for arm in loaded(BATCHES, scale).arms if not arm.rates)
    assert next(intermediate_recipes(usual)).batch_size == max(sizes)


@EACH
def test_costs_are_compared_between_languages_as_they_grow_with_size(scale: str) -> None:
    study = loaded(COSTS, scale)
    compared = [claim for claim in study.claims if isinstance(claim.measure, Scaling) and claim.measure.over]
    english = study.arms[0].label
    assert {claim.measure.recipe for claim in compared} == {arm.label for arm in study.arms} - {english}
    assert {claim.measure.over_recipe for claim in compared} == {english}
    assert all(claim.answers for claim in compared)
    figures = {claim.measure.figure for claim in study.claims if isinstance(claim.measure, Scaling)}
    assert {"intermediate_seconds", "intermediate_measured_memory_mib"} <= figures
    assert len({name_of(arm.grid.encoder) for arm in study.arms}) >= 5
    premiums = [claim.sentence for claim in study.claims if "as many tokens" in claim.sentence]
    assert len(premiums) == len({arm.label for arm in study.arms}) - 1


@EACH
def test_costs_are_of_as_many_steps_in_every_language(scale: str) -> None:
    recipes = [intermediate_recipes(arm) for arm in loaded(COSTS, scale).arms]
    assert len({tuple((recipe.steps, recipe.batch_size) for recipe in of_arm) for of_arm in map(tuple, recipes)}) == 1
    assert all(recipe.steps for of_arm in recipes for recipe in of_arm)
    for arm in loaded(COSTS, scale).arms:
        last = arm.grid.targets[-1]
        assert task_format(last.format).measured_untrained


def rows(label: str, task: str, exponent: float) -> list[Result]:
    return [
        Result(
            f"of {size}", task, "t", "en", seed, 0.0, (f"{label}{size}{seed}",), recipe=label, size=size,
            costs={"intermediate_seconds": noise * size**exponent},
        )
        for size, noise in ((1e6, 1.3), (2e6, 0.8), (4e6, 1.1), (8e6, 0.9))
        for seed in (1, 2)
    ]  # fmt: skip


def test_a_growth_against_another_is_the_difference_of_both_without_what_encoders_share() -> None:
    table = ResultsTable((*rows("Swahili", "other", 0.9), *rows("English", "first", 0.7)))
    one = Scaling("intermediate_seconds", "other", "t", "Swahili")
    both = replace(one, over="first", over_recipe="English").of(table).estimate
    parts = (
        one.of(table).estimate.value - Scaling("intermediate_seconds", "first", "t", "English").of(table).estimate.value
    )
    assert both.value == pytest.approx(parts) == pytest.approx(0.2)
    assert both.error < one.of(table).estimate.error / 10


# Learning rates that arms choose.


def arm(label: str, *settings: str, rates: tuple[float, ...] = (1e-4, 1e-3)) -> Arm:
    recipes = Recipes("sandbox", (*SHORT, *settings), SHORT)
    return Arm(Grid(Encoder.of("sandbox"), tasks_of(QA), (tasks_of(CLOZE),), recipes, 2), label, rates)


def test_arms_that_cannot_choose_are_refused() -> None:
    with pytest.raises(InputError, match="tries a learning rate twice"):
        arm("all", rates=(1e-4, 1e-4))
    with pytest.raises(InputError, match="no intermediate phase"):
        replace(arm("all"), grid=replace(arm("all").grid, settings=()))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, few_examples: None) -> Runtime:
    """A store in which the trainings at the sandbox's own rate are finished, and none at another rate."""
    return finished_store(tmp_path_factory)


def test_an_arm_has_the_best_rate_of_those_whose_trainings_are_finished(machine: Runtime) -> None:
    fixed = ARMS[0]
    asked = Study("Does it help?", (replace(fixed, rates=(7e-4, 1e-3)),), ())
    assert studies.tuned(asked, machine, partly=False) == asked
    chosen = studies.tuned(asked, machine)
    assert not chosen.arms[0].rates
    assert [stage.key for stage in chosen.arms[0].grid.score_stages(machine)] == [
        stage.key for stage in fixed.grid.score_stages(machine)
    ]
    (table,) = chosen.extras
    assert isinstance(table, TriedRates)
    assert [(trial.rate, trial.chosen, trial.seconds is None) for trial in table.trials] == [
        (7e-4, True, False),
        (1e-3, False, True),
    ]
    assert studies.table(asked, machine) == studies.table(Study("Does it help?", (fixed,), ()), machine)
    assert studies.tuned(chosen, machine) is chosen


def test_a_study_builds_the_trainings_that_choose_a_rate(machine: Runtime) -> None:
    asked = Study("Does it help?", (replace(ARMS[0], rates=(7e-4, 1e-3)),), ())
    keys = {stage.key for stage in asked.stages(machine)}
    assert {phase.stage.key for phases in asked.arms[0].trials(machine.data).values() for phase in phases} <= keys
    assert len(asked.trials(machine)) == 2


def test_a_plan_counts_the_trainings_that_choose_a_rate(tmp_path: Path) -> None:
    two, machine = (arm("all"), arm("head", "trainable=head")), Runtime(tmp_path, device="cpu")
    found = forecast(Study("Does it help?", two, ()), Gpu(), machine)
    without = forecast(Study("Does it help?", tuple(replace(one, rates=()) for one in two), ()), Gpu(), machine)
    # Of two rates and one task, the first rate's training is that of the arm's first seed.
    assert found.total.shared.trainings == without.total.shared.trainings + 2
    assert found.total.runs == without.total.runs
    assert [part.label for part in found.arms if not part.runs] == [
        f"{one.label}: tries the rates 0.0001, 0.001" for one in two
    ]
    assert "trainings that nothing else uses: 2" in found.trials
    assert render.to_json(found)["trials"] == found.trials
    assert without.trials == ""


def test_the_table_of_rates_says_what_the_choice_cost_beyond_the_runs() -> None:
    tried = TriedRate("all", "tiny", 1e-4, 50.0, 2.0, 3e12, ("0a",))
    trials = (
        replace(tried, chosen=True),
        replace(tried, rate=1e-3, keys=("0b",)),
        replace(tried, keys=("0c",), seconds=None),
    )
    table = ResultsTable((Result("tiny", "squad", "xquad", "sw", 1, 40.0, ("0a", "0d"), recipe="all"),))
    made = TriedRates(trials).made(table, {})
    assert [row[-1] for row in made["rows"]] == ["yes", "no", "could not be trained"]
    assert made["note"].endswith("2, 2.0 seconds, 6 TFLOPs.")
