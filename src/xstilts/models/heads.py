"""Heads: the small layers between an encoder's states and a task's logits, one per task format and family.

A saved head loads with the class that transformers ships (AutoModelFor...) and gives the same logits, wherever a class
is shipped that reads the encoder's own outputs. Each head is a row of the table `HEADS`: what is pooled, which layers
follow, and under which names they are stored. Where nothing usable is shipped, the row says why, and the head is stored
under names of this package beside a backbone that AutoModel still loads.

>>> head_row("xlm-roberta", "classification").output
'classifier.out_proj'
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from xstilts.errors import InputError
from xstilts.models.encoder import read_tensors
from xstilts.models.families import family_of
from xstilts.models.network import Network
from xstilts.models.pooling import CONFIGURABLE, FAMILY, chosen_pooling
from xstilts.store.names import format_in_keys

AUTO: dict[str, str] = {
    "classification": "AutoModelForSequenceClassification",
    "multiple_choice": "AutoModelForMultipleChoice",
    "token_classification": "AutoModelForTokenClassification",
    "extractive_qa": "AutoModelForQuestionAnswering",
    "masked_lm": "AutoModelForMaskedLM",
}
LABELLED = ("classification", "token_classification")
MASKED_LM = "masked_lm"
SEQUENCE = ("classification", "multiple_choice")  # one state of a sequence is classified
HEADLESS = "bitext_retrieval"  # the format by which a bare encoder is loaded and served
POOLINGS = ("each", "first", "last", "mean", "late")
FIRST_SCALE = 100.0  # of a dual encoder's similarities, before it is learned
SCALE = "logit_scale"  # stored name


@dataclass(frozen=True)
class HeadSpec:
    """A head: pool, dropout, dense, activation, norm, dropout, output. A value "@x" is read from the configuration.

    Args:
        output: Stored name of the output layer.
        pool: "each" token, the "first" or "last", their "mean", or "late" (the mean of the logits).
        dense: Stored name of the dense layer; "": there is none.
        dense_bias: Whether it has a bias.
        dense_width: Its width; "": that of the states.
        activation: After the dense layer, by its name in transformers.
        norm: Stored name of the layer norm; "": there is none.
        norm_bias: Whether it has a bias.
        output_bias: Whether the output layer has a bias.
        bias: Stored name of a tied output's bias, where it is stored by itself.
        drop_in: Dropout before the dense layer: the first of these settings that the configuration has, or a number.
        drop_out: Dropout before the output layer; chosen the same way.
        untied: Whether a masked-LM output never is the input embedding matrix, as where the two differ in width.
        scaled: Whether a tied output divides states by the root of their width.
        settings: Set in the configuration of a saved folder.
        own: Why no shipped class fits; "": one does.
    """

    output: str
    pool: str = "each"
    dense: str = ""
    dense_bias: bool | str = True
    dense_width: str = ""
    activation: str = "tanh"
    norm: str = ""
    norm_bias: bool | str = True
    output_bias: bool | str = True
    bias: str = ""
    drop_in: tuple[str | float, ...] = ()
    drop_out: tuple[str | float, ...] = ()
    untied: bool = False
    scaled: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    own: str = ""


def stored_prefix(format: str) -> str:
    """Return what the stored names of a head begin with for which no usable class is shipped."""
    return f"xstilts_{format_in_keys(format)}"


def _own(format: str, reason: str, pool: str = "first", scaled: bool = False) -> HeadSpec:
    """Return the row of a head for which no usable class is shipped."""
    name = stored_prefix(format)
    drop: tuple[str | float, ...] = ("classifier_dropout", "hidden_dropout_prob", "dropout_rate", 0.1)
    if format == "masked_lm":
        return HeadSpec(
            f"{name}.out", "each", f"{name}.dense", activation="gelu", norm=f"{name}.norm", scaled=scaled, own=reason
        )
    if format in SEQUENCE:
        return HeadSpec(f"{name}.out", pool, f"{name}.dense", drop_in=drop, drop_out=drop, own=reason)
    return HeadSpec(f"{name}.out", drop_out=drop, own=reason)


_DROP = ("classifier_dropout", "hidden_dropout_prob")
_ROBERTA = {
    "classification": HeadSpec("classifier.out_proj", "first", "classifier.dense", drop_in=_DROP, drop_out=_DROP),
    "multiple_choice": HeadSpec("classifier", "first", "roberta.pooler.dense", drop_out=("hidden_dropout_prob",)),
    "token_classification": HeadSpec("classifier", drop_out=_DROP),
    "extractive_qa": HeadSpec("qa_outputs"),
    "masked_lm": HeadSpec(
        "lm_head.decoder", "each", "lm_head.dense", activation="gelu", norm="lm_head.layer_norm", bias="lm_head.bias"
    ),
}
_MODERNBERT = HeadSpec(
    "classifier",
    dense="head.dense",
    dense_bias="@classifier_bias",
    activation="@classifier_activation",
    norm="head.norm",
    norm_bias="@norm_bias",
    drop_out=("classifier_dropout",),
)
_DEBERTA = HeadSpec(
    "classifier",
    "first",
    "pooler.dense",
    activation="@pooler_hidden_act",
    drop_in=("pooler_dropout",),
    drop_out=("cls_dropout", "hidden_dropout_prob"),
)


def _pooled(model: str, *drop_out: str) -> dict[str, HeadSpec]:
    """Return the rows of BERT and RemBERT, whose dense layer is stored as the encoder's pooler.

    It is new in every phase, like all of a head: a pooler that only some intermediate tasks kept would favour these.
    """
    first = HeadSpec("classifier", "first", f"{model}.pooler.dense", drop_out=drop_out)
    return {
        "classification": first,
        "multiple_choice": first,
        "token_classification": HeadSpec("classifier", drop_out=drop_out),
        "extractive_qa": HeadSpec("qa_outputs"),
    }


_DISTILBERT = HeadSpec("classifier", "first", "pre_classifier", activation="relu", drop_out=("seq_classif_dropout",))
_T5 = {
    "classification": _own("classification", "the shipped class runs the decoder", "mean"),
    "multiple_choice": _own("multiple_choice", "no class is shipped", "mean"),
    "token_classification": HeadSpec("classifier", drop_out=("classifier_dropout",)),
    "extractive_qa": _own("extractive_qa", "the shipped class runs the decoder"),
    "masked_lm": _own("masked_lm", "no class is shipped: pretrained to fill spans with a decoder", scaled=True),
}
_CAUSAL_MLM = _own("masked_lm", "only a causal language model is shipped")
HEADS: dict[str, dict[str, HeadSpec]] = {
    "xlm-roberta": _ROBERTA,
    "xlm-roberta-xl": _ROBERTA,
    "roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "xmod": _ROBERTA,
    "bert": {
        **_pooled("bert", *_DROP),
        "masked_lm": HeadSpec(
            "cls.predictions.decoder",
            dense="cls.predictions.transform.dense",
            activation="@hidden_act",
            norm="cls.predictions.transform.LayerNorm",
            bias="cls.predictions.bias",
        ),
    },
    "distilbert": {
        "classification": _DISTILBERT,
        "multiple_choice": _DISTILBERT,
        "token_classification": HeadSpec("classifier", drop_out=("dropout",)),
        "extractive_qa": HeadSpec("qa_outputs", drop_out=("qa_dropout",)),
        "masked_lm": HeadSpec(
            "vocab_projector", dense="vocab_transform", activation="@activation", norm="vocab_layer_norm"
        ),
    },
    "electra": {
        "classification": HeadSpec(
            "classifier.out_proj", "first", "classifier.dense", activation="gelu", drop_in=_DROP, drop_out=_DROP
        ),
        "multiple_choice": HeadSpec(
            "classifier",
            "@summary_type",
            "sequence_summary.summary",
            activation="@summary_activation",
            drop_out=("summary_last_dropout",),
        ),
        "token_classification": HeadSpec("classifier", drop_out=_DROP),
        "extractive_qa": HeadSpec("qa_outputs"),
        "masked_lm": HeadSpec(
            "generator_lm_head",
            dense="generator_predictions.dense",
            dense_width="@embedding_size",
            activation="gelu",
            norm="generator_predictions.LayerNorm",
        ),
    },
    "rembert": {
        **_pooled("rembert", "classifier_dropout_prob"),
        "masked_lm": HeadSpec(
            "cls.predictions.decoder",
            dense="cls.predictions.dense",
            dense_width="@output_embedding_size",
            activation="@hidden_act",
            norm="cls.predictions.LayerNorm",
            untied=True,
        ),
    },
    "modernbert": {
        "classification": replace(_MODERNBERT, pool="@classifier_pooling"),
        "multiple_choice": replace(_MODERNBERT, pool="@classifier_pooling"),
        "token_classification": _MODERNBERT,
        "extractive_qa": _MODERNBERT,
        "masked_lm": replace(_MODERNBERT, output="decoder", output_bias="@decoder_bias", drop_out=()),
    },
    "eurobert": {
        "classification": HeadSpec("classifier", "@classifier_pooling", "dense", activation="gelu"),
        "multiple_choice": _own("multiple_choice", "no class is shipped"),
        "token_classification": HeadSpec("classifier"),
        "extractive_qa": _own("extractive_qa", "no class is shipped"),
        "masked_lm": HeadSpec("lm_head", output_bias="@mlp_bias"),
    },
    "deberta-v2": {
        "classification": _DEBERTA,
        "multiple_choice": _DEBERTA,
        "token_classification": HeadSpec("classifier", drop_out=("hidden_dropout_prob",)),
        "extractive_qa": HeadSpec("qa_outputs"),
        # The published checkpoints hold this head; the shipped default (legacy) would start a new one.
        "masked_lm": HeadSpec(
            "lm_predictions.lm_head",
            dense="lm_predictions.lm_head.dense",
            activation="@hidden_act",
            norm="lm_predictions.lm_head.LayerNorm",
            settings={"legacy": False},
        ),
    },
    "mt5": _T5,
    "umt5": _T5,
    "t5": _T5,
    "qwen3": {
        "classification": HeadSpec("score", "last", output_bias=False),
        "multiple_choice": _own("multiple_choice", "no class is shipped", "last"),
        "token_classification": HeadSpec("score", drop_out=("classifier_dropout", "hidden_dropout", 0.1)),
        "extractive_qa": HeadSpec("qa_outputs"),
        "masked_lm": _CAUSAL_MLM,
    },
    "gemma3_text": {
        "classification": HeadSpec("score", "last", output_bias=False),
        "multiple_choice": _own("multiple_choice", "no class is shipped", "last"),
        "token_classification": _own("token_classification", "no class is shipped"),
        "extractive_qa": _own("extractive_qa", "no class is shipped"),
        "masked_lm": _CAUSAL_MLM,
    },
}


def head_row(model_type: str, format: str, pooling: str = FAMILY) -> HeadSpec:
    """Look up the head of a task format in a family.

    Args:
        model_type: The family, a key of `HEADS`.
        format: A format with a head.
        pooling: How a sequence is pooled, one of `pooling.CHOICES`. A shipped class pools as its family does.

    Raises:
        InputError: There is no such family or format.
    """
    if format not in AUTO:
        raise InputError(f"no head for tasks of format {format!r}; formats with a head are {', '.join(AUTO)}")
    if model_type not in HEADS:
        raise InputError(f"encoders of type {model_type!r} are not supported; use one of {', '.join(HEADS)}")
    row = HEADS[model_type][format]
    if pooling == FAMILY or format not in SEQUENCE or pooling == row.pool:
        return row
    if row.pool == "@classifier_pooling" and pooling in CONFIGURABLE:
        return row
    return _own(format, f"the shipped class does not pool by '{pooling}'", pooling)


def auto_class(model_type: str, format: str, pooling: str = FAMILY) -> str | None:
    """Name the transformers class that loads what `save` writes; None where only `load` gives the head back."""
    return None if head_row(model_type, format, pooling).own else AUTO[format]


def _row(config: Any, format: str) -> HeadSpec:
    return head_row(config.model_type, format, chosen_pooling(config))


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
    """One row of the table as layers, initialised from torch's global generator.

    Args:
        config: The encoder's configuration.
        format: The task format.
        labels: How many, for classification and token classification.
        untied: Give a masked-LM head its own output matrix instead of the input embeddings, whatever the family does.

    Raises:
        InputError: There are no labels where the format needs some, or no head for the format.
    """

    def __init__(self, config: Any, format: str, labels: int = 0, untied: bool = False) -> None:
        super().__init__()
        self.format, self.labels, self.row = format, labels, _row(config, format)
        if format in LABELLED and labels < 1:
            raise InputError(f"a {format} head for {labels} labels; give the number of labels, at least 1")
        row, width = self.row, config.hidden_size
        self.pool = _pooling(_value(config, row.pool))
        self.drop_in = nn.Dropout(_dropout(config, row.drop_in))
        narrow = _value(config, row.dense_width) or width
        self.dense = nn.Linear(width, narrow, _value(config, row.dense_bias)) if row.dense else None
        self.activation = ACT2FN[_value(config, row.activation)]
        self.norm = nn.LayerNorm(narrow, _epsilon(config), bias=_value(config, row.norm_bias)) if row.norm else None
        self.drop_out = nn.Dropout(_dropout(config, row.drop_out))
        size = {"multiple_choice": 1, "extractive_qa": 2, "masked_lm": config.vocab_size}.get(format, labels)
        bias = _value(config, row.output_bias)
        tied = format == "masked_lm" and not untied and not row.untied
        self.out = Tied(size, bias, width**-0.5 if row.scaled else 1.0) if tied else nn.Linear(narrow, size, bias)
        self.apply(lambda module: _initialise(module, getattr(config, "initializer_range", 0.02)))

    def forward(self, hidden: Tensor, mask: Tensor, table: Tensor | None = None) -> Tensor:
        """Compute logits.

        Args:
            hidden: Final states, (sequences, tokens, width).
            mask: 1 for tokens, 0 for padding, (sequences, tokens).
            table: The network's input embeddings, for a masked-LM head that is tied to them.

        Returns:
            classification: (sequences, labels); multiple_choice: (sequences, 1); token_classification: (sequences,
            tokens, labels); extractive_qa: (sequences, tokens, 2), start and end; masked_lm: (sequences, tokens,
            vocabulary).
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
        """Map the names of the head's tensors to the names in a saved file."""
        row = self.row
        layers = {"dense": row.dense, "norm": row.norm, "out": row.output}
        names = {name: f"{layers[name.split('.')[0]]}.{name.split('.')[1]}" for name in self.state_dict()}
        return names | ({"out.bias": row.bias} if row.bias and isinstance(self.out, Tied) else {})


