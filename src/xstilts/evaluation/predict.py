"""Predict: a split's predictions by a trained network, as readable JSON lines that a scorer reads back.

The languages of a target are predicted one after another on one loaded network. Equal model inputs are computed once,
and the candidates that several languages are searched in are embedded once.

    lines = build(predict(model, data, "classification", max_length=128), machine) / PREDICTIONS
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from xstilts.cost import ledger
from xstilts.data.dataset import EXAMPLES
from xstilts.data.examples import Example, PassageExample
from xstilts.data.examples import read as read_examples
from xstilts.errors import InputError
from xstilts.evaluation.forward import NotFinite, forward_batches
from xstilts.evaluation.translated_predictions import predictions_back
from xstilts.formats import Format, in_languages, task_format
from xstilts.models import batching
from xstilts.models.batch import ModelInput
from xstilts.models.embedding_pruning import pruned_embeddings
from xstilts.models.encoder import Encoder, load_backbone, load_tokenizer
from xstilts.models.heads import HEADLESS, attach, has_pretrained_mlm
from xstilts.models.hf_format import load
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer
from xstilts.runtime.machine import Runtime
from xstilts.store import names
from xstilts.store.stage import BuildContext, Stage, lineage, stage

PREDICTIONS = names.PREDICTIONS_FILE
HEAD = "head"  # the name of the head of a network that is loaded to predict


def _label(
    model: Encoder | Stage,
    data: Stage,
    format: str,
    max_length: int,
    translated: Stage | None,
    query_length: int | None,
) -> str:
    return f"predict-{data.arguments['data'].label}{'-translated' if translated else ''}"


@stage(
    name=names.PREDICT,
    version=2,
    label=_label,
    renamed={"format": "kind_name"},
    encoded={"format": names.format_in_keys},
)
def predict(
    context: BuildContext,
    model: Encoder | Stage,
    data: Stage,
    format: str,
    max_length: int,
    translated: Stage | None = None,
    query_length: int | None = None,
) -> None:
    """Write `predictions.jsonl`: for each example its id, the prediction, and the scores behind it.

    Args:
        context: Where the stage is built.
        model: A trained stage, or a bare encoder where the format needs no trained head. Masked-LM is measured with
            the head that the encoder was released with, on the encoder's present weights.
        data: A stage that read a split.
        format: The task format of the split.
        max_length: Most tokens of a sequence, special tokens included; clipped to the encoder's positions.
        translated: The split in translation (`translation.stages.translated`), which is predicted instead; tags and
            answers are projected back to the words of `data`.
        query_length: Most tokens of a query, as `Format.encode` takes it.

    Raises:
        NotFinite: The encoder's states are NaN or infinite for an example.
    """
    task = task_format(format)
    source = context.path(model) / names.MODEL_FOLDER if isinstance(model, Stage) else model
    network, tokenizer, labels = _loaded(source, format, _public_encoder(model))
    max_length = network.clip_max_length(max_length)
    examples = list(read_examples(context.path(translated or data) / EXAMPLES, format))
    cut: Counter[str] = Counter()
    inputs = task.encode(examples, tokenizer.cached(context.machine), max_length, labels, cut, query_length)
    if network.family.adapters:
        inputs = in_languages(inputs, examples, [(translated or data).arguments["data"].language] * len(examples))
    queries, candidates = _split_sides(inputs, examples)
    spent = ledger.nothing()
    with (
        pruned_embeddings(network, inputs, tokenizer, keep_all=task.language_model),
        ledger.metered(spent, context.machine),
    ):
        network.to(context.machine.torch_device())
        try:
            answers = predict_inputs(network, HEAD, task, queries, tokenizer, context.machine, context.folder.stem)
            answers += _candidate_answers(network, task, candidates, tokenizer, context)
        except NotFinite as error:
            raise NotFinite(error.number, error.layer, error.depth, examples[error.number].id) from None
    lines = task.decode(answers, queries + candidates, examples, labels)
    if translated:
        originals = list(read_examples(context.path(data) / EXAMPLES, format))
        lines, lost = predictions_back(lines, answers, queries, originals, examples, context.path(translated))
        context.record["projected_back"] = {"examples": len(lines), "unaligned": lost}
    with (context.folder / PREDICTIONS).open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    sequences = sum(len(model_input.sequences) for model_input in inputs)
    context.record |= {"examples": len(examples), "sequences": sequences, "cut": dict(cut), "max_length": max_length}
    context.record["cost"] = ledger.ledger(spent, network, context.machine)


def _split_sides(inputs: list[ModelInput], examples: Sequence[Example]) -> tuple[list[ModelInput], list[ModelInput]]:
    """Separate inputs of queries from those of candidates; where nothing is searched, all are queries."""
    sides: tuple[list[ModelInput], list[ModelInput]] = ([], [])
    for model_input in inputs:
        example = examples[model_input.example]
        sides[isinstance(example, PassageExample) and example.side == "candidate"].append(model_input)
    return sides


_last: list[Any] = [None, "", []]  # the network, the digest of its last candidates, and their answers


def _candidate_answers(
    network: Network, format: Format, inputs: list[ModelInput], tokenizer: Tokenizer, context: BuildContext
) -> list[Any]:
    """Return the answers for candidates, kept from the last call where network and candidates are the same.

    Every language of a ranking task is searched in the same candidates.
    """
    digest = hashlib.sha256()
    for model_input in inputs:
        for sequence in model_input.sequences:
            digest.update(len(sequence).to_bytes(4, "little") + sequence.tobytes())
    if not (_last[0] is network and _last[1] == digest.hexdigest()):
        label = f"{context.folder.stem} candidates"
        answers = predict_inputs(network, HEAD, format, inputs, tokenizer, context.machine, label)
        _last[:] = [network, digest.hexdigest(), answers]
    return list(_last[2])


def predict_inputs(
    network: Network,
    head: str,
    format: Format,
    inputs: Sequence[ModelInput],
    tokenizer: Tokenizer,
    machine: Runtime,
    label: str = "",
) -> list[Any]:
    """Compute the network's raw output for each model input; equal ones are computed once.

    Of a headless format, whose outputs are embeddings, that holds for each sequence of an input.

    Args:
        network: On the device of `machine`.
        head: The name of the head.
        format: What the inputs were encoded by.
        inputs: Model inputs, in any order.
        tokenizer: Pads (and masks) batches.
        machine: Device, arithmetic and most tokens of a pass.
        label: Shown as progress; "": none.

    Returns:
        What `format.predict` gives, in the order of the inputs.

    Raises:
        NotFinite: The encoder's states are NaN or infinite; `number` is that of the input's example.
    """
    parts = [_sequences(model_input) if format.headless else [model_input] for model_input in inputs]
    distinct = {_content(part): part for sequences in parts for part in sequences}
    different = list(distinct.values())
    try:
        outputs = _outputs(network, head, format, different, tokenizer, machine, label)
    except NotFinite as error:
        raise NotFinite(different[error.number].example, error.layer, error.depth) from None
    by_content = dict(zip(distinct, outputs, strict=True))
    answers = ([by_content[_content(part)] for part in sequences] for sequences in parts)
    return [arrays[0] if len(arrays) == 1 else np.concatenate(arrays) for arrays in answers]


def _sequences(model_input: ModelInput) -> list[ModelInput]:
    """Split a model input into one for each of its sequences."""
    languages = model_input.languages or ("",) * len(model_input.sequences)
    return [
        replace(model_input, sequences=(sequence,), languages=(language,) if language else ())
        for sequence, language in zip(model_input.sequences, languages, strict=True)
    ]


def _content(model_input: ModelInput) -> tuple[bytes | str, ...]:
    """Return all of a model input that its output depends on."""
    ids = (sequence.tobytes() for sequence in model_input.sequences)
    return (*ids, model_input.places.tobytes(), *model_input.languages)


def _outputs(
    network: Network,
    head: str,
    format: Format,
    inputs: Sequence[ModelInput],
    tokenizer: Tokenizer,
    machine: Runtime,
    label: str,
) -> list[Any]:
    """Compute the raw output for each of several different model inputs."""
    packed = batching.should_pack(network, machine)
    random = torch.Generator().manual_seed(1)  # masked-LM masks the same tokens each time
    outputs: list[Any] = [None] * len(inputs)
    for numbers, answers in forward_batches(
        network,
        inputs,
        lambda chosen: format.collate(chosen, tokenizer, random),
        lambda batch, chosen: format.predict(network, head, batch, chosen),
        machine,
        max_tokens=batching.max_tokens_per_batch(inputs, packed, machine),
        packed=packed,
        head=head,
        label=label,
    ):
        for number, answer in zip(numbers, answers, strict=True):
            if not np.isfinite(np.asarray(answer, dtype=np.float64)).all():
                # With finite states it is the head that is wrong.
                raise NotFinite(number, network.depth + 1, network.depth)
            outputs[number] = answer
    return outputs


def _public_encoder(model: Encoder | Stage) -> Encoder | None:
    """Return the public encoder that a model was trained from; None where its own training was on masked-LM alone."""
    if isinstance(model, Stage):
        formats = [training_set.format for training_set in model.arguments.get("training_sets", ())]
        if len(formats) == 1 and task_format(formats[0]).language_model:
            return None
    *_, origin = lineage(model, "encoder")
    return origin if isinstance(origin, Encoder) else None


@lru_cache(maxsize=1)
def _loaded(source: Path | Encoder, format: str, origin: Encoder | None) -> tuple[Network, Tokenizer, tuple[str, ...]]:
    """Load a network with its head, its tokenizer and its labels; the last one loaded is kept."""
    folder = source.location if isinstance(source, Encoder) else source
    labels: tuple[str, ...] = ()
    if task_format(format).headless:
        network, tokenizer, _ = load(folder, HEADLESS)
    elif task_format(format).language_model and origin:
        # A training replaces the head, so the released one is measured, on the trained weights.
        network, tokenizer = Network(load_backbone(folder)), load_tokenizer(folder)
        if not has_pretrained_mlm(network.config, origin.location):
            raise InputError(f"{origin.name} comes without a masked-LM head, so it cannot be measured: leave it out")
        attach(network, HEAD, format, source=origin.location)
    else:
        network, tokenizer, labels = load(Path(folder), format)
    return network.eval(), Tokenizer.of(tokenizer), labels
