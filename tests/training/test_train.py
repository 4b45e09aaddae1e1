from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from given import TOYS, lesson, losses, promised, still
from quick import first
from xstilts.data.examples import ClassificationExample, TaggingExample
from xstilts.errors import InputError
from xstilts.evaluation.predict import PREDICTIONS, predict, predict_inputs
from xstilts.evaluation.score import read_score, score
from xstilts.experiments import retries
from xstilts.formats import task_format
from xstilts.models.batch import ModelInput
from xstilts.models.batching import length_bucketed_batches
from xstilts.models.configs import default_pooling
from xstilts.models.encoder import Encoder, load_tokenizer
from xstilts.models.hf_format import load
from xstilts.models.tokenization import Tokenizer
from xstilts.runtime import progress
from xstilts.runtime.machine import Runtime
from xstilts.runtime.progress import Event
from xstilts.runtime.signals import Interrupted
from xstilts.store.build import build, is_built
from xstilts.store.live_view import history_of
from xstilts.store.manifest import read as read_record
from xstilts.store.stage import BuildContext, Stage, folder_of
from xstilts.training.batch_schedule import Part
from xstilts.training.recipe import Recipe, Selection
from xstilts.training.train import HISTORY, State, _add_task_losses, train
from xstilts.training.training_set import TrainingSet, encode_training_set

FAST = Recipe(learning_rate=1e-2, batch_size=8, steps=40, max_length=24)


