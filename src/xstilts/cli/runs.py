"""Verbs of experiments: run them, plan them, and write their predictions for a leaderboard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xstilts.cli.app import VerbWithoutRecord, app
from xstilts.cli.options import ClusterOptions, ExperimentOptions, Keep, Out, RecipeOptions, RuntimeOptions, grouped
from xstilts.runtime.text import counted

if TYPE_CHECKING:
    from xstilts.api import Comparison
    from xstilts.experiments.score_table import ScoreTable
    from xstilts.store.stage import Stage

LISTED = 40  # stages that `plan` lists one by one


@app.command(
    rich_help_panel="Run",
    examples=(
        "xstilts run --encoder sandbox --target sandbox_nli --recipe sandbox",
        "xstilts run --encoder FacebookAI/xlm-roberta-base --intermediate mnli --target xquad --seeds 3 --data DATA",
        "xstilts run --encoder FacebookAI/xlm-roberta-base --suite xtreme --data DATA --out tables --json",
    ),
)
@grouped
def run(
    experiment: ExperimentOptions,
    recipes: RecipeOptions,
    runtime: RuntimeOptions,
    cluster: ClusterOptions,
    out: Out = None,
    keep: Keep = "all",
) -> None:
    """Train, predict and score: the baseline and each intermediate setting, in all languages of the targets."""
    from xstilts.api import Comparison
    from xstilts.experiments.grid import feasible
    from xstilts.runtime import progress
    from xstilts.runtime.console import result

    machine = replace(runtime.runtime(cluster), keep=keep)
    grid = experiment.grid(recipes.recipes(), machine)
    if experiment.suite:
        with progress.shown():
            grid = feasible(grid, machine)
    comparison = Comparison.of(grid, machine)
    print_comparisons([comparison], out)
    averages = _averages(comparison.tables, experiment.suite, out) if experiment.suite else {}
    result({**comparisons_json([comparison]), **averages})


@app.command(
    rich_help_panel="Run",
    examples=(
        "xstilts plan --encoder sandbox --target sandbox_nli --recipe sandbox",
        "xstilts plan --encoder FacebookAI/xlm-roberta-base --intermediate mnli --target xquad --data DATA --json",
        "xstilts plan studies/replication.py --scale full",
    ),
)
@grouped
def plan(experiment: ExperimentOptions, recipes: RecipeOptions, runtime: RuntimeOptions, out: Out = None) -> None:
    """Show which stages `run` with these options would find finished and which it would build; builds nothing.

    For a study file, see `plan FILE.py --help`.
    """
    from xstilts.experiments import preflight, retries
    from xstilts.experiments.grid import feasible
    from xstilts.planning import disk, memory_fit
    from xstilts.runtime import progress
    from xstilts.runtime.console import console, result
    from xstilts.store import build, query
    from xstilts.store.stage import with_inputs

    machine = runtime.runtime()
    grid = experiment.grid(recipes.recipes(), machine)
    with progress.shown():
        grid = (feasible(grid, machine) if experiment.suite else grid).resolved(machine)
        stages = grid.stages(machine)
        stages = list(dict.fromkeys([*stages, *with_inputs(stages)]))  # in the order in which they are built
    preflight.check(stages, machine)
    missing = build.missing(tuple(stages), machine)
    screen, counts = console(), _counts(stages, missing)
    screen.print(_counts_table(counts))
    for stage in missing[:LISTED]:
        screen.print(f"  to do  {stage.label}-{stage.key}", highlight=False)
    if len(missing) > LISTED:
        screen.print(f"  … and {len(missing) - LISTED} more")
    seconds = query.expected_seconds(machine.store, missing)
    time = "unknown: this store has no finished stage of some of these functions" if seconds is None else _time(seconds)
    screen.print(f"expected time with one worker, from the finished stages of this store: {time}", highlight=False)
    absent = {stage.key for stage in missing}
    repeats = sum(left for stage, left in grid.trainings(machine.data).items() if stage.key in absent)
    if repeats:
        screen.print(f"{retries.rule(grid.retries)}: at most {counted(repeats, 'training')} more", highlight=False)
    needed = disk.of_stages(missing, machine, stages)
    if needed.models:
        screen.print(f"  disk  {needed.sentence()}", highlight=False, soft_wrap=True)
    memory = list(memory_fit.lines(missing, machine))
    for line in memory:
        screen.print(f"  memory  {line}", highlight=False, soft_wrap=True)
    result(
        {
            "stages": counts,
            "to_do": [{"label": stage.label, "key": stage.key} for stage in missing],
            "expected_seconds": seconds,
            "repeats": repeats,
            "memory": memory,
            "disk": needed.to_json(),
        }
    )


@app.command(
    rich_help_panel="Run",
    examples=(
        "xstilts prompt Qwen/Qwen3-1.7B --target xnli --data DATA",
        "xstilts prompt Qwen/Qwen3-1.7B --target sib200 --shots 7 --languages en,sw,yo --data DATA --json",
        "xstilts prompt MODEL --target pawsx --template '{text_a}; {text_b}: the same?' --answer 0=no --answer 1=yes",
    ),
)
@grouped
def prompt(
    model: Annotated[str, typer.Argument(help="Decoder: a hub id or a local folder.")],
    target: Annotated[str, typer.Option(help="Target, of classification or multiple choice.")],
    shots: Annotated[int, typer.Option(min=0, help="Training examples before each prompt.")] = 0,
    draw: Annotated[int, typer.Option(help="Which training examples; another number draws others.")] = 1,
    template: Annotated[str, typer.Option(help="Prompt before the answer; default: the usual one.")] = "",
    answer: Annotated[list[str] | None, typer.Option(metavar="LABEL=TEXT", help="Answer of a label.")] = None,
    *,
    per_token: Annotated[bool, typer.Option("--per-token", help="Compare means over an answer's tokens.")] = False,
    languages: Annotated[str, typer.Option(help="Only these languages, 'en,sw'.")] = "",
    split: Annotated[str, typer.Option(help="Split to measure: test or validation.")] = "test",
    runtime: RuntimeOptions,
    cluster: ClusterOptions,
) -> None:
    """Score a decoder on a target by the likelihood of answers, zero-shot or few-shot; nothing is trained."""
    from xstilts import api
    from xstilts.errors import InputError
    from xstilts.runtime.console import console, result

    pairs = [given.partition("=") for given in answer or ()]
    if wrong := [label for label, equals, _ in pairs if not equals]:
        raise InputError(f"--answer {wrong[0]}: give LABEL=TEXT")
    evaluation = api.prompt(
        model,
        target,
        shots=shots,
        draw=draw,
        template=template.replace("\\n", "\n"),
        answers={label: text for label, _, text in pairs},
        per_token=per_token,
        languages=[code for code in languages.split(",") if code],
        split=split,
        runtime=runtime.runtime(cluster),
    )
    console().print(evaluation.__rich__())
    result({"model": model, "mean": evaluation.mean, "rows": evaluation.rows()})


@app.command(
    cls=VerbWithoutRecord,
    rich_help_panel="Run",
    examples=("xstilts submit --encoder FacebookAI/xlm-roberta-base --suite xtreme --data DATA --out submission",),
)
@grouped
def submit(
    experiment: ExperimentOptions,
    recipes: RecipeOptions,
    runtime: RuntimeOptions,
    cluster: ClusterOptions,
    out: Out = None,
) -> None:
    """Build one seed of the last setting and write its predictions as a leaderboard takes them, to --out."""
    from xstilts import metrics
    from xstilts.errors import InputError
    from xstilts.experiments import preflight, submission
    from xstilts.experiments.grid import feasible
    from xstilts.runtime import progress
    from xstilts.runtime.console import console, result
    from xstilts.store import local_executor, names

    machine = runtime.runtime(cluster)
    grid = experiment.grid(recipes.recipes(), machine)
    if grid.retries:
        raise InputError("a submission takes each training as it ends: leave --retries out")
    if not experiment.suite or not out:
        raise InputError("a submission needs --suite, xtreme or xtreme-r, and --out, the folder to write to")
    suite = metrics.suite(experiment.suite)
    submission.refuse(grid.submission_runs(machine), suite, out)
    with progress.shown():
        grid = feasible(grid, machine, lambda grid, machine: submission.stages(grid.submission_runs(machine)))
        stages = submission.stages(grid.submission_runs(machine))
        preflight.check(stages, machine)
        local_executor.build_all(stages, machine, first=names.READ)
    report = submission.write(grid.submission_runs(machine), suite, machine, out)
    for line in report.lines():
        console().print(line, highlight=False)
    result(report)


def print_comparisons(results: Sequence[Comparison], out: Path | None) -> None:
    """Print the tables of comparisons in one store and the places of their results; write the tables to a folder."""
    from xstilts.experiments import score_table
    from xstilts.runtime.console import console
    from xstilts.store import manifest
    from xstilts.store.stage import Stage, folder_of

    screen, machine = console(), results[0].runtime
    for result in results:
        screen.print(result)
    built = sum(result.built for result in results)
    screen.print(
        f"{counted(built, 'stage')} built, the others were finished; results are in {machine.store}/", highlight=False
    )
    predictions = next((score.arguments["predictions"] for result in results for score in result.scores()), None)
    if predictions:
        screen.print(
            f"  predictions  {folder_of(predictions, machine)}/predictions.jsonl, for example", highlight=False
        )
        model = predictions.arguments["model"]
        if isinstance(model, Stage) and manifest.has_all_files(folder_of(model, machine)):
            screen.print(f"  checkpoint   {folder_of(model, machine)}/model, for example", highlight=False)
    if out:
        score_table.save([table for result in results for table in result.tables], out)
        screen.print(f"  tables       {out}/table.md and table.json", highlight=False)


def comparisons_json(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """Return what `print_comparisons` prints as values: scores, gains, remarks, and where the results are."""
    from xstilts.experiments import score_table

    return {
        "tables": [
            {
                "target": table.target,
                "metric": table.metric,
                "columns": score_table.header(table),
                "rows": dict(score_table.cells_of(table)),
                "remarks": score_table.remarks(table),
            }
            for comparison in comparisons
            for table in comparison.tables
        ],
        "scores": [row for comparison in comparisons for row in comparison.rows()],
        "gains": [gain for comparison in comparisons for gain in _gains(comparison)],
        "built": sum(comparison.built for comparison in comparisons),
        "store": comparisons[0].runtime.store,
    }


def _gains(comparison: Comparison) -> Iterator[dict[str, Any]]:
    """Yield the gain of each setting on each target: over all languages, without the training ones, and in each."""
    for table in comparison.tables:
        for setting in comparison.settings[1:]:
            gain = comparison.gain(setting, table.target)
            zero_shot = gain.zero_shot if set(table.languages) - gain.trained_in else None
            languages = {code: gain[code] for code in table.languages}
            figures = {"all": gain.all, "zero_shot": zero_shot, "languages": languages}
            yield {"target": table.target, "setting": setting, **figures}


def _averages(tables: Sequence[ScoreTable], suite: str, out: Path | None) -> dict[str, Any]:
    """Print the averages of a benchmark over its tasks and which tasks and languages they lack; return them."""
    from xstilts import metrics
    from xstilts.experiments import benchmark
    from xstilts.runtime.console import console

    averages, screen = benchmark.of(tables, metrics.suite(suite)), console()
    screen.print(benchmark.render(averages))
    for remark in benchmark.remarks(averages):
        screen.print(f"  {remark}", style="dim", highlight=False)
    if out:
        benchmark.save(averages, out)
    return {"benchmark": {"averages": averages, "remarks": benchmark.remarks(averages)}}


def _counts(stages: Sequence[Stage], missing: Sequence[Stage]) -> list[dict[str, str | int]]:
    """Return how many stages of each function are finished and how many are missing."""
    from xstilts.store.stage import with_inputs

    absent = {stage.key for stage in missing}
    counts = Counter((stage.work.short, stage.key in absent) for stage in with_inputs(stages))
    names = sorted({name for name, _ in counts})
    return [{"stage": name, "finished": counts[name, False], "to do": counts[name, True]} for name in names]


def _counts_table(counts: Sequence[Mapping[str, str | int]]) -> object:
    from rich.table import Table

    shown = Table("stage", "finished", "to do")
    for row in counts:
        shown.add_row(*map(str, row.values()))
    return shown


def _time(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours} h {rest // 60} min" if hours else f"{rest // 60} min {rest % 60} s"
