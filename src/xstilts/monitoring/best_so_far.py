"""Best so far: which setting leads on each target, from the scores that a store holds so far.

Settings are told apart by their trainings, seeds aside. A mean counts only if it covers all languages that the target
has in the store. The gain is over the models that lack one of the trainings and share the others, paired by seed.

    view = StoreView(Path("work"))
    view.refresh()
    print(best(view)[0].gain)
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from xstilts.store.live_view import StoreView
from xstilts.store.names import BASELINE, TRAIN

Seeds = tuple[int, ...]  # of a model's trainings, the first one first


@dataclass(frozen=True)
class Model:
    """What a model was trained on, seeds aside.

    Attributes:
        encoder: What identifies the encoder that it started from.
        trainings: What identifies each training: training sets and recipe.
        tasks: The names of the tasks of each training.
    """

    encoder: str
    trainings: tuple[str, ...]
    tasks: tuple[str, ...]


Means = dict[Model, dict[Seeds, float]]


@dataclass(frozen=True)
class Standing:
    """The best setting of a target and an encoder so far.

    Attributes:
        target: The target task, with the split if that is not the test set.
        metric: The metric of the score.
        encoder: The encoder's name.
        setting: The tasks of its trainings in order.
        score: The mean over languages and seeds.
        gain: The mean gain over the model without one of the trainings; None where there is none.
        languages: How many languages the score covers.
        seeds: How many seeds.
        of: How many settings have a mean over all languages.
    """

    target: str
    metric: str
    encoder: str
    setting: str
    score: float
    gain: float | None
    languages: int
    seeds: int
    of: int


def best(view: StoreView) -> list[Standing]:
    """Return the best setting of each target and encoder so far.

    Args:
        view: The store, as of its last `refresh`.

    Returns:
        A standing for each target and encoder for which there are scores in every language.
    """
    scores: dict[tuple[str, str], dict[tuple[Model, Seeds], dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    encoders: dict[str, str] = {}
    for target, metric, model, seeds, language, value in _scores(view, encoders):
        scores[target, metric][model, seeds][language] = value
    return [
        standing
        for (target, metric), by_model in sorted(scores.items())
        for standing in _standings(target, metric, by_model, encoders)
    ]


def _standings(
    target: str, metric: str, scores: Mapping[tuple[Model, Seeds], Mapping[str, float]], encoders: Mapping[str, str]
) -> Iterator[Standing]:
    """Yield the best setting of each encoder on a target."""
    languages = {language for by_language in scores.values() for language in by_language}
    means: Means = defaultdict(dict)
    for (model, seeds), by_language in scores.items():
        if by_language.keys() == languages:
            means[model][seeds] = fmean(by_language.values())
    sign = -1 if metric.endswith("loss") else 1
    for encoder in sorted({model.encoder for model in means}):
        own = {model: by_seed for model, by_seed in means.items() if model.encoder == encoder}
        first = max(own, key=lambda model: (sign * fmean(own[model].values()), model.tasks))
        gain, baseline = _gain(first, own)
        setting = " → ".join(first.tasks) or "untrained"
        if baseline is None and any(_gain(model, own)[1] == first for model in own):
            setting = f"{BASELINE} ({setting})"
        yield Standing(
            target,
            metric,
            encoders[encoder],
            setting,
            fmean(own[first].values()),
            gain,
            len(languages),
            len(own[first]),
            len(own),
        )


def _gain(model: Model, means: Means) -> tuple[float | None, Model | None]:
    """Return the gain over the model without one of the trainings, and that model."""
    for left_out in range(len(model.trainings)):
        remaining = tuple(range(left_out)) + tuple(range(left_out + 1, len(model.trainings)))
        trainings = tuple(model.trainings[n] for n in remaining)
        for baseline in means:
            if baseline.trainings == trainings:
                pairs = [
                    (value, other)
                    for seeds, value in means[model].items()
                    if (other := means[baseline].get(tuple(seeds[n] for n in remaining))) is not None
                ]
                if pairs:
                    return fmean(value - other for value, other in pairs), baseline
    return None, None


def _scores(view: StoreView, encoders: dict[str, str]) -> Iterator[tuple[str, str, Model, Seeds, str, float]]:
    """Yield target, metric, model, seeds, language and value of each score; collect the names of encoders."""
    models: dict[str, tuple[Model, Seeds]] = {}
    for key, value in view.scores.items():
        try:
            score = view.records[key]["arguments"]
            prediction = view.records[score["predictions"]["stage"]]["arguments"]
            data = view.records[score["gold"]["stage"]]["arguments"]["data"]
            split = "" if data["split"] == "test" else f" ({data['split']})"
            identity = json.dumps(prediction["model"], sort_keys=True)
            if identity not in models:
                models[identity] = _model(prediction["model"], view, encoders)
            yield f"{data['task']}{split}", score["metric"], *models[identity], data["language"], value
        except (KeyError, TypeError):
            continue  # another type of score, or a stage behind it is gone


def _model(model: Any, view: StoreView, encoders: dict[str, str]) -> tuple[Model, Seeds]:
    """Return what a model was trained on and with which seeds, from the records of its trainings."""
    trainings, tasks, seeds = [], [], []
    while "stage" in model and view.records[model["stage"]]["work"] == TRAIN:
        training = view.records[model["stage"]]["arguments"]
        trainings.append(json.dumps([training["lessons"], training["recipe"]], sort_keys=True))
        tasks.append("+".join(training_set["task"] for training_set in training["lessons"]))
        seeds.append(int(training["seed"]))
        model = training["encoder"]
    encoder = json.dumps(model, sort_keys=True)
    encoders[encoder] = view.records[model["stage"]]["label"] if "stage" in model else model["name"]
    return Model(encoder, tuple(trainings[::-1]), tuple(tasks[::-1])), tuple(seeds[::-1])
