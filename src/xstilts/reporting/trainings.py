"""Trainings: what was trained behind a study's results: every hyperparameter, the data and their size, by phase of arm.

All of it is read from the manifests of the trainings, so that verification reads it again. Trainings that differ only
in the seed, or in the phase that they go on from, are one entry.

    entries = list(trainings(table, records))
    entries[0]["hyperparameters"]["learning_rate"], entries[0]["data"][0]["inputs"]

>>> spread([3, 3]), spread([3, 5, 4]), spread([None])
([3], [3, 5], [])
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from xstilts.claims.results_table import ResultsTable
from xstilts.experiments.collect_results import TRAININGS
from xstilts.store import names
from xstilts.training.recipe import recipe_of

Json = dict[str, Any]
Records = Mapping[str, Json]
APART = ("encoder", "seed", "head_seed")  # arguments in which the trainings of an entry may differ


def trainings(table: ResultsTable, records: Records) -> Iterator[Json]:
    """Yield what was trained, an entry for each phase of an encoder, a training set and a recipe.

    Args:
        table: The results of the study.
        records: The manifests of the stages behind them, by key.

    Yields:
        JSON objects in the order of the phases: `encoder`, `role`, `arms` (the recipe's label, the intermediate setting
        and the target of each arm that has the phase), `seeds`, `hyperparameters` (all fields of a `Recipe`; the
        maximum length is the one that the encoder allowed), `data` (an object for each training set), and what was
        counted. A list of what was counted has one number where all trainings agree, else the smallest and the largest.
    """
    entries: dict[tuple[int, str, str], Json] = {}
    for row in table.rows:
        for role, key in zip(row.roles, row.keys, strict=True):
            if role not in TRAININGS:
                continue
            arguments = records[key]["arguments"]
            same = {name: value for name, value in arguments.items() if name not in APART}
            place = (TRAININGS.index(role), row.encoder, json.dumps(same, sort_keys=True))
            entry = entries.setdefault(
                place, {"encoder": row.encoder, "role": role, "arms": {}, "seeds": {}, "keys": {}}
            )
            entry["arms"][row.recipe, row.intermediate, row.target] = None
            entry["seeds"][arguments["seed"]] = entry["keys"][key] = None
    for place in sorted(entries, key=lambda place: place[:1]):
        yield _entry(entries[place], records)


def _entry(entry: Json, records: Records) -> Json:
    keys = list(entry["keys"])
    facts = [records[key] for key in keys]
    measured = [fact["record"] for fact in facts]
    costs = [record.get("cost") or {} for record in measured]
    recipe = asdict(recipe_of(facts[0]["arguments"]["recipe"]))
    return {
        "encoder": entry["encoder"],
        "role": entry["role"],
        "arms": [list(arm) for arm in entry["arms"]],
        "seeds": sorted(entry["seeds"]),
        "hyperparameters": {**recipe, "max_length": measured[0].get("max_length") or recipe["max_length"]},
        "data": [_data(stored, facts) for stored in facts[0]["arguments"]["lessons"]],
        "steps": spread(record.get("steps") for record in measured),
        "tokens": spread(cost.get("tokens") for cost in costs),
        "parameters": spread(record.get("parameters") for record in measured),
        "trained_parameters": spread(record.get("trained_parameters") for record in measured),
        "precision": sorted({cost["precision"] for cost in costs if cost.get("precision")}),
        "keys": keys,
    }


def _data(stored: Mapping[str, Any], facts: Sequence[Json]) -> Json:
    """Return a training set: its task, its splits, and how many model inputs were made of them."""
    counted = [(fact["record"].get("lessons") or {}).get(stored["task"]) or {} for fact in facts]
    labels = [facts[0]["inputs"].get(part["stage"], "") for part in stored["train"]]
    weight = stored.get("weight")
    return {
        "task": stored["task"],
        "format": names.format_from_key(stored["kind"]),
        "splits": [label.removeprefix("data-") for label in labels],
        "languages": [label.rpartition("-train-")[2] for label in labels],
        "inputs": spread(count.get("units") for count in counted),
        "shots": stored.get("shots", 0),
        "every_step_weight": float(weight["float"]) if isinstance(weight, Mapping) else weight,
        "language_sampling_exponent": float(stored["alpha"]["float"]),
        "held_out": spread(count.get("held_out") for count in counted),
    }


def spread(values: Iterable[float | None]) -> list[float]:
    """Return the one value that all have, or the smallest and the largest; nothing where none is known."""
    known = sorted({value for value in values if value is not None})
    return known if len(known) < 2 else [known[0], known[-1]]
