"""Tabulate: from finished runs to the rows of a study's table, with what each has cost.

rows = tuple(tabulate.rows("all", grid, machine))
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from xstilts import metrics
from xstilts.claims.results_table import COSTS, FIGURES, Result, contributions
from xstilts.cost.activation_memory import Device
from xstilts.errors import InputError
from xstilts.evaluation.score import CONTRIBUTIONS, read_score
from xstilts.experiments.grid import Grid
from xstilts.experiments.run import Run
from xstilts.models import configs
from xstilts.models.encoder import Encoder
from xstilts.models.families import FAMILIES
from xstilts.models.naming import name_of
from xstilts.runtime.machine import CPU_TOKENS, GPU_TOKENS, Runtime
from xstilts.store import manifest, names
from xstilts.store.stage import Stage, folder_of, lineage
from xstilts.training import memory
from xstilts.training.memory import UNKNOWN_LABELS as LABELS
from xstilts.training.memory import Setting
from xstilts.training.recipe import Recipe
from xstilts.training.train import MODEL

EARLIER, INTERMEDIATE, TARGET, PREDICT, SCORE = "earlier", "intermediate", "target", "predict", "score"
MIB = 2**20
RESAMPLES = 200
Record = Mapping[str, Any]
Part = tuple[str, Record, Path]  # the role of a stage behind a row, its record and its folder


def rows(label: str, grid: Grid, machine: Runtime, failed: Collection[str] = ()) -> Iterator[Result]:
    """Yield a row for each finished run and language of a grid; the label is the recipe's name in the table.

    failed: keys of stages that could not be built; runs that need one are left out.
    """
    for target in grid.targets:
        for setting, runs in grid.runs(target).items():
            for run in runs:
                if not is_lost(run, machine, failed):
                    yield from _of_run(label, setting, run, machine)


def is_lost(run: Run, machine: Runtime, failed: Collection[str]) -> bool:
    """Say whether a run has a score among the stages of these keys."""
    return bool(failed) and any(score.key in failed for score in run.scores(machine.data).values())


def costs(behind: Iterable[Part]) -> dict[str, float]:
    """Return what the stages behind a row have cost: sums over a role's stages, of parameters and memory the most."""
    found: dict[str, float] = {}
    for role, facts, folder in behind:
        needed = memory_of(facts, folder) if role == INTERMEDIATE else None
        figures = _figures(facts["record"].get("cost") or {}) | ({"memory_mib": needed} if needed else {})
        for figure, value in figures.items():
            name = f"{role}_{figure}"
            known = found.get(name, 0.0)
            found[name] = max(known, value) if figure.endswith(("parameters", "memory_mib")) else known + value
    return {name: value for name, value in found.items() if name in COSTS}


def memory_of(facts: Record, folder: Path) -> float | None:
    """Return the MiB of a finished training's largest pass, as `memory` counts them; None for an unknown network.

    Counted for the kind of device that it ran on, with the embeddings' rows that its data touched: what was measured
    there is of the whole process, with whatever else that has done before.
    """
    said, config = facts["record"], folder / MODEL / configs.CONFIG
    if not said.get("cost") or not config.is_file():
        return None
    device = Device("cpu" if said["cost"]["device"] == "cpu" else "cuda", said["cost"]["precision"])
    asked = facts["arguments"]["recipe"]
    recipe = Recipe(
        trainable=asked["trained"],
        optimizer=asked["optimiser"],
        batch_size=asked["batch_size"],
        max_length=said["max_length"],
    )
    formats = {
        (names.format_from_key(one["kind"]), len(one["labels"]) or LABELS) for one in facts["arguments"]["lessons"]
    }
    text, rows = config.read_text(encoding="utf-8"), said["embedding_rows"]
    found = [_needed(text, recipe, format, labels, device, rows) for format, labels in sorted(formats)]
    known = [one for one in found if one is not None]
    return max(known) if len(known) == len(found) else None


