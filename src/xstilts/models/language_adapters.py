"""Language adapters: the modules of X-MOD, of which every text goes through those of its own language.

Transformers asks each of the 81 adapters of a layer for its texts, one after another. Here a batch in one language, as
nearly all are, goes through one adapter alone, which also makes FLOPs, memory and ONNX files those of what is computed.
Adapters belong to pretraining: they are never trained, so that those of other languages still fit (Pfeiffer et al.
2022). A language without an adapter is read with that of the default language, and a message says so.

>>> place_of("sw", ("en_XX", "sw_KE"))
1
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from transformers.models.xmod.modeling_xmod import XmodOutput

from xstilts.runtime import progress

ENGLISH = "en"


class AdaptedOutput(XmodOutput):
    """The last part of an X-MOD layer, which runs the adapters of the languages in a batch and no others."""

    def lang_adapter(self, lang_ids: int | Tensor, hidden_states: Tensor) -> Tensor:
        """Add the output of the languages' adapters.

        Args:
            lang_ids: The number of the adapter of all texts; or of each, (sequences,) or (1, tokens).
            hidden_states: (sequences, tokens, width).

        Returns:
            (sequences, tokens, width).
        """
        residual = hidden_states
        if self.adapter_layer_norm is not None:
            hidden_states = self.adapter_layer_norm(hidden_states)
        elif self.adapter_reuse_layer_norm:
            hidden_states = self.LayerNorm(hidden_states)
        if self.ln_before_adapter:
            residual = hidden_states
        adapters = list(self.adapter_modules.values())
        if isinstance(lang_ids, int):
            change = adapters[lang_ids](hidden_states)
        else:
            change = torch.zeros_like(hidden_states)
            for number in torch.unique(lang_ids).tolist():
                own = lang_ids == number
                change[own] = adapters[number](hidden_states[own]).to(change.dtype)
        summed: Tensor = self.dropout(change) + residual
        return summed


def prepare(backbone: nn.Module, layers: Sequence[nn.Module]) -> None:
    """Let an X-MOD encoder run only the adapters of the languages in a batch, and give it a default language.

    Args:
        backbone: The encoder; without a default language in its configuration it gets English, or else its first.
        layers: Its layers.
    """
    config: Any = backbone.config
    if config.default_language is None:
        english = place_of(ENGLISH, tuple(config.languages))
        config.default_language = config.languages[english or 0]
    for layer in layers:
        output: Any = layer.output
        output.__class__ = AdaptedOutput


@cache
def place_of(code: str, languages: tuple[str, ...]) -> int | None:
    """Return which adapter a language has among those of a configuration, such as "de_DE"; None: it has none."""
    places = [place for place, name in enumerate(languages) if code in (name, name.partition("_")[0])]
    return places[0] if places else None


def chosen(
    config: Any, languages: Sequence[str], device: torch.device, lengths: Sequence[int] | None = None
) -> int | Tensor:
    """Return `lang_ids` for a batch.

    Args:
        config: The encoder's configuration.
        languages: Code of each sequence's language; empty: all are in the default language.
        device: Of the batch.
        lengths: Tokens of each sequence of a packed batch; None: the batch is padded.

    Returns:
        The number of the adapter where all sequences have the same, else that of each sequence, (sequences,), or of
        each token of a packed batch, (1, tokens).
    """
    known = tuple(config.languages)
    default = known.index(config.default_language)
    places = [_place(code, known, default) for code in languages] or [default]
    if len(set(places)) == 1:
        return places[0]
    each = torch.tensor(places)
    if lengths is not None:
        each = each.repeat_interleave(torch.tensor(lengths))[None]
    return each.to(device)


@cache
def _place(code: str, languages: tuple[str, ...], default: int) -> int:
    place = place_of(code, languages)
    if place is None:
        progress.note(
            f"the encoder has no adapter for language {code!r}: its texts are read with {languages[default]}'s"
        )
        return default
    return place
