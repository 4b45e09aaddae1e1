"""Loop: one step of a training, from the numbers of its examples to moved weights.

A step is cut into passes that fit in memory; their losses are summed over the step's labels and divided by their
number, so that the cut changes nothing but rounding and which units drop out. The batches of the next step are put
together while the device computes this one, from random numbers of their own, and nothing in a step waits for the
device. Where memory runs out, the step begins again in smaller passes: the batch stays what it is.

    loop = Loop(network, pupils, tokens, recipe, machine, optimiser_of(network, recipe), seed)
    for prepared in loop.ahead(enumerate(steps)):
        loss = loop.take(prepared, total)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from xstilts.cost import ledger
from xstilts.models import batching, freezing, packed_attention
from xstilts.models.batch import Batch, ModelInput
from xstilts.models.batching import length_bucketed_batches
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer
from xstilts.runtime import progress
from xstilts.runtime.machine import Runtime
from xstilts.training.batch_schedule import Step
from xstilts.training.frozen_layer_cache import NOTHING, FrozenLayerCache
from xstilts.training.optimizer import rate
from xstilts.training.recipe import Recipe
from xstilts.training.training_set import EncodedTrainingSet

Pass = tuple[list[ModelInput], Batch]
FEWEST_TOKENS = 16  # in a pass, below which memory is not the batch's to save
APART = 1 << 40  # from the seeds of dropout to those of batches


@dataclass(frozen=True)
class Prepared:
    """A step, its number, and the passes of each of its parts, cut by so many tokens."""

    number: int
    step: Step
    passes: tuple[tuple[Pass, ...], ...]
    micro_tokens: int


@dataclass
class Loop:
    """What all steps share. micro_tokens: most in a pass, halved where memory runs out; of the machine at first."""

    network: Network
    pupils: list[EncodedTrainingSet]
    tokens: Tokenizer
    recipe: Recipe
    machine: Runtime
    optimiser: torch.optim.Optimizer
    seed: int
    below: FrozenLayerCache = NOTHING
    micro_tokens: int = 0
    device: torch.device = field(init=False)
    packs: bool = field(init=False)

    def __post_init__(self) -> None:
        self.device = self.machine.torch_device()
        self.micro_tokens = self.micro_tokens or self.machine.most_tokens()
        self.packs = batching.should_pack(self.network, self.machine)
        if self.machine.recompute:
            recompute: Any = self.network.backbone.activation_checkpointing_enable
            recompute({"use_reentrant": False, "context_fn": packed_attention.again(self.network.backbone)})
        if self.machine.compiled:
            for layer in self.network.layer_modules[self.network.prefix :]:
                layer.compile(dynamic=True)

    def ahead(self, steps: Iterable[tuple[int, Step]]) -> Iterator[Prepared]:
        """Yield steps ready to be taken, the next one being prepared meanwhile."""
        with ThreadPoolExecutor(1, "batches") as beside:
            waiting = None
            for number, step in steps:
                coming = beside.submit(self.prepare, number, step)
                if waiting:
                    yield waiting.result()
                waiting = coming
            if waiting:
                yield waiting.result()

    def prepare(self, number: int, step: Step) -> Prepared:
        """Put the batches of a step together; what they draw is a function of seed and step."""
        random = torch.Generator().manual_seed(self._seed(number) + APART)
        most = self.micro_tokens
        parts = [(self.pupils[part.lesson], part.units.tolist()) for part in step]
        passes = tuple(tuple(self._passes(pupil, numbers, most, random)) for pupil, numbers in parts)
        return Prepared(number, step, passes, most)

    def take(self, prepared: Prepared, total: int) -> Tensor:
        """Take a step of `total`; return its loss, the weighted mean over labels of each lesson in it."""
        while True:
            if prepared.micro_tokens != self.micro_tokens:
                prepared = self.prepare(prepared.number, prepared.step)
            try:
                return self._taken(prepared, total)
            except torch.OutOfMemoryError:
                if self.micro_tokens <= FEWEST_TOKENS:
                    raise
            self.micro_tokens //= 2  # out of the handler, so that nothing of the failed pass is kept alive
            progress.note(f"memory ran out: a step now takes passes of {self.micro_tokens} tokens")
            self.optimiser.zero_grad(set_to_none=True)
            torch.cuda.empty_cache()

    def _taken(self, prepared: Prepared, total: int) -> Tensor:
        torch.manual_seed(self._seed(prepared.number))
        self.network.train()
        for group in self.optimiser.param_groups:
            group["lr"] = rate(self.recipe, prepared.number, total)
        self.optimiser.zero_grad(set_to_none=True)
        lessons = [self.pupils[part.lesson] for part in prepared.step]
        losses = [self._backward(pupil, passes) for pupil, passes in zip(lessons, prepared.passes, strict=True)]
        self._hold(prepared.number, total)
        torch.nn.utils.clip_grad_norm_(self._trained(), self.recipe.clip_norm)
        self.optimiser.step()
        for pupil, passes in zip(lessons, prepared.passes, strict=True):
            for _, batch in passes:
                ledger.count_training_pass(pupil.lesson.task, batch)
        return torch.stack(losses).sum()

    def _hold(self, number: int, total: int) -> None:
        """Throw away the gradients of what does not move yet, so that no optimiser touches it."""
        waves = freezing.groups(self.network, self.recipe.trainable)
        for wave in waves[freezing.unfrozen_groups(number, total, len(waves)) :]:
            for parameter in wave:
                parameter.grad = None

    def _backward(self, pupil: EncodedTrainingSet, passes: tuple[Pass, ...]) -> Tensor:
        """Add the gradients of one lesson's part of a step; return its weighted loss."""
        labels = max(1, sum(batch.labels for _, batch in passes))
        weight = 1.0 if pupil.lesson.weight is None else pupil.lesson.weight
        total = torch.zeros((), device=self.device)
        for units, batch in passes:
            with self.machine.arithmetic(), self.below.given(self.network, units, self.packs):
                loss = pupil.format.loss(self.network, pupil.lesson.task, batch.to(self.device)) * (weight / labels)
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total

    def _passes(
        self, pupil: EncodedTrainingSet, numbers: list[int], most: int, random: torch.Generator
    ) -> Iterator[Pass]:
        """Yield a step's units in parts that fit the machine, each as a batch."""
        units = [pupil.units[number] for number in numbers]
        cut = length_bucketed_batches(units, most) if pupil.format.divisible else [list(range(len(units)))]
        for part in cut:
            chosen = [units[number] for number in part]
            batch = pupil.format.collate(chosen, self.tokens, random)
            batch = batch.packed() if self.packs else batch
            yield chosen, batch.pinned() if self.device.type == "cuda" else batch

    def _trained(self) -> list[torch.nn.Parameter]:
        return [parameter for group in self.optimiser.param_groups for parameter in group["params"]]

    def _seed(self, number: int) -> int:
        return self.seed * 1_000_003 + number
