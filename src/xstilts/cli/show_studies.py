"""TODO cli.show_studies."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table as RichTable

from xstilts.errors import InputError
from xstilts.runtime import progress
from xstilts.runtime.console import console
from xstilts.runtime.machine import Runtime

if TYPE_CHECKING:
    from xstilts.planning.forecast import Gpu

MOST = 3  # gaps of a study that are told in its last line; the report has all


def outlook(file: Path, scale: str, gpu: Gpu, machine: Runtime, out: Path | None) -> None:
    """Print what a study would take on a GPU, and write it as JSON where that is asked for."""
    from xstilts.experiments import study as studies
    from xstilts.planning import forecast, render

    asked = studies.load(file, scale)
    with progress.shown():
        found = forecast.forecast(asked, gpu, machine)
    screen = console()
    screen.print(asked.question.strip().splitlines()[0], highlight=False)
    for part in render.parts(found):
        screen.print(part, highlight=False, soft_wrap=isinstance(part, str))
    if out:
        out.write_text(json.dumps(render.plain(found), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def study(file: Path, scale: str, machine: Runtime, out: Path) -> bool:
    """Build a study, write its report, print what became of each claim; say whether all of it could be built."""
    from xstilts.reporting import study_page
    from xstilts.reporting.run_study import run_study

    machine = replace(machine, workers=machine.workers or (2 if machine.torch_device().type == "cpu" else 1))
    with progress.shown():
        outcome = run_study(file, scale, machine, out)
    shown = RichTable(title=outcome.report["question"], title_justify="left")
    for column in ("claim", "verdict", "why"):
        shown.add_column(column)
    for verdict in outcome.verdicts:
        shown.add_row(verdict.claim.sentence, verdict.status, verdict.why)
    screen = console()
    screen.print(shown)
    screen.print(outcome.report["answer"], highlight=False)
    screen.print(f"{outcome.built} stages built; the report is {out / study_page.HTML}", highlight=False)
    if outcome.missing:
        more = [f"and {len(outcome.missing) - MOST} more"] if len(outcome.missing) > MOST else []
        lines = " | ".join([*outcome.missing[:MOST], *more])
        screen.print(f"could not be built: {lines}", highlight=False, soft_wrap=True)
    return not outcome.missing


def verify(folder: Path, store: Path) -> bool:
    """Check a report's claims against what is on disk and print what became of each; say whether all stand."""
    from xstilts.evidence.report import bundle
    from xstilts.evidence.report.verify import verify as verify_bundle
    from xstilts.reporting import study_report
    from xstilts.verification.verify import verify as verify_report

    if not store.is_dir() and not bundle.is_bundle(folder) and study_report.read(folder).get("stages"):
        raise InputError(f"no store {store}: give --store, the folder in which the study of {folder} was built")
    with progress.shown():
        checks = verify_bundle(folder, store) if bundle.is_bundle(folder) else verify_report(folder, store)
    shown = RichTable("claim", "", "why")
    for check in checks:
        shown.add_row(f"{check.sentence} ({check.name})", check.status.upper(), check.why)
    screen = console()
    screen.print(shown)
    counts = Counter(check.status for check in checks)
    screen.print(", ".join(f"{count} {status}" for status, count in counts.items()) or "no claims", highlight=False)
    return set(counts) <= {"stands"}
