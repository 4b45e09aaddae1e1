"""A new task format is one module of `xstilts.formats`, beside the class of its examples and what reads them."""

from __future__ import annotations

import ast
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from given import given
from xstilts import formats
from xstilts.cost.activation_memory import Device
from xstilts.data import examples as examples_module
from xstilts.data.dataset import DatasetSplit
from xstilts.data.examples import SHAPES
from xstilts.evaluation.predict import predict
from xstilts.evaluation.score import read_lines, read_score, score
from xstilts.formats import task_format
from xstilts.models.batch import ModelInput
from xstilts.models.batch import batch as padded_batch
from xstilts.models.configs import config_of
from xstilts.models.encoder import Encoder
from xstilts.models.heads import mean_pool
from xstilts.runtime.machine import Runtime
from xstilts.selection.features import Asking, features, read
from xstilts.store.build import build
from xstilts.training.memory import Setting, estimate
from xstilts.training.recipe import Recipe, named

ROOT = Path(str(formats.__file__)).parents[1]
NAME = "odd_one_out"
# What a format of one's own needs beside its module, or may have: every optional table has a default for others.
MAY_NAME_FORMATS = {
    "data/examples.py": "the class of its examples",
    "data/readers/row_to_example.py": "from a row of a file to such an example",
    "models/heads.py": "the head, by family, where it has one",
    "store/names.py": "names in keys of the first release",
    "training/recipe.py": "published hyperparameters",
    "training/pretrain.py": "a training made of masked-LM and bitext retrieval",
    "inference/model.py": "inputs of a script, by format",
    "models/word_tokenization.py": "names in keys of words that were cut otherwise before",
    "inference/predict_file.py": "columns of a file, by format",
    "cli/predict.py": "lines of one word each are CoNLL where tags are predicted",
    "experiments/official_differences.py": "the heads that differ from the official ones, by format",
    "evaluation/prompting.py": "formats that are answered by the likelihood of answers",
    "translation/projection.py": "what of an example is translated and projected, by format",
    "translation/texts.py": "what of an example is translated, by format",
    "experiments/translated_splits.py": "formats whose labels are projected",
    "evaluation/score_file.py": "answers in files of others, by format",
    "experiments/label_measures.py": "confusion matrices are those of classification",
    "tasks/user_data.py": "columns of a user's files, by format",
    "metrics/suites.py": "categories of a benchmark that are called like formats",
    "planning/dataset_sizes.py": "typical lengths",
    "planning/flops_estimate.py": "a head that is counted in place of others",
    "experiments/run.py": "the set of masked-LM beside a task",
    "experiments/sandbox_encoder.py": "how the shipped encoder is judged",
    "experiments/submission_formats.py": "files of leaderboards",
    "verification/provenance.py": "the set of masked-LM beside a task",
    "sharing/history.py": "pretraining is a masked-LM training without an encoder",
    "sharing/model_card.py": "titles and limits in cards; other formats are called by their name",
    "sharing/usage.py": "code of transformers for its own formats; others are loaded with xstilts",
    "evidence/verifier/nli.py": "the format of the model that reads",
    "tasks/cards.py": "titles",
}


@dataclass(frozen=True, slots=True)
class OddOneOutExample:
    """Words, of which number `label` does not belong."""

    id: str
    words: tuple[str, ...]
    label: int


