"""Combine: one model whose weights are computed from those of several trainings.

Averages of runs and of the last checkpoints of a training transfer better than single ones (Schmidt et al. 2023). Task
vectors, what a training has changed of its encoder, can be added and negated (Ilharco et al. 2023) or merged where they
agree in sign (TIES, Yadav et al. 2023), and single layers can be taken from another training (Bandarkar et al. 2024).

    average = averaged([train(encoder, sets, recipe, seed, head_seed=1) for seed in (1, 2, 3)])
    both = composed(encoder, [train(encoder, sets, recipe, 1) for sets in (nli, qa)], composition("add:0.5"))

The result is a stage like a training: a folder that `AutoModel` loads, from which a next phase may start. Sums are in
float64 and rounded once, to the dtype of the trainings, and in an order that does not depend on how the members are
given. So an average of equal weights is these weights to the bit, a task vector that is added and subtracted leaves the
encoder's bits, and one that is added alone gives the training's.

>>> composition("add:0.5"), composition("ties:0.2"), composition("swap@top:2")
(TaskVectors(scales=(0.5,)), Ties(density=0.2, scale=1.0), LayerSwap(layers='top:2'))
>>> averaging("seeds:3,last:5")
Averaging(seeds=3, last=5)
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from xstilts.errors import InputError
from xstilts.models.encoder import Encoder, load_backbone, load_tokenizer
from xstilts.models.freezing import part
from xstilts.models.hf_format import MODEL as WEIGHTS
from xstilts.models.hf_format import save_encoder, write_weights
from xstilts.models.network import Network
from xstilts.runtime.text import counted
from xstilts.store import manifest, names
from xstilts.store.identity import identity
from xstilts.store.stage import BuildContext, Stage, stage
from xstilts.training import snapshots
from xstilts.training.recipe import MOST_SNAPSHOTS, TRAINABLE

MODEL = names.MODEL_FOLDER

Weights = Mapping[str, Tensor]
COMPOSITIONS = "add:0.5 (or add:0.5,-1 with a scale for each task), ties:0.2 or ties:0.2:1.0, swap@top:2"
AVERAGES = "seeds, seeds:3, last:5 or seeds:3,last:5"


@identity("Average")
@dataclass(frozen=True)
class Average:
    """The mean of the weights of all members, heads included.

    Attributes:
        last: Of each member as many snapshots, the last ones; 0: its final weights.
    """

    last: int = 0

    @property
    def text(self) -> str:
        """The method as options have it."""
        return f"last:{self.last}" if self.last else "average"


@identity("TaskVectors", always=("scales",))
@dataclass(frozen=True)
class TaskVectors:
    """The encoder plus the scaled task vectors of all members; a negative scale negates (Ilharco et al. 2023).

    Attributes:
        scales: A factor for each member, or one for all.
    """

    scales: tuple[float, ...]

    @property
    def text(self) -> str:
        """The method as options have it."""
        scales = self.scales[:1] if len(set(self.scales)) == 1 else self.scales
        return f"add:{','.join(map(_number, scales))}"

    def weights(self, encoder: Weights, members: Sequence[Weights]) -> dict[str, Tensor]:
        """Return the composed weights.

        The sum is taken over weights and not over their differences, and members with the same weights are one with
        the sum of their scales. So scales of +1 and -1 leave the encoder, and +1 alone the member, to the bit.

        Args:
            encoder: What the members were trained from.
            members: Their weights, as many as scales.
        """
        rest = math.fsum((1.0, *(-scale for scale in self.scales)))
        return {name: _sum([(rest, before), *_joined(self.scales, name, members)]) for name, before in encoder.items()}


@identity("Ties", always=("density", "scale"))
@dataclass(frozen=True)
class Ties:
    """The encoder plus the mean of the task vectors' largest entries that agree in sign (Yadav et al. 2023).

    Attributes:
        density: The share of each task vector's entries that is kept, those of the largest magnitude in all of it.
        scale: A factor of the merged vector.
    """

    density: float = 0.2
    scale: float = 1.0

    @property
    def text(self) -> str:
        """The method as options have it."""
        return f"ties:{_number(self.density)}" + (f":{_number(self.scale)}" if self.scale != 1 else "")

    def weights(self, encoder: Weights, members: Sequence[Weights]) -> dict[str, Tensor]:
        """Return the merged weights. Where the kept entries of all members cancel, the encoder's weight stays.

        Args:
            encoder: What the members were trained from.
            members: Their weights.
        """
        thresholds = [self._threshold(encoder, member) for member in members]
        return {name: self._merged(before, name, members, thresholds) for name, before in encoder.items()}

    def _threshold(self, encoder: Weights, member: Weights) -> float:
        """Return the least magnitude of an entry that is kept."""
        if self.density >= 1:
            return 0.0
        entries = torch.cat(
            [_difference(member[name], before).float().abs().flatten() for name, before in encoder.items()]
        )
        dropped = len(entries) - max(1, round(self.density * len(entries)))
        return float(entries.kthvalue(dropped + 1).values) if dropped else 0.0

    def _merged(self, before: Tensor, name: str, members: Sequence[Weights], thresholds: Sequence[float]) -> Tensor:
        trimmed = []
        for member, threshold in zip(members, thresholds, strict=True):
            vector = _difference(member[name], before)
            trimmed.append(torch.where(vector.float().abs() >= threshold, vector, 0.0))
        sign = _plus(trimmed).sign()
        agreeing = [(vector.sign() == sign) & (sign != 0) for vector in trimmed]
        count = _plus([agrees.int() for agrees in agreeing])
        kept = [
            torch.where(agrees, member[name].double(), 0.0) for agrees, member in zip(agreeing, members, strict=True)
        ]
        # As in a sum of task vectors, over weights: one member alone gives its own bits.
        merged = _sum([(1 - self.scale, before.double()), (self.scale, _plus(kept) / count.clamp(min=1))])
        return torch.where(count > 0, merged, before.double()).to(before.dtype)


@identity("LayerSwap")
@dataclass(frozen=True)
class LayerSwap:
    """The first member with layers of the second (Bandarkar et al. 2024).

    Attributes:
        layers: Which layers are the second member's, such as "top:2", "bottom:2", "layers:0-3,8" or "alternate".
    """

    layers: str

    @property
    def text(self) -> str:
        """The method as options have it."""
        return f"swap@{self.layers}"


@identity("Snapshot", always=("number",))
@dataclass(frozen=True)
class Snapshot:
    """One snapshot of one member, with its head.

    Attributes:
        number: Which one, counted from the end: 1 is the last. Where there are fewer, it is the earliest.
    """

    number: int

    @property
    def text(self) -> str:
        """The method in words."""
        return f"snapshot:{self.number}"


Composition = TaskVectors | Ties | LayerSwap
WithHead = Average | Snapshot
Method = WithHead | Composition


@dataclass(frozen=True)
class Averaging:
    """What is averaged at the end of a run.

    Attributes:
        seeds: Over how many seeds; 1: no average over seeds.
        last: Over how many last snapshots of each training; 0: the final weights alone.
    """

    seeds: int = 1
    last: int = 0

    @property
    def text(self) -> str:
        """What is averaged as options have it; "" for nothing."""
        parts = (f"seeds:{self.seeds}" if self.seeds > 1 else "", f"last:{self.last}" if self.last else "")
        return ",".join(filter(None, parts))

    def described(self, first_seed: int) -> str:
        """Return in words what a model is the average of."""
        runs = f"of seeds {first_seed} to {first_seed + self.seeds - 1}" if self.seeds > 1 else ""
        last = f"of the last {counted(self.last, 'snapshot')} of each training" if self.last else ""
        return " and ".join(filter(None, (runs, last)))


def averaging(text: str, seeds: int = 1) -> Averaging:
    """Return what an option asks to be averaged.

    Args:
        text: Such as "seeds", "seeds:3", "last:5" or "seeds:3,last:5"; "": nothing.
        seeds: What "seeds" without a number stands for.

    Returns:
        The numbers of seeds and of snapshots.

    Raises:
        InputError: The text has another form, or asks for an average of less than two.
    """
    values: dict[str, int] = {}
    for item in text.split(",") if text else ():
        word, colon, number = item.strip().partition(":")
        if (
            word not in ("seeds", "last")
            or word in values
            or not (number.isdecimal() or (word == "seeds" and not colon))
        ):
            raise InputError(f"unknown average '{text}': give {AVERAGES}")
        values[word] = int(number) if colon else seeds
    if values.get("seeds", 2) < 2:
        raise InputError(f"an average over seeds needs two or more of them, not {values['seeds']}: give --seeds")
    if not 2 <= values.get("last", 2) <= MOST_SNAPSHOTS:
        raise InputError(
            f"last:{values['last']}: give 2 to {MOST_SNAPSHOTS}, a snapshot is one at a tenth of the steps"
        )
    return Averaging(values.get("seeds", 1), values.get("last", 0))


def composition(text: str) -> Composition:
    """Return the composition that an option asks for.

    Args:
        text: Such as "add:0.5", "add:1,-0.5", "ties:0.2", "ties:0.2:1.0" or "swap@layers:0-3".

    Returns:
        The method.

    Raises:
        InputError: The text has another form, or a number is out of range.
    """
    word, _, layers = text.partition("@")  # as in "lora:16@top:2"
    unknown = InputError(f"unknown composition '{text}': give {COMPOSITIONS}")
    if word == "swap":
        if not TRAINABLE.fullmatch(layers) or layers.partition(":")[0] not in ("top", "bottom", "layers", "alternate"):
            raise InputError(f"unknown layers '{layers}' to swap: give swap@top:2, swap@bottom:2 or swap@layers:0-3,8")
        return LayerSwap(layers)
    word, _, value = text.partition(":")
    try:
        numbers = [float(number) for number in value.split("," if word == "add" else ":")]
    except ValueError:
        raise unknown from None
    if not all(map(math.isfinite, numbers)) or word not in ("add", "ties") or (word == "ties" and len(numbers) > 2):
        raise unknown
    if word == "add":
        return TaskVectors(tuple(numbers))
    if not 0 < numbers[0] <= 1:
        raise InputError(f"the density of TIES is a share above 0 and at most 1, not {_number(numbers[0])}")
    return Ties(*numbers)


def check_members(method: Composition, count: int) -> None:
    """Raise InputError where a composition cannot be one of so many trainings."""
    if isinstance(method, LayerSwap) and count != 2:
        raise InputError(f"{method.text} takes layers of a second training for a first: give two tasks, not {count}")
    if isinstance(method, TaskVectors) and len(method.scales) not in (1, count):
        raise InputError(
            f"{method.text} has {counted(len(method.scales), 'scale')} for {counted(count, 'training')}: "
            "give one for all, or one for each"
        )


def averaged(members: Sequence[Stage], last: int = 0) -> Stage:
    """Return the average of models with heads of the same initial weights.

    Args:
        members: Trainings, or other models without a head; their order does not matter.
        last: Of each training as many snapshots, the last ones; 0: its final weights.

    Returns:
        The stage of the average.

    Raises:
        InputError: The heads started from different weights, or a member has no snapshots.
    """
    trainings = [member for member in members if member.work.name == names.TRAIN]
    given = [training.arguments for training in trainings]
    seeds = {values["seed"] if values.get("head_seed") is None else values["head_seed"] for values in given}
    if len(seeds) > 1:
        listed = ", ".join(map(str, sorted(seeds)))
        raise InputError(f"an average needs heads of the same initial weights, not of seeds {listed}: give head_seed")
    if last and (len(trainings) < len(members) or any(values["recipe"].snapshots < last for values in given)):
        raise InputError(f"an average of last snapshots needs trainings that keep {last}: set snapshots={last}")
    ordered = tuple(sorted(members, key=lambda member: member.key))
    return combine(ordered[0].arguments["encoder"], ordered, Average(last))


def snapshot(training: Stage, number: int) -> Stage:
    """Return a snapshot of a training as a model.

    Args:
        training: It keeps as many snapshots at least.
        number: Counted from the end: 1 is the last one.

    Returns:
        The stage of the model.
    """
    return combine(training.arguments["encoder"], (training,), Snapshot(number))


def composed(encoder: Encoder | Stage, members: Sequence[Stage], method: Composition) -> Stage:
    """Return the composition of trainings of one encoder, without their heads.

    Args:
        encoder: What they were trained from.
        members: The trainings. Their order matters for a layer swap alone, and tells the scales of task vectors.
        method: How they are composed.

    Returns:
        The stage of the composition.

    Raises:
        InputError: The method does not suit so many trainings, or one of them starts from another encoder.
    """
    check_members(method, len(members))
    for member in members:
        if member.arguments["encoder"] != encoder:
            raise InputError(f"{member.label} starts from another encoder: a task vector is a change of the common one")
    if isinstance(method, LayerSwap):
        return combine(encoder, tuple(members), method)
    if isinstance(method, Ties):
        return combine(encoder, tuple(sorted(members, key=lambda member: member.key)), method)
    scales = method.scales * (len(members) if len(method.scales) == 1 else 1)
    pairs = sorted(zip(members, scales, strict=True), key=lambda pair: (pair[0].key, pair[1]))
    return combine(encoder, tuple(member for member, _ in pairs), TaskVectors(tuple(scale for _, scale in pairs)))


def _label(encoder: Encoder | Stage, members: tuple[Stage, ...], method: Method) -> str:
    more = f"-and-{len(members) - 1}-more" if len(members) > 1 else ""
    return f"combine-{method.text}-{members[0].label}{more}"


@stage(name=names.COMBINE, version=1, label=_label)
def combine(context: BuildContext, encoder: Encoder | Stage, members: tuple[Stage, ...], method: Method) -> None:
    """Write the combined model to `model/`. Call `averaged` or `composed`, which order and check the members.

    Args:
        context: Where the stage is built.
        encoder: What the members were trained from.
        members: Trainings.
        method: How their weights are combined.

    Raises:
        InputError: The members have different weights or heads, or lack the layers that are swapped.
    """
    paths = [context.path(member) for member in members]
    folder = context.folder / MODEL
    if isinstance(method, Average):
        if method.last:
            paths = [snapshot for path in paths for snapshot in _snapshots(path)[-method.last :]]
        _average([path / MODEL for path in paths], folder)
    elif isinstance(method, Snapshot):
        every = _snapshots(paths[0])
        shutil.copytree(every[-min(method.number, len(every))] / MODEL, folder, copy_function=_linked)
    else:
        source = context.path(encoder) / MODEL if isinstance(encoder, Stage) else encoder.location
        network = Network(load_backbone(source))
        networks = [Network(load_backbone(path / MODEL)) for path in paths]
        with torch.no_grad():
            if isinstance(method, LayerSwap):
                network, other = networks
                for parameter, swapped in zip(part(network, method.layers), part(other, method.layers), strict=True):
                    parameter.copy_(swapped)
            else:
                before = dict(network.backbone.named_parameters())
                trained = [dict(member.backbone.named_parameters()) for member in networks]
                _check_alike([{name: value.shape for name, value in weights.items()} for weights in (before, *trained)])
                for name, value in method.weights(before, trained).items():
                    before[name].copy_(value)
        save_encoder(network, load_tokenizer(paths[0] / MODEL), folder)
    context.record |= {"method": method.text, "models": len(paths)} | _lengths(context, members)


def _snapshots(training: Path) -> list[Path]:
    """Return the snapshots of a training, or the training itself where it was stopped before the first."""
    return snapshots.folders(training) or [training]


def _linked(source: str, target: str) -> None:
    """Link a file, which is never changed, where the file system can; else copy it."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _lengths(context: BuildContext, members: Sequence[Stage]) -> dict[str, int]:
    """Return the maximal length that the members were trained with, by which a user's predictions are made."""
    lengths = {manifest.read(context.path(member))["record"].get("max_length") for member in members}
    return {"max_length": max(known)} if (known := [length for length in lengths if length]) else {}


