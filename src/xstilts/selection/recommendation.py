"""Recommendation: how candidates for a target were ranked, what that cost, and how certain it is.

Every method gives each candidate a figure and so a rank; the combined rank is the mean over the methods that have a
figure for every candidate. The favourite has the best combined rank, but a candidate that probes show to harm comes
after all others, as probes alone train on the target. Whether the first is certainly the best is said apart.

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
    """A method's figure for a candidate.

    Attributes:
        value: The figure.
        low: Lower end of its 95 % interval; NaN: there is none.
        high: Upper end.
        order: What candidates are ranked by, where that is not the value.
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
"""By method, by candidate; a candidate that the budget did not reach has none."""


@dataclass(frozen=True)
class Advice:
    """A ranking of candidates for a target.

    Attributes:
        encoder: Its name.
        target: Its label.
        candidates: Their labels.
        figures: The figures of each method, for each candidate.
        rounds: The rounds of probes that were finished.
        spent: Seconds by purpose.
        budget: Seconds that were allowed.
        built: How many stages were built, rather than found in the store.
        missing: What was not measured, and why.
        hits: How right the methods are, where gains were measured (`backtest`).
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
        """Return what candidates are ranked by, by method (NaN where there is no figure), "combined" last."""
        by_method = {
            method: {name: figures[name].ranked if name in figures else math.nan for name in self.candidates}
            for method, figures in self.figures.items()
        }
        combined, last = self.combined(), len(self.candidates)
        places = {name: -rank - last * (name in self.harmful()) for name, rank in combined.items()}
        return by_method | ({COMBINED: places} if combined else {})

    def ranks(self) -> dict[str, dict[str, float]]:
        """Return each candidate's rank by method, 1 for the best, NaN where there is no figure."""
        return {
            method: dict(zip(self.candidates, ranks([_ranked(figures, name) for name in self.candidates]), strict=True))
            for method, figures in self.figures.items()
        }

    def combined(self) -> dict[str, float]:
        """Return each candidate's mean rank over the methods that have figures for all; empty without such methods.

        The best rank comes first, candidates that harm last.
        """
        complete = [
            by_candidate for by_candidate in self.ranks().values() if not any(map(math.isnan, by_candidate.values()))
        ]
        mean_ranks = (
            {name: fmean(by_candidate[name] for by_candidate in complete) for name in self.candidates}
            if complete
            else {}
        )
        harmful = self.harmful()
        return dict(sorted(mean_ranks.items(), key=lambda pair: (pair[0] in harmful, pair[1])))

    def harmful(self) -> tuple[str, ...]:
        """Return the candidates whose gain in their last round has an interval below 0."""
        return tuple(name for name in self.candidates if effect(self.last(name)) == HARMS)

    def favourites(self) -> dict[str, tuple[str, ...]]:
        """Return the candidates that each method ranks first, several where they are tied."""
        return {
            method: tuple(name for name, rank in by_candidate.items() if rank == min(by_candidate.values()))
            for method, by_candidate in self.ranks().items()
            if not any(map(math.isnan, by_candidate.values()))
        }

    def last(self, name: str) -> Standing | None:
        """Return a candidate's standing in the last round that it was in.

        Args:
            name: The label of the candidate.

        Returns:
            The standing; None if it was in no round.
        """
        standings = [standing for finished in self.rounds for standing in finished.standings if standing.name == name]
        return standings[-1] if standings else None


def _ranked(figures: Mapping[str, Figure], name: str) -> float:
    return figures[name].ranked if name in figures else math.nan


@dataclass(frozen=True)
class Known:
    """What is certain about the favourite.

    Attributes:
        favourite: The first in the combined order.
        effect: "helps", "harms" or "" (not certain).
        disagreeing: Methods with another favourite, and theirs.
        close: Candidates that probes do not put behind the leader with certainty.
        agreed: Whether more than half of the methods have this favourite.
        harmful: Candidates that harm; the favourite is among them only where all are.
    """

    favourite: str
    effect: str
    disagreeing: Mapping[str, tuple[str, ...]]
    close: tuple[str, ...]
    agreed: bool
    harmful: tuple[str, ...] = ()

    @property
    def best(self) -> bool:
        """Whether it is certainly the best: probes put all others behind it, and most methods agree."""
        return self.agreed and not self.close


def known(advice: Advice) -> Known | None:
    """Return what is certain about the first of the ranking.

    Args:
        advice: The recommendation.

    Returns:
        Whether it helps, and whether it is the best; None where nothing was ranked.
    """
    favourite = next(iter(advice.combined()), None)
    if favourite is None:
        return None
    favourites = advice.favourites()
    others = {method: names for method, names in favourites.items() if favourite not in names}
    close = tuple(name for name in advice.candidates if name != favourite and not _behind(advice.last(name)))
    agreed = 2 * len(others) < len(favourites)
    return Known(favourite, effect(advice.last(favourite)), others, close, agreed, advice.harmful())


def effect(standing: Standing | None) -> str:
    """Return the direction of a candidate's gain by its interval: "helps", "harms" or "" (not certain)."""
    if standing is None:
        return ""
    low, high = standing.gain.interval()
    return HELPS if low > 0 else HARMS if high < 0 else ""


def _behind(standing: Standing | None) -> bool:
    return standing is not None and standing.behind is not None and standing.behind.interval()[0] > 0
