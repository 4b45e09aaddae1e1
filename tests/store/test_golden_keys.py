"""Keys of the first release: whatever is moved or renamed, a store of that time is found by the same keys."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from quick import together
from xstilts.data.dataset import DataFile, DatasetSplit, read
from xstilts.evaluation.contamination import contamination
from xstilts.evaluation.predict import predict
from xstilts.evaluation.score import score
from xstilts.models.configs import Shape
from xstilts.models.encoder import Encoder
from xstilts.runtime.machine import Runtime
from xstilts.selection.features import Asking, features
from xstilts.selection.task_embeddings import fisher, text_embedding
from xstilts.store.build import build
from xstilts.store.identity import canonical, identity
from xstilts.store.stage import BuildContext, Stage, stage
from xstilts.tasks.base import names, task
from xstilts.training.combine import averaged, composed, composition
from xstilts.training.gradient_noise import gradient_noise
from xstilts.training.layer_reset import reset_layers
from xstilts.training.pretrain import tokenizer, untrained
from xstilts.training.recipe import Recipe, Selection
from xstilts.training.train import train
from xstilts.training.training_set import TrainingSet

# Written by the code of version 0.1.0, before any name was declared.
GOLDEN = json.loads(Path(__file__).with_name("golden_keys.json").read_text(encoding="utf-8"))
LATER = [
    "train-mnli-seed1-0925dc8db385",
    "train-mnli-seed2-a338f6655c78",
    "combine-average-train-mnli-seed1-and-1-more-b5ff9e0cdbbd",
    "combine-last_5-train-mnli-seed1-and-1-more-db650d6c4dd7",
    "combine-add_0.5-train-mnli-seed1-and-1-more-30a4a38034f4",
    "combine-ties_0.2-train-mnli-seed1-and-1-more-b333b746d6f7",
    "combine-swap_top_2-train-mnli-seed1-and-1-more-1aec583211f7",
    "train-mnli-10shots-seed1-1493de6f7dc7",
    "overlap-mnli-train-en-10shots-xnli-test-sw-2fd4ec6bfcee",
]
ENCODER = Encoder("xlmr", "cd" * 32, "/somewhere")


def data(name: str, format: str, split: str, code: str = "en", **more: Any) -> Stage:
    meaning, files = (("reader", "jsonl"), ("columns", "[('a', 'b')]")), (DataFile("x.jsonl", "ab" * 32),)
    return read(
        DatasetSplit(name, format, split, code, more.get("labels", ()), meaning, files, more.get("part", (0, None)))
    )


def promised() -> dict[str, Stage]:
    """Return stages of every kind, with settings at their defaults and away from them."""
    mnli = data("mnli", "classification", "train", labels=("n", "e", "c"))
    squad = data("squad", "extractive_qa", "train", part=(5, None))
    text = data("text", "masked_lm", "train", "sw")
    mix = (
        TrainingSet("mnli", "classification", ("n", "e", "c"), (mnli,), None, "accuracy"),
        TrainingSet("text", "masked_lm", (), (text,), None, "mlm_loss", weight=0.5, alpha=0.3),
    )
    selected = Recipe(learning_rate=1e-5, warmup_steps=0.1, selection=Selection(1000, 30, 500))
    first = train(ENCODER, mix, selected, 1)
    questions = TrainingSet(
        "squad", "extractive_qa", (), (squad,), data("squad", "extractive_qa", "validation"), "squad"
    )
    recipe = Recipe(trainable="top:2", max_train_examples=100, sampling="proportional", optimizer="adamw8")
    second = train(first, (questions,), recipe, 2)
    test, bitext = data("xquad", "extractive_qa", "test", "sw"), data("bucc", "bitext_mining", "test", "de")
    predicted = predict(second, test, "extractive_qa", 384)
    scored = score(predicted, test, "squad")
    return {
        "read": mnli,
        "read_part": squad,
        "train_mix": first,
        "train_target": second,
        "predict": predicted,
        "score": scored,
        "score_tuned": score(predict(ENCODER, bitext, "bitext_mining", 512), bitext, "mined_f1", scored),
        "contamination": contamination(squad, test),
        "layer_reset": reset_layers(second, ENCODER, "top:2"),
        "features": features(ENCODER, (mnli,), Asking("classification", ("a", "b"))),
        "text_embedding": text_embedding(ENCODER, (mnli,), Asking("classification")),
        "fisher": fisher(second, (squad,), Asking("extractive_qa")),
        "gradient_noise": gradient_noise(ENCODER, mix[0], Recipe(), 8),
        "tokenizer": tokenizer((text,), 16000, 0.3),
        "untrained": untrained(tokenizer((text,), 16000, 0.3), Shape(), 1),
    }


def test_stages_of_every_kind_have_the_folders_that_they_had() -> None:
    assert {name: f"{one.label}-{one.key}" for name, one in promised().items()} == GOLDEN["stages"]


@together("name", sorted(GOLDEN["sources"]))
def test_the_examples_of_a_task_have_the_identity_that_they_had(name: str) -> None:
    """Sources that came later stand after those of the first release."""
    *sources, translated = task(name).every_source()
    meanings = ([source.meaning() for source in (*sources[:n], translated)] for n in range(len(sources), -1, -1))
    digests = [hashlib.sha256(repr(described).encode()).hexdigest()[:12] for described in meanings]
    assert GOLDEN["sources"][name] in digests


def test_every_task_of_the_first_release_is_still_there() -> None:
    assert set(GOLDEN["sources"]) <= set(names())


BEFORE = """
@identity("Settings", always=("rate",))
@dataclass(frozen=True)
class Settings:
    rate: float = 0.1
    steps: int = 100

