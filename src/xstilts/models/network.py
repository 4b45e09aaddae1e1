"""Network: a bare encoder with one small head per task.

What differs between families of encoders, heads apart, is one row of `families.FAMILIES`.

    network = Network(load_backbone("FacebookAI/xlm-roberta-base"))
    attach(network, "xnli", "classification", labels=3)
    logits = network("xnli", batch.ids, batch.mask)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from xstilts.models import language_adapters
from xstilts.models.families import Family, family_of
from xstilts.models.packed_attention import PackedLayout, packed_forward


class Heads(nn.ModuleDict):
    """Heads by task. A task may have a name that torch refuses for a module: "train", "type", or one with a dot."""

    def __getitem__(self, task: str) -> nn.Module:
        return super().__getitem__(_module_name(task))

    def __setitem__(self, task: str, head: nn.Module) -> None:
        super().__setitem__(_module_name(task), head)

    def __contains__(self, task: object) -> bool:
        return super().__contains__(_module_name(str(task)))


RESERVED = frozenset(dir(nn.ModuleDict()))


def _module_name(task: str) -> str:
    return f"task_{task.replace('.', '_')}" if task in RESERVED or "." in task else task


class Network(nn.Module):
    """A backbone and one head per task; sequences are padded on the right.

    Attributes:
        backbone: The bare encoder of transformers.
        heads: By task name.
        prefix: How many of the lowest layers are frozen together with the embeddings (`freezing.freeze`).
    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone, self.prefix = backbone, 0
        if self.family.adapters:
            language_adapters.prepare(backbone, self.layer_modules)
        self.heads = Heads()

    @property
    def config(self) -> Any:
        """The configuration of the backbone."""
        return self.backbone.config

    @property
    def family(self) -> Family:
        """The row of the backbone's model type."""
        return family_of(self.config)

    @property
    def layer_modules(self) -> list[nn.Module]:
        """The layers, the lowest first."""
        return list(self.backbone.get_submodule(self.family.layers).children())

    def train(self, mode: bool = True) -> Network:
        """Set the mode; dropout is never active in frozen lower layers, so that their states can be cached."""
        super().train(mode)
        if self.prefix:
            self.backbone.eval()
            for layer in self.layer_modules[self.prefix :]:
                layer.train(mode)
        return self

    @property
    def width(self) -> int:
        """The width of the hidden states."""
        return int(self.config.hidden_size)

    @property
    def depth(self) -> int:
        """The number of layers."""
        return int(self.config.num_hidden_layers)

    def clip_max_length(self, max_length: int) -> int:
        """Return `max_length`, or the number of positions that the encoder has, if that is less."""
        positions = getattr(getattr(self.backbone, "embeddings", None), "position_embeddings", None)
        if positions is None:
            return max_length
        return min(max_length, int(positions.num_embeddings) - self._first_position)

    @property
    def embedding_matrix(self) -> nn.Parameter:
        """The input embedding matrix (vocabulary, width)."""
        return cast(nn.Parameter, self.backbone.get_input_embeddings().weight)  # type: ignore[operator]

    def encode(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        packing: PackedLayout | None = None,
        languages: Sequence[str] = (),
    ) -> Tensor:
        """Compute the final states.

        Args:
            input_ids: (sequences, tokens).
            attention_mask: 1 for tokens, 0 for padding, (sequences, tokens).
            packing: Where the tokens lie, to compute no padding.
            languages: Code of each sequence's language, for an encoder with adapters for languages (its default
                language where there are none); other encoders do not read it.

        Returns:
            (sequences, tokens, width).
        """
        return self._run(input_ids, attention_mask, packing, languages)[-1]

    def all_hidden_states(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        packing: PackedLayout | None = None,
        languages: Sequence[str] = (),
    ) -> Tensor:
        """Compute all states, (layers + 1, sequences, tokens, width): the embeddings first, the final states last."""
        return torch.stack(self._run(input_ids, attention_mask, packing, languages, output_hidden_states=True))

    def forward(
        self,
        task: str,
        input_ids: Tensor,
        attention_mask: Tensor,
        packing: PackedLayout | None = None,
        languages: Sequence[str] = (),
    ) -> Tensor:
        """Compute the logits of one task's head, in the shape that `heads.Head.forward` gives for its format."""
        hidden = self.encode(input_ids, attention_mask, packing, languages)
        return cast(Tensor, self.heads[task](hidden, attention_mask, self.embedding_matrix))

    def _run(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        packing: PackedLayout | None,
        languages: Sequence[str],
        **options: Any,
    ) -> tuple[Tensor, ...]:
        """Return the final states, or the states of all layers."""
        options |= {**self.family.call, "return_dict": True}
        if self.family.token_types:
            types = self.token_types(input_ids)
            if attention_mask.dim() == 2:  # padding has type 0, as a tokenizer gives it
                types = types * attention_mask
            options["token_type_ids"] = types if packing is None else packing.row(types)
        if self.family.adapters:
            lengths = None if packing is None else packing.lengths
            options["lang_ids"] = language_adapters.chosen(self.config, languages, input_ids.device, lengths)
        if packing is None:
            return _states(self.backbone(input_ids=input_ids, attention_mask=attention_mask, **options))
        with packed_forward(self.backbone, packing, self._first_position) as extra:
            row = _states(self.backbone(input_ids=packing.row(input_ids), **extra, **options))
        return tuple(packing.spread(states, input_ids.shape[1]) for states in row)

    def token_types(self, input_ids: Tensor) -> Tensor:
        """Return the `token_type_ids` of sequences: 1 after the first separator, which ends the first text, 0 before.

        They follow from the ids, as no text holds a separator: its name in a text is text. So whatever runs a network,
        an ONNX file too, needs to know of ids and mask alone.

        Args:
            input_ids: (sequences, tokens).

        Returns:
            (sequences, tokens); all 0 where the encoder's tokenizer gives both texts of a pair the same type.
        """
        separator = getattr(self.backbone, "separator", None)
        if separator is None:
            return torch.zeros_like(input_ids)
        ends = (input_ids == int(separator)).long()
        types: Tensor = (ends.cumsum(1) - ends).clamp(max=1)
        return types

    @property
    def _first_position(self) -> int:
        """The number of a sequence's first position: XLM-R keeps those up to its padding's id for itself."""
        positions = getattr(getattr(self.backbone, "embeddings", None), "position_embeddings", None)
        return 0 if positions is None or positions.padding_idx is None else int(positions.padding_idx) + 1


def _states(output: Any) -> tuple[Tensor, ...]:
    """Return the states of all layers where the output has them, else the final ones."""
    return tuple(output.hidden_states) if output.hidden_states is not None else (output.last_hidden_state,)


def embedding_parameters(network: nn.Module) -> int:
    """Return how many of a network's parameters are embeddings, of tokens, positions and types; tied ones count once.

    Args:
        network: The network.

    Returns:
        The number. A multilingual encoder has most of its parameters there, where they cost no arithmetic.
    """
    tables = (module for module in network.modules() if isinstance(module, nn.Embedding))
    return sum({id(weight): weight.numel() for table in tables for weight in table.parameters()}.values())
