"""Render an inference benchmark: tables for the terminal, and a JSON file for programs.

show(bench("model", None, ("fp32", "int8"), Load(), Runtime()), Path("inference.json"))
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from rich.table import Table as RichTable

from xstilts.experiments.score_table import drawn
from xstilts.inference.benchmark import Report, Standing
from xstilts.runtime import whole_files
from xstilts.runtime.console import console
from xstilts.runtime.text import counted

TIMES = ["batch x length", "calls", "p50 ms", "p99 ms", "sequences/s", "tokens/s", "x fp32"]
COSTS = ["variant", "weights MiB", "peak MiB", "answering MiB", "largest logit", "differs by", "equal arg-max"]


def show(report: Report, out: Path | None) -> None:
    """Print times, costs and remarks; also write them to a JSON file, if one is named."""
    screen = console()
    screen.print(times(report))
    screen.print(costs(report))
    for remark in summary_lines(report):
        screen.print(f"  {remark}", style="dim", highlight=False)
    if out:
        save(report, out)
        screen.print(f"  all of it   {out}", highlight=False)


def save(report: Report, out: Path) -> None:
    """Write a report as JSON; what was not measured is null."""
    out.parent.mkdir(parents=True, exist_ok=True)
    whole_files.write(out, json.dumps(asdict(report), indent=1, ensure_ascii=False) + "\n")


def times(report: Report) -> RichTable:
    """Return latency and throughput by shape and form; "x fp32" is the speed-up by medians."""
    rows = []
    plain = {(one.batch, one.length): one.p50_ms for one in report.timings if one.variant == "fp32"}
    for one in report.timings:
        base = plain.get((one.batch, one.length))
        figures = [one.p50_ms, one.p99_ms, one.sequences_per_second, one.tokens_per_second, base and base / one.p50_ms]
        cells = [str(one.calls), *map(figure, figures)]
        rows.append((f"{one.batch} x {one.length} {one.variant}", cells))
    return drawn(f"inference of {report.checkpoint} ({report.format})", TIMES, rows)


def costs(report: Report) -> RichTable:
    """Return memory and parity by form."""
    on_gpu = any(one.memory["device_mib"] is not None for one in report.standings)
    names = [*COSTS[:4], "device MiB", *COSTS[4:]] if on_gpu else COSTS
    return drawn("memory and likeness to fp32", names, [(one.variant, _cells(one, on_gpu)) for one in report.standings])


def summary_lines(report: Report) -> Iterator[str]:
    """Yield what each form is, or why it is not possible, then the remarks and the machine."""
    for one in report.standings:
        yield f"{one.variant}: not possible here: {one.missing}" if one.missing else f"{one.variant}: {one.says}"
    yield from report.remarks
    facts = report.machine
    able = ", ".join(facts["instructions"]) or "instructions not known"
    yield f"on {facts['device']} ({facts['processor']}; {able}), {counted(facts['threads'], 'thread')}, {report.date}"


def figure(value: float | None) -> str:
    """Format a number with three significant digits, or all before the point; "-" for what was not measured."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _cells(one: Standing, on_gpu: bool) -> list[str]:
    memory = [one.weights_mib, one.memory["peak_mib"], one.memory["answering_mib"]]
    like = one.likeness
    share = "-" if like is None or like.agreement is None else f"{like.equal:,} of {like.decisions:,}"
    device = [figure(one.memory["device_mib"])] if on_gpu else []
    apart = [like.largest, like.difference] if like else [None, None]
    return [*map(figure, memory), *device, *map(figure, apart), share]