def _average(paths: Sequence[Path], folder: Path) -> None:
    """Write the mean of the weights in several folders, beside the other files of the first."""
    if len({_head(path) for path in paths}) > 1:
        raise InputError("an average needs models with the same labels in the same order")
    shutil.copytree(paths[0], folder, dirs_exist_ok=True)
    with ExitStack() as stack:
        files = [stack.enter_context(safe_open(path / WEIGHTS, framework="pt")) for path in paths]
        keys = list(files[0].keys())
        _check_alike([{name: tuple(file.get_slice(name).get_shape()) for name in file.keys()} for file in files])  # noqa: SIM118
        write_weights({name: mean([file.get_tensor(name) for file in files]) for name in keys}, folder)


def _head(path: Path) -> str:
    """Return what of a folder's configuration must be alike for its weights to be averaged."""
    config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    return json.dumps([config.get("architectures"), config.get("id2label")], sort_keys=True)


def _check_alike(shapes: Sequence[Mapping[str, Any]]) -> None:
    """Raise InputError unless all members have the same tensors."""
    for other in shapes[1:]:
        for name in sorted({*shapes[0], *other}):
            if shapes[0].get(name) != other.get(name):
                raise InputError(
                    f"models with different weights cannot be combined: {name} is not alike in all of them"
                )


