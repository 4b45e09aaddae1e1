"""Report of verifiers on SciFact: tables for the terminal, Markdown and JSON.

show(measure_all(scifact.read(folder), [Majority(), WordOverlap()]), Path("docs/results"))
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xstilts.evidence.verifier import calibration, model_card, scifact
from xstilts.evidence.verifier.baselines import Majority, Verifier, WordOverlap
from xstilts.evidence.verifier.model_card import COVERAGES, PRECISION, SHUFFLES, ModelCard, VerifierScores
from xstilts.evidence.verifier.scifact import LABELS, SENTENCES_READ, SciFact
from xstilts.experiments.score_table import drawn, marked
from xstilts.runtime import extras, whole_files
from xstilts.runtime.console import console
from xstilts.runtime.machine import Runtime

LIMITS = (3, 10, 20)
NAME = "evidence"
ABOUT = f"""# Verifiers on SciFact

Written by `xstilts scifact --out`; see [calibrated verifiers](../literature/verifier.md). Claims and abstracts are
those of Wadden et al. 2020. A verifier reads the {SENTENCES_READ} sentences of an abstract that share most words with
the claim. Scaling and threshold are fitted on the training claims; the development claims are used once. "Majority"
ignores its input; "shared words" takes word overlap for support.
"""
Rows = list[tuple[str, list[str]]]


@dataclass(frozen=True)
class DataSummary:
    """Figures of the development claims that need no verifier.

    Attributes:
        claims: Number of claims.
        pairs: Pairs of claims and cited abstracts, by label.
        recall: Share of deciding abstracts among BM25's first results, by limit.
        touched: Share of deciding abstracts of which a sentence that is read belongs to a sufficient set.
        likeness: AUC of the largest word overlap of a sentence, SUPPORT against CONTRADICT.
    """

    claims: int
    pairs: Mapping[str, int]
    recall: Mapping[int, float]
    touched: float
    likeness: float


@dataclass(frozen=True)
class SciFactReport:
    """Figures of the data, and a model card per verifier."""

    context: DataSummary
    cards: tuple[ModelCard, ...]


def measure(source: Path | None, machine: Runtime) -> SciFactReport:
    """Measure the two baselines and, if given, a checkpoint, whose card is written into its folder.

    Args:
        source: Folder of an NLI checkpoint, or None.
        machine: Data folder, device and threads.

    Returns:
        The report, with a card for each verifier.

    Raises:
        InputError: SciFact is missing or damaged, or the checkpoint has other labels.
    """
    extras.require("evidence", "the measurement on SciFact")
    data = scifact.read((machine.data or Path()) / scifact.FOLDER)
    rivals: list[Verifier] = [Majority(), WordOverlap()]
    if source is None:
        return measure_all(data, rivals)
    from xstilts.evidence.verifier import nli

    model = nli.load(source, machine)
    measured = measure_all(data, [*rivals, model])
    model_card.write(measured.cards[-1], model.folder)
    return measured


def measure_all(data: SciFact, verifiers: Sequence[Verifier]) -> SciFactReport:
    """Measure verifiers on SciFact, and summarise the data.

    Args:
        data: The data set.
        verifiers: The verifiers.

    Returns:
        The report, with a card for each verifier.
    """
    return SciFactReport(summarise_data(data), tuple(model_card.measure(verifier, data) for verifier in verifiers))


def summarise_data(data: SciFact) -> DataSummary:
    """Return figures of SciFact that need no verifier.

    Args:
        data: The data set.

    Returns:
        Numbers of claims and pairs, the recall of the search, and what a verifier can reach on these sentences.
    """
    pairs = scifact.pairs(data, data.dev)
    overlaps = np.array(
        [max((scifact.content_overlap(p.claim.text, s) for s in p.abstract.sentences), default=0) for p in pairs]
    )
    masks = [np.array([pair.label == label for pair in pairs], dtype=bool) for label in LABELS]
    counts = {label: int(mask.sum()) for label, mask in zip(LABELS, masks, strict=True)}
    recalls = scifact.retrieval_recall(data, data.dev, LIMITS)
    return DataSummary(
        len(data.dev),
        counts,
        recalls,
        scifact.rationale_coverage(pairs),
        calibration.auc(overlaps[masks[0]], overlaps[masks[1]]),
    )


def show(report: SciFactReport, out: Path | None) -> None:
    """Print a report.

    Args:
        report: The report.
        out: A folder to which it is written as Markdown and JSON too; None for none.
    """
    screen = console()
    for title, names, rows in tables(report):
        screen.print(drawn(title, names, rows))
    for card in report.cards:
        screen.print(f"  {verdict(card)}", style="dim", highlight=False)
    if out:
        screen.print(f"  written   {', '.join(map(str, save(report, out)))}", highlight=False)


def save(report: SciFactReport, out: Path) -> tuple[Path, Path]:
    """Write a report as Markdown and JSON.

    Args:
        report: The report.
        out: The folder; made where it does not exist.

    Returns:
        The paths of `evidence.md` and `evidence.json`.
    """
    out.mkdir(parents=True, exist_ok=True)
    markdown_file, json_file = out / f"{NAME}.md", out / f"{NAME}.json"
    whole_files.write(markdown_file, markdown(report))
    whole_files.write(json_file, json.dumps(to_json(report), indent=1, allow_nan=False) + "\n")
    return markdown_file, json_file


def markdown(report: SciFactReport) -> str:
    """Return a report as Markdown."""
    parts = [marked(title, names, rows, ()).rstrip() for title, names, rows in tables(report)]
    decisions = "\n".join(f"- {verdict(card)}" for card in report.cards)
    return "\n\n".join([ABOUT.rstrip(), *parts, "### Decisions", decisions]) + "\n"


def verdict(card: ModelCard) -> str:
    """Return a sentence that says from which probability on a verifier decides, or why it does not."""
    if card.refusals:
        return f"{card.verifier} ({card.digest[:12]}) is not calibrated and decides nothing: " + "; ".join(
            card.refusals
        )
    return (
        f"{card.verifier} ({card.digest[:12]}) decides from {card.threshold:.2f} on: {card.dev.right} of "
        f"{card.dev.decided} verdicts on dev are right, {_figure(card.train.precision)} on train"
    )


def tables(report: SciFactReport) -> Iterator[tuple[str, list[str], Rows]]:
    """Yield title, columns and rows of each table: data, model cards, SciFact's scores."""
    yield "Without a verifier, on dev", ["measure", "value"], [*_context(report.context)]
    yield "Verifiers", ["measure", *(card.verifier for card in report.cards)], [*_cards(report.cards)]
    scores = [*report.cards[0].f1["cited"]] if report.cards else []
    rows = [
        (f"{card.verifier}, {source}", [_figure(figures[name]) for name in scores])
        for source in (report.cards[0].f1 if report.cards else ())
        for card in report.cards
        for figures in [card.f1[source]]
    ]
    yield "F1 on dev, by origin of the abstracts", ["verifier, abstracts", *scores], rows


