"""XTREME's evaluate.py itself, run on submissions of both suites, prints our figures to the bit.

`XSTILTS_XTREME` names a checkout of google-research/xtreme, of which nothing is in this repository. evaluate.py needs
seqeval, in version 0.0.12: with it, evaluate.py gives the figures of XTREME's own tests, and later versions count other
chunks in UD-POS. The tests skip without them.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

import forms
import xtreme_folder as made
from xstilts import metrics
from xstilts.data.dataset import EXAMPLES, examples
from xstilts.data.examples import (
    BitextExample,
    ClassificationExample,
    Example,
    MultipleChoiceExample,
    PassageExample,
    QAExample,
    TaggingExample,
    read,
)
from xstilts.data.readers import Report
from xstilts.evaluation.predict import PREDICTIONS
from xstilts.experiments import benchmark, submission
from xstilts.experiments.run import Recipes, Run
from xstilts.experiments.submission_formats import FOLDERS, SPELLED
from xstilts.metrics import Suite
from xstilts.models.encoder import Encoder
from xstilts.runtime.machine import Runtime
from xstilts.store.build import build
from xstilts.store.stage import BuildContext, Stage, stage
from xstilts.tasks.base import task

CHECKOUT = Path(os.environ.get("XSTILTS_XTREME") or "no-such-folder")
SEQEVAL = "0.0.12"


def lacking() -> str:
    """Return what evaluate.py cannot run without; "" where everything is there."""
    if not (CHECKOUT / "evaluate.py").is_file():
        return "XSTILTS_XTREME does not name a checkout of google-research/xtreme"
    try:
        found = version("seqeval")
    except PackageNotFoundError:
        found = "no version"
    return "" if found == SEQEVAL else f"evaluate.py needs seqeval {SEQEVAL}, found {found}"


official = pytest.mark.skipif(bool(lacking()), reason=lacking())
SUITES = (metrics.XTREME, metrics.XTREME_R)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with what XTREME's script leaves, and beside it the test sets with their answers."""
    folder = tmp_path_factory.mktemp("data")
    forms.put({f"xtreme/{path}": text.encode() for left in made.left() for path, text in left.files.items()}, folder)
    forms.put({path: text.encode() for path, text in made.gold()}, folder)
    return folder


