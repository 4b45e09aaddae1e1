"""Backends: one trained network in the forms in which it can be served, each a function from tokens to logits.

A form is a row of `VARIANTS`. One that is not possible on a machine raises InputError with the reason. int8 is
implemented here: torch's eager quantization is deprecated, and it gives a whole batch one scale, so that a sequence's
logits depend on its neighbours; here each token has its own scale.

>>> list(VARIANTS)
['fp32', 'bf16', 'int8', 'onnx', 'onnx-int8']
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from xstilts.errors import InputError
from xstilts.inference import onnx_export
from xstilts.models import hf_format
from xstilts.models.encoder import SANDBOX, tensor_files
from xstilts.models.heads import AUTO, HEADLESS, MASKED_LM, mean_pool, stored_prefix
from xstilts.models.network import Network
from xstilts.store.manifest import refuse_dropped
from xstilts.store.names import MODEL_FOLDER

ROWS = 512  # tokens that an int8 layer takes at once: what lies between two products stays in the cache
Call = Callable[[Tensor, Tensor], Tensor]


class Answering(nn.Module):
    """A network with its head as one module of ids and mask; without a head, its output is the mean final state.

    A dual encoder's output is its pooled state.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Compute logits, or embeddings (sequences, width) where there is no head."""
        if "head" in self.network.heads:
            return cast(Tensor, self.network("head", input_ids, attention_mask))
        return mean_pool(self.network.encode(input_ids, attention_mask), attention_mask)


@dataclass(frozen=True)
class Loaded:
    """A checkpoint in float32.

    Args:
        module: From ids and mask to logits.
        format: Of its head.
        longest: Most tokens of a sequence.
        pieces: Ids of ordinary tokens.
        scratch: Folder for the files that forms are served from.
    """

    module: Answering
    format: str
    longest: int
    token_ids: Tensor
    scratch: Path

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.module.network.embedding_matrix.device


@dataclass(frozen=True)
class Form:
    """A form of a network, ready to be called.

    Args:
        ask: From ids and mask, each (sequences, tokens), to logits in float32.
        weight_bytes: Of its weights.
        tensors: Those that torch holds; none of a form that is served from a file.
    """

    ask: Call
    weight_bytes: int
    tensors: Sequence[Tensor] = ()


def located(source: str | Path) -> Path:
    """Find a checkpoint's folder: as given, `model/` in the folder of a training, or the shipped encoder "sandbox".

    Raises:
        InputError: There is none, or its weights were dropped.
    """
    folder = SANDBOX if str(source) == "sandbox" else Path(source).expanduser()
    for one in (folder, folder / MODEL_FOLDER):
        if (one / "config.json").is_file():
            refuse_dropped(one)
            return one
    raise InputError(f"{source} has no config.json; give the folder of a checkpoint, or of a finished training")


def format_of(folder: Path) -> str:
    """Return the task format of a checkpoint's head; "bitext_retrieval" where there is none but that of pretraining.

    A masked-LM head predicts a token for each token, which takes more time than the encoder and is not served.

    Raises:
        InputError: The configuration is damaged.
    """
    try:
        architectures = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("architectures")
    except (ValueError, AttributeError) as error:
        raise InputError(f"{folder}/config.json is damaged ({error}); copy the folder again") from error
    stored, named = tensor_files(folder), str((architectures or [""])[0])
    own = [format for format in AUTO if any(name.startswith(f"{stored_prefix(format)}.") for name in stored)]
    shipped = [format for format, auto in AUTO.items() if named.endswith(auto.removeprefix("AutoModel"))]
    found = [*own, *shipped, HEADLESS][0]
    return HEADLESS if found == MASKED_LM else found


def load(source: str | Path, format: str | None, device: torch.device, scratch: Path) -> Loaded:
    """Load a checkpoint to be served.

    Args:
        source: As `located` takes it.
        format: The task format of its head; None: as its configuration says.
        device: Where the weights go.
        scratch: Folder for files that forms are served from.
    """
    folder = located(source)
    format = format or format_of(folder)
    network, tokenizer, _ = hf_format.load(folder, format)
    longest = network.clip_max_length(tokenizer.model_max_length)
    network.eval().requires_grad_(False).to(device)
    special = set(tokenizer.all_special_ids)
    token_ids = [
        number for number in range(min(len(tokenizer), len(network.embedding_matrix))) if number not in special
    ]
    return Loaded(Answering(network).eval(), format, int(longest), torch.tensor(token_ids), scratch)


def form(name: str, loaded: Loaded) -> Form:
    """Make a form of a checkpoint, a key of `VARIANTS`; InputError, with the reason, where that is not possible."""
    return row(name).make(loaded)


def row(name: str) -> Variant:
    """Look up a row of `VARIANTS`; InputError for an unknown name."""
    if name not in VARIANTS:
        raise InputError(f"unknown variant {name!r}; use some of {', '.join(VARIANTS)}")
    return VARIANTS[name]


