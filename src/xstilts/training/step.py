"""One optimization step: from the numbers of its examples to updated weights.

A step is cut into passes that fit in memory. Their losses are summed over the step's targets and divided by their
number, so that the cut changes nothing but rounding and which values dropout zeroes. A thread collates the batches of
the next step while the device computes this one, from random numbers of their own, and nothing in a step waits for the
device. Where memory runs out, the step is repeated in smaller passes: the batch stays as it is.

Several processes share a step (`processes`): each takes some of its inputs, of about as many tokens as the others, and
the gradients are added. What a process draws, dropout and masks, depends on its number.

    stepper = Stepper(network, training_sets, tokenizer, recipe, machine, make_optimizer(network, recipe), seed)
    for prepared in stepper.prefetch(enumerate(schedule(...))):
        losses = stepper.take(prepared, total)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from xstilts.cost import ledger
from xstilts.errors import InputError
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
from xstilts.training.processes import ALONE
from xstilts.training.recipe import Recipe
from xstilts.training.sharding import Whole
from xstilts.training.training_set import EncodedTrainingSet

Pass = tuple[list[ModelInput], Batch]
FEWEST_TOKENS = 16  # of a pass; where even these do not fit, it is not the batch that fills the memory
BATCH_SEEDS = 1 << 40  # added to the seed of a step's dropout gives that of its batches
ROUNDING_SEEDS = 1 << 41  # and that of its optimizer, where several processes must draw alike
PROCESS_SEEDS = 1 << 44  # times the number of a process


@dataclass(frozen=True)
class PreparedStep:
    """A step ready to be taken.

    Attributes:
        number: Position in the training, from 0.
        step: Which inputs it trains on.
        passes: For each part of the step, its passes.
        max_tokens_per_pass: By which the passes were cut.
        idle: For each part, how many passes at its end count for nothing: with them this process takes as many as the
            others.
    """

    number: int
    step: Step
    passes: tuple[tuple[Pass, ...], ...]
    max_tokens_per_pass: int
    idle: tuple[int, ...] = ()

    def counted(self) -> list[tuple[Pass, ...]]:
        """Return the passes of each part that count."""
        idle = self.idle or (0,) * len(self.passes)
        return [passes[: len(passes) - count] for passes, count in zip(self.passes, idle, strict=True)]


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
        layout: How the weights lie in several processes; None: whole in this one.
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
    layout: Whole | None = None
    device: torch.device = field(init=False)
    packed: bool = field(init=False)

    def __post_init__(self) -> None:
        self.device = self.machine.torch_device()
        self.max_tokens_per_pass = self.max_tokens_per_pass or self.machine.most_tokens()
        self.packed = batching.should_pack(self.network, self.machine)
        self.weights = self.layout or Whole(self.network, ALONE)
        self.group = self.weights.group
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
        random = torch.Generator().manual_seed(self._seed(number) + BATCH_SEEDS + self.group.rank * PROCESS_SEEDS)
        most = self.max_tokens_per_pass
        parts = [(self.training_sets[part.training_set], part.inputs.tolist()) for part in step]
        passes = tuple(tuple(self._passes(encoded, numbers, most, random)) for encoded, numbers in parts)
        if self.group.count == 1:
            return PreparedStep(number, step, passes, most)
        return PreparedStep(number, step, passes, most, tuple(self._idle(*part, most) for part in parts))

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
                if self.group.count > 1:  # others may be waiting for this one within the pass
                    raise InputError(
                        f"memory ran out in one of {self.group.count} processes, in passes of "
                        f"{self.max_tokens_per_pass} tokens: give a smaller --max-tokens-per-pass, --recompute or "
                        "--shard"
                    ) from None
                if self.max_tokens_per_pass <= FEWEST_TOKENS:
                    raise
            # Outside the handler, whose traceback would keep the tensors of the failed pass alive.
            self.max_tokens_per_pass //= 2
            progress.note(f"memory ran out: a step now takes passes of {self.max_tokens_per_pass} tokens")
            self.optimizer.zero_grad(set_to_none=True)
            torch.cuda.empty_cache()

    def _take(self, prepared: PreparedStep, total: int) -> Tensor:
        # Dropout depends on seed and step number alone, so that a resumed training draws what it would have drawn.
        self._seed_dropout(self._seed(prepared.number) + self.group.rank * PROCESS_SEEDS)
        self.network.train()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.recipe, prepared.number, total)
        self.optimizer.zero_grad(set_to_none=True)
        self.weights.clear_gradients()
        sets = [self.training_sets[part.training_set] for part in prepared.step]
        counted = prepared.counted()
        # Targets of the whole batch: masks are drawn where their texts are, so that only the sum over processes is it.
        targets = self.group.totals([sum(batch.labels for _, batch in passes) for passes in counted])
        losses = [
            self._backward(encoded, passes, len(mine), max(1, count))
            for encoded, passes, mine, count in zip(sets, prepared.passes, counted, targets, strict=True)
        ]
        summed = self.group.add(torch.stack(losses))
        self._zero_frozen_grads(prepared.number, total)
        self.weights.add_gradients()
        self.weights.clip(self._trained(), self.recipe.clip_norm)
        if self.group.count > 1:
            # Weights that lie whole are rounded alike everywhere; rows of divided ones are others in each process.
            place = self.group.rank * PROCESS_SEEDS if self.weights.sharded else 0
            self._seed_dropout(self._seed(prepared.number) + ROUNDING_SEEDS + place)
        self.optimizer.step()
        for encoded, passes in zip(sets, counted, strict=True):
            for _, batch in passes:
                ledger.count_training_pass(encoded.training_set.task, batch)
        return summed

    def _zero_frozen_grads(self, number: int, total: int) -> None:
        """Drop the gradients of what gradual unfreezing has not reached, so that no optimizer updates it."""
        groups = freezing.groups(self.network, self.recipe.trainable)
        for group in groups[freezing.unfrozen_groups(number, total, len(groups)) :]:
            for parameter in group:
                parameter.grad = None

    def _backward(self, encoded: EncodedTrainingSet, passes: tuple[Pass, ...], counted: int, targets: int) -> Tensor:
        """Add the gradients of one training set's part of a step; return its weighted loss.

        Only the first `counted` passes have a gradient that is not 0; the others are there for what all processes do.
        """
        # Passes differ in their number of targets: dividing each by the step's total makes their sum the step's mean.
        task_weight = 1.0 if encoded.training_set.weight is None else encoded.training_set.weight
        total = torch.zeros((), device=self.device)
        for number, (inputs, batch) in enumerate(passes):
            weight = task_weight if number < counted else 0.0
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
        cuts = self._cuts(encoded, inputs, most)
        own = cuts[self.group.rank]
        # An idle pass runs the shortest input, since what all processes do together needs each of them in every pass.
        idle = [[min(range(len(inputs)), key=lambda n: inputs[n].length)]] if inputs else []
        for part in own + idle * (max(map(len, cuts)) - len(own)):
            chosen = [inputs[number] for number in part]
            batch = encoded.format.collate(chosen, self.tokenizer, random)
            batch = batch.packed() if self.packed else batch
            yield chosen, batch.pinned() if self.device.type == "cuda" else batch

    def _cuts(self, encoded: EncodedTrainingSet, inputs: Sequence[ModelInput], most: int) -> list[list[list[int]]]:
        """Return, for each process, the passes that it takes of a step's inputs, by their positions."""
        if encoded.format.divisible:
            return [
                [[mine[n] for n in part] for part in length_bucketed_batches([inputs[n] for n in mine], most)]
                for mine in shares([model_input.length for model_input in inputs], self.group.count)
            ]
        # A loss that compares inputs with each other needs them in one pass: all of the step, or each part of it.
        size = self.recipe.pairs_ranked or max(len(inputs), 1)
        cut = [list(range(start, min(start + size, len(inputs)))) for start in range(0, len(inputs), size)]
        return [cut[rank :: self.group.count] for rank in range(self.group.count)]

    def _idle(self, encoded: EncodedTrainingSet, numbers: list[int], most: int) -> int:
        """Return how many passes this process takes only because another one has more."""
        cuts = self._cuts(encoded, [encoded.inputs[number] for number in numbers], most)
        return max(map(len, cuts)) - len(cuts[self.group.rank])

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


def shares(lengths: Sequence[int], count: int) -> list[list[int]]:
    """Divide inputs among processes, so that each has about as many tokens.

    Args:
        lengths: Tokens of each input.
        count: The number of processes.

    Returns:
        For each process, the positions of its inputs in their order; each position once.

    >>> shares([9, 2, 5, 6], 2)
    [[0, 1], [2, 3]]
    """
    taken: list[list[int]] = [[] for _ in range(count)]
    tokens = [0] * count
    # The longest first, each to the process that has the fewest tokens so far.
    for number in sorted(range(len(lengths)), key=lambda n: -lengths[n]):
        rank = tokens.index(min(tokens))
        taken[rank].append(number)
        tokens[rank] += lengths[number]
    return [sorted(numbers) for numbers in taken]
