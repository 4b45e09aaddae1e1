"""Backtest: how right a method's ranking is, by gains that were measured.

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
    """How right a method is.

    Args:
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
    found = [
        _hit(method, {name: one for name, one in given.items() if name in gains}, gains)
        for method, given in scores.items()
    ]
    judged = [one for one in found if one]
    names = sorted({name for given in scores.values() for name in given} & gains.keys())
    if not judged or len(names) < 2:
        return ()
    best = _best(names, gains)
    blind = _lost(gains[best], _mean(names, gains))
    return (
        *judged,
        Hit("at random", (), blind, None, len(names)),
        Hit("none at all", (), summary(gains[best]), None, len(names)),
    )


def _hit(method: str, given: Mapping[str, float], gains: Gains) -> Hit | None:
    names = [name for name, score in given.items() if not math.isnan(score)]
    if len(names) < 2:
        return None
    top = max(given[name] for name in names)
    favourites = tuple(name for name in names if given[name] == top)
    regret = _lost(gains[_best(names, gains)], _mean(favourites, gains))
    ordered = correlation([given[name] for name in names], [fmean(gains[name]) for name in names])
    return Hit(method, favourites, regret, ordered, len(names))


def _best(names: Iterable[str], gains: Gains) -> str:
    return max(names, key=lambda name: fmean(gains[name]))


def _mean(names: Iterable[str], gains: Gains) -> tuple[float, ...]:
    """Return the mean gain of candidates, one a seed."""
    return tuple(fmean(column) for column in zip(*(gains[name] for name in names), strict=True))


def _lost(best: tuple[float, ...], chosen: tuple[float, ...]) -> Summary:
    return summary([more - less for more, less in zip(best, chosen, strict=True)])


def gains_of(path: Path, target: str, recipe: str = "", encoder: str = "") -> dict[str, tuple[float, ...]]:
    """Return the gains on a target of a finished study: its `table.csv`, or the folder of one or of a report.

    recipe, encoder: of the study's arms, those of this name; encoders as `tabulate.name_of` calls them. A gain is the
    mean over the languages that the target was not learned in, or over those that there are, paired by seed; only
    languages and seeds that all settings have count. Raises InputError where there is no such file, target, encoder or
    recipe, where the file is broken, or where it is of several encoders or recipes.
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
    found = study_report.read(path.parent)
    if not isinstance(found.get("gains"), list) or not all(isinstance(one, dict) for one in found["gains"]):
        raise InputError(f"{path} has no gains; {AGAIN}")
    return list(found["gains"])


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
        found = f"seed {row.get('seed')!r}, score {row.get('score')!r}"
        raise InputError(f"{place}: expected numbers, found {found}; {AGAIN}") from error


def _of_search(path: Path, rows: list[Line], wanted: Mapping[str, str]) -> list[Line]:
    """Return the rows whose columns have these values, of one encoder and recipe; an empty value asks nothing."""
    for column, value in wanted.items():
        there = sorted({str(row.get(column, "")) for row in rows})
        rows = [row for row in rows if value in ("", row.get(column))]
        if not rows:
            what, remedy = ABSENT[column]
            names = ", ".join(f"'{one}'" for one in there) or "nothing"
            raise InputError(f"{path} has no gains {what} '{value}', but {what} {names}: {remedy}")
    for column, remedy in (("encoder", "give the encoder"), ("recipe", "name one with --against-recipe")):
        values = sorted({str(row.get(column, "")) for row in rows})
        if len(values) > 1:
            raise InputError(f"{path} is of several {column}s ({', '.join(values)}): {remedy}")
    return rows


def _of_report(path: Path, rows: list[Line]) -> dict[str, tuple[float, ...]]:
    """Return gains from those of a report, which has means where there are several languages."""
    found: dict[str, dict[str, tuple[float, ...]]] = {}
    for row in rows:
        found.setdefault(row["intermediate"], {})[row["language"]] = tuple(map(float, row["by_seed"]))
    shared = set.intersection(*map(set, found.values()))
    mean = next((one for one in MEANS if one in shared), None)
    codes = [mean] if mean else sorted(shared - {*MEANS})
    if len({len(by_seed) for each in found.values() for code, by_seed in each.items() if code in codes}) != 1:
        raise InputError(f"settings in {path} share no seeds or no language: give the {TABLE} of the study")
    return {name: _mean(codes, each) for name, each in found.items()}


def _of_table(path: Path, rows: list[Line]) -> dict[str, tuple[float, ...]]:
    """Return gains from the lines of a table."""
    rows = [row for row in rows if row.get("in_training_language") != "True"] or rows
    scores: dict[str, dict[str, dict[int, float]]] = {}
    for row in rows:
        scores.setdefault(row["intermediate"], {}).setdefault(row["language"], {})[row["seed"]] = row["score"]
    codes = sorted(set.intersection(*map(set, scores.values())))
    known = [set(each[code]) for each in scores.values() for code in codes]
    seeds = sorted(set.intersection(*known)) if known else []
    if BASELINE not in scores or len(scores) < 2 or not seeds:
        raise InputError(
            f"{path} has no gains: no seed has a '{BASELINE}' and settings in one language; give a study of both"
        )
    means = {name: [fmean(each[code][seed] for code in codes) for seed in seeds] for name, each in scores.items()}
    before = means.pop(BASELINE)
    return {name: tuple(more - less for more, less in zip(held, before, strict=True)) for name, held in means.items()}
