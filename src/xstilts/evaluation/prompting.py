"""Prompting: a split's predictions by a decoder that was not trained for it, as a baseline.

Each example becomes a prompt, and the answer that continues it most likely is the prediction: zero-shot, or after some
training examples with their answers. The predictions have the form of those of trained models, so that the same metrics
score them. The states of a prompt are computed once for all its answers.

    lines = build(prompted(decoder, data, Prompt.of(task)), machine) / PREDICTIONS

>>> from xstilts.data.examples import ClassificationExample
>>> prompt = Prompt("{text_a}\\nTopic:", (("sports", "sports"), ("travel", "travelling")))
>>> prompt.text(ClassificationExample("1", "A goal in the last minute.", None, "sports"))
'A goal in the last minute.\\nTopic:'
>>> prompt.answers(ClassificationExample("1", "", None, None), ("sports", "travel"))
('sports', 'travelling')
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from xstilts.cost import ledger
from xstilts.data.dataset import EXAMPLES
from xstilts.data.examples import ClassificationExample, Example, MultipleChoiceExample
from xstilts.data.examples import read as read_examples
from xstilts.data.few_shot import drawn
from xstilts.errors import InputError
from xstilts.formats import task_format
from xstilts.models.batch import ModelInput
from xstilts.models.encoder import Encoder, load_decoder, load_tokenizer
from xstilts.runtime import progress
from xstilts.runtime.machine import Runtime
from xstilts.store import names
from xstilts.store.identity import identity
from xstilts.store.stage import BuildContext, Stage, stage
from xstilts.tasks.base import Task

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

FORMATS = ("classification", "multiple_choice")
NLI = ("entailment", "neutral", "contradiction")
BETWEEN = "\n\n"  # two examples of a prompt

Tokens = list[int]


@identity("Prompt")
@dataclass(frozen=True)
class Prompt:
    """How examples are put to a decoder.

    Attributes:
        template: The text before the answer, with the fields of an example in braces: `{text_a}` and `{text_b}`, or
            `{context}`, `{question}` and `{choices}` (a line for each, with a letter). The answer follows a space.
        written: From a label to its answer; labels that are not here are their own answers. A choice is answered by
            its letter.
        shots: How many training examples with their answers stand before the example.
        draw: Which training examples: another number draws others.
        per_token: Whether the mean log-probability of an answer's tokens counts instead of the sum, so that long
            answers have no disadvantage.

    Raises:
        InputError: A field of the template is unknown, or `shots` is negative.
    """

    template: str
    written: tuple[tuple[str, str], ...] = ()
    shots: int = 0
    draw: int = 1
    per_token: bool = False

    def __post_init__(self) -> None:
        if self.shots < 0:
            raise InputError(f"{self.shots} shots: give 0 (none) or more")
        try:
            self.template.format(**dict.fromkeys(("text_a", "text_b", "context", "question", "choices"), ""))
        except (KeyError, IndexError, ValueError) as error:
            remedy = "its fields are {text_a}, {text_b}, {context}, {question} and {choices}; braces are doubled"
            raise InputError(f"the template {self.template!r} has an unknown field ({error}): {remedy}") from None

    @classmethod
    def of(cls, task: Task, shots: int = 0, template: str = "", written: dict[str, str] | None = None) -> Prompt:
        """Return the prompt of a task.

        Args:
            task: The task, of a format in `FORMATS`.
            shots: How many training examples stand before the example.
            template: Another template than the usual one of the task's kind.
            written: Answers of labels, instead of the usual ones.

        Raises:
            InputError: The task's format is not answered by the likelihood of answers, or a label is unknown.
        """
        if task.format not in FORMATS:
            remedy = f"prompting compares the likelihood of answers, so the target has to be {' or '.join(FORMATS)}"
            raise InputError(f"'{task.name}' is a target of format {task.format}: {remedy}")
        usual, answers = _usual(task)
        unknown = [label for label in written or {} if label not in task.labels]
        if unknown:
            raise InputError(f"'{task.name}' has no label '{unknown[0]}': it has {', '.join(task.labels) or 'none'}")
        return cls(template or usual, tuple(sorted((answers | (written or {})).items())), shots)

    def text(self, example: Example) -> str:
        """Return the text before an example's answer."""
        values = {name: getattr(example, name, None) or "" for name in ("text_a", "text_b", "context", "question")}
        choices = zip(ascii_uppercase, getattr(example, "choices", ()), strict=False)
        return self.template.format(**values, choices="\n".join(f"{letter}: {text}" for letter, text in choices))

    def answers(self, example: Example, labels: Sequence[str]) -> tuple[str, ...]:
        """Return the possible answers to an example, in the order of the labels or choices."""
        if isinstance(example, MultipleChoiceExample):
            return tuple(ascii_uppercase[: len(example.choices)])
        written = dict(self.written)
        return tuple(written.get(label, label) for label in labels)

    def answered(self, example: Example, labels: Sequence[str]) -> str:
        """Return an example of the training data with its answer."""
        number = example.label if isinstance(example, MultipleChoiceExample) else labels.index(str(_label(example)))
        return f"{self.text(example)} {self.answers(example, labels)[cast(int, number)]}"


