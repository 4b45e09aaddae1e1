"""Preflight: what can be known to fail is refused before the first stage is built.

A training that fails after the ones before it has cost these. So a plan and a run look at every training and prediction
that is to be built: does the encoder load, has it the layers that are to be trained, is there room for the texts, is
what the recipe needs installed? Both refuse the same with the same words.

    check(grid.stages(machine), machine)  # raises InputError with the remedy, or returns nothing
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from xstilts.data import dataset, few_shot
from xstilts.data.readers.row import Report
from xstilts.errors import InputError
from xstilts.models import encoder_check, freezing
from xstilts.models.configs import config_before
from xstilts.models.encoder import Encoder, check_decoder
from xstilts.runtime import extras
from xstilts.runtime.machine import Runtime
from xstilts.store import build, names
from xstilts.store.stage import Stage, lineage
from xstilts.training.combine import LayerSwap
from xstilts.training.recipe import Recipe


def check(stages: Iterable[Stage], machine: Runtime) -> None:
    """Check every stage that has yet to be built.

    Args:
        stages: What is to be built; their inputs are checked too.
        machine: Where; stages that are finished in its store are not checked again.

    Raises:
        InputError: A stage would fail; the message says why and what to do.
    """
    for error in failures(stages, machine).values():
        raise error


def failures(stages: Iterable[Stage], machine: Runtime) -> dict[str, InputError]:
    """Check every stage that has yet to be built.

    Args:
        stages: What is to be built; their inputs are checked too.
        machine: Where; stages that are finished in its store are not checked again.

    Returns:
        By the key of each stage that would fail: why, and what to do. Stages that only need one of these are not among
        them.
    """
    missing = build.missing(tuple(stages), machine)
    failed: dict[str, InputError] = {}
    unusable: list[Encoder] = []
    for stage in missing:
        check_model = _check_decoder if stage.work.name == names.PROMPTED else encoder_check.check
        for encoder in _encoders(stage):
            if error := _error(check_model, encoder, machine.store):
                failed[stage.key] = error
                unusable.append(encoder)
        for source, translator in stage.arguments.get("translators", ()):
            if error := _error(translator.check, source, stage.arguments["target"]):
                failed[stage.key] = error
    seen: dict[tuple[Any, ...], InputError | None] = {}
    for stage in missing:
        if stage.work.name == names.COMBINE and (error := _error(_check_layers, stage, machine)):
            failed[stage.key] = error
        if stage.work.name != names.TRAIN or stage.key in failed:
            continue
        model, recipe = stage.arguments["encoder"], stage.arguments["recipe"]
        *_, origin = lineage(model, "encoder")
        if origin in unusable:
            continue
        if (origin, recipe) not in seen:
            seen[origin, recipe] = _error(_check_training, origin, recipe, machine)
        draws = [(part.train, part.shots) for part in stage.arguments["training_sets"] if part.shots]
        for draw in draws:
            if draw not in seen:
                seen[draw] = _error(_check_shots, *draw, machine)
        for error in filter(None, (seen[origin, recipe], *(seen[draw] for draw in draws))):
            failed[stage.key] = error
    return failed


def _error(check: Callable[..., Any], *arguments: Any) -> InputError | None:
    try:
        check(*arguments)
    except InputError as error:
        return error
    return None


def _encoders(stage: Stage) -> list[Encoder]:
    return [value for value in stage.arguments.values() if isinstance(value, Encoder)]


def _check_layers(stage: Stage, machine: Runtime) -> None:
    """Check that the encoder has the layers that a combination swaps."""
    *_, origin = lineage(stage, "encoder")
    method, config = stage.arguments["method"], config_before(origin, machine)
    if isinstance(method, LayerSwap) and config is not None:
        freezing.check_layers(method.layers, int(config.num_hidden_layers))


def _check_shots(train: tuple[Stage, ...], shots: int, machine: Runtime) -> None:
    """Check that there are enough training examples to draw from; no more of them are read than needed."""
    splits = [part.arguments["data"] for part in train]
    try:
        few_shot.check(
            (example for data in splits for example in dataset.examples(data, machine.data, Report())), shots
        )
    except InputError as error:
        raise InputError(f"{', '.join(data.label for data in splits)}: {error}") from None


def _check_decoder(model: Encoder, store: object) -> None:
    """Check that a model can be prompted; one of the hub that is not here yet is checked when it is loaded."""
    if folder := encoder_check.local_folder(model):
        check_decoder(folder)


def _check_training(origin: Encoder | Stage, recipe: Recipe, machine: Runtime) -> None:
    """Check what a training needs of its encoder and of this machine."""
    config = config_before(origin, machine)
    encoder_check.check_packing(machine, config)
    if config is not None:
        freezing.check_layers(recipe.trainable, int(config.num_hidden_layers))
    if recipe.trainable.startswith("lora") and not extras.installed("peft"):
        raise InputError(f"adapters need peft, which is not installed: {extras.command('lora')}")
