"""Preflight: what can be known to fail is refused before the first stage is built.

A training that fails after the ones before it has cost these. So a plan and a run look at every training and prediction
that is to be built: does the encoder load, has it the layers that are to be trained, is there room for the texts, is
what the recipe needs installed? Both refuse the same with the same words.

    check(grid.stages(machine), machine)  # raises InputError with the remedy, or returns nothing
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from xstilts.errors import InputError
from xstilts.models import encoder_check, freezing
from xstilts.models.configs import config_before
from xstilts.models.encoder import Encoder, check_decoder
from xstilts.runtime import extras
from xstilts.runtime.machine import Runtime
from xstilts.store import build, names
from xstilts.store.stage import Stage, lineage
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
    seen: dict[tuple[Any, ...], InputError | None] = {}
    for stage in missing:
        if stage.work.name != names.TRAIN or stage.key in failed:
            continue
        model, recipe = stage.arguments["encoder"], stage.arguments["recipe"]
        *_, origin = lineage(model, "encoder")
        if origin in unusable:
            continue
        if (origin, recipe) not in seen:
            seen[origin, recipe] = _error(_check_training, origin, recipe, machine)
        if error := seen[origin, recipe]:
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