def _usual(task: Task) -> tuple[str, dict[str, str]]:
    """Return the template and the answers that are usual for a task's labels."""
    if task.format == "multiple_choice":
        return "{context}\nQuestion: {question}\n{choices}\nAnswer:", {}
    if set(task.labels) <= {*NLI, "not_entailment"}:
        question = "{text_a}\nQuestion: {text_b} True, False or Neither?\nAnswer:"
        answers = {"entailment": "True", "contradiction": "False", "neutral": "Neither", "not_entailment": "False"}
        return question, {label: answers[label] for label in task.labels}
    if task.labels == ("0", "1"):
        question = "Sentence 1: {text_a}\nSentence 2: {text_b}\nDo they mean the same?\nAnswer:"
        return question, {"0": "No", "1": "Yes"}
    return "Text: {text_a} {text_b}\n" + f"Labels: {', '.join(task.labels)}\n" + "Label:", {}


def _label(example: Example) -> Any:
    return example.label if isinstance(example, ClassificationExample | MultipleChoiceExample) else None


@stage(name=names.PROMPTED, version=1, label=lambda model, data, prompt, **_: f"prompt-{data.arguments['data'].label}")
def prompted(
    context: BuildContext,
    model: Encoder,
    data: Stage,
    prompt: Prompt,
    training_data: Stage | None = None,
    max_length: int = 2048,
) -> None:
    """Write `predictions.jsonl`: for each example its id, the likeliest answer, and the log-probabilities of all.

    Args:
        context: Where the stage is built.
        model: The decoder.
        data: A stage that read a split.
        prompt: How examples are put.
        training_data: A stage that read the training split, for the examples before each prompt.
        max_length: Most tokens of a prompt. Where it is longer, examples before it are left out, the first ones first,
            then the beginning of the text; both are counted.

    Raises:
        InputError: The model is no decoder, or there are too few training examples.
    """
    split = data.arguments["data"]
    examples = list(read_examples(context.path(data) / EXAMPLES, split.format))
    shots: list[Example] = []
    if prompt.shots and training_data is not None:
        pool = list(read_examples(context.path(training_data) / EXAMPLES, split.format))
        shots = drawn(pool, prompt.shots, prompt.draw)
    tokenizer = load_tokenizer(model.location)
    network = load_decoder(model.location)
    cast(Any, network).to(context.machine.torch_device())
    before = [prompt.answered(example, split.labels) + BETWEEN for example in shots]
    spent, cut = ledger.nothing(), {"shots": 0, "texts": 0}
    with ledger.metered(spent, context.machine):
        questions = [
            _encoded(tokenizer, before, prompt.text(example), prompt.answers(example, split.labels), max_length, cut)
            for example in examples
        ]
        scores: list[list[float]] = [[] for _ in examples]
        done = 0
        for numbers, values in log_likelihoods(network, questions, context.machine):
            for number, answers in zip(numbers, values, strict=True):
                lengths = [len(answer) if prompt.per_token else 1 for answer in questions[number][1]]
                likelihoods = torch.tensor(answers, dtype=torch.float64) / torch.tensor(lengths)
                scores[number] = torch.log_softmax(likelihoods, 0).tolist()
            done += len(numbers)
            progress.step(context.folder.stem, done, len(examples))
    inputs = [ModelInput(number, (), np.zeros(0, dtype=np.int32)) for number in range(len(examples))]
    lines = task_format(split.format).decode(scores, inputs, examples, split.labels)
    with (context.folder / names.PREDICTIONS_FILE).open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    tokens = sum(len(question) + sum(map(len, answers)) for question, answers in questions)
    measured = {name: spent[name] for name in ("seconds", "device_seconds", "joules", "peak_memory_mib")}
    context.record |= {"examples": len(examples), "cut": cut, "tokens": tokens, "measured": measured}
    context.record |= {"shots": [example.id for example in shots], "prompt": "".join(before) + prompt.text(examples[0])}


