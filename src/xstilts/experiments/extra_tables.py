"""Extra tables: tables of a report that show what no claim is about.

A study names them as plain values, beside its claims. They are computed when it is finished, from its results table and
the manifests of the stages behind it.

>>> from xstilts.claims.results_table import Result, ResultsTable
>>> keys = {"en": 20, "sw": 30}
>>> rows = tuple(Result("tiny", "baseline", "xnli", key, 1, 40.0, (key,), roles=("predict",)) for key in keys)
>>> records = {key: {"record": {"examples": 2, "cost": {"tokens": tokens}}} for key, tokens in keys.items()}
>>> Lengths("xnli", "en").made(ResultsTable(rows), records)["rows"][1]
['Swahili (sw)', 'Niger-Congo', 'Latn', 2, 15.0, 1.5]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean
from typing import Any, Protocol, runtime_checkable

import numpy as np

from xstilts import metrics, stats
from xstilts.claims.claim import LEVEL
from xstilts.claims.measures import Gain, Level
from xstilts.claims.results_table import Missing, Result, ResultsTable
from xstilts.data.languages import codes, language
from xstilts.experiments.grid import Grid
from xstilts.experiments.run import training_set
from xstilts.metrics.base import Array
from xstilts.models.encoder import Encoder
from xstilts.runtime.machine import Runtime
from xstilts.store import manifest
from xstilts.store.build import is_built
from xstilts.store.live_view import history_of
from xstilts.store.names import INTERMEDIATE
from xstilts.store.stage import Stage, folder_of
from xstilts.training import gradient_noise
from xstilts.training.train import train

Plain = dict[str, Any]
Records = Mapping[str, Mapping[str, Any]]
TERA = 1e12
RESAMPLES = 999
PARTS = ("name", "family", "script")  # of a language


@runtime_checkable
class StageTable(Protocol):
    """An extra table for which further stages are built."""

    def stages(self, machine: Runtime) -> Mapping[Any, Stage]:
        """Return the stages that the table needs.

        Args:
            machine: Names the data folder.

        Returns:
            The stages by whatever names them in the table.
        """
        ...

    def probed(self, machine: Runtime) -> Plain:
        """Return the table from its finished stages.

        Args:
            machine: Names the store and the data folder.

        Returns:
            A JSON object with `title`, `columns`, `rows` and `note`.
        """
        ...


class ExtraTable(Protocol):
    """An extra table that is computed from a study's results."""

    def made(self, table: ResultsTable, records: Records) -> Plain:
        """Return title, columns, rows and note of the table.

        Args:
            table: The study's results table.
            records: Manifests of the stages behind it, by key.

        Returns:
            A JSON object with `title`, `columns`, `rows` and `note`.
        """
        ...


@dataclass(frozen=True)
class Lengths:
    """Tokens per example of a target's test sets, by language.

    Attributes:
        target: Name of the target.
        against: The language to compare the others with.
    """

    target: str
    against: str

    def made(self, table: ResultsTable, records: Records) -> Plain:
        """Return a row for each language, by the tokenizer of the table's first encoder.

        Args:
            table: The study's results table.
            records: Manifests of the stages behind it, by key.

        Returns:
            Title, columns, rows and note of the table.
        """
        rows = table.select(target=self.target).rows
        encoder = rows[0].encoder if rows else ""
        lengths: dict[str, tuple[int, float]] = {}
        for row in rows:
            record = records[_key(row, "predict")]["record"]
            if row.encoder == encoder and record.get("cost"):
                lengths.setdefault(row.language, (record["examples"], record["cost"]["tokens"] / record["examples"]))
        base = lengths.get(self.against, (0, math.nan))[1]
        return {
            "title": f"Tokens per example of {self.target} by language",
            "columns": ["language", "family", "script", "examples", "tokens per example", f"ratio to {self.against}"],
            "rows": [[*_about(code), count, tokens, tokens / base] for code, (count, tokens) in lengths.items()],
            "note": f"With the tokenizer of {encoder}. FLOPs and time of a prediction grow with the tokens.",
        }


