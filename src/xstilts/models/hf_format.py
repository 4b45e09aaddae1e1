"""Hugging Face format: networks saved as ordinary folders of transformers, and loaded back.

What is saved loads with the class that transformers ships (AutoModelFor...) and gives the same logits, wherever
`heads` names such a class; elsewhere the head is stored under names of this package beside a backbone that AutoModel
loads. Equal weights give equal bytes.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers
from safetensors.torch import save_file
from tokenizers.processors import TemplateProcessing
from torch import Tensor

from xstilts.errors import InputError
from xstilts.models.encoder import load_backbone, load_tokenizer, read_tensors
from xstilts.models.families import FAMILIES
from xstilts.models.heads import (
    AUTO,
    HEADLESS,
    LABELLED,
    MASKED_LM,
    DualEncoderHead,
    Head,
    Tied,
    has_output_matrix,
    head_row,
    load_dual_encoder,
)
from xstilts.models.network import Network
from xstilts.models.pooling import chosen_pooling
from xstilts.models.tokenization import separator_of, special_tokens_of
from xstilts.runtime.text import counted

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MODEL = "model.safetensors"


def save(
    network: Network, task: str, format: str, labels: tuple[str, ...], tokenizer: PreTrainedTokenizerBase, folder: Path
) -> None:
    """Write the backbone and one task's head as an ordinary Hugging Face folder; equal weights give equal bytes.

    Args:
        network: With a head named `task`.
        task: Which head is saved.
        format: Its task format.
        labels: In the order of the logits; formats without labels have none.
        tokenizer: Saved beside.
        folder: Where to; it is made.

    Raises:
        InputError: The head is of another format or another number of labels.
    """
    head = network.heads[task]
    if not isinstance(head, Head) or head.format != format or (format in LABELLED and head.labels != len(labels)):
        raise InputError(
            f"task {task!r} has no {format} head for {counted(len(labels), 'label')}; save it as it was attached"
        )
    config = _config(network, format, labels)
    prefix = ""
    if not head.row.own:
        shipped = _shipped(config, format)
        config.architectures, prefix = [shipped.__name__], f"{shipped.base_model_prefix}."
        if head.pool == "last":
            config, tokenizer = _with_distinct_padding(config, tokenizer)
        if format == MASKED_LM:
            config.tie_word_embeddings = isinstance(head.out, Tied)
    config.update(head.row.settings)
    tensors = {prefix + name: tensor for name, tensor in _backbone_tensors(network).items()}
    state = head.state_dict()
    _write(tensors | {there: state[name] for name, there in head.stored_names().items()}, config, tokenizer, folder)


def save_encoder(
    network: Network, tokenizer: PreTrainedTokenizerBase, folder: Path, head: DualEncoderHead | None = None
) -> None:
    """Write the backbone; AutoModel loads it (mT5: AutoModelForTextEncoding).

    Args:
        network: The network.
        tokenizer: Saved beside.
        folder: Where to; it is made.
        head: Of a dual encoder, stored beside the backbone: AutoModel has its pooler, and passes over the scale.
    """
    tensors = _backbone_tensors(network)
    if head is not None:
        state = head.state_dict()
        tensors |= {there: state[name] for name, there in head.stored_names().items()}
    _write(tensors, _config(network, "", ()), tokenizer, folder)


def load(folder: str | Path, format: str) -> tuple[Network, PreTrainedTokenizerBase, tuple[str, ...]]:
    """Load what `save` or the shipped class wrote.

    Args:
        folder: The folder.
        format: The task format of its head; for "bitext_retrieval", which has none, a bare encoder is loaded, with the
            pooler of a dual encoder where it was trained as one.

    Returns:
        The network with its head, called "head", the tokenizer, and the labels in the order of the logits.

    Raises:
        InputError: The folder has no head of this format.
    """
    network, tokenizer = Network(load_backbone(folder)), load_tokenizer(folder)
    config = network.config
    if format == HEADLESS:
        dual_encoder = load_dual_encoder(config, folder)
        if dual_encoder is not None:
            network.heads["head"] = dual_encoder.eval()
        return network, tokenizer, ()
    head, labels = load_head(config, folder, format)
    network.heads["head"] = head.eval()
    return network, tokenizer, labels


def load_head(config: Any, folder: str | Path, format: str) -> tuple[Head, tuple[str, ...]]:
    """Load the head of a folder.

    Args:
        config: The configuration in the folder.
        folder: The folder.
        format: The task format of the head.

    Returns:
        The head, and its labels in the order of the logits.

    Raises:
        InputError: The folder has no head of this format.
    """
    labels = tuple(config.id2label[number] for number in range(config.num_labels)) if format in LABELLED else ()
    row = head_row(config.model_type, format, chosen_pooling(config))
    if not row.own and config.architectures not in (None, [_shipped(config, format).__name__]):
        raise InputError(
            f"{folder} was saved as {config.architectures}, which is not a {format} model; give another folder"
        )
    head = Head(config, format, len(labels), format == MASKED_LM and has_output_matrix(config, folder))
    stored = read_tensors(folder, head.stored_names().values())
    missing = sorted(set(head.stored_names().values()) - set(stored))
    if missing:
        raise InputError(f"{folder} has no {format} head (no tensor {missing[0]!r}); give a folder saved for {format}")
    head.load_state_dict({name: stored[there] for name, there in head.stored_names().items()})
    return head, labels


def _shipped(config: Any, format: str) -> Any:
    return getattr(transformers, AUTO[format])._model_mapping[type(config)]


def _config(network: Network, format: str, labels: tuple[str, ...]) -> Any:
    """Copy the configuration for saving, with the labels that belong to the format and no others."""
    if format in LABELLED and not len(set(labels)) == len(labels) > 0:
        raise InputError(f"labels {labels!r} are not distinct labels, which a {format} head needs; correct the list")
    config = copy.deepcopy(network.config)
    config.architectures = [type(network.backbone).__name__]
    config.num_labels = 2  # resets the names, and is what the shipped span heads need
    if format in LABELLED:
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: number for number, label in enumerate(labels)}
    config.dtype = network.embedding_matrix.dtype
    return config


def _with_distinct_padding(config: Any, tokenizer: PreTrainedTokenizerBase) -> tuple[Any, PreTrainedTokenizerBase]:
    """Make padding differ from the closing token: shipped classes find the last token by skipping padding by its id.

    Without a spare special token the configuration names no padding, and the shipped class takes one text at a time.
    """
    tokenizer = copy.deepcopy(tokenizer)
    if tokenizer.pad_token_id in (None, tokenizer.eos_token_id):
        used = {tokenizer.eos_token_id, tokenizer.bos_token_id}
        spare = [
            str(token)
            for number, token in sorted(tokenizer.added_tokens_decoder.items())
            if token.special and number not in used and number < config.vocab_size
        ]
        spare.sort(key=lambda token: "pad" not in token)
        tokenizer.pad_token = spare[0] if spare else tokenizer.pad_token
    distinct = tokenizer.pad_token_id != tokenizer.eos_token_id
    config.pad_token_id = tokenizer.pad_token_id if distinct else None
    return config, tokenizer


def _closing(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """Return a tokenizer that by itself puts the special tokens around texts (those of decoders do not close them)."""
    special = special_tokens_of(tokenizer)
    if tuple(tokenizer("a")["input_ids"][-len(special.suffix) :]) == special.suffix:
        return tokenizer
    before, between, after = (
        tokenizer.convert_ids_to_tokens(list(part)) for part in (special.prefix, special.middle, special.suffix)
    )
    ids = {str(token): tokenizer.convert_tokens_to_ids(token) for token in (*before, *between, *after)}
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=[*before, "$A", *after],
        pair=[*before, "$A", *between, "$B:1", *(f"{token}:1" for token in after)],
        special_tokens=list(ids.items()),
    )
    return tokenizer


def _typing(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """Return a tokenizer that by itself gives the token types with which its encoder was trained."""
    names = [*tokenizer.model_input_names]
    if "token_type_ids" in names or separator_of(tokenizer) is None:
        return tokenizer
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.model_input_names = tokenizer.init_kwargs["model_input_names"] = [*names, "token_type_ids"]
    return tokenizer


def _backbone_tensors(network: Network) -> dict[str, Tensor]:
    """Return every tensor of the backbone once, where two names share it under the first."""
    backbone = network.backbone
    once = {name for name, _ in backbone.named_parameters()} | {name for name, _ in backbone.named_buffers()}
    return {name: tensor for name, tensor in backbone.state_dict().items() if name in once}


def write_weights(tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Write the file of weights of a folder; equal weights give equal bytes.

    Args:
        tensors: By their stored names.
        folder: Of the model.

    Raises:
        InputError: Some weights are NaN or infinite.
    """
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    for name, value in stored.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            count = int((~torch.isfinite(value)).sum())
            raise InputError(
                f"{counted(count, 'weight')} of {name} would be written as NaN or infinite to {folder / MODEL}: check "
                "the encoder that was begun from, and the learning rates"
            )
    save_file(stored, folder / MODEL, metadata={"format": "pt"})
    (folder / MODEL).chmod(0o644)  # safetensors makes it for its owner alone


def _write(tensors: dict[str, Tensor], config: Any, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write an ordinary folder; on disk, too, a tokenizer closes texts as they were closed in training."""
    folder.mkdir(parents=True, exist_ok=True)
    write_weights(tensors, folder)
    config.save_pretrained(folder)
    tokenizer = _closing(tokenizer)
    typed = FAMILIES[config.model_type].token_types and config.type_vocab_size > 1
    (_typing(tokenizer) if typed else tokenizer).save_pretrained(folder)
