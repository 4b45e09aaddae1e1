"""Outlook: a forecast as a person reads it: what each arm takes, each configuration's memory, and what was assumed.

for part in outlook.parts(forecast(asked, Gpu(), Machine())):
    console.print(part)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from rich.table import Table as RichTable

from xstilts.models.naming import name_of
from xstilts.planning import dataset_sizes
from xstilts.planning.dataset_sizes import Size
from xstilts.planning.forecast import Forecast, Gpu, Line, Plan, Sum
from xstilts.training.memory import GIB

EXA = 1e18
ARMS = (
    "arm",
    "encoder",
    "runs",
    "trainings, naive",
    "shared",
    "EFLOP, naive",
    "shared",
    "of that, predictions",
    "GPU-hours, naive",
    "shared",
    "most GiB",
    "fits",
)
LINES = (
    "encoder",
    "taught",
    "trainable",
    "optimizer",
    "batch",
    "length",
    "trainings, naive",
    "shared",
    "EFLOP each",
    "GPU-hours each",
    "GPU-hours, shared",
    "GiB",
    "fits",
)
SIZES = ("task", "split", "examples", "sequences each", "pieces a sequence", "from")


def parts(found: Forecast) -> Iterator[RichTable | str]:
    """Yield the tables of a forecast and the lines between them."""
    gpu = found.gpu
    yield _table(f"what it takes on one {gpu.name}", ARMS, [_of_sum(one, found) for one in (*found.arms, found.total)])
    yield from _remarks(found)
    yield _table("trainings by configuration", LINES, [_of_line(line, gpu) for line in found.lines])
    yield from _misfits(found)
    yield _table("sizes reckoned with", SIZES, _of_sizes(found.sizes))
    yield from (f"  {line}" for line in notes(gpu))


def notes(gpu: Gpu) -> tuple[str, ...]:
    """Return what a forecast rests on."""
    peak, source = gpu.peak
    return (
        f"GPU-hours are FLOPs by {gpu.utilisation:.0%} (--utilisation) of the peak, {peak / 1e12:,.0f} TFLOP/s in bf16 "
        f"({source}): an assumption, small encoders on short texts reach less",
        "naive: every run by itself; shared: what is equal is done once, in the last row also across arms",
        "FLOPs are the ledger's, forward and backward by what is trained, predictions in every language and looks at "
        "development data included, without padding; layers computed twice to save memory are not in it",
        f"memory is the largest pass's, all rows of the embeddings trained, on a device of {gpu.gib:g} GiB (--memory)",
        "assumed are the sizes of the table in dataset_sizes.py; measured lengths are of "
        f"{dataset_sizes.MEASURED:,} examples at most",
    )


def plain(found: Forecast) -> dict[str, Any]:
    """Return a forecast as JSON has it."""
    return {
        "gpu": asdict(found.gpu),
        "arms": [_plain_sum(one, found.gpu) for one in found.arms],
        "total": _plain_sum(found.total, found.gpu),
        "configurations": [_plain_line(line, found.gpu) for line in found.lines],
        "sizes": [asdict(one) for one in found.sizes],
        "notes": list(notes(found.gpu)),
    }


def _of_sum(one: Sum, found: Forecast) -> list[str]:
    gpu = found.gpu
    lines = [line for line in found.lines if line.configuration in one.configurations]
    known = [line.memory.total for line in lines if line.memory]
    misfits = sum(line.fits is False for line in lines)
    fits = "not known" if not known else "yes" if not misfits else f"{misfits} of {len(lines)} do not"
    return [
        one.label,
        one.encoder,
        f"{one.runs:,}",
        f"{one.naive.trainings:,}",
        f"{one.shared.trainings:,}",
        _exa(one.naive, one.naive.flops),
        _exa(one.shared, one.shared.flops),
        _exa(one.shared, one.shared.predicted.flops),
        _hours(one.naive, gpu),
        _hours(one.shared, gpu),
        f"{max(known) / GIB:,.1f}" if known else "not known",
        fits,
    ]


def _of_line(line: Line, gpu: Gpu) -> list[str]:
    asked, each = line.configuration, line.each
    recipe = asked.recipe
    hours = gpu.hours(each.flops) if each else None
    return [
        name_of(asked.encoder),
        asked.tasks,
        recipe.trainable,
        recipe.optimizer,
        str(recipe.batch_size),
        str(recipe.max_length),
        f"{line.naive:,}",
        f"{line.shared:,}",
        f"{each.flops / EXA:.3g}" if each else "not known",
        "not known" if hours is None else f"{hours:,.3g}",
        "not known" if hours is None else f"{hours * line.shared:,.3g}",
        f"{line.memory.total / GIB:,.1f}" if line.memory else "not known",
        {True: "yes", False: "NO", None: "not known"}[line.fits],
    ]


def _of_sizes(found: tuple[Size, ...]) -> list[list[str]]:
    """Return a row for each task and split, languages that differ taken together."""
    rows: dict[tuple[str, ...], list[Size]] = {}
    for one in found:
        rows.setdefault((one.task, one.split, one.said), []).append(one)
    return [
        [
            name,
            split,
            _span([one.examples for one in group]),
            _span([one.sequences for one in group]),
            _span([one.pieces for one in group]),
            said,
        ]
        for (name, split, said), group in rows.items()
    ]


def _span(values: list[float | None]) -> str:
    known = sorted({round(value, 2) for value in values if value is not None})
    if not known:
        return "not known"
    return f"{known[0]:,g}" if len(known) == 1 else f"{known[0]:,g} to {known[-1]:,g}"


def _remarks(found: Forecast) -> Iterator[str]:
    if found.total.shared.unknown:
        count = f"{found.total.shared.unknown:,} trainings and predictions"
        yield f"  ≥: the cost of {count} is not known and not in the sums"
    for encoder, why in dict.fromkeys((name_of(line.configuration.encoder), line.why) for line in found.lines):
        if why:
            yield f"  not known of {encoder}: {why}"


def _misfits(found: Forecast) -> Iterator[str]:
    """Yield what does not fit, and with what it would; one line for all tasks of which the same is true."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for line in found.lines:
        if line.fits is False:
            asked = line.configuration
            setting = f"trainable={asked.recipe.trainable}, optimizer={asked.recipe.optimizer}"
            groups.setdefault((name_of(asked.encoder), setting, line.remedy), []).append(asked.tasks)
    device = f"{found.gpu.gib:g} GiB ({found.gpu.name})"
    for (encoder, setting, remedy), tasks in groups.items():
        way = f"try {remedy}" if remedy else "nothing that is offered here would"
        yield f"  does not fit in {device}: {encoder}, {setting}, {', '.join(dict.fromkeys(tasks))}; {way}"


