"""Render: a forecast as tables for the terminal and as JSON: arms, configurations with their memory, assumptions.

What the claims of a study could detect (`power`) is a table of its own.

for part in parts(forecast(study, Gpu(), Runtime())):
    console.print(part)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table as RichTable

from xstilts.claims.claim import LEVEL
from xstilts.models.naming import name_of
from xstilts.planning import dataset_sizes, memory_fit
from xstilts.planning.dataset_sizes import Size
from xstilts.planning.forecast import Forecast, Gpu, Line, Plan, Sum
from xstilts.planning.power import ClaimPower
from xstilts.training.memory import GIB

EXA = 1e18
ARMS = (
    "arm",
    "encoder",
    "runs",
    "trainings, naive",
    "trainings, shared",
    "EFLOP, naive",
    "EFLOP, shared",
    "of that, predictions",
    "GPU-hours, naive",
    "GPU-hours, shared",
    "most GiB",
    "fits",
)
LINES = (
    "encoder",
    "trained on",
    "trainable",
    "optimizer",
    "batch",
    "length",
    "trainings, naive",
    "trainings, shared",
    "EFLOP each",
    "GPU-hours each",
    "GPU-hours, shared",
    "GiB",
    "fits",
)
POWERS = (
    "claim",
    "holds if the interval is",
    "seeds or sizes",
    "significance level",
    "detectable difference",
    "enough for the margin",
    "source of variances",
)
SIZES = ("task", "split", "examples", "sequences each", "tokens a sequence", "from")


def parts(forecast: Forecast) -> Iterator[RichTable | str]:
    """Render a forecast for the terminal.

    Args:
        forecast: The forecast.

    Yields:
        Tables, and the lines between them.
    """
    gpu = forecast.gpu
    yield _table(
        f"what it takes on one {gpu.name}", ARMS, [_of_sum(part, forecast) for part in (*forecast.arms, forecast.total)]
    )
    yield from _remarks(forecast)
    yield _table("trainings by configuration", LINES, [_of_line(line, gpu) for line in forecast.lines])
    yield from _misfits(forecast)
    yield _table("sizes of the data", SIZES, _of_sizes(forecast.sizes))
    yield from (f"  {line}" for line in notes(gpu))


def power_parts(planned: Sequence[ClaimPower], notes: Sequence[str]) -> Iterator[RichTable | str]:
    """Render what the claims of a study could detect.

    Args:
        planned: An entry for each tested claim.
        notes: What the figures rest on (`power.notes`).

    Yields:
        A table, and the lines below it; nothing for a study that tests no claim.
    """
    if planned:
        yield _table("what the claims can detect with 80 % power", POWERS, [_of_claim(entry) for entry in planned])
        yield from (f"  {line}" for line in notes)


def _of_claim(entry: ClaimPower) -> list[str]:
    claim = entry.claim
    known = not math.isnan(entry.detectable)
    return [
        f"{claim.sentence}{' (answers the question)' if claim.answers else ''}",
        claim.condition,
        f"{entry.replicates}",
        f"{(1 - LEVEL) * entry.share:.3f}",
        f"{entry.detectable:.2f} {claim.unit}" if known else "not known",
        "" if claim.expectation != "equivalent" or not known else "no" if entry.too_weak else "yes",
        entry.source,
    ]


def notes(gpu: Gpu) -> tuple[str, ...]:
    """Return the assumptions of a forecast.

    Args:
        gpu: The GPU that it is for.

    Returns:
        Sentences.
    """
    peak, source = gpu.peak
    return (
        f"GPU-hours assume {gpu.utilisation:.0%} (--utilisation) of the peak of {peak / 1e12:,.0f} TFLOP/s in bf16 "
        f"({source}); small encoders on short texts reach less",
        "naive: each run makes all its trainings and predictions; shared: equal ones are made once, in the last row "
        "also across arms",
        "FLOPs are those of forward and backward passes of what is trained, of predictions in every language and of "
        "evaluations on development data, without padding and without recomputed activations",
        "memory is that of the largest forward and backward pass, with all rows of the embeddings trained, on a device "
        f"of {gpu.gib:g} GiB (--memory)",
        "sizes that are not measured are those of the table in dataset_sizes.py; measured lengths are of "
        f"{dataset_sizes.MEASURED:,} examples at most",
    )


def to_json(forecast: Forecast) -> dict[str, Any]:
    """Return a forecast as JSON.

    Args:
        forecast: The forecast.

    Returns:
        The content of the file that `--json` writes.
    """
    return {
        "gpu": asdict(forecast.gpu),
        "arms": [_sum_json(part, forecast.gpu) for part in forecast.arms],
        "total": _sum_json(forecast.total, forecast.gpu),
        "configurations": [_line_json(line, forecast.gpu) for line in forecast.lines],
        "sizes": [asdict(size) for size in forecast.sizes],
        "held_out": list(forecast.held_out),
        "trials": forecast.trials,
        "repeats": forecast.repeats,
        "disk": forecast.disk.to_json() if forecast.disk else None,
        "notes": list(notes(forecast.gpu)),
    }


def _of_sum(part: Sum, forecast: Forecast) -> list[str]:
    gpu = forecast.gpu
    lines = [line for line in forecast.lines if line.configuration in part.configurations]
    needs = [line.memory.total for line in lines if line.memory]
    misfits = sum(line.fits is False for line in lines)
    fits = "not known" if not needs else "yes" if not misfits else f"{misfits} of {len(lines)} do not"
    return [
        part.label,
        part.encoder,
        f"{part.runs:,}",
        f"{part.naive.trainings:,}",
        f"{part.shared.trainings:,}",
        _exa(part.naive, part.naive.flops),
        _exa(part.shared, part.shared.flops),
        _exa(part.shared, part.shared.predicted.flops),
        _hours(part.naive, gpu),
        _hours(part.shared, gpu),
        f"{max(needs) / GIB:,.1f}" if needs else "not known",
        fits,
    ]


def _of_line(line: Line, gpu: Gpu) -> list[str]:
    planned, per_training = line.configuration, line.each
    recipe = planned.recipe
    hours = gpu.hours(per_training.flops) if per_training else None
    return [
        name_of(planned.encoder),
        planned.tasks,
        recipe.trainable,
        recipe.optimizer,
        str(recipe.batch_size),
        str(recipe.max_length),
        f"{line.naive:,}",
        f"{line.shared:,}",
        f"{per_training.flops / EXA:.3g}" if per_training else "not known",
        "not known" if hours is None else f"{hours:,.3g}",
        "not known" if hours is None else f"{hours * line.shared:,.3g}",
        f"{line.memory.total / GIB:,.1f}" if line.memory else "not known",
        _fits(line),
    ]


def _fits(line: Line) -> str:
    """Return on how many GPUs a training fits, in words."""
    if line.fits is None:
        return "not known"
    return "yes" if line.fits else f"NO; sharded over {line.shards.gpus}" if line.shards else "NO"


def _of_sizes(sizes: tuple[Size, ...]) -> list[list[str]]:
    """Return a row for each task and split, languages that differ taken together."""
    rows: dict[tuple[str, ...], list[Size]] = {}
    for size in sizes:
        rows.setdefault((size.task, size.split, size.source), []).append(size)
    return [
        [
            name,
            split,
            _span([size.examples for size in group]),
            _span([size.sequences for size in group]),
            _span([size.tokens for size in group]),
            source,
        ]
        for (name, split, source), group in rows.items()
    ]


def _span(values: list[float | None]) -> str:
    distinct = sorted({round(value, 2) for value in values if value is not None})
    if not distinct:
        return "not known"
    return f"{distinct[0]:,g}" if len(distinct) == 1 else f"{distinct[0]:,g} to {distinct[-1]:,g}"


def _remarks(forecast: Forecast) -> Iterator[str]:
    if forecast.total.shared.unknown:
        count = f"{forecast.total.shared.unknown:,} trainings and predictions"
        yield f"  ≥: the cost of {count} is not known and not in the sums"
    for encoder, why in dict.fromkeys((name_of(line.configuration.encoder), line.why) for line in forecast.lines):
        if why:
            yield f"  not known of {encoder}: {why}"
    disk = forecast.disk.sentence() if forecast.disk else ""
    sentences = (*forecast.held_out, forecast.trials, forecast.repeats, disk)
    yield from (f"  {sentence}" for sentence in sentences if sentence)


def _misfits(forecast: Forecast) -> Iterator[str]:
    """Yield what does not fit, with a remedy; tasks of which the same is true are in one line."""
    groups: dict[tuple[str, str, str, memory_fit.Shards | None], list[str]] = {}
    for line in forecast.lines:
        if line.fits is False:
            planned = line.configuration
            setting = f"trainable={planned.recipe.trainable}, optimizer={planned.recipe.optimizer}"
            group = name_of(planned.encoder), setting, line.remedy, line.shards
            groups.setdefault(group, []).append(planned.tasks)
    device = f"{forecast.gpu.gib:g} GiB ({forecast.gpu.name})"
    for (encoder, setting, remedy, shards), tasks in groups.items():
        way = memory_fit.advice(remedy, shards)
        yield f"  does not fit in {device}: {encoder}, {setting}, {', '.join(dict.fromkeys(tasks))}; {way}"


def _exa(plan: Plan, count: float) -> str:
    return f"{'≥ ' if plan.unknown else ''}{count / EXA:,.3g}"


def _hours(plan: Plan, gpu: Gpu) -> str:
    return f"{'≥ ' if plan.unknown else ''}{gpu.hours(plan.flops):,.3g}"


class _Table(RichTable):
    """A table that is turned, a column for each row, where a terminal is too narrow for its words."""

    columns_of: tuple[str, ...] = ()
    rows_of: tuple[list[str], ...] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if _width((self.columns_of, *self.rows_of)) <= options.max_width:
            yield from super().__rich_console__(console, options)
            return
        rest = list(self.rows_of)
        while rest:
            shown = [rest.pop(0)]
            while rest and _width(tuple(zip(self.columns_of, *shown, rest[0], strict=True))) <= options.max_width:
                shown.append(rest.pop(0))
            turned = RichTable(title=self.title, title_justify="left", show_header=False)
            turned.add_column(overflow="fold")
            for _ in shown:
                turned.add_column(justify="right", overflow="fold")
            for cells in zip(self.columns_of, *shown, strict=True):
                turned.add_row(*cells)
            yield from turned.__rich_console__(console, options)


def _width(rows: tuple[Sequence[str], ...]) -> int:
    """Return how wide a table is when no word is broken."""
    words = ([len(word) for cell in column for word in cell.split()] for column in zip(*rows, strict=True))
    return 1 + sum(3 + max(lengths, default=0) for lengths in words)


def _table(title: str, columns: tuple[str, ...], rows: list[list[str]]) -> RichTable:
    table = _Table(title=title, title_justify="left")
    table.columns_of, table.rows_of = columns, tuple(rows)
    for number, column in enumerate(columns):
        words = not any(cell[:1].isdigit() for cell in (row[number] for row in rows))
        table.add_column(column, justify="left" if words else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _sum_json(part: Sum, gpu: Gpu) -> dict[str, Any]:
    return {
        "arm": part.label,
        "encoder": part.encoder,
        "runs": part.runs,
        **{name: _plan_json(plan, gpu) for name, plan in (("naive", part.naive), ("shared", part.shared))},
    }


def _plan_json(plan: Plan, gpu: Gpu) -> Mapping[str, Any]:
    return {**asdict(plan), "flops": plan.flops, "gpu_hours": gpu.hours(plan.flops)}


def _line_json(line: Line, gpu: Gpu) -> dict[str, Any]:
    planned = line.configuration
    return {
        "encoder": name_of(planned.encoder),
        "tasks": planned.tasks,
        "recipe": {name: value for name, value in asdict(planned.recipe).items() if name != "learning_rate"},
        "trainings_naive": line.naive,
        "trainings_shared": line.shared,
        "each": line.each and {**asdict(line.each), "flops": line.each.flops, "gpu_hours": gpu.hours(line.each.flops)},
        "memory": line.memory and {**asdict(line.memory), "total": line.memory.total},
        "fits": line.fits,
        "remedy": line.remedy,
        "shards": line.shards
        and {"gpus": line.shards.gpus, "gib_each": line.shards.memory.total / GIB, "options": line.shards.options()},
        "not_known": line.why,
    }
