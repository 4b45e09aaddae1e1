"""Track: what the plain files of a store say of trainings and scores, mirrored into a tracker.

Every training is one run of the tracker, its recipe the run's config: loss by step, looks at development data, and the
scores of the network in every language. An encoder that is measured as it is has a run of its own. What was sent is
remembered beside the store's stages, by tracker and place, so that nothing is sent twice.

    Mirror(Path("work"), "tensorboard:runs").send()
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xstilts.errors import InputError
from xstilts.monitoring import trackers
from xstilts.monitoring.trackers import News, Tracker
from xstilts.runtime.signals import Interrupted
from xstilts.store import build_log, manifest
from xstilts.store.live_view import StoreView, history_of, state_of
from xstilts.store.names import TRAIN

FOLDER = ".tracked"
SAVED = 5.0  # seconds between two notes of what was sent
Scores = dict[str, tuple[str, float]]  # by name the score's key and its value
Sent = dict[str, Any]  # of a run: lines, scores (keys by name), finished


@dataclass
class Mirror:
    """One store, one tracker and one place; `to` as in "tensorboard:runs"."""

    store: Path
    to: str
    tracker: Tracker = field(init=False)
    where: str = field(init=False)
    sight: StoreView = field(init=False)

    def __post_init__(self) -> None:
        name, _, self.where = self.to.partition(":")
        if not self.where:
            raise InputError(f"'{self.to}' names no place: give tensorboard:DIR, wandb:PROJECT, mlflow:URI …")
        if not self.store.is_dir():
            raise InputError(f"no store {self.store}: give the folder that a run or a study has as --store")
        self.tracker = trackers.tracker(name)
        self.sight = StoreView(self.store)

    def send(self) -> int:
        """Send what is new; return of how many runs there was something."""
        with self._known() as (known, save):
            self.sight.refresh()
            count, saved = 0, time.monotonic()
            for news, sent in self._news(known):
                self.tracker.send(self.where, news)
                known[news.key] = sent
                count += 1
                if time.monotonic() - saved > SAVED:
                    save()
                    saved = time.monotonic()
            return count

    def _news(self, known: Mapping[str, Sent]) -> Iterator[tuple[News, Sent]]:
        """Yield what is new of each run, and what will have been sent."""
        scores = _scores(self.sight)
        for key, name, config, history, finished in self._runs(scores):
            before = known.get(key, {"lines": 0, "scores": {}, "finished": False})
            mine = {title: one for title, one in scores.get(key, {}).items() if before["scores"].get(title) != one[0]}
            lines = history[before["lines"] :]
            if not lines and not mine and (before["finished"] or not finished) and key in known:
                continue
            values = {title: value for title, (_, value) in mine.items()}
            step = int(history[-1]["step"]) if history else 0
            news = News(key, f"{name}-{key}", config, _by_step(lines), values, step, key not in known, finished)
            sent = before["scores"] | {title: score for title, (score, _) in mine.items()}
            yield news, {"lines": max(before["lines"], len(history)), "scores": sent, "finished": finished}

    def _runs(self, scores: Mapping[str, Scores]) -> Iterator[tuple[str, str, dict[str, Any], list[Any], bool]]:
        """Yield key, name, config and history of every run, and whether it is finished."""
        for key, one in self.sight.records.items():
            if one["work"] == TRAIN:
                history = history_of(self.sight.folders[key])
                yield key, one["label"], _config(key, one["label"], one["arguments"]), history, True
        asked = {key: one for build in build_log.read(self.store) for key, one in build.arguments.items()}
        for key, part in self.sight.parts.items():
            if key in asked and key not in self.sight.records and (state := state_of(part.folder)):
                yield key, part.label, _config(key, part.label, asked[key]), state.get("history", []), False
        for key, name in _untrained(self.sight, scores).items():
            yield key, name, {"key": key, "label": name, "encoder": name}, [], True

    @contextmanager
    def _known(self) -> Iterator[tuple[dict[str, Sent], Any]]:
        """Give what was sent so far and a function that notes it; nobody else sends meanwhile."""
        place = self.store / FOLDER / hashlib.sha256(self.to.encode()).hexdigest()[:12]
        place.parent.mkdir(exist_ok=True)
        known: dict[str, Sent] = {}
        with place.with_suffix(".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError("another process mirrors this store into the same place: end it first") from None
            with suppress(FileNotFoundError):
                known = json.loads(place.with_suffix(".json").read_bytes().decode())

            def save() -> None:
                manifest.replaced(place.with_suffix(".json"), json.dumps(known))

            try:
                yield known, save
            finally:
                save()


def follow(mirror: Mirror, every: float) -> Iterator[int]:
    """Yield of how many runs something was sent, again and again, until those who build have ended, or Ctrl-C."""
    had_builders = False
    with suppress(Interrupted, KeyboardInterrupt):
        while True:
            alive = any(build.alive for build in build_log.read(mirror.store))
            yield mirror.send()
            if had_builders and not alive:
                return
            had_builders = had_builders or alive
            time.sleep(every)


def _by_step(lines: list[dict[str, Any]]) -> tuple[tuple[int, dict[str, float]], ...]:
    """Return the finite figures of a history's lines by step, each step once."""
    steps: dict[int, dict[str, float]] = {}
    for line in lines:
        looks = {f"dev/{task}": value for task, value in line.get("dev", {}).items()}
        loss = {"loss": line["loss"]} if "loss" in line else {}
        found = {name: float(value) for name, value in {**loss, **looks}.items() if math.isfinite(value)}
        steps.setdefault(int(line["step"]), {}).update(found)
    return tuple((step, figures) for step, figures in sorted(steps.items()) if figures)


