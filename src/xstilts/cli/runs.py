"""Verbs of experiments: run them, plan them, and write their predictions for a leaderboard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from xstilts.cli.app import app
from xstilts.cli.options import ExperimentOptions, Out, RecipeOptions, RuntimeOptions, grouped

if TYPE_CHECKING:
    from xstilts.api import Comparison
    from xstilts.experiments.score_table import ScoreTable
    from xstilts.store.stage import Stage

LISTED = 40  # stages that `plan` lists one by one


@app.command()
@grouped
def run(experiment: ExperimentOptions, recipes: RecipeOptions, runtime: RuntimeOptions, out: Out = None) -> None:
    """Train, predict and score: the baseline and each intermediate setting, in all languages of the targets."""
    from xstilts.api import Comparison
    from xstilts.experiments.grid import feasible
    from xstilts.runtime import progress

    machine = runtime.runtime()
    grid = experiment.grid(recipes.recipes(), machine)
    if experiment.suite:
        with progress.shown():
            grid = feasible(grid, machine)
    result = Comparison.of(grid, machine)
    print_comparisons([result], out)
    if experiment.suite:
        _print_averages(result.tables, experiment.suite, out)


@app.command()
@grouped
def plan(experiment: ExperimentOptions, recipes: RecipeOptions, runtime: RuntimeOptions, out: Out = None) -> None:
    """Show which stages `run` with these options would find finished and which it would build; builds nothing.

    For a study file, see `plan FILE.py --help`.
    """
    from xstilts.experiments import preflight
    from xstilts.experiments.grid import feasible
    from xstilts.planning import memory_fit
    from xstilts.runtime import progress
    from xstilts.runtime.console import console
    from xstilts.store import build, query

    machine = runtime.runtime()
    grid = experiment.grid(recipes.recipes(), machine)
    with progress.shown():
        stages = (feasible(grid, machine) if experiment.suite else grid).stages(machine)
    preflight.check(stages, machine)
    missing = build.missing(tuple(stages), machine)
    screen = console()
    screen.print(_counts(stages, missing))
    for stage in missing[:LISTED]:
        screen.print(f"  to do  {stage.label}-{stage.key}", highlight=False)
    if len(missing) > LISTED:
        screen.print(f"  … and {len(missing) - LISTED} more")
    seconds = query.expected_seconds(machine.store, missing)
    time = "unknown: this store has no finished stage of some of these functions" if seconds is None else _time(seconds)
    screen.print(f"expected time with one worker, from the finished stages of this store: {time}", highlight=False)
    for line in memory_fit.lines(missing, machine):
        screen.print(f"  memory  {line}", highlight=False, soft_wrap=True)


@app.command()
@grouped
def submit(experiment: ExperimentOptions, recipes: RecipeOptions, runtime: RuntimeOptions, out: Out = None) -> None:
    """Build one seed of the last setting and write its predictions as a leaderboard takes them, to --out."""
    from xstilts import metrics
    from xstilts.errors import InputError
    from xstilts.experiments import preflight, submission
    from xstilts.experiments.grid import feasible
    from xstilts.runtime import progress
    from xstilts.runtime.console import console
    from xstilts.store import local_executor

    machine = runtime.runtime()
    grid = experiment.grid(recipes.recipes(), machine)
    if not experiment.suite or not out:
        raise InputError("a submission needs --suite, xtreme or xtreme-r, and --out, the folder to write to")
    suite = metrics.suite(experiment.suite)
    submission.refuse(grid.submission_runs(machine), suite, out)
    with progress.shown():
        grid = feasible(grid, machine, lambda grid, machine: submission.stages(grid.submission_runs(machine)))
        stages = submission.stages(grid.submission_runs(machine))
        preflight.check(stages, machine)
        local_executor.build_all(stages, machine)
    for line in submission.write(grid.submission_runs(machine), suite, machine, out).lines():
        console().print(line, highlight=False)


def print_comparisons(results: Sequence[Comparison], out: Path | None) -> None:
    """Print the tables of comparisons in one store and the places of their results; write the tables to a folder."""
    from xstilts.experiments import score_table
    from xstilts.runtime.console import console
    from xstilts.store.stage import Stage, folder_of

    screen, machine = console(), results[0].runtime
    for result in results:
        screen.print(result)
    built = sum(result.built for result in results)
    screen.print(f"{built} stages built, the others were finished; results are in {machine.store}/", highlight=False)
    predictions = next((score.arguments["predictions"] for result in results for score in result.scores()), None)
    if predictions:
        screen.print(
            f"  predictions  {folder_of(predictions, machine)}/predictions.jsonl, for example", highlight=False
        )
        model = predictions.arguments["model"]
        if isinstance(model, Stage):
            screen.print(f"  checkpoint   {folder_of(model, machine)}/model, for example", highlight=False)
    if out:
        score_table.save([table for result in results for table in result.tables], out)
        screen.print(f"  tables       {out}/table.md and table.json", highlight=False)


def _print_averages(tables: Sequence[ScoreTable], suite: str, out: Path | None) -> None:
    """Print the averages of a benchmark over its tasks, and which tasks and languages they lack."""
    from xstilts import metrics
    from xstilts.experiments import benchmark
    from xstilts.runtime.console import console

    averages, screen = benchmark.of(tables, metrics.suite(suite)), console()
    screen.print(benchmark.render(averages))
    for remark in benchmark.remarks(averages):
        screen.print(f"  {remark}", style="dim", highlight=False)
    if out:
        benchmark.save(averages, out)


def _counts(stages: Sequence[Stage], missing: Sequence[Stage]) -> object:
    """Return a table of how many stages of each function are finished and how many are missing."""
    from rich.table import Table

    from xstilts.store.stage import with_inputs

    absent = {stage.key for stage in missing}
    counts = Counter((stage.work.short, stage.key in absent) for stage in with_inputs(stages))
    shown = Table("stage", "finished", "to do")
    for name in sorted({name for name, _ in counts}):
        shown.add_row(name, str(counts[name, False]), str(counts[name, True]))
    return shown


def _time(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours} h {rest // 60} min" if hours else f"{rest // 60} min {rest % 60} s"
