"""Verbs of the sandbox, `xstilts sandbox`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from xstilts.cli import show_lookups
from xstilts.cli.app import sandbox
from xstilts.cli.options import Out, Seeds, Store, Threads, Workers


@sandbox.command()
def demo(
    seeds: Seeds = 3,
    store: Store = Path("work"),
    workers: Workers = 2,
    out: Out = None,
) -> None:
    """Run the main job in miniature: intermediate tasks and baselines for four targets in six artificial languages."""
    from xstilts.cli import show_runs
    from xstilts.experiments.sandbox_demo import grids
    from xstilts.runtime import progress
    from xstilts.runtime.machine import Runtime
    from xstilts.store import local_executor

    machine, chosen = Runtime(store, workers=workers, device="cpu"), grids(seeds)
    promised = [score for one in chosen for score in one.score_stages(machine)]
    with progress.shown():
        built = local_executor.build_all(promised, machine)
    show_runs.tables([table for one in chosen for table in one.tables(machine)], promised, built, machine, out)


@sandbox.command("pretrain")
def sandbox_pretrain(
    out: Annotated[Path, typer.Option(help="Where the encoder goes: an ordinary Hugging Face folder.")],
    store: Store = Path("work"),
    threads: Threads = 0,
) -> None:
    """Make the encoder that comes with the sandbox again from nothing, in about half an hour on two cores."""
    from xstilts.experiments import sandbox_encoder
    from xstilts.runtime import progress
    from xstilts.runtime.machine import Runtime

    with progress.shown():
        measured = sandbox_encoder.make(Runtime(store, device="cpu", threads=threads), out)
    show_lookups.measured(measured)


@sandbox.command()
def languages() -> None:
    """Show the artificial languages and what makes each differ from the English-like one."""

    show_lookups.sandbox_languages()