@pytest.fixture(scope="module")
def trained_store(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """One store for the trainings that several tests look at, so that each is built once."""
    return Runtime(store=tmp_path_factory.mktemp("trained"), device="cpu", threads=1)


def weights(folder: Path) -> str:
    return hashlib.sha256((folder / "model" / "model.safetensors").read_bytes()).hexdigest()


@pytest.mark.parametrize("format", first(1, TOYS))
def test_every_kind_overfits_its_toy(format: str, encoder: Encoder, trained_store: Runtime) -> None:
    steps = {"extractive_qa": 120, "masked_lm": 120}.get(format, 60)
    folder = build(train(encoder, (lesson(format),), replace(FAST, steps=steps), seed=1), trained_store)
    found = losses(folder)
    assert found[-1] < 0.5 * found[0]
    dev = read_record(folder)["record"]["dev"]
    if dev:
        assert dev[format]["score"] == 100.0
        assert not dev[format]["collapsed"]


@pytest.mark.parametrize(
    "format", first(1, ["extractive_qa", "classification", "multiple_choice", "token_classification"])
)
def test_predictions_of_the_saved_model_are_those_of_the_trained_one(
    format: str, encoder: Encoder, trained_store: Runtime
) -> None:
    model = train(encoder, (lesson(format),), replace(FAST, steps=120 if format == "extractive_qa" else 60), seed=1)
    folder = build(predict(model, lesson(format).train[0], format, 24), trained_store)
    lines = [json.loads(line) for line in (folder / PREDICTIONS).read_text().splitlines()]
    gold: list[Any] = TOYS[format][2]
    wanted = {
        "classification": lambda e: e.label,
        "multiple_choice": lambda e: e.label,
        "token_classification": lambda e: list(e.tags),
        "extractive_qa": lambda e: e.answers[0].text,
    }[format]
    assert [line["prediction"] for line in lines] == [wanted(example) for example in gold]
    assert [line["id"] for line in lines] == [example.id for example in gold]


def test_a_mix_of_tasks_learns_them_all_and_keeps_the_heads_apart(encoder: Encoder, machine: Runtime) -> None:
    lessons = tuple(lesson(format) for format in ("classification", "token_classification", "multiple_choice"))
    folder = build(train(encoder, lessons, replace(FAST, steps=120, sampling="uniform"), seed=1), machine)
    dev = read_record(folder)["record"]["dev"]
    assert set(dev) == {"classification", "token_classification", "multiple_choice"}
    assert all(task["score"] == 100.0 for task in dev.values())


def test_labels_that_nobody_lists_are_those_of_the_training_data(encoder: Encoder, machine: Runtime) -> None:
    _, _, examples = TOYS["token_classification"]
    strange = TaggingExample("z", ("xx",), ("B-STRANGE",))
    train_data, dev = (
        promised("token_classification", examples),
        promised("token_classification", [*examples, strange], "dev"),
    )
    taught = TrainingSet("ccg", "token_classification", (), (train_data,), dev, "tag_accuracy")
    model = train(encoder, (taught,), replace(FAST, steps=60), seed=1)
    found = read_record(build(model, machine))["record"]["dev"]["ccg"]
    config = json.loads((folder_of(model, machine) / "model" / "config.json").read_text())
    assert config["id2label"] == {"0": "B-LOC", "1": "O"}
    words = sum(len(example.tokens) for example in examples if isinstance(example, TaggingExample))
    assert found["score"] == pytest.approx(100 * words / (words + 1))


def test_masked_lm_is_asked_of_the_head_that_the_encoder_came_with(encoder: Encoder, trained_store: Runtime) -> None:
    text = lesson("masked_lm").train[0]
    taught = train(encoder, (lesson("masked_lm"),), replace(FAST, steps=120), seed=1)
    other = train(encoder, (lesson("classification"),), replace(FAST, steps=60), seed=1)
    with pytest.raises(InputError, match="comes without a masked-LM head"):
        build(predict(other, text, "masked_lm", 24), trained_store)
    public = Encoder.of(build(taught, trained_store) / "model")
    forgets = train(public, (lesson("classification"),), replace(FAST, steps=60), seed=1)
    before, after = (score(predict(model, text, "masked_lm", 24), text, "mlm_loss") for model in (public, forgets))
    losses = [read_score(build(promise, trained_store))["headline"] for promise in (before, after)]
    assert losses[0] < losses[1]
    assert read_score(build(before, trained_store))["headline"] == losses[0]


def test_masked_lm_beside_a_task_adds_its_weighted_loss(encoder: Encoder, machine: Runtime) -> None:
    alone = build(train(encoder, (lesson("classification"),), replace(FAST, steps=2), seed=1), machine)
    beside = (lesson("classification"), lesson("masked_lm", weight=0.5))
    both = build(train(encoder, beside, replace(FAST, steps=2), seed=1), machine)
    assert losses(both)[0] > losses(alone)[0] + 0.5
    assert (both / "model" / "config.json").read_text().count("RobertaForSequenceClassification") == 1


def test_the_history_names_the_task_of_each_loss_and_has_a_mean_for_each(encoder: Encoder, machine: Runtime) -> None:
    mix = (lesson("classification"), lesson("token_classification"), lesson("masked_lm", weight=0.5))
    folder = build(train(encoder, mix, replace(FAST, steps=12, sampling="uniform"), seed=1), machine)
    lines = [line for line in history_of(folder) if "loss" in line]
    assert {line["tasks"][0] for line in lines} == {"classification", "token_classification"}
    for line in lines:  # one for each step
        assert line["tasks"][1:] == ["masked_lm"]
        assert list(line["task_losses"]) == line["tasks"]
        of_turn, of_text = line["task_losses"].values()
        assert line["loss"] == pytest.approx(of_turn + 0.5 * of_text, abs=1e-5)


def test_losses_of_tasks_are_the_same_sums_however_often_a_checkpoint_is_written(encoder: Encoder) -> None:
    sets: Any = [SimpleNamespace(training_set=lesson(name)) for name in ("classification", "token_classification")]
    sets.append(SimpleNamespace(training_set=lesson("masked_lm", weight=0.25)))
    random = np.random.default_rng(0)
    parts = [
        (Part(int(turn), np.zeros(1, np.int64)), Part(2, np.zeros(1, np.int64))) for turn in random.integers(0, 2, 40)
    ]
    steps = [(step, torch.tensor(random.normal(2, 1, 2), dtype=torch.float32)) for step in parts]
    whole = State()
    _add_task_losses(whole, [*steps], sets)
    for cuts in (1, 3, 7):
        state = State()
        for start in range(0, len(steps), cuts):
            _add_task_losses(state, steps[start : start + cuts], sets)
            state = State(**json.loads(json.dumps(vars(state) | {"best_score": 0.0})))  # as a checkpoint keeps it
        assert {task: tuple(sums) for task, sums in state.task_losses.items()} == whole.task_losses
    mean, count = whole.task_losses["masked_lm"][0] / 40, whole.task_losses["masked_lm"][1]
    assert count == 40
    assert mean == pytest.approx(np.mean([float(losses[1]) for _, losses in steps]) / 0.25)


def test_a_batch_in_several_passes_has_the_gradient_of_the_whole(encoder: Encoder, machine: Runtime) -> None:
    """Labels differ in number between passes (words a sentence), so a mean of means would be another gradient."""
    unmoved = still(Path(encoder.location), machine.store.parent / "still")
    recipe = replace(FAST, steps=3, learning_rate=1e-3)
    whole = build(train(unmoved, (lesson("token_classification"),), recipe, seed=1), machine)
    pieces = replace(machine, max_tokens_per_pass=12, store=machine.store / "pieces")
    parts = build(train(unmoved, (lesson("token_classification"),), recipe, seed=1), pieces)
    assert losses(parts) == pytest.approx(losses(whole), abs=1e-5)
    assert len(length_bucketed_batches(TOY_UNITS, 12)) > 4


TOY_UNITS = [ModelInput(n, (np.zeros(5 + n % 3, dtype=np.int32),)) for n in range(8)]


CASES: dict[str, tuple[tuple[str, ...], int]] = {
    "single": (("classification",), 16384),
    "multi": (("classification", "token_classification", "extractive_qa"), 16384),
    "accumulated": (("classification", "masked_lm"), 60),
}


def case(name: str, source: str) -> Stage:
    formats, _ = CASES[name]
    lessons = tuple(lesson(format, weight=1.0 if format == "masked_lm" else None) for format in formats)
    recipe = replace(FAST, steps=24, selection=Selection(8, 5, 16))
    return train(Encoder.of(source), lessons, recipe, seed=3)


KILLED = """
import os, signal, sys
sys.path[:0] = {tests!r}
from pathlib import Path
from test_train import CASES, case
from xstilts.runtime import progress
from xstilts.runtime.machine import Runtime
from xstilts.store.build import build

def kill(event):
    if event.done == {step}:
        os.kill(os.getpid(), signal.SIG{signal})

progress.listen(kill)
machine = Runtime(Path({store!r}), device="cpu", threads=1, checkpoint_seconds=0.0, max_tokens_per_pass=CASES[{name!r}][1])
build(case({name!r}, {source!r}), machine)
"""


def killed(name: str, source: str, store: Path, step: int, sign: str = "KILL") -> int:
    script = KILLED.format(
        tests=[str(Path(__file__).parents[1]), str(Path(__file__).parent)],
        store=str(store),
        name=name,
        source=source,
        step=step,
        signal=sign,
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, "-c", script], env=environment, check=False, capture_output=True).returncode


