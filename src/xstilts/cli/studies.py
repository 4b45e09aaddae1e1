"""Verbs of studies: plan, build, watch, mirror, check, show and compare them, and recommend from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from xstilts.cli import show_studies
from xstilts.cli.app import PLAN_STUDY, app
from xstilts.cli.options import (
    DataFolder,
    Device,
    EncoderName,
    MicroTokens,
    Partial,
    Precision,
    RecipeName,
    Recompute,
    Revision,
    SetIntermediate,
    SetTarget,
    Setting,
    Store,
    Threads,
    Workers,
)


@app.command(PLAN_STUDY)
def plan_study(
    file: Annotated[Path, typer.Argument(help="A study file; it is run, and nothing of what it asks for is.")],
    scale: Annotated[str, typer.Option(help="sandbox, small or full.")] = "full",
    device_name: Annotated[str, typer.Option(help="GPU whose peak is reckoned with: H200, H100, A100 …")] = "H200",
    memory: Annotated[float, typer.Option(min=0, help="Its GiB; 0: an H200's 139.8.")] = 0.0,
    utilisation: Annotated[float, typer.Option(help="Share of the peak that trainings are taken to reach.")] = 0.3,
    micro_tokens: MicroTokens = 0,
    recompute: Recompute = False,
    data: DataFolder = None,
    store: Store = Path("work"),
    json: Annotated[Path | None, typer.Option(help="Also write all of it to this file.")] = None,
) -> None:
    """Say what a study would take on a GPU: trainings, FLOPs, GPU-hours, memory, and what does not fit."""
    from xstilts.planning.forecast import Gpu
    from xstilts.runtime.machine import Runtime

    machine = Runtime(store, data, max_tokens_per_pass=micro_tokens, recompute=recompute)
    show_studies.outlook(file, scale, Gpu.of(device_name, memory, utilisation), machine, json)


@app.command()
def study(
    file: Annotated[
        Path, typer.Argument(help="A study file: a question, its runs and its claims, in Python; it is run.")
    ],
    scale: Annotated[str, typer.Option(help="sandbox (minutes), small or full.")] = "sandbox",
    out: Annotated[Path, typer.Option(help="Folder for the report and table.csv.")] = Path("study"),
    data: DataFolder = None,
    store: Store = Path("work"),
    device: Device = "auto",
    workers: Annotated[int, typer.Option(min=0, help="Processes side by side; 0: two on a CPU, one on a GPU.")] = 0,
    threads: Threads = 0,
) -> None:
    """Build a study, print the verdict on each claim, and write a report; exit code 1 where an arm is missing in it."""
    from xstilts.runtime.machine import Runtime

    raise typer.Exit(
        not show_studies.study(file, scale, Runtime(store, data, device, workers=workers, threads=threads), out)
    )


@app.command()
def watch(
    what: Annotated[
        Path | None, typer.Argument(help="The store, or a study file (it is run), by which to know what is to do.")
    ] = None,
    scale: Annotated[str, typer.Option(help="Of the study: sandbox, small or full.")] = "sandbox",
    once: Annotated[bool, typer.Option("--once", help="Print where things stand and end.")] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 2.0,
    data: DataFolder = None,
    store: Store = Path("work"),
) -> None:
    """Show a study while it runs: finished, running, failed, waiting, the time left, and what is ahead so far."""
    from xstilts.monitoring import dashboard
    from xstilts.monitoring.status import StudyMonitor

    file = what if what and what.suffix == ".py" else None
    folder = store if file else what or store
    dashboard.show(StudyMonitor(folder, dashboard.planned_stages(file, scale, folder, data)), once, every)


@app.command()
def track(
    store: Annotated[Path, typer.Argument(envvar="XSTILTS_STORE", help="Folder of finished stages.")],
    to: Annotated[str, typer.Option(help="tensorboard:DIR, wandb:PROJECT, mlflow:URI or trackio:PROJECT.")],
    follow: Annotated[bool, typer.Option("--follow", help="Go on while something is being built here.")] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 30.0,
) -> None:
    """Mirror losses, looks at development data and scores into a tracker, a run for each training; nothing twice."""
    from xstilts.monitoring import tracker_sync

    mirror = tracker_sync.Mirror(store, to)
    for count in tracker_sync.follow(mirror, every) if follow else [mirror.send()]:
        print(f"{count} runs with something new, sent to {to.partition(':')[0]}")


@app.command()
def verify(
    report: Annotated[Path, typer.Argument(help="Folder of a report, as `study` or `evidence` wrote it.")],
    store: Store = Path("work"),
) -> None:
    """Check each claim of a report again, from predictions or texts on disk; exit code 1 unless all of them stand."""

    raise typer.Exit(not show_studies.verify(report, store))


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A study's folder, with report.json; of two, a store will do.")],
    other: Annotated[Path | None, typer.Argument(help="Compare the first with this one.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to; default: beside report.json. Evidence stays there.")
    ] = None,
) -> None:
    """Write a report anew, as a page and in Markdown; of two studies, what is the same and what differs."""
    from xstilts.errors import InputError
    from xstilts.evidence.report import bundle
    from xstilts.reporting import study_page
    from xstilts.verification import compare_reports

    of_evidence = other is None and bundle.is_bundle(folder)
    if of_evidence and out:
        raise InputError(
            f"an evidence report's pages belong beside its corpus: leave --out away, or copy {folder} whole"
        )
    if other is not None:
        written = compare_reports.write(folder, other, out)
    else:
        written = bundle.views(folder) if of_evidence else study_page.write_pages(folder, out)
    print(*written, sep="\n")


@app.command()
def recommend(
    encoder: EncoderName,
    target: Annotated[str, typer.Option(help="The task to choose for.")],
    candidates: Annotated[
        str | None, typer.Option(help="Tasks to choose from, 'a,b,c'; default: all with training data here.")
    ] = None,
    budget: Annotated[
        float, typer.Option(min=0, help="Most hours of trainings and the like; 0: as many as it takes.")
    ] = 0,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each training in the first round.")] = 100,
    examples: Annotated[int, typer.Option(min=2, help="Most examples of a task for its states and embedding.")] = 500,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds in the first round.")] = 3,
    against: Annotated[
        Path | None, typer.Option(help="A study's table.csv, or a report's folder: how right would each method be?")
    ] = None,
    against_recipe: Annotated[str, typer.Option(help="Of the study's arms, those of this recipe.")] = "",
    recipe: RecipeName = "xtreme",
    setting: Setting = None,
    set_intermediate: SetIntermediate = None,
    set_target: SetTarget = None,
    revision: Revision = "main",
    data: DataFolder = None,
    store: Store = Path("work"),
    device: Device = "auto",
    workers: Workers = 1,
    threads: Threads = 0,
    micro_tokens: MicroTokens = 0,
    precision: Precision = "auto",
    partial: Partial = False,
    out: Annotated[Path | None, typer.Option(help="Also write recommend.json to this folder.")] = None,
) -> None:
    """Rank intermediate tasks for a target without training them all in full."""
    from xstilts.experiments.run import Recipes
    from xstilts.models.encoder import Encoder
    from xstilts.models.naming import name_of
    from xstilts.runtime.machine import Runtime
    from xstilts.selection import backtest, probes, render
    from xstilts.tasks.base import task

    machine = Runtime(
        store, data, device, micro_tokens, workers, threads, precision=precision, allow_unexpected_data=partial
    )
    both = tuple(setting or ())
    recipes = Recipes(recipe, both + tuple(set_intermediate or ()), both + tuple(set_target or ()))
    model, wanted = Encoder.of(encoder, revision).pinned(), task(target)
    chosen = probes.candidates_of(wanted, candidates, data)
    question = probes.CandidateSearch(model, wanted, chosen, recipes, seeds, steps, examples)
    gains = backtest.gains_of(against, wanted.label, against_recipe, name_of(model)) if against else {}
    render.answer(question, machine, budget, gains, out)