class DualEncoderHead(nn.Module):
    """The head of a dual encoder: a tanh pooler, by which texts are compared, and a learned scale of similarities.

    What is pooled is the state that classification heads of the family pool: the first token's for BERT-like encoders.
    Where AutoModel has a pooler, it is stored as that one.

    Args:
        config: The encoder's configuration.
    """

    format, labels = HEADLESS, 0

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.shipped = "add_pooling_layer" in family_of(config).load  # AutoModel has a pooler of these names
        self.pool = _pooling(_value(config, head_row(config.model_type, "classification").pool))
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.scale = nn.Parameter(torch.full((1,), FIRST_SCALE))
        self.apply(lambda module: _initialise(module, getattr(config, "initializer_range", 0.02)))

    def forward(self, hidden: Tensor, mask: Tensor, table: Tensor | None = None) -> Tensor:
        """Compute embeddings (sequences, width), not normalised.

        Args:
            hidden: Final states, (sequences, tokens, width).
            mask: 1 for tokens, 0 for padding, (sequences, tokens).
            table: Ignored.
        """
        return torch.tanh(self.dense(pool(hidden, mask, "mean" if self.pool == "late" else self.pool)))

    def stored_names(self) -> dict[str, str]:
        """Map the names of the head's tensors to the names in a saved file."""
        pooler = "pooler.dense" if self.shipped else f"{stored_prefix(HEADLESS)}.dense"
        return {"dense.weight": f"{pooler}.weight", "dense.bias": f"{pooler}.bias", "scale": SCALE}


