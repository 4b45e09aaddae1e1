"""Inference benchmark: latency, throughput and memory of each form of a checkpoint, and how far its logits differ.

For each batch size and length every form gets the same tokens, in turns (`latency`). The first call of each warms up
and is compared with fp32. Tokens are drawn at random: time does not depend on them, but agreement with fp32 does: it
measures the arithmetic, and is another on a task's data.

    bench("work/train-xnli-seed1-…", None, ("fp32", "int8"), Load((1, 8), (32, 128)), Runtime())
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
from xstilts.inference.latency import ENOUGH, Timing, interleave, synchronizer, timing
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
    """What is measured: every batch size at every length.

    Args:
        batches: Sequences of a batch.
        lengths: Tokens of a sequence.
        rounds: Most calls of each form at each shape.
        seconds: Of the whole benchmark, about.

    Raises:
        InputError: One of them is not above 0.
    """

    batches: tuple[int, ...] = (1, 8, 32)
    lengths: tuple[int, ...] = (32, 128, 384)
    rounds: int = 100
    seconds: float = 120.0

    def __post_init__(self) -> None:
        if min((self.rounds, self.seconds, *self.batches, *self.lengths)) <= 0 or not (self.batches and self.lengths):
            raise InputError(f"nothing to measure in {self}; give batches, lengths, rounds and seconds above 0")

    @classmethod
    def of(cls, batches: str, lengths: str, rounds: int, seconds: float) -> Load:
        """Parse numbers as they are typed, "1,8,32"; InputError where they are none."""
        try:
            sizes, tokens = (tuple(int(number) for number in text.split(",")) for text in (batches, lengths))
        except ValueError as error:
            raise InputError(
                f"cannot read --batch {batches} --length {lengths} ({error}); give numbers, 1,8,32"
            ) from None
        return cls(sizes, tokens, rounds, seconds)

    def shapes(self, longest: int) -> list[tuple[int, int]]:
        """Return the shapes (sequences, tokens) that an encoder of `longest` positions takes, the smallest first."""
        every = {(batch, length) for batch in self.batches for length in self.lengths if length <= longest}
        return sorted(every, key=lambda shape: (shape[0] * shape[1], shape))


@dataclass(frozen=True)
class Standing:
    """Memory and parity of one form.

    Args:
        variant: The form.
        says: What it is, in words.
        missing: Why it is not possible here; "": it is.
        weights_mib: Of its weights.
        memory: Of a process that serves it.
        likeness: Its parity with fp32.
    """

    variant: str
    says: str
    missing: str = ""
    weights_mib: float | None = None
    memory: Figures = field(default_factory=lambda: dict(NOTHING))
    likeness: Parity | None = None


@dataclass(frozen=True)
class Report:
    """A benchmark of a checkpoint.

    Args:
        checkpoint: As it was given.
        format: Of its head.
        standings: Memory and parity by form.
        timings: By form and shape.
        remarks: What was not measured, and why.
        machine: Device, processor, threads, versions.
        date: UTC.
    """

    checkpoint: str
    format: str
    standings: tuple[Standing, ...]
    timings: tuple[Timing, ...]
    remarks: tuple[str, ...]
    machine: Mapping[str, Any]
    date: str


def bench(source: str | Path, format: str | None, names: Sequence[str], load: Load, machine: Runtime) -> Report:
    """Measure forms of a checkpoint. A form that is not possible here is listed with the reason.

    Args:
        source: A checkpoint's folder, that of a training, or "sandbox".
        format: The task format of its head, "bitext_retrieval" for none; None: as its configuration says.
        names: Of the forms, keys of `backends.VARIANTS`.
        load: Batch sizes, lengths and time.
        machine: Device and threads.

    Raises:
        InputError: The checkpoint or a name is wrong, or the encoder takes none of the lengths.
    """
    rows = {name: backends.row(name) for name in names}
    with tempfile.TemporaryDirectory() as scratch:
        loaded = backends.load(source, format, machine.torch_device(), Path(scratch))
        shapes = load.shapes(loaded.longest)
        if not shapes:
            raise InputError(f"{source} takes {loaded.longest} tokens at most; give a smaller --length")
        forms, missing = made(rows, loaded)
        memory = {name: memory_footprint.measured(_memory_request(name, source, loaded, shapes[-1])) for name in forms}
        timings, likenesses = timed(forms, loaded, shapes, load)
    standings = [Standing(name, rows[name].says, reason) for name, reason in missing.items()]
    standings += [
        Standing(name, rows[name].says, "", one.weight_bytes / MIB, memory[name], likenesses.get(name))
        for name, one in forms.items()
    ]
    standings.sort(key=lambda standing: [*rows].index(standing.variant))
    notes = tuple(remarks(load, loaded, shapes, timings))
    facts = described(machine)
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return Report(str(source), loaded.format, tuple(standings), tuple(timings), notes, facts, date)


def made(names: Mapping[str, object], loaded: Loaded) -> tuple[dict[str, Form], dict[str, str]]:
    """Make each form; return those that are possible, and the reason for each of the others."""
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
    """Time and compare all forms at each shape, as long as the seconds are expected to suffice, at least at one.

    A shape gets an equal share of the seconds that are left, and at least one round.

    Args:
        forms: By name.
        loaded: The checkpoint.
        shapes: (sequences, tokens), the smallest first.
        load: Rounds and seconds.

    Returns:
        Timings by form and shape, and the parity of each form with fp32.
    """
    reference, wait = backends.form("fp32", loaded), synchronizer(loaded.device)
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
        seconds = interleave(calls, load.rounds, rest, wait)
        timings += [timing(name, (batch, length), int(mask.sum()), taken) for name, taken in seconds.items()]
        pace = sum(float(np.median(taken)) for taken in seconds.values()) / (batch * length)
    progress.step("inference", len(shapes), len(shapes))
    return timings, likenesses


def inputs(batch: int, length: int, loaded: Loaded) -> tuple[Tensor, Tensor]:
    """Return ids and mask (batch, length) of random ordinary tokens.

    The last of several sequences is one token short, as a batch without padding may be computed differently.
    """
    random = torch.Generator().manual_seed(SEED)
    ids = loaded.token_ids[torch.randint(len(loaded.token_ids), (batch, length), generator=random)]
    mask = torch.ones_like(ids)
    if batch > 1 and length > 1:
        mask[-1, -1] = 0
    return ids.to(loaded.device), mask.to(loaded.device)


def remarks(load: Load, loaded: Loaded, shapes: Sequence[tuple[int, int]], timings: Sequence[Timing]) -> Iterator[str]:
    """Yield notes on the figures, and what was not measured."""
    too_long = [str(length) for length in load.lengths if length > loaded.longest]
    if too_long:
        yield f"not measured at length {', '.join(too_long)}: the encoder takes {loaded.longest} tokens at most"
    reached = {(one.batch, one.length) for one in timings}
    late = [f"{batch} x {length}" for batch, length in shapes if (batch, length) not in reached]
    if late and timings:
        yield f"not measured at {', '.join(late)}: more than is left of {load.seconds:g} seconds; raise --seconds"
    batch, length = shapes[-1]
    yield f"memory is that of a process of its own that serves {batch} sequences of {length} tokens"
    if loaded.format == HEADLESS:
        yield "without a head: compared are the means of the final states, and there is no arg-max"
    if any(one.p99_ms is None for one in timings):
        yield f"no p99 of fewer than {ENOUGH} calls"
    yield "random tokens, not text: how far a form agrees with fp32 on a task is seen on the task's data"


def described(machine: Runtime) -> dict[str, Any]:
    """Return what the figures depend on: device, processor and its instructions, threads, library versions."""
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


def _memory_request(
    name: str, source: str | Path, loaded: Loaded, shape: tuple[int, int]
) -> memory_footprint.MemoryRequest:
    file = backends.row(name).file
    folder, path = str(backends.located(source)), str(loaded.scratch / file) if file else ""
    return memory_footprint.MemoryRequest(
        name, folder, loaded.format, str(loaded.device), torch.get_num_threads(), path, *shape
    )
