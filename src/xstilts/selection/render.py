"""Render a recommendation: tables and sentences for the terminal, and `recommend.json` for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.table import Table as RichTable

from xstilts import sandbox
from xstilts.runtime import progress, whole_files
from xstilts.runtime.machine import Runtime
from xstilts.runtime.text import counted
from xstilts.selection.backtest import Gains, hits
from xstilts.selection.probes import CandidateSearch
from xstilts.selection.recommend import recommend
from xstilts.selection.recommendation import Advice, Figure, known
from xstilts.selection.successive_halving import Round, Standing
from xstilts.stats import Summary
from xstilts.tasks import base

ADVICE = "recommend.json"
METHODS = {
    "logme": "log evidence of the target's labels given the states after a probe, over that of the encoder as it is",
    "h_score": "how far those states differ between labels (0 to labels - 1), over the encoder as it is",
    "knn": "percent of examples that the labels of the nearest states get right, over the encoder as it is",
    "textemb": "cosine of the mean states of both tasks' texts",
    "taskemb": "mean cosine, over layers, of the Fisher information of both tasks",
    "probe": "gain in points on development data after short trainings on candidate and target, paired by seed",
    "halving": "the same in the last round that the candidate was in; who went further is before who did not",
}

POINTS = ("knn", "probe", "halving")  # methods whose figures are in percent


def answer(question: CandidateSearch, machine: Runtime, hours: float, gains: Gains, out: Path | None) -> None:
    """Rank the candidates and print the recommendation.

    Args:
        question: Encoder, target and candidates.
        machine: Where stages are built.
        hours: The budget in hours of stage time; 0 for no limit.
        gains: Measured gains by candidate, against which the methods are judged; empty for none.
        out: The folder for `recommend.json`; None for no file.
    """
    with progress.shown():
        advice = recommend(question, machine, hours or math.inf)
    show(replace(advice, hits=hits(advice.scores(), gains)), out)


def show(advice: Advice, out: Path | None) -> None:
    """Print a recommendation.

    Args:
        advice: The recommendation.
        out: The folder for `recommend.json`; None for no file.
    """
    from xstilts.runtime.console import console

    screen = console()
    screen.print(_ranking(advice))
    for line in (*summary_lines(advice), *remarks(advice)):
        screen.print(f"  {line}", highlight=False)
    if advice.hits:
        screen.print(_hits(advice))
        screen.print(f"  {HITS}", style="dim", highlight=False)
    if out:
        screen.print(f"  all of it   {save(advice, out)}", highlight=False)


HITS = (
    "regret@1: the gain of the candidate that gained most, less that of the method's favourite, in points, paired by "
    "seed; correlation: Spearman's, of scores and mean gains, not given for fewer than five; 95 % intervals"
)


def _ranking(advice: Advice) -> RichTable:
    """Return the table: candidates in the combined order, with each method's figure and rank."""
    table = RichTable(title=f"candidates for {advice.target}, {advice.encoder}", title_justify="left")
    for number, name in enumerate(("candidate", *advice.figures, "mean rank")):
        table.add_column(name, justify="left" if number == 0 else "right")
    for name, cells in rows(advice).items():
        table.add_row(name, *cells)
    return table


def rows(advice: Advice) -> dict[str, list[str]]:
    """Return the cells of each candidate, the best first: each method's figure with its rank, then the mean rank."""
    ranks, combined = advice.ranks(), advice.combined()
    cells_of = {}
    for name in combined or advice.candidates:
        cells = [_cell(figures.get(name), ranks[method][name], method) for method, figures in advice.figures.items()]
        cells_of[name] = [*cells, f"{combined[name]:.1f}" if name in combined else "-"]
    return cells_of


def _cell(figure: Figure | None, rank: float, method: str) -> str:
    if figure is None:
        return "-"
    digits = 1 if method in POINTS else 3
    interval = "" if math.isnan(figure.low) else f" [{figure.low:.{digits}f}, {figure.high:.{digits}f}]"
    return f"{figure.value:.{digits}f}{interval} #{rank:g}"


def summary_lines(advice: Advice) -> Iterator[str]:
    """Yield sentences about what is certain and what is not."""
    yield from _certain(advice)
    if base.is_artificial(advice.target):
        yield sandbox.NOTE


def _certain(advice: Advice) -> Iterator[str]:
    certainty = known(advice)
    if certainty is None:
        yield "nothing is known: no method has a figure for every candidate; raise --budget"
        return
    methods = len(advice.favourites())
    agreeing = methods - len(certainty.disagreeing)
    among = " of those that probes do not show to harm" if 0 < len(certainty.harmful) < len(advice.candidates) else ""
    yield f"{certainty.favourite} has the best mean rank{among}, and is first by {agreeing} of {methods} methods"
    yield _effect(certainty.favourite, certainty.effect, advice.last(certainty.favourite))
    yield from _warning(advice, certainty.harmful)
    if certainty.best:
        yield "it is the best of these: probes put every other behind the leader, and most methods agree"
        return
    reasons = []
    if not certainty.agreed:
        others = "; ".join(f"{method}: {', '.join(names)}" for method, names in certainty.disagreeing.items())
        reasons.append(f"methods disagree ({others})")
    if certainty.close:
        reasons.append(f"probes do not put {', '.join(certainty.close)} behind the leader for sure")
    yield f"not known whether it is the best: {'; '.join(reasons)}"


