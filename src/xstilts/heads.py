"""Heads: the small layers between an encoder's states and a task's logits, one per kind of task and family.

A head is ours, yet what is saved loads with the class that transformers ships (AutoModelFor...) and gives the same
logits, wherever a class is shipped that reads the encoder's own outputs. Each head is a row of the table `HEADS`:
what is pooled, which layers follow, and under which names they are stored. Where nothing usable is shipped, the row
says why, and the head is stored under names of our own beside a backbone that AutoModel still loads.

>>> head_row("xlm-roberta", "classification").output
'classifier.out_proj'
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
import transformers
from safetensors.torch import save_file
from tokenizers.processors import TemplateProcessing
from torch import Tensor, nn
from transformers.activations import ACT2FN

from xstilts.encoder import Network, load_backbone, load_tokenizer, read_tensors, special_pieces
from xstilts.example import BadInput

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

AUTO: dict[str, str] = {
    "classification": "AutoModelForSequenceClassification",
    "choice": "AutoModelForMultipleChoice",
    "tagging": "AutoModelForTokenClassification",
    "span": "AutoModelForQuestionAnswering",
    "mlm": "AutoModelForMaskedLM",
}
LABELLED = ("classification", "tagging")
POOLINGS = ("each", "first", "last", "mean", "late")


@dataclass(frozen=True)
class Row:
    """A head: pool, drop, dense, activation, norm, drop, output. A value "@x" is read from the configuration.

    output, dense, norm: stored names of the layers. bias: that of a tied output's bias, where it stands alone. pool:
    "each" token, the "first" or "last", their "mean", or "late" (the mean of the logits). drop_in, drop_out: the
    first of these settings that the configuration has, or a number. own: why no shipped class fits ("": one does).
    """

    output: str
    pool: str = "each"
    dense: str = ""
    dense_bias: bool | str = True
    activation: str = "tanh"
    norm: str = ""
    norm_bias: bool | str = True
    output_bias: bool | str = True
    bias: str = ""
    drop_in: tuple[str | float, ...] = ()
    drop_out: tuple[str | float, ...] = ()
    scaled: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    own: str = ""


def _own(kind: str, reason: str, pool: str = "first", scaled: bool = False) -> Row:
    """Return the row of a head for which nothing usable is shipped."""
    name = f"xstilts_{kind}"
    drop: tuple[str | float, ...] = ("classifier_dropout", "hidden_dropout_prob", "dropout_rate", 0.1)
    if kind == "mlm":
        return Row(
            f"{name}.out", "each", f"{name}.dense", activation="gelu", norm=f"{name}.norm", scaled=scaled, own=reason
        )
    if kind in ("classification", "choice"):
        return Row(f"{name}.out", pool, f"{name}.dense", drop_in=drop, drop_out=drop, own=reason)
    return Row(f"{name}.out", drop_out=drop, own=reason)


_DROP = ("classifier_dropout", "hidden_dropout_prob")
_ROBERTA = {
    "classification": Row("classifier.out_proj", "first", "classifier.dense", drop_in=_DROP, drop_out=_DROP),
    "choice": Row("classifier", "first", "roberta.pooler.dense", drop_out=("hidden_dropout_prob",)),
    "tagging": Row("classifier", drop_out=_DROP),
    "span": Row("qa_outputs"),
    "mlm": Row(
        "lm_head.decoder", "each", "lm_head.dense", activation="gelu", norm="lm_head.layer_norm", bias="lm_head.bias"
    ),
}
_MODERNBERT = Row(
    "classifier",
    dense="head.dense",
    dense_bias="@classifier_bias",
    activation="@classifier_activation",
    norm="head.norm",
    norm_bias="@norm_bias",
    drop_out=("classifier_dropout",),
)
_DEBERTA = Row(
    "classifier",
    "first",
    "pooler.dense",
    activation="@pooler_hidden_act",
    drop_in=("pooler_dropout",),
    drop_out=("cls_dropout", "hidden_dropout_prob"),
)
_T5 = {
    "classification": _own("classification", "the shipped class runs the decoder", "mean"),
    "choice": _own("choice", "no class is shipped", "mean"),
    "tagging": Row("classifier", drop_out=("classifier_dropout",)),
    "span": _own("span", "the shipped class runs the decoder"),
    "mlm": _own("mlm", "no class is shipped: pretrained to fill spans with a decoder", scaled=True),
}
_CAUSAL_MLM = _own("mlm", "only a causal language model is shipped")
HEADS: dict[str, dict[str, Row]] = {
    "xlm-roberta": _ROBERTA,
    "xlm-roberta-xl": _ROBERTA,
    "modernbert": {
        "classification": replace(_MODERNBERT, pool="@classifier_pooling"),
        "choice": replace(_MODERNBERT, pool="@classifier_pooling"),
        "tagging": _MODERNBERT,
        "span": _MODERNBERT,
        "mlm": replace(_MODERNBERT, output="decoder", output_bias="@decoder_bias", drop_out=()),
    },
    "eurobert": {
        "classification": Row("classifier", "@classifier_pooling", "dense", activation="gelu"),
        "choice": _own("choice", "no class is shipped"),
        "tagging": Row("classifier"),
        "span": _own("span", "no class is shipped"),
        "mlm": Row("lm_head", output_bias="@mlp_bias"),
    },
    "deberta-v2": {
        "classification": _DEBERTA,
        "choice": _DEBERTA,
        "tagging": Row("classifier", drop_out=("hidden_dropout_prob",)),
        "span": Row("qa_outputs"),
        # The published checkpoints hold this head; the shipped default (legacy) would start a new one.
        "mlm": Row(
            "lm_predictions.lm_head",
            dense="lm_predictions.lm_head.dense",
            activation="@hidden_act",
            norm="lm_predictions.lm_head.LayerNorm",
            settings={"legacy": False},
        ),
    },
    "mt5": _T5,
    "umt5": _T5,
    "qwen3": {
        "classification": Row("score", "last", output_bias=False),
        "choice": _own("choice", "no class is shipped", "last"),
        "tagging": Row("score", drop_out=("classifier_dropout", "hidden_dropout", 0.1)),
        "span": Row("qa_outputs"),
        "mlm": _CAUSAL_MLM,
    },
    "gemma3_text": {
        "classification": Row("score", "last", output_bias=False),
        "choice": _own("choice", "no class is shipped", "last"),
        "tagging": _own("tagging", "no class is shipped"),
        "span": _own("span", "no class is shipped"),
        "mlm": _CAUSAL_MLM,
    },
}


def head_row(model_type: str, kind: str) -> Row:
    """Look up the head of a kind of task in a family."""
    if kind not in AUTO:
        raise BadInput(f"no head for tasks of kind {kind!r}; kinds with a head are {', '.join(AUTO)}")
    if model_type not in HEADS:
        raise BadInput(f"encoders of type {model_type!r} are not supported; use one of {', '.join(HEADS)}")
    return HEADS[model_type][kind]


def auto_class(model_type: str, kind: str) -> str | None:
    """Name the transformers class that loads what `save` writes; None where only `load` gives the head back."""
    return None if head_row(model_type, kind).own else AUTO[kind]


def mean_pool(hidden: Tensor, mask: Tensor) -> Tensor:
    """Average states (sequences, tokens, width) over all tokens of each sequence, special ones too."""
    total = (hidden * mask.unsqueeze(-1)).sum(1, dtype=torch.float32)
    return (total / mask.sum(1, keepdim=True)).to(hidden.dtype)


def pool(hidden: Tensor, mask: Tensor, how: str) -> Tensor:
    """Pool states (sequences, tokens, width): "first", "last", "mean"; any other word leaves each token its state."""
    if how == "first":
        return hidden[:, 0]
    if how == "last":
        return hidden[torch.arange(len(hidden), device=hidden.device), mask.sum(1) - 1]
    return mean_pool(hidden, mask) if how == "mean" else hidden


class Tied(nn.Module):
    """An output layer over the vocabulary whose weight is the input embedding matrix; only its bias is its own."""

    def __init__(self, vocabulary: int, bias: bool, scale: float) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(vocabulary)) if bias else None
        self.scale = scale

    def forward(self, hidden: Tensor, table: Tensor) -> Tensor:
        """Return logits (..., vocabulary)."""
        return nn.functional.linear(hidden * self.scale, table, self.bias)


class Head(nn.Module):
    """One row of the table as layers: fresh, from torch's global random numbers.

    labels: how many (classification and tagging). untied: give a masked-LM head an output matrix of its own.
    """

    def __init__(self, config: Any, kind: str, labels: int = 0, untied: bool = False) -> None:
        super().__init__()
        self.kind, self.labels, self.row = kind, labels, head_row(config.model_type, kind)
        if kind in LABELLED and labels < 1:
            raise BadInput(f"a {kind} head for {labels} labels; give the number of labels, at least 1")
        row, width = self.row, config.hidden_size
        self.pool = _pooling(_value(config, row.pool))
        self.drop_in = nn.Dropout(_dropout(config, row.drop_in))
        self.dense = nn.Linear(width, width, _value(config, row.dense_bias)) if row.dense else None
        self.activation = ACT2FN[_value(config, row.activation)]
        self.norm = nn.LayerNorm(width, _epsilon(config), bias=_value(config, row.norm_bias)) if row.norm else None
        self.drop_out = nn.Dropout(_dropout(config, row.drop_out))
        size = {"choice": 1, "span": 2, "mlm": config.vocab_size}.get(kind, labels)
        bias = _value(config, row.output_bias)
        tied = kind == "mlm" and not untied
        self.out = Tied(size, bias, width**-0.5 if row.scaled else 1.0) if tied else nn.Linear(width, size, bias)
        self.apply(lambda module: _initialise(module, getattr(config, "initializer_range", 0.02)))

    def forward(self, hidden: Tensor, mask: Tensor, table: Tensor | None = None) -> Tensor:
        """Map states (sequences, tokens, width) and mask (sequences, tokens) to logits.

        Classification (sequences, labels); choice (sequences, 1); tagging (sequences, tokens, labels); span
        (sequences, tokens, 2): start and end; mlm (sequences, tokens, vocabulary), where `table` is the network's.
        """
        states = self.drop_in(pool(hidden, mask, self.pool))
        if self.dense is not None:
            states = self.activation(self.dense(states))
        if self.norm is not None:
            states = self.norm(states)
        states = self.drop_out(states)
        logits = self.out(states, table) if isinstance(self.out, Tied) else self.out(states)
        return mean_pool(logits, mask) if self.pool == "late" else cast(Tensor, logits)

    def stored_names(self) -> dict[str, str]:
        """Map the names of the head's tensors to those under which they are stored."""
        row = self.row
        layers = {"dense": row.dense, "norm": row.norm, "out": row.output}
        names = {name: f"{layers[name.split('.')[0]]}.{name.split('.')[1]}" for name in self.state_dict()}
        return names | ({"out.bias": row.bias} if row.bias and isinstance(self.out, Tied) else {})


