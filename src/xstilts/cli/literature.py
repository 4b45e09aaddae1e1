"""Verbs of the literature: what it says on a question, and what may decide on that."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from xstilts.cli.app import app
from xstilts.cli.options import DataFolder, Device, Store, Threads


@app.command()
def evidence(
    question: Annotated[str, typer.Argument(help="What is asked, in a sentence.")] = "",
    sources: Annotated[str, typer.Option(help="arxiv,s2,openalex,crossref,acl, or a folder of PDFs and texts.")] = "",
    study: Annotated[Path | None, typer.Option(help="A study's report, whose results are held against them.")] = None,
    bindings: Annotated[Path | None, typer.Option(help="Which statements those decide; default: proposed.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("evidence"),
    cache: Annotated[Path | None, typer.Option(help="Folder of the sources' replies; default: in ~/.cache.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Answer from the cache alone.")] = False,
    llm: Annotated[tuple[str, str] | None, typer.Option(help="Address and name of a model that may propose.")] = None,
    verifier: Annotated[Path | None, typer.Option(help="A model of inference; its card says if it decides.")] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Five questions, made-up works, no network.")] = False,
    store: Store = Path("work"),
) -> None:
    """Report what the literature says on a question: quoted, located, checked, and from both sides."""
    from xstilts.evidence.pipeline import CACHE, ReportOptions
    from xstilts.evidence.report import cli_output

    where = ReportOptions(out, cache or CACHE, tuple(filter(None, sources.split(","))), offline, study, store, bindings)
    cli_output.make_and_show(question, where, llm, verifier, demo)


@app.command()
def scifact(
    verifier: Annotated[
        Path | None, typer.Option(help="Folder of a checkpoint that tells entailment, neutral and contradiction apart.")
    ] = None,
    data: DataFolder = None,
    out: Annotated[Path | None, typer.Option(help="Also write evidence.md and evidence.json to this folder.")] = None,
    device: Device = "auto",
    threads: Threads = 0,
) -> None:
    """Measure on SciFact what may decide on claims; write a verifier's card beside it, which says whether it may."""
    from xstilts.evidence.verifier import scifact_report
    from xstilts.runtime import progress
    from xstilts.runtime.machine import Runtime

    with progress.shown():
        found = scifact_report.measure(verifier, Runtime(data=data, device=device, threads=threads))
    scifact_report.show(found, out)