def _effect(name: str, effect: str, standing: Standing | None) -> str:
    if standing is None:
        return f"not known whether {name} helps: it was not probed"
    low, high = standing.gain.interval()
    interval = "no interval: one seed" if math.isnan(low) else f"95 % {low:+.1f} to {high:+.1f}"
    gain = f"{standing.gain.value:+.1f} points over no intermediate task in its last round ({interval})"
    return {
        "helps": f"it helps, as far as short trainings tell: {gain}",
        "harms": f"it harms, as far as short trainings tell: {gain}",
        "": f"not known whether it helps: {gain}",
    }[effect]


def _warning(advice: Advice, harmful: tuple[str, ...]) -> Iterator[str]:
    """Yield a warning of candidates that harm."""
    if harmful:
        warning = f"do not take {', '.join(harmful)}"
        warning = "take none of these" if len(harmful) == len(advice.candidates) else warning
        yield f"{warning}: in their last rounds the intervals of their gains lie below 0"


def remarks(advice: Advice) -> Iterator[str]:
    """Yield notes on the figures: what they are, which candidates were dropped, what was spent."""
    yield "each figure with its 95 % interval over seeds, where there is one, and its rank (#); mean rank: over methods"
    yield from (f"{method}: {METHODS[method]}" for method in advice.figures)
    for probe_round in advice.rounds:
        names = ", ".join(standing.name for standing in probe_round.standings)
        rung = probe_round.rung
        size = f"{counted(rung.steps, 'step')}, {counted(rung.seeds, 'seed')}"
        yield f"round {rung.number + 1}, {size}: {names}"
        yield from (f"  {name} dropped: {why}" for name, why in probe_round.dropped.items())
    yield from (f"left out: {reason}" for reason in advice.missing)
    parts = ", ".join(f"{purpose} {seconds:.0f} s" for purpose, seconds in advice.spent.items())
    budget = "no budget was set" if math.isinf(advice.budget) else f"of {advice.budget:.0f} s"
    built = counted(advice.built, "stage")
    yield f"spent {sum(advice.spent.values()):.0f} s of stages, {budget}: {parts}; {built} built now"


def _hits(advice: Advice) -> RichTable:
    table = RichTable("method", "favourite", "regret@1", "correlation", "of", title="by measured gains")
    for hit in advice.hits:
        correlation = hit.correlation
        is_known = correlation is not None and not math.isnan(correlation.value)
        rank = (
            f"{correlation.value:+.2f} [{correlation.low:+.2f}, {correlation.high:+.2f}]"
            if correlation and is_known
            else "-"
        )
        table.add_row(hit.method, ", ".join(hit.favourites) or "-", interval_of(hit.regret), rank, str(hit.count))
    return table


def interval_of(found: Summary) -> str:
    """Format a mean with its interval.

    Args:
        found: The mean over seeds.

    Returns:
        "mean [low, high]", or the mean alone where there is no interval.
    """
    return f"{found.mean:.1f}" + ("" if math.isnan(found.low) else f" [{found.low:.1f}, {found.high:.1f}]")


def save(advice: Advice, folder: Path) -> Path:
    """Write everything that is printed to `recommend.json`.

    Args:
        advice: The recommendation.
        folder: The folder; made where it does not exist.

    Returns:
        The path of the file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    whole_files.write(folder / ADVICE, json.dumps(to_json(advice), indent=1, ensure_ascii=False) + "\n")
    return folder / ADVICE


def to_json(advice: Advice) -> Any:
    """Return everything that is printed, as the values of `recommend.json`."""
    certainty = known(advice)
    values = {
        "encoder": advice.encoder,
        "target": advice.target,
        "said": list(summary_lines(advice)),
        "known": certainty and {**asdict(certainty), "best": certainty.best},
        "combined": advice.combined(),
        "ranks": advice.ranks(),
        "figures": {m: {n: _figure(figure) for n, figure in figures.items()} for m, figures in advice.figures.items()},
        "rounds": [_round(probe_round) for probe_round in advice.rounds],
        "spent_seconds": dict(advice.spent),
        "budget_seconds": advice.budget,
        "missing": list(advice.missing),
        "hits": [asdict(hit) for hit in advice.hits],
    }
    return _finite(values)


def _figure(figure: Figure) -> dict[str, float]:
    return {"value": figure.value, "low": figure.low, "high": figure.high}


def _round(probe_round: Round) -> dict[str, Any]:
    gains = {standing.name: [standing.gain.value, *standing.gain.interval()] for standing in probe_round.standings}
    return {**asdict(probe_round.rung), "gains": gains, "dropped": dict(probe_round.dropped)}


def _finite(value: Any) -> Any:
    """Replace numbers that JSON does not have (NaN, infinity) by None."""
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
