"""Sandbox encoder: the encoder that comes with the package, and the recipe that pretrains it from scratch.

Masked-LM over sentences, stories and translations in all six languages, and for a quarter of the steps translation
ranking over the parallel lines, of which distant languages have fewer. `xstilts sandbox pretrain --out DIR` takes about
half an hour on two cores and measures the result; `measured.json` has the figures of the shipped encoder.

>>> encoder_stage().label
'train-mlm+ranking-seed1'
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xstilts.data.dataset import read
from xstilts.data.examples import BitextExample, TextExample
from xstilts.evaluation.predict import predict_inputs
from xstilts.formats import task_format
from xstilts.models.configs import Shape
from xstilts.models.hf_format import load
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer
from xstilts.runtime.machine import Runtime
from xstilts.sandbox.languages import CODES, ENGLISH_LIKE
from xstilts.sandbox.tasks import examples
from xstilts.store.stage import Stage
from xstilts.tasks.base import task
from xstilts.training.pretrain import deliver, pretrain
from xstilts.training.recipe import Recipe

MEASURED = "measured.json"
SHAPE = Shape(width=64, layers=4, heads=4, positions=128, vocabulary=2500, dropout=0.0)
RECIPE = Recipe(
    3e-3, batch_size=64, steps=9000, max_length=96, warmup_steps=0.02, weight_decay=0.01, sampling="0.75,0.25"
)
SEED = 1

Measured = dict[str, dict[str, float]]


def encoder_stage(recipe: Recipe = RECIPE, shape: Shape = SHAPE) -> Stage:
    """Return the stage that pretrains the sandbox's encoder from random weights.

    Args:
        recipe: The hyperparameters.
        shape: The sizes of the network and of the vocabulary.

    Returns:
        The stage; its folder is a Hugging Face model with its tokenizer.
    """
    texts = tuple(read(task("sandbox_text").data("train", code, None)) for code in CODES)
    others = [code for code in CODES if code != ENGLISH_LIKE.code]
    pairs = tuple(read(task("sandbox_parallel").data("train", code, None)) for code in others)
    return pretrain(texts, pairs, shape, recipe, SEED)


def make(machine: Runtime, out: Path) -> Measured:
    """Pretrain the encoder, copy it to `out`, and measure it there.

    Args:
        machine: Where and how to train.
        out: The folder to copy to.

    Returns:
        Figures by language, as `measure` returns them; also written to `measured.json`.
    """
    deliver(encoder_stage(), machine, out)
    measured = measure(out, machine)
    (out / MEASURED).write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    return measured


def measure(folder: Path, machine: Runtime) -> Measured:
    """Measure an encoder on the test sentences of `sandbox_retrieval`, which are not in the pretraining data.

    Args:
        folder: Folder of the encoder.
        machine: Where to compute.

    Returns:
        By language the masked-LM loss (`mlm_loss`, nats a token) and the retrieval accuracy of the last layer
        (`retrieval`, percent).
    """
    network, tokenizer, _ = load(folder, "masked_lm")
    network.to(machine.torch_device())
    tokens, measured = Tokenizer.of(tokenizer), Measured()
    for code in CODES:
        pairs = list(_sentences(code))
        texts = [TextExample(pair.id, pair.source) for pair in pairs]
        losses = _predictions(network, "masked_lm", texts, tokens, machine)
        nats, masked = (sum(line["prediction"][n] for line in losses) for n in (0, 1))
        retrieved = _predictions(network, "bitext_retrieval", pairs, tokens, machine)
        right = sum(line["prediction"][-1] == line["id"] for line in retrieved)
        measured[code] = {"mlm_loss": round(nats / masked, 4), "retrieval": round(100 * right / len(pairs), 2)}
    return measured


def _sentences(code: str) -> list[BitextExample]:
    options = task("sandbox_retrieval").sources[0].options
    pairs = examples("sandbox_retrieval", "test", code, options)
    return [pair for pair in pairs if isinstance(pair, BitextExample)]


def _predictions(
    network: Network, name: str, examples: list[TextExample] | list[BitextExample], tokens: Tokenizer, machine: Runtime
) -> list[Mapping[str, Any]]:
    format = task_format(name)
    inputs = format.encode(examples, tokens, RECIPE.max_length, (), Counter())
    return format.decode(predict_inputs(network, "head", format, inputs, tokens, machine), inputs, examples, ())
