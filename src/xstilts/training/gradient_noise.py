"""Gradient noise: how noisy the gradient of a batch is, and so how large batches can be before they waste examples.

The simple noise scale (McCandlish et al. 2018, An Empirical Model of Large-Batch Training, appendix A.1) is the trace
of the covariance of one example's gradient over the squared norm of the mean gradient, in examples. Batches much
smaller than it gain from growing almost in proportion, batches much larger hardly at all. Both parts are estimated
without bias from the squared norms of gradients of small batches and of all of them together; dropout is off.

>>> scale = simple([4.0, 6.0], whole=3.0, batch=8)  # squared norms of two batches of 8, and of their mean
>>> (scale.signal, scale.noise)
(1.0, 32.0)
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from xstilts.models.encoder import Encoder, load_backbone, load_tokenizer
from xstilts.models.freezing import freeze
from xstilts.models.heads import attach
from xstilts.models.hf_format import load
from xstilts.models.network import Network
from xstilts.models.pooling import choose_pooling
from xstilts.models.tokenization import Tokenizer
from xstilts.store import names
from xstilts.store.stage import BuildContext, Stage, stage
from xstilts.training.recipe import Recipe
from xstilts.training.train import MODEL
from xstilts.training.training_set import EncodedTrainingSet, TrainingSet, encode_training_set

NOISE = "noise.json"
HEAD = "head"


@dataclass(frozen=True)
class Noise:
    """An estimate of the simple noise scale.

    Attributes:
        signal: Squared norm of the mean gradient.
        noise: Trace of the covariance of one example's gradient.
        scale: Their ratio, in examples; None where there is no signal.
        low: Lower end of the ratio's 95 % interval, by a jackknife over batches of its logarithm.
        high: Its upper end.
    """

    signal: float
    noise: float
    scale: float | None
    low: float | None = None
    high: float | None = None


def _label(
    model: Encoder | Stage, training_set: TrainingSet, recipe: Recipe, batches: int, batch: int, seed: int
) -> str:
    return f"noise-{training_set.task}-seed{seed}"


@stage(
    name=names.GRADIENT_NOISE,
    version=1,
    label=_label,
    renamed={"training_set": "lesson"},
    always=("batches", "batch", "seed"),
)
def gradient_noise(
    context: BuildContext,
    model: Encoder | Stage,
    training_set: TrainingSet,
    recipe: Recipe,
    batches: int = 32,
    batch: int = 8,
    seed: int = 1,
) -> None:
    """Write `noise.json`: the simple noise scale of a training set, with dropout off.

    Args:
        context: Where the stage is built.
        model: An encoder, which gets a new head, or a training on this very set, which has one.
        training_set: The training set whose examples are drawn.
        recipe: What is trained, and the maximum length.
        batches: How many batches.
        batch: Examples of each.
        seed: The seed of the draw and of a new head.
    """
    torch.manual_seed(seed)
    network, tokenizer, source = _ready(model, training_set, context)
    encoded = encode_training_set(training_set, context, tokenizer, recipe, bool(network.family.adapters))
    if not isinstance(model, Stage):
        choose_pooling(network.config, recipe.pooling)
        attach(network, HEAD, training_set.format, len(encoded.labels), source)
    freeze(network, recipe.trainable)
    network.to(context.machine.torch_device()).eval()
    order = np.random.default_rng(seed).permutation(len(encoded.inputs))[: batches * batch]
    parts = [order[at : at + batch].tolist() for at in range(0, len(order) - batch + 1, batch)]
    norms, mean_norm, others = _norms(network, encoded, parts, tokenizer, context)
    noise = jackknifed(norms, mean_norm, others, batch)
    (context.folder / NOISE).write_text(json.dumps(asdict(noise), indent=1) + "\n", encoding="utf-8")


def read(folder: Path) -> Noise:
    """Read `noise.json` from the folder of a stage."""
    return Noise(**json.loads((folder / NOISE).read_text(encoding="utf-8")))


def simple(norms: Sequence[float], whole: float, batch: int) -> Noise:
    """Estimate the noise scale from squared norms of gradients, without bias.

    Args:
        norms: The squared norm of each batch's mean gradient.
        whole: The squared norm of the mean over all batches.
        batch: Examples of a batch.

    Returns:
        The estimate without an interval; no scale where the estimated signal or noise is not above 0.
    """
    small, large = float(np.mean(norms)), batch * len(norms)
    signal = (large * whole - batch * small) / (large - batch)
    spread = (small - whole) / (1 / batch - 1 / large)
    return Noise(signal, spread, spread / signal if signal > 0 and spread > 0 else None)


def jackknifed(norms: Sequence[float], whole: float, others: Sequence[float], batch: int) -> Noise:
    """Estimate the noise scale with its 95 % interval.

    Args:
        norms: Squared norms of each batch's mean gradient.
        whole: The squared norm of the mean over all batches.
        others: The squared norms of the mean without each batch.
        batch: Examples of a batch.

    Returns:
        The estimate; its interval is by the jackknife on the logarithm of the scale, and absent where a scale is.
    """
    noise = simple(norms, whole, batch)
    without = [
        simple([*norms[:number], *norms[number + 1 :]], other, batch).scale for number, other in enumerate(others)
    ]
    if noise.scale is None or any(scale is None for scale in without):
        return noise
    logs, count = np.log(np.array(without, dtype=np.float64)), len(without)
    half = 1.96 * math.sqrt((count - 1) / count * float(((logs - logs.mean()) ** 2).sum()))
    return Noise(noise.signal, noise.noise, noise.scale, noise.scale / math.exp(half), noise.scale * math.exp(half))


def _ready(
    model: Encoder | Stage, training_set: TrainingSet, context: BuildContext
) -> tuple[Network, Tokenizer, Path | str]:
    if isinstance(model, Stage):
        network, tokenizer, _ = load(context.path(model) / MODEL, training_set.format)
        return network, Tokenizer.of(tokenizer), context.path(model) / MODEL
    source = model.location
    return Network(load_backbone(source)), Tokenizer.of(load_tokenizer(source)), source


def _norms(
    network: Network, encoded: EncodedTrainingSet, parts: list[list[int]], tokenizer: Tokenizer, context: BuildContext
) -> tuple[list[float], float, list[float]]:
    """Return the squared norms of the gradients of batches, of their mean, and of the mean without each of them.

    A part's loss is the sum over its labels by what a part has on average, so that the mean over parts is the gradient
    of the mean over labels. The norm without a part follows from scalar products: two passes hold one sum of gradients.
    """
    random = torch.Generator().manual_seed(0)
    batches = [encoded.format.collate([encoded.inputs[number] for number in part], tokenizer, random) for part in parts]
    labels = sum(batch.labels for batch in batches) / len(batches)
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]

    def gradient(number: int) -> list[Tensor]:
        network.zero_grad(set_to_none=True)
        with context.machine.arithmetic():
            loss = encoded.format.loss(network, HEAD, batches[number].to(context.machine.torch_device())) / labels
        loss.backward()  # type: ignore[no-untyped-call]
        return [_grad(parameter) for parameter in trained]

    total = [torch.zeros_like(parameter) for parameter in trained]
    norms = []
    for number in range(len(batches)):
        gradients = gradient(number)
        norms.append(_product(gradients, gradients))
        torch._foreach_add_(total, gradients)
    total_norm, count = _product(total, total), len(batches)
    # Each gradient is computed a second time: holding all of them would need as many copies of the weights.
    towards = [_product(gradient(number), total) for number in range(count)]
    others = [
        (total_norm - 2 * product + norm) / (count - 1) ** 2 for product, norm in zip(towards, norms, strict=True)
    ]
    return norms, total_norm / count**2, others


def _grad(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.detach().clone()


def _product(first: list[Tensor], second: list[Tensor]) -> float:
    return float(sum((a.double() * b.double()).sum() for a, b in zip(first, second, strict=True)))
