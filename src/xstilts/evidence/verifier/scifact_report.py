"""SciFact's page: what a person reads of cards and of what retrieval finds, and the files that keep it.

show(report(scifact.read(folder), [Majority(), Likeness()]), Path("docs/results"))
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
from xstilts.runtime.console import console
from xstilts.runtime.machine import Runtime

LIMITS = (3, 10, 20)
NAME = "evidence"
ABOUT = f"""# What may decide on claims: SciFact

Written by `xstilts scifact --out`, as [SciFact](../scifact.md) tells. Claims and abstracts are those of Wadden et al.
2020. A verifier reads the {SENTENCES_READ} sentences of an abstract that share most with the claim. Whatever was
fitted was
fitted on the training claims, and the development claims were looked at once. "Majority" reads nothing; "shared words"
takes likeness for support.
"""
Rows = list[tuple[str, list[str]]]


@dataclass(frozen=True)
class DataSummary:
    """What holds on dev without any verifier.

    pairs: of claims and cited abstracts, by label. recall: of deciding abstracts among BM25's first so many. touched:
    the share of deciding abstracts of which a sentence that is read belongs to a sufficient set. likeness: the AUC of
    the most shared words in a sentence for SUPPORT against CONTRADICT.
    """

    claims: int
    pairs: Mapping[str, int]
    recall: Mapping[int, float]
    touched: float
    likeness: float


@dataclass(frozen=True)
class SciFactReport:
    """The context, and a card for each verifier."""

    context: DataSummary
    cards: tuple[ModelCard, ...]


def measure(source: Path | None, machine: Runtime) -> SciFactReport:
    """Measure the two rivals and, if it is named, a checkpoint, and write its card beside it."""
    data = scifact.read((machine.data or Path()) / scifact.FOLDER)
    rivals: list[Verifier] = [Majority(), WordOverlap()]
    if source is None:
        return measure_all(data, rivals)
    from xstilts.evidence.verifier import nli

    model = nli.load(source, machine)
    found = measure_all(data, [*rivals, model])
    model_card.write(found.cards[-1], model.folder)
    return found


def measure_all(data: SciFact, verifiers: Sequence[Verifier]) -> SciFactReport:
    """Measure verifiers, and the context."""
    return SciFactReport(summarise_data(data), tuple(model_card.measure(one, data) for one in verifiers))


def summarise_data(data: SciFact) -> DataSummary:
    """Return what holds on dev without a verifier."""
    pairs = scifact.pairs(data, data.dev)
    most = np.array(
        [max((scifact.content_overlap(p.claim.text, s) for s in p.abstract.sentences), default=0) for p in pairs]
    )
    those = [np.array([one.label == label for one in pairs], dtype=bool) for label in LABELS]
    counts = {label: int(mask.sum()) for label, mask in zip(LABELS, those, strict=True)}
    found = scifact.retrieval_recall(data, data.dev, LIMITS)
    return DataSummary(
        len(data.dev), counts, found, scifact.rationale_coverage(pairs), calibration.auc(most[those[0]], most[those[1]])
    )


def show(report: SciFactReport, out: Path | None) -> None:
    """Print a report; also write it to a folder as Markdown and JSON, if one is named."""
    screen = console()
    for title, names, rows in tables(report):
        screen.print(drawn(title, names, rows))
    for one in report.cards:
        screen.print(f"  {verdict(one)}", style="dim", highlight=False)
    if out:
        screen.print(f"  written   {', '.join(map(str, save(report, out)))}", highlight=False)


def save(report: SciFactReport, out: Path) -> tuple[Path, Path]:
    """Write `evidence.md` and `evidence.json` to a folder."""
    out.mkdir(parents=True, exist_ok=True)
    page, plain = out / f"{NAME}.md", out / f"{NAME}.json"
    page.write_text(markdown(report), encoding="utf-8")
    plain.write_text(json.dumps(_plain(report), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return page, plain


def markdown(report: SciFactReport) -> str:
    """Return a report as a page."""
    parts = [marked(title, names, rows, ()).rstrip() for title, names, rows in tables(report)]
    said = "\n".join(f"- {verdict(one)}" for one in report.cards)
    return "\n\n".join([ABOUT.rstrip(), *parts, "### Who decides", said]) + "\n"


def verdict(card: ModelCard) -> str:
    """Return in a sentence whether a verifier decides, and from where on, or why not."""
    if card.refusals:
        return f"{card.verifier} ({card.digest[:12]}) is uncalibrated, abstains, decides nothing: " + "; ".join(
            card.refusals
        )
    return (
        f"{card.verifier} ({card.digest[:12]}) decides from {card.threshold:.2f} on: {card.dev.right} of "
        f"{card.dev.decided} verdicts on dev are right, {_figure(card.train.precision)} on train"
    )


def tables(report: SciFactReport) -> Iterator[tuple[str, list[str], Rows]]:
    """Yield title, columns and rows: the context, the cards, SciFact's scores."""
    yield "Without a verifier, on dev", ["measure", "value"], [*_context(report.context)]
    yield "Verifiers", ["measure", *(one.verifier for one in report.cards)], [*_cards(report.cards)]
    scores = [*report.cards[0].f1["cited"]] if report.cards else []
    rows = [
        (f"{one.verifier}, {source}", [_figure(found[name]) for name in scores])
        for source in (report.cards[0].f1 if report.cards else ())
        for one in report.cards
        for found in [one.f1[source]]
    ]
    yield "F1 on dev, by whence the abstracts are", ["verifier, abstracts", *scores], rows


