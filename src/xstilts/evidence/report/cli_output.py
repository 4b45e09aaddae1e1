"""Terminal output of `xstilts evidence`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xstilts.errors import InputError
from xstilts.evidence import demo as demos
from xstilts.evidence.claims.bearing import Vectors
from xstilts.evidence.claims.verdict import NliFunction
from xstilts.evidence.pipeline import ReportOptions, ReportServices, make_report
from xstilts.runtime import progress
from xstilts.runtime.console import console
from xstilts.runtime.text import counted


def make_and_show(
    question: str,
    options: ReportOptions,
    llm: tuple[str, str] | None,
    verifier: Path | None = None,
    demo: bool = False,
    encoder: str = "",
) -> list[tuple[Path, Mapping[str, Any]]]:
    """Make the report of a question, or those of the demo, and print a summary of each.

    Args:
        question: The question; ignored with `demo`.
        options: Inputs and output folder.
        llm: Address and name of a language model that may propose evidence.
        verifier: Folder of an NLI model.
        demo: Make the demo reports.
        encoder: Folder or hub id of a sentence encoder that reads bearing and relations of findings by meaning; "" for
            words alone.

    Returns:
        The reports with their folders.

    Raises:
        InputError: There is no question.
    """
    if not demo and not question:
        raise InputError("there is no question; give one, or --demo")
    services = ReportServices(_load_nli(verifier), llm, vectors=_load_encoder(encoder, options.cache))
    with progress.shown():
        reports: list[tuple[Path, Mapping[str, Any]]] = (
            list(demos.make_demo_reports(options.out))
            if demo
            else [(options.out, make_report(question, options, services))]
        )
    for folder, report in reports:
        console().print(*summary_lines(folder, report), sep="\n", highlight=False, soft_wrap=True)
    return reports


def _load_nli(verifier: Path | None) -> NliFunction | None:
    if verifier is None:
        return None
    from xstilts.evidence.verifier import nli
    from xstilts.runtime.machine import Runtime

    return nli.nli_function(nli.load(verifier, Runtime()))


def _load_encoder(encoder: str, cache: Path) -> Vectors | None:
    if not encoder:
        return None
    from xstilts.evidence.retrieval.sentence_encoder import SentenceEncoder
    from xstilts.evidence.retrieval.source_search import VECTORS

    return SentenceEncoder.of(encoder, cache / VECTORS).passages


def summary_lines(folder: Path, report: Mapping[str, Any]) -> list[str]:
    """Summarise a report for the terminal.

    Args:
        folder: The report's folder.
        report: The report, as JSON.

    Returns:
        The question, the answer, counts of works, the score of the reviews, the page, and what failed.
    """
    flow, panel = report["search"]["flow"], report["reviews"]
    failed = sorted({failure["source"] for failure in report["search"]["failures"]})
    rejected = len(report["proposals"]["rejected"])
    statements, score = counted(flow["statements"], "statement"), f"{panel['score']:g} of 10"
    output = [
        *filter(None, [report.get("notice")]),
        report["question"],
        f"  {report['answer']}",
        f"  {counted(flow['works'], 'work')}, {flow['included']} included, {flow['cited']} cited, "
        f"{statements}; reviews {score} ({panel['low']:g} to {panel['high']:g})",
        f"  {folder / 'report.html'}",
    ]
    output += [f"  failed: {', '.join(failed)}"] if failed else []
    return output + ([f"  {counted(rejected, 'proposal')} of a language model rejected"] if rejected else [])
