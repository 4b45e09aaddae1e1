"""Model: a trained checkpoint that predicts for texts of the user's own.

`load_model` reads an ordinary Hugging Face folder, as every training writes it, with the head of its task format.
Inputs are encoded as in training, so that predictions are the same as those of an experiment on the same text.

`Model.stream` predicts for any number of inputs in bounded memory: it takes them in windows of some thousand, computes
each window in batches of similar length, and answers in order. A text that is longer than the model takes is read in
parts; what cannot be read in parts is truncated and marked.

>>> model = load_model("sandbox")
>>> model.embed(["Anna sleeps .", "Onno sleeps ."]).shape
(2, 64)
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray

from xstilts.data.examples import (
    ClassificationExample,
    Example,
    MultipleChoiceExample,
    QAExample,
    TaggingExample,
)
from xstilts.errors import InputError
from xstilts.evaluation.predict import predict_inputs
from xstilts.formats import Format, task_format, token_classification
from xstilts.formats.extractive_qa import best_span
from xstilts.inference.backends import format_of, located
from xstilts.models import hf_format
from xstilts.models.batch import IGNORED, Batch, ModelInput
from xstilts.models.encoder import readable
from xstilts.models.heads import HEADLESS, DualEncoderHead
from xstilts.models.network import Network
from xstilts.models.tokenization import Ids, Tokenizer, longest_first
from xstilts.runtime.machine import Runtime
from xstilts.store import manifest
from xstilts.store.names import EXPORT_FILE

Input = str | Sequence[str] | Mapping[str, Any]
"""One input of `Model.predict`: a text, a pair of texts, a list of words, or named fields."""
Prediction = dict[str, Any]
"""One prediction as plain values, ready for JSON or a data frame."""

T = TypeVar("T")

LONGEST = 512  # tokens of a sequence where neither the caller nor the training says how many
WINDOW = 4096  # inputs that are held and sorted by length at once
WINDOW_CHARACTERS = 2_000_000  # of the texts of a window: bounds memory where texts are long
LONG = ("windows", "truncate")
WORD = re.compile(r"\S+")
FIRST = ("text", "text_a", "premise", "sentence1")
SECOND = ("text_pair", "text_b", "hypothesis", "sentence2")


@dataclass(frozen=True)
class Model:
    """A checkpoint in memory.

    Attributes:
        folder: Where it was read from.
        format: The task format of its head; "bitext_retrieval" for an encoder without one.
        labels: The labels of a classification or token classification head, in the order of its outputs.
        max_length: Tokens of a sequence, at most; longer inputs are read in parts (see `stream`).
    """

    folder: Path
    format: str
    labels: tuple[str, ...]
    max_length: int
    network: Network = field(repr=False)
    tokenizer: Tokenizer = field(repr=False)
    runtime: Runtime = field(repr=False)

    def predict(self, inputs: Sequence[Input], *, long: str = "windows") -> list[Prediction]:
        """Predict for a list of inputs, which are put into batches.

        Args:
            inputs: By task format:
                classification: a text, a pair of texts, or `{"text": …, "text_pair": …}` (also `premise` and
                    `hypothesis`).
                token_classification: a list of words, a text with spaces between its words, or `{"tokens": […]}`.
                extractive_qa: `{"question": …, "context": …}`.
                multiple_choice: `{"choices": […]}` with `context`, `question` or both.
            long: What is done with texts to classify that are longer than `max_length`; see `stream`.

        Returns:
            A dictionary for each input, in order:
                classification: `label`, its probability `score`, and `probabilities` by label.
                token_classification: `tokens`, their `tags`, the probability of each tag (`scores`) and, for a text,
                    the characters (start, stop) of each token in it (`offsets`).
                extractive_qa: `answer`, its characters `start` and `stop` in the context, its `score` and
                    `no_answer_score` (sums of logits; where the latter is higher, the model prefers no answer).
                multiple_choice: `index` and `choice`, its probability `score`, and all `probabilities`.
            All have `windows`, the number of parts in which the input was read, and `truncated`, whether something of
            it was not read. Characters are code points, as Python counts them.

        Raises:
            InputError: The checkpoint has no such head, or an input lacks a field.
        """
        if isinstance(inputs, str | Mapping):
            raise InputError("predict takes a list of inputs: put the one input in brackets, predict([input])")
        return list(self.stream(inputs, long=long))

    def stream(self, inputs: Iterable[Input], *, window: int = WINDOW, long: str = "windows") -> Iterator[Prediction]:
        """Predict for any number of inputs, one after the other, in bounded memory.

        Inputs are taken in windows, which are computed in batches of similar length; predictions come in the order of
        the inputs, and do not depend on the window. A wrong input stops the stream after the predictions of all inputs
        before it.

        Args:
            inputs: As of `predict`; any iterable, such as a generator.
            window: Inputs that are held at once; fewer where texts are long.
            long: "windows" or "truncate": what is done with texts to classify that are longer than `max_length`.
                "windows": the longer text is cut into the fewest parts of equal length that fit, both texts of a pair
                where both are too long, and the log-probabilities of the parts are averaged. "truncate": the end is
                not read, as in training and in experiments. Words are always read in parts, and contexts of questions
                in overlapping windows; of multiple choice the start of the context is not read, and of a very long
                question or word its end.

        Yields:
            Predictions, as `predict` returns them.

        Raises:
            InputError: The checkpoint has no such head, an input lacks a field or is of another type, or the network
                computes no numbers (NaN).
        """
        self.require_head()
        if window < 1 or long not in LONG:
            raise InputError(f"window={window}, long={long!r}: give a window of 1 or more, and {' or '.join(LONG)}")
        return self._stream(iter(inputs), window, long)

    def check(self, value: Input) -> None:
        """Raise InputError, which says what is missing, unless `predict` takes this input."""
        self.require_head()
        _PREDICTIONS[self.format][0]("", value)

    def require_head(self) -> None:
        """Raise InputError, with the remedy, where the checkpoint has no head that predicts."""
        if self.format not in _PREDICTIONS:
            raise InputError(
                f"{self.folder} has no head that predicts ({self.format}): use embed(texts), on the command "
                f"line --vectors FILE.npy or --neighbours FILE, or give the checkpoint of "
                f"a training for {', '.join(_PREDICTIONS)}"
            )

    def _stream(self, inputs: Iterator[Input], window: int, long: str) -> Iterator[Prediction]:
        to_example, _ = _PREDICTIONS[self.format]

        def with_example(number: int, value: Input) -> tuple[Input, Any]:
            try:
                return value, to_example(str(number), value)
            except InputError as error:
                raise InputError(f"inputs[{number}]: {error}") from None

        for held in _windows(inputs, window, with_example):
            yield from self._window(held, long)

    def _window(self, held: Sequence[tuple[Input, Any]], long: str) -> list[Prediction]:
        """Predict for the inputs of one window, each with its example."""
        examples = [example for _, example in held]
        model_inputs, truncated = self._encode(examples, long)
        how = _TAG_SCORES if self.format == "token_classification" else task_format(self.format)
        outputs = predict_inputs(self.network, "head", how, model_inputs, self.tokenizer, self.runtime)
        outputs_of: list[Outputs] = [[] for _ in examples]
        for model_input, output in zip(model_inputs, outputs, strict=True):
            outputs_of[model_input.example].append((model_input, output))
        rows = zip(held, outputs_of, truncated, strict=True)
        return [self._prediction(value, example, parts, cut) for (value, example), parts, cut in rows]

    def _prediction(self, value: Input, example: Any, parts: Outputs, truncated: bool) -> Prediction:
        how, (_, to_prediction) = task_format(self.format), _PREDICTIONS[self.format]
        alone = [(ModelInput(0, part.sequences, part.target, part.places), output) for part, output in parts]
        if self.format == "classification" and len(alone) > 1:
            alone = [(alone[0][0], _averaged([output for _, output in alone]))]
        tags = self.format == "token_classification"
        outputs = [output[0] if tags else output for _, output in alone]
        numbers = [[int(number) for number in output] for output in outputs] if tags else outputs
        (line,) = how.decode(numbers, [part for part, _ in alone], [example], self.labels)
        prediction = to_prediction(self, value, example, line, alone)
        return prediction | {"windows": len(parts), "truncated": truncated}

    def _encode(self, examples: Sequence[Any], long: str) -> tuple[list[ModelInput], list[bool]]:
        """Encode examples; return model inputs, and of each example whether something of it was left out."""
        if self.format == "classification":
            return self._encode_texts(examples, long == "windows")
        how, cut = task_format(self.format), Counter[str]()
        model_inputs = how.encode(examples, self.tokenizer, self.max_length, self.labels, cut)
        truncated = [False] * len(examples)
        if _left_out(cut):
            for number, example in enumerate(examples):
                cut = Counter()
                how.encode([example], self.tokenizer, self.max_length, self.labels, cut)
                truncated[number] = _left_out(cut)
        if self.format == "token_classification":
            for number in self._cut_words(model_inputs, examples):
                truncated[number] = True
        return model_inputs, truncated

    def _cut_words(self, model_inputs: Sequence[ModelInput], examples: Sequence[TaggingExample]) -> Iterator[int]:
        """Yield the examples with a word of more tokens than a sequence has room for: such a word has a part alone."""
        room = self.tokenizer.room(self.max_length, pair=False)
        for part in model_inputs:
            if len(part.places) == 2 and part.length == self.max_length:
                word = examples[part.example].tokens[part.places[0]]
                if len(self.tokenizer.words([[word]])[0][0]) > room:
                    yield part.example

    def _encode_texts(
        self, examples: Sequence[ClassificationExample], windows: bool
    ) -> tuple[list[ModelInput], list[bool]]:
        """Encode texts to classify: as in training where they fit, else in parts of equal length, or truncated."""
        firsts = self.tokenizer.segments([example.text_a for example in examples])
        seconds = self.tokenizer.segments([example.text_b or "" for example in examples])
        model_inputs, truncated = [], []
        target = np.array([IGNORED], dtype=np.int32)
        for number, (example, a, b) in enumerate(zip(examples, firsts, seconds, strict=True)):
            pair = example.text_b is not None
            room = self.tokenizer.room(self.max_length, pair)
            fits = len(a) + (len(b) if pair else 0) <= room
            truncated.append(not fits and not windows)
            if windows:
                parts = _parts_of_pair(a, b, room) if pair else [(part, None) for part in _parts(a, room)]
            else:
                keep_a, keep_b = longest_first(len(a), len(b), room)
                parts = [(a[:keep_a], b[:keep_b] if pair else None)]
            model_inputs += [ModelInput(number, (self.tokenizer.sequence(*part),), target) for part in parts]
        return model_inputs, truncated

    @property
    def dual_encoder(self) -> bool:
        """Whether it was trained as a dual encoder, and embeds by its pooler."""
        return "head" in self.network.heads and isinstance(self.network.heads["head"], DualEncoderHead)

    def embed(self, texts: Sequence[str], layer: int = -1) -> NDArray[np.float32]:
        """Embed texts: the mean of their tokens' hidden states, or the pooled state of a dual encoder.

        A text that is longer than `max_length` is read in parts of equal length, and its vector is the mean over the
        tokens of all of them.

        Args:
            texts: Any number of texts, in any languages.
            layer: 0 for the embedding layer, -1 for the last. Of a model that was trained as a dual encoder, -1 is its
                pooled state; the mean of its last layer is at the number of layers.

        Returns:
            One vector a text, not normalised.

        Shape:
            (texts, hidden size)
        """
        if isinstance(texts, str):
            raise InputError("embed takes a list of texts: put the one text in brackets, embed([text])")
        blocks = [block for block, _ in self.stream_vectors(texts, layer=layer)]
        return np.concatenate(blocks) if blocks else np.empty((0, self.network.width), dtype=np.float32)

    def stream_vectors(
        self, texts: Iterable[str], *, layer: int = -1, window: int = WINDOW
    ) -> Iterator[tuple[NDArray[np.float32], list[int]]]:
        """Embed any number of texts in bounded memory; arguments as of `embed` and `stream`.

        Yields:
            The vectors of a window of texts, and the number of parts in which each text was read.

        Raises:
            InputError: A text is no text, or the encoder has no such layer.

        Shape:
            (texts of the window, hidden size)
        """
        layers = self.network.depth
        if not -layers - 1 <= layer <= layers:
            raise InputError(f"layer {layer}: the encoder has layers 0 (the embeddings) to {layers}, and -1, the last")
        for held in _windows(iter(texts), window, _checked_text):
            yield self._vectors(held, layer)

    def _vectors(self, texts: Sequence[str], layer: int) -> tuple[NDArray[np.float32], list[int]]:
        room = self.tokenizer.room(self.max_length, pair=False)
        sequences = [
            tuple(self.tokenizer.sequence(part) for part in _parts(ids, room)) for ids in self.tokenizer.segments(texts)
        ]
        model_inputs = [ModelInput(number, parts) for number, parts in enumerate(sequences)]
        pooled = layer == -1 and self.dual_encoder
        form = task_format("passage_ranking" if pooled else HEADLESS)
        outputs = predict_inputs(self.network, "head", form, model_inputs, self.tokenizer, self.runtime)
        if pooled:
            outputs = [vectors.reshape(-1, 1, self.network.width) for vectors in outputs]
        vectors = [
            states[0, layer]
            if len(parts) == 1
            else np.average(states[:, layer].astype(np.float64), axis=0, weights=[len(part) for part in parts])
            for states, parts in zip(outputs, sequences, strict=True)
        ]
        return np.array(vectors, dtype=np.float32), [len(parts) for parts in sequences]


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
    with readable(folder):
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
    with readable(folder):
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        names: dict[str, str] = config.get("id2label") or {}
        return tuple(name for _, name in sorted((int(number), name) for number, name in names.items()))


# From inputs to examples.


def _text_of(value: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """Return the first of some fields that is there; InputError where it is no text."""
    name = next((name for name in names if value.get(name) is not None), None)
    if name is not None and not isinstance(value[name], str):
        raise InputError(f"expected text in {name!r}, found {value[name]!r}")
    return None if name is None else value[name]


def _required(value: Mapping[str, Any], *names: str) -> Any:
    content = next((value[name] for name in names if value.get(name) is not None), None)
    if content is None:
        raise InputError(f"an input has no {' or '.join(repr(name) for name in names)}: it has {', '.join(value)}")
    return content


def _required_text(value: Mapping[str, Any], *names: str) -> str:
    _required(value, *names)
    return cast(str, _text_of(value, names))


def _texts(value: Any, what: str) -> tuple[str, ...]:
    """Return a list of texts; InputError for anything else, a text among them, which is no list of its letters."""
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(each, str) for each in value):
        raise InputError(f"expected a list of {what}, each a text, found {value!r}")
    return tuple(value)


def _fields(value: Input, needed: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"expected an input such as {needed}, not {value!r}")
    return value


def _classification(id: str, value: Input) -> Example:
    if isinstance(value, str):
        return ClassificationExample(id, value, None, None)
    if isinstance(value, Mapping):
        return ClassificationExample(id, _required_text(value, *FIRST), _text_of(value, SECOND), None)
    if not isinstance(value, Sequence) or len(value) != 2 or not all(isinstance(text, str) for text in value):
        length = f", not {len(value)}" if isinstance(value, Sequence) else ""
        raise InputError(f"expected a text or a pair of texts{length}: {value!r}")
    return ClassificationExample(id, value[0], value[1], None)


def _token_classification(id: str, value: Input) -> Example:
    words = _required(value, "tokens", "words", "text") if isinstance(value, Mapping) else value
    words = words.split() if isinstance(words, str) else _texts(words, "words")
    if not words or not all(word.strip() for word in words):
        raise InputError("an input has no words, or an empty one: give a list of words, or a text")
    return TaggingExample(id, tuple(words), ())


def _extractive_qa(id: str, value: Input) -> Example:
    fields = _fields(value, '{"question": "…", "context": "…"}')
    return QAExample(id, _required_text(fields, "context"), _required_text(fields, "question"), ())


def _multiple_choice(id: str, value: Input) -> Example:
    fields = _fields(value, '{"context": "…", "question": "…", "choices": ["…", "…"]}')
    choices = _texts(_required(fields, "choices"), "choices")
    if not choices:
        raise InputError("an input has no choices: give a list of two or more")
    context, question = _text_of(fields, ("context",)) or "", _text_of(fields, ("question",)) or ""
    return MultipleChoiceExample(id, context, question, choices, None)


def _windows(inputs: Iterator[Any], window: int, checked: Callable[[int, Any], T]) -> Iterator[list[T]]:
    """Yield inputs in lists of at most `window`, shorter where they are long.

    Where an input cannot be read or is wrong, those before it are yielded, and then its error is raised.

    Args:
        inputs: The inputs; a reader of them may raise InputError.
        window: Most inputs of a list.
        checked: From the number of an input and itself to what the list holds; raises InputError.
    """
    number, ended = 0, False
    while not ended:
        failure: InputError | None = None
        held: list[T] = []
        characters = 0
        while len(held) < window and characters < WINDOW_CHARACTERS:
            try:
                value = next(inputs)
                held.append(checked(number, value))
            except StopIteration:
                ended = True
                break
            except InputError as error:
                failure = error
                break
            number, characters = number + 1, characters + _characters(value)
        if held:
            yield held
        if failure:
            raise failure


def _checked_text(number: int, text: Any) -> str:
    if not isinstance(text, str):
        raise InputError(f"texts[{number}]: expected a text, found {text!r}")
    return text


def _characters(value: Any) -> int:
    """Return the characters of all texts in an input."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(_characters(each) for each in value.values())
    return sum(_characters(each) for each in value) if isinstance(value, list | tuple) else 0


