"""TODO cli.show_lookups."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table as RichTable

from xstilts.cost import summary
from xstilts.errors import InputError
from xstilts.evaluation.contamination import Overlap
from xstilts.experiments import score_table as tables_
from xstilts.runtime.console import console
from xstilts.store import manifest as records
from xstilts.store import query as stores
from xstilts.tasks import base as tasks_

if TYPE_CHECKING:
    pass

COST = {
    "stages": "stages",
    "seconds": "seconds",
    "in the loop": "loop_seconds",
    "of the device": "device_seconds",
    "tokens": "tokens",
    "tokens/s": "tokens_per_second",
    "FLOPs": "flops",
    "MFU": "utilisation",
    "peak MiB": "memory_mib",
    "parameters": "parameters",
    "trained": "trained_parameters",
    "joules": "joules",
}


def costs(store: Path, keys: Sequence[str], out: Path | None) -> None:
    """Print what stages have cost: by phase, one by one, and together."""
    lines = summary.entries(store, keys)
    screen = console()
    screen.print(_costs("cost by phase", [*summary.by_phase(lines), summary.total(lines)]))
    screen.print(_costs("cost by stage", lines))
    if out:
        summary.save(lines, out)
        screen.print(f"  all of it   {out}", highlight=False)


def _costs(title: str, lines: Sequence[summary.Line]) -> RichTable:
    rows = [(line.folder, [summary.cell(line, figure) for figure in COST.values()]) for line in lines]
    return tables_.drawn(title, ["", *COST], rows)


def stage(store: Path, key: str) -> None:
    """Print the record of a finished stage and the difference from its nearest sibling."""
    folder, record = stores.find(store, key)
    screen = console()
    screen.print_json(json.dumps({name: value for name, value in record.items() if name != "files"}))
    damaged = records.damaged_files(folder)
    state = f"DAMAGED: {', '.join(damaged)}" if damaged else "all as recorded"
    screen.print(f"{len(record['files'])} files, {state}", highlight=False)
    nearest = stores.nearest_sibling(store, record)
    if nearest:
        screen.print(f"nearest sibling: {nearest[0].name}", highlight=False)
        for path, (here, there) in nearest[1].items():
            screen.print(f"  {path}: {json.dumps(here)} here, {json.dumps(there)} there", highlight=False)


def tasks(folder: Path | None) -> None:
    """Print every task in a line; with a data folder, whether there is something to train on and to measure."""
    there = ("training data", "with test data") if folder else ("licence",)
    shown = RichTable("task", "kind", "metric", "learned from", "languages", *there)
    broken = []
    for name, one in tasks_.listed():
        if isinstance(one, InputError):
            broken.append(one)
            continue
        measured = sum(one.has("test", code, folder) for code in one.languages)
        trained = "yes" if all(part.has("train", code, folder) for part, code in one.training_parts()) else "-"
        last = (trained, f"{measured} of {len(one.languages)}" if measured else "-") if folder else (one.licence,)
        shown.add_row(
            name, one.format, one.metric, one.learned_from_name or "-", str(len(one.languages) or "any"), *last
        )
    console().print(shown)
    for error in broken:
        console().print(f"not usable: {error}", highlight=False)


def overlaps(found: Sequence[Overlap]) -> None:
    """Print what test examples have in common with training data, by field, and a few of the pairs."""
    screen = console()
    for one in found:
        screen.print(f"{one.test}: {one.test_examples:,} examples, {one.touched:,} of them seen in {one.train}")
        shown = RichTable("field", "examples", "seen exactly", "nearly", "too short to say")
        for part in one.fields:
            shown.add_row(part.name, *(f"{count:,}" for count in (part.examples, part.exact, part.near, part.short)))
        screen.print(shown)
        for pair in one.samples:
            likeness = f"{pair.similarity:.2f} alike"
            screen.print(f"  {pair.field}: {pair.test} and training's {pair.train}, {likeness}", highlight=False)


def sandbox_languages() -> None:
    """Print the artificial languages with their distances from the English-like one."""
    from dataclasses import fields

    from xstilts import sandbox

    names = [field.name for field in fields(sandbox.Artificial)]
    shown = RichTable(*names, "distance")
    for language in sandbox.LANGUAGES:
        shown.add_row(*(str(getattr(language, name)) for name in names), f"{sandbox.distance(language):.2f}")
    console().print(shown)


def measured(figures: dict[str, dict[str, float]]) -> None:
    """Print figures by language."""
    names = list(next(iter(figures.values())))
    shown = RichTable("language", *names)
    for code, row in figures.items():
        shown.add_row(code, *(f"{row[name]:g}" for name in names))
    console().print(shown)