@dataclass(frozen=True)
class Variant:
    """A form: a description, how it is made, and the file in the scratch folder that it is served from ("": none)."""

    says: str
    make: Callable[[Loaded], Form]
    file: str = ""


def _fp32(loaded: Loaded) -> Form:
    return _served(loaded.module)


def _bf16(loaded: Loaded) -> Form:
    """Convert the weights; buffers such as rotary frequencies stay in float32, as in transformers."""
    memo: dict[int, Any] = {
        id(one): nn.Parameter(one.to(torch.bfloat16), requires_grad=False) for one in loaded.module.parameters()
    }
    return _served(copy.deepcopy(loaded.module, memo))


def _int8(loaded: Loaded) -> Form:
    if loaded.device.type != "cpu":
        raise InputError(f"int8 layers are for CPUs; the device is {loaded.device.type}, give --device cpu")
    memo: dict[int, Any] = {id(one): one for one in loaded.module.parameters()}  # what stays as it is, is shared
    module = copy.deepcopy(loaded.module, memo)
    layers = [(name, one) for name, one in module.network.backbone.named_modules() if isinstance(one, nn.Linear)]
    for name, layer in ((name, one) for name, one in layers if one.in_features > 1):
        parent, _, last = name.rpartition(".")
        setattr(module.network.backbone.get_submodule(parent), last, Int8Linear(layer))
    return _served(module)


def _onnx(loaded: Loaded) -> Form:
    return _filed(_exported(loaded))


def _onnx_int8(loaded: Loaded) -> Form:
    path = loaded.scratch / "int8.onnx"
    if not path.exists():
        onnx_export.quantised(_exported(loaded), path)
    return _filed(path)


VARIANTS: dict[str, Variant] = {
    "fp32": Variant("torch, float32: what the others are compared with", _fp32),
    "bf16": Variant("torch, weights and arithmetic in bfloat16 (no autocast)", _bf16),
    "int8": Variant(
        "torch, the encoder's linear layers in int8, quantized as they run; embeddings and head fp32", _int8
    ),
    "onnx": Variant("ONNX Runtime, float32", _onnx, "model.onnx"),
    "onnx-int8": Variant("ONNX Runtime, all products with weights in int8; embeddings fp32", _onnx_int8, "int8.onnx"),
}


class Int8Linear(nn.Module):
    """A linear layer with int8 weights, one scale per row, whose input is quantized dynamically, one scale per token.

    Both are symmetric (no zero points); products are summed in int32, exactly.

    Args:
        layer: Whose weights are quantized.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        if layer.in_features < 2:  # torch 2.13 returns uninitialised memory for products over a single number
            raise InputError("a linear layer of one input cannot be int8; leave it as it is")
        self.in_features, self.out_features = layer.in_features, layer.out_features
        whole, scale = _rounded(layer.weight.detach())
        self.weight: Tensor
        self.scale: Tensor
        self.bias: Tensor | None
        self.register_buffer("weight", whole)  # a family may look at its type (mT5), so it has its usual name
        self.register_buffer("scale", scale.flatten())
        self.register_buffer("bias", None if layer.bias is None else layer.bias.detach())

    def forward(self, states: Tensor) -> Tensor:
        """Map states (..., in_features) to (..., out_features)."""
        rows = states.reshape(-1, self.in_features)
        found = rows.new_empty(len(rows), self.out_features)
        for some, place in zip(torch.split(rows, ROWS), torch.split(found, ROWS), strict=True):
            self._part(some, place)
        return found.reshape(*states.shape[:-1], self.out_features)

    def _part(self, rows: Tensor, place: Tensor) -> None:
        whole, scale = _rounded(rows)
        torch.mul(torch._int_mm(whole, self.weight.t()), scale, out=place).mul_(self.scale)
        if self.bias is not None:
            place.add_(self.bias)


def _rounded(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Quantize rows to -127..127; return them, int8, and their scales (rows, 1)."""
    scale = rows.abs().amax(1, keepdim=True).clamp_(min=1e-30).div_(127)
    return (rows / scale).round_().to(torch.int8), scale


def _served(module: nn.Module) -> Form:
    def ask(ids: Tensor, mask: Tensor) -> Tensor:
        with torch.inference_mode():
            return cast(Tensor, module(ids, mask)).float()

    held = [*module.parameters(), *module.buffers()]
    return Form(ask, sum(one.numel() * one.element_size() for one in held), held)


def _exported(loaded: Loaded) -> Path:
    """Return the ONNX file of a checkpoint, exported when it is first needed."""
    path = loaded.scratch / VARIANTS["onnx"].file
    if loaded.device.type != "cpu":
        raise InputError(f"ONNX files are run on the CPU here; the device is {loaded.device.type}, give --device cpu")
    if not path.exists():
        onnx_export.onnx(loaded.module, path)
    return path


def _filed(path: Path) -> Form:
    ask = onnx_export.opened(path, torch.get_num_threads())
    return Form(lambda ids, mask: torch.from_numpy(ask(ids.numpy(), mask.numpy())), onnx_export.size(path))
