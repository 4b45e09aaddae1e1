"""Stages that behave as trainings, predictions and scores do, in microseconds: what is made is text."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

from xstilts.runtime.machine import Runtime
from xstilts.store import manifest, names
from xstilts.store.stage import BuildContext, Stage, folder_of, stage, with_inputs

WEIGHTS = "model/model.safetensors"


def note(site: BuildContext, word: str) -> None:
    with (site.machine.store.parent / "journal").open("a") as file:
        file.write(f"{word}\n")


def journal(machine: Runtime) -> Counter[str]:
    path = machine.store.parent / "journal"
    return Counter(path.read_text().split()) if path.exists() else Counter()


@stage(name=names.READ, version=1, label=lambda name: f"data-{name}")
def data(site: BuildContext, name: str) -> None:
    note(site, f"data-{name}")
    (site.folder / "examples.jsonl").write_text(f"{name}\n" * 3)


@stage(name=names.TRAIN, version=1, label=lambda name, read, encoder=None: f"train-{name}", resumes=("count",))
def train(site: BuildContext, name: str, read: Stage, encoder: Stage | None = None) -> None:
    note(site, f"train-{name}")
    before = (site.path(encoder) / WEIGHTS).read_text() if encoder else ""
    text = before + name + (site.path(read) / "examples.jsonl").read_text()
    (site.folder / "model").mkdir(exist_ok=True)
    (site.folder / WEIGHTS).write_text(hashlib.sha256(text.encode()).hexdigest())
    (site.folder / "model" / "config.json").write_text("{}")
    (site.folder / "history.jsonl").write_text("1\n")
    site.record["dev"] = len(text)


@stage(name=names.PREDICT, version=1, label=lambda model, gold: f"predict-{model.label}-{gold.label}")
def predict(site: BuildContext, model: Stage, gold: Stage) -> None:
    note(site, f"predict-{model.label}")
    text = (site.path(model) / WEIGHTS).read_text() + (site.path(gold) / "examples.jsonl").read_text()
    (site.folder / "predictions.jsonl").write_text(hashlib.sha256(text.encode()).hexdigest())


@stage(name=names.SCORE, version=1, label=lambda predictions, gold: f"score-{predictions.label}")
def score(site: BuildContext, predictions: Stage, gold: Stage) -> None:
    text = (site.path(predictions) / "predictions.jsonl").read_text()
    text += (site.path(gold) / "examples.jsonl").read_text()
    (site.folder / "score.json").write_text(
        json.dumps({"headline": int(hashlib.md5(text.encode()).hexdigest()[:6], 16)})
    )


def study(targets: int = 2) -> list[Stage]:
    """Return the stages of a study: a baseline and an intermediate training, two languages of each target."""
    middle = train("middle", data("middle"))
    scores = []
    for number in range(targets):
        for encoder in (None, middle):
            model = train(f"target{number}", data(f"target{number}"), encoder)
            for code in ("en", "sw"):
                gold = data(f"test{number}{code}")
                scores.append(score(predict(model, gold), gold))
    return [*scores, *(item for item in with_inputs(scores) if item not in scores)]


def table(stages: list[Stage], machine: Runtime) -> dict[str, object]:
    """Return what a table and a report read: scores, predictions, and the manifests' records of trainings."""
    read: dict[str, object] = {}
    for item in stages:
        folder = folder_of(item, machine)
        for name in ("score.json", "predictions.jsonl"):
            if (folder / name).exists():
                read[f"{folder.name}/{name}"] = (folder / name).read_text()
        read[folder.name] = manifest.read(folder)["record"]
    return read


def weights(stages: list[Stage], machine: Runtime) -> set[str]:
    """Return the labels of the models that have their weights."""
    return {item.label for item in stages if (folder_of(item, machine) / WEIGHTS).exists()}


def put_machine(folder: Path, keep: str = "all", workers: int = 1) -> Runtime:
    return Runtime(folder / "store", device="cpu", workers=workers, threads=1, keep=keep)
