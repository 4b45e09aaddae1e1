"""Figures: what a report shows of a study's table beside the verdicts, each with the keys of the stages behind it.

list(figures.gains(table))
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from statistics import fmean
from typing import Any

from xstilts.claims.claim import LEVEL, Claim
from xstilts.claims.measures import Gain, Level, Measured, Scaling
from xstilts.claims.results_table import BASELINE, Missing, Result, ResultsTable
from xstilts.experiments.collect_results import TARGET
from xstilts.store.live_view import history_of

POINTS = 60  # of a learning curve
MEAN, ZERO_SHOT = "mean", "zero-shot"
Plain = dict[str, Any]


def _arms(table: ResultsTable) -> Iterator[tuple[str, str, str, str, list[str]]]:
    """Yield encoder, recipe, intermediate, target and languages of each arm of a table."""
    found: dict[tuple[str, str, str, str], dict[str, None]] = {}
    for row in table.rows:
        found.setdefault((row.encoder, row.recipe, row.intermediate, row.target), {})[row.language] = None
    for arm, spoken in found.items():
        yield *arm, list(spoken)


def levels(table: ResultsTable) -> Iterator[Plain]:
    """Yield the mean score of each arm, over its languages and in each of them."""
    taught = _taught(table)
    for encoder, recipe, intermediate, target, spoken in _arms(table):
        for name, chosen in _each(spoken, taught[target]):
            found = _tried(Level(intermediate, target, chosen, encoder, recipe), table)
            if found:
                arm = {"encoder": encoder, "recipe": recipe, "intermediate": intermediate, "target": target}
                yield {**arm, "language": name, **found}


def gains(table: ResultsTable) -> Iterator[Plain]:
    """Yield the gain of each arm over its baseline, over its languages and in each of them."""
    taught = _taught(table)
    for encoder, recipe, intermediate, target, spoken in _arms(table):
        if intermediate == BASELINE:
            continue
        for name, chosen in _each(spoken, taught[target]):
            gain = Gain(intermediate, target, languages=chosen, encoder=encoder, recipe=recipe)
            found = _tried(gain, table)
            if found:
                arm = {"encoder": encoder, "recipe": recipe, "over_recipe": recipe, "intermediate": intermediate}
                seeds = list(gain.by_seed(table).values())
                told = {"language": name, "in_training_language": name in taught[target]}
                yield {**arm, "target": target, **told, **found, "by_seed": seeds}


def _each(spoken: list[str], taught: set[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Return the mean over all languages, that of zero-shot transfer where it is another, and each language."""
    apart = tuple(code for code in spoken if code not in taught)
    means = [(MEAN, tuple(spoken))] + [(ZERO_SHOT, apart)] * (0 < len(apart) < len(spoken))
    return means + [(code, (code,)) for code in spoken]


def _taught(table: ResultsTable) -> dict[str, set[str]]:
    """Return the languages in which each target was learned."""
    found: dict[str, set[str]] = {row.target: set() for row in table.rows}
    for row in table.rows:
        found[row.target] |= {row.language} if row.in_training_language else set()
    return found


def _tried(measure: Level | Gain, table: ResultsTable) -> Plain | None:
    try:
        return _estimated(measure.of(table))
    except Missing:
        return None


def _estimated(measured: Measured) -> Plain:
    found = measured.estimate
    low, high = found.interval(LEVEL)
    known = found.error > 0
    return {
        "estimate": found.value,
        "low": low if known else None,
        "high": high if known else None,
        "p": found.p() if known else None,
        "n": found.count,
        "keys": measured.keys,
    }


def costs(table: ResultsTable) -> Iterator[Plain]:
    """Yield what each run took, with its mean score and gain: a point of gain against cost."""
    runs: dict[tuple[str, str, str, str, int], list[Result]] = {}
    for row in table.rows:
        runs.setdefault((row.encoder, row.recipe, row.intermediate, row.target, row.seed), []).append(row)
    for (encoder, recipe, intermediate, target, seed), rows in runs.items():
        score = _mean(rows)
        base = runs.get((encoder, recipe, BASELINE, target, seed), [])
        gain = score - _mean(base) if base and intermediate != BASELINE else None
        figures = {name: value for name, value in rows[0].costs.items() if not name.startswith("predict")}
        asked = {name for row in rows for name in row.costs if name.startswith("predict")}
        figures |= {name: sum(row.costs.get(name, math.nan) for row in rows) for name in sorted(asked)}
        arm = {"encoder": encoder, "recipe": recipe, "intermediate": intermediate, "target": target, "seed": seed}
        keys = distinct(key for row in rows for key in row.keys)
        yield {**arm, "score": score, "gain": gain, "figures": figures, "keys": keys}


def _mean(rows: Iterable[Result]) -> float:
    """Return the mean score of one run over the languages of zero-shot transfer, or over all where there are none."""
    every = list(rows)
    return fmean(row.score for row in [row for row in every if not row.in_training_language] or every)


def curves(table: ResultsTable, records: Mapping[str, Plain]) -> Iterator[Plain]:
    """Yield the loss by step of each training, once, under the first arm that has it."""
    seen: set[str] = set()
    for row in table.rows:
        for role, key in zip(row.roles, row.keys, strict=True):
            lines = [] if key in seen else history_of(records[key]["folder"])
            if not lines:
                continue
            seen.add(key)
            losses = [[line["step"], line["loss"]] for line in lines if "loss" in line]
            looks = [[line["step"], fmean(line["dev"].values())] for line in lines if "dev" in line]
            taught = records[key]["label"].removeprefix("train-").rpartition("-seed")[0]
            yield {
                "label": f"{taught} after {row.intermediate}" if role == TARGET else taught,
                "role": role,
                "encoder": row.encoder,
                "recipe": row.recipe,
                "task": taught,
                "seed": row.seed,
                "key": key,
                "points": losses[:: max(1, math.ceil(len(losses) / POINTS))],
                "looks": looks,
                "seconds": records[key]["record"].get("cost", {}).get("seconds"),
            }


def scalings(claims: Iterable[Claim], table: ResultsTable) -> Iterator[Plain]:
    """Yield the points and the fit of each claim about growth with size."""
    for claim in claims:
        if not isinstance(claim.measure, Scaling):
            continue
        try:
            whole = claim.measure.of(table)
            sizes = {row.encoder: row.size for row in table.rows}
            found = {name: claim.measure.at(table, name).estimate.value for name in distinct(sizes)}
        except Missing:
            continue
        low, high = whole.estimate.interval(LEVEL)
        yield {
            "figure": claim.measure.figure,
            "per": claim.measure.per,
            "of": claim.measure.recipe or claim.measure.intermediate,
            "what": claim.sentence,
            "points": [[sizes[name], value, name] for name, value in found.items()],
            "exponent": whole.estimate.value,
            "low": low,
            "high": high,
            "by_construction": bool(claim.by_construction),
        }


def distinct(values: Iterable[Any]) -> list[Any]:
    """Return values without repetitions, in their order."""
    return list(dict.fromkeys(values))
