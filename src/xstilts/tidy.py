"""Tidy: the scores of a study as one list of rows, and the measures that claims are about.

A row is one score: one run, one target, one language. A measure says in plain values which rows it needs and how they
become one estimate, so that a study file names it before anything is run. Rows are paired by seed; replicates are
counted by the keys of the results and not by rows: an untrained baseline has one result, whatever the seed.

>>> rows = [Row("tiny", name, "xnli", "sw", seed, score=40.0 + gain + seed / 10, keys=(f"{name}{seed}",))
...         for name, gain in (("baseline", 0.0), ("squad", 2.0)) for seed in (1, 2, 3)]
>>> Gain("squad", "xnli").of(Table(tuple(rows))).estimate.value
2.0
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Protocol

import numpy as np

from xstilts import metrics, stats
from xstilts.example import BadInput
from xstilts.metrics.score import Array
from xstilts.stats import PLAIN, Estimate, Resampling

BASELINE = "baseline"


class Missing(LookupError):
    """A measure needs rows that a table has not; the message says which."""


@dataclass(frozen=True)
class Row:
    """One score, in the metric's own unit.

    intermediate: the setting's label, "baseline" for none. size: the encoder's parameters. keys: of the stages behind
    the score, its own last. cost: GPU or CPU hours. examples: the score's `contributions.jsonl`.
    """

    encoder: str
    intermediate: str
    target: str
    language: str
    seed: int
    score: float
    keys: tuple[str, ...]
    recipe: str = ""
    metric: str = ""
    split: str = "test"
    size: float = math.nan
    stderr: float = math.nan
    cost: float = math.nan
    examples: Path | None = None


@dataclass(frozen=True)
class Table:
    """The rows of a study, and how their examples are read."""

    rows: tuple[Row, ...]
    read: Callable[[Path], Array] = field(default=lambda path: contributions(path), compare=False)

    def select(self, **wanted: str) -> Table:
        """Return the rows whose columns have these values; an empty value asks nothing."""
        asked = {column: value for column, value in wanted.items() if value != ""}
        kept = (row for row in self.rows if all(getattr(row, column) == value for column, value in asked.items()))
        return replace(self, rows=tuple(kept))

    def only(self, column: str) -> str:
        """Return the one value of a column; BadInput where there are several."""
        found = sorted({str(getattr(row, column)) for row in self.rows})
        if len(found) > 1:
            raise BadInput(f"rows of several values of {column} are no replicates: {', '.join(found)}; name one")
        return found[0]


@dataclass(frozen=True)
class Setting:
    """What a published figure must share with a measured one to be compared."""

    encoder: str
    split: str
    metric: str


@dataclass(frozen=True)
class Measured:
    """An estimate and what it was measured on."""

    estimate: Estimate
    setting: Setting


class Measure(Protocol):
    """Plain values that name an estimate in a table."""

    def of(self, table: Table) -> Measured:
        """Return the estimate; Missing where the table has not all rows."""
        ...


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
        arm = _arm(table, self, self.intermediate)
        codes = self.languages or tuple(sorted({code for code, _ in arm}))
        return Measured(_estimate(table, [arm], codes, self.resampling), _setting(arm.values()))


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
        other = replace(self, recipe=self.over_recipe or self.recipe)
        arms = [_arm(table, self, self.intermediate), _arm(table, other, self.over)]
        shared = {code for code, _ in arms[0]} & {code for code, _ in arms[1]}
        codes = self.languages or tuple(sorted(shared))
        return Measured(_estimate(table, arms, codes, self.resampling), _setting([*arms[0].values()]))


@dataclass(frozen=True)
class Growth:
    """By how much a gain grows with each doubling of the encoder's size."""

    gain: Gain

    def of(self, table: Table) -> Measured:
        """Return the slope over all encoders that have the gain; Missing with fewer than two sizes."""
        found = {}
        for encoder in sorted({row.encoder for row in table.rows}):
            sizes = {row.size for row in table.rows if row.encoder == encoder}
            try:
                found[encoder] = (min(sizes), replace(self.gain, encoder=encoder).of(table))
            except Missing:
                continue
        if len({size for size, _ in found.values()}) < 2 or any(math.isnan(size) for size, _ in found.values()):
            raise Missing(f"a slope needs encoders of two or more known sizes, found {', '.join(found) or 'none'}")
        errors = [measured.estimate.error for _, measured in found.values()]
        weighed = errors if all(error > 0 for error in errors) else None
        sizes_, values = zip(*((size, one.estimate.value) for size, one in found.values()), strict=True)
        setting = next(measured.setting for _, measured in found.values())
        return Measured(stats.slope(sizes_, values, weighed), replace(setting, encoder=", ".join(found)))


