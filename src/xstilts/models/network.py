"""Network: a bare encoder with one small head per task, and which of its weights are trained.

What differs between families of encoders, as far as anything but their heads goes, is one row of `FAMILIES`.

>>> FAMILIES["xlm-roberta"].layers
'encoder.layer'
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn

from xstilts.models import lora
from xstilts.data.examples import BadInput
from xstilts.models.packed_attention import Packing, attending


@dataclass(frozen=True)
class Family:
    """Where a model type keeps its list of layers and its input embeddings, and how it is loaded and called.

    gives: what a layer returns: "states", a "pair" of states and attention, or "more" that the layers above it need.
    padded: why its batches have to be padded ("": they can be packed).
    """

    layers: str
    embeddings: str
    auto: str = "AutoModel"
    load: Mapping[str, Any] = field(default_factory=dict)
    call: Mapping[str, Any] = field(default_factory=dict)
    gives: str = "states"
    padded: str = ""


NO_POOLER: dict[str, Any] = {"add_pooling_layer": False}
NO_CACHE: dict[str, Any] = {"use_cache": False}
BIASED = "its attention adds a bias by position to every pair of pieces"
FAMILIES: dict[str, Family] = {
    "xlm-roberta": Family("encoder.layer", "embeddings", load=NO_POOLER),
    "xlm-roberta-xl": Family("encoder.layer", "embeddings", load=NO_POOLER),
    "modernbert": Family("layers", "embeddings"),
    "eurobert": Family("layers", "embed_tokens"),
    "deberta-v2": Family(
        "encoder.layer", "embeddings", gives="pair", padded="its attention is its own and would see other sequences"
    ),
    "mt5": Family("encoder.block", "shared", auto="AutoModelForTextEncoding", gives="more", padded=BIASED),
    "umt5": Family("encoder.block", "shared", auto="AutoModelForTextEncoding", gives="more", padded=BIASED),
    # Its shipped question-answering class alone calls the backbone "transformer".
    "qwen3": Family("layers", "embed_tokens", load={"key_mapping": {r"^transformer\.": ""}}, call=NO_CACHE),
    "gemma3_text": Family("layers", "embed_tokens", call=NO_CACHE),
}


def family_of(config: Any) -> Family:
    """Look up the row of a model's configuration."""
    if config.model_type not in FAMILIES:
        raise BadInput(f"encoders of type {config.model_type!r} are not supported; use one of {', '.join(FAMILIES)}")
    return FAMILIES[config.model_type]


class Network(nn.Module):
    """A backbone and one head per task; sequences are padded on the right.

    prefix: how many of the lowest layers are frozen together with the embeddings (`freeze`).
    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone, self.prefix = backbone, 0
        self.heads = nn.ModuleDict()

    @property
    def config(self) -> Any:
        """The configuration of the backbone."""
        return self.backbone.config

    @property
    def family(self) -> Family:
        """The row of the backbone's model type."""
        return family_of(self.config)

    @property
    def stack(self) -> list[nn.Module]:
        """The layers, the lowest first."""
        return list(self.backbone.get_submodule(self.family.layers).children())

    def train(self, mode: bool = True) -> Network:
        """Set the mode; of a backbone with a frozen prefix, only the layers above that ever drop anything out."""
        super().train(mode)
        if self.prefix:
            self.backbone.eval()
            for layer in self.stack[self.prefix :]:
                layer.train(mode)
        return self

    @property
    def width(self) -> int:
        """Numbers per token in the final states."""
        return int(self.config.hidden_size)

    @property
    def depth(self) -> int:
        """How many layers the backbone has."""
        return int(self.config.num_hidden_layers)

    def fitting(self, max_length: int) -> int:
        """Return how many of `max_length` pieces a sequence may have: fewer where the positions end before."""
        positions = getattr(getattr(self.backbone, "embeddings", None), "position_embeddings", None)
        if positions is None:
            return max_length
        return min(max_length, int(positions.num_embeddings) - self._first_position)

    @property
    def table(self) -> nn.Parameter:
        """The input embedding matrix (vocabulary, width)."""
        return cast(nn.Parameter, self.backbone.get_input_embeddings().weight)  # type: ignore[operator]

    def hidden(self, input_ids: Tensor, attention_mask: Tensor, packing: Packing | None = None) -> Tensor:
        """Return the final states (sequences, tokens, width)."""
        return self._run(input_ids, attention_mask, packing)[-1]

    def layers(self, input_ids: Tensor, attention_mask: Tensor, packing: Packing | None = None) -> Tensor:
        """Return all states (layers + 1, sequences, tokens, width): the embeddings first, the final states last."""
        return torch.stack(self._run(input_ids, attention_mask, packing, output_hidden_states=True))

    def forward(self, task: str, input_ids: Tensor, attention_mask: Tensor, packing: Packing | None = None) -> Tensor:
        """Return the logits of one task's head; with a packing, the encoder computes no padding."""
        hidden = self.hidden(input_ids, attention_mask, packing)
        return cast(Tensor, self.heads[task](hidden, attention_mask, self.table))

    def _run(
        self, input_ids: Tensor, attention_mask: Tensor, packing: Packing | None, **options: Any
    ) -> tuple[Tensor, ...]:
        """Return the final states, or the states of all layers."""
        options |= {**self.family.call, "return_dict": True}
        if packing is None:
            return _states(self.backbone(input_ids=input_ids, attention_mask=attention_mask, **options))
        with attending(self.backbone, packing, self._first_position) as told:
            row = _states(self.backbone(input_ids=packing.row(input_ids), **told, **options))
        return tuple(packing.spread(states, input_ids.shape[1]) for states in row)

    @property
    def _first_position(self) -> int:
        """The number of a sequence's first position: XLM-R keeps those up to its padding's id for itself."""
        positions = getattr(getattr(self.backbone, "embeddings", None), "position_embeddings", None)
        return 0 if positions is None or positions.padding_idx is None else int(positions.padding_idx) + 1


