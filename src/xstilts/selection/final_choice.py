"""Final choice: which of the trained settings to use, with the evidence for it.

The baseline is kept unless a setting is better in a paired test, corrected for their number, on the mean over the
languages that the target was not trained in (over all, where there are no others). With several seeds the interval is
over seeds and examples; with one seed it is over examples alone, and says so.

>>> gains = (GainRow("mnli", "mean", 2.0, 0.5, 3.5, p=0.01, adjusted_p=0.02),)
>>> _decide(gains)
'mnli'
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from xstilts import stats
from xstilts.claims.measures import Gain, Level
from xstilts.claims.results_table import ResultsTable
from xstilts.experiments import collect_results
from xstilts.experiments.grid import Grid
from xstilts.runtime import tables
from xstilts.runtime.machine import Runtime
from xstilts.runtime.text import listed
from xstilts.store.names import BASELINE

MEAN = "mean"
LEVEL = 0.05


@dataclass(frozen=True)
class ScoreRow:
    """The score of a setting in a language, or its mean over languages, with its 95 % interval."""

    setting: str
    language: str
    score: float
    low: float
    high: float


@dataclass(frozen=True)
class GainRow:
    """The gain of a setting over the baseline in a language, or on the mean that decides, paired by seed and example.

    Attributes:
        setting: The setting.
        language: The language, or "mean".
        gain: In points of the metric.
        low: Lower end of the 95 % interval.
        high: Upper end.
        p: Two-sided p-value of no difference.
        adjusted_p: The same, corrected for the number of settings (Holm); NaN in single languages.
    """

    setting: str
    language: str
    gain: float
    low: float
    high: float
    p: float = math.nan
    adjusted_p: float = math.nan

    def __str__(self) -> str:
        return f"{self.gain:+.1f} [{self.low:+.1f}, {self.high:+.1f}]"


@dataclass(frozen=True)
class Choice:
    """The recommended setting and its evidence.

    Attributes:
        setting: "baseline", or the name of the intermediate setting.
        scores: Of every setting in every language, and the mean that decides.
        gains: Of every intermediate setting over the baseline.
        languages: The languages of the mean that decides.
        zero_shot: Whether these are languages that the target was not trained in.
        seeds: How many seeds.
        reasons: The evidence in sentences, the verdict first.
    """

    setting: str
    scores: tuple[ScoreRow, ...]
    gains: tuple[GainRow, ...]
    languages: tuple[str, ...]
    zero_shot: bool
    seeds: int
    reasons: tuple[str, ...]

    def view(self, metric: str, decimals: int = 1) -> tables.TableView:
        """Return the table of scores and gains, languages down and settings across."""
        settings = tuple(dict.fromkeys(row.setting for row in self.scores))
        columns = ["language", BASELINE]
        for setting in settings[1:]:
            columns += [setting, "gain [95 %]"]
        score = {(row.setting, row.language): row for row in self.scores}
        gain = {(row.setting, row.language): row for row in self.gains}
        rows = []
        for language in dict.fromkeys(row.language for row in self.scores):
            if language == MEAN and len(self.languages) == 1:
                continue
            title = f"mean of {listed(self.languages)}" if language == MEAN else language
            cells: list[object] = [title]
            for setting in settings:
                row = score[setting, language]
                interval = "" if math.isnan(row.low) else f" [{row.low:.{decimals}f}, {row.high:.{decimals}f}]"
                cells.append(tables.Cell(f"{row.score:.{decimals}f}{interval}", row.score))
                if setting != BASELINE:
                    cells.append(tables.Cell(str(gain[setting, language]), gain[setting, language].gain))
            rows.append(cells)
        return tables.table(metric, columns, rows)


def choose(grid: Grid, machine: Runtime) -> Choice:
    """Choose a setting of a grid with one target, whose runs are finished.

    Args:
        grid: The grid.
        machine: Names the store.

    Returns:
        The choice with its evidence.
    """
    (target,) = grid.targets
    results = ResultsTable(tuple(collect_results.rows("", grid, machine)))
    codes = tuple(dict.fromkeys(row.language for row in results.rows))
    others = tuple(
        code for code in codes if not any(r.in_training_language for r in results.rows if r.language == code)
    )
    deciding = others or codes
    settings = tuple(dict.fromkeys(row.intermediate for row in results.rows))
    groups = {**{code: (code,) for code in codes}, MEAN: deciding}
    scores = tuple(
        ScoreRow(setting, name, *_with_interval(Level(setting, target.name, group).of(results).estimate))
        for setting in settings
        for name, group in groups.items()
    )
    gains = [
        _gain(results, setting, target.name, name, group)
        for setting in settings
        if setting != BASELINE
        for name, group in groups.items()
    ]
    means = [row for row in gains if row.language == MEAN]
    adjusted = dict(zip((row.setting for row in means), stats.holm([row.p for row in means]), strict=True))
    corrected = tuple(
        replace(row, adjusted_p=float(adjusted[row.setting])) if row.language == MEAN else row for row in gains
    )
    chosen = _decide([row for row in corrected if row.language == MEAN])
    choice = Choice(chosen, scores, corrected, deciding, bool(others), grid.seeds, ())
    return replace(choice, reasons=_reasons(choice))


def _gain(results: ResultsTable, setting: str, target: str, name: str, group: tuple[str, ...]) -> GainRow:
    estimate = _of_examples(Gain(setting, target, languages=group).of(results).estimate)
    return GainRow(setting, name, *_with_interval(estimate), p=estimate.p(guarded=True))


def _of_examples(estimate: stats.Estimate) -> stats.Estimate:
    """Return the estimate; that of one seed with its variance through examples alone."""
    return replace(estimate, between=0.0, count=2, floor=0.0) if estimate.count < 2 else estimate


def _with_interval(estimate: stats.Estimate) -> tuple[float, float, float]:
    return (estimate.value, *_of_examples(estimate).interval())


def _decide(means: Sequence[GainRow]) -> str:
    """Return the setting with the largest gain of those that are better than the baseline; else the baseline."""
    better = [row for row in means if row.gain > 0 and row.adjusted_p < LEVEL]
    return max(better, key=lambda row: row.gain).setting if better else BASELINE


def _reasons(choice: Choice) -> tuple[str, ...]:
    """Return the evidence in sentences."""
    where = f"the mean of {listed(choice.languages)}" if len(choice.languages) > 1 else choice.languages[0]
    means = [row for row in choice.gains if row.language == MEAN]
    over = f"{choice.seeds} seeds and the test examples" if choice.seeds > 1 else "the test examples"
    lines: list[str] = []
    for row in sorted(means, key=lambda row: (row.setting != choice.setting, -row.gain)):
        corrected = f", corrected for {len(means)} settings" if len(means) > 1 else ""
        test = f"{row} points on {where}, paired over {over}; p = {_p(row.adjusted_p)}{corrected}"
        if row.adjusted_p >= LEVEL:
            lines.append(f"no difference was found between {row.setting} and the baseline: {test}")
        elif row.gain > 0:
            lines.append(f"{row.setting} is better than the baseline: {test}")
        else:
            lines.append(f"{row.setting} is worse than the baseline: {test}")
    if not means:
        lines.append("the baseline is recommended, as no intermediate task was tried")
    elif choice.setting == BASELINE:
        lines.insert(0, "the baseline is recommended: it is simpler, and no intermediate task was shown to be better")
    else:
        lines.insert(0, f"intermediate training on {choice.setting} is recommended")
    if choice.seeds == 1 and means:
        lines.append(
            "one seed: the interval is that of these two models, another seed may decide otherwise (--seeds 3)"
        )
    elif any(row.gain > 0 and row.adjusted_p >= LEVEL for row in means):
        lines.append(
            f"that none was found does not mean that there is none: more seeds than {choice.seeds} find smaller ones"
        )
    if choice.setting != BASELINE and len(means) > 1:
        lines.append("it was chosen on these test data: its own score is somewhat too high, its gain was corrected")
    if not choice.zero_shot:
        lines.append("no test language is without training data: zero-shot transfer was not measured")
    return tuple(lines)


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
