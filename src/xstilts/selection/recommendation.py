"""Advice: how candidates for a target were ranked, what that cost, and what of it is known.

Every method gives each candidate a figure and so a rank; the combined rank is the mean over the methods that have a
figure for every candidate. The favourite has the best, but probes have a veto: they train on the target, the other
methods only look at it, and a candidate that probes show to harm comes after those that they do not. Which is first is
one thing, whether that is known another.

>>> figures = {"probe": {"a": Figure(3.0, 1.0, 5.0), "b": Figure(1.0, -1.0, 3.0)}}
>>> Advice("sandbox", "sandbox_qa", ("b", "a"), figures).combined()
{'a': 1.0, 'b': 2.0}
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean

from xstilts.selection.backtest import COMBINED, Hit
from xstilts.selection.successive_halving import Round, Standing
from xstilts.selection.transferability import ranks

HELPS, HARMS = "helps", "harms"


@dataclass(frozen=True)
class Figure:
    """What a method says of a candidate, with its 95 % interval where there is one.

    order: what candidates are ranked by, where that is not the value.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    order: float | None = None

    @property
    def ranked(self) -> float:
        """What candidates are ranked by, the highest first."""
        return self.value if self.order is None else self.order


Figures = Mapping[str, Mapping[str, Figure]]
"""By method, by candidate; a candidate that a method was not paid for has none."""


@dataclass(frozen=True)
class Advice:
    """What each method says of the candidates for a target, the rounds of probes, and seconds by what they were for.

    missing: what could not be had, and why. hits: how right the methods are, where gains were measured. built: stages
    that were not there yet.
    """

    encoder: str
    target: str
    candidates: tuple[str, ...]
    figures: Figures
    rounds: tuple[Round, ...] = ()
    spent: Mapping[str, float] = field(default_factory=dict)
    budget: float = math.inf
    built: int = 0
    missing: tuple[str, ...] = ()
    hits: tuple[Hit, ...] = ()

    def scores(self) -> dict[str, dict[str, float]]:
        """Return by method what candidates are ranked by, NaN where there is no figure; last the combination."""
        found = {
            method: {name: held[name].ranked if name in held else math.nan for name in self.candidates}
            for method, held in self.figures.items()
        }
        combined, last = self.combined(), len(self.candidates)
        places = {name: -rank - last * (name in self.harmful()) for name, rank in combined.items()}
        return found | ({COMBINED: places} if combined else {})

    def ranks(self) -> dict[str, dict[str, float]]:
        """Return each candidate's rank by method, 1 for the best, NaN where there is no figure."""
        return {
            method: dict(zip(self.candidates, ranks([_ranked(held, name) for name in self.candidates]), strict=True))
            for method, held in self.figures.items()
        }

    def combined(self) -> dict[str, float]:
        """Return the mean rank over methods that know all candidates; nothing without such methods.

        In the order in which to take them: the best rank first, those that harm last.
        """
        whole = [given for given in self.ranks().values() if not any(map(math.isnan, given.values()))]
        found = {name: fmean(given[name] for given in whole) for name in self.candidates} if whole else {}
        harmful = self.harmful()
        return dict(sorted(found.items(), key=lambda pair: (pair[0] in harmful, pair[1])))

    def harmful(self) -> tuple[str, ...]:
        """Return the candidates whose gain in their last round has an interval that lies wholly below 0."""
        return tuple(name for name in self.candidates if effect(self.last(name)) == HARMS)

    def favourites(self) -> dict[str, tuple[str, ...]]:
        """Return by method the candidates that it ranks first, several where they are tied."""
        return {
            method: tuple(name for name, rank in given.items() if rank == min(given.values()))
            for method, given in self.ranks().items()
            if not any(map(math.isnan, given.values()))
        }

    def last(self, name: str) -> Standing | None:
        """Return how a candidate stood in the last round that it was in."""
        found = [held for one in self.rounds for held in one.standings if held.name == name]
        return found[-1] if found else None


def _ranked(held: Mapping[str, Figure], name: str) -> float:
    return held[name].ranked if name in held else math.nan


@dataclass(frozen=True)
class Known:
    """What is known of the favourite.

    effect: "helps", "harms" or "" (not known). disagreeing: methods that have another favourite. close: candidates
    that the probes do not put behind the leader for sure. agreed: more than half of the methods have this favourite.
    harmful: candidates that harm; the favourite is among them only where all are.
    """

    favourite: str
    effect: str
    disagreeing: Mapping[str, tuple[str, ...]]
    close: tuple[str, ...]
    agreed: bool
    harmful: tuple[str, ...] = ()

    @property
    def best(self) -> bool:
        """Whether it is known to be the best: probes put all others behind it, and most methods agree."""
        return self.agreed and not self.close


def known(advice: Advice) -> Known | None:
    """Return what is known of the favourite, the first in the combined order; None where nothing was ranked."""
    favourite = next(iter(advice.combined()), None)
    if favourite is None:
        return None
    favourites = advice.favourites()
    others = {method: names for method, names in favourites.items() if favourite not in names}
    close = tuple(name for name in advice.candidates if name != favourite and not _behind(advice.last(name)))
    agreed = 2 * len(others) < len(favourites)
    return Known(favourite, effect(advice.last(favourite)), others, close, agreed, advice.harmful())


def effect(standing: Standing | None) -> str:
    """Return what the interval of a candidate's gain says: "helps", "harms" or "" (not known)."""
    if standing is None:
        return ""
    low, high = standing.gain.interval()
    return HELPS if low > 0 else HARMS if high < 0 else ""


def _behind(standing: Standing | None) -> bool:
    return standing is not None and standing.behind is not None and standing.behind.interval()[0] > 0
