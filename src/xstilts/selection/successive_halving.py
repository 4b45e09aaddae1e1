"""Successive halving: which candidates are measured longer, when not all can be (Jamieson & Talwalkar 2016).

Every round measures longer (twice the steps) and with one seed more than the one before. After it, the worse half is
dropped, but only candidates that are certainly behind the leader: what a round cannot separate goes on together. Where
the budget does not allow all of them, the worst are dropped, with that reason. Candidates are measured in the order of
the last round, so that a budget that ends early also drops the worst. Nothing here trains: `measure` does.

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
    """How a round measures each candidate.

    Attributes:
        number: The number of the round, from 0.
        steps: The steps of each training.
        seeds: The number of seeds.
    """

    number: int
    steps: int
    seeds: int


@dataclass(frozen=True)
class Standing:
    """The place of a candidate in a round.

    Attributes:
        name: The candidate.
        gain: Its gain over the baseline.
        behind: How far it is behind the leader; None: it leads.
    """

    name: str
    gain: Estimate
    behind: Estimate | None = None


@dataclass(frozen=True)
class Round:
    """The result of a round.

    Attributes:
        rung: How candidates were measured.
        standings: The best first.
        dropped: By candidate, why it is not in the next round.
    """

    rung: Rung
    standings: tuple[Standing, ...]
    dropped: Mapping[str, str]

    @property
    def kept(self) -> tuple[str, ...]:
        """The candidates of the next round, the best first."""
        return tuple(standing.name for standing in self.standings if standing.name not in self.dropped)


Measure = Callable[[tuple[str, ...], Rung], tuple[Standing, ...]]
"""From candidates, in the order in which to measure them, and a rung to standings, the best first; those that the
budget does not reach are missing."""
Room = Callable[[tuple[str, ...], Rung], int]
"""From candidates, in the order in which to measure them, and a rung to how many of them the budget allows."""


def ladder(candidates: int, steps: int, seeds: int) -> tuple[Rung, ...]:
    """Return the rungs that halve candidates down to one; each has twice the steps and one seed more.

    Args:
        candidates: How many there are.
        steps: The steps of each training on the first rung.
        seeds: The number of seeds on the first rung.

    Returns:
        The rungs, the cheapest first.

    Raises:
        InputError: One of them is below 1.
    """
    if min(candidates, steps, seeds) < 1:
        raise InputError(f"{candidates} candidates, {steps} steps, {seeds} seeds: give at least one of each")
    rounds = max(1, math.ceil(math.log2(candidates)))
    return tuple(Rung(number, steps * 2**number, seeds + number) for number in range(rounds))


def halve(names: Sequence[str], rungs: Sequence[Rung], measure: Measure, room: Room) -> tuple[Round, ...]:
    """Run rounds until one candidate is left, or the rungs or the budget end.

    A round of fewer than two candidates compares nothing: none is started, and one that ends so is not counted.

    Args:
        names: Candidates, in the order in which to measure them.
        rungs: The rungs, as `ladder` returns them.
        measure: Measures candidates.
        room: Tells how many of them the budget allows.

    Returns:
        The rounds that were finished.
    """
    rounds: list[Round] = []
    remaining = tuple(names)
    for rung in rungs:
        if rounds:
            if len(rounds[-1].kept) < 2 or (places := room(rounds[-1].kept, rung)) < 2:
                break
            rounds[-1] = _without(rounds[-1], rounds[-1].kept[places:])
            remaining = rounds[-1].kept
        standings = measure(remaining, rung)
        if len(standings) < min(2, len(names)):
            break
        reached = {standing.name for standing in standings}
        # The budget may have ended within the round: candidates without a figure drop out of the round before.
        if rounds:
            rounds[-1] = _without(rounds[-1], [name for name in remaining if name not in reached])
        rounds.append(Round(rung, standings, worse(standings)))
    return tuple(rounds)


def worse(standings: Sequence[Standing]) -> dict[str, str]:
    """Return those of the worse half of standings that are certainly behind the leader, and why.

    Args:
        standings: The best first.

    Returns:
        A reason by candidate.
    """
    half = standings[(len(standings) + 1) // 2 :]
    reasons = {}
    for standing in half:
        if standing.behind and (low := standing.behind.interval()[0]) > 0:
            reasons[standing.name] = f"behind the leader by {standing.behind.value:.1f}, at least {low:.1f}"
    return reasons


def _without(last: Round, names: Sequence[str]) -> Round:
    """Return a round in which these are dropped for lack of budget."""
    beyond = dict.fromkeys(names, "no budget to measure it longer")
    return Round(last.rung, last.standings, {**last.dropped, **beyond})


def order(rounds: Sequence[Round]) -> dict[str, float]:
    """Return a score for each candidate by which it is ranked: those of later rounds come first.

    The integer part is the last round, the rest the position in it; the values mean nothing else.

    Args:
        rounds: Finished rounds, in order.

    Returns:
        Scores by candidate, higher is better.
    """
    scores: dict[str, float] = {}
    for finished in rounds:
        count = len(finished.standings)
        scores |= {
            standing.name: finished.rung.number + (count - place) / (count + 1)
            for place, standing in enumerate(finished.standings)
        }
    return scores