@pytest.mark.parametrize(
    ("name", "step"),
    [("multi", 17), *(pytest.param(*case, marks=pytest.mark.slow) for case in (("single", 5), ("accumulated", 11)))],
)
def test_a_killed_training_ends_in_the_same_bits_and_sums(
    name: str, step: int, encoder: Encoder, tmp_path: Path
) -> None:
    source = str(encoder.location)
    machines = [
        Runtime(tmp_path / store, device="cpu", threads=1, max_tokens_per_pass=CASES[name][1])
        for store in ("whole", "killed")
    ]
    promise = case(name, source)
    whole = build(promise, machines[0])
    assert killed(name, source, machines[1].store, step) == -signal.SIGKILL
    assert not is_built(promise, machines[1])
    part = folder_of(promise, machines[1]).with_name(folder_of(promise, machines[1]).name + ".part")
    assert (part / "checkpoint.safetensors").exists()
    again = build(promise, machines[1])
    assert weights(again) == weights(whole)
    assert (again / HISTORY).read_bytes() == (whole / HISTORY).read_bytes()
    assert not (again / "checkpoint.safetensors").exists()
    first, second = (read_record(folder)["record"]["cost"] for folder in (whole, again))
    for figure in ("tokens", "padded_tokens", "flops", "parameters", "trained_parameters"):
        assert second[figure] == first[figure]
    assert 0 < second["earlier_seconds"] < second["seconds"]
    assert second["peak_memory_mib"].keys() == first["peak_memory_mib"].keys()
    if name == "single":
        data = lesson("classification").train[0]
        files = [build(predict(promise, data, "classification", 24), machine) / PREDICTIONS for machine in machines]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_sigterm_saves_and_the_next_run_goes_on(encoder: Encoder, machine: Runtime) -> None:
    promise = case("single", str(encoder.location))
    steps: list[int] = []

    def stop(event: Event) -> None:
        steps.append(event.done)
        if event.done == 9:
            os.kill(os.getpid(), signal.SIGTERM)

    progress.listen(stop)
    with pytest.raises(Interrupted, match="stopped by SIGTERM: run again to go on from here"):
        build(promise, machine)
    steps.clear()
    progress.listen(lambda event: steps.append(event.done))
    build(promise, machine)
    assert min(step for step in steps if step) == 10


