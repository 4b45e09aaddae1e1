"""Verbs of studies: plan, run, watch, track, verify, render and compare them, and recommend from them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from xstilts.cli.app import PLAN_STUDY, VerbWithoutRecord, app
from xstilts.cli.options import (
    ClusterOptions,
    DataFolder,
    Device,
    EncoderOptions,
    JsonFile,
    Keep,
    MaxTokensPerPass,
    Precision,
    RecipeOptions,
    Recompute,
    Resume,
    RuntimeOptions,
    Scale,
    Store,
    StudyEncoder,
    StudyFile,
    TaskFolders,
    Threads,
    Workers,
    complete_tasks,
    grouped,
)
from xstilts.runtime import whole_files


@app.command(
    PLAN_STUDY,
    rich_help_panel="Study",
    examples=(
        "xstilts plan studies/replication.py --scale full",
        "xstilts plan studies/model_size.py --device-name H100 --json",
        "xstilts plan studies/replication.py --pilot replication-small",
    ),
)
def plan_study(
    file: StudyFile,
    scale: Scale = "full",
    encoder: StudyEncoder = "",
    device_name: Annotated[str, typer.Option(help="GPU to plan for: H200, H100, A100 …")] = "H200",
    memory: Annotated[float, typer.Option(min=0, metavar="N", help="Its memory in GiB; 0: an H200's 139.8.")] = 0.0,
    utilisation: Annotated[float, typer.Option(help="Assumed share of the GPU's peak FLOP/s (MFU).")] = 0.3,
    max_tokens_per_pass: MaxTokensPerPass = 0,
    recompute: Recompute = False,
    data: DataFolder = None,
    tasks: TaskFolders = None,
    store: Store = Path("work"),
    pilot: Annotated[
        Path | None, typer.Option(help="Report folder of an earlier study, for the variances; default: guesses.")
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Forecast a study on a GPU: trainings, FLOPs, GPU-hours, memory, what does not fit, and what claims can detect."""
    from xstilts.experiments import study as studies
    from xstilts.models import encoder_check
    from xstilts.models.encoder import Encoder
    from xstilts.planning import forecast, power, render
    from xstilts.runtime import progress
    from xstilts.runtime.console import console, result
    from xstilts.runtime.machine import Runtime

    variances = power.Variances.of(pilot) if pilot else power.Variances()
    machine = Runtime(store, data, max_tokens_per_pass=max_tokens_per_pass, recompute=recompute)
    gpu = forecast.Gpu.of(device_name, memory, utilisation)
    loaded = studies.load(file, scale, encoder)
    with progress.shown():
        forecasted = forecast.forecast(loaded, gpu, machine)
    screen = console()
    screen.print(loaded.question.strip().splitlines()[0], highlight=False)
    for part in render.parts(forecasted):
        screen.print(part, highlight=False, soft_wrap=isinstance(part, str))
    planned = power.plan(loaded, variances, forecasted.encoder_sizes())
    for part in render.power_parts(planned, power.notes(planned, loaded, variances)):
        screen.print(part, highlight=False, soft_wrap=isinstance(part, str))
    values = render.to_json(forecasted) | {"power": power.to_json(planned, loaded, variances)}
    if json_file:
        whole_files.write(json_file, json.dumps(values, indent=1, ensure_ascii=False) + "\n")
    result(values)
    for compared in dict.fromkeys(arm.grid.encoder for arm in loaded.arms):
        if isinstance(compared, Encoder):
            encoder_check.check(compared, machine.store, ask_hub=False)


@app.command(
    rich_help_panel="Study",
    examples=(
        "xstilts study replication",
        "xstilts study studies/layerwise.py --scale small --encoder FOLDER --data DATA --out layerwise",
        "xstilts study replication --scale full --data DATA --executor slurm --slurm-gpus 1 --detach",
    ),
)
@grouped
def study(
    file: StudyFile,
    scale: Scale = "sandbox",
    encoder: StudyEncoder = "",
    out: Annotated[Path, typer.Option(help="Folder for the report and table.csv.")] = Path("study"),
    data: DataFolder = None,
    tasks: TaskFolders = None,
    store: Store = Path("work"),
    device: Device = "auto",
    workers: Workers = 0,
    threads: Threads = 0,
    precision: Precision = "auto",
    keep: Keep = "all",
    resume: Resume = False,
    *,
    cluster: ClusterOptions,
) -> None:
    """Run a study, print the verdict on each claim and write a report; exit code 1 where an arm could not be built."""
    from xstilts.runtime import extras

    extras.require("report", "the report of a study")  # before torch is imported, which takes seconds
    from xstilts.api import run_study
    from xstilts.runtime.console import console, result

    finished = run_study(
        file,
        scale,
        out,
        encoder=encoder,
        data=data,
        store=store,
        device=device,
        workers=workers,
        threads=threads,
        precision=precision,
        keep=keep,
        cluster=cluster.cluster(),
    )
    console().print(finished)
    verdicts = [
        {"claim": verdict.claim.sentence, "verdict": verdict.status, "why": verdict.why}
        for verdict in finished.verdicts
    ]
    figures = {"answer": finished.answer, "verdicts": verdicts, "missing": finished.missing}
    result({"question": finished.outcome.report["question"], **figures, "folder": finished.folder})
    raise typer.Exit(bool(finished.missing))


