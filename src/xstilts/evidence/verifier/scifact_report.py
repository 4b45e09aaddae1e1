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

from xstilts.evidence.evaluation import golden as golden_sets
from xstilts.evidence.verifier import calibration, finding_pairs, model_card, scifact
from xstilts.evidence.verifier.baselines import ClaimOnly, Majority, Verifier, WordOverlap
from xstilts.evidence.verifier.finding_pairs import FindingPairScores
from xstilts.evidence.verifier.model_card import COVERAGES, FOLDS, PRECISION, SHUFFLES, ModelCard, VerifierScores
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
the claim. Scaling and threshold are fitted on the training claims; the development claims are used once. A verifier
that training claims have trained is measured on them fold by fold, by models that have not seen the fold. "Majority"
ignores its input; "claim alone" never sees the sentence; "shared words" takes word overlap for support.
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
    """Figures of the data, a model card per verifier, and its scores on pairs of findings where there are some."""

    context: DataSummary
    cards: tuple[ModelCard, ...]
    findings: tuple[FindingPairScores, ...] = ()


def measure(source: Path | None, machine: Runtime, golden: Path | None = None) -> SciFactReport:
    """Measure the baselines and, if given, a checkpoint, whose card is written into its folder.

    A checkpoint with the card of its training keeps it: it has seen the training claims, so that only models without a
    fold of them can be measured there.

    Args:
        source: Folder of an NLI checkpoint, or None.
        machine: Data folder, device and threads.
        golden: Folder of a golden set, whose pairs of findings are judged too; None for none.

    Returns:
        The report, with a card for each verifier.

    Raises:
        InputError: SciFact or the golden set is missing or damaged, or the checkpoint has other labels.
    """
    extras.require("evidence", "the measurement on SciFact")
    data = scifact.read((machine.data or Path()) / scifact.FOLDER)
    pairs = golden_sets.read(golden).pairs if golden else ()
    measured = baselines(data)
    if source is not None:
        from xstilts.evidence.verifier import nli

        model = nli.load(source, machine)
        card = model_card.read(model.folder, model.digest)
        if card is None or not card.held_out_models:
            card = model_card.measure(model, data)
            model_card.write(card, model.folder)
        measured.append((model, card))
    findings = [finding_pairs.measure(verifier, card, pairs) for verifier, card in measured] if pairs else []
    return SciFactReport(summarise_data(data), tuple(card for _, card in measured), tuple(findings))


def baselines(data: SciFact) -> list[tuple[Verifier, ModelCard]]:
    """Measure the baselines on SciFact.

    Args:
        data: The data set.

    Returns:
        Each baseline with its card.
    """
    pairs = scifact.pairs(data, data.train)
    claim_only = ClaimOnly.fit(pairs)
    by_fold = [ClaimOnly.fit(model_card.without_fold(pairs, fold)) for fold in range(FOLDS)]
    return [
        (Majority(), model_card.measure(Majority(), data)),
        (claim_only, model_card.measure(claim_only, data, by_fold)),
        (WordOverlap(), model_card.measure(WordOverlap(), data)),
    ]


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
    names = [*report.cards[0].f1["cited"]] if report.cards else []
    rows = [
        (f"{card.verifier}, {source}", [_figure(figures[name]) for name in names])
        for source in (report.cards[0].f1 if report.cards else ())
        for card in report.cards
        for figures in [card.f1[source]]
    ]
    yield "F1 on dev, by origin of the abstracts", ["verifier, abstracts", *names], rows
    if report.findings:
        relations = report.findings[0].pairs
        columns = [f"{name} ({count}): supported, contradicted" for name, count in relations.items()]
        yield (
            "Pairs of findings of the golden set, by verdicts above the threshold",
            ["verifier", "AUC, same finding against real conflict", *columns, "right"],
            [
                (
                    scores.verifier,
                    [
                        _figure(scores.auc),
                        *(", ".join(map(str, scores.verdicts[name])) for name in relations),
                        f"{scores.right} of {scores.decided}",
                    ],
                )
                for scores in report.findings
            ],
        )


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
    findings = [{**asdict(scores), "decided": scores.decided, "right": scores.right} for scores in report.findings]
    return _finite({"context": asdict(report.context), "coverages": COVERAGES, "cards": cards, "findings": findings})


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
