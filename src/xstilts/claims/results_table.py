"""Results table: the scores of a study as one list of rows (tidy data), and the arms that measures compare.

A row is one score: one run, one target, one language, with its costs and the keys of the stages behind it. Rows are
paired by seed. Replicates are counted by the keys of results and not by rows: an untrained baseline has one result,
whatever the seed.

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
from xstilts.store.names import INTERMEDIATE, TARGET

ROLES = (INTERMEDIATE, TARGET)
FIGURES = ("seconds", "flops", "tokens", "parameters", "trained_parameters", "joules")
COSTS = (
    *(f"{role}_{figure}" for role in ROLES for figure in FIGURES),
    "intermediate_memory_mib",
    "intermediate_measured_memory_mib",
    "predict_seconds",
    "predict_flops",
    "predict_tokens",
)
# Figures that are measured by clocks and meters; the others are counted and do not vary.
CLOCKED = ("seconds", "joules", "measured_memory_mib")


class Missing(LookupError):
    """A measure needs rows that the table does not have; the message names them."""


@dataclass(frozen=True)
class FixedLayer:
    """A retrieval score at the layer of the literature's depth, beside that of the chosen layer.

    Attributes:
        score: The score.
        stderr: The standard error through examples.
        examples: The file of the examples' contributions at that layer; None where it was not written.
    """

    score: float
    stderr: float = math.nan
    examples: Path | None = None


@dataclass(frozen=True)
class Result:
    """One score.

    Attributes:
        encoder: The encoder's name.
        intermediate: The label of the intermediate setting, "baseline" for none.
        target: The target task.
        language: The language of the test data.
        seed: The seed of the run, by which it is paired with others.
        score: The score in the metric's unit, mostly percent.
        keys: The keys of the stages behind the score, its own last.
        recipe: The recipe's label.
        metric: The metric.
        split: The split of the test data.
        size: The encoder's parameters without its embeddings: what growth with size is measured against.
        parameters: All of the encoder's parameters.
        stderr: The standard error through examples.
        dev: The score of the intermediate training on its development data.
        costs: Figures of `COSTS`, as far as they are known; those of trainings are the same in all rows of a run.
        roles: What each of the stages did, in the order of `keys`.
        in_training_language: Whether the target has training data in this language.
        target_dev: The score of the target's training on its development data.
        repeats_training_data: Whether the intermediate phase trained on the target's own training data
            (`experiments.run.Run.repeats_training_data`).
        examples: The file of the examples' contributions, `contributions.jsonl` of the score's stage.
        at_fixed_layer: Of retrieval, the score at the fixed layer; None where no layer is chosen.
        seeds_used: The seeds of the run's own trainings, where one of them was repeated with another seed.
        repeated: The keys of the trainings that ended no better than chance and were repeated.
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
    parameters: float = math.nan
    stderr: float = math.nan
    dev: float = math.nan
    costs: Mapping[str, float] = field(default_factory=dict)
    roles: tuple[str, ...] = ()
    in_training_language: bool = False
    target_dev: float = math.nan
    repeats_training_data: bool = False
    examples: Path | None = None
    at_fixed_layer: FixedLayer | None = None
    seeds_used: tuple[int, ...] = ()
    repeated: tuple[str, ...] = ()


@dataclass(frozen=True)
class ResultsTable:
    """The results of a study, and the function that reads the contributions of their examples."""

    rows: tuple[Result, ...]
    read: Callable[[Path], Array] = field(default=lambda path: contributions(path), compare=False)

    def select(self, **wanted: str) -> ResultsTable:
        """Return the rows whose columns have these values; "" matches everything."""
        conditions = {column: value for column, value in wanted.items() if value != ""}
        rows = (row for row in self.rows if all(getattr(row, column) == value for column, value in conditions.items()))
        return replace(self, rows=tuple(rows))

    def sizes(self) -> dict[str, float]:
        """Return the size of each encoder: the smallest of its rows, whose networks have heads of several sizes."""
        sizes: dict[str, float] = {}
        for row in self.rows:
            sizes[row.encoder] = min(row.size, sizes.get(row.encoder, math.inf))
        return sizes

    def only(self, column: str) -> str:
        """Return the value that a column has in all rows.

        Args:
            column: A field of `Result`.

        Returns:
            The value, as a string.

        Raises:
            InputError: The rows have several values.
        """
        values = sorted({str(getattr(row, column)) for row in self.rows})
        if len(values) > 1:
            raise InputError(f"rows of several values of {column} are no replicates: {', '.join(values)}; name one")
        return values[0]


