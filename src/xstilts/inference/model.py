"""Model: a trained checkpoint that predicts for texts of the user's own.

`load_model` reads an ordinary Hugging Face folder, as every training writes it, with the head of its task format.
Inputs are encoded as in training, so that predictions are the same as those of an experiment on the same text.

>>> model = load_model("sandbox")
>>> model.embed(["Anna sleeps .", "Onno sleeps ."]).shape
(2, 64)
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xstilts.data.examples import (
    ClassificationExample,
    Example,
    MultipleChoiceExample,
    PassageExample,
    QAExample,
    TaggingExample,
)
from xstilts.errors import InputError
from xstilts.evaluation.predict import predict_inputs
from xstilts.formats import task_format
from xstilts.formats.extractive_qa import best_span
from xstilts.inference.backends import format_of, located
from xstilts.models import hf_format
from xstilts.models.batch import ModelInput
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer
from xstilts.runtime.machine import Runtime
from xstilts.store import manifest
from xstilts.store.names import EXPORT_FILE

Input = str | Sequence[str] | Mapping[str, Any]
"""One input of `Model.predict`: a text, a pair of texts, a list of words, or named fields."""
Prediction = dict[str, Any]
"""One prediction as plain values, ready for JSON or a data frame."""

LONGEST = 512  # tokens of a sequence where neither the caller nor the training says how many
FIRST = ("text", "text_a", "premise", "sentence1")
SECOND = ("text_pair", "text_b", "hypothesis", "sentence2")


@dataclass(frozen=True)
class Model:
    """A checkpoint in memory.

    Attributes:
        folder: Where it was read from.
        format: The task format of its head; "bitext_retrieval" for an encoder without one.
        labels: The labels of a classification or token classification head, in the order of its outputs.
        max_length: Tokens of a sequence, at most; longer inputs are truncated, or read in windows (question answering).
    """

    folder: Path
    format: str
    labels: tuple[str, ...]
    max_length: int
    network: Network = field(repr=False)
    tokenizer: Tokenizer = field(repr=False)
    runtime: Runtime = field(repr=False)

    def predict(self, inputs: Sequence[Input]) -> list[Prediction]:
        """Predict for a list of inputs, which are put into batches.

        Args:
            inputs: By task format:
                classification: a text, a pair of texts, or `{"text": …, "text_pair": …}` (also `premise` and
                    `hypothesis`).
                token_classification: a list of words, a text with spaces between its words, or `{"tokens": […]}`.
                extractive_qa: `{"question": …, "context": …}`.
                multiple_choice: `{"choices": […]}` with `context`, `question` or both.

        Returns:
            A dictionary for each input, in order:
                classification: `label`, its probability `score`, and `probabilities` by label.
                token_classification: `tokens` and their `tags`.
                extractive_qa: `answer`, its characters `start` and `stop` in the context, its `score` and
                    `no_answer_score` (sums of logits; where the latter is higher, the model prefers no answer).
                multiple_choice: `index` and `choice`, its probability `score`, and all `probabilities`.

        Raises:
            InputError: The checkpoint has no such head, or an input lacks a field.
        """
        if self.format not in _PREDICTIONS:
            raise InputError(
                f"{self.folder} has no head that predicts ({self.format}): use embed(texts), or give the checkpoint of "
                f"a training for {', '.join(_PREDICTIONS)}"
            )
        if isinstance(inputs, str | Mapping):
            raise InputError("predict takes a list of inputs: put the one input in brackets, predict([input])")
        to_example, to_prediction = _PREDICTIONS[self.format]
        examples = [to_example(str(number), value) for number, value in enumerate(inputs)]
        if not examples:
            return []
        how = task_format(self.format)
        model_inputs = how.encode(examples, self.tokenizer, self.max_length, self.labels, Counter())
        outputs: list[Any] = [None] * len(model_inputs)
        # A batch of multiple choice needs as many choices in every input.
        for count in {len(model_input.sequences) for model_input in model_inputs}:
            places = [n for n, model_input in enumerate(model_inputs) if len(model_input.sequences) == count]
            batch = [model_inputs[n] for n in places]
            answers = predict_inputs(self.network, "head", how, batch, self.tokenizer, self.runtime)
            for n, answer in zip(places, answers, strict=True):
                outputs[n] = answer
        lines = how.decode(outputs, model_inputs, examples, self.labels)
        outputs_of: list[Outputs] = [[] for _ in examples]
        for model_input, output in zip(model_inputs, outputs, strict=True):
            outputs_of[model_input.example].append((model_input, output))
        rows = zip(examples, lines, outputs_of, strict=True)
        return [to_prediction(self, example, line, its_outputs) for example, line, its_outputs in rows]

    def embed(self, texts: Sequence[str], layer: int = -1) -> NDArray[np.float32]:
        """Embed texts: the mean of their tokens' hidden states.

        Args:
            texts: Any number of texts, in any languages.
            layer: 0 for the embedding layer, -1 for the last.

        Returns:
            One vector a text, not normalised.

        Shape:
            (texts, hidden size)
        """
        if isinstance(texts, str):
            raise InputError("embed takes a list of texts: put the one text in brackets, embed([text])")
        examples = [PassageExample(str(number), text, None, "query") for number, text in enumerate(texts)]
        encode = task_format("passage_ranking").encode
        model_inputs = encode(examples, self.tokenizer, self.max_length, (), Counter())
        every_layer = task_format("bitext_retrieval")
        outputs = predict_inputs(self.network, "head", every_layer, model_inputs, self.tokenizer, self.runtime)
        vectors = np.array([states[0, layer] for states in outputs], dtype=np.float32)
        return vectors.reshape(len(examples), self.network.config.hidden_size)


def load_model(
    path: str | Path, *, format: str | None = None, max_length: int | None = None, runtime: Runtime | None = None
) -> Model:
    """Load a checkpoint to predict with.

    Args:
        path: Folder of a checkpoint (`config.json` and `model.safetensors`), or of a finished training, or "sandbox".
        format: Task format of the head; default: the one that the folder has.
        max_length: Tokens of a sequence, at most; default: as the checkpoint was trained.
        runtime: Device, precision and the like; default: the fastest device.

    Returns:
        The model, on its device.

    Raises:
        InputError: The folder is no checkpoint, is damaged, or has no head of this format.
    """
    folder, runtime = located(path), runtime or Runtime()
    format = format or format_of(folder)
    network, tokenizer, labels = hf_format.load(folder, format)
    network.eval().requires_grad_(False).to(runtime.torch_device())
    longest = network.clip_max_length(max_length or trained_max_length(folder) or LONGEST)
    return Model(folder, format, labels, longest, network, Tokenizer.of(tokenizer), runtime)


def trained_max_length(folder: Path) -> int | None:
    """Return the maximal length that the training used whose checkpoint lies in this folder; None if unknown.

    The manifest beside the folder has it, or `xstilts.json` in an exported folder.
    """
    try:
        exported = folder / EXPORT_FILE
        if exported.is_file():
            return int(json.loads(exported.read_text(encoding="utf-8"))["max_length"])
        return int(manifest.read(folder.parent)["record"]["max_length"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def checkpoint_labels(folder: Path) -> tuple[str, ...]:
    """Return the labels that a checkpoint's configuration names, in the order of its outputs."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    names: dict[str, str] = config.get("id2label") or {}
    return tuple(name for _, name in sorted((int(number), name) for number, name in names.items()))


