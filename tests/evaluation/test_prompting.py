"""A decoder's predictions by the likelihood of answers, against the model's own forward pass."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

import families
from quick import first
from xstilts import api
from xstilts.data.dataset import read
from xstilts.data.examples import ClassificationExample, MultipleChoiceExample
from xstilts.errors import InputError
from xstilts.evaluation.prompting import Prompt, _encoded, drawn, log_likelihoods, prompted
from xstilts.evaluation.score import read_lines, read_score, score
from xstilts.experiments import preflight
from xstilts.experiments.extra_tables import StageTable
from xstilts.experiments.prompted_baseline import PromptedBaseline
from xstilts.experiments.study import Study
from xstilts.models.encoder import Encoder, load_decoder, load_tokenizer
from xstilts.runtime.machine import Runtime
from xstilts.store.build import build
from xstilts.store.local_executor import build_all
from xstilts.tasks.base import task

FAMILIES = ("qwen3", "gemma3_text")


@pytest.fixture(scope="module", params=first(1, FAMILIES))
def decoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return families.make(request.param, tmp_path_factory.mktemp("decoder") / request.param, "AutoModelForCausalLM")


def naive(network: Any, prompt: list[int], answer: list[int]) -> float:
    """Return an answer's log-probability by one pass over prompt and answer, without batch, padding or cache."""
    with torch.no_grad():
        logits = network(input_ids=torch.tensor([prompt + answer])).logits[0].float()
    scores = torch.log_softmax(logits, -1)
    return sum(float(scores[len(prompt) - 1 + n, token]) for n, token in enumerate(answer))


@settings(max_examples=3, deadline=None)
@given(dice=some.randoms(use_true_random=False), most=some.sampled_from([1, 40, 4096]))
def test_likelihoods_are_those_of_one_pass_each(decoder: Path, dice: Any, most: int) -> None:
    network = load_decoder(decoder)
    tokens = range(5, 40)

    def text(longest: int) -> list[int]:
        return dice.choices(tokens, k=dice.randint(1, longest))

    questions = [(text(30), [text(4) for _ in range(dice.randint(1, 4))]) for _ in range(dice.randint(1, 5))]
    machine = Runtime(Path(), device="cpu", max_tokens_per_pass=most)
    seen: dict[int, list[float]] = {}
    for numbers, values in log_likelihoods(network, questions, machine):
        seen |= dict(zip(numbers, values, strict=True))
    assert sorted(seen) == list(range(len(questions)))
    for number, (prompt, answers) in enumerate(questions):
        expected = [naive(network, prompt, answer) for answer in answers]
        assert seen[number] == pytest.approx(expected, abs=1e-4)


@settings(max_examples=8, deadline=None)
@given(question=some.text(max_size=40), answers=some.lists(some.text(min_size=1, max_size=9), min_size=1, max_size=4))
def test_prompt_and_answer_are_the_tokens_of_the_whole_text(decoder: Path, question: str, answers: list[str]) -> None:
    tokenizer = load_tokenizer(decoder)
    prompt, after = _encoded(tokenizer, [], f"Q: {question}", answers, 10_000, {"shots": 0, "texts": 0})
    assert prompt
    for answer, tokens in zip(answers, after, strict=True):
        assert tokens
        whole = list(tokenizer(f"Q: {question} {answer}")["input_ids"])
        assert prompt + tokens == whole[: len(prompt + tokens)]
        assert set(whole[len(prompt + tokens) :]) <= {tokenizer.eos_token_id}


def test_what_is_too_long_loses_shots_then_its_beginning(decoder: Path) -> None:
    tokenizer, cut = load_tokenizer(decoder), {"shots": 0, "texts": 0}
    shots = ["one two three four A\n\n", "five six seven eight B\n\n"]
    whole, _ = _encoded(tokenizer, shots, "What?", ["A", "B"], 10_000, cut)
    last, _ = _encoded(tokenizer, shots[1:], "What?", ["A", "B"], 10_000, cut)
    assert _encoded(tokenizer, shots, "What?", ["A", "B"], len(whole), cut)[0] == whole
    assert cut == {"shots": 0, "texts": 0}
    assert _encoded(tokenizer, shots, "What?", ["A", "B"], len(whole) - 1, cut)[0] == last
    assert cut == {"shots": 1, "texts": 0}
    assert len(_encoded(tokenizer, shots, "What?", ["A", "B"], 1, cut)[0]) == 1
    assert cut == {"shots": 3, "texts": 1}