@dataclass(frozen=True)
class CostBySize:
    """Cost of an intermediate phase before a target, by encoder and recipe.

    Attributes:
        intermediate: The setting.
        target: Name of the target.
    """

    intermediate: str
    target: str

    def made(self, table: ResultsTable, records: Records) -> Plain:
        """Return a row for each encoder and recipe, means over seeds; what was not measured is left out.

        Args:
            table: The study's results table.
            records: Manifests of the stages behind it, by key.

        Returns:
            Title, columns, rows and note of the table.
        """
        selected = table.select(target=self.target, intermediate=self.intermediate)
        return {
            "title": f"The intermediate phase before {self.target} by size",
            "columns": [
                *(
                    "encoder",
                    "parameters without embeddings",
                    "recipe",
                    "tokens per example",
                    "TFLOPs",
                    "seconds",
                    "MiB, computed",
                ),
                *("MiB, measured", "joules"),
            ],
            "rows": [_taken(rows, records) for rows in _arms(selected)],
            "note": "Means over seeds. Computed memory is that of the largest forward and backward pass, from tensor "
            "shapes; measured memory is the peak that torch allocated on a GPU, on a CPU what the process grew by at "
            "most during the training. Joules are of the whole device, by its own meter. A dash: not measured.",
        }


@dataclass(frozen=True)
class GainBySize:
    """A gain by the encoder's size, with the score that it starts from.

    Attributes:
        gain: The gain; its encoder is set to each of the table's.
    """

    gain: Gain

    def made(self, table: ResultsTable, records: Records) -> Plain:
        """Return a row for each encoder that has the gain, the smallest first.

        Args:
            table: The study's results table.
            records: Manifests of the stages behind it, by key.

        Returns:
            Title, columns, rows and note of the table.
        """
        gain = self.gain
        level = Level(gain.over, gain.target, gain.languages, recipe=gain.over_recipe or gain.recipe, layer=gain.layer)
        sizes = sorted((size, name) for name, size in table.sizes().items())
        return {
            "title": f"Gain of {gain.intermediate} on {gain.target} by size",
            "columns": [
                "encoder",
                "parameters without embeddings",
                f"score of {gain.over}",
                "gain",
                "low",
                "high",
                "seeds",
            ],
            "rows": [row for size, name in sizes for row in _gained(level, gain, size, name, table)],
            "note": f"Means over languages and seeds, with {LEVEL:.0%} intervals, not corrected for their number."
            + (f" Recipe: {gain.recipe}." if gain.recipe else ""),
        }


@dataclass(frozen=True)
class PairedTests:
    """Gains by permutation tests, over seeds and over examples, and by almost stochastic order.

    Attributes:
        gains: Sentence and gain of each row.
    """

    gains: tuple[tuple[str, Gain], ...]

    def made(self, table: ResultsTable, records: Records) -> Plain:
        """Return a row for each gain that can be measured.

        Args:
            table: The study's results table.
            records: Manifests of the stages behind it, by key.

        Returns:
            Title, columns, rows and note of the table.
        """
        return {
            "title": "The gains of tested claims by other tests",
            "columns": [
                *("claim", "p, permutation over seeds", "languages"),
                *("languages with p ≤ 0.05, permutation over examples", "almost stochastic order ε"),
            ],
            "rows": [row for sentence, gain in self.gains for row in _swapped(sentence, gain, table)],
            "note": "A permutation test over n seeds cannot give p below 2 / 2ⁿ. The permutation tests over examples "
            "are of each language, with Holm's correction over languages; they ask about other test examples for these "
            "trained models. ε is an upper bound: below 0.5 the scores with the intermediate phase are almost "
            "stochastically larger (Dror et al. 2019).",
        }


