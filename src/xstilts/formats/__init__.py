"""Task formats: how examples become model inputs, what the loss is, and how outputs become predictions.

One module per format ("classification", "extractive_qa", ...), each with everything that is particular to it: encoding,
collating, loss, prediction, decoding, scoring, features and a few properties. Training, prediction, selection and
inference ask the format and never compare its name, so that a new format is one module here, beside the class of its
examples (`data.examples.SHAPES`), the function that reads them (`data.readers.row_to_example.EXAMPLES`) and, where it
has a head, its row in `models.heads`. A format knows no data set.

>>> task_format("classification").divisible
True
>>> task_format("multiple_choice").sequences_per_input
5
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xstilts import metrics
from xstilts.data.examples import Example, sequence_languages
from xstilts.data.languages import codes
from xstilts.models.batch import IGNORED, Batch, ModelInput
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer

States = NDArray[np.float32]
Labels = NDArray[np.int64]
Tuned = Mapping[str, Any] | None
"""What `score.json` holds of development data, on which a layer or a threshold was chosen."""

FIXED_DEPTH = 14 / 24  # the layer of XLM-R Large that the literature takes for retrieval, as a share of the depth


class Format(Protocol):
    """What every module of this package provides."""

    divisible: bool
    """Whether a batch may be cut into smaller ones: its loss is a sum over model inputs."""
    headless: bool
    """Whether the bare encoder predicts: predictions are vectors, and there is no head to train or load."""
    language_model: bool
    """Whether the head predicts tokens of the vocabulary: it comes with the encoder, is measured without training, and
    needs the whole embedding matrix."""
    trainable: bool
    """Whether there is a loss; a format without one is measured only, after training on another."""
    measured_untrained: bool
    """Whether a pretrained encoder can be measured as it is, without any target training."""
    layered: bool
    """Whether predictions are per layer, one of which is chosen on development data or by the literature's depth."""
    threshold_on_dev: bool
    """Whether a score needs a threshold chosen on the development data of the same language."""
    sequences_per_input: int
    """Sequences of a model input, at most, for estimates of memory and cost."""

    def encode(
        self,
        examples: Sequence[Any],
        tokenizer: Tokenizer,
        max_length: int,
        labels: tuple[str, ...],
        cut: Counter[str],
        query_length: int | None = None,
    ) -> list[ModelInput]:
        """Encode examples as model inputs.

        Args:
            examples: Of the class that `data.examples.SHAPES` names for the format.
            tokenizer: Cuts texts and assembles sequences.
            max_length: Most tokens of a sequence, special tokens included.
            labels: In the order of the logits; empty where the format has none.
            cut: Counts what did not fit ("truncated", "split", "windowed"); added to.
            query_length: Most tokens of a query, or of the first text of a pair that is ranked; None: `max_length`.
                Formats that have neither ignore it.

        Returns:
            Model inputs in the order of the examples, one or more for each.
        """

    def collate(
        self, inputs: Sequence[ModelInput], tokenizer: Tokenizer, random: torch.Generator | None = None
    ) -> Batch:
        """Pad model inputs into one batch on the CPU; randomness, if any, comes from the generator."""

    def loss(self, network: Network, head: str, batch: Batch) -> Tensor:
        """Compute the loss of a batch, summed over its targets.

        Args:
            network: In training or evaluation mode.
            head: Name of the network's head; where the format is headless, that of a dual encoder, if it has one.
            batch: On the network's device.

        Returns:
            A scalar. Divide by `batch.labels` for the mean.
        """

    def predict(self, network: Network, head: str, batch: Batch, inputs: Sequence[ModelInput]) -> list[Any]:
        """Compute the raw output for each model input, as plain values or arrays on the CPU."""

    def decode(
        self, answers: Sequence[Any], inputs: Sequence[ModelInput], examples: Sequence[Any], labels: tuple[str, ...]
    ) -> list[Mapping[str, Any]]:
        """Turn raw outputs into predictions about examples.

        Args:
            answers: What `predict` returned for each of `inputs`.
            inputs: The model inputs, in any order.
            examples: What the inputs were encoded from.
            labels: In the order of the logits.

        Returns:
            A line of `predictions.jsonl` for each predicted example: `id`, `prediction` and the scores behind it.
        """

    def chance(self, examples: Sequence[Any]) -> float:
        """Return the score, out of 100, of the best constant prediction."""

    def score(
        self,
        examples: Sequence[Any],
        lines: Sequence[Mapping[str, Any]],
        metric: str,
        language: str,
        tuned: Tuned = None,
    ) -> tuple[metrics.Score, dict[str, Any]]:
        """Score predictions against gold examples.

        Args:
            examples: Gold examples, whole split.
            lines: Lines of `predictions.jsonl`, read back.
            metric: A name that `metrics.metric` knows.
            language: Code of the data; of a pair, the context's comes first.
            tuned: The score of development data on which layer and threshold were chosen; None: the defaults.

        Returns:
            The score, and further fields of `score.json` (such as the layer).
        """

    def features(self, model_input: ModelInput, states: Sequence[States], pooling: str) -> tuple[States, Labels]:
        """Return labelled rows of states, from which transferability is estimated.

        Args:
            model_input: An encoded example.
            states: Final states of each of its sequences, each (tokens, width).
            pooling: How the format's head pools: "first", "last", or anything else for the mean.

        Returns:
            Rows (rows, width) and their labels (rows,); `IGNORED` where there is no label.
        """

    def decisions(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return the arg-max decisions in logits, by which two forms of a network are compared.

        Args:
            logits: As the head of the format gives them.
            mask: 1 for tokens, 0 for padding, (sequences, tokens).

        Returns:
            A flat tensor; empty where decisions are not made within a sequence.
        """


@cache
def task_format(name: str) -> Format:
    """Look up a task format: a module of this package.

    Args:
        name: Such as "classification"; a task names its format.
    """
    return cast(Format, import_module(f"xstilts.formats.{name}"))


def in_languages(
    inputs: Sequence[ModelInput], examples: Sequence[Example], languages: Sequence[str]
) -> list[ModelInput]:
    """Return model inputs with the language of each sequence, for an encoder with adapters for languages.

    Args:
        inputs: As a format encoded them.
        examples: What they were encoded from.
        languages: Code of the data that each example is from.
    """
    marked = []
    for model_input in inputs:
        of_texts = sequence_languages(examples[model_input.example], languages[model_input.example])
        count = len(model_input.sequences)
        marked.append(replace(model_input, languages=(of_texts * count)[:count]))
    return marked


def majority(labels: Sequence[Any]) -> float:
    """Return the share of the most frequent label, out of 100; None is no label."""
    counts = Counter(label for label in labels if label is not None)
    return 100 * max(counts.values(), default=0) / max(counts.total(), 1)


def score_examples(
    examples: Sequence[Any], lines: Sequence[Mapping[str, Any]], metric: str, language: str, tuned: Tuned = None
) -> tuple[metrics.Score, dict[str, Any]]:
    """Score one prediction per example: `Format.score` of formats that leave nothing to be chosen."""
    code = codes(language)[0]  # of a pair, the language of the context is that of the answers
    return metrics.metric(metric)(examples, by_id(lines, metric), language=code), {}


def by_id(lines: Sequence[Mapping[str, Any]], metric: str) -> dict[str, Any]:
    """Index predictions by example id, as a metric takes them.

    For SQuAD 2.0 the prediction is "" where the score of "no answer" exceeds that of the best span.
    """
    if metric != "squad_v2":
        return {line["id"]: line["prediction"] for line in lines}
    predictions = {}
    for line in lines:
        margin = (line["null_score"] or 0.0) - (line["score"] or 0.0)
        predictions[line["id"]] = {"answer": "" if margin > 0 else line["prediction"], "null_score": margin}
    return predictions


def at_best_layer(scores: Sequence[metrics.Score], tuned: Tuned) -> tuple[metrics.Score, dict[str, Any]]:
    """Choose one of the scores of all layers: the best layer on other data, else the one at the literature's depth.

    Args:
        scores: By layer, the embeddings first.
        tuned: The score of the other data, with its headline `by_layer`.

    Returns:
        The score, and `layer`, `fixed_layer` and `by_layer` for `score.json`.
    """
    layer, fixed = chosen_layer(len(scores), tuned), chosen_layer(len(scores), None)
    return scores[layer], {"layer": layer, "fixed_layer": fixed, "by_layer": [score.headline for score in scores]}


def chosen_layer(layers: int, tuned: Tuned) -> int:
    """Return the layer that was best on other data (the highest of equals), else the one at the literature's depth."""
    if not tuned:
        return round(FIXED_DEPTH * (layers - 1))
    headlines = tuned["by_layer"]
    return max(range(len(headlines)), key=lambda layer: (headlines[layer], layer))


def pooled_features(model_input: ModelInput, states: Sequence[States], pooling: str) -> tuple[States, Labels]:
    """Return the pooled state of each sequence: `Format.features` where a head reads one state per sequence.

    A single sequence has its target as label; of several (options), the right one has label 1 and the others 0.
    """
    target, options = int(model_input.target[0]), len(states)
    if options == 1 or target == IGNORED:
        labels = np.full(options, target)
    else:
        labels = np.asarray(np.arange(options) == target, dtype=np.int64)
    return pooled(states, pooling), labels


def paired_features(model_input: ModelInput, states: Sequence[States], pooling: str) -> tuple[States, Labels]:
    """Return the mean state of each sequence: `Format.features` of pairs, both halves labelled by the example."""
    return pooled(states, "mean"), np.full(len(states), model_input.example)


def pooled(states: Sequence[States], pooling: str) -> States:
    """Pool each sequence's states (tokens, width): its "first" or "last" token's, else the mean; (sequences, width)."""
    places = {"first": 0, "last": -1}
    return np.stack([part[places[pooling]] if pooling in places else part.mean(axis=0) for part in states])


def no_decisions(logits: Tensor, mask: Tensor) -> Tensor:
    """Return nothing: `Format.decisions` where outputs are compared across sequences, or are vectors."""
    return logits.new_empty(0, dtype=torch.long)


def decisions_by_token(logits: Tensor, mask: Tensor) -> Tensor:
    """Return the arg-max of each token that is no padding: `Format.decisions` of a label per token."""
    return logits.argmax(-1)[mask.bool()]
