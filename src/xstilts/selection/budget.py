"""Budget: a limit in stage-seconds, what stages have cost, and what further ones are expected to cost.

A stage costs the seconds in its record, whenever it was built, and is charged once. So a second call, which finds all
of it in the store, charges and decides the same; the budget limits work, not waiting.

The cost of further stages is predicted from the same sort of stage of the same candidate: a training by the step,
anything else by the stage; what was charged before costs nothing. A candidate without such a stage is taken to be as
expensive as the most expensive of the others. A single price for all would not do: a candidate with long texts can cost
ten times what another does.

    budget = Budget(machine, seconds=3600.0)
    budget.pay("probes", "squad", promised=[model])
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from xstilts.runtime.machine import Runtime
from xstilts.store import local_executor, manifest
from xstilts.store.stage import Stage, folder_of

Sort = tuple[str, str]
"""The name of a stage's function and, of a training, its tasks."""


@dataclass
class Budget:
    """A budget in seconds of stages.

    Attributes:
        machine: Where stages are built.
        seconds: The limit.
        spent: Seconds by purpose.
        built: How many stages were built, rather than found in the store.
        paid: Keys of the stages that were charged.
        costs: By candidate and sort of stage, seconds and how many steps (or stages) they were for.
    """

    machine: Runtime
    seconds: float = math.inf
    spent: dict[str, float] = field(default_factory=dict)
    built: int = 0
    paid: set[str] = field(default_factory=set, repr=False)
    costs: dict[tuple[str, Sort], tuple[float, float]] = field(default_factory=dict, repr=False)

    @property
    def left(self) -> float:
        """Seconds that are left; negative where the last stages cost more than expected."""
        return self.seconds - sum(self.spent.values())

    def expected(self, name: str, promised: Sequence[Stage]) -> float:
        """Predict the seconds that a candidate's stages will cost.

        Args:
            name: The candidate.
            promised: Its stages.

        Returns:
            Seconds of those stages and inputs that were not charged yet; a sort that was never charged counts as 0.
        """
        return sum(self._rate(name, _sort(stage)) * _steps(stage) for stage in self._unpaid(promised))

    def affords(self, name: str, promised: Sequence[Stage]) -> bool:
        """Return whether the rest of the budget covers a candidate's stages.

        Args:
            name: The candidate.
            promised: Its stages.

        Returns:
            Whether their predicted cost is at most what is left, and anything is left.
        """
        return self.left > 0 and self.expected(name, promised) <= self.left

    def pay(self, what: str, name: str, promised: Sequence[Stage]) -> bool:
        """Build a candidate's stages with all their inputs, and charge them, if the budget allows it.

        The cost of the first stage of a sort is not known: the budget can be exceeded by that much.

        Args:
            what: The purpose, under which they are charged.
            name: The candidate.
            promised: The stages.

        Returns:
            Whether the budget allowed it.
        """
        if not self.affords(name, promised):
            return False
        self.built += local_executor.build_all(promised, self.machine)
        self.spent.setdefault(what, 0.0)
        for stage in self._unpaid(promised):
            price = float(manifest.read(folder_of(stage, self.machine))["seconds"])
            seconds, steps = self.costs.get((name, _sort(stage)), (0.0, 0.0))
            self.costs[name, _sort(stage)] = seconds + price, steps + _steps(stage)
            self.spent[what] += price
            self.paid.add(stage.key)
        return True

    def _unpaid(self, promised: Sequence[Stage]) -> list[Stage]:
        return list({stage.key: stage for stage in _all(promised) if stage.key not in self.paid}.values())

    def _rate(self, name: str, sort: Sort) -> float:
        """Return the cost of a step or stage: the candidate's own, else the highest of its sort or its function."""
        of_sort = [key for key in self.costs if key[1] == sort]
        alike = (
            [key for key in of_sort if key[0] == name],
            of_sort,
            [key for key in self.costs if key[1][0] == sort[0]],
        )
        charged = next((keys for keys in alike if keys), [])
        return max((seconds / steps for seconds, steps in map(self.costs.__getitem__, charged)), default=0.0)


def _all(promised: Sequence[Stage]) -> Iterator[Stage]:
    """Yield stages and their transitive inputs, some more than once."""
    for stage in promised:
        yield stage
        yield from _all(stage.inputs)


def _sort(stage: Stage) -> Sort:
    return stage.work.name, "+".join(training_set.task for training_set in stage.arguments.get("training_sets", ()))


def _steps(stage: Stage) -> float:
    """Return the steps of a training with a fixed number, 1 for anything else."""
    recipe = stage.arguments.get("recipe")
    return float(recipe.steps or 1) if recipe else 1.0
