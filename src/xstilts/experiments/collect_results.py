"""Collect results: from finished runs to the rows of a study's results table, with what each has cost.

A row has the score, its standard error over examples, the development score of the intermediate training, the costs of
the stages behind it, and these stages' keys and roles. `measured` reads all that the disk says of a row from the stages
alone, so that verification recomputes it without the run.

>>> trained = {"record": {"cost": {"seconds": 2.0, "flops": {"forward": 10, "looks": 1}}}}
>>> costs([("target", trained, Path("train-xnli-seed1-0a"))])
{'target_seconds': 2.0, 'target_flops': 10.0}
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
from xstilts.claims.results_table import COSTS, FIGURES, FixedLayer, Result, contributions
from xstilts.cost.activation_memory import Device
from xstilts.cost.summary import merged_roles
from xstilts.errors import InputError
from xstilts.evaluation.score import AT_FIXED_LAYER, CONTRIBUTIONS, read_score
from xstilts.experiments.grid import Grid
from xstilts.experiments.run import Run
from xstilts.models import configs
from xstilts.models.families import FAMILIES
from xstilts.models.naming import name_of
from xstilts.runtime.machine import CPU_TOKENS, GPU_TOKENS, Runtime
from xstilts.store import manifest, names
from xstilts.store.names import INTERMEDIATE as INTERMEDIATE
from xstilts.store.names import PRETRAINING
from xstilts.store.names import TARGET as TARGET
from xstilts.store.stage import Stage, folder_of
from xstilts.training import memory
from xstilts.training.memory import UNKNOWN_LABELS as LABELS
from xstilts.training.memory import Setting
from xstilts.training.recipe import Recipe
from xstilts.training.train import MODEL

EARLIER = "earlier"  # what tables and reports call the role of pretraining
TRAININGS = (EARLIER, INTERMEDIATE, TARGET)  # roles of stages that have a model, in the order of phases
PREDICT, SCORE = "predict", "score"
MIB = 2**20
RESAMPLES = 200
Manifest = Mapping[str, Any]
Part = tuple[str, Manifest, Path]  # the role of a stage behind a row, its manifest and its folder


def rows(label: str, grid: Grid, machine: Runtime, failed: Collection[str] = ()) -> Iterator[Result]:
    """Yield a row for each finished run and language of a grid.

    Args:
        label: The recipe's name in the table.
        grid: The grid.
        machine: Names the store and the data folder.
        failed: Keys of stages that could not be built. Runs that need one are left out.

    Yields:
        Rows with scores, costs and the keys of the stages behind them.
    """
    for target in grid.targets:
        for setting, runs in grid.runs(target, machine.data).items():
            for run in runs:
                if not has_failed(run, failed):
                    yield from _of_run(label, setting, run, machine)


def has_failed(run: Run, failed: Collection[str]) -> bool:
    """Return whether a run lacks a score because a stage could not be built.

    Args:
        run: The run.
        failed: Keys of stages that could not be built, with all that need them.

    Returns:
        Whether a score of the run is among them.
    """
    return bool(failed) and any(score.key in failed for score in run.scores().values())


def costs(behind: Iterable[Part]) -> dict[str, float]:
    """Return what the stages behind a row have cost.

    Args:
        behind: Role, manifest and folder of each stage.

    Returns:
        Figures of `COSTS`, as far as they were measured: sums over a role's stages, of parameters and memory the
        largest. FLOPs are without those of evaluation on development data.
    """
    sums: dict[str, float] = {}
    for role, facts, folder in behind:
        figures = _figures(facts["record"].get("cost") or {})
        if role == INTERMEDIATE:
            memory = {"memory_mib": memory_of(facts, folder), "measured_memory_mib": measured_memory_of(facts)}
            figures |= {name: mib for name, mib in memory.items() if mib}
        for figure, value in figures.items():
            name = f"{role}_{figure}"
            sum_so_far = sums.get(name, 0.0)
            sums[name] = max(sum_so_far, value) if figure.endswith(("parameters", "memory_mib")) else sum_so_far + value
    return {name: value for name, value in sums.items() if name in COSTS}


def memory_of(facts: Manifest, folder: Path) -> float | None:
    """Return the memory of a finished training's largest pass in MiB, as `training.memory` estimates it.

    It is estimated and not taken from the ledger, whose peak is of the whole process with all that this did before:
    for the device that the training ran on, and with the rows of the embeddings that its data used.

    Args:
        facts: The training's manifest.
        folder: Its folder.

    Returns:
        MiB; None for a stage without a ledger and for an unknown network.
    """
    record, config = facts["record"], folder / MODEL / configs.CONFIG
    if not record.get("cost") or not config.is_file():
        return None
    device = Device("cpu" if record["cost"]["device"] == "cpu" else "cuda", record["cost"]["precision"])
    stored = facts["arguments"]["recipe"]
    recipe = Recipe(
        trainable=stored["trained"],
        optimizer=stored["optimiser"],
        batch_size=stored["batch_size"],
        max_length=record["max_length"],
    )
    formats = {
        (names.format_from_key(stored["kind"]), len(stored["labels"]) or LABELS)
        for stored in facts["arguments"]["lessons"]
    }
    text, rows = config.read_text(encoding="utf-8"), record["embedding_rows"]
    estimates = [_needed(text, recipe, format, labels, device, rows) for format, labels in sorted(formats)]
    known_mib = [mib for mib in estimates if mib is not None]
    return max(known_mib) if len(known_mib) == len(estimates) else None


def measured_memory_of(facts: Manifest) -> float | None:
    """Return the memory of a finished training in MiB, as it was measured.

    Args:
        facts: The training's manifest.

    Returns:
        On a GPU, the most that torch had allocated; on a CPU, the most that the process held during the training,
        without what is not the network's. None where it was not measured.
    """
    peaks = (facts["record"].get("cost") or {}).get("peak_memory_mib") or {}
    measured = peaks.get("allocated") or peaks.get("loop")
    return float(measured) if measured else None


@lru_cache(maxsize=1024)
def _needed(config: str, recipe: Recipe, format: str, labels: int, device: Device, rows: int) -> float | None:
    configuration = configs.of(json.loads(config))
    if configuration is None or configuration.model_type not in FAMILIES:
        return None
    setting = Setting(device, CPU_TOKENS if device.type == "cpu" else GPU_TOKENS)
    try:
        return memory.estimate(configuration, recipe, format, labels, setting, rows).total / MIB
    except InputError:  # LoRA, and peft is not installed
        return None


def dev(behind: Iterable[Part], role: str = INTERMEDIATE) -> float:
    """Return the mean score of a phase's trainings on their own development data; NaN without any.

    Of a target that is trained on several tasks, one after the other, the last training counts; one on few shots has no
    development data.
    """
    by_training = [facts["record"].get("dev") or {} for part, facts, _ in behind if part == role and not _shots(facts)]
    counted = by_training[-1:] if role == TARGET else by_training
    scores = [task["score"] for tasks in counted for task in tasks.values()]
    return fmean(scores) if scores else math.nan


def _shots(facts: Manifest) -> int:
    """Return how many examples a training has drawn; 0 where it was on all of them."""
    return sum(training_set.get("shots", 0) for training_set in facts["arguments"].get("lessons", ()))


@lru_cache(maxsize=65536)
def stderr(path: Path, metric: str) -> float:
    """Return the standard error of a score over its examples, by a bootstrap with the same seed for all scores.

    Args:
        path: The score's `contributions.jsonl`.
        metric: Name of the metric.

    Returns:
        The standard error, in the metric's unit.
    """
    parts = contributions(path)
    drawn = np.random.default_rng(0).multinomial(len(parts), np.full(len(parts), 1 / len(parts)), size=RESAMPLES)
    return float(metrics.headlines(metric, parts, drawn.astype(np.float64)).std(ddof=1))


def _of_run(label: str, setting: str, run: Run, machine: Runtime) -> Iterator[Result]:
    """Yield the rows of a run, which share the trainings behind them."""
    shared: list[Part] = [
        (EARLIER if phase.role == PRETRAINING else phase.role, *_read(phase.stage, machine))
        for phase in run.shared_phases()
    ]
    repeated = tuple(stage.key for phase in run.shared_phases() for stage in phase.tries)
    for code, score in run.scores().items():
        # Those of few shots are the language's own.
        trainings = [(EARLIER if phase.role == PRETRAINING else phase.role, phase.stage) for phase in run.phases(code)]
        behind = [*shared, *((role, *_read(stage, machine)) for role, stage in trainings[len(shared) :])]
        folder, predictions = folder_of(score, machine), score.arguments["predictions"]
        yield Result(
            name_of(run.encoder),
            setting,
            run.target.name,
            code,
            run.seed,
            keys=(*(stage.key for _, stage in trainings), predictions.key, score.key),
            recipe=label,
            metric=run.target.metric,
            split=run.split,
            roles=(*(role for role, _ in trainings), PREDICT, SCORE),
            in_training_language=code in run.learned_in,
            repeats_training_data=run.repeats_training_data,
            seeds_used=tuple(stage.arguments["seed"] for role, stage in trainings if role != EARLIER and repeated),
            repeated=repeated,
            **measured([*behind, (PREDICT, *_read(predictions, machine))], folder, run.target.metric),
        )


def measured(behind: Sequence[Part], folder: Path, metric: str) -> dict[str, Any]:
    """Return those fields of a `Result` that are read from the disk.

    Args:
        behind: Role, manifest and folder of each stage behind the score; without one in the role "predict" there is
            neither the encoder's size nor a standard error.
        folder: Folder of the score.
        metric: Name of the metric.

    Returns:
        "score", "dev", "target_dev", "costs" and "examples", of retrieval "at_fixed_layer"; with a prediction also
        "size", "parameters" and "stderr"; the size is not known of predictions made before embeddings were counted.
    """
    record = read_score(folder)
    values = {
        "score": float(record["headline"]),
        "dev": dev(behind),
        "target_dev": dev(behind, TARGET),
        "costs": costs(behind),
        "examples": folder / CONTRIBUTIONS,
    }
    for facts in (facts for role, facts, _ in behind if role == PREDICT):
        cost = facts["record"].get("cost") or {}
        parameters = float(cost.get("parameters", math.nan))
        values["parameters"] = parameters
        values["size"] = parameters - float(cost.get("embedding_parameters", math.nan))
        values["stderr"] = stderr(folder / CONTRIBUTIONS, metric)
    if "fixed_layer" in record:
        values["at_fixed_layer"] = _at_fixed_layer(record, folder, metric)
    return values


def _at_fixed_layer(record: Mapping[str, Any], folder: Path, metric: str) -> FixedLayer:
    """Return the score at the fixed layer; its examples are those of the score where that layer was chosen."""
    fixed = record["fixed_layer"]
    path = folder / (CONTRIBUTIONS if record["layer"] == fixed else AT_FIXED_LAYER)
    score = float(record["by_layer"][fixed])
    return FixedLayer(score, stderr(path, metric), path) if path.is_file() else FixedLayer(score)


def _read(stage: Stage, machine: Runtime) -> tuple[Manifest, Path]:
    folder = folder_of(stage, machine)
    return manifest.read(folder), folder


def roles_of(rows: Iterable[tuple[Sequence[str], Sequence[str]]]) -> dict[str, str]:
    """Return the role of each training behind rows of a results table or a report, as `cost.summary.entries` takes it.

    Args:
        rows: Keys and roles of the stages behind each row.

    Returns:
        "intermediate" or "target" by the key of the training.

    >>> roles_of([(("0a", "0b", "0c", "0d"), ("intermediate", "target", "predict", "score"))])
    {'0a': 'intermediate', '0b': 'target'}
    """
    pairs = [pair for keys, roles in rows for pair in zip(keys, roles, strict=True)]
    return merged_roles(
        (key, PRETRAINING if role == EARLIER else role) for key, role in pairs if role not in (PREDICT, SCORE)
    )


def _figures(ledger: Mapping[str, Any]) -> dict[str, float]:
    measured = {figure: ledger.get(figure) for figure in FIGURES if figure != "flops"}
    figures = {figure: float(value) for figure, value in measured.items() if value is not None}
    if "flops" in ledger:
        figures["flops"] = float(sum(value for part, value in ledger["flops"].items() if part != "looks"))
    return figures
