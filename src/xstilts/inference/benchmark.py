"""Inference: how fast each form of a checkpoint answers, in how much memory, and how far its logits are from fp32's.

For each batch size and length every form answers the same tokens, in turns, so that whatever else the machine does
falls on all of them alike; whoever begins changes from round to round. The first answer of each warms up and is
compared. Tokens are drawn at random: time does not depend on them, agreement with fp32 does, so that the figure is
about arithmetic, and of a task's data there is another.

    bench("work/train-xnli-seed1-…", None, ("fp32", "int8"), Load((1, 8), (32, 128)), Machine())
"""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xstilts.cost import ledger
from xstilts.errors import InputError
from xstilts.inference import backends, memory_footprint
from xstilts.inference.backends import Form, Loaded
from xstilts.inference.latency import ENOUGH, Timing, timing, turns, waiting
from xstilts.inference.memory_footprint import MIB, NOTHING, Figures
from xstilts.inference.parity import Parity, compare
from xstilts.models.heads import HEADLESS
from xstilts.runtime import progress
from xstilts.runtime.machine import Runtime
from xstilts.store import manifest

SEED = 1
INSTRUCTIONS = ("avx2", "avx512_f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
LIBRARIES = (*manifest.LIBRARIES, "onnx", "onnxruntime", "onnxscript")


@dataclass(frozen=True)
class Load:
    """What is asked: every batch size at every length, in so many rounds or until the seconds are spent."""

    batches: tuple[int, ...] = (1, 8, 32)
    lengths: tuple[int, ...] = (32, 128, 384)
    rounds: int = 100
    seconds: float = 120.0

    def __post_init__(self) -> None:
        if min((self.rounds, self.seconds, *self.batches, *self.lengths)) <= 0 or not (self.batches and self.lengths):
            raise InputError(f"nothing to measure in {self}; give batches, lengths, rounds and seconds above 0")

    @classmethod
    def of(cls, batches: str, lengths: str, rounds: int, seconds: float) -> Load:
        """Read numbers as they are typed, "1,8,32"."""
        try:
            sizes, pieces = (tuple(int(number) for number in text.split(",")) for text in (batches, lengths))
        except ValueError as error:
            raise InputError(
                f"cannot read --batch {batches} --length {lengths} ({error}); give numbers, 1,8,32"
            ) from None
        return cls(sizes, pieces, rounds, seconds)

    def shapes(self, longest: int) -> list[tuple[int, int]]:
        """Return (sequences, tokens) of all batches that an encoder takes, the smallest first."""
        every = {(batch, length) for batch in self.batches for length in self.lengths if length <= longest}
        return sorted(every, key=lambda shape: (shape[0] * shape[1], shape))


@dataclass(frozen=True)
class Standing:
    """What one form costs: its memory in MiB, None where that is not measured, and its likeness to fp32.

    missing: why the form is not possible here ("": it is).
    """

    variant: str
    says: str
    missing: str = ""
    weights_mib: float | None = None
    memory: Figures = field(default_factory=lambda: dict(NOTHING))
    likeness: Parity | None = None


@dataclass(frozen=True)
class Report:
    """All that was measured of a checkpoint; remarks: what was not, and why."""

    checkpoint: str
    format: str
    standings: tuple[Standing, ...]
    timings: tuple[Timing, ...]
    remarks: tuple[str, ...]
    machine: Mapping[str, Any]
    date: str


def bench(source: str | Path, format: str | None, names: Sequence[str], load: Load, machine: Runtime) -> Report:
    """Measure forms of a checkpoint; raises InputError where it or a name is wrong. A form that cannot be is listed.

    format: what the checkpoint's head is for, "bitext_retrieval" for none; None: as its configuration says.
    """
    rows = {name: backends.row(name) for name in names}
    with tempfile.TemporaryDirectory() as scratch:
        loaded = backends.load(source, format, machine.torch_device(), Path(scratch))
        shapes = load.shapes(loaded.longest)
        if not shapes:
            raise InputError(f"{source} takes {loaded.longest} tokens at most; give a smaller --length")
        forms, missing = made(rows, loaded)
        memory = {name: memory_footprint.measured(_asked(name, source, loaded, shapes[-1])) for name in forms}
        timings, likenesses = timed(forms, loaded, shapes, load)
    standings = [Standing(name, rows[name].says, reason) for name, reason in missing.items()]
    standings += [
        Standing(name, rows[name].says, "", one.weight_bytes / MIB, memory[name], likenesses.get(name))
        for name, one in forms.items()
    ]
    standings.sort(key=lambda standing: [*rows].index(standing.variant))
    said = tuple(remarks(load, loaded, shapes, timings))
    facts = described(machine)
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return Report(str(source), loaded.format, tuple(standings), tuple(timings), said, facts, date)


def made(names: Mapping[str, object], loaded: Loaded) -> tuple[dict[str, Form], dict[str, str]]:
    """Make each form; return those that are possible, and for the others the reason."""
    forms, missing = dict[str, Form](), dict[str, str]()
    for name in names:
        progress.note(f"making {name}")
        try:
            forms[name] = backends.form(name, loaded)
        except InputError as error:
            missing[name] = str(error)
    return forms, missing


def timed(
    forms: Mapping[str, Form], loaded: Loaded, shapes: Sequence[tuple[int, int]], load: Load
) -> tuple[list[Timing], dict[str, Parity]]:
    """Time and compare all forms at each shape, as many shapes as the seconds are expected to allow for, at least one.

    A shape gets an equal share of the seconds that are left, and one round at the least.
    """
    reference, wait = backends.form("fp32", loaded), waiting(loaded.device)
    timings, likenesses = list[Timing](), dict[str, Parity]()
    began, pace = time.perf_counter(), 0.0
    for number, (batch, length) in enumerate(shapes if forms else ()):
        left = load.seconds - (time.perf_counter() - began)
        if number and 2 * pace * batch * length > left:  # to warm up, and one round
            break
        progress.step("inference", number, len(shapes), f"{batch} x {length}")
        ids, mask = inputs(batch, length, loaded)
        started = time.perf_counter()
        expected = reference.ask(ids, mask)
        for name, form in forms.items():
            found = compare(form.ask(ids, mask), expected, mask, loaded.format)
            likenesses[name] = likenesses.get(name, Parity()).combined(found)
        calls = {name: _call(form, ids, mask) for name, form in forms.items()}
        rest = left / (len(shapes) - number) - (time.perf_counter() - started)
        seconds = turns(calls, load.rounds, rest, wait)
        timings += [timing(name, (batch, length), int(mask.sum()), taken) for name, taken in seconds.items()]
        pace = sum(float(np.median(taken)) for taken in seconds.values()) / (batch * length)
    progress.step("inference", len(shapes), len(shapes))
    return timings, likenesses


def inputs(batch: int, length: int, loaded: Loaded) -> tuple[Tensor, Tensor]:
    """Return ids and mask (batch, length) of random ordinary tokens.

    The last of several sequences is a token short, since a batch without padding may take a shorter way.
    """
    random = torch.Generator().manual_seed(SEED)
    ids = loaded.pieces[torch.randint(len(loaded.pieces), (batch, length), generator=random)]
    mask = torch.ones_like(ids)
    if batch > 1 and length > 1:
        mask[-1, -1] = 0
    return ids.to(loaded.device), mask.to(loaded.device)


def remarks(load: Load, loaded: Loaded, shapes: Sequence[tuple[int, int]], timings: Sequence[Timing]) -> Iterator[str]:
    """Yield what a reader must know beside the figures, and what is not among them."""
    too_long = [str(length) for length in load.lengths if length > loaded.longest]
    if too_long:
        yield f"not measured at length {', '.join(too_long)}: the encoder takes {loaded.longest} tokens at most"
    reached = {(one.batch, one.length) for one in timings}
    late = [f"{batch} x {length}" for batch, length in shapes if (batch, length) not in reached]
    if late and timings:
        yield f"not measured at {', '.join(late)}: more than is left of {load.seconds:g} seconds; raise --seconds"
    batch, length = shapes[-1]
    yield f"memory is that of a process alone which answers {batch} sequences of {length} tokens"
    if loaded.format == HEADLESS:
        yield "without a head: compared are the means of the final states, and there is no arg-max"
    if any(one.p99_ms is None for one in timings):
        yield f"no p99 of fewer than {ENOUGH} calls"
    yield "random tokens, not text: how far a form agrees with fp32 on a task is seen on the task's data"


def described(machine: Runtime) -> dict[str, Any]:
    """Return what the figures depend on: device, processor and what it can do, threads, versions of libraries."""
    able: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return {
        "device": ledger.device_name(machine),
        "processor": able.get("cpu_name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "instructions": [name for name in INSTRUCTIONS if able.get(name)],
        "system": platform.platform(),
        "libraries": {name: manifest.version(name) for name in LIBRARIES},
    }


def _call(form: Form, ids: Tensor, mask: Tensor) -> Callable[[], object]:
    return lambda: form.ask(ids, mask)


def _asked(name: str, source: str | Path, loaded: Loaded, shape: tuple[int, int]) -> memory_footprint.Asked:
    file = backends.row(name).file
    folder, path = str(backends.located(source)), str(loaded.scratch / file) if file else ""
    return memory_footprint.Asked(
        name, folder, loaded.format, str(loaded.device), torch.get_num_threads(), path, *shape
    )
