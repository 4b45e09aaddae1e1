"""The benchmark against published programs: what it writes for them, what it measures, and that it says what is missing.

The slow tests run transformers' example scripts where XSTILTS_PEERS names the folder that CONTRIBUTING.md describes, of
which nothing is in this repository, on files and an encoder that are made here.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import transformers

import families
from xstilts import Task
from xstilts.data.dataset import examples
from xstilts.data.examples import AnswerSpan, ClassificationExample, QAExample, TaggingExample
from xstilts.data.readers import Report

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
ODD = ("None", 'She said: "no", twice.', "två\tord", "null", "12", "a, b", "ありがとう 🙂")


def made(name: str) -> list[Any]:
    """Return examples with texts that readers of tables get wrong."""
    if name == "pairs":
        labels = ("entailment", "neutral", "contradiction")
        return [ClassificationExample(str(n), text, f"{text} too", labels[n % 3]) for n, text in enumerate(ODD * 3)]
    if name == "tags":
        tags = ("NOUN", "VERB", "X")
        words = [text.split() for text in ODD * 3]
        return [
            TaggingExample(str(n), tuple(each), tuple(tags[(n + k) % 3] for k in range(len(each))))
            for n, each in enumerate(words)
        ]
    contexts = [f"It was {text}, as they say." for text in ODD * 3]
    return [
        QAExample(f"q{n}", context, f"What was it the time number {n}?", (AnswerSpan(context[7:-14], 7),))
        for n, context in enumerate(contexts)
    ]


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark, which is a script."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import peers

    return peers


@pytest.mark.parametrize("name", ["pairs", "tags", "questions"])
def test_what_is_written_is_read_back_as_the_same_examples(name: str, tmp_path: Path, peers: ModuleType) -> None:
    for file in ("train.json", "dev.json"):
        peers.write(name, made(name), tmp_path / file)
    read = Task.from_files("made", {"train": tmp_path / "train.json", "validation": tmp_path / "dev.json"})
    for split in ("train", "validation"):
        found = list(examples(read.data(split, "en", None), tmp_path, Report()))
        assert [replace(each, id="") for each in found] == [replace(each, id="") for each in made(name)]


def test_files_have_the_columns_that_the_scripts_look_for(tmp_path: Path, peers: ModuleType) -> None:
    """A line is an example; run_qa.py reads the list under "data", in which an answer begins where it says."""
    columns = {"pairs": {"sentence1", "sentence2", "label"}, "tags": {"tokens", "ner_tags"}}
    for name, keys in columns.items():
        peers.write(name, made(name), tmp_path / name)
        lines = [json.loads(line) for line in (tmp_path / name).read_text(encoding="utf-8").splitlines()]
        assert [set(line) for line in lines] == [keys] * len(made(name))
    assert all(len(line["tokens"]) == len(line["ner_tags"]) for line in lines)
    peers.write("questions", made("questions"), tmp_path / "questions")
    for line in json.loads((tmp_path / "questions").read_text(encoding="utf-8"))["data"]:
        for text, start in zip(line["answers"]["text"], line["answers"]["answer_start"], strict=True):
            assert line["context"][start:].startswith(text)
        assert line.keys() == {"id", "context", "question", "answers"}


def test_development_data_have_no_tag_that_training_data_lack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, peers: ModuleType
) -> None:
    odd = TaggingExample("odd", ("uh", "oh"), ("NOUN", "INTJ"))
    parts = {"train": made("tags"), "validation": [odd, *made("tags")]}
    monkeypatch.setattr(peers, "drawn", lambda asked, data, split, code, count: parts[split])
    count = peers.written(argparse.Namespace(times=1.0), "tags", tmp_path)
    lines = (tmp_path / "dev.json").read_text(encoding="utf-8").splitlines()
    assert count == len(lines) == len(made("tags"))
    assert "INTJ" not in "".join(lines)


@pytest.mark.parametrize("version", ["4.52.4", "5.23.0"])
def test_settings_by_hand_are_options_of_the_installed_release(
    version: str, monkeypatch: pytest.MonkeyPatch, peers: ModuleType
) -> None:
    monkeypatch.setattr(peers, "versions", lambda: f"torch 2.13.0, transformers {version}")
    assert ("group_by_length" in peers.tuned("pairs")) == version.startswith("4.")
    assert ("train_sampling_strategy" in peers.tuned("pairs")) == version.startswith("5.")
    assert peers.tuned("pairs").keys() - peers.tuned("tags").keys() == {"pad_to_max_length"}


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, peers: ModuleType) -> None:
    """Each thing in turn, until all of them are there; nothing runs before."""
    monkeypatch.setattr(sys, "argv", ["peers.py", "--encoder", str(tmp_path / "encoder")])
    monkeypatch.delenv("XSTILTS_PEERS", raising=False)
    monkeypatch.delenv("XSTILTS_DATA", raising=False)

    def missing() -> str:
        return str(peers.why_not(peers.options()))

    with pytest.raises(SystemExit, match="XSTILTS_PEERS names no folder"):
        peers.main()
    monkeypatch.setenv("XSTILTS_PEERS", str(tmp_path))
    for path in ("transformers/examples/pytorch", "evaluate/metrics", "venv/bin/python"):
        assert f"has no {path}" in missing()
        (tmp_path / path).mkdir(parents=True)
    assert "no data" in missing()
    monkeypatch.setenv("XSTILTS_DATA", str(tmp_path))
    assert "is no encoder" in missing()
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "config.json").write_text("{}")
    assert missing() == ""


def test_a_part_is_left_out_without_what_it_needs(monkeypatch: pytest.MonkeyPatch, peers: ModuleType) -> None:
    import run

    monkeypatch.delenv("XSTILTS_PEERS", raising=False)
    monkeypatch.setattr(sys, "argv", ["run.py", "--quick", "--only", "peers"])
    with pytest.raises(SystemExit, match="no such part: there are fine_tuning"):
        run.main()


def test_a_process_is_measured_alone(tmp_path: Path, peers: ModuleType) -> None:
    """Its own processor time and peak memory; one that fails ends the benchmark with what it said."""
    block = 400
    busy = peers.process(
        [sys.executable, "-c", f"x = bytearray({block} << 20)\nfor _ in range(3 * 10**6): pass"], tmp_path / "busy"
    )
    idle = peers.process([sys.executable, "-c", "import time; time.sleep(0.1)"], tmp_path / "idle")
    assert 0 < idle.seconds < busy.seconds
    assert busy.peak >= block
    with pytest.raises(SystemExit, match=r"(?s)out of luck.*ended with 3"):
        peers.process([sys.executable, "-c", "print('out of luck'); raise SystemExit(3)"], tmp_path / "failed")


@pytest.mark.parametrize(("reached", "ratio"), [(50.0, 4.0), (70.0, 2.0), (90.0, 0.0)])
def test_speed_to_a_score_is_of_the_shortest_training_that_has_it(
    reached: float, ratio: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, peers: ModuleType
) -> None:
    """The peer takes 40 seconds; this package 10 for each epoch, and 20 points more with every doubling."""
    import parts

    asked = argparse.Namespace(rounds=2, times=1.0, encoder=tmp_path)
    scores = {0.5: 40.0, 1.0: 60.0, 2.0: 80.0, 3.0: 80.0, 4.0: 80.0}
    monkeypatch.setattr(peers, "versions", lambda: "transformers 5.23.0")
    monkeypatch.setattr(peers, "written", lambda *_: 8)
    monkeypatch.setattr(peers, "trained", lambda *_: peers.Run(40.0, 800.0, reached, 30.0))
    monkeypatch.setattr(
        peers, "ours", lambda *given: peers.Run(10 * given[3]["epochs"], 200.0, scores[given[3]["epochs"]], 6.0)
    )
    found = peers.trainings(asked, "tags", tmp_path)
    for peer in ("published", "tuned"):
        assert found[f"tags_times_as_fast_to_score_of_{peer}"] == ratio
        assert found[f"tags_times_as_fast_as_{peer}"] == [5.0, 5.0]
        assert found[f"tags_memory_of_{peer}"] == 0.25
    (part,) = (part for part in parts.CPU if part.name == "peers")
    assert {row.figure for row in part.rows if row.figure.startswith("tags_")} <= {*found}


def test_a_models_answers_are_written_a_line_each(tmp_path: Path, peers: ModuleType) -> None:
    model = families.make("xlm-roberta", tmp_path / "model", auto="AutoModelForSequenceClassification")
    peers.write("pairs", made("pairs"), tmp_path / "test.json")
    peers.own({"model": str(model), "file": str(tmp_path / "test.json"), "out": str(tmp_path / "answers")})
    answers = (tmp_path / "answers").read_text(encoding="utf-8").splitlines()
    assert len(answers) == len(made("pairs"))
    assert {*map(int, answers)} <= {*transformers.AutoConfig.from_pretrained(model).id2label}


def encoder(folder: Path) -> Path:
    """Write a tiny encoder with enough positions for run_qa.py, which pads to 384."""
    config = families.config("xlm-roberta")
    config.max_position_embeddings = 514
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    families.tokenizer("xlm-roberta").save_pretrained(folder)
    return folder


with_peers = pytest.mark.skipif(
    not os.environ.get("XSTILTS_PEERS"), reason="XSTILTS_PEERS names no folder of published programs"
)


@pytest.mark.slow
@with_peers
@pytest.mark.parametrize("name", ["pairs", "tags", "questions"])
def test_the_scripts_train_on_the_files(name: str, tmp_path: Path, peers: ModuleType) -> None:
    """As published and set by hand, and this package on the same files."""
    for file in ("train.json", "dev.json"):
        peers.write(name, made(name), tmp_path / file)
    asked = argparse.Namespace(encoder=encoder(tmp_path / "encoder"))
    runs = [peers.trained(asked, name, tmp_path, settings, 0) for settings in ({}, peers.tuned(name))]
    runs.append(peers.ours(asked, name, tmp_path, peers.DEFAULTS, 0))
    for run in runs:
        assert 0 <= run.score <= 100
        assert 0 < run.loop < math.inf
        assert 0 < run.seconds < math.inf


@pytest.mark.slow
@with_peers
def test_all_sides_predict_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, peers: ModuleType) -> None:
    monkeypatch.setattr(peers, "drawn", lambda *_: made("pairs"))
    asked = argparse.Namespace(encoder=encoder(tmp_path / "encoder"), times=1.0, languages=2, examples=8, rounds=1)
    assert peers.languages(asked, tmp_path)["languages_same_answers_percent"] == 100