# Texts that are longer than a sequence.


def _parts(ids: Ids, room: int) -> list[Ids]:
    """Cut token ids into the fewest parts of at most `room`, as equal in length as can be; no ids are one part."""
    count = max(1, -(-len(ids) // room))
    bounds = [len(ids) * number // count for number in range(count + 1)]
    return [ids[start:stop] for start, stop in pairwise(bounds)]


def _parts_of_pair(a: Ids, b: Ids, room: int) -> list[tuple[Ids, Ids | None]]:
    """Cut a pair into parts that fit: the shorter text stays whole where it leaves half the room, else both are cut."""
    if len(a) + len(b) <= room:
        return [(a, b)]
    if min(len(a), len(b)) <= room // 2:
        if len(a) <= len(b):
            return [(a, part) for part in _parts(b, room - len(a))]
        return [(part, b) for part in _parts(a, room - len(b))]
    count = max(len(_parts(a, room // 2)), len(_parts(b, room // 2)))
    cuts = ([len(ids) * number // count for number in range(count + 1)] for ids in (a, b))
    of_a, of_b = cuts
    return [(a[of_a[n] : of_a[n + 1]], b[of_b[n] : of_b[n + 1]]) for n in range(count)]


def _averaged(log_probabilities: Sequence[Sequence[float]]) -> list[float]:
    """Return the mean log-probabilities of the parts of a text, normalised to probabilities that sum to 1."""
    mean = np.mean(np.asarray(log_probabilities, dtype=np.float64), axis=0)
    return [float(value) for value in mean - np.logaddexp.reduce(mean)]


def _left_out(cut: Mapping[str, int]) -> bool:
    return bool(cut.get("truncated") or cut.get("question truncated"))


@dataclass(frozen=True)
class _TagScores:
    """Token classification with the probability of each word's tag beside its number."""

    headless: bool = False

    def collate(self, inputs: Sequence[ModelInput], tokenizer: Tokenizer, random: Any = None) -> Batch:
        return token_classification.collate(inputs, tokenizer, random)

    def predict(self, network: Network, head: str, batch: Batch, inputs: Sequence[ModelInput]) -> list[Any]:
        """Compute the best tag's number and its probability for each word, (2, words) for each input."""
        logits = network(head, batch.ids, batch.mask, batch.packing, batch.languages)
        best = logits.argmax(-1, keepdim=True)
        shares = torch.softmax(logits.float(), dim=-1).gather(-1, best)
        both = torch.cat([best.float(), shares], dim=-1).cpu().numpy()
        return [rows[part.places[1:]].T for rows, part in zip(both, inputs, strict=True)]


_TAG_SCORES = cast(Format, _TagScores())


# From predictions as the experiments keep them to those of `Model.predict`.

Outputs = list[tuple[ModelInput, Any]]


def _label_prediction(
    model: Model, value: Input, example: Any, line: Mapping[str, Any], outputs: Outputs
) -> Prediction:
    shares = [float(share) for share in np.exp(line["log_probabilities"])]
    probabilities = dict(zip(model.labels, shares, strict=True))
    return {
        "label": line["prediction"],
        "score": probabilities[line["prediction"]],
        "probabilities": probabilities,
    }


def _tag_prediction(model: Model, value: Input, example: Any, line: Mapping[str, Any], outputs: Outputs) -> Prediction:
    in_order = sorted(outputs, key=lambda pair: int(pair[0].places[0]))
    shares = [round(float(share), 5) for _, output in in_order for share in output[1]]
    text = value if isinstance(value, str) else None
    if isinstance(value, Mapping):
        given = _required(value, "tokens", "words", "text")
        text = given if isinstance(given, str) else None
    prediction: Prediction = {"tokens": list(example.tokens), "tags": list(line["prediction"]), "scores": shares}
    return prediction if text is None else prediction | {"offsets": [list(m.span()) for m in WORD.finditer(text)]}


def _answer_prediction(
    model: Model, value: Input, example: Any, line: Mapping[str, Any], outputs: Outputs
) -> Prediction:
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


def _choice_prediction(
    model: Model, value: Input, example: Any, line: Mapping[str, Any], outputs: Outputs
) -> Prediction:
    index, probabilities = line["prediction"], [float(share) for share in np.exp(line["log_probabilities"])]
    return {
        "index": index,
        "choice": example.choices[index],
        "score": probabilities[index],
        "probabilities": probabilities,
    }


_PREDICTIONS: dict[
    str, tuple[Callable[[str, Input], Example], Callable[[Model, Input, Any, Mapping[str, Any], Outputs], Prediction]]
] = {
    "classification": (_classification, _label_prediction),
    "token_classification": (_token_classification, _tag_prediction),
    "extractive_qa": (_extractive_qa, _answer_prediction),
    "multiple_choice": (_multiple_choice, _choice_prediction),
}
