"""Memory fit: whether the trainings of a plan fit the device's memory, before anything is downloaded or built.

For a training that does not fit there is the first remedy that makes it fit, in a fixed order: first those that leave
the result as it is, then lighter optimizers, then fewer trained weights. A remedy that an encoder does not support is
skipped. Beside it stands among how many GPUs it fits as it is, with weights, gradients and states divided.

    for line in lines(grid.stages(machine), machine):
        print(line)

>>> Way(("optimizer=adafactor:bf16",), recompute=True).options()
'--set optimizer=adafactor:bf16 --recompute'
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from xstilts.cost.activation_memory import Device
from xstilts.errors import InputError
from xstilts.models.configs import config_before
from xstilts.models.encoder import Encoder
from xstilts.models.families import FAMILIES
from xstilts.runtime.machine import Runtime, main_memory_bytes
from xstilts.store import names
from xstilts.store.stage import Stage, lineage
from xstilts.training.memory import GIB, ROOM, Memory, Setting, division, estimate, floor
from xstilts.training.memory import UNKNOWN_LABELS as LABELS
from xstilts.training.recipe import Recipe, changed
from xstilts.training.training_set import TrainingSet

FEW = 4096
GPUS = (2, 3, 4, 6, 8, 16, 32, 64)  # among which weights may be divided; above 8 there are several computers


@dataclass(frozen=True)
class Way:
    """Options and settings with which a training needs less memory.

    Attributes:
        settings: Changes of the recipe.
        few_tokens: Whether a pass has at most `FEW` tokens.
        recompute: Whether activations are recomputed in the backward pass.
    """

    settings: tuple[str, ...] = ()
    few_tokens: bool = False
    recompute: bool = False

    def options(self) -> str:
        """Return the options of the command line that choose it."""
        words = [f"--set {setting}" for setting in self.settings]
        return " ".join(
            [*words, *["--recompute"] * self.recompute, *[f"--max-tokens-per-pass {FEW}"] * self.few_tokens],
        )


@dataclass(frozen=True)
class Shards:
    """How a training fits that is sharded.

    Attributes:
        gpus: Among how many GPUs.
        memory: What each of them needs.
        way: Settings with which it does; they do not change the result.
    """

    gpus: int
    memory: Memory
    way: Way

    def options(self) -> str:
        """Return the options of the command line that choose it."""
        return " ".join(filter(None, (f"--processes {self.gpus} --shard", self.way.options())))


ALONE_AND_WITH = ((False, False), (True, False), (False, True), (True, True))  # few tokens, recomputed activations
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


def lines(stages: Iterable[Stage], machine: Runtime) -> Iterator[str]:
    """Describe the memory of each training among stages; those of equal encoder, recipe and task formats are one line.

    Args:
        stages: Stages to be built; only trainings are looked at.
        machine: Device, memory, and limits of a pass.

    Yields:
        What the training needs, whether it fits, and if not, which options would make it fit.
    """
    name, most = capacity(machine)
    setting = setting_of(machine)
    reported: set[tuple[Any, ...]] = set()
    for stage in stages:
        if stage.work.name != names.TRAIN:
            continue
        training_sets, recipe, model = (
            stage.arguments[argument] for argument in ("training_sets", "recipe", "encoder")
        )
        config = config_before(model, machine)
        formats = tuple((training_set.format, len(training_set.labels) or LABELS) for training_set in training_sets)
        identity = config and config.to_json_string(), recipe, formats
        if identity in reported:
            continue
        reported.add(identity)
        start = (
            f"{_named(training_sets)} on {_origin(model)}, trainable={recipe.trainable}, optimizer={recipe.optimizer}"
        )
        if config is None or config.model_type not in FAMILIES:
            yield f"{start}: memory not known, as the encoder's configuration is not here"
        else:
            yield f"{start}: {_needs(config, recipe, formats, setting, name, most)}"


def setting_of(machine: Runtime) -> Setting:
    """Return how a machine trains: device, arithmetic, tokens of a pass, recomputation.

    Args:
        machine: The runtime. If it gives a memory and no device, a GPU is assumed.

    Returns:
        The setting.
    """
    import torch

    for_gpu = machine.memory_gib > 0 and machine.device == "auto"
    device = "cuda" if for_gpu or machine.torch_device().type == "cuda" else "cpu"
    native = device == "cuda" and (not torch.cuda.is_available() or torch.cuda.is_bf16_supported())
    halved = machine.precision == "bf16" or (machine.precision == "auto" and native)
    return Setting(Device(device, "bf16" if halved else "fp32"), machine.most_tokens(device), machine.recompute)


def capacity(machine: Runtime) -> tuple[str, int]:
    """Return the memory that trainings must fit in.

    Args:
        machine: The runtime, which may give the memory.

    Returns:
        The name of the device, and bytes: as given, of the GPU, or the main memory.
    """
    import torch

    if machine.memory_gib:
        return "as given", int(machine.memory_gib * GIB)
    device = machine.torch_device()
    if device.type == "cuda":
        facts = torch.cuda.get_device_properties(device)
        return str(facts.name), int(facts.total_memory)
    return f"main memory, {device.type}", main_memory_bytes()


def remedy(
    config: Any, recipe: Recipe, formats: tuple[tuple[str, int], ...], setting: Setting, most: int
) -> Way | None:
    """Return the first way with which a training would fit; None where no way is enough.

    Args:
        config: Configuration of the encoder.
        recipe: The hyperparameters.
        formats: Task format and number of labels of each training set.
        setting: How the machine trains.
        most: Memory of the device in bytes.

    Returns:
        Options and settings to change.
    """
    for way in WAYS:
        tokens = min(FEW, setting.micro_tokens) if way.few_tokens else setting.micro_tokens
        other = Setting(setting.device, tokens, way.recompute or setting.recompute)
        if other == setting and not way.settings:
            continue
        try:
            lighter = changed(recipe, way.settings)
            if not fits(_estimate(config, lighter, *formats[0], None), most, other.device):
                continue
            if fits(needed(config, lighter, formats, other), most, other.device):
                return way
        except InputError:  # a part to train that the encoder does not have, or peft is not installed
            continue
    return None


def sharded(
    config: Any, recipe: Recipe, formats: tuple[tuple[str, int], ...], setting: Setting, most: int
) -> Shards | None:
    """Return the fewest GPUs among which a training fits as it is; None where that are too many.

    Args:
        config: Configuration of the encoder.
        recipe: The hyperparameters.
        formats: Task format and number of labels of each training set.
        setting: How the machine trains.
        most: Memory of each GPU in bytes.

    Returns:
        The number of GPUs, what each needs, and settings with which it fits; those as given where these are enough.
    """
    if setting.device.type != "cuda":
        return None
    ways = [Way(few_tokens=few, recompute=recompute) for few, recompute in ALONE_AND_WITH]
    try:
        divisions = [division(config, recipe, format, labels, setting.device) for format, labels in formats]
    except InputError:  # an optimizer that cannot be divided, or no such part to train
        return None
    for gpus, way in product(GPUS, ways):
        tokens = min(FEW, setting.micro_tokens) if way.few_tokens else setting.micro_tokens
        other = Setting(setting.device, tokens, way.recompute or setting.recompute)
        shares = (
            divided.share(_estimate(config, recipe, format, labels, other), gpus)
            for divided, (format, labels) in zip(divisions, formats, strict=True)
        )
        memory = max(shares, key=lambda memory: memory.total)
        if fits(memory, most, setting.device):
            return Shards(gpus, memory, way)
    return None


def fits(memory: Memory, most: int, device: Device) -> bool:
    """Return whether a training fits the memory of a device.

    Args:
        memory: What the training needs.
        most: Bytes of the device.
        device: Gives the share of these bytes that tensors may take.

    Returns:
        Whether it fits.
    """
    return memory.total <= ROOM[device.type] * most


def needed(config: Any, recipe: Recipe, formats: tuple[tuple[str, int], ...], setting: Setting) -> Memory:
    """Return the memory that a training needs: that of the training set with the largest passes.

    Args:
        config: Configuration of the encoder.
        recipe: The hyperparameters.
        formats: Task format and number of labels of each training set.
        setting: How the machine trains.

    Returns:
        Bytes by purpose.

    Raises:
        InputError: The encoder has no such part to train, or a needed library is not installed.
    """
    return max(
        (_estimate(config, recipe, format, labels, setting) for format, labels in formats),
        key=lambda memory: memory.total,
    )


KNOWN: dict[tuple[Any, ...], Memory] = {}  # what was estimated in this process


def _estimate(config: Any, recipe: Recipe, format: str, labels: int, setting: Setting | None) -> Memory:
    """Return the memory of a training; without a setting what it needs before its first pass."""
    identity = config.to_json_string(), recipe, format, labels, setting
    if identity not in KNOWN:
        arguments = config, recipe, format, labels
        KNOWN[identity] = estimate(*arguments, setting) if setting else floor(*arguments)
    return KNOWN[identity]


def _needs(
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
    shards = sharded(config, recipe, formats, setting, most)
    return f"{need}: does not fit in {device}; {advice(way.options() if way else '', shards)}"


def advice(remedy: str, shards: Shards | None) -> str:
    """Say how a training that does not fit would fit.

    Args:
        remedy: Options with which it fits on one GPU; "" for none.
        shards: Among how many GPUs it fits as it is, if any.

    Returns:
        Words for the end of a line.
    """
    ways = [f"try {remedy}"] if remedy else []
    if shards:
        gib = f"{shards.memory.total / GIB:,.1f}"
        ways.append(f"sharded over {shards.gpus} GPUs ({gib} GiB each): {shards.options()}")
    return "; ".join(ways) or "no option of the command line would make it fit"


def describe(memory: Memory) -> str:
    """Describe the memory of a training.

    Args:
        memory: Bytes by purpose.

    Returns:
        GiB in all and by purpose, in words.
    """
    parts = {name: getattr(memory, name) for name in ("weights", "gradients", "states", "activations")}
    return f"{memory.total / GIB:,.1f} GiB = " + " + ".join(f"{v / GIB:,.1f} {n}" for n, v in parts.items())


def _millions(count: int) -> str:
    return f"{count / 1e6:,.1f} M"


def _named(training_sets: tuple[TrainingSet, ...]) -> str:
    return "+".join(training_set.task for training_set in training_sets)


def _origin(model: Encoder | Stage) -> str:
    *_, model = lineage(model, "encoder")
    return model.name if isinstance(model, Encoder) else model.label
