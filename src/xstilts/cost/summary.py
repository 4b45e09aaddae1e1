"""Cost summary: what finished stages have cost, one by one, by phase, and together.

It is read from the manifests alone. A stage without a ledger, built before there were any, is listed with what its
manifest says; the rest is not measured, and a sum of which a part was not measured is a lower bound, shown with "≥".
A training's manifest does not say whether it was an intermediate one or a target's: that belongs to the run that asked
for it. The roles are therefore handed in (`xstilts.experiments.run.training_roles`); a training that no run is given
for is in the phase "training".

>>> lines = [Line("data-xnli", "0a", "read", 1.0), Line("train-xnli", "0b", "target", 20.0, flops=3_000)]
>>> total(lines).seconds, total(lines).flops
(21.0, 3000)
>>> [line.label for line in by_phase(lines)]
['read', 'target']
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from xstilts.errors import InputError, refusing
from xstilts.runtime import whole_files
from xstilts.runtime.text import counted
from xstilts.store import names
from xstilts.store import query as stores
from xstilts.store.names import INTERMEDIATE, PRETRAINING, TARGET
from xstilts.store.query import Record

TRAINING = "training"  # of which no run says the role, or several say different ones
PHASES = ("read", PRETRAINING, TRAINING, INTERMEDIATE, TARGET, "predict", "score", "other")
STAGE_PHASES = {
    names.READ: "read",
    names.TOKENIZER: PRETRAINING,
    names.UNTRAINED: PRETRAINING,
    names.PREDICT: "predict",
    names.SCORE: "score",
}
LARGEST = ("memory_mib", "parameters", "trained_parameters")  # figures of which several stages have no sum


@dataclass(frozen=True)
class Line:
    """What one stage or several together cost; a figure that was not measured is None.

    Attributes:
        label: The stage's label, or the name of a sum.
        key: The stage's key; "" for a sum.
        phase: One of `PHASES`.
        seconds: Wall-clock seconds of the whole stage, those of killed calls included.
        loop_seconds: Seconds of its training or prediction loop; this and all that follows is 0 for a stage without.
        device_seconds: Processor seconds of all threads, or seconds of the GPU's stream.
        tokens: Tokens without padding.
        padded_tokens: Tokens with padding.
        flops: Floating-point operations.
        possible: Floating-point operations that the device could have done in the loop's seconds.
        memory_mib: Peak memory in MiB; of a sum the largest.
        parameters: Parameters of the network; of a sum the largest.
        trained_parameters: Parameters that are trained; of a sum the largest.
        joules: Energy.
        stages: How many stages the line is of.
        partial: Figures of which only a part was measured.
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
        """Tokens without padding by second of the loops."""
        return self.tokens / self.loop_seconds if self.tokens and self.loop_seconds else None

    @property
    def utilisation(self) -> float | None:
        """Model-FLOPs utilisation: the share of what the devices could have done; None for a partial sum."""
        complete = not {"flops", "possible"} & set(self.partial)
        return self.flops / self.possible if complete and self.flops and self.possible else None


FIGURES = tuple(item.name for item in fields(Line) if item.name not in ("label", "key", "phase", "stages", "partial"))


def entries(store: Path, keys: Sequence[str] = (), roles: Mapping[str, str] | None = None) -> list[Line]:
    """Return the cost of each finished stage of a store, by phase and label.

    Args:
        store: The folder of the stages.
        keys: Keys, or beginnings of keys: only these stages and their transitive inputs. None: all of the store.
        roles: The role of trainings by key, from the runs that asked for them. Trainings that are not among them are in
            the phase "training".

    Returns:
        The lines, sorted by phase and label.

    Raises:
        InputError: There is no finished stage, or none of such a key.
    """
    records = stores.by_key(store)
    if not records:
        raise InputError(f"no finished stage in {store}: name the folder that --store named when they were built")
    resolved = [key if key in records else stores.find(store, key)[1]["key"] for key in keys]
    chosen = closure(records, resolved) if keys else records
    lines = [_line(records[key], _phase(records[key], roles or {})) for key in chosen]
    return sorted(lines, key=lambda line: (PHASES.index(line.phase), line.label, line.key))


def behind(records: Mapping[str, Record], keys: Iterable[str]) -> list[Line]:
    """Return the costs of some stages and their transitive inputs, to be summed.

    Args:
        records: The records (`stage.json`) of a store by key.
        keys: Keys of stages; those that are not in the store are left out.

    Returns:
        A line for each stage; their phase has no meaning.
    """
    return [_line(records[key], "other") for key in closure(records, keys)]


def closure(records: Mapping[str, Record], keys: Iterable[str]) -> list[str]:
    """Return some stages and their transitive inputs.

    Args:
        records: The records (`stage.json`) of a store by key.
        keys: Keys of stages; those that are not in the store are left out.

    Returns:
        Keys, each once.
    """
    closed: dict[str, None] = {}
    stack = list(keys)
    while stack:
        key = stack.pop()
        if key in records and key not in closed:
            closed[key] = None
            stack += records[key]["inputs"]
    return list(closed)


