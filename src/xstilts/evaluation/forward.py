"""The forward loop: run model inputs through a network in length-bucketed batches, in evaluation mode.

Predictions, features, task embeddings and the stored states of frozen layers differ only in how a batch is collated and
what is computed from it; the loop itself, with its progress and its entry in the cost ledger, is here.

    for numbers, states in forward_batches(network, inputs, collate, encode, machine, max_tokens=1024):
        ...  # numbers: positions in `inputs`; states: what `encode` returned for their batch
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from xstilts.cost import ledger
from xstilts.models.batch import Batch, ModelInput
from xstilts.models.batching import length_bucketed_batches
from xstilts.models.network import Network
from xstilts.runtime import progress
from xstilts.runtime.machine import Runtime

R = TypeVar("R")


def forward_batches(
    network: Network,
    inputs: Sequence[ModelInput],
    collate: Callable[[list[ModelInput]], Batch],
    compute: Callable[[Batch, list[ModelInput]], R],
    machine: Runtime,
    *,
    max_tokens: int,
    packed: bool = False,
    head: str | None = None,
    label: str = "",
) -> Iterator[tuple[list[int], R]]:
    """Run model inputs through a network, batch by batch.

    No gradients are kept. The network is in evaluation mode until the last batch, and then as it was before.

    Args:
        network: On the device of `machine`.
        inputs: What to run; they are sorted by length into batches.
        collate: Makes a batch of some inputs, on the CPU.
        compute: Computes something from a batch on the device, such as `Format.predict` or `Network.encode`.
        machine: Device and arithmetic (autocast).
        max_tokens: Most tokens of a batch, padding included.
        packed: Compute no padding (`models.packed_attention`).
        head: Under which the passes are counted in the cost ledger; None: they are not counted.
        label: Shown as progress; "": none.

    Yields:
        The positions in `inputs` of a batch, and what `compute` returned for it; the longest inputs come first.
    """
    device, was_training = machine.torch_device(), network.training
    batches = length_bucketed_batches(inputs, max_tokens)
    network.eval()
    try:
        for done, numbers in enumerate(batches, start=1):
            chosen = [inputs[number] for number in numbers]
            batch = collate(chosen)
            batch = batch.packed() if packed else batch
            if head is not None:
                ledger.count_forward_pass(head, batch)
            with torch.inference_mode(), machine.arithmetic():
                result = compute(batch.to(device), chosen)
            yield numbers, result
            if label:
                progress.step(label, done, len(batches))
    finally:
        network.train(was_training)
