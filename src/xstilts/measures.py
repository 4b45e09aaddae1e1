"""Measures: what claims are about, as plain values that name an estimate in a table before anything is run.

>>> from xstilts.tidy import Row, Table
>>> rows = [Row("tiny", name, "xnli", "sw", seed, score=40.0 + gain + seed / 10, keys=(f"{name}{seed}",))
...         for name, gain in (("baseline", 0.0), ("squad", 2.0)) for seed in (1, 2, 3)]
>>> Gain("squad", "xnli").of(Table(tuple(rows))).estimate.value
2.0
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np

from xstilts.example import BadInput
from xstilts.measurement import Measured, by_encoder, over, shared, sloped
from xstilts.metrics.score import Array
from xstilts.savings import Saving, Scaling
from xstilts.stats import PLAIN, Estimate, Resampling
from xstilts.tidy import BASELINE, Arm, Missing, Table, arm, estimate, replicates, stacked


@dataclass(frozen=True)
class Level:
    """The mean score of a setting, over seeds and languages (all that there are, or those named)."""

    intermediate: str
    target: str
    languages: tuple[str, ...] = ()
    encoder: str = ""
    recipe: str = ""
    resampling: Resampling = PLAIN

    def of(self, table: Table) -> Measured:
        """Return the mean score; Missing where a seed lacks a language."""
        rows = arm(table, self.intermediate, self.target, self.encoder, self.recipe)
        codes = self.languages or tuple(sorted({code for code, _ in rows}))
        return over(estimate(table, [rows], codes, self.resampling), [rows], codes)


@dataclass(frozen=True)
class Gain:
    """The mean gain of a setting over another, paired by seed, over languages (all that both have, or those named).

    over_recipe: the recipe of the other setting, where it is another than `recipe`.
    """

    intermediate: str
    target: str
    over: str = BASELINE
    languages: tuple[str, ...] = ()
    encoder: str = ""
    recipe: str = ""
    over_recipe: str = ""
    resampling: Resampling = PLAIN

    def of(self, table: Table) -> Measured:
        """Return the mean gain; Missing where no seed has both settings in all languages."""
        arms, codes = self._arms(table)
        return over(estimate(table, arms, codes, self.resampling), arms, codes)

    def by_seed(self, table: Table) -> dict[int, float]:
        """Return the mean gain over languages of each seed; Missing where no seed has all of them."""
        arms, codes = self._arms(table)
        seeds = sorted(set.intersection(*({seed for _, seed in rows} for rows in arms)))
        return {
            seed: float(np.mean([arms[0][code, seed].score - arms[1][code, seed].score for code in codes]))
            for seed in seeds
            if all((code, seed) in rows for rows in arms for code in codes)
        }

    def pairs(self, table: Table) -> dict[str, tuple[Array, Array]]:
        """Return contributions before and after, (seeds, examples, k) each, by language; none if not all are kept."""
        arms, codes = self._arms(table)
        seeds = replicates(arms, codes)
        rows = {code: [[one[code, seed] for seed in seeds] for one in arms] for code in codes}
        if any(row.examples is None for both in rows.values() for column in both for row in column):
            return {}
        return {code: (stacked(table, before), stacked(table, after)) for code, (after, before) in rows.items()}

    def _arms(self, table: Table) -> tuple[list[Arm], tuple[str, ...]]:
        arms = [
            arm(table, self.intermediate, self.target, self.encoder, self.recipe),
            arm(table, self.over, self.target, self.encoder, self.over_recipe or self.recipe),
        ]
        return arms, self.languages or shared(arms)


@dataclass(frozen=True)
class Mean:
    """The plain mean of several gains, of other targets or intermediate tasks, paired by seed."""

    gains: tuple[Gain, ...]

    def of(self, table: Table) -> Measured:
        """Return the mean gain; Missing where one of them is, or where they share no seed."""
        found = [gain.of(table) for gain in self.gains]
        seeds = [gain.by_seed(table) for gain in self.gains]
        shared = sorted(set.intersection(*(set(one) for one in seeds)))
        if not shared:
            raise Missing(f"no seed has all of {len(self.gains)} gains")
        means = np.array([[one[seed] for one in seeds] for seed in shared]).mean(axis=1)
        units = sum(one.estimate.units for one in found) / len(found) ** 2
        between = float(means.var(ddof=1)) if len(shared) > 1 else math.nan
        first = found[0].setting
        metrics = ", ".join(dict.fromkeys(one.setting.metric for one in found))
        keys = tuple(sorted({key for one in found for key in one.keys}))
        setting = replace(first, metric=metrics, languages=())
        return Measured(Estimate(float(means.mean()), between, len(shared), units), setting, keys)


@dataclass(frozen=True)
class Growth:
    """By how much a gain grows with each doubling of the encoder's size."""

    gain: Gain

    def of(self, table: Table) -> Measured:
        """Return the slope over all encoders that have the gain; Missing with fewer than two sizes."""
        found = by_encoder(table, lambda encoder: replace(self.gain, encoder=encoder).of(table))
        errors = [measured.estimate.error for _, measured in found.values()]
        weighed = errors if all(error > 0 for error in errors) else None
        values = [measured.estimate.value for _, measured in found.values()]
        return sloped(found, values, weighed)


def plain(measure: Any) -> dict[str, Any]:
    """Return a measure as JSON has it: its type, and its values where they are not what they are by default."""
    found: dict[str, Any] = {"type": type(measure).__name__}
    for one in fields(measure):
        value = getattr(measure, one.name)
        if value != one.default:
            found[one.name] = _written(value)
    return found


def from_plain(given: Mapping[str, Any]) -> Any:
    """Return the measure that `plain` wrote; BadInput for anything else."""
    kind = KINDS.get(str(given.get("type")))
    if kind is None:
        raise BadInput(f"unknown measure {dict(given)}: there are {', '.join(KINDS)}")
    try:
        return kind(**{name: _value(value) for name, value in given.items() if name != "type"})
    except TypeError as error:
        raise BadInput(f"{dict(given)} is no {kind.__name__}: {error}") from None


KINDS: dict[str, Callable[..., Any]] = {
    one.__name__: one for one in (Level, Gain, Mean, Saving, Growth, Scaling, Resampling)
}


def _written(value: Any) -> Any:
    return (
        [_written(one) for one in value] if isinstance(value, tuple) else plain(value) if is_dataclass(value) else value
    )


def _value(value: Any) -> Any:
    """Return what `_written` wrote."""
    return (
        tuple(map(_value, value))
        if isinstance(value, list)
        else from_plain(value)
        if isinstance(value, dict)
        else value
    )