def merged_roles(roles: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return one role for each training that runs have in common.

    Args:
        roles: Pairs of a training's key and its role in one run: "pretraining", "intermediate" or "target".

    Returns:
        The role by key. A run's own phases come before those of a run that only continues from its model, for which
        they are pretraining. A training that is intermediate in one run and the target's in another is a "training".

    >>> merged_roles([("0a", "target"), ("0a", "pretraining"), ("0b", "target"), ("0b", "intermediate")])
    {'0a': 'target', '0b': 'training'}
    """
    by_key: dict[str, set[str]] = {}
    for key, role in roles:
        by_key.setdefault(key, set()).add(role)
    return {key: _merged(of_key) for key, of_key in by_key.items()}


def _merged(roles: set[str]) -> str:
    own = roles - {PRETRAINING} or roles
    return next(iter(own)) if len(own) == 1 else TRAINING


def total(lines: Sequence[Line], label: str = "total") -> Line:
    """Sum lines into one.

    Args:
        lines: Lines of stages.
        label: The label of the sum.

    Returns:
        The sums; of memory and numbers of parameters the largest. Figures that some lines lack are named in `partial`.
    """
    figures: dict[str, Any] = {}
    partial: list[str] = []
    for name in FIGURES:
        values = [getattr(line, name) for line in lines]
        measured = [value for value in values if value is not None]
        figure = max(measured, default=0) if name in LARGEST else sum(measured)
        complete = len(measured) == len(values)
        figures[name] = figure if complete or figure else None
        partial += [] if complete or not figure else [name]
    return Line(label, "", label, **figures, stages=len(lines), partial=tuple(partial))


def by_phase(lines: Sequence[Line]) -> list[Line]:
    """Sum lines by phase.

    Args:
        lines: Lines of stages.

    Returns:
        A line for each phase that has stages, in the order of `PHASES`.
    """
    groups = {phase: [line for line in lines if line.phase == phase] for phase in PHASES}
    return [total(group, phase) for phase, group in groups.items() if group]


def save(lines: Sequence[Line], path: Path) -> None:
    """Write lines, their sums by phase and their total as JSON; figures that were not measured are null.

    Args:
        lines: Lines of stages.
        path: The file to write.
    """
    whole_files.write(path, json.dumps(to_json(lines), indent=1, ensure_ascii=False) + "\n")


def to_json(lines: Sequence[Line]) -> dict[str, object]:
    """Return lines, their sums by phase and their total as the values of a JSON file.

    Args:
        lines: Lines of stages.

    Returns:
        `phases`, `stages` and `total`; figures that were not measured are None.
    """
    parts = {"phases": by_phase(lines), "stages": lines}
    values = {name: [_as_json(line) for line in part] for name, part in parts.items()}
    return {**values, "total": _as_json(total(lines))}


def summary(lines: Sequence[Line]) -> str:
    """Return the total cost in one sentence.

    Args:
        lines: Lines of stages.

    Returns:
        Their number, seconds, FLOPs and peak memory.
    """
    sum_of_all = total(lines)
    figures = {name: cell(sum_of_all, name) for name in ("seconds", "flops", "memory_mib")}
    return (
        f"cost of the {counted(sum_of_all.stages, 'stage')} behind this table: {figures['seconds']} seconds, "
        f"FLOPs {figures['flops']}, peak memory in MiB {figures['memory_mib']}"
    )


def cell(line: Line, name: str) -> str:
    """Return a figure as a table shows it.

    Args:
        line: The line.
        name: The name of a figure, a field of `Line`.

    Returns:
        The number; "-" where there is nothing to measure, "not measured", or "≥ " before a lower bound.
    """
    value = getattr(line, name)
    if not value:
        return "not measured" if value is None and line.loop_seconds != 0 else "-"
    sign = "≥ " if name in line.partial else ""
    return sign + FORMATS.get(name, "{:,.0f}").format(value)


TENTHS = dict.fromkeys(("seconds", "loop_seconds", "device_seconds"), "{:,.1f}")
FORMATS = {**TENTHS, "flops": "{:.3e}", "utilisation": "{:.1%}"}


def _phase(record: Record, roles: Mapping[str, str]) -> str:
    if record["work"] == names.TRAIN:
        return roles.get(record["key"], TRAINING)
    return STAGE_PHASES.get(record["work"], "other")


def _line(record: Record, phase: str) -> Line:
    memory = record.get("process_peak_memory_mib")
    line = Line(record["label"], record["key"], phase, record["seconds"], memory_mib=memory)
    if record["work"] not in (names.TRAIN, names.PREDICT):
        return line
    ledger, remedy = record["record"].get("cost"), "delete the stage's folder, and it is built again"
    with refusing(lambda: f"stage.json of {record['label']}-{record['key']}", remedy):
        return _measured(line, ledger) if ledger else _unmeasured(line, record["record"])


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


def _unmeasured(line: Line, record: Mapping[str, Any]) -> Line:
    """Return a line with what the manifest of a stage without a ledger says."""
    return replace(
        line,
        loop_seconds=record.get("train_seconds"),
        device_seconds=None,
        tokens=record.get("tokens"),
        padded_tokens=record.get("padded_tokens"),
        flops=None,
        possible=None,
        parameters=record.get("parameters"),
        trained_parameters=record.get("trained_parameters"),
        joules=None,
    )


def _as_json(line: Line) -> dict[str, Any]:
    return asdict(line) | {"tokens_per_second": line.tokens_per_second, "utilisation": line.utilisation}