@app.command(
    rich_help_panel="Study",
    examples=("xstilts watch work", "xstilts watch studies/replication.py --once", "xstilts watch work --json"),
)
def watch(
    what: Annotated[
        Path | None, typer.Argument(help="A store, or a study file (which is run), to know the stages to come.")
    ] = None,
    scale: Scale = "sandbox",
    encoder: StudyEncoder = "",
    once: Annotated[bool, typer.Option("--once", help="Print the status once and exit.")] = False,
    every: Annotated[float, typer.Option(min=0.1, metavar="N", help="Seconds between two updates.")] = 2.0,
    data: DataFolder = None,
    tasks: TaskFolders = None,
    store: Store = Path("work"),
) -> None:
    """Show a study while it runs: finished, running, failed and waiting stages, the time left, the best so far."""
    from xstilts.monitoring import dashboard
    from xstilts.monitoring.status import StudyMonitor

    file = what if what and what.suffix == ".py" else None
    folder = store if file else what or store
    dashboard.show(StudyMonitor(folder, dashboard.planned_stages(file, scale, folder, data, encoder)), once, every)


@app.command(
    rich_help_panel="Study",
    examples=("xstilts track work --to tensorboard:logs", "xstilts track work --to wandb:xstilts --follow"),
)
def track(
    store: Annotated[Path, typer.Argument(envvar="XSTILTS_STORE", help="Folder of finished stages.")],
    to: Annotated[str, typer.Option(help="tensorboard:DIR, wandb:PROJECT, mlflow:URI or trackio:PROJECT.")],
    follow: Annotated[bool, typer.Option("--follow", help="Continue while stages are being built.")] = False,
    every: Annotated[float, typer.Option(min=0.1, metavar="N", help="Seconds between two updates.")] = 30.0,
) -> None:
    """Send losses, development scores and test scores to an experiment tracker, one run a training; nothing twice."""
    from xstilts.monitoring import tracker_sync
    from xstilts.runtime.console import console, record
    from xstilts.runtime.text import counted

    mirror = tracker_sync.Mirror(store, to)
    for count in tracker_sync.follow(mirror, every) if follow else [mirror.send()]:
        console().print(f"{counted(count, 'run')} with something new, sent to {to.partition(':')[0]}", highlight=False)
        record({"runs": count, "to": to})


@app.command(
    rich_help_panel="Reports", examples=("xstilts verify study --store work", "xstilts verify evidence --json")
)
def verify(
    report: Annotated[Path, typer.Argument(help="Folder of a report that `study` or `evidence` wrote.")],
    store: Store = Path("work"),
) -> None:
    """Recompute each claim of a report from the predictions or texts on disk; exit code 1 unless all of them hold."""
    raise typer.Exit(not print_verification(report, store))


def print_verification(folder: Path, store: Path) -> bool:
    """Verify the claims of a report against the files on disk and print the outcome of each.

    Returns:
        Whether all claims hold.

    Raises:
        InputError: The report names stages and there is no such store.
    """
    from rich.table import Table

    from xstilts.errors import InputError
    from xstilts.evidence.report import bundle
    from xstilts.evidence.report.verify import verify as verify_bundle
    from xstilts.reporting import study_report
    from xstilts.runtime import progress
    from xstilts.runtime.console import console, result
    from xstilts.verification.verify import verify as verify_report

    if not store.is_dir() and not bundle.is_bundle(folder) and study_report.read(folder).get("stages"):
        raise InputError(f"no store {store}: give --store, the folder in which the study of {folder} was built")
    with progress.shown():
        checks = verify_bundle(folder, store) if bundle.is_bundle(folder) else verify_report(folder, store)
    shown = Table("claim", "", "why")
    for check in checks:
        shown.add_row(f"{check.sentence} ({check.name})", check.status.upper(), check.why)
    screen = console()
    screen.print(shown)
    counts = Counter(check.status for check in checks)
    words = {"stands": "stand"}
    summary = (f"{count} {status if count == 1 else words.get(status, status)}" for status, count in counts.items())
    screen.print(", ".join(summary) or "no claims", highlight=False)
    result({"checks": checks, "counts": counts, "stands": set(counts) <= {"stands"}})
    return set(counts) <= {"stands"}