def mean(tensors: Sequence[Tensor]) -> Tensor:
    """Return the mean of tensors of one dtype; whole numbers, such as positions, must be equal.

    Args:
        tensors: Of one shape. Equal ones have a mean of the same bits.

    Raises:
        InputError: Whole numbers differ.

    >>> mean([torch.tensor([0.1, 0.0]), torch.tensor([0.1, 1.0]), torch.tensor([0.1, 2.0])])
    tensor([0.1000, 1.0000])
    """
    first = tensors[0]
    if not first.is_floating_point():
        if not all(torch.equal(first, other) for other in tensors[1:]):
            raise InputError("whole numbers among the weights differ, which have no mean")
        return first
    return (_plus([tensor.double() for tensor in tensors]) / len(tensors)).to(first.dtype)


def _joined(scales: Sequence[float], name: str, members: Sequence[Weights]) -> list[tuple[float, Tensor]]:
    """Return a tensor of each member with its scale, equal tensors once with the sum of theirs."""
    joined: list[tuple[list[float], Tensor]] = []
    for scale, member in zip(scales, members, strict=True):
        for earlier, tensor in joined:
            if torch.equal(tensor, member[name]):
                earlier.append(scale)
                break
        else:
            joined.append(([scale], member[name]))
    return [(math.fsum(summands), tensor) for summands, tensor in joined]


def _sum(terms: Sequence[tuple[float, Tensor]]) -> Tensor:
    """Return a weighted sum in the first tensor's dtype, taken in float64; terms of scale 0 are left out."""
    scaled = [scale * tensor.double() for scale, tensor in terms if scale]
    return _plus(scaled).to(terms[0][1].dtype)


def _plus(tensors: Sequence[Tensor]) -> Tensor:
    """Return a sum from left to right, without a zero at its beginning: -0.0 stays what it is."""
    return reduce(torch.add, tensors)


def _difference(after: Tensor, before: Tensor) -> Tensor:
    return after.double() - before.double()


def _number(value: float) -> str:
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def head_training(model: Stage) -> Stage:
    """Return the training whose head a model has: itself, or of an average the first of its members."""
    while model.work.name == names.COMBINE and isinstance(model.arguments["method"], WithHead):
        model = model.arguments["members"][0]
    return model


def made_from(model: Stage) -> tuple[Stage, ...]:
    """Return the stages that a model was made from directly: its members, or the stage of its encoder."""
    if model.work.name == names.COMBINE:
        members: tuple[Stage, ...] = model.arguments["members"]
        return members
    encoder = model.arguments.get("encoder")
    return (encoder,) if isinstance(encoder, Stage) else ()
