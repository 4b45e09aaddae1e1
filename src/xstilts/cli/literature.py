"""Commands on the literature: evidence reports, search by meaning, a golden set, and verifiers on SciFact."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from xstilts.cli.app import VerbWithoutRecord, app
from xstilts.cli.options import DataFolder, Device, Store, Threads

EncoderOption = Annotated[
    str, typer.Option("--encoder", metavar="FOLDER", help="Sentence encoder, a folder or hub id; default: words alone.")
]


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
    encoder: EncoderOption = "",
    demo: Annotated[bool, typer.Option("--demo", help="Five questions, invented works, no network.")] = False,
    store: Store = Path("work"),
) -> None:
    """Report what the literature states on a question: quotes with their places, verified, from both sides."""
    from xstilts.runtime import extras

    extras.require("evidence", "an evidence report")  # before torch is imported, which takes seconds
    from xstilts.evidence.pipeline import ReportOptions
    from xstilts.evidence.report import cli_output
    from xstilts.evidence.search.response_cache import CACHE
    from xstilts.runtime.console import result

    chosen = tuple(filter(None, sources.split(",")))
    options = ReportOptions(out, cache or CACHE, chosen, offline, study, store, bindings, retractions)
    reports = cli_output.make_and_show(question, options, llm, verifier, demo, encoder)
    documents = [{"folder": folder, **report} for folder, report in reports]
    result(documents if demo else documents[0])


Dense = Annotated[
    str,
    typer.Option(metavar="WHICH", help="Works whose meaning is compared: candidates (those found by words) or all."),
]
CacheFolder = Annotated[Path | None, typer.Option(help="Folder of replies, indexes and vectors; default: in ~/.cache.")]


@app.command(
    "evidence search",
    rich_help_panel="Literature",
    examples=(
        'xstilts evidence search "does vocabulary overlap help transfer" --sources acl',
        "xstilts evidence search forgetting --sources papers.bib --encoder intfloat/multilingual-e5-small --json",
    ),
)
def evidence_search(
    question: Annotated[str, typer.Argument(help="A question, or words to search for.")],
    sources: Annotated[
        str,
        typer.Option(
            help="arxiv,s2,openalex,crossref,acl, BibTeX files, or folders of them or of papers; default: all."
        ),
    ] = "",
    encoder: EncoderOption = "",
    prefixes: Annotated[
        tuple[str, str] | None, typer.Option(help="What the encoder sees before a query and before a passage.")
    ] = None,
    dense: Dense = "candidates",
    top: Annotated[int, typer.Option(min=1, metavar="N", help="Works that are shown.")] = 10,
    cache: CacheFolder = None,
    offline: Annotated[bool, typer.Option("--offline", help="Answer from the cache alone.")] = False,
) -> None:
    """Search works by words and by meaning; show each with the sentence that fits best."""
    from xstilts.runtime import extras, progress

    extras.require("evidence", "a search")
    from xstilts.evidence.retrieval import source_search
    from xstilts.evidence.search.response_cache import CACHE
    from xstilts.runtime.console import console, result

    chosen = tuple(filter(None, sources.split(",")))
    options = source_search.SearchOptions(cache or CACHE, chosen, encoder, _is_all(dense), offline, top, prefixes)
    with progress.shown():
        outcome = source_search.search(question, options)
    console().print("\n".join(source_search.lines(outcome)), highlight=False, soft_wrap=True, markup=False)
    result(source_search.to_json(question, outcome))


@app.command(
    "evidence eval",
    cls=VerbWithoutRecord,
    rich_help_panel="Literature",
    examples=("xstilts evidence eval --golden GOLDEN --corpus anthology+abstracts.bib.gz --out evaluation",),
)
def evidence_eval(
    golden: Annotated[Path, typer.Option(metavar="FOLDER", help="Questions, graded works, statements and pairs.")],
    corpus: Annotated[Path, typer.Option(metavar="FILE", help="BibTeX file, perhaps compressed, or a folder of some.")],
    encoder: EncoderOption = "",
    dense: Dense = "candidates",
    parts: Annotated[str, typer.Option(help="Parts of the evaluation, 'retrieval'; default: all.")] = "",
    out: Annotated[
        Path | None, typer.Option(help="Also write evaluation.md and evaluation.json to this folder.")
    ] = None,
    cache: CacheFolder = None,
) -> None:
    """Measure search, and what follows it, on questions whose answers a reader has judged."""
    from xstilts.runtime import extras, progress

    extras.require("evidence", "an evaluation")
    from xstilts.evidence.evaluation import evaluate
    from xstilts.evidence.search.response_cache import CACHE
    from xstilts.runtime.console import result

    chosen = tuple(filter(None, parts.split(",")))
    settings = evaluate.Settings(cache or CACHE, encoder, _is_all(dense), chosen)
    with progress.shown():
        report = evaluate.evaluate(golden, corpus, settings)
    evaluate.show(report, out)
    result(report)


def _is_all(dense: str) -> bool:
    """Return whether all works are embedded; InputError unless it is "all" or "candidates"."""
    from xstilts.errors import InputError

    if dense not in ("all", "candidates"):
        raise InputError(f"--dense {dense}: give candidates or all")
    return dense == "all"


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