@app.command(
    cls=VerbWithoutRecord,
    rich_help_panel="Reports",
    examples=("xstilts report study", "xstilts report study other-study --out comparison"),
)
def report(
    folder: Annotated[Path, typer.Argument(help="A study's folder with report.json; to compare, also a store.")],
    other: Annotated[Path | None, typer.Argument(help="Compare the first with this one.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to; default: beside report.json. Not for evidence reports.")
    ] = None,
) -> None:
    """Render a report again as HTML and Markdown; given two studies, show what agrees and what differs."""
    from xstilts.errors import InputError
    from xstilts.evidence.report import bundle
    from xstilts.reporting import study_page
    from xstilts.runtime.console import console, result
    from xstilts.verification import compare_reports

    of_evidence = other is None and bundle.is_bundle(folder)
    if of_evidence and out:
        raise InputError(
            f"an evidence report's pages belong beside its corpus: omit --out, or copy the whole folder {folder}"
        )
    if other is not None:
        written = compare_reports.write(folder, other, out)
    else:
        written = bundle.write_views(folder) if of_evidence else study_page.write_pages(folder, out)
    console().print(*written, sep="\n", highlight=False, soft_wrap=True)
    result({"written": written})


@app.command(
    rich_help_panel="Study",
    examples=(
        "xstilts recommend --encoder FacebookAI/xlm-roberta-base --target xquad --data DATA",
        "xstilts recommend --encoder sandbox --target sandbox_qa --candidates sandbox_cloze,sandbox_nli --budget 1",
    ),
)
@grouped
def recommend(
    encoder: EncoderOptions,
    recipes: RecipeOptions,
    runtime: RuntimeOptions,
    cluster: ClusterOptions,
    target: Annotated[str, typer.Option(autocompletion=complete_tasks, help="The target task to choose for.")],
    candidates: Annotated[
        str | None,
        typer.Option(
            autocompletion=complete_tasks, help="Candidate tasks, 'a,b,c'; default: all with training data here."
        ),
    ] = None,
    learn_from: Annotated[
        str,
        typer.Option(
            autocompletion=complete_tasks,
            help="Train the target on this task instead of its own; 'a+b': one after the other.",
        ),
    ] = "",
    budget: Annotated[float, typer.Option(min=0, metavar="N", help="Hours of building, at most; 0: no limit.")] = 0,
    steps: Annotated[int, typer.Option(min=1, metavar="N", help="Training steps in the first round.")] = 100,
    examples: Annotated[
        int,
        typer.Option(
            min=2,
            metavar="N",
            help="Examples of a task for its features, its embedding and the scores of probes, at most.",
        ),
    ] = 500,
    seeds: Annotated[int, typer.Option(min=1, metavar="N", help="Seeds in the first round.")] = 3,
    against: Annotated[
        Path | None, typer.Option(help="A study's table.csv or report folder: how well would each method have chosen?")
    ] = None,
    against_recipe: Annotated[str, typer.Option(help="Only the study's arms of this recipe.")] = "",
    out: Annotated[Path | None, typer.Option(help="Also write recommend.json to this folder.")] = None,
) -> None:
    """Rank intermediate tasks for a target with short probe trainings instead of full ones."""
    from xstilts.api import Recommendation
    from xstilts.experiments import grid
    from xstilts.runtime.console import result
    from xstilts.selection import probes, render
    from xstilts.tasks.base import task

    machine, wanted = runtime.runtime(cluster), grid.trained_on(task(target), learn_from)
    chosen = probes.candidates_of(wanted, candidates, machine.data)
    search = probes.CandidateSearch(
        encoder.pinned(), wanted, chosen, recipes.recipes(), seeds=seeds, steps=steps, examples=examples
    )
    given = Recommendation.of(search, machine, budget_hours=budget, against=against, against_recipe=against_recipe)
    render.show(given.advice, out)
    result(render.to_json(given.advice))
