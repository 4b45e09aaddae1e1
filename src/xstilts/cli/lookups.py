"""Verbs that show what exists: stages, costs, tasks, data sets and texts that they share."""

from __future__ import annotations

import json as jsons
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xstilts.cli.app import app
from xstilts.cli.options import DataFolder, Json, Store, TaskFolders

if TYPE_CHECKING:
    from rich.table import Table

    from xstilts.cost import summary
    from xstilts.tasks.base import Task

COST_COLUMNS = {
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


@app.command()
def show(
    key: Annotated[str, typer.Argument(help="The beginning of a stage's key, or the name of its folder.")],
    store: Store = Path("work"),
) -> None:
    """Print the manifest of a finished stage, check its files, and show how its nearest sibling differs."""
    from xstilts.runtime.console import console
    from xstilts.store import manifest, query

    folder, record = query.find(store, key)
    screen = console()
    screen.print_json(jsons.dumps({name: value for name, value in record.items() if name != "files"}))
    damaged = manifest.damaged_files(folder)
    state = f"DAMAGED: {', '.join(damaged)}" if damaged else "all as recorded"
    screen.print(f"{len(record['files'])} files, {state}", highlight=False)
    nearest = query.nearest_sibling(store, record)
    if nearest:
        screen.print(f"nearest sibling: {nearest[0].name}", highlight=False)
        for path, (here, there) in nearest[1].items():
            screen.print(f"  {path}: {jsons.dumps(here)} here, {jsons.dumps(there)} there", highlight=False)


@app.command()
def cost(
    key: Annotated[
        list[str] | None, typer.Argument(help="Only these stages and their inputs; default: the whole store.")
    ] = None,
    store: Store = Path("work"),
    report: Annotated[
        Path | None, typer.Option(help="Folder of a study's report, which knows intermediate and target trainings.")
    ] = None,
    json: Json = None,
) -> None:
    """Print the cost of finished stages, by phase and by stage: time, tokens, FLOPs, memory, energy."""
    from xstilts.cost import summary
    from xstilts.experiments.collect_results import roles_of
    from xstilts.reporting import study_report
    from xstilts.runtime.console import console

    rows = study_report.read(report)["rows"] if report else []
    lines = summary.entries(store, key or (), roles_of((row["keys"], row["roles"]) for row in rows))
    screen = console()
    screen.print(_costs("cost by phase", [*summary.by_phase(lines), summary.total(lines)]))
    screen.print(_costs("cost by stage", lines))
    if json:
        summary.save(lines, json)
        screen.print(f"  details     {json}", highlight=False)


def _costs(title: str, lines: Sequence[summary.Line]) -> Table:
    from xstilts.cost import summary
    from xstilts.experiments import score_table

    rows = [(line.folder, [summary.cell(line, figure) for figure in COST_COLUMNS.values()]) for line in lines]
    return score_table.drawn(title, ["", *COST_COLUMNS], rows)


@app.command()
def tasks(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[validate FILE…]", help="Check task files whole: imports, fields, labels, data."),
    ] = None,
    data: DataFolder = None,
    folders: TaskFolders = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print a full description of each, as in docs/tasks.md.")
    ] = False,
) -> None:
    """List the tasks: format, metric, training tasks, languages, and with --data which data sets are present."""
    from rich.table import Table

    from xstilts.errors import InputError
    from xstilts.runtime.console import console
    from xstilts.tasks import base, cards

    if words:
        if words[0] != "validate" or len(words) < 2:
            raise InputError(f"unknown words '{' '.join(words)}' after `tasks`: give none, or validate FILE")
        right = [_validate(Path(word), data) for word in words[1:]]  # all of them are checked
        raise typer.Exit(not all(right))
    if markdown:
        print(cards.page(), end="")
        return
    last = ("training data", "test data") if data else ("licence",)
    shown = Table("task", "format", "metric", "trained on", "languages", *last)
    broken: list[str] = []
    for name, task in base.listed():
        if isinstance(task, InputError):
            broken.append(str(task))
            continue
        try:
            shown.add_row(*_cells(name, task, data))
        except Exception as error:  # a task file may hold anything
            broken.append(f"the task '{name}' cannot be shown ({error}): `xstilts tasks validate` its file")
    console().print(shown)
    for message in broken:
        console().print(f"not usable: {message}", highlight=False)


