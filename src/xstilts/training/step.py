"""One optimization step: from the numbers of its examples to updated weights.

A step is cut into passes that fit in memory. Their losses are summed over the step's targets and divided by their
number, so that the cut changes nothing but rounding and which values dropout zeroes. A thread collates the batches of
the next step while the device computes this one, from random numbers of their own, and nothing in a step waits for the
device. Where memory runs out, the step is repeated in smaller passes: the batch stays as it is.

    stepper = Stepper(network, training_sets, tokenizer, recipe, machine, make_optimizer(network, recipe), seed)
    for prepared in stepper.prefetch(enumerate(schedule(...))):
        losses = stepper.take(prepared, total)
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
from xstilts.training.optimizer import learning_rate
from xstilts.training.recipe import Recipe
from xstilts.training.training_set import EncodedTrainingSet

Pass = tuple[list[ModelInput], Batch]
FEWEST_TOKENS = 16  # of a pass; where even these do not fit, it is not the batch that fills the memory
BATCH_SEEDS = 1 << 40  # added to the seed of a step's dropout gives that of its batches


@dataclass(frozen=True)
class PreparedStep:
    """A step ready to be taken.

    Attributes:
        number: Position in the training, from 0.
        step: Which inputs it trains on.
        passes: For each part of the step, its passes.
        max_tokens_per_pass: By which the passes were cut.
    """

    number: int
    step: Step
    passes: tuple[tuple[Pass, ...], ...]
    max_tokens_per_pass: int


@dataclass
class Stepper:
    """Takes the optimization steps of one training.

    Attributes:
        network: On its device, with heads, frozen as the recipe says.
        training_sets: By their number in the schedule.
        tokenizer: Pads (and masks) batches.
        recipe: Learning rate and clipping.
        machine: Device, arithmetic, packing, recomputation and compilation.
        optimizer: The optimizer, over the trained parameters.
        seed: The seed of dropout and masking.
        frozen_states: Cached states of frozen layers, if any.
        max_tokens_per_pass: Halved where memory runs out; 0: as the machine says.
    """

    network: Network
    training_sets: list[EncodedTrainingSet]
    tokenizer: Tokenizer
    recipe: Recipe
    machine: Runtime
    optimizer: torch.optim.Optimizer
    seed: int
    frozen_states: FrozenLayerCache = NOTHING
    max_tokens_per_pass: int = 0
    device: torch.device = field(init=False)
    packed: bool = field(init=False)

    def __post_init__(self) -> None:
        self.device = self.machine.torch_device()
        self.max_tokens_per_pass = self.max_tokens_per_pass or self.machine.most_tokens()
        self.packed = batching.should_pack(self.network, self.machine)
        if self.machine.recompute:
            recompute: Any = self.network.backbone.activation_checkpointing_enable
            contexts = packed_attention.recomputation_contexts(self.network.backbone)
            recompute({"use_reentrant": False, "context_fn": contexts})
        if self.machine.compiled:
            for layer in self.network.layer_modules[self.network.prefix :]:
                layer.compile(dynamic=True)

    def prefetch(self, steps: Iterable[tuple[int, Step]]) -> Iterator[PreparedStep]:
        """Yield steps ready to be taken, while a thread prepares the next one.

        Args:
            steps: Numbered steps of the schedule.

        Yields:
            The steps, in order.
        """
        with ThreadPoolExecutor(1, "batches") as thread:
            waiting = None
            for number, step in steps:
                # One step ahead and not more: a step's batches are made while the device computes the step before.
                coming = thread.submit(self.prepare, number, step)
                if waiting:
                    yield waiting.result()
                waiting = coming
            if waiting:
                yield waiting.result()

    def prepare(self, number: int, step: Step) -> PreparedStep:
        """Collate the batches of a step; its random numbers are a function of seed and step number.

        Args:
            number: The number of the step, from 0.
            step: Which inputs of which training sets are in it.

        Returns:
            The step with collated batches, split into passes that fit in memory.
        """
        random = torch.Generator().manual_seed(self._seed(number) + BATCH_SEEDS)
        most = self.max_tokens_per_pass
        parts = [(self.training_sets[part.training_set], part.inputs.tolist()) for part in step]
        passes = tuple(tuple(self._passes(encoded, numbers, most, random)) for encoded, numbers in parts)
        return PreparedStep(number, step, passes, most)

    def take(self, prepared: PreparedStep, total: int) -> Tensor:
        """Take a step: passes, clipping, update.

        Args:
            prepared: The step.
            total: Steps of the whole training, for learning rate and gradual unfreezing.

        Returns:
            The weighted loss of each part of the step, on the device: means over targets. Their sum is the step's loss.

        Shape:
            (parts,)

        Raises:
            torch.OutOfMemoryError: Passes of `FEWEST_TOKENS` do not fit either.
        """
        while True:
            # The thread prepared this step before memory ran out: collate it again in smaller passes.
            if prepared.max_tokens_per_pass != self.max_tokens_per_pass:
                prepared = self.prepare(prepared.number, prepared.step)
            try:
                return self._take(prepared, total)
            except torch.OutOfMemoryError:
                if self.max_tokens_per_pass <= FEWEST_TOKENS:
                    raise
            # Outside the handler, whose traceback would keep the tensors of the failed pass alive.
            self.max_tokens_per_pass //= 2
            progress.note(f"memory ran out: a step now takes passes of {self.max_tokens_per_pass} tokens")
            self.optimizer.zero_grad(set_to_none=True)
            torch.cuda.empty_cache()

    def _take(self, prepared: PreparedStep, total: int) -> Tensor:
        # Dropout depends on seed and step number alone, so that a resumed training draws what it would have drawn.
        self._seed_dropout(self._seed(prepared.number))
        self.network.train()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.recipe, prepared.number, total)
        self.optimizer.zero_grad(set_to_none=True)
        parts = [
            (self.training_sets[part.training_set], passes)
            for part, passes in zip(prepared.step, prepared.passes, strict=True)
        ]
        losses = [self._backward(encoded, passes) for encoded, passes in parts]
        self._zero_frozen_grads(prepared.number, total)
        torch.nn.utils.clip_grad_norm_(self._trained(), self.recipe.clip_norm)
        self.optimizer.step()
        for encoded, passes in parts:
            for _, batch in passes:
                ledger.count_training_pass(encoded.training_set.task, batch)
        return torch.stack(losses)

    def _zero_frozen_grads(self, number: int, total: int) -> None:
        """Drop the gradients of what gradual unfreezing has not reached, so that no optimizer updates it."""
        groups = freezing.groups(self.network, self.recipe.trainable)
        for group in groups[freezing.unfrozen_groups(number, total, len(groups)) :]:
            for parameter in group:
                parameter.grad = None

    def _backward(self, encoded: EncodedTrainingSet, passes: tuple[Pass, ...]) -> Tensor:
        """Add the gradients of one training set's part of a step; return its weighted loss."""
        # Passes differ in their number of targets: dividing each by the step's total makes their sum the step's mean.
        targets = max(1, sum(batch.labels for _, batch in passes))
        weight = 1.0 if encoded.training_set.weight is None else encoded.training_set.weight
        total = torch.zeros((), device=self.device)
        for inputs, batch in passes:
            with self.machine.arithmetic(), self.frozen_states.replayed(self.network, inputs, self.packed):
                summed = encoded.format.loss(self.network, encoded.training_set.task, batch.to(self.device))
                loss = summed * (weight / targets)
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total

    def _passes(
        self, encoded: EncodedTrainingSet, numbers: list[int], most: int, random: torch.Generator
    ) -> Iterator[Pass]:
        """Yield a step's inputs in parts of at most so many tokens, each as a batch."""
        inputs = [encoded.inputs[number] for number in numbers]
        # A loss that compares inputs with each other needs them in one pass: all of the step, or each part of it.
        if encoded.format.divisible:
            cut = length_bucketed_batches(inputs, most)
        else:
            size = self.recipe.pairs_ranked or max(len(inputs), 1)
            cut = [list(range(start, min(start + size, len(inputs)))) for start in range(0, len(inputs), size)]
        for part in cut:
            chosen = [inputs[number] for number in part]
            batch = encoded.format.collate(chosen, self.tokenizer, random)
            batch = batch.packed() if self.packed else batch
            yield chosen, batch.pinned() if self.device.type == "cuda" else batch

    def _trained(self) -> list[torch.nn.Parameter]:
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]

    def _seed_dropout(self, seed: int) -> None:
        """Seed torch's generators; on the CPU only its own, as `torch.manual_seed` formats a stack trace each time."""
        if self.device.type == "cpu":
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)

    def _seed(self, number: int) -> int:
        # The factor keeps the seeds of two trainings apart for their first million steps.
        return self.seed * 1_000_003 + number
