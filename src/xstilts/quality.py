"""Quality: how soon a training gets somewhere, and how large a batch its gradients could bear.

Tables of a study's own (`extras`). Trainings of one task are compared at the loss that all of them reach, by examples,
seconds and FLOPs until then; and an intermediate task is asked for its gradient's noise scale, before and after.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from xstilts.training import gradient_noise
from xstilts.models.encoder import Encoder
from xstilts.experiments.grid import Grid
from xstilts.runtime.machine import Machine
from xstilts.experiments.run import lesson
from xstilts.store.query.live_view import history_of
from xstilts.store.query.stage import Stage, folder_of
from xstilts.claims.results_table import Table
from xstilts.training.train import train

Plain = dict[str, Any]
Records = Mapping[str, Mapping[str, Any]]
SMOOTHED = 0.1  # share of a training over which its loss is averaged
TERA = 1e12


@dataclass(frozen=True)
class TimeToQuality:
    """When the intermediate trainings of each recipe first reached the loss that all of them reach in the end."""

    intermediate: str

    def made(self, table: Table, records: Records) -> Plain:
        """Return a row for each recipe, means over seeds."""
        found = _trainings(table.select(intermediate=self.intermediate))
        curves = {key: smoothed(_losses(records[key])) for keys in found.values() for key in keys}
        level = max((curve[-1][1] for curve in curves.values() if curve), default=math.nan)
        return {
            "title": f"Until {self.intermediate} is learned, by recipe",
            "columns": ["recipe", "share of the training", "examples", "seconds", "TFLOPs", "loss in the end"],
            "rows": [[recipe, *_until(keys, curves, level, records)] for recipe, keys in found.items()],
            "note": f"Until the training loss, a running mean over {SMOOTHED:.0%} of the training, first falls to "
            f"{level:.3f}, which all of them reach. Means over seeds; seconds and FLOPs in proportion to the steps.",
        }


@dataclass(frozen=True)
class NoiseScales:
    """The simple noise scale of a grid's intermediate tasks, before the training and after each seed's."""

    grid: Grid

    def promised(self, machine: Machine) -> dict[tuple[str, str], Stage]:
        """Promise the noise scales by task and by what they are of."""
        return dict(self._asked(machine))

    def probed(self, machine: Machine) -> Plain:
        """Return a row for each of them, in examples, from what is finished."""
        read = {name: gradient_noise.read(folder_of(stage, machine)) for name, stage in self._asked(machine)}
        return {
            "title": "Gradient noise scale of the intermediate task",
            "columns": ["task", "weights", "examples", "low", "high", "squared norm of the gradient"],
            "rows": [[*name, one.scale, one.low, one.high, one.signal] for name, one in read.items()],
            "note": "Batches much smaller than the noise scale gain nearly in proportion when they grow, larger ones "
            "hardly at all (McCandlish et al. 2018). Intervals are a jackknife's; nothing where there is no signal.",
        }

    def _asked(self, machine: Machine) -> Iterator[tuple[tuple[str, str], Stage]]:
        for tasks in self.grid.settings:
            if len(tasks) != 1 or not isinstance(self.grid.encoder, Encoder):
                continue
            taught, recipe = lesson(tasks[0], machine.data), self.grid.recipes.of(tasks, "intermediate")
            yield (tasks[0].label, "as they come"), gradient_noise.noise(self.grid.encoder, taught, recipe)
            for seed in range(1, self.grid.seeds + 1):
                model = train(self.grid.encoder, (taught,), recipe, seed)
                yield (tasks[0].label, f"after training, seed {seed}"), gradient_noise.noise(model, taught, recipe)


def smoothed(losses: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return a loss by step as a running mean over the last tenth of all points; the first ones have fewer."""
    width = max(1, round(SMOOTHED * len(losses)))
    values = np.array([value for _, value in losses])
    return [(step, float(values[max(0, at + 1 - width) : at + 1].mean())) for at, (step, _) in enumerate(losses)]


def _trainings(table: Table) -> dict[str, list[str]]:
    """Return the keys of the intermediate trainings of each recipe, one a seed."""
    found: dict[str, dict[str, None]] = {}
    for row in table.rows:
        keys = [key for role, key in zip(row.roles, row.keys, strict=True) if role == "intermediate"]
        found.setdefault(row.recipe, {}).update(dict.fromkeys(keys))
    return {recipe: list(keys) for recipe, keys in found.items() if keys}


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
        each = (step * records[key]["arguments"]["recipe"]["batch_size"], cost.get("seconds", math.nan), flops / TERA)
        share = step / steps
        rows.append((share, each[0], share * each[1], share * each[2], curves[key][-1][1]))
    return tuple(fmean(column) for column in zip(*rows, strict=True))
