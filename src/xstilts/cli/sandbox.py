"""Verbs of the sandbox, `xstilts sandbox`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from xstilts.cli.app import VerbWithoutRecord, sandbox
from xstilts.cli.options import ClusterOptions, Out, Resume, Store, Threads, Workers, grouped


@sandbox.command(examples=("xstilts sandbox demo --store work/demo", "xstilts sandbox demo --seeds 1 --json"))
@grouped
def demo(
    seeds: Annotated[int, typer.Option(min=1, metavar="N", help="Number of seeds: 1, 2, …")] = 3,
    store: Store = Path("work"),
    workers: Workers = 2,
    out: Out = None,
    resume: Resume = False,
    *,
    cluster: ClusterOptions,
) -> None:
    """Run a complete experiment in miniature: baselines and intermediate tasks, four targets, six languages."""
    from xstilts.api import Comparison
    from xstilts.cli import runs
    from xstilts.experiments.sandbox_demo import grids
    from xstilts.runtime.console import result
    from xstilts.runtime.machine import Runtime

    machine = Runtime(store, workers=workers, device="cpu", cluster=cluster.cluster())
    comparisons = Comparison.of_all(grids(seeds), machine)
    runs.print_comparisons(comparisons, out)
    result(runs.comparisons_json(comparisons))


@sandbox.command("pretrain", cls=VerbWithoutRecord, examples=("xstilts sandbox pretrain --out encoder",))
def sandbox_pretrain(
    out: Annotated[Path, typer.Option(help="Folder for the encoder, in Hugging Face format.")],
    store: Store = Path("work"),
    threads: Threads = 0,
) -> None:
    """Pretrain the sandbox's encoder again from random weights, in about half an hour on two cores."""
    from rich.table import Table

    from xstilts import sandbox
    from xstilts.experiments import sandbox_encoder
    from xstilts.runtime import progress
    from xstilts.runtime.console import console, result
    from xstilts.runtime.machine import Runtime

    with progress.shown():
        measured = sandbox_encoder.make(Runtime(store, device="cpu", threads=threads), out)
    names = list(next(iter(measured.values())))
    shown = Table("language", *names)
    for code, figures in measured.items():
        shown.add_row(code, *(f"{figures[name]:g}" for name in names))
    console().print(shown)
    console().print(f"  {sandbox.NOTE}", highlight=False)
    result({"encoder": out, "languages": measured, "remarks": [sandbox.NOTE]})


@sandbox.command(examples=("xstilts sandbox languages", "xstilts sandbox languages --json"))
def languages() -> None:
    """Show the artificial languages, their features and their distance from the English-like one."""
    from dataclasses import fields

    from rich.table import Table

    from xstilts import sandbox
    from xstilts.runtime.console import console, result

    names = [field.name for field in fields(sandbox.Artificial)]
    shown = Table(*names, "distance")
    for language in sandbox.LANGUAGES:
        shown.add_row(*(str(getattr(language, name)) for name in names), f"{sandbox.distance(language):.2f}")
    console().print(shown)
    console().print(f"  {sandbox.NOTE}", highlight=False)
    every = sandbox.LANGUAGES
    result([{name: getattr(lang, name) for name in names} | {"distance": sandbox.distance(lang)} for lang in every])


@sandbox.command(cls=VerbWithoutRecord, examples=("xstilts sandbox translations --out DATA",))
def translations(
    out: Annotated[Path, typer.Option(help="The data folder to write `translated/` into.")],
) -> None:
    """Write exact translations of the sandbox's target tasks, for translate-train and translate-test."""
    from xstilts.runtime.console import console, result
    from xstilts.runtime.text import counted
    from xstilts.sandbox import NOTE
    from xstilts.sandbox.translations import write
    from xstilts.tasks import base

    files = [
        path
        for name in base.shipped_names()
        if name.startswith("sandbox_")
        for path in write(name, base.task(name).sources[0].options, out)
    ]
    console().print(f"{counted(len(files), 'file')} in {out / 'translated'}/", highlight=False)
    console().print(f"  {NOTE}", highlight=False)
    result({"files": files, "remarks": [NOTE]})
