"""Tests of the model card: what it says is what the store holds, and what is not known is called so."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from plain_store import put
from quick import together
from xstilts.data.examples import SHAPES
from xstilts.inference.parity import Parity
from xstilts.sharing import licences
from xstilts.sharing.history import History, history
from xstilts.sharing.licences import parsed
from xstilts.sharing.model_card import CardFacts, OnnxVariant, model_card
from xstilts.store.names import CONTAMINATION, PREDICT, READ, SCORE, TRAIN
from xstilts.tasks.base import shipped_names, task

LABELS = ("entailment", "neutral", "contradiction")


class Store:
    """A store written by hand: MNLI, then XNLI, with scores in two languages."""

    def __init__(self, folder: Path, **last: Any) -> None:
        self.folder = folder
        mnli, squad = self.data("mnli", "train", "en", 9000), self.data("squad", "train", "en", 8000)
        first = self.training(
            "squad", {"type": "Encoder", "name": "lab/encoder", "digest": "c" * 40}, squad, kind="span"
        )
        self.key = self.training(
            "xnli", {"stage": first}, mnli, dev=self.data("xnli", "validation", "en", 2490), **last
        )
        for code, right in (("en", 80), ("sw", 60)):
            gold = self.data("xnli", "test", code, 100)
            predictions = put(folder, f"predict-xnli-{code}", PREDICT, {"model": {"stage": self.key}, "data": gold})
            arguments = {"predictions": {"stage": predictions}, "gold": gold, "metric": "accuracy", "tuned_from": None}
            found = {"metric": "accuracy", "headline": float(right), "examples": 100}
            lines = "".join(f"{float(n < right)}\n" for n in range(100))
            score = put(folder, f"score-xnli-{code}", SCORE, arguments, score_json=json.dumps(found))
            (folder / f"score-xnli-{code}-{score}" / "contributions.jsonl").write_text(lines)
            if code == "en":
                put_record(folder, f"overlap-{code}", CONTAMINATION, {"train": mnli, "test": gold}, {"touched": 3})

    def data(self, task: str, split: str, language: str, examples: int) -> dict[str, str]:
        data = {"type": "Data", "task": task, "split": split, "language": language}
        label = f"data-{task}-{split}-{language}"
        return {"stage": put_record(self.folder, label, READ, {"data": data}, {"examples": examples})}

    def training(
        self, task: str, encoder: Any, data: Any, dev: Any = None, kind: str = "classification", **more: Any
    ) -> str:
        lesson = {"type": "Lesson", "task": task, "kind": kind, "labels": LABELS, "train": [data], "dev": dev}
        recipe = {"type": "Recipe", "learning_rate": {"float": "2e-05"}, "steps": None, "epochs": {"float": "5.0"}}
        recipe |= {"selection": more.get("selection"), "examples": more.get("examples")}
        arguments = {"encoder": encoder, "lessons": [{**lesson, "metric": "accuracy"}], "recipe": recipe, "seed": 1}
        facts = {
            "max_length": 128,
            "steps": 1400,
            "dev": {task: {"score": 81.25, "chance": 33.3, "collapsed": more.get("collapsed", False)}},
            "lessons": {task: {"units": 9000, "cut": {"truncated": more.get("truncated", 0)}}},
        }
        return put_record(self.folder, f"train-{task}-seed1", TRAIN, arguments, facts)

    @property
    def model(self) -> Path:
        return self.folder / f"train-xnli-seed1-{self.key}" / "model"


def put_record(store: Path, label: str, work: str, arguments: dict[str, Any], record: dict[str, Any]) -> str:
    """Write a finished stage with a record of its own; return its key."""
    key = put(store, label, work, arguments)
    path = store / f"{label}-{key}" / "stage.json"
    inputs = dict.fromkeys(re.findall(r'"stage": "(\w+)"', json.dumps(arguments)), "")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"record": record, "inputs": inputs}))
    return key


def card_of(store: Store, **more: Any) -> str:
    facts = CardFacts("toy", "classification", "xlm-roberta", 128, LABELS, history(store.model))
    return model_card(replace(facts, **more))


def metadata(card: str) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(card.split("---\n")[1])
    return values


def test_the_order_of_trainings_is_read_from_the_manifests(tmp_path: Path) -> None:
    found = history(Store(tmp_path).model)
    assert (found.encoder, found.revision) == ("lab/encoder", "c" * 40)
    assert [(one.role, one.tasks[0].task) for one in found.trainings] == [("intermediate", "squad"), ("target", "xnli")]
    assert [(one.data.language, one.value) for one in found.scores] == [("en", 80.0), ("sw", 60.0)]
    assert [one.seen_in_training for one in found.scores] == [3, None]
    low, high = found.scores[0].low, found.scores[0].high
    assert low is not None
    assert high is not None
    assert 70 < low < 80 < high < 90
    assert History.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_the_metadata_are_those_that_the_hub_reads(tmp_path: Path) -> None:
    values = metadata(card_of(Store(tmp_path)))
    assert values["language"] == ["en", "sw"]
    assert values["base_model"] == "lab/encoder"
    assert values["datasets"] == ["rajpurkar/squad", "nyu-mll/glue"]
    assert values["pipeline_tag"] == "text-classification"
    assert values["library_name"] == "transformers"
    assert {"xstilts", "intermediate-task-training"} <= set(values["tags"])
    (model,) = values["model-index"]
    results = {(r["dataset"]["config"], r["metrics"][0]["value"], r["metrics"][0]["type"]) for r in model["results"]}
    assert results == {("en", 80.0, "accuracy"), ("sw", 60.0, "accuracy")}


def test_the_text_says_order_scores_licences_and_limits(tmp_path: Path) -> None:
    text = card_of(Store(tmp_path, truncated=7, examples=9000))
    assert text.index("1. **Intermediate training** on `squad`") < text.index("2. **Target training** on `xnli`")
    assert re.search(r"\| English \| test \| 100 \| 80\.0 \| \[7\d\.\d, 8\d\.\d\] \| yes \|", text)
    assert re.search(r"\| Swahili \| test \| 100 \| 60\.0 \| .* \| no \(zero-shot\) \|", text)
    assert "| squad | intermediate training | en | CC BY-SA 4.0 |" in text
    assert "No development label chose anything" in text
    assert "Languages: measured in English, Swahili only." in text
    assert "Languages of `xnli` that were not measured here: Arabic, Bulgarian" in text
    assert "Length: 128 tokens at most" in text
    assert "Examples of `xnli` that were too long in training: 7 (truncated)." in text
    assert "at most 9,000 examples" in text
    assert "Test examples with a text that is also in the training data: English 3 of 100." in text
    assert "collapsed" not in text
    assert "Weak in" not in text
    assert "AutoModelForSequenceClassification" in text
    assert str(tmp_path) not in text


def test_labels_of_development_data_are_owned_up_to(tmp_path: Path) -> None:
    selection = {"type": "Selection", "every_steps": 100, "patience": 3, "examples": 500}
    text = card_of(Store(tmp_path, selection=selection))
    assert "Development labels of `xnli` (English) chose the weights of the target training" in text
    assert "No development label" not in text
    assert "| selection | – | every_steps 100, patience 3, examples 500 |" in text


def test_a_collapsed_training_comes_first_of_the_limits(tmp_path: Path) -> None:
    text = card_of(Store(tmp_path, collapsed=True))
    assert "## Limits\n\n- **The target training on `xnli` collapsed**" in text
    assert "Do not use this model." in text


def test_what_is_not_known_is_called_unknown(tmp_path: Path) -> None:
    text = model_card(CardFacts("toy", "token_classification", "xlm-roberta", 128, ("O", "B-X"), History()))
    assert "How it was trained is not recorded in this folder." in text
    assert "its quality is unknown in all of them" in text
    assert "license" not in metadata(text)
    store = Store(tmp_path)
    for path in tmp_path.glob("data-mnli-train-*/stage.json"):
        path.write_text(path.read_text().replace('"mnli"', '"reviews-of-ours"'))
    text = card_of(store)
    assert "The licence of `reviews-of-ours` is **not known: check before use**." in text
    assert metadata(text)["license"] == "other"
    assert metadata(card_of(store, licence="MIT"))["license"] == "mit"
    ours = replace(task("mnli"), name="reviews-of-ours", licence="CC BY-NC 4.0", citation="Us 2026")
    text = card_of(store, tasks=(ours,))
    assert "| reviews-of-ours | target training | en | CC BY-NC 4.0 | Us 2026 |" in text
    assert metadata(text)["license"] == "cc-by-nc-4.0"


def test_the_parity_of_onnx_files_stands_in_the_card() -> None:
    variant = OnnxVariant("onnx/model.onnx", "float32", 12.5, Parity(1e-6, 4.0, 63, 64), 64, True)
    facts = CardFacts("toy", "classification", "xlm-roberta", 128, LABELS, History(), onnx=(variant,))
    text = model_card(facts)
    assert "| onnx/model.onnx | float32 | 12.5 MiB | 1e-06 | 4 | 63 of 64 |" in text
    assert "Compared with torch in float32 on 64 texts of the task's own data." in text
    assert "onnx" in metadata(text)["tags"]


@pytest.mark.parametrize("format", [*SHAPES, "odd_one_out"])
@pytest.mark.parametrize("family", ["xlm-roberta", "mt5", "qwen3"])
def test_every_format_and_family_has_a_card(format: str, family: str) -> None:
    text = model_card(CardFacts("toy", format, family, 128, ("O", "B-X"), History()))
    assert metadata(text)["library_name"] == ("xstilts" if "import xstilts" in text else "transformers")
    compile(text.split("```python\n")[1].split("```")[0], "README.md", "exec")


# Licences.


@together("name", shipped_names())
def test_the_licence_of_every_shipped_task_is_read(name: str) -> None:
    licence = parsed(task(name).licence)
    assert licence.rank >= 0 or not licence.known or task(name).joined
    assert "{" not in licence.identifier


@pytest.mark.parametrize(
    ("text", "identifier", "known"),
    [
        ("MIT", "mit", True),
        ("Apache 2.0", "apache-2.0", True),
        ("BSD 2-Clause", "bsd-2-clause", True),
        ("CC BY 2.0 FR", "cc-by-2.0", True),
        ("CC BY-SA 4.0", "cc-by-sa-4.0", True),
        ("CC BY-NC-SA 3.0", "cc-by-nc-sa-3.0", True),
        ("CC BY-SA 4.0 and CC BY 2.5, as Wikipedia and WikiNews", "cc-by-sa-4.0", True),
        ("by treebank: mostly CC BY-SA 4.0 and CC BY-NC-SA", "", True),
        ("Quora's terms of service, non-commercial", "", True),
        ("LDC User Agreement (LDC2005T13)", "", True),
        ("not stated by its makers; texts are Wikipedia's, CC BY-SA 3.0", "cc-by-sa-3.0", False),
        ("the user's own", "", False),
        ("", "", False),
    ],
)
def test_a_licence_has_the_identifier_of_the_hub(text: str, identifier: str, known: bool) -> None:
    assert (parsed(text).identifier, parsed(text).known) == (identifier, known)


RANKED = ["CC0 1.0", "MIT", "CC BY-SA 4.0", "CC BY-NC 4.0", "CC BY-NC-SA 3.0", "research use"]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(RANKED), min_size=1, max_size=5))
def test_the_strictest_licence_is_the_strictest_alone_or_in_one_text(texts: list[str]) -> None:
    expected = max(texts, key=RANKED.index)
    strictest = licences.strictest(parsed(text) for text in texts)
    assert strictest is not None
    assert strictest.text == expected
    assert parsed(", ".join(texts)).rank == strictest.rank == RANKED.index(expected)