@pytest.fixture(scope="module")
def machine(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """A store for both suites, which share most test sets."""
    store = tmp_path_factory.mktemp("store")
    return Runtime(store=store, data=data, device="cpu", threads=1, allow_unexpected_data=True)


# Predictions that are right here and there, of every test set.


def guesses(examples: Sequence[Any], labels: Sequence[str], seed: int) -> list[dict[str, Any]]:
    """Return predictions of examples, as a `predict` stage writes them: many right ones, and wrong ones of all kinds."""
    chance = random.Random(seed)
    ids = [example.id for example in examples if getattr(example, "side", "candidate") == "candidate"]

    def guess(example: Any) -> Any:
        right = chance.random() < 0.6  # where the answer is known
        match example:
            case ClassificationExample():
                return example.label if right and example.label else chance.choice(labels)
            case MultipleChoiceExample():
                return example.label if right and example.label else chance.randrange(len(example.choices))
            case TaggingExample():
                tags = example.tags or ("",) * len(example.tokens)
                return [tag if tag and chance.random() < 0.7 else chance.choice(labels) for tag in tags]
            case QAExample():
                wrong = chance.choice(("", "The Ada.", "Ada wrote it", "人", "it."))
                return example.answers[0].text if right and example.answers else wrong
            case BitextExample():  # one for each of two layers
                return [chance.choice(ids), example.id if right else chance.choice(ids)]
            case PassageExample() if seed % 2:  # mined pairs
                found = example.targets[0] if right and example.targets else chance.choice(ids)
                return [None, [found, round(chance.random(), 3)] if chance.random() < 0.8 else None]
        ranking = chance.sample(ids, min(len(ids), 20))
        return [*(example.targets[:1] if right else ()), *(id for id in ranking if id not in example.targets[:1])]

    asked = [example for example in examples if getattr(example, "side", "query") == "query"]
    return [{"id": example.id, "prediction": guess(example)} for example in asked]


@stage(name="guessed", version=1)
def guessed(site: BuildContext, data: Stage, seed: int) -> None:
    """Stand in for `predict`: guesses that know the answers."""
    split = data.arguments["data"]
    examples = list(read(site.path(data) / EXAMPLES, split.format))
    labels = split.labels or ("O",)
    text = "".join(json.dumps(line) + "\n" for line in guesses(examples, labels, seed))
    (site.folder / PREDICTIONS).write_text(text, encoding="utf-8")


class Guessed(Run):
    """A run whose predictions are guesses; what it reads, scores and chooses on development data is as ever."""

    def _predict(self, split: str, code: str) -> Stage:
        held = self.splits.read(self.target, split, code)
        mined = self.target.format == "bitext_mining"
        return guessed(held, 2 * sum(f"{self.target.name}-{code}".encode()) + mined)


def submitted(suite: Suite, folder: Path, machine: Runtime, out: Path, most: int | None = None) -> submission.Report:
    """Submit guesses in all languages of a suite, or in so many of each task."""
    encoder = Encoder("toy/encoder", "abc")
    targets = [replace(target, languages=target.languages[:most]) for target in benchmark.targets(suite)]
    runs = [Guessed(encoder, (), target, Recipes(), 1, data=folder) for target in targets]
    for promised in submission.stages(runs):
        build(promised, machine)
    return submission.write(runs, suite, machine, out)


# The labels, in the files that evaluate.py reads; they are nowhere published.


def by_line(values: Iterable[object]) -> str:
    return "".join(f"{value}\n" for value in values)


LABELS: dict[str, Callable[[str, list[Any]], str]] = {
    "classification": lambda name, rows: by_line(SPELLED.get(name, {}).get(row.label, row.label) for row in rows),
    "multiple_choice": lambda name, rows: by_line(json.dumps({"label": row.label}) for row in rows),
    "token_classification": lambda name, rows: "\n".join(by_line(row.tags) for row in rows),
    "bitext_retrieval": lambda name, rows: by_line(row.id for row in sorted(rows, key=lambda row: row.english)),
    "bitext_mining": lambda name, rows: by_line(f"{row.id}\t{target}" for row in rows for target in row.targets),
    "passage_ranking": lambda name, rows: json.dumps({row.id: list(row.targets) for row in rows}),
    "extractive_qa": lambda name, rows: json.dumps(
        {
            "data": [
                {
                    "paragraphs": [
                        {"context": row.context, "qas": [{**asdict(row), "answers": [asdict(a) for a in row.answers]}]}
                    ]
                }
                for row in rows
            ]
        }
    ),
}


def labelled(suite: Suite, folder: Path, out: Path) -> None:
    """Write the answers of every test set; none of LAReQA, for which evaluate.py has neither reader nor metric."""
    for target in benchmark.targets(suite):
        for code in target.languages if target.name != "lareqa" else ():
            rows: list[Example] = list(examples_of(target.name, code, folder))
            ending = Path(submission.layout(target.name, target.format).path(code)).suffix
            path = out / FOLDERS.get(target.name, target.name) / f"test-{code}{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(LABELS[target.format](target.name, rows), encoding="utf-8")


def examples_of(name: str, code: str, folder: Path) -> Iterable[Example]:
    """Return the examples of a test set that ask for an answer."""
    found = examples(task(name).data("test", code, folder), folder, Report())
    return (example for example in found if getattr(example, "side", "query") == "query")


@official
@pytest.mark.slow
@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_evaluate_py_prints_our_figures(suite: Suite, data: Path, machine: Runtime, tmp_path: Path) -> None:
    report = submitted(suite, data, machine, tmp_path / "out")
    assert {file.task for file in report.files} == set(suite.languages)
    assert report.missing == ()
    labelled(suite, data, tmp_path / "labels")
    command = [
        sys.executable,
        "evaluate.py",
        "--prediction_folder",
        tmp_path / "out",
        "--label_folder",
        tmp_path / "labels",
    ]
    more = ["--xtreme_version", suite.name, "--output_file", tmp_path / "theirs.json"]
    subprocess.run([*command, *more], cwd=CHECKOUT, check=True, capture_output=True)
    theirs = json.loads((tmp_path / "theirs.json").read_text(encoding="utf-8"))
    ours: dict[str, dict[str, dict[str, float]]] = {}
    for file in report.files:
        ours.setdefault(file.task, {})[file.language] = dict(file.values)
    score = metrics.average(suite, ours)
    compared = 0
    for name, languages in ours.items():
        if name == "lareqa":
            continue
        figures = theirs.pop(FOLDERS.get(name, name))
        assert figures.pop("avg_metric") == score.tasks[name]["headline"], name
        for metric, by_language in figures.items():
            if metric.startswith("avg_"):
                assert by_language == score.tasks[name][metric.removeprefix("avg_")], (name, metric)
            else:
                assert by_language == {code: languages[code][metric] for code in by_language}, (name, metric)
                assert len(by_language) == len(languages)
                compared += len(by_language)
    if "all_task" in theirs:  # summed over a set, whose order differs from process to process
        assert theirs.pop("all_task") == pytest.approx(score.groups["all_task"], rel=1e-14)
    assert theirs == {group: score.groups[group] for group in theirs}
    assert set(suite.groups) <= set(theirs)
    print(f"{suite.name}: {compared} figures")


# A leaderboard entry from XTREME's own folder alone, by the command line: trainings of a step, real predictions.


def entry(call: Any, suite: Suite, folder: Path, out: Path) -> dict[str, set[str]]:
    """Submit a suite by the command line; return the languages of each task's files."""
    quick = ["--recipe", "sandbox", "--set", "steps=1", "--set", "max_length=48", "--partial", "--device", "cpu"]
    code, _, err = call(
        *("submit", "--suite", suite.name, "--encoder", "sandbox", "--data", folder, "--store", out.parent / "store"),
        *("--out", out, *quick),
    )
    assert code == 0, err
    written = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    languages: dict[str, set[str]] = {}
    for file in written["files"]:
        languages.setdefault(file["task"], set()).add(file["language"])
        assert file["score"] is None or file["task"] == "lareqa"
        assert file["answers"] >= len(made.ROWS)
    return languages


@pytest.fixture(scope="module")
def left_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with what XTREME's script leaves and nothing else."""
    folder = tmp_path_factory.mktemp("left")
    forms.put({f"xtreme/{path}": text.encode() for left in made.left() for path, text in left.files.items()}, folder)
    return folder


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_an_entry_needs_no_more_than_the_folder(suite: Suite, left_alone: Path, tmp_path: Path) -> None:
    """Test sets without answers are predicted and written, each with an answer to every example."""
    machine = Runtime(store=tmp_path / "store", data=left_alone, device="cpu", threads=1, allow_unexpected_data=True)
    report = submitted(suite, left_alone, machine, tmp_path / "out", most=1)
    assert {file.task for file in report.files} == set(suite.languages)
    assert {file.task for file in report.files if file.score} <= {"lareqa"}
    for name in {"mewslix", "lareqa"} & set(suite.languages):
        ranking = json.loads((tmp_path / f"out/{name}/test-ar.json").read_text(encoding="utf-8"))
        assert len(ranking) == len(made.ROWS)


@pytest.mark.slow
@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_every_task_is_submitted_from_the_folder_alone(
    call: Any, suite: Suite, left_alone: Path, tmp_path: Path
) -> None:
    found = entry(call, suite, left_alone, tmp_path / "out")
    languages = {name: set(codes or task(name).languages) for name, codes in suite.languages.items()}
    assert found == languages | {"xquad": languages["xquad"] - {"ro"}}  # which the script does not get