def _context(context: DataSummary) -> Iterator[tuple[str, list[str]]]:
    yield "claims", [str(context.claims)]
    yield "pairs of claims and cited abstracts", [str(sum(context.pairs.values()))]
    for label, count in context.pairs.items():
        yield f"… {label}", [str(count)]
    for limit, share in context.recall.items():
        yield f"deciding abstracts among BM25's first {limit}", [_figure(share)]
    yield f"deciding abstracts with a gold sentence among the {SENTENCES_READ} read", [_figure(context.touched)]
    yield "AUC of shared words, SUPPORT against CONTRADICT", [_figure(context.likeness)]


def _cards(cards: Sequence[ModelCard]) -> Iterator[tuple[str, list[str]]]:
    for split in ("train", "dev"):
        those: list[VerifierScores] = [getattr(one, split) for one in cards]
        how = f"{split}, by cross-validation" if split == "train" else split
        yield f"AUC of SUPPORT against CONTRADICT, {split}", [_figure(one.auc) for one in those]
        yield f"ECE, {how}", [_figure(one.ece) for one in those]
        yield f"Brier score, {how}", [_figure(one.brier) for one in those]
        for at, coverage in enumerate(COVERAGES):
            yield f"wrong of the surest {coverage:g}, {how}", [_figure(one.risks[at]) for one in those]
        yield f"right of those above the threshold, {how}", [f"{one.right} of {one.decided}" for one in those]
        yield f"… at least, with 95 % confidence, {how}", [_figure(one.bound) if one.decided else "-" for one in those]
    yield (
        f"threshold that promises {PRECISION:g}",
        ["none" if c.threshold is None else f"{c.threshold:g}" for c in cards],
    )
    yield (
        f"AUC with shuffled labels, {SHUFFLES} times",
        [f"{_figure(c.chance[0])} to {_figure(c.chance[1])}" for c in cards],
    )
    yield "thresholds that these found", [str(one.chance[2]) for one in cards]


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _plain(report: SciFactReport) -> Any:
    """Return a report as JSON takes it, with what follows from it; what is not a number is null."""
    cards = [{**asdict(one), "calibrated": one.calibrated, "refusals": one.refusals} for one in report.cards]
    return _finite({"context": asdict(report.context), "coverages": COVERAGES, "cards": cards})


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value
