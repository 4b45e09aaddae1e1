"""Backtest: how well a method's ranking agrees with measured gains.

Regret@1 is the cost of following a method: the gain of the candidate that gained most on average over seeds, less that
of the method's favourite (the mean of tied ones), paired by seed. For comparison there are a method that draws a
candidate at random and one that takes none.

>>> [(hit.method, hit.regret.mean) for hit in hits({"probe": {"a": 2.0, "b": 1.0}}, {"a": (1.0, 2.0), "b": (3.0, 5.0)})]
[('probe', 2.5), ('at random', 1.25), ('none at all', 4.0)]
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from xstilts.errors import InputError
from xstilts.experiments.score_table import BASELINE
from xstilts.reporting import study_report
from xstilts.reporting.study_report import MEAN, REPORT, ZERO_SHOT
from xstilts.stats import Correlation, Summary, correlation, summary

COMBINED = "combined"
SAME = "the same for all"
TABLE = "table.csv"
MEANS = (ZERO_SHOT, MEAN)  # of a report's languages, the one to take first
AGAIN = "write it again with `xstilts study`"
ABSENT = {
    "target": ("on", "give a study of it with a baseline"),
    "encoder": ("of the encoder", "give a study of this encoder"),
    "recipe": ("with the recipe", "name one of these with --against-recipe"),
}
Gains = Mapping[str, tuple[float, ...]]
"""By candidate, the gain of each seed, in one order for all."""
Line = Mapping[str, Any]
"""A line of a table, or a gain of a report."""


@dataclass(frozen=True)
class Hit:
    """How well a method chooses, judged by measured gains.

    Attributes:
        method: Its name.
        favourites: The candidates that it ranks first.
        regret: Regret@1, in points, over seeds.
        correlation: Spearman's, of its scores and the mean gains; None for fewer than five candidates.
        count: Candidates whose gains are known.
    """

    method: str
    favourites: tuple[str, ...]
    regret: Summary
    correlation: Correlation | None
    count: int


def hits(scores: Mapping[str, Mapping[str, float]], gains: Gains) -> tuple[Hit, ...]:
    """Judge each method that has scores for at least two candidates with known gains.

    A method is judged on the candidates that it has a score for, and against the best of these.

    Args:
        scores: By method, by candidate; NaN: no score.
        gains: Measured ones.

    Returns:
        One for each method, then "at random" and "none at all"; empty where nothing can be judged.
    """
    outcomes = [
        _hit(method, {name: score for name, score in by_candidate.items() if name in gains}, gains)
        for method, by_candidate in scores.items()
    ]
    judged = [outcome for outcome in outcomes if outcome]
    names = sorted({name for by_candidate in scores.values() for name in by_candidate} & gains.keys())
    if not judged or len(names) < 2:
        return ()
    best = _best(names, gains)
    blind = _lost(gains[best], _mean(names, gains))
    return (
        *judged,
        Hit("at random", (), blind, None, len(names)),
        Hit("none at all", (), summary(gains[best]), None, len(names)),
    )


def same_for_all(gains: Mapping[str, Gains]) -> dict[str, Hit]:
    """Judge taking one task for all targets: for each target the candidate that gained most on the others.

    A method of choice is worth its cost where it has less regret than this, which needs no probes but measured gains on
    other targets.

    Args:
        gains: Measured ones, by target.

    Returns:
        By target; those are left out for which no two candidates have gains there and on another target.

    >>> found = same_for_all({"x": {"a": (1.0, 3.0), "b": (0.0, 0.0)}, "y": {"a": (0.0, 0.0), "b": (4.0, 4.0)}})
    >>> [(target, hit.favourites, hit.regret.mean) for target, hit in found.items()]
    [('x', ('b',), 2.0), ('y', ('a',), 4.0)]
    """
    judged = {}
    for target, measured in gains.items():
        others = [other for name, other in gains.items() if name != target]
        scores = {
            name: fmean([fmean(other[name]) for other in others if name in other])
            for name in measured
            if any(name in other for other in others)
        }
        if hit := _hit(SAME, scores, measured):
            judged[target] = hit
    return judged


def _hit(method: str, scores: Mapping[str, float], gains: Gains) -> Hit | None:
    names = [name for name, score in scores.items() if not math.isnan(score)]
    if len(names) < 2:
        return None
    top = max(scores[name] for name in names)
    favourites = tuple(name for name in names if scores[name] == top)
    regret = _lost(gains[_best(names, gains)], _mean(favourites, gains))
    ordered = correlation([scores[name] for name in names], [fmean(gains[name]) for name in names])
    return Hit(method, favourites, regret, ordered, len(names))


def _best(names: Iterable[str], gains: Gains) -> str:
    return max(names, key=lambda name: fmean(gains[name]))


def _mean(names: Iterable[str], gains: Gains) -> tuple[float, ...]:
    """Return the mean gain of candidates, one a seed."""
    return tuple(fmean(column) for column in zip(*(gains[name] for name in names), strict=True))


def _lost(best: tuple[float, ...], chosen: tuple[float, ...]) -> Summary:
    return summary([more - less for more, less in zip(best, chosen, strict=True)])


def gains_of(path: Path, target: str, recipe: str = "", encoder: str = "") -> dict[str, tuple[float, ...]]:
    """Return the measured gains on a target of a finished study.

    A gain is the mean over the languages that the target has no training data in, or over all of them if it has some in
    each, paired by seed; only languages and seeds that all settings have count.

    Args:
        path: The study's `table.csv` or `report.json`, or a folder with one of them.
        target: The label of the target.
        recipe: The recipe's label; "" where the study has only one.
        encoder: The encoder's name as the table has it; "" where the study has only one.

    Returns:
        Gains by intermediate setting, one for each seed.

    Raises:
        InputError: There is no such file, target, encoder or recipe, the file is broken, or it is of several encoders
            or recipes.
    """
    path = next((path / name for name in (TABLE, REPORT) if (path / name).is_file()), path)
    if not path.is_file():
        raise InputError(f"no measured gains in {path}: give a study's {TABLE}, or a folder with it or a {REPORT}")
    rows, gains = (_reported(path), _of_report) if path.suffix == ".json" else (_tabled(path), _of_table)
    try:
        return gains(path, _of_search(path, rows, {"target": target, "encoder": encoder, "recipe": recipe}))
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} is not as a study writes it ({error!r}); {AGAIN}") from error


def _reported(path: Path) -> list[Line]:
    """Return the gains of a `report.json`."""
    if path.name != REPORT:
        raise InputError(f"no measured gains in {path}: give a study's {TABLE} or {REPORT}")
    report = study_report.read(path.parent)
    if not isinstance(report.get("gains"), list) or not all(isinstance(entry, dict) for entry in report["gains"]):
        raise InputError(f"{path} has no gains; {AGAIN}")
    return list(report["gains"])


def _tabled(path: Path) -> list[Line]:
    """Return the lines of a `table.csv`, seeds and scores as numbers."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.DictReader(file)
            return [_numbered(row, f"{path}, line {lines.line_num}") for row in lines]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no table ({error}); {AGAIN}") from error


