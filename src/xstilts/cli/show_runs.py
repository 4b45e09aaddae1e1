"""Show: what the command line prints of things that are there or would be."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table as RichTable

from xstilts.cost.ledger import summary
from xstilts.runtime import progress
from xstilts.store.query import manifest as records
from xstilts.store.query import stage as stages
from xstilts.store.query import query as stores
from xstilts.experiments import score_table as tables_
from xstilts.tasks import base as tasks_
from xstilts.data.examples import BadInput
from xstilts.experiments.grid import Grid, feasible
from xstilts.runtime.machine import Machine
from xstilts.evaluation.contamination import Overlap
from xstilts.runtime.console import console
from xstilts.store.query.stage import Stage, folder_of
from xstilts.experiments.score_table import Table

if TYPE_CHECKING:
    from xstilts.planning.forecast import Gpu

SAMPLE = 40  # stages that `plan` lists one by one
MOST = 3  # gaps of a study that are told in its last line; the report has all
COST = {
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


def run(asked: Grid, suite: str | None, machine: Machine, out: Path | None) -> None:
    """Build a grid and print its tables, and the averages of a suite."""
    with progress.shown():
        asked = feasible(asked, machine) if suite else asked
        built = asked.build(machine)
    found = asked.tables(machine)
    tables(found, asked.stages(machine), built, machine, out)
    if suite:
        averages(found, suite, out)


def averages(found: Sequence[Table], suite: str, out: Path | None) -> None:
    """Print the means of a suite over its tasks, and what is missing of it."""
    from xstilts.experiments import benchmark
    from xstilts import metrics

    means, screen = benchmark.of(found, metrics.suite(suite)), console()
    screen.print(benchmark.render(means))
    for remark in benchmark.remarks(means):
        screen.print(f"  {remark}", style="dim", highlight=False)
    if out:
        benchmark.save(means, out)


def submission(asked: Grid, suite: str | None, machine: Machine, out: Path | None) -> None:
    """Build one seed of a grid's last setting and write its predictions as a leaderboard takes them."""
    from xstilts import metrics
    from xstilts.experiments import submission
    from xstilts.store.query import local_executor

    if not suite or not out:
        raise BadInput("a submission needs --suite, xtreme or xtreme-r, and --out, the folder to write to")
    submission.refuse(asked.first(), metrics.suite(suite), out)
    with progress.shown():
        asked = feasible(asked, machine, lambda grid, machine: submission.stages(grid.first(), machine))
        local_executor.build_all(submission.stages(asked.first(), machine), machine)
    for line in submission.write(asked.first(), metrics.suite(suite), machine, out).said():
        console().print(line, highlight=False)


def tables(found: Sequence[Table], last: Sequence[Stage], built: int, machine: Machine, out: Path | None) -> None:
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


def costs(store: Path, keys: Sequence[str], out: Path | None) -> None:
    """Print what stages have cost: by phase, one by one, and together."""
    lines = summary.entries(store, keys)
    screen = console()
    screen.print(_costs("cost by phase", [*summary.by_phase(lines), summary.total(lines)]))
    screen.print(_costs("cost by stage", lines))
    if out:
        summary.save(lines, out)
        screen.print(f"  all of it   {out}", highlight=False)


def _costs(title: str, lines: Sequence[summary.Line]) -> RichTable:
    rows = [(line.folder, [summary.cell(line, figure) for figure in COST.values()]) for line in lines]
    return tables_.drawn(title, ["", *COST], rows)


def _cost(table: Table, every: Mapping[str, stores.Record]) -> str:
    """Return in a line what the stages behind a table have cost."""
    keys = {key for column in table.columns for seeds in column.keys.values() for key in seeds}
    return summary.said(summary.behind(every, sorted(keys)))


def plan(asked: Grid, suite: str | None, machine: Machine, out: Path | None) -> None:
    """Print how many stages a grid has, which are finished, what the rest will take, and whether memory is enough."""
    from xstilts.planning import memory_fit

    with progress.shown():
        promised = (feasible(asked, machine) if suite else asked).promised(machine)
    todo = stages.missing(tuple(promised), machine)
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