def _encoded(
    tokenizer: PreTrainedTokenizerBase,
    before: Sequence[str],
    question: str,
    answers: Sequence[str],
    max_length: int,
    cut: dict[str, int],
) -> tuple[Tokens, list[Tokens]]:
    """Return the tokens of a prompt and, for each answer, those that follow.

    A text is tokenized with its answer, as in training: where a token spans both, it belongs to the answers.
    """
    for left_out in range(len(before) + 1):
        text = "".join(before[left_out:]) + question
        sequences = tokenizer([f"{text} {answer}" for answer in answers] + [text])["input_ids"]
        common = min(len(_common(sequences[0], other)) for other in sequences)
        sequences.pop()  # of the text alone
        if end := getattr(tokenizer, "eos_token_id", None):
            sequences = [tokens[:-1] if tokens[-1] == end else tokens for tokens in sequences]
        common = min(common, *(len(tokens) - 1 for tokens in sequences))
        if common <= max_length or left_out == len(before):
            break
    cut["shots"] += left_out
    cut["texts"] += common > max_length
    start = max(0, common - max_length)
    return sequences[0][start:common], [tokens[common:] for tokens in sequences]


def _common(one: Tokens, other: Tokens) -> Tokens:
    """Return the tokens with which both begin."""
    for number, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return one[:number]
    return one[: min(len(one), len(other))]


def log_likelihoods(
    network: PreTrainedModel, questions: Sequence[tuple[Tokens, list[Tokens]]], machine: Runtime
) -> Iterator[tuple[list[int], list[list[float]]]]:
    """Compute the log-probability of each answer after its prompt.

    Prompts of similar length are computed together, each once; answers of several tokens go on from the kept states.

    Args:
        network: The decoder, on the device of `machine`.
        questions: The tokens of each prompt, at least one, and of its answers, at least one each.
        machine: Device, arithmetic and size of a pass.

    Yields:
        The positions in `questions` of a batch, and for each of them the log-probabilities of its answers.
    """
    order = sorted(range(len(questions)), key=lambda number: -len(questions[number][0]))
    most = machine.most_tokens()
    while order:
        longest = len(questions[order[0]][0]) + max(len(answer) for answer in questions[order[0]][1])
        width = max(1, most // max(longest, 1))
        numbers, order = order[:width], order[width:]
        with torch.inference_mode(), machine.arithmetic():
            yield numbers, _batch(network, [questions[number] for number in numbers], machine, most)


def _batch(
    network: PreTrainedModel, questions: Sequence[tuple[Tokens, list[Tokens]]], machine: Runtime, most: int
) -> list[list[float]]:
    device = machine.torch_device()
    width = max(len(prompt) for prompt, _ in questions)
    ids = torch.zeros(len(questions), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, (prompt, _) in enumerate(questions):  # padded on the left: the last column is each prompt's last token
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    goes_on = any(len(answer) > 1 for _, answers in questions for answer in answers)
    output = network(
        input_ids=ids.to(device),
        attention_mask=mask.to(device),
        position_ids=positions.to(device),
        use_cache=goes_on,
        logits_to_keep=1,
    )
    first = torch.log_softmax(output.logits[:, -1].float(), -1)
    results = [[float(first[row, answer[0]]) for answer in answers] for row, (_, answers) in enumerate(questions)]
    pairs = [(row, n) for row, (_, answers) in enumerate(questions) for n, a in enumerate(answers) if len(a) > 1]
    size = max(1, most // (width + 1))
    for start in range(0, len(pairs), size):
        chunk = pairs[start : start + size]
        rows = torch.tensor([row for row, _ in chunk])
        given = [questions[row][1][n] for row, n in chunk]
        values = _continued(network, output.past_key_values, (mask, positions), rows, given, device)
        for (row, n), value in zip(chunk, values, strict=True):
            results[row][n] += value
    return results


def _continued(
    network: PreTrainedModel,
    cache: Any,
    prompts: tuple[Tensor, Tensor],
    rows: Tensor,
    answers: Sequence[Tokens],
    device: torch.device,
) -> list[float]:
    """Return the log-probabilities of the tokens of answers after their first."""
    mask, positions = prompts
    width = max(len(answer) for answer in answers) - 1
    ids, own = torch.zeros(len(answers), width, dtype=torch.long), torch.zeros(len(answers), width, dtype=torch.long)
    for number, answer in enumerate(answers):
        ids[number, : len(answer) - 1] = torch.tensor(answer[:-1])
        own[number, : len(answer) - 1] = 1
    kept = selected(cache, rows.to(device))
    logits = network(
        input_ids=ids.to(device),
        attention_mask=torch.cat([mask[rows], own], -1).to(device),
        position_ids=(positions[rows, -1:] + 1 + torch.arange(width)).to(device),
        past_key_values=kept,
        use_cache=True,
    ).logits
    scores = torch.log_softmax(logits.float(), -1)
    return [
        sum(float(scores[number, place, token]) for place, token in enumerate(answer[1:]))
        for number, answer in enumerate(answers)
    ]


def selected(cache: Any, rows: Tensor) -> Any:
    """Return a copy of a cache of keys and values with some rows of the batch, each as often as it is named."""
    kept = copy.deepcopy(cache)
    kept.batch_select_indices(rows)
    return kept
