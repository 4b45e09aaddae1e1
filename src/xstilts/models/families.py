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
        token_types: Whether it was pretrained on pairs whose texts differ in `token_type_ids`.
        adapters: Path, within a layer, of its adapters, one for each language; "": it has none. They are chosen by the
            language of a text and never trained.
        about: Public encoders of the family, for the page of encoders.
    """

    layers: str
    embeddings: str
    auto: str = "AutoModel"
    load: Mapping[str, Any] = field(default_factory=dict)
    call: Mapping[str, Any] = field(default_factory=dict)
    gives: str = "states"
    padded: str = ""
    token_types: bool = False
    adapters: str = ""
    about: str = ""


NO_POOLER: dict[str, Any] = {"add_pooling_layer": False}
NO_CACHE: dict[str, Any] = {"use_cache": False}
BIASED = "its attention adds a bias by position to every pair of tokens"
ALONE = "its attention is its own and would see other sequences"
FAMILIES: dict[str, Family] = {
    "xlm-roberta": Family("encoder.layer", "embeddings", load=NO_POOLER, about="XLM-R base and large, XLM-V"),
    "xlm-roberta-xl": Family("encoder.layer", "embeddings", load=NO_POOLER, about="XLM-R XL and XXL"),
    "roberta": Family("encoder.layer", "embeddings", load=NO_POOLER, about="RoBERTa and encoders of one language"),
    "camembert": Family("encoder.layer", "embeddings", load=NO_POOLER, about="CamemBERT"),
    "xmod": Family(
        "encoder.layer",
        "embeddings",
        load=NO_POOLER,
        adapters="output.adapter_modules",
        about="X-MOD, with adapters for 81 languages",
    ),
    "bert": Family(
        "encoder.layer",
        "embeddings",
        load=NO_POOLER,
        token_types=True,
        about="mBERT, LaBSE, multilingual MiniLM, multilingual e5-small",
    ),
    "distilbert": Family("transformer.layer", "embeddings", about="multilingual DistilBERT"),
    "electra": Family("encoder.layer", "embeddings", token_types=True, about="ELECTRA (its discriminator)"),
    "rembert": Family(
        "encoder.layer", "embeddings", load=NO_POOLER, gives="pair", padded=ALONE, token_types=True, about="RemBERT"
    ),
    "modernbert": Family("layers", "embeddings", about="ModernBERT, mmBERT"),
    "eurobert": Family("layers", "embed_tokens", about="EuroBERT"),
    "deberta-v2": Family("encoder.layer", "embeddings", gives="pair", padded=ALONE, about="mDeBERTa-v3"),
    "mt5": Family(
        "encoder.block", "shared", auto="AutoModelForTextEncoding", gives="more", padded=BIASED, about="mT5's encoder"
    ),
    "umt5": Family(
        "encoder.block", "shared", auto="AutoModelForTextEncoding", gives="more", padded=BIASED, about="umT5's encoder"
    ),
    "t5": Family(
        "encoder.block", "shared", auto="AutoModelForTextEncoding", gives="more", padded=BIASED, about="T5's encoder"
    ),
    # Its shipped question-answering class alone calls the backbone "transformer".
    "qwen3": Family(
        "layers", "embed_tokens", load={"key_mapping": {r"^transformer\.": ""}}, call=NO_CACHE, about="Qwen3, a decoder"
    ),
    "gemma3_text": Family("layers", "embed_tokens", call=NO_CACHE, about="the text model of Gemma 3, a decoder"),
}


UNSUPPORTED: dict[str, str] = {
    "xlm": "transformers has its tokenizer in Python alone, without the character offsets that answers are cut out by",
    "flaubert": "transformers has its tokenizer in Python alone, without character offsets",
    "gemma3": "it reads images too; save its text model (gemma3_text) by itself",
    "albert": "all its layers are one, which cannot be frozen or adapted one by one",
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