def test_a_damaged_checkpoint_begins_again_and_says_so(encoder: Encoder, machine: Runtime) -> None:
    promise = case("single", str(encoder.location))
    part = folder_of(promise, machine).with_name(folder_of(promise, machine).name + ".part")
    (part / "model").mkdir(parents=True)
    (part / "checkpoint.safetensors").write_bytes(b"\x08\x00\x00\x00 not a checkpoint")
    for torn in (".tmpAb12", "model/.tmpCd34", "checkpoint.new", "table.mapped", "model/old.bin"):
        (part / torn).write_bytes(b"half")
    said: list[str] = []
    progress.listen(lambda event: said.append(event.label))
    folder = build(promise, machine)
    assert any("is damaged" in line and "begins again" in line for line in said)
    # Results are what the training wrote, and nothing that a killed save left.
    listed = set(read_record(folder)["files"])
    assert {"history.jsonl", "model/config.json", "model/model.safetensors"} <= listed
    assert not [name for name in listed if ".tmp" in name or name.endswith((".new", ".mapped", ".bin"))]
    assert listed | {"stage.json"} == {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_selection_keeps_the_best_and_stops_without_patience(encoder: Encoder, machine: Runtime) -> None:
    recipe = replace(FAST, steps=200, selection=Selection(every_steps=5, patience=3, examples=16))
    folder = build(train(encoder, (lesson("classification"),), recipe, seed=1), machine)
    record = read_record(folder)["record"]
    looks = [
        json.loads(line)["dev"]["classification"]
        for line in (folder / HISTORY).read_text().splitlines()
        if "dev" in line
    ]
    assert record["steps"] < 200
    assert record["dev"]["classification"]["score"] == max(looks)
    assert looks[-1] <= max(looks[:-1])


def test_a_run_that_stays_at_chance_is_called_collapsed(encoder: Encoder, machine: Runtime) -> None:
    examples = [ClassificationExample(str(n), "same text", None, "yes" if n % 2 else "no") for n in range(16)]
    data = promised("classification", examples, "hopeless", ("no", "yes"))
    hopeless = replace(lesson("classification"), task="hopeless", train=(data,), dev=data)
    folder = build(train(encoder, (hopeless,), replace(FAST, steps=3), seed=1), machine)
    assert read_record(folder)["record"]["dev"]["hopeless"]["collapsed"]


def test_without_development_data_chance_is_told_from_learning_on_what_was_seen(
    encoder: Encoder, machine: Runtime
) -> None:
    examples = [ClassificationExample(str(n), "same text", None, "yes" if n % 2 else "no") for n in range(16)]
    data = promised("classification", examples, "hopeless", ("no", "yes"))
    hopeless = replace(lesson("classification"), task="hopeless", train=(data, data), dev=None)
    teaches = replace(lesson("classification"), dev=None)
    cases = [(hopeless, 3, True), (teaches, 60, False), (lesson("bitext_retrieval"), 3, None)]
    for given, steps, collapsed in cases:
        recipe = replace(FAST, steps=steps, dev_examples=10)
        record = read_record(build(train(encoder, (given,), recipe, seed=1), machine))
        assert record["record"]["dev"] == {}
        assert [seen["collapsed"] for seen in retries.judged(record).values()] == [collapsed] * (collapsed is not None)
        assert retries.is_collapsed(record) == bool(collapsed)
    assert (
        "seen" not in read_record(build(train(encoder, (lesson("classification"),), FAST, seed=1), machine))["record"]
    )


def test_what_was_seen_has_the_language_of_its_text_as_training_inputs_have(encoder: Encoder, machine: Runtime) -> None:
    given = replace(lesson("classification"), dev=None)
    build(given.train[0], machine)
    tokenizer, context = Tokenizer.of(load_tokenizer(encoder.location)), BuildContext(machine.store, machine)
    both = replace(given, train=given.train * 2)
    encoded = encode_training_set(both, context, tokenizer, replace(FAST, dev_examples=6), languages=True)
    assert [part.example for part in encoded.seen_inputs] == list(range(6))
    assert len({example.id for example in encoded.seen}) == 6
    assert all(part.languages for part in (*encoded.inputs, *encoded.seen_inputs))


def test_what_is_frozen_does_not_move(encoder: Encoder, machine: Runtime) -> None:
    from safetensors.torch import load_file

    recipe = replace(FAST, steps=3, trainable="top:1", weight_decay=0.1)
    folder = build(train(encoder, (lesson("classification"),), recipe, seed=1), machine)
    before, after = (load_file(path / "model.safetensors") for path in (Path(encoder.location), folder / "model"))
    kept = {name: value for name, value in before.items() if "pooler" not in name}
    moved = {name for name, value in kept.items() if not torch.equal(value, after[f"roberta.{name}"])}
    assert moved
    assert all(name.startswith("encoder.layer.2.") for name in moved)


def test_the_second_phase_takes_the_encoder_and_a_fresh_head(encoder: Encoder, machine: Runtime) -> None:
    first = train(encoder, (lesson("token_classification"),), replace(FAST, steps=5), seed=1)
    second = train(first, (lesson("classification"),), replace(FAST, steps=5), seed=1)
    build(second, machine)
    assert is_built(first, machine)
    assert second.key != train(encoder, (lesson("classification"),), replace(FAST, steps=5), seed=1).key


def test_pooling_is_saved_and_the_second_phase_keeps_to_its_own_recipe(encoder: Encoder, machine: Runtime) -> None:
    pooled = replace(FAST, steps=2, pooling="mean")
    first_phase = train(encoder, (lesson("classification"),), pooled, seed=1)
    folder = build(first_phase, machine)
    assert json.loads((folder / "model" / "config.json").read_text())["xstilts_pooling"] == "mean"
    assert default_pooling(Encoder.of(folder / "model")) == "mean"
    labels = build(predict(first_phase, lesson("classification").train[0], "classification", 24), machine)
    assert (labels / PREDICTIONS).read_text()
    for pooling, saved in (("mean", "mean"), ("family", None)):
        recipe = replace(pooled, pooling=pooling)
        second_phase = build(train(first_phase, (lesson("classification"),), recipe, seed=1), machine)
        assert json.loads((second_phase / "model" / "config.json").read_text()).get("xstilts_pooling") == saved


def test_a_loss_that_explodes_says_what_to_change(encoder: Encoder, machine: Runtime) -> None:
    with pytest.raises(InputError, match="lower learning_rate"):
        build(
            train(encoder, (lesson("masked_lm"),), replace(FAST, learning_rate=1e30, clip_norm=1e30), seed=1), machine
        )


@pytest.mark.parametrize("rate", [1e38, 3e38])
def test_weights_that_are_no_numbers_are_no_result(rate: float, encoder: Encoder, machine: Runtime) -> None:
    """The last logged loss may be finite although the step after it is not."""
    promise = train(encoder, (lesson("classification"),), replace(FAST, learning_rate=rate, steps=1), seed=1)
    with pytest.raises(InputError, match=r"NaN or infinite.*lower learning_rate|became .* at step"):
        build(promise, machine)
    assert not is_built(promise, machine)


def test_a_flipped_bit_in_weights_is_noticed_before_they_are_used(encoder: Encoder, machine: Runtime) -> None:
    promise = train(encoder, (lesson("classification"),), replace(FAST, steps=2), seed=1)
    predicted = predict(promise, lesson("classification").train[0], "classification", 24)
    expected = (build(predicted, machine) / PREDICTIONS).read_bytes()
    shutil.rmtree(folder_of(predicted, machine))
    path = folder_of(promise, machine) / "model" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x40
    path.write_bytes(content)
    said: list[str] = []
    progress.listen(lambda event: said.append(event.label))
    assert (build(predicted, machine) / PREDICTIONS).read_bytes() == expected
    assert any("was damaged: it is kept as" in line for line in said)


def test_a_head_that_gives_no_numbers_is_refused(encoder: Encoder, machine: Runtime) -> None:
    """States are finite and logits are not: the encoder is as it was, and only the head overflows."""
    network, _, _ = load(
        build(train(encoder, (lesson("classification"),), FAST, seed=1), machine) / "model", "classification"
    )
    with torch.no_grad():
        for value in network.heads["head"].parameters():
            value.fill_(3e38)
    toy = task_format("classification")
    labels, _, examples = TOYS["classification"]
    tokens = Tokenizer.of(load_tokenizer(encoder.location))
    units = toy.encode(examples, tokens, 24, labels, Counter())
    with pytest.raises(InputError, match="outputs of the head are NaN or infinite"):
        predict_inputs(network, "head", toy, units, tokens, machine)