def attach(network: Network, task: str, kind: str, labels: int = 0, source: str | Path | None = None) -> Head:
    """Give a network a fresh head for a task; a masked-LM head starts from the one in the folder or hub id `source`.

    A masked-LM head uses the input embedding matrix, unless `source` holds a separate output matrix.
    """
    untied, stored = False, dict[str, Tensor]()
    if kind == "mlm" and source is not None:
        untied = _has_output_matrix(network.config, source)
        stored = read_tensors(source, Head(network.config, kind, untied=untied).stored_names().values())
    head = Head(network.config, kind, labels, untied)
    state = {name: stored[name_there] for name, name_there in head.stored_names().items() if name_there in stored}
    head.load_state_dict(state, strict=False)
    network.heads[task] = head.to(network.table)
    return head


def save(
    network: Network, task: str, kind: str, labels: tuple[str, ...], tokenizer: PreTrainedTokenizerBase, folder: Path
) -> None:
    """Write the backbone and one task's head as an ordinary Hugging Face folder; equal weights give equal bytes.

    `labels` in the order of the logits; only classification and tagging have and store any.
    """
    head = network.heads[task]
    if not isinstance(head, Head) or head.kind != kind or (kind in LABELLED and head.labels != len(labels)):
        raise BadInput(f"task {task!r} has no {kind} head for {len(labels)} labels; save it as it was attached")
    config = _config(network, kind, labels)
    prefix = ""
    if not head.row.own:
        shipped = _shipped(config, kind)
        config.architectures, prefix = [shipped.__name__], f"{shipped.base_model_prefix}."
        if head.pool == "last":
            config, tokenizer = _told_apart(config, tokenizer)
        if kind == "mlm":
            config.tie_word_embeddings = isinstance(head.out, Tied)
    config.update(head.row.settings)
    tensors = {prefix + name: tensor for name, tensor in _backbone_tensors(network).items()}
    state = head.state_dict()
    _write(tensors | {there: state[name] for name, there in head.stored_names().items()}, config, tokenizer, folder)


