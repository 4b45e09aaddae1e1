"""Verbs that show what exists: stages, costs, tasks, data sets and texts that they share."""

from __future__ import annotations

import json as jsons
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xstilts.cli.app import app
from xstilts.cli.options import DataFolder, JsonFile, Store, TaskFolders, complete_tasks
from xstilts.runtime.text import counted

if TYPE_CHECKING:
    from rich.table import Table

    from xstilts.cost import summary
    from xstilts.tasks.base import Task
    from xstilts.tasks.validate import Validation

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


@app.command(
    rich_help_panel="Store",
    examples=("xstilts show 0123456789abcdef", "xstilts show train-xnli-seed1 --store work --json"),
)
def show(
    key: Annotated[str, typer.Argument(help="The beginning of a stage's key, or the name of its folder.")],
    store: Store = Path("work"),
) -> None:
    """Print the manifest of a finished stage, check its files, and show how its nearest sibling differs."""
    from xstilts.runtime.console import console, result
    from xstilts.store import manifest, query

    folder, record = query.find(store, key)
    screen = console()
    screen.print_json(jsons.dumps({name: value for name, value in record.items() if name != "files"}))
    damaged = manifest.damaged_files(folder)
    state = f"DAMAGED: {', '.join(damaged)}" if damaged else "all as recorded"
    gone = len(manifest.dropped(record))
    dropped = f", {gone} of them dropped" if gone else ""
    screen.print(f"{counted(len(record['files']), 'file')}, {state}{dropped}", highlight=False)
    nearest = query.nearest_sibling(store, record)
    if nearest:
        screen.print(f"nearest sibling: {nearest[0].name}", highlight=False)
        for path, (here, there) in nearest[1].items():
            screen.print(f"  {path}: {jsons.dumps(here)} here, {jsons.dumps(there)} there", highlight=False)
    differs = nearest and {path: {"here": here, "there": there} for path, (here, there) in nearest[1].items()}
    sibling = nearest and {"folder": nearest[0].name, "differs": differs}
    result({"folder": folder, "manifest": record, "damaged": damaged, "nearest_sibling": sibling})


