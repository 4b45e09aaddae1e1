"""Measures: what claims are about, as plain values that name an estimate in a table before anything is run.

>>> from xstilts.claims.results_table import Row, Table
>>> rows = [Row("tiny", name, "xnli", "sw", seed, score=40.0 + gain + seed / 10, keys=(f"{name}{seed}",))
...         for name, gain in (("baseline", 0.0), ("squad", 2.0)) for seed in (1, 2, 3)]
>>> Gain("squad", "xnli").of(Table(tuple(rows))).estimate.value
2.0
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np

from xstilts.data.examples import BadInput
from xstilts.measurement import Measured, by_encoder, over, sloped, zero_shot
from xstilts.metrics.base import Array
from xstilts.savings import Saving, Scaling
from xstilts.stats import PLAIN, Resampling
from xstilts.claims.results_table import BASELINE, Arm, Table, arm, estimate, replicates, stacked, together


@dataclass(frozen=True)
class Level:
    """The mean score of a setting, over seeds and languages: those of zero-shot transfer, or those named."""

    intermediate: str
    target: str
    languages: tuple[str, ...] = ()
    encoder: str = ""
    recipe: str = ""
    resampling: Resampling = PLAIN

    def of(self, table: Table) -> Measured:
        """Return the mean score; Missing where a seed lacks a language."""
        rows = arm(table, self.intermediate, self.target, self.encoder, self.recipe)
        codes = self.languages or zero_shot([rows])
        return over(estimate(table, [rows], codes, self.resampling), [rows], codes)


@dataclass(frozen=True)
class Gain:
    """The mean gain of a setting over another, paired by seed, over languages.

    languages: those of zero-shot transfer that both settings have, or those named. over_recipe: the recipe of the other
    setting, where it is another than `recipe`.
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
        arms, codes = self.arms(table)
        return over(estimate(table, arms, codes, self.resampling), arms, codes)

    def by_seed(self, table: Table) -> dict[int, float]:
        """Return the mean gain over languages of each seed; Missing where no seed has all of them."""
        arms, codes = self.arms(table)
        seeds = sorted(set.intersection(*({seed for _, seed in rows} for rows in arms)))
        return {
            seed: float(np.mean([arms[0][code, seed].score - arms[1][code, seed].score for code in codes]))
            for seed in seeds
            if all((code, seed) in rows for rows in arms for code in codes)
        }

    def pairs(self, table: Table) -> dict[str, tuple[Array, Array]]:
        """Return contributions before and after, (seeds, examples, k) each, by language; none if not all are kept."""
        arms, codes = self.arms(table)
        seeds = replicates(arms, codes)
        rows = {code: [[one[code, seed] for seed in seeds] for one in arms] for code in codes}
        if any(row.examples is None for both in rows.values() for column in both for row in column):
            return {}
        return {code: (stacked(table, before), stacked(table, after)) for code, (after, before) in rows.items()}

    def arms(self, table: Table) -> tuple[list[Arm], tuple[str, ...]]:
        """Return the rows of both settings, and the languages; Missing where there are none."""
        arms = [
            arm(table, self.intermediate, self.target, self.encoder, self.recipe),
            arm(table, self.over, self.target, self.encoder, self.over_recipe or self.recipe),
        ]
        return arms, self.languages or zero_shot(arms)


@dataclass(frozen=True)
class Mean:
    """The plain mean of several gains, of other targets or intermediate tasks, paired by seed."""

    gains: tuple[Gain, ...]

    def of(self, table: Table) -> Measured:
        """Return the mean gain; Missing where one of them is, or where they share no seed."""
        parts = [gain.arms(table) for gain in self.gains]
        found = together(table, parts, replace(self.gains[0].resampling, sampled=False))
        measured = [over(found, arms, codes) for arms, codes in parts]
        metrics = ", ".join(dict.fromkeys(one.setting.metric for one in measured))
        keys = tuple(sorted({key for one in measured for key in one.keys}))
        return Measured(found, replace(measured[0].setting, metric=metrics, languages=()), keys)


@dataclass(frozen=True)
class Growth:
    """By how much a gain grows with each doubling of the encoder's size.

    All sizes count the same: with errors that are known from two or three seeds alone as weights, an interval of 95 %
    covers 85 to 90 %.
    """

    gain: Gain

    def of(self, table: Table) -> Measured:
        """Return the slope over all encoders that have the gain; Missing with fewer than two sizes."""
        found = by_encoder(table, lambda encoder: replace(self.gain, encoder=encoder).of(table))
        return sloped(found, [measured.estimate.value for _, measured in found.values()])


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
