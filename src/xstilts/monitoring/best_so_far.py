"""Standings: which setting is ahead on each target, from whatever scores a store holds so far.

Models are told apart by what their trainings were, seeds aside. A mean is one over all languages that the target has
here, never over fewer; the gain is over the models that lack one of the trainings and share the others, paired by seed.

    best(sight)[0].gain
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from xstilts.store.live_view import StoreView
from xstilts.store.names import TRAIN

Seeds = tuple[int, ...]
Means = dict["Model", dict[Seeds, float]]
BASELINE = "baseline"


@dataclass(frozen=True)
class Model:
    """What a network learned: its origin, and of each training what decides it, seed aside, and the tasks' names."""

    origin: str
    trainings: tuple[str, ...]
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class Standing:
    """The best setting of a target so far. score: mean over languages and seeds. over: settings that have a mean."""

    target: str
    metric: str
    origin: str
    setting: str
    score: float
    gain: float | None
    languages: int
    seeds: int
    over: int


def best(sight: StoreView) -> list[Standing]:
    """Return the best setting of each target and encoder for which there is a score in every language."""
    found: dict[tuple[str, str], dict[tuple[Model, Seeds], dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    origins: dict[str, str] = {}
    for target, metric, model, seeds, language, value in _scores(sight, origins):
        found[target, metric][model, seeds][language] = value
    return [one for (target, metric), models in sorted(found.items()) for one in _of(target, metric, models, origins)]


def _of(
    target: str, metric: str, models: Mapping[tuple[Model, Seeds], Mapping[str, float]], origins: Mapping[str, str]
) -> Iterator[Standing]:
    """Yield the standing of each encoder on a target."""
    languages = {language for scores in models.values() for language in scores}
    means: Means = defaultdict(dict)
    for (model, seeds), scores in models.items():
        if scores.keys() == languages:
            means[model][seeds] = fmean(scores.values())
    sign = -1 if metric.endswith("loss") else 1
    for origin in sorted({model.origin for model in means}):
        mine = {model: by_seed for model, by_seed in means.items() if model.origin == origin}
        first = max(mine, key=lambda model: (sign * fmean(mine[model].values()), model.tasks))
        gain, base = _gain(first, mine)
        setting = " → ".join(first.tasks) or "untrained"
        if base is None and any(_gain(model, mine)[1] == first for model in mine):
            setting = f"{BASELINE} ({setting})"
        score = fmean(mine[first].values())
        yield Standing(
            target, metric, origins[origin], setting, score, gain, len(languages), len(mine[first]), len(mine)
        )


def _gain(model: Model, means: Means) -> tuple[float | None, Model | None]:
    """Return the gain over the model without one of the trainings, and which that is."""
    for left in range(len(model.trainings)):
        rest = tuple(range(left)) + tuple(range(left + 1, len(model.trainings)))
        names = tuple(model.trainings[n] for n in rest)
        for base in means:
            if base.trainings == names:
                pairs = [
                    (value, other)
                    for seeds, value in means[model].items()
                    if (other := means[base].get(tuple(seeds[n] for n in rest))) is not None
                ]
                if pairs:
                    return fmean(value - other for value, other in pairs), base
    return None, None


def _scores(sight: StoreView, origins: dict[str, str]) -> Iterator[tuple[str, str, Model, Seeds, str, float]]:
    known: dict[str, tuple[Model, Seeds]] = {}
    for key, value in sight.scores.items():
        try:
            asked = sight.records[key]["arguments"]
            predictions = sight.records[asked["predictions"]["stage"]]["arguments"]
            data = sight.records[asked["gold"]["stage"]]["arguments"]["data"]
            split = "" if data["split"] == "test" else f" ({data['split']})"
            identity = json.dumps(predictions["model"], sort_keys=True)
            if identity not in known:
                known[identity] = _model(predictions["model"], sight, origins)
            yield f"{data['task']}{split}", asked["metric"], *known[identity], data["language"], value
        except (KeyError, TypeError):
            continue  # of another kind, or what it rests on is gone


def _model(model: Any, sight: StoreView, origins: dict[str, str]) -> tuple[Model, Seeds]:
    """Return what a network learned and with which seeds, from the records of its trainings."""
    trainings, tasks, seeds = [], [], []
    while "stage" in model and sight.records[model["stage"]]["work"] == TRAIN:
        asked = sight.records[model["stage"]]["arguments"]
        trainings.append(json.dumps([asked["lessons"], asked["recipe"]], sort_keys=True))
        tasks.append("+".join(lesson["task"] for lesson in asked["lessons"]))
        seeds.append(int(asked["seed"]))
        model = asked["encoder"]
    origin = json.dumps(model, sort_keys=True)
    origins[origin] = sight.records[model["stage"]]["label"] if "stage" in model else model["name"]
    return Model(origin, tuple(trainings[::-1]), tuple(tasks[::-1])), tuple(seeds[::-1])
