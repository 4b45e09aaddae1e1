"""Fit: whether the trainings of a plan fit the device's memory, said before anything is downloaded or built.

What does not fit is told with the first way in a fixed order that would: first those that leave the result as it is,
then lighter optimisers, then fewer trained weights. A way that an encoder does not have is passed over.

    for line in lines(grid.promised(machine), machine):
        print(line)
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from xstilts.cost.activation_memory import Device
from xstilts.errors import InputError
from xstilts.models.configs import config_before
from xstilts.models.encoder import Encoder
from xstilts.models.families import FAMILIES
from xstilts.runtime.machine import Runtime
from xstilts.store.stage import Stage, lineage
from xstilts.training.memory import GIB, ROOM, Memory, Setting, estimate, floor
from xstilts.training.memory import UNKNOWN_LABELS as LABELS
from xstilts.training.recipe import Recipe, changed
from xstilts.training.training_set import TrainingSet

FEW = 4096


@dataclass(frozen=True)
class Way:
    """A way to need less: settings of the recipe, tokens in a pass, layers computed twice."""

    settings: tuple[str, ...] = ()
    few_tokens: bool = False
    recompute: bool = False

    def said(self) -> str:
        """Return the options of the command line."""
        words = [f"--set {setting}" for setting in self.settings]
        return " ".join(
            [*words, *["--recompute"] * self.recompute, *[f"--micro-tokens {FEW}"] * self.few_tokens],
        )


ALONE_AND_WITH = ((False, False), (True, False), (False, True), (True, True))  # few tokens, layers computed twice
LIGHTER = ("adamw8", "adamw:bf16", "adamw8:bf16", "adafactor:bf16")
WAYS = (
    Way(few_tokens=True),
    Way(recompute=True),
    Way(few_tokens=True, recompute=True),
    *(Way((f"optimizer={name}",), few, recompute) for name in LIGHTER for few, recompute in ALONE_AND_WITH),
    *(
        Way(("trainable=lora:16", *more), few, recompute)
        for more in ((), ("optimizer=adamw:bf16",))
        for few, recompute in ALONE_AND_WITH
    ),
    Way(("trainable=head",)),
    Way(("trainable=head", "optimizer=adamw:bf16")),
)


def lines(promised: Iterable[Stage], machine: Runtime) -> Iterator[str]:
    """Yield a line for each distinct training among stages and what they need: encoder, recipe and kind."""
    name, most = capacity(machine)
    setting = setting_of(machine)
    seen: set[tuple[Any, ...]] = set()
    for stage in promised:
        if stage.work.function.__name__ != "train":
            continue
        lessons, recipe, model = (stage.arguments[one] for one in ("lessons", "recipe", "encoder"))
        config, formats = (
            config_before(model, machine),
            tuple((one.format, len(one.labels) or LABELS) for one in lessons),
        )
        identity = config and config.to_json_string(), recipe, formats
        if identity in seen:
            continue
        seen.add(identity)
        start = f"{_named(lessons)} on {_origin(model)}, trainable={recipe.trainable}, optimizer={recipe.optimizer}"
        if config is None or config.model_type not in FAMILIES:
            yield f"{start}: memory not known, as the encoder's configuration is not here"
        else:
            yield f"{start}: {_said(config, recipe, formats, setting, name, most)}"


def setting_of(machine: Runtime) -> Setting:
    """Return how the machine trains; with a memory of so many GiB given, and no GPU here, how a GPU would."""
    import torch

    given = machine.memory_gib > 0 and machine.device == "auto"
    device = "cuda" if given or machine.torch_device().type == "cuda" else "cpu"
    native = device == "cuda" and (not torch.cuda.is_available() or torch.cuda.is_bf16_supported())
    halved = machine.precision == "bf16" or (machine.precision == "auto" and native)
    return Setting(Device(device, "bf16" if halved else "fp32"), machine.most_tokens(device), machine.recompute)


def capacity(machine: Runtime) -> tuple[str, int]:
    """Return the name of the device and its bytes: as given, of the GPU, or of the main memory."""
    import torch

    if machine.memory_gib:
        return "as given", int(machine.memory_gib * GIB)
    device = machine.torch_device()
    if device.type == "cuda":
        facts = torch.cuda.get_device_properties(device)
        return str(facts.name), int(facts.total_memory)
    return f"main memory, {device.type}", os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def remedy(
    config: Any, recipe: Recipe, formats: tuple[tuple[str, int], ...], setting: Setting, most: int
) -> Way | None:
    """Return the first way with which a training would fit; None where no way is enough."""
    for way in WAYS:
        tokens = min(FEW, setting.micro_tokens) if way.few_tokens else setting.micro_tokens
        other = Setting(setting.device, tokens, way.recompute or setting.recompute)
        if other == setting and not way.settings:
            continue
        try:
            lighter = changed(recipe, way.settings)
            if not fits(floor(config, lighter, *formats[0]), most, other.device):
                continue
            if fits(needed(config, lighter, formats, other), most, other.device):
                return way
        except InputError:  # a part to train that the encoder does not have, or peft is not here
            continue
    return None


def fits(memory: Memory, most: int, device: Device) -> bool:
    """Say whether what is needed is at most the share of a device's bytes that tensors may take."""
    return memory.total <= ROOM[device.type] * most


def needed(config: Any, recipe: Recipe, formats: tuple[tuple[str, int], ...], setting: Setting) -> Memory:
    """Return what a training of lessons needs: as much as the one of them that needs most."""
    return max(
        (_estimate(_Known(config), recipe, format, labels, setting) for format, labels in formats),
        key=lambda one: one.total,
    )


class _Known:
    """A configuration that is equal to another with the same settings, so that one estimate is enough for both."""

    def __init__(self, config: Any) -> None:
        self.config, self.text = config, config.to_json_string()

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Known) and other.text == self.text


@lru_cache(maxsize=1024)
def _estimate(known: _Known, recipe: Recipe, format: str, labels: int, setting: Setting) -> Memory:
    return estimate(known.config, recipe, format, labels, setting)


def _said(
    config: Any, recipe: Recipe, formats: tuple[tuple[str, int], ...], setting: Setting, name: str, most: int
) -> str:
    try:
        memory = needed(config, recipe, formats, setting)
    except InputError as error:
        return f"memory not known ({error})"
    device = f"{most / GIB:,.1f} GiB ({name})"
    need = f"{_millions(memory.parameters)} parameters, {_millions(memory.trained)} trained; {describe(memory)}"
    if fits(memory, most, setting.device):
        return f"{need}: fits in {device}"
    way = remedy(config, recipe, formats, setting, most)
    return f"{need}: does not fit in {device}; {f'try {way.said()}' if way else 'nothing that is offered here would'}"


def describe(memory: Memory) -> str:
    """Return what is needed, by part, in GiB."""
    parts = {name: getattr(memory, name) for name in ("weights", "gradients", "states", "activations")}
    return f"{memory.total / GIB:,.1f} GiB = " + " + ".join(f"{v / GIB:,.1f} {n}" for n, v in parts.items())


def _millions(count: int) -> str:
    return f"{count / 1e6:,.1f} M"


def _named(lessons: tuple[TrainingSet, ...]) -> str:
    return "+".join(lesson.task for lesson in lessons)


def _origin(model: Encoder | Stage) -> str:
    *_, model = lineage(model, "encoder")
    return model.name if isinstance(model, Encoder) else model.label