def _context(context: DataSummary) -> Iterator[tuple[str, list[str]]]:
    yield "claims", [str(context.claims)]
    yield "pairs of claims and cited abstracts", [str(sum(context.pairs.values()))]
    for label, count in context.pairs.items():
        yield f"… {label}", [str(count)]
    for limit, share in context.recall.items():
        yield f"deciding abstracts among BM25's first {limit}", [_figure(share)]
    yield f"deciding abstracts with a gold sentence among the {SENTENCES_READ} read", [_figure(context.touched)]
    yield "AUC of word overlap, SUPPORT against CONTRADICT", [_figure(context.likeness)]


def _cards(cards: Sequence[ModelCard]) -> Iterator[tuple[str, list[str]]]:
    for split in ("train", "dev"):
        scores: list[VerifierScores] = [getattr(card, split) for card in cards]
        how = f"{split}, by cross-validation" if split == "train" else split
        yield f"AUC of SUPPORT against CONTRADICT, {split}", [_figure(card.auc) for card in scores]
        yield f"ECE, {how}", [_figure(card.ece) for card in scores]
        yield f"Brier score, {how}", [_figure(card.brier) for card in scores]
        for index, coverage in enumerate(COVERAGES):
            yield f"wrong among the most confident {coverage:g}, {how}", [_figure(card.risks[index]) for card in scores]
        yield f"right among those above the threshold, {how}", [f"{card.right} of {card.decided}" for card in scores]
        yield (
            f"… at least, with 95 % confidence, {how}",
            [_figure(card.bound) if card.decided else "-" for card in scores],
        )
    yield (
        f"threshold that guarantees a precision of {PRECISION:g}",
        ["none" if c.threshold is None else f"{c.threshold:g}" for c in cards],
    )
    yield (
        f"AUC with labels shuffled {SHUFFLES} times",
        [f"{_figure(c.chance[0])} to {_figure(c.chance[1])}" for c in cards],
    )
    yield "shuffles with a threshold", [str(card.chance[2]) for card in cards]


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def to_json(report: SciFactReport) -> Any:
    """Return a report as JSON, with what is derived from it; NaN is null."""
    cards = [{**asdict(card), "calibrated": card.calibrated, "refusals": card.refusals} for card in report.cards]
    return _finite({"context": asdict(report.context), "coverages": COVERAGES, "cards": cards})


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