@stage(name="example", version=1, label=lambda settings, seed: f"example-{seed}")
def work(site: Site, settings: Settings, seed: int) -> None:
    (site.folder / "result.txt").write_text(str(settings.steps))

promise = work(Settings(0.1, 200), 1)
"""
AFTER = """
@identity("Settings", always=("learning_rate",), renamed={"learning_rate": "rate", "max_steps": "steps"})
@dataclass(frozen=True)
class TrainingSettings:
    learning_rate: float = 0.1
    max_steps: int = 100
    averaging: str = "none"

@stage(
    name="example", version=1, label=lambda config, seed, shards=1: f"example-{seed}", renamed={"config": "settings"}
)
def moved_and_renamed(site: Site, config: TrainingSettings, seed: int, shards: int = 1) -> None:
    (site.folder / "result.txt").write_text(str(config.max_steps))

promise = moved_and_renamed(TrainingSettings(0.1, 200), 1)
"""


def executed(name: str, code: str) -> ModuleType:
    """Return a module made of code, found by its name as a file's is."""
    module = ModuleType(name)
    vars(module).update(stage=stage, identity=identity, dataclass=dataclass, Site=BuildContext)
    sys.modules[name] = module
    exec(compile(code, name, "exec"), vars(module))
    return module


def test_moves_renames_and_new_settings_change_no_key(machine: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = executed("made_before", BEFORE).promise, executed("made_after.moved", AFTER).promise
    assert before.key == after.key
    assert before.canonical_arguments == after.canonical_arguments
    monkeypatch.setattr("xstilts.store.build.source_digest", lambda work: "unknown")
    folder = build(before, machine)
    assert build(after, machine) == folder
    assert json.loads((folder / "stage.json").read_text())["work"] == "example"


def test_a_setting_away_from_its_default_is_another_key() -> None:
    after = sys.modules.get("made_after.moved") or executed("made_after.moved", AFTER)
    plain = after.moved_and_renamed(after.TrainingSettings(), 1)
    assert plain.key != after.moved_and_renamed(after.TrainingSettings(averaging="last:3"), 1).key
    assert plain.key != after.moved_and_renamed(after.TrainingSettings(), 1, shards=2).key
    assert "averaging" not in str(plain.canonical_arguments)


def test_an_identity_that_is_not_declared_is_refused() -> None:
    @dataclass(frozen=True)
    class Undeclared:
        value: int

    with pytest.raises(TypeError, match=r"the identity of .*Undeclared is not declared"):
        canonical(Undeclared(1))

    @dataclass(frozen=True)
    class Inherits(Recipe):
        more: int = 1

    with pytest.raises(TypeError, match="is not declared"):
        canonical(Inherits())


def test_a_declaration_of_what_is_not_there_is_refused() -> None:
    with pytest.raises(TypeError, match="names rates, which it does not have"):
        identity("Odd", always=("rates",))(dataclass(frozen=True)(type("Odd", (), {"__annotations__": {"rate": int}})))
    with pytest.raises(TypeError, match="one name in keys"):

        @identity("Twice", renamed={"left": "right"})
        @dataclass(frozen=True)
        class Twice:
            left: int
            right: int


def test_stages_of_later_releases_keep_their_folders() -> None:
    """Written by the code that first had them."""
    mnli = TrainingSet(
        "mnli", "classification", ("n", "e"), (data("mnli", "classification", "train"),), None, "accuracy"
    )
    trained = [train(ENCODER, (mnli,), Recipe(snapshots=5), *seeds) for seeds in ((1,), (2, 1))]
    stages = [averaged(trained), averaged(trained, 5)]
    stages += [composed(ENCODER, trained, composition(text)) for text in ("add:0.5", "ties:0.2", "swap@top:2")]
    stages.append(train(trained[0], (replace(mnli, shots=10, draw=2),), Recipe(head="continued"), 1))
    stages.append(contamination(*mnli.train, data("xnli", "classification", "test", "sw"), 10, 2))
    assert [f"{stage.label}-{stage.key}" for stage in (*trained, *stages)] == LATER
