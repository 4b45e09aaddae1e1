"""Encoder families: what differs between model types, as one row each; heads are in `models.heads`.

>>> FAMILIES["xlm-roberta"].layers
'encoder.layer'
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from xstilts.errors import InputError


@dataclass(frozen=True)
class Family:
    """Where a model type keeps its layers and its input embeddings, and how it is loaded and called.

    Args:
        layers: Path of the module list of layers.
        embeddings: Path of the module that embeds tokens.
        auto: The class of transformers that loads the bare encoder.
        load: Further arguments of its `from_pretrained`.
        call: Further arguments of its `forward`.
        gives: What a layer returns: "states", a "pair" of states and attention, or "more" that layers above need.
        padded: Why its batches have to be padded; "": they can be packed.
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
BIASED = "its attention adds a bias by position to every pair of tokens"
FAMILIES: dict[str, Family] = {
    "xlm-roberta": Family("encoder.layer", "embeddings", load=NO_POOLER),
    "xlm-roberta-xl": Family("encoder.layer", "embeddings", load=NO_POOLER),
    "roberta": Family("encoder.layer", "embeddings", load=NO_POOLER),
    "camembert": Family("encoder.layer", "embeddings", load=NO_POOLER),
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


SEGMENTS = "it tells the two texts of a pair apart by segment ids, which are not given to encoders here"
UNSUPPORTED: dict[str, str] = {
    "bert": SEGMENTS,
    "electra": SEGMENTS,
    "rembert": SEGMENTS,
    "xlm": "it takes a language for every token",
    "xmod": "it takes a language for every text",
    "t5": "its encoder was pretrained with a decoder in English; mt5 and umt5 are supported",
    "canine": "it reads characters and has no tokenizer",
    "llama": "it is pretrained to read from left to right alone",
    "bloom": "it is pretrained to read from left to right alone",
}


def family_of(config: Any) -> Family:
    """Look up the family of a model's configuration; InputError where its type is not supported."""
    if config.model_type not in FAMILIES:
        reason = f" ({why})" if (why := UNSUPPORTED.get(config.model_type)) else ""
        raise InputError(
            f"encoders of type {config.model_type!r} are not supported{reason}; use one of {', '.join(FAMILIES)}"
        )
    return FAMILIES[config.model_type]