Arm = Mapping[tuple[str, int], Result]  # by language and seed


def arm(
    table: ResultsTable, intermediate: str, target: str, encoder: str = "", recipe: str = "", layer: str = ""
) -> Arm:
    """Return the rows of one setting by language and seed.

    Args:
        table: The results.
        intermediate: The intermediate setting.
        target: The target task.
        encoder: The encoder; "" where the table has only one.
        recipe: The recipe's label; "" where the table has only one.
        layer: "fixed" for the scores of retrieval at the fixed layer; "" for those of the chosen one.

    Returns:
        The rows.

    Raises:
        Missing: There are none, or none at that layer.
        InputError: They are of several encoders, recipes, metrics or splits, or two rows differ only in the score.
    """
    selected = table.select(encoder=encoder, recipe=recipe, target=target, intermediate=intermediate)
    if not selected.rows:
        of_encoder = f" of {encoder}" if encoder else ""
        with_recipe = f", recipe '{recipe}'" if recipe else ""
        of_setting = f" of '{intermediate}'" if intermediate else ""
        raise Missing(f"no rows{of_setting} on '{target}'{of_encoder}{with_recipe}")
    for column in ("encoder", "recipe", "metric", "split"):
        selected.only(column)
    rows: dict[tuple[str, int], Result] = {}
    for row in selected.rows:
        row = _at_fixed_layer(row) if layer else row
        other = rows.setdefault((row.language, row.seed), row)
        if (other.keys, other.score) != (row.keys, row.score):
            raise InputError(
                f"two rows of '{intermediate}' on '{row.target}', {row.language}, seed {row.seed}: keep one"
            )
    return rows


def _at_fixed_layer(row: Result) -> Result:
    """Return a row with the score at the fixed layer."""
    fixed = row.at_fixed_layer
    if fixed is None:
        raise Missing(f"no layer is chosen for '{row.target}': leave out layer='fixed'")
    if row.examples is not None and fixed.examples is None:
        raise Missing(
            f"the score {row.keys[-1] if row.keys else ''} of '{row.target}' in '{row.language}' was written by a "
            f"version that kept no examples at the fixed layer: remove its folder and build it again"
        )
    return replace(row, score=fixed.score, stderr=fixed.stderr, examples=fixed.examples)


Part = tuple[list[Arm], tuple[str, ...]]  # one arm, or a second that it is compared with, and the languages


def replicates(arms: list[Arm], codes: tuple[str, ...]) -> list[int]:
    """Return the seeds that have every language in every arm, one for each distinct result.

    Args:
        arms: The rows of each arm, by language and seed.
        codes: The languages.

    Returns:
        The seeds, sorted. Of seeds with the same stages behind them, as an untrained baseline's, only the first counts.

    Raises:
        Missing: There is none.
    """
    return _replicates([(arms, codes)])


def estimate(table: ResultsTable, arms: list[Arm], codes: tuple[str, ...], how: Resampling) -> Estimate:
    """Return the mean score of one arm, or the mean gain of the first over the second, over seeds and languages.

    Args:
        table: The results; it reads the contributions of examples.
        arms: The rows of one arm, or of two, by language and seed.
        codes: The languages of the mean.
        how: How examples are resampled for the interval.

    Returns:
        The estimate.

    Raises:
        Missing: No seed has all languages in all arms.
    """
    return together(table, [(arms, codes)], how)


