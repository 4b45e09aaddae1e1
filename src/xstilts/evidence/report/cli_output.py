"""Showing: what a person sees of evidence reports that are made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xstilts.errors import InputError
from xstilts.evidence import demo as demos
from xstilts.evidence.claims.verdict import NliFunction
from xstilts.evidence.pipeline import ReportOptions, ReportServices, make_report
from xstilts.runtime import progress


def make_and_show(
    question: str, where: ReportOptions, llm: tuple[str, str] | None, verifier: Path | None = None, demo: bool = False
) -> None:
    """Make the report of a question, or those of the demo, and print where each is and what it answers.

    verifier: the folder of a model of inference, which is heard, and decides where its card lets it.
    """
    if not demo and not question:
        raise InputError("nothing is asked; give a question, or --demo")
    given = ReportServices(_load_nli(verifier), llm)
    with progress.shown():
        made = list(demos.make_demo_reports(where.out)) if demo else [(where.out, make_report(question, where, given))]
    for folder, found in made:
        print(*summary_lines(folder, found), sep="\n")


def _load_nli(verifier: Path | None) -> NliFunction | None:
    if verifier is None:
        return None
    from xstilts.evidence.verifier import nli
    from xstilts.runtime.machine import Runtime

    return nli.nli_function(nli.load(verifier, Runtime()))


def summary_lines(folder: Path, found: Mapping[str, Any]) -> list[str]:
    """Return what is said of a report on a screen."""
    flow, panel = found["search"]["flow"], found["reviews"]
    failed = sorted({one["source"] for one in found["search"]["failures"]})
    rejected = len(found["proposals"]["rejected"])
    told = [
        found["question"],
        f"  {found['answer']}",
        f"  {flow['works']} works, {flow['included']} taken in, {flow['cited']} cited, "
        f"{flow['statements']} statements; reviews {panel['score']:g} of 10 ({panel['low']:g} to {panel['high']:g})",
        f"  {folder / 'report.html'}",
    ]
    told += [f"  failed: {', '.join(failed)}"] if failed else []
    return told + ([f"  {rejected} proposals of a language model rejected"] if rejected else [])