def _swapped(sentence: str, gain: Gain, table: ResultsTable) -> Iterator[list[Any]]:
    try:
        pairs, by_seed = gain.pairs(table), np.array(list(gain.by_seed(table).values()))
    except Missing:
        return
    if not pairs:
        return
    metric = partial(metrics.headlines, table.select(target=gain.target).only("metric"))
    p_values = [stats.randomisation(before, after, metric, RESAMPLES) for before, after in pairs.values()]
    clear = int((stats.holm(p_values) <= 1 - LEVEL).sum())
    before, after = (_scores([pair[side] for pair in pairs.values()], metric) for side in (0, 1))
    bound = stats.almost_order(after, before) if len(by_seed) > 1 else math.nan
    yield [sentence, stats.randomise_seeds(np.zeros_like(by_seed), by_seed), len(pairs), clear, bound]


def _scores(parts: Sequence[Array], metric: Callable[[Array, Array], Array]) -> Array:
    """Return the score of each seed, a mean over languages."""
    by_language = [[float(metric(scores, np.ones((1, len(scores))))[0]) for scores in part] for part in parts]
    return np.asarray(np.mean(by_language, axis=0))


def _arms(table: ResultsTable) -> Iterable[list[Result]]:
    """Return the rows of each encoder and recipe, one a seed, the smallest encoder first."""
    arms: dict[tuple[float, str, str], dict[int, Result]] = {}
    sizes = table.sizes()
    for row in table.rows:
        arms.setdefault((sizes[row.encoder], row.encoder, row.recipe), {}).setdefault(row.seed, row)
    return [list(arms[arm].values()) for arm in sorted(arms)]


def _taken(rows: list[Result], records: Records) -> list[Any]:
    first = rows[0]
    facts = records[_key(first, "intermediate")]
    examples = facts["record"]["steps"] * facts["arguments"]["recipe"]["batch_size"]
    spent = {
        name: fmean(row.costs.get(f"intermediate_{name}", math.nan) for row in rows)
        for name in ("tokens", "flops", "seconds", "memory_mib", "measured_memory_mib", "joules")
    }
    figures = [spent.pop("tokens") / examples, spent.pop("flops") / TERA, *spent.values()]
    return [first.encoder, int(first.size), first.recipe, *(None if math.isnan(value) else value for value in figures)]


def _gained(level: Level, gain: Gain, size: float, name: str, table: ResultsTable) -> Iterator[list[Any]]:
    try:
        before = replace(level, encoder=name).of(table)
        gained = replace(gain, encoder=name).of(table)
    except Missing:
        return
    low, high = gained.estimate.interval(LEVEL)
    yield [name, int(size), before.estimate.value, gained.estimate.value, low, high, gained.estimate.count]


def _key(row: Result, role: str) -> str:
    return row.keys[row.roles.index(role)]


def _about(code: str) -> list[str]:
    """Return the name, the families and the scripts of a language, or of a pair of them."""
    languages = [language(part) for part in codes(code)]
    name, family, script = ("-".join(dict.fromkeys(getattr(member, part) for member in languages)) for part in PARTS)
    return [f"{name} ({code})", family, script]


SMOOTHED = 0.1  # share of a training over which its loss is averaged


@dataclass(frozen=True)
class TimeToQuality:
    """When the intermediate trainings of each recipe first reached the loss that all of them reach in the end.

    Attributes:
        intermediate: The setting.
    """

    intermediate: str

    def made(self, table: ResultsTable, records: Records) -> Plain:
        """Return a row for each recipe, means over seeds.

        Args:
            table: The study's results table.
            records: Manifests of the stages behind it, by key.

        Returns:
            Title, columns, rows and note of the table.
        """
        trainings = _trainings(table.select(intermediate=self.intermediate))
        curves = {key: smoothed(_losses(records[key])) for keys in trainings.values() for key in keys}
        level = max((curve[-1][1] for curve in curves.values() if curve), default=math.nan)
        return {
            "title": f"Training until {self.intermediate} reaches a given loss, by recipe",
            "columns": ["recipe", "share of the training", "examples", "seconds", "TFLOPs", "final loss"],
            "rows": [[recipe, *_until(keys, curves, level, records)] for recipe, keys in trainings.items()],
            "note": f"What it takes until the training loss, a running mean over {SMOOTHED:.0%} of the training, falls "
            f"to {level:.3f} for the first time, the lowest loss that all trainings reach. Means over seeds; seconds "
            "and FLOPs are in proportion to the steps.",
        }