def attach_dual_encoder(network: Network, task: str, source: str | Path | None = None) -> DualEncoderHead:
    """Add the head of a dual encoder, with the pooler of the encoder where it has one.

    Args:
        network: Gets the head, on the device of its embeddings.
        task: The head's name.
        source: Folder or hub id that the encoder was loaded from; None: the pooler is a new one.

    Returns:
        The head, with the first scale.
    """
    head = DualEncoderHead(network.config)
    if source is not None:
        pooler = {name: there for name, there in head.stored_names().items() if name != "scale"}
        prefixes = ("", f"{network.backbone.base_model_prefix}.")  # of a bare encoder, and of one with a shipped head
        stored = read_tensors(source, [prefix + there for there in pooler.values() for prefix in prefixes])
        places = ((name, prefix + there) for name, there in pooler.items() for prefix in prefixes)
        state = {name: stored[place] for name, place in places if place in stored}
        if len(state) == len(pooler):
            head.load_state_dict(state, strict=False)
    network.heads[task] = head.to(network.embedding_matrix)
    return head


def is_dual_encoder(source: str | Path) -> bool:
    """Tell whether a folder or hub id was saved as a dual encoder."""
    return bool(read_tensors(source, [SCALE]))


def load_dual_encoder(config: Any, source: str | Path) -> DualEncoderHead | None:
    """Load the head of a dual encoder that was saved with an encoder.

    Args:
        config: The encoder's configuration.
        source: Folder or hub id.

    Returns:
        The head; None where the encoder was not trained as a dual encoder.
    """
    if not is_dual_encoder(source):
        return None
    head = DualEncoderHead(config)
    stored = read_tensors(source, head.stored_names().values())
    if missing := sorted(set(head.stored_names().values()) - set(stored)):
        raise InputError(f"{source} has {SCALE} but no {missing[0]!r}: copy the whole model again")
    head.load_state_dict({name: stored[there] for name, there in head.stored_names().items()})
    return head