def together(table: ResultsTable, parts: Sequence[Part], how: Resampling) -> Estimate:
    """Estimate the unweighted mean of several scores or gains.

    Args:
        table: The results.
        parts: The arms and languages of each score (one arm) or gain (two).
        how: How examples are resampled. What parts share, such as a baseline or test examples, is resampled once for
            all of them. Where not all rows have examples, parts count as sharing as much as they could, so that the
            interval is too wide, never too narrow.

    Returns:
        The estimate over the seeds that all parts have.
    """
    seeds = _replicates(parts)
    rows = [[{code: [arm[code, seed] for seed in seeds] for code in codes} for arm in arms] for arms, codes in parts]
    every = [row for arms in rows for arm in arms for column in arm.values() for row in column]
    if all(row.examples is not None for row in every):
        return stats.combined([_drawn(table, arms, how) for arms in rows], how)
    parts_measured = [_of_scores(arms, how) for arms in rows]
    if len(parts_measured) == 1:
        return parts_measured[0][1]
    by_seed = np.mean([figures.mean(axis=1) for figures, _ in parts_measured], axis=0)
    between = float(by_seed.var(ddof=1)) if len(seeds) > 1 else math.nan
    # As if parts were fully correlated through what they share: standard errors are averaged, not variances.
    units = float(np.mean([math.sqrt(part.units) for _, part in parts_measured])) ** 2
    return Estimate(float(by_seed.mean()), between, len(seeds), units)


def _replicates(parts: Sequence[Part]) -> list[int]:
    arms = [(arm, codes) for arms, codes in parts for arm in arms]
    in_all = set.intersection(*({seed for _, seed in arm} for arm, _ in arms))
    complete = [seed for seed in sorted(in_all) if all((code, seed) in arm for arm, codes in arms for code in codes)]
    if not complete or not all(codes for _, codes in arms):
        languages = ", ".join(sorted({code for _, codes in arms for code in codes}))
        raise Missing(f"no seed has a score in every language ({languages or 'none is shared'}) of each setting")
    # Seeds whose scores come from the same stages, as an untrained baseline's, are one replicate.
    results = {
        seed: tuple(arm[code, seed].keys[-1:] or (seed,) for arm, codes in arms for code in codes) for seed in complete
    }
    return sorted({result: seed for seed, result in reversed(results.items())}.values())


def _drawn(table: ResultsTable, arms: Sequence[Mapping[str, list[Result]]], how: Resampling) -> stats.Draws:
    by_arm = [{code: stacked(table, column) for code, column in arm.items()} for arm in arms]
    metric = next(iter(arms[0].values()))[0].metric
    return stats.draw(by_arm[0], by_arm[1] if len(by_arm) > 1 else None, partial(metrics.headlines, metric), how)


def contributions(path: Path) -> Array:
    """Read what each example contributed to a score.

    Args:
        path: The score's `contributions.jsonl`.

    Returns:
        The contributions, of which the metric's `pool` makes a headline.

    Shape:
        (examples, k)
    """
    return _contributions(path)


@lru_cache(maxsize=512)
def _contributions(path: Path) -> Array:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return np.asarray(lines, dtype=np.float64).reshape(len(lines), -1)


def _of_scores(arms: Sequence[Mapping[str, list[Result]]], how: Resampling) -> tuple[Array, Estimate]:
    """Return scores or gains (seeds, languages) and their estimate, for rows without examples.

    Arms count as sharing no examples, so that the interval is too wide, never too narrow.
    """
    scores = [np.array([[row.score for row in column] for column in arm.values()]).T for arm in arms]
    figures = scores[0] - scores[1] if len(scores) > 1 else scores[0]
    rows = [row for arm in arms for column in arm.values() for row in column]
    by_seed = figures.mean(axis=1)
    between = float(by_seed.var(ddof=1)) if len(by_seed) > 1 else math.nan
    if how.sampled:
        return figures, stats.spread(figures)
    errors = np.array([row.stderr for row in rows])
    have_errors = np.isfinite(errors).all()
    units = float((errors**2).sum()) / len(by_seed) / figures.shape[1] ** 2 if have_errors else 0.0
    return figures, Estimate(float(by_seed.mean()), between, len(by_seed), units)


def stacked(table: ResultsTable, rows: list[Result]) -> Array:
    """Read the contributions of examples behind rows of one test set.

    Args:
        table: The results; it reads the files.
        rows: A row for each seed; all must have examples.

    Returns:
        The contributions, (seeds, examples, k).

    Raises:
        InputError: The seeds have different numbers of examples.
    """
    by_seed = [table.read(row.examples) for row in rows if row.examples is not None]
    if len({len(examples) for examples in by_seed}) > 1:
        raise InputError(
            f"seeds of '{rows[0].target}' have {[len(part) for part in by_seed]} examples; score one version of it"
        )
    return np.stack(by_seed)