def save_encoder(network: Network, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write the backbone alone; AutoModel loads it (mT5: AutoModelForTextEncoding)."""
    _write(_backbone_tensors(network), _config(network, "", ()), tokenizer, folder)


def load(folder: str | Path, kind: str) -> tuple[Network, PreTrainedTokenizerBase, tuple[str, ...]]:
    """Load what `save` or the shipped class wrote: the network with its head "head", the tokenizer, the labels.

    For kind "retrieval", which has no head, a bare folder will do.
    """
    network, tokenizer = Network(load_backbone(folder)), load_tokenizer(folder)
    config = network.config
    if kind == "retrieval":
        return network, tokenizer, ()
    labels = tuple(config.id2label[number] for number in range(config.num_labels)) if kind in LABELLED else ()
    row = head_row(config.model_type, kind)
    if not row.own and config.architectures not in (None, [_shipped(config, kind).__name__]):
        raise BadInput(
            f"{folder} was saved as {config.architectures}, which is not a {kind} model; give another folder"
        )
    head = Head(config, kind, len(labels), kind == "mlm" and _has_output_matrix(config, folder))
    stored = read_tensors(folder, head.stored_names().values())
    missing = sorted(set(head.stored_names().values()) - set(stored))
    if missing:
        raise BadInput(f"{folder} has no {kind} head (no tensor {missing[0]!r}); give a folder saved for {kind}")
    head.load_state_dict({name: stored[there] for name, there in head.stored_names().items()})
    network.heads["head"] = head.eval()
    return network, tokenizer, labels


def _has_output_matrix(config: Any, source: str | Path) -> bool:
    name = f"{head_row(config.model_type, 'mlm').output}.weight"
    return not config.tie_word_embeddings and bool(read_tensors(source, [name]))


def _shipped(config: Any, kind: str) -> Any:
    return getattr(transformers, AUTO[kind])._model_mapping[type(config)]


def _config(network: Network, kind: str, labels: tuple[str, ...]) -> Any:
    """Copy the configuration for saving, with the labels that belong to the kind and no others."""
    if kind in LABELLED and not len(set(labels)) == len(labels) > 0:
        raise BadInput(f"labels {labels!r} are not distinct labels, which a {kind} head needs; correct the list")
    config = copy.deepcopy(network.config)
    config.architectures = [type(network.backbone).__name__]
    config.num_labels = 2  # resets the names, and is what the shipped span heads need
    if kind in LABELLED:
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: number for number, label in enumerate(labels)}
    config.dtype = network.table.dtype
    return config


def _told_apart(config: Any, tokenizer: PreTrainedTokenizerBase) -> tuple[Any, PreTrainedTokenizerBase]:
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
    told_apart = tokenizer.pad_token_id != tokenizer.eos_token_id
    config.pad_token_id = tokenizer.pad_token_id if told_apart else None
    return config, tokenizer


def _closing(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """Return a tokenizer that by itself puts the special pieces around texts (those of decoders do not close them)."""
    pieces = special_pieces(tokenizer)
    if tuple(tokenizer("a")["input_ids"][-len(pieces.suffix) :]) == pieces.suffix:
        return tokenizer
    before, between, after = (
        tokenizer.convert_ids_to_tokens(list(part)) for part in (pieces.prefix, pieces.middle, pieces.suffix)
    )
    special = {str(token): tokenizer.convert_tokens_to_ids(token) for token in (*before, *between, *after)}
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=[*before, "$A", *after],
        pair=[*before, "$A", *between, "$B:1", *(f"{token}:1" for token in after)],
        special_tokens=list(special.items()),
    )
    return tokenizer


def _backbone_tensors(network: Network) -> dict[str, Tensor]:
    """Return every tensor of the backbone once, where two names share it under the first."""
    backbone = network.backbone
    once = {name for name, _ in backbone.named_parameters()} | {name for name, _ in backbone.named_buffers()}
    return {name: tensor for name, tensor in backbone.state_dict().items() if name in once}


def _write(tensors: dict[str, Tensor], config: Any, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write an ordinary folder; on disk, too, a tokenizer closes texts as they were closed in training."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(plain, folder / "model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(folder)
    _closing(tokenizer).save_pretrained(folder)


def _value(config: Any, value: Any) -> Any:
    return getattr(config, value[1:]) if isinstance(value, str) and value.startswith("@") else value


def _pooling(how: str) -> str:
    how = {"cls": "first", "bos": "first"}.get(how, how)
    if how not in POOLINGS:
        raise BadInput(f"unknown classifier_pooling {how!r} in the encoder's configuration; use 'mean'")
    return how


def _dropout(config: Any, names: tuple[str | float, ...]) -> float:
    found = (getattr(config, name, None) if isinstance(name, str) else name for name in names)
    return float(next((value for value in found if value is not None), 0.0))


def _epsilon(config: Any) -> float:
    names = ("layer_norm_eps", "norm_eps", "rms_norm_eps", "layer_norm_epsilon")
    return float(next(getattr(config, name) for name in names if hasattr(config, name)))


def _initialise(module: nn.Module, deviation: float) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=deviation)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
