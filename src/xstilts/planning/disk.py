"""Disk: the bytes that the weights of models take, and the most at a time where they are dropped (`--keep`).

Weights are counted from configurations, without building anything: parameters by four bytes, once for the model and
once for each snapshot. Stages are taken in the order in which one worker builds them.

    of_stages(stages, machine).peaks["none"]  # bytes
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xstilts.models.configs import config_before
from xstilts.models.families import FAMILIES
from xstilts.runtime.machine import KEEP_ALL, KEEPS, Runtime
from xstilts.runtime.text import bytes_text, counted
from xstilts.store import names
from xstilts.store.stage import Stage
from xstilts.store.weights import droppable
from xstilts.training import memory

BYTES = 4  # of a weight on disk


@dataclass(frozen=True)
class Disk:
    """What the weights of models take on the disk.

    Attributes:
        models: How many models there are.
        unknown: Of how many of them the size is not known; they are not in the sums.
        peaks: The most bytes at a time, by what is kept.
        left: The bytes that stay, by what is kept.
    """

    models: int
    unknown: int
    peaks: Mapping[str, int]
    left: Mapping[str, int]

    def sentence(self) -> str:
        """Return all of it as a sentence; "" without models."""
        if not self.models:
            return ""
        more = "≥ " if self.unknown else ""
        most, end = ({keep: bytes_text(sums[keep]) for keep in KEEPS} for sums in (self.peaks, self.left))
        parts = [
            f"with --keep {keep} {more}{most[keep]} at a time and {end[keep]} at the end"
            for keep in KEEPS
            if keep != KEEP_ALL
        ]
        everything = f"{more}{most[KEEP_ALL]}"
        return f"weights of {counted(self.models, 'model')} to be made: {everything}; {'; '.join(parts)}"

    def to_json(self) -> dict[str, object]:
        """Return all of it as JSON."""
        return {"models": self.models, "unknown": self.unknown, "peaks": dict(self.peaks), "left": dict(self.left)}


def of_stages(todo: Sequence[Stage], machine: Runtime, every: Sequence[Stage] = ()) -> Disk:
    """Return the bytes of the weights that stages to be built take.

    Args:
        todo: The stages to be built, inputs first.
        machine: Names the store, in which encoders may be that are stages.
        every: All stages of the study; none: the same.

    Returns:
        What they take.
    """
    models = [stage for stage in todo if stage.work.name in names.MODELS]
    sizes = {stage.key: _bytes(stage, machine) for stage in models}
    peaks, left = {}, {}
    for keep in KEEPS:
        peaks[keep], left[keep] = _simulated(todo, every or todo, {key: size or 0 for key, size in sizes.items()}, keep)
    return Disk(len(models), sum(size is None for size in sizes.values()), peaks, left)


def _simulated(todo: Sequence[Stage], every: Sequence[Stage], sizes: Mapping[str, int], keep: str) -> tuple[int, int]:
    """Return the most bytes at a time and those at the end, if stages are built one by one."""
    dropped = {stage.key for stage in droppable(every, keep)} & sizes.keys()
    left: dict[str, set[str]] = {key: set() for key in dropped}
    for stage in todo:
        for part in stage.inputs:
            if part.key in left:
                left[part.key].add(stage.key)
    now = most = 0
    for stage in todo:
        now += sizes.get(stage.key, 0)
        most = max(most, now)
        for part in {item.key: item for item in (*stage.inputs, stage)}.values():
            if part.key in left:
                left[part.key].discard(stage.key)
                if not left[part.key]:
                    now -= sizes[part.key]
                    del left[part.key]
    return most, now


def _bytes(model: Stage, machine: Runtime) -> int | None:
    """Return the bytes of a model's weights with its snapshots; None where its configuration is not known."""
    config = config_before(model, machine)
    if config is None or config.model_type not in FAMILIES:
        return None
    key = config.to_json_string()
    if key not in _counts:
        _counts[key] = sum(parameter.numel() for parameter in memory.built(config).parameters())
    snapshots = getattr(model.arguments.get("recipe"), "snapshots", 0)
    return BYTES * _counts[key] * (1 + snapshots)


_counts: dict[str, int] = {}  # parameters by configuration


def in_order(stages: Sequence[Stage]) -> list[Stage]:
    """Return stages with their inputs in the order in which one worker builds them, inputs first.

    Args:
        stages: The stages.
    """
    order: dict[str, Stage] = {}

    def visit(stage: Stage) -> None:
        if stage.key not in order:
            for part in stage.inputs:
                visit(part)
            order[stage.key] = stage

    for stage in stages:
        visit(stage)
    return list(order.values())