def attach(network: Network, task: str, format: str, labels: int = 0, source: str | Path | None = None) -> Head:
    """Add a new head for a task to a network.

    Args:
        network: Gets the head, on the device of its embeddings.
        task: The head's name.
        format: The task format.
        labels: How many, for classification and token classification.
        source: Folder or hub id whose masked-LM head is the initial one. Such a head uses the input embedding matrix,
            unless the source has a separate output matrix.

    Returns:
        The head.
    """
    untied, stored = False, dict[str, Tensor]()
    if format == "masked_lm" and source is not None:
        untied = has_output_matrix(network.config, source)
        stored = read_tensors(source, Head(network.config, format, untied=untied).stored_names().values())
    head = Head(network.config, format, labels, untied)
    state = {name: stored[name_there] for name, name_there in head.stored_names().items() if name_there in stored}
    head.load_state_dict(state, strict=False)
    network.heads[task] = head.to(network.embedding_matrix)
    return head


def pooling_of(config: Any, format: str) -> str:
    """Return how the head of a format pools the states of a sequence, one of `POOLINGS`.

    Args:
        config: The encoder's configuration.
        format: A format with a head.
    """
    return _pooling(_value(config, _row(config, format).pool))


def has_pretrained_mlm(config: Any, source: str | Path) -> bool:
    """Tell whether a folder or hub id has the masked-LM head that its encoder was pretrained with."""
    names = Head(config, "masked_lm").stored_names().values()
    return bool(read_tensors(source, names))


def has_output_matrix(config: Any, source: str | Path) -> bool:
    name = f"{head_row(config.model_type, 'masked_lm').output}.weight"
    return not config.tie_word_embeddings and bool(read_tensors(source, [name]))


def _value(config: Any, value: Any) -> Any:
    return getattr(config, value[1:]) if isinstance(value, str) and value.startswith("@") else value


def _pooling(how: str) -> str:
    how = {"cls": "first", "bos": "first"}.get(how, how)
    if how not in POOLINGS:
        raise InputError(f"unknown classifier_pooling {how!r} in the encoder's configuration; use 'mean'")
    return how


def _dropout(config: Any, names: tuple[str | float, ...]) -> float:
    found = (getattr(config, name, None) if isinstance(name, str) else name for name in names)
    return float(next((value for value in found if value is not None), 0.0))


def _epsilon(config: Any) -> float:
    names = ("layer_norm_eps", "norm_eps", "rms_norm_eps", "layer_norm_epsilon")
    return float(next((getattr(config, name) for name in names if hasattr(config, name)), 1e-12))  # as in DistilBERT


def _initialise(module: nn.Module, deviation: float) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=deviation)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
