"""Configurations of encoders, without their weights and without network access.

A local folder's own configuration comes first, then the hub's local cache, then `configs.json`: public encoders by hub
id, as their `config.json` says, so that experiments can be planned offline. Others are unknown, and nothing is guessed.
A stage has the configuration in its folder once it is built, and that of the encoder it started from before; one with
random weights has its shape's, with the vocabulary that was asked for.

>>> config_of("FacebookAI/xlm-roberta-large").num_hidden_layers
24
>>> config_of("someone/something") is None
True
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import transformers
from huggingface_hub import try_to_load_from_cache

from xstilts.errors import InputError
from xstilts.models.encoder import CONFIG as CONFIG
from xstilts.models.encoder import Encoder, readable
from xstilts.models.pooling import FAMILY, SENTENCE_TRANSFORMERS, chosen_pooling, published_pooling
from xstilts.runtime.machine import Runtime
from xstilts.store.build import is_built
from xstilts.store.identity import identity
from xstilts.store.names import FIRST_LAYERS, MODEL_FOLDER
from xstilts.store.stage import Stage, folder_of, lineage

TABLE = Path(__file__).with_name("configs.json")
LARGE_WIDTH, LARGE_LAYERS, LARGE_XLM_WIDTH = 1024, 24, 1280


def config_of(source: Encoder | str | Path, revision: str = "main") -> Any:
    """Return the configuration of an encoder, a folder or a hub id.

    Args:
        source: What is meant.
        revision: Of a hub id.

    Returns:
        A configuration of transformers; None where it is not known locally.
    """
    if isinstance(source, Encoder):
        return config_of(source.folder or source.name, source.digest)
    if Path(source).is_dir():
        return read(Path(source) / CONFIG)
    cached = try_to_load_from_cache(str(source), CONFIG, revision=revision)
    if isinstance(cached, str):
        return read(Path(cached))
    known = table().get(str(source))
    return known and of(known)


def config_before(model: Encoder | Stage, machine: Runtime) -> Any:
    """Return the configuration of the encoder of a stage, built or not.

    Returns:
        A configuration of transformers; None where neither the stage nor what it started from is known locally.
    """
    if isinstance(model, Encoder):
        return config_of(model)
    if is_built(model, machine):
        return read(folder_of(model, machine) / MODEL_FOLDER / CONFIG)
    origin, shape = model.arguments.get("encoder"), model.arguments.get("shape")
    if shape is not None:
        return configuration(shape, shape.vocabulary)
    config = config_before(origin, machine) if isinstance(origin, Encoder | Stage) else None
    if config is not None and model.work.name == FIRST_LAYERS:
        config = copy.deepcopy(config)
        keep_layers(config, range(model.arguments["layers"]))
    return config


def keep_layers(config: Any, layers: Sequence[int]) -> None:
    """Make a configuration that of an encoder with these layers alone.

    Args:
        config: The configuration, which is changed.
        layers: Numbers of the layers that are kept, from 0.
    """
    if types := getattr(config, "layer_types", None):
        config.layer_types = [types[number] for number in layers]
    config.num_hidden_layers = len(layers)


def is_large(model: Encoder | Stage) -> bool:
    """Say whether XTREME's scripts train an encoder with the hyperparameters of XLM-R Large.

    Args:
        model: The encoder; of a stage, the encoder at its beginning counts.

    Returns:
        Whether it is an XLM-R of at least 24 layers and a width of at least 1,024, or an XLM of 100 languages (width
        1,280). False where the configuration is not known.

    >>> [is_large(Encoder(f"FacebookAI/xlm-roberta-{size}", "main")) for size in ("large", "base")]
    [True, False]
    """
    *_, origin = lineage(model, "encoder")
    if isinstance(origin, Encoder):
        return _is_large(origin)
    shape = origin.arguments.get("shape")
    return shape is not None and _large(configuration(shape, shape.vocabulary))


def default_pooling(model: Encoder | Stage) -> str:
    """Return how heads on an encoder pool sequences where a recipe leaves it open, one of `pooling.CHOICES`.

    Args:
        model: The encoder; of a stage, the encoder at its beginning counts.

    Returns:
        What the configuration of a folder that this package saved says; else what sentence-transformers saved beside a
        sentence encoder, in its folder, in the hub's local cache or in `configs.json`; else "family".

    >>> default_pooling(Encoder("intfloat/multilingual-e5-small", "main"))
    'mean'
    """
    *_, origin = lineage(model, "encoder")
    return _default_pooling(origin) if isinstance(origin, Encoder) else FAMILY


@lru_cache(maxsize=64)
def _default_pooling(encoder: Encoder) -> str:
    if encoder.folder:
        saved = chosen_pooling(config_of(encoder)) if Path(encoder.folder).is_dir() else FAMILY
        return saved if saved != FAMILY else published_pooling(Path(encoder.folder) / SENTENCE_TRANSFORMERS)
    cached = try_to_load_from_cache(encoder.name, SENTENCE_TRANSFORMERS, revision=encoder.digest)
    if isinstance(cached, str):
        return published_pooling(Path(cached))
    return chosen_pooling(config_of(encoder)) if encoder.name in table() else FAMILY


@lru_cache(maxsize=64)
def _is_large(encoder: Encoder) -> bool:
    return (Path(encoder.folder).is_dir() if encoder.folder else True) and _large(config_of(encoder))


def _large(config: Any) -> bool:
    model_type = getattr(config, "model_type", "")
    if model_type == "xlm":
        return bool(config.emb_dim >= LARGE_XLM_WIDTH)
    if model_type not in ("xlm-roberta", "xlm-roberta-xl"):
        return False
    return bool(config.hidden_size >= LARGE_WIDTH and config.num_hidden_layers >= LARGE_LAYERS)


@cache
def table() -> dict[str, dict[str, Any]]:
    """Read the table of public encoders: settings by hub id."""
    found: dict[str, dict[str, Any]] = json.loads(TABLE.read_text(encoding="utf-8"))
    return found


def read(path: Path) -> Any:
    """Read a configuration file; None where there is no such file."""
    with readable(path.parent):
        return of(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def of(settings: dict[str, Any]) -> Any:
    """Make a configuration of settings; None for a model type that transformers does not have."""
    rest = dict(settings)
    model_type = rest.pop("model_type", None)
    if model_type not in transformers.CONFIG_MAPPING:
        return None
    return transformers.CONFIG_MAPPING[model_type].from_dict(rest)


@identity("Shape", always=("width", "layers", "heads", "positions", "vocabulary", "dropout"))
@dataclass(frozen=True)
class Shape:
    """The size of an XLM-R-shaped encoder; its feed-forward layers are four times as wide as the states.

    Args:
        width: Of the states.
        layers: Number of layers.
        heads: Attention heads.
        positions: Most tokens of a sequence.
        vocabulary: Tokens that a tokenizer is trained to have.
        dropout: Of states and attention.
    """

    width: int = 256
    layers: int = 6
    heads: int = 4
    positions: int = 512
    vocabulary: int = 16000
    dropout: float = 0.1

    def __post_init__(self) -> None:
        for name, most in {
            "width": 2**16,
            "layers": 2**10,
            "heads": 2**10,
            "positions": 2**20,
            "vocabulary": 2**24,
        }.items():
            if not 1 <= getattr(self, name) <= most:
                raise InputError(f"{name} must be from 1 to {most:,}, not {getattr(self, name):,}")
        if self.width % self.heads:
            raise InputError(f"{self.heads} heads do not divide a width of {self.width}: give a multiple of the heads")


def configuration(shape: Shape, vocabulary_size: int) -> Any:
    """Return the XLM-R configuration of a shape.

    Args:
        shape: Its size.
        vocabulary_size: Tokens of the tokenizer.
    """
    from transformers import XLMRobertaConfig

    return XLMRobertaConfig(
        vocab_size=vocabulary_size,
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=4 * shape.width,
        max_position_embeddings=shape.positions + 2,
        type_vocab_size=1,
        hidden_dropout_prob=shape.dropout,
        attention_probs_dropout_prob=shape.dropout,
    )