@lru_cache(maxsize=1024)
def _needed(config: str, recipe: Recipe, format: str, labels: int, device: Device, rows: int) -> float | None:
    known = configs.of(json.loads(config))
    if known is None or known.model_type not in FAMILIES:
        return None
    setting = Setting(device, CPU_TOKENS if device.type == "cpu" else GPU_TOKENS)
    try:
        return memory.estimate(known, recipe, format, labels, setting, rows).total / MIB
    except InputError:  # of adapters, and peft is not here
        return None


def dev(behind: Iterable[Part]) -> float:
    """Return the mean score of the intermediate training on its own development data; NaN without any."""
    looked = [facts["record"].get("dev", {}) for role, facts, _ in behind if role == INTERMEDIATE]
    scores = [task["score"] for tasks in looked for task in tasks.values()]
    return fmean(scores) if scores else math.nan


@lru_cache(maxsize=65536)
def stderr(path: Path, metric: str) -> float:
    """Return the standard error of a score over its examples, by a bootstrap that draws the same for all."""
    found = contributions(path)
    drawn = np.random.default_rng(0).multinomial(len(found), np.full(len(found), 1 / len(found)), size=RESAMPLES)
    return float(metrics.headlines(metric, found, drawn.astype(np.float64)).std(ddof=1))


def _of_run(label: str, setting: str, run: Run, machine: Runtime) -> Iterator[Result]:
    """Yield the rows of a run, which share the trainings behind them."""
    behind = _trainings(run, machine)
    phases = [(role, *_read(one, machine)) for role, one in behind]
    for code, score in run.scores(machine.data).items():
        folder, predictions = folder_of(score, machine), score.arguments["predictions"]
        asked, place = _read(predictions, machine)
        yield Result(
            name_of(run.encoder),
            setting,
            run.target.name,
            code,
            run.seed,
            keys=(*(one.key for _, one in behind), predictions.key, score.key),
            recipe=label,
            metric=run.target.metric,
            split=run.split,
            roles=(*(role for role, _ in behind), PREDICT, SCORE),
            in_training_language=code in run.learned_in,
            **measured([*phases, (PREDICT, asked, place)], folder, run.target.metric),
        )


def measured(behind: Sequence[Part], folder: Path, metric: str) -> dict[str, Any]:
    """Return what a row has from the disk: of its score, in a folder, and of the stages behind that.

    Of what no predictions are behind, the size and the standard error are not known.
    """
    known = {
        "score": float(read_score(folder)["headline"]),
        "dev": dev(behind),
        "costs": costs(behind),
        "examples": folder / CONTRIBUTIONS,
    }
    for facts in (facts for role, facts, _ in behind if role == PREDICT):
        known["size"] = float((facts["record"].get("cost") or {}).get("parameters", math.nan))
        known["stderr"] = stderr(folder / CONTRIBUTIONS, metric)
    return known


def _read(stage: Stage, machine: Runtime) -> tuple[Record, Path]:
    folder = folder_of(stage, machine)
    return manifest.read(folder), folder


def _trainings(run: Run, machine: Runtime) -> Sequence[tuple[str, Stage]]:
    """Return the trainings behind a run's model and their roles, the first one first."""
    found = [one for one in lineage(run.model(machine.data), "encoder") if _is_training(one)][::-1]
    phases = [role for _, role in run.phases()]
    return list(zip([EARLIER] * (len(found) - len(phases)) + phases, found, strict=True))


def _is_training(model: Encoder | Stage) -> bool:
    return isinstance(model, Stage) and "lessons" in model.arguments


def _figures(ledger: Mapping[str, Any]) -> dict[str, float]:
    known = {figure: ledger.get(figure) for figure in FIGURES if figure != "flops"}
    found = {figure: float(value) for figure, value in known.items() if value is not None}
    if "flops" in ledger:
        found["flops"] = float(sum(value for part, value in ledger["flops"].items() if part != "looks"))
    return found