def odd_one_out() -> ModuleType:
    """Write a format as its author would: one module, in which everything is said."""
    module: Any = ModuleType(f"xstilts.formats.{NAME}")

    def encode(
        examples: Sequence[OddOneOutExample],
        tokenizer: Any,
        max_length: int,
        labels: tuple[str, ...],
        cut: Counter[str],
        query_length: int | None = None,
    ) -> list[ModelInput]:
        room = tokenizer.room(max_length, pair=False)
        words = [[tokenizer.sequence(ids[:room]) for ids in tokenizer.segments(list(one.words))] for one in examples]
        return [
            ModelInput(n, tuple(each), np.array([one.label], dtype=np.int32))
            for n, (one, each) in enumerate(zip(examples, words, strict=True))
        ]

    def predict(network: Any, head: str, batch: Any, inputs: Any) -> list[Any]:
        vectors = mean_pool(network.encode(batch.ids, batch.mask, batch.packing), batch.mask).float().cpu().numpy()
        return [np.stack([next(rows) for _ in one.sequences]) for rows in [iter(vectors)] for one in inputs]

    def decode(
        answers: Sequence[Any], inputs: Sequence[ModelInput], examples: Sequence[Any], labels: tuple[str, ...]
    ) -> list[Mapping[str, Any]]:
        lines = []
        for vectors, one in zip(answers, inputs, strict=True):
            rows = vectors.reshape(len(examples[one.example].words), -1)
            lines.append(
                {"id": examples[one.example].id, "prediction": int((rows @ rows.sum(0) - (rows**2).sum(1)).argmin())}
            )
        return lines

    def scored(
        examples: Any, lines: Any, metric: str, language: str, tuned: Any = None
    ) -> tuple[formats.metrics.Score, dict[str, Any]]:
        right = [float(line["prediction"] == one.label) for one, line in zip(examples, lines, strict=True)]
        share = 100 * sum(right) / len(right)
        return formats.metrics.Score({metric: share}, share, right), {}

    vars(module).update(
        divisible=True,
        headless=True,
        language_model=False,
        trainable=False,
        measured_untrained=True,
        layered=False,
        threshold_on_dev=False,
        sequences_per_input=4,
        encode=encode,
        collate=lambda inputs, tokenizer, random=None: padded_batch(inputs, tokenizer, torch.empty(0)),
        loss=None,
        predict=predict,
        decode=decode,
        chance=lambda examples: 100 / 3,
        score=scored,
        features=formats.paired_features,
        decisions=formats.no_decisions,
    )
    return module


@pytest.fixture
def new_format(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setitem(sys.modules, f"xstilts.formats.{NAME}", odd_one_out())
    monkeypatch.setitem(SHAPES, NAME, OddOneOutExample)  # type: ignore[arg-type]
    task_format.cache_clear()
    yield NAME
    task_format.cache_clear()


def test_one_module_and_the_class_of_its_examples_go_through_everything(
    new_format: str, encoder: Encoder, machine: Runtime
) -> None:
    rows = [OddOneOutExample(str(n), ("ab ab", "ab ab", "zz q j"), 2) for n in range(6)]
    rows += [OddOneOutExample("6", ("fig x y", "ab", "ab"), 0)]
    data = given(
        DatasetSplit("odd", new_format, "test", "en", (), (), ()), tuple(json.dumps(asdict(row)) for row in rows)
    )
    predictions = predict(encoder, data, new_format, 24)
    assert [line["id"] for line in read_lines(build(predictions, machine))] == [row.id for row in rows]
    found = read_score(build(score(predictions, data, "odd_words"), machine))
    assert found["metric"] == "odd_words"
    assert found["headline"] == 100 * sum(
        line["prediction"] == row.label for line, row in zip(read_lines(build(predictions, machine)), rows, strict=True)
    ) / len(rows)
    states = read(build(features(encoder, (data,), Asking(new_format, (), 24)), machine), new_format)
    assert states.states.shape[0] == 3 * len(rows)
    assert named("xtreme", "odd", new_format, "target") == Recipe()
    memory = estimate(config_of(encoder), Recipe(), new_format, 0, Setting(Device("cpu", "fp32")))
    assert memory.total > memory.weights


def strings(path: Path) -> set[str]:
    """Return the strings of a module, docstrings apart."""
    text = path.read_text(encoding="utf-8")
    if not any(format in text for format in SHAPES):  # to parse all modules takes a second
        return set()
    tree = ast.parse(text)
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value
    }


def test_no_other_module_names_a_format() -> None:
    naming = {
        str(path.relative_to(ROOT)): strings(path) & set(SHAPES)
        for path in sorted(ROOT.rglob("*.py"))
        if path.parent.name != "tasks" and path.relative_to(ROOT).parts[0] != "sandbox"
    }
    naming = {name: found for name, found in naming.items() if found and not name.startswith("tasks/")}
    assert naming.keys() <= MAY_NAME_FORMATS.keys(), naming


def test_the_tables_of_examples_agree() -> None:
    from xstilts.data.readers import row_to_example

    tables = [value for value in vars(row_to_example).values() if isinstance(value, dict) and set(SHAPES) == set(value)]
    assert tables
    assert set(vars(examples_module)["SHAPES"]) == set(SHAPES)
