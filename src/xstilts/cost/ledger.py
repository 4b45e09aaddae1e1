"""Cost: what the loop of a training or a prediction spends, as the ledger in its record.

A loop runs under a meter, which adds up time, energy and the shapes of batches as whole numbers; FLOPs are worked out
of them when it is over. What a meter has added up is plain, so a checkpoint keeps it, and a training that was killed
goes on adding. Steps since the last checkpoint are taken again after a kill; only the second time counts.

    with metered(spent := nothing(), machine):
        answers(network, "head", format, units, tokens, machine)
    ledger(spent, network, machine)["flops"]
"""

from __future__ import annotations

import resource
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from xstilts.cost import flops
from xstilts.cost.meters import Clock
from xstilts.models.batch import Batch
from xstilts.models.network import Network
from xstilts.runtime.machine import Runtime

Spent = dict[str, Any]
Sums = dict[str, dict[str, int]]  # by head

MIB = 2**20


def nothing() -> Spent:
    """Return the beginning of what a loop spends.

    taught, asked: by head, sums over passes that learn and that only answer. earlier_seconds: of killed calls.
    """
    clocks = {"seconds": 0.0, "device_seconds": 0.0, "joules": 0.0, "earlier_seconds": 0.0}
    return {**clocks, "peak_memory_mib": {}, "taught": {}, "asked": {}}


class Meter:
    """Adds to what was spent: at each pass its shape, at each reading time, energy and memory."""

    def __init__(self, spent: Spent, device: torch.device) -> None:
        self.spent, self.device = spent, device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        self.clock = Clock(device)

    def read(self) -> None:
        """Add what has gone by since the last reading; waits for the device."""
        for name, passed in self.clock.lap().items():
            before = self.spent[name]
            self.spent[name] = None if before is None or passed is None else before + passed
        before, now = self.spent["peak_memory_mib"], memory(self.device)
        self.spent["peak_memory_mib"] = {name: _most(before.get(name), value) for name, value in now.items()}


_meter: Meter | None = None


@contextmanager
def metered(spent: Spent, machine: Runtime) -> Iterator[Meter]:
    """Add everything that is taught and asked from here on to `spent`, which may hold what an earlier call spent."""
    global _meter
    if "taught" not in spent:  # of a checkpoint that kept no such sums: what is missing would look like little
        spent |= {**nothing(), "partial": True}
    spent["earlier_seconds"] = spent["seconds"]
    outer, _meter = _meter, Meter(spent, machine.torch_device())
    try:
        yield _meter
    finally:
        _meter.read()
        _meter = outer


def count_training_pass(head: str, batch: Batch) -> None:
    """Count a pass forward and backward, if there is a meter."""
    if _meter:
        _add(_meter.spent["taught"], head, batch)


def count_forward_pass(head: str, batch: Batch) -> None:
    """Count a pass forward alone, if there is a meter."""
    if _meter:
        _add(_meter.spent["asked"], head, batch)


def _add(sums: Sums, head: str, batch: Batch) -> None:
    known = sums.setdefault(head, {})
    for name, value in _terms(batch).items():
        known[name] = known.get(name, 0) + value
    known["tokens"] = known.get("tokens", 0) + int(batch.mask.sum())


def _terms(batch: Batch) -> dict[str, int]:
    """Return what a batch adds to each term; of a packed one, what there is without padding."""
    sequences, length = batch.ids.shape
    shape = flops.Shape(sequences, length, batch.labels)
    found = {name: term(shape) for name, term in flops.TERMS.items()}
    if batch.packing:
        lengths = batch.packing.lengths
        found |= {"padded_tokens": sum(lengths), "attended": sum(length**2 for length in lengths)}
    return found


def tokens(spent: Spent, name: str = "tokens") -> int:
    """Return the pieces that were taught, or where nothing is taught, asked; `padded_tokens` with their padding."""
    return sum(known[name] for known in _main(spent).values())


def ledger(spent: Spent, network: Network, machine: Runtime) -> dict[str, Any] | None:
    """Return what a loop has cost, None where something is not measured; all None if sums of an earlier call are lost.

    flops: of the passes forward and, of training, backward with respect to activations and to weights; looks at
    development data apart. utilisation: the share of what the device could have done at most in these seconds.
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
        "utilisation": most and sum(counted.values()) / (max(spent["seconds"], 1e-9) * most[0]),
        "peak_memory_mib": spent["peak_memory_mib"],
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "trained_parameters": _trained(network) if spent["taught"] else 0,
    }


def _flops(network: Network, spent: Spent) -> dict[str, int]:
    learning = bool(spent["taught"])
    parts = [flops.spent(network, head, sums, learning) for head, sums in _main(spent).items()]
    looks = [flops.spent(network, head, sums, False) for head, sums in spent["asked"].items() if learning]
    found = {name: sum(part.get(name, 0) for part in parts) for name in flops.PARTS}
    return {**found, "looks": sum(look["forward"] for look in looks)}


def memory(device: torch.device) -> dict[str, int | None]:
    """Return the most memory in MiB: of the process since it began, and what torch has had on a GPU."""
    on_gpu = device.type == "cuda"
    return {
        "process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "allocated": torch.cuda.max_memory_allocated(device) // MIB if on_gpu else None,
        "reserved": torch.cuda.max_memory_reserved(device) // MIB if on_gpu else None,
    }


def device_name(machine: Runtime) -> str:
    """Return what the device calls itself: "NVIDIA H200", or only "cpu"."""
    device = machine.torch_device()
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _main(spent: Spent) -> Mapping[str, dict[str, int]]:
    found: Sums = spent["taught"] or spent["asked"]
    return found


def _trained(network: Network) -> int:
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def _most(one: int | None, other: int | None) -> int | None:
    return max((value for value in (one, other) if value is not None), default=None)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