# From inputs to examples.


def _first_of(value: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    return next((str(value[name]) for name in names if value.get(name) is not None), None)


def _required(value: Mapping[str, Any], *names: str) -> Any:
    content = next((value[name] for name in names if value.get(name) is not None), None)
    if content is None:
        raise InputError(f"an input has no {' or '.join(repr(name) for name in names)}: it has {', '.join(value)}")
    return content


def _fields(value: Input, needed: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"expected an input such as {needed}, not {value!r}")
    return value


def _classification(id: str, value: Input) -> Example:
    if isinstance(value, str):
        return ClassificationExample(id, value, None, None)
    if isinstance(value, Mapping):
        return ClassificationExample(id, str(_required(value, *FIRST)), _first_of(value, SECOND), None)
    if len(value) != 2:
        raise InputError(f"expected a text or a pair of texts, not {len(value)}: {value!r}")
    return ClassificationExample(id, value[0], value[1], None)


def _token_classification(id: str, value: Input) -> Example:
    words = _required(value, "tokens", "words", "text") if isinstance(value, Mapping) else value
    words = words.split() if isinstance(words, str) else words
    if not words:
        raise InputError("an input has no words: give a list of words, or a text")
    return TaggingExample(id, tuple(words), ())


def _extractive_qa(id: str, value: Input) -> Example:
    fields = _fields(value, '{"question": "…", "context": "…"}')
    return QAExample(id, str(_required(fields, "context")), str(_required(fields, "question")), ())


def _multiple_choice(id: str, value: Input) -> Example:
    fields = _fields(value, '{"context": "…", "question": "…", "choices": ["…", "…"]}')
    choices = tuple(str(choice) for choice in _required(fields, "choices"))
    context, question = str(fields.get("context") or ""), str(fields.get("question") or "")
    return MultipleChoiceExample(id, context, question, choices, None)


# From predictions as the experiments keep them to those of `Model.predict`.

Outputs = list[tuple[ModelInput, Any]]


def _label_prediction(model: Model, example: Any, line: Mapping[str, Any], outputs: Outputs) -> Prediction:
    shares = [float(share) for share in np.exp(line["log_probabilities"])]
    probabilities = dict(zip(model.labels, shares, strict=True))
    return {
        "label": line["prediction"],
        "score": probabilities[line["prediction"]],
        "probabilities": probabilities,
    }


def _tag_prediction(model: Model, example: Any, line: Mapping[str, Any], outputs: Outputs) -> Prediction:
    return {"tokens": list(example.tokens), "tags": list(line["prediction"])}


def _answer_prediction(model: Model, example: Any, line: Mapping[str, Any], outputs: Outputs) -> Prediction:
    _, start, stop = max((best_span(scores, window.places) for window, scores in outputs), key=lambda span: span[0])
    text = example.context[start:stop]
    start += len(text) - len(text.lstrip())
    return {
        "answer": line["prediction"],
        "start": start,
        "stop": start + len(line["prediction"]),
        "score": line["score"],
        "no_answer_score": line["null_score"],
    }


def _choice_prediction(model: Model, example: Any, line: Mapping[str, Any], outputs: Outputs) -> Prediction:
    index, probabilities = line["prediction"], [float(share) for share in np.exp(line["log_probabilities"])]
    return {
        "index": index,
        "choice": example.choices[index],
        "score": probabilities[index],
        "probabilities": probabilities,
    }


_PREDICTIONS: dict[
    str, tuple[Callable[[str, Input], Example], Callable[[Model, Any, Mapping[str, Any], Outputs], Prediction]]
] = {
    "classification": (_classification, _label_prediction),
    "token_classification": (_token_classification, _tag_prediction),
    "extractive_qa": (_extractive_qa, _answer_prediction),
    "multiple_choice": (_multiple_choice, _choice_prediction),
}