@pytest.mark.parametrize("name", first(1, ["sandbox_nli", "sandbox_choice"]))
def test_predictions_are_scored_as_those_of_trained_models(decoder: Path, name: str, tmp_path: Path) -> None:
    target, machine = task(name), Runtime(tmp_path, device="cpu")
    data, training = read(target.data("test", "qab", None)), read(target.data("train", "qaa", None))
    prompt = Prompt.of(target, shots=2)
    predictions = prompted(Encoder.of(decoder), data, prompt, training, 64)
    folder = build(score(predictions, data, target.metric), machine)
    result, lines = read_score(folder), read_lines(build(predictions, machine))
    assert 0 <= result["headline"] <= 100
    assert result["examples"] == len(lines) > 10
    for line in lines:
        values = line["log_probabilities"]
        assert sum(2.718281828**value for value in values) == pytest.approx(1, abs=1e-3)
    record = json.loads((build(predictions, machine) / "stage.json").read_text())["record"]
    assert len(record["shots"]) == 2
    assert record["prompt"].count("\n\n") == 2


def test_prompts_of_the_usual_tasks() -> None:
    pair = ClassificationExample("1", "It rains.", "It is dry.", "contradiction")
    xnli = Prompt.of(task("xnli"))
    assert (
        xnli.answered(pair, task("xnli").labels)
        == "It rains.\nQuestion: It is dry. True, False or Neither?\nAnswer: False"
    )
    choice = MultipleChoiceExample("1", "A cat sat.", "Who?", ("a cat", "a dog"), 1)
    assert Prompt.of(task("belebele")).answered(choice, ()).endswith("Who?\nA: a cat\nB: a dog\nAnswer: B")
    topic = ClassificationExample("1", "A goal.", None, "sports")
    assert Prompt.of(task("sib200")).answered(topic, task("sib200").labels).endswith("Label: sports")


def test_what_cannot_be_prompted_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'panx' is a target of format token_classification: prompting compares"):
        Prompt.of(task("panx"))
    with pytest.raises(InputError, match="has no label 'entails': it has entailment"):
        Prompt.of(task("xnli"), written={"entails": "yes"})
    with pytest.raises(InputError, match=r"has an unknown field \('premise'\): its fields are \{text_a\}"):
        Prompt("{premise}")
    with pytest.raises(InputError, match="does not continue texts: prompting needs a decoder"):
        load_decoder(families.make("xlm-roberta", tmp_path / "encoder"))
    with pytest.raises(InputError, match="3 shots, but there are 2 training examples"):
        drawn([ClassificationExample(str(n), f"t{n}", None, "a") for n in range(2)], 3, 1)


def test_the_command_and_python_give_the_same_scores(
    decoder: Path, call: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    words = (
        "prompt",
        str(decoder),
        "--target",
        "sandbox_nli",
        "--languages",
        "qaa",
        "--store",
        str(tmp_path),
        "--json",
    )
    code, out, _ = call(*words, "--shots", "1", "--answer", "entailment=yes", "--per-token")
    assert code == 0
    scores = api.prompt(
        decoder,
        "sandbox_nli",
        shots=1,
        answers={"entailment": "yes"},
        per_token=True,
        languages=["qaa"],
        store=tmp_path,
    )
    assert json.loads(out)["rows"] == scores.rows()
    assert scores.predictions("qaa")[0]["prediction"] in task("sandbox_nli").labels
    assert call(*words, "--answer", "yes")[0] == 2


def test_a_study_shows_a_prompted_baseline_beside_its_runs(decoder: Path, tmp_path: Path) -> None:
    machine = Runtime(tmp_path, device="cpu")
    baseline = PromptedBaseline(Encoder.of(decoder), task("sandbox_nli"), languages=("qaa", "qab"))
    assert isinstance(baseline, StageTable)
    study = Study("Is a decoder as good?", (), (), extras=(baseline,))
    assert {stage.key for stage in baseline.stages(machine).values()} < {stage.key for stage in study.stages(machine)}
    preflight.check(study.stages(machine), machine)
    build_all(study.stages(machine), machine)
    table = baseline.probed(machine)
    assert [row[0] for row in table["rows"]] == ["Albic (qaa)", "Berish (qab)", "mean"]
    with pytest.raises(InputError, match="has no language 'qac': there are"):
        PromptedBaseline(Encoder.of(decoder), replace(task("sandbox_nli"), languages=("qaa",)), languages=("qac",))


def test_an_encoder_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    baseline = PromptedBaseline(Encoder.of("sandbox"), task("sandbox_nli"), languages=("qaa",))
    machine = Runtime(tmp_path, device="cpu")
    with pytest.raises(InputError, match="does not continue texts"):
        preflight.check(baseline.stages(machine).values(), machine)
