"""Commands on the literature: evidence reports on a question, and verifiers measured on SciFact."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from xstilts.cli.app import VerbWithoutRecord, app
from xstilts.cli.options import DataFolder, Device, Store, Threads


@app.command(
    cls=VerbWithoutRecord,
    rich_help_panel="Literature",
    examples=(
        "xstilts evidence --demo",
        'xstilts evidence "Does MNLI as an intermediate task help zero-shot transfer?" --sources acl,arxiv',
    ),
)
def evidence(
    question: Annotated[str, typer.Argument(help="The question, in one sentence.")] = "",
    sources: Annotated[
        str, typer.Option(help="arxiv,s2,openalex,crossref,acl, or a folder of PDFs and texts; default: all.")
    ] = "",
    study: Annotated[Path | None, typer.Option(help="A study's report, to compare with the literature.")] = None,
    bindings: Annotated[
        Path | None, typer.Option(help="JSON: which measure decides which statement; default: proposed.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("evidence"),
    cache: Annotated[Path | None, typer.Option(help="Folder of the sources' replies; default: in ~/.cache.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Answer from the cache alone.")] = False,
    llm: Annotated[
        tuple[str, str] | None, typer.Option(help="Address and name of a language model that proposes evidence.")
    ] = None,
    verifier: Annotated[
        Path | None, typer.Option(help="Folder of an NLI model; it decides only if its card allows it.")
    ] = None,
    retractions: Annotated[
        Path | None, typer.Option(help="Retraction Watch's CSV file: its works are excluded too.")
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Five questions, invented works, no network.")] = False,
    store: Store = Path("work"),
) -> None:
    """Report what the literature states on a question: quotes with their places, verified, from both sides."""
    from xstilts.runtime import extras

    extras.require("evidence", "an evidence report")  # before torch is imported, which takes seconds
    from xstilts.evidence.pipeline import CACHE, ReportOptions
    from xstilts.evidence.report import cli_output
    from xstilts.runtime.console import result

    chosen = tuple(filter(None, sources.split(",")))
    options = ReportOptions(out, cache or CACHE, chosen, offline, study, store, bindings, retractions)
    reports = cli_output.make_and_show(question, options, llm, verifier, demo)
    documents = [{"folder": folder, **report} for folder, report in reports]
    result(documents if demo else documents[0])


@app.command(
    rich_help_panel="Literature",
    examples=("xstilts scifact --data DATA", "xstilts scifact --verifier nli-model --data DATA --out scifact"),
)
def scifact(
    verifier: Annotated[
        Path | None, typer.Option(help="Folder of an NLI checkpoint (entailment, neutral, contradiction).")
    ] = None,
    data: DataFolder = None,
    out: Annotated[Path | None, typer.Option(help="Also write evidence.md and evidence.json to this folder.")] = None,
    device: Device = "auto",
    threads: Threads = 0,
) -> None:
    """Measure verifiers on SciFact; write a checkpoint's card into its folder, which says whether it may decide."""
    from xstilts.runtime import extras, progress

    extras.require("evidence", "the measurement on SciFact")
    from xstilts.evidence.verifier import scifact_report
    from xstilts.runtime.console import result
    from xstilts.runtime.machine import Runtime

    with progress.shown():
        report = scifact_report.measure(verifier, Runtime(data=data, device=device, threads=threads))
    scifact_report.show(report, out)
    result(scifact_report.to_json(report))