def _numbered(row: Line, place: str) -> Line:
    try:
        return {**row, "seed": int(row["seed"]), "score": float(row["score"])}
    except (KeyError, TypeError, ValueError) as error:
        values = f"seed {row.get('seed')!r}, score {row.get('score')!r}"
        raise InputError(f"{place}: expected numbers, found {values}; {AGAIN}") from error


def _of_search(path: Path, rows: list[Line], criteria: Mapping[str, str]) -> list[Line]:
    """Return the rows whose columns have these values, of one encoder and recipe; an empty value asks nothing."""
    for column, value in criteria.items():
        present = sorted({str(row.get(column, "")) for row in rows})
        rows = [row for row in rows if value in ("", row.get(column))]
        if not rows:
            described, remedy = ABSENT[column]
            names = ", ".join(f"'{label}'" for label in present) or "nothing"
            raise InputError(f"{path} has no gains {described} '{value}', but {described} {names}: {remedy}")
    for column, remedy in (("encoder", "give the encoder"), ("recipe", "name one with --against-recipe")):
        values = sorted({str(row.get(column, "")) for row in rows})
        if len(values) > 1:
            raise InputError(f"{path} is of several {column}s ({', '.join(values)}): {remedy}")
    return rows


def _of_report(path: Path, rows: list[Line]) -> dict[str, tuple[float, ...]]:
    """Return gains from those of a report, which has means where there are several languages."""
    by_setting: dict[str, dict[str, tuple[float, ...]]] = {}
    for row in rows:
        by_setting.setdefault(row["intermediate"], {})[row["language"]] = tuple(map(float, row["by_seed"]))
    shared = set.intersection(*map(set, by_setting.values()))
    mean = next((code for code in MEANS if code in shared), None)
    codes = [mean] if mean else sorted(shared - {*MEANS})
    if (
        len(
            {
                len(by_seed)
                for by_language in by_setting.values()
                for code, by_seed in by_language.items()
                if code in codes
            }
        )
        != 1
    ):
        raise InputError(f"settings in {path} share no seeds or no language: give the {TABLE} of the study")
    return {name: _mean(codes, by_language) for name, by_language in by_setting.items()}


def _of_table(path: Path, rows: list[Line]) -> dict[str, tuple[float, ...]]:
    """Return gains from the lines of a table."""
    rows = [row for row in rows if row.get("in_training_language") != "True"] or rows
    scores: dict[str, dict[str, dict[int, float]]] = {}
    for row in rows:
        scores.setdefault(row["intermediate"], {}).setdefault(row["language"], {})[row["seed"]] = row["score"]
    codes = sorted(set.intersection(*map(set, scores.values())))
    seed_sets = [set(by_language[code]) for by_language in scores.values() for code in codes]
    seeds = sorted(set.intersection(*seed_sets)) if seed_sets else []
    if BASELINE not in scores or len(scores) < 2 or not seeds:
        raise InputError(
            f"{path} has no gains: no seed has a '{BASELINE}' and settings in one language; give a study of both"
        )
    means = {
        name: [fmean(by_language[code][seed] for code in codes) for seed in seeds]
        for name, by_language in scores.items()
    }
    before = means.pop(BASELINE)
    return {name: tuple(more - less for more, less in zip(after, before, strict=True)) for name, after in means.items()}
