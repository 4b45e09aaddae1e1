"""Verbs that tell what is there: stages, costs, tasks, shared texts, data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from xstilts.cli import show_lookups
from xstilts.cli.app import app
from xstilts.cli.options import DataFolder, Store


@app.command()
def show(
    key: Annotated[str, typer.Argument(help="The beginning of a stage's key, or its folder's name.")],
    store: Store = Path("work"),
) -> None:
    """Print how a finished stage came to be, and how its nearest sibling differs."""

    show_lookups.stage(store, key)


@app.command()
def cost(
    key: Annotated[list[str] | None, typer.Argument(help="Only these stages and all that they are made of.")] = None,
    store: Store = Path("work"),
    json: Annotated[Path | None, typer.Option(help="Also write all of it to this file.")] = None,
) -> None:
    """Print what stages have cost: time, tokens, FLOPs, memory and energy, by phase and by stage."""

    show_lookups.costs(store, key or (), json)


@app.command()
def tasks(
    data: DataFolder = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print everything about each, as docs/tasks.md.")
    ] = False,
) -> None:
    """List the tasks: format, metric, what they are learned from, languages, and which of their data are there."""
    from xstilts.tasks import cards

    if markdown:
        print(cards.page(), end="")
    else:
        show_lookups.tasks(data)


@app.command()
def overlap(
    train: Annotated[str, typer.Argument(help="The task whose training data may hold them.")],
    target: Annotated[str, typer.Argument(help="The task whose examples are looked for.")],
    language: Annotated[str, typer.Option(help="Language of the target.")] = "en",
    split: Annotated[str, typer.Option(help="Split of the target.")] = "test",
    data: DataFolder = None,
    store: Store = Path("work"),
) -> None:
    """Find texts of a test set that are also in a training set, word for word or nearly."""
    from xstilts.evaluation import contamination
    from xstilts.runtime.machine import Runtime
    from xstilts.tasks.base import task

    machine = Runtime(store, data, allow_unexpected_data=True)
    show_lookups.overlaps(contamination.of_tasks(task(train), task(target), language, split, machine))


@app.command("data")
def data_of(
    task: Annotated[list[str] | None, typer.Argument(help="Tasks; default: all but the sandbox's.")] = None,
    data: DataFolder = None,
    split: Annotated[str | None, typer.Option(help="Only this split.")] = None,
    get: Annotated[bool, typer.Option("--get", help="Download what is missing and the hub has.")] = False,
    counts: Annotated[bool, typer.Option(help="Read the files and count their examples.")] = True,
    json: Annotated[Path | None, typer.Option(help="Also write all of it to this file.")] = None,
) -> None:
    """Say which data of which tasks are there, how many examples they hold, and how to get the rest; or get it."""
    from xstilts.runtime import progress
    from xstilts.tasks import availability

    with progress.shown():
        found = availability.gather(task or (), data, split, get, counts)
    raise typer.Exit(not availability.show(found, data, json))
