"""Stores written by hand: finished stages as plain files, without the work behind them."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from xstilts.store.live_view import HISTORY, SCORE
from xstilts.store.names import PREDICT, READ, TRAIN
from xstilts.store.names import SCORE as SCORING

ENCODER = {"type": "Encoder", "name": "tiny", "digest": "0"}


def put(store: Path, label: str, work: str, arguments: dict[str, Any], seconds: float = 1.0, **files: str) -> str:
    """Write a finished stage; return its key."""
    key = sha256(json.dumps([label, work, arguments], sort_keys=True).encode()).hexdigest()[:12]
    folder = store / f"{label}-{key}"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    facts = {"label": label, "key": key, "work": work, "arguments": arguments, "seconds": seconds}
    more = {"started": "2026-01-01T00:00:00Z", "record": {}, "files": {}, "inputs": {}}
    (folder / "stage.json").write_text(json.dumps(facts | more))
    return key


def put_training(
    store: Path, task: str, seed: int, encoder: Any = ENCODER, seconds: float = 1.0, losses: tuple[float, ...] = ()
) -> str:
    """Write a finished training; return its key."""
    arguments = asked(task, seed, encoder)
    history = "".join(json.dumps({"step": n, "loss": loss}) + "\n" for n, loss in enumerate(losses, start=1))
    return put(store, f"train-{task}-seed{seed}", TRAIN, arguments, seconds, **{HISTORY: history})


def asked(task: str, seed: int, encoder: Any = ENCODER) -> dict[str, Any]:
    """Return the arguments of a training in their canonical form."""
    recipe = {"type": "Recipe", "learning_rate": {"float": "0.0005"}, "steps": 4, "trained": "all", "selection": None}
    return {"encoder": encoder, "lessons": [{"type": "Lesson", "task": task}], "recipe": recipe, "seed": seed}


def put_score(
    store: Path, model: Any, value: float, language: str = "en", task: str = "xnli", metric: str = "accuracy"
) -> str:
    """Write data, predictions and the score of a model; return the score's key."""
    data = {"type": "Data", "task": task, "split": "test", "language": language}
    label = f"{task}-test-{language}"
    gold = sha256(json.dumps([f"data-{label}", READ, {"data": data}], sort_keys=True).encode())
    if not (store / f"data-{label}-{gold.hexdigest()[:12]}").exists():
        put(store, f"data-{label}", READ, {"data": data})
    read = {"stage": gold.hexdigest()[:12]}
    said = {"stage": put(store, f"predict-{label}", PREDICT, {"model": model, "data": read})}
    found = json.dumps({"metric": metric, "headline": value})
    arguments = {"predictions": said, "gold": read, "metric": metric, "tuned_from": None}
    return put(store, f"score-{label}", SCORING, arguments, **{SCORE: found})
