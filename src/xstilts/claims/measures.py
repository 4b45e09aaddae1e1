"""Measures: what claims are about, as plain values that name an estimate in a table before anything is run.

>>> from xstilts.claims.results_table import Result, ResultsTable
>>> rows = [Result("tiny", name, "xnli", "sw", seed, score=40.0 + gain + seed / 10, keys=(f"{name}{seed}",))
...         for name, gain in (("baseline", 0.0), ("squad", 2.0)) for seed in (1, 2, 3)]
>>> Gain("squad", "xnli").of(ResultsTable(tuple(rows))).estimate.value
2.0
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Protocol

import numpy as np

from xstilts import stats
from xstilts.claims.results_table import (
    BASELINE,
    CLOCKED,
    COSTS,
    Arm,
    Missing,
    Result,
    ResultsTable,
    arm,
    estimate,
    replicates,
    stacked,
    together,
)
from xstilts.errors import InputError
from xstilts.metrics.base import Array
from xstilts.stats import PLAIN, Estimate, Resampling


@dataclass(frozen=True)
class Level:
    """The mean score of a setting, over seeds and languages: those of zero-shot transfer, or those named."""

    intermediate: str
    target: str
    languages: tuple[str, ...] = ()
    encoder: str = ""
    recipe: str = ""
    resampling: Resampling = PLAIN

    def of(self, table: ResultsTable) -> Measured:
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

    def of(self, table: ResultsTable) -> Measured:
        """Return the mean gain; Missing where no seed has both settings in all languages."""
        arms, codes = self.arms(table)
        return over(estimate(table, arms, codes, self.resampling), arms, codes)

    def by_seed(self, table: ResultsTable) -> dict[int, float]:
        """Return the mean gain over languages of each seed; Missing where no seed has all of them."""
        arms, codes = self.arms(table)
        seeds = sorted(set.intersection(*({seed for _, seed in rows} for rows in arms)))
        return {
            seed: float(np.mean([arms[0][code, seed].score - arms[1][code, seed].score for code in codes]))
            for seed in seeds
            if all((code, seed) in rows for rows in arms for code in codes)
        }

    def pairs(self, table: ResultsTable) -> dict[str, tuple[Array, Array]]:
        """Return contributions before and after, (seeds, examples, k) each, by language; none if not all are kept."""
        arms, codes = self.arms(table)
        seeds = replicates(arms, codes)
        rows = {code: [[one[code, seed] for seed in seeds] for one in arms] for code in codes}
        if any(row.examples is None for both in rows.values() for column in both for row in column):
            return {}
        return {code: (stacked(table, before), stacked(table, after)) for code, (after, before) in rows.items()}

    def arms(self, table: ResultsTable) -> tuple[list[Arm], tuple[str, ...]]:
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

    def of(self, table: ResultsTable) -> Measured:
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

    def of(self, table: ResultsTable) -> Measured:
        """Return the slope over all encoders that have the gain; Missing with fewer than two sizes."""
        found = by_encoder(table, lambda encoder: replace(self.gain, encoder=encoder).of(table))
        return sloped(found, [measured.estimate.value for _, measured in found.values()])


def to_json(measure: Any) -> dict[str, Any]:
    """Return a measure as JSON has it: its type, and its values where they are not what they are by default."""
    found: dict[str, Any] = {"type": type(measure).__name__}
    for one in fields(measure):
        value = getattr(measure, one.name)
        if value != one.default:
            found[one.name] = _written(value)
    return found


def from_json(given: Mapping[str, Any]) -> Any:
    """Return the measure that `to_json` wrote; InputError for anything else."""
    kind = KINDS.get(str(given.get("type")))
    if kind is None:
        raise InputError(f"unknown measure {dict(given)}: there are {', '.join(KINDS)}")
    try:
        return kind(**{name: _value(value) for name, value in given.items() if name != "type"})
    except TypeError as error:
        raise InputError(f"{dict(given)} is no {kind.__name__}: {error}") from None


def _written(value: Any) -> Any:
    return (
        [_written(one) for one in value]
        if isinstance(value, tuple)
        else to_json(value)
        if is_dataclass(value)
        else value
    )


def _value(value: Any) -> Any:
    """Return what `_written` wrote."""
    return (
        tuple(map(_value, value)) if isinstance(value, list) else from_json(value) if isinstance(value, dict) else value
    )


@dataclass(frozen=True)
class Saving:
    """By how many percent a figure of cost (one of `COSTS`) is lower under one recipe than under another.

    intermediate: the setting of both; over: that of the second, where it is another. per: another figure by which it
    is divided first, as seconds by tokens. languages: whose predictions the first makes, over_languages the second;
    all that both have, or the same. Counted figures are exact.
    """

    figure: str
    intermediate: str
    target: str
    recipe: str
    over_recipe: str
    encoder: str = ""
    over: str = ""
    per: str = ""
    languages: tuple[str, ...] = ()
    over_languages: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _known(self.figure, self.per or self.figure)

    def of(self, table: ResultsTable) -> Measured:
        """Return the percentage, negative where the first costs more; Missing where a figure was not measured."""
        pair = (self.intermediate, self.recipe), (self.over or self.intermediate, self.over_recipe)
        arms = [arm(table, setting, self.target, self.encoder, recipe) for setting, recipe in pair]
        first = self.languages or shared(arms)
        codes = [first, self.over_languages or first]
        every = tuple(sorted({*codes[0], *codes[1]}))
        seeds = replicates(arms, every)
        figures = self.figure, self.per
        spent = [
            [_rate(rows, *figures, chosen, seed) for seed in seeds] for rows, chosen in zip(arms, codes, strict=True)
        ]
        saved = 100 * (1 - np.array(spent[0]) / np.array(spent[1]))
        found = Estimate(float(saved.mean()), float(saved.var(ddof=1)) if len(saved) > 1 else math.nan, len(saved))
        return replace(over(found, arms, every), exact=not any(one.endswith(CLOCKED) for one in figures if one))


@dataclass(frozen=True)
class Scaling:
    """The exponent with which a figure of cost grows with the encoder's parameters, by a fit of logarithms.

    per: another figure by which it is divided first, as seconds by tokens.
    """

    figure: str
    intermediate: str
    target: str
    recipe: str = ""
    per: str = ""

    def __post_init__(self) -> None:
        _known(self.figure, self.per or self.figure)

    def of(self, table: ResultsTable) -> Measured:
        """Return the exponent over all encoders; Missing with fewer than two sizes."""
        found = by_encoder(table, lambda encoder: self.at(table, encoder))
        return sloped(found, [math.log2(measured.estimate.value) for _, measured in found.values()])

    def at(self, table: ResultsTable, encoder: str) -> Measured:
        """Return the mean figure of one encoder over seeds."""
        rows = arm(table, self.intermediate, self.target, encoder, self.recipe)
        codes = tuple(sorted({code for code, _ in rows}))
        seeds = replicates([rows], codes)
        values = np.array([_rate(rows, self.figure, self.per, codes, seed) for seed in seeds])
        found = Estimate(float(values.mean()), float(values.var(ddof=1)) if len(seeds) > 1 else math.nan, len(seeds))
        return over(found, [rows], codes)


def _known(*figures: str) -> None:
    for figure in figures:
        if figure not in COSTS:
            raise InputError(f"unknown figure of cost '{figure}': there are {', '.join(COSTS)}")


def _rate(rows: Arm, figure: str, per: str, codes: tuple[str, ...], seed: int) -> float:
    """Return a figure of one run, divided by another if there is one."""
    return _spent(rows, figure, codes, seed) / (_spent(rows, per, codes, seed) if per else 1)


def _spent(rows: Arm, figure: str, codes: tuple[str, ...], seed: int) -> float:
    """Return a figure of one run: of its trainings, or the sum over what was predicted."""
    chosen = codes if figure.startswith("predict") else codes[:1]
    found = sum(rows[code, seed].costs.get(figure, math.nan) for code in chosen)
    if not found > 0:
        raise Missing(f"no {figure} is known of '{rows[codes[0], seed].intermediate}', seed {seed}")
    return found


@dataclass(frozen=True)
class Setting:
    """What a published figure must share with a measured one to be compared."""

    encoder: str
    split: str
    metric: str
    languages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured:
    """An estimate and what it was measured on; exact: counted, so that seeds and examples leave no doubt about it."""

    estimate: Estimate
    setting: Setting
    keys: tuple[str, ...] = ()
    exact: bool = False


class Measure(Protocol):
    """Plain values that name an estimate in a table."""

    def of(self, table: ResultsTable) -> Measured:
        """Return the estimate; Missing where the table has not all rows."""
        ...


def zero_shot(arms: list[Arm]) -> tuple[str, ...]:
    """Return the languages that all settings have and the target was not learned in; all, if it was in every one."""
    taught = {code for rows in arms for (code, _), row in rows.items() if row.in_training_language}
    found = shared(arms)
    return tuple(code for code in found if code not in taught) or found


def shared(arms: list[Arm]) -> tuple[str, ...]:
    """Return the languages that all settings have."""
    return tuple(sorted(set.intersection(*({code for code, _ in rows} for rows in arms))))


def over(found: Estimate, arms: list[Arm], codes: Iterable[str]) -> Measured:
    """Return an estimate with the setting and the stages of the rows that it was made from."""
    used = [row for rows in arms for (code, _), row in rows.items() if code in set(codes)]
    return Measured(found, _setting(used, codes), tuple(sorted({key for row in used for key in row.keys})))


def _setting(rows: Iterable[Result], codes: Iterable[str]) -> Setting:
    first = next(iter(rows))
    return Setting(first.encoder, first.split, first.metric, tuple(codes))


def by_encoder(table: ResultsTable, measure: Callable[[str], Measured]) -> dict[str, tuple[float, Measured]]:
    """Return what is measured by encoder, with its size; Missing with fewer than two known sizes."""
    found = {}
    for encoder in sorted({row.encoder for row in table.rows}):
        sizes = {row.size for row in table.rows if row.encoder == encoder}
        try:
            found[encoder] = (min(sizes), measure(encoder))
        except Missing:
            continue
    if len({size for size, _ in found.values()}) < 2 or any(math.isnan(size) for size, _ in found.values()):
        raise Missing(f"a slope needs encoders of two or more known sizes, found {', '.join(found) or 'none'}")
    return found


def sloped(found: Mapping[str, tuple[float, Measured]], values: list[float]) -> Measured:
    """Return the slope of values against the doublings of the sizes that they were found at."""
    sizes = [size for size, _ in found.values()]
    first = next(measured.setting for _, measured in found.values())
    keys = tuple(sorted({key for _, measured in found.values() for key in measured.keys}))
    return Measured(stats.slope(sizes, values), replace(first, encoder=", ".join(found)), keys)


KINDS: dict[str, Callable[..., Any]] = {
    one.__name__: one for one in (Level, Gain, Mean, Saving, Growth, Scaling, Resampling)
}