def outlook(file: Path, scale: str, gpu: Gpu, machine: Machine, out: Path | None) -> None:
    """Print what a study would take on a GPU, and write it as JSON where that is asked for."""
    from xstilts.planning import forecast, render
    from xstilts.experiments import study as studies

    asked = studies.load(file, scale)
    with progress.shown():
        found = forecast.forecast(asked, gpu, machine)
    screen = console()
    screen.print(asked.question.strip().splitlines()[0], highlight=False)
    for part in render.parts(found):
        screen.print(part, highlight=False, soft_wrap=isinstance(part, str))
    if out:
        out.write_text(json.dumps(render.plain(found), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def study(file: Path, scale: str, machine: Machine, out: Path) -> bool:
    """Build a study, write its report, print what became of each claim; say whether all of it could be built."""
    from xstilts.reporting import report
    from xstilts.reporting.run_study import conduct

    machine = replace(machine, workers=machine.workers or (2 if machine.torch_device().type == "cpu" else 1))
    with progress.shown():
        outcome = conduct(file, scale, machine, out)
    shown = RichTable(title=outcome.report["question"], title_justify="left")
    for column in ("claim", "verdict", "why"):
        shown.add_column(column)
    for verdict in outcome.verdicts:
        shown.add_row(verdict.claim.sentence, verdict.status, verdict.why)
    screen = console()
    screen.print(shown)
    screen.print(outcome.report["answer"], highlight=False)
    screen.print(f"{outcome.built} stages built; the report is {out / report.HTML}", highlight=False)
    if outcome.missing:
        more = [f"and {len(outcome.missing) - MOST} more"] if len(outcome.missing) > MOST else []
        lines = " | ".join([*outcome.missing[:MOST], *more])
        screen.print(f"could not be built: {lines}", highlight=False, soft_wrap=True)
    return not outcome.missing


def verify(folder: Path, store: Path) -> bool:
    """Check a report's claims against what is on disk and print what became of each; say whether all stand."""
    from xstilts.reporting import report
    from xstilts.evidence.report import bundle, verify
    from xstilts.verification.verify import verify

    if not store.is_dir() and not bundle.is_bundle(folder) and report.read(folder).get("stages"):
        raise BadInput(f"no store {store}: give --store, the folder in which the study of {folder} was built")
    with progress.shown():
        checks = verify.verify(folder, store) if bundle.is_bundle(folder) else verify(folder, store)
    shown = RichTable("claim", "", "why")
    for check in checks:
        shown.add_row(f"{check.sentence} ({check.name})", check.status.upper(), check.why)
    screen = console()
    screen.print(shown)
    counts = Counter(check.status for check in checks)
    screen.print(", ".join(f"{count} {status}" for status, count in counts.items()) or "no claims", highlight=False)
    return set(counts) <= {"stands"}


def stage(store: Path, key: str) -> None:
    """Print the record of a finished stage and the difference from its nearest sibling."""
    folder, record = stores.find(store, key)
    screen = console()
    screen.print_json(json.dumps({name: value for name, value in record.items() if name != "files"}))
    damaged = records.damaged_files(folder)
    state = f"DAMAGED: {', '.join(damaged)}" if damaged else "all as recorded"
    screen.print(f"{len(record['files'])} files, {state}", highlight=False)
    nearest = stores.nearest_sibling(store, record)
    if nearest:
        screen.print(f"nearest sibling: {nearest[0].name}", highlight=False)
        for path, (here, there) in nearest[1].items():
            screen.print(f"  {path}: {json.dumps(here)} here, {json.dumps(there)} there", highlight=False)


def tasks(folder: Path | None) -> None:
    """Print every task in a line; with a data folder, whether there is something to train on and to measure."""
    there = ("training data", "with test data") if folder else ("licence",)
    shown = RichTable("task", "kind", "metric", "learned from", "languages", *there)
    for name in tasks_.names():
        one = tasks_.task(name)
        measured = sum(one.has("test", code, folder) for code in one.languages)
        trained = "yes" if all(part.has("train", code, folder) for part, code in one.heaps()) else "-"
        last = (trained, f"{measured} of {len(one.languages)}" if measured else "-") if folder else (one.licence,)
        shown.add_row(name, one.kind, one.metric, one.learned_from or "-", str(len(one.languages) or "any"), *last)
    console().print(shown)


def overlaps(found: Sequence[Overlap]) -> None:
    """Print what test examples have in common with training data, by field, and a few of the pairs."""
    screen = console()
    for one in found:
        screen.print(f"{one.test}: {one.test_examples:,} examples, {one.touched:,} of them seen in {one.train}")
        shown = RichTable("field", "examples", "seen exactly", "nearly", "too short to say")
        for part in one.fields:
            shown.add_row(part.name, *(f"{count:,}" for count in (part.examples, part.exact, part.near, part.short)))
        screen.print(shown)
        for pair in one.samples:
            likeness = f"{pair.similarity:.2f} alike"
            screen.print(f"  {pair.field}: {pair.test} and training's {pair.train}, {likeness}", highlight=False)


def sandbox_languages() -> None:
    """Print the artificial languages with their distances from the English-like one."""
    from dataclasses import fields

    from xstilts import sandbox

    names = [field.name for field in fields(sandbox.Artificial)]
    shown = RichTable(*names, "distance")
    for language in sandbox.LANGUAGES:
        shown.add_row(*(str(getattr(language, name)) for name in names), f"{sandbox.distance(language):.2f}")
    console().print(shown)


def measured(figures: dict[str, dict[str, float]]) -> None:
    """Print figures by language."""
    names = list(next(iter(figures.values())))
    shown = RichTable("language", *names)
    for code, row in figures.items():
        shown.add_row(code, *(f"{row[name]:g}" for name in names))
    console().print(shown)


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours} h {rest // 60} min" if hours else f"{rest // 60} min {rest % 60} s"
