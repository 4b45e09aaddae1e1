"""Purse: what may be spent on stages, what they have cost, and what more of them would.

A stage costs what its record says, whoever built it and when, and is paid once. So a second call, which finds all of
it in the store, pays the same and decides the same; the budget is one of work, not of waiting.

What is to come is priced by what its like has cost the same candidate: a training by the step, anything else by the
token, and what was paid before by nothing. One that was never paid for such is taken to be as dear as the dearest of
the others. A single price for all would not do: a candidate with long texts can cost ten times what another does.

    purse = Purse(machine, seconds=3600.0)
    purse.pay("peeks", "squad", promised=[model])
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from xstilts.runtime.machine import Runtime
from xstilts.store import local_executor, manifest
from xstilts.store.stage import Stage, folder_of

Sort = tuple[str, str]
"""What a stage does, and, of a training, on which tasks."""


@dataclass
class Budget:
    """A budget in seconds of stages; spent: by what for. built: how many stages were not there yet.

    paid: keys. costs: seconds and units (steps, tokens), by candidate and sort of stage.
    """

    machine: Runtime
    seconds: float = math.inf
    spent: dict[str, float] = field(default_factory=dict)
    built: int = 0
    paid: set[str] = field(default_factory=set, repr=False)
    costs: dict[tuple[str, Sort], tuple[float, float]] = field(default_factory=dict, repr=False)

    @property
    def left(self) -> float:
        """Seconds that are left; below nothing where the last payment cost more than was expected."""
        return self.seconds - sum(self.spent.values())

    def expected(self, name: str, promised: Sequence[Stage]) -> float:
        """Return the seconds that a candidate's stages would cost, as far as their like was paid."""
        return sum(self._rate(name, _sort(one)) * _units(one) for one in self._unpaid(promised))

    def affords(self, name: str, promised: Sequence[Stage]) -> bool:
        """Say whether there is enough for a candidate's stages."""
        return self.left > 0 and self.expected(name, promised) <= self.left

    def pay(self, what: str, name: str, promised: Sequence[Stage]) -> bool:
        """Build a candidate's stages and all they need, if they can be afforded; say whether they could.

        Nothing is known of the price of the first of its sort: so much may be spent above the budget, and no more.
        """
        if not self.affords(name, promised):
            return False
        self.built += local_executor.build_all(promised, self.machine)
        self.spent.setdefault(what, 0.0)
        for one in self._unpaid(promised):
            price = float(manifest.read(folder_of(one, self.machine))["seconds"])
            seconds, units = self.costs.get((name, _sort(one)), (0.0, 0.0))
            self.costs[name, _sort(one)] = seconds + price, units + _units(one)
            self.spent[what] += price
            self.paid.add(one.key)
        return True

    def _unpaid(self, promised: Sequence[Stage]) -> list[Stage]:
        return list({one.key: one for one in _all(promised) if one.key not in self.paid}.values())

    def _rate(self, name: str, sort: Sort) -> float:
        """Return the price of a unit: what the candidate's own cost, else the highest of the sort, else of the work."""
        same = [key for key in self.costs if key[1] == sort]
        alike = ([key for key in same if key[0] == name], same, [key for key in self.costs if key[1][0] == sort[0]])
        known = next((keys for keys in alike if keys), [])
        return max((seconds / units for seconds, units in map(self.costs.__getitem__, known)), default=0.0)


def _all(promised: Sequence[Stage]) -> Iterator[Stage]:
    """Yield stages and all that they are made of, some more than once."""
    for one in promised:
        yield one
        yield from _all(one.inputs)


def _sort(one: Stage) -> Sort:
    return one.work.name, "+".join(lesson.task for lesson in one.arguments.get("lessons", ()))


def _units(one: Stage) -> float:
    """Return the steps of a training that says how many, 1 for anything else."""
    recipe = one.arguments.get("recipe")
    return float(recipe.steps or 1) if recipe else 1.0