def _states(output: Any) -> tuple[Tensor, ...]:
    """Return the states of all layers where they were asked for, else the final ones."""
    return tuple(output.hidden_states) if output.hidden_states is not None else (output.last_hidden_state,)


LAYERS = "top:2, bottom:2, layers:0-3,8, alternate"
PARTS = f"all, head, {LAYERS}, layernorm, no-embeddings, lora:16, lora:16@top:2"


def freeze(network: Network, trained: str) -> int:
    """Let only a part of the backbone, and all heads, be trained; return how many parameters that is.

    `trained`: "all"; "gradual" (all, but one layer after the other: `thaw`); "head"; "top:2"; "bottom:2";
    "layers:0-3,8" (from 0, ends included); "alternate" (every second layer, the top one included): these from "head" on
    freeze all but the named layers, so embeddings and final norm too; "layernorm" (the parameters of all norms);
    "no-embeddings" (all but the input embeddings with their norm); "lora:16" (nothing that is there, but adapters of
    rank 16 beside it; alpha, else twice the rank, as in "lora:16:32"; in all layers, or in some as in
    "lora:16@top:2"). Adapters of an earlier call are folded in first.
    """
    lora.merge(network)
    chosen = _adapted(network, trained) if trained.startswith("lora") else part(network, trained)
    network.backbone.requires_grad_(False)
    for parameter in chosen:
        parameter.requires_grad_(True)
    network.heads.requires_grad_(True)
    network.prefix = _prefix(network)
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def _prefix(network: Network) -> int:
    """Return how many of the lowest layers are frozen; none if anything but layers is trained."""
    trained = [any(parameter.requires_grad for parameter in layer.parameters()) for layer in network.stack]
    inside = {id(parameter) for layer in network.stack for parameter in layer.parameters()}
    if any(one.requires_grad for one in network.backbone.parameters() if id(one) not in inside):
        return 0
    return trained.index(True) if any(trained) else len(trained)


def part(network: Network, trained: str) -> list[nn.Parameter]:
    """Return the parameters of the backbone that `freeze` would leave free, adapters apart."""
    backbone, family = network.backbone, family_of(network.config)
    if trained in ("all", "gradual", "head"):
        return [] if trained == "head" else list(backbone.parameters())
    if trained == "layernorm":
        norms = (module for module in backbone.modules() if "Norm" in type(module).__name__)
        return [parameter for module in norms for parameter in module.parameters(recurse=False)]
    if trained == "no-embeddings":
        embedding = {id(parameter) for parameter in backbone.get_submodule(family.embeddings).parameters()}
        return [parameter for parameter in backbone.parameters() if id(parameter) not in embedding]
    layers = network.stack
    return [parameter for number in _layer_numbers(trained, len(layers)) for parameter in layers[number].parameters()]


def _adapted(network: Network, trained: str) -> list[nn.Parameter]:
    rank, alpha, part = lora.parsed(trained)
    depth = len(network.stack)
    layers = _layer_numbers(part, depth, LAYERS) if part else range(depth)
    return lora.adapt(network, rank, alpha, layers)


def _layer_numbers(trained: str, depth: int, words: str = PARTS) -> list[int]:
    word, _, value = trained.partition(":")
    numbers: set[int] = set()
    if trained == "alternate":
        numbers = set(range(depth - 1, -1, -2))
    elif word in ("top", "bottom") and re.fullmatch(r"\d+", value):
        count = int(value)
        numbers = set(range(depth - count, depth) if word == "top" else range(count))
    elif word == "layers" and re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", value):
        for part in value.split(","):
            first, _, last = part.partition("-")
            numbers |= set(range(int(first), int(last or first) + 1))
    else:
        raise BadInput(f"unknown part to train {trained!r}; use one of {words}")
    if not numbers or not numbers <= set(range(depth)):
        raise BadInput(f"{trained!r} does not fit an encoder of {depth} layers (numbered 0 to {depth - 1})")
    return sorted(numbers)
