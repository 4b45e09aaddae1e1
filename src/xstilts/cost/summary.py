"""Bill: what finished stages have cost, one by one, by phase, and together.

It is read from the records alone. A stage without a ledger, because it was built before there were any, is in the bill
with what its record says; the rest was not measured. A sum of which a part was not measured says so: it is "≥".

    lines = entries(Path("work"))
    total(lines).flops
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from xstilts.errors import InputError
from xstilts.store import names
from xstilts.store import query as stores
from xstilts.store.query import Record

PHASES = ("read", "pretrain", "intermediate", "target", "predict", "score", "other")
WORKS = {
    names.READ: "read",
    names.TOKENIZER: "pretrain",
    names.UNTRAINED: "pretrain",
    names.PREDICT: "predict",
    names.SCORE: "score",
}
# Formats that ask any encoder, whatever it was trained on last.
WITHOUT_TRAINING = {"masked_lm", "bitext_retrieval", "bitext_mining"}
LARGEST = ("memory_mib", "parameters", "trained_parameters")  # figures of which several stages have no sum


@dataclass(frozen=True)
class Line:
    """What one stage or several together cost; a figure that was not measured is None.

    seconds: of the whole stage. loop_seconds and all that follows: of its loop, 0 where a stage has none. possible:
    the FLOPs that the device could have done in that time. partial: figures of which only a part was measured.
    """

    label: str
    key: str
    phase: str
    seconds: float
    loop_seconds: float | None = 0.0
    device_seconds: float | None = 0.0
    tokens: int | None = 0
    padded_tokens: int | None = 0
    flops: int | None = 0
    possible: float | None = 0.0
    memory_mib: int | None = None
    parameters: int | None = 0
    trained_parameters: int | None = 0
    joules: float | None = 0.0
    stages: int = 1
    partial: tuple[str, ...] = field(default=(), repr=False)

    @property
    def folder(self) -> str:
        """The folder of a stage, or the name of a sum."""
        return f"{self.label}-{self.key}" if self.key else self.label

    @property
    def tokens_per_second(self) -> float | None:
        """Useful pieces by second of the loops."""
        return self.tokens / self.loop_seconds if self.tokens and self.loop_seconds else None

    @property
    def utilisation(self) -> float | None:
        """Model-FLOPs utilisation: the share of what the devices could have done; None for a partial sum."""
        whole = not {"flops", "possible"} & set(self.partial)
        return self.flops / self.possible if whole and self.flops and self.possible else None


FIGURES = tuple(one.name for one in fields(Line) if one.name not in ("label", "key", "phase", "stages", "partial"))


def entries(store: Path, keys: Sequence[str] = ()) -> list[Line]:
    """Return a line for each finished stage of a store; with keys, for these stages and all that they are made of."""
    every = stores.by_key(store)
    if not every:
        raise InputError(f"no finished stage in {store}: name the folder that --store named when they were built")
    named = [key if key in every else stores.find(store, key)[1]["key"] for key in keys]
    chosen = closure(every, named) if keys else every
    phases = _phases(every)
    lines = [_line(every[key], phases[key]) for key in chosen]
    return sorted(lines, key=lambda line: (PHASES.index(line.phase), line.label, line.key))


def behind(every: Mapping[str, Record], keys: Iterable[str]) -> list[Line]:
    """Return a line for each of these stages and all that they are made of, for a sum: of what phase is not told."""
    return [_line(every[key], "other") for key in closure(every, keys)]


def closure(every: Mapping[str, Record], keys: Iterable[str]) -> list[str]:
    """Return stages and all that they are made of, each once, as far as they are there."""
    found: dict[str, None] = {}
    stack = list(keys)
    while stack:
        key = stack.pop()
        if key in every and key not in found:
            found[key] = None
            stack += every[key]["inputs"]
    return list(found)


def total(lines: Sequence[Line], label: str = "total") -> Line:
    """Return several lines as one: sums, and of memory and parameters the largest."""
    figures: dict[str, Any] = {}
    partial: list[str] = []
    for name in FIGURES:
        values = [getattr(line, name) for line in lines]
        known = [value for value in values if value is not None]
        found = max(known, default=0) if name in LARGEST else sum(known)
        whole = len(known) == len(values)
        figures[name] = found if whole or found else None
        partial += [] if whole or not found else [name]
    return Line(label, "", label, **figures, stages=len(lines), partial=tuple(partial))


def by_phase(lines: Sequence[Line]) -> list[Line]:
    """Return the sum of each phase that there is, in the order of phases."""
    groups = {phase: [line for line in lines if line.phase == phase] for phase in PHASES}
    return [total(group, phase) for phase, group in groups.items() if group]


def save(lines: Sequence[Line], path: Path) -> None:
    """Write sums by phase, stages and their total as JSON; what was not measured is null."""
    parts = {"phases": by_phase(lines), "stages": lines}
    plain = {name: [_plain(line) for line in part] for name, part in parts.items()} | {"total": _plain(total(lines))}
    path.write_text(json.dumps(plain, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def summary(lines: Sequence[Line]) -> str:
    """Return the total cost in a line."""
    sum_of = total(lines)
    figures = {name: cell(sum_of, name) for name in ("seconds", "flops", "memory_mib")}
    return (
        f"cost of the {sum_of.stages} stages behind this table: {figures['seconds']} seconds, "
        f"FLOPs {figures['flops']}, peak memory in MiB {figures['memory_mib']}"
    )


def cell(line: Line, name: str) -> str:
    """Return a figure for people: "-" where there is nothing to measure, "≥" before what is partly measured."""
    value = getattr(line, name)
    if not value:
        return "not measured" if value is None and line.loop_seconds != 0 else "-"
    sign = "≥ " if name in line.partial else ""
    return sign + FORMATS.get(name, "{:,.0f}").format(value)


TENTHS = dict.fromkeys(("seconds", "loop_seconds", "device_seconds"), "{:,.1f}")
FORMATS = {**TENTHS, "flops": "{:.3e}", "utilisation": "{:.1%}"}


def _line(record: Record, phase: str) -> Line:
    memory = record.get("process_peak_memory_mib")
    plain = Line(record["label"], record["key"], phase, record["seconds"], memory_mib=memory)
    if record["work"] not in (names.TRAIN, names.PREDICT):
        return plain
    ledger = record["record"].get("cost")
    return _measured(plain, ledger) if ledger else _unmeasured(plain, record["record"])


def _measured(line: Line, ledger: Mapping[str, Any]) -> Line:
    most, peaks = ledger["peak_flops_per_second"], ledger["peak_memory_mib"]
    return replace(
        line,
        seconds=line.seconds + ledger["earlier_seconds"],
        loop_seconds=ledger["seconds"],
        device_seconds=ledger["device_seconds"],
        tokens=ledger["tokens"],
        padded_tokens=ledger["padded_tokens"],
        flops=sum(ledger["flops"].values()),
        possible=most and most * ledger["seconds"],
        memory_mib=peaks["reserved"] or peaks["process"],
        parameters=ledger["parameters"],
        trained_parameters=ledger["trained_parameters"],
        joules=ledger["joules"],
    )


def _unmeasured(line: Line, known: Mapping[str, Any]) -> Line:
    """Return what the record of an older stage knows."""
    return replace(
        line,
        loop_seconds=known.get("train_seconds"),
        device_seconds=None,
        tokens=known.get("tokens"),
        padded_tokens=known.get("padded_tokens"),
        flops=None,
        possible=None,
        parameters=known.get("parameters"),
        trained_parameters=known.get("trained_parameters"),
        joules=None,
    )


def _phases(every: Mapping[str, Record]) -> dict[str, str]:
    """Return the phase of each stage, a training's by what it began from and what became of it."""
    begun = {_model(record, "encoder") for record in every.values() if record["work"] == names.TRAIN}
    asked: dict[str | None, set[str]] = {}
    for record in every.values():
        if record["work"] == names.PREDICT:
            asked.setdefault(_model(record, "model"), set()).add(
                names.format_from_key(record["arguments"]["kind_name"])
            )
    return {
        key: _role(record, every, key in begun, asked.get(key, set()))
        if record["work"] == names.TRAIN
        else WORKS.get(record["work"], "other")
        for key, record in every.items()
    }


def _role(record: Record, every: Mapping[str, Record], goes_on: bool, asked: set[str]) -> str:
    source = every.get(_model(record, "encoder") or "", {})
    if source.get("work") == names.UNTRAINED:
        return "pretrain"
    return "intermediate" if goes_on or (asked and asked <= WITHOUT_TRAINING) else "target"


def _model(record: Record, name: str) -> str | None:
    """Return the key of the stage that a record's model came from; None where it was a public encoder."""
    key: str | None = record["arguments"][name].get("stage")
    return key


def _plain(line: Line) -> dict[str, Any]:
    return asdict(line) | {"tokens_per_second": line.tokens_per_second, "utilisation": line.utilisation}
