"""Predict: what a trained network says of a split, as JSON lines that a person can read and a scorer can score.

Sequences are sorted by length and put into batches by tokens, so that next to nothing is padded. The languages of a
target follow each other on one loaded network.
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
from xstilts.formats import Format, task_format
from xstilts.models import batching
from xstilts.models.batch import ModelInput
from xstilts.models.batching import _most_tokens, length_bucketed_batches
from xstilts.models.embedding_pruning import pruned_embeddings
from xstilts.models.encoder import Encoder, load_backbone, load_tokenizer
from xstilts.models.heads import attach, has_pretrained_mlm
from xstilts.models.hf_format import load
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer
from xstilts.runtime import progress
from xstilts.runtime.machine import Runtime
from xstilts.store import names
from xstilts.store.stage import BuildContext, Stage, lineage, stage

PREDICTIONS = "predictions.jsonl"


def _label(model: Encoder | Stage, data: Stage, format: str, max_length: int) -> str:
    return f"predict-{data.arguments['data'].label}"


@stage(
    name=names.PREDICT,
    version=2,
    label=_label,
    renamed={"format": "kind_name"},
    encoded={"format": names.format_in_keys},
)
def predict(site: BuildContext, model: Encoder | Stage, data: Stage, format: str, max_length: int) -> None:
    """Write `predictions.jsonl`: for each example its id, the prediction, and the scores behind it.

    model: a trained stage, or a bare encoder where the kind needs no head. data: a stage that read a split. Masked-LM
    is asked of the head that the encoder came with, on the weights that it has now.
    """
    chosen = task_format(format)
    source = site.path(model) / "model" if isinstance(model, Stage) else model
    network, tokens, labels = _loaded(source, format, _origin(model))
    max_length = network.clip_max_length(max_length)
    examples = list(read_examples(site.path(data) / EXAMPLES, format))
    cut: Counter[str] = Counter()
    units = chosen.encode(examples, tokens.kept(site.machine), max_length, labels, cut)
    asking, there = _sides(units, examples)
    with pruned_embeddings(network, [format], units, tokens), ledger.metered(spent := ledger.nothing(), site.machine):
        network.to(site.machine.torch_device())
        found = predict_units(network, "head", chosen, asking, tokens, site.machine, site.folder.stem)
        found += _candidates(network, chosen, there, tokens, site)
    lines = chosen.decode(found, asking + there, examples, labels)
    with (site.folder / PREDICTIONS).open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    sequences = sum(len(unit.sequences) for unit in units)
    site.record |= {"examples": len(examples), "sequences": sequences, "cut": dict(cut), "max_length": max_length}
    site.record["cost"] = ledger.ledger(spent, network, site.machine)


def _sides(units: list[ModelInput], examples: Sequence[Example]) -> tuple[list[ModelInput], list[ModelInput]]:
    """Return the units that ask and those that can be found; where nothing is searched, all ask."""
    sides: tuple[list[ModelInput], list[ModelInput]] = ([], [])
    for unit in units:
        one = examples[unit.example]
        sides[isinstance(one, PassageExample) and one.side == "candidate"].append(unit)
    return sides


_last: list[Any] = [None, "", []]  # the network, the candidates' digest and their answers


def _candidates(
    network: Network, format: Format, units: list[ModelInput], tokens: Tokenizer, site: BuildContext
) -> list[Any]:
    """Return the answers to candidates; those that the same network was last asked about, as for another language,
    are not computed again.
    """
    digest = hashlib.sha256()
    for unit in units:
        for sequence in unit.sequences:
            digest.update(len(sequence).to_bytes(4, "little") + sequence.tobytes())
    if not (_last[0] is network and _last[1] == digest.hexdigest()):
        found = predict_units(network, "head", format, units, tokens, site.machine, f"{site.folder.stem} candidates")
        _last[:] = [network, digest.hexdigest(), found]
    return list(_last[2])


def predict_units(
    network: Network,
    head: str,
    format: Format,
    units: Sequence[ModelInput],
    tokens: Tokenizer,
    machine: Runtime,
    label: str = "",
) -> list[Any]:
    """Return the network's answer to each unit, in the units' order; equal ones are asked once.

    Of a kind without a head, whose answers are vectors, that goes for each sequence of a unit.
    """
    parts = [_parts(unit) if format.headless else [unit] for unit in units]
    distinct: dict[Any, ModelInput] = {_content(part): part for each in parts for part in each}
    found = dict(
        zip(distinct, _answered(network, head, format, [*distinct.values()], tokens, machine, label), strict=True)
    )
    said = ([found[_content(part)] for part in each] for each in parts)
    return [each[0] if len(each) == 1 else np.concatenate(each) for each in said]


def _parts(unit: ModelInput) -> list[ModelInput]:
    """Return a unit for each sequence of a unit."""
    return [replace(unit, sequences=(sequence,)) for sequence in unit.sequences]


def _content(unit: ModelInput) -> tuple[bytes, ...]:
    """Return what decides the answer to a unit."""
    return (*(sequence.tobytes() for sequence in unit.sequences), unit.places.tobytes())


@torch.inference_mode()
def _answered(
    network: Network,
    head: str,
    format: Format,
    units: Sequence[ModelInput],
    tokens: Tokenizer,
    machine: Runtime,
    label: str,
) -> list[Any]:
    """Return the network's answer to each unit, asked in batches of like length."""
    was_training = network.training
    network.eval()
    device = machine.torch_device()
    packs = batching.should_pack(network, machine)
    batches = length_bucketed_batches(units, _most_tokens(units, packs, machine))
    random = torch.Generator().manual_seed(1)  # masked-LM hides the same pieces each time
    found: list[Any] = [None] * len(units)
    for number, numbers in enumerate(batches, start=1):
        chosen = [units[n] for n in numbers]
        batch = format.collate(chosen, tokens, random)
        batch = batch.packed() if packs else batch
        ledger.count_forward_pass(head, batch)
        with machine.arithmetic():
            said = format.predict(network, head, batch.to(device), chosen)
        for n, answer in zip(numbers, said, strict=True):
            found[n] = answer
        if label:
            progress.step(label, number, len(batches))
    network.train(was_training)
    return found


def _origin(model: Encoder | Stage) -> Encoder | None:
    """Return the public encoder that a model was trained from; None where it was trained on masked-LM itself."""
    if isinstance(model, Stage) and [one.format for one in model.arguments.get("lessons", ())] == ["masked_lm"]:
        return None
    *_, origin = lineage(model, "encoder")
    return origin if isinstance(origin, Encoder) else None


@lru_cache(maxsize=1)
def _loaded(source: Path | Encoder, format: str, origin: Encoder | None) -> tuple[Network, Tokenizer, tuple[str, ...]]:
    """Return a network with its head, its tokens and its labels; the last one loaded stays."""
    folder = source.location if isinstance(source, Encoder) else source
    if task_format(format).headless:
        network, tokenizer = Network(load_backbone(folder)), load_tokenizer(folder)
        labels: tuple[str, ...] = ()
    elif format == "masked_lm" and origin:
        network, tokenizer, labels = Network(load_backbone(folder)), load_tokenizer(folder), ()
        if not has_pretrained_mlm(network.config, origin.location):
            raise InputError(f"{origin.name} comes without a masked-LM head, so it cannot be measured: leave it out")
        attach(network, "head", format, source=origin.location)
    else:
        network, tokenizer, labels = load(Path(folder), format)
    return network.eval(), Tokenizer.of(tokenizer), labels
