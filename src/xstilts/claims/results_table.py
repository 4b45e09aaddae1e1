"""Tidy: the scores of a study as one list of rows, and how rows become the arms that measures compare.

A row is one score: one run, one target, one language, with what it cost and the keys of the stages behind it. Rows are
paired by seed; replicates are counted by the keys of the results and not by rows: an untrained baseline has one
result, whatever the seed.

>>> rows = (Result("tiny", "baseline", "xnli", "sw", 1, 40.0), Result("tiny", "squad", "xnli", "sw", 1, 42.0))
>>> [row.score for row in ResultsTable(rows).select(intermediate="squad").rows]
[42.0]
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from xstilts import metrics, stats
from xstilts.errors import InputError
from xstilts.metrics.base import Array
from xstilts.stats import Estimate, Resampling

BASELINE = "baseline"
ROLES = ("intermediate", "target")
FIGURES = ("seconds", "flops", "tokens", "parameters", "trained_parameters", "joules")
COSTS = (
    *(f"{role}_{figure}" for role in ROLES for figure in FIGURES),
    "intermediate_memory_mib",
    "predict_seconds",
    "predict_flops",
    "predict_tokens",
)
CLOCKED = ("seconds", "joules")  # figures that a machine measures; the others are counted and have no spread


class Missing(LookupError):
    """A measure needs rows that a table has not; the message says which."""


@dataclass(frozen=True)
class Result:
    """One score, in the metric's own unit.

    intermediate: the setting's label, "baseline" for none. size: the encoder's parameters. keys: of the stages behind
    the score, its own last; roles: what these did, in the same order. dev: the intermediate training's score on its
    own development data. taught: whether the target was learned in this language. costs: figures of `COSTS`, as far as
    they are known; those of trainings are the same in all rows of a run. examples: the score's `contributions.jsonl`.
    """

    encoder: str
    intermediate: str
    target: str
    language: str
    seed: int
    score: float
    keys: tuple[str, ...] = ()
    recipe: str = ""
    metric: str = ""
    split: str = "test"
    size: float = math.nan
    stderr: float = math.nan
    dev: float = math.nan
    costs: Mapping[str, float] = field(default_factory=dict)
    roles: tuple[str, ...] = ()
    in_training_language: bool = False
    examples: Path | None = None


@dataclass(frozen=True)
class ResultsTable:
    """The rows of a study, and how their examples are read."""

    rows: tuple[Result, ...]
    read: Callable[[Path], Array] = field(default=lambda path: contributions(path), compare=False)

    def select(self, **wanted: str) -> ResultsTable:
        """Return the rows whose columns have these values; an empty value asks nothing."""
        asked = {column: value for column, value in wanted.items() if value != ""}
        kept = (row for row in self.rows if all(getattr(row, column) == value for column, value in asked.items()))
        return replace(self, rows=tuple(kept))

    def only(self, column: str) -> str:
        """Return the one value of a column; InputError where there are several."""
        found = sorted({str(getattr(row, column)) for row in self.rows})
        if len(found) > 1:
            raise InputError(f"rows of several values of {column} are no replicates: {', '.join(found)}; name one")
        return found[0]


Arm = Mapping[tuple[str, int], Result]  # by language and seed


def arm(table: ResultsTable, intermediate: str, target: str, encoder: str = "", recipe: str = "") -> Arm:
    """Return the rows of one setting by language and seed.

    Raises Missing where there are none, and InputError where they are of several encoders, recipes, metrics or splits.
    """
    found = table.select(encoder=encoder, recipe=recipe, target=target, intermediate=intermediate)
    if not found.rows:
        at = f" of {encoder}" if encoder else ""
        named = f", recipe '{recipe}'" if recipe else ""
        raise Missing(f"no rows of '{intermediate}' on '{target}'{at}{named}")
    for column in ("encoder", "recipe", "metric", "split"):
        found.only(column)
    rows: dict[tuple[str, int], Result] = {}
    for row in found.rows:
        other = rows.setdefault((row.language, row.seed), row)
        if (other.keys, other.score) != (row.keys, row.score):
            raise InputError(
                f"two rows of '{intermediate}' on '{row.target}', {row.language}, seed {row.seed}: keep one"
            )
    return rows


Part = tuple[list[Arm], tuple[str, ...]]  # one arm, or a second that it is compared with, and the languages


def replicates(arms: list[Arm], codes: tuple[str, ...]) -> list[int]:
    """Return the seeds that have every language in every arm, one for each distinct result; Missing without any."""
    return _replicates([(arms, codes)])


def estimate(table: ResultsTable, arms: list[Arm], codes: tuple[str, ...], how: Resampling) -> Estimate:
    """Return the mean score of one arm, or the mean gain of the first over the second, over seeds and languages."""
    return together(table, [(arms, codes)], how)


def together(table: ResultsTable, parts: Sequence[Part], how: Resampling) -> Estimate:
    """Return the plain mean of several scores or gains, of the seeds that all have.

    What parts share, a baseline or the examples of a target, is drawn for all of them at once. Where not all rows have
    examples, parts are taken as if they shared as much as they could, which is too wide, never too narrow.
    """
    seeds = _replicates(parts)
    rows = [[{code: [arm[code, seed] for seed in seeds] for code in codes} for arm in arms] for arms, codes in parts]
    every = [row for arms in rows for arm in arms for column in arm.values() for row in column]
    if all(row.examples is not None for row in every):
        return stats.combined([_drawn(table, arms, how) for arms in rows], how)
    found = [_of_scores(arms, how) for arms in rows]
    if len(found) == 1:
        return found[0][1]
    by_seed = np.mean([figures.mean(axis=1) for figures, _ in found], axis=0)
    between = float(by_seed.var(ddof=1)) if len(seeds) > 1 else math.nan
    units = float(np.mean([math.sqrt(one.units) for _, one in found])) ** 2
    return Estimate(float(by_seed.mean()), between, len(seeds), units)


def _replicates(parts: Sequence[Part]) -> list[int]:
    arms = [(arm, codes) for arms, codes in parts for arm in arms]
    known = set.intersection(*({seed for _, seed in arm} for arm, _ in arms))
    whole = [seed for seed in sorted(known) if all((code, seed) in arm for arm, codes in arms for code in codes)]
    if not whole or not all(codes for _, codes in arms):
        spoken = ", ".join(sorted({code for _, codes in arms for code in codes}))
        raise Missing(f"no seed has a score in every language ({spoken or 'none is shared'}) of each setting")
    results = {
        seed: tuple(arm[code, seed].keys[-1:] or (seed,) for arm, codes in arms for code in codes) for seed in whole
    }
    return sorted({result: seed for seed, result in reversed(results.items())}.values())


def _drawn(table: ResultsTable, arms: Sequence[Mapping[str, list[Result]]], how: Resampling) -> stats.Draws:
    read = [{code: stacked(table, column) for code, column in arm.items()} for arm in arms]
    metric = next(iter(arms[0].values()))[0].metric
    return stats.draw(read[0], read[1] if len(read) > 1 else None, partial(metrics.headlines, metric), how)


def contributions(path: Path) -> Array:
    """Return what each example contributed, (examples, k), from a score's `contributions.jsonl`."""
    return _contributions(path)


