"""Show: what the command line prints of things that are there or would be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table as RichTable

from xstilts.cost import summary
from xstilts.errors import InputError
from xstilts.experiments import score_table as tables_
from xstilts.experiments.grid import Grid, feasible
from xstilts.experiments.score_table import ScoreTable
from xstilts.runtime import progress
from xstilts.runtime.console import console
from xstilts.runtime.machine import Runtime
from xstilts.store import build
from xstilts.store import query as stores
from xstilts.store import stage as stages
from xstilts.store.stage import Stage, folder_of

if TYPE_CHECKING:
    pass

SAMPLE = 40  # stages that `plan` lists one by one


def run(asked: Grid, suite: str | None, machine: Runtime, out: Path | None) -> None:
    """Build a grid and print its tables, and the averages of a suite."""
    with progress.shown():
        asked = feasible(asked, machine) if suite else asked
        built = asked.build(machine)
    found = asked.tables(machine)
    tables(found, asked.score_stages(machine), built, machine, out)
    if suite:
        averages(found, suite, out)


def averages(found: Sequence[ScoreTable], suite: str, out: Path | None) -> None:
    """Print the means of a suite over its tasks, and what is missing of it."""
    from xstilts import metrics
    from xstilts.experiments import benchmark

    means, screen = benchmark.of(found, metrics.suite(suite)), console()
    screen.print(benchmark.render(means))
    for remark in benchmark.remarks(means):
        screen.print(f"  {remark}", style="dim", highlight=False)
    if out:
        benchmark.save(means, out)


def submission(asked: Grid, suite: str | None, machine: Runtime, out: Path | None) -> None:
    """Build one seed of a grid's last setting and write its predictions as a leaderboard takes them."""
    from xstilts import metrics
    from xstilts.experiments import submission
    from xstilts.store import local_executor

    if not suite or not out:
        raise InputError("a submission needs --suite, xtreme or xtreme-r, and --out, the folder to write to")
    submission.refuse(asked.submission_runs(machine), metrics.suite(suite), out)
    with progress.shown():
        asked = feasible(asked, machine, lambda grid, machine: submission.stages(grid.submission_runs(machine)))
        local_executor.build_all(submission.stages(asked.submission_runs(machine)), machine)
    for line in submission.write(asked.submission_runs(machine), metrics.suite(suite), machine, out).lines():
        console().print(line, highlight=False)


def tables(found: Sequence[ScoreTable], last: Sequence[Stage], built: int, machine: Runtime, out: Path | None) -> None:
    """Print tables with their remarks, and where predictions and checkpoints lie."""
    screen, every = console(), stores.by_key(machine.store)
    for table in found:
        screen.print(tables_.render(table))
        for remark in tables_.remarks(table):
            screen.print(f"  {remark}", style="dim", highlight=False)
        screen.print(f"  {_cost(table, every)}", style="dim", highlight=False)
        screen.print()
    example = next((score.arguments["predictions"] for score in last), None)
    screen.print(f"{built} stages built, the rest was there; results lie in {machine.store}/", highlight=False)
    if example:
        screen.print(f"  predictions  {folder_of(example, machine)}/predictions.jsonl, for example", highlight=False)
        model = example.arguments["model"]
        if isinstance(model, Stage):
            screen.print(f"  checkpoint   {folder_of(model, machine)}/model, for example", highlight=False)
    if out:
        tables_.save(found, out)
        screen.print(f"  tables       {out}/table.md and table.json", highlight=False)


def _cost(table: ScoreTable, every: Mapping[str, stores.Record]) -> str:
    """Return in a line what the stages behind a table have cost."""
    keys = {key for column in table.columns for seeds in column.keys.values() for key in seeds}
    return summary.summary(summary.behind(every, sorted(keys)))


def plan(asked: Grid, suite: str | None, machine: Runtime, out: Path | None) -> None:
    """Print how many stages a grid has, which are finished, what the rest will take, and whether memory is enough."""
    from xstilts.planning import memory_fit

    with progress.shown():
        promised = (feasible(asked, machine) if suite else asked).stages(machine)
    todo = build.missing(tuple(promised), machine)
    every = {item.key: item for item in stages.with_inputs(promised)}
    absent = {item.key for item in todo}
    screen = console()
    counts = Counter((item.work.function.__name__, item.key in absent) for item in every.values())
    shown = RichTable("work", "finished", "to do")
    for name in sorted({name for name, _ in counts}):
        shown.add_row(name, str(counts[name, False]), str(counts[name, True]))
    screen.print(shown)
    for item in todo[:SAMPLE]:
        screen.print(f"  to do  {item.label}-{item.key}", highlight=False)
    if len(todo) > SAMPLE:
        screen.print(f"  … and {len(todo) - SAMPLE} more")
    seconds = stores.expected_seconds(machine.store, todo)
    guess = "not known: nothing of the kind has been built in this store" if seconds is None else _duration(seconds)
    screen.print(f"expected time on one worker, from finished stages of the same work: {guess}", highlight=False)
    for line in memory_fit.lines(todo, machine):
        screen.print(f"  memory  {line}", highlight=False, soft_wrap=True)


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours} h {rest // 60} min" if hours else f"{rest // 60} min {rest % 60} s"
