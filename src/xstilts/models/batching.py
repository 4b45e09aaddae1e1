"""TODO formats.batching."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from xstilts.errors import InputError

if TYPE_CHECKING:
    from xstilts.models.network import Network
    from xstilts.runtime.machine import Runtime


from xstilts.models.batch import ModelInput
from xstilts.models.network import Network
from xstilts.runtime.machine import CPU_TOKENS, Runtime


def should_pack(network: Network, machine: Runtime) -> bool:
    """Return whether a network's batches are packed: on a GPU in bf16, or where asked for.


    Padding is no choice for a family whose attention would see other sequences: there "auto" pads, "on" is refused.
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
    """Return what a training's record says of its batches."""
    if not packs:
        return "padded"
    return "packed, without dropout in attention" if machine.torch_device().type == "cuda" else "packed"


def max_tokens_per_batch(inputs: Sequence[ModelInput], packs: bool, machine: Runtime) -> int:
    """Return the most tokens of a pass: where there is padding, so few that batches are of nearly one length.

    A language alone has few examples of each length. Of 1,190 as long as XNLI's, passes of 16,384 tokens would compute
    21 % more than the texts have; in sixteen passes it is 5 %, of all fifteen languages sorted together 1 %.
    """
    most = machine.most_tokens()
    total = sum(len(sequence) for model_input in inputs for sequence in model_input.sequences)
    return most if packs or machine.max_tokens_per_pass else min(most, max(CPU_TOKENS, total // 16))


def length_bucketed_batches(inputs: Sequence[ModelInput], most_tokens: int) -> list[list[int]]:
    """Return the numbers of units in batches of like length, each of at most `most_tokens` with its padding."""
    batches: list[list[int]] = []
    widest = sequences = 0
    for number in sorted(range(len(inputs)), key=lambda n: -inputs[n].length):
        model_input = inputs[number]
        if not batches or widest * (sequences + len(model_input.sequences)) > most_tokens:
            batches.append([])
            widest, sequences = model_input.length, 0
        batches[-1].append(number)
        sequences += len(model_input.sequences)
    return batches