def _exa(plan: Plan, count: float) -> str:
    return f"{'≥ ' if plan.unknown else ''}{count / EXA:,.3g}"


def _hours(plan: Plan, gpu: Gpu) -> str:
    return f"{'≥ ' if plan.unknown else ''}{gpu.hours(plan.flops):,.3g}"


def _table(title: str, columns: tuple[str, ...], rows: list[list[str]]) -> RichTable:
    found = RichTable(title=title, title_justify="left")
    for number, column in enumerate(columns):
        words = not any(cell[:1].isdigit() for cell in (row[number] for row in rows))
        found.add_column(column, justify="left" if words else "right", overflow="fold")
    for row in rows:
        found.add_row(*row)
    return found


def _plain_sum(one: Sum, gpu: Gpu) -> dict[str, Any]:
    return {
        "arm": one.label,
        "encoder": one.encoder,
        "runs": one.runs,
        **{name: _plain_plan(plan, gpu) for name, plan in (("naive", one.naive), ("shared", one.shared))},
    }


def _plain_plan(plan: Plan, gpu: Gpu) -> Mapping[str, Any]:
    return {**asdict(plan), "flops": plan.flops, "gpu_hours": gpu.hours(plan.flops)}


def _plain_line(line: Line, gpu: Gpu) -> dict[str, Any]:
    asked = line.configuration
    return {
        "encoder": name_of(asked.encoder),
        "taught": asked.tasks,
        "recipe": asdict(asked.recipe),
        "trainings_naive": line.naive,
        "trainings_shared": line.shared,
        "each": line.each and {**asdict(line.each), "flops": line.each.flops, "gpu_hours": gpu.hours(line.each.flops)},
        "memory": line.memory and {**asdict(line.memory), "total": line.memory.total},
        "fits": line.fits,
        "remedy": line.remedy,
        "not_known": line.why,
    }
