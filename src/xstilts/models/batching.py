"""Batching: which model inputs go through a network together, and whether they are padded or packed.

>>> import numpy as np
>>> inputs = [ModelInput(n, (np.zeros(length, dtype=np.int32),)) for n, length in enumerate((3, 9, 4, 8))]
>>> length_bucketed_batches(inputs, max_tokens=20)
[[1, 3], [2, 0]]
"""

from __future__ import annotations

from collections.abc import Sequence

from xstilts.errors import InputError
from xstilts.models.batch import ModelInput
from xstilts.models.network import Network
from xstilts.runtime.machine import CPU_TOKENS, Runtime


def should_pack(network: Network, machine: Runtime) -> bool:
    """Decide whether a network's batches are packed.

    Args:
        network: Some families cannot be packed, as their attention would see other sequences.
        machine: Its `packing`: "on", "off", or "auto" (on a GPU in bf16, where the family can be packed).

    Raises:
        InputError: Packing is "on" where it is not possible.
    """
    if machine.packing == "off" or (machine.packing == "auto" and network.family.padded):
        return False
    on_gpu, half = machine.torch_device().type == "cuda", machine.arithmetic_precision() == "bf16"
    if machine.packing == "auto":
        return on_gpu and half
    if network.family.padded:
        raise InputError(f"batches of {network.config.model_type} cannot be packed: {network.family.padded}")
    if on_gpu and not half:
        raise InputError("a GPU packs batches in bf16 alone: give --precision bf16, or --packing auto")
    return True


def describe_batches(packs: bool, machine: Runtime) -> str:
    """Return how batches are laid out, for `stage.json`: "padded" or "packed", with what packing leaves out."""
    if not packs:
        return "padded"
    return "packed, without dropout in attention" if machine.torch_device().type == "cuda" else "packed"


def max_tokens_per_batch(inputs: Sequence[ModelInput], packs: bool, machine: Runtime) -> int:
    """Return the most tokens of a batch; where there is padding, so few that a batch has nearly one length.

    Args:
        inputs: All that will be run.
        packs: Whether batches are packed.
        machine: A limit that it names is taken as it is.

    A language alone has few examples of each length. Of 1,190 as long as XNLI's, passes of 16,384 tokens would compute
    21 % more than the texts have; in sixteen passes it is 5 %, of all fifteen languages sorted together 1 %.
    """
    most = machine.most_tokens()
    total = sum(len(sequence) for model_input in inputs for sequence in model_input.sequences)
    return most if packs or machine.max_tokens_per_pass else min(most, max(CPU_TOKENS, total // 16))


def length_bucketed_batches(inputs: Sequence[ModelInput], max_tokens: int) -> list[list[int]]:
    """Group model inputs by length.

    Args:
        inputs: In any order.
        max_tokens: Most tokens of a batch, padding included; an input that has more is a batch by itself.

    Returns:
        The positions in `inputs` of each batch, the longest first.
    """
    batches: list[list[int]] = []
    widest = sequences = 0
    for number in sorted(range(len(inputs)), key=lambda n: -inputs[n].length):
        model_input = inputs[number]
        if not batches or widest * (sequences + len(model_input.sequences)) > max_tokens:
            batches.append([])
            widest, sequences = model_input.length, 0
        batches[-1].append(number)
        sequences += len(model_input.sequences)
    return batches