def contributions(path: Path) -> Array:
    """Return what each example contributed, (examples, k), from a score's `contributions.jsonl`."""
    return _contributions(path)


@lru_cache(maxsize=512)
def _contributions(path: Path) -> Array:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return np.asarray(lines, dtype=np.float64).reshape(len(lines), -1)


Arm = Mapping[tuple[str, int], Row]


def _arm(table: Table, asked: Level | Gain, intermediate: str) -> Arm:
    """Return the rows of a setting by language and seed."""
    found = table.select(encoder=asked.encoder, recipe=asked.recipe, target=asked.target, intermediate=intermediate)
    if not found.rows:
        at = f" of {asked.encoder}" if asked.encoder else ""
        raise Missing(f"no rows of '{intermediate}' on '{asked.target}'{at}")
    for column in ("encoder", "recipe", "metric", "split"):
        found.only(column)
    arm: dict[tuple[str, int], Row] = {}
    for row in found.rows:
        other = arm.setdefault((row.language, row.seed), row)
        if (other.keys, other.score) != (row.keys, row.score):
            raise BadInput(f"two rows of '{intermediate}' on '{row.target}', {row.language}, seed {row.seed}: keep one")
    return arm


def _setting(rows: Iterable[Row]) -> Setting:
    first = next(iter(rows))
    return Setting(first.encoder, first.split, first.metric)


def _estimate(table: Table, arms: list[Arm], codes: tuple[str, ...], how: Resampling) -> Estimate:
    seeds = _replicates(arms, codes)
    rows = [{code: [arm[code, seed] for seed in seeds] for code in codes} for arm in arms]
    every = [row for arm in rows for column in arm.values() for row in column]
    if all(row.examples is not None for row in every):
        read = [{code: _stacked(table, column) for code, column in arm.items()} for arm in rows]
        before = read[1] if len(read) > 1 else None
        return stats.estimate(read[0], before, headline=partial(metrics.headlines, every[0].metric), how=how)
    scores = [np.array([[row.score for row in column] for column in arm.values()]).T for arm in rows]
    return _of_scores(scores[0] - scores[1] if len(scores) > 1 else scores[0], every, how)


def _replicates(arms: list[Arm], codes: tuple[str, ...]) -> list[int]:
    """Return the seeds that have every language in every arm, one for each distinct result."""
    known = [{seed for _, seed in arm} for arm in arms]
    whole = [
        seed for seed in sorted(set.intersection(*known)) if all((code, seed) in arm for arm in arms for code in codes)
    ]
    if not whole or not codes:
        raise Missing(f"no seed has a score in every language ({', '.join(codes) or 'none is shared'}) of each setting")
    results = {seed: tuple(arm[code, seed].keys[-1:] or (seed,) for arm in arms for code in codes) for seed in whole}
    return sorted({result: seed for seed, result in reversed(results.items())}.values())


def _of_scores(figures: Array, rows: list[Row], how: Resampling) -> Estimate:
    """Return the estimate from scores (seeds, languages) alone, with the rows' standard errors where all have one.

    Arms are then taken as if they shared no examples, which is too wide, never too narrow.
    """
    by_seed = figures.mean(axis=1)
    between = float(by_seed.var(ddof=1)) if len(by_seed) > 1 else math.nan
    if how.sampled:
        return stats.spread(figures)
    errors = np.array([row.stderr for row in rows])
    known = np.isfinite(errors).all()
    units = float((errors**2).sum()) / len(by_seed) / figures.shape[1] ** 2 if known else 0.0
    return Estimate(float(by_seed.mean()), between, len(by_seed), units)


def _stacked(table: Table, rows: list[Row]) -> Array:
    read = [table.read(row.examples) for row in rows if row.examples is not None]
    if len({len(one) for one in read}) > 1:
        raise BadInput(
            f"seeds of '{rows[0].target}' have {[len(one) for one in read]} examples; score one version of it"
        )
    return np.stack(read)
