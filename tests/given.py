"""Data made by tests: a stage whose examples are its argument, and toy lessons of every kind."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from xstilts.data.dataset import EXAMPLES, DatasetSplit
from xstilts.data.examples import (
    AnswerSpan,
    BitextExample,
    ClassificationExample,
    Example,
    MultipleChoiceExample,
    QAExample,
    TaggingExample,
    TextExample,
)
from xstilts.models.encoder import Encoder
from xstilts.runtime import progress
from xstilts.runtime.machine import Runtime
from xstilts.runtime.progress import Event
from xstilts.runtime.signals import Interrupted
from xstilts.store.build import build
from xstilts.store.stage import BuildContext, Stage, stage
from xstilts.training.train import HISTORY
from xstilts.training.training_set import TrainingSet

TOYS: dict[str, tuple[tuple[str, ...], str, list[Example]]] = {
    "classification": (
        ("no", "yes"),
        "accuracy",
        [
            ClassificationExample(str(n), "cab dab" if n % 2 else "fig jig", "a b", "yes" if n % 2 else "no")
            for n in range(16)
        ],
    ),
    "multiple_choice": (
        (),
        "accuracy",
        [
            MultipleChoiceExample(str(n), "a b c", "", ("zoo", "cab") if n % 2 else ("cab", "zoo"), n % 2)
            for n in range(16)
        ],
    ),
    "token_classification": (
        ("O", "B-LOC"),
        "entity_f1",
        [TaggingExample(str(n), ("a", "xx", "b")[n % 2 :], ("O", "B-LOC", "O")[n % 2 :]) for n in range(16)],
    ),
    "extractive_qa": (
        (),
        "squad",
        [QAExample(str(n), f"{'b ' * (n % 3)}zz b", "who", (AnswerSpan("zz", 2 * (n % 3)),)) for n in range(16)],
    ),
    "bitext_retrieval": (
        (),
        "retrieval_accuracy",
        [BitextExample(str(n), chr(97 + n) * 3, chr(97 + n) * 2) for n in range(16)],
    ),
    "masked_lm": ((), "mlm_loss", [TextExample(str(n), "a b a b a b a b") for n in range(16)]),
}


@stage(name="given", version=1, label=lambda data, lines: f"data-{data.label}")
def given(site: BuildContext, data: DatasetSplit, lines: tuple[str, ...]) -> None:
    (site.folder / EXAMPLES).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def promised(format: str, examples: Sequence[Example], name: str = "toy", labels: tuple[str, ...] = ()) -> Stage:
    data = DatasetSplit(name, format, "train", "en", labels, (), ())
    return given(data, tuple(json.dumps(asdict(example)) for example in examples))


def lesson(format: str, name: str = "", weight: float | None = None) -> TrainingSet:
    labels, metric, examples = TOYS[format]
    data = promised(format, examples, name or format, labels)
    dev = None if format in ("masked_lm", "bitext_retrieval") else data
    return TrainingSet(name or format, format, labels, (data,), dev, metric, weight)


def losses(folder: Path) -> list[float]:
    """Return the losses in a training's history."""
    lines = map(json.loads, (folder / HISTORY).read_text().splitlines())
    return [line["loss"] for line in lines if "loss" in line]


def still(folder: Path, to: Path) -> Encoder:
    """Return a copy of an encoder that drops nothing out."""
    shutil.copytree(folder, to)
    config = json.loads((to / "config.json").read_text())
    config |= {name: 0.0 for name in config if "dropout" in name}
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (to / "config.json").write_text(json.dumps(config))
    return Encoder.of(to)


def stopped(model: Stage, machine: Runtime, step: int) -> None:
    """Begin to build a training, and stop it by a signal after a step; it saves where it is."""

    def stop(event: Event) -> None:
        if event.done == step and event.label.startswith("train"):
            os.kill(os.getpid(), signal.SIGTERM)

    progress.listen(stop)
    with pytest.raises(Interrupted):
        build(model, machine)
    progress.listen(lambda event: None)
