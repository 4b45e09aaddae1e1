"""Tracker sync: mirror the trainings and scores of a store into an experiment tracker.

Every training is one run of the tracker, with its recipe as the run's config: the loss by step, the dev scores, and the
model's scores in every language. An encoder that is evaluated without training has a run of its own. What was sent is
remembered in the store, by tracker and place, so that nothing is sent twice.

    Mirror(Path("work"), "tensorboard:runs").send()
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xstilts.errors import InputError, refusing
from xstilts.monitoring import trackers
from xstilts.monitoring.trackers import News, Tracker
from xstilts.runtime import process_lock, whole_files
from xstilts.runtime.signals import Interrupted
from xstilts.store import build_log
from xstilts.store.live_view import StoreView, history_of, state_of
from xstilts.store.names import TRAIN

FOLDER = ".tracked"
SAVE_EVERY = 5.0  # seconds
Scores = dict[str, tuple[str, float]]  # by name the score's key and its value
Sent = dict[str, Any]  # of a run: lines, scores (keys by name), finished


@dataclass
class Mirror:
    """Mirrors one store into one place of one tracker.

    Attributes:
        store: The store.
        to: Tracker and place, e.g. "tensorboard:runs".
        tracker: The tracker.
        place: The place in it: a folder, a project or an address.
        view: What has been read of the store.

    Raises:
        InputError: `to` has no place or no such tracker, or there is no store.
    """

    store: Path
    to: str
    tracker: Tracker = field(init=False)
    place: str = field(init=False)
    view: StoreView = field(init=False)

    def __post_init__(self) -> None:
        name, _, self.place = self.to.partition(":")
        if not self.place:
            raise InputError(f"'{self.to}' has no place: give tensorboard:DIR, wandb:PROJECT, mlflow:URI …")
        if not self.store.is_dir():
            raise InputError(f"no store {self.store}: give the folder that a run or a study has as --store")
        self.tracker = trackers.tracker(name)
        self.view = StoreView(self.store)

    def send(self) -> int:
        """Send what is new; return how many runs had something new.

        Raises:
            InputError: Another process mirrors the same store into the same place.
        """
        with self._known() as (sent_before, save):
            self.view.refresh()
            count, saved = 0, time.monotonic()
            for news, sent in self._news(sent_before):
                self.tracker.send(self.place, news)
                # Noted after it was sent: where sending fails, it is sent the next time.
                sent_before[news.key] = sent
                count += 1
                if time.monotonic() - saved > SAVE_EVERY:
                    save()
                    saved = time.monotonic()
            return count

    def _news(self, sent_before: Mapping[str, Sent]) -> Iterator[tuple[News, Sent]]:
        """Yield what is new of each run, and what has then been sent of it."""
        scores = _scores(self.view)
        for key, name, config, history, finished in self._runs(scores):
            before = sent_before.get(key, {"lines": 0, "scores": {}, "finished": False})
            new = {
                title: score for title, score in scores.get(key, {}).items() if before["scores"].get(title) != score[0]
            }
            lines = history[before["lines"] :]
            if not lines and not new and (before["finished"] or not finished) and key in sent_before:
                continue
            values = {title: value for title, (_, value) in new.items()}
            step = int(history[-1]["step"]) if history else 0
            news = News(key, f"{name}-{key}", config, _by_step(lines), values, step, key not in sent_before, finished)
            sent = before["scores"] | {title: score for title, (score, _) in new.items()}
            yield news, {"lines": max(before["lines"], len(history)), "scores": sent, "finished": finished}

    def _runs(self, scores: Mapping[str, Scores]) -> Iterator[tuple[str, str, dict[str, Any], list[Any], bool]]:
        """Yield key, name, config and history of every run, and whether it is finished."""
        for key, record in self.view.records.items():
            if record["work"] == TRAIN:
                history = history_of(self.view.folders[key])
                yield key, record["label"], _config(key, record["label"], record["arguments"]), history, True
        arguments = {
            key: stage_arguments
            for build in build_log.read(self.store)
            for key, stage_arguments in build.arguments.items()
        }
        for key, part in self.view.parts.items():
            if key in arguments and key not in self.view.records and (state := state_of(part.folder)):
                yield key, part.label, _config(key, part.label, arguments[key]), state.get("history", []), False
        for key, name in _untrained(self.view, scores).items():
            yield key, name, {"key": key, "label": name, "encoder": name}, [], True

    @contextmanager
    def _known(self) -> Iterator[tuple[dict[str, Sent], Any]]:
        """Yield what was sent so far and a function that saves it, while no other process may send."""
        file = self.store / FOLDER / hashlib.sha256(self.to.encode()).hexdigest()[:12]
        file.parent.mkdir(exist_ok=True)
        sent: dict[str, Sent] = {}
        with file.with_suffix(".lock").open("w") as lock:
            try:
                process_lock.acquire(lock)
            except BlockingIOError:
                raise InputError("another process mirrors this store into the same place: end it first") from None
            with (
                suppress(FileNotFoundError),
                refusing(lambda: file.with_suffix(".json"), "remove it: all is sent again"),
            ):
                sent = json.loads(file.with_suffix(".json").read_bytes().decode())

            def save() -> None:
                whole_files.write(file.with_suffix(".json"), json.dumps(sent))

            try:
                yield sent, save
            finally:
                save()


def follow(mirror: Mirror, every: float) -> Iterator[int]:
    """Send what is new again and again until all builds have ended, or Ctrl-C.

    Args:
        mirror: What to send and where.
        every: Seconds between two looks.

    Yields:
        How many runs had something new.
    """
    had_builds = False
    with suppress(Interrupted, KeyboardInterrupt):
        while True:
            alive = any(build.alive for build in build_log.read(mirror.store))
            yield mirror.send()
            if had_builds and not alive:
                return
            had_builds = had_builds or alive
            time.sleep(every)


def _by_step(lines: list[dict[str, Any]]) -> tuple[tuple[int, dict[str, float]], ...]:
    """Return the finite figures of a history's lines by step, each step once."""
    steps: dict[int, dict[str, float]] = {}
    for line in lines:
        dev_scores = {f"dev/{task}": value for task, value in line.get("dev", {}).items()}
        losses = {"loss": line["loss"]} if "loss" in line else {}
        losses |= {f"loss/{task}": value for task, value in line.get("task_losses", {}).items()}
        figures = {name: float(value) for name, value in {**losses, **dev_scores}.items() if math.isfinite(value)}
        steps.setdefault(int(line["step"]), {}).update(figures)
    return tuple((step, figures) for step, figures in sorted(steps.items()) if figures)