@lru_cache(maxsize=512)
def _contributions(path: Path) -> Array:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return np.asarray(lines, dtype=np.float64).reshape(len(lines), -1)


def _of_scores(arms: Sequence[Mapping[str, list[Result]]], how: Resampling) -> tuple[Array, Estimate]:
    """Return scores, or gains, (seeds, languages), and their estimate.

    Where all rows have a standard error it is of these, and arms are taken as if they shared no examples, which is too
    wide, never too narrow.
    """
    scores = [np.array([[row.score for row in column] for column in arm.values()]).T for arm in arms]
    figures = scores[0] - scores[1] if len(scores) > 1 else scores[0]
    rows = [row for arm in arms for column in arm.values() for row in column]
    by_seed = figures.mean(axis=1)
    between = float(by_seed.var(ddof=1)) if len(by_seed) > 1 else math.nan
    if how.sampled:
        return figures, stats.spread(figures)
    errors = np.array([row.stderr for row in rows])
    known = np.isfinite(errors).all()
    units = float((errors**2).sum()) / len(by_seed) / figures.shape[1] ** 2 if known else 0.0
    return figures, Estimate(float(by_seed.mean()), between, len(by_seed), units)


def stacked(table: ResultsTable, rows: list[Result]) -> Array:
    """Return the contributions of rows of one test set, (seeds, examples, k); rows must have examples."""
    read = [table.read(row.examples) for row in rows if row.examples is not None]
    if len({len(one) for one in read}) > 1:
        raise InputError(
            f"seeds of '{rows[0].target}' have {[len(one) for one in read]} examples; score one version of it"
        )
    return np.stack(read)