def _cells(name: str, task: Task, data: Path | None) -> tuple[str, ...]:
    """Return the row of a task in the list."""
    cells = name, task.format, task.metric, task.learned_from_name or "-", str(len(task.languages) or "any")
    parts = task.training_parts()
    if not data:
        return (*cells, task.licence)
    measured = sum(task.has("test", code, data) for code in task.languages)
    trained = all(part.has("train", code, data) for part, code in parts)
    return (*cells, "yes" if trained else "-", f"{measured} of {len(task.languages)}" if measured else "-")


def _validate(file: Path, data: Path | None) -> bool:
    """Print what is wrong with a task file and what its data hold; return whether nothing is wrong."""
    from xstilts.runtime.console import console
    from xstilts.tasks import validate

    result, screen = validate.validate(file, data), console()
    for problem in result.problems:
        screen.print(f"{file}: {problem}", highlight=False, soft_wrap=True)
    for (split, code), count in result.counts.items():
        screen.print(f"  {split} {code}: {count:,} examples", highlight=False)
    for (split, code), places in result.absent.items():
        where = "name its folder with --data" if data is None else f"not below {data}"
        screen.print(f"  {split} {code}: no data ({places or 'no source has it'}; {where})", highlight=False)
    for reason, times in result.notes.items():
        screen.print(f"  {reason}: {times:,}", highlight=False)
    if result.task and not result.problems:
        about = f"{result.task.format}, {result.task.metric}, {len(result.task.languages)} languages"
        screen.print(f"{file}: the task '{result.task.name}' is right ({about})", highlight=False)
    return not result.problems


@app.command()
def overlap(
    train: Annotated[str, typer.Argument(help="Task whose training data are searched.")],
    target: Annotated[str, typer.Argument(help="Task whose examples are searched for.")],
    language: Annotated[str, typer.Option(help="Language of the target.")] = "en",
    split: Annotated[str, typer.Option(help="Split of the target.")] = "test",
    data: DataFolder = None,
    folders: TaskFolders = None,
    store: Store = Path("work"),
) -> None:
    """Find texts of a test set that also occur in a training set, verbatim or as near duplicates."""
    from rich.table import Table

    from xstilts.evaluation import contamination
    from xstilts.runtime.console import console
    from xstilts.runtime.machine import Runtime
    from xstilts.tasks.base import task

    machine, screen = Runtime(store, data, allow_unexpected_data=True), console()
    for result in contamination.of_tasks(task(train), task(target), language, split, machine):
        screen.print(
            f"{result.test}: {result.test_examples:,} examples, {result.touched:,} of them seen in {result.train}"
        )
        shown = Table("field", "examples", "seen verbatim", "near duplicates", "too short to compare")
        for part in result.fields:
            shown.add_row(part.name, *(f"{count:,}" for count in (part.examples, part.exact, part.near, part.short)))
        screen.print(shown)
        for pair in result.samples:
            similarity = f"similarity {pair.similarity:.2f}"
            screen.print(f"  {pair.field}: {pair.test} and training's {pair.train}, {similarity}", highlight=False)


@app.command("data")
def data_of(
    task: Annotated[list[str] | None, typer.Argument(help="Tasks; default: all but the sandbox's.")] = None,
    data: DataFolder = None,
    folders: TaskFolders = None,
    split: Annotated[str | None, typer.Option(help="Only this split.")] = None,
    get: Annotated[bool, typer.Option("--get", help="Download missing data from the Hugging Face hub.")] = False,
    counts: Annotated[bool, typer.Option(help="Read the files and count their examples.")] = True,
    json: Json = None,
) -> None:
    """Show which data of which tasks are present, how many examples they have and how to get the rest; or download."""
    from xstilts.runtime import progress
    from xstilts.tasks import availability

    with progress.shown():
        report = availability.gather(task or (), data, split, get, counts)
    raise typer.Exit(not availability.show(report, data, json))
