"""Halving: who goes on to a longer measurement, when all cannot (successive halving, Jamieson & Talwalkar 2016).

Every round measures longer (twice the steps) and with one seed more than the one before. After it, the worse half is
dropped, but only those whose interval lies wholly below the leader's: what a round cannot tell apart goes on together.
Where the budget has no room for all of them, the worst are left, and that is told as what it is. Candidates are
measured in the order of the last round, so that a budget that ends early leaves the worst as well. Nothing here trains:
`measure` does.

>>> [(rung.steps, rung.seeds) for rung in ladder(8, steps=50, seeds=2)]
[(50, 2), (100, 3), (200, 4)]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from xstilts.errors import InputError
from xstilts.stats import Estimate


@dataclass(frozen=True)
class Rung:
    """How long and how often a round measures each candidate: steps of each training, seeds."""

    number: int
    steps: int
    seeds: int


@dataclass(frozen=True)
class Standing:
    """A candidate in a round: its gain over the baseline, and by how much it is behind the leader (None: it leads)."""

    name: str
    gain: Estimate
    behind: Estimate | None = None


@dataclass(frozen=True)
class Round:
    """What a round found, the best first, and who was dropped after it or left out before it, and why."""

    rung: Rung
    standings: tuple[Standing, ...]
    dropped: Mapping[str, str]

    @property
    def kept(self) -> tuple[str, ...]:
        """Who goes on, the best first."""
        return tuple(one.name for one in self.standings if one.name not in self.dropped)


Measure = Callable[[tuple[str, ...], Rung], tuple[Standing, ...]]
"""From candidates, in the order in which to take them, and a rung to standings, the best first; of those that could be
paid."""
Room = Callable[[tuple[str, ...], Rung], int]
"""From candidates, in the order in which to take them, and a rung to how many of them it can still be paid for."""


def ladder(candidates: int, steps: int, seeds: int) -> tuple[Rung, ...]:
    """Return the rungs by which so many candidates are halved down to one; each has twice the steps, one seed more."""
    if min(candidates, steps, seeds) < 1:
        raise InputError(f"{candidates} candidates, {steps} steps, {seeds} seeds: give at least one of each")
    rounds = max(1, math.ceil(math.log2(candidates)))
    return tuple(Rung(number, steps * 2**number, seeds + number) for number in range(rounds))


def halve(names: Sequence[str], rungs: Sequence[Rung], measure: Measure, room: Room) -> tuple[Round, ...]:
    """Return the rounds: until one is left, the rungs end, or the budget.

    A round of fewer than two compares nothing: none is begun, and one that came to that is not counted.
    """
    rounds: list[Round] = []
    left = tuple(names)
    for rung in rungs:
        if rounds:
            if len(rounds[-1].kept) < 2 or (places := room(rounds[-1].kept, rung)) < 2:
                break
            rounds[-1] = _without(rounds[-1], rounds[-1].kept[places:])
            left = rounds[-1].kept
        standings = measure(left, rung)
        if len(standings) < min(2, len(names)):
            break
        reached = {one.name for one in standings}
        if rounds:
            rounds[-1] = _without(rounds[-1], [name for name in left if name not in reached])
        rounds.append(Round(rung, standings, worse(standings)))
    return tuple(rounds)


def worse(standings: Sequence[Standing]) -> dict[str, str]:
    """Return those of the worse half of standings, best first, that are behind the leader for sure, and why."""
    half = standings[(len(standings) + 1) // 2 :]
    found = {}
    for one in half:
        if one.behind and (low := one.behind.interval()[0]) > 0:
            found[one.name] = f"behind the leader by {one.behind.value:.1f}, at least {low:.1f}"
    return found


def _without(last: Round, names: Sequence[str]) -> Round:
    """Return a round of which these do not go on, for want of budget."""
    beyond = dict.fromkeys(names, "no budget to measure it longer")
    return Round(last.rung, last.standings, {**last.dropped, **beyond})


def order(rounds: Sequence[Round]) -> dict[str, float]:
    """Return a score for each candidate by which it is ranked: who went further is before who did not.

    The whole part is the round, the rest the place in it; the values mean nothing else.
    """
    found: dict[str, float] = {}
    for one in rounds:
        count = len(one.standings)
        found |= {
            held.name: one.rung.number + (count - place) / (count + 1) for place, held in enumerate(one.standings)
        }
    return found