@dataclass(frozen=True)
class TriedRate:
    """A learning rate that an arm tried, with one seed on each of its intermediate settings.

    Attributes:
        arm: The arm's label.
        encoder: The encoder's name.
        rate: The learning rate.
        dev: The mean development score of the trainings; NaN where one has no development data.
        seconds: What the trainings took; None where one is not finished.
        flops: Their FLOPs; None where one is not finished.
        keys: The keys of the trainings.
        chosen: Whether the arm has this rate.
    """

    arm: str
    encoder: str
    rate: float
    dev: float
    seconds: float | None
    flops: float | None
    keys: tuple[str, ...]
    chosen: bool = False

    @classmethod
    def read(cls, arm: str, encoder: str, rate: float, trainings: Sequence[Stage], machine: Runtime) -> TriedRate:
        """Read the trainings of a rate from the store.

        Args:
            arm: The arm's label.
            encoder: The encoder's name.
            rate: The learning rate.
            trainings: The trainings.
            machine: Names the store.

        Returns:
            Their mean development score, time and FLOPs.
        """
        keys = tuple(stage.key for stage in trainings)
        if not all(is_built(stage, machine) for stage in trainings):
            return cls(arm, encoder, rate, math.nan, None, None, keys)
        records = [manifest.read(folder_of(stage, machine))["record"] for stage in trainings]
        scores = [[task["score"] for task in record["dev"].values()] for record in records]
        costs = [record.get("cost") or {} for record in records]
        flops = [sum(value for part, value in cost.get("flops", {}).items() if part != "looks") for cost in costs]
        dev = fmean(map(fmean, scores)) if all(scores) else math.nan
        return cls(arm, encoder, rate, dev, sum(cost.get("seconds", 0.0) for cost in costs), sum(flops), keys)


@dataclass(frozen=True)
class TriedRates:
    """The learning rates that arms chose from, and what the choice has cost.

    Attributes:
        trials: The rates tried, arm by arm.
    """

    trials: tuple[TriedRate, ...]

    def made(self, table: ResultsTable, records: Records) -> Plain:
        """Return a row for each arm and rate; nothing where a training could not be finished.

        Args:
            table: The study's results table.
            records: Manifests of the stages behind it, by key.

        Returns:
            Title, columns, rows and note of the table.
        """
        seed = min((row.seed for row in table.rows), default=1)
        used = {key for row in table.rows if row.seed == seed for key in (*row.keys, *row.repeated)}
        spare = {trial.keys: trial for trial in self.trials if not used.issuperset(trial.keys)}.values()
        seconds, flops = (sum(getattr(trial, name) or 0.0 for trial in spare) for name in ("seconds", "flops"))
        trainings = len({key for trial in spare for key in trial.keys} - used)
        return {
            "title": "Learning rates of the intermediate phase, chosen on development data",
            "columns": ["arm", "encoder", "learning rate", "dev score", "seconds", "TFLOPs", "chosen"],
            "rows": [_tried(trial) for trial in self.trials],
            "note": "Every arm tries as many rates, with one seed on each intermediate task and without any target; "
            "scores are means over these tasks, on development data in the training language. If the lowest or the "
            "highest rate is chosen, a better one may lie beyond it. The choice alone took this many trainings: "
            f"{trainings}, {seconds:,.1f} seconds, {flops / TERA:,.3g} TFLOPs.",
        }


def _tried(trial: TriedRate) -> list[Any]:
    tera = None if trial.flops is None else trial.flops / TERA
    chosen = "yes" if trial.chosen else "no" if trial.seconds is not None else "could not be trained"
    dev = None if math.isnan(trial.dev) else trial.dev
    return [trial.arm, trial.encoder, f"{trial.rate:.3g}", dev, trial.seconds, tera, chosen]