def _config(key: str, label: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides a training as names and plain values."""
    config: dict[str, Any] = {"key": key, "label": label}
    if "recipe" in asked:
        encoder = asked["encoder"]
        config["encoder"] = encoder["stage"] if "stage" in encoder else encoder["name"]
        config["tasks"] = "+".join(lesson["task"] for lesson in asked["lessons"])
        config["seed"] = asked["seed"]
        config |= {name: _plain(value) for name, value in asked["recipe"].items() if name != "type"}
    return config


def _plain(value: Any) -> str | int | float:
    """Return a value of a record's canonical form as trackers take it."""
    if isinstance(value, dict) and "float" in value:
        return float(value["float"])
    return value if isinstance(value, str | int | float) else json.dumps(value, sort_keys=True)


def _scores(sight: StoreView) -> dict[str, Scores]:
    """Return the scores of each network by its key, or of an encoder as it is by its own; of equal names the newest."""
    found: dict[str, Scores] = {}
    for key, value in sorted(sight.scores.items(), key=lambda item: sight.records[item[0]]["started"]):
        with suppress(KeyError, TypeError):
            asked = sight.records[key]["arguments"]
            data = sight.records[asked["gold"]["stage"]]["arguments"]["data"]
            model = sight.records[asked["predictions"]["stage"]]["arguments"]["model"]
            title = f"score/{data['task']}/{data['split']}/{data['language']}"
            found.setdefault(model.get("stage") or _digest(model), {})[title] = key, value
    return found


def _untrained(sight: StoreView, scores: Mapping[str, Scores]) -> dict[str, str]:
    """Return the names of encoders that were measured as they are, by key."""
    models = [one["arguments"].get("model") for one in sight.records.values()]
    public = {_digest(model): model["name"] for model in models if isinstance(model, dict) and "name" in model}
    made = {key: one["label"] for key, one in sight.records.items() if key in scores and one["work"] != TRAIN}
    return {key: name for key, name in (public | made).items() if key in scores}


def _digest(model: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(model, sort_keys=True).encode()).hexdigest()[:12]
