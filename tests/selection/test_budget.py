from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from xstilts.runtime.machine import Runtime
from xstilts.selection.budget import Budget
from xstilts.store import manifest
from xstilts.store.identity import identity
from xstilts.store.stage import BuildContext, Stage, folder_of, stage
from xstilts.training.recipe import Recipe


@identity("Lesson")
@dataclass(frozen=True)
class Lesson:
    task: str


@stage(name="read", version=1)
def read(site: BuildContext, what: str) -> None:
    """Stand for data, which are read once."""


@stage(name="train", version=1)
def train(
    site: BuildContext, model: Stage | None, data: Stage, training_sets: tuple[Lesson, ...], recipe: Recipe, seed: int
) -> None:
    """Stand for a training."""


@stage(name="ask", version=1)
def ask(site: BuildContext, model: Stage) -> None:
    """Stand for what follows a training, however long that was."""


def taught(task: str, steps: int, seed: int = 1, model: Stage | None = None) -> Stage:
    return train(model, read(task), (Lesson(task),), Recipe(steps=steps), seed)


def finished(machine: Runtime, seconds: float, *stages: Stage) -> None:
    """Leave results in a store that took so long."""
    for one in stages:
        folder_of(one, machine).mkdir(parents=True)
        manifest.write(folder_of(one, machine), {"seconds": seconds})


def paid(machine: Runtime, name: str, training: float, asking: float, budget: Budget | None = None) -> Budget:
    """Return a purse that has paid for two seeds of ten steps on a candidate, and for what follows them."""
    models = [taught(name, 10, seed) for seed in (1, 2)]
    finished(machine, 100.0, read(name))
    finished(machine, training, *models)
    finished(machine, asking, *map(ask, models))
    budget = budget or Budget(machine, seconds=1e6)
    assert budget.pay("peeks", name, [ask(model) for model in models])
    return budget


def test_each_stage_is_paid_once_at_the_price_of_its_record(machine: Runtime) -> None:
    budget = paid(machine, "a", training=30, asking=5)
    assert budget.spent == {"peeks": 100 + 2 * 30 + 2 * 5}
    assert budget.pay("peeks", "a", [ask(taught("a", 10, 1))])
    assert budget.pay("again", "b", [ask(taught("a", 10, 1))])
    assert budget.spent == {"peeks": 170, "again": 0}
    assert (budget.left, budget.built) == (1e6 - 170, 0)


def test_trainings_cost_by_the_step_all_else_by_the_piece_and_what_was_paid_nothing(machine: Runtime) -> None:
    budget = paid(machine, "a", training=30, asking=5)
    assert budget.expected("a", [ask(taught("a", 10, 1))]) == 0
    assert budget.expected("a", [ask(taught("a", 10, 3))]) == 30 + 5  # and no data, which are read
    assert budget.expected("a", [ask(taught("a", 40, seed)) for seed in (1, 2, 3)]) == 3 * (4 * 30 + 5)


def test_a_dear_candidate_does_not_make_the_others_dear(machine: Runtime) -> None:
    budget = paid(machine, "dear", training=300, asking=50)
    paid(machine, "cheap", 3, 5, budget)
    assert budget.expected("cheap", [ask(taught("cheap", 20, 1))]) == 2 * 3 + 5
    assert budget.expected("dear", [ask(taught("dear", 20, 1))]) == 2 * 300 + 50


def test_who_was_never_paid_for_is_as_dear_as_the_dearest(machine: Runtime) -> None:
    assert Budget(machine).expected("new", [ask(taught("new", 20))]) == 0  # nothing is known
    budget = paid(machine, "dear", training=300, asking=50)
    paid(machine, "cheap", 3, 5, budget)
    assert budget.expected("new", [ask(taught("new", 20))]) == 100 + 2 * 300 + 50  # with its data


def test_the_training_on_the_target_costs_what_it_cost_others_whatever_the_peek_did(machine: Runtime) -> None:
    budget = paid(machine, "target", training=3, asking=5)
    paid(machine, "dear", 300, 5, budget)
    peek = taught("dear", 10, 1)
    assert budget.expected("dear", [taught("target", 10, 1, peek)]) == 3


def test_nothing_is_begun_that_costs_more_than_is_left(machine: Runtime) -> None:
    budget = paid(machine, "a", training=30, asking=5)
    budget.seconds = 170 + 64.9
    more = [ask(taught("a", 20, 3))]
    assert not budget.affords("a", more)
    assert not budget.pay("peeks", "a", more)
    assert not folder_of(more[0], machine).exists()
    budget.seconds = 170 + 65
    assert budget.affords("a", more)
    budget.seconds = 170
    assert not budget.affords("a", [])  # nothing is left


def test_a_training_that_does_not_say_its_steps_counts_whole(machine: Runtime) -> None:
    whole = [train(None, read("a"), (Lesson("a"),), Recipe(), seed) for seed in (1, 2)]
    finished(machine, 40.0, whole[0])
    finished(machine, 1.0, read("a"))
    budget = Budget(machine, math.inf)
    assert budget.pay("peeks", "a", whole[:1])
    assert budget.expected("a", whole[1:]) == pytest.approx(40)
