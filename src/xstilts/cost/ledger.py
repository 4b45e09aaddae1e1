"""Ledger: what the loop of a training or a prediction costs, as its manifest records it.

A loop runs under a meter, which adds up time, energy and the shapes of batches as whole numbers; FLOPs are computed
from these when it ends. The sums are JSON values, so that a checkpoint stores them and a killed training goes on
adding. Steps since the last checkpoint are repeated after a kill; only the repetition counts.

    with metered(spent := nothing(), machine):
        predict_inputs(network, "head", format, inputs, tokens, machine)
    ledger(spent, network, machine)["flops"]

>>> nothing()["seconds"], tokens(nothing() | {"taught": {"head": {"tokens": 7}}})
(0.0, 7)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from xstilts.cost import flops
from xstilts.cost.meters import Clock
from xstilts.models.batch import Batch
from xstilts.models.network import Network, embedding_parameters
from xstilts.runtime.machine import Runtime, memory_mib, peak_memory_mib, restart_peak_memory

Spent = dict[str, Any]
Sums = dict[str, dict[str, int]]  # by head

MIB = 2**20


def nothing() -> Spent:
    """Return the sums of a loop that has not begun.

    Returns:
        `seconds`, `device_seconds`, `joules`; `earlier_seconds`, those of killed calls; `peak_memory_mib`; `taught` and
        `asked`, by head the sums over training passes and over forward passes (names that checkpoints have).
    """
    clocks = {"seconds": 0.0, "device_seconds": 0.0, "joules": 0.0, "earlier_seconds": 0.0}
    return {**clocks, "peak_memory_mib": {}, "taught": {}, "asked": {}}


class Meter:
    """Adds to the sums of a loop: the shape of each pass, and at each reading time, energy and memory."""

    def __init__(self, spent: Spent, device: torch.device, network: Network | None = None) -> None:
        self.spent, self.device = spent, device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        weights = sum(weight.numel() * weight.element_size() for weight in network.parameters()) if network else 0
        held = restart_peak_memory() if network and device.type == "cpu" else None
        self.others = None if held is None else held - weights / MIB  # MiB of the process that are not the network's
        self.clock = Clock(device)

    def read(self) -> None:
        """Add time, energy and memory since the last reading; waits for the device."""
        for name, passed in self.clock.lap().items():
            before = self.spent[name]
            self.spent[name] = None if before is None or passed is None else before + passed
        before, now = self.spent["peak_memory_mib"], memory(self.device)
        peak = None if self.others is None else memory_mib("VmHWM")
        now["loop"] = None if peak is None or self.others is None else round(peak - self.others, 1)
        self.spent["peak_memory_mib"] = {name: _most(before.get(name), value) for name, value in now.items()}


_meter: Meter | None = None


@contextmanager
def metered(spent: Spent, machine: Runtime, network: Network | None = None) -> Iterator[Meter]:
    """Within this context add the cost of all passes to the sums of a loop; a meter around this one rests.

    Args:
        spent: The sums, those of an earlier, killed call or `nothing()`.
        machine: The device.
        network: The network of a training, whose own memory is to be measured on a CPU too.

    Yields:
        The meter.
    """
    global _meter
    if "taught" not in spent:  # a checkpoint without such sums: the rest alone would look like a small cost
        spent |= {**nothing(), "partial": True}
    spent["earlier_seconds"] = spent["seconds"]
    outer, _meter = _meter, Meter(spent, machine.torch_device(), network)
    try:
        yield _meter
    finally:
        _meter.read()
        _meter = outer


def count_training_pass(head: str, batch: Batch) -> None:
    """Count a forward and backward pass of a batch, if there is a meter.

    Args:
        head: The name of the head.
        batch: The batch; its shape is what counts.
    """
    if _meter:
        _add(_meter.spent["taught"], head, batch)


def count_forward_pass(head: str, batch: Batch) -> None:
    """Count a forward pass of a batch, if there is a meter.

    Args:
        head: The name of the head.
        batch: The batch; its shape is what counts.
    """
    if _meter:
        _add(_meter.spent["asked"], head, batch)


def _add(sums: Sums, head: str, batch: Batch) -> None:
    counts = sums.setdefault(head, {})
    for name, value in _terms(batch).items():
        counts[name] = counts.get(name, 0) + value
    counts["tokens"] = counts.get("tokens", 0) + int(batch.mask.sum())


def _terms(batch: Batch) -> dict[str, int]:
    """Return what a batch adds to each term of `flops.TERMS`; a packed batch counts without padding."""
    sequences, length = batch.ids.shape
    shape = flops.Shape(sequences, length, batch.labels)
    terms = {name: term(shape) for name, term in flops.TERMS.items()}
    if batch.packing:
        lengths = batch.packing.lengths
        terms |= {"padded_tokens": sum(lengths), "attended": sum(length**2 for length in lengths)}
    return terms


def tokens(spent: Spent, name: str = "tokens") -> int:
    """Return the number of tokens of training passes or, in a prediction, of forward passes.

    Args:
        spent: The sums of a finished call.
        name: "tokens", or "padded_tokens" to count padding too.

    Returns:
        The number of tokens over all heads.
    """
    return sum(counts[name] for counts in _main(spent).values())


def summed(costs: list[Spent]) -> Spent:
    """Return the sums of the first of several processes of a training, with what all of them have computed.

    Args:
        costs: The sums of each process, the first one's first; empty: nothing.

    Returns:
        Its sums: passes, device seconds and joules of all, seconds and memory of the first, and evaluations of the
        first, which all processes repeat.
    """
    if not costs:
        return nothing()
    first, *others = costs
    if not others:
        return first
    total = {**first, "taught": {head: dict(counts) for head, counts in first["taught"].items()}}
    for other in others:
        for head, counts in other["taught"].items():
            into = total["taught"].setdefault(head, {})
            into |= {name: into.get(name, 0) + count for name, count in counts.items()}
        for name in ("device_seconds", "joules"):
            before, more = total[name], other[name]
            total[name] = None if before is None or more is None else before + more
    return total


def ledger(spent: Spent, network: Network, machine: Runtime, processes: int = 1) -> dict[str, Any] | None:
    """Return what a loop has cost.

    Args:
        spent: The sums of the loop.
        network: Its network.
        machine: The device.
        processes: How many computed, each on a device of its own.

    Returns:
        Figures of the manifest; single ones are None where they are not measured. `flops` are of forward passes and, of
        a training, of backward passes with respect to activations and to weights; `looks` are of evaluations on
        development data. `utilisation` is the share of what the device could have done in these seconds. None where
        the sums of an earlier call are lost.
    """
    if spent.get("partial"):
        return None
    counted = _flops(network, spent)
    device, precision = device_name(machine), machine.arithmetic_precision()
    most = flops.peak(device, precision)
    clocks = {name: _rounded(spent[name]) for name in ("seconds", "earlier_seconds", "device_seconds", "joules")}
    return {
        **clocks,
        "tokens": tokens(spent),
        "padded_tokens": tokens(spent, "padded_tokens"),
        "flops": counted,
        "device": device,
        "precision": precision,
        "peak_flops_per_second": most and most[0],
        "peak_source": most and most[1],
        "utilisation": most and sum(counted.values()) / (max(spent["seconds"], 1e-9) * most[0] * processes),
        "peak_memory_mib": spent["peak_memory_mib"],
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "embedding_parameters": embedding_parameters(network),
        "trained_parameters": _trained(network) if spent["taught"] else 0,
    }


def _flops(network: Network, spent: Spent) -> dict[str, int]:
    learning = bool(spent["taught"])
    parts = [flops.spent(network, head, sums, learning) for head, sums in _main(spent).items()]
    looks = [flops.spent(network, head, sums, False) for head, sums in spent["asked"].items() if learning]
    passes = {name: sum(part.get(name, 0) for part in parts) for name in flops.PARTS}
    return {**passes, "looks": sum(look["forward"] for look in looks)}


def memory(device: torch.device) -> dict[str, float | None]:
    """Return the peak memory.

    Args:
        device: The device that computes.

    Returns:
        MiB: of the process since it began ("process"), and of torch on a GPU.
    """
    on_gpu = device.type == "cuda"
    return {
        "process": peak_memory_mib(),
        "allocated": torch.cuda.max_memory_allocated(device) // MIB if on_gpu else None,
        "reserved": torch.cuda.max_memory_reserved(device) // MIB if on_gpu else None,
    }


def device_name(machine: Runtime) -> str:
    """Return the name of the device, such as "NVIDIA H200", or "cpu"."""
    device = machine.torch_device()
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _main(spent: Spent) -> Mapping[str, dict[str, int]]:
    sums: Sums = spent["taught"] or spent["asked"]
    return sums


def _trained(network: Network) -> int:
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def _most(first: float | None, second: float | None) -> float | None:
    return max((value for value in (first, second) if value is not None), default=None)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
