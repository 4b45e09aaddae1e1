"""Terminal output of `xstilts evidence`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xstilts.errors import InputError
from xstilts.evidence import demo as demos
from xstilts.evidence.claims.bearing import similarity_of
from xstilts.evidence.pipeline import ReportOptions, ReportServices, make_report
from xstilts.evidence.retrieval.source_search import sentence_encoder
from xstilts.runtime import progress
from xstilts.runtime.console import console
from xstilts.runtime.text import counted


@dataclass(frozen=True)
class Models:
    """Models that a report may use, as a user names them.

    Attributes:
        encoder: Folder or hub id of a sentence encoder; "" for words alone.
        verifier: Folder of an NLI model; None for none.
        llm: Address and name of a language model that may propose evidence; None for none.
    """

    encoder: str = ""
    verifier: Path | None = None
    llm: tuple[str, str] | None = None

    def services(self, cache: Path) -> ReportServices:
        """Load the models.

        Args:
            cache: Folder below which vectors are kept.

        Raises:
            InputError: A model is missing, or the verifier's card was made with another sentence encoder.
        """
        encoder = sentence_encoder(self.encoder, cache)
        similarity = similarity_of(encoder.passages) if encoder else None
        if self.verifier is None:
            return ReportServices(llm=self.llm, similarity=similarity)
        from xstilts.evidence.verifier import candidates, model_card, nli
        from xstilts.runtime.machine import Runtime

        model = nli.load(self.verifier, Runtime())
        card = model_card.read(model.folder, model.digest)
        near = candidates.near_function(encoder, card.candidates) if encoder and card else None
        return ReportServices(nli.nli_function(model), self.llm, similarity=similarity, near=near)


NO_MODELS = Models()


def make_and_show(
    question: str, options: ReportOptions, models: Models = NO_MODELS, demo: bool = False
) -> list[tuple[Path, Mapping[str, Any]]]:
    """Write a report, or the demo reports, and print what they say.

    Args:
        question: The question; ignored for the demo.
        options: Inputs and output folder.
        models: Sentence encoder, NLI model and language model.
        demo: Make the demo reports.

    Returns:
        The reports with their folders.

    Raises:
        InputError: There is no question, or a model cannot be used.
    """
    if not demo and not question:
        raise InputError("there is no question; give one, or --demo")
    services = models.services(options.cache)
    with progress.shown():
        reports: list[tuple[Path, Mapping[str, Any]]] = (
            list(demos.make_demo_reports(options.out))
            if demo
            else [(options.out, make_report(question, options, services))]
        )
    for folder, report in reports:
        console().print(*summary_lines(folder, report), sep="\n", highlight=False, soft_wrap=True)
    return reports


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