@dataclass(frozen=True)
class NoiseScales:
    """The simple noise scale of a grid's intermediate tasks, before the training and after each seed's.

    Attributes:
        grid: The grid; settings of several tasks are left out.
    """

    grid: Grid

    def stages(self, machine: Runtime) -> dict[tuple[str, str], Stage]:
        """Return the stages of the noise scales, by task and by the weights that they are measured at."""
        return dict(self._measured(machine))

    def probed(self, machine: Runtime) -> Plain:
        """Return a row for each noise scale, in examples."""
        scales = {name: gradient_noise.read(folder_of(stage, machine)) for name, stage in self._measured(machine)}
        return {
            "title": "Gradient noise scale of the intermediate task",
            "columns": ["task", "weights", "noise scale (examples)", "low", "high", "squared gradient norm"],
            "rows": [[*name, noise.scale, noise.low, noise.high, noise.signal] for name, noise in scales.items()],
            "note": "Far below the noise scale, twice the batch size needs nearly half the steps; far above it a "
            "larger batch saves hardly any (McCandlish et al. 2018). Intervals are by the jackknife. A dash: the "
            "gradient does not differ from noise.",
        }

    def _measured(self, machine: Runtime) -> Iterator[tuple[tuple[str, str], Stage]]:
        for tasks in self.grid.settings:
            if len(tasks) != 1 or not isinstance(self.grid.encoder, Encoder):
                continue
            trained_on = training_set(tasks[0], machine.data).read_by(self.grid.encoder)
            recipe = self.grid.recipes.of(tasks, INTERMEDIATE, self.grid.encoder)
            yield (
                (tasks[0].label, "before training"),
                gradient_noise.gradient_noise(self.grid.encoder, trained_on, recipe),
            )
            for seed in range(1, self.grid.seeds + 1):
                model = train(self.grid.encoder, (trained_on,), recipe, seed)
                yield (
                    (tasks[0].label, f"after training, seed {seed}"),
                    gradient_noise.gradient_noise(model, trained_on, recipe),
                )


def smoothed(losses: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return losses as running means over a window of a tenth of all points; the first points have fewer."""
    width = max(1, round(SMOOTHED * len(losses)))
    values = np.array([value for _, value in losses])
    return [(step, float(values[max(0, at + 1 - width) : at + 1].mean())) for at, (step, _) in enumerate(losses)]


def _trainings(table: ResultsTable) -> dict[str, list[str]]:
    """Return the keys of the intermediate trainings of each recipe, one a seed."""
    trainings: dict[str, dict[str, None]] = {}
    for row in table.rows:
        keys = [key for role, key in zip(row.roles, row.keys, strict=True) if role == INTERMEDIATE]
        trainings.setdefault(row.recipe, {}).update(dict.fromkeys(keys))
    return {recipe: list(keys) for recipe, keys in trainings.items() if keys}


def _losses(facts: Mapping[str, Any]) -> list[tuple[int, float]]:
    return [(line["step"], line["loss"]) for line in history_of(facts["folder"]) if "loss" in line]


def _until(
    keys: Sequence[str], curves: Mapping[str, Sequence[tuple[int, float]]], level: float, records: Records
) -> tuple[float, ...]:
    """Return the share of the training, examples, seconds and TFLOPs until a loss, and the last loss: means."""
    rows = []
    for key in keys:
        steps, cost = records[key]["record"]["steps"], records[key]["record"].get("cost") or {}
        step = next(step for step, value in curves[key] if value <= level)
        flops = sum(value for part, value in cost.get("flops", {}).items() if part != "looks") or math.nan
        totals = (step * records[key]["arguments"]["recipe"]["batch_size"], cost.get("seconds", math.nan), flops / TERA)
        share = step / steps
        rows.append((share, totals[0], share * totals[1], share * totals[2], curves[key][-1][1]))
    return tuple(fmean(column) for column in zip(*rows, strict=True))
