"""Predict XNLI's fifteen languages: this package's batches against the loops of common scripts.

One network of XLM-R's shape with random weights answers for all sides. `ours` sorts a language's examples by length
into batches of so many tokens and looks embeddings up in the rows that it shows; `padded` takes them in the file's
order, 32 at a time, each padded to 128 pieces; `longest` pads only to the longest of its batch. Every language is a
round, and all sides must give the same answers. Lengths are those of XNLI's own files where `--data` (or XSTILTS_DATA)
has them, else drawn around their means; a piece is taken as 4 letters, 3 in Thai, 1.6 in Chinese.

    python benchmarks/evaluation.py --examples 5010 --micro-tokens 16384
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import sides
import torch
import transformers
from sides import TOKENS, texts

from xstilts.data.dataset import examples
from xstilts.data.readers import Report
from xstilts.evaluation.predict import predict_inputs
from xstilts.formats import task_format
from xstilts.models.batch import ModelInput, batch, single_targets
from xstilts.models.embedding_pruning import pruned_embeddings
from xstilts.models.heads import attach
from xstilts.models.network import Network
from xstilts.runtime.machine import Runtime
from xstilts.tasks.base import task

LETTERS_A_PIECE = {"zh": 1.6, "th": 3.0}
# Pieces a pair of XNLI's development sets, by these letters a piece; the deviation of their logarithm is 0.36.
MEANS = {
    **{"ar": 37, "bg": 45, "de": 49, "el": 49, "en": 44, "es": 47, "fr": 50, "hi": 44, "ru": 45, "sw": 43},
    **{"th": 52, "tr": 43, "ur": 42, "vi": 46, "zh": 35},
}
SPREAD, LONGEST, BATCH = 0.36, 128, 32


def main() -> None:
    """Tell sentences a second and how many times as fast this package is, language by language and in all."""
    asked = options()
    shown = {code: units(asked, code) for code in list(MEANS)[: asked.languages]}
    shipped: Any = transformers.XLMRobertaForSequenceClassification(sides.config(asked))
    shipped.eval().to(asked.device)
    found: dict[str, dict[int, list[Any]]] = {side: {} for side in SIDES}
    every = list(shown.values())
    for side in SIDES.values():
        side(asked, shipped, [every[0][:4]], {}, 0)  # what is loaded at the first use
    calls = {name: partial(side, asked, shipped, every, found[name]) for name, side in SIDES.items()}
    seconds = sides.in_turn(calls, len(every))
    sides.tell(figures(asked, seconds, found), asked.json)


def options() -> argparse.Namespace:
    """Return the options of the command line; by default of XLM-R base."""
    parser, quick = sides.options(__doc__.splitlines()[0], examples=8, languages=2, micro_tokens=256)
    parser.add_argument("--examples", type=int, default=300, help="of each language")
    parser.add_argument("--languages", type=int, default=15)
    parser.add_argument("--micro-tokens", type=int, default=4096, help="in a batch of this package")
    parser.add_argument("--data", type=Path, default=os.environ.get("XSTILTS_DATA"), help="folder of data sets")
    return sides.asked(parser, quick)


def figures(
    asked: argparse.Namespace, seconds: dict[str, list[float]], found: dict[str, dict[int, list[Any]]]
) -> sides.Figures:
    """Return speeds, ratios, and by how much the probabilities of the sides differ at most."""
    flat = {side: np.concatenate([np.array(one) for _, one in sorted(said.items())]) for side, said in found.items()}
    real = asked.data and task("xnli").has("validation", "en", Path(asked.data))
    figures: sides.Figures = {"lengths": "XNLI's own" if real else "drawn", "languages": len(seconds["ours"])}
    figures["examples_a_language"] = asked.examples
    for side, taken in seconds.items():
        figures[f"{side}_examples_per_second"] = [asked.examples / one for one in taken]
    for side in ("padded", "longest"):
        figures[f"times_as_fast_as_{side}"] = sides.ratios(seconds[side], seconds["ours"])
        figures[f"all_languages_times_as_fast_as_{side}"] = sum(seconds[side]) / sum(seconds["ours"])
        figures[f"largest_difference_from_{side}"] = float(np.abs(np.exp(flat["ours"]) - np.exp(flat[side])).max())
    return figures


def units(asked: argparse.Namespace, code: str) -> list[ModelInput]:
    """Return examples of random pieces, as long as a language's."""
    random = np.random.default_rng(list(MEANS).index(code))
    found = lengths(asked, code, random).astype(int).clip(8, LONGEST)
    label = np.zeros(1, dtype=np.int32)
    shown = texts(found - 2, asked.pieces, random)
    return [ModelInput(number, (TOKENS.sequence(text),), label) for number, text in enumerate(shown)]


def lengths(asked: argparse.Namespace, code: str, random: np.random.Generator) -> Any:
    """Return the lengths of a language's pairs, in the file's order, or ones that are drawn."""
    xnli, folder = task("xnli"), asked.data and Path(asked.data)
    if folder and xnli.has("validation", code, folder):
        read: Any = islice(examples(xnli.data("validation", code, folder), folder, Report()), asked.examples)
        letters = [len(one.text_a) + len(one.text_b) for one in read]
        return np.array(letters) / LETTERS_A_PIECE.get(code, 4.0) + 4
    return random.lognormal(np.log(MEANS[code]) - SPREAD**2 / 2, SPREAD, asked.examples)


def ours(
    asked: argparse.Namespace, shipped: Any, languages: list[list[ModelInput]], found: dict[int, list[Any]], number: int
) -> float:
    """Return the seconds of a language in this package."""
    machine = Runtime(device=asked.device, max_tokens_per_pass=asked.micro_tokens)
    network = Network(shipped.roberta)
    attach(network, "head", "classification", 3)
    head: Any = network.eval().heads["head"]
    head.dense, head.out = shipped.classifier.dense, shipped.classifier.out_proj
    began = time.perf_counter()
    with pruned_embeddings(network, languages[number], TOKENS):
        network.to(machine.torch_device())
        found[number] = predict_inputs(
            network, "head", task_format("classification"), languages[number], TOKENS, machine
        )
    return time.perf_counter() - began


def looped(
    width: int,
    asked: argparse.Namespace,
    shipped: Any,
    languages: list[list[ModelInput]],
    found: dict[int, list[Any]],
    number: int,
) -> float:
    """Return the seconds of a language in a plain loop; sequences are filled up to `width` at least."""
    machine, shown, said = Runtime(device=asked.device), languages[number], []
    began = time.perf_counter()
    with torch.inference_mode(), machine.arithmetic():
        for start in range(0, len(shown), BATCH):
            part = shown[start : start + BATCH]
            whole = batch(part, TOKENS, single_targets(part))
            more = (0, max(0, width - whole.ids.shape[1]))
            ids = torch.nn.functional.pad(whole.ids, more, value=TOKENS.special_tokens.pad).to(asked.device)
            mask = torch.nn.functional.pad(whole.mask, more).to(asked.device)
            said += torch.log_softmax(shipped(ids, attention_mask=mask).logits.float(), -1).tolist()
    found[number] = said
    return time.perf_counter() - began


SIDES: dict[str, Callable[..., float]] = {
    "ours": ours,
    "padded": partial(looped, LONGEST),
    "longest": partial(looped, 0),
}


if __name__ == "__main__":
    main()