def _config(key: str, label: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a training as names and single values."""
    config: dict[str, Any] = {"key": key, "label": label}
    if "recipe" in arguments:
        encoder = arguments["encoder"]
        config["encoder"] = encoder["stage"] if "stage" in encoder else encoder["name"]
        config["tasks"] = "+".join(training_set["task"] for training_set in arguments["lessons"])
        config["seed"] = arguments["seed"]
        config |= {name: _single_value(value) for name, value in arguments["recipe"].items() if name != "type"}
    return config


def _single_value(value: Any) -> str | int | float:
    """Return a value in a manifest as a text or number, which trackers accept."""
    if isinstance(value, dict) and "float" in value:
        return float(value["float"])
    return value if isinstance(value, str | int | float) else json.dumps(value, sort_keys=True)


def _scores(view: StoreView) -> dict[str, Scores]:
    """Return the scores of each model by its key (untrained encoders: a digest); of equal titles the newest counts."""
    scores: dict[str, Scores] = {}
    for key, value in sorted(view.scores.items(), key=lambda item: view.records[item[0]]["started"]):
        with suppress(KeyError, TypeError):
            score = view.records[key]["arguments"]
            data = view.records[score["gold"]["stage"]]["arguments"]["data"]
            model = view.records[score["predictions"]["stage"]]["arguments"]["model"]
            title = f"score/{data['task']}/{data['split']}/{data['language']}"
            scores.setdefault(model.get("stage") or _digest(model), {})[title] = key, value
    return scores


def _untrained(view: StoreView, scores: Mapping[str, Scores]) -> dict[str, str]:
    """Return the names of encoders that were evaluated without training, by key."""
    models = [record["arguments"].get("model") for record in view.records.values()]
    public = {_digest(model): model["name"] for model in models if isinstance(model, dict) and "name" in model}
    trained = {
        key: record["label"] for key, record in view.records.items() if key in scores and record["work"] != TRAIN
    }
    return {key: name for key, name in (public | trained).items() if key in scores}


def _digest(model: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(model, sort_keys=True).encode()).hexdigest()[:12]