@app.command(
    rich_help_panel="Store",
    examples=("xstilts cost --store work", "xstilts cost 0123456789abcdef --json"),
)
def cost(
    key: Annotated[
        list[str] | None, typer.Argument(help="Only these stages and their inputs; default: the whole store.")
    ] = None,
    store: Store = Path("work"),
    report: Annotated[
        Path | None, typer.Option(help="Folder of a study's report, which knows intermediate and target trainings.")
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Print the cost of finished stages, by phase and by stage: time, tokens, FLOPs, memory, energy."""
    from xstilts.cost import summary
    from xstilts.runtime.console import console, result

    lines = summary.entries(store, key or (), _roles(report) if report else {})
    screen = console()
    screen.print(_costs("cost by phase", [*summary.by_phase(lines), summary.total(lines)]))
    screen.print(_costs("cost by stage", lines))
    if json_file:
        summary.save(lines, json_file)
        screen.print(f"  details     {json_file}", highlight=False)
    result(summary.to_json(lines))


def _roles(report: Path) -> dict[str, str]:
    """Return the role of each training of a study by its key; this imports torch, so only where a report is given."""
    from xstilts.experiments.collect_results import roles_of
    from xstilts.reporting import study_report

    return roles_of((row["keys"], row["roles"]) for row in study_report.read(report)["rows"])


def _costs(title: str, lines: Sequence[summary.Line]) -> Table:
    from xstilts.cost import summary
    from xstilts.runtime.tables import drawn

    rows = [(line.folder, [summary.cell(line, figure) for figure in COST_COLUMNS.values()]) for line in lines]
    return drawn(title, ["", *COST_COLUMNS], rows)


@app.command(
    rich_help_panel="Data",
    examples=("xstilts tasks", "xstilts tasks --data DATA", "xstilts tasks --markdown"),
)
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
    from xstilts.runtime.console import console, result
    from xstilts.tasks import base, cards

    if words:
        if words[0] != "validate" or len(words) < 2:
            raise InputError(f"unknown words '{' '.join(words)}' after `tasks`: give none, or validate FILE")
        checked = {word: _validate(Path(word), data) for word in words[1:]}  # all of them are checked
        result({word: validation.to_json() for word, validation in checked.items()})
        raise typer.Exit(any(validation.problems for validation in checked.values()))
    if markdown:
        page = cards.page()
        console().out(page, end="", highlight=False)
        result({"markdown": page})
        return
    last = ("training data", "test data") if data else ("licence",)
    shown = Table("task", "format", "metric", "trained on", "languages", *last)
    broken: list[str] = []
    rows: list[dict[str, object]] = []
    for name, task in base.listed():
        if isinstance(task, InputError):
            broken.append(str(task))
            continue
        try:
            row = _row(name, task, data)
        except Exception as error:  # a task file may hold anything
            broken.append(f"the task '{name}' cannot be shown ({error}): `xstilts tasks validate` its file")
            continue
        rows.append(row)
        measured, count = row.get("test_languages"), len(task.languages)
        present = ("yes" if row.get("training_data") else "-", f"{measured} of {count}" if measured else "-")
        cells = task.format, task.metric, task.learned_from_name or "-", str(count or "any")
        shown.add_row(name, *cells, *(present if data else (task.licence,)))
    console().print(shown)
    for message in broken:
        console().print(f"not usable: {message}", highlight=False)
    result({"tasks": rows, "not_usable": broken})


def _row(name: str, task: Task, data: Path | None) -> dict[str, object]:
    """Return what the list shows of a task."""
    parts = task.training_parts()
    row: dict[str, object] = {
        "task": name,
        "format": task.format,
        "metric": task.metric,
        "trained_on": task.learned_from_name or None,
        "languages": task.languages,
        "licence": task.licence,
    }
    if data:
        row["training_data"] = all(part.has("train", code, data) for part, code in parts)
        row["test_languages"] = sum(task.has("test", code, data) for code in task.languages)
    return row


def _validate(file: Path, data: Path | None) -> Validation:
    """Print what is wrong with a task file and what its data hold."""
    from xstilts.runtime.console import console
    from xstilts.tasks import validate

    checked, screen = validate.validate(file, data), console()
    for problem in checked.problems:
        screen.print(f"{file}: {problem}", highlight=False, soft_wrap=True)
    for (split, code), count in checked.counts.items():
        screen.print(f"  {split} {code}: {count:,} examples", highlight=False)
    for (split, code), places in checked.absent.items():
        where = "name its folder with --data" if data is None else f"not below {data}"
        screen.print(f"  {split} {code}: no data ({places or 'no source has it'}; {where})", highlight=False)
    for reason, times in checked.notes.items():
        screen.print(f"  {reason}: {times:,}", highlight=False)
    if checked.task and not checked.problems:
        about = f"{checked.task.format}, {checked.task.metric}, {len(checked.task.languages)} languages"
        screen.print(f"{file}: the task '{checked.task.name}' is right ({about})", highlight=False)
    return checked


@app.command(
    rich_help_panel="Data",
    examples=("xstilts overlap mnli xnli --data DATA", "xstilts overlap squad xquad --language sw --data DATA --json"),
)
def overlap(
    train: Annotated[str, typer.Argument(autocompletion=complete_tasks, help="Task whose training data are searched.")],
    target: Annotated[str, typer.Argument(autocompletion=complete_tasks, help="Task whose examples are searched for.")],
    language: Annotated[str, typer.Option(help="Language of the target.")] = "en",
    split: Annotated[str, typer.Option(help="Split of the target.")] = "test",
    data: DataFolder = None,
    folders: TaskFolders = None,
    store: Store = Path("work"),
) -> None:
    """Find texts of a test set that also occur in a training set, verbatim or as near duplicates."""
    from rich.table import Table

    from xstilts.evaluation import contamination
    from xstilts.runtime.console import console, result
    from xstilts.runtime.machine import Runtime
    from xstilts.tasks.base import task

    machine, screen = Runtime(store, data, allow_unexpected_data=True), console()
    overlaps = list(contamination.of_tasks(task(train), task(target), language, split, machine))
    for both in overlaps:
        screen.print(
            f"{both.test}: {counted(both.test_examples, 'example')}, {both.touched:,} of them seen in {both.train}"
        )
        shown = Table("field", "examples", "seen verbatim", "near duplicates", "too short to compare")
        for part in both.fields:
            shown.add_row(part.name, *(f"{count:,}" for count in (part.examples, part.exact, part.near, part.short)))
        screen.print(shown)
        for pair in both.samples:
            similarity = f"similarity {pair.similarity:.2f}"
            screen.print(f"  {pair.field}: {pair.test} and training's {pair.train}, {similarity}", highlight=False)
    result(overlaps)


@app.command(
    "data",
    rich_help_panel="Data",
    examples=(
        "xstilts data xnli mnli --data DATA",
        "xstilts data xquad --get --data DATA",
        "xstilts data --no-counts --json",
    ),
)
def data_of(
    task: Annotated[
        list[str] | None, typer.Argument(autocompletion=complete_tasks, help="Tasks; default: all but the sandbox's.")
    ] = None,
    data: DataFolder = None,
    folders: TaskFolders = None,
    split: Annotated[str | None, typer.Option(help="Only this split.")] = None,
    get: Annotated[bool, typer.Option("--get", help="Download missing data from the Hugging Face hub.")] = False,
    counts: Annotated[bool, typer.Option(help="Read the files and count their examples.")] = True,
    json_file: JsonFile = None,
) -> None:
    """Show which data of which tasks are present, how many examples they have and how to get the rest; or download."""
    from xstilts.runtime import progress
    from xstilts.runtime.console import result
    from xstilts.tasks import availability

    with progress.shown():
        report = availability.gather(task or (), data, split, get, counts)
    whole = availability.show(report, data, json_file)
    result(availability.to_json(report))
    raise typer.Exit(not whole)
